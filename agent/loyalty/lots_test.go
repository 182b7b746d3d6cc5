package loyalty

import (
	"errors"
	"fmt"
	"testing"
)

func TestLots(t *testing.T) {
	day := func(s string) Date {
		d, err := ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	today := day("2026-11-23")
	var ls Lots
	for _, l := range []Lot{{100, 0, 0}, {200, 0, day("2026-12-31")}, {300, 0, day("2026-11-30")}, {400, day("2026-12-01"), day("2027-12-01")}, {50, 0, day("2026-11-22")}} {
		ls = ls.Add(l)
	}
	if got := ls.Balance(today); got != (Balance{Active: 600, Pending: 400, Expiring: 300, Expires: "2026-11-30"}) {
		t.Errorf("balance %+v", got)
	}
	left, taken, err := ls.Spend(550, today)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(taken) != "[{3.00  2026-11-30} {2.00  2026-12-31} {0.50  }]" {
		t.Errorf("taken %v", taken)
	}
	if b := left.Balance(today); b.Active != 50 || b.Pending != 400 {
		t.Errorf("left %+v", b)
	}
	if _, _, err := ls.Spend(601, today); !errors.Is(err, ErrShort) {
		t.Errorf("spent more than is active: %v", err)
	}
	// A void puts them back with their dates.
	for _, l := range taken {
		left = left.Add(l)
	}
	if left.Balance(today) != ls.Balance(today) {
		t.Errorf("after a void %+v", left.Balance(today))
	}
	rest, gone := ls.Expire(today)
	if gone != 50 || rest.Balance(today).Active != 600 {
		t.Errorf("expired %s", gone)
	}
	slid := rest.Slide(Expiry{Kind: "sliding", Span: Span{1, "years"}}, today)
	if b := slid.Balance(day("2027-11-23")); b.Active != 600+400 || b.Expires != "2027-11-23" {
		t.Errorf("slid %+v", b)
	}
	if b := slid.Balance(day("2027-11-24")); b.Active != 500 {
		t.Errorf("after the end %+v", b)
	}
}

func TestPluralForms(t *testing.T) {
	tpl, err := parseTemplate("ru", "{points} {points, plural, one {балл} few {балла} many {баллов} other {балла}}")
	if err != nil {
		t.Fatal(err)
	}
	pol, err := parseTemplate("pl", "{points, plural, one {# punkt} few {# punkty} many {# punktów} other {# punktu}}")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[Points][2]string{
		100: {"1 балл", "1 punkt"}, 200: {"2 балла", "2 punkty"}, 500: {"5 баллов", "5 punktów"}, 1100: {"11 баллов", "11 punktów"},
		1200: {"12 баллов", "12 punktów"}, 2100: {"21 балл", "21 punktów"}, 2200: {"22 балла", "22 punkty"}, 11100: {"111 баллов", "111 punktów"},
		150: {"1,50 балла", "1,50 punktu"}, 0: {"0 баллов", "0 punktów"}, 123456700: {"1\u00a0234\u00a0567 баллов", "1\u00a0234\u00a0567 punktów"}, -200: {"-2 балла", "-2 punkty"},
	} {
		vars := howVars{"points": pointsValue(n)}
		if got := string(tpl.appendTo(nil, languages["ru"], vars, value{})); got != want[0] {
			t.Errorf("ru %s: %q, want %q", n, got, want[0])
		}
		if got := string(pol.appendTo(nil, languages["pl"], vars, value{})); got != want[1] {
			t.Errorf("pl %s: %q, want %q", n, got, want[1])
		}
	}
	if got := string(must("en", "{{x}} {a}").appendTo(nil, languages["en"], howVars{"a": moneyValue2(175000)}, value{})); got != "{x} 1,750.00" {
		t.Error(got)
	}
	for _, bad := range []string{"{", "}", "{a", "{a,}", "{a, plural}", "{a, plural, one {x}}", "{a, plural, uno {x} other {y}}", "{}", "{a, select, x {y}}"} {
		if _, err := parseTemplate("en", bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestReasonsAreTold: every reason has its words in every language.
func TestReasonsAreTold(t *testing.T) {
	for lang, p := range languages {
		for reason := range languages["en"].reasons {
			if p.reasons[reason] == "" {
				t.Errorf("%s has no words for %s", lang, reason)
			}
		}
	}
}

// TestSplit compares the shares with slow, plain arithmetic on the awkward
// cases: caps, ties and who takes the spare units.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		total         int64
		weights, caps []int64
		spare         Spare
		last          bool
		want          string
		left          int64
	}{
		{10, []int64{1, 1, 1}, nil, SpareLargest, false, "[4 3 3]", 0},
		{10, []int64{1, 1, 1}, nil, SpareLargest, true, "[3 3 4]", 0},
		{11, []int64{1, 1, 1}, nil, SpareLast, false, "[3 4 4]", 0},
		{11, []int64{1, 1, 1}, nil, SpareFirst, false, "[4 4 3]", 0},
		{100, []int64{1, 2, 3}, nil, SpareLargest, false, "[17 33 50]", 0},
		{100, []int64{1, 2, 3}, []int64{5, 100, 100}, SpareLargest, false, "[5 38 57]", 0},
		{100, []int64{1, 2, 3}, []int64{5, 10, 100}, SpareLargest, false, "[5 10 85]", 0},
		{100, []int64{1, 2, 3}, []int64{5, 10, 20}, SpareLargest, false, "[5 10 20]", 65},
		{5, []int64{0, 0, 7}, nil, SpareLargest, false, "[0 0 5]", 0},
		{5, []int64{0, 0, 0}, nil, SpareLargest, false, "[0 0 0]", 5},
		{1 << 60, []int64{1 << 60, 1 << 60}, nil, SpareLargest, false, "[576460752303423488 576460752303423488]", 0},
	} {
		s := split{spare: c.spare, last: c.last}
		out := make([]int64, len(c.weights))
		left := s.share(c.total, c.weights, c.caps, out)
		if fmt.Sprint(out) != c.want || left != c.left {
			t.Errorf("%d by %v within %v: %v and %d left, want %s and %d", c.total, c.weights, c.caps, out, left, c.want, c.left)
		}
	}
}
