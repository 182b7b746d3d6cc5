package loyalty_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// benchBook is a rulebook of n rules: a percent off one SKU each, as the
// weekly offers of a supermarket are, and base points on everything.
// Idle rules name goods that no basket has.
func benchBook(tb testing.TB, n, idle int) *loyalty.Rulebook {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`"rules": [{"id": "base", "then": [{"points_percent": {"percent": "1"}}]}`)
	for i := range n + idle {
		sku := fmt.Sprintf("sku-%05d", i)
		if i >= n {
			sku = fmt.Sprintf("idle-%05d", i)
		}
		fmt.Fprintf(&b, `, {"id": "r%05d", "then": [{"percent_off": {"percent": "%d", "on": {"skus": ["%s"]}}}]}`, i, 1+i%20, sku)
	}
	b.WriteString("]")
	return book(tb, b.String())
}

// benchReceipt has lines on goods spread evenly over the rules' SKUs.
func benchReceipt(lines, rules int) *loyalty.Receipt {
	r := &loyalty.Receipt{Time: noon}
	for i := range lines {
		r.Lines = append(r.Lines, loyalty.Line{SKU: fmt.Sprintf("sku-%05d", i*rules/lines), Quantity: 1000 * loyalty.Quantity(1+i%3), Price: loyalty.Price(1_000_000 * (1 + i%50))})
	}
	return r
}

func BenchmarkPrice(b *testing.B) {
	m := member(b, anna)
	for _, lines := range []int{5, 50, 200} {
		for _, rules := range []int{100, 1000, 10000} {
			rb := benchBook(b, rules, 0)
			r := benchReceipt(lines, rules)
			percent := map[string]int64{}
			for i := range rules {
				percent[fmt.Sprintf("sku-%05d", i)] = int64(1 + i%20)
			}
			name := fmt.Sprintf("lines=%d/rules=%d", lines, rules)
			b.Run(name+"/engine", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := rb.Price(loyalty.Input{Receipt: r, Member: m}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/numbers-only", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := rb.Price(loyalty.Input{Receipt: r, Member: m, Plain: true}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/hand-written", func(b *testing.B) {
				for b.Loop() {
					handWritten(r, percent)
				}
			})
		}
	}
}

// handWritten is the same sum without allocation, trace or words.
func handWritten(r *loyalty.Receipt, percent map[string]int64) (net, points int64) {
	for i := range r.Lines {
		l := &r.Lines[i]
		gross := int64(l.Price) / 10_000 * int64(l.Quantity) / 1000
		if p, ok := percent[l.SKU]; ok {
			gross -= (gross*p + 50) / 100
		}
		net += gross
	}
	return net, (net + 50) / 100
}
