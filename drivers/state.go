package drivers

import (
	"slices"
	"time"
)

// Code names a state of a device, or the reason why something failed, by what
// the person in front of it should do. Codes are a promise: they appear in the
// status answer, in events and in metrics.
//
// A Code is an error, so that a caller may write errors.Is(err, drivers.PaperOut).
type Code string

// States of the line.
const (
	// Unknown: not asked yet, or the device cannot be asked.
	Unknown Code = "unknown"
	// Ready: the line is open and the device, as far as it tells, works.
	Ready Code = "ready"
	// Opening: the line is open, the device is being set up.
	Opening Code = "opening"
	// Absent: there is no such port now: unplugged, switched off, refused.
	Absent Code = "absent"
	// PortBusy: another program holds the port.
	PortBusy Code = "port_busy"
	// NoAccess: this user may not open the port.
	NoAccess Code = "no_access"
	// Wedged: the device takes no bytes; the line was abandoned.
	Wedged Code = "wedged"
	// Silent: the line is open and the device does not answer.
	Silent Code = "silent"
	// Garbage: something answers, but not in this protocol: wrong speed,
	// wrong model, or noise.
	Garbage Code = "garbage"
	// Closed: we closed it.
	Closed Code = "closed"
)

// States of the device.
const (
	Offline        Code = "offline"         // says it is off-line and not why
	Busy           Code = "busy"            // working; ask again
	OtherInterface Code = "other_interface" // held by its other port or its own menu
	PaperNear      Code = "paper_near"      // paper nearly out
	PaperOut       Code = "paper_out"       // no paper
	CoverOpen      Code = "cover_open"      // cover or lever open
	CutterFault    Code = "cutter"          // cutter jammed
	Mechanism      Code = "mechanism"       // printing mechanism fault
	Overheated     Code = "overheated"      // head hot; it recovers by itself
	PowerFault     Code = "power"           // supply or battery
	WaitingUser    Code = "waiting_user"    // waits for a key or a confirmation at the device
	DrawerOpen     Code = "drawer_open"     // told, not a fault
	ClockFault     Code = "clock"           // clock not set or far off
	ShiftExpired   Code = "shift_expired"   // over 24 h: close the shift
	ShiftClosed    Code = "shift_closed"    // open a shift first
	ReceiptOpen    Code = "receipt_open"    // a document is open
	ReceiptClosed  Code = "receipt_closed"  // no document is open
	MemoryNear     Code = "memory_near"     // fiscal memory or journal nearly full
	MemoryFull     Code = "memory_full"     // fiscal memory or journal full
	MemoryFault    Code = "memory_fault"    // fiscal memory or storage broken or missing
	NotFiscal      Code = "not_fiscal"      // not fiscalised (training mode)
	Unpaid         Code = "unpaid"          // payments do not cover the total
	Interrupted    Code = "interrupted"     // a document stopped in the middle and waits to be continued
)

// Reasons of a refused call.
const (
	Refused       Code = "refused"        // the device said no, reason in Detail
	BadData       Code = "bad_data"       // what we were asked to send cannot be sent
	BadPassword   Code = "bad_password"   // password or access code
	Unsupported   Code = "unsupported"    // this model cannot
	WrongState    Code = "wrong_state"    // not now; a document or shift is in the way
	BadSettings   Code = "bad_settings"   // settings are wrong
	InternalFault Code = "internal_fault" // our own mistake
	// Uncertain: the line failed in the middle of a command and the device
	// cannot tell whether it was carried out. Never repeat it blindly: ask
	// Documents.LastDocument, or let a person look at the paper.
	Uncertain Code = "uncertain"
)

// Error makes a Code usable with errors.Is.
func (c Code) Error() string { return string(c) }

// Severity of a code.
type Severity int

// The severities, in rising order.
const (
	Fine    Severity = iota // works
	Warning                 // works, somebody should look soon
	Fault                   // does not work until somebody does something
)

var warnings = []Code{Unknown, Opening, Busy, OtherInterface, PaperNear, ClockFault, MemoryNear,
	NotFiscal, ShiftClosed}

// Severity tells how bad a code is.
func (c Code) Severity() Severity {
	switch {
	case c == "" || c == Ready || c == DrawerOpen || c == ReceiptOpen || c == ReceiptClosed:
		return Fine
	case slices.Contains(warnings, c):
		return Warning
	}
	return Fault
}

// Passing tells whether the same call may succeed later without anybody
// changing the call or the settings.
func (c Code) Passing() bool {
	switch c {
	case Refused, BadData, BadPassword, Unsupported, BadSettings, InternalFault, Closed, Uncertain,
		MemoryFull, MemoryFault:
		return false
	}
	return true
}

// State is how a device is.
type State struct {
	Code   Code      `json:"code"`
	Since  time.Time `json:"since"`
	Detail string    `json:"detail,omitempty"`
	// More holds further codes that hold at the same time, worst first.
	More []Code `json:"more,omitempty"`
}

// Usable tells whether work may be given to the device.
func (s State) Usable() bool { return s.Code.Severity() < Fault }

// Has tells whether a code holds now.
func (s State) Has(c Code) bool { return s.Code == c || slices.Contains(s.More, c) }

// Status is the answer of a device that was asked.
type Status struct {
	At time.Time `json:"at"`
	// Known is false when the device was not or cannot be asked.
	Known bool `json:"known"`
	// Codes are all that hold, worst first; empty means all is well.
	Codes  []Code `json:"codes"`
	Detail string `json:"detail,omitempty"`
	// Fiscal is set by fiscal printers.
	Fiscal *FiscalStatus `json:"fiscal,omitempty"`
}

// Has tells whether a code holds.
func (s Status) Has(c Code) bool { return slices.Contains(s.Codes, c) }

// Worst is the code that matters most; Ready when nothing is wrong.
func (s Status) Worst() Code {
	if len(s.Codes) == 0 {
		if !s.Known {
			return Unknown
		}
		return Ready
	}
	return s.Codes[0]
}

// Add puts codes in, keeping the worst first and each once.
func (s *Status) Add(codes ...Code) {
	for _, c := range codes {
		if c != "" && c != Ready && !slices.Contains(s.Codes, c) {
			s.Codes = append(s.Codes, c)
		}
	}
	slices.SortStableFunc(s.Codes, func(a, b Code) int { return int(b.Severity()) - int(a.Severity()) })
}

// hints say what the person in front of the device can do, in plain English.
// Programs translate by code.
var hints = map[Code]string{
	Absent:         "check the cable and that the device is switched on",
	PortBusy:       "another program has this port open; close it or give the device another port",
	NoAccess:       "the service's user may not open this port; on Linux add it to the group dialout (input for keyboards, lp for USB printers)",
	Wedged:         "the device takes no data; switch it off and on",
	Silent:         "the device does not answer; check speed, cable and model",
	Garbage:        "the answers make no sense; check speed, parity and model",
	PaperOut:       "put in a new roll",
	PaperNear:      "have a new roll ready",
	CoverOpen:      "close the cover",
	CutterFault:    "clear the cutter and switch the printer off and on",
	Mechanism:      "switch the printer off and on; if it stays, call service",
	Overheated:     "wait a minute: the head is hot",
	WaitingUser:    "press the key the device asks for",
	ShiftExpired:   "close the shift (Z report)",
	ShiftClosed:    "open a shift",
	MemoryFull:     "the fiscal memory or storage is full; call service",
	MemoryFault:    "the fiscal memory or storage is broken; call service",
	BadPassword:    "check the operator password in the settings",
	OtherInterface: "the device is busy with its other port; wait",
	BadSettings:    "correct the settings",
	Uncertain:      "look at the paper: the last command may or may not have been carried out",
}

// Hint says what a person can do, or "".
func (c Code) Hint() string { return hints[c] }
