// Package fiscal is what the emulators of fiscal printers have in common: the
// paper roll, the faults that strike on command, and the plug that can be
// pulled and put back on a pseudo-terminal, a TCP port or in memory.
//
// An emulator is a machine (the fiscal memory, the open document, the paper)
// behind a link (frames, acknowledgements, retries). The machine knows nothing
// of lines; the link asks Base.Strike once for each command that arrives and
// does what the fault says:
//
//	bytes ──link──> command ──Strike──> machine ──> answer ──(fault)──> bytes
//	                                      └──> Roll
//
// A pulled plug leaves machine and link as they are: real printers have a
// supply of their own. A power cut empties the link's memory, never the fiscal
// one.
package fiscal

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/tillside/tillside/drivers/emulator/paper"
)

// Fault is something that goes wrong.
type Fault string

// Faults of the line strike one command each.
const (
	Deaf         Fault = "deaf"          // the command is lost on the way
	BadFrame     Fault = "bad_frame"     // the command comes damaged
	Silence      Fault = "silence"       // carried out, no answer
	Garbage      Fault = "garbage"       // carried out, noise for an answer
	Half         Fault = "half"          // carried out, half an answer
	BadCheck     Fault = "bad_check"     // carried out, the answer's check is wrong
	UnplugBefore Fault = "unplug_before" // the plug goes before the command is carried out
	UnplugAfter  Fault = "unplug_after"  // the plug goes after it, before the answer
	PowerCut     Fault = "power_cut"     // carried out, then off and on again
)

// Faults of the device last until Heal.
const (
	PaperOut  Fault = "paper_out"
	PaperNear Fault = "paper_near"
	CoverOpen Fault = "cover_open"
	Busy      Fault = "busy"
	ShiftOld  Fault = "shift_old"   // the shift is over 24 hours old
	MemFull   Fault = "memory_full" // the fiscal storage is full
)

// Faults lists all of them.
var Faults = []Fault{Deaf, BadFrame, Silence, Garbage, Half, BadCheck, UnplugBefore, UnplugAfter, PowerCut,
	PaperOut, PaperNear, CoverOpen, Busy, ShiftOld, MemFull}

var lasting = []Fault{PaperOut, PaperNear, CoverOpen, Busy, ShiftOld, MemFull}

// ErrUnplugged ends the serving of a line because the plug was pulled.
var ErrUnplugged = errors.New("unplugged")

// Line is one thing on the roll.
type Line struct {
	Text string // without line end
	// Kind is "" for text, or "cut", "barcode", "qr", "image", "drawer".
	Kind   string
	Bold   bool
	Width  int // 2 for double width
	Height int
}

// Base is embedded by emulators. Mu guards the machine; the methods lock it
// themselves and must not be called with it held, except those whose comment
// says so.
type Base struct {
	Mu sync.Mutex
	// Columns of the paper, for the picture of it; 0 means 42.
	Columns int

	sheet   *paper.Roll
	always  Fault // strikes every command
	hang    bool
	roll    []Line
	waiting []strike
	holds   map[Fault]bool
	pulled  bool
	changed chan struct{} // closed and renewed when pulled changes
}

type strike struct {
	fault Fault
	after int
}

// Fail lets a fault strike at the command that comes after so many others. It
// reports false for a fault it does not know.
func (b *Base) Fail(f Fault, after int) bool {
	if !slices.Contains(Faults, f) {
		return false
	}
	b.Mu.Lock()
	defer b.Mu.Unlock()
	if after == 0 && slices.Contains(lasting, f) {
		b.hold(f)
		return true
	}
	b.waiting = append(b.waiting, strike{f, after})
	return true
}

func (b *Base) hold(f Fault) {
	if b.holds == nil {
		b.holds = map[Fault]bool{}
	}
	b.holds[f] = true
}

// Holds tells whether a lasting fault is there. Call it with Mu held.
func (b *Base) Holds(f Fault) bool { return b.holds[f] }

// Stands tells whether a lasting fault has struck and was not mended.
func (b *Base) Stands(f Fault) bool {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	return b.holds[f]
}

// Strike is called by the link for each command that arrived, with Mu held. It
// returns the line fault for this command, "" for none, and starts the lasting
// faults whose time has come.
func (b *Base) Strike() Fault {
	var now Fault
	rest := b.waiting[:0]
	for _, s := range b.waiting {
		switch {
		case s.after > 0:
			s.after--
			rest = append(rest, s)
		case slices.Contains(lasting, s.fault):
			b.hold(s.fault)
		case now == "":
			now = s.fault
		default:
			rest = append(rest, s)
		}
	}
	b.waiting = rest
	if now == "" {
		now = b.always
	}
	if now == UnplugBefore || now == UnplugAfter || now == PowerCut {
		b.setPulled(true)
	}
	return now
}

// Heal ends all faults: paper in, cover shut, plug in, and nothing more waits
// to strike.
func (b *Base) Heal() {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.holds, b.waiting, b.always, b.hang = nil, nil, "", false
	b.setPulled(false)
}

// Unplug pulls the plug. The returned function puts it back.
func (b *Base) Unplug() (replug func()) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.setPulled(true)
	return func() {
		b.Mu.Lock()
		defer b.Mu.Unlock()
		b.setPulled(false)
	}
}

func (b *Base) setPulled(v bool) {
	if b.pulled == v {
		return
	}
	b.pulled = v
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Pulled tells whether the plug is out, and gives a channel that is closed
// when that changes.
func (b *Base) Pulled() (bool, <-chan struct{}) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.pulled, b.changed
}

// Print puts a line on the roll. Call it with Mu held.
func (b *Base) Print(l Line) {
	b.roll = append(b.roll, l)
	b.paperRoll().Add(l.item())
}

// PrintText puts text on the roll, cut to lines of so many columns. Call it
// with Mu held.
func (b *Base) PrintText(s string, columns int) {
	r := []rune(s)
	for columns > 0 && len(r) > columns {
		b.Print(Line{Text: string(r[:columns])})
		r = r[columns:]
	}
	b.Print(Line{Text: string(r)})
}

// Feed puts empty lines on the roll. Call it with Mu held.
func (b *Base) Feed(n int) {
	for range n {
		b.Print(Line{})
	}
}

// Lines is a copy of the roll.
func (b *Base) Lines() []Line {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	return slices.Clone(b.roll)
}

// Roll is the text of the roll, a string a line.
func (b *Base) Roll() []string { return b.RollFrom(0) }

// RollFrom is Roll without its first n lines.
func (b *Base) RollFrom(n int) []string {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	var out []string
	for _, l := range b.roll[min(n, len(b.roll)):] {
		out = append(out, l.String())
	}
	return out
}

// Text is the whole roll for people.
func (b *Base) Text() string { return strings.Join(b.Roll(), "\n") + "\n" }

// Tear takes the paper off: the roll is empty again.
func (b *Base) Tear() {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.roll = nil
	b.paperRoll().Clear()
}

// String is the line as text.
func (l Line) String() string {
	switch l.Kind {
	case "":
		return l.Text
	case "cut":
		return "- - - - - - - - - - - - - - - -"
	}
	return "[" + l.Kind + " " + l.Text + "]"
}

// Mend ends what has struck: paper in, cover shut, plug in. Faults that still
// wait stay.
func (b *Base) Mend() {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.holds = nil
	b.setPulled(false)
}

// Release ends one lasting fault. Call it with Mu held.
func (b *Base) Release(f Fault) { delete(b.holds, f) }

// Mangle does to an answer what a fault of the line does to it. It returns
// nil when nothing is sent.
func Mangle(f Fault, frame []byte) []byte {
	switch f {
	case Silence, UnplugAfter, PowerCut:
		return nil
	case Garbage:
		return []byte("\x55\xAA\x33\x81\x7F\x99")
	case Half:
		return frame[:(len(frame)+1)/2]
	case BadCheck:
		bad := append([]byte(nil), frame...)
		bad[len(bad)-1] ^= 0x11
		return bad
	}
	return frame
}
