package loyalty_test

import (
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

const cardBook = `{"programme": {"id": "c", "currency": "EUR"}, "wallets": [{"id": "points"}],
	"rules": [{"id": "tea", "then": [{"amount_off": {"amount": "1.00"}}], "limits": [{"per": "card", "period": "day", "count": 1}]},
		{"id": "once", "then": [{"points": {"points": "5"}}], "limits": [{"per": "card", "period": "ever", "points": "5"}]}]}`

// A limit per card counts each card of a member by itself; known by telephone
// she has what none of her cards has used.
func TestALimitPerCardCountsEachCard(t *testing.T) {
	rb := wholeBook(t, cardBook)
	m := member(t, `{"id": "1"}`)
	buy := func(card string) (off loyalty.Money, points loyalty.Points) {
		t.Helper()
		m.Card.Ref = card
		r := receipt(t, `{"lines": [{"sku": "x", "quantity": "1", "price": "3.00"}]}`)
		res, err := rb.Price(loyalty.Input{Receipt: r, Member: m, Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range res.Earned {
			points += e.Points
		}
		m = rb.Apply(m, res, noon)
		return res.Totals.Discount, points
	}
	for _, x := range []struct {
		card   string
		off    loyalty.Money
		points loyalty.Points
	}{{"aa", 100, 500}, {"aa", 0, 0}, {"bb", 100, 500}, {"bb", 0, 0}, {"", 0, 0}} {
		if off, p := buy(x.card); off != x.off || p != x.points {
			t.Errorf("card %q: %v off and %v points, want %v and %v", x.card, off, p, x.off, x.points)
		}
	}
	// A day later the day's limit is free again, the one for ever is not.
	keep := rb.Prune(m, loyalty.DateOf(noon)+1)
	for k := range keep.Counters {
		if strings.HasPrefix(k, "rule:tea") {
			t.Errorf("kept %s", k)
		}
	}
	if keep.Counters["rule:once:points@card=aa"] == nil {
		t.Errorf("lost the limit for ever: %v", keep.Counters)
	}
}

// What a rule may still earn within a limit of the programme is given in part.
func TestALimitOnEarningCutsTheLastReceipt(t *testing.T) {
	rb := wholeBook(t, `{"programme": {"id": "c", "currency": "EUR"}, "wallets": [{"id": "points"}],
		"limits": [{"per": "member", "period": "day", "what": "earning", "points": "100"}, {"per": "receipt", "what": "earning", "points": "70"}],
		"rules": [{"id": "base", "then": [{"points_percent": {"percent": "100"}}]}, {"id": "more", "then": [{"points": {"points": "20"}}]}]}`)
	m := member(t, `{"id": "1"}`)
	for i, want := range []loyalty.Points{7000, 3000, 0} {
		res, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"lines": [{"sku": "x", "quantity": "1", "price": "60.00"}]}`), Member: m, Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		var got loyalty.Points
		for _, e := range res.Earned {
			got += e.Points
		}
		if got != want {
			t.Errorf("receipt %d earns %v, want %v", i, got, want)
		}
		m = rb.Apply(m, res, noon)
	}
}

// A till gives of a limit for several tills what it was handed: less than the
// limit says, and nothing when it was handed nothing.
func TestASharedLimitGivesWhatWasHandedOver(t *testing.T) {
	rb := wholeBook(t, `{"programme": {"id": "c", "currency": "EUR"}, "wallets": [{"id": "points"}],
		"limits": [{"per": "all", "period": "month", "what": "earning", "points": "1000"}],
		"rules": [{"id": "off", "then": [{"percent_off": {"percent": "10"}}], "limits": [{"per": "store", "period": "day", "money": "5.00", "count": 9}]},
			{"id": "p", "then": [{"points_percent": {"percent": "100"}}]}]}`)
	ids := map[string]string{}
	for _, b := range rb.Budgets(noon, "S") {
		ids[b.ID] = b.Key
	}
	const day, money, all = "limit rule:off/store/day", "limit rule:off/store/day:money", "limit programme:earning/all/month:points"
	if len(ids) != 3 || ids[day] != "c/limit rule:off/store/day@store=S@2026-11-23" || ids[all] != "c/limit programme:earning/all/month:points@2026-11-01" {
		t.Fatalf("handed out: %v", ids)
	}
	for _, x := range []struct {
		count       int64
		money       loyalty.Money
		points      loyalty.Points
		off, earned string
	}{{2, 500, 100000, "2.00", "18.00"}, {0, 500, 100000, "0.00", "20.00"}, {2, 150, 1000, "1.50", "10.00"}, {2, 0, 0, "0.00", "0.00"}} {
		res, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"id": "r", "store": "S", "lines": [{"sku": "x", "quantity": "1", "price": "20.00"}]}`), Member: member(t, `{"id": "1"}`), Now: noon,
			Budgets: map[string]*loyalty.Quota{day: {Count: x.count}, money: {Money: x.money}, all: {Points: x.points}}})
		if err != nil {
			t.Fatal(err)
		}
		var got loyalty.Points
		for _, e := range res.Earned {
			got += e.Points
		}
		if res.Totals.Discount.String() != x.off || got.String() != x.earned {
			t.Errorf("%+v: %v off, %v points", x, res.Totals.Discount, got)
		}
		// And reports what it took under the same names.
		var money loyalty.Money
		for _, u := range rb.QuotaUses(res, "S") {
			if ids[u.Budget] != u.Key {
				t.Errorf("reports %+v", u)
			}
			money += u.Money
		}
		if money != res.Totals.Discount {
			t.Errorf("%+v: reports %v", x, money)
		}
	}
}
