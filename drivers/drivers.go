// Package drivers says what a device beside a till can do, and keeps the list
// of drivers that do it.
//
// A driver is a package of its own (barcode, escpos, pole, ...) that turns
// these interfaces into one maker's bytes. A device is one value made by a
// driver from a Config. It supervises itself:
//
//	cfg ──Registry.Build──> Device ──Open──> [absent] <──> [ready] <──> [paper_out] ...
//	                                            └── reconnects by itself, 0.5 s to 5 s
//
// An absent device is a State, never a failed start. State changes are told
// through Env.OnState within two seconds of the plug being pulled, also while
// nobody is using the device.
//
// What a device can do beyond its kind is an interface of its own (Drawer,
// Identifier, Receipts, LoyaltyText, ...). Ask with As:
//
//	if d, ok := drivers.As[drivers.Drawer](dev); ok {
//		err = d.OpenDrawer(ctx)
//	}
//
// Rules that every driver keeps:
//
//   - New has no side effects and checks all settings; Open returns at once and
//     the work follows; Close waits for the driver's own goroutines, but never
//     for a line that is stuck.
//   - A call may come from any goroutine. Calls on one device run one after
//     another; a blocked device never blocks another one.
//   - Nothing is printed twice because of us. When a driver cannot know what
//     became of a slip it says OutcomeUnknown and leaves it there.
//   - Card data never goes into a log or an error text.
package drivers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

// Kind is the family a device belongs to.
type Kind string

// The kinds. A fiscal printer is a Printer too.
const (
	KindReader  Kind = "reader"
	KindPrinter Kind = "printer"
	KindFiscal  Kind = "fiscal"
	KindDisplay Kind = "display"
)

// Device is what all devices share.
type Device interface {
	// Open starts the device's own goroutine and returns at once. An absent
	// device is not an error: it shows in State. Open twice is an error.
	// The context ends the device like Close does.
	Open(ctx context.Context) error
	// Close stops the device and waits for its goroutines. A call in flight
	// returns an error with the code Closed. Close may be called twice.
	Close() error
	// State is how the device is now: the one thing that matters most.
	State() State
	// String names model and line for people, "Epson TM-T88V on COM3".
	fmt.Stringer
}

// Reader gives what was scanned, swiped or held before it.
type Reader interface {
	Device
	// Scans delivers each reading once. The channel is closed by Close. When
	// eight readings wait, further ones are dropped and logged; look at
	// Scan.At: a card of five minutes ago must not greet the next customer.
	Scans() <-chan Scan
}

// Printer prints slips.
type Printer interface {
	Device
	// Columns is the number of characters in a line of normal width.
	Columns() int
	// Print sends a slip and waits until the printer confirms it, or says it
	// is unknown what became of it. See Outcome. Print never repeats a slip
	// by itself. It is blocking; end it by the context.
	Print(ctx context.Context, slip Slip) (Outcome, error)
	// Status asks the printer now. Devices that cannot be asked answer with
	// Known false and what the line tells.
	Status(ctx context.Context) (Status, error)
}

// Display is a customer display with two lines.
type Display interface {
	Device
	// Show puts two lines on the display, cut and padded to its width. Long
	// lines scroll where the driver was told so. An empty pair clears it.
	// Show returns when the line took the bytes: displays confirm nothing.
	Show(ctx context.Context, top, bottom string) error
	// Size is the number of columns and rows.
	Size() (columns, rows int)
}

// Outcome says what became of a slip.
type Outcome string

const (
	// OutcomePrinted: the printer confirmed that it took everything.
	OutcomePrinted Outcome = "printed"
	// OutcomeSent: the line took every byte and this device or line cannot
	// confirm anything (a spooler, a one-way cable, a clone that never answers).
	OutcomeSent Outcome = "sent"
	// OutcomeNotPrinted: nothing of it is on paper; it may be sent again.
	OutcomeNotPrinted Outcome = "not_printed"
	// OutcomeUnknown: some, all or nothing is on paper. A person looks. If it
	// is printed again it must be marked as a copy (Slip.CopyMark).
	OutcomeUnknown Outcome = "unknown"
	// OutcomeKept: only of LoyaltyText: the device takes these lines later, so
	// the driver keeps them until the receipt is closed. ClosedReceipt.Loyalty
	// and Document.Loyalty tell what became of them then.
	OutcomeKept Outcome = "kept"
)

// Env is what the surroundings give to a device. The zero value works.
type Env struct {
	// Log takes the device's story. Nil discards it.
	Log *slog.Logger
	// OnState is called at each change of State, in order, from the device's
	// goroutine. It must return quickly and not call back into the device.
	OnState func(State)
	// OnOutcome is called when a slip that was reported with OutcomeUnknown is
	// later known to have been printed (paper was loaded, the printer went on).
	// The same rules hold as for OnState. Nil is fine.
	OnOutcome func(slipID string, o Outcome)
	// OpenLine opens lines; nil means line.Open. Tests pass a linetest pipe.
	OpenLine line.OpenFunc
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Logger returns Log, or a logger that discards.
func (e Env) Logger() *slog.Logger {
	if e.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Log
}

// Time reads the clock of the surroundings.
func (e Env) Time() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

// Wrapper is implemented by devices that stand around another one.
type Wrapper interface{ Unwrap() Device }

// As tells whether a device, or one it wraps, has the ability T.
func As[T any](d Device) (T, bool) {
	for d != nil {
		if t, ok := d.(T); ok {
			return t, true
		}
		w, ok := d.(Wrapper)
		if !ok {
			break
		}
		d = w.Unwrap()
	}
	var none T
	return none, false
}
