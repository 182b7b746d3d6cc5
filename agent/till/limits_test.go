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

const limitedBook = `{"programme": {"id": "lim", "currency": "GBP"}, "wallets": [{"id": "points"}],
	"budgets": [{"id": "pot", "money": "100.00", "partial": true}],
	"rules": [
		{"id": "thrice", "then": [{"amount_off": {"amount": "1.00", "on": {"skus": ["L"]}}}], "limits": [{"per": "till", "period": "day", "count": 3}]},
		{"id": "pot", "budget": "pot", "then": [{"percent_off": {"percent": "50", "on": {"skus": ["B"]}}}]}]}`

// under puts another rulebook into the till.
func under(t *testing.T, doc string) func(*Config) {
	rules, _, err := Compile([]byte(doc), 1)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Rules = func() Rules { return rules } }
}

func one(sku, price string) string {
	return fmt.Sprintf(`{"currency":"GBP","lines":[{"id":"1","sku":%q,"quantity":"2","price":%q}]}`, sku, price)
}

func (b *bench) sell(id, sku, price string) loyalty.Money {
	b.t.Helper()
	var a CaptureAnswer
	b.post("/v1/receipts/"+id+"/capture", "c-"+id, `{"receipt":`+one(sku, price)+`}`).into(b.t, &a)
	return a.Result.Totals.Discount
}

func (b *bench) price(sku, price string) loyalty.Money {
	b.t.Helper()
	var a SaleAnswer
	b.post("/v1/receipts/look/calculate", "", one(sku, price)).into(b.t, &a)
	return a.Totals.Discount
}

func (b *bench) give(n uint64, q loyalty.Quota) {
	b.t.Helper()
	if err := b.journal.Update(func(tx *store.Tx) error { return tx.Grant("lim/pot", n, 1, q) }); err != nil {
		b.t.Fatal(err)
	}
}

func TestALimitPerTillAndDayHolds(t *testing.T) {
	change := under(t, limitedBook)
	b := newBench(t, change)
	for i := range 3 {
		if got := b.sell(fmt.Sprint("R", i), "L", "5.00"); got != 100 {
			t.Fatalf("receipt %d: %v off", i, got)
		}
	}
	if got := b.price("L", "5.00"); got != 0 {
		t.Errorf("a fourth time: %v off", got)
	}
	b.restart(change)
	if got := b.sell("R3", "L", "5.00"); got != 0 {
		t.Errorf("after a restart: %v off", got)
	}
	if a := b.post("/v1/receipts/R1/void", "v", "{}"); a.status != 200 {
		t.Fatalf("void: %d %s", a.status, a.body)
	}
	// Baskets that are open at once take their part when they are authorised.
	for id, want := range map[string]loyalty.Money{"H1": 100} {
		var a SaleAnswer
		b.post("/v1/receipts/"+id+"/authorise", "a-"+id, one("L", "5.00")).into(t, &a)
		b.post("/v1/receipts/"+id+"/authorise", "b-"+id, one("L", "5.00")).into(t, &a) // its own part stays its own
		if a.Totals.Discount != want {
			t.Errorf("%s: %v off, want %v", id, a.Totals.Discount, want)
		}
	}
	if got := b.price("L", "5.00"); got != 0 {
		t.Errorf("while the last is authorised: %v off", got)
	}
	if a := b.post("/v1/receipts/H1/void", "vh", "{}"); a.status != 200 {
		t.Fatalf("void: %d %s", a.status, a.body)
	}
	if got := b.sell("R5", "L", "5.00"); got != 100 {
		t.Errorf("after the voids: %v off", got)
	}
	// A return gives its part back too.
	var r ReturnAnswer
	b.post("/v1/returns/capture", "ret", `{"original":"R5","lines":[{"id":"1","quantity":"2"}]}`).into(t, &r)
	if got := b.price("L", "5.00"); got != 100 {
		t.Errorf("after the return: %v off", got)
	}
}

func TestABudgetGivesWhatWasHandedOver(t *testing.T) {
	change := under(t, limitedBook)
	b := newBench(t, change)
	if got := b.sell("R0", "B", "10.00"); got != 0 {
		t.Errorf("without a quota: %v off", got)
	}
	b.give(7, loyalty.Quota{Money: 2500})
	b.give(7, loyalty.Quota{Money: 2500}) // told again
	b.give(6, loyalty.Quota{Money: 2500})
	if got := b.sell("R1", "B", "10.00"); got != 1000 {
		t.Errorf("with 25.00: %v off", got)
	}
	b.restart(change)
	var held SaleAnswer
	b.post("/v1/receipts/R2/authorise", "a2", one("B", "10.00")).into(t, &held)
	if held.Totals.Discount != 1000 {
		t.Errorf("with 15.00: %v off", held.Totals.Discount)
	}
	if got := b.sell("R3", "B", "10.00"); got != 500 {
		t.Errorf("with 5.00: %v off", got)
	}
	var done CaptureAnswer
	b.post("/v1/receipts/R2/capture", "c2", `{"tenders":[{"kind":"cash","amount":"10.00"}]}`).into(t, &done)
	if done.Result.Totals.Discount != 1000 {
		t.Errorf("what was authorised became %v", done.Result.Totals.Discount)
	}
	if got := b.price("B", "10.00"); got != 0 {
		t.Errorf("with nothing: %v off", got)
	}
	var r ReturnAnswer
	b.post("/v1/returns/capture", "ret", `{"original":"R1","lines":[{"id":"1","quantity":"1"}]}`).into(t, &r)
	if got := b.price("B", "10.00"); got != 500 {
		t.Errorf("after half came back: %v off", got)
	}
	b.post("/v1/returns/capture", "ret2", `{"original":"R1","lines":[{"id":"1","quantity":"1"}]}`).into(t, &r)
	if a := b.post("/v1/receipts/R2/void", "v2", "{}"); a.status != 200 {
		t.Fatalf("void: %d %s", a.status, a.body)
	}
	if got := b.price("B", "100.00"); got != 2000 {
		t.Errorf("after all but R3 came back: %v off", got)
	}
	// The records tell the centre the same.
	var said []string
	_ = b.journal.Box().Each(func(_ uint64, raw []byte) error {
		rec, err := wire.DecodeRecord(raw)
		if err != nil {
			return err
		}
		var p struct {
			Quotas []wire.QuotaUse `json:"quotas"`
		}
		err = json.Unmarshal(rec.Payload, &p)
		for _, q := range p.Quotas {
			said = append(said, fmt.Sprint(rec.Type, " ", rec.Receipt, " ", q.Budget, " ", q.Money))
		}
		return err
	})
	want := "COMMIT R1 lim/pot 10.00, COMMIT R3 lim/pot 5.00, COMMIT R2 lim/pot 10.00, RETURN R1 lim/pot -5.00, RETURN R1 lim/pot -5.00, VOID R2 lim/pot -10.00"
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("records say\n%s, want\n%s", got, want)
	}
}

const manyBook = `{"programme": {"id": "lim", "currency": "GBP"}, "wallets": [{"id": "points", "point_value": "0.01"}],
	"budgets": [{"id": "three", "percent_of_turnover": "3", "partial": true}],
	"rules": [
		{"id": "card", "then": [{"amount_off": {"amount": "1.00", "on": {"skus": ["C"]}}}], "limits": [{"per": "card", "period": "day", "count": 1}]},
		{"id": "store", "then": [{"amount_off": {"amount": "0.50", "per": "unit", "on": {"skus": ["S"]}}}], "limits": [{"per": "store", "period": "ever", "units": 5}]},
		{"id": "share", "budget": "three", "then": [{"percent_off": {"percent": "50", "on": {"skus": ["T"]}}}]}]}`

// Two cards of one member each have what is limited per card; her telephone
// number is not a third one. A restart changes nothing.
func TestALimitPerCardHoldsAtTheTill(t *testing.T) {
	change := under(t, manyBook)
	b := newBench(t, change)
	const second, phone = "2000000125015", "+447700900123"
	refs := []wire.RefState{{Ref: wire.CardRef(testKey, wire.KindCard, annasCard), Kind: "card", Status: "active"},
		{Ref: wire.CardRef(testKey, wire.KindCard, second), Kind: "card", Status: "active"},
		{Ref: wire.CardRef(testKey, wire.KindPhone, phone[1:]), Kind: "phone", Status: "active"}}
	if err := b.cache.Update(func(tx *store.CacheTx) error {
		return tx.PutMember(refs, store.Snapshot{Member: &loyalty.Member{ID: annasID, FirstName: "Anna"}, Includes: wire.Mark{Epoch: 1}})
	}); err != nil {
		t.Fatal(err)
	}
	buy := func(id, body string) loyalty.Money {
		t.Helper()
		var who MemberAnswer
		b.post("/v1/identify", "", body).into(t, &who)
		if who.Member == nil || who.Member.FirstName != "Anna" {
			t.Fatalf("%s: %+v", body, who)
		}
		var a CaptureAnswer
		b.post("/v1/receipts/"+id+"/capture", "c-"+id, `{"member":"`+who.Member.Token+`","receipt":`+one("C", "5.00")+`}`).into(t, &a)
		return a.Result.Totals.Discount
	}
	card := func(n string) string { return `{"input":"` + n + `"}` }
	for i, x := range []struct {
		body string
		want loyalty.Money
	}{{card(annasCard), 100}, {card(annasCard), 0}, {`{"phone":"` + phone + `"}`, 0}, {card(second), 100}, {card(second), 0}} {
		if got := buy(fmt.Sprint("R", i), x.body); got != x.want {
			t.Errorf("receipt %d, %s: %v off, want %v", i, x.body, got, x.want)
		}
		if i == 1 {
			b.restart(change)
		}
	}
}

// A limit of the whole store gives at this till what was handed to it.
func TestALimitPerStoreGivesWhatWasHandedOver(t *testing.T) {
	change := under(t, manyBook)
	b := newBench(t, change)
	if got := b.sell("R0", "S", "5.00"); got != 0 {
		t.Errorf("without a quota: %v off", got)
	}
	grant := func(n uint64, units int64) {
		t.Helper()
		if err := b.journal.Update(func(tx *store.Tx) error {
			return tx.Grant("lim/limit rule:store/store/ever:units@store=s1", n, 1, loyalty.Quota{Count: units})
		}); err != nil {
			t.Fatal(err)
		}
	}
	grant(3, 3)
	if got := b.sell("R1", "S", "5.00"); got != 100 { // two units
		t.Errorf("with three: %v off", got)
	}
	b.restart(change)
	if got := b.sell("R2", "S", "5.00"); got != 50 { // one more
		t.Errorf("with one: %v off", got)
	}
	if got := b.sell("R3", "S", "5.00"); got != 0 {
		t.Errorf("with none: %v off", got)
	}
	var r ReturnAnswer
	b.post("/v1/returns/capture", "ret", `{"original":"R1","lines":[{"id":"1","quantity":"2"}]}`).into(t, &r)
	if got := b.price("S", "5.00"); got != 100 {
		t.Errorf("after a return: %v off", got)
	}
	var told []string
	_ = b.journal.Box().Each(func(_ uint64, raw []byte) error {
		rec, err := wire.DecodeRecord(raw)
		if err != nil {
			return err
		}
		var p struct {
			Quotas []wire.QuotaUse `json:"quotas"`
		}
		err = json.Unmarshal(rec.Payload, &p)
		for _, q := range p.Quotas {
			told = append(told, fmt.Sprint(rec.Receipt, " ", q.Count))
		}
		return err
	})
	if got := strings.Join(told, ", "); got != "R1 2, R2 1, R1 -2" {
		t.Errorf("the centre is told %s", got)
	}
}

// What a till gives for a share of turnover stays within that share, whatever
// comes back to it: goods that another till sold lower the turnover here.
func TestAShareOfTurnoverFollowsReturnsOfOtherTills(t *testing.T) {
	change := under(t, manyBook)
	other := newBench(t, change)
	other.sell("R0", "X", "500.00") // 1,000.00 of turnover
	var done CaptureAnswer
	other.post("/v1/receipts/R1/capture", "c1", `{"receipt":`+one("T", "20.00")+`}`).into(t, &done)
	a := &wire.AnswerReceipt{Known: true, Number: "R1", Device: "dev-other", Mark: wire.Mark{Epoch: 3, Seq: 7}, Store: "s2", Till: "t9", State: "captured",
		At: time.Now(), Result: mustJSON(done.Result)}
	if got := a.Result; !strings.Contains(string(got), `"cost":"20.00"`) {
		t.Fatalf("the other till gave %s", got)
	}
	b := newBench(t, change)
	b.link.set(func(l *fakeLink) { l.sales = map[string]*wire.AnswerReceipt{"R1": a} })
	b.sell("N0", "X", "500.00")
	var r ReturnAnswer
	b.post("/v1/returns/capture", "ret", `{"original":"R1","lines":[{"id":"1","quantity":"2"}]}`).into(t, &r)
	if r.Result.Totals.Net != 2000 || len(r.Result.Budgets) != 1 {
		t.Fatalf("return %+v", r.Result)
	}
	_ = b.journal.View(func(tx *store.Tx) error {
		q, err := tx.Quota("lim/three")
		if err != nil || q == nil || *q != (loyalty.Quota{Turnover: 98000, Cost: -2000}) {
			t.Errorf("after the return here: %+v, %v", q, err)
		}
		return nil
	})
}

// A reward of the catalogue is held, booked and given back like points that
// pay: online it asks the centre, and without a link it is not given.
func TestARewardForPoints(t *testing.T) {
	const doc = `{"programme": {"id": "cat", "currency": "GBP"}, "wallets": [{"id": "points", "point_value": "0.01"}], "redemption": [{"wallet": "points"}],
		"rules": [{"id": "mug", "when": {"confirmed": {"ask": {"en": "A mug for 40 points?"}}}, "costs": {"points": "40"}, "then": [{"gift": {"skus": ["MUG"]}}]},
			{"id": "tea", "when": {"confirmed": {}}, "costs": {"points": "10"}, "then": [{"item_off": {"percent": "100", "on": {"skus": ["T"]}}}]}]}`
	change := under(t, doc)
	b := newBench(t, change)
	body := func(spend, confirmed string) string {
		return fmt.Sprintf(`{"member":%q,"currency":"GBP","spend":%q,"confirmed":[%s],"lines":[{"id":"1","sku":"T","quantity":"2","price":"3.00"}]}`,
			b.identify(annasCard).Member.Token, spend, confirmed)
	}
	var look SaleAnswer
	b.post("/v1/receipts/R1/calculate", "", body("", "")).into(t, &look)
	if len(look.Asks) != 2 || look.Asks[0].Text != "A mug for 40 points?" || look.Spend.Points != 0 {
		t.Errorf("asks %+v, spend %+v", look.Asks, look.Spend)
	}
	if a := b.post("/v1/receipts/R0/capture", "c0", `{"receipt":`+body("", `"mug"`)+`}`); a.code() != "authorise_first" {
		t.Errorf("captured unheld: %d %s", a.status, a.body)
	}
	var held SaleAnswer
	b.post("/v1/receipts/R1/authorise", "a1", body("20", `"mug","tea"`)).into(t, &held)
	if held.Spend.Points != 7000 || held.Spend.Value != 20 || held.Totals.Discount != 300 || len(held.Gifts) != 1 || held.Hold == "" {
		t.Errorf("held %+v, %+v", held.Spend, held.Totals)
	}
	b.link.set(func(l *fakeLink) {
		if n := len(l.holds); n != 1 || l.holds[0].Points != "70.00" || l.holds[0].Wallet != "points" {
			t.Errorf("asked to hold %+v", l.holds)
		}
	})
	var done CaptureAnswer
	b.post("/v1/receipts/R1/capture", "c1", `{"tenders":[{"kind":"cash","amount":"2.80"}]}`).into(t, &done)
	if len(done.Result.Paid) != 2 || done.Result.Spend.Points != 7000 {
		t.Errorf("captured %+v, %+v", done.Result.Paid, done.Result.Spend)
	}
	// One of two teas comes back: half of the free tea's 10 points and of the 20 that paid; the mug stays.
	var r ReturnAnswer
	b.post("/v1/returns/capture", "ret", `{"original":"R1","lines":[{"id":"1","quantity":"1"}]}`).into(t, &r)
	if len(r.Result.PointsBack) != 1 || r.Result.PointsBack[0].Points != 1500 {
		t.Errorf("half back: %+v", r.Result.PointsBack)
	}
	b.post("/v1/returns/capture", "ret2", `{"original":"R1","lines":[{"id":"1","quantity":"1"}]}`).into(t, &r)
	if len(r.Result.PointsBack) != 1 || r.Result.PointsBack[0].Points != 5500 || len(r.Result.Gifts) != 1 {
		t.Errorf("all back: %+v, %+v", r.Result.PointsBack, r.Result.Gifts)
	}
	// Without a link points are not spent, for rewards neither.
	b.link.set(func(l *fakeLink) { l.silence = true })
	var off SaleAnswer
	b.post("/v1/receipts/R2/authorise", "a2", body("", `"mug"`)).into(t, &off)
	if len(off.Gifts) != 0 || off.Hold != "" || off.Mode != "offline" {
		t.Errorf("without a link: %+v", off.Result)
	}
}
