package loyalty

type percentPoints struct {
	pointsInto
	percent Percent
	value   Money // of one point, when the percent is of value
}

func (p *percentPoints) accrue(e *eval) Points {
	w := &e.rb.wallets[p.wallet]
	base := e.baseOf(&p.pointsInto)
	if p.perLine {
		return e.perLine(func(b int64) (int64, bool) {
			n, ok := p.points(b, w.mode)
			if ok {
				n, ok = roundTo(n, w.step, w.mode)
			}
			return n, ok
		})
	}
	if w.step > 1 && p.value == 0 {
		// Rounded once, to the wallet's step, not first to the hundredth.
		n, ok := mulDiv(int64(base), int64(p.percent), hundredPct*w.step, w.mode)
		if !ok || n > maxPoints {
			e.fail(ErrOverflow)
			return 0
		}
		return Points(n * w.step)
	}
	n, ok := p.points(int64(base), w.mode)
	if !ok {
		e.fail(ErrOverflow)
	}
	return Points(n)
}

// points for an amount in minor units: a minor unit and a hundredth of a
// point are the same share of their whole.
func (p *percentPoints) points(base int64, mode Mode) (int64, bool) {
	if p.value == 0 {
		return mulDiv(base, int64(p.percent), hundredPct, mode)
	}
	n, ok := mulDiv(base, int64(p.percent), 1, mode)
	if !ok {
		return 0, false
	}
	return mulDiv(n, onePoint, int64(p.value)*hundredPct, mode)
}

// perLine turns the weights into the points of each line and sums them up.
func (e *eval) perLine(f func(base int64) (int64, bool)) Points {
	var sum int64
	for k := range e.weights {
		n, ok := f(e.weights[k])
		if !ok {
			e.fail(ErrOverflow)
			return 0
		}
		e.weights[k] = n
		if sum, ok = addOK(sum, n); !ok || sum > maxPoints {
			e.fail(ErrOverflow)
			return 0
		}
	}
	return Points(sum)
}

type stepPoints struct {
	pointsInto
	*StepPoints
	steps []StepFrom // with base 0 first
}

func (s *stepPoints) target() *pointsInto { return &s.pointsInto }

func (s *stepPoints) accrue(e *eval) Points {
	base := e.baseOf(&s.pointsInto)
	if s.perLine {
		return e.perLine(s.points)
	}
	n, ok := s.points(int64(base))
	if !ok || n > maxPoints {
		e.fail(ErrOverflow)
	}
	return Points(n)
}

// points for full steps of a base.
func (s *stepPoints) points(base int64) (n int64, ok bool) {
	if base < int64(s.Min) {
		return 0, true
	}
	ok = true
	for k := range s.steps {
		st := &s.steps[k]
		if base < int64(st.From) {
			break
		}
		part := base
		if s.Slices {
			part -= int64(st.From)
			if k+1 < len(s.steps) {
				part = min(part, int64(s.steps[k+1].From-st.From))
			}
		}
		p, fits := mulDiv(part/int64(st.Step), int64(st.Points), 1, Down)
		if !fits {
			return 0, false
		}
		if s.Slices {
			if n, fits = addOK(n, p); !fits {
				return 0, false
			}
		} else {
			n = p
		}
	}
	return n, ok
}

type unitPoints struct {
	pointsInto
	*UnitPoints
}

func (u *unitPoints) target() *pointsInto { return &u.pointsInto }

func (u *unitPoints) accrue(e *eval) Points {
	var units int64
	for _, i := range e.linesOf(u.sel) {
		l := &e.lines[i]
		if l.flags&banEarn != 0 || l.in.Quantity == 0 {
			continue
		}
		units += int64(l.in.Quantity)
		e.lineBuf = append(e.lineBuf, i)
		e.weights = append(e.weights, max(0, int64(l.in.Quantity)))
		e.rstate().base += max(0, l.cur)
	}
	units = max(units, 0)
	if u.Whole {
		units -= units % int64(u.Unit)
	}
	n, ok := mulDiv(units, int64(u.UnitPoints.Points), int64(u.Unit), e.rb.wallets[u.wallet].mode)
	if !ok {
		e.fail(ErrOverflow)
	}
	return Points(n)
}

type tablePoints struct {
	pointsInto
	skus map[string]Points
}

func (t *tablePoints) accrue(e *eval) Points {
	var sum int64
	for _, i := range e.linesOf(t.sel) {
		l := &e.lines[i]
		if l.flags&banEarn != 0 {
			continue
		}
		n, ok := mulDiv(int64(t.skus[l.in.SKU]), int64(l.in.Quantity), oneUnit, HalfUp)
		if ok {
			sum, ok = addOK(sum, n)
		}
		if !ok || sum > maxPoints {
			e.fail(ErrOverflow)
			return 0
		}
		e.lineBuf = append(e.lineBuf, i)
		e.weights = append(e.weights, max(0, n))
	}
	return Points(max(0, sum))
}

type fixedPoints struct {
	pointsInto
	points Points
}

func (f *fixedPoints) accrue(e *eval) Points {
	base := e.baseOf(&f.pointsInto)
	if base <= 0 {
		// Goods that cost nothing still carry the points, unless banned.
		e.lineBuf, e.weights = e.lineBuf[:0], e.weights[:0]
		for _, i := range e.linesOf(f.sel) {
			if l := &e.lines[i]; l.flags&banEarn == 0 && l.in.Quantity > 0 {
				e.lineBuf = append(e.lineBuf, i)
				e.weights = append(e.weights, 1)
			}
		}
	}
	if len(e.lineBuf) == 0 {
		return 0
	}
	return f.points
}

type timesPoints struct {
	pointsInto
	*TimesPoints
	rules  map[int32]bool
	groups map[int32]bool
}

func (t *timesPoints) target() *pointsInto { return &t.pointsInto }

func (t *timesPoints) accrue(e *eval) Points {
	e.out = grown(e.out, len(e.lines))
	clear(e.out)
	var sum int64
	for _, a := range e.awards {
		if e.lots[a.lot].wallet != t.wallet || a.rule == e.rule.index {
			continue
		}
		if t.rules != nil || t.groups != nil {
			if !t.rules[a.rule] && !t.groups[e.rb.rules[a.rule].group] {
				continue
			}
		}
		e.out[a.line] += int64(a.points)
	}
	for _, i := range e.linesOf(t.sel) {
		if e.out[i] > 0 {
			sum += e.out[i]
			e.lineBuf = append(e.lineBuf, i)
			e.weights = append(e.weights, e.out[i])
			e.rstate().base += max(0, e.lines[i].cur)
		}
	}
	n, ok := mulDiv(sum, int64(t.Times-oneFactor), oneFactor, e.rb.wallets[t.wallet].mode)
	if !ok {
		e.fail(ErrOverflow)
	}
	return Points(n)
}
