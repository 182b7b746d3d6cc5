package loyalty

import (
	"math"
	"slices"
	"strings"
)

// limit is a compiled Limit. Its use is kept in counters: those of the
// member travel with the snapshot, the others with the till.
type limit struct {
	*Limit
	key   string // "rule:<id>" or "programme:<what>"
	quota string // how its quota is known, when it counts for several tills
}

// shared tells whether several tills count on it together, so that each may
// give only what was handed to it.
func (l *Limit) shared() bool { return l.Per == "store" || l.Per == "all" }

// newLimit compiles a limit. Its quota is known by what it says and not by its
// place: moving it about in the document changes nothing.
func newLimit(l *Limit, key string) limit {
	n := limit{Limit: l, key: key}
	if l.shared() {
		period, _ := l.Period.MarshalText()
		n.quota = "limit " + key + "/" + l.Per + "/" + string(period)
	}
	return n
}

const (
	perReceipt = "receipt"
	perMember  = "member"
	perCard    = "card"
)

// usage is what this receipt adds to limits and budgets.
type usage struct {
	member  []CounterAdd
	shared  []CounterAdd
	budgets []BudgetUse
}

func (u *usage) reset() {
	clear(u.member)
	clear(u.shared)
	clear(u.budgets)
	u.member, u.shared, u.budgets = u.member[:0], u.shared[:0], u.budgets[:0]
}

// scope is the counter of a limit for this receipt: whose it is, and its
// name. Member counters are empty for a stranger, who has no history.
func (e *eval) limitKey(l *limit, suffix string) (key string, ofMember bool) {
	switch l.Per {
	case perMember:
		return l.key + suffix, true
	case perCard:
		return l.key + suffix + atCard + e.m.cardRef(), true
	case "store":
		return l.key + "@store=" + e.r.Store + suffix, false
	case "till":
		return l.key + "@till=" + e.r.Store + "/" + e.r.Till + suffix, false
	case "cashier":
		return l.key + "@cashier=" + e.r.Store + "/" + e.r.Cashier + suffix, false
	}
	return l.key + suffix, false
}

// atCard stands in the name of a card's counter before the card.
const atCard = "@card="

// SplitCounter parts the name of a member's counter into what comes from the
// rulebook, the same for many members, and what is one card's or one coupon
// code's own; own is empty for most.
func SplitCounter(name string) (common, own string) {
	if i := strings.Index(name, atCard); i >= 0 {
		return name[:i+len(atCard)], name[i+len(atCard):]
	}
	if code, ok := strings.CutPrefix(name, couponCounterName); ok {
		return couponCounterName, code
	}
	return name, ""
}

// HasOwn tells whether a common part is followed by an own one.
func HasOwn(common string) bool {
	return common == couponCounterName || strings.HasSuffix(common, atCard)
}

// cardRef names the card that was shown; empty when none was.
func (m *Member) cardRef() string {
	if m == nil {
		return ""
	}
	return m.Card.Ref
}

// used is what earlier receipts have used of a limit, in thousandths for
// counts and units, and in the amount's own unit for money and points.
func (e *eval) used(l *limit, suffix string) int64 {
	if l.Per == perReceipt || e.m == nil && (l.Per == perMember || l.Per == perCard) {
		return 0
	}
	from := l.Period.start(e.day)
	key, ofMember := e.limitKey(l, suffix)
	if !ofMember {
		return sumDays(e.in.Usage[key], from, e.day)
	}
	if l.Per == perCard && e.m.Card.Ref == "" {
		// Known without a card: what any of her cards has used counts, or the
		// telephone number would be one more card.
		var sum int64
		for k, days := range e.m.Counters {
			if strings.HasPrefix(k, key) {
				sum += sumDays(days, from, e.day)
			}
		}
		return sum
	}
	return sumDays(e.m.Counters[key], from, e.day)
}

// left is how much of one bound of a limit may still be given: what earlier
// receipts left of it, and no more than this till was handed when several
// tills count on it together.
func (e *eval) left(l *limit, suffix string, bound int64) int64 {
	left := bound - e.used(l, suffix)
	if l.quota == "" || len(e.in.Budgets) == 0 {
		return left
	}
	e.buf = append(append(e.buf[:0], l.quota...), suffix...)
	q := e.in.Budgets[string(e.buf)]
	e.buf = e.buf[:0]
	if q == nil {
		return left
	}
	switch suffix {
	case useMoney:
		return min(left, int64(q.Money))
	case usePoints:
		return min(left, int64(q.Points))
	}
	return min(left, q.Count*oneUnit)
}

// Suffixes of the counters of one limit.
const (
	useCount  = ""
	useUnits  = ":units"
	useMoney  = ":money"
	usePoints = ":points"
)

// limitsAllow tells whether a rule's limits leave anything.
func (e *eval) limitsAllow(r *rule) bool {
	for k := range r.limits {
		if !e.limitAllows(&r.limits[k]) {
			return false
		}
	}
	return true
}

func (e *eval) limitAllows(l *limit) bool {
	if l.Per == perReceipt {
		return true
	}
	return (l.Count == 0 || e.left(l, useCount, l.Count*oneUnit) >= oneUnit) &&
		(l.Units == 0 || e.left(l, useUnits, l.Units*oneUnit) >= oneUnit) &&
		(l.Money == 0 || e.left(l, useMoney, int64(l.Money)) > 0) &&
		(l.Points == 0 || e.left(l, usePoints, int64(l.Points)) > 0)
}

// unitsLeft is how many units the rule's limits let it touch; quantity is
// what the reward itself allows, 0 for any.
func (e *eval) unitsLeft(quantity int64) (left int64, limited bool) {
	left = math.MaxInt64
	if quantity > 0 {
		left, limited = quantity, true
	}
	for k := range e.rule.limits {
		l := &e.rule.limits[k]
		if l.Units > 0 {
			left, limited = min(left, max(0, e.left(l, useUnits, l.Units*oneUnit)-e.rstate().units*oneUnit)), true
		}
	}
	return left, limited
}

// byUnit is a reward that takes goods by the unit, as a limit of units wants.
type byUnit interface{ takesUnits() bool }

func (p *percentOff) takesUnits() bool { return true }
func (a *amountOff) takesUnits() bool  { return a.Per == "unit" }
func (p *newPrice) takesUnits() bool   { return p.Table == nil }
func (o *itemOff) takesUnits() bool    { return true }
func (b *buyGet) takesUnits() bool     { return b.Add != "added" }

// withinLimits lowers what a rule has just booked to what its limits and its
// budget leave, and returns what remains.
func (e *eval) withinLimits(r *rule, mark int, given Money) Money {
	left := given
	why := &e.states[r.index].why
	for k := range r.limits {
		l := &r.limits[k]
		if l.Money > 0 {
			left = min(left, Money(e.left(l, useMoney, int64(l.Money))))
		}
	}
	for k := range e.rb.programmeLimits {
		l := &e.rb.programmeLimits[k]
		if l.What != "discount" {
			continue
		}
		if !e.limitAllows(l) {
			*why = "limit"
			return 0
		}
		if l.Money > 0 {
			left = min(left, Money(e.left(l, useMoney, int64(l.Money)))-e.ruleDiscounts(mark))
		}
	}
	if r.budget >= 0 {
		room, partial := e.budgetRoom(r, given)
		if room < left {
			if !partial || room == 0 {
				*why = "budget"
				return 0
			}
			left = room
		}
	}
	if left = e.rb.set.whole(left); left <= 0 {
		*why = "limit"
		return 0
	}
	if left < given {
		e.shrink(mark, left)
	}
	return left
}

// ruleDiscounts is the sum of rule discounts booked before mark.
func (e *eval) ruleDiscounts(mark int) (sum Money) {
	for _, a := range e.allocs[:mark] {
		if a.rule != ruleExternal {
			sum += a.amount
		}
	}
	return sum
}

// shrink lowers the allocations after mark to a smaller total, each in
// proportion.
func (e *eval) shrink(mark int, total Money) {
	part := e.allocs[mark:]
	e.weights, e.out = e.weights[:0], grown(e.out, len(part))
	for _, a := range part {
		e.weights = append(e.weights, int64(a.amount))
	}
	e.split.money(e.rb.set.unit, int64(total), e.weights, e.weights, e.out)
	for k := range part {
		a := &part[k]
		back := a.amount - Money(e.out[k])
		a.amount -= back
		e.lines[a.line].cur += back
		e.sums += back
	}
	kept := e.allocs[:mark]
	for _, a := range part {
		if a.amount > 0 {
			kept = append(kept, a)
		}
	}
	e.allocs = kept
}

// BudgetUse is what one receipt uses of a budget.
type BudgetUse struct {
	Budget string `json:"budget"`
	Rule   string `json:"rule"`
	Count  int64  `json:"count,omitempty"`
	Money  Money  `json:"money,omitzero"`
	Points Points `json:"points,omitzero"`
	Cost   Money  `json:"cost,omitzero"` // money, and points and gifts at their value
}

// budgetUsed is what this receipt has used of a budget so far.
func (e *eval) budgetUsed(id string) (u BudgetUse) {
	for _, b := range e.use.budgets {
		if b.Budget == id {
			u.Count += b.Count
			u.Money += b.Money
			u.Points += b.Points
			u.Cost += b.Cost
		}
	}
	return u
}

// budgetAllows tells whether the rule's budget has anything left.
func (e *eval) budgetAllows(r *rule) bool {
	b := &e.rb.doc.Budgets[r.budget]
	q := e.in.Budgets[b.ID]
	if q == nil {
		return false
	}
	u := e.budgetUsed(b.ID)
	return (b.Count == 0 || q.Count > u.Count) && (b.Money == 0 || q.Money > u.Money) &&
		(b.Points == 0 || q.Points > u.Points) && (b.Turnover == 0 || e.turnoverRoom(b, q, u, 0) > 0)
}

// turnoverRoom is the reward cost that a share of turnover still allows. The
// turnover of this receipt counts: what the customer pays after the discounts
// so far, by points or otherwise, and back, what the caller is about to take
// off again.
func (e *eval) turnoverRoom(b *Budget, q *Quota, u BudgetUse, back Money) Money {
	turnover, ok := addOK(int64(q.Turnover), int64(max(e.sums+e.paid+back, 0)))
	if !ok {
		return 0
	}
	n, ok := mulDiv(turnover, int64(b.Turnover), hundredPct, Down)
	if !ok {
		return 0
	}
	return Money(n) - q.Cost - u.Cost
}

// discountRoom is turnoverRoom for a discount: each unit of it costs one and
// lowers the turnover by one.
func (e *eval) discountRoom(b *Budget, q *Quota, u BudgetUse, back Money) Money {
	n, ok := mulDiv(int64(e.turnoverRoom(b, q, u, back)), hundredPct, hundredPct+int64(b.Turnover), Down)
	if !ok {
		return 0
	}
	return Money(n)
}

// budgetRoom is how much money the rule's budget still allows: of a discount
// that is booked already, or of a gift when there is none.
func (e *eval) budgetRoom(r *rule, discount Money) (room Money, partial bool) {
	b := &e.rb.doc.Budgets[r.budget]
	q := e.in.Budgets[b.ID]
	room = math.MaxInt64
	if q == nil {
		return 0, false
	}
	u := e.budgetUsed(b.ID)
	if b.Money > 0 {
		room = q.Money - u.Money
	}
	switch {
	case b.Turnover > 0 && discount > 0:
		room = min(room, e.discountRoom(b, q, u, discount))
	case b.Turnover > 0:
		room = min(room, e.turnoverRoom(b, q, u, 0))
	}
	return max(room, 0), b.Partial
}

// holdTurnover takes discounts back that a share of turnover does not allow
// any more, because later ones have lowered what is paid: the last rule of the
// budget first, and all of its discount unless the budget gives in part.
func (e *eval) holdTurnover() {
	for k := range e.rb.doc.Budgets {
		b := &e.rb.doc.Budgets[k]
		q := e.in.Budgets[b.ID]
		if b.Turnover == 0 || q == nil {
			continue
		}
		for n := len(e.cands) - 1; n >= 0; n-- {
			r := &e.rb.rules[e.cands[n]]
			given := e.states[r.index].discount
			if r.budget != int32(k) || given == 0 {
				continue
			}
			over := -e.turnoverRoom(b, q, e.budgetUsed(b.ID), 0)
			if over <= 0 {
				break
			}
			if b.Partial {
				least, ok := mulDiv(int64(over), hundredPct, hundredPct+int64(b.Turnover), Up)
				if ok {
					given = min(given, Money(least))
				}
			}
			e.takeBack(r, given, "budget")
		}
	}
	e.allocs = slices.DeleteFunc(e.allocs, func(a alloc) bool { return a.amount == 0 })
}

// pointsRoom is how many points the limits and the budget of a rule allow.
func (e *eval) pointsRoom(r *rule, want Points, w *wallet) Points {
	left := want
	for k := range r.limits {
		if l := &r.limits[k]; l.Points > 0 {
			left = min(left, Points(e.left(l, usePoints, int64(l.Points)))-e.states[r.index].points)
		}
	}
	for k := range e.rb.programmeLimits {
		if l := &e.rb.programmeLimits[k]; l.What == "earning" && l.Points > 0 {
			left = min(left, Points(e.left(l, usePoints, int64(l.Points)))-e.earned())
		}
	}
	if r.budget >= 0 {
		b := &e.rb.doc.Budgets[r.budget]
		q := e.in.Budgets[b.ID]
		if q == nil {
			return 0
		}
		room, u := left, e.budgetUsed(b.ID)
		if b.Points > 0 {
			room = min(room, q.Points-u.Points)
		}
		if b.Turnover > 0 && w.doc.Value > 0 {
			n, ok := mulDiv(int64(max(0, e.turnoverRoom(b, q, u, 0))), onePoint, int64(w.doc.Value), Down)
			if ok {
				room = min(room, Points(n))
			}
		}
		if room < left && !b.Partial {
			return 0
		}
		left = room
	}
	return max(left, 0)
}

// useMoney books a discount on the rule's budget.
func (e *eval) useMoney(r *rule, given Money) {
	if r.budget >= 0 {
		e.useBudget(r, BudgetUse{Money: given, Cost: given})
	}
}

// useBudget books a use; the rule counts once however much it gives.
func (e *eval) useBudget(r *rule, u BudgetUse) {
	id := e.rb.doc.Budgets[r.budget].ID
	for k := range e.use.budgets {
		if b := &e.use.budgets[k]; b.Budget == id && b.Rule == r.id {
			b.Money += u.Money
			b.Points += u.Points
			b.Cost += u.Cost
			return
		}
	}
	u.Budget, u.Rule, u.Count = id, r.id, 1
	e.use.budgets = append(e.use.budgets, u)
}

// settleUsage writes down what this receipt adds to the counters of limits.
func (e *eval) settleUsage() {
	for _, k := range e.cands {
		r, st := &e.rb.rules[k], &e.states[k]
		if st.state != stateFired {
			continue
		}
		if st.coupon != "" {
			e.addUse(couponCounter(r.id), true, oneUnit, "")
			if st.coupon != r.id {
				e.addUse(couponCounter(st.coupon), true, oneUnit, "")
			}
		}
		for n := range r.limits {
			e.useLimit(&r.limits[n], st.discount, st.points, st.units)
		}
	}
	if len(e.rb.programmeLimits) > 0 {
		e.useProgrammeLimits()
	}
}

// earned is what the receipt earns so far.
func (e *eval) earned() (sum Points) {
	for _, l := range e.lots {
		sum += l.points
	}
	return sum
}

func (e *eval) useProgrammeLimits() {
	earned := e.earned()
	_, spent := e.taken()
	discount := e.ruleDiscounts(len(e.allocs))
	for k := range e.rb.programmeLimits {
		l := &e.rb.programmeLimits[k]
		switch {
		case l.What == "earning" && earned > 0:
			e.useLimit(l, 0, earned, 0)
		case l.What == "spending" && spent > 0:
			e.useLimit(l, 0, spent, 0)
		case l.What == "discount" && discount > 0:
			e.useLimit(l, discount, 0, 0)
		}
	}
}

func (e *eval) useLimit(l *limit, money Money, points Points, units int64) {
	if l.Per == perReceipt {
		return
	}
	add := func(suffix string, wanted bool, n int64) {
		if wanted && n != 0 {
			key, ofMember := e.limitKey(l, suffix)
			e.addUse(key, ofMember, n, spreads[suffix])
		}
	}
	add(useCount, l.Count > 0, oneUnit)
	add(useUnits, l.Units > 0, units*oneUnit)
	add(useMoney, l.Money > 0, int64(money))
	add(usePoints, l.Points > 0, int64(points))
}

// spreads says what total a return takes back a use by.
var spreads = map[string]string{useMoney: "net", usePoints: "points", useUnits: "quantity"}

// addUse notes a counter movement, once per key.
func (e *eval) addUse(key string, ofMember bool, n int64, spread string) {
	list := &e.use.shared
	if ofMember {
		if e.m == nil {
			return
		}
		list = &e.use.member
	}
	for _, a := range *list {
		if a.Counter == key {
			return
		}
	}
	*list = append(*list, CounterAdd{Counter: key, Day: e.day.String(), Add: n, Spread: spread})
}

// FreshBudgets are quotas with nothing used yet, for trying a rulebook out.
func (rb *Rulebook) FreshBudgets() map[string]*Quota {
	m := make(map[string]*Quota, len(rb.doc.Budgets))
	for _, b := range rb.doc.Budgets {
		m[b.ID] = &Quota{Money: b.Money, Points: b.Points, Count: b.Count}
	}
	return m
}

// Split shares what is left of a budget among n tills, so that together they
// never pass it, whatever each of them does without a link. A budget in
// percent of turnover is shared by what its cost may still be: each till's
// share grows with its own turnover.
func (q Quota) Split(n int) []Quota {
	if n < 1 {
		return nil
	}
	parts := make([]Quota, n)
	share := func(total int64, set func(*Quota, int64)) {
		for i := range parts {
			v := total / int64(n)
			if total >= 0 && int64(i) < total%int64(n) {
				v++
			}
			set(&parts[i], v)
		}
	}
	share(int64(q.Money), func(p *Quota, v int64) { p.Money = Money(v) })
	share(int64(q.Points), func(p *Quota, v int64) { p.Points = Points(v) })
	share(q.Count, func(p *Quota, v int64) { p.Count = v })
	for i := range parts {
		// Turnover down and cost up: rounding never makes room.
		parts[i].Turnover = q.Turnover / Money(n)
		parts[i].Cost = (q.Cost + Money(n) - 1) / Money(n)
	}
	return parts
}

// Use takes what a receipt has used out of a quota, and counts its turnover.
func (q *Quota) Use(budget string, r *Result) {
	q.Turnover += turnoverOf(r)
	for _, u := range r.Budgets {
		if u.Budget == budget {
			q.Money -= u.Money
			q.Points -= u.Points
			q.Count -= u.Count
			q.Cost += u.Cost
		}
	}
}
