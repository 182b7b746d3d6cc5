package datecs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// receipt is what this run of the program knows of the open receipt.
type receipt struct {
	total, paid int64
	end         *command // close, once it was tried
}

// begin takes the turn and ends what a call before left unfinished.
func (d *Printer) begin(ctx context.Context) (leave func(), err error) {
	leave, err = d.turn.Take(ctx)
	if err != nil {
		return leave, err
	}
	if d.slipOpen {
		if err := d.endSlip(ctx); err != nil {
			return leave, err
		}
	}
	return leave, nil
}

// ready refuses to begin a document that plainly cannot be printed, and ends a
// slip that another run of the program left open.
func (d *Printer) ready(ctx context.Context, op string) error {
	left := false
	err := d.turn.Ask(ctx, op, func(ctx context.Context, p *line.Port) error {
		st, err := d.readStatus(ctx, p)
		if err != nil {
			return err
		}
		left = d.bits.NonFiscalOpen()
		d.sess.SetStatus(st)
		for _, c := range st.Codes {
			if c.Severity() == drivers.Fault && c != drivers.ShiftExpired {
				return &drivers.Error{Code: c}
			}
		}
		return nil
	})
	if err == nil && left {
		err = d.endSlip(ctx)
	}
	return err
}

func (d *Printer) command(op string, code uint16, data []byte) *command {
	return &command{op: op, code: code, data: data}
}

// fields makes the data of a command for the form the device speaks.
func (d *Printer) fields(isl string, pm ...string) []byte {
	if d.form == PM {
		return Tabbed(pm...)
	}
	return []byte(isl)
}

func byTotal(before, after int64) func(receiptState) (bool, bool) {
	return func(rs receiptState) (done, known bool) {
		return rs.total == after, rs.open && before != after && (rs.total == after || rs.total == before)
	}
}

// OpenReceipt opens a fiscal receipt.
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
	opt := func(given, name string) string {
		if given == "" {
			given = d.cfg.Options.Text(name)
		}
		return string(d.page.Encode(strings.NewReplacer(",", "", "\t", "").Replace(given)))
	}
	oper, pw, till := opt(head.Operator, "operator"), opt(head.Password, "password"), opt(head.Till, "till")
	sale := string(d.page.Encode(head.SaleNumber))
	isl := []string{oper, pw, till}
	pm := []string{oper, pw, till, ""}
	if sale != "" {
		if isl = append(isl, sale); d.family == "c" {
			isl[2], isl[3] = sale, till
		}
		pm = []string{oper, pw, sale, till, ""}
	}
	if err := d.ready(ctx, op); err != nil {
		return err
	}
	c := d.command(op, cmdOpen, d.fields(strings.Join(isl, ","), pm...))
	c.decide = func(rs receiptState) (bool, bool) { return rs.open, true }
	if err := d.run(ctx, c); err != nil {
		return err
	}
	d.receipt, d.dayOpen, d.expired = &receipt{}, true, false
	d.last = drivers.Document{State: drivers.DocumentOpen, Kind: string(drivers.Sale)}
	if d.form == PM {
		d.last.Number = string(c.answer.payload(PM))
	}
	return nil
}

// known is the open receipt; a stand-in when another run of the program opened it.
func (d *Printer) known() *receipt {
	if d.receipt == nil {
		return &receipt{total: -1}
	}
	return d.receipt
}

func (r *receipt) add(v int64) {
	if r.total >= 0 {
		r.total += v
	}
}

func (d *Printer) cut(s string, n int) string {
	b := d.page.Encode(s)
	return string(b[:min(n, len(b))])
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
	if item.Price <= 0 || item.Quantity < 0 || item.Price > 99_999_999 || item.Quantity > 99_999_999 {
		return bad(fmt.Errorf("price %d, quantity %d", item.Price, item.Quantity))
	}
	tax := item.Tax
	if tax == "" {
		tax = d.cfg.Options.Text("tax")
	}
	group, ok := taxIndex(tax)
	if !ok {
		return bad(fmt.Errorf("tax group %q, want A to H", item.Tax))
	}
	name := d.cut(item.Name, d.cfg.Options.Int("item"))
	if name == "" {
		name = " "
	}
	value := (item.Price*item.Quantity + 500) / 1000
	// ISL: text TAB group price*quantity, then ';' or '$' and the amount.
	isl := name + "\t" + string([]byte{0xC0 + byte(group)}) + money(item.Price) + "*" + quantity(item.Quantity)
	kind, amount := "", ""
	if item.Discount != 0 {
		mark := ";"
		if d.family == "c" {
			mark = "$"
		}
		isl += mark + money(-item.Discount)
		if kind, amount = "4", money(item.Discount); item.Discount < 0 {
			kind, amount = "3", money(-item.Discount)
		}
	}
	c := d.command(op, cmdSell, d.fields(isl, name, fmt.Sprint(group+1), money(item.Price), quantity(item.Quantity), kind, amount, "0"))
	r := d.known()
	if r.total >= 0 {
		c.decide = byTotal(r.total, r.total+value-item.Discount)
	}
	if err := d.run(ctx, c); err != nil {
		return err
	}
	r.add(value - item.Discount)
	return nil
}

// DiscountReceipt takes an amount from the subtotal. The protocol has no name
// for it; a name is printed as a line of text before.
func (d *Printer) DiscountReceipt(ctx context.Context, name string, amount int64) error {
	const op = "discount"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	kind, value := "4", money(amount)
	if amount < 0 {
		kind, value = "3", money(-amount)
	}
	mark := ";"
	if d.family == "c" {
		mark = "$"
	}
	if name != "" {
		if err := d.run(ctx, d.command(op, cmdText, d.text(d.cut(name, d.commentWidth())))); err != nil {
			return err
		}
	}
	c := d.command(op, cmdSubtotal, d.fields("10"+mark+money(-amount), "1", "0", kind, value))
	r := d.known()
	if r.total >= 0 {
		c.decide = byTotal(r.total, r.total-amount)
	}
	if err := d.run(ctx, c); err != nil {
		return err
	}
	r.add(-amount)
	return nil
}

// Subtotal asks the device's total. Nothing is printed.
func (d *Printer) Subtotal(ctx context.Context) (int64, error) {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return 0, err
	}
	var rs receiptState
	err = d.turn.Ask(ctx, "subtotal", func(ctx context.Context, p *line.Port) error {
		if err := d.settleLost(ctx, p); err != nil {
			return err
		}
		var known bool
		if rs, known, err = d.receiptState(ctx, p); err != nil {
			return err
		}
		switch {
		case !known:
			return &drivers.Error{Code: drivers.Unsupported, Err: errors.New("this device does not tell the state of a receipt")}
		case !rs.open:
			return &drivers.Error{Code: drivers.ReceiptClosed}
		}
		return nil
	})
	return rs.total, err
}

// Payment letters of ISL and numbers of PM.
var paymentLetters = map[string]string{"": "P", "cash": "P", "card": "D"}
var paymentNumbers = map[string]string{"": "0", "cash": "0", "card": "1"}

// Pay adds a tender. Types other than cash and card go as "other".
func (d *Printer) Pay(ctx context.Context, pay drivers.Payment) error {
	const op = "pay"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	letter, ok := paymentLetters[pay.Type]
	number := paymentNumbers[pay.Type]
	if !ok {
		letter, number = "N", "2"
	}
	data := d.fields(d.cut(pay.Name, d.cfg.Options.Int("item"))+"\t"+letter+money(pay.Amount), number, money(pay.Amount))
	c := d.command(op, cmdPay, data)
	r := d.known()
	if r.total >= 0 && pay.Amount > 0 {
		before, after := r.paid, r.paid+pay.Amount
		c.decide = func(rs receiptState) (bool, bool) {
			return rs.paid != before, rs.open && (rs.paid == before || rs.paid == after || rs.paid == r.total)
		}
	}
	if err := d.run(ctx, c); err != nil {
		return err
	}
	r.paid += pay.Amount
	return nil
}

func (d *Printer) text(encoded string) []byte {
	if d.form == PM {
		return Tabbed(encoded)
	}
	return []byte(encoded)
}

func (d *Printer) commentWidth() int {
	if n := d.cfg.Options.Int("comment"); n > 0 {
		return n
	}
	return d.columns - 2 // the device puts a mark before a text in a receipt
}

// PrintLoyalty prints text lines in the open receipt.
func (d *Printer) PrintLoyalty(ctx context.Context, lines []drivers.LoyaltyLine) (drivers.Outcome, error) {
	const op = "print loyalty text"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if err := d.ready(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	width := d.commentWidth()
	for i, l := range lines {
		c := d.command(op, cmdText, d.text(d.spread(l.Label, l.Value, width)))
		if err := d.printed(d.run(ctx, c), c); err != nil {
			return outcome(i, c), err
		}
	}
	return drivers.OutcomePrinted, nil
}

// spread puts the label left and the value right.
func (d *Printer) spread(label, value string, width int) string {
	l, v := d.page.Encode(label), d.page.Encode(value)
	if len(l) == 0 {
		return d.cut(value, width)
	}
	if gap := width - len(l) - len(v); gap > 0 {
		return string(l) + strings.Repeat(" ", gap) + string(v)
	}
	return d.cut(label+" "+value, width)
}

// printed looks at the status of a text command that was answered well: with
// no paper nobody knows whether the line is on it.
func (d *Printer) printed(err error, c *command) error {
	if err != nil || d.form == PM {
		return err // PM has an error code that tells
	}
	if code, bad := c.answer.bits().faulty(); bad {
		c.dead = true
		return &drivers.Error{Device: d.String(), Op: c.op, Code: code, Err: errors.New("the device stopped at this line")}
	}
	return nil
}

// outcome of a text when its command after n printed ones failed.
func outcome(n int, c *command) drivers.Outcome {
	if n == 0 && !c.dead && !c.sent {
		return drivers.OutcomeNotPrinted
	}
	return drivers.OutcomeUnknown
}

// CloseReceipt ends the receipt.
func (d *Printer) CloseReceipt(ctx context.Context) (drivers.ClosedReceipt, error) {
	const op = "close receipt"
	var out drivers.ClosedReceipt
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return out, err
	}
	r := d.known()
	if r.end == nil {
		r.end = d.command(op, cmdClose, nil)
		r.end.decide = func(rs receiptState) (bool, bool) { return !rs.open, true }
	}
	if err := d.run(ctx, r.end); err != nil {
		if r.end.done {
			r.end = nil // refused: it may be tried again after a payment
		}
		return out, err
	}
	out = drivers.ClosedReceipt{Change: max(0, r.paid-r.total), At: d.env.Time(), Number: d.documentNumber(r.end)}
	if r.total < 0 {
		out.Change = 0
	}
	d.finished(drivers.DocumentClosed)
	if out.Number != "" {
		d.last.Number = out.Number
	}
	return out, nil
}

// documentNumber is in the answer to the close: the second number on ISL
// (fiscal receipts), the only one on PM.
func (d *Printer) documentNumber(c *command) string {
	if d.form == PM {
		return string(c.answer.payload(PM))
	}
	if _, n, ok := strings.Cut(string(c.answer.frame.Data), ","); ok {
		return strings.TrimSpace(n)
	}
	return ""
}

func (d *Printer) finished(state drivers.DocumentState) {
	d.last.State, d.last.Kind = state, string(drivers.Sale)
	if d.receipt != nil {
		d.last.Total = d.receipt.total
	}
	d.receipt = nil
}

// CancelReceipt cancels the open receipt.
func (d *Printer) CancelReceipt(ctx context.Context) error {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	c := d.command("cancel receipt", cmdCancel, nil)
	c.decide = func(rs receiptState) (bool, bool) { return !rs.open, true }
	if err := d.run(ctx, c); err != nil {
		return err
	}
	d.finished(drivers.DocumentCancelled)
	return nil
}

// LastDocument tells what became of the last receipt.
func (d *Printer) LastDocument(ctx context.Context) (drivers.Document, error) {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.Document{State: drivers.DocumentUnknown, Total: -1}, err
	}
	var rs receiptState
	var known, open bool
	err = d.turn.Ask(ctx, "ask for the last document", func(ctx context.Context, p *line.Port) error {
		if err := d.settleLost(ctx, p); err != nil {
			return err
		}
		if rs, known, err = d.receiptState(ctx, p); err != nil {
			return err
		}
		open = d.bits.FiscalOpen()
		return nil
	})
	if err != nil {
		return drivers.Document{State: drivers.DocumentUnknown, Total: -1}, err
	}
	switch {
	case open:
		if d.receipt == nil { // opened, and the answer was lost on the way to the caller
			d.receipt = &receipt{total: -1}
			d.last = drivers.Document{Total: -1}
			if known {
				d.receipt.total, d.receipt.paid = rs.total, rs.paid
			}
		}
		d.last.State, d.last.Kind = drivers.DocumentOpen, string(drivers.Sale)
		if known {
			d.last.Total = rs.total
		}
		d.receipt.end = nil
	case d.receipt != nil && d.receipt.end != nil && d.receipt.end.done:
		d.finished(drivers.DocumentClosed)
	case d.receipt != nil:
		d.finished(drivers.DocumentUnknown)
	}
	return d.last, nil
}

// OpenShift does nothing: the first receipt opens the day.
func (d *Printer) OpenShift(ctx context.Context, _ string) error { return ctx.Err() }

// CloseShift prints the Z report.
func (d *Printer) CloseShift(ctx context.Context) error {
	return d.simple(ctx, "Z report", func() { d.dayOpen, d.expired = false, false }, cmdReport, d.fields("0", "Z"))
}

// XReport prints the report that changes nothing.
func (d *Printer) XReport(ctx context.Context) error {
	return d.simple(ctx, "X report", nil, cmdReport, d.fields("2", "X"))
}

// CashInOut puts money into the till, or takes it out when negative.
func (d *Printer) CashInOut(ctx context.Context, amount int64) error {
	kind, value := "0", money(amount)
	if amount < 0 {
		kind, value = "1", money(-amount)
	}
	return d.simple(ctx, "cash in or out", nil, cmdCash, d.fields(money(amount), kind, value))
}

// OpenDrawer sends the pulse.
func (d *Printer) OpenDrawer(ctx context.Context) error {
	ms := d.cfg.Options.Text("drawer")
	return d.simple(ctx, "open drawer", nil, cmdDrawer, d.fields(ms, ms))
}

func (d *Printer) simple(ctx context.Context, op string, then func(), code uint16, data []byte) error {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	if err := d.run(ctx, d.command(op, code, data)); err != nil {
		return err
	}
	if then != nil {
		then()
	}
	return nil
}

// SetClock sets the device's clock. Only with the day closed.
func (d *Printer) SetClock(ctx context.Context, at time.Time) error {
	s := at.Format("02-01-06 15:04:05")
	return d.simple(ctx, "set clock", nil, cmdSetClock, d.fields(s, s))
}
