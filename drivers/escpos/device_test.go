package escpos_test

import (
	"strings"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/escpos"
)

func start(t *testing.T, opts drivers.Options) (*drivertest.Running, *emulator.Printer, *escpos.Printer) {
	t.Helper()
	m := emulator.NewPrinter(emulator.PrinterSettings{Columns: 42, Maker: "ACME", Model: "TM-1", Serial: "S77"})
	o := drivers.Options{"poll": "100ms", "answer": "2s"}
	for k, v := range opts {
		o[k] = v
	}
	r := drivertest.Start(t, drivertest.Rig{Driver: escpos.Driver, Options: o, Machine: m})
	r.WaitUsable(t)
	return r, m, r.Device.(*escpos.Printer)
}

func TestStatesAreNamed(t *testing.T) {
	t.Parallel()
	for _, asb := range []bool{false, true} {
		r, m, _ := start(t, drivers.Options{"asb": asb})
		for _, c := range []struct {
			set  func(*emulator.Condition)
			want drivers.Code
		}{
			{func(c *emulator.Condition) { c.Paper = "near" }, drivers.PaperNear},
			{func(c *emulator.Condition) { c.Paper = "out" }, drivers.PaperOut},
			{func(c *emulator.Condition) { c.Paper, c.Cover = "", "open" }, drivers.CoverOpen},
			{func(c *emulator.Condition) { c.Cover = "" }, drivers.Ready},
		} {
			m.Set(c.set)
			r.WaitState(t, c.want)
		}
	}
}

// The paper ends in the middle of a slip: nobody knows, then the new roll
// brings the rest out and the driver says so, and prints nothing twice.
func TestPaperEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	r, m, p := start(t, nil)
	m.SetLines(5)
	lines := []string{"one", "two", "three", "four", "five", "six", "seven"}
	out, err := p.Print(t.Context(), drivers.Lines("long", lines...))
	if out != drivers.OutcomeUnknown {
		t.Errorf("got %s", out)
	}
	drivertest.MustCode(t, err, drivers.PaperOut)
	m.Set(func(c *emulator.Condition) { c.Paper = "" })
	m.SetLines(0)
	drivertest.Wait(t, "the late word", func() bool { return r.Late("long") == drivers.OutcomePrinted })
	if got := m.Roll().All().Lines(); len(got) != 7 || got[6] != "seven" {
		t.Errorf("on the paper: %q", got)
	}
	if out, err := p.Print(t.Context(), drivers.Lines("next", "after")); out != drivers.OutcomePrinted {
		t.Errorf("%s, %v", out, err)
	}
}

func TestIdentityDrawerTestPage(t *testing.T) {
	t.Parallel()
	_, m, p := start(t, nil)
	id, err := p.Identity(t.Context())
	if err != nil || id.Maker != "ACME" || id.Model != "TM-1" || id.Serial != "S77" {
		t.Errorf("%+v, %v", id, err)
	}
	if err := p.OpenDrawer(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.Wait(t, "the drawer's pulse", func() bool { return m.Pulses() == 1 })
	if out, err := p.TestPage(t.Context()); err != nil || out != drivers.OutcomePrinted {
		t.Errorf("%s, %v", out, err)
	}
	text := m.Roll().All().Text(42)
	for _, want := range []string{"cp866    17", "cp1250   45 Ąę Łódź Žluť", "Жук", "[ean13 2000000125008]", "[qr TILLSIDE]"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing on the test page:\n%s", want, text)
		}
	}
	if u := m.Unknown(); len(u) > 0 {
		t.Errorf("commands that the emulator does not know: %v", u)
	}
}

func TestJammedCutterIsRecovered(t *testing.T) {
	t.Parallel()
	r, m, p := start(t, nil)
	m.Set(func(c *emulator.Condition) { c.Cutter = "jam" })
	out, err := p.Print(t.Context(), drivers.Lines("s", "text"))
	if out != drivers.OutcomeUnknown {
		t.Errorf("%s, %v", out, err)
	}
	r.WaitState(t, drivers.CutterFault)
	m.Set(func(c *emulator.Condition) { c.Cutter = "" })
	if err := p.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	r.WaitState(t, drivers.Ready)
}

// A printer that answers nothing from the start is unknown, not faulty, and
// takes slips; one that has answered before is silent.
func TestOneWayLine(t *testing.T) {
	t.Parallel()
	m := emulator.NewPrinter(emulator.PrinterSettings{})
	m.Set(func(c *emulator.Condition) { c.Silent = true })
	r := drivertest.Start(t, drivertest.Rig{Driver: escpos.Driver, Options: drivers.Options{"poll": "100ms"}, Machine: m})
	r.WaitUsable(t)
	if c := r.Device.State().Code; c != drivers.Unknown {
		t.Errorf("state %s", c)
	}
	p := r.Device.(*escpos.Printer)
	if out, err := p.Print(t.Context(), drivers.Lines("s", "one way")); err != nil || out != drivers.OutcomeSent {
		t.Errorf("%s, %v", out, err)
	}
	m.Set(func(c *emulator.Condition) { c.Silent = false })
	r.WaitState(t, drivers.Ready)
	if out, err := p.Print(t.Context(), drivers.Lines("s", "two ways")); err != nil || out != drivers.OutcomePrinted {
		t.Errorf("%s, %v", out, err)
	}
}

func TestHangingPrinter(t *testing.T) {
	t.Parallel()
	_, m, p := start(t, nil)
	m.Set(func(c *emulator.Condition) { c.Hang = true })
	out, err := p.Print(t.Context(), drivers.Slip{ID: "big", Blocks: []drivers.Block{drivers.Text{Text: strings.Repeat("x", 30000)}}})
	m.Set(func(c *emulator.Condition) { c.Hang = false })
	if err == nil || out == drivers.OutcomePrinted {
		t.Errorf("a printer that took nothing: %s, %v", out, err)
	}
}

// Garbage is told as such and never taken for a confirmation.
func TestGarbageAnswers(t *testing.T) {
	t.Parallel()
	r, m, p := start(t, nil)
	m.Set(func(c *emulator.Condition) { c.Noise = true })
	r.WaitState(t, drivers.Garbage)
	for range 10 {
		if out, err := p.Print(t.Context(), drivers.Lines("s", "noise")); err == nil {
			t.Errorf("%s among noise", out)
		}
	}
	m.Set(func(c *emulator.Condition) { c.Noise = false })
	r.WaitState(t, drivers.Ready)
	drivertest.Wait(t, "a slip that prints", func() bool {
		out, _ := p.Print(t.Context(), drivers.Lines("s", "clean"))
		return out == drivers.OutcomePrinted
	})
}
