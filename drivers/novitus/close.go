package novitus

import (
	"context"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers"
)

var footerIDs = map[drivers.LoyaltyField]int{
	drivers.PointsEarned: 17, drivers.PointsSpent: 18, drivers.PointsTotal: 2, drivers.BalanceBefore: 16,
	drivers.BalanceAfter: 19, drivers.CardNumber: 6, drivers.ValidUntil: 7,
}

// PrintLoyalty keeps the lines for the foot of the receipt.
func (d *Printer) PrintLoyalty(ctx context.Context, lines []drivers.LoyaltyLine) (drivers.Outcome, error) {
	const op = "print loyalty text"
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if d.receipt == nil {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: op, Code: drivers.ReceiptClosed}
	}
	preset, free := split(append(append([]drivers.LoyaltyLine{}, d.receipt.text...), lines...))
	if len(preset) > maxPreset || len(free) > maxExtra+maxInfo {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: op, Code: drivers.BadData,
			Err: fmt.Errorf("%d lines with a keyword and %d free ones; the foot has room for %d and %d", len(preset), len(free), maxPreset, maxExtra+maxInfo)}
	}
	d.receipt.text = append(d.receipt.text, lines...)
	d.last.Loyalty = drivers.OutcomeKept
	return drivers.OutcomeKept, nil
}

// split parts lines with a keyword of the printer from free ones.
func split(lines []drivers.LoyaltyLine) (preset, free []drivers.LoyaltyLine) {
	for _, l := range lines {
		if _, ok := footerIDs[l.Field]; ok {
			preset = append(preset, l)
		} else {
			free = append(free, l)
		}
	}
	return preset, free
}

func (d *Printer) freeLine(l drivers.LoyaltyLine) string {
	s := d.cut(strings.TrimSpace(l.Label+" "+l.Value), min(freeLength, d.columns))
	if s == "" {
		s = " "
	}
	return s
}

// closing makes the close with payments. Its numbers: extra lines; footer (0
// ends, 3 leaves it open); short summary; sign of the total; discount; two of
// packaging; system number; other tenders; change; cash; then a type for each
// other tender.
func (d *Printer) closing(r *receipt, extra []drivers.LoyaltyLine, open bool) *command {
	var cash int64
	var kinds []int
	names, amounts := "", ""
	for _, p := range r.payments {
		kind, other := paymentTypes[p.Type]
		if p.Type == "cash" || p.Type == "" {
			cash += p.Amount
			continue
		}
		if !other {
			kind = 4
		}
		kinds = append(kinds, kind)
		names += d.cut(p.Name, 16) + "\r"
		amounts += Amount(p.Amount) + "/"
	}
	pc, pg, pr := 0, 0, 0
	if open {
		pc = 3
	}
	if cash > 0 {
		pg = 1
	}
	change := max(0, r.paid()-r.total)
	if change > 0 {
		pr = 1
	}
	s := Sequence{Params: append([]int{len(extra), pc, 1, 0, 0, 0, 0, 0, len(kinds), pr, pg}, kinds...), Command: "$y"}
	s.Body = d.cut(d.cfg.Options.Text("till"), 8) + "\r" + d.cut(r.cashier, 32) + "\r"
	for _, l := range extra {
		s.Body += d.freeLine(l) + "\r"
	}
	s.Body += names + Amount(r.total) + "/0.00/0.00/" + Amount(cash) + "/" + amounts + Amount(change) + "/"
	return &command{op: "close receipt", seq: s, decide: func(e byte) (bool, bool) {
		if e&InReceipt != 0 {
			return false, true
		}
		return e&Completed != 0, e&Completed != 0
	}}
}

// CloseReceipt ends the receipt and prints the lines that were kept. Once the
// printer has closed it there is no error any more: what became of the lines
// stands in the answer.
func (d *Printer) CloseReceipt(ctx context.Context) (drivers.ClosedReceipt, error) {
	const op = "close receipt"
	var none drivers.ClosedReceipt
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return none, err
	}
	r := d.receipt
	if r == nil {
		e, err := d.enq(ctx, op)
		switch {
		case err != nil:
			return none, err
		case e&InReceipt == 0:
			return none, &drivers.Error{Device: d.String(), Op: op, Code: drivers.ReceiptClosed}
		}
		return none, &drivers.Error{Device: d.String(), Op: op, Code: drivers.WrongState, Err: errUnknownReceipt}
	}
	preset, free := split(r.text)
	extra := free[:min(len(free), maxExtra)]
	if r.end == nil {
		r.end, r.extra = d.closing(r, extra, len(preset) > 0 || len(free) > maxExtra), len(extra)
	}
	err = d.run(ctx, r.end)
	if r.end.done && r.end.code == CodeTooManyLines && r.extra > 0 {
		// The printer has room for 25 different lines a day: without them, then.
		r.end, r.extra = d.closing(r, nil, len(preset) > 0), 0
		err = d.run(ctx, r.end)
	}
	if err != nil {
		switch {
		case r.end.dead:
			d.gone(drivers.DocumentUnknown)
		case r.end.done:
			r.end = nil // refused: it may be tried again after a payment
		}
		return none, err
	}
	out := drivers.ClosedReceipt{Change: max(0, r.paid()-r.total), At: d.env.Time()}
	if err := d.conclude(ctx); err != nil {
		d.env.Logger().Warn("the foot of a receipt waits", "device", d.cfg.Name, "error", err)
		out.Loyalty = drivers.OutcomeUnknown
		return out, nil
	}
	out.Loyalty = d.last.Loyalty
	return out, nil
}

// gone forgets the receipt: it is not open any more.
func (d *Printer) gone(state drivers.DocumentState) {
	d.last.State, d.last.Kind = state, string(drivers.Sale)
	if r := d.receipt; r != nil {
		d.last.Total = r.total
		if len(r.text) > 0 {
			d.last.Loyalty = drivers.OutcomeNotPrinted
			if state == drivers.DocumentUnknown {
				d.last.Loyalty = drivers.OutcomeUnknown
			}
		}
	}
	d.receipt = nil
}

// conclude goes on with a close that was begun. It has nothing to do most of
// the time.
func (d *Printer) conclude(ctx context.Context) error {
	r := d.receipt
	if r == nil || r.end == nil {
		return nil
	}
	if r.end.inDoubt() {
		err := d.run(ctx, r.end)
		switch {
		case r.end.dead:
			d.gone(drivers.DocumentUnknown)
			return nil
		case r.end.done && r.end.code != 0:
			r.end = nil
			return nil
		case err != nil:
			return err
		}
	}
	if !r.end.done {
		return nil
	}
	d.sold = true
	if len(r.text) == 0 {
		d.gone(drivers.DocumentClosed)
		return nil
	}
	preset, free := split(r.text)
	open := r.end.seq.Param(1) == 3
	if r.foot == nil && open {
		for _, l := range preset {
			value := d.cut(l.Value, presetLength)
			if value == "" {
				value = "0"
			}
			r.foot = append(r.foot, &command{op: "print foot", seq: Sequence{[]int{20, footerIDs[l.Field]}, "$z", value + "\r"}})
		}
		if info := free[min(len(free), maxExtra):]; len(info) > 0 && r.extra > 0 {
			s := Sequence{[]int{24, len(info)}, "$z", ""}
			for _, l := range info {
				s.Body += d.freeLine(l) + "\r"
			}
			r.foot = append(r.foot, &command{op: "print foot", seq: s})
		}
		// To end a foot that is ended is refused: it may be sent twice.
		r.foot = append(r.foot, &command{op: "end foot", seq: Sequence{[]int{28, 0}, "$z", ""}, again: CodeNotNow})
	}
	for _, c := range r.foot {
		if c.done || c.dead {
			continue
		}
		if err := d.run(ctx, c); err != nil && !c.done && !c.dead {
			return err
		}
	}
	printed, lost := r.extra, 0
	for _, c := range r.foot[:max(0, len(r.foot)-1)] {
		n := 1
		if c.seq.Param(0) == 24 {
			n = c.seq.Param(1)
		}
		switch {
		case c.dead:
			lost += n
		case c.code == 0:
			printed += n
		}
	}
	all := len(r.text)
	d.gone(drivers.DocumentClosed)
	switch {
	case printed == all:
		d.last.Loyalty = drivers.OutcomePrinted
	case printed == 0 && lost == 0:
		d.last.Loyalty = drivers.OutcomeNotPrinted
	default:
		d.last.Loyalty = drivers.OutcomeUnknown
	}
	return nil
}
