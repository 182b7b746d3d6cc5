package loyalty

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// VectorResult is what became of one test vector.
type VectorResult struct {
	Name  string   `json:"name"`
	OK    bool     `json:"ok"`
	Wrong []string `json:"wrong,omitempty"` // what differs, with both values
}

// vectorNow is the moment of vectors that name none, so that they mean the
// same on every day.
var vectorNow = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// RunVectors prices the document's test vectors and compares what they
// expect. A rulebook with a vector that differs must not be activated.
func (rb *Rulebook) RunVectors() []VectorResult {
	out := make([]VectorResult, 0, len(rb.doc.Vectors))
	for i := range rb.doc.Vectors {
		out = append(out, rb.runVector(&rb.doc.Vectors[i]))
	}
	return out
}

// CheckVectors runs the vectors and returns Problems for those that differ.
func (rb *Rulebook) CheckVectors() error {
	var ps Problems
	for i, v := range rb.RunVectors() {
		for _, w := range v.Wrong {
			if len(ps) < maxProblems {
				ps = append(ps, Problem{Path: fmt.Sprintf("vectors[%d]", i), Code: "vector", What: v.Name + ": " + w, Remedy: "mend the rule, or the expectation"})
			}
		}
	}
	return ps.err()
}

func (rb *Rulebook) runVector(v *Vector) VectorResult {
	c := vectorCheck{}
	in := Input{Receipt: &v.Receipt, Member: v.Member, Offline: v.Offline, Budgets: v.Budgets, Now: vectorNow, Trace: TraceAll}
	if in.Budgets == nil {
		in.Budgets = rb.FreshBudgets()
	}
	if v.Now != "" {
		now, err := time.Parse(time.RFC3339, v.Now)
		if err != nil {
			return VectorResult{Name: v.Name, Wrong: []string{fmt.Sprintf("now %q is not a time like 2026-12-24T18:30:00+01:00", v.Now)}}
		}
		in.Now = now
	}
	res, err := rb.Price(in)
	var refused *InputError
	switch {
	case errors.As(err, &refused):
		c.text("error", refused.Code, v.Expect.Error)
	case err != nil:
		c.text("error", err.Error(), v.Expect.Error)
	default:
		c.text("error", "", v.Expect.Error)
		if v.Expect.Error == "" {
			c.compare(res, &v.Expect)
		}
	}
	return VectorResult{Name: v.Name, OK: len(c.wrong) == 0, Wrong: c.wrong}
}

// vectorCheck gathers differences.
type vectorCheck struct{ wrong []string }

func (c *vectorCheck) text(what, got, want string) {
	if got != want {
		c.wrong = append(c.wrong, fmt.Sprintf("%s is %q, expected %q", what, got, want))
	}
}

func check[T interface {
	comparable
	fmt.Stringer
}](c *vectorCheck, what string, got T, want *T) {
	if want != nil && got != *want {
		c.wrong = append(c.wrong, fmt.Sprintf("%s is %s, expected %s", what, got, *want))
	}
}

func (c *vectorCheck) compare(r *Result, x *Expect) {
	check(c, "gross", r.Totals.Gross, x.Gross)
	check(c, "discount", r.Totals.Discount, x.Discount)
	check(c, "redeemed", r.Totals.Redeemed, x.Redeemed)
	check(c, "net", r.Totals.Net, x.Net)
	toPay := r.Totals.ToPay
	if toPay == 0 {
		toPay = r.Totals.Net
	}
	check(c, "to_pay", toPay, x.ToPay)
	if x.Earned != nil {
		got := map[string]Points{}
		for _, e := range r.Earned {
			got[e.Wallet] += e.Points
		}
		compareMaps(c, "earned", got, x.Earned)
	}
	if x.Max != nil {
		most := Points(0)
		if r.Spend != nil {
			most = r.Spend.Max
		}
		check(c, "max_points", most, x.Max)
	}
	for _, id := range slices.Sorted(maps.Keys(x.Lines)) {
		c.line(r, id, x.Lines[id])
	}
	if x.Fired != nil {
		var got []string
		for _, e := range r.Rules {
			got = append(got, e.Rule)
		}
		c.text("fired", strings.Join(got, " "), strings.Join(x.Fired, " "))
	}
	for _, id := range slices.Sorted(maps.Keys(x.Not)) {
		k := slices.IndexFunc(r.Trace, func(t TraceStep) bool { return t.Rule == id })
		switch {
		case k < 0:
			c.wrong = append(c.wrong, fmt.Sprintf("not_fired.%s: the rulebook has no such rule", id))
		case r.Trace[k].Fired:
			c.wrong = append(c.wrong, fmt.Sprintf("rule %s fired, expected %q", id, x.Not[id]))
		default:
			c.text("reason of "+id, r.Trace[k].Reason, x.Not[id])
		}
	}
	if x.Stamps != nil {
		got := map[string]Quantity{}
		for _, s := range r.Stamps {
			got[s.Card] = Quantity(s.Held * oneUnit)
		}
		want := map[string]Quantity{}
		for k, n := range x.Stamps {
			want[k] = Quantity(n * oneUnit)
		}
		compareMaps(c, "stamps", got, want)
	}
	if x.Gifts != nil {
		got := map[string]Quantity{}
		for _, g := range r.Gifts {
			got[g.SKU] += g.Quantity
		}
		compareMaps(c, "gifts", got, x.Gifts)
	}
	for _, code := range slices.Sorted(maps.Keys(x.Coupons)) {
		k := slices.IndexFunc(r.Coupons, func(u CouponUse) bool { return u.Code == code })
		if k < 0 {
			c.wrong = append(c.wrong, fmt.Sprintf("coupon %s is not in the result", code))
			continue
		}
		c.text("coupon "+code, r.Coupons[k].State, x.Coupons[code])
	}
	if x.Tier != nil {
		after := ""
		if r.Tier != nil {
			after = r.Tier.After
		}
		c.text("tier", after, *x.Tier)
	}
}

func (c *vectorCheck) line(r *Result, id string, x ExpectLine) {
	k := slices.IndexFunc(r.Lines, func(l LineResult) bool { return l.ID == id })
	if k < 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("the receipt has no line %q", id))
		return
	}
	l := &r.Lines[k]
	check(c, "line "+id+" discount", l.Gross-l.Net-l.Redeemed, x.Discount)
	check(c, "line "+id+" net", l.Net, x.Net)
	check(c, "line "+id+" redeemed", l.Redeemed, x.Redeemed)
	var points Points
	for _, e := range l.Earned {
		points += e.Points
	}
	check(c, "line "+id+" points", points, x.Points)
}

// compareMaps compares amounts by name; what is absent is zero.
func compareMaps[T interface {
	~int64
	fmt.Stringer
}](c *vectorCheck, what string, got, want map[string]T) {
	names := maps.Clone(got)
	maps.Copy(names, want)
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if got[k] != want[k] {
			c.wrong = append(c.wrong, fmt.Sprintf("%s of %s is %s, expected %s", what, k, got[k], want[k]))
		}
	}
}
