package loyalty

import "fmt"

// Document is a rulebook as people write it: one JSON document that says all
// there is to know about a programme. Decode reads it, Compile turns it into
// a Rulebook that prices receipts. docs/rulebook.md explains every field.
type Document struct {
	Schema     string         `json:"$schema,omitempty" doc:"address of the JSON Schema, for editors; ignored"`
	Programme  ProgrammeDoc   `json:"programme" doc:"what the programme is called and how it counts"`
	Settings   Settings       `json:"settings,omitzero" doc:"the switches every programme may set"`
	Wallets    []Wallet       `json:"wallets,omitempty" doc:"kinds of points"`
	Redemption []Redemption   `json:"redemption,omitempty" doc:"ways to pay with points; the first one whose condition holds is used"`
	Tiers      *TierLadder    `json:"tiers,omitempty" doc:"the ladder of status levels"`
	Counters   []Counter      `json:"counters,omitempty" doc:"what is counted per member, kept in day buckets"`
	Segments   []Named        `json:"segments,omitempty" doc:"segments that rules refer to; their membership comes from the centre"`
	Lists      []ProductList  `json:"lists,omitempty" doc:"named lists of goods"`
	Stores     []StoreGroup   `json:"store_groups,omitempty" doc:"named groups of stores"`
	Holidays   []HolidayList  `json:"holidays,omitempty" doc:"named lists of days"`
	Tests      []ABTest       `json:"tests,omitempty" doc:"A/B tests and pilot cohorts"`
	Legal      []LegalProfile `json:"legal,omitempty" doc:"what the law forbids; no rule can override it"`
	Groups     []Group        `json:"stacking_groups,omitempty" doc:"groups of rules, in the order in which they are applied"`
	Budgets    []Budget       `json:"budgets,omitempty" doc:"what rules may cost in all"`
	Limits     []Limit        `json:"limits,omitempty" doc:"limits of the whole programme, such as accruals per member and day"`
	StampCards []StampCard    `json:"stamp_cards,omitempty" doc:"cards that fill with stamps"`
	Offline    Offline        `json:"offline,omitzero" doc:"what a till may do without a link"`
	Rules      []Rule         `json:"rules" doc:"conditions and rewards"`
	Receipt    []ReceiptText  `json:"receipt,omitempty" doc:"the loyalty block of the receipt, line by line"`
	Greeting   []ScreenText   `json:"screen,omitempty" doc:"texts for cashier and display without a rule of their own"`
	Vectors    []Vector       `json:"vectors,omitempty" doc:"baskets with expected results, run before activation"`
}

// Text is a text in several languages: {"en": "…", "ru": "…"}. A plain string
// counts for every language. Texts are templates, see Template.
type Text map[string]string

// Named is something declared by id, with a name for people.
type Named struct {
	ID   string `json:"id"`
	Name Text   `json:"name,omitempty"`
}

// ProgrammeDoc is the heading of a rulebook.
type ProgrammeDoc struct {
	ID        string   `json:"id" doc:"short name, letters and digits: grocer"`
	Name      Text     `json:"name,omitempty" doc:"as printed"`
	Version   int64    `json:"version,omitempty" doc:"grows with every publication"`
	Currency  string   `json:"currency" doc:"ISO 4217: GBP"`
	Languages []string `json:"languages,omitempty" doc:"languages of its texts; the first one is the default (en)"`
	Prices    string   `json:"prices,omitempty" enum:"tax_included|tax_excluded" doc:"whether line prices hold the tax (tax_included)"`
}

// Settings are the switches of a programme; an empty one has its default.
type Settings struct {
	Rounding      Rounding `json:"rounding,omitzero" doc:"how money is rounded"`
	PercentBase   string   `json:"percent_base,omitempty" enum:"remaining|initial" doc:"what a second percent is taken of (remaining)"`
	Thresholds    string   `json:"thresholds,omitempty" enum:"after_discounts|before_discounts" doc:"amount a basket condition looks at (after_discounts)"`
	ThresholdTax  string   `json:"threshold_tax,omitempty" enum:"with|without" doc:"with or without tax (with)"`
	Compare       string   `json:"from_means,omitempty" enum:"at_least|more_than" doc:"whether 'from 1000' includes 1000 (at_least)"`
	PriorityOrder string   `json:"priority_order,omitempty" enum:"high_first|low_first" doc:"which priority goes first (high_first)"`
	InGroup       string   `json:"in_group,omitempty" enum:"stack|best|best_per_line|first" doc:"rules of one group without a setting of their own (stack)"`
	CheapestOf    string   `json:"cheapest_of,omitempty" enum:"unit|line" doc:"cheapest is a unit or a whole line (unit)"`
	FreeItem      string   `json:"free_item,omitempty" enum:"cheapest|dearest" doc:"which goods of a set are free (cheapest)"`
	AccrualBase   string   `json:"accrual_base,omitempty" enum:"gross|net|net_minus_points|full_price_lines|by_tender" doc:"what points are counted on (net_minus_points)"`
	EarnTenders   []string `json:"earn_tenders,omitempty" doc:"means of payment that earn, for by_tender"`
	SpendEarned   bool     `json:"spend_in_same_receipt,omitempty" doc:"points may be spent in the receipt that earns them (no)"`
	MarkedDown    string   `json:"marked_down,omitempty" enum:"count|no_discount|no_earn|no_discount_no_earn" doc:"goods already marked down (count)"`
	External      string   `json:"external_discounts,omitempty" enum:"stack|no_discount|no_earn|no_discount_no_earn" doc:"lines on which the cash software gave a discount (stack)"`
	VoidCoupons   string   `json:"void_frees_coupons,omitempty" enum:"yes|no" doc:"a void or whole return gives the coupon's use back (yes)"`
	Shortfall     string   `json:"return_shortfall,omitempty" enum:"within_balance|only_pending|unlimited" doc:"how far a return may take points back (within_balance)"`
	Negative      string   `json:"negative_lines,omitempty" enum:"net|plain|refuse" doc:"lines with a negative quantity in a sale: lower the accrual base, earn nothing, or refuse the receipt (net)"`
	LineFloor     Money    `json:"line_floor,omitempty" doc:"no discount takes a line below this for one unit (0)"`
	SplitUnits    bool     `json:"show_units,omitempty" doc:"tell the price of each whole unit of a line when it does not divide evenly (no)"`
	MaxDiscount   Percent  `json:"max_discount_percent,omitempty" doc:"most that all rules together take off a receipt"`
}

// Rounding of money.
type Rounding struct {
	Level string `json:"level,omitempty" enum:"line|unit|receipt" doc:"where a percent is rounded (line)"`
	Mode  string `json:"mode,omitempty" enum:"half_up|half_even|half_down|up|down" doc:"how (half_up)"`
	Step  Money  `json:"step,omitempty" doc:"to a multiple of this (0.01)"`
	Of    string `json:"of,omitempty" enum:"discount|price" doc:"what is rounded: the discount, or the price that is left, from the exact amount (discount)"`
	Spare string `json:"spare_cents,omitempty" enum:"largest_remainder|first_line|last_line" doc:"which lines take the spare cents (largest_remainder)"`
	Tie   string `json:"tie,omitempty" enum:"first|last" doc:"which line goes first among equals (first)"`
}

// PointsRounding of one wallet.
type PointsRounding struct {
	Mode  string `json:"mode,omitempty" enum:"half_up|half_even|half_down|up|down" doc:"how (half_up)"`
	Step  Points `json:"step,omitempty" doc:"to a multiple of this (0.01)"`
	Level string `json:"level,omitempty" enum:"rule|line" doc:"rounded per rule and receipt, or per line (rule)"`
}

// Wallet is a kind of points.
type Wallet struct {
	ID       string         `json:"id"`
	Name     Text           `json:"name,omitempty" doc:"what the points are called"`
	Value    Money          `json:"point_value,omitempty" doc:"what one point is worth in money, for reports and for 'value' accrual"`
	Active   Activation     `json:"activation,omitzero" doc:"when earned points may be spent (at once)"`
	Expiry   Expiry         `json:"expiry,omitzero" doc:"when they end (never)"`
	Rounding PointsRounding `json:"rounding,omitzero"`
	Max      Points         `json:"max_balance,omitempty" doc:"no more is earned above this balance"`
	Hidden   bool           `json:"hidden,omitempty" doc:"a score that is never shown or spent"`
}

// Activation says when earned points become active.
type Activation struct {
	When string `json:"when,omitempty" enum:"at_once|next_receipt|after" doc:"at_once, from the next receipt on, or after a span"`
	Span Span   `json:"span,omitzero" doc:"for after: 14 days"`
}

// Expiry says when a lot of points ends.
type Expiry struct {
	Kind  string `json:"kind,omitempty" enum:"never|rolling|calendar|sliding" doc:"rolling: a span after the lot was earned; calendar: at the end of a period; sliding: a span after the member's last activity"`
	Span  Span   `json:"span,omitzero" doc:"for rolling and sliding: 12 months"`
	At    string `json:"at,omitempty" enum:"end_of_month|end_of_quarter|end_of_year" doc:"for calendar, and to round a rolling date up"`
	Grace Span   `json:"grace,omitzero" doc:"for calendar: points earned less than this before the end live until the next end"`
}

// Redemption is a way to pay with points.
type Redemption struct {
	ID         string     `json:"id,omitempty" doc:"shown in the trace (redeem)"`
	Wallet     string     `json:"wallet"`
	When       *Condition `json:"when,omitempty" doc:"this way is open only if the condition holds"`
	Points     Points     `json:"points,omitempty" doc:"so many points (1)…"`
	Value      Money      `json:"worth,omitempty" doc:"…pay this much money"`
	Block      Points     `json:"block,omitempty" doc:"points go in multiples of this"`
	Min        Points     `json:"min_points,omitempty" doc:"fewer are not taken"`
	MinBalance Points     `json:"min_balance,omitempty" doc:"the balance must be at least this"`
	MaxPoints  Points     `json:"max_points,omitempty" doc:"per receipt"`
	MaxPercent Percent    `json:"max_percent,omitempty" doc:"of the receipt, at most (100)"`
	PercentOf  string     `json:"percent_of,omitempty" enum:"receipt|eligible|gross" doc:"what max_percent is taken of: what is to pay, only the lines that may be paid, or the amount before discounts (receipt)"`
	MaxValue   Money      `json:"max_value,omitempty" doc:"per receipt, in money"`
	LinePct    Percent    `json:"max_line_percent,omitempty" doc:"of each line, at most (100)"`
	MinLeft    Money      `json:"line_leaves,omitempty" doc:"of each unit at least this is paid by other means"`
	On         *Select    `json:"on,omitempty" doc:"only these lines"`
	Discounted string     `json:"discounted_lines,omitempty" enum:"allowed|excluded|none_in_receipt" doc:"lines that already have a discount: allowed, left out, or no spending in such a receipt at all (allowed)"`
	As         string     `json:"as,omitempty" enum:"discount|tender" doc:"how the cash software books it (discount)"`
	EarnsToo   string     `json:"earning,omitempty" enum:"allowed|excluded" doc:"whether a receipt on which points are spent also earns (allowed)"`
}

// TierLadder is a set of levels that a counter leads up.
type TierLadder struct {
	Counter string      `json:"counter" doc:"id of the counter that decides"`
	Levels  []TierLevel `json:"levels" doc:"from the lowest up"`
	Keep    string      `json:"keep,omitempty" enum:"window|until|forever" doc:"window: the level follows the counter; until: kept for the span valid; forever: never down (window)"`
	Valid   Span        `json:"valid,omitzero" doc:"for until: 12 months, from the day the level was reached"`
	Grace   Span        `json:"grace,omitzero" doc:"time before a level is lost"`
	Down    string      `json:"down,omitempty" enum:"one|all_the_way" doc:"how far down at once (all_the_way)"`
}

// TierLevel is one level.
type TierLevel struct {
	ID         string `json:"id"`
	Name       Text   `json:"name,omitempty"`
	From       Factor `json:"from" doc:"the counter's value that reaches it"`
	Privileges []Text `json:"privileges,omitempty"`
}

// Counter is what is counted per member.
type Counter struct {
	ID      string   `json:"id"`
	Name    Text     `json:"name,omitempty"`
	Of      string   `json:"of" enum:"visits|spend|units|points|lines|events" doc:"receipts, money paid, units bought, points earned, lines bought, or outside events"`
	On      *Select  `json:"on,omitempty" doc:"only these goods"`
	Wallet  string   `json:"wallet,omitempty" doc:"for points"`
	Event   string   `json:"event,omitempty" doc:"for events"`
	Min     Money    `json:"min_receipt,omitempty" doc:"smaller receipts do not count as visits"`
	Window  Period   `json:"window,omitzero" doc:"ever, year, month, or a span such as 90 days (ever)"`
	PerDay  int64    `json:"max_per_day,omitempty" doc:"visits counted a day"`
	Include []string `json:"channels,omitempty" doc:"only these sales channels"`
}

// ProductList is a named list of goods.
type ProductList struct {
	ID   string   `json:"id"`
	Name Text     `json:"name,omitempty"`
	SKUs []string `json:"skus"`
}

// StoreGroup is a named group of stores, such as a region.
type StoreGroup struct {
	ID     string   `json:"id"`
	Name   Text     `json:"name,omitempty"`
	Stores []string `json:"stores"`
}

// HolidayList is a named list of days.
type HolidayList struct {
	ID     string   `json:"id"`
	Name   Text     `json:"name,omitempty"`
	Dates  []Date   `json:"dates,omitempty" doc:"single days"`
	Yearly []string `json:"yearly,omitempty" doc:"days of every year, MM-DD"`
}

// ABTest deals members, stores or tills into arms, always the same way.
type ABTest struct {
	ID   string `json:"id"`
	Unit string `json:"unit,omitempty" enum:"member|store|till" doc:"what is dealt out (member)"`
	Arms []Arm  `json:"arms"`
}

// Arm is a share of an A/B test.
type Arm struct {
	ID      string  `json:"id"`
	Percent Percent `json:"percent"`
}

// LegalProfile is what the law of a country forbids a programme.
type LegalProfile struct {
	ID      string      `json:"id" doc:"pl, ru"`
	Name    Text        `json:"name,omitempty"`
	Country string      `json:"country,omitempty" doc:"ISO 3166"`
	AsOf    Date        `json:"as_of,omitempty" doc:"the day the sources were read"`
	Rules   []LegalRule `json:"rules"`
}

// LegalRule is one ban or minimum price.
type LegalRule struct {
	ID       string   `json:"id"`
	Name     Text     `json:"name,omitempty"`
	Source   string   `json:"source,omitempty" doc:"act and article"`
	On       *Select  `json:"on" doc:"the goods it is about"`
	Where    *Where   `json:"where,omitempty"`
	Ban      []string `json:"ban,omitempty" enum:"discount|earn|spend" doc:"what may not be done with them"`
	MinPrice Price    `json:"min_price,omitempty" doc:"of one unit"`
	Per      string   `json:"min_price_per,omitempty" doc:"attribute that holds how much of it one unit has, such as litres; min_price is for 1 of it"`
}

// Group is a stacking group.
type Group struct {
	ID   string `json:"id"`
	Name Text   `json:"name,omitempty"`
	Mode string `json:"mode,omitempty" enum:"stack|best|best_per_line|first" doc:"stack: every rule in turn; best: the one that gives the customer most; best_per_line: that, line by line; first: the first that gives anything (settings.in_group)"`
	Base string `json:"base,omitempty" enum:"remaining|initial" doc:"what its percents are taken of (settings.percent_base)"`
	Not  string `json:"discounted_lines,omitempty" enum:"allowed|excluded" doc:"whether it touches lines that earlier groups discounted (allowed)"`
}

// Budget is what some rules may cost in all.
type Budget struct {
	ID       string  `json:"id"`
	Name     Text    `json:"name,omitempty"`
	Money    Money   `json:"money,omitempty" doc:"discounts and gifts, in money"`
	Points   Points  `json:"points,omitempty"`
	Count    int64   `json:"count,omitempty" doc:"how many times"`
	Turnover Percent `json:"percent_of_turnover,omitempty" doc:"reward cost (money and points at point_value) as a share of turnover"`
	Period   Period  `json:"period,omitzero" doc:"when it starts anew (ever)"`
	Partial  bool    `json:"partial,omitempty" doc:"give what is left instead of nothing (no)"`
}

// Limit is how often or how much, for whom, in which time.
type Limit struct {
	Per    string `json:"per" enum:"receipt|member|card|store|till|cashier|all" doc:"for whom it counts"`
	Period Period `json:"period,omitzero" doc:"receipt, day, week, month, quarter, year, ever or a span (ever)"`
	What   string `json:"what,omitempty" enum:"rule|earning|spending|discount" doc:"in programme limits: what is limited (rule)"`
	Count  int64  `json:"count,omitempty" doc:"receipts in which it fires; within a receipt: times it is applied"`
	Units  int64  `json:"units,omitempty" doc:"units of goods that get the discount"`
	Money  Money  `json:"money,omitempty"`
	Points Points `json:"points,omitempty"`
}

// StampCard fills with stamps.
type StampCard struct {
	ID       string   `json:"id"`
	Name     Text     `json:"name,omitempty"`
	Goal     int64    `json:"goal" doc:"stamps that fill it"`
	Keep     bool     `json:"keep,omitempty" doc:"stamps stay until a rule takes them (take_stamps); otherwise a full card empties itself"`
	Complete []Reward `json:"on_complete,omitempty" doc:"given for each card filled: points, coupon, text, privilege, tier, segment"`
}

// Decode reads a rulebook document strictly. The error is Problems: all that
// is wrong with its form. What its parts mean together is Compile's concern.
func Decode(data []byte) (*Document, error) {
	doc := new(Document)
	if err := Unmarshal(data, doc, DocumentLimits); err != nil {
		return nil, fmt.Errorf("decode rulebook: %w", err)
	}
	return doc, nil
}

// DecodeReceipt reads a receipt strictly; fields that are absent have their
// defaults, so lines with sku, quantity and price are enough.
func DecodeReceipt(data []byte) (*Receipt, error) {
	r := new(Receipt)
	if err := Unmarshal(data, r, ReceiptLimits); err != nil {
		return nil, fmt.Errorf("decode receipt: %w", err)
	}
	return r, nil
}

// DecodeMember reads a member snapshot strictly.
func DecodeMember(data []byte) (*Member, error) {
	m := new(Member)
	if err := Unmarshal(data, m, ReceiptLimits); err != nil {
		return nil, fmt.Errorf("decode member: %w", err)
	}
	return m, nil
}
