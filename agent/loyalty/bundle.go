package loyalty

import (
	"slices"
)

type bundle struct {
	Bundle
	sels    []int32
	dearest bool
}

func (b *bundle) discount(e *eval) {
	free := make([]int64, len(e.lines)) // units not yet in a set
	for i := range e.lines {
		l := &e.lines[i]
		l.was = l.cur
		if e.room(l) > 0 {
			free[i] = wholeUnits(l.in)
		}
	}
	most := int64(maxSets)
	if b.Times > 0 {
		most = min(most, b.Times)
	}
	taken := make([]int64, len(e.lines))
	for range most {
		set, ok := b.oneSet(e, free)
		if !ok {
			break
		}
		var value Money
		for _, it := range set {
			value += it.value(e, it.taken)
		}
		n := b.repeats(free, set)
		if b.Times > 0 {
			n = min(n, b.Times-e.rstate().times)
		}
		if b.Price != nil && value <= *b.Price || n <= 0 {
			break // goods that cost less than the set are sold as they are
		}
		e.rstate().times += n
		for _, it := range set {
			taken[it.line] += it.taken * n
			free[it.line] -= it.taken * n
		}
		b.price(e, set, value, n)
		if b.Times > 0 && e.rstate().times >= b.Times {
			break
		}
	}
}

// maxSets bounds the different sets of one offer in a receipt; equal sets
// are counted together and have no bound.
const maxSets = 10_000

// oneSet picks the units of one set, each line at most as often as it has
// units.
func (b *bundle) oneSet(e *eval, free []int64) ([]item, bool) {
	m := setMaker{free: slices.Clone(free)}
	for k := range b.Parts {
		if len(m.parts) == b.Need {
			break
		}
		lines := append([]int32(nil), e.linesOf(b.sels[k])...)
		slices.SortStableFunc(lines, func(x, y int32) int {
			c := e.comparePrice(x, y)
			if b.dearest {
				c = -c
			}
			return c
		})
		m.add(lines, int64(b.Parts[k].Quantity)/oneUnit)
	}
	if len(m.parts) < b.Need {
		return nil, false
	}
	return m.items(), true
}

// mergeItems joins entries of the same line.
func mergeItems(set []item) []item {
	slices.SortStableFunc(set, func(a, b item) int { return int(a.line - b.line) })
	out := set[:0]
	for _, it := range set {
		if n := len(out); n > 0 && out[n-1].line == it.line {
			out[n-1].taken += it.taken
			continue
		}
		out = append(out, it)
	}
	return out
}

// repeats is how often exactly this set can be made in a row.
func (b *bundle) repeats(free []int64, set []item) int64 {
	n := int64(1 << 62)
	for _, it := range set {
		n = min(n, free[it.line]/it.taken)
	}
	return n
}

// price books the discount of n equal sets on their lines.
func (b *bundle) price(e *eval, set []item, value Money, n int64) {
	var all Money
	e.weights, e.caps, e.lineBuf = e.weights[:0], e.caps[:0], e.lineBuf[:0]
	for _, it := range set {
		v := it.value(e, it.taken*n)
		all += v
		e.lineBuf = append(e.lineBuf, it.line)
		e.weights = append(e.weights, int64(v))
		e.caps = append(e.caps, int64(min(v, e.room(&e.lines[it.line]))))
	}
	var total Money
	switch {
	case b.Price != nil:
		price, ok := mulDiv(int64(*b.Price), n, 1, Down)
		if !ok {
			return
		}
		total = all - Money(price)
	case b.Percent > 0:
		total = e.percentOf(all, b.Percent)
	default:
		amount, ok := mulDiv(int64(b.Amount), n, 1, Down)
		if !ok {
			amount = maxAmount
		}
		total = min(all, Money(amount))
	}
	e.takeShared(total)
}
