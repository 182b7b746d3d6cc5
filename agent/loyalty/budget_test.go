package loyalty_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestQuotasNeverPassTheTotal: tills that do not see each other price random
// baskets with their shares of the budgets; together they stay within them.
func TestQuotasNeverPassTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		doc, err := loyalty.Decode([]byte(`{"programme": {"id": "b", "currency": "EUR"}, "wallets": [{"id": "points", "point_value": "0.50"}],
			"budgets": [{"id": "money", "money": "` + fmt.Sprint(s.between(1, 300)) + `", "partial": ` + oneOf(s, "true", "false") + `},
				{"id": "points", "points": "` + fmt.Sprint(s.between(1, 300)) + `"}, {"id": "count", "count": ` + fmt.Sprint(s.between(1, 9)) + `}, {"id": "turnover", "percent_of_turnover": "3"}],
			"rules": [
				{"id": "a", "budget": "money", "then": [{"percent_off": {"percent": "20"}}]},
				{"id": "b", "budget": "points", "then": [{"points_percent": {"percent": "30"}}]},
				{"id": "c", "budget": "count", "then": [{"gift": {"skus": ["G"]}}]},
				{"id": "d", "budget": "turnover", "then": [{"points_percent": {"percent": "` + fmt.Sprint(s.between(1, 20)) + `"}}, {"amount_off": {"amount": "1.00"}}]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		rb, err := loyalty.Compile(doc)
		if err != nil {
			t.Fatal(err)
		}
		n := s.between(1, 5)
		tills := make([]map[string]*loyalty.Quota, n)
		for i := range tills {
			tills[i] = map[string]*loyalty.Quota{}
		}
		for id, q := range rb.FreshBudgets() {
			for i, part := range q.Split(n) {
				tills[i][id] = &part
			}
		}
		used := map[string]loyalty.BudgetUse{}
		var turnover loyalty.Money
		for range s.between(5, 40) {
			till := tills[s.between(0, n-1)]
			r := &loyalty.Receipt{Time: noon, Lines: []loyalty.Line{{SKU: "x", Quantity: 1000, Price: loyalty.Price(s.between(1, 20000)) * 10_000}}}
			res, err := rb.Price(loyalty.Input{Receipt: r, Member: &loyalty.Member{ID: 1}, Budgets: till, Offline: true})
			if err != nil {
				t.Fatal(err)
			}
			turnover += res.Totals.Net
			for _, u := range res.Budgets {
				sum := used[u.Budget]
				sum.Money, sum.Points, sum.Count, sum.Cost = sum.Money+u.Money, sum.Points+u.Points, sum.Count+u.Count, sum.Cost+u.Cost
				used[u.Budget] = sum
			}
			for id, q := range till {
				q.Use(id, res)
			}
		}
		for _, b := range doc.Budgets {
			u := used[b.ID]
			if b.Money > 0 && u.Money > b.Money || b.Points > 0 && u.Points > b.Points || b.Count > 0 && u.Count > b.Count {
				t.Fatalf("budget %s was passed: %+v of %+v", b.ID, u, b)
			}
			if b.Turnover > 0 && int64(u.Cost)*100 > int64(turnover)*3 {
				t.Fatalf("cost %s of turnover %s is more than 3 %%", u.Cost, turnover)
			}
		}
	})
}

// TestAShareOfTurnoverIsAHardStop: tills that do not see each other give
// discounts, points and gifts out of a share of turnover, among others' offers
// and points that pay; at no moment has any of them, or all together, cost
// more than the share of what was paid.
func TestAShareOfTurnoverIsAHardStop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		share := s.between(1, 40)
		rb := wholeBookRapid(t, `{"programme": {"id": "b", "currency": "EUR"}, "wallets": [{"id": "points", "point_value": "0.50"}],
			"settings": {"percent_base": "`+oneOf(s, "remaining", "initial")+`"},
			"redemption": [{"wallet": "points", "max_percent": "80", "points": "1", "worth": "0.50"}],
			"stacking_groups": [{"id": "early"}, {"id": "late"}],
			"budgets": [{"id": "cap", "percent_of_turnover": "`+fmt.Sprint(share)+`", "partial": `+oneOf(s, "true", "false")+`}],
			"rules": [
				{"id": "a", "budget": "cap", "stacking": {"group": "early"}, "then": [{"percent_off": {"percent": "`+fmt.Sprint(s.between(1, 30))+`"}}]},
				{"id": "b", "budget": "cap", "stacking": {"group": "early"}, "then": [{"amount_off": {"amount": "`+fmt.Sprint(s.between(1, 5))+`"}}]},
				{"id": "c", "budget": "cap", "then": [{"points_percent": {"percent": "`+fmt.Sprint(s.between(1, 30))+`"}}]},
				{"id": "d", "budget": "cap", "then": [{"gift": {"skus": ["G"], "cost": "2.00"}}]},
				{"id": "e", "stacking": {"group": "late"}, "then": [{"percent_off": {"percent": "`+fmt.Sprint(s.between(0, 50))+`.01"}}]}]}`)
		tills := make([]loyalty.Quota, s.between(1, 4))
		for range s.between(5, 30) {
			q := &tills[s.between(0, len(tills)-1)]
			r := &loyalty.Receipt{Time: noon, Spend: oneOf(s, "", "max"), Lines: []loyalty.Line{{SKU: "x", Quantity: 1000, Price: loyalty.Price(s.between(1, 20000)) * 10_000}}}
			res, err := rb.Price(loyalty.Input{Receipt: r, Member: &loyalty.Member{ID: 1, Wallets: map[string]loyalty.Balance{"points": {Active: 5000}}},
				Budgets: map[string]*loyalty.Quota{"cap": q}})
			if err != nil {
				t.Fatal(err)
			}
			var cost loyalty.Money
			for _, e := range res.Rules {
				if e.Rule != "e" {
					cost += e.Discount
				}
			}
			for _, e := range res.Earned {
				cost += (loyalty.Money(e.Points)*50 + 99) / 100
			}
			cost += loyalty.Money(200 * len(res.Gifts))
			var told loyalty.Money
			for _, u := range res.Budgets {
				told += u.Cost
			}
			if told != cost {
				t.Fatalf("told a cost of %v, counted %v", told, cost)
			}
			q.Use("cap", res)
			if int64(q.Cost)*100 > int64(q.Turnover)*int64(share) {
				t.Fatalf("a till's cost %s of its turnover %s is more than %d %%: %+v", q.Cost, q.Turnover, share, res.Totals)
			}
		}
	})
}

func wholeBookRapid(t *rapid.T, text string) *loyalty.Rulebook {
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

// By hand: 3 % of what is paid. Of 100.00 alone 2.91 may come off, because
// 97.09 is paid then; a later offer of half off takes half of
// that, so 1.42 of them go back: 1.49 of the 49.96 that are paid.
func TestAShareOfTurnoverByHand(t *testing.T) {
	const doc = `"budgets": [{"id": "cap", "percent_of_turnover": "3", "partial": true}], "stacking_groups": [{"id": "first"}],
		"rules": [{"id": "a", "budget": "cap", "stacking": {"group": "first"}, "then": [{"percent_off": {"percent": "10"}}]}%s]`
	r := price(t, book(t, fmt.Sprintf(doc, "")), `{"lines": [{"sku": "x", "quantity": "1", "price": "100.00"}]}`, "")
	is(t, "alone", r.Totals.Discount.String(), "2.91")
	r = price(t, book(t, fmt.Sprintf(doc, `, {"id": "b", "then": [{"percent_off": {"percent": "50"}}]}`)), `{"lines": [{"sku": "x", "quantity": "1", "price": "100.00"}]}`, "")
	is(t, "paid", r.Totals.Net.String(), "49.96")
	is(t, "of the budget", r.Budgets[0].Cost.String(), "1.49")
}
