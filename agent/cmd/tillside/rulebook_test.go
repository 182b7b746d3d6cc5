package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestRulebookCommands: each command, its exit code, and a word of what it says.
func TestRulebookCommands(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const rules = `"rules": [{"id": "base", "name": "Points", "then": [{"points_percent": {"percent": "100"}}]}, {"id": "bread", "then": [{"percent_off": {"percent": "10", "on": {"categories": ["bread"]}}}]}]`
	good := file("good.json", `{"programme": {"id": "x", "currency": "EUR"}, "wallets": [{"id": "points"}], `+rules+`}`)
	other := file("other.json", `{"programme": {"id": "x", "currency": "EUR"}, "wallets": [{"id": "points"}], `+strings.Replace(rules, `"10"`, `"12"`, 1)+`}`)
	bad := file("bad.json", `{"programme": {"id": "x", "currency": "EUR"}, "rules": [{"id": "a", "then": [{"percent_of": {}}]}]}`)
	wrong := file("wrong.json", `{"programme": {"id": "x", "currency": "EUR"}, "wallets": [{"id": "points"}], `+rules+`, "vectors": [{"name": "off by one", "receipt": {"lines": []}, "expect": {"net": "0.01"}}]}`)
	twice := file("twice.json", `{"programme": {"id": "x", "currency": "EUR"}, "rules": [{"id": "a", "then": [{"percent_off": {"percent": "10"}}]}, {"id": "b", "then": [{"percent_off": {"percent": "10"}}]}]}`)
	basket := file("basket.json", `{"lines": [{"sku": "a", "category": "bread", "quantity": 2, "price": 1.50}]}`)
	foreign := file("foreign.json", `{"currency": "USD", "lines": []}`)
	slip := file("slip.json", `{"lines": [{"sku": "a", "quantiti": "1", "price": "1"}]}`)
	anna := file("anna.json", `{"id": "1", "wallets": {"points": "5"}}`)
	back := file("back.json", `{"lines": [{"id": "1", "quantity": "1"}]}`)
	told := file("told.json", `{"receipt": "", "rulebook": "x@0", "currency": "EUR", "whole": true, "lines": [{"id": "1", "sku": "a", "quantity": "2", "gross": "3.00", "net": "2.70"}], "totals": {"gross": "3.00", "discount": "0.30", "redeemed": "0.00", "net": "2.70"}}`)
	cheap := file("cheap.json", `{"lines": [{"sku": "b", "quantity": 1, "price": 1}]}`)
	dear := file("dear.json", `{"lines": [{"sku": "b", "quantity": 1, "price": 10}]}`)
	poor := file("poor.json", `{"id": "1", "wallets": {"points": "1"}}`)
	rolling := file("rolling.json", `{"programme": {"id": "x", "currency": "EUR"}, "rules": [{"id": "a", "limits": [{"per": "all", "period": "30 days", "count": 3}], "then": [{"percent_off": {"percent": "10"}}]}]}`)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"check " + good, 0, "fine"},
		{"check --json " + good, 0, `"ok": true`},
		{"check " + bad, 1, `did you mean "percent_off"`},
		{"check --json " + bad, 1, `"path": "rules[0].then[0].percent_of"`},
		{"check " + wrong, 1, "net is 0.00, expected 0.01"},
		{"check " + filepath.Join(dir, "none"), 2, "none"},
		{"check", 2, "arg"},
		{"eval --rulebook " + good + " --receipt " + basket, 0, `"net": "2.70"`},
		{"eval --rulebook " + good + " --receipt " + basket + " --member " + anna, 0, `"points": "2.70"`},
		{"eval --rulebook " + good + " --receipt " + foreign, 3, "EUR"},
		{"eval --rulebook " + good + " --receipt " + slip, 3, `did you mean "quantity"`},
		{"eval --rulebook " + bad + " --receipt " + basket, 1, "percent_of"},
		{"eval --receipt " + basket, 2, "rulebook"},
		{"explain --language ru --rulebook " + good + " --receipt " + basket + " --member " + anna, 0, "2,70 балла: 100 % от 2,70"},
		{"explain --json --rulebook " + good + " --receipt " + basket, 0, "only with a card"},
		{"explain --rule none --rulebook " + good + " --receipt " + basket, 2, "none"},
		{"return --rulebook " + good + " --receipt " + basket + " --return " + back, 0, `"net": "1.35"`},
		{"return --rulebook " + good + " --receipt " + basket + " --earlier " + back, 0, `"whole": true`},
		{"return --rulebook " + good + " --receipt " + basket + " --earlier " + told + " --earlier " + back, 3, "0 is left"},
		{"return --rulebook " + good + " --receipt " + basket + " --earlier " + back + " --earlier " + back + " --return " + back, 3, "0 is left"},
		{"return --rulebook " + good + " --receipt " + basket + " --earlier " + slip, 3, "not a field here"},
		{"return --rulebook " + good + " --receipt " + basket + " --return " + back + " --sale " + cheap, 0, `"refund": "0.35"`},
		{"return --rulebook " + good + " --receipt " + basket + " --return " + back + " --sale " + dear, 0, `"to_pay": "8.65"`},
		{"return --rulebook " + good + " --receipt " + basket + " --sale " + foreign, 3, "EUR"},
		{"return --rulebook " + good + " --receipt " + basket + " --member " + anna, 0, `"points": "2.70"`},
		{"return --rulebook " + good + " --receipt " + basket + " --member " + anna + " --member-now " + poor, 0, `"points": "1.70"`},
		{"check " + rolling, 1, "limits[0].period: what tills give together"},
		{"diff " + good + " " + good, 0, ""},
		{"diff " + good + " " + other, 1, `"10" -> "12"`},
		{"diff --json " + good + " " + other, 1, `"kind": "changed"`},
		{"conflicts " + good, 0, ""},
		{"conflicts " + twice, 1, "stacks"},
		{"conflicts --json " + twice, 1, `"kind": "stacks"`},
		{"schema", 0, "json-schema.org"},
		{"schema --markdown", 0, "### PercentOff"},
	} {
		code, out, errs := run(append([]string{"rulebook"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d, want %d and %q in:\n%.600s\n%s", c.args, code, c.code, c.want, out, errs)
		}
	}
	_, out, _ := run("rulebook", "eval", "--rulebook", good, "--receipt", basket)
	var r loyalty.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Lines) != 1 {
		t.Errorf("eval does not print a result: %v", err)
	}
}
