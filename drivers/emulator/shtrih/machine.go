package shtrih

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

// machine is the register behind the link. Its methods run with Printer.Mu held.
type machine struct {
	p *Printer

	shiftOpen bool
	shift     int // last closed
	inShift   int // receipts closed in this shift
	docs      int // document number
	receipts  int
	total     int64
	cash      int64

	document int // kind of the open document, -1 none, 4 non-fiscal
	ops      int
	sum      int64
	last     int64 // amount of the last line, for a discount on it

	breaking bool          // paper ran out at the command being carried out
	broken   bool          // printing stopped in the middle
	rest     []fiscal.Line // what is still to be printed then
	buffer   []fiscal.Line // of a buffered non-fiscal document
	lastDoc  []fiscal.Line // for a copy
	current  []fiscal.Line
	blocks   map[byte][]byte // of 2-D codes
}

// The register's error codes.
const (
	ok             = 0x00
	badParameters  = 0x33
	unknown        = 0x37
	shiftIsClosed  = 0x3D
	lessPaid       = 0x45
	notInReceipt   = 0x4A
	shiftTooLong   = 0x4E
	badPassword    = 0x4F
	printing       = 0x50
	receiptClosed  = 0x55
	nothingToCopy  = 0x56
	waitsContinue  = 0x58
	tooLarge       = 0x5A
	badPrice       = 0x61
	badQuantity    = 0x62
	badDepartment  = 0x63
	noPaper        = 0x6B
	wrongMode      = 0x73
	badLength      = 0x7E
	zeroTotal      = 0x8E
	notEnoughMoney = 0x46
)

func (m *machine) submode() byte {
	out := m.p.Holds(fiscal.PaperOut) || m.p.Holds(fiscal.CoverOpen)
	switch {
	case out && m.broken:
		return 2
	case out:
		return 1
	case m.broken:
		return 3
	case m.p.Holds(fiscal.Busy):
		return 5
	}
	return 0
}

func (m *machine) mode() byte {
	switch {
	case m.document >= 0:
		return 8 | byte(m.document)<<4
	case m.shiftOpen && m.p.Holds(fiscal.ShiftOld):
		return 3
	case m.shiftOpen:
		return 2
	}
	return 4
}

func (m *machine) flags() uint16 {
	// Journal bits, receipt roll and paper, levers up, decimal point.
	f := uint16(0x03C3)
	if m.p.Holds(fiscal.PaperNear) {
		f &^= 1 << 1
	}
	if m.p.Holds(fiscal.PaperOut) {
		f &^= 1<<7 | 1<<1
	}
	if m.p.Holds(fiscal.CoverOpen) {
		f |= 1 << 10
	}
	return f
}

// put prints lines, or keeps them when the paper breaks or the document is
// buffered.
func (m *machine) put(lines ...fiscal.Line) {
	m.current = append(m.current, lines...)
	switch {
	case m.document == 4 && m.p.o.Buffered:
		m.buffer = append(m.buffer, lines...)
	case m.breaking || m.broken:
		m.broken = true
		m.rest = append(m.rest, lines...)
	default:
		for _, l := range lines {
			m.p.Print(l)
		}
	}
}

func (m *machine) say(format string, args ...any) {
	m.put(fiscal.Line{Text: fit(fmt.Sprintf(format, args...), m.p.o.Columns)})
}

func fit(s string, columns int) string {
	r := []rune(s)
	return string(r[:min(len(r), columns)])
}

// pair puts two texts at both ends of a line.
func (m *machine) pair(l, r string) {
	free := m.p.o.Columns - len([]rune(l)) - len([]rune(r))
	m.say("%s%s%s", l, strings.Repeat(" ", max(1, free)), r)
}

func money(v int64) string { return fmt.Sprintf("%d.%02d", v/100, v%100) }

// text decodes a text: NUL ends it, control codes are ignored.
func (m *machine) text(b []byte) string { return strings.Join(m.lines(b), " ") }

// lines decodes a text in which LF begins a new line.
func (m *machine) lines(b []byte) []string {
	out := []string{""}
	for _, c := range b {
		switch {
		case c == 0:
			return out
		case c == '\n':
			out = append(out, "")
		case c >= 0x20:
			out[len(out)-1] += m.p.page.Decode([]byte{c})
		}
	}
	return out
}

func le(b []byte) int64 {
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return int64(v)
}

func put(b []byte, v int64, n int) []byte {
	for i := range n {
		b = append(b, byte(uint64(v)>>(8*i)))
	}
	return b
}

// canPrint is the register's refusal of a printing command, or ok.
func (m *machine) canPrint() byte {
	switch m.submode() {
	case 1, 2:
		if m.breaking {
			return ok // it notices only while it prints
		}
		return noPaper
	case 3:
		return waitsContinue
	case 5:
		return printing
	}
	return ok
}

// entry is one command: what it needs and what it does.
type entry struct {
	min      int  // least bytes after the command code, password included
	password bool // begins with a password
	admin    bool // only 29 and 30
	prints   bool
	do       func(m *machine, a []byte) (err byte, more []byte) // a: after the password
}

// handle carries out a command and returns the answer: code, error, rest.
func (m *machine) handle(cmd []byte) []byte {
	defer func() { m.breaking = false }()
	code := cmd[:1]
	e, known := commands[cmd[0]]
	if cmd[0] == 0xFF {
		if len(cmd) < 2 {
			return []byte{0xFF, unknown}
		}
		code = cmd[:2]
		e, known = commandsFF[cmd[1]]
	}
	answer := append([]byte(nil), code...)
	if !known {
		return append(answer, unknown)
	}
	a := cmd[len(code):]
	if len(a) < e.min {
		return append(answer, badLength)
	}
	var operator byte
	if e.password {
		pw := le(a[:4])
		if pw < 1 || pw > 30 || e.admin && pw < 29 {
			return append(answer, badPassword)
		}
		operator, a = byte(pw), a[4:]
	}
	if e.prints {
		if err := m.canPrint(); err != ok {
			return append(answer, err)
		}
	}
	err, more := e.do(m, a)
	answer = append(answer, err)
	if err != ok {
		return answer
	}
	if e.password && cmd[0] != 0xFF && cmd[0] != 0x26 {
		answer = append(answer, operator)
	}
	return append(answer, more...)
}

func done(*machine, []byte) (byte, []byte) { return ok, nil }

var commands = map[byte]entry{
	0xFC: {min: 0, do: (*machine).deviceType},
	0x10: {min: 4, password: true, do: (*machine).shortStatus},
	0x11: {min: 4, password: true, do: (*machine).fullStatus},
	0xF7: {min: 1, do: (*machine).parameters},
	0x26: {min: 5, password: true, do: (*machine).font},
	0x6B: {min: 1, do: (*machine).errorText},
	0x15: {min: 5, password: true, admin: true, do: func(*machine, []byte) (byte, []byte) { return ok, []byte{6, 100} }},
	0x14: {min: 7, password: true, admin: true, do: done},
	0x13: {min: 4, password: true, do: done},
	0x28: {min: 5, password: true, do: done},
	0xB0: {min: 4, password: true, do: (*machine).goOn},

	0x17: {min: 5, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.line(a[1:], a[0], 1) }},
	0x2F: {min: 6, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.line(a[2:], a[0], 1) }},
	0x12: {min: 5, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.line(a[1:], a[0], 2) }},
	0x18: {min: 34, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) {
		m.say("%s", m.text(a[:30]))
		return ok, put(nil, int64(m.docs), 2)
	}},
	0x29: {min: 6, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) {
		if a[1] == 0 {
			return badParameters, nil
		}
		for range a[1] {
			m.put(fiscal.Line{})
		}
		return ok, nil
	}},
	0x25: {min: 5, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) {
		m.put(fiscal.Line{Kind: "cut"})
		return ok, nil
	}},
	0x52: {min: 4, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { m.say("* * *"); return ok, nil }},
	0xC2: {min: 9, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) {
		m.put(fiscal.Line{Kind: "barcode", Text: ean13(le(a[:5]))})
		return ok, nil
	}},
	0xCB: {min: 10, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) {
		m.put(fiscal.Line{Kind: "barcode", Text: string(a[5:])})
		return ok, nil
	}},
	0xC5: {min: 6, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) {
		m.put(fiscal.Line{Kind: "image", Text: fmt.Sprintf("%X", a[2:])})
		return ok, nil
	}},
	0xDD: {min: 70, password: true, do: (*machine).load},
	0xDE: {min: 14, password: true, prints: true, do: (*machine).print2D},
	0xE2: {min: 4, password: true, prints: true, do: (*machine).openNonfiscal},
	0xE3: {min: 4, password: true, do: (*machine).closeNonfiscal},
	0xE4: {min: 6, password: true, prints: true, do: (*machine).requisite},

	0xE0: {min: 4, password: true, prints: true, do: (*machine).openShift},
	0x40: {min: 4, password: true, admin: true, prints: true, do: (*machine).xReport},
	0x41: {min: 4, password: true, admin: true, prints: true, do: (*machine).zReport},
	0x50: {min: 9, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.cashMove(le(a[:5])) }},
	0x51: {min: 9, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.cashMove(-le(a[:5])) }},
	0x8D: {min: 5, password: true, prints: true, do: (*machine).open},
	0x80: {min: 19, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.item(a, 0, 1) }},
	0x81: {min: 19, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.item(a, 1, 1) }},
	0x82: {min: 19, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.item(a, 2, 1) }},
	0x83: {min: 19, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.item(a, 3, 1) }},
	0x84: {min: 19, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.item(a, -1, -1) }},
	0x86: {min: 13, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.discount(a, -1) }},
	0x87: {min: 13, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.discount(a, 1) }},
	0x8A: {min: 13, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.discount(a, 1) }},
	0x8B: {min: 13, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.discount(a, -1) }},
	0x89: {min: 4, password: true, do: (*machine).subtotal},
	0x85: {min: 30, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.close(a, 4) }},
	0x8E: {min: 90, password: true, prints: true, do: func(m *machine, a []byte) (byte, []byte) { return m.close(a, 16) }},
	0x88: {min: 4, password: true, prints: true, do: (*machine).cancel},
	0x8C: {min: 4, password: true, prints: true, do: (*machine).copyLast},
}

var commandsFF = map[byte]entry{
	0x01: {min: 4, password: true, do: (*machine).storage},
	0x0C: {min: 8, password: true, do: (*machine).tlv},
	0x40: {min: 4, password: true, do: (*machine).shiftState},
	0x45: {min: 118, password: true, prints: true, do: (*machine).closeV2},
	0x46: {min: 30, password: true, prints: true, do: (*machine).operationV2},
}
