package posnet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	emulated "github.com/tillside/tillside/drivers/emulator/posnet"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/posnet"
)

func opened(t *testing.T, opt emulated.Options, opts drivers.Options) (*posnet.Printer, *emulated.Printer) {
	t.Helper()
	d, e := inMemory(t, opt, opts)
	open(t, d)
	return d, e
}

func open(t *testing.T, d *posnet.Printer) {
	t.Helper()
	if err := d.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	await(t, "the printer is usable", func() bool { return d.State().Usable() })
}

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

func begin(t *testing.T, d *posnet.Printer) {
	t.Helper()
	ctx := context.Background()
	must(t, d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale}))
	must(t, d.Sell(ctx, drivers.Item{Name: "Chleb", Price: 350, Quantity: 2000, Tax: "B", Unit: "szt", Discount: 50, DiscountName: "klub"}))
}

func TestLettersInEveryCodePage(t *testing.T) {
	const letters = "ĄĆĘŁŃÓŚŹŻ ąćęłńóśźż"
	for _, page := range []string{"cp1250", "iso8859-2", "mazovia"} {
		t.Run(page, func(t *testing.T) {
			d, e := opened(t, emulated.Options{CodePage: page}, drivers.Options{"codepage": page})
			out, err := d.Print(context.Background(), drivers.Lines("letters", letters))
			if err != nil || out != drivers.OutcomePrinted || !strings.Contains(e.Text(), letters) {
				t.Errorf("%s, %v; on the roll:\n%s", out, err, e.Text())
			}
		})
	}
}

func TestReceiptWithEverything(t *testing.T) {
	ctx := context.Background()
	d, e := opened(t, emulated.Options{}, nil)
	begin(t, d)
	must(t, d.Sell(ctx, drivers.Item{Name: "Torba & worek", Price: 100, Discount: -20}))
	must(t, d.DiscountReceipt(ctx, "bon", 70))
	if sum, err := d.Subtotal(ctx); err != nil || sum != 650+120-70 {
		t.Errorf("subtotal %d, %v", sum, err)
	}
	var many []drivers.LoyaltyLine
	for i := range 61 {
		many = append(many, drivers.LoyaltyLine{Value: fmt.Sprint(i)})
	}
	if out, err := d.PrintLoyalty(ctx, many); out != drivers.OutcomeNotPrinted || !errors.Is(err, drivers.BadData) {
		t.Errorf("61 lines: %s, %v", out, err)
	}
	out, err := d.PrintLoyalty(ctx, []drivers.LoyaltyLine{{Field: drivers.PointsTotal, Value: "987"}, {Field: drivers.PointsSpent, Value: "50"},
		{Label: "Do Srebrnej:", Value: "120"}})
	if err != nil || out != drivers.OutcomeKept {
		t.Errorf("loyalty: %s, %v", out, err)
	}
	if doc, err := d.LastDocument(ctx); err != nil || doc.State != drivers.DocumentOpen || doc.Loyalty != drivers.OutcomeKept || doc.Total != 700 {
		t.Errorf("open: %+v, %v", doc, err)
	}
	must(t, d.Pay(ctx, drivers.Payment{Type: "voucher", Amount: 200, Name: "Bon 2 zl"}))
	if _, err := d.CloseReceipt(ctx); !errors.Is(err, drivers.Unpaid) {
		t.Errorf("close before it is paid: %v", err)
	}
	must(t, d.Pay(ctx, drivers.Payment{Type: "cash", Amount: 1000}))
	closed, err := d.CloseReceipt(ctx)
	if err != nil || closed.Change != 500 || closed.Loyalty != drivers.OutcomePrinted {
		t.Errorf("close: %+v, %v", closed, err)
	}
	for _, want := range []string{"Suma punktów:", "987", "Wykorzystano:", "Do Srebrnej: 120", "OPUST klub", "NARZUT", "Torba & worek", "Voucher Bon 2 zl"} {
		if c := strings.Count(e.Text(), want); c != 1 {
			t.Errorf("%q stands %d times on the roll:\n%s", want, c, e.Text())
		}
	}
	if n, sum := e.Closed(); n != 1 || sum != 700 {
		t.Errorf("%d receipts over %d", n, sum)
	}
}

// While the other host holds the printer a command waits, and is done when it is
// free; when it does not get free in time, that is what the error says.
func TestTheOtherHost(t *testing.T) {
	ctx := context.Background()
	d, e := opened(t, emulated.Options{}, drivers.Options{"patience": "300ms"})
	e.Fail(fiscal.Busy, 0)
	await(t, "the state tells", func() bool { return d.State().Has(drivers.OtherInterface) })
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{}); !errors.Is(err, drivers.OtherInterface) {
		t.Errorf("a printer held by the other host: %v", err)
	}
	go func() {
		<-time.After(50 * time.Millisecond)
		e.Heal()
	}()
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{}); err != nil {
		t.Errorf("a printer that gets free: %v", err)
	}
}

// Without paper a line waits in the printer and is printed once.
func TestPaperOutInTheMiddle(t *testing.T) {
	ctx := context.Background()
	d, e := opened(t, emulated.Options{}, nil)
	begin(t, d)
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
	if c := strings.Count(e.Text(), "Ser zolty"); c != 1 {
		t.Errorf("printed %d times", c)
	}
}

// A caller that gives up leaves a command in the printer. The next call finds
// out what became of it.
func TestTheCallerGivesUp(t *testing.T) {
	d, e := opened(t, emulated.Options{}, nil)
	begin(t, d)
	e.Fail(fiscal.PaperOut, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	err := d.Sell(ctx, drivers.Item{Name: "Maslo", Price: 700})
	cancel()
	if !errors.Is(err, drivers.Uncertain) {
		t.Errorf("a sale given up: %v", err)
	}
	e.Heal()
	doc, err := d.LastDocument(context.Background())
	if err != nil || doc.State != drivers.DocumentOpen || doc.Total != 650+700 {
		t.Errorf("afterwards: %+v, %v", doc, err)
	}
	if c := strings.Count(e.Text(), "Maslo"); c != 1 {
		t.Errorf("printed %d times", c)
	}
}

func TestTheDayIsOver(t *testing.T) {
	ctx := context.Background()
	d, e := opened(t, emulated.Options{}, nil)
	e.Fail(fiscal.ShiftOld, 0)
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{}); !errors.Is(err, drivers.ShiftExpired) {
		t.Errorf("open: %v", err)
	}
	if st, err := d.Status(ctx); err != nil || !st.Has(drivers.ShiftExpired) {
		t.Errorf("status: %+v, %v", st, err)
	}
	must(t, d.CloseShift(ctx))
	begin(t, d)
	if st, err := d.Status(ctx); err != nil || st.Has(drivers.ShiftExpired) || !st.Fiscal.ReceiptOpen {
		t.Errorf("status: %+v, %v", st, err)
	}
}

// Another run of the program takes over what the first left: a foot, a form, a
// receipt.
func TestRestart(t *testing.T) {
	ctx := context.Background()
	e := emulated.New(emulated.Options{})
	mem := fiscal.InMemory(e)
	t.Cleanup(mem.Close)
	env := drivers.Env{OpenLine: mem.Open}

	first := build(t, "COM7", env, nil)
	open(t, first)
	begin(t, first)
	must(t, first.Pay(ctx, drivers.Payment{Type: "card", Amount: 650}))
	first.Close()

	second := build(t, "COM7", env, nil)
	open(t, second)
	if doc, err := second.LastDocument(ctx); err != nil || doc.State != drivers.DocumentOpen || doc.Total != 650 {
		t.Errorf("a receipt of the run before: %+v, %v", doc, err)
	}
	if err := second.OpenReceipt(ctx, drivers.ReceiptHead{}); !errors.Is(err, drivers.ReceiptOpen) {
		t.Errorf("a receipt beside it: %v", err)
	}
	must(t, second.CancelReceipt(ctx))
	second.Close()

	// A foot that was left open.
	begin(t, reopened(t, env))
	tell(t, mem, "trpayment", posnet.P("ty", 0), posnet.P("wa", 650))
	tell(t, mem, "trend", posnet.P("to", 650), posnet.P("fe", 0))
	begin(t, reopened(t, env))
	tell(t, mem, "prncancel")
	// A form that was left open.
	tell(t, mem, "formstart", posnet.P("fn", 200))
	d := reopened(t, env)
	if out, err := d.Print(ctx, drivers.Lines("slip", "Saldo 7")); err != nil || out != drivers.OutcomePrinted {
		t.Errorf("slip after a slip left open: %s, %v", out, err)
	}
}

func reopened(t *testing.T, env drivers.Env) *posnet.Printer {
	t.Helper()
	d := build(t, "COM7", env, nil)
	open(t, d)
	return d
}

// tell sends a command past the driver, on a line of its own.
func tell(t *testing.T, mem *fiscal.Memory, cmd string, params ...posnet.Param) {
	t.Helper()
	raw, err := mem.Open(context.Background(), "", line.Settings{})
	must(t, err)
	defer raw.Close()
	b, err := posnet.Encode(posnet.Message{Command: cmd, Params: params})
	must(t, err)
	_, err = raw.Write(b)
	must(t, err)
	var dec posnet.Decoder
	buf := make([]byte, 256)
	for {
		n, err := raw.Read(buf)
		must(t, err)
		for _, c := range buf[:n] {
			if m, err, done := dec.Feed(c); done {
				if err != nil || m.Refused {
					t.Fatalf("%s: %+v, %v", cmd, m, err)
				}
				return
			}
		}
	}
}

func TestSlipBlocks(t *testing.T) {
	ctx := context.Background()
	d, e := opened(t, emulated.Options{}, nil)
	out, err := d.Print(ctx, drivers.Slip{CopyMark: "KOPIA", Blocks: []drivers.Block{
		drivers.Text{Text: "R & B", Align: drivers.Right}, drivers.Text{Text: strings.Repeat("długi tekst ", 8)},
		drivers.Rule{}, drivers.Barcode{Symbology: drivers.EAN13, Data: "2000000125008"}, drivers.QR{Data: "abc", Level: 'H'}, drivers.Feed{Lines: 1}, drivers.Cut{},
	}})
	if err != nil || out != drivers.OutcomePrinted {
		t.Fatalf("%s, %v", out, err)
	}
	for _, want := range []string{"KOPIA", "R + B", "[barcode 2000000125008]", "[qr abc]"} {
		if c := strings.Count(e.Text(), want); c != 1 {
			t.Errorf("%q stands %d times on the roll:\n%s", want, c, e.Text())
		}
	}
	if out, err := d.Print(ctx, drivers.Slip{Blocks: []drivers.Block{drivers.Barcode{Symbology: drivers.Codabar, Data: "1"}}}); out != drivers.OutcomeNotPrinted || !errors.Is(err, drivers.BadData) {
		t.Errorf("a barcode the printer has not: %s, %v", out, err)
	}
	if out, err := d.Print(ctx, drivers.Lines("", "x", "to nie jest PARAGON FISKALNY")); out != drivers.OutcomeUnknown || !errors.Is(err, drivers.BadData) {
		t.Errorf("a text the printer refuses in the middle: %s, %v", out, err)
	}
	if out, err := d.TestPage(ctx); err != nil || out != drivers.OutcomePrinted {
		t.Errorf("test page: %s, %v", out, err)
	}
}
