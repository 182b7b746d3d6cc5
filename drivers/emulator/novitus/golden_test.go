package novitus

import (
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
	proto "github.com/tillside/tillside/drivers/novitus"
)

const (
	query = "1B 50 23 6E 42 32 1B 5C"    // #n
	fine  = "1B 50 31 23 45 30 1B 5C"    // 1#E0
	check = "1B 50 31 23 45 32 1B 5C"    // 1#E2
	none  = "1B 50 31 23 45 32 31 1B 5C" // 1#E21
)

// The bytes of an independent client, captured on a wire: it sends a command,
// then asks #n.
func TestConversation(t *testing.T) {
	p := New(Options{Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }})
	steps := []fiscaltest.Exchange{{"on-line", "10", "74"}, {"fiscal, done, completed", "05", "6D"}}
	for _, s := range []fiscaltest.Exchange{
		{"silent errors", "1B 50 31 23 65 38 38 1B 5C", fine},
		{"sale before the receipt", "1B 50 31 24 6C A1 75 72 65 6B 0D 32 2E 30 30 0D 41 2F 33 2E 30 30 2F 36 2E 30 30 2F 35 39 1B 5C", none},
		{"a wrong check", "1B 50 31 3B 30 24 68 38 38 1B 5C", check},
		{"begin", "1B 50 31 3B 30 24 68 38 39 1B 5C", fine},
		{"sale", "1B 50 31 24 6C A1 75 72 65 6B 0D 32 2E 30 30 0D 41 2F 33 2E 30 30 2F 36 2E 30 30 2F 35 39 1B 5C", fine},
		{"ten percent", "1B 50 31 24 6E 52 61 62 61 74 20 6B 6C 75 62 6F 77 79 0D 31 30 2F 42 32 1B 5C", fine},
		{"card", "1B 50 31 3B 31 24 62 35 2E 34 30 2F 0D 42 46 1B 5C", fine},
		{"end", "1B 50 31 3B 30 3B 30 3B 31 3B 31 3B 31 24 65 41 6E 6E 61 0D 30 2E 30 30 2F 35 2E 34 30 2F 30 2E 30 30 2F 39 38 1B 5C", fine},
		{"cancel of nothing", "1B 50 30 24 65 38 45 1B 5C", none},
		{"drawer", "1B 50 31 24 64 38 45 1B 5C", fine},
		{"printout", "1B 50 30 3B 31 3B 30 3B 30 24 77 39 36 1B 5C", fine},
		{"its line", "1B 50 31 3B 30 3B 30 3B 30 3B 30 3B 30 3B 30 24 77 53 61 6C 64 6F 3A 20 31 32 35 30 20 70 6B 74 0D 39 36 1B 5C", fine},
		{"its end", "1B 50 31 3B 31 3B 30 3B 30 24 77 39 37 1B 5C", fine},
		{"cash in", "1B 50 30 23 69 31 30 30 2F 39 42 1B 5C", fine},
	} {
		steps = append(steps, fiscaltest.Exchange{s[0], s[1], ""}, fiscaltest.Exchange{s[0] + ": code", query, s[2]})
	}
	fiscaltest.Converse(t, p, steps)
	if n, total := p.Closed(); n != 1 || total != 540 {
		t.Errorf("%d receipts over %d, want 1 over 540", n, total)
	}
	for _, want := range []string{"Żurek", "Rabat klubowy", "Saldo: 1250 pkt", "[drawer ]"} {
		if !strings.Contains(p.Text(), want) {
			t.Errorf("%q is not on the roll:\n%s", want, p.Text())
		}
	}
	if a, ok := p.query(proto.Sequence{Params: []int{22}, Command: "#s"}); !ok || !strings.Contains(string(a), "2#X0;1;0;1;1;5;26;11;23/23.00/8.00/") {
		t.Errorf("22#s: %q", a)
	}
}

func TestOrderIsKept(t *testing.T) {
	p := New(Options{})
	for _, s := range []struct {
		params []int
		cmd    string
		body   string
		want   int
	}{
		{[]int{1}, "$l", "A\r1\rA/1.00/1.00/", proto.CodeNoTransaction}, {[]int{1, 0}, "$e", "x\r1/1/", proto.CodeEndOutside}, {[]int{20, 2}, "$z", "1\r", proto.CodeNotNow},
		{nil, "$q", "", proto.CodeUnknown}, {[]int{0}, "$h", "", 0}, {[]int{0}, "$h", "", proto.CodeAlreadyOpen}, {nil, "#r", "", proto.CodeNotNow},
		{[]int{2}, "$l", "A\r1\rA/1.00/1.00/", proto.CodeParamValue}, {[]int{1}, "$l", "\r1\rA/1.00/1.00/", proto.CodeName}, {[]int{1}, "$l", "A\r0\rA/1.00/1.00/", proto.CodeQuantity},
		{[]int{1}, "$l", "A\r1\rF/1.00/1.00/", proto.CodeVAT}, {[]int{1}, "$l", "A\r1\rA/0.00/1.00/", proto.CodePrice}, {[]int{1}, "$l", "A\r2\rA/1.00/1.00/", proto.CodeGross},
		{[]int{1}, "$l", "A\r2\rA/1.00/2.00/", 0}, {[]int{1}, "$l", "A\r2\rA/1.00/2.00/", proto.CodeParamValue},
		{[]int{2, 1, 16}, "$l", "B\r1.5\rB/2.00/3.00/0.50/dla Ciebie\r", 0}, {[]int{3, 2, 9}, "$l", "C\r1\rA/10.00/10.00/10/", 0},
		{[]int{3, 16}, "$Y", "1.00/0.50/x\r", proto.CodeTotal}, {[]int{3, 16}, "$Y", "13.50/0.50/x\r", 0}, {[]int{3, 16}, "$Y", "13.50/0.50/x\r", proto.CodeTotal},
		{[]int{0, 3, 1, 0, 0, 0, 0, 0, 0, 1, 1}, "$y", "1\r01\r13.00/0/0/10.00/0/", proto.CodeAmount},
		{[]int{1, 3, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1}, "$y", "1\r01\rDziękujemy\rVisa\r13.00/0/0/10.00/5.00/2.00/", 0},
		{[]int{0}, "$h", "", proto.CodeNotNow}, {[]int{20, 2}, "$z", "Saldo 1250 pkt\r", 0}, {[]int{20, 4}, "$z", "Kowalska 12345\r", 0}, {[]int{20, 99}, "$z", "1\r", proto.CodeParamValue},
		{[]int{24, 1}, "$z", "Do zobaczenia\r", 0}, {[]int{28, 0}, "$z", "", 0}, {[]int{28, 0}, "$z", "", proto.CodeNotNow}, {nil, "#r", "", 0},
	} {
		p.Mu.Lock()
		got := p.execute(proto.Sequence{Params: s.params, Command: s.cmd, Body: encoded(p, s.body)})
		p.Mu.Unlock()
		if got != s.want {
			t.Errorf("%v%s%q: %d, want %d", s.params, s.cmd, s.body, got, s.want)
		}
	}
}

// encoded is a body in the printer's letters, its CRs kept.
func encoded(p *Printer, s string) string {
	parts := strings.Split(s, "\r")
	for i := range parts {
		parts[i] = string(p.page.Encode(parts[i]))
	}
	return strings.Join(parts, "\r")
}

// Letters in the value of a keyword line are blanked out, as on the machine.
func TestFootBlanks(t *testing.T) {
	if got := blank("Saldo: 1250 pkt", isLetter); got != "Sal  : 1250    " {
		t.Errorf("%q", got)
	}
	p := New(Options{})
	p.Fail(fiscal.PaperOut, 0)
	p.Mu.Lock()
	out, err := p.sequence(proto.Sequence{Params: []int{0}, Command: "$h"}, nil)
	dle, _ := p.single(proto.DLE)
	p.Mu.Unlock()
	if len(out) != 0 || err != nil || len(dle) != 1 || dle[0] != 0x76 {
		t.Errorf("without paper: % X, %v, DLE % X", out, err, dle)
	}
}
