package loyalty

import "slices"

// file puts a rule where pricing will find it: under something without which
// it cannot fire. A rule without such a thing is looked at in every hour
// that its schedule allows.
func (c *compiler) file(r *rule) {
	if r.doc.Off || r.completion {
		return
	}
	rb := c.rb
	if len(r.doc.Hint) == 0 {
		// A hint is told when the goods are there but the amount is not, so
		// such rules are filed only by place and person.
		if keys := c.couponKeys(r); keys != nil {
			c.fileUnder('k', keys, r)
			r.lacks = "coupon"
			return
		}
		if sels := c.neededLines(r); sels != nil {
			for _, s := range sels {
				if x := rb.selectors[s]; !slices.Contains(x.rules, r.index) {
					x.rules = append(x.rules, r.index)
				}
			}
			r.lacks = "no_line"
			return
		}
	}
	d := r.doc
	switch {
	case d.When != nil && d.When.Event != "":
		c.fileUnder('e', []string{d.When.Event}, r)
		r.lacks = "event"
	case d.Where != nil && len(d.Where.Stores)+len(d.Where.Groups) > 0:
		c.fileUnder('s', sortedKeys(r.where.stores), r)
	case d.Audience != nil && len(d.Audience.Segments) > 0:
		c.fileUnder('g', d.Audience.Segments, r)
	case d.Audience != nil && len(d.Audience.AllSegments) > 0:
		c.fileUnder('g', d.Audience.AllSegments[:1], r)
	case d.Audience != nil && len(d.Audience.Tiers) > 0:
		c.fileUnder('t', d.Audience.Tiers, r)
	default:
		rb.always = append(rb.always, r.index)
	}
}

func (c *compiler) fileUnder(kind byte, keys []string, r *rule) {
	for _, k := range keys {
		key := string(kind) + k
		if ids := c.rb.byKey[key]; len(ids) == 0 || ids[len(ids)-1] != r.index {
			c.rb.byKey[key] = append(ids, r.index)
		}
	}
}

// couponKeys are codes of which one must be shown; nil when there is no such
// closed list.
func (c *compiler) couponKeys(r *rule) []string {
	w := r.doc.When
	if w == nil {
		return nil
	}
	if w.Coupon != nil && w.Coupon.Prefix == "" && !w.Coupon.Issued {
		return w.Coupon.Codes
	}
	for i := range w.All {
		if k := w.All[i].Coupon; k != nil && k.Prefix == "" && !k.Issued {
			return k.Codes
		}
	}
	return nil
}

// neededLines are selectors of which one must pick a line for the rule to
// give anything; nil when the rule may fire without.
func (c *compiler) neededLines(r *rule) []int32 {
	if w := r.doc.When; w != nil {
		if sels := c.conditionLines(w); sels != nil {
			return sels
		}
	}
	var sels []int32
	for i := range r.doc.Then {
		on, needs := r.doc.Then[i].goods()
		if !needs {
			return nil
		}
		id := c.selectorFor(on)
		if !c.rb.selectors[id].anchored {
			return nil
		}
		sels = append(sels, id)
	}
	// Rewards that follow others, such as texts, need what those need.
	if len(sels) == 0 {
		return nil
	}
	return sels
}

// conditionLines is the first condition that must hold and needs a line of
// an indexed selector.
func (c *compiler) conditionLines(w *Condition) []int32 {
	try := func(on *Select) []int32 {
		if on == nil {
			return nil
		}
		if id := c.selectorFor(on); c.rb.selectors[id].anchored {
			return []int32{id}
		}
		return nil
	}
	if w.Lines != nil && w.Lines.Which != "none" {
		if s := try(w.Lines.On); s != nil {
			return s
		}
	}
	if b := w.Basket; b != nil && b.On != nil && lowerAboveZero(&b.Range) {
		if s := try(b.On); s != nil {
			return s
		}
	}
	if w.Sets != nil && (w.Sets.Need == 0 || w.Sets.Need == len(w.Sets.Parts)) {
		for i := range w.Sets.Parts {
			if s := try(w.Sets.Parts[i].On); s != nil {
				return s
			}
		}
	}
	for i := range w.All {
		if s := c.conditionLines(&w.All[i]); s != nil {
			return s
		}
	}
	return nil
}

func lowerAboveZero(r *Range) bool {
	for _, f := range []*Factor{r.From, r.AtLeast, r.Equal} {
		if f != nil && *f > 0 {
			return true
		}
	}
	return r.MoreThan != nil && *r.MoreThan >= 0
}

// goods is what a reward is given on; needs is false when it can be given
// without any such line.
func (d *Reward) goods() (on *Select, needs bool) {
	switch {
	case d.PercentOff != nil:
		return d.PercentOff.On, d.PercentOff.On != nil
	case d.AmountOff != nil:
		return d.AmountOff.On, d.AmountOff.On != nil
	case d.NewPrice != nil:
		if d.NewPrice.Table != nil {
			return &Select{SKUs: sortedKeys(d.NewPrice.Table)}, true
		}
		return d.NewPrice.On, d.NewPrice.On != nil
	case d.ItemOff != nil:
		return d.ItemOff.On, d.ItemOff.On != nil
	case d.BuyGet != nil:
		return d.BuyGet.Buy.On, d.BuyGet.Buy.On != nil
	case d.Bundle != nil && d.Bundle.Need == 0:
		return d.Bundle.Parts[0].On, true
	case d.Scale != nil:
		return d.Scale.On, d.Scale.On != nil
	case d.Points != nil:
		return d.Points.On, d.Points.On != nil
	case d.PointsPercent != nil:
		return d.PointsPercent.On, d.PointsPercent.On != nil
	case d.PointsStep != nil:
		return d.PointsStep.On, d.PointsStep.On != nil
	case d.PointsUnit != nil:
		return d.PointsUnit.On, d.PointsUnit.On != nil
	case d.PointsTable != nil:
		return &Select{SKUs: sortedKeys(d.PointsTable.SKUs)}, true
	case d.PointsTimes != nil:
		return d.PointsTimes.On, d.PointsTimes.On != nil
	case d.Stamps != nil:
		return d.Stamps.On, d.Stamps.On != nil
	case d.Ban != nil:
		return d.Ban.On, d.Ban.On != nil
	}
	return nil, false
}
