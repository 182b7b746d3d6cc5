package loyalty_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

// benchBook is a rulebook of n rules as a supermarket has them: of ten, six
// take a percent off one SKU, two off a category, one off a brand, and one is
// for a segment or a sum that this basket does not have; and base points on
// everything. Idle rules name goods that no basket has.
func benchBook(tb testing.TB, n, idle int) *loyalty.Rulebook {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`"segments": [{"id": "vip"}], "rules": [{"id": "base", "then": [{"points_percent": {"percent": "1"}}]}`)
	for i := range n + idle {
		on, more := fmt.Sprintf(`"skus": ["%s"]`, benchSKU(i)), ""
		switch {
		case i >= n:
			on = fmt.Sprintf(`"skus": ["idle-%05d"]`, i)
		case i%10 == 6, i%10 == 7:
			on = fmt.Sprintf(`"categories": ["%s"]`, benchCategory(i))
		case i%10 == 8:
			on = fmt.Sprintf(`"brands": ["%s"]`, benchBrand(i))
		case i%10 == 9:
			more = `"audience": {"segments": ["vip"]},`
		}
		fmt.Fprintf(&b, `, {"id": "r%05d", %s "then": [{"percent_off": {"percent": "%d", "on": {%s}}}]}`, i, more, 1+i%20, on)
	}
	b.WriteString("]")
	return book(tb, b.String())
}

func benchSKU(i int) string      { return fmt.Sprintf("sku-%05d", i) }
func benchCategory(i int) string { return fmt.Sprintf("dept-%d/shelf-%d/bay-%d", i%7, i%31, i) }
func benchBrand(i int) string    { return fmt.Sprintf("brand-%d", i) }

// benchReceipt has lines on goods spread evenly over the rules: each line
// belongs to one rule, by SKU, category or brand, and names all three.
func benchReceipt(lines, rules int) *loyalty.Receipt {
	r := &loyalty.Receipt{Time: noon}
	for i := range lines {
		k := i * rules / lines
		l := loyalty.Line{SKU: benchSKU(k), Category: benchCategory(k), Brand: benchBrand(k),
			Quantity: 1000 * loyalty.Quantity(1+i%3), Price: loyalty.Price(1_000_000 * (1 + i%50))}
		r.Lines = append(r.Lines, l)
	}
	return r
}

// handRules are the same rules as a programmer would index them by hand.
type handRules struct{ sku, category, brand map[string]int64 }

func newHandRules(n int) *handRules {
	h := &handRules{map[string]int64{}, map[string]int64{}, map[string]int64{}}
	for i := range n {
		switch i % 10 {
		case 6, 7:
			h.category[benchCategory(i)] = int64(1 + i%20)
		case 8:
			h.brand[benchBrand(i)] = int64(1 + i%20)
		case 9:
		default:
			h.sku[benchSKU(i)] = int64(1 + i%20)
		}
	}
	return h
}

// sum is the net and the points, without allocation to lines, trace or words.
func (h *handRules) sum(r *loyalty.Receipt) (net, points int64) {
	for i := range r.Lines {
		l := &r.Lines[i]
		left := int64(l.Price) / 10_000 * int64(l.Quantity) / 1000
		if p, ok := h.sku[l.SKU]; ok {
			left -= (left*p + 50) / 100
		}
		for k := 0; k <= len(l.Category); k++ {
			if k == len(l.Category) || l.Category[k] == '/' {
				if p, ok := h.category[l.Category[:k]]; ok {
					left -= (left*p + 50) / 100
				}
			}
		}
		if p, ok := h.brand[l.Brand]; ok {
			left -= (left*p + 50) / 100
		}
		net += left
	}
	return net, (net + 50) / 100
}

// TestHandWrittenAgrees: the peer of the benchmark does the same work.
func TestHandWrittenAgrees(t *testing.T) {
	for _, rules := range []int{100, 1000} {
		rb, h := benchBook(t, rules, 10), newHandRules(rules)
		for _, lines := range []int{5, 50, 200} {
			r := benchReceipt(lines, rules)
			res, err := rb.Price(loyalty.Input{Receipt: r, Member: member(t, anna)})
			if err != nil {
				t.Fatal(err)
			}
			net, points := h.sum(r)
			is(t, "net", int64(res.Totals.Net), net)
			is(t, "points", int64(earned(res)), points)
		}
	}
}

func BenchmarkPrice(b *testing.B) {
	m := member(b, anna)
	for _, lines := range []int{5, 50, 200} {
		for _, rules := range []int{100, 1000, 10000} {
			rb := benchBook(b, rules, 0)
			r := benchReceipt(lines, rules)
			peer := newHandRules(rules)
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
					peer.sum(r)
				}
			})
		}
	}
}

// BenchmarkPriceRatio measures the engine and the hand-written sum in turns
// and reports the ratio of the best rounds, which a busy machine disturbs
// least. Goals: x-hand at most 10, allocs/basket at most 20, and x-idle (10,000
// rules that cannot fire beside 1,000 that may) near 1.
func BenchmarkPriceRatio(b *testing.B) {
	m := member(b, anna)
	for _, lines := range []int{5, 50, 200} {
		for _, rules := range []int{100, 1000, 10000} {
			rb, r := benchBook(b, rules, 0), benchReceipt(lines, rules)
			peer := newHandRules(rules)
			in := loyalty.Input{Receipt: r, Member: m}
			engine := func() { mustPriceB(b, rb, in) }
			var old *loyalty.Result
			again := func() {
				in.Reuse = old
				res, err := rb.Price(in)
				if err != nil {
					b.Fatal(err)
				}
				old, in.Reuse = res, nil
			}
			hand := func() { sink, _ = peer.sum(r) }
			b.Run(fmt.Sprintf("lines=%d/rules=%d", lines, rules), func(b *testing.B) {
				var t []int64
				for b.Loop() {
					t = best(40_000/lines, engine, again, hand)
				}
				b.ReportMetric(float64(t[0])/float64(t[2]), "x-hand")
				b.ReportMetric(float64(t[1])/float64(t[2]), "x-hand-reusing")
				b.ReportMetric(float64(t[0]), "ns/basket")
				b.ReportMetric(testing.AllocsPerRun(100, engine), "allocs/basket")
			})
		}
	}
	few, many, r := benchBook(b, 1000, 0), benchBook(b, 1000, 9000), benchReceipt(50, 1000)
	b.Run("idle=9000", func(b *testing.B) {
		var t []int64
		for b.Loop() {
			t = best(500, func() { mustPriceB(b, many, loyalty.Input{Receipt: r, Member: m}) }, func() { mustPriceB(b, few, loyalty.Input{Receipt: r, Member: m}) })
		}
		b.ReportMetric(float64(t[0])/float64(t[1]), "x-idle")
	})
}

var sink int64

func mustPriceB(b *testing.B, rb *loyalty.Rulebook, in loyalty.Input) {
	if _, err := rb.Price(in); err != nil {
		b.Fatal(err)
	}
}

// best runs the functions in turns and returns the nanoseconds that one call
// of each takes in its best round.
func best(calls int, fs ...func()) []int64 {
	t := make([]int64, len(fs))
	for round := range 20 {
		for i, f := range fs {
			start := time.Now()
			for range max(1, calls/20) {
				f()
			}
			if d := max(1, int64(time.Since(start))/int64(max(1, calls/20))); round == 0 || d < t[i] {
				t[i] = d
			}
		}
	}
	return t
}

// BenchmarkCompile reads and compiles 1,000 rules; the goal is at most 5 ms.
func BenchmarkCompile(b *testing.B) {
	doc := benchBook(b, 1000, 0).Programme()
	text, err := json.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := loyalty.Decode(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			if _, err := loyalty.Compile(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
