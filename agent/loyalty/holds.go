package loyalty

import (
	"slices"
	"strings"
	"time"
)

// cond is a compiled condition. why is the machine word of what failed; it
// says nothing when ok.
type cond interface {
	holds(e *eval) (ok bool, why string)
}

type allOf []cond

func (cs allOf) holds(e *eval) (bool, string) {
	for _, c := range cs {
		if ok, why := c.holds(e); !ok {
			return false, why
		}
	}
	return true, ""
}

type anyOf []cond

func (cs anyOf) holds(e *eval) (bool, string) {
	why := "any"
	for _, c := range cs {
		ok, w := c.holds(e)
		if ok {
			return true, ""
		}
		why = w
	}
	return false, why
}

type noneOf []cond

func (cs noneOf) holds(e *eval) (bool, string) {
	code := e.rstate().coupon
	for _, c := range cs {
		if ok, _ := c.holds(e); ok {
			e.rstate().coupon = code
			return false, "none"
		}
	}
	// A coupon that is asked for only to be absent is not used up.
	e.rstate().coupon = code
	return true, ""
}

type scheduleCond struct{ *schedule }

func (s scheduleCond) holds(e *eval) (bool, string) {
	return s.schedule.holds(e.day, e.minute), "schedule"
}

// place is a compiled Where.
type place struct {
	stores, notStores, tills, cashiers, channels map[string]bool
	cohorts                                      []armCond
}

func (p *place) holds(e *eval) bool {
	r := e.r
	if p.stores != nil && !p.stores[r.Store] || p.notStores[r.Store] || p.tills != nil && !p.tills[r.Till] ||
		p.cashiers != nil && !p.cashiers[r.Cashier] {
		return false
	}
	if p.channels != nil {
		c := r.Channel
		if c == "" {
			c = "till"
		}
		if !p.channels[c] {
			return false
		}
	}
	for i := range p.cohorts {
		if !p.cohorts[i].holds(e) {
			return false
		}
	}
	return true
}

type placeCond struct{ *place }

func (p placeCond) holds(e *eval) (bool, string) { return p.place.holds(e), "where" }

// armCond asks for arms of a test.
type armCond struct {
	test *ABTest
	arms map[string]bool
}

func (a *armCond) holds(e *eval) bool {
	var unit string
	switch a.test.Unit {
	case "store":
		unit = e.r.Store
	case "till":
		unit = e.r.Store + "/" + e.r.Till
	default:
		if e.m == nil {
			return false
		}
		unit = e.m.ID.String()
	}
	return unit != "" && a.arms[a.test.Deal(unit)]
}

// Deal is the arm of a test that a member (16 hexadecimal digits), store or
// till falls in: always the same one, and independent between tests. Empty
// when the arms do not add up to 100 percent and the unit is in none.
func (t *ABTest) Deal(unit string) string {
	// FNV-1a, then a finishing mix so that near names fall far apart.
	h := uint64(14695981039346656037)
	for _, s := range [...]string{t.ID, "\x00", unit} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	at := Percent(h % uint64(hundredPct))
	for _, a := range t.Arms {
		if at < a.Percent {
			return a.ID
		}
		at -= a.Percent
	}
	return ""
}

// audience is a compiled Audience.
type audience struct {
	a                              *Audience
	needsMember                    bool
	tiers, notTiers                map[string]bool
	segments, allSegs, notSegments map[string]bool
	arms                           []armCond
}

func (a *audience) holds(e *eval) (bool, string) {
	m, d := e.m, a.a
	if m == nil {
		if a.needsMember {
			return false, "no_member"
		}
		return true, ""
	}
	if d.Known != nil && !*d.Known {
		return false, "audience"
	}
	if a.tiers != nil && !a.tiers[e.tier()] || a.notTiers[e.tier()] {
		return false, "tier"
	}
	if a.segments != nil || a.allSegs != nil || a.notSegments != nil {
		in, all := false, 0
		for _, s := range m.Segments {
			if a.notSegments[s] {
				return false, "segment"
			}
			in = in || a.segments[s]
			if a.allSegs[s] {
				all++
			}
		}
		if a.segments != nil && !in || all < len(a.allSegs) {
			return false, "segment"
		}
	}
	if len(d.CardTypes) > 0 && !slices.Contains(d.CardTypes, m.Card.Type) {
		return false, "card"
	}
	if len(d.CardStatus) > 0 {
		s := m.Card.Status
		if s == "" {
			s = "active"
		}
		if !slices.Contains(d.CardStatus, s) {
			return false, "card"
		}
	}
	for k, values := range d.Attributes {
		if v, ok := m.Attributes[k]; !ok || !slices.Contains(values, v) {
			return false, "attribute"
		}
	}
	for _, k := range d.Without {
		if m.Attributes[k] != "" {
			return false, "attribute"
		}
	}
	for _, c := range d.Consents {
		if !slices.Contains(m.Consents, c) {
			return false, "consent"
		}
	}
	if len(d.Languages) > 0 && !slices.Contains(d.Languages, m.Language) {
		return false, "language"
	}
	for i := range a.arms {
		if !a.arms[i].holds(e) {
			return false, "arm"
		}
	}
	if len(d.IDs) > 0 && !slices.Contains(d.IDs, m.ID.String()) {
		return false, "audience"
	}
	return a.datesHold(e)
}

func (a *audience) datesHold(e *eval) (bool, string) {
	d := a.a
	if d.Birthday != nil && !d.Birthday.holds(e.m.Birthday, e.day) {
		return false, "birthday"
	}
	if d.Anniversary == nil && d.MemberFor.IsZero() && d.JoinedIn.IsZero() {
		return true, ""
	}
	joined, err := ParseDate(e.m.Joined)
	if err != nil {
		return false, "joined"
	}
	if d.Anniversary != nil && (joined.Time().Year() >= e.day.Time().Year() || !d.Anniversary.holds(e.m.Joined[5:], e.day)) {
		return false, "anniversary"
	}
	if !d.MemberFor.IsZero() && d.MemberFor.After(joined) > e.day || !d.JoinedIn.IsZero() && d.JoinedIn.After(joined) < e.day {
		return false, "joined"
	}
	return true, ""
}

// holds tells whether day is in the window around the yearly day MM-DD. A
// 29 February is kept on the 28th in other years.
func (w *Around) holds(monthDay string, day Date) bool {
	t, err := time.Parse("2006-01-02", "2000-"+monthDay)
	if err != nil {
		return false
	}
	year := day.Time().Year()
	if w.Month {
		return day.Time().Month() == t.Month()
	}
	// The window may reach over the turn of the year.
	for y := year - 1; y <= year+1; y++ {
		first := time.Date(y, t.Month(), 1, 0, 0, 0, 0, time.UTC)
		last := first.AddDate(0, 1, -1).Day()
		at := DateOf(first) + Date(min(t.Day(), last)-1)
		if day >= at-Date(w.Before) && day <= at+Date(w.After) {
			return true
		}
	}
	return false
}

// bounds is a compiled Range in a unit's own scale.
type bounds struct {
	lo, hi       int64
	hasLo, hasHi bool
}

// compileRange turns a Range of plain numbers into bounds scaled by one.
func compileRange(r *Range, one int64, strict bool) (b bounds, ok bool) {
	ok = true
	set := func(f *Factor, delta int64, up bool) {
		if f == nil {
			return
		}
		n, fits := mulDiv(int64(*f), one, oneFactor, HalfUp)
		if !fits {
			ok = false
			return
		}
		n += delta
		if up {
			if !b.hasHi || n < b.hi {
				b.hi, b.hasHi = n, true
			}
		} else if !b.hasLo || n > b.lo {
			b.lo, b.hasLo = n, true
		}
	}
	fromDelta := int64(0)
	if strict {
		fromDelta = 1
	}
	set(r.From, fromDelta, false)
	set(r.AtLeast, 0, false)
	set(r.MoreThan, 1, false)
	set(r.AtMost, 0, true)
	set(r.LessThan, -1, true)
	set(r.Equal, 0, false)
	set(r.Equal, 0, true)
	return b, ok
}

func (b bounds) hold(n int64) bool { return (!b.hasLo || n >= b.lo) && (!b.hasHi || n <= b.hi) }

// How the amount of a basket is taken.
type measureOf uint8

const (
	measureNow     measureOf = 0
	measureInitial measureOf = 1
	measureNoTax   measureOf = 2
)

type basketCond struct {
	bounds
	measure string
	of      measureOf
	sel     int32
}

func (b *basketCond) holds(e *eval) (bool, string) {
	var n int64
	if b.measure == "amount" && b.of == measureNow && b.sel == selAll && !e.rb.set.taxExcluded {
		n = int64(e.sums) * (oneFactor / oneMoney)
	} else {
		n = e.measure(b.measure, e.linesOf(b.sel), b.of)
	}
	if b.hold(n) {
		return true, ""
	}
	if b.hasLo && n < b.lo && (b.measure == "amount") {
		e.rstate().missing = Money((b.lo - n + oneFactor/oneMoney - 1) / (oneFactor / oneMoney))
	}
	return false, "basket"
}

// measure is a number about lines in millionths.
func (e *eval) measure(what string, lines []int32, of measureOf) int64 {
	var n int64
	switch what {
	case "amount", "discount":
		var sum Money
		for _, i := range lines {
			l := &e.lines[i]
			a := l.cur
			if of&measureInitial != 0 {
				a = l.gross
			}
			if what == "discount" {
				a = l.gross - l.cur
			}
			switch {
			case of&measureNoTax != 0:
				a = e.withoutTax(a, l.in)
			case e.rb.set.taxExcluded:
				a += e.taxOn(a, l.in)
			}
			sum += a
		}
		return e.scaled(int64(sum), oneFactor/oneMoney)
	case "quantity":
		for _, i := range lines {
			n += wholeUnits(e.lines[i].in)
		}
	case "weight":
		for _, i := range lines {
			if l := e.lines[i].in; l.Quantity > 0 {
				n += int64(l.Quantity)
			}
		}
		return e.scaled(n, oneFactor/oneUnit)
	case "lines":
		for _, i := range lines {
			if e.lines[i].in.Quantity > 0 {
				n++
			}
		}
	case "distinct_skus":
		n = e.distinct(lines, func(l *Line) string { return l.SKU })
	case "distinct_categories":
		n = e.distinct(lines, func(l *Line) string { return l.Category })
	case "distinct_brands":
		n = e.distinct(lines, func(l *Line) string { return l.Brand })
	}
	return e.scaled(n, oneFactor)
}

func (e *eval) scaled(n, by int64) int64 {
	s, ok := mulDiv(n, by, 1, Down)
	if !ok {
		e.fail(ErrOverflow)
	}
	return s
}

func (e *eval) distinct(lines []int32, key func(*Line) string) int64 {
	seen := map[string]bool{}
	for _, i := range lines {
		if l := e.lines[i].in; l.Quantity > 0 {
			if k := key(l); k != "" {
				seen[k] = true
			}
		}
	}
	return int64(len(seen))
}

// withoutTax takes the tax out of an amount that holds it.
func (e *eval) withoutTax(a Money, l *Line) Money {
	if e.rb.set.taxExcluded || l.TaxRate == "" {
		return a
	}
	rate, err := ParsePercent(strings.TrimSuffix(l.TaxRate, "%"))
	if err != nil || rate < 0 || rate > 100*hundredPct {
		return a
	}
	n, ok := mulDiv(int64(a), hundredPct, int64(hundredPct+rate), e.rb.set.mode)
	if !ok {
		return a
	}
	return Money(n)
}

type linesCond struct {
	which string
	sel   int32
	min   Quantity
}

func (c *linesCond) holds(e *eval) (bool, string) {
	lines := e.linesOf(c.sel)
	var n int
	var units Quantity
	for _, i := range lines {
		if q := e.lines[i].in.Quantity; q > 0 {
			n++
			units += q
		}
	}
	switch c.which {
	case "none":
		return n == 0, "lines"
	case "every":
		all := 0
		for i := range e.lines {
			if e.lines[i].in.Quantity > 0 {
				all++
			}
		}
		return all > 0 && n == all, "lines"
	}
	return n > 0 && units >= c.min, "lines"
}

type setsCond struct {
	sels  []int32
	need  []int64
	parts int
	times int64
}

func (c *setsCond) holds(e *eval) (bool, string) {
	free := map[int32]int64{}
	met := 0
	for k, s := range c.sels {
		want, ok := mulDiv(c.need[k], c.times, 1, Down)
		if !ok {
			return false, "sets"
		}
		var picked []item
		for _, i := range e.linesOf(s) {
			if _, ok := free[i]; !ok {
				free[i] = wholeUnits(e.lines[i].in)
			}
			if n := min(want, free[i]); n > 0 {
				picked = append(picked, item{line: i, taken: n})
				want -= n
			}
		}
		if want > 0 {
			continue
		}
		for _, it := range picked {
			free[it.line] -= it.taken
		}
		met++
	}
	return met >= c.parts, "sets"
}

type tenderCond struct{ *TenderHas }

func (c tenderCond) holds(e *eval) (bool, string) {
	var all, ours Money
	other := false
	for _, t := range e.r.Tenders {
		if t.Amount < 0 || t.Amount > maxAmount || all > maxAmount*100 {
			continue
		}
		all += t.Amount
		if slices.Contains(c.Kinds, t.Kind) {
			ours += t.Amount
		} else if t.Amount > 0 {
			other = true
		}
	}
	if ours <= 0 || c.Only && other || ours < c.Min {
		return false, "tender"
	}
	if c.Share > 0 {
		n, ok := mulDiv(int64(all), int64(c.Share), hundredPct, Up)
		if !ok || int64(ours) < n {
			return false, "tender"
		}
	}
	return true, ""
}

type eventCond string

func (c eventCond) holds(e *eval) (bool, string) {
	return slices.Contains(e.r.Events, string(c)), "event"
}

type confirmedCond struct{}

func (confirmedCond) holds(e *eval) (bool, string) {
	return slices.Contains(e.r.Confirmed, e.rule.id), "not_confirmed"
}

type firedCond struct {
	rules []int32
	want  bool
}

func (c *firedCond) holds(e *eval) (bool, string) {
	for _, r := range c.rules {
		if e.states[r].state == stateFired {
			return c.want, "not_fired"
		}
	}
	return !c.want, "fired"
}

type limitCond struct{ rule int32 }

func (c *limitCond) holds(e *eval) (bool, string) {
	ok := e.limitsAllow(&e.rb.rules[c.rule])
	return ok, "limit"
}
