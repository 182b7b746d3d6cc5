package loyalty

// room is what a discount may still take off a line.
func (e *eval) room(l *lineState) Money {
	if !l.open() || l.cur <= l.floor || e.group != nil && e.group.skipDiscounted && l.flags&(flagDisc|flagExternal) != 0 {
		return 0
	}
	return l.cur - l.floor
}

// base is what a percent of the rule is taken of.
func (e *eval) base(l *lineState) Money {
	if e.rule.initialBase {
		return l.gross
	}
	return l.cur
}

// take books a discount of the current rule on a line and returns it.
func (e *eval) take(i int32, amount Money) Money {
	l := &e.lines[i]
	amount = e.rb.set.whole(min(amount, e.room(l)))
	if amount <= 0 {
		return 0
	}
	l.cur -= amount
	e.sums -= amount
	e.allocs = append(e.allocs, alloc{i, e.rule.index, amount})
	return amount
}

// undo takes back the allocations after mark.
func (e *eval) undo(mark int) {
	for _, a := range e.allocs[mark:] {
		e.lines[a.line].cur += a.amount
		e.sums += a.amount
	}
	e.allocs = e.allocs[:mark]
}

// percentOf is pct of amount, rounded as the programme says.
func (e *eval) percentOf(amount Money, pct Percent) Money {
	s := &e.rb.set
	n, ok := mulDiv(int64(amount), int64(pct), hundredPct*s.step, s.mode)
	if !ok {
		e.fail(ErrOverflow)
		return 0
	}
	return Money(n * s.step)
}

// discounter is a compiled reward that lowers prices. It books on e and
// returns nothing: what it gave stands in the allocations.
type discounter interface{ discount(e *eval) }

type percentOff struct {
	PercentOff
	sel int32
}

func (p *percentOff) discount(e *eval) {
	lines := e.linesOf(p.sel)
	if units, limited := e.unitsLeft(int64(p.Units)); limited {
		e.pickUnits(lines, units, true)
		e.percentOfItems(p.Percent, p.Cap)
		return
	}
	s := &e.rb.set
	if s.level == levelReceipt || p.Cap > 0 || p.Floor {
		e.percentShared(lines, p)
		return
	}
	for _, i := range lines {
		l := &e.lines[i]
		if e.room(l) > 0 {
			e.take(i, e.linePercent(l, p.Percent))
		}
	}
}

// linePercent is the percent off one line.
func (e *eval) linePercent(l *lineState, pct Percent) Money {
	s := &e.rb.set
	base := e.base(l)
	if s.level == levelUnit {
		if n := wholeUnits(l.in); n > 1 {
			unit, _ := mulDiv(int64(base), 1, n, s.mode)
			return min(base, e.percentOf(Money(unit), pct)*Money(n))
		}
	}
	if s.roundPrice {
		if pct > hundredPct {
			pct = hundredPct
		}
		left, ok := int64(0), false
		if l.cur == l.gross && l.in.Amount == nil {
			// From the exact amount, before it was rounded to cents.
			if p, fits := mulDiv(int64(l.in.Price), int64(hundredPct-pct), 1, Down); fits {
				left, ok = mulDiv(p, int64(l.in.Quantity), oneUnit*priceToCent*hundredPct, s.mode)
			}
		}
		if !ok {
			left = int64(base - e.percentOfExact(base, pct))
		}
		if r, fits := roundTo(left, s.step, s.mode); fits {
			left = r
		}
		return max(0, min(l.cur, base-Money(left)))
	}
	return e.percentOf(base, pct)
}

// percentOfExact rounds so that base minus it is the rounded price.
func (e *eval) percentOfExact(base Money, pct Percent) Money {
	n, ok := mulDiv(int64(base), int64(hundredPct-pct), hundredPct, e.rb.set.mode)
	if !ok {
		e.fail(ErrOverflow)
	}
	return base - Money(n)
}

// percentShared rounds the percent once, for all the lines, and shares it.
func (e *eval) percentShared(lines []int32, p *percentOff) {
	e.weights, e.caps, e.lineBuf = e.weights[:0], e.caps[:0], e.lineBuf[:0]
	var sum, held Money
	for _, i := range lines {
		l := &e.lines[i]
		room := e.room(l)
		if room <= 0 {
			if p.Floor && l.open() {
				sum += e.base(l)
			}
			continue
		}
		b := e.base(l)
		sum += b
		e.lineBuf = append(e.lineBuf, i)
		e.weights = append(e.weights, int64(b))
		e.caps = append(e.caps, int64(room))
		if over := e.percentOf(b, p.Percent) - room; over > 0 {
			held += over
		}
	}
	total := e.percentOf(sum, p.Percent)
	if !p.Floor {
		// What a floor holds back is not taken elsewhere.
		total -= held
	}
	if p.Cap > 0 {
		total = min(total, p.Cap)
	}
	e.takeShared(total)
}

// takeShared shares a total among lineBuf by weights and caps and books it.
func (e *eval) takeShared(total Money) {
	if total <= 0 || len(e.lineBuf) == 0 {
		return
	}
	e.out = grown(e.out, len(e.lineBuf))
	e.split.money(e.rb.set.unit, int64(total), e.weights, e.caps, e.out)
	for k, i := range e.lineBuf {
		e.take(i, Money(e.out[k]))
	}
}

func grown(s []int64, n int) []int64 {
	if cap(s) < n {
		return make([]int64, n, 2*n)
	}
	return s[:n]
}

type amountOff struct {
	AmountOff
	sel int32
}

func (a *amountOff) discount(e *eval) {
	lines := e.linesOf(a.sel)
	switch a.Per {
	case "line":
		left := a.Cap
		for _, i := range lines {
			amount := a.Amount
			if a.Cap > 0 {
				amount = min(amount, left)
			}
			left -= e.take(i, amount)
		}
		return
	case "unit":
		e.unitAmountOff(lines, a)
		return
	}
	e.weights, e.caps, e.lineBuf = e.weights[:0], e.caps[:0], e.lineBuf[:0]
	var sum Money
	for _, i := range lines {
		l := &e.lines[i]
		room := e.room(l)
		if room <= 0 {
			continue
		}
		sum += l.cur
		w := int64(l.cur)
		switch a.Split {
		case "by_quantity":
			w = int64(l.in.Quantity)
		case "equally":
			w = 1
		}
		e.lineBuf = append(e.lineBuf, i)
		e.weights = append(e.weights, w)
		e.caps = append(e.caps, int64(room))
	}
	total := a.Amount
	if a.Per == "amount" {
		n, ok := mulDiv(int64(sum)/int64(a.Each), int64(a.Amount), 1, Down)
		if !ok {
			e.fail(ErrOverflow)
		}
		total = Money(n)
	}
	if a.Cap > 0 {
		total = min(total, a.Cap)
	}
	e.takeShared(total)
}

func (e *eval) unitAmountOff(lines []int32, a *amountOff) {
	if units, limited := e.unitsLeft(int64(a.Units)); limited {
		e.pickUnits(lines, units, true)
		left := a.Cap
		for k := range e.items {
			it := &e.items[k]
			n, ok := mulDiv(int64(a.Amount), it.taken, 1, Down)
			if !ok {
				n = maxAmount
			}
			amount := Money(n)
			if a.Cap > 0 {
				amount = min(amount, left)
			}
			left -= e.take(it.line, min(amount, it.value(e, it.taken)))
		}
		return
	}
	left := a.Cap
	for _, i := range lines {
		n, ok := mulDiv(int64(a.Amount), int64(e.lines[i].in.Quantity), oneUnit, e.rb.set.mode)
		if !ok {
			n = maxAmount
		}
		amount := Money(n)
		if a.Cap > 0 {
			amount = min(amount, left)
		}
		left -= e.take(i, amount)
	}
}

type newPrice struct {
	NewPrice
	sel int32
}

func (p *newPrice) discount(e *eval) {
	if p.Table != nil {
		for _, i := range e.linesOf(p.sel) {
			if price, ok := p.Table[e.lines[i].in.SKU]; ok {
				e.setPrice(i, price)
			}
		}
		return
	}
	lines := e.linesOf(p.sel)
	if units, limited := e.unitsLeft(int64(p.Units)); limited {
		e.pickUnits(lines, units, true)
		for k := range e.items {
			it := &e.items[k]
			n, ok := e.rb.set.mulUnits(int64(p.Price), it.taken, priceToCent, e.rb.set.mode)
			if it.weighed(e) {
				n, ok = e.rb.set.mulUnits(int64(p.Price), int64(e.lines[it.line].in.Quantity), oneUnit*priceToCent, e.rb.set.mode)
			}
			if ok {
				e.take(it.line, it.value(e, it.taken)-Money(n))
			}
		}
		return
	}
	for _, i := range lines {
		e.setPrice(i, p.Price)
	}
}

func (e *eval) setPrice(i int32, price Price) {
	l := &e.lines[i]
	n, ok := e.rb.set.mulUnits(int64(price), int64(l.in.Quantity), oneUnit*priceToCent, e.rb.set.mode)
	if ok {
		e.take(i, l.cur-Money(n))
	}
}

type scale struct {
	Scale
	of, on int32
	strict bool
}

func (s *scale) discount(e *eval) {
	switch s.Per {
	case "line":
		for _, i := range e.linesOf(s.on) {
			e.lineBuf = append(e.lineBuf[:0], i)
			s.apply(e, e.lineBuf, e.lineBuf, s.Cap)
		}
	case "sku":
		done := map[string]bool{}
		lines := e.linesOf(s.on)
		for k, i := range lines {
			sku := e.lines[i].in.SKU
			if done[sku] {
				continue
			}
			done[sku] = true
			same := []int32{i}
			for _, j := range lines[k+1:] {
				if e.lines[j].in.SKU == sku {
					same = append(same, j)
				}
			}
			s.apply(e, same, same, s.Cap)
		}
	default:
		s.apply(e, e.linesOf(s.of), e.linesOf(s.on), s.Cap)
	}
}

func (s *scale) apply(e *eval, of, on []int32, limit Money) {
	n := e.measure(s.By, of, measureNow)
	step := -1
	for k := range s.Steps {
		if from := s.Steps[k].From; Factor(n) > from || Factor(n) == from && !s.strict {
			step = k
		}
	}
	if step < 0 {
		return
	}
	st := &s.Steps[step]
	lines := append([]int32(nil), on...)
	e.weights, e.caps, e.lineBuf = e.weights[:0], e.caps[:0], e.lineBuf[:0]
	var sum Money
	for _, i := range lines {
		l := &e.lines[i]
		if room := e.room(l); room > 0 {
			b := e.base(l)
			sum += b
			e.lineBuf = append(e.lineBuf, i)
			e.weights = append(e.weights, int64(b))
			e.caps = append(e.caps, int64(room))
		}
	}
	var total Money
	switch {
	case s.Mode == "slices":
		total = s.slices(e, n, sum, step)
	case st.Price != nil:
		for _, i := range lines {
			e.setPrice(i, *st.Price)
		}
		return
	case st.Percent > 0 && e.rb.set.level != levelReceipt && limit == 0:
		for _, i := range e.lineBuf {
			e.take(i, e.linePercent(&e.lines[i], st.Percent))
		}
		return
	case st.Percent > 0:
		total = e.percentOf(sum, st.Percent)
	default:
		total = st.Amount
	}
	if limit > 0 {
		total = min(total, limit)
	}
	e.takeShared(total)
}

// slices adds up each step's percent of its own part of the amount.
func (s *scale) slices(e *eval, n int64, sum Money, last int) (total Money) {
	for k := 0; k <= last; k++ {
		to := n
		if k < last {
			to = int64(s.Steps[k+1].From)
		}
		part := to - int64(s.Steps[k].From)
		if s.Steps[k].Percent == 0 {
			total += s.Steps[k].Amount
			continue
		}
		share, ok := mulDiv(int64(sum), part, max(n, 1), e.rb.set.mode)
		if !ok {
			e.fail(ErrOverflow)
			return 0
		}
		total += e.percentOf(Money(share), s.Steps[k].Percent)
	}
	return total
}

type roundTotal struct{ step Money }

func (r *roundTotal) discount(e *eval) {
	spare := e.sums % r.step
	if spare <= 0 {
		return
	}
	e.weights, e.caps, e.lineBuf = e.weights[:0], e.caps[:0], e.lineBuf[:0]
	for _, i := range e.all {
		if room := e.room(&e.lines[i]); room > 0 {
			e.lineBuf = append(e.lineBuf, i)
			e.weights = append(e.weights, int64(e.lines[i].cur))
			e.caps = append(e.caps, int64(room))
		}
	}
	e.takeShared(spare)
}
