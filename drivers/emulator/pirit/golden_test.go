package pirit

import (
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
)

// The bytes of the maker's own sample, captured on a wire.
func TestConversation(t *testing.T) {
	at := time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC)
	p := New(Options{Now: func() time.Time { return at }})
	p.m.started, p.m.shiftOpen = true, true
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"link", "05", "06"},
		{"status flags", "02 50 49 52 49 23 30 30 1C 03 33 45", "02 23 30 30 30 30 30 1C 34 1C 30 1C 03 30 38"},
		{"printer state", "02 50 49 52 49 21 30 34 1C 03 33 38", "02 21 30 34 30 30 30 1C 03 30 41"},
		{"clock", "02 50 49 52 49 22 31 33 1C 03 33 44", "02 22 31 33 30 30 32 33 31 31 32 36 1C 30 37 33 30 30 30 1C 03 32 32"},
		{"tax number", "02 50 49 52 49 24 30 32 33 1C 03 30 38", "02 24 30 32 30 30 33 1C 37 37 30 31 32 33 34 35 36 37 1C 03 31 36"},
		{"open service document", "02 50 49 52 49 26 33 30 31 1C 31 1C 03 32 34", "02 26 33 30 30 30 03 32 36"},
		{"text", "02 50 49 52 49 27 34 30 92 A5 AA E1 E2 1C 03 41 30", "02 27 34 30 30 30 03 32 30"},
		{"damaged", "02 50 49 52 49 27 34 30 92 A5 AA E1 E3 1C 03 41 30", "02 27 34 30 30 37 03 32 37"},
	})
	if !strings.Contains(p.Text(), "Текст\n") {
		t.Errorf("on the roll: %s", p.Text())
	}
}

// The sale of the sample: no answer to anything but 30h and 31h in packet mode.
func TestPacketMode(t *testing.T) {
	p := New(Options{})
	p.m.started, p.m.shiftOpen = true, true
	do := func(c byte, f ...string) (byte, bool) {
		e, _, quiet := p.m.handle(c, f)
		return e, quiet
	}
	for _, s := range []struct {
		c     byte
		f     []string
		quiet bool
	}{{0x30, []string{"18", "1", "Ivanov", "", "0"}, false}, {0x42, []string{"Sugar", "", "1", "100", "4"}, true},
		{0x44, nil, true}, {0x47, []string{"0", "1000"}, true}, {0x31, []string{"0"}, false}} {
		if e, quiet := do(s.c, s.f...); e != 0 || quiet != s.quiet {
			t.Errorf("%02Xh: error %02Xh, quiet %v", s.c, e, quiet)
		}
	}
	if n, total := p.Closed(); n != 1 || total != 10000 {
		t.Errorf("%d receipts over %d", n, total)
	}
	do(0x30, "18", "1", "Ivanov", "", "0")
	if e, quiet := do(0x47, "0", "1"); e == 0 || quiet {
		t.Error("a payment of nothing in packet mode is not answered")
	}
	if e, _ := do(0x42, "Sugar", "", "1", "100", "4"); e != errState {
		t.Errorf("after a fault in packet mode: %02Xh", e)
	}
	if e, _ := do(0x32); e != 0 {
		t.Errorf("cancel: %02Xh", e)
	}
}

// A receipt that meets the end of the paper at its close is in the storage; it
// cannot be cancelled, and 31h prints the rest, once.
func TestState8(t *testing.T) {
	p := New(Options{})
	p.m.started, p.m.shiftOpen = true, true
	do := func(c byte, f ...string) byte { e, _, _ := p.m.handle(c, f); return e }
	do(0x30, "2", "1", "Ivanov")
	do(0x42, "Sugar", "", "1", "100", "4")
	do(0x47, "0", "100")
	p.Fail(fiscal.PaperOut, 0)
	if e := do(0x31, "0"); e != errPaper {
		t.Errorf("close without paper: %02Xh", e)
	}
	if n, _ := p.Closed(); n != 1 || p.m.state != 8 {
		t.Errorf("%d receipts, state %d", n, p.m.state)
	}
	p.Heal()
	if e := do(0x32); e != errState || p.m.ext != extInMemory {
		t.Errorf("cancel in state 8: %02Xh, %d", e, p.m.ext)
	}
	if e := do(0x31, "0"); e != 0 {
		t.Errorf("close again: %02Xh", e)
	}
	if n, _ := p.Closed(); n != 1 || strings.Count(p.Text(), "ФД ") != 1 {
		t.Errorf("%d receipts\n%s", n, p.Text())
	}
}

func TestRefusals(t *testing.T) {
	p := New(Options{})
	do := func(c byte, f ...string) byte { e, _, _ := p.m.handle(c, f); return e }
	for _, s := range []struct {
		name string
		c    byte
		f    []string
		err  byte
		ext  int
	}{
		{"before start of work", 0x30, []string{"1", "1"}, errState, extNotStarted},
		{"start of work an hour off", 0x10, []string{"010126", "000000"}, errClock, 0},
		{"unknown", 0x9F, nil, errUnknown, 0},
		{"sale with the shift closed", 0x30, []string{"2", "1"}, errState, extNoShift},
		{"text without a document", 0x40, []string{"x"}, errState, extNoDocument},
		{"open shift", 0x23, []string{"Ivanov"}, 0, 0},
		{"open it twice", 0x23, []string{"Ivanov"}, errCloseZ, 0},
		{"sale", 0x30, []string{"2", "1"}, 0, 0},
		{"text in a receipt", 0x40, []string{"x"}, errState, extNotService},
		{"a second document", 0x30, []string{"1", "1"}, errState, extDocument},
		{"close unpaid and empty", 0x31, []string{"0"}, errState, extZero},
		{"number that is none", 0x42, []string{"x", "", "one", "1", "4"}, errFormat, 0},
		{"requisite of five lines", 0x49, []string{"0", "0", "1", "2", "3", "4", "5"}, errFormat, 57},
	} {
		p.m.ext = 0
		if e := do(s.c, s.f...); e != s.err || p.m.ext != s.ext {
			t.Errorf("%s: error %02Xh (%d), want %02Xh (%d)", s.name, e, p.m.ext, s.err, s.ext)
		}
	}
}
