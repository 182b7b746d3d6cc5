package loyalty

import "slices"

// counter is a compiled Counter.
type counter struct {
	*Counter
	index  int32
	sel    int32
	wallet int32
	window Period
	bought bool // kept for a condition, not declared
}

// ladder is a compiled TierLadder.
type ladder struct {
	doc     *TierLadder
	counter int32
	from    []int64 // thousandths of the counter's unit
}

// tierRank is the place of a level on the ladder, -1 when it has none.
func (rb *Rulebook) tierRank(id string) int {
	if rb.ladder == nil {
		return -1
	}
	return slices.IndexFunc(rb.ladder.doc.Levels, func(l TierLevel) bool { return l.ID == id })
}

// counterAdd is what this receipt adds to a counter, in thousandths, as the
// amounts stand at this moment of the pricing.
func (e *eval) counterAdd(k int32) int64 {
	c := &e.rb.counters[k]
	if len(c.Include) > 0 {
		ch := e.r.Channel
		if ch == "" {
			ch = "till"
		}
		if !slices.Contains(c.Include, ch) {
			return 0
		}
	}
	var n int64
	switch c.Of {
	case "visits":
		if e.sums < c.Min || !slices.ContainsFunc(e.linesOf(c.sel), func(i int32) bool { return e.lines[i].in.Quantity > 0 }) {
			return 0
		}
		if c.PerDay > 0 && e.m != nil && e.m.Counters[c.ID][e.day.String()] >= c.PerDay*oneUnit {
			return 0
		}
		return oneUnit
	case "spend":
		for _, i := range e.linesOf(c.sel) {
			n += int64(e.lines[i].cur)
		}
		return n * (oneUnit / oneMoney)
	case "units":
		for _, i := range e.linesOf(c.sel) {
			n += int64(e.lines[i].in.Quantity)
		}
		return n
	case "lines":
		return int64(len(e.linesOf(c.sel))) * oneUnit
	case "points":
		return int64(e.earnedInto(c.wallet)) * (oneUnit / onePoint)
	case "events":
		if slices.Contains(e.r.Events, c.Event) {
			return oneUnit
		}
	}
	return 0
}

// level is the rank that a counter's value reaches.
func (l *ladder) level(n int64) int {
	at := 0
	for k, from := range l.from {
		if n >= from {
			at = k
		}
	}
	return at
}

// tierMove is the member's level before and after this receipt and the way
// to the next one. Levels are only reached here; Review loses them.
func (e *eval) tierMove() *TierMove {
	l := e.rb.ladder
	if l == nil || e.m == nil {
		return nil
	}
	levels := l.doc.Levels
	before := e.tier()
	now := max(0, e.rb.tierRank(before))
	n := e.counted(l.counter, Period{}) + e.counterAdd(l.counter)
	reached := max(now, l.level(n))
	t := &TierMove{Before: before, After: before, Until: e.m.TierUntil}
	if reached > now {
		t.After = levels[reached].ID
		t.Until = l.until(e.day)
	}
	if e.x.tierTo != "" && e.rb.tierRank(e.x.tierTo) >= 0 {
		reached = e.rb.tierRank(e.x.tierTo)
		t.After, t.Until = e.x.tierTo, e.x.tierUntil
		if t.Until == "" {
			t.Until = l.until(e.day)
		}
	}
	if next := reached + 1; next < len(levels) {
		t.Next = levels[next].ID
		missing := max(0, l.from[next]-n)
		t.Unit = e.rb.counters[l.counter].Of
		if t.Unit == "spend" {
			t.Unit = "money"
			t.Missing = Money((missing + oneUnit/oneMoney - 1) / (oneUnit / oneMoney)).String()
		} else {
			t.Missing = Quantity(missing).String()
		}
		if !e.in.Plain {
			t.NextName = levels[next].Name.in(e.lang.lang, e.rb.defaultLang)
		}
	}
	if k := e.rb.tierRank(t.After); k >= 0 && !e.in.Plain {
		t.AfterName = levels[k].Name.in(e.lang.lang, e.rb.defaultLang)
	}
	return t
}

// until is the day up to which a level reached today is kept.
func (l *ladder) until(day Date) string {
	if l.doc.Keep == "until" && !l.doc.Valid.IsZero() {
		return l.doc.Valid.After(day).String()
	}
	return ""
}

// Review says what a member's tier is on a day without a receipt: the centre
// calls it nightly, and a till may call it before it prices. It moves up and,
// when the counter has fallen and the grace is over, down. The answer is the
// member as she should be; the same pointer when nothing changes.
func (rb *Rulebook) Review(m *Member, day Date) *Member {
	l := rb.ladder
	if l == nil || m == nil {
		return m
	}
	c := &rb.counters[l.counter]
	n := sumDays(m.Counters[c.ID], c.window.start(day), day)
	now, reached := max(0, rb.tierRank(m.Tier)), l.level(n)
	today := day.String()
	out := *m
	switch {
	case reached > now:
		out.Tier, out.TierSince, out.TierUntil = l.doc.Levels[reached].ID, today, l.until(day)
	case reached == now:
		if l.doc.Keep != "until" && m.TierUntil != "" {
			out.TierUntil = "" // the grace is not needed any more
		} else if l.doc.Keep == "until" && m.TierUntil != "" && m.TierUntil < today {
			out.TierUntil = l.until(day)
		}
	case l.doc.Keep == "forever":
	case m.TierUntil == "" && (l.doc.Keep == "until" || !l.doc.Grace.IsZero()):
		// The level is not earned any more: from today its grace runs.
		out.TierUntil = l.doc.Grace.After(day).String()
	case m.TierUntil == "" || rb.graceOver(m.TierUntil, day):
		to := reached
		if l.doc.Down == "one" {
			to = now - 1
		}
		out.Tier, out.TierSince, out.TierUntil = l.doc.Levels[to].ID, today, ""
		if l.doc.Keep == "until" && to > 0 {
			out.TierUntil = l.until(day)
		}
	}
	if out.Tier == m.Tier && out.TierUntil == m.TierUntil {
		return m
	}
	return &out
}

// graceOver tells whether the level's last day has passed; with a validity
// the grace comes on top of it.
func (rb *Rulebook) graceOver(until string, day Date) bool {
	d, err := ParseDate(until)
	if err != nil {
		return true
	}
	if rb.ladder.doc.Keep == "until" {
		d = rb.ladder.doc.Grace.After(d)
	}
	return day > d
}
