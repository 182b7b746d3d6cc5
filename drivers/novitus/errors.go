package novitus

import (
	"fmt"

	"github.com/tillside/tillside/drivers"
)

// Codes that the driver or the emulator acts on.
const (
	CodeCheck         = 2
	CodeParamCount    = 3
	CodeParamValue    = 4
	CodeMechanism     = 9
	CodeName          = 16
	CodeQuantity      = 17
	CodeVAT           = 18
	CodePrice         = 19
	CodeGross         = 20
	CodeNoTransaction = 21
	CodeVoid          = 22
	CodeNoSale        = 23
	CodeBufferFull    = 24
	CodeTill          = 25
	CodeAmount        = 26
	CodeTotal         = 27
	CodeEndOutside    = 29
	CodeCashOver      = 31
	CodeCashNegative  = 32
	CodeNotNow        = 82
	CodeTooManyLines  = 84
	CodePayments      = 91
	CodeUnknown       = 255
	CodeAlreadyOpen   = 1002 // newer Novitus
	CodeUnknownNew    = 1022
	CodeBusy          = 1034
	CodeNoPaper       = 1037
)

type meaning struct {
	text string
	code drivers.Code
}

var meanings = map[int]meaning{
	1: {"clock not set", drivers.ClockFault}, 2: {"check byte", drivers.Garbage}, 3: {"number of parameters", drivers.BadData},
	4: {"value of a parameter", drivers.BadData}, 5: {"clock", drivers.ClockFault}, 6: {"fiscal memory", drivers.MemoryFault},
	7: {"date earlier than the last record", drivers.ClockFault}, 8: {"totals are not zero", drivers.WrongState},
	9: {"printing mechanism, paper or cover", drivers.Mechanism}, 11: {"number of VAT rates", drivers.BadSettings},
	12: {"header", drivers.BadSettings}, 16: {"name empty or too long", drivers.BadData}, 17: {"quantity", drivers.BadData},
	18: {"VAT letter, or the item has another one", drivers.BadData}, 19: {"price", drivers.BadData},
	20: {"gross value or discount", drivers.BadData}, 21: {"not in a transaction", drivers.ReceiptClosed},
	22: {"void not possible", drivers.WrongState}, 23: {"end without a sale", drivers.WrongState}, 24: {"buffer full", drivers.WrongState},
	25: {"till or cashier code, or extra lines", drivers.BadData}, 26: {"payment or discount amount", drivers.Unpaid},
	27: {"total or discount does not match", drivers.BadData}, 28: {"totals overflow", drivers.ShiftExpired},
	29: {"end while not in a transaction", drivers.ReceiptClosed}, 31: {"cash overflow", drivers.BadData},
	32: {"cash would be negative", drivers.Refused}, 40: {"no header programmed", drivers.BadSettings},
	82: {"not allowed now", drivers.WrongState}, 83: {"sum of packaging", drivers.BadData},
	84: {"too many different lines since the daily report", drivers.Refused}, 90: {"only packaging allowed", drivers.WrongState},
	91: {"payments do not match", drivers.Unpaid}, 94: {"sale amount overflow", drivers.BadData}, 98: {"service jumper", drivers.WaitingUser},
	255: {"unknown command", drivers.Unsupported}, 1002: {"a receipt is already open", drivers.ReceiptOpen},
	1022: {"unknown command", drivers.Unsupported}, 1034: {"busy", drivers.Busy}, 1037: {"no paper", drivers.PaperOut},
}

func lookup(n int) meaning {
	if m, ok := meanings[n]; ok {
		return m
	}
	return meaning{"refused", drivers.Refused}
}

// Meaning says a code of the printer in plain words.
func Meaning(n int) string { return lookup(n).text }

// CodeOf gives the code a caller acts on for a code of the printer.
func CodeOf(n int) drivers.Code { return lookup(n).code }

// Refusal is the printer's own word, inside a drivers.Error.
type Refusal struct {
	Command string
	Number  int
}

// Error says command, code and meaning.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s refused with %d (%s)", r.Command, r.Number, Meaning(r.Number))
}
