package loyalty

import "time"

// Receipt is the basket as the cash software tells it. Amounts are in the
// programme's currency, tax included unless the programme says otherwise.
type Receipt struct {
	ID       string    `json:"id,omitempty"`       // the cash software's identity of the receipt
	Time     time.Time `json:"time,omitzero"`      // with the shop's own offset; zero: the till's clock decides
	Currency string    `json:"currency,omitempty"` // ISO 4217; must be the programme's
	Store    string    `json:"store,omitempty"`
	Till     string    `json:"till,omitempty"`
	Cashier  string    `json:"cashier,omitempty"`
	Channel  string    `json:"channel,omitempty"` // "till" when empty
	Lines    []Line    `json:"lines"`
	Coupons  []string  `json:"coupons,omitempty"` // codes shown by the customer: coupons, promo codes, referrals
	Tenders  []Tender  `json:"tenders,omitempty"` // planned (calculate) or real (capture)
	// Spend is the number of points the customer wants to use: empty for
	// none, "max" for as many as allowed, or a decimal.
	Spend string `json:"spend,omitempty"`
	// Confirmed lists rule ids the cashier has confirmed ("student card shown").
	Confirmed []string `json:"confirmed,omitempty"`
	// Events are outside events that rules may ask for.
	Events []string `json:"events,omitempty"`
}

// Line is one position of a basket.
type Line struct {
	ID       string   `json:"id,omitempty"` // unique in the receipt; empty: "1", "2", …
	SKU      string   `json:"sku"`
	Name     string   `json:"name,omitempty"`
	Category string   `json:"category,omitempty"` // path in the category tree: "food/dairy/milk"
	Brand    string   `json:"brand,omitempty"`
	Quantity Quantity `json:"quantity"`
	Unit     string   `json:"unit,omitempty"`      // "pcs" when empty; kg, l, m, …
	Price    Price    `json:"price"`               // of one unit before any discount
	Amount   *Money   `json:"amount,omitempty"`    // quantity x price; nil: the engine rounds it
	Discount Money    `json:"discount,omitempty"`  // already given by the cash software, to be respected
	TaxRate  string   `json:"tax_rate,omitempty"`  // percent, "20"
	MinPrice *Price   `json:"min_price,omitempty"` // legal or declared floor of one unit
	// Marked says that the price is already marked down.
	Marked     bool              `json:"marked_down,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Tender is one means of payment and how much of the receipt it pays.
type Tender struct {
	Kind   string `json:"kind"` // cash, card, gift_card, …
	Amount Money  `json:"amount"`
}
