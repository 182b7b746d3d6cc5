package loyalty_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

// What other engines' managers expect of an offer, each with numbers reckoned
// by hand. A basket is "sku[/category] quantity price", lines split by ";".

func goods(text string) string {
	var lines []string
	for _, l := range strings.Split(text, ";") {
		f := strings.Fields(l)
		sku, category, _ := strings.Cut(f[0], "/")
		unit := ""
		if strings.HasSuffix(f[1], "kg") {
			f[1], unit = strings.TrimSuffix(f[1], "kg"), `"unit": "kg", `
		}
		more := ""
		if len(f) > 3 {
			more = ", " + strings.Join(f[3:], " ")
		}
		lines = append(lines, fmt.Sprintf(`{"sku": %q, "category": %q, %s"quantity": %q, "price": %q%s}`, sku, category, unit, f[1], f[2], more))
	}
	return `"lines": [` + strings.Join(lines, ", ") + `]`
}

func fired(r *loyalty.Result) string {
	var ids []string
	for _, x := range r.Rules {
		ids = append(ids, x.Rule)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func TestSemantics(t *testing.T) {
	for _, c := range []struct {
		name, book, basket string
		off                string // of each line
		rest               string // receipt fields beside lines
		member             string
		points             string
	}{
		// Single units.
		{name: "every third at half price, the cheapest of the three", book: `"rules": [{"id": "r", "then": [{"item_off": {"every": 3, "percent": "50", "pick": "cheapest"}}]}]`,
			basket: "a 1 9; b 1 6; c 1 3; d 1 5; e 1 4", off: "0.00 0.00 1.50 0.00 0.00"},
		{name: "every second, the two cheapest of five", book: `"rules": [{"id": "r", "then": [{"item_off": {"every": 2, "percent": "100", "pick": "cheapest"}}]}]`,
			basket: "a 1 9; b 1 6; c 3 3", off: "0.00 0.00 6.00"},
		{name: "the cheapest of two categories is free, others do not count", book: `"rules": [{"id": "r", "then": [{"item_off": {"percent": "100", "pick": "cheapest", "on": {"categories": ["food", "toys"]}}}]}]`,
			basket: "a/food 1 4; b/toys 1 3; c/other 1 1", off: "0.00 3.00 0.00"},
		{name: "the cheapest of each of two categories", book: `"rules": [{"id": "f", "then": [{"item_off": {"percent": "100", "pick": "cheapest", "on": {"categories": ["food"]}}}]},
			{"id": "t", "then": [{"item_off": {"percent": "100", "pick": "cheapest", "on": {"categories": ["toys"]}}}]}]`,
			basket: "a/food 1 4; a2/food 1 5; b/toys 2 3", off: "4.00 0.00 3.00"},
		{name: "the third and only the third costs one", book: `"rules": [{"id": "r", "then": [{"item_off": {"every": 3, "at_most_times": 1, "price": "1.00", "pick": "cheapest"}}]}]`,
			basket: "a 7 2.50", off: "1.50"},
		{name: "goods by weight are one unit", book: `"rules": [{"id": "r", "then": [{"item_off": {"every": 2, "percent": "100", "pick": "cheapest"}}]}]`,
			basket: "a 0.347kg 12.49; b 1 20", off: "4.33 0.00"},
		{name: "percent off goods by weight", book: `"rules": [{"id": "r", "then": [{"percent_off": {"percent": "15"}}]}]`,
			basket: "a 0.347kg 12.49", off: "0.65"}, // 4.33403 is 4.33; 15 % is 0.6495
		{name: "a line that costs nothing takes nothing and is no cheapest", book: `"rules": [{"id": "r", "then": [{"item_off": {"percent": "100", "pick": "cheapest"}}]}]`,
			basket: "bag 1 0; a 1 2; b 1 3", off: "0.00 2.00 0.00"},
		{name: "an amount is not shared with lines that cost nothing", book: `"rules": [{"id": "r", "then": [{"amount_off": {"amount": "1.00", "split": "equally"}}]}]`,
			basket: "bag 1 0; a 1 2; b 1 3", off: "0.00 0.50 0.50"},

		// Buy and get.
		{name: "buy two get one of the same, at most twice over all SKUs", book: `"rules": [{"id": "r", "then": [{"buy_get": {"buy": {"on": {}, "quantity": "2"}, "get": {"quantity": "1"}, "same_sku": true, "at_most_times": 2}}]}]`,
			basket: "a 3 1; b 3 2; c 3 3", off: "1.00 2.00 0.00"},
		{name: "buy one get one at 60 %", book: `"rules": [{"id": "r", "then": [{"buy_get": {"buy": {"on": {"skus": ["a"]}}, "get": {"on": {"skus": ["b"]}}, "percent": "60"}}]}]`,
			basket: "a 2 10; b 3 5", off: "0.00 6.00"},
		{name: "three for two over a category, six of mixed prices", book: `"rules": [{"id": "r", "then": [{"buy_get": {"buy": {"on": {"categories": ["x"]}, "quantity": "2"}, "get": {"quantity": "1"}}}]}]`,
			basket: "a/x 1 10; b/x 1 8; c/x 1 6; d/x 1 4; e/x 1 2; f/x 1 1; g/y 1 0.5", off: "0.00 0.00 0.00 0.00 2.00 1.00 0.00"},
		{name: "units limited per receipt over all SKUs of one reward", book: `"rules": [{"id": "r", "limits": [{"per": "receipt", "units": 1}], "then": [{"buy_get": {"buy": {"on": {}, "quantity": "1"}, "get": {"quantity": "1"}, "same_sku": true}}]}]`,
			basket: "a 2 1; b 2 2", off: "1.00 0.00"},

		// Bundles.
		{name: "a bundle whose parts overlap is found", book: `"rules": [{"id": "r", "then": [{"bundle": {"parts": [{"on": {"categories": ["food"]}}, {"on": {"skus": ["a"]}}], "price": "6.00"}}]}]`,
			basket: "a/food 1 5; b/food 1 3", off: "1.25 0.75"},
		{name: "overlapping parts need units of their own", book: `"rules": [{"id": "r", "then": [{"bundle": {"parts": [{"on": {"categories": ["food"]}}, {"on": {"skus": ["a"]}}], "price": "1.00"}}]}]`,
			basket: "a/food 1 5; b/other 1 3", off: "0.00 0.00"},
		{name: "five for ten, the dearest first, what is over at its price", book: `"rules": [{"id": "r", "then": [{"bundle": {"parts": [{"on": {"categories": ["x"]}, "quantity": "5"}], "price": "10.00"}}]}]`,
			basket: "a/x 4 3; b/x 3 2", off: "3.43 0.57"}, // 4 x 3 + 2 = 14, off 4.00: 12/14 and 2/14
		{name: "conditions on a set do not count a unit twice", book: `"rules": [{"id": "r", "when": {"sets": {"parts": [{"on": {"categories": ["food"]}}, {"on": {"skus": ["a"]}}]}}, "then": [{"amount_off": {"amount": "1.00"}}]}]`,
			basket: "a/food 1 5; b/other 1 5", off: "0.00 0.00"},
		{name: "conditions on a set find the way", book: `"rules": [{"id": "r", "when": {"sets": {"parts": [{"on": {"categories": ["food"]}}, {"on": {"skus": ["a"]}}]}}, "then": [{"amount_off": {"amount": "1.00", "on": {"skus": ["b"]}}}]}]`,
			basket: "a/food 1 5; b/food 1 5", off: "0.00 1.00"},

		// Scales.
		{name: "a scale of percents, its last step", book: `"rules": [{"id": "r", "then": [{"scale": {"by": "amount", "steps": [{"from": "50", "percent": "5"}, {"from": "100", "percent": "10"}]}}]}]`,
			basket: "a 1 99.99", off: "5.00"},
		{name: "a scale of percents, exactly at a step", book: `"rules": [{"id": "r", "then": [{"scale": {"by": "amount", "steps": [{"from": "50", "percent": "5"}, {"from": "100", "percent": "10"}]}}]}]`,
			basket: "a 1 100", off: "10.00"},
		{name: "a scale in slices", book: `"rules": [{"id": "r", "then": [{"scale": {"by": "amount", "mode": "slices", "steps": [{"from": "50", "percent": "5"}, {"from": "100", "percent": "10"}]}}]}]`,
			basket: "a 1 120", off: "4.50"}, // 5 % of 50 and 10 % of 20
		{name: "prices by quantity of each SKU", book: `"rules": [{"id": "r", "then": [{"scale": {"by": "quantity", "per": "sku", "steps": [{"from": "2", "price": "9.00"}, {"from": "5", "price": "8.00"}]}}]}]`,
			basket: "a 5 10; b 1 10; b 1 10", off: "10.00 1.00 1.00"},

		// Floors.
		{name: "a floor holds an amount back and others take it", book: `"rules": [{"id": "r", "then": [{"amount_off": {"amount": "6.00"}}]}]`,
			basket: `a 1 10 "min_price": "9.00"; b 1 10`, off: "1.00 5.00"},
		{name: "a floor holds a percent back and nobody takes it", book: `"rules": [{"id": "r", "then": [{"percent_off": {"percent": "30"}}]}]`,
			basket: `a 1 10 "min_price": "9.00"; b 1 10`, off: "1.00 3.00"},
		{name: "a percent that is redistributed", book: `"rules": [{"id": "r", "then": [{"percent_off": {"percent": "30", "redistribute": true}}]}]`,
			basket: `a 1 10 "min_price": "9.00"; b 1 10`, off: "1.00 5.00"},

		// Goods that come back and vouchers as lines.
		{name: "empties given back lower the base of points", book: `"rules": [{"id": "r", "then": [{"points_percent": {"percent": "100"}}]}]`,
			basket: "a 1 10; empty -4 0.25", off: "0.00 0.00", member: `{"id": "1"}`, points: "9.00"},
		{name: "empties are not discounted and lower a threshold", book: `"rules": [{"id": "r", "when": {"basket": {"at_least": "10"}}, "then": [{"percent_off": {"percent": "10"}}]}]`,
			basket: "a 1 10; empty -4 0.25", off: "0.00 0.00"},
		{name: "a gift card is sold: no discount, no points, by law", book: `"legal": [{"id": "l", "rules": [{"id": "g", "on": {"categories": ["giftcards"]}, "ban": ["discount", "earn", "spend"]}]}],
			"rules": [{"id": "p", "then": [{"percent_off": {"percent": "10"}}]}, {"id": "r", "then": [{"points_percent": {"percent": "100"}}]}]`,
			basket: "card/giftcards 1 50; a 1 20", off: "0.00 2.00", member: `{"id": "1"}`, points: "18.00"},

		// Caps.
		{name: "a cap for each line", book: `"rules": [{"id": "r", "then": [{"amount_off": {"amount": "3.00", "per": "line"}}]}]`,
			basket: "a 1 2; b 1 5", off: "2.00 3.00"},
		{name: "a percent with a cap is shared", book: `"rules": [{"id": "r", "then": [{"percent_off": {"percent": "20", "at_most": "5.00"}}]}]`,
			basket: "a 1 10; b 1 30", off: "1.25 3.75"},

		// Coupons.
		{name: "an exclusive coupon stands alone", book: `"rules": [{"id": "ten", "then": [{"percent_off": {"percent": "10"}}]},
			{"id": "c", "when": {"coupon": {"codes": ["FIVE"]}}, "stacking": {"exclusive": "receipt"}, "then": [{"amount_off": {"amount": "5.00"}}]}]`,
			basket: "a 1 100", rest: `"coupons": ["FIVE"]`, off: "5.00"},
		{name: "without it the other holds", book: `"rules": [{"id": "ten", "then": [{"percent_off": {"percent": "10"}}]},
			{"id": "c", "when": {"coupon": {"codes": ["FIVE"]}}, "stacking": {"exclusive": "receipt"}, "then": [{"amount_off": {"amount": "5.00"}}]}]`,
			basket: "a 1 100", off: "10.00"},
		{name: "two coupons of one group: the better", book: `"stacking_groups": [{"id": "g", "mode": "best"}], "rules": [{"id": "a", "when": {"coupon": {"codes": ["A"]}}, "stacking": {"group": "g"}, "then": [{"percent_off": {"percent": "10"}}]},
			{"id": "b", "when": {"coupon": {"codes": ["B"]}}, "stacking": {"group": "g"}, "then": [{"amount_off": {"amount": "15.00"}}]}]`,
			basket: "a 1 100", rest: `"coupons": ["A", "B"]`, off: "15.00"},

		// Points.
		{name: "points per full 5.00 of each line", book: `"rules": [{"id": "r", "then": [{"points_step": {"step": "5.00", "points": "1", "per": "line"}}]}]`,
			basket: "a 1 9.99; b 1 5; c 1 4.99", off: "0.00 0.00 0.00", member: `{"id": "1"}`, points: "2.00"},
		{name: "points per litre, parts count", book: `"rules": [{"id": "r", "then": [{"points_unit": {"points": "0.3"}}]}]`,
			basket: "fuel 42.609 1.799", off: "0.00", member: `{"id": "1"}`, points: "12.78"},
		{name: "double points stack on base, not on each other", book: `"rules": [{"id": "base", "then": [{"points_percent": {"percent": "10"}}], "stacking": {"priority": 9}},
			{"id": "x2", "then": [{"points_times": {"times": "2", "rules": ["base"]}}]}, {"id": "x3", "then": [{"points_times": {"times": "3", "rules": ["base"]}}]}]`,
			basket: "a 1 100", off: "0.00", member: `{"id": "1"}`, points: "40.00"},
		{name: "points on what is left after points", book: `"redemption": [{"wallet": "points", "max_percent": "50"}], "rules": [{"id": "r", "then": [{"points_percent": {"percent": "10"}}]}]`,
			basket: "a 1 100", rest: `"spend": "max"`, off: "0.00", member: `{"id": "1", "wallets": {"points": "30"}}`, points: "7.00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rest := ""
			if c.rest != "" {
				rest = ", " + c.rest
			}
			r := price(t, book(t, c.book), "{"+goods(c.basket)+rest+"}", c.member)
			is(t, "off", discounts(r), c.off)
			if c.points != "" {
				is(t, "points", earned(r).String(), c.points)
			}
		})
	}
}

// Days, hours and birthdays, on clocks that jump.
func TestSemanticsOfTime(t *testing.T) {
	warsaw, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	at := func(s string) time.Time {
		x, err := time.ParseInLocation("2006-01-02 15:04", s, warsaw)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	const night = `"schedule": {"hours": [{"from": "22:00", "to": "02:00"}]}`
	const february = `"audience": {"birthday": {}}`
	const week = `"audience": {"birthday": {"days_before": 3, "days_after": 3}}`
	for _, c := range []struct {
		name, when string
		at         time.Time
		member     string
		want       bool
	}{
		{"before the happy hour", night, at("2026-06-01 21:59"), "", false},
		{"it begins", night, at("2026-06-01 22:00"), "", true},
		{"over midnight", night, at("2026-06-02 01:59"), "", true},
		{"it has ended", night, at("2026-06-02 02:00"), "", false},
		// 29 March 2026: two o'clock is three. 25 October: three is two again.
		{"the spring night, before the jump", night, at("2026-03-29 01:59"), "", true},
		{"the spring night, a minute later", night, at("2026-03-29 01:59").Add(time.Minute), "", false},
		{"the autumn night, the first two o'clock", night, at("2026-10-25 01:30").Add(time.Hour), "", false},
		{"the autumn night, half past two again", night, at("2026-10-25 01:30").Add(2 * time.Hour), "", false},
		{"a day that ends with 23:30", `"schedule": {"from": "2026-10-25", "to": "2026-10-25"}`, at("2026-10-25 23:30"), "", true},
		{"the day after", `"schedule": {"from": "2026-10-25", "to": "2026-10-25"}`, at("2026-10-26 00:00"), "", false},
		{"born on 29 February, a leap year", february, at("2028-02-29 12:00"), "02-29", true},
		{"born on 29 February, the 28th of a leap year", february, at("2028-02-28 12:00"), "02-29", false},
		{"born on 29 February, another year", february, at("2026-02-28 12:00"), "02-29", true},
		{"born on 29 February, 1 March of another year", february, at("2026-03-01 12:00"), "02-29", false},
		{"three days before, over New Year", week, at("2026-12-30 12:00"), "01-02", true},
		{"four days before, over New Year", week, at("2026-12-29 12:00"), "01-02", false},
		{"three days after, over New Year", week, at("2027-01-02 12:00"), "12-30", true},
		{"four days after, over New Year", week, at("2027-01-03 12:00"), "12-30", false},
		{"no birthday known", week, at("2027-01-03 12:00"), "-", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rb := book(t, `"rules": [{"id": "r", `+c.when+`, "then": [{"percent_off": {"percent": "10"}}]}]`)
			in := loyalty.Input{Receipt: receipt(t, `{`+goods("a 1 10")+`}`), Now: c.at}
			if c.member != "" {
				in.Member = &loyalty.Member{ID: 1, Birthday: strings.Trim(c.member, "-")}
				if c.member == "-" {
					in.Member.Birthday = ""
				}
			}
			r, err := rb.Price(in)
			if err != nil {
				t.Fatal(err)
			}
			is(t, "given", fired(r) == "r", c.want)
		})
	}
}

// Lots: when points end, and in which order they are used.
func TestSemanticsOfExpiry(t *testing.T) {
	for _, c := range []struct {
		name, expiry, day, want string
	}{
		{"twelve months, from a 29 February", `{"kind": "rolling", "span": "12 months"}`, "2028-02-29", "2029-02-28"},
		{"one month from 31 January", `{"kind": "rolling", "span": "1 months"}`, "2026-01-31", "2026-02-28"},
		{"ninety days", `{"kind": "rolling", "span": "90 days"}`, "2026-01-01", "2026-04-01"},
		{"at the end of the year", `{"kind": "calendar", "at": "end_of_year"}`, "2026-01-01", "2026-12-31"},
		{"at the end of the year, on its last day", `{"kind": "calendar", "at": "end_of_year"}`, "2026-12-31", "2026-12-31"},
		{"at the end of the year, with a month of grace", `{"kind": "calendar", "at": "end_of_year", "grace": "1 months"}`, "2026-12-15", "2027-12-31"},
		{"rounded up to the end of the quarter", `{"kind": "rolling", "span": "6 months", "at": "end_of_quarter"}`, "2026-02-10", "2026-09-30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rb := wholeBook(t, `{"programme": {"id": "x", "currency": "EUR"}, "wallets": [{"id": "points", "expiry": `+c.expiry+`}],
				"rules": [{"id": "r", "then": [{"points": {"points": "10"}}]}]}`)
			day, err := time.Parse(time.DateOnly, c.day)
			if err != nil {
				t.Fatal(err)
			}
			r, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{`+goods("a 1 10")+`}`), Member: &loyalty.Member{ID: 1}, Now: day.Add(12 * time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			is(t, "ends", r.Earned[0].Expires, c.want)
		})
	}
}

// A long receipt: 675 lines, one discount shared over all of them.
func TestSemanticsOfALongReceipt(t *testing.T) {
	var lines []string
	for i := range 675 {
		lines = append(lines, fmt.Sprintf("s%d 1 %d.%02d", i, 1+i%9, i%100))
	}
	rb := book(t, `"rules": [{"id": "r", "then": [{"amount_off": {"amount": "100.01"}}]}, {"id": "p", "then": [{"points_percent": {"percent": "10"}}]}]`)
	r := price(t, rb, "{"+goods(strings.Join(lines, ";"))+"}", `{"id": "1"}`)
	is(t, "off", r.Totals.Discount.String(), "100.01")
	var sum loyalty.Money
	for _, l := range r.Lines {
		sum += l.Net
	}
	is(t, "sum of lines", sum, r.Totals.Net)
	back, err := rb.Return(r, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	is(t, "money back", back.Totals.Net, r.Totals.Net)
}
