package shtrih

import (
	"fmt"

	"github.com/tillside/tillside/drivers"
)

// Refusal is the register's error code, as it came.
type Refusal byte

// Error codes that the driver acts on.
const (
	errShiftClosed  Refusal = 0x16
	errUnsupported  Refusal = 0x37
	errPrinting     Refusal = 0x50
	errWaitContinue Refusal = 0x58
	errNoPaper      Refusal = 0x6B
	errNoJournal    Refusal = 0x6C
)

var refusals = map[Refusal]struct {
	code drivers.Code
	text string
}{
	0x02: {drivers.MemoryFault, "fiscal storage in a wrong state"},
	0x16: {drivers.ShiftClosed, "shift closed, or over 24 hours in the fiscal storage"},
	0x2D: {drivers.BadData, "receipt total is less than the discount"},
	0x2E: {drivers.Refused, "not enough cash in the drawer"},
	0x33: {drivers.BadData, "wrong parameters"},
	0x34: {drivers.Refused, "no data"},
	0x37: {drivers.Unsupported, "command not known to this model"},
	0x3D: {drivers.ShiftClosed, "shift not open"},
	0x45: {drivers.Unpaid, "payments are less than the total"},
	0x46: {drivers.Refused, "not enough cash in the drawer"},
	0x49: {drivers.ReceiptOpen, "not while a receipt is open"},
	0x4A: {drivers.ReceiptOpen, "receipt is open"},
	0x4B: {drivers.Refused, "receipt buffer full"},
	0x4E: {drivers.ShiftExpired, "shift longer than 24 hours"},
	0x4F: {drivers.BadPassword, "wrong password"},
	0x50: {drivers.Busy, "still printing the command before"},
	0x55: {drivers.ReceiptClosed, "receipt is closed"},
	0x56: {drivers.Refused, "nothing to repeat"},
	0x57: {drivers.MemoryFault, "journal and fiscal memory disagree"},
	0x58: {drivers.Interrupted, "waits for the command to continue printing"},
	0x59: {drivers.OtherInterface, "document opened by another operator"},
	0x5A: {drivers.BadData, "discount larger than the sum"},
	0x5E: {drivers.Refused, "invalid operation"},
	0x5F: {drivers.BadData, "negative result"},
	0x61: {drivers.BadData, "price out of range"},
	0x62: {drivers.BadData, "quantity out of range"},
	0x63: {drivers.BadData, "department out of range"},
	0x6B: {drivers.PaperOut, "no receipt paper"},
	0x6C: {drivers.PaperOut, "no journal paper"},
	0x71: {drivers.CutterFault, "cutter failure"},
	0x72: {drivers.WrongState, "not in this submode"},
	0x73: {drivers.WrongState, "not in this mode"},
	0x74: {drivers.PowerFault, "memory fault"},
	0x75: {drivers.PowerFault, "power fault"},
	0x7A: {drivers.Refused, "field can not be edited"},
	0x7D: {drivers.BadData, "bad date"},
	0x7E: {drivers.BadData, "bad length"},
	0x8E: {drivers.BadData, "total is zero"},
	0x8F: {drivers.NotFiscal, "register is not fiscalised"},
	0x94: {drivers.Refused, "too many operations in the receipt"},
	0xC0: {drivers.ClockFault, "confirm the date"},
	0xC7: {drivers.Refused, "field can not be edited now"},
	0xC8: {drivers.Mechanism, "printing mechanism does not answer"},
}

// Code is what the refusal means for the person at the till.
func (r Refusal) Code() drivers.Code {
	if e, ok := refusals[r]; ok {
		return e.code
	}
	return drivers.Refused
}

// Error gives the register's number and its meaning.
func (r Refusal) Error() string {
	if e, ok := refusals[r]; ok {
		return fmt.Sprintf("register's error %02Xh: %s", byte(r), e.text)
	}
	return fmt.Sprintf("register's error %02Xh", byte(r))
}

// refusalOf takes the error byte out of an answer. rest is what follows it.
// Refusals of two-byte commands come with one or both command bytes.
func refusalOf(answer []byte) (rest []byte, err error) {
	if len(answer) < 2 {
		return nil, fmt.Errorf("answer of %d bytes: %w", len(answer), drivers.Garbage)
	}
	at := 1
	if answer[0] == twoByte && len(answer) > 2 {
		at = 2
	}
	if e := Refusal(answer[at]); e != 0 {
		return nil, &drivers.Error{Code: e.Code(), Err: e}
	}
	return answer[at+1:], nil
}
