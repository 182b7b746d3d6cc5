package posnet

import (
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
	proto "github.com/tillside/tillside/drivers/posnet"
)

// The bytes of an independent client's sale, captured on a wire, and the
// answers of the maker's specification.
func TestConversation(t *testing.T) {
	p := New(Options{})
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"a line before the receipt", "02 74 72 6C 69 6E 65 09 6E 61 AF 75 72 65 6B 09 76 74 30 09 70 72 32 30 30 30 09 69 6C 31 09 77 61 32 30 30 30 09 23 39 42 38 42 03",
			"02 74 72 6C 69 6E 65 09 3F 32 30 30 35 23 39 42 37 33 03"},
		{"a wrong check", "02 74 72 69 6E 69 74 09 62 6D 30 09 23 34 38 32 36 03", "02 45 52 52 09 3F 35 09 23 37 46 38 34 03"},
		{"begin", "02 74 72 69 6E 69 74 09 62 6D 30 09 23 34 38 32 35 03", "02 74 72 69 6E 69 74 09 23 39 31 31 44 03"},
		{"line", "02 74 72 6C 69 6E 65 09 6E 61 AF 75 72 65 6B 09 76 74 30 09 70 72 32 30 30 30 09 69 6C 31 09 77 61 32 30 30 30 09 23 39 42 38 42 03",
			"02 74 72 6C 69 6E 65 09 23 35 36 42 35 03"},
		{"card", "02 74 72 70 61 79 6D 65 6E 74 09 74 79 32 09 77 61 32 30 30 30 09 72 65 30 09 23 31 41 31 34 03",
			"02 74 72 70 61 79 6D 65 6E 74 09 23 41 31 45 45 03"},
		{"end", "02 74 72 65 6E 64 09 74 6F 32 30 30 30 09 66 70 32 30 30 30 09 72 65 30 09 66 65 31 09 23 33 46 38 37 03",
			"02 74 72 65 6E 64 09 23 32 39 30 32 03"},
		{"daily report", "02 64 61 69 6C 79 72 65 70 09 23 39 31 38 30 03", "02 64 61 69 6C 79 72 65 70 09 23 39 31 38 30 03"},
	})
	if n, total := p.Closed(); n != 1 || total != 2000 {
		t.Errorf("%d receipts over %d", n, total)
	}
	if !strings.Contains(p.Text(), "Żurek") || p.Days() != 1 {
		t.Errorf("%d daily reports; on the roll:\n%s", p.Days(), p.Text())
	}
}

// tell gives commands as text and wants answers as text, "?2005" for a refusal.
func tell(t *testing.T, p *Printer, cmd string) proto.Message {
	t.Helper()
	f := strings.Split(cmd, "|")
	m := proto.Message{Command: f[0]}
	for _, s := range f[1:] {
		if strings.HasPrefix(s, "@") {
			m.Token = s[1:]
			continue
		}
		m.Params = append(m.Params, proto.Param{ID: s[:2], Value: s[2:]})
	}
	p.Mu.Lock()
	defer p.Mu.Unlock()
	out, err := p.take(m, nil)
	if err != nil || len(out) == 0 {
		t.Fatalf("%s: % X, %v", cmd, out, err)
	}
	a, err := proto.Parse(out[1 : len(out)-1])
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return a
}

func TestOrderIsKept(t *testing.T) {
	p := New(Options{})
	for _, s := range []struct {
		cmd  string
		want int // 0 done, negative a frame error
	}{
		{"trpayment|ty0|wa100", 2005}, {"trend|to100", 2005}, {"trftrln|id2|na1", 2066}, {"formline|fn200|fl664|s1x", 2505},
		{"nosuch", -1}, {"!trinit", -12}, {"trline|naA|vt0", -2}, {"trline|naA|vt0|pr12,34", -3}, {"rpt|@0001", -13},
		{"trinit|bm0", 0}, {"trinit|bm0", 2038}, {"dailyrep", 2038}, {"formstart|fn200", 2038}, {"trend|to0", 1992},
		{"trline|naA|vt5|pr100", 2000}, {"trline|naA|vt0|pr0", 2006}, {"trline|naA|vt0|pr100|il0", 2007},
		{"trline|na |vt0|pr100", 2056}, {"trline|naA|vt0|pr100|il2|wa100", 2801}, {"trline|naA|vt0|pr100|il2|wa200", 0},
		{"trline|naB|vt1|pr1000|rd1|rp1000", 0}, {"trdiscntbill|naRABAT|rd1|rw50", 0}, {"trdiscntbill|rd1", 2063},
		{"trpayment|ty0|wa500", 0}, {"trline|naA|vt0|pr100", 2060}, {"trend|to1050", 2054}, {"trend|to1000", 2008},
		{"trpayment|ty2|wa600", 0}, {"trend|to1050|fp1000", 2801}, {"trend|to1050|fp1100|re10", 2054},
		{"trend|to1050|fp1100|re50|fe0", 0}, {"trinit", 2062}, {"trftrln|id99|na1", 2702}, {"trftrln|id2|na987", 0},
		{"trftrln|id25|naabcdefghijklmnopqrstuvwxyz", 2057}, {"trftrend", 0}, {"trftrend", 2066},
		{"formstart|fn1", 2501}, {"formstart|fn201", 2508}, {"formstart|fn200", 0}, {"formstart|fn200", 2506}, {"trinit", 2062},
		{"formline|fn200|fl1|s1x", 2502}, {"formline|fn200|fl664|s1Saldo: 1250 pkt", 0}, {"formformattedline|fn200|s1&c&bPunkty", 0},
		{"formformattedline|fn200|s1Paragon fiskalny", 400}, {"formend|fn201", 2501}, {"formend|fn200", 0}, {"prncancel", 0}, {"trcancel", 2005},
	} {
		a := tell(t, p, s.cmd)
		got := a.Refusal
		if a.Command == "ERR" {
			got = -got
		}
		if got != s.want {
			t.Errorf("%s: %d, want %d", s.cmd, got, s.want)
		}
	}
	if !strings.Contains(p.Text(), "Suma punktów:") || !strings.Contains(p.Text(), "987") {
		t.Errorf("on the roll:\n%s", p.Text())
	}
	if n, total := p.Closed(); n != 1 || total != 1050 {
		t.Errorf("%d receipts over %d, want 1 over 1050", n, total)
	}
}

// A sale as an open JavaScript client makes it: a cancel to be sure, "true" for a
// truth value, and the change as a payment of its own.
func TestAnotherClient(t *testing.T) {
	p := New(Options{})
	for _, cmd := range []string{"prncancel", "trinit|bm0", "trline|naKawa|vt0|pr1999|rdtrue|il1.5|wa2998|rnPromo|rw98", "trpayment|ty0|wa5000|re0",
		"trpayment|ty0|wa2100|re1", "trend|to2900|re2100|fp5000", "formstart|fn200|fh75", "formline|fn200|fl664|s1Saldo\n", "formbarcode|fn200|bc123456",
		"formcmd|fn200|cm1", "formend|fn200", "dailyrep|da2026-11-23", "dsptxtline|id0|no0|lnPunkty"} {
		if a := tell(t, p, cmd); a.Refused {
			t.Errorf("%s: %+v", cmd, a)
		}
	}
	if n, total := p.Closed(); n != 1 || total != 2900 {
		t.Errorf("%d receipts over %d, want 1 over 2900", n, total)
	}
}

func TestAnswersAreKept(t *testing.T) {
	p := New(Options{})
	tell(t, p, "trinit|@0007")
	if a := tell(t, p, "rpt|@0007"); a.Command != "trinit" || a.Token != "0007" || a.Refused {
		t.Errorf("rpt: %+v", a)
	}
	for i := range keptAnswers {
		tell(t, p, "sid|@01"+string(rune('0'+i/10))+string(rune('0'+i%10)))
	}
	if a := tell(t, p, "rpt|@0007"); a.Command != "ERR" || a.Refusal != 13 {
		t.Errorf("rpt of an answer 33 commands old: %+v", a)
	}
	if n := len(p.answers); n > keptAnswers {
		t.Errorf("%d answers are kept", n)
	}
}

// Without paper a command waits, and the immediate questions do not.
func TestNoPaper(t *testing.T) {
	p := New(Options{})
	tell(t, p, "trinit|bm0")
	p.Fail(fiscal.PaperOut, 0)
	p.Mu.Lock()
	out, err := p.take(proto.Message{Command: "trline", Params: []proto.Param{{ID: "na", Value: "A"}, {ID: "vt", Value: "0"}, {ID: "pr", Value: "100"}}}, nil)
	p.Mu.Unlock()
	if len(out) != 0 || err != nil {
		t.Errorf("a line without paper is answered: % X, %v", out, err)
	}
	if a := tell(t, p, "!sprn"); a.Text("pr") != "5" {
		t.Errorf("!sprn: %+v", a)
	}
	if a := tell(t, p, "!sdev"); a.Text("ds") != "3" || a.Text("tl") != "1" || a.Text("qe") != "N" {
		t.Errorf("!sdev: %+v", a)
	}
	p.Heal()
	p.Mu.Lock()
	q := p.queue
	p.Mu.Unlock()
	if len(q) != 1 {
		t.Errorf("%d commands wait", len(q))
	}
}

func TestClock(t *testing.T) {
	p := New(Options{Now: func() time.Time { return time.Date(2020, 10, 20, 11, 49, 0, 0, time.UTC) }})
	if a := tell(t, p, "rtcget"); a.Text("da") != "2020-10-20;11:49" {
		t.Errorf("rtcget: %+v", a)
	}
}
