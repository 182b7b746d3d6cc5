package loyalty_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestMain asks rapid for a thousand cases each instead of its hundred; more
// with -rapid.checks=40000, its own hundred with -short.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); !testing.Short() && f.Value.String() == f.DefValue {
		if err := f.Value.Set("1000"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// rapidSource draws from rapid, which prints the seed of a failure.
type rapidSource struct{ t *rapid.T }

func (s rapidSource) between(lo, hi int) int { return rapid.IntRange(lo, hi).Draw(s.t, "n") }

func compileOrSkip(t *rapid.T, d *loyalty.Document) *loyalty.Rulebook {
	rb, err := loyalty.Compile(d)
	if err != nil {
		t.Skip(err)
	}
	return rb
}

func mustPrice(t *rapid.T, rb *loyalty.Rulebook, r *loyalty.Receipt, m *loyalty.Member) *loyalty.Result {
	res, err := rb.Price(loyalty.Input{Receipt: r, Member: m})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func asJSON(t *rapid.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAllocations: all shares add up, nothing falls below its floor, and a
// discount never raises anything.
func TestAllocations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		rb := compileOrSkip(t, genBook(s))
		r, m := genReceipt(s), genMember(s)
		res := mustPrice(t, rb, r, m)
		var gross, net, redeemed loyalty.Money
		byRule := map[string]loyalty.Money{}
		points := map[string]loyalty.Points{}
		var spent loyalty.Points
		for i, l := range res.Lines {
			left := l.Gross
			for _, d := range l.Discounts {
				if d.Amount <= 0 {
					t.Fatalf("line %d: discount of %s by %s", i, d.Amount, d.Rule)
				}
				left -= d.Amount
				byRule[d.Rule] += d.Amount
			}
			if left-l.Redeemed != l.Net {
				t.Fatalf("line %d: %s - discounts - %s is not %s", i, l.Gross, l.Redeemed, l.Net)
			}
			floor := loyalty.Money(0)
			if p := r.Lines[i].MinPrice; p != nil {
				floor = loyalty.Money(int64(*p) * int64(r.Lines[i].Quantity) / 10_000_000)
			}
			if r.Lines[i].Category == "drinks/beer" {
				floor = max(floor, loyalty.Money(int64(r.Lines[i].Quantity)*200/1000))
			}
			if l.Net < 0 || len(l.Discounts) > 0 && left < floor || l.Redeemed > 0 && l.Net < floor {
				t.Fatalf("line %d: net %s is below its floor %s", i, l.Net, floor)
			}
			if r.Lines[i].Category == "tobacco" && (len(l.Discounts) > 0 || l.Redeemed > 0 || len(l.Earned) > 0) {
				t.Fatalf("line %d: the law was passed", i)
			}
			for _, e := range l.Earned {
				points[e.Rule+" "+e.Wallet] += e.Points
			}
			gross, net, redeemed, spent = gross+l.Gross, net+l.Net, redeemed+l.Redeemed, spent+l.Spent
		}
		if want := (loyalty.Totals{Gross: gross, Discount: gross - net - redeemed, Redeemed: redeemed, Net: net}); res.Totals != want {
			t.Fatalf("totals %+v, lines say %+v", res.Totals, want)
		}
		for _, e := range res.Rules {
			if e.Discount != byRule[e.Rule] {
				t.Fatalf("rule %s gave %s, lines say %s", e.Rule, e.Discount, byRule[e.Rule])
			}
			delete(byRule, e.Rule)
		}
		if len(byRule) > 0 {
			t.Fatalf("discounts of rules that are not told: %v", byRule)
		}
		for _, e := range res.Earned {
			points[e.Rule+" "+e.Wallet] -= e.Points
		}
		for k, n := range points {
			if n != 0 {
				t.Fatalf("points of %s: lines and lots differ by %s", k, n)
			}
		}
		if sp := res.Spend; sp != nil {
			if sp.Value != redeemed || sp.Points != spent || sp.Points > sp.Max || sp.Points > m.Wallets["points"].Active {
				t.Fatalf("spending %+v, lines say %s for %s", sp, redeemed, spent)
			}
		} else if redeemed != 0 {
			t.Fatal("paid with points without a way to")
		}
	})
}

// TestOrderOfRules: how the rules are listed does not matter.
func TestOrderOfRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		d := genBook(s)
		rb := compileOrSkip(t, d)
		r, m := genReceipt(s), genMember(s)
		want := asJSON(t, mustPrice(t, rb, r, m))
		shuffled := *d
		shuffled.Rules = slices.Clone(d.Rules)
		for i := len(shuffled.Rules) - 1; i > 0; i-- {
			j := s.between(0, i)
			shuffled.Rules[i], shuffled.Rules[j] = shuffled.Rules[j], shuffled.Rules[i]
		}
		if got := asJSON(t, mustPrice(t, compileOrSkip(t, &shuffled), r, m)); !bytes.Equal(got, want) {
			t.Fatalf("another order of rules gives another result:\n%s\n%s", want, got)
		}
		// And the same book again, after other receipts went through it, in
		// the memory of their results.
		old := mustPrice(t, rb, genReceipt(s), genMember(s))
		res, err := rb.Price(loyalty.Input{Receipt: r, Member: m, Reuse: old})
		if err != nil {
			t.Fatal(err)
		}
		if got := asJSON(t, res); !bytes.Equal(got, want) {
			t.Fatalf("the same input gives another result the second time:\n%s\n%s", want, got)
		}
	})
}

// sum adds up what returns gave and took, for comparison.
func sum(rs []*loyalty.ReturnResult) map[string]int64 {
	m := map[string]int64{}
	for _, r := range rs {
		for _, l := range r.Lines {
			m["qty "+l.ID] += int64(l.Quantity)
			m["gross "+l.ID] += int64(l.Gross)
			m["net "+l.ID] += int64(l.Net)
			m["redeemed "+l.ID] += int64(l.Redeemed)
			m["spent "+l.ID] += int64(l.Spent)
			for _, d := range l.Discounts {
				m["discount "+l.ID+d.Rule] += int64(d.Amount)
			}
			for _, e := range l.Earned {
				m["earned "+l.ID+e.Rule+e.Wallet] += int64(e.Points)
			}
		}
		for _, p := range r.PointsBack {
			m["back "+p.Wallet] += int64(p.Points)
		}
		for _, p := range r.PointsTaken {
			m["taken "+p.Rule+p.Wallet] += int64(p.Points)
		}
		for _, c := range r.Counters {
			m["counter "+c.Counter] += c.Add
		}
		for _, s := range r.Stamps {
			m["stamps "+s.Card] += s.Added
			m["completed "+s.Card] += s.Completed
		}
	}
	for k, v := range m {
		if v == 0 {
			delete(m, k)
		}
	}
	return m
}

// checkPartGross: what has come back of a line by now is worth its share of
// the line's amount, rounded, and with it its price.
func checkPartGross(t *rapid.T, sale *loyalty.Result, parts []*loyalty.ReturnResult) {
	for _, l := range sale.Lines {
		var gross loyalty.Money
		var q loyalty.Quantity
		for _, r := range parts {
			for _, x := range r.Lines {
				if x.ID == l.ID {
					gross, q = gross+x.Gross, q+x.Quantity
				}
			}
		}
		if off := 2*int64(gross)*int64(l.Quantity) - 2*int64(l.Gross)*int64(q); off > int64(l.Quantity) || off < -int64(l.Quantity) {
			t.Fatalf("%s of line %+v came back for %s", q, l, gross)
		}
	}
}

// TestReturns: a sale and its whole return are nothing, and a return in any
// parts is the return at once; no part pays less than nothing.
func TestReturns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		rb := compileOrSkip(t, genBook(s))
		r, m := genReceipt(s), genMember(s)
		sale := mustPrice(t, rb, r, m)
		whole, err := rb.Return(sale, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if whole.Totals.Gross != sale.Totals.Gross || whole.Totals.Net != sale.Totals.Net || whole.Totals.Discount != sale.Totals.Discount || !whole.Whole {
			t.Fatalf("whole return %+v of %+v", whole.Totals, sale.Totals)
		}
		if m != nil {
			after := rb.ApplyReturn(rb.Apply(m, sale, noon), whole, noon)
			before := rb.Apply(m, &loyalty.Result{}, noon)
			after.Tier, after.TierSince = before.Tier, before.TierSince
			for _, w := range []string{"points", "stars"} {
				if after.Wallets[w] != before.Wallets[w] {
					t.Fatalf("wallet %s: %+v before, %+v after", w, before.Wallets[w], after.Wallets[w])
				}
			}
			if !reflect.DeepEqual(after.Counters, before.Counters) || !reflect.DeepEqual(after.Stamps, before.Stamps) {
				t.Fatalf("before %v %v, after %v %v", before.Counters, before.Stamps, after.Counters, after.Stamps)
			}
		}
		var parts []*loyalty.ReturnResult
		left := map[string]loyalty.Quantity{}
		for _, l := range sale.Lines {
			left[l.ID] = l.Quantity
		}
		for len(left) > 0 && len(parts) < 40 {
			var lines []loyalty.ReturnLine
			for _, l := range sale.Lines {
				n := left[l.ID]
				if n == 0 || s.between(0, 2) == 0 {
					continue
				}
				if s.between(0, 1) == 0 {
					n = loyalty.Quantity(s.between(1, int(n)))
				}
				lines = append(lines, loyalty.ReturnLine{ID: l.ID, Quantity: n})
				if left[l.ID] -= n; left[l.ID] == 0 {
					delete(left, l.ID)
				}
			}
			if len(lines) == 0 {
				continue
			}
			part, err := rb.Return(sale, parts, lines)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range part.Lines {
				sum := l.Net + l.Redeemed
				for _, d := range l.Discounts {
					sum += d.Amount
					if d.Amount < 0 {
						sum = -1
					}
				}
				if l.Net < 0 || l.Gross < 0 || l.Redeemed < 0 || sum != l.Gross {
					t.Fatalf("a part pays less than nothing, or does not add up: %+v", l)
				}
			}
			parts = append(parts, part)
			checkPartGross(t, sale, parts)
		}
		if len(left) > 0 {
			rest, err := rb.Return(sale, parts, nil)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, rest)
		}
		if m != nil && len(parts) > 0 {
			before, after := rb.Apply(m, &loyalty.Result{}, noon), rb.Apply(m, sale, noon)
			for _, r := range parts {
				after = rb.ApplyReturn(after, r, noon)
			}
			if !reflect.DeepEqual(after.Stamps, before.Stamps) || after.Wallets["points"] != before.Wallets["points"] || !reflect.DeepEqual(after.Coupons, before.Coupons) {
				t.Fatalf("in %d parts: before %v %v %v, after %v %v %v", len(parts), before.Stamps, before.Wallets, before.Coupons, after.Stamps, after.Wallets, after.Coupons)
			}
		}
		if got, want := sum(parts), sum([]*loyalty.ReturnResult{whole}); len(parts) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("in %d parts %v\nat once %v", len(parts), got, want)
		}
		if len(sale.Lines) > 0 {
			if _, err := rb.Return(sale, parts, []loyalty.ReturnLine{{ID: sale.Lines[0].ID, Quantity: 1}}); err == nil {
				t.Fatal("more came back than was sold")
			}
		}
	})
}

// TestConditionsNarrow: a rule with one more condition never gives more, and
// no rule raises the sum.
func TestConditionsNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapidSource{t}
		d := genBook(s)
		d.Rules = d.Rules[:1]
		d.Rules[0].Limits = nil
		rb := compileOrSkip(t, d)
		r, m := genReceipt(s), genMember(s)
		r.Spend = ""
		wide := mustPrice(t, rb, r, m)
		if wide.Totals.Net > wide.Totals.Gross {
			t.Fatalf("net %s above gross %s", wide.Totals.Net, wide.Totals.Gross)
		}
		more := genCondition(s)
		if more == nil {
			return
		}
		narrowed := *d
		narrowed.Rules = slices.Clone(d.Rules)
		all := []loyalty.Condition{*more}
		if d.Rules[0].When != nil {
			all = append(all, *d.Rules[0].When)
		}
		narrowed.Rules[0].When = &loyalty.Condition{All: all}
		narrow := mustPrice(t, compileOrSkip(t, &narrowed), r, m)
		if len(wide.Rules) == 0 && len(narrow.Rules) > 0 {
			t.Fatal("a further condition made the rule fire")
		}
		if len(narrow.Rules) > 0 && !reflect.DeepEqual(narrow.Lines, wide.Lines) {
			t.Fatal("a further condition that holds changed the result")
		}
	})
}
