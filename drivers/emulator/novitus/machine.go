package novitus

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/novitus"
)

// machine is the fiscal memory and the open document. It is guarded by Base.Mu.
type machine struct {
	p *Printer

	lastError   int
	commandDone bool
	completed   bool // TRF
	beeps       int
	display     [2]string

	// fiscal memory
	receipts int
	turnover int64
	days     int
	dayCount int
	day      [7]int64
	cash     int64
	extra    map[string]bool // different free lines since the daily report
	shown    map[string]bool // different display lines, likewise

	// transaction
	open     bool
	block    int // lines announced, 0 on-line
	held     []fiscal.Line
	items    int
	totals   [7]int64
	payments int64
	paying   bool

	foot    bool // closed, the footer is open
	presets int
	report  bool // a non-fiscal printout is open
}

func (m *machine) total() (s int64) {
	for _, t := range m.totals {
		s += t
	}
	return s
}

func (m *machine) text(s string) string { return m.p.page.Decode([]byte(s)) }

// put prints a line, now or at the end of a block receipt.
func (m *machine) put(s string) {
	l := fiscal.Line{Text: s}
	if m.open && m.block > 0 {
		m.held = append(m.held, l)
		return
	}
	m.p.Print(l)
}

func (m *machine) write(left, right string) {
	w := m.p.opt.Columns
	l, r := []rune(left), []rune(right)
	for len(l) > w {
		m.put(string(l[:w]))
		l = l[w:]
	}
	gap := w - len(l) - len(r)
	switch {
	case right == "":
		m.put(string(l))
	case gap < 1:
		m.put(string(l))
		m.put(strings.Repeat(" ", max(0, w-len(r))) + string(r))
	default:
		m.put(string(l) + strings.Repeat(" ", gap) + string(r))
	}
}

func (m *machine) centre(s string) {
	m.put(strings.Repeat(" ", max(0, (m.p.opt.Columns-len([]rune(s)))/2)) + s)
}

func (m *machine) cut() { m.p.Print(fiscal.Line{Kind: "cut"}) }

// rates of the VAT letters A to G; 100 is exempt, 101 not in use.
var rates = [7]string{"23.00", "8.00", "5.00", "0.00", "100.00", "101.00", "101.00"}

const activeRates = 5

// query answers the questions; ok is false for everything else.
func (p *Printer) query(s proto.Sequence) (answer []byte, ok bool) {
	var a proto.Sequence
	bare := false
	switch s.Command {
	case "#n":
		a, bare = proto.Sequence{Params: []int{1}, Command: "#E", Body: fmt.Sprint(p.lastError)}, true
	case "#v":
		a = proto.Sequence{Params: []int{1}, Command: "#R", Body: p.opt.Model + "/" + p.opt.Version}
	case "#s":
		a = p.registers(s.Param(0))
		p.lastError = 0
	case "#c":
		a = proto.Sequence{Params: []int{1}, Command: "#C", Body: proto.Amount(p.cash) + "/"}
	default:
		return nil, false
	}
	if bare {
		answer, _ = proto.EncodeBare(a)
	} else {
		answer, _ = proto.Encode(a)
	}
	return answer, true
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *Printer) registers(kind int) proto.Sequence {
	now := p.opt.Now()
	var b strings.Builder
	fmt.Fprintf(&b, "%d;1;%d;%d;1;5;%d;%d;%d/", bit(p.lastError != 0), bit(p.open), bit(p.completed), now.Year()%100, int(now.Month()), now.Day())
	for _, r := range rates {
		b.WriteString(r + "/")
	}
	fmt.Fprintf(&b, "%d/", p.receipts)
	for _, t := range p.day {
		b.WriteString(proto.Amount(t) + "/")
	}
	b.WriteString(proto.Amount(p.cash) + "/" + p.opt.Serial)
	first := 1
	if kind == 22 || kind == 23 {
		first = 2
	}
	return proto.Sequence{Params: []int{first}, Command: "#X", Body: b.String()}
}

// prints are the commands that wait for paper.
var prints = map[string]bool{"$h": true, "$l": true, "$Y": true, "$n": true, "$b": true, "$e": true, "$y": true, "$z": true, "$w": true,
	"#l": true, "#r": true, "#k": true, "#i": true, "#d": true}

// execute carries a command out and gives its code.
func (p *Printer) execute(s proto.Sequence) int {
	do, ok := commands[s.Command]
	if !ok || p.opt.Thermal && s.Command == "$n" {
		p.lastError, p.commandDone = 0, false
		return proto.CodeUnknown
	}
	code := do(&p.machine, s, split(s.Body))
	p.lastError, p.commandDone = code, code == 0
	return code
}

// body is a body taken apart: texts ended by CR, then amounts ended by '/'.
type body struct {
	texts   []string
	amounts []string
}

// split takes a body apart. Amounts stand after the last CR, save that a sale
// line may end with a text again; that one is added to the texts.
func split(s string) (b body) {
	for s != "" {
		i := strings.IndexAny(s, "\r/")
		if i < 0 {
			b.texts = append(b.texts, s) // not ended: taken as it is
			return b
		}
		if s[i] == '\r' {
			b.texts = append(b.texts, s[:i])
		} else if len(b.amounts) > 0 || !strings.Contains(s[i:], "\r") || looksLikeAmount(s[:i]) {
			b.amounts = append(b.amounts, s[:i])
		} else {
			// A '/' inside a text.
			j := strings.IndexByte(s, '\r')
			b.texts = append(b.texts, s[:j])
			i = j
		}
		s = s[i+1:]
	}
	return b
}

func looksLikeAmount(s string) bool {
	if len(s) == 1 && s[0] >= 'A' && s[0] <= 'G' {
		return true
	}
	_, ok := proto.ParseAmount(s)
	return ok
}

func (b body) text(i int) string {
	if i < len(b.texts) {
		return b.texts[i]
	}
	return ""
}

func (b body) amount(i int) (int64, bool) {
	if i >= len(b.amounts) {
		return 0, false
	}
	return proto.ParseAmount(b.amounts[i])
}
