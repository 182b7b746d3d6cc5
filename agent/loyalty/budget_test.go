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
