package datecs

import (
	"fmt"

	"github.com/tillside/tillside/drivers"
)

// Status bits that the driver acts on, as byte*8+bit. Bits that vary by model
// (0.3, 0.6 on ISL, 1.2, 1.4) are read as a hint only.
const (
	bitSyntax        = 0*8 + 0
	bitBadCommand    = 0*8 + 1
	bitClock         = 0*8 + 2
	bitMechanism     = 0*8 + 4
	bitError         = 0*8 + 5 // any of the marked ones
	bitCover         = 0*8 + 6
	bitOverflow      = 1*8 + 0
	bitNotNow        = 1*8 + 1
	bitPaperOut      = 2*8 + 0
	bitPaperNear     = 2*8 + 1
	bitJournalFull   = 2*8 + 2
	bitFiscalOpen    = 2*8 + 3
	bitJournalNear   = 2*8 + 4
	bitNonFiscalOpen = 2*8 + 5
	bitMemoryAccess  = 4*8 + 0
	bitMemoryNear    = 4*8 + 3
	bitMemoryFull    = 4*8 + 4
	bitMemoryMissing = 4*8 + 6
	bitReadOnly      = 5*8 + 0
	bitFiscalised    = 5*8 + 3
)

// Bits are the status bytes of an answer.
type Bits []byte

// Has tells whether a bit is set.
func (b Bits) has(bit int) bool { return bit/8 < len(b) && b[bit/8]&(1<<(bit%8)) != 0 }

// FiscalOpen tells whether a fiscal receipt is open.
func (b Bits) FiscalOpen() bool { return b.has(bitFiscalOpen) }

// NonFiscalOpen tells whether a slip is open.
func (b Bits) NonFiscalOpen() bool { return b.has(bitNonFiscalOpen) }

// codes are the states that hold.
func (b Bits) codes(form Form) []drivers.Code {
	var out []drivers.Code
	add := func(bit int, c drivers.Code) {
		if b.has(bit) {
			out = append(out, c)
		}
	}
	add(bitPaperOut, drivers.PaperOut)
	add(bitCover, drivers.CoverOpen)
	add(bitMechanism, drivers.Mechanism)
	add(bitMemoryAccess, drivers.MemoryFault)
	add(bitMemoryFull, drivers.MemoryFull)
	add(bitJournalFull, drivers.MemoryFull)
	add(bitPaperNear, drivers.PaperNear)
	add(bitClock, drivers.ClockFault)
	add(bitMemoryNear, drivers.MemoryNear)
	add(bitJournalNear, drivers.MemoryNear)
	if form == PM {
		add(bitMemoryMissing, drivers.MemoryFault)
	} else {
		add(bitMemoryMissing, drivers.Overheated)
		add(bitReadOnly, drivers.MemoryFault)
	}
	if !b.has(bitFiscalised) {
		out = append(out, drivers.NotFiscal)
	}
	return out
}

// refused tells whether the bits say that a command was not carried out. Paper
// and cover alone do not: they may have come with the last line that fitted.
func (b Bits) refused() (drivers.Code, bool) {
	switch {
	case b.has(bitSyntax):
		return drivers.BadData, true
	case b.has(bitBadCommand):
		return drivers.Unsupported, true
	case b.has(bitOverflow):
		return drivers.BadData, true
	case b.has(bitNotNow):
		for bit, c := range map[int]drivers.Code{bitPaperOut: drivers.PaperOut, bitCover: drivers.CoverOpen, bitMechanism: drivers.Mechanism} {
			if b.has(bit) {
				return c, true
			}
		}
		return drivers.WrongState, true
	}
	return "", false
}

// faulty names what keeps the mechanism from printing.
func (b Bits) faulty() (drivers.Code, bool) {
	switch {
	case b.has(bitPaperOut):
		return drivers.PaperOut, true
	case b.has(bitError) && b.has(bitCover):
		return drivers.CoverOpen, true
	case b.has(bitError) && b.has(bitMechanism):
		return drivers.Mechanism, true
	}
	return "", false
}

// Error codes of the PM form that the emulator and the driver name.
const (
	ErrIO              = -100001
	ErrNoPaper         = -100403
	ErrCover           = -100404
	ErrBadInput        = -101004
	ErrNotPossible     = -101006
	ErrPassword        = -102002
	ErrNeedZ           = -104000
	ErrSyntax          = -111002
	ErrImpossible      = -111003
	ErrReceiptOpen     = -111015
	ErrReceiptClosed   = -111016
	ErrNoCash          = -111017
	ErrPaymentStarted  = -111018
	ErrTooManySales    = -111019
	ErrDayOver         = -111024
	ErrValue           = -111031
	ErrNonFiscalOpen   = -111046
	ErrFiscalOpen      = -111047
	ErrNoPayment       = -111050
	ErrUnpaid          = -111064
	ErrTotalZero       = -111065
	ErrMemoryFull      = -105010
	errNone            = 0
	errUnparsable      = 1
	errPaperNearlyOver = -100405
)

type meaning struct {
	text string
	code drivers.Code
}

var meanings = map[int]meaning{
	-100001: {"input or output error", drivers.Mechanism}, -100002: {"checksum", drivers.MemoryFault},
	-100007: {"wrong mode", drivers.WrongState}, -100008: {"not ready", drivers.Busy},
	-100101: {"fiscal memory failure", drivers.MemoryFault}, -100116: {"fiscal memory blocked", drivers.MemoryFault},
	-100400: {"supply voltage", drivers.PowerFault}, -100401: {"supply voltage", drivers.PowerFault},
	-100402: {"head overheated", drivers.Overheated}, ErrNoPaper: {"no paper", drivers.PaperOut},
	ErrCover: {"cover open", drivers.CoverOpen}, errPaperNearlyOver: {"paper near its end", drivers.PaperNear},
	-100407: {"cutter", drivers.CutterFault}, ErrBadInput: {"bad input", drivers.BadData},
	ErrNotPossible: {"not possible", drivers.Unsupported}, -101007: {"time-out inside the device", drivers.Busy},
	-101017: {"no permission", drivers.BadPassword}, ErrPassword: {"wrong operator password", drivers.BadPassword},
	-102005: {"display not connected", drivers.Unsupported}, -102006: {"printer not connected", drivers.Mechanism},
	-102010: {"header lines are empty", drivers.BadSettings}, ErrNeedZ: {"Z report needed", drivers.ShiftExpired},
	ErrMemoryFull: {"journal full", drivers.MemoryFull}, ErrSyntax: {"syntax", drivers.BadData},
	ErrImpossible: {"impossible in this mode", drivers.WrongState}, ErrReceiptOpen: {"receipt is open", drivers.ReceiptOpen},
	ErrReceiptClosed: {"receipt is closed", drivers.ReceiptClosed}, ErrNoCash: {"no such cash in the drawer", drivers.Refused},
	ErrPaymentStarted: {"payment already started", drivers.WrongState}, ErrTooManySales: {"too many sales in the receipt", drivers.WrongState},
	ErrDayOver: {"over 24 hours: Z report needed", drivers.ShiftExpired}, ErrNonFiscalOpen: {"a slip is open", drivers.ReceiptOpen},
	ErrFiscalOpen: {"a fiscal receipt is open", drivers.ReceiptOpen}, ErrNoPayment: {"payment not started", drivers.Unpaid},
	ErrUnpaid: {"paid less than the total", drivers.Unpaid}, ErrTotalZero: {"the total is zero: cancel the receipt", drivers.WrongState},
}

func lookup(n int) meaning {
	if m, ok := meanings[n]; ok {
		return m
	}
	switch {
	case n <= -111031 && n >= -111034:
		return meaning{"value or price too big or wrong", drivers.BadData}
	case n <= -100100 && n > -100200:
		return meaning{"fiscal memory", drivers.MemoryFault}
	case n <= -100400 && n > -100500:
		return meaning{"printing mechanism", drivers.Mechanism}
	case n == errUnparsable:
		return meaning{"an answer without an error code", drivers.Garbage}
	}
	return meaning{"refused", drivers.Refused}
}

// Meaning says an error number of the PM form in plain words.
func Meaning(n int) string { return lookup(n).text }

// CodeOf gives the code a caller acts on for an error number of the PM form.
func CodeOf(n int) drivers.Code { return lookup(n).code }

// Refusal is the device's own word, inside a drivers.Error.
type Refusal struct {
	Command uint16
	Number  int  // PM form; 0 on ISL
	Status  Bits // as it came
}

// Error says command and reason.
func (r *Refusal) Error() string {
	if r.Number != 0 {
		return fmt.Sprintf("command %02Xh refused with %d (%s)", r.Command, r.Number, Meaning(r.Number))
	}
	return fmt.Sprintf("command %02Xh refused, status % X", r.Command, []byte(r.Status))
}
