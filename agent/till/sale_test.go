package till

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/wire"
)

func TestSaleFromCardToSlip(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	if !who.Known || who.Member.FirstName != "Anna" || who.Member.Balances[0].Active != 10000 {
		t.Fatalf("identify: %+v", who.Member)
	}
	var priced, held SaleAnswer
	b.post("/v1/receipts/R1/calculate", "", basket(who.Member.Token, "")).into(t, &priced)
	if priced.Totals.Gross != 20000 || len(priced.Earned) == 0 || priced.State != store.Open {
		t.Fatalf("calculate: %+v", priced.Totals)
	}
	if n := len(b.records()); n != 0 {
		t.Errorf("calculate left %d records", n)
	}
	b.post("/v1/receipts/R1/authorise", "a1", basket(who.Member.Token, "20")).into(t, &held)
	if held.State != store.Held || held.Hold == "" || held.Totals.Redeemed != 2000 {
		t.Fatalf("authorise: %+v hold %q", held.Totals, held.Hold)
	}
	var done CaptureAnswer
	b.post("/v1/receipts/R1/capture", "c1", `{"fiscal_number":"F7","shift":"S1","tenders":[{"kind":"cash","amount":"`+held.Totals.Net.String()+`"}],"print":"agent"}`).into(t, &done)
	if done.State != store.Captured || done.Result.Totals != held.Totals || done.ToBeCredited || len(done.Print) == 0 {
		t.Fatalf("capture: %+v", done)
	}
	if got := strings.Join(b.records(), " "); got != "HOLD COMMIT" {
		t.Errorf("records: %s", got)
	}
	b.wait("the slip", func() bool { return len(b.devices.printer.printed()) == 1 })
	b.wait("the slip's state", func() bool {
		var v ReceiptView
		b.do("GET", "/v1/receipts/R1", "", nil).into(t, &v)
		return v.Slip == store.SlipPrinted && v.State == store.Captured
	})
	if s := b.devices.printer.printed()[0]; s.CopyMark != "" || s.ID != "R1" {
		t.Errorf("slip: %+v", s)
	}
	b.wait("the farewell", func() bool { top, _ := b.devices.display.last(); return top == "Thank you!" })
	// Once captured it stays so.
	if a := b.post("/v1/receipts/R1/capture", "c2", `{}`); a.code() != "wrong_state" {
		t.Errorf("second capture: %d %s", a.status, a.body)
	}
}

func TestBalanceMovesWithThisTill(t *testing.T) {
	b := newBench(t)
	b.link.set(func(l *fakeLink) { l.online = false })
	who := b.identify(annasCard)
	if who.Mode != "offline" {
		t.Errorf("mode %s", who.Mode)
	}
	var done CaptureAnswer
	b.post("/v1/receipts/R1/capture", "c1", `{"receipt":`+basket(who.Member.Token, "")+`}`).into(t, &done)
	gained := earned(done.Result)
	if gained <= 0 || !done.ToBeCredited || done.Mode != "offline" {
		t.Fatalf("earned %v, to be credited %v", gained, done.ToBeCredited)
	}
	after := b.identify(annasCard).Member.Balances[0]
	if after.Active != 10000 || after.ToBe != gained {
		t.Errorf("after: active %v to be credited %v, want 100.00 and %v", after.Active, after.ToBe, gained)
	}
	// A snapshot that includes the record takes its place.
	b.put(annasCard, &loyalty.Member{ID: annasID, Wallets: map[string]loyalty.Balance{"points": {Active: 10000 + gained}}}, "active", wire.Mark{Epoch: 1, Seq: done.Seq})
	after = b.identify(annasCard).Member.Balances[0]
	if after.Active != 10000+gained || after.ToBe != 0 {
		t.Errorf("after the snapshot: %+v", after)
	}
	// And a void gives all of it back.
	var v StateAnswer
	b.post("/v1/receipts/R1/void", "v1", `{"reason":"test"}`).into(t, &v)
	after = b.identify(annasCard).Member.Balances[0]
	if v.State != store.Voided || after.ToBe != 0 || after.Active != 10000 {
		t.Errorf("after the void: %+v %+v", v, after)
	}
	if got := strings.Join(b.records(), " "); got != "COMMIT VOID" {
		t.Errorf("records: %s", got)
	}
}

func TestNoSpendingWithoutTheCentre(t *testing.T) {
	for name, set := range map[string]func(*fakeLink){
		"offline": func(l *fakeLink) { l.online = false },
		"silent":  func(l *fakeLink) { l.silence = true },
		"refused": func(l *fakeLink) { l.refuse = "not_enough" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			who := b.identify(annasCard)
			b.link.set(set)
			var a SaleAnswer
			b.post("/v1/receipts/R1/authorise", "a1", basket(who.Member.Token, "20")).into(t, &a)
			if a.Totals.Redeemed != 0 || a.Hold != "" || a.State != store.Held {
				t.Fatalf("points were given: %+v", a.Totals)
			}
			want := ""
			if name == "silent" { // a grant may hide behind silence
				want = "VOID"
			}
			if got := strings.Join(b.records(), " "); got != want {
				t.Errorf("records %q, want %q", got, want)
			}
			var done CaptureAnswer
			b.post("/v1/receipts/R1/capture", "c1", `{}`).into(t, &done)
			if done.Result.Totals.Redeemed != 0 || earned(done.Result) == 0 {
				t.Errorf("capture: %+v", done.Result.Totals)
			}
			if a := b.post("/v1/receipts/R2/authorise", "a2", strings.Replace(basket(who.Member.Token, "20"), `"lines"`, `"expect":{"redeemed":"20.00"},"lines"`, 1)); a.code() != "price_changed" {
				t.Errorf("expected price: %d %s", a.status, a.body)
			}
		})
	}
}

func TestHoldIsGivenBackAfterACrash(t *testing.T) {
	b := newBench(t)
	// As it stands on disk when the agent dies between question and answer.
	err := b.journal.Update(func(tx *store.Tx) error {
		id := annasID
		return tx.PutReceipt(&store.Receipt{ID: "R1", State: store.Open, Member: &id, Basket: []byte("{}"), Result: []byte("{}"),
			Hold: &store.Hold{ID: "0190a0a0-0000-7000-8000-000000000001", Wallet: "points", Points: 500}})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.restart()
	if got := strings.Join(b.records(), " "); got != "VOID" {
		t.Errorf("records after the restart: %q", got)
	}
	b.restart()
	if got := strings.Join(b.records(), " "); got != "VOID" {
		t.Errorf("records after another restart: %q", got)
	}
}

func TestVoidReleasesTheHold(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	var held SaleAnswer
	b.post("/v1/receipts/R1/authorise", "a1", basket(who.Member.Token, "20")).into(t, &held)
	if got := b.identify(annasCard).Member.Balances[0].Active; got != 8000 {
		t.Errorf("while held: %v, want the centre's 80.00", got)
	}
	var v StateAnswer
	b.post("/v1/receipts/R1/void", "v1", `{}`).into(t, &v)
	if got := b.identify(annasCard).Member.Balances[0].Active; got != 10000 {
		t.Errorf("after the release: %v, want 100.00", got)
	}
	if got := strings.Join(b.records(), " "); got != "HOLD VOID" {
		t.Errorf("records: %s", got)
	}
	for call, body := range map[string]string{"capture": "{}", "void": "{}", "authorise": basket(who.Member.Token, "")} {
		if a := b.post("/v1/receipts/R1/"+call, "x"+call, body); a.code() != "wrong_state" {
			t.Errorf("%s after void: %d %s", call, a.status, a.body)
		}
	}
}

func TestAuthoriseAgainMovesTheHold(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	var one, two SaleAnswer
	b.post("/v1/receipts/R1/authorise", "a1", basket(who.Member.Token, "20")).into(t, &one)
	b.post("/v1/receipts/R1/authorise", "a2", basket(who.Member.Token, "10")).into(t, &two)
	if one.Hold == two.Hold || two.Totals.Redeemed != 1000 {
		t.Errorf("holds %q %q, %v", one.Hold, two.Hold, two.Totals)
	}
	if got := strings.Join(b.records(), " "); got != "HOLD VOID HOLD" {
		t.Errorf("records: %s", got)
	}
}

func TestSameKeyOneEffect(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	body := `{"receipt":` + basket(who.Member.Token, "") + `,"shift":"S1"}`
	first := b.post("/v1/receipts/R1/capture", "k", body)
	again := b.post("/v1/receipts/R1/capture", "k", body)
	if first.status != 200 || string(first.body) != string(again.body) || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	if a := b.post("/v1/receipts/R1/capture", "k", strings.Replace(body, "S1", "S2", 1)); a.status != 409 || a.code() != "idempotency_conflict" {
		t.Errorf("other body: %d %s", a.status, a.body)
	}
	if a := b.post("/v1/receipts/R2/capture", "k", body); a.code() != "idempotency_conflict" {
		t.Errorf("other receipt: %d %s", a.status, a.body)
	}
	b.restart()
	if a := b.post("/v1/receipts/R1/capture", "k", body); string(a.body) != string(first.body) {
		t.Errorf("after a restart: %d %s", a.status, a.body)
	}
	var op OperationAnswer
	b.do("GET", "/v1/operations/k", "", nil).into(t, &op)
	if op.Status != 200 || string(op.Answer) != string(first.body) {
		t.Errorf("operation: %+v", op)
	}
	if a := b.do("GET", "/v1/operations/other", "", nil); a.status != 404 {
		t.Errorf("unknown operation: %d", a.status)
	}
	if got := strings.Join(b.records(), " "); got != "COMMIT" {
		t.Errorf("records: %s", got)
	}
}

func TestParallelCallsOneEffect(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	body := `{"receipt":` + basket(who.Member.Token, "") + `}`
	var wg sync.WaitGroup
	answers := make([]answer, 24)
	for i := range answers {
		wg.Go(func() {
			key := "same"
			if i%3 == 0 {
				key = "other" + string(rune('a'+i)) // another program's try of the same receipt
			}
			answers[i] = b.post("/v1/receipts/R1/capture", key, body)
		})
	}
	wg.Wait()
	ok, same := 0, ""
	for i, a := range answers {
		switch {
		case a.status == 200:
			ok++
			if i%3 != 0 {
				if same != "" && same != string(a.body) {
					t.Error("two answers for one key")
				}
				same = string(a.body)
			}
		case a.code() != "wrong_state":
			t.Errorf("%d: %d %s", i, a.status, a.body)
		}
	}
	if got := strings.Join(b.records(), " "); got != "COMMIT" || ok == 0 {
		t.Errorf("records %q, %d fine answers", got, ok)
	}
}

func TestUnknownCardEarns(t *testing.T) {
	b := newBench(t)
	who := b.identify("9990001112223")
	if who.Known || who.Member.CardStatus != "unknown" || who.Member.Token == "" {
		t.Fatalf("%+v", who.Member)
	}
	var done CaptureAnswer
	b.post("/v1/receipts/R1/capture", "c1", `{"receipt":`+basket(who.Member.Token, "")+`}`).into(t, &done)
	if earned(done.Result) == 0 || !done.ToBeCredited || done.Result.Member != nil {
		t.Errorf("%+v", done)
	}
	_ = b.journal.Box().Each(func(_ uint64, rec []byte) error {
		r, err := wire.DecodeRecord(rec)
		if err != nil {
			return err
		}
		var c wire.Commit
		if err := wire.ReadPayload(r, &c); err != nil {
			return err
		}
		if c.Member != "" || c.CardRef != wire.CardRef(testKey, wire.KindCard, "9990001112223") {
			t.Errorf("commit: member %q card %s", c.Member, c.CardRef)
		}
		if strings.Contains(string(rec), "9990001112223") {
			t.Error("a card number stands in the journal")
		}
		return nil
	})
	// The card cannot spend, whatever the link.
	var a SaleAnswer
	b.post("/v1/receipts/R2/authorise", "a2", basket(who.Member.Token, "max")).into(t, &a)
	if a.Totals.Redeemed != 0 || a.Hold != "" {
		t.Errorf("an unknown card spent: %+v", a.Totals)
	}
	// The known card's earlier receipts count when its owner becomes known.
	b.put("9990001112223", &loyalty.Member{ID: 77}, "active", wire.Mark{Epoch: 1})
	if got := b.identify("9990001112223").Member.Balances; len(got) != 1 || got[0].ToBe != earned(done.Result) {
		t.Errorf("balances: %+v", got)
	}
}

func TestBlockedAndStoppedCards(t *testing.T) {
	b := newBench(t)
	b.put("111222333", &loyalty.Member{ID: 5, FirstName: "Eva", Wallets: map[string]loyalty.Balance{"points": {Active: 5000}}}, "blocked", wire.Mark{})
	if err := b.cache.Update(func(tx *store.CacheTx) error { return tx.Stop(wire.CardRef(testKey, wire.KindCard, annasCard), "lost") }); err != nil {
		t.Fatal(err)
	}
	for _, card := range []string{"111222333", annasCard} {
		who := b.identify(card)
		if who.Member.CardStatus != "blocked" {
			t.Errorf("%s: %s", card, who.Member.CardStatus)
		}
		var a SaleAnswer
		b.post("/v1/receipts/R"+card+"/authorise", "a"+card, basket(who.Member.Token, "max")).into(t, &a)
		if a.Totals.Redeemed != 0 {
			t.Errorf("%s spent %v", card, a.Totals.Redeemed)
		}
	}
}

func TestPhoneNumber(t *testing.T) {
	b := newBench(t, func(c *Config) { c.PhonePrefix = "48" })
	refs := []wire.RefState{{Ref: wire.CardRef(testKey, wire.KindPhone, "+48501002003"), Kind: "phone"}}
	if err := b.cache.Update(func(tx *store.CacheTx) error {
		return tx.PutMember(refs, store.Snapshot{Member: &loyalty.Member{ID: 9, FirstName: "Ola"}})
	}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"phone":"+48 501 002 003"}`, `{"phone":"501002003"}`, `{"phone":"0048501002003"}`, `{"input":"+48501002003"}`, `{"input":"501-002-003"}`} {
		var a MemberAnswer
		b.post("/v1/identify", "", body).into(t, &a)
		if !a.Known || a.Member.FirstName != "Ola" {
			t.Errorf("%s: known %v", body, a.Known)
		}
	}
	for _, body := range []string{`{}`, `{"input":"1"}`, `{"phone":"12"}`, `{"input":"karta\u0000"}`} {
		if a := b.post("/v1/identify", "", body); a.code() != "no_card" {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestDirtyReceiptsAreRefusedOrPriced(t *testing.T) {
	b := newBench(t)
	line := `{"sku":"x","quantity":"1","price":"1.00"}`
	long := strings.Repeat(line+",", 1113) + line
	for name, c := range map[string]struct{ body, want string }{
		"zero price":    {`{"currency":"GBP","lines":[{"sku":"x","quantity":"1","price":"0"}]}`, ""},
		"negative":      {`{"currency":"GBP","lines":[` + line + `,{"sku":"x","quantity":"-1","price":"1.00"}]}`, ""},
		"1,114 lines":   {`{"currency":"GBP","lines":[` + long + `]}`, ""},
		"other money":   {`{"currency":"EUR","lines":[` + line + `]}`, "bad_receipt"},
		"unknown field": {`{"currency":"GBP","lines":[` + line + `],"colour":"red"}`, "bad_request"},
		"twice":         {`{"currency":"GBP","currency":"GBP","lines":[` + line + `]}`, "bad_request"},
		"deep":          {`{"lines":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "bad_request"},
		"not a number":  {`{"currency":"GBP","lines":[{"sku":"x","quantity":1e999,"price":"1"}]}`, "bad_request"},
		"overflow":      {`{"currency":"GBP","lines":[{"sku":"x","quantity":"9223372036854775","price":"9223372036854"}]}`, "bad_request bad_receipt"},
		"other id":      {`{"id":"R9","currency":"GBP","lines":[` + line + `]}`, "bad_request"},
		"old token":     {`{"member":"abc","currency":"GBP","lines":[` + line + `]}`, "bad_member"},
		"two values":    {`{"currency":"GBP","lines":[` + line + `]} {}`, "bad_request"},
		"not json":      {`{"currency":`, "bad_request"},
	} {
		a := b.post("/v1/receipts/R1/calculate", "", c.body)
		if c.want == "" && a.status != 200 || c.want != "" && (a.status/100 != 4 || !strings.Contains(c.want, a.code())) {
			t.Errorf("%s: %d %.300s", name, a.status, a.body)
		}
	}
}

func TestCashiersChoiceOfPoints(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	if a := b.post("/v1/receipts/R1/spend", "", `{"spend":"max"}`); a.code() != "unknown_receipt" {
		t.Errorf("before the basket: %d %s", a.status, a.body)
	}
	b.post("/v1/receipts/R1/calculate", "", basket(who.Member.Token, ""))
	var a, held SaleAnswer
	b.post("/v1/receipts/R1/spend", "", `{"spend":"15"}`).into(t, &a)
	if a.Totals.Redeemed != 1500 {
		t.Errorf("spend: %+v", a.Totals)
	}
	b.post("/v1/receipts/R1/authorise", "a1", basket(who.Member.Token, "")).into(t, &held)
	if held.Totals.Redeemed != 1500 {
		t.Errorf("authorise without own choice: %+v", held.Totals)
	}
}

func TestShiftReconciles(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	var one, two CaptureAnswer
	b.post("/v1/receipts/R1/capture", "c1", `{"shift":"S1","receipt":`+basket(who.Member.Token, "")+`}`).into(t, &one)
	b.post("/v1/receipts/R2/capture", "c2", `{"shift":"S1","receipt":`+basket("", "")+`}`).into(t, &two)
	net := one.Result.Totals.Net + two.Result.Totals.Net
	var a ReconcileAnswer
	b.post("/v1/shifts/S1/reconcile", "r1", `{"receipts":2,"net":"`+net.String()+`"}`).into(t, &a)
	if !a.Agrees || a.Here.Receipts != 2 {
		t.Errorf("%+v", a)
	}
	b.post("/v1/shifts/S1/reconcile", "r2", `{"receipts":3}`).into(t, &a)
	if a.Agrees || len(a.Differences) != 1 || a.Differences[0].Here != "2" {
		t.Errorf("%+v", a)
	}
}

func TestSlipIsPrintedOnceAndCopiesSaySo(t *testing.T) {
	b := newBench(t)
	p := b.devices.printer
	var done CaptureAnswer
	b.post("/v1/receipts/R1/capture", "c1", `{"print":"agent","receipt":`+basket("", "")+`}`).into(t, &done)
	b.post("/v1/receipts/R1/capture", "c1", `{"print":"agent","receipt":`+basket("", "")+`}`).into(t, &done)
	state := func(id string) store.Slip {
		var v ReceiptView
		b.do("GET", "/v1/receipts/"+id, "", nil).into(t, &v)
		return v.Slip
	}
	b.wait("the slip", func() bool { return state("R1") == store.SlipPrinted })
	b.restart()
	var again PrintAnswer
	b.post("/v1/receipts/R1/print", "p1", `{}`).into(t, &again)
	b.wait("the copy", func() bool { return state("R1") == store.SlipPrinted })
	slips := p.printed()
	if len(slips) != 2 || slips[0].CopyMark != "" || slips[1].CopyMark == "" {
		t.Errorf("%d slips: %+v", len(slips), slips)
	}
	// Died while printing: nobody knows, and nothing is printed by itself.
	p.mu.Lock()
	p.outcome = drivers.OutcomeUnknown
	p.mu.Unlock()
	b.post("/v1/receipts/R2/capture", "c2", `{"print":"agent","receipt":`+basket("", "")+`}`).into(t, &done)
	b.wait("the end", func() bool { return state("R2") == store.SlipUnknown })
	b.restart()
	if len(p.printed()) != 3 {
		t.Error("a slip was repeated by itself")
	}
	// Out of paper: told, and dropped after the patience.
	p.mu.Lock()
	p.state = drivers.PaperOut
	p.mu.Unlock()
	b.restart(func(c *Config) { c.Patience = 50 * time.Millisecond })
	b.post("/v1/receipts/R3/capture", "c3", `{"print":"agent","receipt":`+basket("", "")+`}`).into(t, &done)
	b.wait("the end", func() bool { return state("R3") == store.SlipFailed })
	b.wait("the warning", func() bool { return len(b.health.Current()) > 0 })
}

func TestScanGreets(t *testing.T) {
	b := newBench(t)
	reader := &fakeReader{ch: make(chan drivers.Scan, 1)}
	done := make(chan error, 1)
	go func() { done <- b.till.ReadCards(t.Context(), reader) }()
	reader.ch <- drivers.Scan{Reader: "scanner", Source: drivers.FromBarcode, Text: annasCard}
	b.wait("the greeting", func() bool {
		top, bottom := b.devices.display.last()
		return top == "Hello, Anna!" && strings.HasSuffix(bottom, "100")
	})
	close(reader.ch)
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.logMu.Lock()
	defer b.logMu.Unlock()
	if s := b.log.String(); strings.Contains(s, annasCard) || strings.Contains(s, "Anna") || strings.Contains(s, b.token) {
		t.Errorf("the log tells a card, a name or a token:\n%s", s)
	}
}

type fakeReader struct {
	drivers.Reader
	ch chan drivers.Scan
}

func (r *fakeReader) Scans() <-chan drivers.Scan { return r.ch }

func TestNotEnrolledAndWithoutRulebook(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Rules = func() Rules { return nil } })
	if a := b.post("/v1/receipts/R1/calculate", "", basket("", "")); a.code() != "no_rulebook" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.do("GET", "/healthz", "", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("healthz: %d", a.status)
	}
	b.restart(func(c *Config) { c.LookupKey, c.Till = nil, "" })
	if a := b.post("/v1/identify", "", `{"input":"123456"}`); a.code() != "not_enrolled" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestReturnInParts(t *testing.T) {
	b := newBench(t)
	who := b.identify(annasCard)
	var held SaleAnswer
	var done CaptureAnswer
	b.post("/v1/receipts/R1/authorise", "a1", basket(who.Member.Token, "20")).into(t, &held)
	b.post("/v1/receipts/R1/capture", "c1", `{"shift":"S1"}`).into(t, &done)
	var one, two, try ReturnAnswer
	part := `{"original":"R1","lines":[{"id":"1","quantity":"1"}],"shift":"S1"}`
	b.post("/v1/returns/calculate", "", part).into(t, &try)
	if try.State != store.PartlyReturned || try.Result.Totals.Net <= 0 {
		t.Fatalf("calculate: %+v", try)
	}
	b.post("/v1/returns/capture", "r1", part).into(t, &one)
	b.post("/v1/returns/capture", "r1", part).into(t, &one) // the same call again
	b.post("/v1/returns/capture", "r2", `{"original":"R1","lines":[{"id":"1","quantity":"0"},{"id":"2","quantity":"0"}],"shift":"S1"}`).into(t, &two)
	if two.State != store.Returned || one.Result.Totals.Net+two.Result.Totals.Net != done.Result.Totals.Net {
		t.Errorf("money: %v + %v of %v, state %s", one.Result.Totals.Net, two.Result.Totals.Net, done.Result.Totals.Net, two.State)
	}
	var taken, back loyalty.Points
	for _, r := range []*loyalty.ReturnResult{one.Result, two.Result} {
		for _, e := range r.PointsTaken {
			taken += e.Points
		}
		for _, p := range r.PointsBack {
			back += p.Points
		}
	}
	if taken != earned(done.Result) || back != 2000 {
		t.Errorf("taken back %v of %v, given back %v of 20.00", taken, earned(done.Result), back)
	}
	if got := b.identify(annasCard).Member.Balances[0]; got.Active != 10000 || got.ToBe != 0 {
		t.Errorf("balance after all came back: %+v", got)
	}
	if got := strings.Join(b.records(), " "); got != "HOLD COMMIT RETURN RETURN" {
		t.Errorf("records: %s", got)
	}
	for _, body := range []string{part, `{"original":"R9","lines":[{"id":"1","quantity":"1"}]}`, `{"original":"R1","lines":[]}`} {
		if a := b.post("/v1/returns/capture", "x"+body[14:16], body); a.status/100 != 4 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := b.post("/v1/receipts/R1/void", "v", `{}`); a.code() != "wrong_state" {
		t.Errorf("void of a returned receipt: %s", a.body)
	}
	var shift ReconcileAnswer
	b.post("/v1/shifts/S1/reconcile", "s1", `{"receipts":1,"returns":2,"net":"0.00","earned":"0.00"}`).into(t, &shift)
	if !shift.Agrees {
		t.Errorf("shift: %+v", shift)
	}
}

func TestNoSpendingWhileBarred(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Barred = func() string { return "clock_untrusted" } })
	var a SaleAnswer
	b.post("/v1/receipts/R1/authorise", "a1", basket(b.identify(annasCard).Member.Token, "20")).into(t, &a)
	if a.Totals.Redeemed != 0 || a.Spend == nil || a.Spend.LimitedBy != "clock_untrusted" || len(a.Earned) == 0 {
		t.Errorf("%+v %+v", a.Totals, a.Spend)
	}
}
