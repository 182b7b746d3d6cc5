package till

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// sold makes a receipt here and gives it as the centre would tell it to a
// till other than device dev-other.
func (b *bench) sold(id string) (*wire.AnswerReceipt, *loyalty.Result) {
	b.t.Helper()
	var held SaleAnswer
	var done CaptureAnswer
	b.post("/v1/receipts/"+id+"/authorise", "a"+id, basket(b.identify(annasCard).Member.Token, "20")).into(b.t, &held)
	b.post("/v1/receipts/"+id+"/capture", "c"+id, `{"shift":"S1"}`).into(b.t, &done)
	return &wire.AnswerReceipt{Known: true, Number: id, Device: "dev-other", Mark: wire.Mark{Epoch: 3, Seq: 7}, Store: "s2", Till: "t9", State: "captured",
		Member: annasID.String(), CardRef: wire.CardRef(testKey, wire.KindCard, annasCard), At: time.Now(), Result: mustJSON(done.Result)}, done.Result
}

// elsewhere is a return of one line as another till wrote it.
func elsewhere(t *testing.T, sale *loyalty.Result, line, quantity string) wire.ReturnedPart {
	t.Helper()
	q, err := loyalty.ParseQuantity(quantity)
	if err != nil {
		t.Fatal(err)
	}
	rules, _, err := Compile(rulebook(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rules.Return(sale, nil, []loyalty.ReturnLine{{ID: line, Quantity: q}})
	if err != nil {
		t.Fatal(err)
	}
	return wire.ReturnedPart{Device: "dev-third", Mark: wire.Mark{Epoch: 1, Seq: 4}, Result: mustJSON(r)}
}

// Goods come back by the fiscal number on the paper: of this till's own
// receipts, and of another till's, also in exchange.
func TestReturnByFiscalNumber(t *testing.T) {
	b := newBench(t)
	sell := func(id, fiscal string) {
		t.Helper()
		var a CaptureAnswer
		b.post("/v1/receipts/"+id+"/capture", "c"+id, `{"fiscal_number":"`+fiscal+`","receipt":`+one("3", "5.00")+`}`).into(t, &a)
	}
	sell("R1", "F-77")
	sell("R2", "F-78")
	var r ReturnAnswer
	b.post("/v1/returns/capture", "r1", `{"original_fiscal":"F-77","lines":[{"id":"1","quantity":"1"}]}`).into(t, &r)
	if r.Original != "R1" || r.State != store.PartlyReturned {
		t.Errorf("own: %+v", r)
	}
	b.restart()
	b.post("/v1/returns/capture", "r2", `{"original_fiscal":"F-77","lines":[{"id":"1","quantity":"0"}]}`).into(t, &r)
	if r.Original != "R1" || r.State != store.Returned {
		t.Errorf("own, the rest: %+v", r)
	}
	if a := b.post("/v1/returns/capture", "r3", `{"original_fiscal":"F-99","lines":[{"id":"1","quantity":"1"}]}`); a.status != 404 || a.code() != "unknown_receipt" {
		t.Errorf("unknown: %d %s", a.status, a.body)
	}
	away, _ := newBench(t).sold("Z9")
	away.Fiscal = "F-900"
	b.link.set(func(l *fakeLink) { l.sales = map[string]*wire.AnswerReceipt{"Z9": away} })
	b.post("/v1/returns/calculate", "", `{"original_fiscal":"F-900","lines":[{"id":"1","quantity":"1"}]}`).into(t, &r)
	if r.Original != "Z9" || r.Store != "s2" || r.Till != "t9" || r.Mode != "online" {
		t.Errorf("of another till: %+v", r)
	}
	b.link.set(func(l *fakeLink) {
		if q := l.asked[len(l.asked)-1]; q.Device != "dev-other" || q.Mark != away.Mark {
			t.Errorf("asked for %+v", q)
		}
	})
	var x CaptureAnswer
	b.post("/v1/receipts/R3/capture", "c3", `{"receipt":`+one("3", "5.00")+`,"returns":{"original_fiscal":"F-900","lines":[{"id":"1","quantity":"1"}]}}`).into(t, &x)
	if x.Exchange == nil || x.Exchange.Return.Original != "Z9" {
		t.Errorf("exchange: %+v", x.Exchange)
	}
	b.link.set(func(l *fakeLink) { l.online = false })
	if a := b.post("/v1/returns/capture", "r4", `{"original_fiscal":"F-900","lines":[{"id":"2","quantity":"1"}]}`); a.code() != "receipt_elsewhere" {
		t.Errorf("offline: %d %s", a.status, a.body)
	}
}

// lastReturn is the newest RETURN record.
func (b *bench) lastReturn() (last wire.Return) {
	b.t.Helper()
	err := b.journal.Box().Each(func(_ uint64, raw []byte) error {
		rec, err := wire.DecodeRecord(raw)
		if err != nil || rec.Type != wire.TypeReturn {
			return err
		}
		last = wire.Return{}
		return wire.ReadPayload(rec, &last)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return last
}

func TestReturnOfAnotherTillsReceipt(t *testing.T) {
	seller := newBench(t)
	sale, result := seller.sold("R7")
	b := newBench(t)
	b.link.set(func(l *fakeLink) { l.sales = map[string]*wire.AnswerReceipt{"R7": sale} })
	before := b.identify(annasCard).Member.Balances[0]

	var one, two ReturnAnswer
	b.post("/v1/returns/calculate", "", `{"original":"R7","lines":[{"id":"1","quantity":"1"}]}`).into(t, &one)
	if one.Mode != "online" || one.Store != "s2" || one.Till != "t9" || one.Result.Totals.Net <= 0 {
		t.Fatalf("calculate: %+v", one)
	}
	b.post("/v1/returns/capture", "r1", `{"original":"R7","lines":[{"id":"1","quantity":"1"}],"shift":"S1"}`).into(t, &one)
	rec := b.lastReturn()
	if rec.Device != "dev-other" || rec.Reverses == nil || *rec.Reverses != sale.Mark || rec.Original != "R7" || rec.Member != sale.Member || rec.Offline || len(rec.Moves) == 0 {
		t.Errorf("record %+v", rec)
	}
	// The centre does not know that return yet; it knows one of line 2 at a third till.
	sale.Returns = []wire.ReturnedPart{elsewhere(t, result, "2", "1")}
	sale.State = "partly_returned"
	if a := b.post("/v1/returns/capture", "r2", `{"original":"R7","lines":[{"id":"2","quantity":"100"}]}`); a.code() != "return_refused" {
		t.Errorf("more than is left: %s", a.body)
	}
	b.restart()
	b.post("/v1/returns/capture", "r3", `{"original":"R7","lines":[{"id":"1","quantity":"0"},{"id":"2","quantity":"0"}],"shift":"S1"}`).into(t, &two)
	var third loyalty.ReturnResult
	if err := json.Unmarshal(sale.Returns[0].Result, &third); err != nil {
		t.Fatal(err)
	}
	if two.State != store.Returned || one.Result.Totals.Net+two.Result.Totals.Net+third.Totals.Net != result.Totals.Net {
		t.Errorf("%v + %v + %v of %v, %s", one.Result.Totals.Net, two.Result.Totals.Net, third.Totals.Net, result.Totals.Net, two.State)
	}
	if a := b.post("/v1/returns/capture", "r4", `{"original":"R7","lines":[{"id":"1","quantity":"1"}]}`); a.code() != "return_refused" {
		t.Errorf("all is back: %s", a.body)
	}
	after := b.identify(annasCard).Member.Balances[0]
	var moved loyalty.Points
	for _, r := range []*loyalty.ReturnResult{one.Result, two.Result} {
		for _, p := range r.PointsBack {
			moved += p.Points
		}
		for _, e := range r.PointsTaken {
			moved -= e.Points
		}
	}
	if after.Active+after.ToBe-before.Active-before.ToBe != moved {
		t.Errorf("balance from %+v to %+v, moved %v", before, after, moved)
	}
	if got := strings.Join(b.records(), " "); got != "RETURN RETURN" {
		t.Errorf("records %s", got)
	}
}

// What other tills took back of an own receipt counts, as far as the centre
// can be asked.
func TestReturnOfAnOwnReceiptReturnedElsewhere(t *testing.T) {
	b := newBench(t)
	sale, result := b.sold("R1")
	sale.Device = "dev-0123456789"
	part := elsewhere(t, result, "1", "1")
	sale.Returns = []wire.ReturnedPart{part}
	b.link.set(func(l *fakeLink) { l.sales = map[string]*wire.AnswerReceipt{"R1": sale} })
	var a, off ReturnAnswer
	all := `{"original":"R1","lines":[{"id":"1","quantity":"0"},{"id":"2","quantity":"0"}]}`
	b.post("/v1/returns/calculate", "", all).into(t, &a)
	b.link.set(func(l *fakeLink) { l.silence = true })
	b.post("/v1/returns/calculate", "", all).into(t, &off)
	var was loyalty.ReturnResult
	if err := json.Unmarshal(part.Result, &was); err != nil {
		t.Fatal(err)
	}
	if a.Mode != "online" || a.Store != "" || a.Result.Totals.Net+was.Totals.Net != result.Totals.Net {
		t.Errorf("%s: %v and %v of %v", a.Mode, a.Result.Totals.Net, was.Totals.Net, result.Totals.Net)
	}
	if off.Mode != "offline" || off.Result.Totals.Net != result.Totals.Net {
		t.Errorf("%s: %v of %v", off.Mode, off.Result.Totals.Net, result.Totals.Net)
	}
	b.post("/v1/returns/capture", "r1", all).into(t, &off)
	if rec := b.lastReturn(); !rec.Offline || rec.Device != "" {
		t.Errorf("record %+v", rec)
	}
}

func TestReturnsThatAreRefused(t *testing.T) {
	b := newBench(t)
	body := `{"original":"R7","lines":[{"id":"1","quantity":"1"}]}`
	for _, x := range []struct {
		name, code string
		change     func(*fakeLink)
	}{
		{"nobody knows it", "unknown_receipt", func(*fakeLink) {}},
		{"several have it", "receipt_ambiguous", func(l *fakeLink) {
			l.sales = map[string]*wire.AnswerReceipt{"R7": {Reason: wire.ReceiptAmbiguous}}
		}},
		{"too large", "return_refused", func(l *fakeLink) { l.sales["R7"] = &wire.AnswerReceipt{Reason: wire.ReceiptTooLarge} }},
		{"voided", "wrong_state", func(l *fakeLink) { l.sales["R7"] = &wire.AnswerReceipt{Known: true, State: "voided"} }},
		{"no answer", "receipt_elsewhere", func(l *fakeLink) { l.silence = true }},
		{"offline", "receipt_elsewhere", func(l *fakeLink) { l.online = false }},
	} {
		b.link.set(x.change)
		if a := b.post("/v1/returns/capture", x.code+strings.ReplaceAll(x.name, " ", "-"), body); a.code() != x.code {
			t.Errorf("%s: %s", x.name, a.body)
		}
	}
	if got := b.records(); len(got) != 0 {
		t.Errorf("records %v", got)
	}
	var named ReturnAnswer
	sale, _ := newBench(t).sold("R7")
	b.link.set(func(l *fakeLink) {
		l.online, l.silence, l.sales, l.asked = true, false, map[string]*wire.AnswerReceipt{"R7": sale}, nil
	})
	b.post("/v1/returns/calculate", "", `{"original":"R7","store":"s2","till":"t9","lines":[{"id":"1","quantity":"1"}]}`).into(t, &named)
	if b.link.asked[0] != (wire.AskReceipt{Number: "R7", Store: "s2", Till: "t9"}) {
		t.Errorf("asked %+v", b.link.asked)
	}
}

// Points that the member has spent since are told; the record asks for all,
// the ledger decides.
func TestShortfallIsTold(t *testing.T) {
	sale, result := newBench(t).sold("R7")
	b := newBench(t)
	b.put(annasCard, &loyalty.Member{ID: annasID, FirstName: "Anna", AsOf: time.Now()}, "active", wire.Mark{Epoch: 1})
	b.link.set(func(l *fakeLink) { l.sales = map[string]*wire.AnswerReceipt{"R7": sale} })
	result.Spend, sale.Result = nil, nil
	for i := range result.Lines {
		result.Lines[i].Net += result.Lines[i].Redeemed
		result.Lines[i].Spent, result.Lines[i].Redeemed = 0, 0
	}
	sale.Result = mustJSON(result)
	var a ReturnAnswer
	b.post("/v1/returns/capture", "r", `{"original":"R7","lines":[{"id":"1","quantity":"0"},{"id":"2","quantity":"0"}]}`).into(t, &a)
	var short loyalty.Points
	for _, p := range a.Shortfall {
		short += p.Points
	}
	if want := earned(result); want == 0 || short != want {
		t.Errorf("shortfall %v of %v", short, want)
	}
	if rec := b.lastReturn(); len(rec.Moves) == 0 {
		t.Errorf("record %+v", rec)
	}
}

// What a receipt did besides points is undone with the goods, in the
// snapshot this till prices with: by parts, by the last of the goods, and by
// a void.
func TestCountersStampsAndCouponsAreUndone(t *testing.T) {
	rules, _, err := Compile([]byte(`{"programme": {"id": "t", "currency": "GBP"}, "wallets": [{"id": "points", "point_value": "1.00"}],
		"counters": [{"id": "year", "of": "spend", "window": "12 months"}],
		"stamp_cards": [{"id": "cups", "goal": 50}],
		"rules": [{"id": "cup", "then": [{"stamps": {"card": "cups", "per": "unit"}}]},
			{"id": "ten", "when": {"coupon": {"issued": true}}, "then": [{"percent_off": {"percent": "10"}}]}]}`), 1)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *Config) { c.Rules = func() Rules { return rules } })
	b.put(annasCard, &loyalty.Member{ID: annasID, AsOf: time.Now(), Coupons: map[string]loyalty.CouponHeld{"TEN": {Rule: "ten", Uses: 1}}}, "active", wire.Mark{Epoch: 1})
	state := func() string {
		t.Helper()
		cu, err := b.till.load(claim{Ref: wire.CardRef(testKey, wire.KindCard, annasCard)}, rules)
		if err != nil {
			t.Fatal(err)
		}
		var spent int64
		for _, n := range cu.member.Counters["year"] {
			spent += n
		}
		return fmt.Sprintf("%d stamps, %d spent, %d coupons", cu.member.Stamps["cups"], spent, cu.member.Coupons["TEN"].Uses)
	}
	sell := func(id string) {
		t.Helper()
		var a SaleAnswer
		b.post("/v1/receipts/"+id+"/authorise", "a"+id, fmt.Sprintf(`{"member":%q,"currency":"GBP","coupons":["TEN"],"lines":[{"sku":"1","quantity":"4","price":"10.00"},{"sku":"2","quantity":"1","price":"10.00"}]}`,
			b.identify(annasCard).Member.Token)).into(t, &a)
		if a := b.post("/v1/receipts/"+id+"/capture", "c"+id, `{}`); a.status != 200 {
			t.Fatal(string(a.body))
		}
	}
	want := func(what, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	want("before", "0 stamps, 0 spent, 1 coupons")
	sell("R1")
	want("sold", "5 stamps, 45000 spent, 0 coupons")
	back := func(key, body string) {
		t.Helper()
		if a := b.post("/v1/returns/capture", key, body); a.status != 200 {
			t.Fatal(string(a.body))
		}
	}
	back("r1", `{"original":"R1","lines":[{"id":"1","quantity":"3"}]}`)
	want("3 of 5 back", "2 stamps, 18000 spent, 0 coupons")
	back("r2", `{"original":"R1","lines":[{"id":"1","quantity":"0"},{"id":"2","quantity":"0"}]}`)
	want("all back", "0 stamps, 0 spent, 1 coupons")
	sell("R2")
	if a := b.post("/v1/receipts/R2/void", "v2", `{}`); a.status != 200 {
		t.Fatal(string(a.body))
	}
	want("voided", "0 stamps, 0 spent, 1 coupons")
}
