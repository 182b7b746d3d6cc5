package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	protocol "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator/atol"
	"github.com/tillside/tillside/drivers/emulator/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
	"github.com/tillside/tillside/drivers/emulator/novitus"
	"github.com/tillside/tillside/drivers/emulator/pirit"
	"github.com/tillside/tillside/drivers/emulator/posnet"
	"github.com/tillside/tillside/drivers/emulator/shtrih"
)

// fiscalEmulator is what the emulators of all protocols can do.
type fiscalEmulator interface {
	fiscal.Printer
	Roll() []string
	Closed() (int, int64)
	Fail(f fiscal.Fault, after int) bool
	Heal()
	Mend()
	Stands(f fiscal.Fault) bool
}

// clerk puts paper in and plugs cables in, all day long; stop sends him home.
func clerk(e fiscalEmulator) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				e.Mend()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// registers is one emulated printer of each protocol, with quick time-outs.
var registers = []struct {
	name, driver string
	options      map[string]string
	make         func() fiscalEmulator
}{
	{"shtrih", "shtrih", map[string]string{"patience": "15", "resume": "10s", "paper_wait": "5s"}, func() fiscalEmulator { return shtrih.New(shtrih.Options{}) }},
	{"atol", "atol", map[string]string{"patience": "15", "resume": "10s", "paper_wait": "5s"}, func() fiscalEmulator { return atol.New(atol.Options{}) }},
	{"pirit", "pirit", map[string]string{"patience": "15", "resume": "10s", "paper_wait": "5s"}, func() fiscalEmulator { return pirit.New(pirit.Options{}) }},
	{"posnet", "posnet", map[string]string{"answer": "150ms"}, func() fiscalEmulator { return posnet.New(posnet.Options{}) }},
	{"novitus", "novitus", map[string]string{"answer": "200ms"}, func() fiscalEmulator { return novitus.New(novitus.Options{}) }},
	{"datecs isl", "datecs", map[string]string{"answer": "80ms", "patience": "20s"}, func() fiscalEmulator { return datecs.New(datecs.Options{}) }},
	{"datecs pm", "datecs", map[string]string{"form": "pm", "answer": "80ms", "patience": "20s"}, func() fiscalEmulator { return datecs.New(datecs.Options{Form: protocol.PM}) }},
}

// fiscalCounter is a till whose printer is fiscal, on a pseudo-terminal.
type fiscalCounter struct {
	*counter
	e     fiscalEmulator
	start func()
}

func newFiscalCounter(t *testing.T, driver string, options map[string]string, e fiscalEmulator) *fiscalCounter {
	c := &fiscalCounter{counter: &counter{t: t, dir: t.TempDir()}, e: e}
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = c.dir, "127.0.0.1:0"
	s.Devices = []configs.Device{{Name: "register", Driver: driver, Port: fiscaltest.Terminal(t, e), Options: options}}
	c.token = agenttest.Folder(t, c.dir, "ws://127.0.0.1:1/v1/sync", rulebook(t), map[string]*loyalty.Member{
		annasCard: {ID: 0x1234, FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: 10000}}}})
	c.start = func() {
		a, err := agent.Open(agent.Options{Settings: s, Version: "test", Log: slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err != nil {
			t.Fatal(err)
		}
		c.agent = a
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		c.stop = sync.OnceValue(func() error {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
			return a.Close()
		})
	}
	c.start()
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(c.log.String())
		}
	})
	return c
}

const fiscalBasket = `{"customer":{"input":"` + annasCard + `"},"currency":"GBP","lines":[{"sku":"1","name":"Tea","quantity":"2","price":"30.00","category":"food"},{"sku":"2","name":"Sugar","quantity":"0.500","price":"4.00"}]}`

// TestCashProgramPrintsThroughTheAgent: for every protocol a cash program opens
// the shift, sells, gives discounts, totals, pays and closes through the API; the
// loyalty text stands inside; the same call again prints nothing.
func TestCashProgramPrintsThroughTheAgent(t *testing.T) {
	for _, r := range registers {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			e := r.make()
			c := newFiscalCounter(t, r.driver, r.options, e)
			must := func(method, path, key, body string, into any) {
				t.Helper()
				if err := c.call(method, path, key, body, into); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			c.until("the register answers", func() bool { return c.call("GET", "/v1/fiscal", "", "", nil) == nil })
			var st till.FiscalStatus
			must("GET", "/v1/fiscal", "", "", &st)
			if st.Identity.Serial == "" && st.Identity.FiscalMemory == "" || st.Columns < 16 || st.Fiscal == nil {
				t.Errorf("status %+v", st)
			}
			must("POST", "/v1/fiscal", "open", `{"do":"open_shift","operator":"1"}`, nil)
			n0, sum0 := e.Closed()

			// A receipt of the loyalty programme.
			var sale till.SaleAnswer
			must("POST", "/v1/receipts/R1/authorise", "a1", fiscalBasket, &sale)
			net := int64(sale.Totals.Net)
			if net >= 6200 {
				t.Errorf("no discount: %d", net)
			}
			var a till.FiscalAnswer
			must("POST", "/v1/receipts/R1/fiscal", "f1", `{"operator":"1","tenders":[{"kind":"cash","amount":"100.00"}]}`, &a)
			n, sum := e.Closed()
			if n != n0+1 || sum-sum0 != net || int64(a.Total) != net || int64(a.Change) != 10000-net || a.State != "closed" || a.Loyalty != "printed" {
				t.Errorf("%+v; fiscal memory %d receipts over %d\n%s", a, n-n0, sum-sum0, strings.Join(e.Roll(), "\n"))
			}
			roll := strings.Join(e.Roll(), "\n")
			for _, want := range []string{"Tea", "Sugar"} {
				if !strings.Contains(roll, want) {
					t.Errorf("no %s on the roll\n%s", want, roll)
				}
			}
			var again till.FiscalAnswer
			must("POST", "/v1/receipts/R1/fiscal", "f1", `{"operator":"1","tenders":[{"kind":"cash","amount":"100.00"}]}`, &again)
			if again != a {
				t.Errorf("again %+v, first %+v", again, a)
			}
			if err := c.call("POST", "/v1/receipts/R1/fiscal", "f1b", `{"operator":"1"}`, nil); err == nil || !strings.Contains(err.Error(), "fiscal_done") {
				t.Errorf("under another key: %v", err)
			}
			must("POST", "/v1/receipts/R1/capture", "c1", `{"shift":"1"}`, nil)
			var view till.ReceiptView
			must("GET", "/v1/receipts/R1", "", "", &view)
			if view.Fiscal != a.Number {
				t.Errorf("captured with the number %q, printed %q", view.Fiscal, a.Number)
			}

			// A receipt of the cash program's own, with discounts of both kinds.
			must("POST", "/v1/receipts/X1/fiscal", "x1", `{"operator":"1","lines":[{"name":"Milk","price":"2.50","quantity":"2","discount":"0.50","discount_name":"Promo"},{"name":"Bread","price":"1.50"}],`+
				`"discount":"1.00","discount_name":"Card","tenders":[{"kind":"card","amount":"5.00"}]}`, &a)
			n, sum = e.Closed()
			if n != n0+2 || sum-sum0 != net+500 {
				t.Errorf("%+v; %d receipts over %d\n%s", a, n-n0, sum-sum0, strings.Join(e.Roll(), "\n"))
			}
			for body, want := range map[string]string{
				`{"lines":[{"name":"Milk","price":"2.50"}],"tenders":[{"kind":"cash","amount":"1.00"}]}`: "fiscal_unpaid",
				`{}`:                           "fiscal_nothing",
				`{"kind":"x"}`:                 "bad_request",
				`{"lines":[{"price":"1.00"}]}`: "bad_request",
			} {
				if err := c.call("POST", "/v1/receipts/X2/fiscal", "x2", body, nil); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v", body, err)
				}
			}
			must("POST", "/v1/fiscal", "cash", `{"do":"cash","amount":"50.00"}`, nil)
			must("POST", "/v1/fiscal", "x", `{"do":"x_report"}`, nil)
			if err := c.call("POST", "/v1/fiscal", "drawer", `{"do":"drawer"}`, nil); err != nil && !strings.Contains(err.Error(), "no_drawer") {
				t.Errorf("drawer: %v", err)
			}
			must("POST", "/v1/fiscal", "z", `{"do":"close_shift"}`, nil)
			must("POST", "/v1/fiscal", "z", `{"do":"close_shift"}`, nil)
			if n, sum := e.Closed(); n != n0+2 || sum-sum0 != net+500 {
				t.Errorf("after the reports: %d over %d", n-n0, sum-sum0)
			}
		})
	}
}

// TestFiscalReceiptOnceWhateverBreaks lets a fault strike each command of a
// receipt in turn, and kills the agent there as well; the cash program makes the
// same call until it is answered. Each receipt is in the fiscal memory once, or
// nobody claims that it is.
func TestFiscalReceiptOnceWhateverBreaks(t *testing.T) {
	steps := 12
	if testing.Short() {
		steps = 4
	}
	for _, r := range registers {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			e := r.make()
			c := newFiscalCounter(t, r.driver, r.options, e)
			c.until("the register answers", func() bool { return c.call("GET", "/v1/fiscal", "", "", nil) == nil })
			if err := c.call("POST", "/v1/fiscal", "open", `{"do":"open_shift","operator":"1"}`, nil); err != nil {
				t.Fatal(err)
			}
			n0, _ := e.Closed()
			printed, unknown := 0, 0
			for i, fault := range []fiscal.Fault{fiscal.UnplugBefore, fiscal.UnplugAfter, fiscal.PaperOut, fiscal.Silence} {
				for after := range steps {
					if (after+i)%4 != 0 && !testing.Short() && steps > 4 { // each command by one of the faults, every fault at every fourth
						continue
					}
					id := fmt.Sprintf("F%d-%d", i, after)
					body := fmt.Sprintf(`{"operator":"1","lines":[{"name":"Goods %s","price":"7.00"}]}`, id)
					e.Fail(fault, after)
					home := clerk(e)
					var a till.FiscalAnswer
					var err error
					for try := range 6 {
						if err = c.call("POST", "/v1/receipts/"+id+"/fiscal", "k"+id, body, &a); err == nil {
							break
						}
						e.Heal()
						if strings.Contains(err.Error(), "fiscal_unknown") && try == 5 {
							unknown++
						}
						c.until("the register answers", func() bool { return c.call("GET", "/v1/fiscal", "", "", nil) == nil })
					}
					home()
					e.Heal()
					if err == nil {
						printed++
					} else if !strings.Contains(err.Error(), "fiscal_unknown") {
						t.Errorf("%s: %v", id, err)
					}
					if n, _ := e.Closed(); n-n0 < printed || n-n0 > printed+unknown {
						t.Fatalf("%s: %d receipts in the fiscal memory, %d printed, %d unknown\n%s", id, n-n0, printed, unknown, strings.Join(e.Roll(), "\n"))
					}
				}
			}
			if printed == 0 || unknown > 0 {
				t.Errorf("%d printed, %d unknown", printed, unknown)
			}
			// The agent ends in mid-receipt and starts again.
			e.Fail(fiscal.PaperOut, 3)
			done := make(chan error, 1)
			body := `{"operator":"1","lines":[{"name":"Goods K","price":"9.00"},{"name":"More","price":"1.00"}]}`
			go func() { done <- c.call("POST", "/v1/receipts/K/fiscal", "kK", body, nil) }()
			c.until("no paper", func() bool { return e.Stands(fiscal.PaperOut) || len(done) > 0 })
			if err := c.stop(); err != nil {
				t.Fatal(err)
			}
			<-done
			e.Heal()
			c.start()
			c.until("the register answers", func() bool { return c.call("GET", "/v1/fiscal", "", "", nil) == nil })
			before, _ := e.Closed()
			err := c.call("POST", "/v1/receipts/K/fiscal", "kK", body, nil)
			after, _ := e.Closed()
			switch {
			case err == nil && after-n0 == printed+1: // printed, before the end or after it
			case err != nil && strings.Contains(err.Error(), "fiscal_unknown") && after == before:
				word := "not_printed"
				if after-n0 == printed+1 {
					word = "printed"
				}
				if err := c.call("POST", "/v1/receipts/K/fiscal", "kK2", strings.Replace(body, "{", `{"resolve":"`+word+`",`, 1), nil); err != nil {
					t.Errorf("after a person's word: %v", err)
				}
			default:
				t.Errorf("after the restart: %v; %d receipts, %d before, %d printed", err, after-n0, before-n0, printed)
			}
			if n, _ := e.Closed(); n-n0 != printed+1 {
				t.Errorf("%d receipts at the end, %d printed\n%s", n-n0, printed+1, strings.Join(e.Roll(), "\n"))
			}
		})
	}
}
