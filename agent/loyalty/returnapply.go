package loyalty

import (
	"fmt"
	"slices"
	"time"
)

// ApplyReturn is the member's snapshot after a return; the arguments do not
// change. Her tier follows by Review.
func (rb *Rulebook) ApplyReturn(m *Member, r *ReturnResult, at time.Time) *Member {
	if m == nil {
		return nil
	}
	n := m.clone()
	for _, w := range r.PointsBack {
		b := n.Wallets[w.Wallet]
		b.Active += w.Points
		n.Wallets[w.Wallet] = b
	}
	today := DateOf(at).String()
	for _, t := range r.PointsTaken {
		b := n.Wallets[t.Wallet]
		if t.Active > today {
			part := min(t.Points, max(0, b.Pending))
			b.Pending -= part
			b.Active -= t.Points - part
		} else {
			b.Active -= t.Points
		}
		if b.Active < 0 && rb.doc.Settings.Shortfall != "unlimited" {
			// What was pending then may be active in the snapshot now, or
			// the other way round.
			part := min(-b.Active, max(0, b.Pending))
			b.Pending -= part
			b.Active += part
		}
		n.Wallets[t.Wallet] = b
	}
	for _, s := range r.Stamps {
		n.Stamps[s.Card] = max(0, n.Stamps[s.Card]+s.Added-s.Taken+s.reopened(n, r.Coupons)*s.Goal)
	}
	for _, c := range r.Coupons {
		n.returnCoupon(c)
	}
	n.AddCounters(r.Counters)
	for _, s := range r.Segments {
		n.Segments = slices.DeleteFunc(n.Segments, func(x string) bool { return x == s.Segment })
		if !s.Out {
			n.Segments = append(n.Segments, s.Segment)
			slices.Sort(n.Segments)
		}
	}
	return n
}

func (m *Member) returnCoupon(c CouponUse) {
	h, ok := m.Coupons[c.Code]
	switch {
	case c.State == "freed" && ok:
		h.Uses++
		m.Coupons[c.Code] = h
	case c.State == "revoked" && ok:
		if h.Uses -= c.Uses; h.Uses <= 0 {
			delete(m.Coupons, c.Code)
		} else {
			m.Coupons[c.Code] = h
		}
	}
}

// ExchangeResult is a return and a sale in one receipt.
type ExchangeResult struct {
	Return *ReturnResult `json:"return"`
	Sale   *Result       `json:"sale"`
	ToPay  Money         `json:"to_pay"` // by the customer
	Refund Money         `json:"refund"` // to the customer; one of the two is zero
}

// Exchange takes goods back and sells others at once: the sale is priced for
// the member as she is after the return.
func (rb *Rulebook) Exchange(in Input, orig *Result, already []*ReturnResult, lines []ReturnLine) (*ExchangeResult, error) {
	ret, err := rb.ReturnFor(orig, already, lines, in.Member)
	if err != nil {
		return nil, fmt.Errorf("exchange, return: %w", err)
	}
	if in.Member != nil && orig.Member != nil && *orig.Member == in.Member.ID {
		at := in.Now
		if in.Receipt != nil && !in.Receipt.Time.IsZero() {
			at = in.Receipt.Time
		}
		in.Member = rb.ApplyReturn(in.Member, ret, at)
	}
	sale, err := rb.Price(in)
	if err != nil {
		return nil, fmt.Errorf("exchange, sale: %w", err)
	}
	x := &ExchangeResult{Return: ret, Sale: sale}
	owed := sale.Totals.Net + sale.Totals.Tax - ret.Totals.Net - ret.Totals.Tax
	x.ToPay, x.Refund = max(0, owed), max(0, -owed)
	return x, nil
}
