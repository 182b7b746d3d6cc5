package loyalty

import "time"

// wallet is a compiled Wallet.
type wallet struct {
	doc     *Wallet
	mode    Mode
	step    int64
	perLine bool
}

// lot is points that one rule gives into one wallet.
type lot struct {
	rule, wallet    int32
	points          Points
	active, expires Date
}

type baseKind uint8

const (
	baseNetMinusPoints baseKind = iota
	baseNet
	baseGross
	baseFullPrice
	baseTender
)

var baseKinds = map[string]baseKind{"": baseNetMinusPoints, "net_minus_points": baseNetMinusPoints, "net": baseNet,
	"gross": baseGross, "full_price_lines": baseFullPrice, "by_tender": baseTender}

// accruer is a compiled reward that gives points. It fills in the weights of
// the lines of lineBuf and returns the points they earn together; with
// perLine the weights are the lines' own points.
type accruer interface {
	accrue(e *eval) Points
	target() *pointsInto
}

// pointsInto is a compiled PointsInto.
type pointsInto struct {
	wallet  int32
	cap     Points
	active  Activation
	expiry  Expiry
	sel     int32
	kind    baseKind
	noTax   bool
	perLine bool
}

func (p *pointsInto) target() *pointsInto { return p }

// accrue gives points, group by group like discounts.
func (e *eval) accrue() {
	if e.m == nil {
		return
	}
	why := ""
	switch s := e.m.Card.Status; {
	case s == "blocked" || s == "lost":
		why = "card_blocked"
	case e.spentPts > 0 && e.wayOf().EarnsToo == "excluded":
		why = "spending"
	}
	for k := range e.rb.programmeLimits {
		if l := &e.rb.programmeLimits[k]; l.What == "earning" && !e.limitAllows(l) {
			why = "limit"
		}
	}
	for k := 0; k < len(e.cands); {
		g := e.rb.rules[e.cands[k]].group
		end := k
		for end < len(e.cands) && e.rb.rules[e.cands[end]].group == g {
			end++
		}
		if e.accrueGroup(&e.rb.groups[g], e.cands[k:end], why) {
			break
		}
		k = end
	}
}

func (e *eval) wayOf() *way {
	for k := range e.rb.ways {
		if w := &e.rb.ways[k]; e.spend != nil && e.rb.wallets[w.wallet].doc.ID == e.spend.Wallet {
			return w
		}
	}
	return &way{Redemption: &Redemption{}}
}

func (e *eval) accrueGroup(g *group, rules []int32, forbidden string) (stop bool) {
	var best *rule
	var most int64
	for _, k := range rules {
		r, st := &e.rb.rules[k], &e.states[k]
		if len(r.points) == 0 || !e.holds(r) {
			continue
		}
		if forbidden != "" {
			st.why = forbidden
			continue
		}
		if e.blocked(r) {
			st.why = "not_with"
			continue
		}
		if g.mode == modeBest || g.mode == modeBestPerLine {
			awards, lots, saved := len(e.awards), len(e.lots), *st
			e.accrueRule(r)
			if v := e.lotsValue(lots); v > most {
				best, most = r, v
			}
			e.awards, e.lots, *st = e.awards[:awards], e.lots[:lots], saved
			st.why = "not_best"
			continue
		}
		if e.accrueRule(r) == 0 {
			continue
		}
		e.afterAccrual(r)
		if g.mode == modeFirst || r.exclusive == scopeGroup || r.stop == scopeGroup {
			return false
		}
		if r.exclusive == scopeReceipt && len(r.discounts) == 0 || r.stop == scopeReceipt {
			return true
		}
	}
	if best != nil {
		e.accrueRule(best)
		e.afterAccrual(best)
		return best.stop == scopeReceipt
	}
	return false
}

// afterAccrual marks a rule that gave points as fired.
func (e *eval) afterAccrual(r *rule) {
	e.fire(r)
	e.x.noteGroup(r.group)
}

// lotsValue is the worth of the lots after mark, to compare rules.
func (e *eval) lotsValue(mark int) (v int64) {
	for _, l := range e.lots[mark:] {
		each := max(1, int64(e.rb.wallets[l.wallet].doc.Value))
		n, ok := mulDiv(int64(l.points), each, 1, Down)
		if !ok {
			n = maxPoints
		}
		v += n
	}
	return v
}

// accrueRule gives the rule's points and returns them.
func (e *eval) accrueRule(r *rule) (given Points) {
	e.rule = r
	st := &e.states[r.index]
	for _, a := range r.points {
		t := a.target()
		w := &e.rb.wallets[t.wallet]
		e.weights, e.lineBuf = e.weights[:0], e.lineBuf[:0]
		want := a.accrue(e)
		if !t.perLine {
			n, ok := roundTo(int64(want), w.step, w.mode)
			if !ok || n > maxPoints {
				e.fail(ErrOverflow)
				return 0
			}
			want = Points(n)
		}
		got := want
		if t.cap > 0 {
			got = min(got, t.cap)
		}
		got = e.pointsRoom(r, got, w)
		if got < want && want > 0 && st.why == "" {
			st.why = "limit"
		}
		if w.doc.Max > 0 {
			b := e.m.Wallets[w.doc.ID]
			got = max(0, min(got, w.doc.Max-b.Active-b.Pending-e.in.Credited[w.doc.ID]-e.earnedInto(t.wallet)))
		}
		if got <= 0 || len(e.lineBuf) == 0 {
			continue
		}
		e.bookPoints(r, t, got)
		given += got
		st.points += got
		st.wallet = t.wallet
		if r.budget >= 0 {
			cost, _ := mulDiv(int64(got), int64(w.doc.Value), onePoint, Up)
			e.useBudget(r, BudgetUse{Points: got, Cost: Money(cost)})
		}
	}
	if given == 0 && st.why == "" {
		st.why = "nothing"
	}
	return given
}

// earnedInto is what this receipt has earned so far in a wallet.
func (e *eval) earnedInto(wallet int32) (n Points) {
	for _, l := range e.lots {
		if l.wallet == wallet {
			n += l.points
		}
	}
	return n
}

// bookPoints shares points among the lines of lineBuf by their weights.
func (e *eval) bookPoints(r *rule, t *pointsInto, n Points) {
	at := int32(len(e.lots))
	w := &e.rb.wallets[t.wallet]
	l := lot{rule: r.index, wallet: t.wallet, points: n}
	l.active, l.expires = e.lotDates(w.doc, t)
	e.lots = append(e.lots, l)
	if len(e.lineBuf) == 1 {
		e.awards = append(e.awards, award{e.lineBuf[0], r.index, at, n})
		return
	}
	e.out = grown(e.out, len(e.lineBuf))
	if left := e.split.share(int64(n), e.weights, nil, e.out); left > 0 {
		e.out[0] += left
	}
	for k, i := range e.lineBuf {
		if e.out[k] != 0 {
			e.awards = append(e.awards, award{i, r.index, at, Points(e.out[k])})
		}
	}
}

// lotDates says when a lot earned today becomes active and when it ends.
func (e *eval) lotDates(w *Wallet, t *pointsInto) (active, expires Date) {
	a, x := w.Active, w.Expiry
	if t.active.When != "" {
		a = t.active
	}
	if t.expiry.Kind != "" {
		x = t.expiry
	}
	if a.When == "after" {
		active = a.Span.After(e.day)
	}
	return active, x.Ends(e.day)
}

// Ends is the last day of a lot earned (or, for sliding, renewed) on a day;
// 0 is never.
func (x Expiry) Ends(day Date) Date {
	switch x.Kind {
	case "rolling", "sliding":
		return periodEnd(x.Span.After(day), x.At)
	case "calendar":
		at := x.At
		if at == "" {
			at = "end_of_year"
		}
		end := periodEnd(day, at)
		if !x.Grace.IsZero() && x.Grace.After(day) > end {
			end = periodEnd(end+1, at)
		}
		return end
	}
	return 0
}

// periodEnd is the last day of the month, quarter or year that holds d.
func periodEnd(d Date, at string) Date {
	y, m, _ := d.Time().Date()
	switch at {
	case "end_of_month":
		m++
	case "end_of_quarter":
		m = (m-1)/3*3 + 4
	case "end_of_year":
		y, m = y+1, 1
	default:
		return d
	}
	return DateOf(time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)) - 1
}

// addBase adds a line and its base; lines that earn nothing stay out.
func (e *eval) addBase(i int32, t *pointsInto) Money {
	l := &e.lines[i]
	if l.flags&banEarn != 0 {
		return 0
	}
	var b Money
	switch t.kind {
	case baseGross:
		b = l.gross
	case baseNet:
		b = l.cur + l.paid
	case baseFullPrice:
		if l.cur+l.paid != l.gross {
			return 0
		}
		b = l.cur
	default:
		b = l.cur
	}
	if t.noTax {
		b = e.withoutTax(b, l.in)
	}
	if b == 0 {
		return 0
	}
	e.lineBuf = append(e.lineBuf, i)
	e.weights = append(e.weights, max(0, int64(b)))
	return b
}

// baseOf is the base of all the reward's lines; they stand in lineBuf with
// their weights. Lines that come back in the same receipt lower it.
func (e *eval) baseOf(t *pointsInto) Money {
	var sum Money
	for _, i := range e.linesOf(t.sel) {
		sum += e.addBase(i, t)
	}
	if t.kind == baseTender {
		sum = e.tenderShare(sum)
	}
	sum = max(sum, 0)
	e.rstate().base = sum
	return sum
}

// tenderShare is the part of the base that earning means of payment pay.
func (e *eval) tenderShare(base Money) Money {
	var all, ours Money
	for _, t := range e.r.Tenders {
		if t.Amount <= 0 || t.Amount > maxAmount || all > maxAmount*100 {
			continue
		}
		all += t.Amount
		for _, k := range e.rb.doc.Settings.EarnTenders {
			if k == t.Kind {
				ours += t.Amount
			}
		}
	}
	if all == 0 {
		return base // not known yet
	}
	n, _ := mulDiv(int64(base), int64(ours), int64(all), e.rb.set.mode)
	return Money(n)
}
