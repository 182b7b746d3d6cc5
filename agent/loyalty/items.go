package loyalty

import (
	"cmp"
	"slices"
)

// item is the units of one line that set offers count and pick. A weighed
// line, or one whose quantity is not whole, is one unit.
type item struct {
	line  int32
	units int64 // that are free to be picked
	taken int64 // picked
	inBuy bool  // also counts for the buying side
}

// wholeUnits is how many units a line has for set offers.
func wholeUnits(l *Line) int64 {
	if l.Quantity <= 0 {
		return 0
	}
	if l.Quantity%oneUnit == 0 && (l.Unit == "" || l.Unit == "pcs") {
		return int64(l.Quantity / oneUnit)
	}
	return 1
}

func (it *item) weighed(e *eval) bool {
	return wholeUnits(e.lines[it.line].in) == 1 && e.lines[it.line].in.Quantity != oneUnit
}

// value is what n units of the item cost before this reward.
func (it *item) value(e *eval, n int64) Money {
	l := &e.lines[it.line]
	all := wholeUnits(l.in)
	if n >= all {
		return l.was
	}
	v, _ := e.rb.set.mulUnits(int64(l.was), n, all, HalfUp)
	return Money(v)
}

// comparePrice orders two lines by what one unit costs now.
func (e *eval) comparePrice(a, b int32) int {
	la, lb := &e.lines[a], &e.lines[b]
	ua, ub := wholeUnits(la.in), wholeUnits(lb.in)
	// cur/units compared without division, in 128 bits.
	return cmp128(int64(la.was), ub, int64(lb.was), ua)
}

// cmp128 compares a*b with c*d, none negative.
func cmp128(a, b, c, d int64) int {
	h1, l1 := mul128(a, b)
	h2, l2 := mul128(c, d)
	if h1 != h2 {
		return cmp.Compare(h1, h2)
	}
	return cmp.Compare(l1, l2)
}

// collect fills items with the units of lines a discount may touch, in order
// of their unit price; equal prices keep the receipt's order.
func (e *eval) collect(lines []int32, dearest bool) (total int64) {
	e.items = e.items[:0]
	for _, i := range lines {
		l := &e.lines[i]
		l.was = l.cur
		if e.room(l) <= 0 {
			continue
		}
		n := wholeUnits(l.in)
		if n == 0 {
			continue
		}
		e.items = append(e.items, item{line: i, units: n})
		total += n
	}
	slices.SortStableFunc(e.items, func(a, b item) int {
		c := e.comparePrice(a.line, b.line)
		if dearest {
			c = -c
		}
		return c
	})
	return total
}

// pick takes the first n units of the items.
func (e *eval) pick(n int64) {
	kept := e.items[:0]
	for _, it := range e.items {
		if n <= 0 {
			break
		}
		it.taken = min(n, it.units)
		n -= it.taken
		kept = append(kept, it)
	}
	e.items = kept
}

// pickUnits picks units given as a quantity.
func (e *eval) pickUnits(lines []int32, quantity int64, dearest bool) {
	e.collect(lines, dearest)
	e.pick(quantity / oneUnit)
	for _, it := range e.items {
		e.rstate().units += it.taken
	}
}

// percentOfItems takes a percent off the picked units.
func (e *eval) percentOfItems(pct Percent, limit Money) {
	left := limit
	for k := range e.items {
		it := &e.items[k]
		if it.taken == 0 {
			continue
		}
		amount := e.percentOf(it.value(e, it.taken), pct)
		if limit > 0 {
			amount = min(amount, left)
		}
		left -= e.take(it.line, amount)
	}
}

// priceItems gives the picked units a percent, an amount or a price off.
func (e *eval) priceItems(pct Percent, amount Money, price *Price) {
	switch {
	case price != nil:
		for k := range e.items {
			it := &e.items[k]
			if it.taken == 0 {
				continue
			}
			n, ok := e.rb.set.mulUnits(int64(*price), it.taken, priceToCent, e.rb.set.mode)
			if !ok {
				continue
			}
			e.take(it.line, it.value(e, it.taken)-Money(n))
		}
	case amount > 0:
		for k := range e.items {
			it := &e.items[k]
			if it.taken == 0 {
				continue
			}
			n, ok := mulDiv(int64(amount), it.taken, 1, Down)
			if !ok {
				n = maxAmount
			}
			e.take(it.line, min(Money(n), it.value(e, it.taken)))
		}
	default:
		e.percentOfItems(pct, 0)
	}
}

type itemOff struct {
	ItemOff
	sel     int32
	dearest bool
	byLine  bool
}

func (o *itemOff) discount(e *eval) {
	total := e.collect(e.linesOf(o.sel), o.dearest)
	n := o.Count
	if o.byLine {
		// A whole line is one item.
		for k := range e.items {
			e.items[k].units = 1
		}
		total = int64(len(e.items))
	}
	if o.Every > 0 {
		sets := total / o.Every
		if o.Times > 0 {
			sets = min(sets, o.Times)
		}
		var ok bool
		if n, ok = mulDiv(sets, o.Count, 1, Down); !ok {
			n = total
		}
	}
	if left, limited := e.unitsLeft(0); limited {
		n = min(n, left/oneUnit)
	}
	e.pick(n)
	for _, it := range e.items {
		e.rstate().units += it.taken
	}
	if o.byLine {
		for k := range e.items {
			e.items[k].taken = wholeUnits(e.lines[e.items[k].line].in)
		}
	}
	e.priceItems(o.Percent, o.Amount, o.Price)
}

type buyGet struct {
	BuyGet
	buy, get int32
	same     bool // both sides are the same goods
	dearest  bool
	percent  Percent
}

func (b *buyGet) discount(e *eval) {
	if b.Add == "added" {
		b.addGift(e)
		return
	}
	get := e.linesOf(b.get)
	if b.SameSKU {
		done := map[string]bool{}
		for _, i := range get {
			sku := e.lines[i].in.SKU
			if done[sku] {
				continue
			}
			done[sku] = true
			var same []int32
			for _, j := range get {
				if e.lines[j].in.SKU == sku {
					same = append(same, j)
				}
			}
			b.give(e, same, same)
		}
		return
	}
	b.give(e, e.linesOf(b.buy), get)
}

// give frees as many units of get as the units of buy that are left allow: a
// freed unit no longer counts as bought.
func (b *buyGet) give(e *eval, buy, get []int32) {
	have := b.have(e, buy)
	units := e.collect(get, b.dearest)
	if len(e.items) == 0 {
		return
	}
	for k := range e.items {
		_, e.items[k].inBuy = slices.BinarySearch(buy, e.items[k].line)
	}
	per := int64(b.Get.Quantity) / oneUnit
	most := units
	if left, limited := e.unitsLeft(0); limited {
		most = min(most, left/oneUnit)
	}
	if b.Times > 0 {
		if n, ok := mulDiv(max(0, b.Times-e.rstate().times), per, 1, Down); ok {
			most = min(most, n)
		}
	}
	// More freed units leave fewer bought ones and need more of them, so the
	// largest number that fits is found by halving.
	lo, hi := int64(0), most
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if b.fits(e, have, mid, per) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	if lo == 0 {
		return
	}
	if b.PerSet && b.same {
		b.pickPerSet(e, lo)
	} else {
		e.pick(lo)
	}
	e.rstate().times += (lo + per - 1) / per
	e.rstate().units += lo
	e.priceItems(b.percent, b.Amount, b.Price)
}

// have is what is bought: units, or minor units of money.
func (b *buyGet) have(e *eval, buy []int32) (n int64) {
	for _, i := range buy {
		l := &e.lines[i]
		if l.flags&(flagReturn|flagClosed) != 0 {
			continue
		}
		if b.BuyAmount > 0 {
			n += int64(l.cur)
		} else {
			n += wholeUnits(l.in)
		}
	}
	return n
}

// fits tells whether f units may be free.
func (b *buyGet) fits(e *eval, have, f, per int64) bool {
	left := f
	for k := range e.items {
		it := &e.items[k]
		n := min(left, it.units)
		if it.inBuy {
			if b.BuyAmount > 0 {
				have -= int64(it.value(e, n))
			} else {
				have -= n
			}
		}
		if left -= n; left == 0 {
			break
		}
	}
	need := int64(b.Buy.Quantity) / oneUnit
	if b.BuyAmount > 0 {
		need = int64(b.BuyAmount)
	}
	sets := (f + per - 1) / per
	n, ok := mulDiv(sets, need, 1, Down)
	return ok && have >= n
}

// pickPerSet forms sets from the dearest goods down and frees the last ones
// of each set, instead of the cheapest of all.
func (b *buyGet) pickPerSet(e *eval, free int64) {
	slices.SortStableFunc(e.items, func(x, y item) int { return -e.comparePrice(x.line, y.line) })
	per, need := int64(b.Get.Quantity)/oneUnit, int64(b.Buy.Quantity)/oneUnit
	size, pos := per+need, int64(0)
	before := func(p int64) int64 { // free places among the first p
		return p/size*per + max(0, p%size-need)
	}
	for k := range e.items {
		it := &e.items[k]
		it.taken = min(free, before(pos+it.units)-before(pos))
		free -= it.taken
		pos += it.units
	}
}

// addGift hands the goods over on top of the basket.
func (b *buyGet) addGift(e *eval) {
	need := int64(b.Buy.Quantity) / oneUnit
	if b.BuyAmount > 0 {
		need = int64(b.BuyAmount)
	}
	n := b.have(e, e.linesOf(b.buy)) / need
	if b.Times > 0 {
		n = min(n, b.Times)
	}
	if n > 0 {
		q, ok := mulDiv(n, int64(b.Get.Quantity), 1, Down)
		if !ok {
			e.fail(ErrOverflow)
			return
		}
		e.x.gifts = append(e.x.gifts, giftMade{rule: e.rule.index, sku: b.SKU, quantity: Quantity(q)})
		e.rstate().times += n
	}
}
