package atol

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
	sum     int64
	tenders []tender
	sent    int
	paid    int64
	number  int64 // the register's receipt number when this one was opened
}

type tender struct {
	kind   byte
	amount int64
}

// OpenReceipt opens a sale or refund.
func (d *Dev) OpenReceipt(ctx context.Context, head drivers.ReceiptHead) error {
	const op = "open receipt"
	kind := receiptSale
	switch head.Kind {
	case drivers.Sale, "":
	case drivers.Refund:
		kind = receiptRefund
	default:
		return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("receipt kind %q", head.Kind)})
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	before, err := d.enter(ctx, op, modeRegister)
	if err != nil {
		return err
	}
	_, err = d.do(ctx, work{op: op, cmd: []byte{cmdOpen, 0, kind}, verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		if err == nil && before.receipt != 0 {
			err = errors.New("a receipt was open before")
		}
		return s.receipt == kind, err
	}})
	if err == nil || errors.Is(err, drivers.Uncertain) {
		d.receipt = receipt{number: before.number}
		d.last = drivers.DocumentOpen
	}
	return err
}

// register sends a command that changes the receipt's sum by an amount.
func (d *Dev) register(ctx context.Context, op string, cmd []byte, amount int64) error {
	_, err := d.do(ctx, work{op: op, cmd: cmd, verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		switch {
		case err != nil:
			return false, err
		case s.receipt == 0:
			return false, errors.New("the receipt is not open")
		case amount == 0:
			return false, errNothing
		case s.sum == d.receipt.sum:
			return false, nil
		case s.sum == d.receipt.sum+amount:
			return true, nil
		}
		return false, fmt.Errorf("the register's sum is %d, ours %d", s.sum, d.receipt.sum)
	}})
	if errors.Is(err, drivers.WrongState) {
		// Out of its mode after a power cut: once more inside it.
		if s, serr := d.state(ctx, op); serr == nil && s.mode != modeRegister && s.receipt != 0 {
			if _, eerr := d.enter(ctx, op, modeRegister); eerr == nil {
				return d.register(ctx, op, cmd, amount)
			}
		}
	}
	if err == nil {
		d.receipt.sum += amount
	}
	return err
}

// Sell registers a line.
func (d *Dev) Sell(ctx context.Context, item drivers.Item) error {
	const op = "sell"
	n := item.Quantity
	if n == 0 {
		n = 1000
	}
	bad := func(why string) error {
		return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: errors.New(why)})
	}
	if item.Price < 0 || n < 0 || item.Price > 9_999_999_999 || n > 9_999_999_999 || item.Department < 0 || item.Department > 99 {
		return bad("price, quantity or department out of range")
	}
	if n > 0 && item.Price > (1<<61)/n {
		return bad("amount too large")
	}
	tax := int64(0)
	if item.Tax != "" {
		v, err := strconv.ParseUint(item.Tax, 10, 8)
		if err != nil {
			return bad("tax: want the number of a group")
		}
		tax = int64(v)
	}
	name := make([]byte, 64)
	copy(name, encode(item.Name))
	// Flag 2: the cash in the drawer is not checked. Discount type 1: a sum.
	cmd := append([]byte{cmdItem, 2}, name...)
	cmd = bcd(bcd(cmd, item.Price, 6), n, 5)
	sign, discount := byte(0), item.Discount
	if discount < 0 {
		sign, discount = 1, -discount
	}
	cmd = bcd(append(cmd, 1, sign), discount, 6)
	cmd = append(cmd, byte(tax), byte(bcd(nil, int64(item.Department), 1)[0]))
	cmd = append(cmd, make([]byte, 17)...)
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	return d.register(ctx, op, cmd, (item.Price*n+500)/1000-item.Discount)
}

// DiscountReceipt takes an amount from the receipt; no line can follow it.
func (d *Dev) DiscountReceipt(ctx context.Context, _ string, amount int64) error {
	const op = "discount"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	sign, value := byte(0), amount
	if amount < 0 {
		sign, value = 1, -amount
	}
	return d.register(ctx, op, bcd([]byte{cmdDiscount, 0, 0, 1, sign}, value, 5), -amount)
}

// Subtotal is the register's own sum.
func (d *Dev) Subtotal(ctx context.Context) (int64, error) {
	s, err := d.state(ctx, "subtotal")
	if err == nil && s.receipt == 0 {
		err = d.run.Named("subtotal", &drivers.Error{Code: drivers.ReceiptClosed})
	}
	return s.sum, err
}

// Pay notes a tender; the register gets it with the close.
func (d *Dev) Pay(ctx context.Context, p drivers.Payment) error {
	const op = "pay"
	kind, err := d.payments.Number(p.Type)
	if err == nil && (p.Amount < 0 || p.Amount > 9_999_999_999) {
		err = &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("payment over %d", p.Amount)}
	}
	if err != nil {
		return d.run.Named(op, err)
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	d.receipt.tenders = append(d.receipt.tenders, tender{byte(kind), p.Amount})
	return nil
}

// CloseReceipt pays and closes. It may be called again after an error. All
// tenders but the last go by 99h; the last closes the receipt by 4Ah.
func (d *Dev) CloseReceipt(ctx context.Context) (drivers.ClosedReceipt, error) {
	const op = "close receipt"
	var c drivers.ClosedReceipt
	if err := d.run.Enter(ctx, op); err != nil {
		return c, err
	}
	defer d.run.Leave()
	before, err := d.enter(ctx, op, modeRegister)
	if err != nil {
		return c, err
	}
	if before.receipt == 0 {
		return c, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptClosed})
	}
	r := &d.receipt
	for r.sent+1 < len(r.tenders) {
		t := r.tenders[r.sent]
		if _, err := d.do(ctx, work{op: op, cmd: bcd([]byte{cmdPay, 0, t.kind}, t.amount, 5)}); err != nil {
			return c, err
		}
		r.sent++
		r.paid += t.amount
	}
	lastTender := tender{kind: 1}
	if len(r.tenders) > 0 {
		lastTender = r.tenders[len(r.tenders)-1]
	} else if r.sum > 0 {
		return c, d.run.Named(op, &drivers.Error{Code: drivers.Unpaid})
	}
	if r.sum > r.paid+lastTender.amount {
		return c, d.run.Named(op, &drivers.Error{Code: drivers.Unpaid, Err: fmt.Errorf("%d of %d", r.paid+lastTender.amount, r.sum)})
	}
	_, err = d.do(ctx, work{op: op, cmd: bcd([]byte{cmdClose, 0, lastTender.kind}, lastTender.amount, 5),
		verify: func(ctx context.Context) (bool, error) {
			s, err := d.state(ctx, op)
			return s.receipt == 0, err
		}})
	if err != nil {
		return c, err
	}
	d.last = drivers.DocumentClosed
	c.Change = max(0, r.paid+lastTender.amount-r.sum)
	c.At = time.Now()
	if s, err := d.state(ctx, op); err == nil {
		c.Number, c.Shift = strconv.FormatInt(s.number, 10), int(s.shift)
		if !s.clock.IsZero() {
			c.At = s.clock
		}
	}
	return c, nil
}

// CancelReceipt throws the open receipt away.
func (d *Dev) CancelReceipt(ctx context.Context) error {
	const op = "cancel receipt"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	before, err := d.enter(ctx, op, modeRegister)
	if err != nil {
		return err
	}
	_, err = d.do(ctx, work{op: op, cmd: []byte{cmdCancel}, verify: func(ctx context.Context) (bool, error) {
		s, err := d.state(ctx, op)
		return before.receipt != 0 && s.receipt == 0, err
	}})
	if err == nil {
		d.last = drivers.DocumentCancelled
	}
	return err
}

// LastDocument tells what became of the last document: the register counts
// closed receipts, not cancelled ones.
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
	doc.Number = strconv.FormatInt(s.number, 10)
	if s.receipt != 0 {
		d.last = drivers.DocumentOpen
		doc.State, doc.Kind, doc.Total = drivers.DocumentOpen, kinds[s.receipt], s.sum
		return doc, nil
	}
	switch {
	case d.last == drivers.DocumentOpen && s.number != d.receipt.number:
		d.last = drivers.DocumentClosed
	case d.last == drivers.DocumentOpen:
		d.last = drivers.DocumentCancelled
	case d.last == drivers.DocumentNone && s.number > 0:
		d.last = drivers.DocumentClosed
	}
	doc.State = d.last
	if doc.State == drivers.DocumentClosed && d.receipt.sum > 0 {
		doc.Total = d.receipt.sum
	}
	return doc, nil
}

// OpenShift opens the shift.
func (d *Dev) OpenShift(ctx context.Context, _ string) error {
	return d.report(ctx, "open shift", modeRegister, []byte{cmdOpenShift, 0}, func(before, now state) bool {
		return before.flags&flagShiftOpen == 0 && now.flags&flagShiftOpen != 0
	})
}

// CloseShift prints the report that closes the shift.
func (d *Dev) CloseShift(ctx context.Context) error {
	return d.report(ctx, "close shift", modeZ, []byte{cmdZ}, func(before, now state) bool {
		return before.flags&flagShiftOpen != 0 && now.flags&flagShiftOpen == 0
	})
}

// XReport prints the report that changes nothing.
func (d *Dev) XReport(ctx context.Context) error {
	return d.report(ctx, "X report", modeX, []byte{cmdX, 1}, nil)
}

func (d *Dev) report(ctx context.Context, op string, mode byte, cmd []byte, done func(before, now state) bool) error {
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	before, err := d.state(ctx, op)
	if err != nil {
		return err
	}
	if before.receipt != 0 {
		// Leaving the mode would not be allowed; say why.
		return d.run.Named(op, &drivers.Error{Code: drivers.ReceiptOpen})
	}
	if before, err = d.enter(ctx, op, mode); err != nil {
		return err
	}
	w := work{op: op, cmd: cmd}
	if done != nil {
		w.verify = func(ctx context.Context) (bool, error) {
			now, err := d.state(ctx, op)
			return done(before, now), err
		}
	}
	_, err = d.do(ctx, w)
	return err
}

// CashInOut puts money into the till or takes it out.
func (d *Dev) CashInOut(ctx context.Context, amount int64) error {
	const op = "cash in or out"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	if _, err := d.enter(ctx, op, modeRegister); err != nil {
		return err
	}
	code, value := cmdCashIn, amount
	if amount < 0 {
		code, value = cmdCashOut, -amount
	}
	_, err := d.do(ctx, work{op: op, cmd: bcd([]byte{code, 0}, value, 5)})
	return err
}

var (
	_ drivers.FiscalPrinter = (*Dev)(nil)
	_ drivers.CashInOut     = (*Dev)(nil)
	_ drivers.Drawer        = (*Dev)(nil)
	_ drivers.Beeper        = (*Dev)(nil)
	_ drivers.Tester        = (*Dev)(nil)
)
