package atol

import (
	"bytes"
	"fmt"
	"strings"

	proto "github.com/tillside/tillside/drivers/atol"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

// Error numbers.
const (
	badPrice      = 8
	badQuantity   = 10
	cashOverflow  = 11
	badFormat     = 19
	badLength     = 20
	wrongMode     = 102
	noPaper       = 103
	lessPaid      = 114
	unknown       = 122
	badDiscount   = 123
	shiftTooLong  = 136
	badPassword   = 140
	receiptClosed = 154
	receiptOpen   = 155
	shiftOpen     = 156
	storage       = 190
)

// machine is the register behind the link. Its methods run with Printer.Mu held.
type machine struct {
	p    *Printer
	mode byte

	open     bool // the shift
	shift    int64
	number   int64 // of the last closed receipt
	receipts int
	total    int64
	cash     int64

	receipt  byte // kind of the open receipt
	lines    int
	sum      int64
	paid     int64
	paidCash int64
	final    bool // a discount on the whole was given: no more lines

	breaking bool
}

func (m *machine) paper() bool {
	return !m.breaking && !m.p.Holds(fiscal.PaperOut) && !m.p.Holds(fiscal.CoverOpen)
}

func (m *machine) say(format string, args ...any) {
	m.p.PrintText(fmt.Sprintf(format, args...), m.p.o.Columns)
}

func (m *machine) pair(l, r string) {
	free := m.p.o.Columns - len([]rune(l)) - len([]rune(r))
	m.say("%s%s%s", l, strings.Repeat(" ", max(1, free)), r)
}

func money(v int64) string { return fmt.Sprintf("%d.%02d", v/100, v%100) }

func bcd(b []byte, v int64, n int) []byte {
	at := len(b)
	b = append(b, make([]byte, n)...)
	for i := n - 1; i >= 0; i-- {
		b[at+i] = byte(v%10) | byte(v/10%10)<<4
		v /= 100
	}
	return b
}

// args reads the parameters of a command.
type args struct {
	b   []byte
	bad bool
}

func (a *args) bytes(n int) []byte {
	if len(a.b) < n {
		a.bad = true
		return make([]byte, n)
	}
	v := a.b[:n]
	a.b = a.b[n:]
	return v
}

func (a *args) byte() byte { return a.bytes(1)[0] }

func (a *args) bcd(n int) int64 {
	var v int64
	for _, c := range a.bytes(n) {
		if c>>4 > 9 || c&15 > 9 {
			a.bad = true
			return 0
		}
		v = v*100 + int64(c>>4)*10 + int64(c&15)
	}
	return v
}

// entry is a command. prints: it needs paper. mode: it belongs to this mode, 0
// to any.
type entry struct {
	mode   byte
	prints bool
	do     func(m *machine, a *args) (err byte, more []byte)
}

var commands = map[byte]entry{
	0x56: {do: (*machine).enter},
	0x48: {do: (*machine).leave},
	0x9A: {mode: 1, prints: true, do: (*machine).openShift},
	0x92: {mode: 1, prints: true, do: (*machine).openReceipt},
	0xE6: {mode: 1, prints: true, do: (*machine).item},
	0x43: {mode: 1, prints: true, do: (*machine).discount},
	0x99: {mode: 1, prints: true, do: (*machine).pay},
	0x4A: {mode: 1, prints: true, do: (*machine).close},
	0x59: {mode: 1, prints: true, do: (*machine).cancel},
	0x49: {mode: 1, prints: true, do: func(m *machine, a *args) (byte, []byte) { return m.cashMove(a, 1) }},
	0x4F: {mode: 1, prints: true, do: func(m *machine, a *args) (byte, []byte) { return m.cashMove(a, -1) }},
	0x67: {mode: 2, prints: true, do: (*machine).xReport},
	0x5A: {mode: 3, prints: true, do: (*machine).zReport},
	0x4C: {prints: true, do: (*machine).text},
	0x87: {prints: true, do: (*machine).field},
	0xC1: {prints: true, do: (*machine).barcode},
	0x75: {prints: true, do: func(m *machine, a *args) (byte, []byte) {
		if a.byte() > 1 {
			return badFormat, nil
		}
		m.p.Print(fiscal.Line{Kind: "cut"})
		return 0, nil
	}},
	0x6C: {prints: true, do: func(m *machine, _ *args) (byte, []byte) { m.say("* * *"); return 0, nil }},
	0x73: {prints: true, do: func(m *machine, _ *args) (byte, []byte) { m.say("СПАСИБО ЗА ПОКУПКУ"); return 0, nil }},
	0x80: {do: func(*machine, *args) (byte, []byte) { return 0, nil }},
	0x47: {do: func(*machine, *args) (byte, []byte) { return 0, nil }},
	0x88: {do: func(*machine, *args) (byte, []byte) { return 0, nil }},
}

// handle carries out a command and returns its answer. failed: the answer is a
// refusal, which stops tasks behind it on a real register.
func (m *machine) handle(cmd []byte) (answer []byte, failed bool) {
	defer func() { m.breaking = false }()
	switch cmd[0] {
	case 0x3F:
		return m.state(), false
	case 0x45:
		return []byte{0x55, m.modeByte(), m.printer()}, false
	case 0xA5:
		return m.device(), false
	case 0x9D:
		return []byte{0x55, 0x00, 0x05, 0x08, 0x30, 0x10, 0x00}, false
	}
	e, known := commands[cmd[0]]
	a := &args{b: cmd[1:]}
	var err byte
	var more []byte
	switch {
	case !known:
		err = unknown
	case e.mode != 0 && m.mode != e.mode:
		err = wrongMode
	case e.prints && !m.paper():
		err = noPaper
	default:
		err, more = e.do(m, a)
		if err == 0 && a.bad {
			err = badLength
		}
	}
	answer = append([]byte{0x55, err, 0}, more...)
	return answer, err != 0
}

func (m *machine) modeByte() byte {
	if m.receipt != 0 && m.mode == 1 {
		return 1 | 2<<4 // registration, receipt open
	}
	return m.mode
}

func (m *machine) printer() byte {
	if m.p.Holds(fiscal.PaperOut) || m.p.Holds(fiscal.CoverOpen) {
		return 1
	}
	return 0
}

func (m *machine) state() []byte {
	t := m.p.o.Now()
	b := []byte{0x44, 0x30, 1}
	for _, v := range []int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		b = bcd(b, int64(v), 1)
	}
	flags := byte(1 | 1<<6)
	if m.open {
		flags |= 1 << 1
	}
	if !m.p.Holds(fiscal.PaperOut) {
		flags |= 1 << 3
	}
	if m.p.Holds(fiscal.CoverOpen) {
		flags |= 1 << 5
	}
	b = append(b, flags)
	b = bcd(b, int64(m.p.o.Serial), 4)
	b = append(b, m.p.o.Model, '0', '1', m.modeByte())
	b = bcd(bcd(b, m.number%10000, 2), m.shift%10000, 2)
	b = append(b, m.receipt)
	return append(bcd(b, m.sum, 5), 2, 5)
}

func (m *machine) device() []byte {
	b := []byte{0, 2, 1, m.p.o.Model, 0, 0, 5, 8, 0x30, 0x10, 0}
	return append(b, encodeText(m.p.o.Name)...)
}

func encodeText(s string) []byte {
	var out []byte
	for _, r := range s {
		for c := 0x20; c < 0x100; c++ {
			if proto.Decode([]byte{byte(c)}) == string(r) {
				out = append(out, byte(c))
				break
			}
		}
	}
	return out
}

func (m *machine) enter(a *args) (byte, []byte) {
	mode, pw := a.byte(), a.bcd(4)
	switch {
	case a.bad || mode < 1 || mode > 6:
		return badFormat, nil
	case pw < 1 || pw > 30:
		return badPassword, nil
	case m.mode != 0:
		return wrongMode, nil
	}
	m.mode = mode
	return 0, nil
}

func (m *machine) leave(*args) (byte, []byte) {
	if m.receipt != 0 {
		return receiptOpen, nil
	}
	m.mode = 0
	return 0, nil
}

func (m *machine) openShift(*args) (byte, []byte) {
	switch {
	case m.receipt != 0:
		return receiptOpen, nil
	case m.open:
		return shiftOpen, nil
	}
	m.startShift()
	return 0, nil
}

func (m *machine) startShift() {
	m.open = true
	m.shift++
	m.say("СМЕНА ОТКРЫТА %d", m.shift)
}

func (m *machine) xReport(*args) (byte, []byte) {
	m.say("X-ОТЧЕТ")
	m.p.Print(fiscal.Line{Kind: "cut"})
	return 0, nil
}

func (m *machine) zReport(*args) (byte, []byte) {
	if m.receipt != 0 {
		return receiptOpen, nil
	}
	m.open, m.cash = false, 0
	m.p.Release(fiscal.ShiftOld)
	m.say("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ %d", m.shift)
	m.p.Print(fiscal.Line{Kind: "cut"})
	return 0, nil
}

func (m *machine) text(a *args) (byte, []byte) {
	t := a.b
	if i := bytes.IndexByte(t, 0); i >= 0 {
		t = t[:i]
	}
	if len(t) == 0 {
		return badLength, nil
	}
	m.say("%s", proto.Decode(t))
	return 0, nil
}

// field is 87h: flags, printer, fonts and the like in ten bytes, then the text.
func (m *machine) field(a *args) (byte, []byte) {
	a.bytes(10)
	if a.bad {
		return badLength, nil
	}
	return m.text(a)
}

func (m *machine) barcode(a *args) (byte, []byte) {
	kind := a.byte()
	a.bytes(13)
	if a.bad || len(a.b) == 0 {
		return badLength, nil
	}
	name := map[byte]string{0: "qr", 1: "barcode"}[kind]
	if name == "" {
		return badFormat, nil
	}
	m.p.Print(fiscal.Line{Kind: name, Text: string(a.b)})
	return 0, nil
}

func (m *machine) cashMove(a *args, sign int64) (byte, []byte) {
	test, v := a.byte(), a.bcd(5)
	switch {
	case a.bad:
		return badLength, nil
	case m.receipt != 0:
		return receiptOpen, nil
	case m.open && m.p.Holds(fiscal.ShiftOld):
		return shiftTooLong, nil
	case m.cash+sign*v < 0:
		return cashOverflow, nil
	case test&1 != 0:
		return 0, nil
	}
	if !m.open {
		m.startShift()
	}
	m.cash += sign * v
	name := "ВНЕСЕНИЕ"
	if sign < 0 {
		name = "ВЫПЛАТА"
	}
	m.pair(name, "="+money(v))
	return 0, nil
}
