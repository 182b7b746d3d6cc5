package posnet

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// receipt is what this run of the program knows of the open receipt.
type receipt struct {
	total int64 // of the lines and discounts the printer took
	paid  int64
	text  []drivers.LoyaltyLine // for the foot
	end   *command              // trend, once it was tried
	foot  []*command            // trftrln.. and trftrend, once trend is done
}

var paymentTypes = map[string]int{
	"": 0, "cash": 0, "card": 2, "cheque": 3, "check": 3, "bon": 4, "credit": 5, "other": 6, "points": 6, "voucher": 7, "transfer": 8,
}

// begin takes the turn and ends what a call before left unfinished.
func (d *Printer) begin(ctx context.Context) (leave func(), err error) {
	leave, err = d.turn.Take(ctx)
	if err != nil {
		return leave, err
	}
	if err := d.conclude(ctx); err != nil {
		return leave, err
	}
	if d.formOpen {
		if err := d.endForm(ctx); err != nil {
			return leave, err
		}
	}
	return leave, nil
}

// sums asks for the open transaction and its running total.
func (d *Printer) sums(ctx context.Context, p *line.Port) (open bool, total int64, err error) {
	m, err := d.query(ctx, p, Message{Command: "strns"}, true)
	if err != nil {
		return false, 0, err
	}
	if m.Refused {
		return false, 0, refusal("read totals", m)
	}
	for _, id := range []string{"va", "vb", "vc", "vd", "ve", "vf", "vg"} {
		if n, ok := m.Int(id); ok {
			total += n
		}
	}
	return yes(m.Text("to")), total, nil
}

// decideTotal decides by the running total: it is before when the command was
// not carried out, and after when it was.
func (d *Printer) decideTotal(before, after int64) func(context.Context, *line.Port) (bool, bool, error) {
	return func(ctx context.Context, p *line.Port) (done, known bool, err error) {
		open, total, err := d.sums(ctx, p)
		return total == after, open && before != after && (total == after || total == before), err
	}
}

// decideOpen decides by whether a transaction is open.
func (d *Printer) decideOpen(want bool) func(context.Context, *line.Port) (bool, bool, error) {
	return func(ctx context.Context, p *line.Port) (done, known bool, err error) {
		open, _, err := d.sums(ctx, p)
		return open == want, true, err
	}
}

// ready refuses to begin a document when it is plain that it cannot be printed:
// a command sent to a printer without paper waits in it, and is carried out when
// nobody expects it any more.
func (d *Printer) ready(ctx context.Context, op string) error {
	return d.turn.Ask(ctx, op, func(ctx context.Context, p *line.Port) error {
		st, err := d.quickStatus(ctx, p)
		if err != nil {
			return err
		}
		d.sess.SetStatus(st)
		for _, c := range st.Codes {
			if c.Severity() == drivers.Fault && c != drivers.ShiftExpired {
				return &drivers.Error{Code: c}
			}
		}
		return nil
	})
}

// OpenReceipt begins a receipt.
func (d *Printer) OpenReceipt(ctx context.Context, head drivers.ReceiptHead) error {
	const op = "open receipt"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	if head.Kind != drivers.Sale && head.Kind != "" {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.Unsupported, Err: fmt.Errorf("receipt kind %q", head.Kind)}
	}
	if err := d.ready(ctx, op); err != nil {
		return err
	}
	first := func() *command {
		c := newCommand(op, "trinit", P("bm", 0))
		c.decide = d.decideOpen(true)
		return c
	}
	c := first()
	err = d.run(ctx, c)
	if c.done && c.answer.Refusal == RefusedUnfinished {
		// Another run of the program left a foot or a form open.
		d.run(ctx, newCommand(op, "trftrend"))
		if err = d.endForm(ctx); err == nil {
			err = d.run(ctx, first())
		}
	}
	if err != nil {
		return err
	}
	d.expired = false
	d.receipt = &receipt{}
	d.last = drivers.Document{State: drivers.DocumentOpen, Kind: string(drivers.Sale)}
	return nil
}

func (d *Printer) current() *receipt {
	if d.receipt == nil {
		return &receipt{total: -1}
	}
	return d.receipt
}

// lineValue is price times quantity, rounded half up as the printer does.
func lineValue(price, quantity int64) int64 {
	return (price*quantity + 500) / 1000
}

func quantity(v int64) string {
	if v%1000 == 0 {
		return strconv.FormatInt(v/1000, 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%03d", v/1000, v%1000), "0")
}

// Sell puts an item on the receipt.
func (d *Printer) Sell(ctx context.Context, item drivers.Item) error {
	const op = "sell"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	bad := func(err error) error {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.BadData, Err: err}
	}
	if item.Quantity == 0 {
		item.Quantity = 1000
	}
	if item.Price <= 0 || item.Quantity < 0 || item.Price > 9_999_999_999 || item.Quantity > 99_999_999_999/item.Price*1000 {
		return bad(fmt.Errorf("price %d, quantity %d", item.Price, item.Quantity))
	}
	tax := strings.ToUpper(item.Tax)
	if tax == "" {
		tax = d.tax
	}
	if len(tax) != 1 || tax[0] < 'A' || tax[0] > 'G' {
		return bad(fmt.Errorf("VAT letter %q, want A to G", item.Tax))
	}
	value := lineValue(item.Price, item.Quantity)
	params := []Param{P("na", d.cut(item.Name, 80)), P("vt", int(tax[0]-'A')), P("pr", item.Price), P("il", quantity(item.Quantity)), P("wa", value)}
	if item.Unit != "" {
		params = append(params, P("jm", d.cut(item.Unit, 4)))
	}
	if item.Discount != 0 {
		params = append(params, d.discount(item.DiscountName, item.Discount)...)
	}
	c := newCommand(op, "trline", params...)
	r := d.current()
	if r.total >= 0 {
		c.decide = d.decideTotal(r.total, r.total+value-item.Discount)
	}
	if err := d.run(ctx, c); err != nil {
		return err
	}
	if r.total >= 0 {
		r.total += value - item.Discount
	}
	return nil
}

// discount makes the parameters of a discount, or of a surcharge when negative.
func (d *Printer) discount(name string, amount int64) []Param {
	kind := 1
	if amount < 0 {
		kind, amount = 0, -amount
	}
	var ps []Param
	if name != "" {
		ps = append(ps, P("rn", d.cut(name, 25)))
	}
	return append(ps, P("rd", kind), P("rw", amount))
}

// DiscountReceipt takes an amount from the whole receipt.
func (d *Printer) DiscountReceipt(ctx context.Context, name string, amount int64) error {
	const op = "discount"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	ps := d.discount("", amount)
	if name != "" {
		ps = append([]Param{P("na", d.cut(name, 25))}, ps...)
	}
	c := newCommand(op, "trdiscntbill", ps...)
	r := d.current()
	if r.total >= 0 {
		c.decide = d.decideTotal(r.total, r.total-amount)
	}
	if err := d.run(ctx, c); err != nil {
		return err
	}
	if r.total >= 0 {
		r.total -= amount
	}
	return nil
}

// Subtotal asks the printer's running total. Nothing is printed.
func (d *Printer) Subtotal(ctx context.Context) (int64, error) {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return 0, err
	}
	var total int64
	err = d.turn.Ask(ctx, "subtotal", func(ctx context.Context, p *line.Port) error {
		var open bool
		if open, total, err = d.sums(ctx, p); err == nil && !open {
			return &drivers.Error{Code: drivers.ReceiptClosed}
		}
		return err
	})
	return total, err
}

// Pay adds a tender.
func (d *Printer) Pay(ctx context.Context, pay drivers.Payment) error {
	const op = "pay"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	ty, ok := paymentTypes[pay.Type]
	if !ok {
		ty = 6
	}
	ps := []Param{P("ty", ty), P("wa", pay.Amount)}
	if pay.Name != "" {
		ps = append(ps, P("na", d.cut(pay.Name, 25)))
	}
	if err := d.run(ctx, newCommand(op, "trpayment", append(ps, P("re", 0))...)); err != nil {
		return err
	}
	if d.receipt != nil {
		d.receipt.paid += pay.Amount
	}
	return nil
}

// CancelReceipt cancels the open receipt.
func (d *Printer) CancelReceipt(ctx context.Context) error {
	const op = "cancel receipt"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	c := newCommand(op, "prncancel")
	c.decide = d.decideOpen(false)
	if err := d.run(ctx, c); err != nil {
		return err
	}
	d.gone(drivers.DocumentCancelled)
	return nil
}

// LastDocument tells what became of the last receipt.
func (d *Printer) LastDocument(ctx context.Context) (drivers.Document, error) {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.Document{State: drivers.DocumentUnknown, Total: -1}, err
	}
	var open bool
	var total int64
	err = d.turn.Ask(ctx, "ask for the last document", func(ctx context.Context, p *line.Port) error {
		if d.lost != nil {
			if err := d.settle(ctx, p, d.lost); err != nil {
				return err
			}
		}
		open, total, err = d.sums(ctx, p)
		return err
	})
	if err != nil {
		return drivers.Document{State: drivers.DocumentUnknown, Total: -1}, err
	}
	switch {
	case open:
		if d.receipt == nil && d.last.State != drivers.DocumentOpen { // somebody else's
			d.last = drivers.Document{}
		}
		d.last.State, d.last.Kind, d.last.Total = drivers.DocumentOpen, string(drivers.Sale), total
		if d.receipt == nil { // opened, and the answer was lost on the way to the caller
			d.receipt = &receipt{total: total}
		}
	case d.receipt != nil: // closed or cancelled by somebody else, at the printer or after a power cut
		d.gone(drivers.DocumentUnknown)
	}
	return d.last, nil
}

// OpenShift does nothing: the first receipt opens the day.
func (d *Printer) OpenShift(ctx context.Context, _ string) error { return ctx.Err() }

// CloseShift prints the fiscal daily report.
func (d *Printer) CloseShift(ctx context.Context) error {
	return d.simple(ctx, "daily report", func() { d.expired = false }, "dailyrep")
}

// XReport prints the shift report, the nearest thing the printer has: it
// changes nothing.
func (d *Printer) XReport(ctx context.Context) error {
	return d.simple(ctx, "shift report", nil, "shiftrep", P("sh", 1), P("zr", 0))
}

// CashInOut puts money into the till, or takes it out when negative.
func (d *Printer) CashInOut(ctx context.Context, amount int64) error {
	in := 1
	if amount < 0 {
		in, amount = 0, -amount
	}
	return d.simple(ctx, "cash in or out", nil, "cash", P("kw", amount), P("wp", in))
}

// OpenDrawer sends the pulse.
func (d *Printer) OpenDrawer(ctx context.Context) error {
	return d.simple(ctx, "open drawer", nil, "opendrwr")
}

// Beep makes a sound.
func (d *Printer) Beep(ctx context.Context) error { return d.simple(ctx, "beep", nil, "beep") }

func (d *Printer) simple(ctx context.Context, op string, then func(), mnemonic string, params ...Param) error {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	err = d.run(ctx, newCommand(op, mnemonic, params...))
	if err == nil && then != nil {
		then()
	}
	return err
}

var errForm = errors.New("part of the slip is on the paper")
