package loyalty

import (
	"slices"
	"strings"
)

// outcome is a Result with the parts it points to, in one allocation.
type outcome struct {
	Result
	member    MemberID
	spend     Spending
	tier      TierMove
	discounts []LineDiscount
	earnings  []LineEarning
}

// newOutcome is an empty outcome, in the memory of an old result if there is one.
func newOutcome(old *Result) *outcome {
	if old == nil || old.memory == nil {
		o := new(outcome)
		o.memory = o
		return o
	}
	o := old.memory
	r := &o.Result
	o.Result = Result{memory: o, Lines: r.Lines[:0], Rules: r.Rules[:0], Earned: r.Earned[:0], Trace: r.Trace[:0],
		Print: r.Print[:0], Messages: r.Messages[:0], Counters: r.Counters[:0]}
	return o
}

// room is s with no elements and room for n.
func room[T any](s []T, n int) []T {
	if s == nil || cap(s) < n {
		return make([]T, 0, n)
	}
	return s[:0]
}

// result writes down what the pricing found.
func (e *eval) result() *Result {
	o := newOutcome(e.in.Reuse)
	r := &o.Result
	e.res = r
	r.Receipt, r.Rulebook, r.Currency, r.Time = e.r.ID, e.rb.version, e.rb.doc.Programme.Currency, e.now
	if e.m != nil {
		o.member = e.m.ID
		r.Member = &o.member
	}
	if e.spend != nil {
		o.spend = *e.spend
		r.Spend = &o.spend
	}
	if wallet, n := e.taken(); n > 0 {
		// Held, booked and given back as one, with what rewards cost.
		if r.Spend == nil || o.spend.Wallet != wallet {
			o.spend = Spending{Wallet: wallet}
			r.Spend = &o.spend
		}
		o.spend.Points = n
	}
	e.resultLines(o)
	if len(e.lots) > 0 {
		r.Earned = room(r.Earned, len(e.lots))
		for _, l := range e.lots {
			r.Earned = append(r.Earned, Earning{Rule: e.rb.rules[l.rule].id, Wallet: e.rb.wallets[l.wallet].doc.ID, Points: l.points,
				Active: l.active.String(), Expires: l.expires.String()})
		}
	}
	if len(e.in.Credited) > 0 {
		for k := range e.rb.wallets {
			if id := e.rb.wallets[k].doc.ID; e.in.Credited[id] != 0 {
				r.Unconfirmed = append(r.Unconfirmed, WalletPoints{id, e.in.Credited[id]})
			}
		}
	}
	for _, g := range e.x.gifts {
		r.Gifts = append(r.Gifts, Gift{Rule: e.rb.rules[g.rule].id, SKU: g.sku, Name: e.say(g.name), Quantity: g.quantity, Line: g.line})
	}
	e.resultCoupons(r)
	e.resultStamps(r)
	if t := e.tierMove(); t != nil {
		o.tier = *t
		r.Tier = &o.tier
	}
	e.resultCounters(r)
	r.Paid = slices.Clone(e.x.paid)
	r.Usage = slices.Clone(e.use.shared)
	r.Budgets = slices.Clone(e.use.budgets)
	r.Grants = slices.Clone(e.x.privileges)
	r.Segments = slices.Clone(e.x.segments)
	e.resultRules(r)
	e.resultTrace(r)
	if !e.in.Plain {
		e.resultTexts(r)
		e.finishTexts()
	}
	return r
}

// resultLines shares the allocations out to the lines. All lines' lists
// stand in two common arrays.
func (e *eval) resultLines(o *outcome) {
	r := &o.Result
	for _, a := range e.allocs {
		if a.rule != ruleExternal {
			e.lines[a.line].nDisc++
		}
	}
	for _, a := range e.awards {
		e.lines[a.line].nEarn++
	}
	o.discounts, o.earnings = room(o.discounts, len(e.allocs)), room(o.earnings, len(e.awards))
	discounts, earned := o.discounts[:len(e.allocs)], o.earnings[:len(e.awards)]
	r.Lines = room(r.Lines, len(e.lines))[:len(e.lines)]
	nd, ne := int32(0), int32(0)
	most := Money(0) // no line is told more than the receipt allows
	if e.spend != nil {
		most = e.spend.MaxValue
	}
	for i := range e.lines {
		l, out := &e.lines[i], &r.Lines[i]
		*out = LineResult{ID: l.id, SKU: l.in.SKU, Quantity: l.in.Quantity, Gross: l.gross, Redeemed: l.paid, Spent: l.spent,
			Net: l.cur, Payable: min(l.limit, most), Bans: bansTold[l.bans&7]}
		if l.nDisc > 0 {
			out.Discounts = discounts[nd : nd : nd+l.nDisc]
			nd += l.nDisc
		}
		if l.nEarn > 0 {
			out.Earned = earned[ne : ne : ne+l.nEarn]
			ne += l.nEarn
		}
		if e.rb.set.taxExcluded {
			out.Tax = e.taxOn(l.cur, l.in)
			r.Totals.Tax += out.Tax
		}
		if e.rb.doc.Settings.SplitUnits {
			out.Units = unitPrices(l.cur, wholeUnits(l.in), e.rb.set.unit)
		}
		r.Totals.Gross += l.gross
		r.Totals.Redeemed += l.paid
		r.Totals.Net += l.cur
	}
	r.Totals.Discount = r.Totals.Gross - r.Totals.Redeemed - r.Totals.Net
	if e.rb.set.taxExcluded {
		r.Totals.ToPay = r.Totals.Net + r.Totals.Tax
	}
	for _, a := range e.allocs {
		out := &r.Lines[a.line]
		id := "external"
		if a.rule != ruleExternal {
			id = e.rb.rules[a.rule].id
		}
		// Several rewards of one rule on one line are one discount.
		if n := len(out.Discounts); n > 0 && out.Discounts[n-1].Rule == id {
			out.Discounts[n-1].Amount += a.amount
			continue
		}
		out.Discounts = append(out.Discounts, LineDiscount{id, a.amount})
	}
	for _, a := range e.awards {
		out := &r.Lines[a.line]
		out.Earned = append(out.Earned, LineEarning{e.rb.rules[a.rule].id, e.rb.wallets[e.lots[a.lot].wallet].doc.ID, a.points})
	}
}

// bansTold are the words for each set of bans.
var bansTold = func() (t [8][]string) {
	for k := range t {
		for bit, name := range []string{"discount", "earn", "spend"} {
			if k&(1<<bit) != 0 {
				t[k] = append(t[k], name)
			}
		}
	}
	return
}()

// taxOn is the tax that comes on top of an amount of a line.
func (e *eval) taxOn(a Money, l *Line) Money {
	rate, err := ParsePercent(strings.TrimSuffix(l.TaxRate, "%"))
	if err != nil || rate < 0 || rate > 100*hundredPct {
		return 0
	}
	n, ok := e.rb.set.mulUnits(int64(a), int64(rate), hundredPct, e.rb.set.mode)
	if !ok {
		e.fail(ErrOverflow)
	}
	return Money(n)
}

// unitPrices tells the price of single units when net does not divide
// evenly: the dearer ones first.
func unitPrices(net Money, units, unit int64) []UnitPrice {
	n := int64(net) / unit
	if units < 2 || net < 0 || n%units == 0 {
		return nil
	}
	low, high := n/units, n%units
	return []UnitPrice{{Quantity(high * oneUnit), Money((low + 1) * unit)}, {Quantity((units - high) * oneUnit), Money(low * unit)}}
}

// resultRules sums up the rules that fired, in order.
func (e *eval) resultRules(r *Result) {
	n := 0
	for _, k := range e.cands {
		if e.states[k].state == stateFired {
			n++
		}
	}
	if n == 0 {
		return
	}
	r.Rules = room(r.Rules, n)
	for _, k := range e.cands {
		st := &e.states[k]
		if st.state != stateFired {
			continue
		}
		rl := &e.rb.rules[k]
		r.Rules = append(r.Rules, RuleEffect{Rule: rl.id, Discount: st.discount, Points: st.points, Base: st.base})
		out := &r.Rules[len(r.Rules)-1]
		if len(rl.doc.Name) > 0 && !e.in.Plain {
			out.Name = rl.doc.Name.in(e.lang.lang, e.rb.defaultLang)
		}
		if st.points > 0 {
			out.Wallet = e.rb.wallets[st.wallet].doc.ID
		}
		if !e.in.Plain {
			e.explain(&out.Explain, rl)
		}
	}
}

// resultTrace tells the reason of each rule that was looked at.
func (e *eval) resultTrace(r *Result) {
	if e.in.Trace == TraceNone {
		return
	}
	n := len(e.cands) + len(e.x.law)
	if e.in.Trace == TraceAll {
		n = len(e.rb.rules) + len(e.x.law)
	}
	if e.spend != nil {
		n++
	}
	if n == 0 {
		return
	}
	r.Trace = room(r.Trace, n)
	e.traceLaw(r)
	for _, k := range e.cands {
		r.Trace = append(r.Trace, TraceStep{})
		e.traceRule(&r.Trace[len(r.Trace)-1], k)
	}
	if e.spend != nil {
		why := e.spend.LimitedBy
		r.Trace = append(r.Trace, TraceStep{Step: "redemption", Rule: e.wayOf().id, Fired: e.spend.Points > 0, Reason: why,
			Base: e.spend.MaxValue, Amount: e.spend.Value, Points: e.spend.Points})
	}
	if e.in.Trace == TraceAll {
		for k := range e.rb.rules {
			if _, ok := slices.BinarySearch(e.cands, int32(k)); !ok {
				r.Trace = append(r.Trace, TraceStep{})
				e.traceRule(&r.Trace[len(r.Trace)-1], int32(k))
			}
		}
	}
}

// traceLaw tells which goods the law marked.
func (e *eval) traceLaw(r *Result) {
	for k := range e.rb.legal {
		var sum Money
		n := 0
		for _, m := range e.x.law {
			if m.rule == int32(k) {
				sum += e.lines[m.line].gross
				n++
			}
		}
		if n > 0 {
			law := &e.rb.legal[k]
			r.Trace = append(r.Trace, TraceStep{Step: "legal", Rule: law.id, Fired: true, Reason: "excluded", Text: law.doc.Source, Base: sum})
		}
	}
}

func (e *eval) traceRule(t *TraceStep, k int32) {
	rl, st := &e.rb.rules[k], &e.states[k]
	*t = TraceStep{Step: rl.step(), Rule: rl.id, Fired: st.state == stateFired, Reason: st.why, Base: st.base, Amount: st.discount, Points: st.points}
	switch {
	case t.Fired && (t.Reason == "" || st.discount > 0 || st.points > 0 && t.Reason != "limit"):
		t.Reason = "given"
	case rl.doc.Off:
		t.Reason = "off"
	case t.Reason == "":
		t.Reason = e.skipReason(rl)
	}
	switch {
	case e.in.Plain:
	case t.Reason == "given":
		t.Text = e.lang.given
	default:
		t.Text = e.lang.reasons[t.Reason]
	}
}

// skipReason says why a rule was not even a candidate.
func (e *eval) skipReason(r *rule) string {
	e.rule = r
	switch {
	case e.in.NoClock && r.timed && len(r.bans) == 0:
		return "clock"
	case r.schedule != nil && !r.schedule.holds(e.day, e.minute):
		return "schedule"
	case r.where != nil && !r.where.holds(e):
		return "where"
	case r.needsMember && e.m == nil:
		return "no_member"
	}
	if r.audience != nil {
		if ok, why := r.audience.holds(e); !ok {
			return why
		}
	}
	if r.lacks != "" {
		return r.lacks
	}
	return "no_line"
}

// step is the phase in which a rule gives what it gives first.
func (r *rule) step() string {
	switch {
	case len(r.bans) > 0:
		return "ban"
	case len(r.discounts) > 0:
		return "discount"
	case len(r.points) > 0:
		return "accrual"
	}
	return "reward"
}

// resultCoupons tells what became of every code shown, and what was issued.
func (e *eval) resultCoupons(r *Result) {
	for _, code := range append(e.r.Coupons[:len(e.r.Coupons):len(e.r.Coupons)], e.x.now...) {
		if slices.ContainsFunc(r.Coupons, func(c CouponUse) bool { return c.Code == code }) {
			continue
		}
		u := CouponUse{Code: code, State: "refused", Reason: "unknown"}
		for _, t := range e.x.taken {
			if t.code == code {
				u.State, u.Rule, u.Reason = "used", e.rb.rules[t.rule].id, ""
				_, held := e.held(code)
				u.Shared = !held
			}
		}
		if u.State == "refused" {
			if slices.Contains(e.x.now, code) {
				continue // told as issued
			}
			e.whyRefused(&u)
		}
		r.Coupons = append(r.Coupons, u)
	}
	for _, u := range e.x.issued {
		// One that is for now and has been used is not to be kept.
		if !slices.Contains(e.x.now, u.Code) || !e.x.couponTaken(u.Code) {
			r.Coupons = append(r.Coupons, u)
		}
	}
}

func (e *eval) held(code string) (CouponHeld, bool) {
	if e.m == nil {
		return CouponHeld{}, false
	}
	h, ok := e.m.Coupons[code]
	return h, ok
}

// whyRefused finds the rule a code belongs to and why it did not fire.
func (e *eval) whyRefused(u *CouponUse) {
	for _, k := range e.cands {
		rl, st := &e.rb.rules[k], &e.states[k]
		if !rl.opens(u.Code) {
			if h, ok := e.held(u.Code); !ok || h.Rule != rl.id {
				continue
			}
		}
		u.Rule = rl.id
		if st.state == stateFired {
			// The rule fired, by another code or for keeps.
			u.State, u.Reason = "kept", ""
			return
		}
		u.Reason = st.why
		return
	}
}

// resultStamps sums up the movements of each stamp card.
func (e *eval) resultStamps(r *Result) {
	for c := range e.rb.doc.StampCards {
		card := &e.rb.doc.StampCards[c]
		var added, took, done int64
		moved := false
		var lines []string
		everywhere := false
		for _, s := range e.x.stamps {
			if s.card == int32(c) {
				if s.added > 0 {
					everywhere = everywhere || s.sel == selAll
					for _, i := range e.linesOf(s.sel) {
						lines = append(lines, e.lines[i].id)
					}
				}
				added, took, moved = added+s.added, took+s.took, true
				done += s.done
			}
		}
		if !moved || e.m == nil {
			continue
		}
		if everywhere {
			lines = nil
		}
		held := e.m.Stamps[card.ID] + added - took - done*card.Goal
		r.Stamps = append(r.Stamps, StampMove{Card: card.ID, Added: added, Held: held, Goal: card.Goal, Completed: done, Taken: took, Lines: lines})
		if !e.in.Plain {
			r.Stamps[len(r.Stamps)-1].Name = card.Name.in(e.lang.lang, e.rb.defaultLang)
		}
	}
}

// resultCounters tells what this receipt adds to the member's counters.
func (e *eval) resultCounters(r *Result) {
	if e.m == nil {
		return
	}
	n := len(e.rb.counters) + len(e.use.member)
	if n == 0 {
		return
	}
	r.Counters = room(r.Counters, n)
	day := e.day.String()
	for k := range e.rb.counters {
		if add := e.counterAdd(int32(k)); add != 0 {
			a := CounterAdd{Counter: e.rb.counters[k].ID, Day: day, Add: add}
			e.counterShares(&e.rb.counters[k], &a)
			r.Counters = append(r.Counters, a)
		}
	}
	r.Counters = append(r.Counters, e.use.member...)
}

// counterShares notes how a return in parts takes the movement back.
func (e *eval) counterShares(c *counter, a *CounterAdd) {
	switch c.Of {
	case "spend":
		a.Spread = "net"
	case "units":
		a.Spread = "quantity"
	case "points":
		a.Spread = "points"
		return
	default:
		return
	}
	if c.sel == selAll {
		return
	}
	a.Spread, a.By = "", make([]int64, len(e.lines))
	for _, i := range e.linesOf(c.sel) {
		if c.Of == "spend" {
			a.By[i] = int64(e.lines[i].cur) * (oneUnit / oneMoney)
		} else {
			a.By[i] = int64(e.lines[i].in.Quantity)
		}
	}
}
