package loyalty

import "time"

// Result is what pricing one receipt gives: the body that `calculate`
// answers, and what a capture stores so that a return can replay it.
// Marshalled with encoding/json it has the same bytes on every machine.
type Result struct {
	Receipt  string       `json:"receipt,omitempty"`
	Rulebook string       `json:"rulebook"` // version of the rulebook, "programme@12"
	Currency string       `json:"currency"`
	Member   *MemberID    `json:"member,omitempty"`
	Lines    []LineResult `json:"lines"`
	Totals   Totals       `json:"totals"`
	Rules    []RuleEffect `json:"rules,omitempty"` // every rule that fired, in order
	Earned   []Earning    `json:"earned,omitempty"`
	// Unconfirmed is what earlier receipts earned and the centre has not
	// confirmed yet, where the printed balance counts it.
	Unconfirmed []WalletPoints `json:"unconfirmed,omitempty"`
	Spend       *Spending      `json:"spend,omitempty"` // nil without a member or when the programme has no redemption
	Paid        []PointsPaid   `json:"paid,omitempty"`  // points given for rewards of a catalogue; part of Spend.Points
	Gifts       []Gift         `json:"gifts,omitempty"`
	Coupons     []CouponUse    `json:"coupons,omitempty"` // used, refused (with reason) and issued
	Stamps      []StampMove    `json:"stamps,omitempty"`
	Tier        *TierMove      `json:"tier,omitempty"`
	Messages    []Message      `json:"messages,omitempty"`
	Print       []PrintLine    `json:"print,omitempty"`
	Counters    []CounterAdd   `json:"counters,omitempty"` // of the member, limits included
	Usage       []CounterAdd   `json:"usage,omitempty"`    // of store, till, cashier and programme: limits
	Budgets     []BudgetUse    `json:"budgets,omitempty"`  // what this receipt uses of budgets
	Grants      []Grant        `json:"grants,omitempty"`   // privileges and outside rewards
	Segments    []SegmentMove  `json:"segments,omitempty"`
	Asks        []Ask          `json:"asks,omitempty"` // what the cashier may confirm to open a rule
	Time        time.Time      `json:"time,omitzero"`  // the moment it was priced for

	memory *outcome    // where this result lives, for Input.Reuse
	Trace  []TraceStep `json:"trace,omitempty"`
}

// LineResult is what became of one line. For every line
// Gross - sum(Discounts) - Redeemed = Net, exactly.
type LineResult struct {
	ID        string         `json:"id"`
	SKU       string         `json:"sku"`
	Quantity  Quantity       `json:"quantity"`
	Gross     Money          `json:"gross"`
	Discounts []LineDiscount `json:"discounts,omitempty"` // external first, then per rule in order
	Redeemed  Money          `json:"redeemed,omitzero"`   // paid with points on this line
	Spent     Points         `json:"spent,omitzero"`      // the points for it
	Net       Money          `json:"net"`
	Earned    []LineEarning  `json:"earned,omitempty"`
	Payable   Money          `json:"max_redeem,omitzero"` // the most that points may pay here
	Bans      []string       `json:"bans,omitempty"`      // discount, earn, spend: by law or rule
	Tax       Money          `json:"tax,omitzero"`        // on Net, when prices are without tax
	Units     []UnitPrice    `json:"units,omitempty"`     // what single units cost, when Net does not divide evenly
}

// UnitPrice is so many whole units of a line at one price.
type UnitPrice struct {
	Quantity Quantity `json:"quantity"`
	Price    Money    `json:"price"`
}

// Ask is a question for the cashier that may open a rule.
type Ask struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// LineDiscount is the share of one rule in one line.
type LineDiscount struct {
	Rule   string `json:"rule"` // rule id; "external" for the cash software's own
	Amount Money  `json:"amount"`
}

// LineEarning is the share of one rule's points in one line.
type LineEarning struct {
	Rule   string `json:"rule"`
	Wallet string `json:"wallet"`
	Points Points `json:"points"`
}

// Totals of the receipt.
type Totals struct {
	Gross    Money `json:"gross"`
	Discount Money `json:"discount"`        // external and rules
	Redeemed Money `json:"redeemed"`        // paid with points
	Net      Money `json:"net"`             // to pay by other tenders
	Tax      Money `json:"tax,omitzero"`    // when prices are without tax
	ToPay    Money `json:"to_pay,omitzero"` // Net and Tax, when prices are without tax
}

// RuleEffect sums up one rule that fired.
type RuleEffect struct {
	Rule     string `json:"rule"`
	Name     string `json:"name,omitempty"`
	Discount Money  `json:"discount,omitzero"`
	Points   Points `json:"points,omitzero"`
	Wallet   string `json:"wallet,omitempty"`
	Base     Money  `json:"base,omitzero"`     // what the points were counted on
	Explain  string `json:"explain,omitempty"` // the sentence a cashier can say
}

// Earning is one lot of points this receipt gives.
type Earning struct {
	Rule    string `json:"rule"`
	Wallet  string `json:"wallet"`
	Points  Points `json:"points"`
	Active  string `json:"active_on,omitempty"`  // YYYY-MM-DD; empty: at once
	Expires string `json:"expires_on,omitempty"` // YYYY-MM-DD; empty: never
}

// Spending tells what points may pay and what they do pay.
type Spending struct {
	Wallet    string `json:"wallet"`
	Max       Points `json:"max_points"` // the most payable on this receipt now
	MaxValue  Money  `json:"max_value"`
	Points    Points `json:"points"`              // granted, with those for rewards of a catalogue
	Value     Money  `json:"value"`               // what points pay of the basket
	AsTender  bool   `json:"as_tender,omitempty"` // the cash software books Value as a tender, not as a discount
	LimitedBy string `json:"limited_by,omitempty"`
}

// PointsPaid is what the member gave for a reward of a catalogue.
type PointsPaid struct {
	Rule   string `json:"rule"`
	Wallet string `json:"wallet"`
	Points Points `json:"points"`
}

// Gift is goods given for nothing or at a special price.
type Gift struct {
	Rule     string   `json:"rule"`
	SKU      string   `json:"sku"`
	Name     string   `json:"name,omitempty"`
	Quantity Quantity `json:"quantity"`
	Line     string   `json:"line,omitempty"` // the basket line that is the gift; empty: to be added
}

// CouponUse is what happened to one coupon.
type CouponUse struct {
	Code   string `json:"code"`
	Rule   string `json:"rule,omitempty"`
	State  string `json:"state"` // used, kept, refused, issued
	Reason string `json:"reason,omitempty"`
	From   string `json:"valid_from,omitempty"`
	To     string `json:"valid_to,omitempty"`
	Uses   int64  `json:"uses,omitempty"`
	By     string `json:"by,omitempty"` // "stamps:card": given for a full card
	// Codes of rules and prefixes that many may use are not kept per member.
	Shared bool `json:"shared,omitempty"`
}

// StampMove is the movement on one stamp card.
type StampMove struct {
	Name      string   `json:"name,omitempty"` // of the card, in the till's language
	Card      string   `json:"card"`
	Added     int64    `json:"added"`
	Held      int64    `json:"held"` // after this receipt
	Goal      int64    `json:"goal"`
	Completed int64    `json:"completed,omitempty"` // cards filled by this receipt
	Taken     int64    `json:"taken,omitempty"`     // stamps used up by a reward
	Lines     []string `json:"lines,omitempty"`     // that gave them; empty: all
}

// TierMove is the member's tier and the way to the next one.
type TierMove struct {
	Before    string `json:"before,omitempty"`
	After     string `json:"after,omitempty"`
	AfterName string `json:"after_name,omitempty"` // in the till's language
	Next      string `json:"next,omitempty"`
	NextName  string `json:"next_name,omitempty"`
	Missing   string `json:"missing,omitempty"` // decimal, in the unit of the tier's counter
	Unit      string `json:"unit,omitempty"`    // money, points, visits
	Until     string `json:"until,omitempty"`
}

// Message is a text for somebody.
type Message struct {
	To   string `json:"to"` // cashier, display, receipt, member
	Text string `json:"text"`
	Rule string `json:"rule,omitempty"`
}

// PrintLine is one paragraph of the loyalty block on the receipt. The room
// agent/receipt lays it out for a printer's columns.
type PrintLine struct {
	Kind  string `json:"kind"`            // text, pair (Text left, Right right-aligned), big, barcode, qr, rule, blank
	Text  string `json:"text,omitempty"`  // the words or the barcode's data
	Right string `json:"right,omitempty"` // right-hand side of a pair
	Bold  bool   `json:"bold,omitempty"`
	Align string `json:"align,omitempty"` // left (empty), center, right
}

// CounterAdd is what this receipt adds to a declared counter.
type CounterAdd struct {
	Counter string `json:"counter"`
	Day     string `json:"day"` // YYYY-MM-DD
	Add     int64  `json:"add"` // thousandths of the counter's unit
	// How a return in parts takes it back: By are the lines' own shares,
	// Spread names the total it follows (net, quantity, points); with
	// neither it goes back when nothing is left of the receipt.
	By     []int64 `json:"by,omitempty"`
	Spread string  `json:"spread,omitempty"`
}

// TraceStep is the reason of one number, or why a rule gave nothing.
type TraceStep struct {
	Step   string `json:"step"` // legal, candidate, discount, redemption, accrual, stamps, coupons, tier, text
	Rule   string `json:"rule,omitempty"`
	Fired  bool   `json:"fired"`
	Reason string `json:"reason"` // machine word: schedule, audience, not_enough, excluded, limit, …
	Text   string `json:"text,omitempty"`
	Base   Money  `json:"base,omitzero"`
	Amount Money  `json:"amount,omitzero"`
	Points Points `json:"points,omitzero"`
}
