package loyalty

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Input is all that a price depends on.
type Input struct {
	Receipt *Receipt
	Member  *Member // nil: a stranger
	Offline bool    // no link: no spending unless Lease says how much
	// Language of the texts; empty: the member's, then the programme's.
	Language string
	// Now is the till's clock in the shop's own offset, used when the
	// receipt carries no time.
	Now time.Time
	// NoClock says that nobody knows what day it is: rules that ask for a time
	// do not fire.
	NoClock bool
	// Budgets is what may still be used of each budget by id: at a till the
	// quota handed to it. A budget that is not here gives nothing.
	Budgets map[string]*Quota
	// Usage is what limits per store, till, cashier, card and programme have
	// used so far: key as in Result.Usage, then day, then thousandths.
	Usage map[string]map[string]int64
	// Lease is the most points that may be spent without a link.
	Lease Points
	// Leases is the same by wallet; when it is not nil, Lease does not count.
	Leases map[string]Points
	// NoSpend says why no points may be spent now; empty: they may. It is for
	// reasons the engine cannot know: a clock nobody trusts, a card that was
	// used too often.
	NoSpend string
	// Credited is what she earned before and the centre has not confirmed yet,
	// by wallet: it cannot be spent, but it is told with the balance after the
	// receipt, and counts for the most a wallet may hold.
	Credited map[string]Points
	// Trace says how much of it is wanted.
	Trace TraceLevel
	// Reuse is a result of Price that is needed no more: its memory is taken
	// for this one. For loops over many receipts; nil is always right.
	Reuse *Result
	// Plain leaves out texts: explanations, messages and print lines. For
	// replays and back-tests, which only need the numbers.
	Plain bool
}

// TraceLevel says which rules the trace speaks of.
type TraceLevel uint8

// Trace levels.
const (
	TraceCandidates TraceLevel = iota // rules that could have fired on this basket
	TraceAll                          // every rule of the rulebook
	TraceNone
)

// Quota is what is left of a budget. For a budget in percent of turnover,
// Turnover and Cost are those so far (or this till's share of them).
type Quota struct {
	Money    Money  `json:"money,omitempty"`
	Points   Points `json:"points,omitempty"`
	Count    int64  `json:"count,omitempty"`
	Turnover Money  `json:"turnover,omitempty"`
	Cost     Money  `json:"cost,omitempty"`
}

// InputError says that a receipt cannot be priced, and why.
type InputError struct {
	Code  string // machine word: no_lines, currency, line_limit, quantity, …
	Field string // "lines[3].quantity"
	What  string
	Hint  string
}

func (e *InputError) Error() string {
	s := e.What
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Bounds of a receipt. They keep every sum of money inside an int64, so that
// only products need checks.
const (
	maxLines  = 5000
	maxAmount = 1_000_000_000_000_00 // minor units of one line
	maxPoints = 1_000_000_000_000_00 // hundredths in one reward
)

// ErrNoReceipt is returned by Price without a receipt.
var ErrNoReceipt = errors.New("no receipt to price")

// Line flags.
const (
	banDiscount = 1 << iota
	banEarn
	banSpend
	flagExternal // the cash software gave a discount
	flagDisc     // a rule gave a discount
	flagClosed   // an exclusive rule took the line
	flagReturn   // negative quantity
)

// lineState is a line while it is priced. gross - discounts = cur.
type lineState struct {
	in    *Line
	id    string
	gross Money
	cur   Money // left after discounts; less redeemed, after redemption
	was   Money // cur before the reward that is being applied
	floor Money // no discount goes below
	paid  Money // redeemed
	spent Points
	limit Money // most that points may pay
	bans  uint8 // by law or rule, to be told
	flags uint8 // what holds now
	nDisc int32
	nEarn int32
}

// open tells whether a discount may touch the line.
func (l *lineState) open() bool { return l.flags&(banDiscount|flagClosed|flagReturn) == 0 }

type alloc struct {
	line, rule int32
	amount     Money
}

type award struct {
	line, rule, lot int32
	points          Points
}

const ruleExternal = -1

// State of a candidate rule.
const (
	stateNew = iota
	stateHeld
	stateFailed
	stateFired
)

// ruleState is a candidate while it is priced.
type ruleState struct {
	state    uint8
	given    bool // something beside money and points was given
	told     bool // its other rewards have been looked at
	why      string
	discount Money
	points   Points
	wallet   int32
	base     Money
	coupon   string // the code it used
	missing  Money
	times    int64
	units    int64
}

// eval is one pricing. It lives in the rulebook's pool, so that a warm
// pricing allocates little more than its result.
type eval struct {
	rb     *Rulebook
	in     *Input
	r      *Receipt
	m      *Member
	now    time.Time
	day    Date
	minute int
	lang   *phrases
	err    error

	lines     []lineState
	all       []int32
	gross     Money
	sums      Money // of cur
	paid      Money // with points
	sels      []selState
	touched   []int32
	scanned   []int32
	hits      []hit
	hitLines  []int32
	scanLines []int32

	cands  []int32 // rules that may fire, in order
	states []ruleState
	marked []int32 // legal rules that may apply

	allocs []alloc
	awards []award
	lots   []lot
	split  split
	group  *group
	rule   *rule

	weights, caps, out []int64
	lineBuf            []int32
	items              []item
	best               []alloc
	buf                []byte
	spans              []textSpan
	res                *Result
	spend              *Spending
	spentPts           Points
	x                  extras
	use                usage
}

func (e *eval) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Price says what a receipt gives and takes. It never changes its input and
// is safe for concurrent use. The error is an *InputError when the receipt
// cannot be priced as it is, or ErrOverflow.
func (rb *Rulebook) Price(in Input) (*Result, error) {
	if in.Receipt == nil {
		return nil, ErrNoReceipt
	}
	e := rb.pool.Get().(*eval)
	res, err := e.price(&in)
	e.reset()
	rb.pool.Put(e)
	return res, err
}

func (e *eval) price(in *Input) (*Result, error) {
	if err := e.begin(in); err != nil {
		return nil, err
	}
	e.findLines()
	e.applyLaw()
	e.findRules()
	e.applyBans()
	e.issueNow()
	e.discountPhase()
	e.holdTurnover()
	e.giveCatalogue()
	if e.rb.doc.Settings.SpendEarned {
		// What this receipt earns can pay for it, so it is counted first, on
		// the amount before points.
		e.accrue()
		e.redeem()
	} else {
		e.redeem()
		e.accrue()
	}
	e.giveOthers()
	e.settleUsage()
	if e.err != nil {
		return nil, fmt.Errorf("price receipt: %w", e.err)
	}
	return e.result(), nil
}

// begin takes the receipt in and refuses what cannot be priced.
func (e *eval) begin(in *Input) error {
	r := in.Receipt
	e.in, e.r, e.m = in, r, in.Member
	e.now = r.Time
	if e.now.IsZero() {
		e.now = in.Now
	}
	if e.now.IsZero() {
		return &InputError{"no_time", "time", "the receipt has no time and the caller gave no clock", "set time, or Input.Now"}
	}
	if y := e.now.Year(); y < 1970 || y > 9999 {
		return &InputError{"time", "time", "the year is out of range", "send the time with the shop's offset"}
	}
	e.day = DateOf(e.now)
	e.minute = e.now.Hour()*60 + e.now.Minute()
	e.lang = e.rb.phrasesFor(in)
	if r.Currency != "" && r.Currency != e.rb.doc.Programme.Currency {
		return &InputError{"currency", "currency", fmt.Sprintf("%q is not the programme's currency", r.Currency), "use " + e.rb.doc.Programme.Currency}
	}
	if len(r.Lines) > maxLines {
		return &InputError{"too_many_lines", "lines", fmt.Sprintf("%d lines, at most %d are priced", len(r.Lines), maxLines), "split the receipt"}
	}
	e.lines = slices.Grow(e.lines[:0], len(r.Lines))[:len(r.Lines)]
	e.all = slices.Grow(e.all[:0], len(r.Lines))[:len(r.Lines)]
	for i := range r.Lines {
		e.all[i] = int32(i)
		if err := e.takeLine(i); err != nil {
			return err
		}
	}
	return e.checkIDs()
}

func (e *eval) takeLine(i int) error {
	in := &e.r.Lines[i]
	bad := func(code, field, what, hint string) error {
		return &InputError{code, fmt.Sprintf("lines[%d].%s", i, field), what, hint}
	}
	l := &e.lines[i]
	*l = lineState{in: in, id: in.ID}
	if l.id == "" {
		l.id = lineNumber(i)
	}
	if in.Price < 0 {
		return bad("negative_price", "price", "a price below zero", "send a return as a negative quantity")
	}
	exact, ok := e.rb.set.mulUnits(int64(in.Price), int64(in.Quantity), oneUnit*priceToCent, e.rb.set.grossMode)
	if in.Amount != nil {
		exact, ok = int64(*in.Amount), true
	}
	if !ok || exact > maxAmount || exact < -maxAmount {
		return bad("amount_range", "amount", "the line's amount is out of range", "check price and quantity")
	}
	l.gross = Money(exact)
	if unit := Money(e.rb.set.unit); unit > 1 && (l.gross%unit != 0 || in.Discount%unit != 0) {
		return bad("fraction", "amount", e.rb.doc.Programme.Currency+" has no parts of a unit", "send whole amounts")
	}
	if in.Quantity < 0 {
		if e.rb.set.negative == negRefuse {
			return bad("negative_quantity", "quantity", "a negative quantity in a sale", "send it to the returns call")
		}
		if l.gross > 0 {
			return bad("amount_sign", "amount", "a negative quantity with a positive amount", "give both the same sign")
		}
		l.flags = flagReturn | banDiscount | banSpend
		if e.rb.set.negative == negPlain {
			l.flags |= banEarn
		}
	} else if l.gross < 0 {
		return bad("amount_sign", "amount", "a negative amount with a quantity that is not", "give both the same sign")
	}
	if in.Quantity == 0 && l.gross != 0 {
		return bad("quantity", "quantity", "an amount without a quantity", "a quantity of 1 will do")
	}
	l.cur = l.gross
	if in.Discount != 0 {
		if in.Discount < 0 && in.Quantity >= 0 || in.Quantity >= 0 && in.Discount > l.gross {
			return bad("external_discount", "discount", fmt.Sprintf("%s is not between 0 and the line's %s", in.Discount, l.gross), "send what the cash software took off the line")
		}
		if in.Quantity < 0 && (in.Discount > 0 || in.Discount < l.gross) {
			return bad("external_discount", "discount", "a return line's discount is not between its amount and 0", "send it with the line's sign")
		}
		l.cur -= in.Discount
		l.flags |= flagExternal | e.rb.set.externalFlags
		l.nDisc++
		e.allocs = append(e.allocs, alloc{int32(i), ruleExternal, in.Discount})
	}
	if in.Marked {
		l.flags |= e.rb.set.markedFlags
	}
	if in.MinPrice != nil {
		e.raiseFloor(l, *in.MinPrice)
	}
	if e.rb.set.lineFloor > 0 {
		e.raiseFloor(l, Price(e.rb.set.lineFloor)*priceToCent)
	}
	e.gross += l.gross
	e.sums += l.cur
	return nil
}

// raiseFloor keeps the line at or above a price of one unit.
func (e *eval) raiseFloor(l *lineState, unit Price) {
	n, ok := e.rb.set.mulUnits(int64(unit), int64(l.in.Quantity), oneUnit*priceToCent, Up)
	if !ok {
		n = maxAmount
	}
	l.floor = max(l.floor, Money(n))
}

// checkIDs refuses a line id that is used twice: returns could not tell the
// lines apart.
func (e *eval) checkIDs() error {
	named := false
	for i := range e.r.Lines {
		if e.r.Lines[i].ID != "" {
			named = true
			break
		}
	}
	if !named {
		return nil
	}
	seen := e.x.ids
	if seen == nil {
		seen = make(map[string]int32, len(e.lines))
		e.x.ids = seen
	}
	clear(seen)
	for i := range e.lines {
		id := e.lines[i].id
		if j, ok := seen[id]; ok {
			return &InputError{"line_id", fmt.Sprintf("lines[%d].id", i), fmt.Sprintf("%q is also the id of lines[%d]", id, j), "give every line its own id"}
		}
		seen[id] = int32(i)
	}
	return nil
}

// lineNumbers are the ids of lines that have none.
var lineNumbers = func() (s [256]string) {
	for i := range s {
		s[i] = fmt.Sprint(i + 1)
	}
	return
}()

func lineNumber(i int) string {
	if i < len(lineNumbers) {
		return lineNumbers[i]
	}
	return fmt.Sprint(i + 1)
}

// reset makes the evaluation ready for the pool; nothing of the receipt stays.
func (e *eval) reset() {
	for _, s := range e.touched {
		e.sels[s] = selState{}
	}
	for _, s := range e.scanned {
		e.sels[s] = selState{}
	}
	for _, r := range e.cands {
		e.states[r] = ruleState{}
	}
	clear(e.lines)
	e.in, e.r, e.m, e.res, e.err, e.spend, e.lang = nil, nil, nil, nil, nil, nil, nil
	e.gross, e.sums, e.paid, e.spentPts = 0, 0, 0, 0
	e.lines, e.all = e.lines[:0], e.all[:0]
	e.touched, e.scanned, e.hits, e.hitLines, e.scanLines = e.touched[:0], e.scanned[:0], e.hits[:0], e.hitLines[:0], e.scanLines[:0]
	e.cands, e.marked = e.cands[:0], e.marked[:0]
	e.allocs, e.awards, e.lots = e.allocs[:0], e.awards[:0], e.lots[:0]
	e.group, e.rule = nil, nil
	e.buf, e.spans = e.buf[:0], e.spans[:0]
	e.x.reset()
	e.use.reset()
}

// applyLaw marks lines by the legal profiles. Nothing later clears a mark.
func (e *eval) applyLaw() {
	for _, s := range e.touched {
		e.marked = append(e.marked, e.rb.selectors[s].legal...)
	}
	e.marked = append(e.marked, e.rb.legalAlways...)
	slices.Sort(e.marked)
	for _, k := range slices.Compact(e.marked) {
		law := &e.rb.legal[k]
		if law.where != nil && !law.where.holds(e) {
			continue
		}
		for _, i := range e.linesOf(law.sel) {
			l := &e.lines[i]
			l.flags |= law.bans
			l.bans |= law.bans
			if law.minPrice > 0 {
				unit := law.minPrice
				if law.per != "" {
					share, err := ParseQuantity(l.in.Attributes[law.per])
					if err != nil {
						continue
					}
					n, ok := mulDiv(int64(unit), int64(share), oneUnit, Up)
					if !ok {
						continue
					}
					unit = Price(n)
				}
				e.raiseFloor(l, unit)
			}
			e.x.law = append(e.x.law, lawMark{i, k})
		}
	}
}
