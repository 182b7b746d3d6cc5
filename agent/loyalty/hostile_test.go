package loyalty_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

const heading = `{"programme": {"id": "x", "currency": "EUR"}, "wallets": [{"id": "points"}], `

// grownBy is how many bytes f allocates in all.
func grownBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHostileDocuments: documents that are huge, deep or senseless are
// refused with few problems and little memory.
func TestHostileDocuments(t *testing.T) {
	rule := `{"id": "r%d", "then": [{"percent_off": {"percent": "1"}}]}`
	rules := func(n int) string {
		var b strings.Builder
		b.WriteString(heading + `"rules": [`)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, rule, i)
		}
		b.WriteString("]}")
		return b.String()
	}
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	for name, c := range map[string]struct {
		text string
		code string
	}{
		"100 MB":               {heading + strings.Repeat(" ", 100<<20) + `"rules": []}`, "too_large"},
		"100 MB of one string": {`{"programme": {"id": "` + strings.Repeat("a", 100<<20) + `"}}`, "too_large"},
		"10,000 levels":        {heading + `"rules": [{"id": "a", "when": ` + strings.Repeat(`{"all": [`, 10_000) + strings.Repeat("]}", 10_000) + `}]}`, "too_deep"},
		"unknown, 10,000 deep": {`{"surprise": ` + deep("[", "]", 10_000) + `}`, "too_deep"},
		"100,000 rules":        {rules(100_000), "too_many"},
		"30 MB of numbers":     {`{"x": [` + strings.Repeat("1,", 15<<20-20) + `1]}`, "unknown_field"},
		"a list without end":   {heading + `"holidays": [{"id": "h", "yearly": [` + strings.Repeat(`"12-25",`, 250_000) + `"12-25"]}], "rules": []}`, "too_long"},
		"a million problems":   {heading + `"rules": [` + strings.Repeat(`{"x": 1},`, 150_000) + `{}]}`, "unknown_field"},
		"int64 edges": {heading + `"rules": [{"id": "a", "stacking": {"priority": 9223372036854775808}, "then": [{"amount_off": {"amount": "92233720368547758.08"}},
			{"points": {"points": "-92233720368547758.08"}}, {"percent_off": {"percent": "1e5"}}]}]}`, "bad_number bad_value bad_value bad_value"},
		"nothing":      {``, "empty"},
		"not JSON":     {`rules: []`, "syntax"},
		"cut off":      {heading + `"rules": [{"id": "a`, "syntax"},
		"two at once":  {heading + `"rules": []} {}`, "syntax"},
		"twice a name": {`{"rules": [], "rules": []}`, "repeated"},
		"not UTF-8":    {"{\"programme\": {\"id\": \"\xff\"}}", "not_utf8"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := grownBy(func() {
				var doc *loyalty.Document
				if doc, err = loyalty.Decode([]byte(c.text)); err == nil {
					_, err = loyalty.Compile(doc)
				}
			})
			if err == nil {
				t.Fatal("taken")
			}
			var ps loyalty.Problems
			if !errors.As(err, &ps) || len(ps) == 0 || len(ps) > 101 {
				t.Fatalf("%d problems: %.200v", len(ps), err)
			}
			for i, code := range strings.Fields(c.code) {
				if i >= len(ps) || ps[i].Code != code {
					t.Errorf("problem %d is not %s: %v", i, code, ps[min(i, len(ps)-1)])
				}
			}
			// The test's own copy of the text, and at most 800 bytes a rule.
			// The race detector makes every allocation larger.
			most := uint64(len(c.text)) + 160<<20
			if raceDetector {
				most *= 2
			}
			if used > most {
				t.Errorf("%d MB for a text of %d MB", used>>20, len(c.text)>>20)
			}
		})
	}
}

// TestMostRules: a rulebook at the limit compiles, and prices.
func TestMostRules(t *testing.T) {
	var b strings.Builder
	for i := range 19_999 {
		fmt.Fprintf(&b, `{"id": "r%d", "then": [{"percent_off": {"percent": "1", "on": {"skus": ["s%d"]}}}]},`, i, i)
	}
	rb := book(t, `"rules": [`+b.String()+`{"id": "base", "then": [{"points_percent": {"percent": "1"}}]}]`)
	r := price(t, rb, `{"lines": [{"sku": "s7", "quantity": "1", "price": "100"}]}`, anna)
	is(t, "net", r.Totals.Net.String(), "99.00")
}

// TestHostileReceipts: the dirt of real receipts and numbers at the edge give
// a result or a refusal with a code.
func TestHostileReceipts(t *testing.T) {
	rb := book(t, `"redemption": [{"wallet": "points"}], "rules": [
		{"id": "off", "then": [{"percent_off": {"percent": "33.3333"}}]},
		{"id": "amount", "then": [{"amount_off": {"amount": "92233720368547758.07"}}]},
		{"id": "points", "then": [{"points_percent": {"percent": "900000000000000"}}]},
		{"id": "unit", "then": [{"points_unit": {"points": "92233720368547758.07"}}]},
		{"id": "2+1", "then": [{"buy_get": {"buy": {"quantity": "2"}, "get": {"quantity": "1"}}}]},
		{"id": "set", "then": [{"bundle": {"parts": [{"on": {"skus": ["a"]}}, {"on": {"skus": ["b"]}}], "price": "1.00"}}]}]`)
	var long []string
	for i := range 1114 {
		long = append(long, fmt.Sprintf(`{"sku": "s%d", "quantity": "%d", "price": "0.0%d"}`, i%7, 1+i%3, i%10))
	}
	for name, c := range map[string]struct{ lines, code string }{
		"1,114 lines":         {strings.Join(long, ","), ""},
		"zero price":          {`{"sku": "a", "quantity": "1", "price": "0"}`, ""},
		"zero quantity":       {`{"sku": "a", "quantity": "0", "price": "5"}`, ""},
		"a write-off":         {`{"sku": "a", "quantity": "-240", "price": "0"}`, ""},
		"only a return line":  {`{"sku": "a", "quantity": "-1", "price": "5"}`, ""},
		"a huge quantity":     {`{"sku": "a", "quantity": "9223372036854775.807", "price": "0.000001"}`, "any"},
		"a huge price":        {`{"sku": "a", "quantity": "1", "price": "9223372036854.775807"}`, "any"},
		"their product":       {`{"sku": "a", "quantity": "9223372036854775.807", "price": "9223372036854.775807"}`, "amount_range"},
		"many huge sets":      {`{"sku": "a", "quantity": "900000000000", "price": "0.01"}, {"sku": "b", "quantity": "900000000000", "price": "0.01"}`, "any"},
		"a quantity, no sum":  {`{"sku": "a", "quantity": "0", "price": "5", "amount": "3.00"}`, "quantity"},
		"the sign of the sum": {`{"sku": "a", "quantity": "-1", "price": "5", "amount": "5.00"}`, "amount_sign"},
		"too many lines":      {strings.TrimSuffix(strings.Repeat(`{"sku": "a", "quantity": 1, "price": 1},`, 5001), ","), "too_many_lines"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := rb.Price(loyalty.Input{Receipt: receipt(t, `{"spend": "max", "lines": [`+c.lines+`]}`), Member: member(t, `{"id": "1", "wallets": {"points": {"active": "92233720368547758.07"}}}`), Now: noon})
			var refused *loyalty.InputError
			switch {
			case err != nil && c.code == "":
				if !errors.Is(err, loyalty.ErrOverflow) {
					t.Fatal(err)
				}
			case c.code == "any":
				if err != nil && !errors.As(err, &refused) && !errors.Is(err, loyalty.ErrOverflow) {
					t.Fatal(err)
				}
			case c.code != "":
				if !errors.As(err, &refused) || refused.Code != c.code {
					t.Fatalf("got %v, want %s", err, c.code)
				}
			}
			if err == nil && res.Totals.Net > math.MaxInt64/2 {
				t.Fatal(res.Totals)
			}
		})
	}
}
