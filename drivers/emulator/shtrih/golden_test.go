package shtrih

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
	proto "github.com/tillside/tillside/drivers/shtrih"
)

func zeros(n int) string { return strings.Repeat("00", n) }

// The bytes of an independent driver, captured on a wire.
func TestConversation(t *testing.T) {
	p := New(Options{})
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"probe", "05", "15"},
		{"device type", "02 01 FC FD", "06 02 12 FC 00 00 00 01 03 04 00 D8 D2 D0 C8 D5 2D D4 D0 2D CA E1"},
		{"take it", "06", ""},
		{"short status", "02 05 10 01 00 00 00 14", "06 02 10 10 00 01 C3 03 04 00 00 A0 D8 00 00 00 00 00 00 BD"},
		{"answer damaged", "15", ""},
		{"ask again", "05", "06 02 10 10 00 01 C3 03 04 00 00 A0 D8 00 00 00 00 00 00 BD"},
		{"and again, for the ACK was lost", "05", "06 02 10 10 00 01 C3 03 04 00 00 A0 D8 00 00 00 00 00 00 BD"},
		{"take it", "06", ""},
		{"idle", "05", "15"},
		{"damaged command", "02 05 10 01 00 00 00 15", "15"},
		{"line", "02 19 17 01 00 00 00 02 C1 E0 EB E0 ED F1 3A 20 31 32 35 30 20 E1 E0 EB EB EE E2 0A", "06 02 03 17 00 01 15"},
		{"padded line", "06 02 2E 17 01 00 00 00 02 C1 E0 EB E0 ED F1 3A 20 31 32 35 30 20 E1 E0 EB EB EE E2" + zeros(21) + "3D", "06 02 03 17 00 01 15"},
		{"line in a font", "06 02 0F 2F 01 00 00 00 02 01 D1 EF E0 F1 E8 E1 EE 21 CB", "06 02 03 2F 00 01 2D"},
		{"close on a closed receipt", "06 02 47 85 01 00 00 00 50 C3 00 00 00" + zeros(61) + "50", "06 02 02 85 55 D2"},
		{"open sale", "06 02 06 8D 01 00 00 00 00 8A", "06 02 03 8D 00 01 8F"},
		{"sale", "06 02 3C 80 01 00 00 00 E8 03 00 00 00 94 11 00 00 00 01 00 00 00 00 D5 EB E5 E1" + zeros(36) + "E8", "06 02 03 80 00 01 82"},
		{"sale again", "06 02 3C 80 01 00 00 00 E8 03 00 00 00 94 11 00 00 00 01 00 00 00 00 D5 EB E5 E1" + zeros(36) + "E8", "06 02 03 80 00 01 82"},
	})
	if roll := p.Text(); strings.Count(roll, "Баланс: 1250 баллов\n") != 2 || strings.Count(roll, "Спасибо!\n") != 1 || strings.Count(roll, "Хлеб\n") != 2 {
		t.Errorf("on the roll:\n%s", roll)
	}
}

// A receipt of 325.00 with 12.50 off, paid with 500.00: change 187.50.
func TestReceiptOfTheCapture(t *testing.T) {
	p := New(Options{})
	p.m.document, p.m.ops, p.m.sum, p.m.shiftOpen = 0, 1, 32500, true
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"discount", "02 36 86 01 00 00 00 E2 04 00 00 00 00 00 00 00 D1 EA E8 E4 EA E0 20 EF EE 20 EA E0 F0 F2 E5" + zeros(25) + "86", "06 02 03 86 00 01 84"},
		{"close", "06 02 47 85 01 00 00 00 50 C3 00 00 00" + zeros(61) + "50", "06 02 08 85 00 01 3E 49 00 00 00 FB"},
		{"feed", "06 02 07 29 01 00 00 00 02 03 2E", "06 02 03 29 00 01 2B"},
		{"partial cut", "06 02 06 25 01 00 00 00 01 23", "06 02 03 25 00 01 27"},
		{"X report", "06 02 05 40 1E 00 00 00 5B", "06 02 03 40 00 1E 5D"},
		{"unknown command", "06 02 05 99 1E 00 00 00 82", "06 02 02 99 37 AC"},
		{"unknown two-byte command", "06 02 06 FF 99 1E 00 00 00 7E", "06 02 03 FF 99 37 52"},
	})
}

func TestFullStatusHasAllFields(t *testing.T) {
	at := time.Date(2025, 11, 24, 10, 20, 30, 0, time.UTC)
	p := New(Options{Now: func() time.Time { return at }})
	b := p.m.handle([]byte{0x11, 30, 0, 0, 0})
	if len(b) != 48 {
		t.Fatalf("%d bytes: % X", len(b), b)
	}
	if got := b[25:31]; string(got) != string([]byte{24, 11, 25, 10, 20, 30}) {
		t.Errorf("date and time % X", got)
	}
	if got := le(b[32:36]); got != 12345678 {
		t.Errorf("serial %d", got)
	}
	if got := le(b[42:48]); got != 7701234567 {
		t.Errorf("tax number %d", got)
	}
}

func TestAlternativeFraming(t *testing.T) {
	p := New(Options{})
	p.altNum = 5
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"synchronise", "8F 00 00 0F 1D", alt(t, 5, "")},
		{"device type as 6", "8F 03 00 06 00 FC ED 63", alt(t, 6, "FC 00 00 00 01 03 04 00 D8 D2 D0 C8 D5 2D D4 D0 2D CA")},
		{"the same number: the last answer", "8F 03 00 06 00 FC ED 63", alt(t, 6, "FC 00 00 00 01 03 04 00 D8 D2 D0 C8 D5 2D D4 D0 2D CA")},
		{"a number out of turn: the last answer", "8F 07 00 34 12 10 1E 00 00 00 F1 1D", alt(t, 6, "FC 00 00 00 01 03 04 00 D8 D2 D0 C8 D5 2D D4 D0 2D CA")},
		{"damaged", "8F 03 00 07 00 FC ED 63", ""},
	})
}

// After a paper break the register wants B0h and then prints what was kept.
func TestPaperBreak(t *testing.T) {
	p := New(Options{})
	line := func(s string) byte { return p.m.handle(append([]byte{0x17, 1, 0, 0, 0, 2}, s...))[1] }
	if e := line("one"); e != 0 {
		t.Fatalf("error %02Xh", e)
	}
	p.Fail(fiscal.PaperOut, 1)
	p.Mu.Lock()
	p.strike() // a command before
	p.strike() // the paper breaks at this one
	p.Mu.Unlock()
	if e := line("two"); e != 0 {
		t.Errorf("the line that met the break: %02Xh", e)
	}
	if s := p.m.submode(); s != 2 {
		t.Errorf("submode %d, want 2", s)
	}
	if e := line("three"); e != 0x6B {
		t.Errorf("without paper: %02Xh", e)
	}
	p.Heal()
	if s := p.m.submode(); s != 3 {
		t.Errorf("submode %d, want 3", s)
	}
	if e := line("three"); e != 0x58 {
		t.Errorf("before B0h: %02Xh", e)
	}
	p.m.handle([]byte{0xB0, 1, 0, 0, 0})
	p.m.handle([]byte{0xB0, 1, 0, 0, 0})
	if got := p.Text(); got != "one\ntwo\n" {
		t.Errorf("on the roll: %q", got)
	}
}

func alt(t *testing.T, num uint16, data string) string {
	t.Helper()
	b := make([]byte, 0, 32)
	for _, f := range strings.Fields(data) {
		var v byte
		for _, c := range f {
			v = v<<4 | byte(strings.IndexRune("0123456789ABCDEF", c))
		}
		b = append(b, v)
	}
	return hexOf(encodeAlt(proto.AltFrame{Num: num, Data: b}))
}

func hexOf(b []byte) string { return fmt.Sprintf("% X", b) }
