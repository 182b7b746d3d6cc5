package till

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestCustomerNamedInTheCall: a caller that keeps no token gets the same
// price, and the same booking, as one that does.
func TestCustomerNamedInTheCall(t *testing.T) {
	b := newBench(t)
	lines := `"currency":"GBP","lines":[{"sku":"1","quantity":"4","price":"40.00"}]`
	var byToken, byCard SaleAnswer
	b.post("/v1/receipts/R1/calculate", "", fmt.Sprintf(`{"member":%q,%s}`, b.identify(annasCard).Member.Token, lines)).into(t, &byToken)
	b.post("/v1/receipts/R1/calculate", "", fmt.Sprintf(`{"customer":{"input":%q},%s}`, annasCard, lines)).into(t, &byCard)
	x, _ := json.Marshal(byToken)
	y, _ := json.Marshal(byCard)
	if string(x) != string(y) || len(byCard.Result.Earned) == 0 {
		t.Errorf("by token\n%s\nby card\n%s", x, y)
	}
	body := fmt.Sprintf(`{"receipt":{"customer":{"input":%q,"entry":"scan"},%s}}`, annasCard, lines)
	first := b.post("/v1/receipts/R1/capture", "k1", body)
	if again := b.post("/v1/receipts/R1/capture", "k1", body); string(again.body) != string(first.body) || again.status != 200 {
		t.Errorf("again: %s", again.body)
	}
	for body, want := range map[string]string{
		fmt.Sprintf(`{"customer":{"input":%q},"member":"x",%s}`, annasCard, lines): "bad_request",
		`{"customer":{"input":"?"},` + lines + `}`:                                 "no_card",
		`{"customer":{"input":"2000000125008","entry":"x"},` + lines + `}`:         "bad_request",
	} {
		a := b.post("/v1/receipts/R2/calculate", "", body)
		if a.code() != want || !strings.Contains(string(a.body), `"field":"customer`) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
}

// TestReturnByGoods: a line named by its SKU is the line that has some left,
// in order; more than there is is refused as with ids.
func TestReturnByGoods(t *testing.T) {
	b := newBench(t)
	if a := b.post("/v1/receipts/R1/capture", "k1", `{"receipt":{"currency":"GBP","lines":[{"sku":"A","quantity":"2","price":"10.00"},{"sku":"B","quantity":"1","price":"5.00"},{"sku":"A","quantity":"3","price":"9.00"}]}}`); a.status != 200 {
		t.Fatal(a.body)
	}
	got := func(lines string) string {
		a := b.post("/v1/returns/calculate", "", `{"original":"R1","lines":`+lines+`}`)
		if a.status != 200 {
			return a.code()
		}
		var r ReturnAnswer
		a.into(t, &r)
		var out []string
		for _, l := range r.Result.Lines {
			out = append(out, l.ID+"="+l.Quantity.String())
		}
		return strings.Join(out, " ")
	}
	for lines, want := range map[string]string{
		`[{"sku":"A","quantity":"1"}]`:                              "1=1",
		`[{"sku":"A","quantity":"4"}]`:                              "1=2 3=2",
		`[{"sku":"A","quantity":"0"}]`:                              "1=2 3=3",
		`[{"sku":"A","quantity":"1"},{"sku":"A","quantity":"2"}]`:   "1=2 3=1",
		`[{"id":"3","quantity":"3"},{"sku":"A","quantity":"0"}]`:    "1=2 3=3",
		`[{"sku":"A","quantity":"6"}]`:                              "return_refused",
		`[{"sku":"A","quantity":"-1"}]`:                             "return_refused",
		`[{"sku":"C","quantity":"0"}]`:                              "return_refused",
		`[{"quantity":"1"}]`:                                        "return_refused",
		`[{"id":"1","sku":"A","quantity":"1"}]`:                     "bad_request",
		`[{"sku":"B","quantity":"1"},{"sku":"B","quantity":"0.5"}]`: "return_refused",
	} {
		if g := got(lines); g != want {
			t.Errorf("%s: %s, want %s", lines, g, want)
		}
	}
	if a := b.post("/v1/returns/capture", "v1", `{"original":"R1","lines":[{"sku":"A","quantity":"4"}]}`); a.status != 200 {
		t.Fatal(a.body)
	}
	if rec := b.lastReturn(); strings.Contains(string(rec.Lines), "sku") {
		t.Errorf("the record names goods, not lines: %s", rec.Lines)
	}
	var lines []loyalty.ReturnLine
	if err := json.Unmarshal(b.lastReturn().Lines, &lines); err != nil || len(lines) != 2 || lines[1].Quantity != 2000 {
		t.Errorf("%v %v", lines, err)
	}
	if g := got(`[{"sku":"A","quantity":"0"}]`); g != "3=1" {
		t.Errorf("what is left: %s", g)
	}
}

// TestInside: a call from inside has the API's answer to the byte, its
// refusals, and its memory.
func TestInside(t *testing.T) {
	b := newBench(t)
	body := `{"receipt":{"currency":"GBP","lines":[{"sku":"A","quantity":"2","price":"10.00"}]}}`
	ask := func(call, id, key, body string) (int, string) {
		s, a := b.till.Inside(context.Background(), Inside{Caller: "files", Call: call, ID: id, Key: key, Body: []byte(body)})
		return s, string(a)
	}
	status, first := ask("capture", "R1", "k1", body)
	if status != 200 || !strings.Contains(first, `"state":"captured"`) {
		t.Fatal(status, first)
	}
	if status, again := ask("capture", "R1", "k1", body); status != 200 || again != first {
		t.Errorf("again: %d %s", status, again)
	}
	b.restart()
	if status, again := ask("capture", "R1", "k1", body); status != 200 || again != first {
		t.Errorf("after a restart: %d %s", status, again)
	}
	// One receipt's answer is not another's.
	if status, other := ask("capture", "R2", "k1", body); status != 409 || !strings.Contains(other, "idempotency_conflict") {
		t.Errorf("another receipt: %d %s", status, other)
	}
	for _, c := range []struct {
		call, id, key, body string
		status              int
		code                string
	}{
		{"capture", "R3", "", body, 400, "key_missing"}, {"capture", "R3", "k3", `{"x":1}`, 400, "bad_request"}, {"capture", "", "k3", body, 400, "bad_request"},
		{"nonsense", "", "", `{}`, 404, "not_found"}, {"events", "", "", `{}`, 404, "not_found"}, {"receipt", "R9", "", `{}`, 404, "unknown_receipt"},
	} {
		if s, a := ask(c.call, c.id, c.key, c.body); s != c.status || !strings.Contains(a, c.code) {
			t.Errorf("%+v: %d %s", c, s, a)
		}
	}
	if a := b.do("GET", "/v1/operations/k1", "", nil); !strings.Contains(string(a.body), `"call":"POST /v1/receipts/{id}/capture`) {
		t.Errorf("operation: %s", a.body)
	}
}
