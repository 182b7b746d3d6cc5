package datecs

import (
	"fmt"
	"strings"

	proto "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

// machine is the fiscal memory and the open document. It is guarded by Base.Mu.
type machine struct {
	p *Printer

	// fiscal memory
	receipts  int
	turnover  int64
	days      int
	dayCount  int
	daySum    int64
	cash      int64
	documents int

	// fiscal receipt
	open    bool
	items   int
	totals  [8]int64
	paid    int64
	paying  bool
	change  int64
	slip    bool // non-fiscal document open
	display [2]string

	once uint // status bits of the answer under way: bits of byte 0, and of byte 1 from 8 on
}

// Status bits of one answer.
const (
	syntaxError = 1 << 0
	badCommand  = 1 << 1
	overflow    = 1 << 8
	notNow      = 1 << 9
)

// status makes the status bytes.
func (m *machine) status() []byte {
	s := make([]byte, m.p.opt.Form.StatusLen())
	for i := range s {
		s[i] = 0x80
	}
	s[0] |= byte(m.once & 0xFF)
	s[1] |= byte(m.once >> 8 & 0xFF)
	if m.p.Holds(fiscal.CoverOpen) {
		s[0] |= 1 << 6
	}
	if m.p.Holds(fiscal.PaperOut) {
		s[2] |= 1 << 0
	}
	if m.once != 0 || s[0]&(1<<6) != 0 || s[2]&1 != 0 {
		s[0] |= 1 << 5
	}
	if m.p.Holds(fiscal.PaperNear) {
		s[2] |= 1 << 1
	}
	if m.open {
		s[2] |= 1 << 3
	}
	if m.slip {
		s[2] |= 1 << 5
	}
	s[4] |= 1<<1 | 1<<2
	if m.p.Holds(fiscal.MemFull) {
		s[4] |= 1<<4 | 1<<5
	}
	s[5] |= 1<<1 | 1<<3 | 1<<4
	return s
}

// fault is why a command was refused: PM's number, and the bits both forms show.
type fault struct {
	number int
	bits   uint
}

func (f fault) Error() string { return fmt.Sprintf("refused with %d", f.number) }

func wrong(number int) error  { return fault{number, notNow} }
func syntax(number int) error { return fault{number, syntaxError} }

// execute carries a command out and makes the data of its answer. slow work is
// announced with 16h first.
func (m *machine) execute(f proto.Frame) (data []byte, slow bool) {
	c, ok := commands[f.Command]
	var out []string
	var err error
	switch {
	case !ok || c.pmOnly && m.p.opt.Form == proto.ISL:
		err = fault{proto.ErrNotPossible, badCommand}
	case c.prints && m.p.Holds(fiscal.PaperOut):
		err = fault{proto.ErrNoPaper, 0}
	case c.prints && m.p.Holds(fiscal.CoverOpen):
		err = fault{proto.ErrCover, 0}
	default:
		in := input{m: m, pm: m.p.opt.Form == proto.PM, raw: string(f.Data)}
		if in.pm {
			in.f = proto.Fields(f.Data)
		}
		out, err = c.do(m, in)
	}
	number := 0
	if err != nil {
		var r fault
		r, ok = err.(fault)
		if !ok {
			r = fault{proto.ErrIO, notNow}
		}
		number, m.once, out = r.number, r.bits, nil
	}
	if m.p.opt.Form == proto.PM {
		return proto.Tabbed(append([]string{fmt.Sprint(number)}, out...)...), c.slow
	}
	return []byte(strings.Join(out, ",")), c.slow
}

// input is the data of a command in either form.
type input struct {
	m   *machine
	pm  bool
	raw string
	f   []string // PM fields
}

// field gives a PM field, "" where it is not there.
func (in input) field(i int) string {
	if i < len(in.f) {
		return in.f[i]
	}
	return ""
}

func (m *machine) total() (s int64) {
	for _, t := range m.totals {
		s += t
	}
	return s
}

func (m *machine) text(s string) string { return m.p.page.Decode([]byte(s)) }

// print puts a text on the paper, cut into lines, with something at the right.
func (m *machine) print(left, right string) {
	w := m.p.opt.Columns
	l, r := []rune(left), []rune(right)
	for len(l) > w {
		m.p.Print(fiscal.Line{Text: string(l[:w])})
		l = l[w:]
	}
	gap := w - len(l) - len(r)
	switch {
	case right == "":
		m.p.Print(fiscal.Line{Text: string(l)})
	case gap < 1:
		m.p.Print(fiscal.Line{Text: string(l)})
		m.p.Print(fiscal.Line{Text: strings.Repeat(" ", max(0, w-len(r))) + string(r)})
	default:
		m.p.Print(fiscal.Line{Text: string(l) + strings.Repeat(" ", gap) + string(r)})
	}
}

func (m *machine) centre(s string) {
	m.p.Print(fiscal.Line{Text: strings.Repeat(" ", max(0, (m.p.opt.Columns-len([]rune(s)))/2)) + s})
}

func (m *machine) cut() { m.p.Print(fiscal.Line{Kind: "cut"}) }

func money(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%02d", sign, v/100, v%100)
}

// cents writes an amount as ISL answers do.
func cents(v int64) string { return fmt.Sprintf("%09d", v) }
