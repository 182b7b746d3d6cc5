package posnet

import (
	"context"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// footerIDs are the preset lines of the foot that carry a loyalty field.
var footerIDs = map[drivers.LoyaltyField]int{
	drivers.PointsEarned: 17, drivers.PointsSpent: 18, drivers.PointsTotal: 2, drivers.BalanceBefore: 16,
	drivers.BalanceAfter: 19, drivers.CardNumber: 6, drivers.ValidUntil: 7, drivers.Free: 25,
}

// maxFooter is the most lines the printer takes at the foot.
const maxFooter = 60

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
	if len(d.receipt.text)+len(lines) > maxFooter {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: op, Code: drivers.BadData,
			Err: fmt.Errorf("%d lines, the foot has room for %d", len(d.receipt.text)+len(lines), maxFooter)}
	}
	d.receipt.text = append(d.receipt.text, lines...)
	d.last.Loyalty = drivers.OutcomeKept
	return drivers.OutcomeKept, nil
}

// footLine makes the parameters of a line at the foot.
func (d *Printer) footLine(l drivers.LoyaltyLine) []Param {
	id, ok := footerIDs[l.Field]
	text := l.Value
	if !ok || l.Field == drivers.Free {
		id = footerIDs[drivers.Free]
		text = strings.TrimSpace(l.Label + " " + l.Value)
	}
	width := d.columns
	if id == footerIDs[drivers.Free] {
		width -= 15 // the printer puts blanks before a free line
	}
	if text == "" {
		text = " "
	}
	return []Param{P("id", id), P("na", d.cut(text, width))}
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
	if r == nil { // opened by another run of the program: the printer knows the sums
		r = &receipt{total: -1}
		err := d.turn.Ask(ctx, op, func(ctx context.Context, p *line.Port) error {
			_, total, err := d.sums(ctx, p)
			r.total = total
			return err
		})
		if err != nil {
			return none, err
		}
	}
	if r.end == nil {
		ps := []Param{P("to", r.total)}
		if d.receipt != nil {
			ps = append(ps, P("fp", r.paid), P("re", max(0, r.paid-r.total)))
		}
		fe := 1
		if len(r.text) > 0 {
			fe = 0
		}
		r.end = newCommand(op, "trend", append(ps, P("fe", fe))...)
		r.end.decide = func(ctx context.Context, p *line.Port) (done, known bool, err error) {
			open, total, err := d.sums(ctx, p)
			return !open, open || total == r.total, err
		}
	}
	change := max(0, r.paid-r.total)
	if err := d.run(ctx, r.end); err != nil {
		if drivers.CodeOf(err) != drivers.Uncertain || r.end.dead {
			if r.end.dead {
				d.gone(drivers.DocumentUnknown)
			} else if r.end.done {
				r.end = nil // refused: it may be tried again after a payment
			}
		}
		return none, err
	}
	if d.receipt == nil {
		d.last = drivers.Document{State: drivers.DocumentClosed, Kind: string(drivers.Sale), Total: r.total}
	}
	if err := d.conclude(ctx); err != nil {
		d.env.Logger().Warn("the foot of a receipt waits", "device", d.cfg.Name, "error", err)
		return drivers.ClosedReceipt{Change: change, At: d.env.Time(), Loyalty: drivers.OutcomeUnknown}, nil
	}
	return drivers.ClosedReceipt{Change: change, At: d.env.Time(), Loyalty: d.last.Loyalty}, nil
}

// gone forgets the receipt: it is not open any more.
func (d *Printer) gone(state drivers.DocumentState) {
	d.last.State = state
	if d.receipt != nil && len(d.receipt.text) > 0 {
		d.last.Loyalty = drivers.OutcomeNotPrinted
		if state == drivers.DocumentUnknown {
			d.last.Loyalty = drivers.OutcomeUnknown
		}
	}
	if d.receipt != nil {
		d.last.Total = d.receipt.total
	}
	d.receipt = nil
}

// conclude goes on with a close that was begun: finds out whether trend was
// carried out, and sends what is left of the foot. It has nothing to do most of
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
		case r.end.done && r.end.answer.Refused:
			r.end = nil
			return nil
		case err != nil:
			return err
		}
	}
	if !r.end.done {
		return nil
	}
	if len(r.text) == 0 {
		d.gone(drivers.DocumentClosed)
		return nil
	}
	if r.foot == nil {
		for _, l := range r.text {
			r.foot = append(r.foot, newCommand("print foot", "trftrln", d.footLine(l)...))
		}
		r.foot = append(r.foot, newCommand("end foot", "trftrend"))
	}
	for _, c := range r.foot {
		if c.settled() {
			continue
		}
		if err := d.run(ctx, c); err != nil && !c.settled() {
			return err
		}
	}
	printed, lost := 0, 0
	for _, c := range r.foot[:len(r.foot)-1] {
		switch {
		case c.dead:
			lost++
		case !c.answer.Refused:
			printed++
		}
	}
	d.gone(drivers.DocumentClosed)
	switch {
	case printed == len(r.text):
		d.last.Loyalty = drivers.OutcomePrinted
	case printed == 0 && lost == 0:
		d.last.Loyalty = drivers.OutcomeNotPrinted
	default:
		d.last.Loyalty = drivers.OutcomeUnknown
	}
	return nil
}
