package drivertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/emulator/paper"
)

// PrinterRig is a printer's rig.
type PrinterRig struct {
	Rig
	Roll *paper.Roll
	// PaperOut takes the paper out or puts it back; nil if that cannot be.
	PaperOut func(out bool)
	// Silence makes the machine answer nothing; nil if that cannot be.
	Silence func(on bool)
	// Sent tells that this rig's printer confirms nothing: OutcomeSent is right.
	Sent bool
}

func (g PrinterRig) good(o drivers.Outcome) bool {
	return o == drivers.OutcomePrinted || g.Sent && o == drivers.OutcomeSent
}

// slips is how many slips the faults test prints: a dozen, or as many as the
// environment asks for in TILLSIDE_SLIPS.
func slips() int {
	if n, err := strconv.Atoi(os.Getenv("TILLSIDE_SLIPS")); err == nil && n > 0 {
		return n
	}
	return 12
}

// count is how often a line stands on the paper.
func count(r *paper.Roll, line string) int {
	n := 0
	for _, l := range r.All().Lines() {
		if strings.Contains(l, line) {
			n++
		}
	}
	return n
}

// Printer is the suite for printers, fiscal ones included.
func Printer(t *testing.T, rig func(t *testing.T) PrinterRig) {
	Device(t, func(t *testing.T) Rig { return rig(t).Rig })
	t.Run("prints", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		p := r.Device.(drivers.Printer)
		out, err := p.Print(t.Context(), drivers.Lines("s1", "first line", "second line"))
		if err != nil || !g.good(out) {
			t.Fatalf("got %s, %v", out, err)
		}
		Wait(t, "the slip on the paper", func() bool { return count(g.Roll, "second line") == 1 })
		if count(g.Roll, "first line") != 1 {
			t.Errorf("on the paper: %q", g.Roll.All().Lines())
		}
		if p.Columns() < 16 {
			t.Errorf("%d columns", p.Columns())
		}
		if st, err := p.Status(t.Context()); err != nil || len(st.Codes) > 0 && st.Codes[0].Severity() == drivers.Fault {
			t.Errorf("status of a healthy printer: %+v, %v", st, err)
		}
	})
	t.Run("copy is marked", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		s := drivers.Lines("s1", "body")
		s.CopyMark = "COPY"
		if _, err := r.Device.(drivers.Printer).Print(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		Wait(t, "the copy", func() bool { return count(g.Roll, "COPY") == 1 && count(g.Roll, "body") == 1 })
	})
	t.Run("while unplugged nothing is printed", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		r.Cable.Unplug()
		r.WaitState(t, drivers.Absent)
		out, err := r.Device.(drivers.Printer).Print(t.Context(), drivers.Lines("s1", "lost"))
		if out != drivers.OutcomeNotPrinted {
			t.Errorf("got %s", out)
		}
		MustCode(t, err, drivers.Absent)
		if err := r.Cable.Plug(); err != nil {
			t.Fatal(err)
		}
		r.WaitUsable(t)
		if out, err := r.Device.(drivers.Printer).Print(t.Context(), drivers.Lines("s2", "after")); err != nil || !g.good(out) {
			t.Errorf("after replug: %s, %v", out, err)
		}
		Wait(t, "the second slip", func() bool { return count(g.Roll, "after") == 1 })
		if count(g.Roll, "lost") != 0 {
			t.Error("a slip that was refused came out later")
		}
	})
	t.Run("paper out", func(t *testing.T) {
		g := rig(t)
		if g.PaperOut == nil {
			t.Skip("this machine cannot run out of paper")
		}
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		g.PaperOut(true)
		r.WaitState(t, drivers.PaperOut)
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		defer cancel()
		out, err := r.Device.(drivers.Printer).Print(ctx, drivers.Lines("s1", "no paper"))
		MustCode(t, err, drivers.PaperOut)
		if out != drivers.OutcomeNotPrinted && out != drivers.OutcomeUnknown {
			t.Errorf("got %s", out)
		}
		g.PaperOut(false)
		r.WaitUsable(t)
		if out, err := r.Device.(drivers.Printer).Print(ctx, drivers.Lines("s2", "paper again")); err != nil || !g.good(out) {
			t.Errorf("got %s, %v", out, err)
		}
		if out == drivers.OutcomeNotPrinted && count(g.Roll, "no paper") != 0 {
			t.Error("a slip that was not printed came out later")
		}
	})
	t.Run("silent printer", func(t *testing.T) {
		g := rig(t)
		if g.Silence == nil {
			t.Skip("this machine cannot be silent")
		}
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		g.Silence(true)
		r.WaitState(t, drivers.Silent)
		g.Silence(false)
		r.WaitUsable(t)
	})
	t.Run("call ends with its context", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if out, err := r.Device.(drivers.Printer).Print(ctx, drivers.Lines("s1", "never")); err == nil || out == drivers.OutcomePrinted {
			t.Errorf("got %s, %v", out, err)
		}
	})
	t.Run("faults", func(t *testing.T) { PrinterFaults(t, rig(t), slips()) })
}

// PrinterFaults prints n slips while the plug is pulled, bytes are lost and the
// paper runs out, and then compares what was told with what is on the paper:
// printed is there exactly once, not printed is nowhere, nothing is twice.
func PrinterFaults(t *testing.T, g PrinterRig, n int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	r := Start(t, g.Rig)
	p := r.Device.(drivers.Printer)
	told := map[string]drivers.Outcome{}
	var ids []string
	for i := range n {
		r.WaitUsable(t)
		id := fmt.Sprintf("slip-%04d-%06x", i, rng.Uint32()&0xFFFFFF)
		ids = append(ids, id)
		fault := rng.IntN(4)
		after := time.Duration(rng.IntN(4000)) * time.Microsecond
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if fault == 0 {
				return
			}
			<-time.After(after) // the fault falls anywhere in the slip
			switch {
			case fault == 1 || g.PaperOut == nil:
				r.Cable.Unplug()
				r.Cable.Plug()
			case fault == 2:
				g.PaperOut(true)
				<-time.After(after)
				g.PaperOut(false)
			default:
				r.Cable.Unplug()
				<-time.After(after)
				r.Cable.Plug()
			}
		}()
		slip := drivers.Slip{ID: id, Blocks: []drivers.Block{
			drivers.Text{Text: id}, drivers.Text{Text: strings.Repeat("filler ", 4)}, drivers.Cut{}}}
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		out, err := p.Print(ctx, slip)
		cancel()
		<-ended
		told[id] = out
		if (err == nil) != (out == drivers.OutcomePrinted || out == drivers.OutcomeSent) {
			t.Errorf("%s: outcome %s with error %v", id, out, err)
		}
	}
	r.WaitUsable(t)
	Wait(t, "the last slip to be taken", func() bool {
		out, err := p.Print(t.Context(), drivers.Lines("end", "the end"))
		return err == nil && g.good(out)
	})
	Wait(t, "the last slip", func() bool { return count(g.Roll, "the end") > 0 })
	tally := map[drivers.Outcome]int{}
	for _, id := range ids {
		c := count(g.Roll, id)
		tally[told[id]]++
		switch {
		case c > 1:
			t.Errorf("%s stands %d times on the paper", id, c)
		case told[id] == drivers.OutcomePrinted && c != 1:
			t.Errorf("%s was told printed and is not on the paper", id)
		case told[id] == drivers.OutcomeNotPrinted && c != 0:
			t.Errorf("%s was told not printed and is on the paper", id)
		case r.Late(id) == drivers.OutcomePrinted && c != 1:
			t.Errorf("%s was confirmed late and is not on the paper", id)
		}
	}
	t.Logf("outcomes: %v", tally)
	if tally[drivers.OutcomePrinted]+tally[drivers.OutcomeSent] == 0 {
		t.Error("nothing was printed at all: the test shows nothing")
	}
}
