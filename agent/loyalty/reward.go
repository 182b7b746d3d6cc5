package loyalty

// Rule is a condition and its rewards.
type Rule struct {
	ID       string      `json:"id" doc:"short and lasting: journals and returns refer to it"`
	Name     Text        `json:"name,omitempty" doc:"for people"`
	Off      bool        `json:"off,omitempty" doc:"kept, but never fires"`
	Schedule *Schedule   `json:"schedule,omitempty" doc:"when"`
	Where    *Where      `json:"where,omitempty" doc:"in which stores, tills, cohorts"`
	Audience *Audience   `json:"audience,omitempty" doc:"for whom; without it everybody for discounts, members for points"`
	When     *Condition  `json:"when,omitempty" doc:"what the basket must have"`
	Then     []Reward    `json:"then" doc:"what is given, in this order"`
	Stacking Stacking    `json:"stacking,omitzero" doc:"how it gets on with other rules"`
	Limits   []Limit     `json:"limits,omitempty" doc:"how often, how much"`
	Cost     *PointsCost `json:"costs,omitempty" doc:"points the member gives for it: a reward from a catalogue; without enough active points it does not fire"`
	Budget   string      `json:"budget,omitempty" doc:"id of the budget that pays for it"`
	Hidden   bool        `json:"hidden,omitempty" doc:"never announced before it fires"`
	Explain  Text        `json:"explain,omitempty" doc:"one sentence a cashier can say; without it one is made from the numbers"`
	Hint     Text        `json:"hint,omitempty" doc:"told when only the basket condition is missing: {missing} more and …"`
}

// PointsCost is what a reward of a catalogue costs. Ask for the member's
// choice with the condition confirmed.
type PointsCost struct {
	Wallet string `json:"wallet,omitempty" doc:"(the first one)"`
	Points Points `json:"points"`
}

// Stacking is how a rule gets on with others.
type Stacking struct {
	Group     string   `json:"group,omitempty" doc:"id of a stacking group"`
	Priority  int64    `json:"priority,omitempty" doc:"higher goes first (see settings.priority_order); equal ones go by id"`
	Exclusive string   `json:"exclusive,omitempty" enum:"no|group|receipt|lines" doc:"when it gives anything, no other discount rule does: in its group, on the receipt, or on the lines it touched; it is tried before the others"`
	Stop      string   `json:"stop_after,omitempty" enum:"no|group|receipt" doc:"when it gives anything, later rules of the group or receipt rest"`
	Not       []string `json:"not_with,omitempty" doc:"ids of rules or groups it never comes together with; the first to fire wins"`
	Base      string   `json:"base,omitempty" enum:"remaining|initial" doc:"what its percent is taken of (the group's)"`
}

// Reward is one thing a rule gives: exactly one field is set.
type Reward struct {
	PercentOff *PercentOff `json:"percent_off,omitempty" doc:"a percent off lines"`
	AmountOff  *AmountOff  `json:"amount_off,omitempty" doc:"an amount off lines, shared among them"`
	NewPrice   *NewPrice   `json:"new_price,omitempty" doc:"a price per unit"`
	ItemOff    *ItemOff    `json:"item_off,omitempty" doc:"something off the cheapest or dearest n units, or every nth"`
	BuyGet     *BuyGet     `json:"buy_get,omitempty" doc:"buy n get m"`
	Bundle     *Bundle     `json:"bundle,omitempty" doc:"goods together at a price"`
	Scale      *Scale      `json:"scale,omitempty" doc:"a discount that grows with amount or quantity"`
	RoundTotal *RoundTotal `json:"round_total,omitempty" doc:"the receipt rounded down"`
	Gift       *GiftReward `json:"gift,omitempty" doc:"goods for nothing, from a list"`

	Points        *FixedPoints   `json:"points,omitempty" doc:"a fixed number of points"`
	PointsPercent *PercentPoints `json:"points_percent,omitempty" doc:"points as a percent of the base"`
	PointsStep    *StepPoints    `json:"points_step,omitempty" doc:"points per full step of the base"`
	PointsUnit    *UnitPoints    `json:"points_unit,omitempty" doc:"points per unit of goods"`
	PointsTable   *TablePoints   `json:"points_table,omitempty" doc:"points per SKU"`
	PointsTimes   *TimesPoints   `json:"points_times,omitempty" doc:"multiplies what other rules gave"`

	Coupon     *CouponReward  `json:"coupon,omitempty" doc:"a coupon for now or the next visit"`
	Stamps     *StampReward   `json:"stamps,omitempty" doc:"stamps on a card"`
	TakeStamps *TakeStamps    `json:"take_stamps,omitempty" doc:"stamps used up"`
	Tier       *SetTier       `json:"tier,omitempty" doc:"a tier given"`
	Segment    *SetSegment    `json:"segment,omitempty" doc:"in or out of a segment"`
	Privilege  *Privilege     `json:"privilege,omitempty" doc:"free delivery, personal manager, early access"`
	Outside    *OutsideReward `json:"outside,omitempty" doc:"a partner's coupon or ticket, points of another programme"`
	Text       *TextReward    `json:"text,omitempty" doc:"something to say or print"`
	Ban        *BanReward     `json:"ban,omitempty" doc:"no discount, earning or spending on lines"`
}

// PercentOff takes a percent off.
type PercentOff struct {
	Percent Percent  `json:"percent"`
	On      *Select  `json:"on,omitempty" doc:"(all lines)"`
	Cap     Money    `json:"at_most,omitempty" doc:"in all"`
	Units   Quantity `json:"units,omitempty" doc:"only for so many units, the dearest first"`
	Floor   bool     `json:"redistribute,omitempty" doc:"what a price floor holds back is taken off other lines"`
}

// AmountOff takes an amount off.
type AmountOff struct {
	Amount Money    `json:"amount"`
	On     *Select  `json:"on,omitempty" doc:"(all lines)"`
	Per    string   `json:"per,omitempty" enum:"receipt|line|unit|amount" doc:"once, for each line, for each unit, or for each full amount of for_each (receipt)"`
	Each   Money    `json:"for_each,omitempty" doc:"with per amount: 10.00 off for each full 100.00"`
	Split  string   `json:"split,omitempty" enum:"by_amount|by_quantity|equally" doc:"how it is shared among lines (by_amount)"`
	Cap    Money    `json:"at_most,omitempty" doc:"in all"`
	Units  Quantity `json:"units,omitempty" doc:"with per unit: only for so many units, the dearest first"`
}

// NewPrice sets the price of a unit; it never raises it.
type NewPrice struct {
	Price Price            `json:"price,omitempty"`
	Table map[string]Price `json:"prices,omitempty" doc:"SKU -> price, instead of price and on"`
	On    *Select          `json:"on,omitempty" doc:"(all lines)"`
	Units Quantity         `json:"units,omitempty" doc:"only for so many units, the dearest first"`
}

// ItemOff gives something off single units.
type ItemOff struct {
	Pick    string  `json:"pick,omitempty" enum:"cheapest|dearest" doc:"(settings.free_item)"`
	Count   int64   `json:"count,omitempty" doc:"so many units (1)"`
	Every   int64   `json:"every,omitempty" doc:"of every so many units, count of them"`
	On      *Select `json:"on,omitempty" doc:"(all lines)"`
	Percent Percent `json:"percent,omitempty" doc:"100 is free"`
	Amount  Money   `json:"amount,omitempty" doc:"off each unit"`
	Price   *Price  `json:"price,omitempty" doc:"new price of each unit"`
	Times   int64   `json:"at_most_times,omitempty" doc:"with every: so many times"`
	Of      string  `json:"of,omitempty" enum:"unit|line" doc:"a unit or a whole line (settings.cheapest_of)"`
}

// BuyGet gives goods for buying goods.
type BuyGet struct {
	Buy       Part     `json:"buy" doc:"what must be bought"`
	BuyAmount Money    `json:"buy_amount,omitempty" doc:"instead of a quantity: for so much money"`
	Get       Part     `json:"get" doc:"what is given; without on: the same goods"`
	Percent   *Percent `json:"percent,omitempty" doc:"off the given goods (100)"`
	Amount    Money    `json:"amount,omitempty" doc:"instead: off each given unit"`
	Price     *Price   `json:"price,omitempty" doc:"instead: price of each given unit"`
	Pick      string   `json:"pick,omitempty" enum:"cheapest|dearest" doc:"which ones are given (settings.free_item)"`
	Times     int64    `json:"at_most_times,omitempty" doc:"(as often as the basket allows)"`
	Add       string   `json:"added,omitempty" enum:"in_basket|added" doc:"in_basket: the given goods are among the lines; added: they are handed over on top (in_basket)"`
	SKU       string   `json:"sku,omitempty" doc:"with added: the goods handed over"`
	PerSet    bool     `json:"per_set,omitempty" doc:"sets are formed from the dearest goods down and the cheapest of each set is given, instead of the cheapest of all"`
	SameSKU   bool     `json:"same_sku,omitempty" doc:"goods of one set are all of one SKU"`
}

// Bundle sells goods together.
type Bundle struct {
	Parts   []Part  `json:"parts" doc:"each with its quantity"`
	Need    int     `json:"need,omitempty" doc:"so many different parts are enough (all)"`
	Price   *Money  `json:"price,omitempty" doc:"of the whole set"`
	Percent Percent `json:"percent,omitempty" doc:"off the set"`
	Amount  Money   `json:"amount,omitempty" doc:"off the set"`
	Times   int64   `json:"at_most_times,omitempty" doc:"(as often as the basket allows)"`
	Pick    string  `json:"pick,omitempty" enum:"cheapest|dearest" doc:"which goods make a set first (dearest)"`
}

// Scale grows with amount or quantity.
type Scale struct {
	By    string      `json:"by" enum:"amount|quantity|weight|distinct_skus|lines" doc:"what decides the step"`
	Of    *Select     `json:"of,omitempty" doc:"the lines it is measured on (on)"`
	On    *Select     `json:"on,omitempty" doc:"the lines it is taken off (all lines)"`
	Per   string      `json:"per,omitempty" enum:"receipt|line|sku" doc:"measured over all the lines, each line, or each SKU (receipt)"`
	Mode  string      `json:"mode,omitempty" enum:"whole|slices" doc:"whole: the step reached counts for everything; slices: each step for its own part (whole)"`
	Steps []ScaleStep `json:"steps" doc:"from the lowest up"`
	Cap   Money       `json:"at_most,omitempty" doc:"in all"`
}

// ScaleStep is one step of a scale.
type ScaleStep struct {
	From    Factor  `json:"from"`
	Percent Percent `json:"percent,omitempty"`
	Amount  Money   `json:"amount,omitempty" doc:"off, in all"`
	Price   *Price  `json:"price,omitempty" doc:"of each unit"`
}

// RoundTotal rounds what is to pay down to a step.
type RoundTotal struct {
	Step Money `json:"step" doc:"1.00 drops the kopecks"`
}

// GiftReward gives goods.
type GiftReward struct {
	SKUs  []string `json:"skus" doc:"the first that is in stock, or the cashier's choice"`
	Names Text     `json:"name,omitempty"`
	Units Quantity `json:"quantity,omitempty" doc:"(1)"`
	Each  Money    `json:"for_each,omitempty" doc:"one gift for each full amount"`
	Times int64    `json:"at_most_times,omitempty"`
	Value Money    `json:"cost,omitempty" doc:"what one unit costs the budget"`
	Line  bool     `json:"in_basket,omitempty" doc:"units of it that are already in the basket become free; only the missing ones are handed over"`
}

// PointsInto is where points go and how they live; the wallet decides what
// is left empty.
type PointsInto struct {
	Wallet string     `json:"wallet,omitempty" doc:"(the first one)"`
	Cap    Points     `json:"at_most,omitempty" doc:"per receipt"`
	Active Activation `json:"activation,omitzero" doc:"instead of the wallet's"`
	Expiry Expiry     `json:"expiry,omitzero" doc:"instead of the wallet's"`
}

// PointsBase is what points are counted on.
type PointsBase struct {
	On   *Select `json:"on,omitempty" doc:"(all lines)"`
	Base string  `json:"base,omitempty" enum:"gross|net|net_minus_points|full_price_lines|by_tender" doc:"(settings.accrual_base)"`
	Tax  string  `json:"tax,omitempty" enum:"with|without" doc:"whether the tax that the prices hold counts (with)"`
}

// FixedPoints is a fixed number of points.
type FixedPoints struct {
	Points Points  `json:"points"`
	On     *Select `json:"on,omitempty" doc:"the lines it is booked on (all lines)"`
	PointsInto
}

// PercentPoints is a percent of the base: 2 % of 1,750.00 is 35 points.
type PercentPoints struct {
	Percent Percent `json:"percent" doc:"points for 100 of money; 1000 is ten points for each unit of money"`
	As      string  `json:"as,omitempty" enum:"points|value" doc:"value: points worth that percent, by point_value (points)"`
	PointsBase
	PointsInto
}

// StepPoints gives points per full step of the base.
type StepPoints struct {
	Step   Money      `json:"step" doc:"for each full 20.00"`
	Points Points     `json:"points" doc:"so many points"`
	Min    Money      `json:"min_base,omitempty" doc:"a smaller base gives nothing"`
	Per    string     `json:"per,omitempty" enum:"receipt|line" doc:"steps of the whole base or line by line (receipt)"`
	Steps  []StepFrom `json:"from,omitempty" doc:"other steps from a base on, for the whole base"`
	Slices bool       `json:"slices,omitempty" doc:"each entry of from counts only for the part above it"`
	PointsBase
	PointsInto
}

// StepFrom is another step from a base on.
type StepFrom struct {
	From   Money  `json:"base"`
	Step   Money  `json:"step,omitempty" doc:"(as before)"`
	Points Points `json:"points,omitempty" doc:"(as before)"`
}

// UnitPoints gives points per unit: litres, pieces.
type UnitPoints struct {
	Points Points   `json:"points" doc:"for each unit"`
	Unit   Quantity `json:"each,omitempty" doc:"so many pieces, litres, kilograms (1)"`
	Whole  bool     `json:"whole_units,omitempty" doc:"parts of a unit give nothing"`
	On     *Select  `json:"on,omitempty" doc:"(all lines)"`
	PointsInto
}

// TablePoints gives points per SKU.
type TablePoints struct {
	SKUs map[string]Points `json:"skus" doc:"SKU -> points for each unit"`
	PointsInto
}

// TimesPoints multiplies what other rules gave on the lines.
type TimesPoints struct {
	Times  Factor   `json:"times" doc:"3 makes it three times as much"`
	Rules  []string `json:"rules,omitempty" doc:"of these rules (every earlier one in that wallet)"`
	Groups []string `json:"groups,omitempty" doc:"of the rules of these groups"`
	On     *Select  `json:"on,omitempty" doc:"(all lines)"`
	PointsInto
}

// CouponReward issues a coupon.
type CouponReward struct {
	For    string `json:"for" doc:"id of the rule it opens"`
	Code   string `json:"code,omitempty" doc:"the same code for everybody; otherwise one is made"`
	Prefix string `json:"prefix,omitempty" doc:"of the made code"`
	Now    bool   `json:"now,omitempty" doc:"good on this receipt already"`
	From   Span   `json:"valid_after,omitzero" doc:"(from the next receipt on)"`
	Valid  Span   `json:"valid_for,omitzero" doc:"(for ever)"`
	To     Date   `json:"valid_to,omitempty" doc:"last day"`
	Uses   int64  `json:"uses,omitempty" doc:"(1)"`
	Count  int64  `json:"count,omitempty" doc:"so many coupons (1)"`
}

// StampReward gives stamps.
type StampReward struct {
	Card  string   `json:"card"`
	Count int64    `json:"count,omitempty" doc:"stamps (1)"`
	Per   string   `json:"per,omitempty" enum:"receipt|unit|amount|day" doc:"once, for each unit, for each full amount of for_each, or once a day (receipt)"`
	Each  Money    `json:"for_each,omitempty" doc:"with per amount"`
	Units Quantity `json:"each,omitempty" doc:"with per unit: for so many units (1)"`
	On    *Select  `json:"on,omitempty" doc:"(all lines)"`
	Max   int64    `json:"at_most,omitempty" doc:"per receipt"`
}

// TakeStamps uses stamps up.
type TakeStamps struct {
	Card  string `json:"card"`
	Count int64  `json:"count,omitempty" doc:"(the card's goal)"`
}

// SetTier gives a tier.
type SetTier struct {
	ID    string `json:"id"`
	Valid Span   `json:"valid_for,omitzero" doc:"(as the ladder says)"`
}

// SetSegment moves the member in or out of a segment.
type SetSegment struct {
	ID  string `json:"id"`
	Out bool   `json:"out,omitempty"`
}

// Privilege is a soft reward.
type Privilege struct {
	ID   string `json:"id"`
	Name Text   `json:"name,omitempty"`
}

// OutsideReward is given by somebody else.
type OutsideReward struct {
	Partner string  `json:"partner"`
	Kind    string  `json:"kind,omitempty" enum:"coupon|ticket|points|miles|other"`
	ID      string  `json:"id,omitempty" doc:"what exactly, in the partner's words"`
	Amount  Factor  `json:"amount,omitempty" doc:"fixed"`
	Percent Percent `json:"percent,omitempty" doc:"of what is paid"`
	Name    Text    `json:"name,omitempty"`
}

// TextReward says or prints something.
type TextReward struct {
	To   []string `json:"to" enum:"cashier|display|receipt|member" doc:"who reads it"`
	Text Text     `json:"text"`
}

// BanReward forbids something on lines.
type BanReward struct {
	Ban []string `json:"ban" enum:"discount|earn|spend"`
	On  *Select  `json:"on,omitempty" doc:"(all lines)"`
}

// ReceiptText is one line of the loyalty block of the receipt.
type ReceiptText struct {
	Kind  string     `json:"kind,omitempty" enum:"text|pair|big|barcode|qr|rule|blank" doc:"(text)"`
	Text  Text       `json:"text,omitempty" doc:"template; left side of a pair, or the data of a code"`
	Right Text       `json:"right,omitempty" doc:"template; right side of a pair"`
	If    []string   `json:"if,omitempty" doc:"printed only if each of these variables is there and not zero"`
	Each  string     `json:"for_each,omitempty" enum:"rule|coupon|gift|message|stamp|wallet|privilege" doc:"one line for each"`
	When  *Condition `json:"when,omitempty"`
	Bold  bool       `json:"bold,omitempty"`
	Align string     `json:"align,omitempty" enum:"left|center|right"`
}

// ScreenText is a text for the cashier or the customer display.
type ScreenText struct {
	To   string     `json:"to" enum:"cashier|display|receipt|member"`
	Text Text       `json:"text"`
	If   []string   `json:"if,omitempty"`
	When *Condition `json:"when,omitempty"`
}

// Vector is a basket with the result expected of it.
type Vector struct {
	Name    string            `json:"name"`
	Now     string            `json:"now,omitempty" doc:"2026-12-24T18:30:00+01:00; when the receipt has no time"`
	Receipt Receipt           `json:"receipt"`
	Member  *Member           `json:"member,omitempty"`
	Offline bool              `json:"offline,omitempty"`
	Budgets map[string]*Quota `json:"budgets,omitempty" doc:"what is left of budgets (all of it)"`
	Expect  Expect            `json:"expect"`
}

// Expect is what a vector checks; only what is given is compared.
type Expect struct {
	Gross    *Money                `json:"gross,omitempty"`
	Discount *Money                `json:"discount,omitempty"`
	Redeemed *Money                `json:"redeemed,omitempty"`
	Net      *Money                `json:"net,omitempty"`
	ToPay    *Money                `json:"to_pay,omitempty" doc:"with tax, when prices are without"`
	Earned   map[string]Points     `json:"earned,omitempty" doc:"wallet -> points; other wallets nothing"`
	Max      *Points               `json:"max_points,omitempty" doc:"the most that may be spent"`
	Lines    map[string]ExpectLine `json:"lines,omitempty" doc:"by line id"`
	Fired    []string              `json:"fired,omitempty" doc:"exactly these rules, in this order"`
	Not      map[string]string     `json:"not_fired,omitempty" doc:"rule -> the trace's reason"`
	Stamps   map[string]int64      `json:"stamps,omitempty" doc:"card -> held after"`
	Gifts    map[string]Quantity   `json:"gifts,omitempty" doc:"SKU -> quantity"`
	Coupons  map[string]string     `json:"coupons,omitempty" doc:"code -> state"`
	Tier     *string               `json:"tier,omitempty" doc:"after the receipt"`
	Error    string                `json:"error,omitempty" doc:"code of the refusal"`
}

// ExpectLine is what is checked of a line.
type ExpectLine struct {
	Discount *Money  `json:"discount,omitempty"`
	Net      *Money  `json:"net,omitempty"`
	Redeemed *Money  `json:"redeemed,omitempty"`
	Points   *Points `json:"points,omitempty"`
}
