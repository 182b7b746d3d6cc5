package loyalty

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxRules bounds a rulebook; more are a mistake or an attack.
const maxRules = 20_000

// compiler turns a Document into a Rulebook and gathers every problem.
type compiler struct {
	doc      *Document
	rb       *Rulebook
	problems Problems
	selByKey map[string]int32
	lists    map[string][]string
	stores   map[string][]string
	tests    map[string]*ABTest
	holidays map[string]map[Date]bool
	ruleAt   map[string]int32 // id -> index in application order
	strings  map[string]string
	cur      *rule // whose conditions are being compiled
}

// bad notes a problem.
func (c *compiler) bad(path, code, found, what, remedy string) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{Path: path, Code: code, Found: shorten(found), What: what, Remedy: remedy})
	}
}

// unknown notes a reference to something that is not declared.
func unknown[T any](c *compiler, path, what, id string, known map[string]T) {
	names := make([]string, 0, len(known))
	for k := range known {
		names = append(names, k)
	}
	slices.Sort(names)
	remedy := "none is declared"
	if len(names) > 0 {
		remedy = "declared: " + shorten(strings.Join(names, ", "))
		if near := nearest(id, names); near != "" {
			remedy = "did you mean \"" + near + "\"? " + remedy
		}
	}
	c.bad(path, "unknown_"+what, strconv.Quote(id), "no such "+what, remedy)
}

func (c *compiler) compile() *Rulebook {
	doc := c.doc
	rb := &Rulebook{doc: doc, byKey: map[string][]int32{}}
	c.rb = rb
	rb.index = lineIndex{map[string][]int32{}, map[string][]int32{}, map[string][]int32{}}
	all := &selector{sel: &Select{}}
	rb.selectors = append(rb.selectors, all)
	if len(doc.Rules) > maxRules {
		c.bad("rules", "too_many", strconv.Itoa(len(doc.Rules)), "too many rules", fmt.Sprintf("at most %d; use a table reward (points_table, new_price.prices) for lists of goods", maxRules))
		return rb
	}
	c.heading()
	rb.set = compileSettings(doc)
	c.declarations()
	c.walletsAndCounters()
	c.noRule()
	c.groups()
	c.legalProfiles()
	c.orderRules()
	for k := range rb.rules {
		c.rule(&rb.rules[k])
	}
	c.redemption()
	c.offline()
	c.programmeLimits()
	c.receiptTexts()
	c.vectors()
	if len(c.problems) == 0 {
		for k := range rb.rules {
			c.file(&rb.rules[k])
		}
		rb.pool.New = func() any { return rb.newEval() }
	}
	return rb
}

func (c *compiler) heading() {
	p := &c.doc.Programme
	if p.ID == "" || strings.ContainsAny(p.ID, " @/\"") {
		c.bad("programme.id", "required", p.ID, "the programme needs a short id", "write letters, digits, - and _ such as \"grocer\"")
	}
	if len(p.Currency) != 3 || strings.ToUpper(p.Currency) != p.Currency {
		c.bad("programme.currency", "bad_value", strconv.Quote(p.Currency), "not a currency code", "use three capital letters such as \"GBP\"")
	}
	c.currency()
	if p.Version < 0 {
		c.bad("programme.version", "range", "", "a version below zero", "count up from 1")
	}
	c.rb.version = p.ID + "@" + strconv.FormatInt(p.Version, 10)
	c.rb.defaultLang = "en"
	if len(p.Languages) > 0 {
		c.rb.defaultLang = p.Languages[0]
	}
	s := &c.doc.Settings
	if s.AccrualBase == "by_tender" && len(s.EarnTenders) == 0 {
		c.bad("settings.earn_tenders", "required", "", "accrual by tender needs the means of payment that earn", "list them: [\"cash\", \"card\"]")
	}
	if s.MaxDiscount < 0 || s.MaxDiscount > hundredPct {
		c.bad("settings.max_discount_percent", "range", s.MaxDiscount.String(), "not between 0 and 100", "write a percent such as \"50\"")
	}
	if s.LineFloor < 0 || s.Rounding.Step < 0 {
		c.bad("settings", "range", "", "line_floor and rounding.step are not below zero", "write an amount such as \"0.01\", or leave it out")
	}
}

// ids checks that ids of a list are given and unlike.
func ids[T any](c *compiler, path string, list []T, id func(*T) string) {
	seen := make(map[string]int, len(list))
	for i := range list {
		k := id(&list[i])
		at := fmt.Sprintf("%s[%d].id", path, i)
		if k == "" {
			c.bad(at, "required", "", "an id is missing", "give it a short, lasting id")
			continue
		}
		if j, ok := seen[k]; ok {
			c.bad(at, "repeated", strconv.Quote(k), fmt.Sprintf("also the id of %s[%d]", path, j), "ids are unlike each other")
		}
		seen[k] = i
	}
}

func (c *compiler) groups() {
	ids(c, "stacking_groups", c.doc.Groups, func(x *Group) string { return x.ID })
	s := &c.doc.Settings
	add := func(g *Group) {
		mode := g.Mode
		if mode == "" {
			mode = s.InGroup
		}
		base := g.Base
		if base == "" {
			base = s.PercentBase
		}
		c.rb.groups = append(c.rb.groups, group{id: g.ID, mode: groupModes[mode], initialBase: base == "initial", skipDiscounted: g.Not == "excluded"})
	}
	for i := range c.doc.Groups {
		add(&c.doc.Groups[i])
	}
	add(&Group{}) // rules without a group come last
}

func (c *compiler) legalProfiles() {
	for p := range c.doc.Legal {
		prof := &c.doc.Legal[p]
		ids(c, fmt.Sprintf("legal[%d].rules", p), prof.Rules, func(x *LegalRule) string { return x.ID })
		for i := range prof.Rules {
			r := &prof.Rules[i]
			at := fmt.Sprintf("legal[%d].rules[%d]", p, i)
			law := legalRule{id: prof.ID + "/" + r.ID, doc: r, sel: c.sel(at+".on", r.On), minPrice: r.MinPrice, per: r.Per}
			if r.On == nil {
				c.bad(at+".on", "required", "", "the goods are missing", "select them by category, SKU, list or attribute")
			}
			if r.Where != nil {
				law.where = c.place(at+".where", r.Where)
			}
			if len(r.Ban) == 0 && r.MinPrice == 0 {
				c.bad(at, "required", "", "the law forbids nothing here", "give ban or min_price")
			}
			law.bans = bansOf(r.Ban)
			k := int32(len(c.rb.legal))
			c.rb.legal = append(c.rb.legal, law)
			if x := c.rb.selectors[law.sel]; x.anchored {
				x.legal = append(x.legal, k)
			} else {
				c.rb.legalAlways = append(c.rb.legalAlways, k)
			}
		}
	}
}

func bansOf(names []string) (b uint8) {
	for _, n := range names {
		switch n {
		case "discount":
			b |= banDiscount
		case "earn":
			b |= banEarn
		case "spend":
			b |= banSpend
		}
	}
	return b
}

// orderRules puts the rules in the order in which they are applied: by
// group, priority and id. The order in the document does not matter.
func (c *compiler) orderRules() {
	groupAt := map[string]int32{}
	for i, g := range c.doc.Groups {
		groupAt[g.ID] = int32(i)
	}
	rb := c.rb
	for i := range c.doc.Rules {
		d := &c.doc.Rules[i]
		r := rule{id: d.ID, doc: d, budget: -1, group: int32(len(c.doc.Groups)), path: fmt.Sprintf("rules[%d]", i)}
		if g := d.Stacking.Group; g != "" {
			k, ok := groupAt[g]
			if !ok {
				unknown(c, r.path+".stacking.group", "stacking_group", g, groupAt)
			} else {
				r.group = k
			}
		}
		rb.rules = append(rb.rules, r)
	}
	low := c.doc.Settings.PriorityOrder == "low_first"
	order := make([]int, len(rb.rules))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := &rb.rules[i], &rb.rules[j]
		byPriority := cmp.Compare(b.doc.Stacking.Priority, a.doc.Stacking.Priority)
		if low {
			byPriority = -byPriority
		}
		return cmp.Or(cmp.Compare(a.group, b.group), byPriority, strings.Compare(a.id, b.id))
	})
	sorted := make([]rule, 0, len(rb.rules)+len(c.doc.StampCards))
	for _, i := range order {
		sorted = append(sorted, rb.rules[i])
	}
	rb.rules = sorted
	for i := range c.doc.StampCards {
		s := &c.doc.StampCards[i]
		d := &Rule{ID: completionRule(s.ID), Name: s.Name, Then: s.Complete}
		rb.cardRules = append(rb.cardRules, int32(len(rb.rules)))
		rb.rules = append(rb.rules, rule{id: d.ID, doc: d, budget: -1, group: int32(len(c.doc.Groups)), path: fmt.Sprintf("stamp_cards[%d]", i), completion: true})
	}
	c.ruleAt = make(map[string]int32, len(rb.rules))
	for k := range rb.rules {
		rb.rules[k].index = int32(k)
		c.ruleAt[rb.rules[k].id] = int32(k)
	}
}

// noRule stands in for a rule where a condition belongs to none.
func (c *compiler) noRule() {
	c.rb.noRule = rule{doc: &Rule{}, budget: -1}
}

func (c *compiler) rule(r *rule) {
	d := r.doc
	c.cur = r
	at := r.path
	r.timed = d.timed()
	if d.Schedule != nil {
		r.schedule = c.schedule(at+".schedule", d.Schedule)
	}
	if d.Where != nil {
		r.where = c.place(at+".where", d.Where)
	}
	if d.Audience != nil {
		r.audience = c.audience(at+".audience", d.Audience)
		r.needsMember = r.audience.needsMember
	}
	if d.When != nil {
		r.when = c.condition(at+".when", d.When, 0)
	}
	g := &c.rb.groups[r.group]
	r.initialBase = g.initialBase
	if d.Stacking.Base != "" {
		r.initialBase = d.Stacking.Base == "initial"
	}
	r.exclusive, r.stop = scopes[d.Stacking.Exclusive], scopes[d.Stacking.Stop]
	for i, id := range d.Stacking.Not {
		if k, ok := c.ruleAt[id]; ok {
			r.notRules = append(r.notRules, k)
			c.rb.rules[k].notRules = append(c.rb.rules[k].notRules, r.index)
		} else if k := slices.IndexFunc(c.rb.groups, func(g group) bool { return g.id == id && id != "" }); k >= 0 {
			r.notGroups = append(r.notGroups, int32(k))
			for n := range c.rb.rules {
				if o := &c.rb.rules[n]; o.group == int32(k) && o != r {
					o.notRules = append(o.notRules, r.index)
				}
			}
		} else {
			unknown(c, fmt.Sprintf("%s.stacking.not_with[%d]", at, i), "rule", id, c.ruleAt)
		}
	}
	if d.Budget != "" {
		k := slices.IndexFunc(c.doc.Budgets, func(b Budget) bool { return b.ID == d.Budget })
		if k < 0 {
			known := map[string]bool{}
			for _, b := range c.doc.Budgets {
				known[b.ID] = true
			}
			unknown(c, at+".budget", "budget", d.Budget, known)
		}
		r.budget = int32(k)
	}
	if d.Cost != nil {
		c.positive(at+".costs.points", int64(d.Cost.Points), d.Cost.Points.String())
		r.cost, r.costWallet, r.needsMember = d.Cost.Points, c.wallet(at+".costs.wallet", d.Cost.Wallet), true
	}
	for i := range d.Limits {
		l := &d.Limits[i]
		c.limit(fmt.Sprintf("%s.limits[%d]", at, i), l)
		r.limits = append(r.limits, newLimit(l, "rule:"+d.ID))
	}
	c.rewards(r)
	if isCompletion(d.ID) && !r.completion {
		c.bad(at+".id", "bad_value", strconv.Quote(d.ID), "ids that begin with \""+completionPrefix+"\" are kept for full stamp cards", "choose another id")
	}
	c.unitLimits(at, r)
	if len(r.discounts)+len(r.bans) == 0 && c.onlyMembers(r) {
		r.needsMember = true
	}
	r.explain = c.text(at+".explain", d.Explain)
	r.hint = c.text(at+".hint", d.Hint)
	c.text(at+".name", d.Name)
}

// onlyMembers tells whether all that the rule gives needs a member.
func (c *compiler) onlyMembers(r *rule) bool {
	for _, o := range r.others {
		switch o.(type) {
		case *stampReward, *takeStamps, setTier, setSegment:
		case *textReward, giftReward, couponReward, privilege, outsideReward:
			return false
		}
	}
	return true
}

func (c *compiler) limit(at string, l *Limit) {
	if l.Per == "" {
		c.bad(at+".per", "required", "", "for whom the limit counts is missing", "use one of: receipt, member, card, store, till, cashier, all")
	}
	if l.Count < 0 || l.Units < 0 || l.Money < 0 || l.Points < 0 || l.Count > 1e9 || l.Units > 1e9 {
		c.bad(at, "range", "", "a limit below zero or above a thousand million", "leave out what is not limited")
	}
	if l.Count == 0 && l.Units == 0 && l.Money == 0 && l.Points == 0 {
		c.bad(at, "required", "", "the limit limits nothing", "give count, units, money or points")
	}
}

// unitLimits refuses a limit of units where a reward does not take goods by
// the unit: it would limit nothing.
func (c *compiler) unitLimits(at string, r *rule) {
	for i, l := range r.limits {
		if l.Units == 0 {
			continue
		}
		for _, d := range r.discounts {
			if u, ok := d.(byUnit); ok && u.takesUnits() {
				continue
			}
			c.bad(fmt.Sprintf("%s.limits[%d].units", at, i), "no_units", strconv.FormatInt(l.Units, 10), "a reward of the rule does not take goods by the unit",
				"limit count or money, or give percent_off, amount_off per unit, new_price, item_off or buy_get")
			break
		}
		if len(r.discounts) == 0 {
			c.bad(fmt.Sprintf("%s.limits[%d].units", at, i), "no_units", strconv.FormatInt(l.Units, 10), "the rule takes nothing off goods", "limit count or points")
		}
	}
}

func (c *compiler) programmeLimits() {
	for i := range c.doc.Limits {
		l := &c.doc.Limits[i]
		at := fmt.Sprintf("limits[%d]", i)
		c.limit(at, l)
		if l.What == "" || l.What == "rule" {
			c.bad(at+".what", "required", l.What, "what the programme limits is missing", "use one of: earning, spending, discount")
		}
		if l.Units > 0 {
			c.bad(at+".units", "no_units", strconv.FormatInt(l.Units, 10), "a limit of the programme does not count units", "limit count, money or points")
		}
		c.rb.programmeLimits = append(c.rb.programmeLimits, newLimit(l, "programme:"+l.What))
	}
}

func (c *compiler) redemption() {
	for i := range c.doc.Redemption {
		d := &c.doc.Redemption[i]
		at := fmt.Sprintf("redemption[%d]", i)
		w := way{Redemption: d, id: d.ID, unit: smallest(c.doc.Programme.Currency), wallet: c.wallet(at+".wallet", d.Wallet), sel: c.sel(at+".on", d.On)}
		if w.id == "" {
			w.id = "redeem"
		}
		c.cur = &c.rb.noRule
		if d.When != nil {
			w.when = c.condition(at+".when", d.When, 0)
		}
		w.points, w.value, w.block = d.Points, d.Value, d.Block
		if w.points == 0 {
			w.points = onePoint
		}
		if w.value == 0 && int(w.wallet) < len(c.doc.Wallets) {
			w.value = c.doc.Wallets[w.wallet].Value
			if d.Points != 0 {
				n, ok := mulDiv(int64(w.value), int64(d.Points), onePoint, Down)
				if !ok {
					n = 0
				}
				w.value = Money(n)
			}
		}
		if w.points <= 0 || w.value <= 0 {
			c.bad(at+".worth", "required", w.value.String(), "what the points pay is missing", "give worth here or point_value in the wallet")
			w.points, w.value = onePoint, 1
		}
		for _, x := range []struct {
			name string
			bad  bool
		}{{"max_percent", d.MaxPercent < 0 || d.MaxPercent > hundredPct}, {"max_line_percent", d.LinePct < 0 || d.LinePct > hundredPct},
			{"block", d.Block < 0}, {"min_points", d.Min < 0}, {"max_points", d.MaxPoints < 0}, {"max_value", d.MaxValue < 0}, {"line_leaves", d.MinLeft < 0}} {
			if x.bad {
				c.bad(at+"."+x.name, "range", "", "out of range", "percents lie between 0 and 100, amounts are not below zero")
			}
		}
		c.rb.ways = append(c.rb.ways, w)
	}
}

// sel compiles a Select after checking what it refers to.
func (c *compiler) sel(at string, s *Select) int32 {
	if s == nil {
		return selAll
	}
	c.checkSelect(at, s, 0)
	return c.selectorFor(s)
}

func (c *compiler) checkSelect(at string, s *Select, depth int) {
	if depth > 8 {
		c.bad(at, "too_deep", "", "selections nest more than 8 deep", "name the goods in a list, or split the rule")
		return
	}
	for i, l := range s.Lists {
		if _, ok := c.lists[l]; !ok {
			unknown(c, fmt.Sprintf("%s.lists[%d]", at, i), "list", l, c.lists)
		}
	}
	if s.PriceFrom != nil && s.PriceTo != nil && *s.PriceFrom > *s.PriceTo {
		c.bad(at+".price_to", "order", s.PriceTo.String(), "below price_from", "no line can be both")
	}
	for i := range s.AnyOf {
		c.checkSelect(fmt.Sprintf("%s.any_of[%d]", at, i), &s.AnyOf[i], depth+1)
	}
	for i := range s.Except {
		c.checkSelect(fmt.Sprintf("%s.except[%d]", at, i), &s.Except[i], depth+1)
	}
}
