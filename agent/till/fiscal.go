package till

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
)

// Cash software may print through the agent's fiscal printer: receipts whole,
// reports, cash in and out, the drawer. A receipt that was authorised brings its
// lines, discounts and loyalty text by itself.
//
// Before the first byte goes to the device it is on disk that the receipt is
// being printed. Whatever ends that (an error, a plug, the agent's own death),
// the device is asked what became of it, and a receipt is printed again only
// when it is known that it was not. Where the device cannot tell, a person looks
// at the paper and says so ("resolve").

// fiscalBody is a fiscal receipt. Without lines it is the authorised receipt of
// the same id.
type fiscalBody struct {
	Kind     string       `json:"kind,omitempty"` // sale (when empty), refund
	Operator string       `json:"operator,omitempty"`
	Password string       `json:"password,omitempty"` // the operator's, when the settings' is not meant
	Number   string       `json:"sale_number,omitempty"`
	Lines    []fiscalLine `json:"lines,omitempty"`
	// Taxes gives, for tax rates of an authorised receipt, the device's tax
	// groups: {"23":"A"}.
	Taxes    map[string]string `json:"taxes,omitempty"`
	Discount loyalty.Money     `json:"discount,omitempty"` // of the whole receipt; below zero: a surcharge
	Reason   string            `json:"discount_name,omitempty"`
	Tenders  []fiscalTender    `json:"tenders,omitempty"` // none: all in cash
	Text     []string          `json:"text,omitempty"`    // further lines inside the receipt
	// Resolve is a person's word on a receipt whose end nobody knows: printed,
	// not_printed.
	Resolve string `json:"resolve,omitempty"`
}

type fiscalLine struct {
	Name       string           `json:"name"`
	Price      loyalty.Money    `json:"price"`              // of one unit
	Quantity   loyalty.Quantity `json:"quantity,omitempty"` // none: 1
	Tax        string           `json:"tax,omitempty"`      // the device's group; empty: that of its settings
	Department int              `json:"department,omitempty"`
	Unit       string           `json:"unit,omitempty"`
	Discount   loyalty.Money    `json:"discount,omitempty"`
	Reason     string           `json:"discount_name,omitempty"`
}

type fiscalTender struct {
	Kind   string        `json:"kind"`
	Amount loyalty.Money `json:"amount"`
	Name   string        `json:"name,omitempty"`
}

// FiscalAnswer is a fiscal receipt that was closed.
type FiscalAnswer struct {
	State   drivers.DocumentState `json:"state"` // closed, or unprinted: in the fiscal memory, not on paper to its end
	Number  string                `json:"number,omitempty"`
	Sign    string                `json:"sign,omitempty"`
	Shift   int                   `json:"shift,omitempty"`
	Total   loyalty.Money         `json:"total"`
	Change  loyalty.Money         `json:"change"`
	Loyalty drivers.Outcome       `json:"loyalty,omitempty"` // what became of the loyalty text
	At      time.Time             `json:"at,omitzero"`
}

// fiscalRecord is what the journal keeps of a document on the device, under a
// key that no caller can have.
type fiscalRecord struct {
	Before string        `json:"before,omitempty"` // number of the document before it
	Total  loyalty.Money `json:"total"`
	Run    string        `json:"run"` // of this program: the driver remembers its own
	// Closing is set before the device is told to close: before that nothing can
	// be closed.
	Closing bool          `json:"closing,omitempty"`
	Closed  *FiscalAnswer `json:"closed,omitempty"`
}

// printerKey is the lock of the printer among those of receipts.
const printerKey = "\x00printer"

func fiscalKey(id string) string { return "\x00fiscal/" + id }

// fiscalPrinter is the agent's, if it has one.
func (t *Till) fiscalPrinter() (drivers.FiscalPrinter, error) {
	if p := t.c.Devices.Printer(); p != nil {
		if f, ok := drivers.As[drivers.FiscalPrinter](p); ok {
			return f, nil
		}
	}
	return nil, refuse("no_fiscal_printer")
}

// device words what a device refused.
func device(code string, err error) error {
	c := drivers.CodeOf(err)
	var e *drivers.Error
	detail := err.Error()
	if errors.As(err, &e) && e.Err != nil {
		detail = e.Err.Error()
	}
	text := string(c)
	if h := c.Hint(); h != "" {
		text += ": " + h
	}
	if detail != "" && detail != string(c) {
		text += " (" + detail + ")"
	}
	return refuse(code, text)
}

// fiscal prints a receipt on the fiscal printer, once.
func (t *Till) fiscal(ctx context.Context, c *call, id string, b *fiscalBody) (*reply, error) {
	p, err := t.fiscalPrinter()
	if err != nil {
		return nil, err
	}
	switch b.Resolve {
	case "", "printed", "not_printed":
	default:
		return nil, refuse("bad_request", "resolve is printed or not_printed").at("resolve")
	}
	doc, err := t.fiscalDocument(id, b)
	if err != nil {
		return nil, err
	}
	unlock, err := t.sales.lock(ctx, printerKey) // one document at a time
	if err != nil {
		return nil, err
	}
	defer unlock()
	// The call may be gone before the device is: what was begun is ended.
	ctx = context.WithoutCancel(ctx)
	if err := t.usable(ctx, p); err != nil {
		return nil, device("printer_not_ready", err)
	}
	rec, err := t.fiscalRecord(id)
	if err != nil {
		return nil, err
	}
	if rec != nil && rec.Closed != nil {
		return nil, refuse("fiscal_done", rec.Closed.Number)
	}
	if rec != nil {
		a, err := t.whatBecame(ctx, p, rec, b.Resolve)
		if err != nil {
			return nil, err
		}
		if a != nil {
			return t.fiscalClosed(c, id, rec, a)
		}
	}
	before, err := p.LastDocument(ctx)
	if err != nil {
		return nil, device("printer_not_ready", err)
	}
	if before.State == drivers.DocumentOpen {
		return nil, refuse("fiscal_open")
	}
	rec = &fiscalRecord{Before: before.Number, Total: doc.total, Run: t.run}
	if err := t.putFiscal(id, rec); err != nil {
		return nil, err
	}
	a, failure := doc.print(ctx, p, func() error {
		rec.Closing = true
		return t.putFiscal(id, rec)
	})
	if failure == nil {
		return t.fiscalClosed(c, id, rec, a)
	}
	// Something is wrong. Is the receipt closed, open, or never begun?
	if a, err = t.whatBecame(ctx, p, rec, ""); err != nil {
		return nil, err
	}
	if a != nil {
		return t.fiscalClosed(c, id, rec, a)
	}
	if err := t.putFiscal(id, nil); err != nil {
		return nil, err
	}
	var own *Error
	if errors.As(failure, &own) {
		return nil, own
	}
	return nil, device("fiscal_failed", failure)
}

// whatBecame asks the device about a document that was begun: its answer when it
// is closed, nil when it is known not to be (an open one is cancelled), and a
// refusal when nobody knows.
func (t *Till) whatBecame(ctx context.Context, p drivers.FiscalPrinter, rec *fiscalRecord, word string) (*FiscalAnswer, error) {
	end := time.Now().Add(max(t.c.Patience, time.Second))
	for {
		if err := t.usable(ctx, p); err != nil {
			return nil, device("fiscal_unknown", err)
		}
		doc, err := p.LastDocument(ctx)
		if err != nil {
			if time.Now().Before(end) && drivers.CodeOf(err).Passing() {
				pauseFiscal(ctx)
				continue
			}
			return nil, device("fiscal_unknown", err)
		}
		same := rec.Run == t.run // the driver followed the document itself
		switch {
		case doc.State == drivers.DocumentOpen:
			err := p.CancelReceipt(ctx)
			if !time.Now().Before(end) {
				return nil, device("fiscal_unknown", errors.Join(drivers.ReceiptOpen, err))
			}
			if err != nil {
				pauseFiscal(ctx) // no paper, or the line is away: somebody is at it
			}
			continue // and look what became of it
		case !rec.Closing:
			return nil, nil
		case same && (doc.State == drivers.DocumentClosed || doc.State == drivers.DocumentUnprinted):
			if rec.Before != "" && doc.Number == rec.Before {
				return nil, nil // the one before it
			}
			return rec.told(doc), nil
		case same && (doc.State == drivers.DocumentCancelled || doc.State == drivers.DocumentNone):
			return nil, nil
		case rec.Before != "" && doc.Number == rec.Before:
			return nil, nil
		case doc.Number != "" && doc.Number != rec.Before && doc.Total > 0 && doc.Total == int64(rec.Total) &&
			(doc.State == drivers.DocumentClosed || doc.State == drivers.DocumentUnprinted):
			return rec.told(doc), nil
		case word == "printed":
			doc.State = drivers.DocumentClosed
			return rec.told(doc), nil
		case word == "not_printed":
			return nil, nil
		}
		return nil, refuse("fiscal_unknown", "the printer does not tell")
	}
}

// usable waits for the printer as long as a slip may wait. One that waits for a
// command to go on after a fault is given it.
func (t *Till) usable(ctx context.Context, p drivers.Printer) error {
	end := time.Now().Add(t.c.Patience)
	for {
		st := p.State()
		if st.Usable() && st.Code != drivers.Opening {
			return nil
		}
		if r, ok := drivers.As[drivers.Recoverer](p); ok && st.Has(drivers.Interrupted) {
			if err := r.Recover(ctx); err == nil {
				_, err = p.Status(ctx) // the state follows the status
				if err == nil && p.State().Usable() {
					return nil
				}
			}
		}
		if st.Code == drivers.Closed || time.Now().After(end) || ctx.Err() != nil {
			return st.Code
		}
		pauseFiscal(ctx)
	}
}

func pauseFiscal(ctx context.Context) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}

// told is what the device says of the document.
func (rec *fiscalRecord) told(doc drivers.Document) *FiscalAnswer {
	out := doc.Loyalty
	if out == "" {
		out = drivers.OutcomeUnknown
	}
	return &FiscalAnswer{State: doc.State, Number: doc.Number, Total: rec.Total, Loyalty: out}
}

func (t *Till) fiscalRecord(id string) (*fiscalRecord, error) {
	var rec *fiscalRecord
	err := t.c.Journal.View(func(tx *store.Tx) error {
		a, err := tx.Answer(fiscalKey(id))
		if err != nil || a == nil || string(a.Body) == "null" {
			return err
		}
		rec = &fiscalRecord{}
		return json.Unmarshal(a.Body, rec)
	})
	return rec, err
}

func (t *Till) putFiscal(id string, rec *fiscalRecord) error {
	return t.c.Journal.Update(func(tx *store.Tx) error {
		return tx.PutAnswer(fiscalKey(id), &store.Answer{Call: "fiscal", Body: mustJSON(rec)})
	})
}

func (t *Till) fiscalClosed(c *call, id string, rec *fiscalRecord, a *FiscalAnswer) (*reply, error) {
	if a.At.IsZero() {
		a.At = t.stamp()
	}
	done := *rec
	done.Closed = a
	return t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		return a, tx.PutAnswer(fiscalKey(id), &store.Answer{Call: "fiscal", Body: mustJSON(done)})
	})
}

// fiscalDoc is a receipt ready for the device.
type fiscalDoc struct {
	head     drivers.ReceiptHead
	items    []drivers.Item
	discount int64
	reason   string
	tenders  []drivers.Payment
	text     []drivers.LoyaltyLine
	total    loyalty.Money
}

// maxFiscalLines bounds a receipt; devices stop at some hundreds by themselves.
const maxFiscalLines = 2000

func (t *Till) fiscalDocument(id string, b *fiscalBody) (*fiscalDoc, error) {
	d := &fiscalDoc{head: drivers.ReceiptHead{Kind: drivers.Sale, Operator: b.Operator, Password: b.Password, SaleNumber: b.Number},
		discount: int64(b.Discount), reason: b.Reason}
	switch b.Kind {
	case "", "sale":
	case "refund":
		d.head.Kind = drivers.Refund
	default:
		return nil, refuse("bad_request", "kind is sale or refund").at("kind")
	}
	if len(b.Lines) > maxFiscalLines {
		return nil, refuse("bad_request", "too many lines").at("lines")
	}
	r, err := t.stored(id)
	if err != nil {
		return nil, err
	}
	var result *loyalty.Result
	if r != nil && (r.State == store.Held || r.State == store.Captured) {
		result = &loyalty.Result{}
		var basket loyalty.Receipt
		if err := errors.Join(json.Unmarshal(r.Result, result), json.Unmarshal(r.Basket, &basket)); err != nil {
			return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
		}
		d.text = t.fiscalText(result)
		if len(b.Lines) == 0 {
			t.ownLines(d, &basket, result, b.Taxes)
			if b.Operator == "" {
				d.head.Operator = basket.Cashier
			}
		}
	}
	for i, l := range b.Lines {
		at := func(field string) string { return fmt.Sprintf("lines[%d].%s", i, field) }
		switch {
		case strings.TrimSpace(l.Name) == "":
			return nil, refuse("bad_request", "a line without a name").at(at("name"))
		case l.Price < 0 || l.Quantity < 0:
			return nil, refuse("bad_request", "below zero").at(at("price"))
		}
		q := l.Quantity
		if q == 0 {
			q = 1000
		}
		sum, ok := times(int64(l.Price), int64(q))
		if !ok {
			return nil, refuse("bad_request", "out of range").at(at("price"))
		}
		d.total += loyalty.Money(sum) - l.Discount
		d.items = append(d.items, drivers.Item{Name: l.Name, Price: int64(l.Price), Quantity: int64(q), Tax: l.Tax, Department: l.Department, Unit: l.Unit,
			Discount: int64(l.Discount), DiscountName: l.Reason})
	}
	if len(d.items) == 0 {
		return nil, refuse("fiscal_nothing").at("lines")
	}
	d.head.Lines = len(d.items)
	d.total -= b.Discount
	if d.discount != 0 && d.reason == "" {
		d.reason = receipt.Discount(t.c.Language)
	}
	paid := loyalty.Money(0)
	for i, x := range b.Tenders {
		if x.Amount <= 0 {
			return nil, refuse("bad_request", "not above zero").at(fmt.Sprintf("tenders[%d].amount", i))
		}
		paid += x.Amount
		d.tenders = append(d.tenders, drivers.Payment{Type: x.Kind, Amount: int64(x.Amount), Name: x.Name})
	}
	if len(d.tenders) == 0 {
		d.tenders = []drivers.Payment{{Type: "cash", Amount: int64(d.total)}}
		paid = d.total
	}
	if paid < d.total || d.total < 0 {
		return nil, refuse("fiscal_unpaid", d.total, paid).at("tenders")
	}
	for _, l := range b.Text {
		d.text = append(d.text, drivers.LoyaltyLine{Label: l})
	}
	return d, nil
}

// times is a price times a quantity in thousandths, half up.
func times(price, quantity int64) (int64, bool) {
	if price != 0 && quantity > (1<<62)/price {
		return 0, false
	}
	return (price*quantity + 500) / 1000, true
}

// ownLines makes the device's lines of an authorised receipt. A line the device
// would round to another sum (fuel at 42.609 a litre) is sold as one piece, with
// its quantity in the name.
func (t *Till) ownLines(d *fiscalDoc, basket *loyalty.Receipt, result *loyalty.Result, taxes map[string]string) {
	for i, l := range basket.Lines {
		if i >= len(result.Lines) {
			break // gifts that the rules added have no line in the basket
		}
		r := result.Lines[i]
		name := l.Name
		if name == "" {
			name = l.SKU
		}
		it := drivers.Item{Name: name, Quantity: int64(l.Quantity), Tax: taxes[l.TaxRate], Unit: l.Unit, Discount: int64(r.Gross - r.Net)}
		cents, whole := int64(l.Price)/10_000, int64(l.Price)%10_000 == 0
		if sum, ok := times(cents, int64(l.Quantity)); !whole || !ok || sum != int64(r.Gross) {
			it.Name, it.Price, it.Quantity = fmt.Sprintf("%s %s x %s", name, l.Quantity, l.Price), int64(r.Gross), 1000
		} else {
			it.Price = cents
		}
		if it.Discount != 0 {
			it.DiscountName = receipt.Discount(t.c.Language)
		}
		d.items = append(d.items, it)
		d.total += r.Net
	}
}

// fiscalText is the loyalty block as lines inside a fiscal receipt. What the
// devices have fields of their own for is told by these.
func (t *Till) fiscalText(r *loyalty.Result) []drivers.LoyaltyLine {
	var out []drivers.LoyaltyLine
	taken := map[string]drivers.LoyaltyField{}
	if e := earned(r); e != 0 {
		taken[plain(e)] = drivers.PointsEarned
	}
	if r.Spend != nil && r.Spend.Points != 0 {
		taken[plain(r.Spend.Points)] = drivers.PointsSpent
	}
	for _, l := range r.Print {
		switch l.Kind {
		case "pair":
			f := taken[l.Right]
			delete(taken, l.Right)
			out = append(out, drivers.LoyaltyLine{Field: f, Label: l.Text, Value: l.Right})
		case "text", "big":
			if strings.TrimSpace(l.Text) != "" {
				out = append(out, drivers.LoyaltyLine{Label: l.Text})
			}
		}
	}
	return out
}

// plain is a number of points as slips have it.
func plain(p loyalty.Points) string { return strings.TrimSuffix(p.String(), ".00") }

// errSum ends a receipt whose sum on the device is not ours.
func errSum(want loyalty.Money, got int64) error {
	return refuse("fiscal_sum", want, loyalty.Money(got))
}

// spread takes the discount of the whole receipt from its lines instead, in
// proportion; what does not divide goes to the first lines.
func (d *fiscalDoc) spread() {
	nets := make([]int64, len(d.items))
	var all int64
	for i, it := range d.items {
		sum, _ := times(it.Price, it.Quantity) // fitted before
		nets[i] = sum - it.Discount
		all += nets[i]
	}
	left := d.discount
	for i := range d.items {
		if all <= 0 {
			break
		}
		share := d.discount / all * nets[i]
		share += d.discount % all * nets[i] / all
		d.items[i].Discount += share
		left -= share
	}
	for i := 0; left > 0 && i < len(d.items); i++ {
		sum, _ := times(d.items[i].Price, d.items[i].Quantity)
		if more := min(left, sum-d.items[i].Discount); more > 0 {
			d.items[i].Discount += more
			left -= more
		}
	}
	for i := range d.items {
		if d.items[i].Discount > 0 && d.items[i].DiscountName == "" {
			d.items[i].DiscountName = d.reason
		}
	}
	d.discount = left // more than all goods cost: the device refuses
}

// split makes lines of which each unit has the same discount.
func (d *fiscalDoc) split() {
	var out []drivers.Item
	for _, it := range d.items {
		n := it.Quantity / 1000
		switch {
		case it.Discount == 0, it.Quantity%1000 == 0 && it.Discount%n == 0:
			out = append(out, it)
		case it.Quantity%1000 != 0:
			sum, _ := times(it.Price, it.Quantity)
			it.Name = fmt.Sprintf("%s %s x %s", it.Name, loyalty.Quantity(it.Quantity), loyalty.Money(it.Price))
			it.Price, it.Quantity = sum, 1000
			out = append(out, it)
		default:
			more := it.Discount % n
			if it.Discount < 0 { // a surcharge
				more = n + it.Discount%n
			}
			each := (it.Discount - more) / n
			a, b := it, it
			a.Quantity, a.Discount = (n-more)*1000, (n-more)*each
			b.Quantity, b.Discount = more*1000, more*(each+1)
			out = append(out, a, b)
		}
	}
	d.items = out
	d.head.Lines = len(out)
}

// print drives the device through the receipt. The device's own sum is held
// against ours before anything is paid; closing is called before the close.
func (d *fiscalDoc) print(ctx context.Context, p drivers.FiscalPrinter, closing func() error) (*FiscalAnswer, error) {
	if l, ok := drivers.As[drivers.DiscountLimited](p); ok {
		if d.discount > l.DiscountLimit() {
			d.spread()
		}
		d.split()
	}
	if err := p.OpenReceipt(ctx, d.head); err != nil {
		return nil, err
	}
	for _, it := range d.items {
		if err := p.Sell(ctx, it); err != nil {
			return nil, err
		}
	}
	if d.discount != 0 {
		if err := p.DiscountReceipt(ctx, d.reason, d.discount); err != nil {
			return nil, err
		}
	}
	sum, err := p.Subtotal(ctx)
	if err != nil {
		return nil, err
	}
	if sum != int64(d.total) {
		return nil, errSum(d.total, sum)
	}
	out := drivers.Outcome("")
	if len(d.text) > 0 {
		// The text is not worth the receipt: its outcome is told, no more.
		out, _ = p.PrintLoyalty(ctx, d.text)
	}
	for _, t := range d.tenders {
		if err := p.Pay(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := closing(); err != nil {
		return nil, err
	}
	c, err := p.CloseReceipt(ctx)
	if err != nil {
		return nil, err
	}
	if out == drivers.OutcomeKept {
		out = c.Loyalty
	}
	return &FiscalAnswer{State: drivers.DocumentClosed, Number: c.Number, Sign: c.FiscalSign, Shift: c.Shift, Total: d.total,
		Change: loyalty.Money(c.Change), Loyalty: out, At: c.At}, nil
}

// FiscalStatus is how the fiscal printer is.
type FiscalStatus struct {
	Printer  string                `json:"printer"`
	Identity drivers.Identity      `json:"identity"`
	Codes    []drivers.Code        `json:"codes"` // what holds now, worst first
	Detail   string                `json:"detail,omitempty"`
	Fiscal   *drivers.FiscalStatus `json:"fiscal,omitempty"`
	Document drivers.DocumentState `json:"document"`
	Number   string                `json:"number,omitempty"`
	Columns  int                   `json:"columns"`
}

func (t *Till) fiscalStatus(ctx context.Context) (*FiscalStatus, error) {
	p, err := t.fiscalPrinter()
	if err != nil {
		return nil, err
	}
	s := &FiscalStatus{Printer: p.String(), Columns: p.Columns(), Codes: []drivers.Code{}, Document: drivers.DocumentUnknown}
	st, err := p.Status(ctx)
	if err != nil {
		return nil, device("printer_not_ready", err)
	}
	s.Codes, s.Detail, s.Fiscal = append(s.Codes, st.Codes...), st.Detail, st.Fiscal
	if s.Identity, err = p.Identity(ctx); err != nil {
		return nil, device("printer_not_ready", err)
	}
	if doc, err := p.LastDocument(ctx); err == nil {
		s.Document, s.Number = doc.State, doc.Number
		if s.Document == "" {
			s.Document = drivers.DocumentUnknown
		}
	}
	return s, nil
}

// fiscalDo is a report, cash, the drawer, or the end of an open receipt.
type fiscalDo struct {
	// Do is open_shift, close_shift (Z report), x_report, cash, drawer, cancel.
	Do       string        `json:"do"`
	Operator string        `json:"operator,omitempty"`
	Amount   loyalty.Money `json:"amount,omitempty"` // of cash; below zero it is taken out
	Resolve  string        `json:"resolve,omitempty"`
}

// FiscalDone says that it was done.
type FiscalDone struct {
	Do string `json:"do"`
}

func (t *Till) fiscalDo(ctx context.Context, c *call, b *fiscalDo) (*reply, error) {
	unlock, err := t.sales.lock(ctx, printerKey)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ctx = context.WithoutCancel(ctx)
	if b.Do == "drawer" {
		if err := t.drawer(ctx); err != nil {
			return nil, err
		}
		return t.commit(c, http.StatusOK, func(*store.Tx) (any, error) { return FiscalDone{b.Do}, nil })
	}
	p, err := t.fiscalPrinter()
	if err != nil {
		return nil, err
	}
	if err := t.usable(ctx, p); err != nil {
		return nil, device("printer_not_ready", err)
	}
	st, err := p.Status(ctx)
	if err != nil || st.Fiscal == nil {
		return nil, device("printer_not_ready", errors.Join(err, drivers.Silent))
	}
	switch b.Do {
	case "open_shift":
		if !st.Fiscal.ShiftOpen { // open already: asked a second time
			err = p.OpenShift(ctx, b.Operator)
		}
	case "close_shift":
		if st.Fiscal.ShiftOpen {
			err = p.CloseShift(ctx)
		}
	case "x_report":
		err = p.XReport(ctx)
	case "cancel":
		if doc, e := p.LastDocument(ctx); e != nil {
			err = e
		} else if doc.State == drivers.DocumentOpen {
			err = p.CancelReceipt(ctx)
		}
	case "cash":
		err = t.cash(ctx, p, c.key, b)
	default:
		return nil, refuse("bad_request", "do is open_shift, close_shift, x_report, cash, drawer or cancel").at("do")
	}
	var own *Error
	if errors.As(err, &own) {
		return nil, own
	}
	if err != nil {
		return nil, device("fiscal_failed", err)
	}
	return t.commit(c, http.StatusOK, func(*store.Tx) (any, error) { return FiscalDone{b.Do}, nil })
}

func (t *Till) drawer(ctx context.Context) error {
	p := t.c.Devices.Printer()
	d, ok := drivers.As[drivers.Drawer](p)
	if p == nil || !ok {
		return refuse("no_drawer")
	}
	if err := d.OpenDrawer(ctx); err != nil {
		return device("fiscal_failed", err)
	}
	return nil
}

// cash puts money in or takes it out, once for its key: a call that was cut
// short is not made again until a person has looked at the paper.
func (t *Till) cash(ctx context.Context, p drivers.FiscalPrinter, key string, b *fiscalDo) error {
	c, ok := drivers.As[drivers.CashInOut](p)
	if !ok {
		return device("fiscal_failed", drivers.Unsupported)
	}
	if b.Amount == 0 {
		return refuse("bad_request", "no amount").at("amount")
	}
	id := "cash/" + key
	rec, err := t.fiscalRecord(id)
	if err != nil {
		return err
	}
	switch {
	case rec == nil || b.Resolve == "not_printed":
	case b.Resolve == "printed":
		return nil
	default:
		return refuse("fiscal_unknown", "the agent stopped in the middle")
	}
	if err := t.putFiscal(id, &fiscalRecord{Total: b.Amount, Run: t.run}); err != nil {
		return err
	}
	err = c.CashInOut(ctx, int64(b.Amount))
	if err != nil && drivers.CodeOf(err) == drivers.Uncertain {
		return device("fiscal_unknown", err)
	}
	return errors.Join(err, t.putFiscal(id, nil))
}
