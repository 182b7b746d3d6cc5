package loyalty

import (
	"encoding/json"
	"slices"
	"strings"
)

// selAll is the id of the selector that picks every line.
const selAll = 0

// selector is a compiled Select. Selectors are interned, so that a thousand
// rules about the same goods look at the lines once.
type selector struct {
	id       int32
	sel      *Select
	skus     map[string]bool // skus and lists together; nil: any
	cats     []string
	brands   map[string]bool
	anyOf    []*selector
	except   []*selector
	anchored bool // found through the index; otherwise lines are scanned
	residual bool // an index hit must still be checked
	rules    []int32
	legal    []int32
}

// anchor is a key of the line index.
type anchor struct {
	kind byte // 's' SKU, 'c' category, 'b' brand
	key  string
}

// selectorFor interns a Select; nil and empty are selAll.
func (c *compiler) selectorFor(s *Select) int32 {
	if s == nil {
		return selAll
	}
	key := s.key()
	if key == "{}" {
		return selAll
	}
	if id, ok := c.selByKey[key]; ok {
		return id
	}
	sel := c.buildSelector(s)
	sel.id = int32(len(c.rb.selectors))
	c.rb.selectors = append(c.rb.selectors, sel)
	c.selByKey[key] = sel.id
	anchors := sel.anchors()
	sel.anchored = anchors != nil
	for _, a := range anchors {
		ix := &c.rb.index
		var m map[string][]int32
		switch a.kind {
		case 's':
			m = ix.sku
		case 'c':
			m = ix.category
		default:
			m = ix.brand
		}
		if ids := m[a.key]; len(ids) == 0 || ids[len(ids)-1] != sel.id {
			m[a.key] = append(ids, sel.id)
		}
	}
	return sel.id
}

// key is equal for equal selections. Most name goods in one plain list, which
// needs no JSON.
func (s *Select) key() string {
	if len(s.Attributes)+len(s.Units)+len(s.TaxRates)+len(s.Lines)+len(s.Lists)+len(s.AnyOf)+len(s.Except) == 0 &&
		s.PriceFrom == nil && s.PriceTo == nil && s.MinQty == 0 && s.MinAmount == 0 && s.Marked == nil && s.Discounted == nil {
		switch {
		case len(s.SKUs) == 1 && len(s.Categories)+len(s.Brands) == 0:
			return "s" + s.SKUs[0]
		case len(s.Categories) == 1 && len(s.SKUs)+len(s.Brands) == 0:
			return "c" + s.Categories[0]
		case len(s.Brands) == 1 && len(s.SKUs)+len(s.Categories) == 0:
			return "b" + s.Brands[0]
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic("loyalty: a selection cannot be written: " + err.Error()) // it was read from JSON
	}
	return string(b)
}

func (c *compiler) buildSelector(s *Select) *selector {
	x := &selector{sel: s}
	if len(s.SKUs)+len(s.Lists) > 0 {
		x.skus = make(map[string]bool, len(s.SKUs))
		for _, k := range s.SKUs {
			x.skus[k] = true
		}
		for _, l := range s.Lists {
			for _, k := range c.lists[l] {
				x.skus[k] = true
			}
		}
	}
	for _, k := range s.Categories {
		x.cats = append(x.cats, strings.Trim(k, "/"))
	}
	if len(s.Brands) > 0 {
		x.brands = setOf(s.Brands)
	}
	for i := range s.AnyOf {
		x.anyOf = append(x.anyOf, c.buildSelector(&s.AnyOf[i]))
	}
	for i := range s.Except {
		x.except = append(x.except, c.buildSelector(&s.Except[i]))
	}
	kinds := 0
	for _, given := range []bool{x.skus != nil, x.cats != nil, x.brands != nil} {
		if given {
			kinds++
		}
	}
	x.residual = kinds != 1 || x.anyOf != nil || x.except != nil || x.hasPredicates()
	return x
}

func setOf(ss []string) map[string]bool {
	m := make(map[string]bool, len(ss))
	for _, s := range ss {
		m[s] = true
	}
	return m
}

// hasPredicates tells whether more than SKU, category and brand is asked.
func (x *selector) hasPredicates() bool {
	s := x.sel
	return len(s.Attributes) > 0 || s.PriceFrom != nil || s.PriceTo != nil || s.MinQty != 0 || s.MinAmount != 0 ||
		len(s.Units) > 0 || len(s.TaxRates) > 0 || len(s.Lines) > 0 || s.Marked != nil || s.Discounted != nil
}

// anchors are index keys of which a matching line has at least one; nil when
// there is no such list.
func (x *selector) anchors() []anchor {
	var as []anchor
	switch {
	case x.skus != nil:
		for k := range x.skus {
			as = append(as, anchor{'s', k})
		}
	case x.cats != nil:
		for _, k := range x.cats {
			as = append(as, anchor{'c', k})
		}
	case x.brands != nil:
		for k := range x.brands {
			as = append(as, anchor{'b', k})
		}
	case x.anyOf != nil:
		for _, y := range x.anyOf {
			sub := y.anchors()
			if sub == nil {
				return nil
			}
			as = append(as, sub...)
		}
	}
	slices.SortFunc(as, func(a, b anchor) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return strings.Compare(a.key, b.key)
	})
	return as
}

// inCategory tells whether path is the category or below it.
func inCategory(path, category string) bool {
	return strings.HasPrefix(path, category) && (len(path) == len(category) || path[len(category)] == '/')
}

// picks tells whether the line is selected.
func (x *selector) picks(l *lineState) bool {
	in := l.in
	if x.skus != nil && !x.skus[in.SKU] || x.brands != nil && !x.brands[in.Brand] {
		return false
	}
	if x.cats != nil {
		path := strings.Trim(in.Category, "/")
		if !slices.ContainsFunc(x.cats, func(c string) bool { return inCategory(path, c) }) {
			return false
		}
	}
	if x.hasPredicates() && !x.predicates(l) {
		return false
	}
	if x.anyOf != nil && !slices.ContainsFunc(x.anyOf, func(y *selector) bool { return y.picks(l) }) {
		return false
	}
	return !slices.ContainsFunc(x.except, func(y *selector) bool { return y.picks(l) })
}

func (x *selector) predicates(l *lineState) bool {
	s, in := x.sel, l.in
	if s.PriceFrom != nil && in.Price < *s.PriceFrom || s.PriceTo != nil && in.Price > *s.PriceTo {
		return false
	}
	if in.Quantity < s.MinQty || s.MinAmount != 0 && l.gross < s.MinAmount {
		return false
	}
	if s.Marked != nil && *s.Marked != in.Marked || s.Discounted != nil && *s.Discounted != (in.Discount > 0) {
		return false
	}
	if len(s.Units) > 0 && !slices.Contains(s.Units, unitOf(in)) {
		return false
	}
	if len(s.TaxRates) > 0 && !slices.Contains(s.TaxRates, in.TaxRate) {
		return false
	}
	if len(s.Lines) > 0 && !slices.Contains(s.Lines, l.id) {
		return false
	}
	for k, values := range s.Attributes {
		v, ok := in.Attributes[k]
		if !ok || !slices.Contains(values, v) {
			return false
		}
	}
	return true
}

func unitOf(l *Line) string {
	if l.Unit == "" {
		return "pcs"
	}
	return l.Unit
}

// lineIndex finds the selectors a line may belong to.
type lineIndex struct {
	sku, category, brand map[string][]int32
}

// hit is one line of one selector.
type hit struct{ sel, line int32 }

// findLines looks every line up in the index and sorts the lines by selector.
func (e *eval) findLines() {
	ix := &e.rb.index
	for i := range e.lines {
		l := &e.lines[i]
		if ids := ix.sku[l.in.SKU]; ids != nil {
			e.hitAll(ids, l, int32(i))
		}
		if l.in.Category != "" && len(ix.category) > 0 {
			path := strings.Trim(l.in.Category, "/")
			for k := 0; k <= len(path); k++ {
				if k == len(path) || path[k] == '/' {
					if ids := ix.category[path[:k]]; ids != nil {
						e.hitAll(ids, l, int32(i))
					}
				}
			}
		}
		if l.in.Brand != "" && len(ix.brand) > 0 {
			if ids := ix.brand[l.in.Brand]; ids != nil {
				e.hitAll(ids, l, int32(i))
			}
		}
	}
	// Counting sort: the lines of each selector stand together, in order.
	n := int32(0)
	for _, s := range e.touched {
		st := &e.sels[s]
		st.start, n = n, n+st.n
		st.n = 0
	}
	e.hitLines = slices.Grow(e.hitLines[:0], int(n))[:n]
	for _, h := range e.hits {
		st := &e.sels[h.sel]
		e.hitLines[st.start+st.n] = h.line
		st.n++
	}
}

// selState is where a selector's lines stand in this pricing.
type selState struct {
	start, n int32
	lastLine int32 // plus one: a line found by two keys counts once
	scanned  bool
}

func (e *eval) hitAll(ids []int32, l *lineState, i int32) {
	for _, id := range ids {
		x := e.rb.selectors[id]
		st := &e.sels[id]
		if st.lastLine == i+1 || x.residual && !x.picks(l) {
			continue
		}
		if st.n == 0 {
			e.touched = append(e.touched, id)
		}
		st.lastLine = i + 1
		st.n++
		e.hits = append(e.hits, hit{id, i})
	}
}

// linesOf are the lines a selector picks, in the receipt's order.
func (e *eval) linesOf(id int32) []int32 {
	if id == selAll {
		return e.all
	}
	st := &e.sels[id]
	x := e.rb.selectors[id]
	if x.anchored {
		return e.hitLines[st.start : st.start+st.n]
	}
	if !st.scanned {
		st.scanned = true
		e.scanned = append(e.scanned, id)
		st.start = int32(len(e.scanLines))
		for i := range e.lines {
			if x.picks(&e.lines[i]) {
				e.scanLines = append(e.scanLines, int32(i))
			}
		}
		st.n = int32(len(e.scanLines)) - st.start
	}
	return e.scanLines[st.start : st.start+st.n]
}
