package datecs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	proto "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
)

// The bytes of an independent host, captured against another emulator. Where a
// receipt is open the answers here say so (88 in byte 2).
func TestConversationISL(t *testing.T) {
	p := New(Options{Now: func() time.Time { return time.Date(2007, 4, 26, 11, 30, 0, 0, time.UTC) }})
	p.Fail(fiscal.BadFrame, 0)
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"damaged on the way", "01 24 20 4A 05 30 30 39 33 03", "15"},
		{"status", "01 24 20 4A 05 30 30 39 33 03", "01 31 20 4A 80 80 80 80 86 9A 04 80 80 80 80 86 9A 05 30 36 3E 34 03"},
		{"a wrong check", "01 24 20 4A 05 30 30 39 34 03", "15"},
	})
	if a := feedHex(t, p, "01 25 21 5A 31 05 30 30 3D 36 03"); string(a.Data) != "FP-800,1.00BG,26APR07 1130,4294,DT123456,02123456" {
		t.Errorf("diagnostic: %q", a.Data)
	}
	// A sale, each frame twice: the second time nothing is done.
	for _, s := range []string{
		"01 42 24 30 31 2C 30 30 30 30 2C 44 54 31 32 33 34 35 36 2D 30 30 30 31 2D 30 30 30 30 30 30 31 2C 31 05 30 36 37 3A 03",
		"01 30 25 31 D5 EB FF E1 09 C1 34 2E 35 30 2A 31 05 30 36 31 37 03",
		"01 2F 26 36 D2 EE F7 EA E8 3A 20 31 32 35 30 05 30 36 33 3B 03",
		"01 36 28 31 D1 EE EA 09 C1 32 2E 30 30 2A 32 2C 2D 31 30 2E 30 30 05 30 36 36 3B 03",
		"01 2B 29 35 09 50 31 30 2E 30 30 05 30 31 3D 36 03",
		"01 24 2A 38 05 30 30 38 3B 03",
	} {
		first, second := feedHex(t, p, s), feedHex(t, p, s)
		if string(first.Data) != string(second.Data) || string(first.Status) != string(second.Status) {
			t.Errorf("%s: the repeat is answered otherwise: % X, then % X", s, first.Data, second.Data)
		}
		if Bits := proto.Bits(first.Status); first.Command == 0x31 && !Bits.FiscalOpen() {
			t.Errorf("a receipt is open and status is % X", first.Status)
		}
	}
	if n, total := p.Closed(); n != 1 || total != 450+360 {
		t.Errorf("%d receipts over %d, want 1 over 810", n, total)
	}
	for _, want := range []string{"Хляб", "Точки: 1250", "РЕСТО", "1.90", "DT123456-0001-0000001"} {
		if c := strings.Count(p.Text(), want); c != 1 {
			t.Errorf("%q stands %d times on the roll:\n%s", want, c, p.Text())
		}
	}
	for _, slip := range []string{"01 24 22 26 05 30 30 37 31 03", "01 30 23 2A C1 E0 EB E0 ED F1 3A 20 31 32 35 30 05 30 36 3E 3E 03"} {
		if a := feedHex(t, p, slip); !proto.Bits(a.Status).NonFiscalOpen() {
			t.Errorf("%s: status % X", slip, a.Status)
		}
	}
	if a := feedHex(t, p, "01 24 24 27 05 30 30 37 34 03"); proto.Bits(a.Status).NonFiscalOpen() || !strings.Contains(p.Text(), "Баланс: 1250") {
		t.Errorf("end of slip: status % X, on the roll:\n%s", a.Status, p.Text())
	}
}

// feedHex puts a frame in and gives the answer.
func feedHex(t *testing.T, p *Printer, s string) proto.Frame {
	t.Helper()
	d := proto.Decoder{Form: p.opt.Form}
	for _, h := range strings.Fields(s) {
		var c byte
		fmt.Sscanf(h, "%02X", &c)
		ev, m, err := d.Feed(c)
		if ev == proto.BadFrame {
			t.Fatal(err)
		}
		if ev != proto.GotFrame {
			continue
		}
		p.Mu.Lock()
		out, err := p.take(m)
		p.Mu.Unlock()
		for len(out) > 0 && out[0] == proto.SYN {
			out = out[1:]
		}
		a, perr := p.opt.Form.Parse(out)
		if err != nil || perr != nil {
			t.Fatalf("%s: % X, %v, %v", s, out, err, perr)
		}
		return a
	}
	t.Fatalf("%s is no frame", s)
	return proto.Frame{}
}

func TestConversationPM(t *testing.T) {
	p := New(Options{Form: proto.PM})
	p.documents = 471
	p.Fail(fiscal.BadFrame, 0)
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"damaged on the way", "01 30 30 32 3A 20 30 30 34 3A 05 30 31 3B 3F 03", "15"},
		{"status", "01 30 30 32 3A 20 30 30 34 3A 05 30 31 3B 3F 03", "01 30 30 33 35 20 30 30 34 3A 30 09 04 80 80 80 80 86 9A 80 80 05 30 36 31 38 03"},
		{"open, as the maker's document has it", "01 30 30 33 33 2C 30 30 33 30 31 09 31 09 32 34 09 49 09 05 30 32 3E 3F 03",
			"01 30 30 33 39 2C 30 30 33 30 30 09 34 37 32 09 04 80 80 88 80 86 9A 80 80 05 30 36 3C 3B 03"},
	})
}

// tell sends a command and gives PM's error number, or the status bits that say
// no on ISL.
func tell(t *testing.T, p *Printer, seq *byte, cmd uint16, data string) (int, proto.Frame) {
	t.Helper()
	if *seq++; *seq > proto.LastSeq || *seq < proto.FirstSeq {
		*seq = proto.FirstSeq
	}
	b, err := p.opt.Form.Encode(proto.Frame{Seq: *seq, Command: cmd, Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	a := feedHex(t, p, fmt.Sprintf("% X", b))
	if p.opt.Form == proto.PM {
		var n int
		fmt.Sscanf(string(a.Data), "%d", &n)
		return n, a
	}
	return int(a.Status[0]&3) | int(a.Status[1]&3)<<8, a
}

func TestOrderIsKeptPM(t *testing.T) {
	p := New(Options{Form: proto.PM})
	var seq byte
	for _, s := range []struct {
		cmd  uint16
		data string
		want int
	}{
		{0x31, "A\t2\t1.00\t1\t\t\t0\t", proto.ErrReceiptClosed}, {0x38, "", proto.ErrReceiptClosed}, {0x36, "x\t", proto.ErrReceiptClosed},
		{0x2A, "x\t", proto.ErrReceiptClosed}, {0x99, "", proto.ErrNotPossible}, {0x45, "Q\t", proto.ErrSyntax},
		{0x30, "1\t\t1\t\t", proto.ErrPassword},
		{0x30, "1\t0000\tDT700123-0001-0000001\t1\t\t", 0}, {0x30, "1\t0000\t1\t\t", proto.ErrFiscalOpen}, {0x45, "Z\t", proto.ErrFiscalOpen},
		{0x26, "", proto.ErrFiscalOpen}, {0x38, "", proto.ErrTotalZero}, {0x31, "A\t9\t1.00\t1\t\t\t0\t", proto.ErrSyntax},
		{0x31, "A\t2\t1.00\t1\t0\t0.00\t0\t", 0}, // eight fields, as an open host sends them
		{0x31, "B\t1\t2.00\t1.5\t2\t10.00\t0\t", 0}, {0x33, "0\t0\t", 0}, {0x33, "1\t0\t4\t0.70\t", 0}, {0x38, "", proto.ErrNoPayment},
		{0x35, "0\t1.00\t", 0}, {0x31, "A\t2\t1.00\t1\t\t\t0\t", proto.ErrPaymentStarted}, {0x38, "", proto.ErrUnpaid}, {0x35, "0\t\t", 0},
		{0x35, "0\t1.00\t", proto.ErrPaymentStarted}, {0x38, "", 0}, {0x3C, "", proto.ErrReceiptClosed},
		{0x26, "", 0}, {0x2A, "x\t", 0}, {0x30, "1\t0000\t1\t\t", proto.ErrNonFiscalOpen}, {0x27, "", 0},
		{0x46, "1\t900.00\t", proto.ErrNoCash}, {0x46, "0\t900.00\t", 0}, {0x45, "Z\t", 0}, {0x64, "-100403\t", 0},
	} {
		got, a := tell(t, p, &seq, s.cmd, s.data)
		if got != s.want {
			t.Errorf("%02Xh %q: %d (% X), want %d", s.cmd, s.data, got, a.Data, s.want)
		}
	}
	if n, total := p.Closed(); n != 1 || total != 100+270-70 {
		t.Errorf("%d receipts over %d, want 1 over 300", n, total)
	}
}

func TestOrderIsKeptISL(t *testing.T) {
	const syntax, unknown, notNow = syntaxError, badCommand, notNow
	p := New(Options{})
	var seq byte
	for _, s := range []struct {
		cmd  uint16
		data string
		want int
	}{
		{0x31, "A\t\xc11.00", notNow}, {0x99, "", unknown}, {0x2E, "", unknown}, {0x30, "1,0000", syntax}, {0x30, "1,0000,1", 0},
		{0x31, "no tab", syntax}, {0x31, "A\t\xc11.00*2", 0}, {0x31, "A\tB1.00,10.00", 0}, {0x31, "A\t\xc13.00;-0.50", 0}, {0x31, "A\t\xc13.00$-0.50", 0},
		{0x31, "A\t3\t1.00", 0}, {0x33, "", 0}, {0x33, "10;-0.10", 0}, {0x38, "", notNow}, {0x35, "\t", 0}, {0x38, "", 0}, {0x4C, "T", 0},
	} {
		got, a := tell(t, p, &seq, s.cmd, s.data)
		if got != s.want {
			t.Errorf("%02Xh %q: %04X (% X), want %04X", s.cmd, s.data, got, a.Status, s.want)
		}
		if s.cmd == 0x4C && string(a.Data) != "0,0005,000000900,000000900" {
			t.Errorf("4Ch: %q", a.Data)
		}
	}
	if n, total := p.Closed(); n != 1 || total != 200+110+250+250+100-10 {
		t.Errorf("%d receipts over %d", n, total)
	}
}
