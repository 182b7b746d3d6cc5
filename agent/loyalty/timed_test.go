package loyalty_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestNobodyKnowsTheDay: without a clock to trust, what is good at certain
// times only is not given, wherever the rule asks for the time; what is always
// good is, and what may be forbidden now is forbidden.
func TestNobodyKnowsTheDay(t *testing.T) {
	const always = `{"from": "2020-01-01", "to": "2099-12-31"}`
	rb := book(t, `"rules": [
		{"id": "base", "then": [{"points_percent": {"percent": "10"}}]},
		{"id": "member-price", "audience": {"known": true}, "then": [{"amount_off": {"amount": "1.00", "on": {"skus": ["a"]}}}]},
		{"id": "season", "schedule": `+always+`, "then": [{"amount_off": {"amount": "2.00", "on": {"skus": ["a"]}}}]},
		{"id": "happy-hour", "when": {"any": [{"all": [{"schedule": `+always+`}]}]}, "then": [{"points": {"points": "5"}}]},
		{"id": "old-friend", "audience": {"member_for": "1 day"}, "then": [{"points": {"points": "7"}}]},
		{"id": "no-points-at-night", "schedule": `+always+`, "then": [{"ban": {"ban": ["earn"], "on": {"skus": ["b"]}}}]}]`)
	price := func(noClock bool) *loyalty.Result {
		var r loyalty.Receipt
		if err := json.Unmarshal([]byte(`{"time": "2026-03-02T10:00:00Z", "lines": [{"sku": "a", "quantity": "1", "price": "11"}, {"sku": "b", "quantity": "1", "price": "10"}]}`), &r); err != nil {
			t.Fatal(err)
		}
		var m loyalty.Member
		if err := json.Unmarshal([]byte(`{"id": "1", "joined": "2020-01-01"}`), &m); err != nil {
			t.Fatal(err)
		}
		res, err := rb.Price(loyalty.Input{Receipt: &r, Member: &m, NoClock: noClock, Trace: loyalty.TraceAll})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	r := price(false)
	is(t, "with a clock", discounts(r)+" "+earned(r).String(), "3.00 0.00 12.80")
	r = price(true)
	is(t, "without", discounts(r)+" "+earned(r).String(), "1.00 0.00 1.00")
	told := 0
	for _, e := range r.Trace {
		if e.Reason == "clock" && strings.Contains(e.Text, "clock") {
			told++
		}
	}
	is(t, "rules whose trace says why", told, 3)
}
