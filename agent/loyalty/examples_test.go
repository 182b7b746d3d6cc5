package loyalty_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// book compiles a rulebook of a heading, one wallet and the given rest.
func book(t testing.TB, rest string) *loyalty.Rulebook {
	t.Helper()
	return wholeBook(t, `{"programme": {"id": "test", "currency": "GBP"}, "wallets": [{"id": "points", "point_value": "1.00"}], `+rest+`}`)
}

// wholeBook compiles a rulebook.
func wholeBook(t testing.TB, text string) *loyalty.Rulebook {
	t.Helper()
	doc, err := loyalty.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return rb
}

func receipt(t testing.TB, text string) *loyalty.Receipt {
	t.Helper()
	r, err := loyalty.DecodeReceipt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func member(t testing.TB, text string) *loyalty.Member {
	t.Helper()
	if text == "" {
		return nil
	}
	m, err := loyalty.DecodeMember([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func price(t testing.TB, rb *loyalty.Rulebook, r string, m string) *loyalty.Result {
	t.Helper()
	res, err := rb.Price(loyalty.Input{Receipt: receipt(t, r), Member: member(t, m), Now: noon, Budgets: rb.FreshBudgets(), Trace: loyalty.TraceAll})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// discounts are the discounts of all lines in order.
func discounts(r *loyalty.Result) string {
	var out []string
	for _, l := range r.Lines {
		out = append(out, (l.Gross - l.Net - l.Redeemed).String())
	}
	return strings.Join(out, " ")
}

// earned is the sum over a wallet.
func earned(r *loyalty.Result) (n loyalty.Points) {
	for _, e := range r.Earned {
		n += e.Points
	}
	return n
}

func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const anna = `{"id": "1", "wallets": {"points": {"active": "0"}}}`

// (a) An amount is shared among the lines by amount or by quantity; a line
// that is excluded takes nothing.
func TestExampleA(t *testing.T) {
	const basket = `{"lines": [{"sku": "a", "quantity": %s, "price": "%s"}, {"sku": "b", "quantity": %s, "price": "%s"},
		{"sku": "c", "quantity": %s, "price": "%s"}, {"sku": "x", "category": "excluded", "quantity": "1", "price": "50"}]}`
	rule := func(split string) string {
		return `"rules": [{"id": "off", "then": [{"amount_off": {"amount": "10.00", "split": "` + split + `", "on": {"except": [{"categories": ["excluded"]}]}}}]}]`
	}
	r := price(t, book(t, rule("by_amount")), fmt.Sprintf(basket, "2", "10", "3", "15", "3", "20"), "")
	is(t, "by amount", discounts(r), "1.60 3.60 4.80 0.00")
	r = price(t, book(t, rule("by_quantity")), fmt.Sprintf(basket, "2", "10", "3", "15", "3", "20"), "")
	is(t, "by quantity", discounts(r), "2.50 3.75 3.75 0.00")
}

// (b) Discounts one after another: each percent of what is left, or of the
// initial amount.
func TestExampleB(t *testing.T) {
	for base, want := range map[string]string{"remaining": "1519.20", "initial": "1519.00"} {
		rb := book(t, `"settings": {"percent_base": "`+base+`"}, "rules": [
			{"id": "voucher", "stacking": {"priority": 3}, "then": [{"amount_off": {"amount": "1.00"}}]},
			{"id": "percent", "stacking": {"priority": 2}, "then": [{"percent_off": {"percent": "20"}}]},
			{"id": "amount", "stacking": {"priority": 1}, "then": [{"amount_off": {"amount": "80.00"}}]}]`)
		r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "2000"}]}`, "")
		is(t, base, r.Totals.Net.String(), want)
	}
}

// (c) A threshold looks at the amount as earlier discounts left it.
func TestExampleC(t *testing.T) {
	rb := book(t, `"rules": [
		{"id": "voucher", "stacking": {"priority": 2}, "when": {"coupon": {"codes": ["V1"]}}, "then": [{"amount_off": {"amount": "1.00"}}]},
		{"id": "coupon", "stacking": {"priority": 1}, "when": {"coupon": {"codes": ["C10"]}, "basket": {"more_than": "10.00"}}, "then": [{"amount_off": {"amount": "2.00"}}]}]`)
	const lines = `"lines": [{"sku": "a", "quantity": "1", "price": "10.50"}]`
	is(t, "alone", price(t, rb, `{`+lines+`, "coupons": ["C10"]}`, "").Totals.Net.String(), "8.50")
	r := price(t, rb, `{`+lines+`, "coupons": ["C10", "V1"]}`, "")
	is(t, "after a voucher", r.Totals.Net.String(), "9.50")
	is(t, "the coupon", r.Coupons[0].State+" "+r.Coupons[0].Reason, "refused basket")
	is(t, "the voucher", r.Coupons[1].State, "used")
}

// (d) A return takes what the returned line was given, not a share of all.
func TestExampleD(t *testing.T) {
	rb := book(t, `"rules": [
		{"id": "base", "then": [{"points_percent": {"percent": "100"}}]},
		{"id": "extra", "then": [{"points_table": {"skus": {"A": "10", "B": "20"}}}]}]`)
	sale := price(t, rb, `{"lines": [{"sku": "A", "quantity": "1", "price": "10"}, {"sku": "B", "quantity": "1", "price": "10"}, {"sku": "C", "quantity": "1", "price": "20"}]}`, anna)
	is(t, "earned", earned(sale), 7000)
	back, err := rb.Return(sale, nil, []loyalty.ReturnLine{{ID: "3", Quantity: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "taken", back.PointsTaken[0].Points, 2000)
	is(t, "money", back.Totals.Net.String(), "20.00")
	m := rb.Apply(member(t, anna), sale, noon)
	is(t, "after the sale", m.Wallets["points"].Active, 7000)
	m = rb.ApplyReturn(m, back, noon)
	is(t, "left", m.Wallets["points"].Active, 5000)
}

// (e) Points on what is paid after a discount.
func TestExampleE(t *testing.T) {
	rb := book(t, `"rules": [
		{"id": "off", "then": [{"percent_off": {"percent": "10"}}]},
		{"id": "ten", "then": [{"points_percent": {"percent": "1000"}}]}]`)
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "70"}]}`, anna)
	is(t, "pay", r.Totals.Net.String(), "63.00")
	is(t, "earn", earned(r).String(), "630.00")
}

// (f) Two and one free, for one to ten units.
func TestExampleF(t *testing.T) {
	rb := book(t, `"rules": [{"id": "2+1", "then": [{"buy_get": {"buy": {"quantity": "2"}, "get": {"quantity": "1"}}}]}]`)
	want := []int64{0, 0, 1, 1, 1, 2, 2, 2, 3, 3}
	for n := 1; n <= 10; n++ {
		one := price(t, rb, fmt.Sprintf(`{"lines": [{"sku": "a", "quantity": "%d", "price": "5"}]}`, n), "")
		is(t, fmt.Sprint("one line of ", n), int64(one.Totals.Discount), want[n-1]*500)
		var lines []string
		for range n {
			lines = append(lines, `{"sku": "a", "quantity": "1", "price": "5"}`)
		}
		many := price(t, rb, `{"lines": [`+strings.Join(lines, ",")+`]}`, "")
		is(t, fmt.Sprint(n, " lines"), int64(many.Totals.Discount), want[n-1]*500)
	}
}

// (g) A line that does not divide evenly is told apart by whole units.
func TestExampleG(t *testing.T) {
	rb := book(t, `"settings": {"show_units": true}, "rules": [{"id": "off", "then": [{"amount_off": {"amount": "120.69"}}]}]`)
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "6", "price": "40.23"}]}`, "")
	is(t, "net", r.Totals.Net.String(), "120.69")
	is(t, "units", fmt.Sprint(r.Lines[0].Units), "[{3 20.12} {3 20.11}]")
}

// (h) Prices without tax: what is left is rounded from the exact amount, and
// the tax comes on top.
func TestExampleH(t *testing.T) {
	doc, err := loyalty.Decode([]byte(`{"programme": {"id": "h", "currency": "EUR", "prices": "tax_excluded"}, "settings": {"rounding": {"of": "price"}},
		"rules": [{"id": "off", "then": [{"percent_off": {"percent": "20.4"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "2", "price": "42.609", "tax_rate": "15"}]}`, "")
	is(t, "net", r.Totals.Net.String(), "67.83")
	is(t, "to pay", r.Totals.ToPay.String(), "78.00")
}

// (i) Welcome points: spendable from the next receipt on, within a share of
// the receipt, with accruals and redemptions limited a day.
func TestExampleI(t *testing.T) {
	rules := func(base string) string {
		return `"settings": {"accrual_base": "` + base + `"},
		"redemption": [{"wallet": "points", "max_percent": "30", "discounted_lines": "none_in_receipt"}],
		"limits": [{"per": "member", "period": "day", "what": "earning", "count": 3}, {"per": "member", "period": "day", "what": "spending", "count": 2}],
		"rules": [
			{"id": "welcome", "when": {"event": "joined"}, "then": [{"points": {"points": "200"}}]},
			{"id": "base", "stacking": {"priority": 1}, "then": [{"points_percent": {"percent": "5"}}]},
			{"id": "sale", "stacking": {"priority": 2}, "then": [{"percent_off": {"percent": "10", "on": {"categories": ["sale"]}}}]}]`
	}
	const basket = `{"lines": [{"sku": "a", "quantity": "1", "price": "1000"}], "spend": "max"}`
	for base, want := range map[string]string{"net_minus_points": "40.00", "gross": "50.00"} {
		rb := book(t, rules(base))
		m := member(t, anna)
		first, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "a", "quantity": "1", "price": "0.01"}], "events": ["joined"], "spend": "max"}`), Member: m, Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		is(t, "spent in the receipt that earned them", first.Spend.Points, 0)
		m = rb.Apply(m, first, noon)
		in := loyalty.Input{Receipt: receipt(t, basket), Member: m, Now: noon}
		r, err := rb.Price(in)
		if err != nil {
			t.Fatal(err)
		}
		is(t, "at most", r.Spend.Max.String(), "200.00")
		is(t, "pay", r.Totals.Net.String(), "800.00")
		is(t, "earn on "+base, earned(r).String(), want)
		in.Receipt = receipt(t, `{"lines": [{"sku": "a", "category": "sale", "quantity": "1", "price": "1000"}], "spend": "max"}`)
		if r, err = rb.Price(in); err != nil {
			t.Fatal(err)
		}
		is(t, "not with discounts", r.Spend.Points.String()+" "+r.Spend.LimitedBy, "0.00 discounted")
	}
	rb := book(t, rules("net_minus_points"))
	m := member(t, `{"id": "1", "wallets": {"points": {"active": "900"}}}`)
	for n := 1; n <= 4; n++ {
		r, err := rb.Price(loyalty.Input{Receipt: receipt(t, basket), Member: m, Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		is(t, fmt.Sprint("accrual ", n), earned(r) > 0, n <= 3)
		is(t, fmt.Sprint("redemption ", n), r.Spend.Points > 0, n <= 2)
		if n == 4 {
			is(t, "why", reason(r, "base"), "limit")
		}
		m = rb.Apply(m, r, noon)
	}
	next := noon.AddDate(0, 0, 1)
	r, err := rb.Price(loyalty.Input{Receipt: receipt(t, basket), Member: m, Now: next})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "the next day", earned(r) > 0, true)
}

// reason is the trace's word about a rule.
func reason(r *loyalty.Result, rule string) string {
	for _, s := range r.Trace {
		if s.Rule == rule {
			return s.Reason
		}
	}
	return "not traced"
}

// (j) What a programme costs as a share of turnover, and the cap on it.
func TestExampleJ(t *testing.T) {
	rb := book(t, `"segments": [{"id": "vip"}],
		"budgets": [{"id": "cap", "percent_of_turnover": "3"}],
		"rules": [
			{"id": "one", "budget": "cap", "audience": {"not_segments": ["vip"]}, "then": [{"points_percent": {"percent": "1"}}]},
			{"id": "ten", "budget": "cap", "audience": {"segments": ["vip"]}, "then": [{"points_percent": {"percent": "10"}}]},
			{"id": "half", "budget": "cap", "stacking": {"priority": -1}, "when": {"event": "frenzy"}, "then": [{"percent_off": {"percent": "50"}}]}]`)
	q := &loyalty.Quota{Turnover: 1_000_00} // an opening turnover, so that the first basket has room
	opening := q.Turnover
	for n := range 1000 {
		m := `{"id": "` + fmt.Sprintf("%x", n+1) + `"`
		if n%10 == 9 {
			m += `, "segments": ["vip"]`
		}
		r, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "a", "quantity": "1", "price": "100"}]}`), Member: member(t, m+`}`), Now: noon,
			Budgets: map[string]*loyalty.Quota{"cap": q}})
		if err != nil {
			t.Fatal(err)
		}
		q.Turnover += r.Totals.Net
		for _, b := range r.Budgets {
			q.Cost += b.Cost
		}
	}
	is(t, "cost in percent", float64(q.Cost)/float64(q.Turnover-opening)*100, 1.9)
	// 1,100.00 of room are left in 101,000.00 of turnover; half off a basket
	// of 10,000.00 would pass it, and is stopped.
	r, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "a", "quantity": "1", "price": "10000"}], "events": ["frenzy"]}`), Now: noon,
		Budgets: map[string]*loyalty.Quota{"cap": q}})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "discount past the cap", r.Totals.Discount, 0)
	is(t, "why", reason(r, "half"), "budget")
	r, err = rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "a", "quantity": "1", "price": "1000"}], "events": ["frenzy"]}`), Now: noon,
		Budgets: map[string]*loyalty.Quota{"cap": q}})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "discount within the cap", r.Totals.Discount.String(), "500.00")
	if _, err := json.Marshal(r); err != nil {
		t.Fatal(err)
	}
}
