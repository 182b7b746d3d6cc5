package pirit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
)

// Commands, by the maker's description.
const (
	cmdStatus    = 0x00
	cmdShift     = 0x01
	cmdFacts     = 0x02
	cmdReceipt   = 0x03
	cmdPrinter   = 0x04
	cmdError     = 0x06
	cmdStart     = 0x10
	cmdX         = 0x20
	cmdZ         = 0x21
	cmdOpenShift = 0x23
	cmdOpen      = 0x30
	cmdClose     = 0x31
	cmdCancel    = 0x32
	cmdCut       = 0x34
	cmdText      = 0x40
	cmdBarcode   = 0x41
	cmdItem      = 0x42
	cmdSubtotal  = 0x44
	cmdDiscount  = 0x45
	cmdPay       = 0x47
	cmdCash      = 0x48
	cmdRequisite = 0x49
)

// Kinds of documents.
const (
	docService = 1
	docSale    = 2
	docRefund  = 3
	docCashIn  = 4
	docCashOut = 5
)

// States of a document.
const (
	docClosed   = 0
	docOpened   = 1
	docSubtotal = 2
	docPayment  = 3
	docPaid     = 4
	docInMemory = 8 // in the fiscal storage, not printed to its end
)

// page is the register's code page.
var page = codepage.Must("cp866")

// text encodes and cuts a text.
func text(s string, most int) string {
	b := page.Encode(s)
	return string(b[:min(len(b), most)])
}

// money writes minor units as the register wants them.
func money(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%02d", sign, v/100, v%100)
}

// quantity writes thousandths.
func quantity(v int64) string { return fmt.Sprintf("%d.%03d", v/1000, v%1000) }

// ParseDecimal reads a decimal number with so many places; more places are
// rounded half up. Empty is nothing.
func ParseDecimal(s string, places int) (int64, error) {
	if s == "" {
		return 0, nil
	}
	neg := strings.HasPrefix(s, "-")
	whole, part, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if len(whole)+places > 18 || len(part) > 18 || whole == "" && part == "" {
		return 0, fmt.Errorf("%w: number %q", ErrField, s)
	}
	up := len(part) > places && part[places] >= '5'
	for len(part) < places {
		part += "0"
	}
	digits := whole + part[:places]
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, fmt.Errorf("%w: number %q", ErrField, s)
		}
	}
	for i := range len(part) {
		if part[i] < '0' || part[i] > '9' {
			return 0, fmt.Errorf("%w: number %q", ErrField, s)
		}
	}
	v, err := strconv.ParseInt("0"+digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: number %q", ErrField, s)
	}
	if up {
		v++
	}
	if neg {
		v = -v
	}
	return v, nil
}

// Refusal is the register's error code. Extended is the answer to 06h for
// errors 01h and 03h.
type Refusal struct {
	Code     byte
	Extended int
}

var refusals = map[byte]struct {
	code drivers.Code
	text string
}{
	0x01: {drivers.WrongState, "impossible in this state"},
	0x02: {drivers.Unsupported, "command not known to this model"},
	0x03: {drivers.BadData, "bad format or parameter"},
	0x04: {drivers.Busy, "port buffer overflow"},
	0x06: {drivers.BadPassword, "wrong link password"},
	0x08: {drivers.PaperOut, "end of paper"},
	0x09: {drivers.Offline, "printer not ready"},
	0x0A: {drivers.ShiftExpired, "shift over 24 hours"},
	0x0B: {drivers.ClockFault, "clocks differ by more than 8 minutes"},
	0x0C: {drivers.ClockFault, "date earlier than the last operation"},
	0x0E: {drivers.BadData, "negative result"},
	0x0F: {drivers.WrongState, "close the shift first"},
	0x10: {drivers.Refused, "no data in the journal"},
	0x11: {drivers.MemoryFull, "control tape"},
	0x12: {drivers.Refused, "send documents to the fiscal operator"},
	0x20: {drivers.MemoryFault, "fatal state"},
	0x41: {drivers.BadData, "bad format for the fiscal storage"},
	0x42: {drivers.WrongState, "state of the fiscal storage"},
	0x43: {drivers.MemoryFault, "fault of the fiscal storage"},
	0x44: {drivers.MemoryFault, "crypto unit"},
	0x45: {drivers.MemoryFull, "fiscal storage expired"},
	0x46: {drivers.MemoryFull, "fiscal storage full"},
	0x47: {drivers.ClockFault, "clock disagrees with the fiscal storage"},
	0x49: {drivers.BadData, "bad value for the fiscal storage"},
	0x52: {drivers.MemoryFull, "fiscal storage used up"},
	0x54: {drivers.MemoryNear, "unsent documents pile up"},
	0x55: {drivers.MemoryNear, "unsent documents pile up"},
	0x61: {drivers.MemoryFault, "no link to the fiscal storage"},
	0x62: {drivers.MemoryFault, "no link to the fiscal storage"},
}

// extended says what error 01h was about, by the answer to 06h.
var extended = map[int]struct {
	code drivers.Code
	text string
}{
	1: {drivers.WrongState, "start of work was not called"}, 2: {drivers.NotFiscal, "not fiscalised"},
	3: {drivers.MemoryFull, "fiscal archive closed"}, 4: {drivers.NotFiscal, "fiscal storage not registered"},
	8: {drivers.ReceiptClosed, "no document is open"}, 9: {drivers.ReceiptOpen, "the document before is not closed"},
	11: {drivers.WrongState, "document is past its lines"}, 12: {drivers.WrongState, "document is in payment"},
	13: {drivers.WrongState, "document is paid"}, 14: {drivers.Unpaid, "document is not paid"},
	15: {drivers.Interrupted, "document is in the fiscal storage; close it"},
	16: {drivers.WrongState, "not a sale or refund"}, 17: {drivers.WrongState, "not cash in or out"},
	18: {drivers.WrongState, "not a service document"}, 19: {drivers.WrongState, "a service document"},
	20: {drivers.ShiftClosed, "shift not open"}, 21: {drivers.MemoryFault, "fatal fault of the fiscal storage"},
	26: {drivers.BadData, "total is zero"}, 33: {drivers.BadData, "no cashier's name"},
	34: {drivers.Refused, "unsent documents"}, 35: {drivers.Refused, "only one discount in a receipt"},
}

// DriverCode is what the refusal means for the person at the till.
func (r Refusal) DriverCode() drivers.Code {
	if e, ok := extended[r.Extended]; ok && r.Code == 0x01 {
		return e.code
	}
	if e, ok := refusals[r.Code]; ok {
		return e.code
	}
	if r.Code >= 0x72 && r.Code <= 0x7E {
		return drivers.BadData // marked goods
	}
	return drivers.Refused
}

// Error gives the register's number and its meaning.
func (r Refusal) Error() string {
	s := fmt.Sprintf("register's error %02Xh", r.Code)
	if e, ok := refusals[r.Code]; ok {
		s += ": " + e.text
	}
	if e, ok := extended[r.Extended]; ok {
		s += ": " + e.text
	} else if r.Extended != 0 {
		s += fmt.Sprintf(" (%d)", r.Extended)
	}
	return s
}
