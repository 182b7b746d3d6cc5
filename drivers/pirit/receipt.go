package pirit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tillside/tillside/drivers"
)

// receipt is what we know of the open receipt.
type receipt struct {
	sum      int64 // kopecks, as far as our commands went
	discount int64
	tenders  []tender
	sent     int // tenders the register has
	paid     int64
}

type tender struct {
	kind   int
	amount int64
	name   string
}

// tidy ends what an interruption left: a receipt in the fiscal storage that is
// not printed to its end.
func (d *Dev) tidy(ctx context.Context, op string) error {
	s, err := d.state(ctx, op)
	if err != nil || s.doc != docInMemory {
		return err
	}
	_, err = d.do(ctx, work{op: op, code: cmdClose, fields: []string{"0"}, verify: d.isClosed(op)})
	return err
}

func (d *Dev) isClosed(op string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		return !s.open(), err
	}
}

// OpenReceipt opens a sale or refund.
func (d *Dev) OpenReceipt(ctx context.Context, head drivers.ReceiptHead) error {
	const op = "open receipt"
	kind := docSale
	switch head.Kind {
	case drivers.Sale, "":
	case drivers.Refund:
		kind = docRefund
	default:
		return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("receipt kind %q", head.Kind)})
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	if err := d.tidy(ctx, op); err != nil {
		return err
	}
	before, err := d.state(ctx, op)
	if err != nil {
		return err
	}
	_, err = d.do(ctx, work{op: op, code: cmdOpen, fields: d.openFields(kind, head.Operator),
		verify: func(ctx context.Context) (bool, error) {
			s, err := d.state(ctx, op)
			if err == nil && before.open() {
				err = errors.New("a document was open before")
			}
			return s.kind == kind && s.doc == docOpened, err
		}})
	if err == nil || errors.Is(err, drivers.Uncertain) {
		d.receipt = receipt{}
	}
	return err
}

// sums asks for sum and discount of the open receipt.
func (d *Dev) sums(ctx context.Context, op string) (sum, discount int64, err error) {
	f, err := d.query(ctx, op, cmdReceipt, "1")
	if err != nil {
		return 0, 0, err
	}
	if len(f) < 3 {
		return 0, 0, d.run.Named(op, fmt.Errorf("sums in %d fields: %w", len(f), drivers.Garbage))
	}
	if sum, err = ParseDecimal(f[1], 2); err == nil {
		discount, err = ParseDecimal(f[2], 2)
	}
	return sum, discount, d.run.Named(op, err)
}

// register sends a command that changes sum or discount of the receipt.
func (d *Dev) register(ctx context.Context, op string, code byte, fields []string, amount, discount int64) error {
	_, err := d.do(ctx, work{op: op, code: code, fields: fields, verify: func(ctx context.Context) (bool, error) {
		sum, disc, err := d.sums(ctx, op)
		switch {
		case err != nil:
			return false, err
		case amount == 0 && discount == 0:
			return false, errors.New("an amount of nothing leaves no trace")
		case sum == d.receipt.sum && disc == d.receipt.discount:
			return false, nil
		case sum == d.receipt.sum+amount && disc == d.receipt.discount+discount:
			return true, nil
		}
		return false, fmt.Errorf("the register's sum is %d, ours %d", sum, d.receipt.sum)
	}})
	if err == nil {
		d.receipt.sum += amount
		d.receipt.discount += discount
	}
	return err
}

// Sell registers a line. The register wants the price after the discount.
func (d *Dev) Sell(ctx context.Context, item drivers.Item) error {
	const op = "sell"
	n := item.Quantity
	if n == 0 {
		n = 1000
	}
	bad := func(err error) error { return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: err}) }
	if item.Price < 0 || n < 0 || item.Price > 9_999_999_999 || n > 9_999_999_999 || item.Department < 0 || item.Department > 16 {
		return bad(errors.New("price, quantity or department out of range"))
	}
	if n > 0 && item.Price > (1<<61)/n {
		return bad(errors.New("amount too large"))
	}
	amount := (item.Price*n + 500) / 1000
	price := item.Price
	kind, name, discount := "", "", ""
	if item.Discount != 0 {
		amount -= item.Discount
		price = (amount*1000 + n/2) / n
		if price < 0 || (price*n+500)/1000 != amount {
			return bad(fmt.Errorf("no unit price gives %s for %s after the discount; sell it in lines of one piece", money(amount), quantity(n)))
		}
		kind, discount = "2", money(item.Discount)
		if item.Discount < 0 {
			kind, discount = "4", money(-item.Discount)
		}
	}
	tax := strconv.Itoa(d.o.tax)
	if item.Tax != "" {
		v, err := strconv.Atoi(item.Tax)
		if err != nil || v < 0 || v > 15 {
			return bad(fmt.Errorf("tax %q: want the number of a rate", item.Tax))
		}
		tax = item.Tax
	}
	section := ""
	if item.Department > 0 {
		section = strconv.Itoa(item.Department)
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	return d.register(ctx, op, cmdItem, []string{text(item.Name, 224), "", quantity(n), money(price), tax, "", section, kind, name, discount}, amount, 0)
}

// DiscountReceipt is for rounding: the register takes one discount on the
// whole receipt, at most 99 kopecks, after which no line can follow.
func (d *Dev) DiscountReceipt(ctx context.Context, name string, amount int64) error {
	const op = "discount"
	if amount < 0 {
		return d.run.Named(op, &drivers.Error{Code: drivers.Unsupported, Err: errors.New("surcharge on the whole receipt")})
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	if err := d.subtotalTo(ctx, op, docSubtotal); err != nil {
		return err
	}
	return d.register(ctx, op, cmdDiscount, []string{"1", text(name, 38), money(amount)}, -amount, amount)
}

// DiscountLimit is 99 kopecks: command 45h is for rounding a receipt's sum.
func (d *Dev) DiscountLimit() int64 { return 99 }

// subtotalTo brings the document to a state by subtotals.
func (d *Dev) subtotalTo(ctx context.Context, op string, want int) error {
	s, err := d.state(ctx, op)
	if err != nil {
		return err
	}
	if s.doc != docOpened || want != docSubtotal {
		return nil
	}
	_, err = d.do(ctx, work{op: op, code: cmdSubtotal, verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		return s.doc != docOpened, err
	}})
	return err
}

// Subtotal is the register's own sum.
func (d *Dev) Subtotal(ctx context.Context) (int64, error) {
	sum, _, err := d.sums(ctx, "subtotal")
	return sum, err
}

// Pay notes a tender. The register gets it with the close: a receipt in
// payment can not be changed any more.
func (d *Dev) Pay(ctx context.Context, p drivers.Payment) error {
	const op = "pay"
	kind, err := d.o.payments.Number(p.Type)
	if err == nil && p.Amount < 0 {
		err = &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("payment over %d", p.Amount)}
	}
	if err != nil {
		return d.run.Named(op, err)
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	d.receipt.tenders = append(d.receipt.tenders, tender{kind, p.Amount, p.Name})
	return nil
}

// CloseReceipt brings the receipt through subtotal and payment to its close,
// from wherever it stands: it may be called again after an error.
func (d *Dev) CloseReceipt(ctx context.Context) (drivers.ClosedReceipt, error) {
	const op = "close receipt"
	var c drivers.ClosedReceipt
	if err := d.run.Enter(ctx, op); err != nil {
		return c, err
	}
	defer d.run.Leave()
	s, err := d.state(ctx, op)
	if err != nil {
		return c, err
	}
	if !s.open() || s.kind == docService {
		return c, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptClosed, Err: fmt.Errorf("kind %d, state %d", s.kind, s.doc)})
	}
	r := &d.receipt
	if s.doc == docOpened {
		if err := d.subtotalTo(ctx, op, docSubtotal); err != nil {
			return c, err
		}
	}
	if s.doc < docPaid {
		for r.sent < len(r.tenders) {
			t := r.tenders[r.sent]
			covers := r.paid+t.amount >= r.sum
			from, err := d.state(ctx, op)
			if err != nil {
				return c, err
			}
			if from.doc == docPaid {
				break
			}
			_, err = d.do(ctx, work{op: op, code: cmdPay, fields: []string{strconv.Itoa(t.kind), money(t.amount), text(t.name, 44)},
				verify: func(ctx context.Context) (bool, error) {
					s, err := d.state(ctx, op)
					switch {
					case err != nil:
						return false, err
					case s.doc == docPaid:
						return true, nil
					case covers || s.doc == from.doc && from.doc == docSubtotal:
						return false, nil
					case s.doc != from.doc:
						return true, nil
					}
					return false, errors.New("a part payment leaves no trace")
				}})
			if err != nil {
				return c, err
			}
			r.sent++
			r.paid += t.amount
		}
	}
	number := d.lastNumber(ctx, op)
	f, err := d.do(ctx, work{op: op, code: cmdClose, fields: []string{"0"}, verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		if err != nil || s.open() {
			return false, err // state 8 too: the same command prints the rest
		}
		return d.lastNumber(ctx, op) != number, nil
	}})
	if err != nil {
		return c, err
	}
	c = closedReceipt(f)
	if c.Number == "" {
		if f, err := d.query(ctx, op, cmdReceipt, "2"); err == nil && len(f) > 9 {
			c.Number, c.FiscalSign = f[9], f[8]
		}
	}
	for _, t := range r.tenders {
		c.Change += t.amount
	}
	c.Change = max(0, c.Change-r.sum)
	if c.At.IsZero() {
		c.At = d.now()
	}
	return c, nil
}

// closedReceipt reads the answer to 31h: number, counter, text, document
// number, fiscal sign, shift, number in the shift, date, time.
func closedReceipt(f []string) (c drivers.ClosedReceipt) {
	if len(f) < 5 {
		return c
	}
	c.Number, c.FiscalSign = f[3], f[4]
	if len(f) > 5 {
		c.Shift, _ = strconv.Atoi(f[5])
	}
	if len(f) > 8 {
		if at, err := time.ParseInLocation("020106150405", f[7]+f[8], time.Local); err == nil {
			c.At = at
		}
	}
	return c
}

// lastNumber tells the last closed receipt from others.
func (d *Dev) lastNumber(ctx context.Context, op string) string {
	f, err := d.query(ctx, op, cmdReceipt, "2")
	if err != nil || len(f) < 5 {
		return ""
	}
	return f[2] + "/" + f[3] + "/" + f[4]
}

// CancelReceipt throws the open receipt away.
func (d *Dev) CancelReceipt(ctx context.Context) error {
	const op = "cancel receipt"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	before, err := d.state(ctx, op)
	if err != nil {
		return err
	}
	if before.doc == docInMemory {
		return d.run.Named(op, &drivers.Error{Code: drivers.Interrupted,
			Err: errors.New("the receipt is in the fiscal storage; it can only be closed")})
	}
	_, err = d.do(ctx, work{op: op, code: cmdCancel, verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		return before.open() && !s.open(), err
	}})
	return err
}

// LastDocument tells what became of the last document.
func (d *Dev) LastDocument(ctx context.Context) (drivers.Document, error) {
	const op = "ask for the last document"
	doc := drivers.Document{State: drivers.DocumentUnknown, Total: -1}
	if err := d.run.Enter(ctx, op); err != nil {
		return doc, err
	}
	defer d.run.Leave()
	s, err := d.state(ctx, op)
	if err != nil {
		return doc, err
	}
	if s.open() {
		doc.State, doc.Kind = drivers.DocumentOpen, kinds[s.kind]
		if s.doc == docInMemory {
			doc.State = drivers.DocumentUnprinted
		}
		if sum, _, err := d.sums(ctx, op); err == nil {
			doc.Total = sum
		}
		return doc, nil
	}
	f, err := d.query(ctx, op, cmdReceipt, "2")
	if isRefusal(err) {
		doc.State = drivers.DocumentNone
		return doc, nil
	}
	if err != nil {
		return doc, err
	}
	if len(f) < 6 {
		return doc, d.run.Named(op, fmt.Errorf("last receipt in %d fields: %w", len(f), drivers.Garbage))
	}
	kind, _ := strconv.Atoi(f[1])
	doc.Number, doc.Kind = f[4], kinds[kind]
	if total, err := ParseDecimal(f[5], 2); err == nil {
		doc.Total = total
	}
	doc.State = drivers.DocumentClosed
	if kind == 0 {
		doc.State = drivers.DocumentCancelled
	}
	return doc, nil
}

// Recover prints a receipt to its end that is in the fiscal storage already.
func (d *Dev) Recover(ctx context.Context) error {
	const op = "print the receipt to its end"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	return d.tidy(ctx, op)
}

// OpenShift opens the shift.
func (d *Dev) OpenShift(ctx context.Context, operator string) error {
	return d.report(ctx, "open shift", cmdOpenShift, operator, func(before, now state) bool {
		return before.flags&flagShiftOpen == 0 && now.flags&flagShiftOpen != 0
	})
}

// CloseShift prints the Z report.
func (d *Dev) CloseShift(ctx context.Context) error {
	return d.report(ctx, "close shift", cmdZ, "", func(before, now state) bool {
		return before.flags&flagShiftOpen != 0 && now.flags&(flagShiftOpen|flagHalfZ) == 0
	})
}

// XReport prints the report that changes nothing.
func (d *Dev) XReport(ctx context.Context) error { return d.report(ctx, "X report", cmdX, "", nil) }

func (d *Dev) report(ctx context.Context, op string, code byte, operator string, done func(before, now state) bool) error {
	if operator == "" {
		operator = d.o.operator
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	before, err := d.state(ctx, op)
	if err != nil {
		return err
	}
	w := work{op: op, code: code, fields: []string{text(operator, 64)}}
	if done != nil {
		w.verify = func(ctx context.Context) (bool, error) {
			now, err := d.state(ctx, op)
			return done(before, now), err
		}
	}
	_, err = d.do(ctx, w)
	return err
}

// CashInOut puts money into the till or takes it out, as a document of its own.
func (d *Dev) CashInOut(ctx context.Context, amount int64) error {
	const op = "cash in or out"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	if err := d.tidy(ctx, op); err != nil {
		return err
	}
	kind, value := docCashIn, amount
	if amount < 0 {
		kind, value = docCashOut, -amount
	}
	if _, err := d.do(ctx, work{op: op, code: cmdOpen, fields: d.openFields(kind, ""), verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		return s.kind == kind, err
	}}); err != nil {
		return err
	}
	if _, err := d.do(ctx, work{op: op, code: cmdCash, fields: []string{"", money(value)}}); err != nil {
		// Nothing is registered before the close.
		_, cerr := d.do(ctx, work{op: op, code: cmdCancel, verify: d.isClosed(op)})
		return errors.Join(err, cerr)
	}
	_, err := d.do(ctx, work{op: op, code: cmdClose, fields: []string{"0"}, verify: d.isClosed(op)})
	return err
}

var (
	_ drivers.FiscalPrinter = (*Dev)(nil)
	_ drivers.CashInOut     = (*Dev)(nil)
	_ drivers.Recoverer     = (*Dev)(nil)
	_ drivers.Tester        = (*Dev)(nil)
)
