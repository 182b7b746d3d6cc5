package till

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// Goods back and others sold: one receipt, two records, the difference paid.
func TestExchange(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("of another till %v", away), func(t *testing.T) {
			b := newBench(t)
			var sale *loyalty.Result
			if away {
				var a *wire.AnswerReceipt
				a, sale = newBench(t).sold("R1")
				b.link.set(func(l *fakeLink) { l.sales = map[string]*wire.AnswerReceipt{"R1": a} })
			} else {
				_, sale = b.sold("R1")
			}
			before := b.identify(annasCard).Member
			body := func(price string) string {
				return fmt.Sprintf(`{"member":%q,"currency":"GBP","lines":[{"sku":"3","name":"Tea","category":"food/tea","quantity":"1","price":%q}],
					"returns":{"original":"R1","lines":[{"id":"1","quantity":"1"}]}}`, before.Token, price)
			}
			var try, held SaleAnswer
			b.post("/v1/receipts/R2/calculate", "", body("500.00")).into(t, &try)
			b.post("/v1/receipts/R2/authorise", "a2", body("1.00")).into(t, &held)
			back := try.Exchange.Return.Result.Totals.Net
			if back <= 0 || try.Exchange.ToPay != try.Totals.Net-back || try.Exchange.Refund != 0 {
				t.Errorf("dear: %+v, net %v, back %v", try.Exchange, try.Totals.Net, back)
			}
			if held.Exchange.Refund != back-held.Totals.Net || held.Exchange.ToPay != 0 {
				t.Errorf("cheap: %+v, net %v, back %v", held.Exchange, held.Totals.Net, back)
			}
			var done, again CaptureAnswer
			capture := `{"shift":"S2","returns":{"original":"R1","lines":[{"id":"1","quantity":"1"}]}}`
			b.post("/v1/receipts/R2/capture", "c2", capture).into(t, &done)
			b.post("/v1/receipts/R2/capture", "c2", capture).into(t, &again)
			if done.Exchange == nil || done.Exchange.Refund != held.Exchange.Refund || done.Exchange.Return.State != store.PartlyReturned ||
				done.Seq != done.Exchange.Return.Seq+1 || again.Seq != done.Seq {
				t.Errorf("captured: %+v", done.Exchange)
			}
			if got := strings.Join(b.records(), " "); !strings.HasSuffix(got, "RETURN COMMIT") || strings.Count(got, "RETURN") != 1 {
				t.Errorf("records %s", got)
			}
			var shift ReconcileAnswer
			b.post("/v1/shifts/S2/reconcile", "s2", fmt.Sprintf(`{"receipts":1,"returns":1,"net":%q}`, held.Totals.Net-back)).into(t, &shift)
			if !shift.Agrees {
				t.Errorf("shift %+v", shift)
			}
			moved := earned(done.Result)
			for _, p := range done.Exchange.Return.Result.PointsBack {
				moved += p.Points
			}
			for _, e := range done.Exchange.Return.Result.PointsTaken {
				moved -= e.Points
			}
			now, was := b.identify(annasCard).Member.Balances[0], before.Balances[0]
			if now.Active+now.ToBe-was.Active-was.ToBe != moved {
				t.Errorf("balance from %+v to %+v, moved %v", was, now, moved)
			}
			// The rest of the original comes back as ever, and no more.
			var rest ReturnAnswer
			b.post("/v1/returns/capture", "r3", `{"original":"R1","lines":[{"id":"1","quantity":"0"},{"id":"2","quantity":"0"}]}`).into(t, &rest)
			if rest.State != store.Returned || rest.Result.Totals.Net+back != sale.Totals.Net {
				t.Errorf("the rest: %v and %v of %v, %s", rest.Result.Totals.Net, back, sale.Totals.Net, rest.State)
			}
		})
	}
}

// When one half cannot be done, neither is.
func TestExchangeIsAllOrNothing(t *testing.T) {
	b := newBench(t)
	b.sold("R1")
	was := strings.Join(b.records(), " ")
	sale := `"receipt":{"currency":"GBP","lines":[{"sku":"3","quantity":"1","price":"5.00"}]}`
	for name, body := range map[string]string{
		"too-much": `{` + sale + `,"returns":{"original":"R1","lines":[{"id":"1","quantity":"99"}]}}`,
		"itself":   `{` + sale + `,"returns":{"original":"R2","lines":[{"id":"1","quantity":"1"}]}}`,
		"unknown":  `{` + sale + `,"returns":{"original":"R9","lines":[{"id":"1","quantity":"1"}]}}`,
		"no-sale":  `{"returns":{"original":"R1","lines":[{"id":"1","quantity":"1"}]}}`,
		"price":    `{` + sale + `,"expect":{"net":"4.00"},"returns":{"original":"R1","lines":[{"id":"1","quantity":"1"}]}}`,
	} {
		if a := b.post("/v1/receipts/R2/capture", name, body); a.status/100 != 4 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if got := strings.Join(b.records(), " "); got != was {
		t.Errorf("records %s", got)
	}
	// The return may also come with the receipt.
	var done CaptureAnswer
	b.post("/v1/receipts/R2/capture", "c", `{"receipt":{"currency":"GBP","lines":[{"sku":"3","quantity":"1","price":"5.00"}],"returns":{"original":"R1","lines":[{"id":"1","quantity":"1"}]}}}`).into(t, &done)
	if done.Exchange == nil {
		t.Errorf("%+v", done)
	}
}

// The sale is priced for the member after the return: a coupon that comes
// back can be used at once, points that come back cannot.
func TestExchangeIsPricedAfterTheReturn(t *testing.T) {
	rules, _, err := Compile([]byte(`{"programme": {"id": "t", "currency": "GBP"}, "wallets": [{"id": "points", "point_value": "1.00"}],
		"rules": [{"id": "ten", "when": {"coupon": {"issued": true}}, "then": [{"percent_off": {"percent": "10"}}]}]}`), 1)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *Config) { c.Rules = func() Rules { return rules } })
	b.put(annasCard, &loyalty.Member{ID: annasID, AsOf: time.Now(), Coupons: map[string]loyalty.CouponHeld{"TEN": {Rule: "ten", Uses: 1}}}, "active", wire.Mark{Epoch: 1})
	basket := fmt.Sprintf(`"member":%q,"currency":"GBP","coupons":["TEN"],"lines":[{"sku":"1","quantity":"1","price":"10.00"}]`, b.identify(annasCard).Member.Token)
	b.post("/v1/receipts/R1/authorise", "a1", `{`+basket+`}`)
	if a := b.post("/v1/receipts/R1/capture", "c1", `{}`); a.status != 200 {
		t.Fatal(string(a.body))
	}
	var without, with SaleAnswer
	b.post("/v1/receipts/R2/calculate", "", `{`+basket+`}`).into(t, &without)
	b.post("/v1/receipts/R3/calculate", "", `{`+basket+`,"returns":{"original":"R1","lines":[{"id":"1","quantity":"0"}]}}`).into(t, &with)
	if without.Totals.Net != 1000 || with.Totals.Net != 900 || with.Exchange.ToPay != 0 || with.Exchange.Refund != 0 {
		t.Errorf("without %v, with %v, %+v", without.Totals.Net, with.Totals.Net, with.Exchange)
	}
}
