package loyalty

import (
	"slices"
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
