package till

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// Points that the centre has not confirmed are named so wherever the slip is
// seen: in the answer, on the agent's own paper, and when it is read again.
func TestSlipSaysToBeCredited(t *testing.T) {
	for _, c := range []struct {
		name   string
		card   string
		online bool
		want   bool
	}{
		{"offline", annasCard, false, true},
		{"unknown card", "9990001112223", true, true},
		{"online", annasCard, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.link.set(func(l *fakeLink) { l.online = c.online })
			token := b.identify(c.card).Member.Token
			var done CaptureAnswer
			b.post("/v1/receipts/R1/capture", "c1", `{"print":"agent","receipt":`+basket(token, "")+`}`).into(t, &done)
			b.wait("the slip", func() bool { return len(b.devices.printer.printed()) == 1 })
			var again ReceiptView
			b.do("GET", "/v1/receipts/R1", "", nil).into(t, &again)
			for where, text := range map[string]string{
				"answer": strings.Join(done.Print, "\n"), "receipt": strings.Join(again.Print, "\n"), "paper": fmt.Sprint(b.devices.printer.printed()[0].Blocks),
			} {
				if strings.Contains(text, "without a link") != (c.name == "offline") {
					t.Errorf("%s: that there was no link is said: %t\n%s", where, c.name != "offline", text)
				}
				if strings.Contains(text, "To be credited") != c.want {
					t.Errorf("%s: \"To be credited\" is there: %t, want %t\n%s", where, !c.want, c.want, text)
				}
			}
		})
	}
}

// The balance on a second slip counts what the first one earned, although the
// centre has confirmed neither; both together are to be credited.
func TestSecondOfflineSlipCountsTheFirst(t *testing.T) {
	b := newBench(t)
	b.link.set(func(l *fakeLink) { l.online = false })
	var sum loyalty.Points
	for i, id := range []string{"R1", "R2"} {
		var done CaptureAnswer
		if i == 0 {
			b.post("/v1/receipts/R1/capture", "c1", `{"receipt":`+basket(b.identify(annasCard).Member.Token, "")+`}`).into(t, &done)
		} else { // authorised before, and priced again with the real tenders
			b.post("/v1/receipts/R2/authorise", "a2", basket(b.identify(annasCard).Member.Token, "")).into(t, new(SaleAnswer))
			b.post("/v1/receipts/R2/capture", "c2", `{"tenders":[{"kind":"cash","amount":"180.00"}]}`).into(t, &done)
		}
		sum += earned(done.Result)
		text := strings.Join(done.Print, "\n")
		for _, want := range []string{short(10000 + sum), "To be credited", short(sum)} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q on\n%s", id, want, text)
			}
		}
	}
	var view ReceiptView
	b.do("GET", "/v1/receipts/R2", "", nil).into(t, &view)
	if text := strings.Join(view.Print, "\n"); !strings.Contains(text, short(sum)) {
		t.Errorf("read again\n%s", text)
	}
}

func short(p loyalty.Points) string { return strings.TrimSuffix(p.String(), ".00") }

// Who has never bought anything is greeted with a tier and a balance as well.
func TestNewMemberHasTierAndBalance(t *testing.T) {
	b := newBench(t)
	b.put(annasCard, &loyalty.Member{ID: annasID, FirstName: "Anna"}, "active", wire.Mark{})
	m := b.identify(annasCard).Member
	if m.TierName == "" || len(m.Balances) == 0 || m.Balances[0].Active != 0 {
		t.Errorf("tier %q, balances %+v", m.TierName, m.Balances)
	}
	stranger := b.identify("9990001112223").Member
	if stranger.TierName != "" || len(stranger.Balances) != 0 {
		t.Errorf("stranger: tier %q, balances %+v", stranger.TierName, stranger.Balances)
	}
}

// be puts the printer into a state.
func (p *fakePrinter) be(c drivers.Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = c
}

// text is what stands on a slip, line by line.
func text(s drivers.Slip) string {
	var lines []string
	for _, b := range s.Blocks {
		if t, ok := b.(drivers.Text); ok {
			lines = append(lines, strings.Join(strings.Fields(t.Text), " "))
		}
	}
	return strings.Join(lines, "\n")
}

// A return has a slip of its own: what came back, the money, the points; once,
// and as a copy when it is wanted again.
func TestReturnSlip(t *testing.T) {
	b := newBench(t)
	b.sold("R1")
	b.link.set(func(l *fakeLink) { l.online = false })
	var plan, done ReturnAnswer
	b.post("/v1/returns/calculate", "", `{"original":"R1","lines":[{"id":"1","quantity":"1"}],"columns":32}`).into(t, &plan)
	b.post("/v1/returns/capture", "r1", `{"original":"R1","lines":[{"id":"1","quantity":"1"}],"columns":32,"print":"agent"}`).into(t, &done)
	if done.Slip != store.SlipQueued || !slices.Equal(plan.Print, done.Print) {
		t.Errorf("slip %q, lines %q, planned %q", done.Slip, done.Print, plan.Print)
	}
	b.wait("the slip", func() bool { return len(b.devices.printer.printed()) == 1 })
	paper := text(b.devices.printer.printed()[0])
	money := receipt.Amount("en", done.Result.Totals.Net)
	for _, want := range []string{"RETURN", "Of receipt R1", "Money back " + money + " GBP"} {
		if !strings.Contains(paper, want) || !strings.Contains(strings.Join(strings.Fields(strings.Join(done.Print, "\n")), " "), want) {
			t.Errorf("%q is not on the slip\n%s\nor not in the answer\n%s", want, paper, strings.Join(done.Print, "\n"))
		}
	}
	for _, l := range done.Print {
		if len([]rune(l)) > 32 {
			t.Errorf("%q is wider than 32", l)
		}
	}
	b.wait("the state", func() bool {
		r, err := b.till.stored("R1")
		return err == nil && r.Returns[0].Slip == store.SlipPrinted && r.Slip == ""
	})
	var again PrintAnswer
	b.post("/v1/receipts/R1/print", "p1", `{"return":1}`).into(t, &again)
	b.wait("the copy", func() bool { return len(b.devices.printer.printed()) == 2 })
	if s := b.devices.printer.printed()[1]; s.CopyMark == "" || text(s) != paper || again.Copies != 1 {
		t.Errorf("mark %q, copies %d\n%s", s.CopyMark, again.Copies, text(s))
	}
	for body, code := range map[string]string{`{"return":2}`: "bad_request", `{"return":-1}`: "bad_request"} {
		if a := b.post("/v1/receipts/R1/print", "no"+body, body); a.code() != code {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if a := b.post("/v1/returns/capture", "r9", `{"original":"R1","lines":[{"id":"1","quantity":"1"}],"print":"paper"}`); a.code() != "bad_request" {
		t.Errorf("%s", a.body)
	}
}

// A return slip that waited for its printer when the agent went is printed at
// the next start; one that was being printed is not.
func TestReturnSlipOverRestart(t *testing.T) {
	b := newBench(t)
	b.sold("R1")
	b.sold("R2")
	b.stop()
	b.devices.printer.be(drivers.Absent)
	b.open(func(c *Config) { c.Patience = time.Hour })
	for _, id := range []string{"R1", "R2"} {
		b.post("/v1/returns/capture", "r"+id, `{"original":"`+id+`","lines":[{"id":"1","quantity":"1"}],"print":"agent"}`)
	}
	b.stop()
	j, err := store.OpenJournal(b.dir, store.Options{Identity: outbox.Identity{Device: "dev-0123456789", Epoch: 1},
		Stamp: func() outbox.Stamp { return outbox.Stamp{Wall: time.Now(), Boot: "b", Clock: wire.ClockGood} }})
	if err != nil {
		t.Fatal(err)
	}
	err = j.Update(func(tx *store.Tx) error {
		r, err := tx.Receipt("R2")
		if err != nil {
			return err
		}
		r.Returns[0].Slip = store.SlipPrinting
		return tx.PutReceipt(r)
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	b.devices.printer.be(drivers.Ready)
	b.open(func(c *Config) { c.Patience = time.Hour })
	b.wait("the slip that waited", func() bool {
		r, err := b.till.stored("R1")
		return err == nil && r.Returns[0].Slip == store.SlipPrinted
	})
	if r, err := b.till.stored("R2"); err != nil || r.Returns[0].Slip != store.SlipUnknown || len(b.devices.printer.printed()) != 1 {
		t.Errorf("%v, %+v, %d slips", err, r.Returns[0].Slip, len(b.devices.printer.printed()))
	}
}

// An exchange is one slip: what came back, what was taken, who owes whom.
func TestExchangeSlip(t *testing.T) {
	b := newBench(t)
	b.sold("R1")
	var done CaptureAnswer
	b.post("/v1/receipts/R2/capture", "c", `{"print":"agent","receipt":{"currency":"GBP","lines":[{"sku":"3","name":"Green tea","quantity":"1","price":"500.00"}],
		"returns":{"original":"R1","lines":[{"id":"1","quantity":"1"}]}}}`).into(t, &done)
	b.wait("the slip", func() bool { return len(b.devices.printer.printed()) == 1 })
	paper := text(b.devices.printer.printed()[0])
	for _, want := range []string{"EXCHANGE", "Of receipt R1", "Came back", "Taken", "Green tea", "To pay " + receipt.Amount("en", done.Exchange.ToPay) + " GBP"} {
		if !strings.Contains(paper, want) || !strings.Contains(strings.Join(strings.Fields(strings.Join(done.Print, "\n")), " "), want) {
			t.Errorf("%q is not on the slip\n%s", want, paper)
		}
	}
}
