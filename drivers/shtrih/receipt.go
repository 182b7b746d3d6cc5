package shtrih

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
	"github.com/tillside/tillside/drivers/internal/once"
)

// receipt is what we know of the open receipt: enough to tell from the
// register's sums whether a command was carried out.
type receipt struct {
	kind     drivers.ReceiptKind
	sum      int64 // kopecks, as far as our commands went
	payments [16]int64
	paid     int64
	number   int64 // of the last closed receipt when this one was opened, by FF40h
	numbered bool
}

// OpenReceipt opens a sale or refund.
func (d *Dev) OpenReceipt(ctx context.Context, head drivers.ReceiptHead) error {
	const op = "open receipt"
	kind := byte(0)
	switch head.Kind {
	case drivers.Sale, "":
	case drivers.Refund:
		kind = 2
	default:
		return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("receipt kind %q", head.Kind)})
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	number, numbered, err := d.receiptNumber(ctx, op)
	if err != nil {
		return err
	}
	_, err = d.do(ctx, work{op: op, cmd: req(cmdOpen).password(d.o.password).bytes(kind).b,
		verify: func(_ context.Context, before, now short) (bool, error) {
			if before.mode == modeDocument {
				return false, errors.New("a document was open before")
			}
			return now.mode == modeDocument, nil
		}})
	if err == nil || errors.Is(err, drivers.Uncertain) {
		d.receipt = receipt{kind: head.Kind, number: number, numbered: numbered}
		d.last = drivers.DocumentOpen
	}
	return err
}

// Sell registers a line.
func (d *Dev) Sell(ctx context.Context, item drivers.Item) error {
	const op = "sell"
	quantity := item.Quantity
	if quantity == 0 {
		quantity = 1000
	}
	tax, err := taxNumber(item.Tax)
	if err != nil || item.Price < 0 || quantity < 0 || item.Price > 9_999_999_999 || quantity > 9_999_999_999 ||
		item.Department < 0 || item.Department > 16 {
		return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: errors.Join(err, errors.New("price, quantity or department out of range"))})
	}
	amount, err := times(item.Price, quantity)
	if err != nil {
		return d.run.Named(op, &drivers.Error{Code: drivers.BadData, Err: err})
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	if d.o.fn {
		kind := byte(1)
		if d.receipt.kind == drivers.Refund {
			kind = 2
		}
		cmd := req(twoByte, ffOperationV2).password(d.o.password).bytes(kind).number(quantity*1000, 6).number(item.Price, 5)
		if item.Discount != 0 {
			amount -= item.Discount
			cmd.number(amount, 5)
		} else {
			cmd.number(-1, 5)
		}
		// Full payment, goods.
		cmd.number(-1, 5).bytes(tax, byte(item.Department), 4, 1).text(item.Name, 128, 0)
		return d.register(ctx, op, cmd.b, amount)
	}
	code := cmdSale
	if d.receipt.kind == drivers.Refund {
		code = cmdRefund
	}
	cmd := req(code).password(d.o.password).number(quantity, 5).number(item.Price, 5).
		bytes(byte(item.Department), tax, 0, 0, 0).text(item.Name, 40, 40)
	if err := d.register(ctx, op, cmd.b, amount); err != nil || item.Discount == 0 {
		return err
	}
	return d.discount(ctx, op, item.DiscountName, item.Discount)
}

// register sends a command that changes the receipt's sum by an amount.
func (d *Dev) register(ctx context.Context, op string, cmd []byte, amount int64) error {
	_, err := d.do(ctx, work{op: op, cmd: cmd, verify: func(ctx context.Context, before, now short) (bool, error) {
		switch {
		case now.mode != modeDocument || before.mode != modeDocument:
			return false, fmt.Errorf("mode %d", now.mode)
		case now.ops != before.ops:
			return true, nil
		case amount == 0:
			return false, errors.New("an amount of nothing leaves no trace")
		}
		sum, err := d.subtotal(ctx, op)
		switch {
		case err != nil:
			return false, err
		case sum == d.receipt.sum:
			return false, nil
		case sum == d.receipt.sum+amount:
			return true, nil
		}
		return false, fmt.Errorf("the register's sum is %d, ours %d", sum, d.receipt.sum)
	}})
	if err == nil {
		d.receipt.sum += amount
	}
	return err
}

func (d *Dev) subtotal(ctx context.Context, op string) (int64, error) {
	rest, err := d.query(ctx, op, req(cmdSubtotal).password(d.o.password).b)
	if err != nil {
		return 0, err
	}
	if len(rest) < 6 {
		return 0, d.run.Named(op, fmt.Errorf("subtotal of %d bytes: %w", len(rest), drivers.Garbage))
	}
	return little(rest[1:6]), nil
}

// discount takes an amount from the last line or the receipt.
func (d *Dev) discount(ctx context.Context, op, name string, amount int64) error {
	code, value := cmdDiscount, amount
	if amount < 0 {
		code, value = cmdSurcharge, -amount
	}
	cmd := req(code).password(d.o.password).number(value, 5).bytes(0, 0, 0, 0).text(name, 40, 40)
	return d.register(ctx, op, cmd.b, -amount)
}

// DiscountReceipt takes an amount from the receipt.
func (d *Dev) DiscountReceipt(ctx context.Context, name string, amount int64) error {
	const op = "discount"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	return d.discount(ctx, op, name, amount)
}

// Subtotal is the register's own sum.
func (d *Dev) Subtotal(ctx context.Context) (int64, error) { return d.subtotal(ctx, "subtotal") }

// Pay notes a tender; the register takes all of them with the close.
func (d *Dev) Pay(ctx context.Context, p drivers.Payment) error {
	const op = "pay"
	n, err := d.o.payments.Number(p.Type)
	if err == nil && (p.Amount < 0 || p.Amount > 999_999_999_999) {
		err = &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("payment over %d", p.Amount)}
	}
	if err != nil {
		return d.run.Named(op, err)
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	if d.last != drivers.DocumentOpen {
		return d.run.Named(op, &drivers.Error{Code: drivers.ReceiptClosed})
	}
	d.receipt.payments[n-1] += p.Amount
	d.receipt.paid += p.Amount
	return nil
}

// CloseReceipt closes with the tenders noted before.
func (d *Dev) CloseReceipt(ctx context.Context) (drivers.ClosedReceipt, error) {
	const op = "close receipt"
	var c drivers.ClosedReceipt
	if err := d.run.Enter(ctx, op); err != nil {
		return c, err
	}
	defer d.run.Leave()
	var cmd *request
	switch {
	case d.o.fn:
		cmd = req(twoByte, ffCloseV2).password(d.o.password)
		for _, v := range d.receipt.payments {
			cmd.number(v, 5)
		}
		cmd.bytes(0).bytes(make([]byte, 30)...).bytes(0).text("", 64, 64)
	case sumOf(d.receipt.payments[4:]) > 0:
		cmd = req(cmdClose16).password(d.o.password)
		for _, v := range d.receipt.payments {
			cmd.number(v, 5)
		}
		cmd.bytes(0, 0, 0, 0, 0, 0).text("", 40, 40)
	default:
		cmd = req(cmdClose).password(d.o.password)
		for _, v := range d.receipt.payments[:4] {
			cmd.number(v, 5)
		}
		cmd.bytes(0, 0, 0, 0, 0, 0).text("", 40, 40)
	}
	rest, err := d.do(ctx, work{op: op, cmd: cmd.b, verify: func(_ context.Context, before, now short) (bool, error) {
		if before.mode != modeDocument {
			return false, errors.New("no document was open before")
		}
		return now.mode != modeDocument, nil
	}})
	if err != nil {
		return c, err
	}
	d.last = drivers.DocumentClosed
	c.Change = max(0, d.receipt.paid-d.receipt.sum)
	c.At = time.Now()
	switch {
	case d.o.fn && len(rest) >= 13:
		c.Change = little(rest[0:5])
		c.Number = strconv.FormatInt(little(rest[5:9]), 10)
		c.FiscalSign = fmt.Sprintf("%010d", little(rest[9:13]))
	case !d.o.fn && len(rest) >= 6:
		c.Change = little(rest[1:6])
	}
	// Numbers are good to have; the receipt is closed without them too.
	if f, err := d.full(ctx, op); err == nil {
		if c.Number == "" {
			c.Number = strconv.FormatInt(f.document, 10)
		}
		c.Shift = f.lastShift
		if f.fmFlags&fmShiftOpen != 0 {
			c.Shift++
		}
		if !f.clock.IsZero() {
			c.At = f.clock
		}
	}
	return c, nil
}

func sumOf(v []int64) (n int64) {
	for _, x := range v {
		n += x
	}
	return n
}

// CancelReceipt throws the open receipt away.
func (d *Dev) CancelReceipt(ctx context.Context) error {
	const op = "cancel receipt"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	_, err := d.do(ctx, work{op: op, cmd: req(cmdCancel).password(d.o.password).b,
		verify: func(_ context.Context, before, now short) (bool, error) {
			return before.mode == modeDocument && now.mode != modeDocument, nil
		}})
	if err == nil {
		d.last = drivers.DocumentCancelled
	}
	return err
}

// LastDocument tells what became of the last document by the register's mode
// and its receipt number.
func (d *Dev) LastDocument(ctx context.Context) (drivers.Document, error) {
	const op = "ask for the last document"
	doc := drivers.Document{State: drivers.DocumentUnknown, Total: -1}
	if err := d.run.Enter(ctx, op); err != nil {
		return doc, err
	}
	defer d.run.Leave()
	f, err := d.full(ctx, op)
	if err != nil {
		return doc, err
	}
	doc.Number = strconv.FormatInt(f.document, 10)
	if f.mode == modeDocument {
		doc.State, doc.Kind = drivers.DocumentOpen, f.documentKind()
		d.last = drivers.DocumentOpen
		if sum, err := d.subtotal(ctx, op); err == nil {
			doc.Total = sum
		}
		return doc, nil
	}
	number, numbered, err := d.receiptNumber(ctx, op)
	if err != nil {
		return doc, err
	}
	switch {
	case d.last == drivers.DocumentOpen && numbered && d.receipt.numbered:
		// It was open, and we do not know who ended it.
		d.last = drivers.DocumentCancelled
		if number != d.receipt.number {
			d.last = drivers.DocumentClosed
		}
	case d.last == drivers.DocumentOpen:
		return doc, nil // unknown: this model does not number its receipts
	case d.last == drivers.DocumentNone && numbered && number&0xFFFF > 0:
		d.last = drivers.DocumentClosed
	}
	doc.State = d.last
	if doc.State == drivers.DocumentClosed {
		doc.Total = d.receipt.sum
		if f.sub == subBroke || f.sub == subWaitContinue {
			doc.State = drivers.DocumentUnprinted
		}
	}
	return doc, nil
}

// PrintLoyalty prints the lines inside the open receipt.
func (d *Dev) PrintLoyalty(ctx context.Context, loyalty []drivers.LoyaltyLine) (drivers.Outcome, error) {
	const op = "print loyalty text"
	if err := d.run.Enter(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	defer d.run.Leave()
	var parts []fragment
	var texts []string
	for _, l := range loyalty {
		texts = append(texts, lines.Spread(l.Label, l.Value, min(d.Columns(), d.o.line), page.Fits))
	}
	if d.o.requisite {
		for len(texts) > 0 { // at most four lines and 200 bytes in one
			n := min(4, len(texts))
			text := joined(texts[:n])
			for n > 1 && len(text) > 200 {
				n--
				text = joined(texts[:n])
			}
			parts = append(parts, fragment{req(cmdRequisite).password(d.o.password).bytes(d.o.requisiteNo).bytes(text[:min(len(text), 200)]...).b, true})
			texts = texts[n:]
		}
	} else {
		for _, t := range texts {
			for _, c := range d.text(drivers.Text{Text: t}) {
				parts = append(parts, fragment{c, true})
			}
		}
	}
	s, err := d.short(ctx, op)
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if s.mode != modeDocument {
		return drivers.OutcomeNotPrinted, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptClosed})
	}
	done, err := d.put(ctx, op, parts)
	return once.Outcome(err, done), err
}

// OpenShift opens the shift.
func (d *Dev) OpenShift(ctx context.Context, _ string) error {
	const op = "open shift"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	opened := func(now short) bool { return now.mode == modeShiftOpen || now.mode == modeShiftOld }
	_, err := d.do(ctx, work{op: op, cmd: req(cmdOpenShift).password(d.o.password).b,
		verify: func(_ context.Context, before, now short) (bool, error) { return !opened(before) && opened(now), nil }})
	if isRefusal(err) && !errors.Is(err, drivers.WrongState) {
		// Some firmware answers with the operator's number and no error byte.
		if now, serr := d.short(ctx, op); serr == nil && opened(now) {
			return nil
		}
	}
	return err
}

// CloseShift prints the Z report.
func (d *Dev) CloseShift(ctx context.Context) error {
	return d.report(ctx, "close shift", cmdZReport, func(_ context.Context, before, now short) (bool, error) {
		return before.mode != modeShiftClosed && now.mode == modeShiftClosed, nil
	})
}

// XReport prints the report that changes nothing.
func (d *Dev) XReport(ctx context.Context) error { return d.report(ctx, "X report", cmdXReport, nil) }

func (d *Dev) report(ctx context.Context, op string, code byte, verify func(context.Context, short, short) (bool, error)) error {
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	_, err := d.do(ctx, work{op: op, cmd: req(code).password(d.o.admin).b, verify: verify})
	if err != nil {
		return err
	}
	_, err = d.ready(ctx, op, true)
	return err
}

// CashInOut puts money into the till or takes it out.
func (d *Dev) CashInOut(ctx context.Context, amount int64) error {
	const op = "cash in or out"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	f, err := d.full(ctx, op)
	if err != nil {
		return err
	}
	code, value := cmdCashIn, amount
	if amount < 0 {
		code, value = cmdCashOut, -amount
	}
	_, err = d.do(ctx, work{op: op, cmd: req(code).password(d.o.password).number(value, 5).b,
		verify: func(ctx context.Context, _, _ short) (bool, error) {
			now, err := d.full(ctx, op)
			return now.document != f.document, err
		}})
	return err
}

// taxNumber understands "", digits and the letters A to F.
func taxNumber(s string) (byte, error) {
	switch {
	case s == "":
		return 0, nil
	case len(s) == 1 && s[0] >= '0' && s[0] <= '6':
		return s[0] - '0', nil
	case len(s) == 1 && s[0] >= 'A' && s[0] <= 'F':
		return s[0] - 'A' + 1, nil
	}
	return 0, fmt.Errorf("tax %q: want 0 to 6 or A to F", s)
}

// times is price (minor units) by quantity (thousandths), rounded half up as
// the register does.
func times(price, quantity int64) (int64, error) {
	if quantity != 0 && price > (1<<62)/quantity {
		return 0, errors.New("amount too large")
	}
	return (price*quantity + 500) / 1000, nil
}

var (
	_ drivers.FiscalPrinter = (*Dev)(nil)
	_ drivers.CashInOut     = (*Dev)(nil)
	_ drivers.Drawer        = (*Dev)(nil)
	_ drivers.Beeper        = (*Dev)(nil)
	_ drivers.Recoverer     = (*Dev)(nil)
	_ drivers.Tester        = (*Dev)(nil)
)

// joined encodes texts as the lines of one requisite.
func joined(texts []string) []byte {
	var b []byte
	for i, t := range texts {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, page.Encode(t)...)
	}
	return b
}
