package loyalty

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ReturnLine is goods that come back: a line of the original receipt and how
// much of it.
type ReturnLine struct {
	ID       string   `json:"id"`
	Quantity Quantity `json:"quantity"`
}

// ReturnResult is what a return gives back and takes back. Amounts are
// positive: Totals.Net is the money for the customer, PointsBack the points
// she had spent, PointsTaken the points she had earned.
type ReturnResult struct {
	Receipt     string         `json:"receipt,omitempty"` // the original's
	Rulebook    string         `json:"rulebook"`
	Currency    string         `json:"currency"`
	Member      *MemberID      `json:"member,omitempty"`
	Whole       bool           `json:"whole"` // nothing of the original is left after this
	Lines       []ReturnedLine `json:"lines"`
	Totals      Totals         `json:"totals"`
	PointsBack  []WalletPoints `json:"points_back,omitempty"`
	PointsTaken []Earning      `json:"points_taken,omitempty"`
	// Shortfall is earned points that are not taken back, because the member
	// has spent them and the programme does not go below her balance.
	Shortfall []WalletPoints `json:"shortfall,omitempty"`
	Coupons   []CouponUse    `json:"coupons,omitempty"` // freed, revoked
	Stamps    []StampMove    `json:"stamps,omitempty"`  // Added is below zero
	Counters  []CounterAdd   `json:"counters,omitempty"`
	Usage     []CounterAdd   `json:"usage,omitempty"`
	Budgets   []BudgetUse    `json:"budgets,omitempty"` // given back to budgets
	Segments  []SegmentMove  `json:"segments,omitempty"`
	Gifts     []Gift         `json:"gifts,omitempty"` // that should come back too
}

// ReturnedLine is the share of one line.
type ReturnedLine struct {
	ID        string         `json:"id"`
	SKU       string         `json:"sku"`
	Quantity  Quantity       `json:"quantity"`
	Gross     Money          `json:"gross"`
	Discounts []LineDiscount `json:"discounts,omitempty"`
	Redeemed  Money          `json:"redeemed,omitzero"`
	Spent     Points         `json:"spent,omitzero"`
	Net       Money          `json:"net"`
	Tax       Money          `json:"tax,omitzero"`
	Earned    []LineEarning  `json:"earned,omitempty"`
}

// WalletPoints is points of one wallet.
type WalletPoints struct {
	Wallet string `json:"wallet"`
	Points Points `json:"points"`
}

// Return replays the stored allocation of a receipt for goods that come
// back; the rules are not asked again. Each amount of a line is shared by
// quantity so that any split into parts adds up to the whole, exactly.
// already are the earlier returns of the same receipt; no lines means all
// that is left of it (a void). The error is an *InputError when more would
// come back than was sold.
func (rb *Rulebook) Return(orig *Result, already []*ReturnResult, lines []ReturnLine) (*ReturnResult, error) {
	return rb.ReturnFor(orig, already, lines, nil)
}

// ReturnFor is Return with the member as she is now, so that the programme's
// shortfall policy can hold points within her balance. Without a member all
// points are taken back and the ledger applies the policy.
func (rb *Rulebook) ReturnFor(orig *Result, already []*ReturnResult, lines []ReturnLine, m *Member) (*ReturnResult, error) {
	if orig == nil {
		return nil, ErrNoReceipt
	}
	p, err := planReturn(orig, already, lines)
	if err != nil {
		return nil, err
	}
	r := &ReturnResult{Receipt: orig.Receipt, Rulebook: orig.Rulebook, Currency: orig.Currency, Member: orig.Member, Whole: p.whole,
		Lines: []ReturnedLine{}}
	for i := range orig.Lines {
		if p.now[i] != 0 {
			l := p.line(i)
			r.Lines = append(r.Lines, l)
			r.Totals.Gross += l.Gross
			r.Totals.Redeemed += l.Redeemed
			r.Totals.Net += l.Net
			r.Totals.Tax += l.Tax
		}
	}
	r.Totals.Discount = r.Totals.Gross - r.Totals.Redeemed - r.Totals.Net
	if orig.Totals.ToPay != 0 {
		r.Totals.ToPay = r.Totals.Net + r.Totals.Tax
	}
	cards := rb.returnStamps(r, orig, p)
	rb.returnPoints(r, orig, p, cards, m)
	rb.returnCounters(r, orig, p)
	rb.returnCards(r, orig, cards)
	if p.whole {
		rb.returnWhole(r, orig)
	}
	return r, nil
}

// plan is how much of each line has come back before and comes back now.
type returnPlan struct {
	orig        *Result
	unit        int64 // the currency's smallest amount
	before, now []Quantity
	whole       bool
}

func planReturn(orig *Result, already []*ReturnResult, lines []ReturnLine) (*returnPlan, error) {
	p := &returnPlan{orig: orig, unit: smallest(orig.Currency), before: make([]Quantity, len(orig.Lines)), now: make([]Quantity, len(orig.Lines))}
	at := make(map[string]int, len(orig.Lines))
	for i := range orig.Lines {
		at[orig.Lines[i].ID] = i
	}
	for _, a := range already {
		for _, l := range a.Lines {
			i, ok := at[l.ID]
			if !ok {
				return nil, &InputError{"return_line", "already", fmt.Sprintf("an earlier return has line %q, the receipt has not", l.ID), "give the returns of this very receipt"}
			}
			p.before[i] += l.Quantity
		}
	}
	for k, l := range lines {
		field := fmt.Sprintf("lines[%d]", k)
		i, ok := at[l.ID]
		if !ok {
			return nil, &InputError{"return_line", field + ".id", fmt.Sprintf("the receipt has no line %q", l.ID), "use the line ids of the original"}
		}
		if l.Quantity <= 0 {
			return nil, &InputError{"return_quantity", field + ".quantity", "not above zero", "say how much comes back"}
		}
		sum, fits := addOK(int64(p.now[i]), int64(l.Quantity))
		if left := orig.Lines[i].Quantity - p.before[i]; !fits || Quantity(sum) > left {
			return nil, &InputError{"return_too_much", field + ".quantity", fmt.Sprintf("%s would come back, %s is left of line %q", l.Quantity, max(0, left), l.ID), "return at most what is left"}
		}
		p.now[i] = Quantity(sum)
	}
	p.whole = true
	for i := range orig.Lines {
		left := orig.Lines[i].Quantity - p.before[i]
		if len(lines) == 0 {
			p.now[i] = left
		} else if p.now[i] != left && orig.Lines[i].Quantity > 0 {
			p.whole = false
		}
	}
	return p, nil
}

// share is line i's part of an amount for what comes back now: the share of
// all that has come back by now, less the share of what had before.
func (p *returnPlan) share(i int, amount int64) int64 {
	q := int64(p.orig.Lines[i].Quantity)
	if q == 0 {
		return 0
	}
	return partOf(amount, int64(p.before[i]+p.now[i]), q) - partOf(amount, int64(p.before[i]), q)
}

// partOf is amount*part/whole towards zero; part is between 0 and whole.
func partOf(amount, part, whole int64) int64 {
	if part == whole {
		return amount
	}
	if whole < 0 {
		part, whole = -part, -whole
	}
	n, _ := mulDiv(amount, part, whole, Down)
	return n
}

func (p *returnPlan) line(i int) ReturnedLine {
	o := &p.orig.Lines[i]
	l := ReturnedLine{ID: o.ID, SKU: o.SKU, Quantity: p.now[i]}
	l.Spent = Points(p.share(i, int64(o.Spent)))
	l.Tax = Money(p.share(i, int64(o.Tax)/p.unit) * p.unit)
	before, after := p.parts(i, p.before[i]), p.parts(i, p.before[i]+p.now[i])
	part := func(k int) Money { return Money(after[k] - before[k]) }
	l.Net, l.Redeemed = part(0), part(1)
	l.Gross = l.Net + l.Redeemed
	for k, d := range o.Discounts {
		if a := part(2 + k); a != 0 {
			l.Discounts = append(l.Discounts, LineDiscount{d.Rule, a})
			l.Gross += a
		}
	}
	for _, e := range o.Earned {
		if isCompletion(e.Rule) {
			continue // comes back with the card, not with the goods
		}
		if n := Points(p.share(i, int64(e.Points))); n != 0 {
			l.Earned = append(l.Earned, LineEarning{e.Rule, e.Wallet, n})
		}
	}
	return l
}

// parts is what quantity q of line i was made of: net, redeemed, and each
// discount, which add up to its gross, the rounded price of so much. With
// more of the quantity no part grows less, and all of it has all: so the
// differences of any steps are not below zero and add up.
//
// One part after the other takes its rounded share of what the ones before it
// have left, the money first, because it is the one to be paid out.
func (p *returnPlan) parts(i int, q Quantity) []int64 {
	o := &p.orig.Lines[i]
	parts := make([]int64, 2+len(o.Discounts))
	parts[0], parts[1] = int64(o.Net), int64(o.Redeemed)
	for k, d := range o.Discounts {
		parts[2+k] = int64(d.Amount)
	}
	if q == o.Quantity {
		return parts
	}
	all := int64(o.Gross) / p.unit
	left := roundedPart(all, int64(q), int64(o.Quantity))
	for k, amount := range parts {
		amount /= p.unit
		n := roundedPart(amount, left, all)
		parts[k] = n * p.unit
		left -= n
		all -= amount
	}
	return parts
}

// roundedPart is amount*part/whole, half up; part is between 0 and whole.
func roundedPart(amount, part, whole int64) int64 {
	switch {
	case part == whole:
		return amount
	case whole < 0:
		part, whole = -part, -whole
	}
	n, _ := mulDiv(amount, part, whole, HalfUp)
	return n
}

// returnPoints gives spent points back and takes earned points back.
func (rb *Rulebook) returnPoints(r *ReturnResult, orig *Result, p *returnPlan, cards []cardReturn, m *Member) {
	var back Points
	var taken []Earning
	for _, l := range r.Lines {
		back += l.Spent
		for _, e := range l.Earned {
			k := slices.IndexFunc(taken, func(x Earning) bool { return x.Rule == e.Rule && x.Wallet == e.Wallet })
			if k < 0 {
				k = len(taken)
				taken = append(taken, Earning{Rule: e.Rule, Wallet: e.Wallet})
			}
			taken[k].Points += e.Points
		}
	}
	// What was given for a full stamp card goes with the card.
	for _, c := range cards {
		for _, e := range orig.Earned {
			if e.Rule != c.rule {
				continue
			}
			if n := c.share(int64(e.Points)); n != 0 {
				taken = append(taken, Earning{Rule: e.Rule, Wallet: e.Wallet, Points: Points(n)})
			}
		}
	}
	for _, paid := range orig.Paid {
		back += Points(p.costBack(paid))
	}
	if back > 0 && orig.Spend != nil {
		r.PointsBack = []WalletPoints{{orig.Spend.Wallet, back}}
	}
	// In the order and with the dates of the original lots.
	for k := range taken {
		for _, lot := range orig.Earned {
			if lot.Rule == taken[k].Rule && lot.Wallet == taken[k].Wallet {
				taken[k].Active, taken[k].Expires = lot.Active, lot.Expires
				break
			}
		}
	}
	slices.SortStableFunc(taken, func(a, b Earning) int {
		return cmp.Compare(lotPlace(orig, a), lotPlace(orig, b))
	})
	r.PointsTaken = taken
	if m != nil {
		rb.withinBalance(r, m)
	}
}

// costBack is what comes back of the points a reward of the catalogue cost: in
// the share of its discount, or with all the goods when it gave none.
func (p *returnPlan) costBack(paid PointsPaid) int64 {
	var all, before, now int64
	for i := range p.orig.Lines {
		l := &p.orig.Lines[i]
		for k, d := range l.Discounts {
			if d.Rule == paid.Rule {
				all += int64(d.Amount)
				if l.Quantity != 0 {
					before += p.parts(i, p.before[i])[2+k]
					now += p.parts(i, p.before[i]+p.now[i])[2+k]
				}
			}
		}
	}
	switch {
	case all != 0:
		return partOf(int64(paid.Points), now, all) - partOf(int64(paid.Points), before, all)
	case p.whole:
		return int64(paid.Points)
	}
	return 0
}

func lotPlace(orig *Result, e Earning) int {
	return slices.IndexFunc(orig.Earned, func(x Earning) bool { return x.Rule == e.Rule && x.Wallet == e.Wallet })
}

// withinBalance lowers what is taken back to what the policy allows.
func (rb *Rulebook) withinBalance(r *ReturnResult, m *Member) {
	policy := rb.doc.Settings.Shortfall
	if policy == "unlimited" {
		return
	}
	room := map[string]Points{}
	for k := range r.PointsTaken {
		t := &r.PointsTaken[k]
		left, seen := room[t.Wallet]
		if !seen {
			b := m.Wallets[t.Wallet]
			left = max(0, b.Pending)
			if policy != "only_pending" {
				left += max(0, b.Active)
				// Points that come back by this return may be taken at once.
				for _, w := range r.PointsBack {
					if w.Wallet == t.Wallet {
						left += w.Points
					}
				}
			}
		}
		if t.Points > left {
			r.Shortfall = append(r.Shortfall, WalletPoints{t.Wallet, t.Points - left})
			t.Points = left
		}
		room[t.Wallet] = left - t.Points
	}
	r.PointsTaken = slices.DeleteFunc(r.PointsTaken, func(e Earning) bool { return e.Points == 0 })
}

// returnCounters takes counters back: those of money, goods and points by
// what comes back, those that count receipts when nothing is left of it.
func (rb *Rulebook) returnCounters(r *ReturnResult, orig *Result, p *returnPlan) {
	back := func(adds []CounterAdd) (out []CounterAdd) {
		for _, a := range adds {
			n := int64(0)
			switch {
			case len(a.By) == len(orig.Lines):
				for i, v := range a.By {
					n += p.share(i, v)
				}
			case p.whole && a.By == nil && a.Spread == "":
				n = a.Add
			case a.Spread != "":
				n = p.spread(a)
			}
			if n != 0 {
				out = append(out, CounterAdd{Counter: a.Counter, Day: a.Day, Add: -n})
			}
		}
		return out
	}
	r.Counters, r.Usage = back(orig.Counters), back(orig.Usage)
	for _, b := range orig.Budgets {
		u := BudgetUse{Budget: b.Budget, Rule: b.Rule}
		for _, l := range r.Lines {
			for _, d := range l.Discounts {
				if d.Rule == b.Rule {
					u.Money += d.Amount
				}
			}
			for _, e := range l.Earned {
				if e.Rule == b.Rule {
					u.Points += e.Points
				}
			}
		}
		u.Cost = Money(p.proportion(int64(b.Cost), int64(b.Money)+int64(b.Points), int64(u.Money)+int64(u.Points)))
		if p.whole {
			u.Count = b.Count
		}
		if u.Count != 0 || u.Money != 0 || u.Points != 0 {
			r.Budgets = append(r.Budgets, u)
		}
	}
}

func (p *returnPlan) proportion(amount, whole, part int64) int64 {
	if whole == 0 {
		if p.whole {
			return amount
		}
		return 0
	}
	return partOf(amount, part, whole)
}

// spread is the part of a counter that follows a total: net, quantity or points.
func (p *returnPlan) spread(a CounterAdd) int64 {
	var all, before, now int64
	for i := range p.orig.Lines {
		l := &p.orig.Lines[i]
		v := int64(l.Net)
		switch a.Spread {
		case "quantity":
			v = int64(l.Quantity)
		case "points":
			v = 0
			for _, e := range l.Earned {
				v += int64(e.Points)
			}
		}
		all += v
		b := int64(0)
		if q := int64(l.Quantity); q != 0 {
			b = partOf(v, int64(p.before[i]), q)
		}
		before += b
		now += b + p.share(i, v)
	}
	if p.whole {
		now = all
	}
	if all == 0 {
		if p.whole {
			return a.Add
		}
		return 0
	}
	return partOf(a.Add, now, all) - partOf(a.Add, before, all)
}

// returnWhole undoes what belongs to the receipt as a whole.
func (rb *Rulebook) returnWhole(r *ReturnResult, orig *Result) {
	for _, c := range orig.Coupons {
		switch {
		case isCompletion(c.By): // went with its card
		case c.State == "used" && rb.doc.Settings.VoidCoupons != "no":
			r.Coupons = append(r.Coupons, CouponUse{Code: c.Code, Rule: c.Rule, State: "freed", Shared: c.Shared, Uses: 1})
		case c.State == "issued":
			r.Coupons = append(r.Coupons, CouponUse{Code: c.Code, Rule: c.Rule, State: "revoked", Uses: c.Uses})
		}
	}
	if rb.doc.Settings.VoidCoupons == "no" {
		r.Counters = slices.DeleteFunc(r.Counters, func(a CounterAdd) bool {
			return strings.HasPrefix(a.Counter, couponCounterName)
		})
	}
	for _, s := range orig.Segments {
		if isCompletion(s.Rule) {
			continue
		}
		r.Segments = append(r.Segments, SegmentMove{s.Segment, !s.Out, s.Rule})
	}
	for _, g := range orig.Gifts {
		if !isCompletion(g.Rule) {
			r.Gifts = append(r.Gifts, g)
		}
	}
}
