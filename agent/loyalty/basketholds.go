package loyalty

import (
	"slices"
	"strings"
)

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
	m := setMaker{free: make([]int64, len(e.lines))}
	for i := range e.lines {
		m.free[i] = wholeUnits(e.lines[i].in)
	}
	for k, s := range c.sels {
		want, ok := mulDiv(c.need[k], c.times, 1, Down)
		if !ok {
			return false, "sets"
		}
		m.add(e.linesOf(s), want)
	}
	return len(m.parts) >= c.parts, "sets"
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
