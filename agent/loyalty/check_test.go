package loyalty_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestProblems: what is wrong is told all at once, with path, value and remedy.
func TestProblems(t *testing.T) {
	const text = `{
  "programme": {"id": "x", "currency": "gbp", "colour": "red"},
  "wallets": [{"id": "points"}, {"id": "points"}],
  "segments": [{"id": "vip"}],
  "settings": {"in_group": "bset", "rounding": {"mode": "half_up"}},
  "rules": [
    {"id": "a", "then": [{"percent_off": {"precent": "10"}}]},
    {"id": "b", "audience": {"segments": ["vipp"]}, "then": [{"percent_off": {"percent": "110"}}]},
    {"id": "b", "when": {"basket": {"at_least": "ten"}}, "then": []},
    {"id": "c", "then": [{"points": {"points": "5"}, "percent_off": {"percent": "1"}}], "stacking": {"group": "late"}},
    {"id": "d", "schedule": {"from": "2026-12-31", "to": "2026-12-01", "holidays": ["xmas"]}, "then": [{"coupon": {"for": "nobody"}}]}
  ]
}`
	find := func(ps loyalty.Problems, path, code, remedy string) {
		t.Helper()
		for _, p := range ps {
			if p.Path == path && p.Code == code && strings.Contains(p.Remedy, remedy) {
				return
			}
		}
		t.Errorf("no problem %s at %s with remedy %q in:\n%v", code, path, remedy, ps)
	}
	_, err := loyalty.Decode([]byte(text))
	var ps loyalty.Problems
	if !errors.As(err, &ps) {
		t.Fatal(err)
	}
	find(ps, "programme.colour", "unknown_field", "known: id")
	find(ps, "settings.in_group", "unknown_value", "stack, best")
	find(ps, "rules[0].then[0].percent_off.precent", "unknown_field", `did you mean "percent"`)
	find(ps, "rules[2].when.basket.at_least", "bad_value", "decimal")
	if len(ps) != 4 {
		t.Errorf("%d problems: %v", len(ps), ps)
	}
	if ps[0].Line != 2 || ps[2].Line != 7 {
		t.Errorf("lines %d and %d", ps[0].Line, ps[2].Line)
	}
	mended := strings.NewReplacer(`, "colour": "red"`, "", "bset", "best", "precent", "percent", `"ten"`, `"10"`).Replace(text)
	doc, err := loyalty.Decode([]byte(mended))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = loyalty.Compile(doc); !errors.As(err, &ps) {
		t.Fatal(err)
	}
	find(ps, "programme.currency", "bad_value", "capital")
	find(ps, "wallets[1].id", "repeated", "")
	find(ps, "rules[2].id", "repeated", "")
	find(ps, "rules[1].audience.segments[0]", "unknown_segment", `did you mean "vip"`)
	find(ps, "rules[1].then[0].percent_off.percent", "range", "")
	find(ps, "rules[2].then", "required", "")
	find(ps, "rules[3].then[0]", "one_reward", "")
	find(ps, "rules[3].stacking.group", "unknown_stacking_group", "")
	find(ps, "rules[4].schedule.to", "order", "")
	find(ps, "rules[4].schedule.holidays[0]", "unknown_holiday_list", "")
	find(ps, "rules[4].then[0].coupon.for", "unknown_rule", "")
}

// TestConflicts: shadows and the like are found, and innocent rules are not
// accused.
func TestConflicts(t *testing.T) {
	kinds := func(rules string) string {
		t.Helper()
		rb := book(t, `"segments": [{"id": "vip"}], "legal": [{"id": "l", "rules": [{"id": "t", "on": {"categories": ["tobacco"]}, "ban": ["discount"]}]}],
			"stacking_groups": [{"id": "first", "mode": "first"}, {"id": "best", "mode": "best"}], "rules": [`+rules+
			`{"id": "use", "audience": {"segments": ["vip"]}, "stacking": {"group": "first"}, "then": [{"points": {"points": "1"}}]},
			{"id": "use2", "stacking": {"group": "best"}, "then": [{"points": {"points": "1"}}]}]`)
		var out []string
		for _, c := range rb.Conflicts() {
			out = append(out, c.Kind+" "+strings.Join(c.Rules, ","))
		}
		return strings.Join(out, "; ")
	}
	off := func(id, percent, on, rest string) string {
		return `{"id": "` + id + `", "then": [{"percent_off": {"percent": "` + percent + `", "on": {` + on + `}}}]` + rest + `},`
	}
	for _, c := range []struct{ name, rules, want string }{
		{"nothing", off("a", "5", `"skus": ["A"]`, "") + off("b", "5", `"skus": ["B"]`, ""), ""},
		{"stacking on the same goods", off("a", "10", `"categories": ["food"]`, "") + off("b", "10", `"categories": ["food/bread"]`, ""), "stacks a,b"},
		{"never in one week", off("a", "10", `"skus": ["A"]`, `, "schedule": {"weekdays": ["mon"]}`) + off("b", "10", `"skus": ["A"]`, `, "schedule": {"weekdays": ["tue"]}`), ""},
		{"the first of a group takes all", off("a", "5", ``, `, "stacking": {"group": "first", "priority": 1}`) + off("b", "9", `"skus": ["A"]`, `, "stacking": {"group": "first"}`), "shadowed b,a"},
		{"the first one is narrower", off("a", "5", `"skus": ["A"]`, `, "stacking": {"group": "first", "priority": 1}`) + off("b", "9", ``, `, "stacking": {"group": "first"}`), ""},
		{"the better one always wins", off("a", "5", `"skus": ["A"]`, `, "stacking": {"group": "best"}`) + off("b", "9", ``, `, "stacking": {"group": "best"}`), "shadowed a,b"},
		{"the law", off("a", "5", `"categories": ["tobacco/pipes"]`, ""), "legal a"},
		{"one code, two rules", off("a", "5", `"skus": ["A"]`, `, "when": {"coupon": {"codes": ["X"]}}`) + off("b", "5", `"skus": ["B"]`, `, "when": {"coupon": {"codes": ["X"]}}`), "coupon a,b"},
		{"ids decide", off("a", "5", `"skus": ["A"]`, "") + `{"id": "b", "then": [{"amount_off": {"amount": "1", "on": {"skus": ["A"]}}}]},`, "stacks a,b; same_priority a,b"},
	} {
		if got := kinds(c.rules); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestDiff: what changed is named by the rule's id, and moving is no change.
func TestDiff(t *testing.T) {
	read := func(rules string) *loyalty.Document {
		doc, err := loyalty.Decode([]byte(`{"programme": {"id": "x", "currency": "EUR"}, "rules": [` + rules + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	a := read(`{"id": "a", "then": [{"percent_off": {"percent": "5"}}]}, {"id": "b", "then": [{"percent_off": {"percent": "6"}}]}`)
	b := read(`{"id": "b", "then": [{"percent_off": {"percent": "6.0"}}]}, {"id": "a", "then": [{"percent_off": {"percent": "7"}}]}, {"id": "c", "then": [{"round_total": {"step": "1"}}]}`)
	changes, err := loyalty.Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.String())
	}
	want := `~ rules[a].then[0].percent_off.percent: "5" -> "7"
+ rules[c]: {"id":"c","then":[{"round_total":{"step":"1.00"}}]}`
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

// TestExplainBan: goods that a rule keeps from earning are named like those of
// the law, and once only when both do.
func TestExplainBan(t *testing.T) {
	rb := book(t, `"legal": [{"id": "l", "rules": [{"id": "t", "name": {"en": "tobacco"}, "on": {"categories": ["tobacco"]}, "ban": ["earn"]}]}],
		"rules": [{"id": "base", "then": [{"points_percent": {"percent": "2"}}]},
			{"id": "cards", "name": {"en": "gift cards"}, "then": [{"ban": {"ban": ["earn"], "on": {"categories": ["cards", "tobacco"]}}}]},
			{"id": "sale", "then": [{"ban": {"ban": ["discount"]}}]}]`)
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "1750"}, {"sku": "c", "category": "tobacco", "quantity": "1", "price": "420"},
		{"sku": "g", "category": "cards", "quantity": "2", "price": "25"}, {"sku": "h", "category": "cards", "quantity": "1", "price": "10"}]}`, anna)
	want := "35 points: 2 % of 1,750.00; tobacco 420.00 earns nothing; gift cards 60.00 earns nothing"
	said := func(rules []loyalty.Sentence) string {
		for _, s := range rules {
			if s.Rule == "base" {
				return s.Text
			}
		}
		return ""
	}
	is(t, "afterwards", said(rb.Explain(r, "en").Given), want)
	for _, e := range r.Rules {
		if e.Rule == "base" {
			is(t, "in the result", e.Explain, want)
		}
	}
}

// TestExplain: the sentence of the issue, in three languages.
func TestExplain(t *testing.T) {
	rb := book(t, `"legal": [{"id": "l", "rules": [{"id": "t", "name": {"en": "tobacco", "ru": "табак", "pl": "tytoń"}, "on": {"categories": ["tobacco"]}, "ban": ["earn"]}]}],
		"rules": [{"id": "base", "then": [{"points_percent": {"percent": "2"}}]}]`)
	r := price(t, rb, `{"lines": [{"sku": "a", "quantity": "1", "price": "1750"}, {"sku": "c", "category": "tobacco", "quantity": "1", "price": "420"}]}`, anna)
	is(t, "in the result", r.Rules[0].Explain, "35 points: 2 % of 1,750.00; tobacco 420.00 earns nothing")
	for lang, want := range map[string]string{
		"en": "35 points: 2 % of 1,750.00; tobacco 420.00 earns nothing",
		"ru": "35 баллов: 2 % от 1\u00a0750,00; табак на 420,00 — без баллов",
		"pl": "35 punktów: 2 % od 1\u00a0750,00; tytoń za 420,00 bez punktów",
	} {
		is(t, lang, rb.Explain(r, lang).Given[0].Text, want)
	}
}

// TestDiffTellsOrderAndLongTexts: an order that counts, and the end of a long
// text, are changes.
func TestDiffTellsOrderAndLongTexts(t *testing.T) {
	doc := func(groups, end string) *loyalty.Document {
		t.Helper()
		d, err := loyalty.Decode([]byte(`{"programme": {"id": "x", "currency": "EUR"}, "stacking_groups": [` + groups + `],
			"rules": [{"id": "r", "explain": "` + strings.Repeat("long ", 60) + end + `", "then": [{"percent_off": {"percent": "10"}}]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const ab, ba = `{"id": "a"}, {"id": "b"}`, `{"id": "b"}, {"id": "a"}`
	for _, x := range []struct {
		a, b *loyalty.Document
		want string
	}{
		{doc(ab, "x"), doc(ab, "x"), ""},
		{doc(ab, "x"), doc(ba, "x"), `~ stacking_groups (order): ["a","b"] -> ["b","a"]`},
		{doc(ab, "x"), doc(`{"id": "c"}, `+ab, "x"), `+ stacking_groups[c]: {"id":"c"}`},
	} {
		changes, err := loyalty.Diff(x.a, x.b)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			got = append(got, c.String())
		}
		is(t, "changes", strings.Join(got, "\n"), x.want)
	}
	if changes, err := loyalty.Diff(doc(ab, "x"), doc(ab, "y")); err != nil || len(changes) != 1 || !strings.HasPrefix(changes[0].Path, "rules[r].explain") {
		t.Errorf("the end of a long text: %v, %v", changes, err)
	}
}
