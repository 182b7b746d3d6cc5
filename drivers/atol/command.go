package atol

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
)

// Buffer commands and states of transport 3.
const (
	TaskAdd    byte = 0xC1
	TaskAck    byte = 0xC2
	TaskReq    byte = 0xC3
	TaskAbort  byte = 0xC4
	TaskAckAdd byte = 0xC5

	Pending     byte = 0xA1
	InProgress  byte = 0xA2
	Result      byte = 0xA3
	Failed      byte = 0xA4
	Stopped     byte = 0xA5
	AsyncResult byte = 0xA6
	AsyncFailed byte = 0xA7
	Waiting     byte = 0xA8

	Overflow byte = 0xB1
	Exists   byte = 0xB2
	NotFound byte = 0xB3
	Illegal  byte = 0xB4

	WantResult byte = 1
	GoOn       byte = 2
	Async      byte = 4
)

// Commands of the register.
const (
	cmdState     byte = 0x3F
	cmdStateCode byte = 0x45
	cmdDevice    byte = 0xA5
	cmdEnter     byte = 0x56
	cmdLeave     byte = 0x48
	cmdOpenShift byte = 0x9A
	cmdOpen      byte = 0x92
	cmdItem      byte = 0xE6
	cmdDiscount  byte = 0x43
	cmdPay       byte = 0x99
	cmdClose     byte = 0x4A
	cmdCancel    byte = 0x59
	cmdX         byte = 0x67
	cmdZ         byte = 0x5A
	cmdText      byte = 0x4C
	cmdCut       byte = 0x75
	cmdDrawer    byte = 0x80
	cmdBeep      byte = 0x88
	cmdBarcode   byte = 0xC1
	cmdCashIn    byte = 0x49
	cmdCashOut   byte = 0x4F
)

// Modes.
const (
	modeIdle     = 0
	modeRegister = 1
	modeX        = 2
	modeZ        = 3
)

// Receipt kinds of 92h, and states in 3Fh.
const (
	receiptSale   byte = 1
	receiptRefund byte = 2
)

var page = codepage.Must("cp866")

// numero is the place of № in the register's table.
const numero = 0x24

// encode turns text into the register's table: CP866 but for № at 24h, which
// leaves no place for the dollar sign.
func encode(s string) []byte {
	var out []byte
	for {
		before, after, found := strings.Cut(s, "№")
		out = append(out, page.Encode(strings.ReplaceAll(before, "$", "USD"))...)
		if !found {
			return out
		}
		out = append(out, numero)
		s = after
	}
}

// Decode turns bytes of the register's table into text.
func Decode(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		if c == numero {
			out.WriteRune('№')
		} else {
			out.WriteString(page.Decode([]byte{c}))
		}
	}
	return out.String()
}

// bcd appends a number in n bytes of BCD, most significant first.
func bcd(b []byte, v int64, n int) []byte {
	at := len(b)
	b = append(b, make([]byte, n)...)
	for i := n - 1; i >= 0; i-- {
		b[at+i] = byte(v%10) | byte(v/10%10)<<4
		v /= 100
	}
	return b
}

var errBCD = errors.New("not a BCD number")

func unBCD(b []byte) (int64, error) {
	var v int64
	for _, c := range b {
		if c>>4 > 9 || c&15 > 9 || v > 1e16 {
			return 0, fmt.Errorf("%w: % X", errBCD, b)
		}
		v = v*100 + int64(c>>4)*10 + int64(c&15)
	}
	return v, nil
}

// Refusal is the register's error number, with its extension.
type Refusal struct{ Code, More byte }

var refusals = map[byte]struct {
	code drivers.Code
	text string
}{
	8: {drivers.BadData, "price"}, 10: {drivers.BadData, "quantity"}, 11: {drivers.Refused, "cash overflow"},
	15: {drivers.Refused, "a second discount is not possible"}, 16: {drivers.Refused, "discount is not possible"},
	19: {drivers.BadData, "format"}, 20: {drivers.BadData, "length"}, 30: {drivers.WrongState, "mode is locked"},
	31: {drivers.ClockFault, "check date and time"}, 32: {drivers.ClockFault, "clock is behind the fiscal storage"},
	102: {drivers.WrongState, "not in this mode"},
	103: {drivers.PaperOut, "no paper"}, 104: {drivers.Mechanism, "no link to the printer"}, 105: {drivers.Mechanism, "printer mechanics"},
	114: {drivers.Unpaid, "payments are less than the total"}, 122: {drivers.Unsupported, "command not known to this model"},
	123: {drivers.BadData, "discount"}, 136: {drivers.ShiftExpired, "shift over 24 hours"}, 140: {drivers.BadPassword, "password"},
	154: {drivers.ReceiptClosed, "receipt is closed"}, 155: {drivers.ReceiptOpen, "receipt is open"},
	156: {drivers.WrongState, "shift is open"}, 209: {drivers.Overheated, "print head is hot"},
	242: {drivers.WrongState, "command not for this state of the storage"},
}

// DriverCode is what the refusal means for the person at the till.
func (r Refusal) DriverCode() drivers.Code {
	if e, ok := refusals[r.Code]; ok {
		return e.code
	}
	switch {
	case r.Code == 186 || r.Code == 190 || r.Code >= 200 && r.Code <= 208 || r.Code >= 212 && r.Code <= 220:
		return drivers.MemoryFault
	}
	return drivers.Refused
}

// Error gives the register's number and its meaning.
func (r Refusal) Error() string {
	s := fmt.Sprintf("register's error %d", r.Code)
	if r.More != 0 {
		s += fmt.Sprintf(".%d", r.More)
	}
	if e, ok := refusals[r.Code]; ok {
		s += ": " + e.text
	}
	return s
}
