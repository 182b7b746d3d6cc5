package loyalty

import (
	"hash/fnv"
	"slices"
	"strconv"
)

// extras is what a pricing gathers besides money and points.
type extras struct {
	law        []lawMark
	noEarn     []int32 // rules that keep goods from earning
	gifts      []giftMade
	issued     []CouponUse
	now        []string // codes issued for this very receipt
	taken      []couponTaken
	stamps     []stampMade
	privileges []Grant
	paid       []PointsPaid
	texts      []textMade
	tierTo     string
	tierUntil  string
	segments   []SegmentMove
	groups     []int32
	markedTo   int
	ids        map[string]int32
	vars       ruleVars
	each       string // the list a repeated print line runs over
	nth        int
}

type lawMark struct{ line, rule int32 }

type giftMade struct {
	rule     int32
	line     string // of the basket, that became the gift
	sku      string
	name     Text
	quantity Quantity
	cost     Money
}

type couponTaken struct {
	code string
	rule int32
}

type stampMade struct {
	card  int32
	added int64
	took  int64
	done  int64 // cards completed
	sel   int32
	rule  int32
}

type textMade struct {
	to   string
	text *template
	rule int32
}

// Grant is a soft or outside reward.
type Grant struct {
	Rule    string `json:"rule"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Partner string `json:"partner,omitempty"` // who gives it, when it is not us
	Kind    string `json:"kind,omitempty"`
	Amount  Factor `json:"amount,omitzero"`
}

// SegmentMove puts the member in a segment or takes her out.
type SegmentMove struct {
	Segment string `json:"segment"`
	Out     bool   `json:"out,omitempty"`
	Rule    string `json:"rule"`
}

func (x *extras) reset() {
	clear(x.gifts)
	clear(x.issued)
	clear(x.taken)
	clear(x.privileges)
	clear(x.texts)
	clear(x.segments)
	clear(x.now)
	clear(x.paid)
	x.paid = x.paid[:0]
	x.noEarn = x.noEarn[:0]
	x.law, x.gifts, x.issued, x.taken, x.stamps = x.law[:0], x.gifts[:0], x.issued[:0], x.taken[:0], x.stamps[:0]
	x.now = x.now[:0]
	x.privileges, x.texts, x.segments, x.groups = x.privileges[:0], x.texts[:0], x.segments[:0], x.groups[:0]
	x.tierTo, x.tierUntil, x.markedTo = "", "", 0
	x.vars, x.each, x.nth = ruleVars{}, "", 0
	clear(x.ids)
}

func (x *extras) noteGroup(g int32)       { x.groups = append(x.groups, g) }
func (x *extras) groupFired(g int32) bool { return slices.Contains(x.groups, g) }

func (x *extras) couponTaken(code string) bool {
	return slices.ContainsFunc(x.taken, func(t couponTaken) bool { return t.code == code })
}

func (x *extras) useCoupon(code string, r *rule) {
	if !x.couponTaken(code) {
		x.taken = append(x.taken, couponTaken{code, r.index})
	}
}

// other is a compiled reward that gives neither discount nor points. It
// returns whether it gave anything.
type other interface{ give(e *eval) bool }

// giveOthers gives what is neither discount nor points: to rules whose money
// or points were given, and to rules that have nothing else.
func (e *eval) giveOthers() {
	for _, k := range e.cands {
		r, st := &e.rb.rules[k], &e.states[k]
		if len(r.others) == 0 || st.told || r.issuesNow {
			continue
		}
		if len(r.discounts)+len(r.points) > 0 && st.state != stateFired {
			continue
		}
		e.give(r)
	}
	e.completeCards()
}

// give gives the other rewards of a rule.
func (e *eval) give(r *rule) {
	st := &e.states[r.index]
	if st.state != stateFired {
		if !e.holds(r) {
			return
		}
		if e.blocked(r) {
			st.why = "not_with"
			return
		}
	}
	e.rule = r
	st.told = true
	gave := false
	for _, o := range r.others {
		gave = o.give(e) || gave
	}
	switch {
	case gave:
		st.given = true
		e.fire(r)
		e.x.noteGroup(r.group)
		if r.budget >= 0 {
			e.useBudget(r, BudgetUse{})
		}
	case st.state != stateFired && st.why == "":
		st.why = "nothing"
	}
}

// giveCatalogue gives what the member chose to pay for with points, before
// the rest of her points can pay for the basket.
func (e *eval) giveCatalogue() {
	for _, k := range e.cands {
		if r := &e.rb.rules[k]; r.cost > 0 && len(r.discounts)+len(r.points) == 0 && len(r.others) > 0 {
			e.give(r)
		}
	}
}

type giftReward struct{ *GiftReward }

func (g giftReward) give(e *eval) bool {
	n := int64(1)
	if g.Each > 0 {
		n = int64(max(0, e.sums)) / int64(g.Each)
	}
	if g.Times > 0 {
		n = min(n, g.Times)
	}
	q, ok := mulDiv(n, int64(g.Units), 1, Down)
	if !ok || q == 0 {
		return false
	}
	cost, _ := mulDiv(int64(g.Value), q, oneUnit, Up)
	if e.rule.budget >= 0 {
		room, _ := e.budgetRoom(e.rule, 0)
		if Money(cost) > room {
			e.rstate().why = "budget"
			return false
		}
		if cost > 0 {
			e.useBudget(e.rule, BudgetUse{Money: Money(cost), Cost: Money(cost)})
		}
	}
	e.x.gifts = append(e.x.gifts, giftMade{rule: e.rule.index, sku: g.SKUs[0], name: g.Names, quantity: Quantity(q), cost: Money(cost)})
	return true
}

// giftLine is a gift whose units in the basket become free.
type giftLine struct {
	*GiftReward
	sel int32
}

func (g *giftLine) discount(e *eval) {
	want := int64(1)
	if g.Each > 0 {
		want = int64(max(0, e.sums)) / int64(g.Each)
	}
	if g.Times > 0 {
		want = min(want, g.Times)
	}
	want, ok := mulDiv(want, int64(g.Units)/oneUnit, 1, Down)
	if !ok {
		return
	}
	e.collect(e.linesOf(g.sel), false)
	e.pick(want)
	for k := range e.items {
		it := &e.items[k]
		l := &e.lines[it.line]
		if e.take(it.line, it.value(e, it.taken)) > 0 {
			e.x.gifts = append(e.x.gifts, giftMade{rule: e.rule.index, sku: l.in.SKU, name: g.Names, quantity: Quantity(it.taken * oneUnit), line: l.id})
			want -= it.taken
		}
	}
	if want > 0 {
		e.x.gifts = append(e.x.gifts, giftMade{rule: e.rule.index, sku: g.SKUs[0], name: g.Names, quantity: Quantity(want * oneUnit)})
	}
}

type couponReward struct{ *CouponReward }

func (c couponReward) give(e *eval) bool {
	if e.m == nil && c.Code == "" && e.r.ID == "" {
		// A made code must be unlike all others; a calculation without an
		// identity of its own cannot promise that.
		e.rstate().why = "no_receipt_id"
	}
	for n := range c.Count {
		u := CouponUse{Code: c.Code, Rule: c.For, State: "issued", Uses: c.Uses}
		if e.rule.completion {
			u.By = e.rule.id
		}
		if u.Code == "" {
			u.Code = e.makeCode(c.Prefix, n)
		}
		from := e.day
		if !c.From.IsZero() {
			from = c.From.After(e.day)
		}
		u.From = from.String()
		if !c.Valid.IsZero() {
			u.To = c.Valid.After(from).String()
		}
		if c.To != 0 {
			u.To = c.To.String()
		}
		e.x.issued = append(e.x.issued, u)
		if c.Now {
			e.x.now = append(e.x.now, u.Code)
		}
	}
	return true
}

// issueNow gives coupons that are good on this receipt already, before any
// discount is looked at; their codes count as shown.
func (e *eval) issueNow() {
	n := len(e.cands)
	for k := range n {
		r := &e.rb.rules[e.cands[k]]
		if r.issuesNow {
			e.give(r)
		}
	}
	for _, code := range e.x.now {
		e.addKey('k', code)
	}
	if len(e.cands) > n {
		slices.Sort(e.cands)
		e.cands = slices.Compact(e.cands)
	}
}

// makeCode derives a coupon's code from the receipt, rule and number, so
// that the same receipt always issues the same code.
func (e *eval) makeCode(prefix string, n int64) string {
	h := fnv.New64a()
	for _, s := range []string{e.rb.doc.Programme.ID, e.r.Store, e.r.Till, e.r.ID, e.now.UTC().Format("20060102150405"), e.rule.id, strconv.FormatInt(n, 10)} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	if e.m != nil {
		h.Write([]byte(e.m.ID.String()))
	}
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's, without I L O U
	v := h.Sum64()
	b := []byte(prefix)
	for range 10 {
		b = append(b, letters[v&31])
		v >>= 5
	}
	return string(b)
}

type stampReward struct {
	*StampReward
	card int32
	sel  int32
}

func (s *stampReward) give(e *eval) bool {
	if e.m == nil {
		return false
	}
	n := int64(1)
	lines := e.linesOf(s.sel)
	switch s.Per {
	case "unit":
		n = 0
		for _, i := range lines {
			if e.lines[i].flags&banEarn == 0 {
				n += wholeUnits(e.lines[i].in)
			}
		}
		n /= max(1, int64(s.Units)/oneUnit)
	case "amount":
		var sum Money
		for _, i := range lines {
			if e.lines[i].flags&banEarn == 0 {
				sum += e.lines[i].cur
			}
		}
		n = int64(max(0, sum) / s.Each)
	case "day":
		if !e.m.LastSeen.IsZero() && DateOf(e.m.LastSeen.In(e.now.Location())) >= e.day {
			n = 0
		}
	}
	if len(lines) == 0 {
		n = 0
	}
	n, ok := mulDiv(n, s.Count, 1, Down)
	if !ok {
		e.fail(ErrOverflow)
	}
	if s.Max > 0 {
		n = min(n, s.Max)
	}
	if n <= 0 {
		return false
	}
	e.x.stamps = append(e.x.stamps, stampMade{card: s.card, added: n, rule: e.rule.index, sel: s.sel})
	return true
}

type takeStamps struct {
	card  int32
	count int64
}

func (t *takeStamps) give(e *eval) bool {
	if e.m == nil || e.m.Stamps[e.rb.doc.StampCards[t.card].ID] < t.count {
		return false
	}
	e.x.stamps = append(e.x.stamps, stampMade{card: t.card, took: t.count, rule: e.rule.index})
	return true
}

type setTier struct{ *SetTier }

func (t setTier) give(e *eval) bool {
	if e.m == nil || e.rb.tierRank(t.ID) < 0 || e.tier() == t.ID {
		return false
	}
	e.x.tierTo, e.x.tierUntil = t.ID, ""
	if !t.Valid.IsZero() {
		e.x.tierUntil = t.Valid.After(e.day).String()
	}
	return true
}

type setSegment struct{ *SetSegment }

func (s setSegment) give(e *eval) bool {
	if e.m == nil || slices.Contains(e.m.Segments, s.ID) != s.Out {
		return false
	}
	e.x.segments = append(e.x.segments, SegmentMove{s.ID, s.Out, e.rule.id})
	return true
}

type privilege struct{ *Privilege }

func (p privilege) give(e *eval) bool {
	e.x.privileges = append(e.x.privileges, Grant{Rule: e.rule.id, ID: p.ID, Name: e.say(p.Name), Kind: "privilege"})
	return true
}

type outsideReward struct{ *OutsideReward }

func (o outsideReward) give(e *eval) bool {
	g := Grant{Rule: e.rule.id, ID: o.ID, Name: e.say(o.Name), Partner: o.Partner, Kind: o.Kind, Amount: o.Amount}
	if o.Percent > 0 {
		n, ok := mulDiv(int64(max(0, e.sums)), int64(o.Percent)*(oneFactor/oneMoney), hundredPct, Down)
		if !ok {
			e.fail(ErrOverflow)
		}
		g.Amount += Factor(n)
	}
	if o.Percent > 0 && g.Amount == 0 {
		return false
	}
	e.x.privileges = append(e.x.privileges, g)
	return true
}

type textReward struct {
	to   []string
	text compiledText
}

func (t *textReward) give(e *eval) bool {
	if !e.in.Plain {
		for _, to := range t.to {
			e.x.texts = append(e.x.texts, textMade{to, t.text.in(e), e.rule.index})
		}
	}
	return true
}

type banGiven struct {
	sel  int32
	bans uint8
}

// completeCards empties full stamp cards and gives what they promise.
func (e *eval) completeCards() {
	if e.m == nil || len(e.x.stamps) == 0 {
		return
	}
	for c := range e.rb.doc.StampCards {
		card := &e.rb.doc.StampCards[c]
		before := e.m.Stamps[card.ID]
		held := before
		moved := false
		for _, s := range e.x.stamps {
			if s.card == int32(c) {
				held += s.added - s.took
				moved = true
			}
		}
		done := held / card.Goal
		if card.Keep {
			// A kept card is complete once, when it passes its goal.
			done = min(1, max(0, held/card.Goal-before/card.Goal))
		}
		if !moved || done <= 0 {
			continue
		}
		if !card.Keep {
			e.x.stamps = append(e.x.stamps, stampMade{card: int32(c), done: done, rule: e.rb.cardRules[c]})
		}
		e.completeCard(&e.rb.rules[e.rb.cardRules[c]], min(done, maxCompleted))
	}
}

// maxCompleted bounds the cards one receipt may fill with rewards each.
const maxCompleted = 1000

func (e *eval) completeCard(r *rule, times int64) {
	k, ok := slices.BinarySearch(e.cands, r.index)
	if !ok {
		e.cands = slices.Insert(e.cands, k, r.index)
	}
	e.rule = r
	for range times {
		if e.accrueRule(r) > 0 {
			e.fire(r)
		}
		e.rule = r
		for _, o := range r.others {
			if o.give(e) {
				e.fire(r)
				e.states[r.index].given = true
			}
		}
	}
}
