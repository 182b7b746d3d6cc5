package loyalty_test

import (
	"fmt"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

func give(t testing.TB, rb *loyalty.Rulebook, m *loyalty.Member, r string) *loyalty.Result {
	t.Helper()
	res, err := rb.Price(loyalty.Input{Receipt: receipt(t, r), Member: m, Now: noon, Budgets: rb.FreshBudgets()})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func takeBack(t testing.TB, rb *loyalty.Rulebook, sale *loyalty.Result, already []*loyalty.ReturnResult, line string, quantity loyalty.Quantity) *loyalty.ReturnResult {
	t.Helper()
	r, err := rb.Return(sale, already, []loyalty.ReturnLine{{ID: line, Quantity: quantity}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A part of a line goes back at its price, whatever it was made of.
func TestPartOfALineComesBackAtItsPrice(t *testing.T) {
	rb := book(t, `"redemption": [{"wallet": "points", "points": "1", "worth": "1.00"}],
		"rules": [{"id": "a", "then": [{"amount_off": {"amount": "10.00"}}]}, {"id": "b", "then": [{"amount_off": {"amount": "1.00"}}]}]`)
	// 30.00, of which 10.00 and 1.00 are off and 5.00 paid with points: thirds of none of them are whole.
	sale := give(t, rb, member(t, `{"id": "1", "wallets": {"points": "5"}}`), `{"spend": "max", "lines": [{"sku": "x", "quantity": "3", "price": "10.00"}]}`)
	is(t, "net", sale.Totals.Net.String(), "14.00")
	var parts []*loyalty.ReturnResult
	var got string
	for range 3 {
		r := takeBack(t, rb, sale, parts, "1", 1000)
		parts = append(parts, r)
		l := r.Lines[0]
		got += fmt.Sprint(l.Gross, " -", l.Discounts[0].Amount, " -", l.Discounts[1].Amount, " -", l.Redeemed, " = ", l.Net, "\n")
	}
	// 14/30 of 10.00 is 4.67, of 20.00 9.33. Of the 5.33 and 10.67 left 5/16 is 1.67 and 3.33; of the 3.66 and 7.34
	// left after that 10/11 is 3.33 and 6.67.
	is(t, "parts", got, "10.00 -3.33 -0.33 -1.67 = 4.67\n10.00 -3.34 -0.34 -1.66 = 4.66\n10.00 -3.33 -0.33 -1.67 = 4.67\n")

	// Goods by weight: 0.347 kg at 12.49 is 4.33, and 0.1 kg of them 1.25.
	sale = give(t, rb, nil, `{"lines": [{"sku": "x", "quantity": "0.347", "unit": "kg", "price": "12.49"}, {"sku": "y", "quantity": "1", "price": "20.00"}]}`)
	r := takeBack(t, rb, sale, nil, "1", 100)
	is(t, "gross of 0.1 kg", r.Lines[0].Gross.String(), "1.25")
	rest := takeBack(t, rb, sale, []*loyalty.ReturnResult{r}, "1", 247)
	is(t, "gross of the rest", rest.Lines[0].Gross.String(), "3.08")
	is(t, "net of both", r.Lines[0].Net+rest.Lines[0].Net, sale.Lines[0].Net)
}

const cupsBook = `"stamp_cards": [{"id": "cups", "goal": 10, "on_complete": [{"points": {"points": "50"}}, {"coupon": {"for": "free", "prefix": "F"}}]%s}],
	"rules": [{"id": "stamp", "then": [{"stamps": {"card": "cups", "per": "unit", "on": {"skus": ["coffee"]}}}]},
		{"id": "free", "when": {"coupon": {"issued": true}}, "then": [{"item_off": {"percent": "100", "on": {"skus": ["coffee"]}}}]}]`

// A card that goods filled is open again without them, and what it gave is
// taken back; the goods it did not need change nothing.
func TestACardFilledByReturnedGoodsIsOpenAgain(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint("kept ", kept), func(t *testing.T) {
			keep := ""
			if kept {
				keep = `, "keep": true`
			}
			rb := book(t, fmt.Sprintf(cupsBook, keep))
			m := member(t, `{"id": "1", "stamps": {"cups": 8}}`)
			sale := give(t, rb, m, `{"id": "r", "lines": [{"sku": "coffee", "quantity": "3", "price": "3.00"}, {"sku": "cake", "quantity": "1", "price": "2.00"}]}`)
			m = rb.Apply(m, sale, noon)
			held := map[bool]int64{false: 1, true: 11}[kept]
			is(t, "held after the sale", m.Stamps["cups"], held)
			is(t, "points after the sale", m.Wallets["points"].Active, 5000)
			var code string
			for c, h := range m.Coupons {
				is(t, "coupon", fmt.Sprint(h.Rule, h.Uses), "free1")
				code = c
			}
			var parts []*loyalty.ReturnResult
			back := func(line string, wantHeld int64, wantPoints loyalty.Points, wantCoupons int) {
				t.Helper()
				r := takeBack(t, rb, sale, parts, line, 1000)
				parts = append(parts, r)
				m = rb.ApplyReturn(m, r, noon)
				is(t, "held", m.Stamps["cups"], wantHeld)
				is(t, "points", m.Wallets["points"].Active, wantPoints)
				is(t, "coupons", len(m.Coupons), wantCoupons)
			}
			// 11 stamps in all, then 11 without the cake, 10, 9, 8.
			back("2", held, 5000, 1)
			back("1", held-1, 5000, 1)
			back("1", 9, 0, 0)
			back("1", 8, 0, 0)
			is(t, "whole", parts[3].Whole, true)
			if code == "" || code[0] != 'F' {
				t.Errorf("code %q", code)
			}
		})
	}
}

// A coupon that has been used keeps the card full: else the next stamp would
// give another.
func TestACardWhoseCouponWasUsedStaysFull(t *testing.T) {
	rb := book(t, fmt.Sprintf(cupsBook, ""))
	m := member(t, `{"id": "1", "stamps": {"cups": 9}}`)
	sale := give(t, rb, m, `{"id": "r", "lines": [{"sku": "coffee", "quantity": "1", "price": "3.00"}]}`)
	m = rb.Apply(m, sale, noon)
	for code := range m.Coupons {
		drink := give(t, rb, m, fmt.Sprintf(`{"id": "r2", "coupons": [%q], "lines": [{"sku": "coffee", "quantity": "1", "price": "3.00"}]}`, code))
		is(t, "the free one", drink.Totals.Net, 0)
		m = rb.Apply(m, drink, noon)
	}
	is(t, "held before", m.Stamps["cups"], 1)
	m = rb.ApplyReturn(m, takeBack(t, rb, sale, nil, "1", 1000), noon)
	is(t, "held after", m.Stamps["cups"], 0)
}

// Two cards filled at once are opened one by one.
func TestTwoFullCardsAreOpenedOneByOne(t *testing.T) {
	rb := book(t, fmt.Sprintf(cupsBook, ""))
	m := member(t, `{"id": "1", "stamps": {"cups": 5}}`)
	sale := give(t, rb, m, `{"id": "r", "lines": [{"sku": "coffee", "quantity": "16", "price": "3.00"}]}`)
	m = rb.Apply(m, sale, noon)
	is(t, "held", m.Stamps["cups"], 1)
	is(t, "points", m.Wallets["points"].Active, 10000)
	first := takeBack(t, rb, sale, nil, "1", 5000)
	m = rb.ApplyReturn(m, first, noon)
	is(t, "held after five", m.Stamps["cups"], 6)
	is(t, "points after five", m.Wallets["points"].Active, 5000)
	m = rb.ApplyReturn(m, takeBack(t, rb, sale, []*loyalty.ReturnResult{first}, "1", 11000), noon)
	is(t, "held after all", m.Stamps["cups"], 5)
	is(t, "points after all", m.Wallets["points"].Active, 0)
	is(t, "coupons after all", len(m.Coupons), 0)
}
