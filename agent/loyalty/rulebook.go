package loyalty

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Rulebook is a compiled Document. It never changes and is safe for
// concurrent use.
type Rulebook struct {
	doc     *Document
	version string
	set     settings

	selectors       []*selector
	index           lineIndex
	legal           []legalRule
	legalAlways     []int32
	rules           []rule // in the order in which they are applied
	groups          []group
	always          []int32 // rules that no index finds
	byKey           map[string][]int32
	counters        []counter
	wallets         []wallet
	ways            []way
	ladder          *ladder
	cardRules       []int32 // per stamp card, the rule that its completion fires
	noRule          rule    // stands in where a condition belongs to no rule
	defaultLang     string
	programmeLimits []limit
	off             OfflineLimits
	windows         []counterWindow // other windows that conditions ask for
	texts           texts
	hours           [8]atomic.Pointer[hourRules]
	pool            sync.Pool
}

// Version names the rulebook: "grocer@12".
func (rb *Rulebook) Version() string { return rb.version }

// Programme is the document this rulebook was compiled from, for its names,
// currency, wallets and languages. It must not be changed.
func (rb *Rulebook) Programme() *Document { return rb.doc }

// counterWindow is a window in which a condition looks at a counter.
type counterWindow struct {
	id     string
	period Period
}

// settings are the switches in the form pricing uses.
type settings struct {
	mode          Mode
	grossMode     Mode
	step          int64
	unit          int64 // the currency's smallest amount
	level         uint8
	roundPrice    bool
	negative      uint8
	externalFlags uint8
	markedFlags   uint8
	lineFloor     Money
	taxExcluded   bool
	strictFrom    bool
	thresholds    measureOf
	accrual       baseKind
	split         split
	maxDiscount   Percent
}

const (
	levelLine = iota
	levelUnit
	levelReceipt
)

const (
	negNet = iota
	negPlain
	negRefuse
)

var modes = map[string]Mode{"": HalfUp, "half_up": HalfUp, "half_even": HalfEven, "half_down": HalfDown, "up": Up, "down": Down}

func compileSettings(doc *Document) settings {
	s := &doc.Settings
	set := settings{
		mode: modes[s.Rounding.Mode], step: max(smallest(doc.Programme.Currency), int64(s.Rounding.Step)), unit: smallest(doc.Programme.Currency),
		roundPrice: s.Rounding.Of == "price", lineFloor: s.LineFloor,
		taxExcluded: doc.Programme.Prices == "tax_excluded",
		strictFrom:  s.Compare == "more_than",
		accrual:     baseKinds[s.AccrualBase],
		maxDiscount: s.MaxDiscount,
	}
	// The gross of a line is the till's own arithmetic: half up unless the
	// programme rounds half to even throughout.
	if set.mode == HalfEven {
		set.grossMode = HalfEven
	}
	set.level = map[string]uint8{"unit": levelUnit, "receipt": levelReceipt}[s.Rounding.Level]
	set.negative = map[string]uint8{"plain": negPlain, "refuse": negRefuse}[s.Negative]
	flags := map[string]uint8{"no_discount": banDiscount, "no_earn": banEarn, "no_discount_no_earn": banDiscount | banEarn}
	set.externalFlags = flags[s.External]
	set.markedFlags = flags[s.MarkedDown]
	if s.Thresholds == "before_discounts" {
		set.thresholds |= measureInitial
	}
	if s.ThresholdTax == "without" {
		set.thresholds |= measureNoTax
	}
	set.split.spare = map[string]Spare{"first_line": SpareFirst, "last_line": SpareLast}[s.Rounding.Spare]
	set.split.last = s.Rounding.Tie == "last"
	return set
}

type legalRule struct {
	id       string
	doc      *LegalRule
	where    *place
	sel      int32
	bans     uint8
	minPrice Price
	per      string
}

// group is a compiled stacking group; the last one holds rules without one.
type group struct {
	id             string
	mode           uint8
	initialBase    bool
	skipDiscounted bool
}

const (
	modeStack = iota
	modeBest
	modeBestPerLine
	modeFirst
)

var groupModes = map[string]uint8{"": modeStack, "stack": modeStack, "best": modeBest, "best_per_line": modeBestPerLine, "first": modeFirst}

// rule is a compiled Rule.
type rule struct {
	id          string
	index       int32
	doc         *Rule
	group       int32
	schedule    *schedule
	timed       bool // asks for the day or the hour, here or in a condition
	where       *place
	audience    *audience
	when        cond
	discounts   []discounter
	points      []accruer
	others      []other
	bans        []banGiven
	needsMember bool
	initialBase bool
	exclusive   uint8
	stop        uint8
	notRules    []int32
	notGroups   []int32
	limits      []limit
	budget      int32 // -1: none
	cost        Points
	costWallet  int32
	hows        [3]string // in few words, how much it gives; by phrases.index
	explain     compiledText
	hint        compiledText
	ask         compiledText
	codes       map[string]bool // coupon codes its conditions ask for
	prefixes    []string
	lacks       string // why an index did not find it
	path        string // in the document
	completion  bool   // fired by a full stamp card only
	issuesNow   bool   // gives a coupon that is good on the same receipt
}

const (
	scopeNo = iota
	scopeGroup
	scopeReceipt
	scopeLines
)

var scopes = map[string]uint8{"": scopeNo, "no": scopeNo, "group": scopeGroup, "receipt": scopeReceipt, "lines": scopeLines}

// hourRules are the unindexed rules whose schedule allows an hour of a day.
// It is a cache: it holds nothing that the rulebook does not say.
type hourRules struct {
	key   int64
	rules []int32
}

// rulesAt are the rules without an index key that may fire in this hour.
func (rb *Rulebook) rulesAt(day Date, minute int) []int32 {
	key := int64(day)*24 + int64(minute/60)
	slot := &rb.hours[uint64(key)%uint64(len(rb.hours))]
	if h := slot.Load(); h != nil && h.key == key {
		return h.rules
	}
	h := &hourRules{key: key, rules: make([]int32, 0, len(rb.always))}
	for _, r := range rb.always {
		s := rb.rules[r].schedule
		if s == nil || s.hourHolds(day, minute/60) {
			h.rules = append(h.rules, r)
		}
	}
	slot.Store(h)
	return h.rules
}

// hourHolds tells whether any minute of an hour is in the schedule.
func (s *schedule) hourHolds(day Date, hour int) bool {
	if !s.dayHolds(day) {
		return false
	}
	if len(s.hours) == 0 {
		return true
	}
	first, end := hour*60, hour*60+60
	for _, h := range s.hours {
		from, to := int(h.From)-1, int(h.To)-1
		if from <= to && first < to && end > from || from > to && (end > from || first < to) {
			return true
		}
	}
	return false
}

// findRules gathers the rules that this basket, member, place and hour may
// fire, each once, in the order in which they are applied.
func (e *eval) findRules() {
	rb := e.rb
	e.cands = append(e.cands, rb.rulesAt(e.day, e.minute)...)
	for _, s := range e.touched {
		e.cands = append(e.cands, rb.selectors[s].rules...)
	}
	if len(rb.byKey) > 0 {
		for _, c := range e.r.Coupons {
			e.addKey('k', c)
		}
		for _, c := range e.r.Events {
			e.addKey('e', c)
		}
		e.addKey('s', e.r.Store)
		if e.m != nil {
			for _, s := range e.m.Segments {
				e.addKey('g', s)
			}
			e.addKey('t', e.tier())
		}
	}
	if !slices.IsSorted(e.cands) || len(e.cands) > 1 {
		slices.Sort(e.cands)
		e.cands = slices.Compact(e.cands)
	}
}

// addKey adds the rules filed under a key of the given kind.
func (e *eval) addKey(kind byte, key string) {
	e.buf = append(append(e.buf[:0], kind), key...)
	e.cands = append(e.cands, e.rb.byKey[string(e.buf)]...)
	e.buf = e.buf[:0]
}

// Compile checks what the document's parts mean together and builds the
// indexes. The error is Problems: everything that is wrong. The document
// must not be changed afterwards.
func Compile(doc *Document) (*Rulebook, error) {
	c := &compiler{doc: doc, selByKey: map[string]int32{}}
	rb := c.compile()
	if len(c.problems) > 0 {
		return nil, fmt.Errorf("compile rulebook: %w", c.problems)
	}
	return rb, nil
}

// newEval makes an evaluation with room for this rulebook.
func (rb *Rulebook) newEval() *eval {
	e := &eval{rb: rb, split: rb.set.split}
	e.sels = make([]selState, len(rb.selectors))
	e.states = make([]ruleState, len(rb.rules))
	return e
}

// RuleIDs are the ids of all rules in the order in which they are applied.
func (rb *Rulebook) RuleIDs() []string {
	ids := make([]string, len(rb.rules))
	for i := range rb.rules {
		ids[i] = rb.rules[i].id
	}
	return ids
}

func (rb *Rulebook) ruleIndex(id string) int32 {
	return int32(slices.IndexFunc(rb.rules, func(r rule) bool { return r.id == id }))
}

// opens tells whether a coupon code belongs to the rule.
func (r *rule) opens(code string) bool {
	return r.codes[code] || slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(code, p) })
}
