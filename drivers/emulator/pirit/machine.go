package pirit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/pirit"
)

// Error codes.
const (
	errState    = 0x01
	errUnknown  = 0x02
	errFormat   = 0x03
	errGap      = 0x05
	errPassword = 0x06
	errCheck    = 0x07
	errPaper    = 0x08
	errNotReady = 0x09
	errShiftOld = 0x0A
	errClock    = 0x0B
	errNegative = 0x0E
	errCloseZ   = 0x0F
	errStorage  = 0x46
)

// Extended codes, told by 06h.
const (
	extNotStarted  = 1
	extNoDocument  = 8
	extDocument    = 9
	extNotOpened   = 11
	extPastTotal   = 12
	extPaid        = 13
	extNotPaid     = 14
	extInMemory    = 15
	extNotReceipt  = 16
	extNotCash     = 17
	extNotService  = 18
	extService     = 19
	extNoShift     = 20
	extZero        = 26
	extOneDiscount = 35
	extBadPayment  = 56
)

// machine is the register behind the link. Its methods run with Printer.Mu held.
type machine struct {
	p       *Printer
	started bool
	ext     int // the extended code of the last error 01h or 03h

	shiftOpen bool
	shift     int // number of the last opened shift
	inShift   int
	docs      int // through number of documents
	counter   int // operations
	receipts  int
	total     int64
	cash      int64
	cancelled int

	kind, state int
	batch, bad  bool // packet mode, and something in it went wrong
	delayed     bool
	silent      bool // not printed
	later       []string
	operator    string
	lines       int
	sum         int64
	discount    int64
	paid        int64
	paidCash    int64
	pays        []string
	tail        []fiscal.Line // what state 8 has still to print
	closing     []string      // the answer to 31h, for its repetition

	last     []string // the last closed receipt, as 03h/2 tells it
	settings map[string]string
	breaking bool
}

func (m *machine) canPrint() byte {
	switch {
	case m.breaking: // it runs out in the middle of this one
		return errPaper
	case m.p.Holds(fiscal.PaperOut):
		return errPaper
	case m.p.Holds(fiscal.CoverOpen), m.p.Holds(fiscal.Busy):
		return errNotReady
	}
	return 0
}

func (m *machine) put(l fiscal.Line) {
	if !m.silent {
		m.p.Print(l)
	}
}

func (m *machine) say(format string, args ...any) {
	s := []rune(fmt.Sprintf(format, args...))
	for len(s) > m.p.o.Columns {
		m.put(fiscal.Line{Text: string(s[:m.p.o.Columns])})
		s = s[m.p.o.Columns:]
	}
	m.put(fiscal.Line{Text: string(s)})
}

func (m *machine) pair(l, r string) {
	free := m.p.o.Columns - len([]rune(l)) - len([]rune(r))
	m.say("%s%s%s", l, strings.Repeat(" ", max(1, free)), r)
}

func (m *machine) text(s string) string { return m.p.page.Decode([]byte(s)) }

func money(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%02d", sign, v/100, v%100)
}

// args reads the fields of a command.
type args struct {
	f  []string
	ok bool
}

func (a *args) at(i int) string {
	if i < len(a.f) {
		return a.f[i]
	}
	return ""
}

func (a *args) number(i int) int {
	v, err := proto.ParseDecimal(a.at(i), 0)
	if err != nil {
		a.ok = false
	}
	return int(v)
}

func (a *args) decimal(i, places int) int64 {
	v, err := proto.ParseDecimal(a.at(i), places)
	if err != nil {
		a.ok = false
	}
	return v
}

// fail notes the extended code of a refusal.
func (m *machine) fail(ext int) (byte, []string) {
	m.ext = ext
	return errState, nil
}

func (m *machine) wrong(ext int) (byte, []string) {
	m.ext = ext
	return errFormat, nil
}

type command func(m *machine, a *args) (byte, []string)

// commands of the description that this register carries out. What it does not
// know is answered with 02h.
var commands = map[byte]command{
	0x00: (*machine).status, 0x01: (*machine).counters, 0x02: (*machine).facts, 0x03: (*machine).receipt,
	0x04: (*machine).printer, 0x05: (*machine).service, 0x06: (*machine).errorInfo,
	0x10: (*machine).start, 0x11: (*machine).readSetting, 0x12: (*machine).writeSetting,
	0x13: (*machine).clock, 0x14: func(m *machine, a *args) (byte, []string) { return 0, nil },
	0x20: (*machine).xReport, 0x21: (*machine).zReport, 0x23: (*machine).openShift, 0x24: (*machine).lineFacts,
	0x30: (*machine).open, 0x31: (*machine).close, 0x32: (*machine).cancel, 0x33: (*machine).cancel, 0x34: (*machine).cut,
	0x40: (*machine).printText, 0x41: (*machine).barcode, 0x42: (*machine).item, 0x44: (*machine).subtotal,
	0x45: (*machine).discountAll, 0x47: (*machine).pay, 0x48: (*machine).cashMove, 0x49: (*machine).requisite,
	0x50: (*machine).department, 0x52: (*machine).compare, 0x57: (*machine).operatorTag,
}

// early are the commands allowed before "start of work".
var early = []byte{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x13}

// batched are the commands that packet mode answers only when they fail.
func batched(c byte) bool { return c == 0x24 || c >= 0x40 && c <= 0x49 || c == 0x52 }

// handle carries out a command. quiet: nothing is answered.
func (m *machine) handle(code byte, fields []string) (err byte, out []string, quiet bool) {
	defer func() { m.breaking = false }()
	do, known := commands[code]
	switch {
	case !known:
		return errUnknown, nil, false
	case !m.started && !slices.Contains(early, code):
		m.ext = extNotStarted
		return errState, nil, false
	case m.batch && m.bad && batched(code):
		return errState, nil, false
	}
	a := &args{f: fields, ok: true}
	quiet = m.batch && batched(code)
	err, out = do(m, a)
	if !a.ok && err == 0 {
		err, out = errFormat, nil
	}
	if err != 0 {
		if quiet {
			m.bad = true
		}
		return err, nil, false
	}
	return 0, out, quiet
}

func (m *machine) flags() int {
	f := 0
	if !m.started {
		f |= 1
	}
	if m.shiftOpen {
		f |= 1 << 2
		if m.p.Holds(fiscal.ShiftOld) {
			f |= 1 << 3
		}
	}
	return f
}

func (m *machine) status(*args) (byte, []string) {
	return 0, []string{"0", strconv.Itoa(m.flags()), strconv.Itoa(m.kind | m.state<<4)}
}

func (m *machine) printer(*args) (byte, []string) {
	mask := 0
	if m.p.Holds(fiscal.PaperOut) {
		mask |= 1 | 1<<1
	}
	if m.p.Holds(fiscal.CoverOpen) {
		mask |= 1 | 1<<2
	}
	if m.p.Holds(fiscal.Busy) {
		mask |= 1
	}
	return 0, []string{strconv.Itoa(mask)}
}

func (m *machine) counters(a *args) (byte, []string) {
	n := a.number(0)
	out := []string{strconv.Itoa(n)}
	many := func(count int, first string) []string {
		out = append(out, first)
		for range count - 1 {
			out = append(out, "0")
		}
		return out
	}
	switch n {
	case 1:
		return 0, append(out, strconv.Itoa(m.shift))
	case 2:
		return 0, append(out, strconv.Itoa(m.inShift+1))
	case 3, 5, 13, 14, 16, 17:
		return 0, many(16, "0")
	case 4, 6:
		return 0, many(16, strconv.Itoa(m.inShift))
	case 7:
		return 0, append(out, strconv.Itoa(m.inShift), "0", strconv.Itoa(m.cancelled), "0", "0", "0")
	case 8, 9:
		return 0, many(4, "0")
	case 10, 11:
		return 0, many(6, "0")
	case 12:
		return 0, append(out, strconv.Itoa(m.counter), strconv.Itoa(m.docs), money(m.cash), strconv.Itoa(m.inShift), money(m.total))
	case 15:
		return 0, append(out, "0", "0")
	}
	return m.wrong(66)
}

func (m *machine) facts(a *args) (byte, []string) {
	n := a.number(0)
	now := m.p.o.Now()
	date, clock := now.Format("020106"), now.Format("150405")
	narrow := "0"
	if m.p.o.Narrow {
		narrow = "1"
	}
	answers := map[int][]string{
		1: {m.p.o.Serial}, 2: {"565"}, 3: {m.p.o.INN}, 4: {"0000000001012345"}, 5: {date, clock}, 6: {"010126"},
		7: {money(m.cash)}, 8: {strconv.Itoa(m.docs + 1)}, 9: {"1"}, 10: {"1"}, 11: {strconv.Itoa(m.counter)},
		12: {money(m.total), "0", "0", "0"}, 15: {"0"}, 16: {narrow}, 17: {date, clock}, 21: {m.p.o.Model},
		23: {"0", "0", "0"}, 24: {"4", "4"}, 70: {"565.1.5"},
	}
	if m.p.o.Model == "57" || m.p.o.Model == "80" { // FM16 answers the columns of a font
		answers[18] = []string{strconv.Itoa(m.p.o.Columns)}
	}
	v, ok := answers[n]
	if !ok {
		return m.wrong(66)
	}
	return 0, append([]string{strconv.Itoa(n)}, v...)
}

func (m *machine) receipt(a *args) (byte, []string) {
	switch a.number(0) {
	case 1:
		return 0, []string{"1", money(m.sum), money(m.discount), "0"}
	case 2:
		if m.last == nil {
			return 0, []string{"2", "0", strconv.Itoa(m.counter), "0", "0", "0.00", "0.00", "0", "", "0"}
		}
		return 0, append([]string{"2"}, m.last...)
	}
	return m.wrong(66)
}

func (m *machine) service(a *args) (byte, []string) {
	n := a.number(0)
	if n < 1 || n > 9 {
		return m.wrong(66)
	}
	return 0, []string{strconv.Itoa(n), "24000"}
}

func (m *machine) errorInfo(a *args) (byte, []string) {
	switch n := a.number(0); n {
	case 1:
		return 0, []string{"1", strconv.Itoa(m.ext)}
	case 2:
		return 0, []string{"2", "0"}
	}
	return m.wrong(66)
}

func (m *machine) start(a *args) (byte, []string) {
	at, err := time.ParseInLocation("020106150405", a.at(0)+a.at(1), m.p.o.Now().Location())
	if err != nil {
		return m.wrong(39)
	}
	m.started = true
	if d := at.Sub(m.p.o.Now()); d > 8*time.Minute || d < -8*time.Minute {
		return errClock, nil
	}
	return 0, nil
}

func (m *machine) readSetting(a *args) (byte, []string) {
	return 0, []string{m.settings[a.at(0)+"/"+a.at(1)]}
}

func (m *machine) writeSetting(a *args) (byte, []string) {
	m.settings[a.at(0)+"/"+a.at(1)] = a.at(2)
	return 0, nil
}

func (m *machine) clock(*args) (byte, []string) {
	now := m.p.o.Now()
	return 0, []string{now.Format("020106"), now.Format("150405")}
}
