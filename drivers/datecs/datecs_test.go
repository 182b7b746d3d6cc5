package datecs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/datecs"
	emulated "github.com/tillside/tillside/drivers/emulator/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
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

// model builds a device from settings of its own.
func model(t *testing.T, env drivers.Env, opts drivers.Options) *datecs.Printer {
	t.Helper()
	o := drivers.Options{"answer": "80ms", "patience": "20s"}
	for k, v := range opts {
		o[k] = v
	}
	r := drivers.NewRegistry()
	r.Add(datecs.Driver)
	dev, err := r.Build(drivers.Config{Name: "printer", Driver: "datecs", Port: "COM7", Options: o}, env)
	must(t, err)
	d := dev.(*datecs.Printer)
	must(t, d.Open(context.Background()))
	t.Cleanup(func() { d.Close() })
	await(t, "the printer is usable", func() bool { return d.State().Usable() })
	return d
}

func pair(t *testing.T, form datecs.Form, opts drivers.Options) (*datecs.Printer, *emulated.Printer) {
	t.Helper()
	e := emulated.New(emulated.Options{Form: form})
	mem := fiscal.InMemory(e)
	t.Cleanup(mem.Close)
	o := drivers.Options{"form": form.String()}
	for k, v := range opts {
		o[k] = v
	}
	return model(t, drivers.Env{OpenLine: mem.Open}, o), e
}

// The same receipt in each sub-family: sale numbers stand in another place,
// amount discounts begin with another character.
func TestReceiptInEveryFamily(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		form datecs.Form
		opts drivers.Options
	}{{"p", datecs.ISL, drivers.Options{"family": "p"}}, {"c", datecs.ISL, drivers.Options{"family": "c"}},
		{"fp", datecs.ISL, drivers.Options{"family": "fp", "cutter": "yes"}}, {"x", datecs.PM, drivers.Options{"family": "x", "cutter": "yes"}}} {
		t.Run(c.name, func(t *testing.T) {
			d, e := pair(t, c.form, c.opts)
			must(t, d.OpenReceipt(ctx, drivers.ReceiptHead{SaleNumber: "DT123456-0001-0000001"}))
			must(t, d.Sell(ctx, drivers.Item{Name: "Хляб", Price: 450, Tax: "Б"}))
			must(t, d.Sell(ctx, drivers.Item{Name: "Сирене", Price: 1999, Quantity: 355, Tax: "2", Discount: 60}))
			must(t, d.Sell(ctx, drivers.Item{Name: "Чанта", Price: 10, Tax: "A", Discount: -5}))
			must(t, d.DiscountReceipt(ctx, "Купон", 100))
			sum, err := d.Subtotal(ctx)
			if want := int64(450 + 710 - 60 + 15 - 100); err != nil || sum != want {
				t.Errorf("subtotal %d, %v, want %d", sum, err, want)
			}
			out, err := d.PrintLoyalty(ctx, []drivers.LoyaltyLine{{Label: "Точки:", Value: "1250"}, {Value: "До Сребърна 120"}})
			if err != nil || out != drivers.OutcomePrinted {
				t.Errorf("loyalty: %s, %v", out, err)
			}
			must(t, d.Pay(ctx, drivers.Payment{Type: "card", Amount: 15}))
			if _, err := d.CloseReceipt(ctx); err == nil {
				t.Error("closed before it was paid")
			}
			must(t, d.Pay(ctx, drivers.Payment{Type: "cash", Amount: 2000}))
			closed, err := d.CloseReceipt(ctx)
			if err != nil || closed.Change != 1000 || closed.Number == "" {
				t.Errorf("close: %+v, %v", closed, err)
			}
			if doc, err := d.LastDocument(ctx); err != nil || doc.State != drivers.DocumentClosed || doc.Total != sum {
				t.Errorf("afterwards: %+v, %v", doc, err)
			}
			for _, want := range []string{"УНП: DT123456-0001-0000001", "Хляб", "#Точки: ", "#До Сребърна 120", "#Купон", "РЕСТО"} {
				if n := strings.Count(e.Text(), want); n != 1 {
					t.Errorf("%q stands %d times on the roll:\n%s", want, n, e.Text())
				}
			}
			if n, total := e.Closed(); n != 1 || total != sum {
				t.Errorf("%d receipts over %d, want 1 over %d", n, total, sum)
			}
			if out, err := d.TestPage(ctx); err != nil || out != drivers.OutcomePrinted {
				t.Errorf("test page: %s, %v", out, err)
			}
		})
	}
}

// A device that says 16h is waited for, however long it takes.
func TestBusy(t *testing.T) {
	for _, form := range []datecs.Form{datecs.ISL, datecs.PM} {
		d, e := pair(t, form, drivers.Options{"answer": "150ms", "tries": "2"})
		e.Fail(fiscal.Busy, 0)
		done := make(chan error, 1)
		go func() { done <- d.XReport(context.Background()) }()
		select {
		case err := <-done:
			t.Fatalf("%v: done while the device is busy: %v", form, err)
		case <-time.After(time.Second): // more than two silences
		}
		e.Heal()
		must(t, <-done)
		if n := strings.Count(e.Text(), "X ОТЧЕТ"); n != 1 {
			t.Errorf("%v: %d reports", form, n)
		}
	}
}

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	d, e := pair(t, datecs.PM, nil)
	e.Fail(fiscal.ShiftOld, 0)
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{}); !errors.Is(err, drivers.ShiftExpired) {
		t.Errorf("open: %v", err)
	}
	if st, err := d.Status(ctx); err != nil || !st.Has(drivers.ShiftExpired) {
		t.Errorf("status: %+v, %v", st, err)
	}
	must(t, d.CloseShift(ctx))
	must(t, d.OpenReceipt(ctx, drivers.ReceiptHead{}))
	var r *datecs.Refusal
	if err := d.CloseShift(ctx); !errors.As(err, &r) || r.Number != datecs.ErrFiscalOpen || !errors.Is(err, drivers.ReceiptOpen) {
		t.Errorf("Z report in a receipt: %v", err)
	}
	must(t, d.Sell(ctx, drivers.Item{Name: "x", Price: 100}))
	if _, err := d.CloseReceipt(ctx); !errors.Is(err, drivers.Unpaid) {
		t.Errorf("close unpaid: %v", err)
	}
	for _, bad := range []drivers.Item{{Name: "x"}, {Name: "x", Price: 1, Quantity: -1}, {Name: "x", Price: 1, Tax: "Z"}} {
		if err := d.Sell(ctx, bad); !errors.Is(err, drivers.BadData) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	must(t, d.CancelReceipt(ctx))
	if err := d.CashInOut(ctx, -1); !errors.Is(err, drivers.Refused) {
		t.Errorf("more cash out than there is: %v", err)
	}
	e.Fail(fiscal.PaperOut, 0)
	if out, err := d.Print(ctx, drivers.Lines("", "x")); out != drivers.OutcomeNotPrinted || !errors.Is(err, drivers.PaperOut) {
		t.Errorf("slip without paper: %s, %v", out, err)
	}
}

// Another run of the program takes over a slip and a receipt of the first.
func TestRestart(t *testing.T) {
	ctx := context.Background()
	for _, form := range []datecs.Form{datecs.ISL, datecs.PM} {
		e := emulated.New(emulated.Options{Form: form})
		mem := fiscal.InMemory(e)
		t.Cleanup(mem.Close)
		env := drivers.Env{OpenLine: mem.Open}
		opts := drivers.Options{"form": form.String(), "recover": "50ms"}
		first := model(t, env, opts)
		e.Fail(fiscal.UnplugAfter, 4) // a line of the slip, and nobody puts the plug back
		out, err := first.Print(ctx, drivers.Lines("", "one", "two", "three", "four"))
		if out != drivers.OutcomeUnknown || !errors.Is(err, drivers.Uncertain) {
			t.Errorf("%v: slip with the plug pulled: %s, %v", form, out, err)
		}
		first.Close()
		e.Heal()
		second := model(t, env, opts)
		must(t, second.OpenReceipt(ctx, drivers.ReceiptHead{}))
		must(t, second.Sell(ctx, drivers.Item{Name: "x", Price: 300}))
		second.Close()
		third := model(t, env, opts)
		doc, err := third.LastDocument(ctx)
		if err != nil || doc.State != drivers.DocumentOpen || doc.Total != 300 {
			t.Errorf("%v: %+v, %v", form, doc, err)
		}
		must(t, third.Pay(ctx, drivers.Payment{Amount: 500}))
		if closed, err := third.CloseReceipt(ctx); err != nil || closed.Change != 200 {
			t.Errorf("%v: %+v, %v", form, closed, err)
		}
	}
}

func TestSlipBlocks(t *testing.T) {
	ctx := context.Background()
	for form, qr := range map[datecs.Form]string{datecs.ISL: "abc", datecs.PM: "[qr abc]"} {
		d, e := pair(t, form, nil)
		out, err := d.Print(ctx, drivers.Slip{CopyMark: "КОПИЕ", Blocks: []drivers.Block{
			drivers.Text{Text: "вдясно", Align: drivers.Right}, drivers.Rule{}, drivers.Barcode{Symbology: drivers.EAN13, Data: "2000000125008"},
			drivers.QR{Data: "abc"}, drivers.Feed{Lines: 1}, drivers.Cut{}}})
		if err != nil || out != drivers.OutcomePrinted {
			t.Fatalf("%v: %s, %v", form, out, err)
		}
		for _, want := range []string{"КОПИЕ", strings.Repeat(" ", 36) + "вдясно", "[barcode 2000000125008]", qr} {
			if n := strings.Count(e.Text(), want); n != 1 {
				t.Errorf("%v: %q stands %d times on the roll:\n%s", form, want, n, e.Text())
			}
		}
		if out, err := d.Print(ctx, drivers.Slip{Blocks: []drivers.Block{drivers.Barcode{Symbology: drivers.Codabar, Data: "1"}}}); out != drivers.OutcomeNotPrinted || !errors.Is(err, drivers.BadData) {
			t.Errorf("%v: a barcode the device has not: %s, %v", form, out, err)
		}
	}
}
