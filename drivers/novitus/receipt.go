package novitus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// receipt is what this run of the program knows of the open receipt. The printer
// gets the payments with the close, in one command.
type receipt struct {
	items    int
	total    int64
	payments []drivers.Payment
	cashier  string
	text     []drivers.LoyaltyLine
	end      *command   // $y, once it was tried
	extra    int        // free lines that went with it
	foot     []*command // $z.., once the receipt is closed
}

func (r *receipt) paid() (s int64) {
	for _, p := range r.payments {
		s += p.Amount
	}
	return s
}

// Limits of the foot.
const (
	maxPreset    = 20 // $z lines with a keyword
	presetLength = 25
	maxExtra     = 3 // free lines in $y
	maxInfo      = 3 // free lines after it
	freeLength   = 40
)

var paymentTypes = map[string]int{
	"card": 1, "cheque": 2, "check": 2, "bon": 3, "other": 4, "points": 4, "credit": 5, "account": 6, "voucher": 7, "transfer": 6,
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
	if d.slipOpen {
		if err := d.endSlip(ctx); err != nil {
			return leave, err
		}
	}
	return leave, nil
}

// able refuses to begin a document that plainly cannot be printed: a command
// sent to a printer without paper waits in it.
func (d *Printer) able(ctx context.Context, op string) error {
	return d.turn.Ask(ctx, op, func(ctx context.Context, p *line.Port) error {
		st, err := d.quickStatus(ctx, p)
		if err != nil {
			return err
		}
		d.sess.SetStatus(st)
		for _, c := range st.Codes {
			if c.Severity() == drivers.Fault {
				return &drivers.Error{Code: c}
			}
		}
		if st.Fiscal.ReceiptOpen { // the printer would refuse, and ENQ could not tell whose receipt it is
			return &drivers.Error{Code: drivers.ReceiptOpen}
		}
		return nil
	})
}

func (d *Printer) cut(s string, n int) string {
	b := d.page.Encode(s)
	return string(b[:min(n, len(b))])
}

// OpenReceipt begins a receipt that is printed line by line.
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
	if err := d.able(ctx, op); err != nil {
		return err
	}
	first := func() *command {
		return &command{op: op, seq: Sequence{[]int{0}, "$h", ""}, decide: func(e byte) (bool, bool) { return e&InReceipt != 0, true }}
	}
	c := first()
	err = d.run(ctx, c)
	if c.done && c.code == CodeNotNow {
		// Another run of the program left a foot or a printout open.
		d.run(ctx, &command{op: op, seq: Sequence{[]int{28, 0}, "$z", ""}, again: CodeNotNow})
		if err = d.endSlip(ctx); err == nil {
			err = d.run(ctx, first())
		}
	}
	if err != nil {
		return err
	}
	cashier := head.Operator
	if cashier == "" {
		cashier = d.cfg.Options.Text("cashier")
	}
	d.receipt = &receipt{cashier: cashier}
	d.last = drivers.Document{State: drivers.DocumentOpen, Kind: string(drivers.Sale)}
	return nil
}

var errUnknownReceipt = errors.New("this run of the program did not open the receipt: cancel it")

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
	tax := strings.ToUpper(item.Tax)
	if tax == "" {
		tax = d.cfg.Options.Text("tax")
	}
	if len(tax) != 1 || tax[0] < 'A' || tax[0] > 'G' {
		return bad(fmt.Errorf("VAT letter %q, want A to G", item.Tax))
	}
	r := d.receipt
	if r == nil {
		r = &receipt{} // the printer refuses it
	}
	if len(r.payments) > 0 {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.WrongState, Err: errors.New("a payment was made already")}
	}
	if r.items >= 255 {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.WrongState, Err: errors.New("255 lines, the receipt is full")}
	}
	gross := (item.Price*item.Quantity + 500) / 1000
	s := Sequence{Params: []int{r.items + 1}, Command: "$l"}
	s.Body = d.cut(item.Name, 40) + "\r" + Quantity(item.Quantity) + "\r" + tax + "/" + Amount(item.Price) + "/" + Amount(gross) + "/"
	if item.Discount != 0 {
		kind, amount := 1, item.Discount
		if amount < 0 {
			kind, amount = 3, -amount
		}
		name := 9 // "promotion"
		s.Body += Amount(amount) + "/"
		if item.DiscountName != "" {
			name = 16
			s.Body += d.cut(item.DiscountName, 20) + "\r"
		}
		s.Params = append(s.Params, kind, name)
	}
	// The running number makes the printer refuse a line it has.
	if err := d.run(ctx, &command{op: op, seq: s, again: CodeParamValue}); err != nil {
		return err
	}
	r.items++
	r.total += gross - item.Discount
	return nil
}

// DiscountReceipt takes an amount from the subtotal.
func (d *Printer) DiscountReceipt(ctx context.Context, name string, amount int64) error {
	const op = "discount"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	if amount == 0 {
		return nil
	}
	if d.receipt == nil {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.ReceiptClosed, Err: errUnknownReceipt}
	}
	kind, value := 3, amount
	if amount < 0 {
		kind, value = 4, -amount
	}
	s := Sequence{Params: []int{kind, 9}, Command: "$Y", Body: Amount(d.receipt.total) + "/" + Amount(value) + "/"}
	if name != "" {
		s.Params[1] = 16
		s.Body += d.cut(name, 20) + "\r"
	}
	// It carries the subtotal it was made on, which is another one afterwards.
	if err := d.run(ctx, &command{op: op, seq: s, again: CodeTotal}); err != nil {
		return err
	}
	d.receipt.total -= amount
	return nil
}

// Subtotal is the sum of what the printer took. The printer has no question for
// it; it is asked whether the receipt is open.
func (d *Printer) Subtotal(ctx context.Context) (int64, error) {
	const op = "subtotal"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return 0, err
	}
	e, err := d.enq(ctx, op)
	switch {
	case err != nil:
		return 0, err
	case e&InReceipt == 0:
		return 0, &drivers.Error{Device: d.String(), Op: op, Code: drivers.ReceiptClosed}
	case d.receipt == nil:
		return 0, &drivers.Error{Device: d.String(), Op: op, Code: drivers.WrongState, Err: errUnknownReceipt}
	}
	return d.receipt.total, nil
}

// enq asks for the state of the receipt, after a command in doubt was settled.
func (d *Printer) enq(ctx context.Context, op string) (b byte, err error) {
	err = d.turn.Ask(ctx, op, func(ctx context.Context, p *line.Port) error {
		if d.lost != nil {
			if err := d.settle(ctx, p, d.lost); err != nil {
				return err
			}
		}
		b, err = d.single(ctx, p, ENQ)
		return err
	})
	return b, err
}

// Pay keeps a tender for the close.
func (d *Printer) Pay(ctx context.Context, pay drivers.Payment) error {
	const op = "pay"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	if d.receipt == nil {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.ReceiptClosed}
	}
	if pay.Amount <= 0 {
		return &drivers.Error{Device: d.String(), Op: op, Code: drivers.BadData, Err: fmt.Errorf("amount %d", pay.Amount)}
	}
	d.receipt.payments = append(d.receipt.payments, pay)
	d.receipt.end = nil
	return nil
}

// CancelReceipt cancels the open receipt.
func (d *Printer) CancelReceipt(ctx context.Context) error {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	c := &command{op: "cancel receipt", seq: Sequence{[]int{0}, "$e", ""}, decide: func(e byte) (bool, bool) { return e&InReceipt == 0, true }}
	if err := d.run(ctx, c); err != nil {
		return err
	}
	d.gone(drivers.DocumentCancelled)
	return nil
}

// LastDocument tells what became of the last receipt: PAR says whether it is
// open, TRF whether the last one was completed.
func (d *Printer) LastDocument(ctx context.Context) (drivers.Document, error) {
	unknown := drivers.Document{State: drivers.DocumentUnknown, Total: -1}
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return unknown, err
	}
	e, err := d.enq(ctx, "ask for the last document")
	if err != nil {
		return unknown, err
	}
	switch {
	case e&InReceipt != 0:
		if d.receipt == nil {
			if d.last.State != drivers.DocumentOpen {
				d.last = drivers.Document{Total: -1}
			}
		} else {
			d.last.Total = d.receipt.total
			if d.receipt.end != nil && d.receipt.end.done {
				d.receipt.end = nil
			}
		}
		d.last.State, d.last.Kind = drivers.DocumentOpen, string(drivers.Sale)
	case d.receipt != nil && e&Completed != 0:
		d.gone(drivers.DocumentUnknown) // closed by somebody else
		d.last.State = drivers.DocumentClosed
	case d.receipt != nil:
		d.gone(drivers.DocumentCancelled)
	case d.last.State == drivers.DocumentUnknown && e&Completed != 0:
		d.last.State, d.last.Kind = drivers.DocumentClosed, string(drivers.Sale)
	case d.last.State == drivers.DocumentUnknown || d.last.State == drivers.DocumentOpen:
		d.last.State = drivers.DocumentCancelled
	}
	return d.last, nil
}

// OpenShift does nothing: the first receipt opens the day.
func (d *Printer) OpenShift(ctx context.Context, _ string) error { return ctx.Err() }

// CloseShift prints the daily report.
func (d *Printer) CloseShift(ctx context.Context) error {
	err := d.simple(ctx, "daily report", Sequence{nil, "#r", ""})
	if err == nil {
		d.sold = false
	}
	return err
}

// XReport prints the shift report, the nearest thing the printer has.
func (d *Printer) XReport(ctx context.Context) error {
	return d.simple(ctx, "shift report", Sequence{[]int{0}, "#k", ""})
}

// CashInOut puts money into the till, or takes it out when negative.
func (d *Printer) CashInOut(ctx context.Context, amount int64) error {
	s := Sequence{[]int{0}, "#i", Amount(amount) + "/"}
	if amount < 0 {
		s = Sequence{[]int{0}, "#d", Amount(-amount) + "/"}
	}
	return d.simple(ctx, "cash in or out", s)
}

// OpenDrawer sends the pulse.
func (d *Printer) OpenDrawer(ctx context.Context) error {
	return d.simple(ctx, "open drawer", Sequence{[]int{1}, "$d", ""})
}

// Beep makes a sound.
func (d *Printer) Beep(ctx context.Context) error {
	return d.sess.Do(ctx, "beep", func(ctx context.Context, p *line.Port) error {
		_, err := p.Write(ctx, []byte{BEL})
		return err
	})
}

func (d *Printer) simple(ctx context.Context, op string, s Sequence) error {
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return err
	}
	return d.run(ctx, &command{op: op, seq: s})
}
