package drivertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
)

// Fault is something that goes wrong with a fiscal printer. Faults of the line
// strike one command; faults of the device last until somebody mends them.
type Fault string

// The faults of the line, each for one command.
const (
	Deaf         Fault = "deaf"          // the command is lost on the way
	BadFrame     Fault = "bad_frame"     // the command comes damaged
	Silence      Fault = "silence"       // carried out, no answer
	Garbage      Fault = "garbage"       // carried out, noise for an answer
	Half         Fault = "half"          // carried out, half an answer
	BadCheck     Fault = "bad_check"     // carried out, the answer's check is wrong
	UnplugBefore Fault = "unplug_before" // the plug goes before the command is carried out
	UnplugAfter  Fault = "unplug_after"  // the plug goes after it, before the answer
)

// The faults of the device.
const (
	PaperOut  Fault = "paper_out"
	CoverOpen Fault = "cover_open"
	Busy      Fault = "busy"      // refuses for a moment, for as long as the protocol has a word for it
	ShiftOld  Fault = "shift_old" // the shift is open for more than 24 hours
	PowerCut  Fault = "power_cut" // off and on again: link memory is gone, fiscal memory stays
)

// LineFaults are the faults that strike one command.
var LineFaults = []Fault{Deaf, BadFrame, Silence, Garbage, Half, BadCheck, UnplugBefore, UnplugAfter}

// FiscalBench joins a fiscal printer under test with its emulator.
type FiscalBench struct {
	// Device is built, not open. The suite opens and closes it.
	Device drivers.FiscalPrinter
	// Roll is every line of text on the paper so far, top to bottom, decoded.
	Roll func() []string
	// RollFrom is Roll without its first lines; nil means that Roll is cut.
	RollFrom func(line int) []string
	// Fail makes the emulator fail at the command that comes after so many
	// others. It reports false when this emulator or protocol has no such fault.
	Fail func(f Fault, after int) bool
	// Heal ends all faults, also those that have not struck yet.
	Heal func()
	// Mend ends what has struck: paper in, cover shut, plug in. Faults that
	// still wait stay. Nil means Heal.
	Mend func()
	// Closed is what the emulator's fiscal memory holds: receipts closed for
	// good and their sum in minor units.
	Closed func() (receipts int, total int64)
	// Unplug pulls the plug and puts it back when the returned function is called.
	Unplug func() (replug func())
	// Letters is a text in the letters of the device's country.
	Letters string
}

var receiptsFlag = flag.Int("receipts", 0, "receipts in the random test of fiscal printers; 0 means a short form, or TILLSIDE_RECEIPTS")
var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 means TILLSIDE_SEED or one of the clock")

func receiptCount() int {
	if *receiptsFlag > 0 {
		return *receiptsFlag
	}
	if n, err := strconv.Atoi(os.Getenv("TILLSIDE_RECEIPTS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 30
	}
	return 150
}

// Main runs the tests of a package with many at a time: a suite spends most of
// its time waiting for time-outs.
func Main(m *testing.M) {
	if err := flag.Set("test.parallel", "24"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Seed is the seed of a random test: the flag, TILLSIDE_SEED or the clock. It
// is logged so that a failure can be run again.
func Seed(t testing.TB) uint64 {
	seed := *seedFlag
	if n, err := strconv.ParseUint(os.Getenv("TILLSIDE_SEED"), 10, 64); err == nil && seed == 0 {
		seed = n
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (run again with -seed %d)", seed, seed)
	return seed
}

// Fiscal is the suite every driver of a fiscal printer passes together with
// its emulator. open makes a fresh pair each time.
func Fiscal(t *testing.T, open func(t *testing.T) FiscalBench) {
	t.Parallel()
	run := func(name string, fn func(t *testing.T, f *fiscal)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time is spent waiting for time-outs
			fn(t, newFiscal(t, open(t)))
		})
	}
	run("identity", testIdentity)
	run("receipt", testReceipt)
	run("wrong order", testWrongOrder)
	run("cancel", testCancel)
	run("slip", testSlip)
	run("states", testStates)
	run("extras", testExtras)
	run("unplug", testUnplug)
	run("close in mid-call", testCloseInCall)
	for _, fault := range LineFaults {
		run("loyalty text with "+string(fault), func(t *testing.T, f *fiscal) { testLoyaltyFault(t, f, fault) })
		run("slip with "+string(fault), func(t *testing.T, f *fiscal) { testSlipFault(t, f, fault) })
	}
	run("power cut", testPowerCut)
	run("random faults", testRandom)
}

type fiscal struct {
	FiscalBench
	ctx context.Context
	n   int // for marks
}

func newFiscal(t *testing.T, b FiscalBench) *fiscal {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if err := b.Device.Open(ctx); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := b.Device.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if b.Mend == nil {
		b.Mend = b.Heal
	}
	if b.RollFrom == nil {
		b.RollFrom = func(n int) []string { r := b.Roll(); return r[min(n, len(r)):] }
	}
	f := &fiscal{FiscalBench: b, ctx: ctx}
	f.await(t, "the device is usable", func() bool { return b.Device.State().Usable() })
	return f
}

// await waits for a condition; a test that waits for ever is ended by its context.
func (f *fiscal) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(60 * time.Second)
	defer end.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("still waiting: %s; state %+v", what, f.Device.State())
		}
	}
}

// clerk is somebody who puts paper in, shuts the cover and plugs cables in, all
// day long. stop sends him home.
func (f *fiscal) clerk() (stop func()) {
	ctx, cancel := context.WithCancel(f.ctx)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.Mend()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); wg.Wait() }
}

// mark is a text that stands nowhere else on the roll. It is a number, for
// devices whose loyalty lines take only numbers.
func (f *fiscal) mark() string {
	f.n++
	return strconv.Itoa(9_100_000 + f.n)
}

func (f *fiscal) count(mark string) int { return countMark(f.Roll(), mark) }

func countMark(roll []string, mark string) int {
	n := 0
	for _, l := range roll {
		n += strings.Count(l, mark)
	}
	return n
}

func (f *fiscal) shift(t *testing.T) {
	t.Helper()
	st, err := f.Device.Status(f.ctx)
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	if st.Fiscal == nil {
		t.Fatal("status of a fiscal printer without its fiscal part")
	}
	if !st.Fiscal.ShiftOpen {
		if err := f.Device.OpenShift(f.ctx, "1"); err != nil {
			t.Fatalf("open shift: %v", err)
		}
	}
}

func loyalty(marks ...string) []drivers.LoyaltyLine {
	fields := []drivers.LoyaltyField{drivers.PointsEarned, drivers.BalanceAfter, drivers.PointsTotal}
	var out []drivers.LoyaltyLine
	for i, m := range marks {
		out = append(out, drivers.LoyaltyLine{Field: fields[i%len(fields)], Label: "Points", Value: m})
	}
	return out
}

func testIdentity(t *testing.T, f *fiscal) {
	id, err := f.Device.Identity(f.ctx)
	if err != nil {
		t.Fatalf("identity: %v", err)
	}
	if id.Model == "" && id.Maker == "" {
		t.Errorf("nobody knows what %+v is", id)
	}
	if id.Serial == "" && id.FiscalMemory == "" {
		t.Errorf("no number tells this device from another: %+v", id)
	}
	if c := f.Device.Columns(); c < 16 || c > 80 {
		t.Errorf("columns: %d", c)
	}
}

func testReceipt(t *testing.T, f *fiscal) {
	f.shift(t)
	d, ctx := f.Device, f.ctx
	n0, sum0 := f.Closed()
	a, b := f.mark(), f.mark()
	steps := []struct {
		name string
		do   func() error
	}{
		{"open", func() error {
			return d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 2})
		}},
		{"sell", func() error {
			return d.Sell(ctx, drivers.Item{Name: f.Letters, Price: 4500, Quantity: 1000, Department: 1})
		}},
		{"sell by weight", func() error {
			return d.Sell(ctx, drivers.Item{Name: "Ser", Price: 2000, Quantity: 1500, Department: 1})
		}},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	doc, err := d.LastDocument(ctx)
	if err != nil || doc.State != drivers.DocumentOpen {
		t.Errorf("in the middle of a receipt LastDocument is %+v, %v; want open", doc, err)
	}
	out, err := d.PrintLoyalty(ctx, loyalty(a, b))
	if err != nil {
		t.Fatalf("loyalty text: %v", err)
	}
	sum, err := d.Subtotal(ctx)
	if err != nil {
		t.Fatalf("subtotal: %v", err)
	}
	if sum != 7500 {
		t.Errorf("subtotal: %d, want 7500", sum)
	}
	if err := d.Pay(ctx, drivers.Payment{Type: "cash", Amount: 10000}); err != nil {
		t.Fatalf("pay: %v", err)
	}
	closed, err := d.CloseReceipt(ctx)
	if err != nil {
		t.Fatalf("close: %v", err)
	}
	if closed.Change != 2500 {
		t.Errorf("change: %d, want 2500", closed.Change)
	}
	n, total := f.Closed()
	if n != n0+1 || total-sum0 != 7500 {
		t.Errorf("fiscal memory holds %d receipts more over %d, want 1 over 7500", n-n0, total-sum0)
	}
	if out == drivers.OutcomeKept {
		out = closed.Loyalty
	}
	for _, m := range []string{a, b} {
		if c := f.count(m); c != 1 || out != drivers.OutcomePrinted {
			t.Errorf("loyalty line %s stands %d times on the roll, outcome %s\n%s", m, c, out, strings.Join(f.Roll(), "\n"))
		}
	}
	if countMark(f.Roll(), f.Letters) == 0 {
		t.Errorf("%q is not on the roll:\n%s", f.Letters, strings.Join(f.Roll(), "\n"))
	}
	doc, err = d.LastDocument(ctx)
	if err != nil || doc.State != drivers.DocumentClosed {
		t.Errorf("after a receipt LastDocument is %+v, %v; want closed", doc, err)
	}
}

func testWrongOrder(t *testing.T, f *fiscal) {
	f.shift(t)
	d, ctx := f.Device, f.ctx
	refused := func(what string, err error) {
		t.Helper()
		switch c := drivers.CodeOf(err); c {
		case drivers.WrongState, drivers.ReceiptClosed, drivers.ReceiptOpen, drivers.Refused, drivers.Unpaid, drivers.ShiftClosed:
		default:
			t.Errorf("%s: %v (code %q), want the device's refusal", what, err, c)
		}
	}
	n0, _ := f.Closed()
	refused("sell without a receipt", d.Sell(ctx, drivers.Item{Name: "x", Price: 100, Department: 1}))
	_, err := d.CloseReceipt(ctx)
	refused("close without a receipt", err)
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 1}); err != nil {
		t.Fatalf("open: %v", err)
	}
	if err := d.Sell(ctx, drivers.Item{Name: "x", Price: 100, Department: 1}); err != nil {
		t.Fatalf("sell: %v", err)
	}
	refused("a second receipt", d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 1}))
	refused("close the shift with a receipt open", d.CloseShift(ctx))
	if err := d.CancelReceipt(ctx); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	if n, _ := f.Closed(); n != n0 {
		t.Errorf("%d receipts closed by calls in wrong order", n-n0)
	}
}

func testCancel(t *testing.T, f *fiscal) {
	f.shift(t)
	d, ctx := f.Device, f.ctx
	n0, _ := f.Closed()
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 1}); err != nil {
		t.Fatalf("open: %v", err)
	}
	if err := d.Sell(ctx, drivers.Item{Name: f.Letters, Price: 990, Department: 1}); err != nil {
		t.Fatalf("sell: %v", err)
	}
	if err := d.CancelReceipt(ctx); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	doc, err := d.LastDocument(ctx)
	if err != nil || doc.State == drivers.DocumentOpen {
		t.Errorf("after cancel LastDocument is %+v, %v", doc, err)
	}
	if n, _ := f.Closed(); n != n0 {
		t.Errorf("a cancelled receipt is in the fiscal memory")
	}
	if err := f.sale(t, nil); err != nil {
		t.Errorf("receipt after a cancelled one: %v", err)
	}
}

// sale is a plain receipt of one line.
func (f *fiscal) sale(t *testing.T, text []drivers.LoyaltyLine) error {
	t.Helper()
	d, ctx := f.Device, f.ctx
	if err := d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 1}); err != nil {
		return err
	}
	if err := d.Sell(ctx, drivers.Item{Name: "Goods", Price: 1000, Department: 1}); err != nil {
		return err
	}
	if text != nil {
		if out, err := d.PrintLoyalty(ctx, text); err != nil || out != drivers.OutcomePrinted && out != drivers.OutcomeKept {
			return fmt.Errorf("loyalty: %s, %w", out, err)
		}
	}
	if err := d.Pay(ctx, drivers.Payment{Type: "cash", Amount: 1000}); err != nil {
		return err
	}
	_, err := d.CloseReceipt(ctx)
	return err
}

func (f *fiscal) slip(marks ...string) drivers.Slip {
	s := drivers.Slip{ID: "suite", Blocks: []drivers.Block{
		drivers.Text{Text: f.Letters, Align: drivers.Centre, Bold: true}}}
	for _, m := range marks {
		s.Blocks = append(s.Blocks, drivers.Text{Text: "Text " + m})
	}
	s.Blocks = append(s.Blocks, drivers.Feed{Lines: 2}, drivers.Cut{})
	return s
}

func testSlip(t *testing.T, f *fiscal) {
	f.shift(t)
	a, b, copyMark := f.mark(), f.mark(), f.mark()
	s := f.slip(a, b)
	s.CopyMark = copyMark
	out, err := f.Device.Print(f.ctx, s)
	if err != nil || out != drivers.OutcomePrinted {
		t.Fatalf("print: %s, %v", out, err)
	}
	for _, m := range []string{a, b, copyMark} {
		if c := f.count(m); c != 1 {
			t.Errorf("%s stands %d times on the roll\n%s", m, c, strings.Join(f.Roll(), "\n"))
		}
	}
	if f.count(f.Letters) == 0 {
		t.Errorf("%q is not on the roll:\n%s", f.Letters, strings.Join(f.Roll(), "\n"))
	}
	if err := f.sale(t, nil); err != nil {
		t.Errorf("receipt after a slip: %v", err)
	}
}

func testStates(t *testing.T, f *fiscal) {
	f.shift(t)
	for _, c := range []struct {
		fault Fault
		code  drivers.Code
	}{{PaperOut, drivers.PaperOut}, {CoverOpen, drivers.CoverOpen}, {ShiftOld, drivers.ShiftExpired}} {
		if !f.Fail(c.fault, 0) {
			t.Logf("%s: not in this protocol", c.fault)
			continue
		}
		st, err := f.Device.Status(f.ctx)
		if err != nil {
			t.Errorf("%s: status: %v", c.fault, err)
		}
		if !st.Has(c.code) {
			t.Errorf("%s: status has %v, want %s", c.fault, st.Codes, c.code)
		}
		f.await(t, "the state tells "+string(c.code), func() bool { return f.Device.State().Has(c.code) })
		f.Heal()
		f.await(t, string(c.code)+" is over", func() bool { return !f.Device.State().Has(c.code) })
	}
	f.shift(t)
	if err := f.sale(t, nil); err != nil {
		t.Errorf("receipt after all faults are mended: %v", err)
	}
}

func testExtras(t *testing.T, f *fiscal) {
	f.shift(t)
	if err := f.sale(t, nil); err != nil {
		t.Fatalf("receipt: %v", err)
	}
	if err := f.Device.XReport(f.ctx); err != nil {
		t.Errorf("X report: %v", err)
	}
	if c, ok := drivers.As[drivers.CashInOut](f.Device); ok {
		if err := c.CashInOut(f.ctx, 50000); err != nil {
			t.Errorf("cash in: %v", err)
		}
		if err := c.CashInOut(f.ctx, -10000); err != nil {
			t.Errorf("cash out: %v", err)
		}
	}
	if c, ok := drivers.As[drivers.Drawer](f.Device); ok {
		if err := c.OpenDrawer(f.ctx); err != nil {
			t.Errorf("drawer: %v", err)
		}
	}
	if c, ok := drivers.As[drivers.Beeper](f.Device); ok {
		if err := c.Beep(f.ctx); err != nil {
			t.Errorf("beep: %v", err)
		}
	}
	if c, ok := drivers.As[drivers.Tester](f.Device); ok {
		if out, err := c.TestPage(f.ctx); err != nil || out != drivers.OutcomePrinted {
			t.Errorf("test page: %s, %v", out, err)
		}
	}
	if err := f.Device.CloseShift(f.ctx); err != nil {
		t.Errorf("Z report: %v", err)
	}
	st, err := f.Device.Status(f.ctx)
	if err != nil || st.Fiscal == nil || st.Fiscal.ShiftOpen {
		t.Errorf("after the Z report the shift is still open: %+v, %v", st, err)
	}
	f.shift(t)
	if err := f.sale(t, nil); err != nil {
		t.Errorf("receipt in the next shift: %v", err)
	}
}

func testUnplug(t *testing.T, f *fiscal) {
	f.shift(t)
	replug := f.Unplug()
	start := time.Now()
	f.await(t, "the pulled plug is seen", func() bool { return !f.Device.State().Usable() })
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the pulled plug was seen after %s, want 2 s", took)
	}
	replug()
	f.await(t, "the device is back", func() bool { return f.Device.State().Usable() })
	if err := f.sale(t, nil); err != nil {
		t.Errorf("receipt after replugging: %v", err)
	}
}

func testCloseInCall(t *testing.T, f *fiscal) {
	f.shift(t)
	f.Fail(PaperOut, 0)
	done := make(chan error, 1)
	go func() {
		_, err := f.Device.Print(f.ctx, f.slip(f.mark()))
		done <- err
	}()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		f.Device.Close()
	}()
	limit := time.After(30 * time.Second)
	select {
	case <-closed:
	case <-limit:
		t.Fatal("Close waits for a printer without paper")
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("a slip without paper, cut short by Close, came back as printed")
		}
	case <-limit:
		t.Fatal("Print does not return after Close")
	}
}

// truthful checks an outcome against the paper.
func (f *fiscal) truthful(t *testing.T, out drivers.Outcome, err error, marks []string) {
	t.Helper()
	if problem := untruth(f.Roll(), out, err, marks); problem != "" {
		t.Errorf("%s\n%s", problem, strings.Join(f.Roll(), "\n"))
	}
}

func untruth(roll []string, out drivers.Outcome, err error, marks []string) string {
	for _, m := range marks {
		c := countMark(roll, m)
		switch {
		case c > 1:
			return fmt.Sprintf("%s is printed %d times (outcome %s, %v)", m, c, out, err)
		case out == drivers.OutcomePrinted && c != 1:
			return fmt.Sprintf("%s is missing, and the outcome says printed (%v)", m, err)
		case out == drivers.OutcomeNotPrinted && c != 0:
			return fmt.Sprintf("%s is on paper, and the outcome says not printed (%v)", m, err)
		}
	}
	switch {
	case out != drivers.OutcomePrinted && err == nil:
		return fmt.Sprintf("outcome %s without an error", out)
	case out == drivers.OutcomePrinted && err != nil:
		return fmt.Sprintf("printed, and still an error: %v", err)
	case out != drivers.OutcomePrinted && out != drivers.OutcomeNotPrinted && out != drivers.OutcomeUnknown:
		return fmt.Sprintf("outcome %q (%v)", out, err)
	}
	return ""
}

// testLoyaltyFault lets a fault strike each of the first commands of a
// loyalty text in turn.
func testLoyaltyFault(t *testing.T, f *fiscal, fault Fault) {
	f.shift(t)
	for after := range 4 {
		a, b := f.mark(), f.mark()
		if err := f.Device.OpenReceipt(f.ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 1}); err != nil {
			t.Fatalf("open: %v", err)
		}
		if err := f.Device.Sell(f.ctx, drivers.Item{Name: "x", Price: 500, Department: 1}); err != nil {
			t.Fatalf("sell: %v", err)
		}
		if !f.Fail(fault, after) {
			t.Skipf("%s: not in this protocol", fault)
		}
		stop := f.clerk()
		out, err := f.Device.PrintLoyalty(f.ctx, loyalty(a, b))
		if out != drivers.OutcomeKept { // else the fault strikes at the close
			f.Heal()
			f.settle(t)
		}
		f.finish(t)
		stop()
		f.Heal()
		out, err = f.kept(t, out, err)
		f.truthful(t, out, err, []string{a, b})
	}
}

func testSlipFault(t *testing.T, f *fiscal, fault Fault) {
	f.shift(t)
	for after := range 8 {
		marks := []string{f.mark(), f.mark()}
		if !f.Fail(fault, after) {
			t.Skipf("%s: not in this protocol", fault)
		}
		stop := f.clerk()
		out, err := f.Device.Print(f.ctx, f.slip(marks...))
		stop()
		f.Heal()
		f.truthful(t, out, err, marks)
		f.settle(t)
	}
	if err := f.sale(t, nil); err != nil {
		t.Errorf("receipt after the faults: %v", err)
	}
}

// kept gives the outcome of a text that the driver kept until the close.
func (f *fiscal) kept(t *testing.T, out drivers.Outcome, err error) (drivers.Outcome, error) {
	t.Helper()
	if out != drivers.OutcomeKept {
		return out, err
	}
	if err != nil {
		t.Errorf("kept, and still an error: %v", err)
	}
	if out = f.settle(t).Loyalty; out != drivers.OutcomePrinted {
		err = fmt.Errorf("the text that was kept is %q", out)
	}
	return out, err
}

// settle waits until the device is usable and no document of ours is left.
func (f *fiscal) settle(t *testing.T) drivers.Document {
	t.Helper()
	f.await(t, "the device is usable", func() bool { return f.Device.State().Usable() })
	var doc drivers.Document
	var err error
	for range 20 {
		if doc, err = f.Device.LastDocument(f.ctx); err == nil {
			return doc
		}
	}
	t.Fatalf("ask for the last document: %v", err)
	return doc
}

// finish pays and closes the open receipt, asking what became of it when the
// line fails. It reports whether the receipt was closed.
func (f *fiscal) finish(t *testing.T) bool {
	t.Helper()
	paid := false
	for range 20 {
		doc := f.settle(t)
		if doc.State != drivers.DocumentOpen {
			return doc.State == drivers.DocumentClosed || doc.State == drivers.DocumentUnprinted
		}
		if !paid {
			if err := f.Device.Pay(f.ctx, drivers.Payment{Type: "cash", Amount: 500}); err != nil {
				if err := f.Device.CancelReceipt(f.ctx); err != nil {
					t.Logf("cancel: %v", err)
					f.Heal()
				}
				continue
			}
			paid = true
		}
		if _, err := f.Device.CloseReceipt(f.ctx); err == nil {
			return true
		}
		f.Heal()
	}
	t.Fatal("the receipt can be neither closed nor cancelled")
	return false
}

// testPowerCut switches the device off between any two commands of a receipt.
func testPowerCut(t *testing.T, f *fiscal) {
	f.shift(t)
	for after := range 10 {
		a, b := f.mark(), f.mark()
		if !f.Fail(PowerCut, after) {
			t.Skip("not in this emulator")
		}
		stop := f.clerk()
		r := f.cashProgram(t, []string{a, b}, 700)
		stop()
		f.Heal()
		f.truthful(t, r.text, r.err, []string{a, b})
	}
}

type receiptResult struct {
	text   drivers.Outcome // of the loyalty text
	err    error           // of the loyalty text
	closed bool            // by what the driver says
}

// cashProgram sells one receipt as a careful cash program does: when a call
// fails it asks for the document and goes on from there, or cancels.
func (f *fiscal) cashProgram(t *testing.T, marks []string, price int64) receiptResult {
	t.Helper()
	res := f.tryReceipt(t, marks, price)
	res.text, res.err = f.kept(t, res.text, res.err)
	return res
}

func (f *fiscal) tryReceipt(t *testing.T, marks []string, price int64) receiptResult {
	t.Helper()
	d, ctx := f.Device, f.ctx
	res := receiptResult{text: drivers.OutcomeNotPrinted, err: errors.New("not asked to print")}
	cancel := func(what string, err error) receiptResult {
		for range 20 {
			doc := f.settle(t)
			if doc.State != drivers.DocumentOpen {
				return res
			}
			if cerr := d.CancelReceipt(ctx); cerr != nil {
				t.Logf("cancel after %s (%v): %v", what, err, cerr)
				f.Heal()
			}
		}
		t.Fatalf("the receipt cannot be cancelled after %s: %v", what, err)
		return res
	}
	opened := false
	for range 5 {
		err := d.OpenReceipt(ctx, drivers.ReceiptHead{Kind: drivers.Sale, Operator: "1", Lines: 1})
		if err == nil || f.settle(t).State == drivers.DocumentOpen {
			opened = true
			break
		}
		f.Heal()
		f.shiftAgain(t)
	}
	if !opened {
		return res
	}
	if err := d.Sell(ctx, drivers.Item{Name: "Goods", Price: price, Department: 1}); err != nil {
		return cancel("sell", err)
	}
	res.text, res.err = d.PrintLoyalty(ctx, loyalty(marks...))
	if res.text == drivers.OutcomeUnknown {
		f.settle(t)
	}
	if err := d.Pay(ctx, drivers.Payment{Type: "cash", Amount: price}); err != nil {
		return cancel("pay", err)
	}
	for range 20 {
		if _, err := d.CloseReceipt(ctx); err == nil {
			res.closed = true
			return res
		} else {
			f.Heal()
			switch doc := f.settle(t); doc.State {
			case drivers.DocumentClosed, drivers.DocumentUnprinted:
				res.closed = true
				return res
			case drivers.DocumentOpen:
			default:
				t.Logf("close: %v, document %+v", err, doc)
				return res
			}
		}
	}
	t.Fatal("the receipt cannot be closed")
	return res
}

func (f *fiscal) shiftAgain(t *testing.T) {
	t.Helper()
	st, err := f.Device.Status(f.ctx)
	if err == nil && st.Fiscal != nil && !st.Fiscal.ShiftOpen {
		if err := f.Device.OpenShift(f.ctx, "1"); err != nil {
			t.Logf("open shift: %v", err)
		}
	}
}

// testRandom sells many receipts while faults strike at random, and compares
// what the driver said with what is on paper and in the fiscal memory.
func testRandom(t *testing.T, f *fiscal) {
	n := receiptCount()
	rng := rand.New(rand.NewPCG(Seed(t), 7))
	f.shift(t)
	faults := append(slices.Clone(LineFaults), PaperOut, CoverOpen, Busy, PowerCut)
	closed0, sum0 := f.Closed()
	defer f.clerk()()
	var sold, sum int64
	outcomes := map[drivers.Outcome]int{}
	struck := 0
	checked := 0 // lines of the roll that were looked at
	marksOf := map[string]int{}
	for i := range n {
		marks := []string{f.mark(), f.mark()}
		if rng.IntN(10) == 0 {
			fault := faults[rng.IntN(len(faults))]
			if f.Fail(fault, 1+rng.IntN(14)) {
				struck++
			}
		}
		price := int64(100 + rng.IntN(900))
		r := f.cashProgram(t, marks, price)
		outcomes[r.text]++
		if r.closed {
			sold, sum = sold+1, sum+price
		}
		roll := f.RollFrom(max(0, checked-200))
		if problem := untruth(roll, r.text, r.err, marks); problem != "" {
			t.Fatalf("receipt %d: %s\n%s", i, problem, strings.Join(roll[max(0, len(roll)-40):], "\n"))
		}
		checked = max(0, checked-200) + len(roll)
	}
	// Nothing may turn up a second time later on.
	for _, l := range f.Roll() {
		for _, w := range strings.Fields(l) {
			if strings.HasPrefix(w, "91") && len(w) == 7 {
				marksOf[w]++
			}
		}
	}
	for m, c := range marksOf {
		if c > 1 {
			t.Errorf("%s is printed %d times", m, c)
		}
	}
	got, total := f.Closed()
	if int64(got-closed0) != sold || total-sum0 != sum {
		t.Errorf("the driver says %d receipts over %d, the fiscal memory holds %d over %d", sold, sum, got-closed0, total-sum0)
	}
	t.Logf("%d receipts, %d closed, %d faults; loyalty text: %v", n, sold, struck, outcomes)
	if outcomes[drivers.OutcomePrinted] < n*3/4 {
		t.Errorf("only %d of %d loyalty texts were certainly printed", outcomes[drivers.OutcomePrinted], n)
	}
}
