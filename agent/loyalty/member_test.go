package loyalty_test

import (
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestReview: a level is reached by a receipt, kept for its span and grace,
// and lost one at a time.
func TestReview(t *testing.T) {
	rb := book(t, `"counters": [{"id": "year", "of": "spend", "window": "12 months"}],
		"tiers": {"counter": "year", "keep": "until", "valid": "12 months", "grace": "30 days", "down": "one",
			"levels": [{"id": "base", "from": "0"}, {"id": "silver", "from": "100"}, {"id": "gold", "from": "1000"}]},
		"rules": [{"id": "x", "then": [{"points_percent": {"percent": "1"}}]}]`)
	m := member(t, anna)
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "1200"}]}`, anna)
	m = rb.Apply(m, r, noon)
	is(t, "reached", m.Tier+" "+m.TierSince+" "+m.TierUntil, "gold 2026-11-23 2027-11-23")
	day := func(s string) loyalty.Date {
		d, err := loyalty.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct{ day, tier, until string }{
		{"2027-06-01", "gold", "2027-11-23"},   // the counter still holds it
		{"2027-11-23", "gold", "2027-11-23"},   // the last day
		{"2027-12-20", "gold", "2027-11-23"},   // the grace
		{"2027-12-24", "silver", "2028-12-24"}, // one level down
		{"2028-12-25", "silver", "2028-12-24"}, // its own grace
		{"2029-02-01", "base", ""},
	} {
		m = rb.Review(m, day(c.day))
		is(t, c.day, m.Tier+" "+m.TierUntil, c.tier+" "+c.until)
	}
}

// TestWindowTier: a level that follows its counter goes when the grace ends,
// and stays when the counter recovers meanwhile.
func TestWindowTier(t *testing.T) {
	rb := book(t, `"counters": [{"id": "q", "of": "spend", "window": "90 days"}],
		"tiers": {"counter": "q", "grace": "14 days", "levels": [{"id": "base", "from": "0"}, {"id": "top", "from": "100"}]},
		"rules": [{"id": "x", "then": [{"points_percent": {"percent": "1"}}]}]`)
	m := rb.Apply(member(t, anna), price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "150"}]}`, anna), noon)
	is(t, "reached", m.Tier, "top")
	after := func(days int) loyalty.Date { return loyalty.DateOf(noon.AddDate(0, 0, days)) }
	m = rb.Review(m, after(89))
	is(t, "the last day of the window", m.TierUntil, "")
	m = rb.Review(m, after(90))
	is(t, "the grace begins", m.Tier+" "+m.TierUntil, "top "+after(104).String())
	kept := rb.Review(rb.Apply(m, price(t, rb, `{"time": "2027-02-25T12:00:00Z", "lines": [{"sku": "a", "quantity": "1", "price": "150"}]}`, anna), noon.AddDate(0, 0, 94)), after(95))
	is(t, "recovered", kept.Tier+" "+kept.TierUntil, "top ")
	is(t, "lost", rb.Review(m, after(105)).Tier, "base")
}

// TestExpiryDates: lots end by the rules of their wallet.
func TestExpiryDates(t *testing.T) {
	span := func(n int, unit string) loyalty.Span { return loyalty.Span{N: n, Unit: unit} }
	for _, c := range []struct {
		name   string
		expiry loyalty.Expiry
		day    string
		want   string
	}{
		{"never", loyalty.Expiry{}, "2026-11-23", ""},
		{"rolling", loyalty.Expiry{Kind: "rolling", Span: span(12, "months")}, "2026-11-23", "2027-11-23"},
		{"rolling to the end of the month", loyalty.Expiry{Kind: "rolling", Span: span(3, "months"), At: "end_of_month"}, "2026-11-23", "2027-02-28"},
		{"the last day of a month stays one", loyalty.Expiry{Kind: "rolling", Span: span(1, "months")}, "2028-01-31", "2028-02-29"},
		{"calendar year", loyalty.Expiry{Kind: "calendar"}, "2026-11-23", "2026-12-31"},
		{"calendar year, earned late", loyalty.Expiry{Kind: "calendar", Grace: span(2, "months")}, "2026-11-23", "2027-12-31"},
		{"calendar quarter", loyalty.Expiry{Kind: "calendar", At: "end_of_quarter"}, "2026-11-23", "2026-12-31"},
		{"sliding", loyalty.Expiry{Kind: "sliding", Span: span(90, "days")}, "2026-11-23", "2027-02-21"},
	} {
		d, err := loyalty.ParseDate(c.day)
		if err != nil {
			t.Fatal(err)
		}
		is(t, c.name, c.expiry.Ends(d).String(), c.want)
	}
}

// TestShortfall: points that are spent already are taken back as far as the
// programme goes.
func TestShortfall(t *testing.T) {
	for policy, want := range map[string]string{"within_balance": "30.00 70.00", "only_pending": "0.00 100.00", "unlimited": "100.00 0.00"} {
		rb := book(t, `"settings": {"return_shortfall": "`+policy+`"}, "rules": [{"id": "x", "then": [{"points_percent": {"percent": "100"}}]}]`)
		sale := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "100"}]}`, anna)
		back, err := rb.ReturnFor(sale, nil, nil, member(t, `{"id": "1", "wallets": {"points": "30"}}`))
		if err != nil {
			t.Fatal(err)
		}
		var taken, short loyalty.Points
		for _, p := range back.PointsTaken {
			taken += p.Points
		}
		for _, p := range back.Shortfall {
			short += p.Points
		}
		is(t, policy, taken.String()+" "+short.String(), want)
	}
}

// TestExchange: goods back and others sold in one receipt.
func TestExchange(t *testing.T) {
	rb := book(t, `"redemption": [{"wallet": "points"}], "rules": [{"id": "x", "then": [{"points_percent": {"percent": "10"}}]}]`)
	m := member(t, `{"id": "1", "wallets": {"points": "50"}}`)
	sale, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "a", "quantity": "2", "price": "100"}], "spend": "40"}`), Member: m, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "paid", sale.Totals.Net.String(), "160.00")
	m = rb.Apply(m, sale, noon)
	is(t, "balance", m.Wallets["points"].Active.String(), "26.00")
	x, err := rb.Exchange(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "b", "quantity": "1", "price": "150"}], "spend": "max"}`), Member: m, Now: noon.Add(time.Hour)},
		sale, nil, []loyalty.ReturnLine{{ID: "1", Quantity: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "given back", x.Return.Totals.Net.String()+" and "+x.Return.PointsBack[0].Points.String(), "80.00 and 20.00")
	// 26 points, 20 back and 8 taken: 38 pay for the new goods.
	is(t, "spent on the new goods", x.Sale.Spend.Points.String(), "38.00")
	is(t, "to pay", x.ToPay.String()+" "+x.Refund.String(), "32.00 0.00")
}

// TestSpendEarned: the switch that lets a receipt pay with its own points.
func TestSpendEarned(t *testing.T) {
	rb := book(t, `"settings": {"spend_in_same_receipt": true}, "redemption": [{"wallet": "points"}], "rules": [{"id": "x", "then": [{"points_percent": {"percent": "10"}}]}]`)
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "100"}], "spend": "max"}`, anna)
	is(t, "pay", r.Totals.Net.String(), "90.00")
	is(t, "earn", earned(r).String(), "10.00")
	m := rb.Apply(member(t, anna), r, noon)
	is(t, "left", m.Wallets["points"].Active, 0)
}
