package loyalty_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillside/tillside/agent/loyalty"
)

func yen(rest string) string {
	return `{"programme": {"id": "y", "currency": "JPY"}, "wallets": [{"id": "points", "point_value": "0.5"}], ` + rest + `}`
}

// A currency without minor units is counted, shared, taxed and returned in
// whole units.
func TestACurrencyWithoutMinorUnits(t *testing.T) {
	rb := wholeBook(t, yen(`"redemption": [{"wallet": "points", "points": "1", "worth": "0.5"}],
		"rules": [{"id": "off", "then": [{"amount_off": {"amount": "100"}}]}, {"id": "pct", "then": [{"percent_off": {"percent": "3"}}]}]`))
	r, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"spend": "max", "lines": [{"sku": "a", "quantity": "3", "price": "333"}, {"sku": "b", "quantity": "1", "price": "101"}, {"sku": "c", "quantity": "0.347", "unit": "kg", "price": "1249.5"}]}`),
		Member: member(t, `{"id": "1", "wallets": {"points": "31"}}`), Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	// 999, 101 and 433.58, which is 434: 1534. Of 100 off 65.12, 6.58 and 28.29:
	// 65, 7 and 28. 3 % of 934, 94 and 406 are 28.02, 2.82 and 12.18: 28, 3 and 12.
	is(t, "off", discounts(r), "93.00 10.00 40.00")
	// 31 points are 15.5, so 15 are paid with 30 of them.
	is(t, "spent", fmt.Sprint(r.Spend.Points, " for ", r.Spend.Value), "30.00 for 15.00")
	is(t, "net", r.Totals.Net.String(), "1376.00")
	// In words there are no digits after the point.
	is(t, "told", rb.Explain(r, "en").Summary, "1,376 to pay of 1,534; 143 off; 15 paid with points")
	var parts []*loyalty.ReturnResult
	var money string
	for range 3 {
		p := takeBack(t, rb, r, parts, "1", 1000)
		parts = append(parts, p)
		money += fmt.Sprint(p.Lines[0].Gross, " ", p.Lines[0].Net, ";")
	}
	net := r.Lines[0].Net
	if !strings.HasPrefix(money, "333.00 ") || parts[0].Totals.Net+parts[1].Totals.Net+parts[2].Totals.Net != net || strings.Contains(strings.ReplaceAll(money, ".00", ""), ".") {
		t.Errorf("parts %s of %v", money, net)
	}
	_, err = rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "a", "quantity": "1", "price": "10", "amount": "10.50"}]}`), Now: noon})
	if err == nil || !strings.Contains(err.Error(), "JPY has no parts of a unit") {
		t.Errorf("a part of a yen: %v", err)
	}
}

func TestAmountsThatACurrencyCannotHoldAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		yen(`"rules": [{"id": "a", "then": [{"amount_off": {"amount": "0.50"}}]}]`):                                                 `rules[0].then[0].amount_off.amount: JPY has no parts of a unit, found 0.50; write a whole amount`,
		yen(`"settings": {"rounding": {"step": "0.10"}}, "rules": [{"id": "a", "then": [{"amount_off": {"amount": "5"}}]}]`):        `settings.rounding.step: JPY has no parts`,
		`{"programme": {"id": "k", "currency": "KWD"}, "rules": [{"id": "a", "then": [{"amount_off": {"amount": "5"}}]}]}`:          `programme.currency: it has more than two digits after the point, and money is kept with two, found "KWD"`,
		yen(`"legal": [], "rules": [{"id": "a", "then": [{"bundle": {"parts": [{"on": {}, "quantity": "2"}], "price": "9.99"}}]}]`): `rules[0].then[0].bundle.price: JPY`,
	} {
		doc, err := loyalty.Decode([]byte(text))
		if err == nil {
			_, err = loyalty.Compile(doc)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngave %v\nwant %s", text, err, want)
		}
	}
}

// Random baskets and offers in yen: every amount of the answer and of returns
// is whole, and all of it adds up.
func TestWholeUnitsEverywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		n := func(lo, hi int) string { return fmt.Sprint(s.between(lo, hi)) }
		rb := wholeBookRapid(t, yen(`"settings": {"show_units": true, "max_discount_percent": "`+n(10, 90)+`", "rounding": {"level": "`+oneOf(s, "line", "unit", "receipt")+`", "of": "`+oneOf(s, "discount", "price")+`", "mode": "`+oneOf(s, "half_up", "half_even", "down", "up")+`"}},
			"redemption": [{"wallet": "points", "points": "1", "worth": "0.7", "max_percent": "33"}],
			"budgets": [{"id": "cap", "percent_of_turnover": "`+n(1, 30)+`", "partial": true}],
			"rules": [{"id": "a", "then": [{"percent_off": {"percent": "`+n(1, 60)+`.5"}}]},
				{"id": "b", "then": [{"amount_off": {"amount": "`+n(1, 500)+`"}}], "limits": [{"per": "member", "money": "`+n(1, 300)+`"}]},
				{"id": "c", "then": [{"item_off": {"every": 2, "percent": "`+n(1, 100)+`"}}]},
				{"id": "d", "then": [{"bundle": {"parts": [{"on": {"skus": ["s0", "s1"]}, "quantity": "2"}], "percent": "`+n(1, 50)+`"}}]},
				{"id": "e", "budget": "cap", "then": [{"percent_off": {"percent": "`+n(1, 50)+`", "at_most": "`+n(1, 500)+`"}}]},
				{"id": "p", "then": [{"points_percent": {"percent": "10"}}]}]`))
		r := &loyalty.Receipt{Time: noon, Spend: oneOf(s, "", "max")}
		for i := range s.between(1, 6) {
			r.Lines = append(r.Lines, loyalty.Line{SKU: fmt.Sprint("s", i), Quantity: loyalty.Quantity(s.between(1, 4) * 1000), Price: loyalty.Price(s.between(1, 2000)) * 1_000_000})
			if s.between(0, 3) == 0 {
				r.Lines[i].Quantity, r.Lines[i].Unit = loyalty.Quantity(s.between(1, 3000)), "kg"
			}
		}
		m := &loyalty.Member{ID: 1, Wallets: map[string]loyalty.Balance{"points": {Active: loyalty.Points(s.between(0, 100000))}}}
		res, err := rb.Price(loyalty.Input{Receipt: r, Member: m, Budgets: rb.FreshBudgets()})
		if err != nil {
			t.Fatal(err)
		}
		wholeAmounts(t, res)
		for _, l := range res.Lines {
			sum := l.Net + l.Redeemed
			for _, d := range l.Discounts {
				sum += d.Amount
			}
			if sum != l.Gross || l.Net < 0 {
				t.Fatalf("line %+v does not add up", l)
			}
		}
		part, err := rb.Return(res, nil, []loyalty.ReturnLine{{ID: res.Lines[0].ID, Quantity: (res.Lines[0].Quantity + 1) / 2}})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := rb.Return(res, []*loyalty.ReturnResult{part}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wholeAmounts(t, part)
		wholeAmounts(t, rest)
		if part.Totals.Net+rest.Totals.Net != res.Totals.Net || part.Totals.Gross+rest.Totals.Gross != res.Totals.Gross {
			t.Fatalf("%+v and %+v are not %+v", part.Totals, rest.Totals, res.Totals)
		}
	})
}

// wholeAmounts fails for any amount of money in v that has a fraction.
func wholeAmounts(t *rapid.T, v any) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "Trace" {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Int64:
			if m, ok := v.Interface().(loyalty.Money); ok && m%100 != 0 && !strings.Contains(fmt.Sprint(v.Type()), "Cost") {
				b, _ := json.Marshal(m)
				t.Fatalf("%s is not whole", b)
			}
		}
	}
	walk(reflect.ValueOf(v))
}
