package loyalty

import (
	"fmt"
	"strconv"
)

// maxConditionDepth bounds how deep all, any and none nest.
const maxConditionDepth = 16

func (c *compiler) schedule(at string, d *Schedule) *schedule {
	s := &schedule{hours: d.Hours}
	if d.From != "" {
		day, minute, _, ok := parseMoment(d.From)
		if !ok {
			c.bad(at+".from", "bad_value", strconv.Quote(d.From), "not a day or moment", "write 2026-12-01 or 2026-12-01T10:00")
		}
		s.from, s.fromM = day, minute
	}
	if d.To != "" {
		day, minute, hasTime, ok := parseMoment(d.To)
		if !ok {
			c.bad(at+".to", "bad_value", strconv.Quote(d.To), "not a day or moment", "write 2026-12-31 or 2026-12-31T18:00")
		}
		s.to, s.toM = day, minute
		if hasTime && minute == 0 {
			s.to-- // the moment the day begins is not included
		}
	}
	if s.from != 0 && s.to != 0 && (s.from > s.to || s.from == s.to && s.toM > 0 && s.fromM >= s.toM) {
		c.bad(at+".to", "order", strconv.Quote(d.To), "before the beginning", "the rule could never fire")
	}
	for _, w := range d.Weekdays {
		s.weekdays |= weekdayBit[w]
	}
	for i, n := range d.Days {
		switch {
		case n == -1:
			s.lastDay = true
		case n >= 1 && n <= 31:
			s.days |= 1 << uint(n)
		default:
			c.bad(fmt.Sprintf("%s.days_of_month[%d]", at, i), "range", strconv.Itoa(n), "not a day of a month", "1 to 31, or -1 for the last")
		}
	}
	for i, n := range d.Months {
		if n < 1 || n > 12 {
			c.bad(fmt.Sprintf("%s.months[%d]", at, i), "range", strconv.Itoa(n), "not a month", "1 to 12")
			continue
		}
		s.months |= 1 << uint(n)
	}
	for i, h := range d.Hours {
		if h.From == 0 || h.To == 0 || h.From == h.To {
			c.bad(fmt.Sprintf("%s.hours[%d]", at, i), "required", "", "a stretch of the day needs two times that differ", "{\"from\": \"17:00\", \"to\": \"20:00\"}")
		}
	}
	days := func(dates []Date) map[Date]bool {
		if len(dates) == 0 {
			return nil
		}
		m := make(map[Date]bool, len(dates))
		for _, d := range dates {
			m[d] = true
		}
		return m
	}
	s.dates, s.never = days(d.Dates), days(d.NotDates)
	for i, h := range d.Holidays {
		if c.holidays[h] == nil {
			unknown(c, fmt.Sprintf("%s.holidays[%d]", at, i), "holiday_list", h, c.holidays)
		}
		s.holidays = append(s.holidays, c.holidays[h])
	}
	for i, h := range d.Except {
		if c.holidays[h] == nil {
			unknown(c, fmt.Sprintf("%s.not_holidays[%d]", at, i), "holiday_list", h, c.holidays)
		}
		if s.never == nil {
			s.never = map[Date]bool{}
		}
		for day := range c.holidays[h] {
			s.never[day] = true
		}
	}
	return s
}

func (c *compiler) place(at string, d *Where) *place {
	p := &place{}
	set := func(ss []string) map[string]bool {
		if len(ss) == 0 {
			return nil
		}
		return setOf(ss)
	}
	p.stores, p.notStores, p.tills = set(d.Stores), set(d.NotStores), set(d.Tills)
	p.cashiers, p.channels = set(d.Cashiers), set(d.Channels)
	for i, g := range d.Groups {
		stores, ok := c.stores[g]
		if !ok {
			unknown(c, fmt.Sprintf("%s.store_groups[%d]", at, i), "store_group", g, c.stores)
		}
		if p.stores == nil {
			p.stores = map[string]bool{}
		}
		for _, s := range stores {
			p.stores[s] = true
		}
	}
	p.cohorts = c.arms(at+".cohort", d.Cohort, false)
	return p
}

func (c *compiler) arms(at string, tests map[string][]string, ofMember bool) (out []armCond) {
	for _, id := range sortedKeys(tests) {
		t := c.tests[id]
		if t == nil {
			unknown(c, at, "test", id, c.tests)
			continue
		}
		if (t.Unit == "" || t.Unit == "member") != ofMember {
			c.bad(at+"."+id, "bad_value", strconv.Quote(t.Unit), "the test deals out something else", "arms of members stand in audience.arms, of stores and tills in where.cohort")
		}
		known := map[string]bool{}
		for _, a := range t.Arms {
			known[a.ID] = true
		}
		for _, a := range tests[id] {
			if !known[a] {
				unknown(c, at+"."+id, "arm", a, known)
			}
		}
		out = append(out, armCond{t, setOf(tests[id])})
	}
	return out
}

func (c *compiler) audience(at string, d *Audience) *audience {
	a := &audience{a: d}
	stranger := d.Known != nil && !*d.Known
	empty := d.Known == nil && len(d.Tiers)+len(d.NotTiers)+len(d.Segments)+len(d.AllSegments)+len(d.NotSegments)+len(d.CardTypes)+
		len(d.CardStatus)+len(d.Attributes)+len(d.Without)+len(d.Consents)+len(d.Languages)+len(d.Arms)+len(d.IDs) == 0 &&
		d.Birthday == nil && d.Anniversary == nil && d.MemberFor.IsZero() && d.JoinedIn.IsZero()
	a.needsMember = !stranger && !empty
	levels := map[string]bool{}
	if c.doc.Tiers != nil {
		for _, l := range c.doc.Tiers.Levels {
			levels[l.ID] = true
		}
	}
	check := func(field, what string, list []string, known map[string]bool) map[string]bool {
		if len(list) == 0 {
			return nil
		}
		for i, id := range list {
			if !known[id] {
				unknown(c, fmt.Sprintf("%s.%s[%d]", at, field, i), what, id, known)
			}
		}
		return setOf(list)
	}
	a.tiers = check("tiers", "tier", d.Tiers, levels)
	a.notTiers = check("not_tiers", "tier", d.NotTiers, levels)
	segments := map[string]bool{}
	for _, s := range c.doc.Segments {
		segments[s.ID] = true
	}
	a.segments = check("segments", "segment", d.Segments, segments)
	a.allSegs = check("all_segments", "segment", d.AllSegments, segments)
	a.notSegments = check("not_segments", "segment", d.NotSegments, segments)
	a.arms = c.arms(at+".arms", d.Arms, true)
	for _, w := range []*Around{d.Birthday, d.Anniversary} {
		if w != nil && (w.Before < 0 || w.After < 0 || w.Before+w.After > 365) {
			c.bad(at, "range", "", "a window around a day spans 0 to 365 days", "write {\"days_before\": 3, \"days_after\": 7}")
		}
	}
	return a
}

// condition compiles one condition: all its fields must hold.
func (c *compiler) condition(at string, d *Condition, depth int) cond {
	if depth > maxConditionDepth {
		c.bad(at, "too_deep", "", fmt.Sprintf("conditions nest more than %d deep", maxConditionDepth), "conditions side by side in one all mean the same")
		return allOf(nil)
	}
	var cs allOf
	list := func(field string, ds []Condition) []cond {
		var out []cond
		for i := range ds {
			out = append(out, c.condition(fmt.Sprintf("%s.%s[%d]", at, field, i), &ds[i], depth+1))
		}
		return out
	}
	// The cheap ones first; the answer does not depend on it.
	if d.Schedule != nil {
		cs = append(cs, scheduleCond{c.schedule(at+".schedule", d.Schedule)})
	}
	if d.Where != nil {
		cs = append(cs, placeCond{c.place(at+".where", d.Where)})
	}
	if d.Member != nil {
		cs = append(cs, c.audience(at+".member", d.Member))
	}
	if d.Event != "" {
		cs = append(cs, eventCond(d.Event))
	}
	if d.Confirmed != nil {
		c.cur.ask = c.text(at+".confirmed.ask", d.Confirmed.Ask)
		if c.cur.ask == nil {
			c.cur.ask = c.text(at, c.cur.doc.Name)
		}
		if c.cur.ask == nil {
			c.cur.ask = compiledText{"": {parts: []part{{lit: c.cur.id}}}}
		}
		cs = append(cs, confirmedCond{})
	}
	cs = append(cs, c.memberConditions(at, d)...)
	cs = append(cs, c.basketConditions(at, d)...)
	if len(d.All) > 0 {
		cs = append(cs, allOf(list("all", d.All)))
	}
	if len(d.Any) > 0 {
		cs = append(cs, anyOf(list("any", d.Any)))
	}
	if len(d.None) > 0 {
		cs = append(cs, noneOf(list("none", d.None)))
	}
	if d.Coupon != nil {
		cs = append(cs, c.coupon(at+".coupon", d.Coupon))
	}
	if len(cs) == 1 {
		return cs[0]
	}
	return cs
}

func (c *compiler) bounds(at string, r *Range, one int64) bounds {
	b, ok := compileRange(r, one, c.rb.set.strictFrom)
	if !ok {
		c.bad(at, "range", "", "a bound out of range", "use a smaller number")
	}
	if b.hasLo && b.hasHi && b.lo > b.hi {
		c.bad(at, "order", "", "no number lies between these bounds", "the lower bound is above the upper one")
	}
	return b
}

func (r *Range) empty() bool {
	return r.From == nil && r.AtLeast == nil && r.MoreThan == nil && r.AtMost == nil && r.LessThan == nil && r.Equal == nil
}

func (c *compiler) needRange(at string, r *Range) {
	if r.empty() {
		c.bad(at, "required", "", "nothing to compare with", "give at_least, more_than, at_most, less_than or equal")
	}
}

func (c *compiler) basketConditions(at string, d *Condition) (cs []cond) {
	if b := d.Basket; b != nil {
		p := at + ".basket"
		c.needRange(p, &b.Range)
		x := &basketCond{bounds: c.bounds(p, &b.Range, oneFactor), measure: b.Measure, sel: c.sel(p+".on", b.On), of: c.rb.set.thresholds}
		if x.measure == "" {
			x.measure = "amount"
		}
		switch b.Of {
		case "after_discounts":
			x.of &^= measureInitial
		case "before_discounts":
			x.of |= measureInitial
		}
		switch b.Tax {
		case "with":
			x.of &^= measureNoTax
		case "without":
			x.of |= measureNoTax
		}
		cs = append(cs, x)
	}
	if l := d.Lines; l != nil {
		if l.On == nil {
			c.bad(at+".lines.on", "required", "", "the lines are missing", "select them by SKU, category, brand, …")
		}
		cs = append(cs, &linesCond{which: l.Which, sel: c.sel(at+".lines.on", l.On), min: l.Min})
	}
	if s := d.Sets; s != nil {
		x := &setsCond{times: max(1, s.Times), parts: s.Need}
		if x.parts == 0 {
			x.parts = len(s.Parts)
		}
		if len(s.Parts) == 0 || x.parts > len(s.Parts) || x.parts < 0 {
			c.bad(at+".sets.parts", "required", "", "a set needs parts, at least as many as need says", "list the parts of the set, or lower need")
		}
		for i := range s.Parts {
			sel, n := c.part(fmt.Sprintf("%s.sets.parts[%d]", at, i), &s.Parts[i], true)
			x.sels, x.need = append(x.sels, sel), append(x.need, n)
		}
		cs = append(cs, x)
	}
	if t := d.Tender; t != nil {
		if len(t.Kinds) == 0 {
			c.bad(at+".tender.kinds", "required", "", "the means of payment are missing", "list them: [\"card\"]")
		}
		cs = append(cs, tenderCond{t})
	}
	for _, f := range []struct {
		field string
		ids   []string
		want  bool
	}{{"fired", d.Fired, true}, {"not_fired", d.NotFired, false}} {
		if len(f.ids) == 0 {
			continue
		}
		x := &firedCond{want: f.want}
		for i, id := range f.ids {
			k, ok := c.ruleAt[id]
			if !ok {
				unknown(c, fmt.Sprintf("%s.%s[%d]", at, f.field, i), "rule", id, c.ruleAt)
			}
			x.rules = append(x.rules, k)
		}
		cs = append(cs, x)
	}
	if d.Limit != nil {
		k, ok := c.ruleAt[d.Limit.Rule]
		if !ok {
			unknown(c, at+".limit_not_reached.rule", "rule", d.Limit.Rule, c.ruleAt)
		}
		cs = append(cs, &limitCond{k})
	}
	return cs
}

// part compiles a part of a set; its quantity is whole units.
func (c *compiler) part(at string, p *Part, needOn bool) (sel int32, units int64) {
	if needOn && p.On == nil {
		c.bad(at+".on", "required", "", "the goods are missing", "select them by SKU, category, brand, …")
	}
	if p.Quantity == 0 {
		p.Quantity = oneUnit
	}
	if p.Quantity < 0 || p.Quantity%oneUnit != 0 || p.Quantity > 1e9*oneUnit {
		c.bad(at+".quantity", "range", p.Quantity.String(), "not a whole number of units", "sets count whole units: \"2\"")
		p.Quantity = oneUnit
	}
	return c.sel(at+".on", p.On), int64(p.Quantity) / oneUnit
}

func (c *compiler) memberConditions(at string, d *Condition) (cs []cond) {
	if x := d.Counter; x != nil {
		p := at + ".counter"
		if x.Every == 0 {
			c.needRange(p, &x.Range)
		}
		if x.Every < 0 || x.Every > 1e12 {
			c.bad(p+".every", "range", strconv.FormatInt(x.Every, 10), "out of range", "write how many make one, such as 5")
		}
		if !x.Window.IsZero() {
			c.rb.windows = append(c.rb.windows, counterWindow{x.ID, x.Window})
		}
		cs = append(cs, &counterCond{bounds: c.bounds(p, &x.Range, oneUnit), counter: c.counter(p+".id", x.ID), window: x.Window, include: x.Include, every: x.Every})
	}
	if v := d.Visit; v != nil {
		id := v.Counter
		if id == "" {
			id = "visits"
		}
		x := &visitCond{v: v}
		if v.First || v.Number > 0 || v.Every > 0 {
			x.counter = c.counter(at+".visit.counter", id)
		}
		cs = append(cs, x)
	}
	if b := d.Bought; b != nil {
		p := at + ".bought"
		if b.On == nil {
			c.bad(p+".on", "required", "", "the goods are missing", "select them by SKU, category, brand, …")
		}
		window := Period{Name: "ever"}
		if !b.Within.IsZero() {
			window = Period{Span: b.Within}
		}
		n := 0
		for k := range c.rb.counters {
			if c.rb.counters[k].bought {
				n++
			}
		}
		id := "bought:" + c.cur.id
		for k := range c.rb.counters {
			if c.rb.counters[k].ID == id {
				id = "bought:" + c.cur.id + ":" + strconv.Itoa(n)
			}
		}
		k := c.addCounter(p, &Counter{ID: id, Of: "units", On: b.On, Window: window})
		c.rb.counters[k].bought = true
		r := b.Range
		if r.empty() {
			r.MoreThan = new(Factor)
		}
		cs = append(cs, &counterCond{bounds: c.bounds(p, &r, oneUnit), counter: k})
	}
	if b := d.Balance; b != nil {
		c.needRange(at+".balance", &b.Range)
		cs = append(cs, &balanceCond{bounds: c.bounds(at+".balance", &b.Range, onePoint), wallet: c.wallet(at+".balance.wallet", b.Wallet), pending: b.Pending})
	}
	if s := d.Stamps; s != nil {
		c.needRange(at+".stamps", &s.Range)
		c.card(at+".stamps.card", s.Card)
		cs = append(cs, &stampsCond{bounds: c.bounds(at+".stamps", &s.Range, 1), card: s.Card})
	}
	return cs
}

func (c *compiler) card(at, id string) int32 {
	known := map[string]bool{}
	for i, s := range c.doc.StampCards {
		if s.ID == id {
			return int32(i)
		}
		known[s.ID] = true
	}
	unknown(c, at, "stamp_card", id, known)
	return 0
}

func (c *compiler) coupon(at string, d *CouponHas) cond {
	if len(d.Codes) == 0 && d.Prefix == "" && !d.Issued {
		c.bad(at, "required", "", "which codes is missing", "give codes, prefix or issued")
	}
	if d.Uses < 0 {
		c.bad(at+".uses_per_member", "range", "", "below zero", "leave it out for any number of uses")
	}
	if c.cur.codes == nil {
		c.cur.codes = map[string]bool{}
	}
	for _, k := range d.Codes {
		c.cur.codes[k] = true
	}
	if d.Prefix != "" {
		c.cur.prefixes = append(c.cur.prefixes, d.Prefix)
	}
	return &couponCond{c: d, codes: setOf(d.Codes)}
}
