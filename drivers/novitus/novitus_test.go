package novitus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	emulated "github.com/tillside/tillside/drivers/emulator/novitus"
	"github.com/tillside/tillside/drivers/novitus"
)

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pair(t *testing.T, opt emulated.Options, opts drivers.Options) (*novitus.Printer, *emulated.Printer, drivers.Env) {
	t.Helper()
	e := emulated.New(opt)
	mem := fiscal.InMemory(e)
	t.Cleanup(mem.Close)
	env := drivers.Env{OpenLine: mem.Open}
	return model(t, env, opts), e, env
}

func model(t *testing.T, env drivers.Env, opts drivers.Options) *novitus.Printer {
	t.Helper()
	o := drivers.Options{"answer": "60ms", "patience": "20s"}
	for k, v := range opts {
		o[k] = v
	}
	r := drivers.NewRegistry()
	r.Add(novitus.Driver)
	dev, err := r.Build(drivers.Config{Name: "printer", Driver: "novitus", Port: "COM7", Options: o}, env)
	must(t, err)
	d := dev.(*novitus.Printer)
	must(t, d.Open(context.Background()))
	t.Cleanup(func() { d.Close() })
	await(t, "the printer is usable", func() bool { return d.State().Usable() })
	return d
}

// A printer that sends codes by itself and one that must be asked print the same.
func TestReceiptWithEverything(t *testing.T) {
	ctx := context.Background()
	for name, opt := range map[string]emulated.Options{"codes": {}, "no codes": {NoCodes: true}, "thermal": {Thermal: true}} {
		t.Run(name, func(t *testing.T) {
			d, e, _ := pair(t, opt, nil)
			must(t, d.OpenReceipt(ctx, drivers.ReceiptHead{Operator: "Anna"}))
			must(t, d.Sell(ctx, drivers.Item{Name: "Żurek", Price: 300, Quantity: 2000}))
			must(t, d.Sell(ctx, drivers.Item{Name: "Ser", Price: 2999, Quantity: 355, Tax: "b", Discount: 65, DiscountName: "dla Ciebie"}))
			must(t, d.Sell(ctx, drivers.Item{Name: "Torba", Price: 20, Discount: -5}))
			must(t, d.DiscountReceipt(ctx, "bon", 100))
			sum := int64(600 + 1065 - 65 + 25 - 100)
			if got, err := d.Subtotal(ctx); err != nil || got != sum {
				t.Errorf("subtotal %d, %v, want %d", got, err, sum)
			}
			out, err := d.PrintLoyalty(ctx, []drivers.LoyaltyLine{{Field: drivers.PointsEarned, Value: "35"}, {Field: drivers.BalanceAfter, Value: "1250"},
				{Label: "Do Srebrnej", Value: "120"}, {Value: "Dziękujemy"}, {Value: "Linia trzecia"}, {Value: "Linia czwarta"}})
			if err != nil || out != drivers.OutcomeKept {
				t.Errorf("loyalty: %s, %v", out, err)
			}
			must(t, d.Pay(ctx, drivers.Payment{Type: "card", Amount: 525, Name: "Visa"}))
			if _, err := d.CloseReceipt(ctx); !errors.Is(err, drivers.Unpaid) {
				t.Errorf("close before it is paid: %v", err)
			}
			must(t, d.Pay(ctx, drivers.Payment{Type: "cash", Amount: 2000}))
			closed, err := d.CloseReceipt(ctx)
			if err != nil || closed.Change != 1000 || closed.Loyalty != drivers.OutcomePrinted {
				t.Errorf("close: %+v, %v", closed, err)
			}
			for _, want := range []string{"Żurek", "RABAT dla Ciebie", "NARZUT promocja", "RABAT bon", "Przyznano:", "Stan konta po:", "Do Srebrnej 120",
				"Dziękujemy", "Linia trzecia", "Linia czwarta", "KARTA Visa", "RESZTA"} {
				if n := strings.Count(e.Text(), want); n != 1 {
					t.Errorf("%q stands %d times on the roll:\n%s", want, n, e.Text())
				}
			}
			if n, total := e.Closed(); n != 1 || total != sum {
				t.Errorf("%d receipts over %d, want 1 over %d", n, total, sum)
			}
			if st, err := d.Status(ctx); err != nil || !st.Fiscal.ShiftOpen || st.Fiscal.ReceiptNo != 1 {
				t.Errorf("status: %+v, %v", st, err)
			}
			if id, err := d.Identity(ctx); err != nil || id.Serial == "" || id.Model == "" {
				t.Errorf("identity: %+v, %v", id, err)
			}
		})
	}
}

// There is room for 25 different free lines between two daily reports. Then the
// receipt is closed without them, and that is said.
func TestFreeLinesRunOut(t *testing.T) {
	ctx := context.Background()
	d, e, _ := pair(t, emulated.Options{}, nil)
	sell := func(i int, lines ...drivers.LoyaltyLine) drivers.Outcome {
		t.Helper()
		must(t, d.OpenReceipt(ctx, drivers.ReceiptHead{}))
		must(t, d.Sell(ctx, drivers.Item{Name: "x", Price: 100}))
		_, err := d.PrintLoyalty(ctx, lines)
		must(t, err)
		must(t, d.Pay(ctx, drivers.Payment{Amount: 100}))
		closed, err := d.CloseReceipt(ctx)
		must(t, err)
		return closed.Loyalty
	}
	for i := range 25 {
		if out := sell(i, drivers.LoyaltyLine{Value: fmt.Sprintf("Witaj %d", 100+i)}); out != drivers.OutcomePrinted {
			t.Fatalf("line %d: %s", i, out)
		}
	}
	if out := sell(25, drivers.LoyaltyLine{Value: "Witaj 125"}); out != drivers.OutcomeNotPrinted {
		t.Errorf("the 26th line: %s", out)
	}
	if out := sell(26, drivers.LoyaltyLine{Field: drivers.PointsTotal, Value: "77"}); out != drivers.OutcomePrinted {
		t.Errorf("a line with a keyword: %s", out)
	}
	if n, _ := e.Closed(); n != 27 || strings.Contains(e.Text(), "Witaj 125") {
		t.Errorf("%d receipts; on the roll:\n%s", n, e.Text())
	}
	must(t, d.CloseShift(ctx))
	if out := sell(27, drivers.LoyaltyLine{Value: "Witaj 125"}); out != drivers.OutcomePrinted {
		t.Errorf("after the daily report: %s", out)
	}
	if out, err := d.PrintLoyalty(ctx, nil); out != drivers.OutcomeNotPrinted || !errors.Is(err, drivers.ReceiptClosed) {
		t.Errorf("without a receipt: %s, %v", out, err)
	}
}

func TestPredefinedFormsOnly(t *testing.T) {
	d, _, _ := pair(t, emulated.Options{Thermal: true}, drivers.Options{"slips": "none"})
	if out, err := d.Print(context.Background(), drivers.Lines("", "x")); out != drivers.OutcomeNotPrinted || !errors.Is(err, drivers.Unsupported) {
		t.Errorf("%s, %v", out, err)
	}
}

// Without paper a line waits in the printer and is printed once.
func TestPaperOutInTheMiddle(t *testing.T) {
	ctx := context.Background()
	d, e, _ := pair(t, emulated.Options{}, nil)
	must(t, d.OpenReceipt(ctx, drivers.ReceiptHead{}))
	e.Fail(fiscal.PaperOut, 0)
	done := make(chan error, 1)
	go func() { done <- d.Sell(ctx, drivers.Item{Name: "Ser zolty", Price: 1000}) }()
	await(t, "the state tells", func() bool { return d.State().Has(drivers.PaperOut) })
	select {
	case err := <-done:
		t.Fatalf("sold without paper: %v", err)
	default:
	}
	e.Heal()
	must(t, <-done)
	if n := strings.Count(e.Text(), "Ser zolty"); n != 1 {
		t.Errorf("printed %d times", n)
	}
}

// Another run of the program finds a receipt it does not know, and a foot and a
// printout that were left open.
func TestRestart(t *testing.T) {
	ctx := context.Background()
	first, e, env := pair(t, emulated.Options{}, nil)
	must(t, first.OpenReceipt(ctx, drivers.ReceiptHead{}))
	must(t, first.Sell(ctx, drivers.Item{Name: "x", Price: 100}))
	first.Close()
	second := model(t, env, nil)
	if doc, err := second.LastDocument(ctx); err != nil || doc.State != drivers.DocumentOpen {
		t.Errorf("%+v, %v", doc, err)
	}
	if err := second.OpenReceipt(ctx, drivers.ReceiptHead{}); !errors.Is(err, drivers.ReceiptOpen) {
		t.Errorf("a receipt beside it: %v", err)
	}
	if _, err := second.CloseReceipt(ctx); !errors.Is(err, drivers.WrongState) {
		t.Errorf("close of a receipt with unknown lines: %v", err)
	}
	must(t, second.CancelReceipt(ctx))
	second.Close()

	third := model(t, env, drivers.Options{"recover": "50ms"})
	e.Fail(fiscal.UnplugAfter, 8)
	if out, err := third.Print(ctx, drivers.Lines("", "one", "two", "three", "four", "five", "six", "seven")); out != drivers.OutcomeUnknown || err == nil {
		t.Errorf("slip with the plug pulled: %s, %v", out, err)
	}
	third.Close()
	e.Heal()
	fourth := model(t, env, nil)
	must(t, fourth.OpenReceipt(ctx, drivers.ReceiptHead{}))
	must(t, fourth.CancelReceipt(ctx))
	if doc, err := fourth.LastDocument(ctx); err != nil || doc.State != drivers.DocumentCancelled {
		t.Errorf("%+v, %v", doc, err)
	}
	if n, _ := e.Closed(); n != 0 {
		t.Errorf("%d receipts closed", n)
	}
}
