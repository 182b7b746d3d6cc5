package loyalty

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Apply is the member's snapshot after a captured receipt: wallets, stamps,
// coupons, counters, tier and last visit moved forward. It changes neither
// argument. The till uses it between two snapshots of the centre, so that
// the fifth purchase is the fifth one offline too.
func (rb *Rulebook) Apply(m *Member, r *Result, at time.Time) *Member {
	if m == nil {
		return nil
	}
	n := m.clone()
	for _, l := range r.Earned {
		b := n.Wallets[l.Wallet]
		if l.Active > DateOf(at).String() {
			b.Pending += l.Points
		} else {
			b.Active += l.Points
		}
		n.Wallets[l.Wallet] = b
	}
	if s := r.Spend; s != nil && s.Points > 0 {
		b := n.Wallets[s.Wallet]
		b.Active -= s.Points
		// Lots that expire first are spent first.
		b.Expiring = max(0, b.Expiring-s.Points)
		if b.Expiring == 0 {
			b.Expires = ""
		}
		n.Wallets[s.Wallet] = b
	}
	for _, s := range r.Stamps {
		n.Stamps[s.Card] = s.Held
	}
	for _, c := range r.Coupons {
		n.applyCoupon(c)
	}
	n.AddCounters(r.Counters)
	for _, s := range r.Segments {
		n.Segments = slices.DeleteFunc(n.Segments, func(x string) bool { return x == s.Segment })
		if !s.Out {
			n.Segments = append(n.Segments, s.Segment)
			slices.Sort(n.Segments)
		}
	}
	if t := r.Tier; t != nil && t.After != t.Before {
		n.Tier, n.TierSince, n.TierUntil = t.After, DateOf(at).String(), t.Until
	}
	if at.After(n.LastSeen) {
		n.LastSeen = at
	}
	return n
}

func (m *Member) applyCoupon(c CouponUse) {
	switch c.State {
	case "used":
		if h, ok := m.Coupons[c.Code]; ok {
			h.Uses--
			m.Coupons[c.Code] = h
			if h.Uses <= 0 {
				// Kept at zero, so that the same code is refused as used up.
				m.Coupons[c.Code] = CouponHeld{Rule: h.Rule, From: h.From, To: h.To}
			}
		}
	case "issued":
		h := m.Coupons[c.Code]
		h.Rule, h.From, h.To = c.Rule, c.From, c.To
		h.Uses += c.Uses
		m.Coupons[c.Code] = h
	}
}

// AddCounters adds day buckets to the member's counters; a bucket that comes
// to nothing disappears.
func (m *Member) AddCounters(adds []CounterAdd) {
	if m.Counters == nil {
		m.Counters = map[string]map[string]int64{}
	}
	AddUsage(m.Counters, adds)
}

// AddUsage adds movements to counters kept as in Input.Usage.
func AddUsage(counters map[string]map[string]int64, adds []CounterAdd) {
	for _, a := range adds {
		days := counters[a.Counter]
		if days == nil {
			days = map[string]int64{}
			counters[a.Counter] = days
		}
		if n, ok := addOK(days[a.Day], a.Add); ok {
			days[a.Day] = n
		}
		if days[a.Day] == 0 {
			delete(days, a.Day)
		}
		if len(days) == 0 {
			delete(counters, a.Counter)
		}
	}
}

// clone is a deep copy with no nil maps.
func (m *Member) clone() *Member {
	n := *m
	n.Wallets = maps.Clone(m.Wallets)
	n.Stamps = maps.Clone(m.Stamps)
	n.Coupons = maps.Clone(m.Coupons)
	n.Segments = slices.Clone(m.Segments)
	n.Counters = make(map[string]map[string]int64, len(m.Counters))
	for k, days := range m.Counters {
		n.Counters[k] = maps.Clone(days)
	}
	if n.Wallets == nil {
		n.Wallets = map[string]Balance{}
	}
	if n.Stamps == nil {
		n.Stamps = map[string]int64{}
	}
	if n.Coupons == nil {
		n.Coupons = map[string]CouponHeld{}
	}
	return &n
}

// Prune drops counter buckets that no window of this rulebook looks at any
// more, so that snapshots do not grow for ever.
func (rb *Rulebook) Prune(m *Member, day Date) *Member {
	oldest := rb.oldestDays(day)
	n := m.clone()
	for key, days := range n.Counters {
		id, _, _ := strings.Cut(key, atCard)
		from, ok := oldest[id]
		if !ok || from <= 0 {
			continue
		}
		for d := range days {
			if d < from.String() {
				delete(days, d)
			}
		}
		if len(days) == 0 {
			delete(n.Counters, key)
		}
	}
	return n
}

// oldestDays is the first day that still matters, per counter; 0 is ever.
func (rb *Rulebook) oldestDays(day Date) map[string]Date {
	oldest := map[string]Date{}
	note := func(id string, p Period) {
		from := p.start(day)
		if old, ok := oldest[id]; !ok || from < old {
			oldest[id] = from
		}
	}
	for k := range rb.counters {
		note(rb.counters[k].ID, rb.counters[k].window)
	}
	for _, w := range rb.windows {
		note(w.id, w.period)
	}
	limits := func(l *limit) {
		if l.Per != perMember && l.Per != perCard {
			return
		}
		for _, suffix := range [...]string{useCount, useUnits, useMoney, usePoints} {
			note(l.key+suffix, l.Period)
		}
	}
	for k := range rb.rules {
		for n := range rb.rules[k].limits {
			limits(&rb.rules[k].limits[n])
		}
	}
	for k := range rb.programmeLimits {
		limits(&rb.programmeLimits[k])
	}
	return oldest
}
