package loyalty

// Condition is what must hold for a rule to fire. Every field that is given
// must hold; `all`, `any` and `none` nest. The list of kinds is closed: a new
// kind is a Go type, not an expression.
type Condition struct {
	All       []Condition `json:"all,omitempty" doc:"every one holds"`
	Any       []Condition `json:"any,omitempty" doc:"at least one holds"`
	None      []Condition `json:"none,omitempty" doc:"not one holds"`
	Schedule  *Schedule   `json:"schedule,omitempty" doc:"days and times"`
	Where     *Where      `json:"where,omitempty" doc:"store, till, channel, pilot cohort"`
	Member    *Audience   `json:"member,omitempty" doc:"who the customer is"`
	Basket    *Basket     `json:"basket,omitempty" doc:"amount, quantity, weight or number of goods"`
	Lines     *LinesHave  `json:"lines,omitempty" doc:"any, every or none of the lines"`
	Sets      *SetsHave   `json:"sets,omitempty" doc:"A and B together, or x of y"`
	Tender    *TenderHas  `json:"tender,omitempty" doc:"means of payment"`
	Coupon    *CouponHas  `json:"coupon,omitempty" doc:"a coupon, promo code or referral was shown"`
	Event     string      `json:"event,omitempty" doc:"an outside event the receipt carries"`
	Confirmed *Confirmed  `json:"confirmed,omitempty" doc:"the cashier confirmed something"`
	Counter   *CounterHas `json:"counter,omitempty" doc:"a declared counter of the member"`
	Visit     *VisitIs    `json:"visit,omitempty" doc:"first, nth, every nth receipt; days since the last one"`
	Bought    *Bought     `json:"bought,omitempty" doc:"goods bought on earlier receipts"`
	Balance   *BalanceHas `json:"balance,omitempty" doc:"points in a wallet"`
	Stamps    *StampsHave `json:"stamps,omitempty" doc:"stamps on a card"`
	Fired     []string    `json:"fired,omitempty" doc:"one of these rules has fired on this receipt"`
	NotFired  []string    `json:"not_fired,omitempty" doc:"none of these rules has fired on this receipt"`
	Limit     *LimitOf    `json:"limit_not_reached,omitempty" doc:"another rule's limits still allow it"`
}

// Select picks lines. Every field that is given must hold; within a list one
// is enough. An empty Select is all lines.
type Select struct {
	SKUs       []string            `json:"skus,omitempty"`
	Categories []string            `json:"categories,omitempty" doc:"paths in the category tree; food/dairy holds food/dairy/milk"`
	Brands     []string            `json:"brands,omitempty"`
	Lists      []string            `json:"lists,omitempty" doc:"ids of named lists"`
	Attributes map[string][]string `json:"attributes,omitempty" doc:"attribute -> one of these values"`
	PriceFrom  *Price              `json:"price_from,omitempty" doc:"unit price, included"`
	PriceTo    *Price              `json:"price_to,omitempty" doc:"unit price, included"`
	MinQty     Quantity            `json:"min_quantity,omitempty" doc:"quantity of the line"`
	MinAmount  Money               `json:"min_amount,omitempty" doc:"amount of the line"`
	Units      []string            `json:"units,omitempty" doc:"pcs, kg, l, …"`
	TaxRates   []string            `json:"tax_rates,omitempty"`
	Lines      []string            `json:"line_ids,omitempty" doc:"ids of lines, for outside decisions"`
	Marked     *bool               `json:"marked_down,omitempty" doc:"goods already marked down, or only those that are not"`
	Discounted *bool               `json:"discounted,omitempty" doc:"lines the cash software gave a discount on, or only the others"`
	AnyOf      []Select            `json:"any_of,omitempty" doc:"lines that one of these picks"`
	Except     []Select            `json:"except,omitempty" doc:"minus lines that one of these picks"`
}

// Where is a place: every field that is given must hold.
type Where struct {
	Stores    []string            `json:"stores,omitempty"`
	Groups    []string            `json:"store_groups,omitempty"`
	NotStores []string            `json:"not_stores,omitempty"`
	Tills     []string            `json:"tills,omitempty"`
	Cashiers  []string            `json:"cashiers,omitempty"`
	Channels  []string            `json:"channels,omitempty" doc:"till when the receipt names none"`
	Cohort    map[string][]string `json:"cohort,omitempty" doc:"A/B test by store or till -> arms"`
}

// Audience is who the customer is: every field that is given must hold.
type Audience struct {
	Known       *bool               `json:"known,omitempty" doc:"true: a member; false: a stranger"`
	Tiers       []string            `json:"tiers,omitempty"`
	NotTiers    []string            `json:"not_tiers,omitempty"`
	Segments    []string            `json:"segments,omitempty" doc:"in one of these"`
	AllSegments []string            `json:"all_segments,omitempty" doc:"in every one of these"`
	NotSegments []string            `json:"not_segments,omitempty" doc:"in none of these"`
	CardTypes   []string            `json:"card_types,omitempty"`
	CardStatus  []string            `json:"card_status,omitempty" enum:"active|inactive|blocked|lost"`
	Attributes  map[string][]string `json:"attributes,omitempty" doc:"profile attribute -> one of these values; rfm is one of them"`
	Without     []string            `json:"missing_attributes,omitempty" doc:"profile attributes that are empty"`
	Consents    []string            `json:"consents,omitempty" doc:"every one of these is given"`
	Languages   []string            `json:"languages,omitempty"`
	Arms        map[string][]string `json:"arms,omitempty" doc:"A/B test -> arms"`
	Birthday    *Around             `json:"birthday,omitempty" doc:"near the birthday"`
	Anniversary *Around             `json:"anniversary,omitempty" doc:"near the day of joining"`
	MemberFor   Span                `json:"member_for,omitzero" doc:"joined at least this long ago"`
	JoinedIn    Span                `json:"joined_within,omitzero" doc:"joined no longer ago than this"`
	IDs         []string            `json:"ids,omitempty" doc:"members by pseudonym (pilots)"`
}

// Around is a window around a yearly day.
type Around struct {
	Before int  `json:"days_before,omitempty"`
	After  int  `json:"days_after,omitempty"`
	Month  bool `json:"whole_month,omitempty" doc:"the whole month of the day"`
}

// Range is a comparison of a number; every bound that is given must hold.
type Range struct {
	From     *Factor `json:"from,omitempty" doc:"at least, or more than: see settings.from_means"`
	AtLeast  *Factor `json:"at_least,omitempty"`
	MoreThan *Factor `json:"more_than,omitempty"`
	AtMost   *Factor `json:"at_most,omitempty"`
	LessThan *Factor `json:"less_than,omitempty"`
	Equal    *Factor `json:"equal,omitempty"`
}

// Basket compares a measure of the basket, or of some of its lines.
type Basket struct {
	Measure string  `json:"measure,omitempty" enum:"amount|quantity|weight|lines|distinct_skus|distinct_categories|distinct_brands|discount" doc:"what is measured (amount); quantity counts pieces and a weighed line as one, weight sums other units"`
	Of      string  `json:"of,omitempty" enum:"after_discounts|before_discounts" doc:"for amount (settings.thresholds)"`
	Tax     string  `json:"tax,omitempty" enum:"with|without" doc:"for amount (settings.threshold_tax)"`
	On      *Select `json:"on,omitempty" doc:"only these lines"`
	Range
}

// LinesHave asks for lines.
type LinesHave struct {
	Which string   `json:"which,omitempty" enum:"any|every|none" doc:"any line, every line or no line (any)"`
	On    *Select  `json:"on"`
	Min   Quantity `json:"quantity,omitempty" doc:"for any: together at least so many"`
}

// SetsHave asks for goods that belong together.
type SetsHave struct {
	Parts []Part `json:"parts" doc:"each one with its quantity"`
	Need  int    `json:"need,omitempty" doc:"so many of the parts are enough (all)"`
	Times int64  `json:"times,omitempty" doc:"so many whole sets (1)"`
}

// Part is some goods of a set.
type Part struct {
	On       *Select  `json:"on"`
	Quantity Quantity `json:"quantity,omitempty" doc:"(1)"`
}

// TenderHas asks for means of payment, planned or real.
type TenderHas struct {
	Kinds []string `json:"kinds"`
	Share Percent  `json:"share,omitempty" doc:"they pay at least this much of what is tendered"`
	Min   Money    `json:"amount,omitempty" doc:"they pay at least this"`
	Only  bool     `json:"only,omitempty" doc:"nothing else is tendered"`
}

// CouponHas asks for a code.
type CouponHas struct {
	Codes  []string `json:"codes,omitempty" doc:"any of these"`
	Prefix string   `json:"prefix,omitempty" doc:"any code that begins so"`
	Issued bool     `json:"issued,omitempty" doc:"a coupon the member holds that was issued for this rule"`
	Uses   int64    `json:"uses_per_member,omitempty" doc:"how often one member may use it"`
	Keep   bool     `json:"keep,omitempty" doc:"showing it does not use it up"`
	ByCode bool     `json:"once_per_code,omitempty" doc:"each code under the prefix works once per member (referrals)"`
}

// Confirmed asks the cashier.
type Confirmed struct {
	Ask Text `json:"ask,omitempty" doc:"the question for the cashier: Student card shown?"`
}

// CounterHas compares a counter of the member.
type CounterHas struct {
	ID      string `json:"id" doc:"a declared counter; visits and spend need no declaration"`
	Window  Period `json:"window,omitzero" doc:"instead of the counter's own"`
	Include bool   `json:"with_this_receipt,omitempty" doc:"count this receipt too"`
	Every   int64  `json:"every,omitempty" doc:"holds each time the counter, with this receipt, passes a multiple of this"`
	Range
}

// VisitIs looks at the number and time of the member's receipts.
type VisitIs struct {
	First   bool   `json:"first,omitempty" doc:"the member's first receipt"`
	Number  int64  `json:"number,omitempty" doc:"the nth receipt, from 1"`
	Every   int64  `json:"every,omitempty" doc:"every nth receipt"`
	Counter string `json:"counter,omitempty" doc:"counts visits otherwise (visits)"`
	Away    int    `json:"days_since_last,omitempty" doc:"the last receipt was at least so many days ago"`
	Within  int    `json:"within_days_of_last,omitempty" doc:"the last receipt was at most so many days ago"`
	Today   bool   `json:"first_today,omitempty" doc:"the first receipt of the day"`
}

// Bought asks for goods bought on earlier receipts; the engine keeps a
// counter for it.
type Bought struct {
	On     *Select `json:"on"`
	Within Span    `json:"within,omitzero" doc:"(ever)"`
	Range
}

// BalanceHas compares a wallet's active points.
type BalanceHas struct {
	Wallet  string `json:"wallet,omitempty" doc:"(the first one)"`
	Pending bool   `json:"with_pending,omitempty"`
	Range
}

// StampsHave compares the stamps held before this receipt.
type StampsHave struct {
	Card string `json:"card"`
	Range
}

// LimitOf asks whether another rule's limits are reached.
type LimitOf struct {
	Rule string `json:"rule"`
}
