package loyalty

import (
	"fmt"
	"strconv"
	"strings"
)

func (c *compiler) declarations() {
	d := c.doc
	ids(c, "segments", d.Segments, func(x *Named) string { return x.ID })
	ids(c, "lists", d.Lists, func(x *ProductList) string { return x.ID })
	ids(c, "store_groups", d.Stores, func(x *StoreGroup) string { return x.ID })
	ids(c, "holidays", d.Holidays, func(x *HolidayList) string { return x.ID })
	ids(c, "tests", d.Tests, func(x *ABTest) string { return x.ID })
	ids(c, "budgets", d.Budgets, func(x *Budget) string { return x.ID })
	ids(c, "stamp_cards", d.StampCards, func(x *StampCard) string { return x.ID })
	ids(c, "rules", d.Rules, func(x *Rule) string { return x.ID })
	c.lists = map[string][]string{}
	for _, l := range d.Lists {
		c.lists[l.ID] = l.SKUs
	}
	c.stores = map[string][]string{}
	for _, g := range d.Stores {
		c.stores[g.ID] = g.Stores
	}
	c.holidays = map[string]map[Date]bool{}
	for i, h := range d.Holidays {
		days := map[Date]bool{}
		for _, day := range h.Dates {
			days[day] = true
		}
		for k, md := range h.Yearly {
			any := false
			for y := 2000; y < 2100; y++ {
				if day, err := ParseDate(fmt.Sprintf("%d-%s", y, md)); err == nil {
					days[day] = true
					any = true
				}
			}
			if !any {
				c.bad(fmt.Sprintf("holidays[%d].yearly[%d]", i, k), "bad_value", strconv.Quote(md), "not a day of the year", "write MM-DD such as \"12-25\"")
			}
		}
		c.holidays[h.ID] = days
	}
	c.tests = map[string]*ABTest{}
	for i := range d.Tests {
		t := &d.Tests[i]
		var sum Percent
		for _, a := range t.Arms {
			if a.Percent < 0 || a.Percent > hundredPct {
				sum = hundredPct + 1
				break
			}
			sum += a.Percent
		}
		if len(t.Arms) == 0 || sum > hundredPct {
			c.bad(fmt.Sprintf("tests[%d].arms", i), "range", sum.String(), "the arms' percents add up to more than 100, or there are none", "for example A 50 and B 50")
		}
		c.tests[t.ID] = t
	}
	for i, b := range d.Budgets {
		at := fmt.Sprintf("budgets[%d]", i)
		if b.Money < 0 || b.Points < 0 || b.Count < 0 || b.Turnover < 0 || b.Turnover > hundredPct {
			c.bad(at, "range", "", "a budget below zero, or more than 100 percent", "leave out what is not limited")
		}
		if b.Money == 0 && b.Points == 0 && b.Count == 0 && b.Turnover == 0 {
			c.bad(at, "required", "", "the budget limits nothing", "give money, points, count or percent_of_turnover")
		}
	}
	for i, s := range d.StampCards {
		if s.Goal <= 0 || s.Goal > 1_000_000 {
			c.bad(fmt.Sprintf("stamp_cards[%d].goal", i), "range", strconv.FormatInt(s.Goal, 10), "a card needs a goal of 1 to 1,000,000 stamps", "write \"goal\": 10")
		}
	}
}

func (c *compiler) walletsAndCounters() {
	d, rb := c.doc, c.rb
	ids(c, "wallets", d.Wallets, func(x *Wallet) string { return x.ID })
	for i := range d.Wallets {
		w := &d.Wallets[i]
		at := fmt.Sprintf("wallets[%d]", i)
		rb.wallets = append(rb.wallets, wallet{doc: w, mode: modes[w.Rounding.Mode], step: max(1, int64(w.Rounding.Step)), perLine: w.Rounding.Level == "line"})
		if w.Value < 0 || w.Max < 0 || w.Rounding.Step < 0 {
			c.bad(at, "range", "", "point_value, max_balance and rounding.step are not below zero", "leave out what is not used")
		}
		c.activation(at, w.Active)
		c.expiry(at, w.Expiry)
	}
	ids(c, "counters", d.Counters, func(x *Counter) string { return x.ID })
	for i := range d.Counters {
		x := &d.Counters[i]
		at := fmt.Sprintf("counters[%d]", i)
		if strings.Contains(x.ID, ":") {
			c.bad(at+".id", "bad_value", strconv.Quote(x.ID), "a colon is kept for the engine's own counters", "use letters, digits, - and _")
		}
		if x.Of == "" {
			c.bad(at+".of", "required", "", "what is counted is missing", "use one of: visits, spend, units, points, lines, events")
		}
		c.addCounter(at, x)
	}
	if d.Tiers != nil {
		c.tiers()
	}
}

// addCounter compiles a counter and returns its index.
func (c *compiler) addCounter(at string, x *Counter) int32 {
	k := counter{Counter: x, index: int32(len(c.rb.counters)), sel: c.sel(at+".on", x.On), window: x.Window}
	if k.window.IsZero() {
		k.window = Period{Name: "ever"}
	}
	if x.Of == "points" {
		k.wallet = c.wallet(at+".wallet", x.Wallet)
	}
	c.rb.counters = append(c.rb.counters, k)
	return k.index
}

// counter finds a counter; visits and spend need no declaration.
func (c *compiler) counter(at, id string) int32 {
	for k := range c.rb.counters {
		if c.rb.counters[k].ID == id {
			return int32(k)
		}
	}
	if id == "visits" || id == "spend" {
		return c.addCounter(at, &Counter{ID: id, Of: id})
	}
	known := map[string]bool{"visits": true, "spend": true}
	for k := range c.rb.counters {
		known[c.rb.counters[k].ID] = true
	}
	unknown(c, at, "counter", id, known)
	return 0
}

func (c *compiler) tiers() {
	t := c.doc.Tiers
	l := &ladder{doc: t, counter: c.counter("tiers.counter", t.Counter)}
	ids(c, "tiers.levels", t.Levels, func(x *TierLevel) string { return x.ID })
	if len(t.Levels) == 0 {
		c.bad("tiers.levels", "required", "", "a ladder without levels", "list at least one")
		return
	}
	for i := range t.Levels {
		from, ok := mulDiv(int64(t.Levels[i].From), oneUnit, oneFactor, HalfUp)
		if !ok || from < 0 || i > 0 && from <= l.from[i-1] {
			c.bad(fmt.Sprintf("tiers.levels[%d].from", i), "order", t.Levels[i].From.String(), "levels go from the lowest up", "each from is above the one before")
		}
		l.from = append(l.from, from)
	}
	c.rb.ladder = l
}

func (c *compiler) wallet(at, id string) int32 {
	if len(c.doc.Wallets) == 0 {
		c.bad(at, "unknown_wallet", strconv.Quote(id), "points need a wallet", "declare one in wallets: {\"id\": \"points\"}")
		return 0
	}
	if id == "" {
		return 0
	}
	known := map[string]bool{}
	for i, w := range c.doc.Wallets {
		if w.ID == id {
			return int32(i)
		}
		known[w.ID] = true
	}
	unknown(c, at, "wallet", id, known)
	return 0
}

func (c *compiler) activation(at string, a Activation) {
	if a.When == "after" && a.Span.IsZero() {
		c.bad(at+".activation.span", "required", "", "how long after is missing", "write a span like \"14 days\"")
	}
}

func (c *compiler) expiry(at string, x Expiry) {
	if (x.Kind == "rolling" || x.Kind == "sliding") && x.Span.IsZero() {
		c.bad(at+".expiry.span", "required", "", "how long points live is missing", "write a span like \"12 months\"")
	}
}
