package posnet

import "github.com/tillside/tillside/drivers"

// Numbers of refusals that the driver or the emulator acts on.
const (
	RefusedCancelled      = 30
	RefusedInterface      = 40
	RefusedOtherBusy      = 41
	RefusedNoDailyReport  = 383
	RefusedMemoryFull     = 387
	RefusedValue          = 400
	RefusedClock          = 460
	RefusedThermal        = 499
	RefusedCash           = 502
	RefusedFatalMemory    = 1000
	RefusedNoItems        = 1992
	RefusedVAT            = 2000
	RefusedNoTransaction  = 2005
	RefusedPrice          = 2006
	RefusedQuantity       = 2007
	RefusedTotal          = 2008
	RefusedTotalZero      = 2009
	RefusedReadOnly       = 2036
	RefusedInTransaction  = 2038
	RefusedBufferFull     = 2052
	RefusedPayments       = 2054
	RefusedLine           = 2055
	RefusedTextEmpty      = 2056
	RefusedTextLong       = 2057
	RefusedLineCount      = 2058
	RefusedState          = 2060
	RefusedUnfinished     = 2062 // part of another document is printed
	RefusedParameter      = 2063
	RefusedFooter         = 2066
	RefusedFormID         = 2501
	RefusedFormLine       = 2502
	RefusedFormHeader     = 2503
	RefusedFormParams     = 2504
	RefusedFormNotStarted = 2505
	RefusedFormStarted    = 2506
	RefusedDiscountKind   = 2600
	RefusedDiscountValue  = 2601
	RefusedFooterLine     = 2702
	RefusedFooterLines    = 2703
	RefusedSums           = 2801
)

type meaning struct {
	text string
	code drivers.Code
}

var frameMeanings = map[int]meaning{
	1:  {"unknown command", drivers.Unsupported},
	2:  {"mandatory field missing", drivers.BadData},
	3:  {"field cannot be converted", drivers.BadData},
	4:  {"bad token", drivers.BadData},
	5:  {"wrong check", drivers.Garbage},
	6:  {"parameter without mnemonic", drivers.BadData},
	10: {"wrong length", drivers.BadData},
	11: {"input buffer full", drivers.Busy},
	12: {"not allowed as immediate", drivers.Unsupported},
	13: {"token not found", drivers.Refused},
	14: {"queue full", drivers.Busy},
	15: {"no check in the frame", drivers.Garbage},
}

var meanings = map[int]meaning{
	30: {"cancelled or interrupted", drivers.Interrupted}, 40: {"not allowed on this interface", drivers.Unsupported},
	41:  {"busy with another interface", drivers.OtherInterface},
	50:  {"internal error of the device", drivers.Mechanism},
	323: {"blocked by configuration", drivers.Unsupported}, 382: {"zero report refused", drivers.Refused},
	383: {"daily report missing", drivers.ShiftExpired}, 384: {"no record", drivers.Refused},
	387: {"fiscal memory full", drivers.MemoryFull}, 400: {"wrong value", drivers.BadData},
	460: {"clock error in fiscal mode", drivers.ClockFault}, 484: {"licence time over, sales blocked", drivers.Refused},
	499: {"the Thermal protocol is active", drivers.BadSettings}, 502: {"cash overflow", drivers.BadData},
	1000: {"fatal fiscal memory error", drivers.MemoryFault}, 1992: {"no items on the receipt", drivers.WrongState},
	2000: {"VAT rate wrong or inactive", drivers.BadData}, 2002: {"no header programmed", drivers.BadSettings},
	2004: {"no active VAT rate", drivers.BadSettings}, 2005: {"not in a transaction", drivers.ReceiptClosed},
	2006: {"price zero or below", drivers.BadData}, 2007: {"quantity zero or below", drivers.BadData},
	2008: {"total does not match", drivers.BadData}, 2009: {"total is zero", drivers.WrongState},
	2010: {"daily totals would overflow", drivers.ShiftExpired}, 2024: {"bad date format", drivers.BadData},
	2026: {"clock error", drivers.ClockFault}, 2036: {"device is read-only", drivers.MemoryFault},
	2038: {"already in a transaction", drivers.ReceiptOpen}, 2041: {"a receipt of value 0 cannot be closed", drivers.WrongState},
	2052: {"transaction buffer full", drivers.WrongState}, 2054: {"payments do not cover the total or change", drivers.Unpaid},
	2055: {"bad line", drivers.BadData}, 2056: {"empty text", drivers.BadData}, 2057: {"text too long", drivers.BadData},
	2058: {"wrong number of lines", drivers.BadData}, 2060: {"wrong transaction state", drivers.WrongState},
	2062: {"part of another document is already printed", drivers.WrongState}, 2063: {"parameter error", drivers.BadData},
	2064: {"document not started", drivers.WrongState}, 2066: {"footer not started", drivers.WrongState},
	2505: {"form not started", drivers.WrongState}, 2506: {"form already started", drivers.ReceiptOpen},
	2508: {"wide form on 57 mm paper", drivers.BadData}, 2509: {"mask hides too much", drivers.BadData},
	2600: {"discount kind out of range", drivers.BadData}, 2601: {"discount value out of range", drivers.BadData},
	2702: {"unknown footer line", drivers.BadData}, 2703: {"too many footer lines", drivers.BadData},
	2851: {"void: quantity", drivers.BadData}, 2852: {"void: value", drivers.BadData},
	3201: {"code wider than the paper", drivers.BadData},
}

// ranges of refusals that share a meaning.
var ranges = []struct {
	from, to int
	meaning
}{
	{50, 56, meaning{"internal error of the device", drivers.Mechanism}},
	{1950, 1959, meaning{"payment or total out of range", drivers.BadData}},
	{2102, 2107, meaning{"item base: rate, name or item blocked", drivers.Refused}},
	{2501, 2509, meaning{"form: number, line, header or parameters", drivers.BadData}},
	{2801, 2809, meaning{"sums sent do not match the printer's", drivers.BadData}},
	{2900, 2904, meaning{"protected memory: no room or not ready", drivers.MemoryFull}},
	{3200, 3210, meaning{"2-D code", drivers.BadData}},
}

func lookup(n int) meaning {
	if m, ok := frameMeanings[n]; ok {
		return m
	}
	if m, ok := meanings[n]; ok {
		return m
	}
	for _, r := range ranges {
		if n >= r.from && n <= r.to {
			return r.meaning
		}
	}
	return meaning{"refused", drivers.Refused}
}

// Meaning says a number of the printer in plain words.
func Meaning(n int) string { return lookup(n).text }

// CodeOf gives the code a caller acts on for a number of the printer.
func CodeOf(n int) drivers.Code { return lookup(n).code }
