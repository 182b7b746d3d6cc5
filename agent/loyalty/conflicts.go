package loyalty

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Conflict is something in a rulebook that is allowed but probably not
// meant, or that its author should know before publishing.
type Conflict struct {
	Kind   string   `json:"kind"` // shadowed, never, stacks, same_priority, legal, coupon, unused, partial
	Rules  []string `json:"rules,omitempty"`
	What   string   `json:"what"`
	Remedy string   `json:"remedy,omitempty"`
}

func (c Conflict) String() string {
	s := c.Kind + ": " + c.What
	if c.Remedy != "" {
		s += "; " + c.Remedy
	}
	return s
}

// Bounds of the report: pairs of rules that are looked at, and findings.
const (
	maxPairs     = 2_000_000
	maxConflicts = 500
)

// Conflicts looks at the rules two by two where they can meet, and reports
// rules that another one shadows, discounts that add up on the same goods,
// orders that only the id decides, rules that the law makes empty, codes
// that open two rules, and declarations that nothing uses.
func (rb *Rulebook) Conflicts() []Conflict {
	f := &conflictFinder{rb: rb}
	f.alone()
	f.pairs()
	f.unused()
	return f.found
}

type conflictFinder struct {
	rb    *Rulebook
	found []Conflict
}

func (f *conflictFinder) add(kind, what, remedy string, rules ...string) {
	if len(f.found) < maxConflicts {
		f.found = append(f.found, Conflict{kind, rules, what, remedy})
	}
}

// discountSelect is what a rule's first discount is taken off; nil is all.
func discountSelect(d *Rule) (on *Select, kind string, percent Percent) {
	for i := range d.Then {
		r := &d.Then[i]
		switch {
		case r.PercentOff != nil:
			return r.PercentOff.On, "percent", r.PercentOff.Percent
		case r.AmountOff != nil:
			return r.AmountOff.On, "amount", 0
		case r.NewPrice != nil:
			on, _ := r.goods()
			return on, "price", 0
		case r.ItemOff != nil:
			return r.ItemOff.On, "item", 0
		case r.BuyGet != nil:
			on := r.BuyGet.Get.On
			if on == nil {
				on = r.BuyGet.Buy.On
			}
			return on, "item", 0
		case r.Scale != nil:
			return r.Scale.On, "scale", 0
		case r.Bundle != nil:
			return &Select{AnyOf: partSelects(r.Bundle.Parts)}, "bundle", 0
		}
	}
	return nil, "", 0
}

func partSelects(parts []Part) (out []Select) {
	for _, p := range parts {
		if p.On != nil {
			out = append(out, *p.On)
		}
	}
	return out
}

// alone looks at single rules.
func (f *conflictFinder) alone() {
	for k := range f.rb.rules {
		r := &f.rb.rules[k]
		if r.doc.Off || r.completion {
			continue
		}
		on, kind, _ := discountSelect(r.doc)
		if kind != "" && on != nil {
			for i := range f.rb.legal {
				law := &f.rb.legal[i]
				if law.bans&banDiscount != 0 && law.where == nil && covers(law.doc.On, on) {
					f.add("legal", fmt.Sprintf("rule %s gives a discount on goods that %s forbids it on", r.id, law.id), "take the goods out of the rule", r.id)
				}
			}
		}
		if r.doc.Hidden && len(r.doc.Hint) > 0 {
			f.add("never", fmt.Sprintf("rule %s is hidden, so its hint is never told", r.id), "drop the hint, or hidden", r.id)
		}
		if r.needsMember && r.audience != nil && r.doc.Audience.Known != nil && !*r.doc.Audience.Known {
			f.add("never", fmt.Sprintf("rule %s is for strangers and gives what only a member can have", r.id), "change the audience", r.id)
		}
	}
	seen := map[string]string{}
	for k := range f.rb.rules {
		r := &f.rb.rules[k]
		for _, code := range sortedKeys(r.codes) {
			if other, ok := seen[code]; ok && other != r.id {
				f.add("coupon", fmt.Sprintf("code %q opens both %s and %s; one receipt uses it for the first of them", code, other, r.id), "give them codes of their own", other, r.id)
			}
			seen[code] = r.id
		}
	}
}

// pairs looks at discount rules that can meet on a line.
func (f *conflictFinder) pairs() {
	var rules []*rule
	for k := range f.rb.rules {
		if r := &f.rb.rules[k]; len(r.discounts) > 0 && !r.doc.Off {
			rules = append(rules, r)
		}
	}
	budget := maxPairs
	for i, a := range rules {
		for _, b := range rules[i+1:] {
			if budget--; budget < 0 {
				f.add("partial", fmt.Sprintf("only the first %d pairs of rules were compared", maxPairs), "split the rulebook to see the rest")
				return
			}
			f.pair(a, b)
		}
	}
}

// pair looks at two rules, a before b.
func (f *conflictFinder) pair(a, b *rule) {
	onA, kindA, pctA := discountSelect(a.doc)
	onB, kindB, pctB := discountSelect(b.doc)
	if kindA == "" || kindB == "" || !mayOverlap(onA, onB) || !meet(a, b) {
		return
	}
	g := &f.rb.groups[a.group]
	same := a.group == b.group
	barred := same && (g.mode == modeFirst || a.exclusive != scopeNo || a.stop != scopeNo) || a.exclusive == scopeReceipt || a.stop == scopeReceipt
	notTogether := slices.Contains(a.notRules, b.index) || slices.Contains(b.notRules, a.index) || slices.Contains(a.notGroups, b.group) || slices.Contains(b.notGroups, a.group)
	if (barred || notTogether) && wider(a, b) && covers(onA, onB) {
		f.add("shadowed", fmt.Sprintf("rule %s never gives anything: whenever it could, %s fires first and rules it out", b.id, a.id),
			"give "+b.id+" the higher priority, or narrow "+a.id, b.id, a.id)
		return
	}
	if barred || notTogether || same && g.mode != modeStack || a.exclusive == scopeLines || f.rb.groups[b.group].skipDiscounted {
		if same && (g.mode == modeBest || g.mode == modeBestPerLine) && kindA == "percent" && kindB == "percent" && sameWhen(a, b) && pctA != pctB {
			win, lose := a, b
			if pctB > pctA {
				win, lose = b, a
			}
			won, _, _ := discountSelect(win.doc)
			lost, _, _ := discountSelect(lose.doc)
			if covers(won, lost) {
				f.add("shadowed", fmt.Sprintf("rule %s never gives anything: %s always gives more on the same goods", lose.id, win.id), "drop it, or change its percent", lose.id, win.id)
			}
		}
		return
	}
	if !same {
		return // the order of the groups says that they add up
	}
	what := fmt.Sprintf("rules %s and %s both take something off the same goods", a.id, b.id)
	if kindA == "percent" && kindB == "percent" {
		left := (hundredPct - pctA) * (hundredPct - pctB) / hundredPct
		if b.initialBase {
			left = hundredPct - pctA - pctB
		}
		what += fmt.Sprintf(": together %s %%", hundredPct-max(0, left))
	}
	f.add("stacks", what, "if that is not meant: one group with mode best, not_with, or exclusive", a.id, b.id)
	if a.doc.Stacking.Priority == b.doc.Stacking.Priority && kindA != kindB {
		f.add("same_priority", fmt.Sprintf("rules %s and %s have the same priority; their ids decide which comes first, and that changes the result", a.id, b.id),
			"give them different priorities", a.id, b.id)
	}
}

// covers tells for certain that every line of inner is picked by outer.
func covers(outer, inner *Select) bool {
	if isAll(outer) {
		return true
	}
	if inner == nil {
		return false
	}
	if a, err := json.Marshal(outer); err == nil {
		if b, err := json.Marshal(inner); err == nil && string(a) == string(b) {
			return true
		}
	}
	// Only selections by one kind of key are compared further.
	if !simple(outer) {
		return false
	}
	switch {
	case len(outer.SKUs) > 0 && len(inner.SKUs) > 0:
		return subset(inner.SKUs, outer.SKUs)
	case len(outer.Categories) > 0 && len(inner.Categories) > 0:
		for _, c := range inner.Categories {
			if !slices.ContainsFunc(outer.Categories, func(o string) bool { return inCategory(strings.Trim(c, "/"), strings.Trim(o, "/")) }) {
				return false
			}
		}
		return true
	case len(outer.Brands) > 0 && len(inner.Brands) > 0:
		return subset(inner.Brands, outer.Brands)
	}
	return false
}

func isAll(s *Select) bool {
	if s == nil {
		return true
	}
	b, err := json.Marshal(s)
	return err == nil && string(b) == "{}"
}

// simple tells whether a selection is one list of SKUs, categories or brands.
func simple(s *Select) bool {
	c := *s
	c.SKUs, c.Categories, c.Brands = nil, nil, nil
	n := 0
	for _, l := range [][]string{s.SKUs, s.Categories, s.Brands} {
		if len(l) > 0 {
			n++
		}
	}
	return n == 1 && isAll(&c)
}

func subset(a, b []string) bool {
	in := setOf(b)
	return !slices.ContainsFunc(a, func(s string) bool { return !in[s] })
}

// mayOverlap is false only when no line can be in both.
func mayOverlap(a, b *Select) bool {
	if a == nil || b == nil {
		return true
	}
	if len(a.SKUs) > 0 && len(b.SKUs) > 0 && len(a.Lists)+len(b.Lists) == 0 && disjoint(a.SKUs, b.SKUs) {
		return false
	}
	if len(a.Brands) > 0 && len(b.Brands) > 0 && disjoint(a.Brands, b.Brands) {
		return false
	}
	if len(a.Categories) > 0 && len(b.Categories) > 0 {
		for _, x := range a.Categories {
			for _, y := range b.Categories {
				x, y := strings.Trim(x, "/"), strings.Trim(y, "/")
				if inCategory(x, y) || inCategory(y, x) {
					return true
				}
			}
		}
		return false
	}
	return true
}

func disjoint(a, b []string) bool {
	if len(a) == 1 && len(b) == 1 {
		return a[0] != b[0]
	}
	in := setOf(b)
	return !slices.ContainsFunc(a, func(s string) bool { return in[s] })
}

// meet is false only when the two rules can never hold for one receipt.
func meet(a, b *rule) bool {
	if a.schedule != nil && b.schedule != nil {
		x, y := a.schedule, b.schedule
		if x.to != 0 && y.from != 0 && x.to < y.from || y.to != 0 && x.from != 0 && y.to < x.from {
			return false
		}
		if x.weekdays != 0 && y.weekdays != 0 && x.weekdays&y.weekdays == 0 {
			return false
		}
	}
	if a.where != nil && b.where != nil && a.where.stores != nil && b.where.stores != nil &&
		disjoint(sortedKeys(a.where.stores), sortedKeys(b.where.stores)) {
		return false
	}
	if x, y := a.doc.Audience, b.doc.Audience; x != nil && y != nil {
		if len(x.Tiers) > 0 && len(y.Tiers) > 0 && disjoint(x.Tiers, y.Tiers) {
			return false
		}
		if len(x.Segments) > 0 && len(y.NotSegments) > 0 && subset(x.Segments, y.NotSegments) ||
			len(y.Segments) > 0 && len(x.NotSegments) > 0 && subset(y.Segments, x.NotSegments) {
			return false
		}
		for test, arms := range x.Arms {
			if other := y.Arms[test]; other != nil && disjoint(arms, other) {
				return false
			}
		}
		if x.Known != nil && y.Known != nil && *x.Known != *y.Known {
			return false
		}
	}
	return true
}

// wider tells for certain that a's conditions hold whenever b's do.
func wider(a, b *rule) bool {
	eq := func(x, y any) bool {
		p, err1 := json.Marshal(x)
		q, err2 := json.Marshal(y)
		return err1 == nil && err2 == nil && string(p) == string(q)
	}
	return len(a.limits) == 0 && a.budget < 0 &&
		(a.doc.Schedule == nil || eq(a.doc.Schedule, b.doc.Schedule)) &&
		(a.doc.Where == nil || eq(a.doc.Where, b.doc.Where)) &&
		(a.doc.Audience == nil || eq(a.doc.Audience, b.doc.Audience)) &&
		(a.doc.When == nil || eq(a.doc.When, b.doc.When))
}

// sameWhen tells for certain that both rules hold on the same receipts.
func sameWhen(a, b *rule) bool { return wider(a, b) && wider(b, a) }

// unused looks for declarations that no rule refers to.
func (f *conflictFinder) unused() {
	d := f.rb.doc
	text, err := json.Marshal(struct {
		R []Rule
		W []Redemption
		T *TierLadder
		C []StampCard
		P []ReceiptText
		S []ScreenText
		L []LegalProfile
	}{d.Rules, d.Redemption, d.Tiers, d.StampCards, d.Receipt, d.Greeting, d.Legal})
	if err != nil {
		return
	}
	all := string(text)
	check := func(kind, id string) {
		q, err := json.Marshal(id)
		if err == nil && !strings.Contains(all, string(q)) {
			f.add("unused", fmt.Sprintf("%s %s is declared and never used", kind, id), "drop it, or use it")
		}
	}
	for i := range d.Segments {
		check("segment", d.Segments[i].ID)
	}
	for i := range d.Lists {
		check("list", d.Lists[i].ID)
	}
	for i := range d.Groups {
		check("stacking group", d.Groups[i].ID)
	}
	for i := range d.Budgets {
		check("budget", d.Budgets[i].ID)
	}
	for i := range d.Holidays {
		check("holiday list", d.Holidays[i].ID)
	}
	for i := range d.Tests {
		check("test", d.Tests[i].ID)
	}
	for i := range d.StampCards {
		check("stamp card", d.StampCards[i].ID)
	}
}
