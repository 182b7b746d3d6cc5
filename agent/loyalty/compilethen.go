package loyalty

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
)

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// rewards compiles what a rule gives.
func (c *compiler) rewards(r *rule) {
	if len(r.doc.Then) == 0 && !r.completion {
		c.bad(r.path+".then", "required", "", "the rule gives nothing", "list at least one reward")
	}
	for i := range r.doc.Then {
		d := &r.doc.Then[i]
		field := "then"
		if r.completion {
			field = "on_complete"
		}
		at := fmt.Sprintf("%s.%s[%d]", r.path, field, i)
		if n := countSet(d); n != 1 {
			c.bad(at, "one_reward", strconv.Itoa(n), "a reward has exactly one kind", "write one of the kinds, and further rewards as further elements of the list")
			continue
		}
		if dis := c.discount(at, d, r); dis != nil {
			if r.completion {
				c.bad(at, "not_here", "", "a full stamp card cannot lower this receipt's prices", "give points or a coupon, or let a rule with the condition stamps do it")
				continue
			}
			r.discounts = append(r.discounts, dis)
			continue
		}
		if p := c.pointsReward(at, d, r); p != nil {
			r.points = append(r.points, p)
			continue
		}
		c.otherReward(at, d, r)
	}
	for _, o := range r.others {
		if k, ok := o.(couponReward); ok && k.Now {
			r.issuesNow = true
			if len(r.discounts)+len(r.points) > 0 {
				c.bad(r.path+".then", "not_here", "", "a coupon for now cannot come with discounts or points", "give it in a rule of its own")
			}
		}
	}
	c.describe(r)
}

// countSet counts the kinds that a reward sets.
func countSet(d *Reward) (n int) {
	v := reflect.ValueOf(d).Elem()
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			n++
		}
	}
	return n
}

func (c *compiler) percent(at string, p Percent) {
	if p <= 0 || p > hundredPct {
		c.bad(at, "range", p.String(), "not a percent above 0 and up to 100", "write \"10\" for a tenth")
	}
}

func (c *compiler) positive(at string, n int64, what string) {
	if n <= 0 {
		c.bad(at, "range", what, "must be above zero", "write a number above zero; a rule that shall rest gets \"off\": true")
	}
}

func (c *compiler) notNegative(at string, ns ...int64) {
	for _, n := range ns {
		if n < 0 {
			c.bad(at, "range", "", "a number below zero", "amounts and counts are not negative")
		}
	}
}

func (c *compiler) discount(at string, d *Reward, r *rule) discounter {
	switch {
	case d.PercentOff != nil:
		x, p := d.PercentOff, at+".percent_off"
		c.percent(p+".percent", x.Percent)
		c.notNegative(p, int64(x.Cap), int64(x.Units))
		return &percentOff{*x, c.sel(p+".on", x.On)}
	case d.AmountOff != nil:
		x, p := d.AmountOff, at+".amount_off"
		c.positive(p+".amount", int64(x.Amount), x.Amount.String())
		c.notNegative(p, int64(x.Cap), int64(x.Units), int64(x.Each))
		if x.Per == "amount" && x.Each == 0 {
			c.bad(p+".for_each", "required", "", "for each of what is missing", "\"for_each\": \"100.00\"")
		}
		return &amountOff{*x, c.sel(p+".on", x.On)}
	case d.NewPrice != nil:
		x, p := d.NewPrice, at+".new_price"
		c.notNegative(p, int64(x.Price), int64(x.Units))
		on := x.On
		if x.Table != nil {
			on = &Select{SKUs: sortedKeys(x.Table)}
			if x.On != nil {
				c.bad(p+".on", "both", "", "prices names the goods already", "leave on out")
			}
		}
		return &newPrice{*x, c.sel(p+".on", on)}
	case d.ItemOff != nil:
		return c.itemOff(at+".item_off", d.ItemOff, r)
	case d.BuyGet != nil:
		return c.buyGet(at+".buy_get", d.BuyGet, r)
	case d.Bundle != nil:
		return c.bundle(at+".bundle", d.Bundle, r)
	case d.Scale != nil:
		return c.scale(at+".scale", d.Scale)
	case d.Gift != nil && d.Gift.Line:
		x, p := *d.Gift, at+".gift"
		if len(x.SKUs) == 0 {
			c.bad(p+".skus", "required", "", "the gift is missing", "list its SKUs")
			x.SKUs = []string{""}
		}
		if x.Units == 0 {
			x.Units = oneUnit
		}
		c.notNegative(p, int64(x.Units), int64(x.Each), x.Times, int64(x.Value))
		return &giftLine{&x, c.sel(p+".skus", &Select{SKUs: x.SKUs})}
	case d.RoundTotal != nil:
		c.positive(at+".round_total.step", int64(d.RoundTotal.Step), d.RoundTotal.Step.String())
		return &roundTotal{max(1, d.RoundTotal.Step)}
	}
	return nil
}

// timesLimit is the smallest number of times that the reward and the limits
// per receipt allow; 0 is any.
func timesLimit(times int64, r *rule) int64 {
	for i := range r.limits {
		if l := &r.limits[i]; l.Per == perReceipt && l.Count > 0 && (times == 0 || l.Count < times) {
			times = l.Count
		}
	}
	return times
}

func (c *compiler) itemOff(at string, x *ItemOff, r *rule) discounter {
	o := &itemOff{ItemOff: *x, sel: c.sel(at+".on", x.On)}
	s := &c.doc.Settings
	pick := x.Pick
	if pick == "" {
		pick = s.FreeItem
	}
	o.dearest = pick == "dearest"
	of := x.Of
	if of == "" {
		of = s.CheapestOf
	}
	o.byLine = of == "line"
	if o.Count == 0 {
		o.Count = 1
	}
	c.notNegative(at, x.Count, x.Every, int64(x.Amount), x.Times, int64(x.Percent))
	if x.Every > 0 && o.Count > x.Every {
		c.bad(at+".count", "range", strconv.FormatInt(o.Count, 10), "more than every", "of every 3 units, 1 to 3")
	}
	o.Times = timesLimit(x.Times, r)
	c.oneOf(at, x.Percent > 0, x.Amount > 0, x.Price != nil)
	if x.Percent > hundredPct {
		c.percent(at+".percent", x.Percent)
	}
	return o
}

// oneOf checks that exactly one of percent, amount and price is given.
func (c *compiler) oneOf(at string, given ...bool) {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	if n != 1 {
		c.bad(at, "one_value", strconv.Itoa(n), "exactly one of percent, amount and price is given", "for free goods write \"percent\": \"100\"")
	}
}

func (c *compiler) buyGet(at string, x *BuyGet, r *rule) discounter {
	b := &buyGet{BuyGet: *x, percent: hundredPct}
	b.buy, _ = c.part(at+".buy", &b.Buy, false)
	b.get, _ = c.part(at+".get", &b.Get, false)
	b.same = b.Get.On == nil
	if b.same {
		b.get = b.buy
	}
	if x.Percent != nil {
		b.percent = *x.Percent
		c.percent(at+".percent", b.percent)
	}
	n := 0
	for _, given := range []bool{x.Percent != nil, x.Amount > 0, x.Price != nil} {
		if given {
			n++
		}
	}
	if n > 1 {
		c.oneOf(at, x.Percent != nil, x.Amount > 0, x.Price != nil)
	}
	c.notNegative(at, int64(x.BuyAmount), int64(x.Amount), x.Times)
	pick := x.Pick
	if pick == "" {
		pick = c.doc.Settings.FreeItem
	}
	b.dearest = pick == "dearest"
	b.Times = timesLimit(x.Times, r)
	if x.Add == "added" && x.SKU == "" {
		c.bad(at+".sku", "required", "", "the goods handed over are missing", "name their SKU")
	}
	if x.PerSet && !b.same {
		c.bad(at+".per_set", "both", "", "sets of different goods have no cheapest of each set", "leave per_set or get.on out")
	}
	return b
}

func (c *compiler) bundle(at string, x *Bundle, r *rule) discounter {
	b := &bundle{Bundle: *x, dearest: x.Pick != "cheapest"}
	b.Parts = slices.Clone(x.Parts)
	if b.Need == 0 {
		b.Need = len(b.Parts)
	}
	if len(b.Parts) == 0 || b.Need < 0 || b.Need > len(b.Parts) {
		c.bad(at+".parts", "required", strconv.Itoa(len(b.Parts)), "a bundle needs parts, at least as many as need says", "list the parts of the set, or lower need")
	}
	for i := range b.Parts {
		sel, _ := c.part(fmt.Sprintf("%s.parts[%d]", at, i), &b.Parts[i], true)
		b.sels = append(b.sels, sel)
	}
	c.oneOf(at, x.Price != nil, x.Percent > 0, x.Amount > 0)
	c.notNegative(at, int64(x.Percent), int64(x.Amount), x.Times)
	if x.Price != nil {
		c.notNegative(at+".price", int64(*x.Price))
	}
	if x.Percent > 0 {
		c.percent(at+".percent", x.Percent)
	}
	b.Times = timesLimit(x.Times, r)
	return b
}

func (c *compiler) scale(at string, x *Scale) discounter {
	s := &scale{Scale: *x, on: c.sel(at+".on", x.On), strict: c.rb.set.strictFrom}
	s.of = s.on
	if x.Of != nil {
		s.of = c.sel(at+".of", x.Of)
	}
	if len(x.Steps) == 0 {
		c.bad(at+".steps", "required", "", "a scale without steps", "{\"from\": \"100\", \"percent\": \"5\"}")
	}
	for i := range x.Steps {
		st, p := &x.Steps[i], fmt.Sprintf("%s.steps[%d]", at, i)
		if i > 0 && st.From <= x.Steps[i-1].From {
			c.bad(p+".from", "order", st.From.String(), "steps go from the lowest up", "put the steps in order, each from once")
		}
		c.notNegative(p, int64(st.From), int64(st.Percent), int64(st.Amount))
		if st.Percent > hundredPct {
			c.percent(p+".percent", st.Percent)
		}
		if x.Mode == "slices" && st.Price != nil {
			c.bad(p+".price", "both", "", "slices take a percent or an amount", "leave out mode slices, or give the price as a percent")
		}
	}
	if x.By == "" {
		c.bad(at+".by", "required", "", "what decides the step is missing", "use one of: amount, quantity, weight, distinct_skus, lines")
	}
	return s
}

// into compiles where points go and what they are counted on.
func (c *compiler) into(at string, d *PointsInto, b *PointsBase) pointsInto {
	p := pointsInto{wallet: c.wallet(at+".wallet", d.Wallet), cap: d.Cap, active: d.Active, expiry: d.Expiry, kind: c.rb.set.accrual}
	c.notNegative(at+".at_most", int64(d.Cap))
	c.activation(at, d.Active)
	c.expiry(at, d.Expiry)
	if b != nil {
		p.sel = c.sel(at+".on", b.On)
		if b.Base != "" {
			p.kind = baseKinds[b.Base]
		}
		p.noTax = b.Tax == "without"
		if p.kind == baseTender && len(c.doc.Settings.EarnTenders) == 0 {
			c.bad(at+".base", "required", "by_tender", "the means of payment that earn are not named", "list them in settings.earn_tenders")
		}
	}
	if int(p.wallet) < len(c.rb.wallets) {
		p.perLine = c.rb.wallets[p.wallet].perLine
	}
	return p
}

func (c *compiler) pointsReward(at string, d *Reward, r *rule) accruer {
	switch {
	case d.Points != nil:
		x, p := d.Points, at+".points"
		c.positive(p+".points", int64(x.Points), x.Points.String())
		return &fixedPoints{c.fixedInto(p, &x.PointsInto, x.On), x.Points}
	case d.PointsPercent != nil:
		x, p := d.PointsPercent, at+".points_percent"
		c.positive(p+".percent", int64(x.Percent), x.Percent.String())
		y := &percentPoints{pointsInto: c.into(p, &x.PointsInto, &x.PointsBase), percent: x.Percent}
		if x.As == "value" {
			if int(y.wallet) < len(c.doc.Wallets) {
				y.value = c.doc.Wallets[y.wallet].Value
			}
			if y.value <= 0 {
				c.bad(p+".as", "required", "value", "the wallet has no point_value", "say what a point is worth")
				y.value = oneMoney
			}
		}
		return y
	case d.PointsStep != nil:
		x, p := d.PointsStep, at+".points_step"
		c.positive(p+".step", int64(x.Step), x.Step.String())
		c.positive(p+".points", int64(x.Points), x.Points.String())
		y := &stepPoints{pointsInto: c.into(p, &x.PointsInto, &x.PointsBase), StepPoints: x}
		y.steps = []StepFrom{{Step: max(1, x.Step), Points: x.Points}}
		for i, s := range x.Steps {
			last := y.steps[len(y.steps)-1]
			q := fmt.Sprintf("%s.from[%d]", p, i)
			if s.From <= last.From {
				c.bad(q+".base", "order", s.From.String(), "bases go from the lowest up, above zero", "put them in order; the first step needs no entry")
			}
			c.notNegative(q, int64(s.Step), int64(s.Points))
			if s.Step <= 0 {
				s.Step = last.Step
			}
			if s.Points == 0 {
				s.Points = last.Points
			}
			y.steps = append(y.steps, s)
		}
		y.perLine = x.Per == "line" || y.perLine && x.Per == ""
		return y
	case d.PointsUnit != nil:
		x, p := d.PointsUnit, at+".points_unit"
		c.positive(p+".points", int64(x.Points), x.Points.String())
		c.notNegative(p+".each", int64(x.Unit))
		y := &unitPoints{pointsInto: c.fixedInto(p, &x.PointsInto, x.On), UnitPoints: x}
		if x.Unit <= 0 {
			x.Unit = oneUnit
		}
		return y
	case d.PointsTable != nil:
		x, p := d.PointsTable, at+".points_table"
		if len(x.SKUs) == 0 {
			c.bad(p+".skus", "required", "", "an empty table", "{\"SKU\": \"5\"}")
		}
		for _, k := range sortedKeys(x.SKUs) {
			c.notNegative(p+".skus."+k, int64(x.SKUs[k]))
		}
		return &tablePoints{c.fixedInto(p, &x.PointsInto, &Select{SKUs: sortedKeys(x.SKUs)}), x.SKUs}
	case d.PointsTimes != nil:
		return c.timesPoints(at+".points_times", d.PointsTimes)
	}
	return nil
}

// fixedInto is into for points that are not counted on a base.
func (c *compiler) fixedInto(at string, d *PointsInto, on *Select) pointsInto {
	p := c.into(at, d, nil)
	p.sel = c.sel(at+".on", on)
	p.kind = baseNet
	p.perLine = false
	return p
}

func (c *compiler) timesPoints(at string, x *TimesPoints) accruer {
	y := &timesPoints{pointsInto: c.fixedInto(at, &x.PointsInto, x.On), TimesPoints: x}
	if x.Times <= oneFactor {
		c.bad(at+".times", "range", x.Times.String(), "a multiplier must be above 1", "2 doubles what the other rules gave")
	}
	for i, id := range x.Rules {
		k, ok := c.ruleAt[id]
		if !ok {
			unknown(c, fmt.Sprintf("%s.rules[%d]", at, i), "rule", id, c.ruleAt)
		}
		if y.rules == nil {
			y.rules = map[int32]bool{}
		}
		y.rules[k] = true
		if ok && k >= c.cur.index {
			c.bad(fmt.Sprintf("%s.rules[%d]", at, i), "order", strconv.Quote(id), "is applied after the multiplier", "give the multiplier a lower priority or a later group")
		}
	}
	for i, id := range x.Groups {
		k := slices.IndexFunc(c.rb.groups, func(g group) bool { return g.id == id && id != "" })
		if k < 0 {
			known := map[string]bool{}
			for _, g := range c.doc.Groups {
				known[g.ID] = true
			}
			unknown(c, fmt.Sprintf("%s.groups[%d]", at, i), "stacking_group", id, known)
		}
		if y.groups == nil {
			y.groups = map[int32]bool{}
		}
		y.groups[int32(k)] = true
	}
	return y
}

func (c *compiler) otherReward(at string, d *Reward, r *rule) {
	var o other
	switch {
	case d.Gift != nil:
		x, p := *d.Gift, at+".gift"
		if len(x.SKUs) == 0 {
			c.bad(p+".skus", "required", "", "the gift is missing", "list its SKUs")
			x.SKUs = []string{""}
		}
		c.notNegative(p, int64(x.Units), int64(x.Each), x.Times, int64(x.Value))
		if x.Units == 0 {
			x.Units = oneUnit
		}
		o = giftReward{&x}
	case d.Coupon != nil:
		x, p := *d.Coupon, at+".coupon"
		if _, ok := c.ruleAt[x.For]; !ok {
			unknown(c, p+".for", "rule", x.For, c.ruleAt)
		}
		c.notNegative(p, x.Uses, x.Count)
		x.Uses, x.Count = max(1, x.Uses), max(1, x.Count)
		if x.Count > 100 {
			c.bad(p+".count", "range", strconv.FormatInt(x.Count, 10), "more than 100 coupons at once", "issue one coupon with several uses")
			x.Count = 100
		}
		o = couponReward{&x}
	case d.Stamps != nil:
		x, p := *d.Stamps, at+".stamps"
		c.notNegative(p, x.Count, int64(x.Each), int64(x.Units), x.Max)
		x.Count = max(1, x.Count)
		if x.Units == 0 {
			x.Units = oneUnit
		}
		if x.Per == "amount" && x.Each <= 0 {
			c.bad(p+".for_each", "required", "", "for each of what is missing", "\"for_each\": \"10.00\"")
			x.Each = 1
		}
		o = &stampReward{&x, c.card(p+".card", x.Card), c.sel(p+".on", x.On)}
	case d.TakeStamps != nil:
		x, p := d.TakeStamps, at+".take_stamps"
		c.notNegative(p, x.Count)
		t := &takeStamps{card: c.card(p+".card", x.Card), count: x.Count}
		if t.count == 0 && int(t.card) < len(c.doc.StampCards) {
			t.count = c.doc.StampCards[t.card].Goal
		}
		o = t
	case d.Tier != nil:
		if c.rb.tierRank(d.Tier.ID) < 0 {
			known := map[string]bool{}
			if c.doc.Tiers != nil {
				for _, l := range c.doc.Tiers.Levels {
					known[l.ID] = true
				}
			}
			unknown(c, at+".tier.id", "tier", d.Tier.ID, known)
		}
		o = setTier{d.Tier}
	case d.Segment != nil:
		if !slices.ContainsFunc(c.doc.Segments, func(s Named) bool { return s.ID == d.Segment.ID }) {
			known := map[string]bool{}
			for _, s := range c.doc.Segments {
				known[s.ID] = true
			}
			unknown(c, at+".segment.id", "segment", d.Segment.ID, known)
		}
		o = setSegment{d.Segment}
	case d.Privilege != nil:
		o = privilege{d.Privilege}
	case d.Outside != nil:
		if d.Outside.Partner == "" {
			c.bad(at+".outside.partner", "required", "", "who gives it is missing", "name the partner")
		}
		c.notNegative(at+".outside", int64(d.Outside.Amount), int64(d.Outside.Percent))
		o = outsideReward{d.Outside}
	case d.Text != nil:
		if len(d.Text.To) == 0 || len(d.Text.Text) == 0 {
			c.bad(at+".text", "required", "", "a text needs to and text", "{\"to\": [\"cashier\"], \"text\": {\"en\": \"…\"}}")
		}
		o = &textReward{d.Text.To, c.text(at+".text.text", d.Text.Text)}
	case d.Ban != nil:
		if len(d.Ban.Ban) == 0 {
			c.bad(at+".ban.ban", "required", "", "what is forbidden is missing", "use one of: discount, earn, spend")
		}
		r.bans = append(r.bans, banGiven{c.sel(at+".ban.on", d.Ban.On), bansOf(d.Ban.Ban)})
		return
	}
	r.others = append(r.others, o)
}

// describe makes the few words that say how much the rule's first money or
// points reward gives, in each language.
func (c *compiler) describe(r *rule) {
	for _, p := range languages {
		for i := range r.doc.Then {
			if s := p.describe(&r.doc.Then[i]); s != "" {
				r.hows[p.index] = c.intern(s)
				break
			}
		}
	}
}

// intern keeps one copy of equal strings.
func (c *compiler) intern(s string) string {
	if c.strings == nil {
		c.strings = map[string]string{}
	}
	if k, ok := c.strings[s]; ok {
		return k
	}
	c.strings[s] = s
	return s
}

// howVars are the numbers of a reward.
type howVars map[string]value

func (v howVars) variable(name string) value { return v[name] }

func (p *phrases) describe(d *Reward) string {
	fill := func(kind string, v howVars) string {
		return strings.TrimSpace(string(p.how[kind].appendTo(nil, p, v, value{})))
	}
	percent := func(n Percent) string {
		return fill("percent", howVars{"percent": value{n: int64(n), digits: percentDigits, number: true}})
	}
	switch {
	case d.PercentOff != nil:
		return percent(d.PercentOff.Percent)
	case d.PointsPercent != nil:
		return percent(d.PointsPercent.Percent)
	case d.ItemOff != nil && d.ItemOff.Percent > 0:
		return percent(d.ItemOff.Percent)
	case d.PointsStep != nil:
		return fill("step", howVars{"points": pointsValue(d.PointsStep.Points), "step": moneyValue2(d.PointsStep.Step)})
	case d.PointsUnit != nil:
		return fill("unit", howVars{"points": pointsValue(d.PointsUnit.Points), "unit": value{n: int64(max(oneUnit, d.PointsUnit.Unit)), digits: quantityDigits, number: true}})
	case d.PointsTimes != nil:
		return fill("times", howVars{"times": value{n: int64(d.PointsTimes.Times), digits: factorDigits, number: true}})
	}
	return ""
}
