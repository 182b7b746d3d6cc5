package loyalty

import "slices"

// rstate is the state of the rule that is being applied.
func (e *eval) rstate() *ruleState { return &e.states[e.rule.index] }

// tier is the member's level; the lowest one when the snapshot names none.
func (e *eval) tier() string {
	if e.m == nil {
		return ""
	}
	if e.m.Tier == "" && e.rb.ladder != nil {
		return e.rb.ladder.doc.Levels[0].ID
	}
	return e.m.Tier
}

// holds tells whether the rule's conditions hold and remembers the answer,
// so that the rewards of a rule in a later phase follow the first one.
func (e *eval) holds(r *rule) bool {
	st := &e.states[r.index]
	switch st.state {
	case stateHeld, stateFired:
		return true
	case stateFailed:
		return false
	}
	if ok, why := e.check(r); !ok {
		st.state, st.why = stateFailed, why
		return false
	}
	st.state = stateHeld
	return true
}

func (e *eval) check(r *rule) (bool, string) {
	e.rule = r
	if e.in.NoClock && r.timed && len(r.bans) == 0 {
		return false, "clock"
	}
	if r.schedule != nil && !r.schedule.holds(e.day, e.minute) {
		return false, "schedule"
	}
	if r.where != nil && !r.where.holds(e) {
		return false, "where"
	}
	if r.needsMember && e.m == nil {
		return false, "no_member"
	}
	if r.needsMember && len(r.discounts)+len(r.others) > 0 && e.tooOld() {
		return false, "snapshot_old"
	}
	if r.audience != nil {
		if ok, why := r.audience.holds(e); !ok {
			return false, why
		}
	}
	if r.when != nil {
		if ok, why := r.when.holds(e); !ok {
			return false, why
		}
	}
	if r.cost > 0 {
		if why := e.affords(r); why != "" {
			return false, why
		}
	}
	if !e.limitsAllow(r) {
		return false, "limit"
	}
	if r.budget >= 0 && !e.budgetAllows(r) {
		return false, "budget"
	}
	return true, ""
}

// applyBans marks lines by the rules that forbid something, before any
// reward is looked at.
func (e *eval) applyBans() {
	for _, k := range e.cands {
		r := &e.rb.rules[k]
		if len(r.bans) == 0 || !e.holds(r) {
			continue
		}
		e.rule = r
		for _, b := range r.bans {
			for _, i := range e.linesOf(b.sel) {
				if b.bans&banEarn != 0 {
					e.noEarning(r, i)
				}
				e.lines[i].flags |= b.bans
				e.lines[i].bans |= b.bans
				e.fire(r)
			}
		}
	}
}

// noEarning notes what rule r keeps from earning, for the sentence of the
// rules that give points. Goods that earn nothing already are not counted
// again, and a rule that gives points itself has a base of its own.
func (e *eval) noEarning(r *rule, line int32) {
	l := &e.lines[line]
	if l.flags&banEarn != 0 || l.gross <= 0 || len(r.points) > 0 {
		return
	}
	if st := &e.states[r.index]; st.base == 0 {
		e.x.noEarn = append(e.x.noEarn, r.index)
	}
	e.states[r.index].base += l.gross
}

// fire marks a rule as having given something.
func (e *eval) fire(r *rule) {
	st := &e.states[r.index]
	if st.state != stateFired {
		st.state = stateFired
		if st.coupon != "" {
			e.x.useCoupon(st.coupon, r)
		}
		if r.cost > 0 {
			e.x.paid = append(e.x.paid, PointsPaid{r.id, e.rb.wallets[r.costWallet].doc.ID, r.cost})
		}
	}
}

// blocked tells whether an earlier rule keeps this one from applying.
func (e *eval) blocked(r *rule) bool {
	for _, k := range r.notRules {
		if st := &e.states[k]; st.state == stateFired && (st.discount > 0 || st.points > 0 || st.given) {
			return true
		}
	}
	for _, g := range r.notGroups {
		if e.x.groupFired(g) {
			return true
		}
	}
	return false
}

// discountPhase applies the discounts, group by group. Rules that are
// exclusive are tried before the others in their scope.
func (e *eval) discountPhase() {
	if len(e.rb.groups) == 0 {
		return
	}
	if e.exclusiveFirst() {
		e.capDiscounts()
		return
	}
	for k := 0; k < len(e.cands); {
		g := e.rb.rules[e.cands[k]].group
		end := k
		for end < len(e.cands) && e.rb.rules[e.cands[end]].group == g {
			end++
		}
		if stop := e.discountGroup(g, e.cands[k:end]); stop {
			e.whyRest(e.cands[end:], "stopped")
			break
		}
		k = end
	}
	e.group = nil
	e.capDiscounts()
}

// exclusiveFirst tries the rules that are exclusive on the whole receipt.
func (e *eval) exclusiveFirst() bool {
	for _, k := range e.cands {
		r := &e.rb.rules[k]
		if r.exclusive != scopeReceipt || len(r.discounts) == 0 || !e.holds(r) || e.blocked(r) {
			continue
		}
		e.group = &e.rb.groups[r.group]
		if e.discountRule(r) > 0 {
			e.whyRest(e.cands, "exclusive")
			e.group = nil
			return true
		}
	}
	e.group = nil
	return false
}

// whyRest notes why discount rules that were not looked at give nothing.
// Their other rewards, such as points, are not touched by it.
func (e *eval) whyRest(rules []int32, why string) {
	for _, k := range rules {
		r, st := &e.rb.rules[k], &e.states[k]
		if len(r.discounts) > 0 && st.state != stateFired {
			if st.why == "" {
				st.why = why
			}
			if len(r.points)+len(r.others) > 0 {
				continue
			}
			st.state = stateFailed
		}
	}
}

// discountGroup applies the rules of one group; true stops the receipt.
func (e *eval) discountGroup(g int32, rules []int32) (stop bool) {
	grp := &e.rb.groups[g]
	e.group = grp
	e.markDiscounted()
	switch grp.mode {
	case modeBest:
		return e.bestOf(rules)
	case modeBestPerLine:
		e.bestPerLine(rules)
		return false
	}
	for pass := range 2 {
		for n, k := range rules {
			r := &e.rb.rules[k]
			if len(r.discounts) == 0 || (pass == 0) != (r.exclusive == scopeGroup || r.exclusive == scopeLines) ||
				e.states[k].discount > 0 || !e.holds(r) {
				continue
			}
			if e.blocked(r) {
				e.states[k].why = "not_with"
				continue
			}
			if e.discountRule(r) == 0 {
				continue
			}
			if r.exclusive == scopeGroup {
				e.whyRest(rules, "exclusive")
				return r.stop == scopeReceipt
			}
			if grp.mode == modeFirst || r.stop != scopeNo {
				e.whyRest(rules[n+1:], "stopped")
				return r.stop == scopeReceipt
			}
		}
	}
	return false
}

// markDiscounted notes which lines earlier groups have discounted.
func (e *eval) markDiscounted() {
	for _, a := range e.allocs[e.x.markedTo:] {
		if a.rule != ruleExternal {
			e.lines[a.line].flags |= flagDisc
		}
	}
	e.x.markedTo = len(e.allocs)
}

// discountRule applies all discounts of a rule and returns their sum.
func (e *eval) discountRule(r *rule) Money {
	st := &e.states[r.index]
	mark, gifts := len(e.allocs), len(e.x.gifts)
	given := e.applyDiscounts(r)
	if given == 0 {
		if len(e.x.gifts) > gifts {
			e.fire(r)
			st.given = true
			e.x.noteGroup(r.group)
			return 0
		}
		if st.why == "" {
			st.why = "nothing"
		}
		return 0
	}
	given = e.withinLimits(r, mark, given)
	if given == 0 {
		e.undo(mark)
		e.x.gifts = e.x.gifts[:gifts]
		return 0
	}
	st.discount += given
	e.fire(r)
	e.x.noteGroup(r.group)
	e.useMoney(r, given)
	if r.exclusive == scopeLines {
		for _, a := range e.allocs[mark:] {
			e.lines[a.line].flags |= flagClosed
		}
	}
	return given
}

// applyDiscounts runs the rule's discounts and sums up what they booked.
func (e *eval) applyDiscounts(r *rule) (given Money) {
	e.rule = r
	mark := len(e.allocs)
	for _, d := range r.discounts {
		d.discount(e)
	}
	for _, a := range e.allocs[mark:] {
		given += a.amount
	}
	return given
}

// bestOf applies the rule that takes most off; equal ones go by order.
func (e *eval) bestOf(rules []int32) (stop bool) {
	var best *rule
	var most Money
	for _, k := range rules {
		r := &e.rb.rules[k]
		if len(r.discounts) == 0 || e.states[k].discount > 0 || !e.holds(r) {
			continue
		}
		if e.blocked(r) {
			e.states[k].why = "not_with"
			continue
		}
		mark, gifts := len(e.allocs), len(e.x.gifts)
		saved := e.states[k]
		given := e.applyDiscounts(r)
		if given > 0 {
			given = e.withinLimits(r, mark, given)
		}
		e.undo(mark)
		e.x.gifts = e.x.gifts[:gifts]
		e.states[k] = saved
		if given > most {
			best, most = r, given
		}
	}
	if best == nil {
		return false
	}
	e.discountRule(best)
	e.whyRest(rules, "not_best")
	return best.stop == scopeReceipt
}

// bestPerLine lets each line have the rule that takes most off it.
func (e *eval) bestPerLine(rules []int32) {
	e.best = slices.Grow(e.best[:0], len(e.lines))[:len(e.lines)]
	clear(e.best)
	e.weights = grown(e.weights, len(e.lines))
	for _, k := range rules {
		r := &e.rb.rules[k]
		if len(r.discounts) == 0 || !e.holds(r) || e.blocked(r) {
			continue
		}
		mark, gifts := len(e.allocs), len(e.x.gifts)
		saved := e.states[k]
		given := e.applyDiscounts(r)
		if given > 0 {
			given = e.withinLimits(r, mark, given)
		}
		if given > 0 {
			e.weights = grown(e.weights, len(e.lines))
			clear(e.weights)
			for _, a := range e.allocs[mark:] {
				e.weights[a.line] += int64(a.amount)
			}
			for i, v := range e.weights {
				if Money(v) > e.best[i].amount {
					e.best[i] = alloc{int32(i), k, Money(v)}
				}
			}
		}
		e.undo(mark)
		e.x.gifts = e.x.gifts[:gifts]
		e.states[k] = saved
	}
	for _, k := range rules {
		r := &e.rb.rules[k]
		e.rule = r
		var given Money
		for i := range e.best {
			if b := e.best[i]; b.amount > 0 && b.rule == k {
				given += e.take(b.line, b.amount)
			}
		}
		if given > 0 {
			e.states[k].discount += given
			e.fire(r)
			e.x.noteGroup(r.group)
			e.useMoney(r, given)
		}
	}
	e.whyRest(rules, "not_best")
}

// capDiscounts holds all rules together within the programme's percent of
// the receipt: the last discounts give way first, each in proportion on its
// lines. A rule that is left with nothing has not fired.
func (e *eval) capDiscounts() {
	if e.rb.set.maxDiscount == 0 {
		return
	}
	most, ok := mulDiv(int64(max(e.gross, 0)), int64(e.rb.set.maxDiscount), hundredPct, Down)
	if !ok {
		return
	}
	over := e.ruleDiscounts(len(e.allocs)) - Money(most)
	for k := len(e.allocs) - 1; over > 0 && k >= 0; k-- {
		if a := &e.allocs[k]; a.rule != ruleExternal && a.amount > 0 {
			over -= e.takeBack(&e.rb.rules[a.rule], over, "max_discount")
		}
	}
	e.allocs = slices.DeleteFunc(e.allocs, func(a alloc) bool { return a.amount == 0 })
}

// takeBack takes up to over of what a rule gave off its lines again, and out
// of the budget that paid for it. It returns how much it took; why is told
// when nothing is left.
func (e *eval) takeBack(r *rule, over Money, why string) Money {
	st := &e.states[r.index]
	e.weights = e.weights[:0]
	for _, a := range e.allocs {
		if a.rule == r.index {
			e.weights = append(e.weights, int64(a.amount))
		}
	}
	e.out = grown(e.out, len(e.weights))
	unit := Money(e.rb.set.unit)
	over = (over + unit - 1) / unit * unit
	took := over - Money(e.split.money(int64(unit), int64(over), e.weights, e.weights, e.out))
	n := 0
	for k := range e.allocs {
		a := &e.allocs[k]
		if a.rule != r.index {
			continue
		}
		back := Money(e.out[n])
		n++
		a.amount -= back
		e.lines[a.line].cur += back
		e.sums += back
		st.discount -= back
	}
	if r.budget >= 0 {
		e.useBudget(r, BudgetUse{Money: -took, Cost: -took})
	}
	if st.discount == 0 {
		st.why = why
		if !st.told && !st.given && st.points == 0 {
			e.unfire(r)
		}
	}
	return took
}

// unfire forgets that a rule fired, whose discount was taken back whole.
func (e *eval) unfire(r *rule) {
	e.states[r.index].state = stateHeld
	e.x.taken = slices.DeleteFunc(e.x.taken, func(t couponTaken) bool { return t.rule == r.index })
	e.x.paid = slices.DeleteFunc(e.x.paid, func(p PointsPaid) bool { return p.Rule == r.id })
	if r.budget >= 0 {
		id := e.rb.doc.Budgets[r.budget].ID
		e.use.budgets = slices.DeleteFunc(e.use.budgets, func(b BudgetUse) bool { return b.Budget == id && b.Rule == r.id })
	}
}
