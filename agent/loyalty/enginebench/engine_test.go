package enginebench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/tillside/tillside/agent/loyalty"
)

// rules are the same as in the engine's own benchmark: of ten, six are for a
// SKU, two for a category, one for a brand, one for a segment.
type rule struct {
	sku, category, brand string
	vip                  bool
	percent              int64
}

func rulesOf(n int) []rule {
	rs := make([]rule, n)
	for i := range rs {
		rs[i] = rule{sku: sku(i), percent: int64(1 + i%20)}
		switch i % 10 {
		case 6, 7:
			rs[i] = rule{category: category(i), percent: rs[i].percent}
		case 8:
			rs[i] = rule{brand: brand(i), percent: rs[i].percent}
		case 9:
			rs[i].vip = true
		}
	}
	return rs
}

func sku(i int) string      { return fmt.Sprintf("sku-%05d", i) }
func category(i int) string { return fmt.Sprintf("dept-%d/shelf-%d/bay-%d", i%7, i%31, i) }
func brand(i int) string    { return fmt.Sprintf("brand-%d", i) }

// typed compiles the rules for the engine.
func typed(tb testing.TB, rs []rule) *loyalty.Rulebook {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`{"programme": {"id": "b", "currency": "EUR"}, "wallets": [{"id": "points"}], "segments": [{"id": "vip"}],
		"rules": [{"id": "base", "then": [{"points_percent": {"percent": "1"}}]}`)
	for i, r := range rs {
		on, more := "", ""
		switch {
		case r.category != "":
			on = fmt.Sprintf(`"categories": ["%s"]`, r.category)
		case r.brand != "":
			on = fmt.Sprintf(`"brands": ["%s"]`, r.brand)
		default:
			on = fmt.Sprintf(`"skus": ["%s"]`, r.sku)
		}
		if r.vip {
			more = `"audience": {"segments": ["vip"]},`
		}
		fmt.Fprintf(&b, `, {"id": "r%05d", %s "then": [{"percent_off": {"percent": "%d", "on": {%s}}}]}`, i, more, r.percent, on)
	}
	b.WriteString("]}")
	doc, err := loyalty.Decode([]byte(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return rb
}

// line and basket are what the expressions see.
type line struct {
	SKU, Category, Brand string
	Left                 int64
}

type basket struct {
	Lines    []line
	Segments []string
}

// expressions compiles the rules for the general engine: each answers the
// positions of its lines.
func expressions(tb testing.TB, rs []rule) []*vm.Program {
	tb.Helper()
	ps := make([]*vm.Program, len(rs))
	for i, r := range rs {
		cond := fmt.Sprintf("Lines[#].SKU == %q", r.sku)
		switch {
		case r.category != "":
			cond = fmt.Sprintf("Lines[#].Category startsWith %q", r.category)
		case r.brand != "":
			cond = fmt.Sprintf("Lines[#].Brand == %q", r.brand)
		}
		code := fmt.Sprintf("filter(0..len(Lines)-1, {%s})", cond)
		if r.vip {
			code = fmt.Sprintf(`"vip" in Segments ? %s : []`, code)
		}
		p, err := expr.Compile(code, expr.Env(basket{}))
		if err != nil {
			tb.Fatal(err)
		}
		ps[i] = p
	}
	return ps
}

func sumUp(tb testing.TB, machine *vm.VM, ps []*vm.Program, rs []rule, r *loyalty.Receipt, b *basket) (net, points int64) {
	b.Lines = b.Lines[:0]
	for i := range r.Lines {
		l := &r.Lines[i]
		b.Lines = append(b.Lines, line{l.SKU, l.Category, l.Brand, int64(l.Price) / 10_000 * int64(l.Quantity) / 1000})
	}
	for i, p := range ps {
		out, err := machine.Run(p, *b)
		if err != nil {
			tb.Fatal(err)
		}
		for _, k := range out.([]any) {
			l := &b.Lines[k.(int)]
			l.Left -= (l.Left*rs[i].percent + 50) / 100
		}
	}
	for i := range b.Lines {
		net += b.Lines[i].Left
	}
	return net, (net + 50) / 100
}

func receipt(lines, rules int) *loyalty.Receipt {
	r := &loyalty.Receipt{Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	for i := range lines {
		k := i * rules / lines
		r.Lines = append(r.Lines, loyalty.Line{SKU: sku(k), Category: category(k), Brand: brand(k),
			Quantity: 1000 * loyalty.Quantity(1+i%3), Price: loyalty.Price(1_000_000 * (1 + i%50))})
	}
	return r
}

// TestSameWork: both come to the same net and points.
func TestSameWork(t *testing.T) {
	rs := rulesOf(200)
	rb, ps := typed(t, rs), expressions(t, rs)
	for _, lines := range []int{5, 50} {
		r := receipt(lines, len(rs))
		res, err := rb.Price(loyalty.Input{Receipt: r, Member: &loyalty.Member{ID: 1}})
		if err != nil {
			t.Fatal(err)
		}
		net, points := sumUp(t, new(vm.VM), ps, rs, r, new(basket))
		if int64(res.Totals.Net) != net || int64(res.Earned[0].Points) != points {
			t.Errorf("%d lines: %v and %v, expressions %d and %d", lines, res.Totals.Net, res.Earned[0].Points, net, points)
		}
	}
}

// BenchmarkBesideExpr runs both in turns and reports how many times slower
// the expressions are; the goal is at least 10.
func BenchmarkBesideExpr(b *testing.B) {
	for _, rules := range []int{100, 1000, 10_000} {
		rs := rulesOf(rules)
		rb, ps := typed(b, rs), expressions(b, rs)
		for _, lines := range []int{5, 50, 200} {
			r, m := receipt(lines, rules), &loyalty.Member{ID: 1}
			b.Run(fmt.Sprintf("lines=%d/rules=%d", lines, rules), func(b *testing.B) {
				machine, bk := new(vm.VM), new(basket)
				engine, general := time.Duration(1<<62), time.Duration(1<<62)
				for b.Loop() {
					for range 10 {
						start := time.Now()
						for range 20 {
							if _, err := rb.Price(loyalty.Input{Receipt: r, Member: m}); err != nil {
								b.Fatal(err)
							}
						}
						engine = min(engine, time.Since(start)/20)
						start = time.Now()
						sumUp(b, machine, ps, rs, r, bk)
						general = min(general, time.Since(start))
					}
				}
				b.ReportMetric(float64(engine.Nanoseconds()), "ns/engine")
				b.ReportMetric(float64(general.Nanoseconds()), "ns/expr")
				b.ReportMetric(float64(general)/float64(engine), "x-faster")
			})
		}
	}
}
