// Package paper is the roll of an emulated printer: what came out of it, as
// text for tests and as a picture for the eye.
//
// Emulators of every protocol put lines, codes, pictures, feeds and cuts on a
// Roll; a cut ends a slip. A Roll is safe for concurrent use.
package paper

import (
	"image"
	"strings"
	"sync"
)

// Align is where something stands on the paper.
type Align int

// The alignments.
const (
	Left Align = iota
	Centre
	Right
)

// Span is a run of letters of one style.
type Span struct {
	Text                            string
	Bold, Underline, Inverse, Small bool
	UpsideDown                      bool
	Width, Height                   int // 1 to 8; 0 means 1
}

// Item is one thing on the paper: Line, Code, Picture, Feed or Cut.
type Item interface{ item() }

// Line is a printed line of text.
type Line struct {
	Spans []Span
	Align Align
}

// Code is a barcode or a two-dimensional code.
type Code struct {
	// Kind: ean13, ean8, upca, upce, code39, code93, code128, gs1-128, itf,
	// codabar, qr, pdf417, datamatrix, aztec, or another name that is drawn as
	// a frame.
	Kind   string
	Data   string
	Height int // dots, linear codes
	Module int // dots
	Level  string
	Above  bool // text above
	Below  bool // text below
	Align  Align
}

// Picture is a bitmap; black dots are printed.
type Picture struct {
	Image *image.Gray
	Align Align
}

// Feed is blank paper, in dots.
type Feed struct{ Dots int }

// Cut is a cut.
type Cut struct{ Partial bool }

func (Line) item()    {}
func (Code) item()    {}
func (Picture) item() {}
func (Feed) item()    {}
func (Cut) item()     {}

// String is the text of a line without its style.
func (l Line) String() string {
	var b strings.Builder
	for _, s := range l.Spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Slip is what lies between two cuts.
type Slip []Item

// Roll is the paper of one printer.
type Roll struct {
	// Columns of a line of normal letters and Dots of the printable width.
	Columns, Dots int

	mu      sync.Mutex
	slips   []Slip
	now     Slip
	changed chan struct{}
}

// NewRoll makes an empty roll; dots 0 means twelve for each column.
func NewRoll(columns, dots int) *Roll {
	if dots == 0 {
		dots = columns * 12
	}
	return &Roll{Columns: columns, Dots: dots, changed: make(chan struct{})}
}

// Add puts items on the paper. A Cut ends the slip; a cut of blank paper is
// kept out.
func (r *Roll) Add(items ...Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range items {
		r.now = append(r.now, it)
		if _, ok := it.(Cut); ok {
			if !r.now.blank() {
				r.slips = append(r.slips, r.now)
			}
			r.now = nil
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (s Slip) blank() bool {
	for _, it := range s {
		switch it := it.(type) {
		case Feed, Cut:
		case Line:
			if strings.TrimSpace(it.String()) != "" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// Changed is closed at the next change.
func (r *Roll) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Slips are the slips cut off so far.
func (r *Roll) Slips() []Slip {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Slip(nil), r.slips...)
}

// Rest is what is printed and not yet cut.
func (r *Roll) Rest() Slip {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(Slip(nil), r.now...)
}

// All is everything, cuts included.
func (r *Roll) All() Slip {
	var all Slip
	for _, s := range r.Slips() {
		all = append(all, s...)
	}
	return append(all, r.Rest()...)
}

// Last is the last slip that was cut, or the rest if there is none.
func (r *Roll) Last() Slip {
	if s := r.Slips(); len(s) > 0 {
		return s[len(s)-1]
	}
	return r.Rest()
}

// Clear tears everything off and throws it away.
func (r *Roll) Clear() {
	r.mu.Lock()
	r.slips, r.now = nil, nil
	r.mu.Unlock()
	r.Add()
}

// Text is the slip as text: alignment by blanks, codes in brackets, a cut as a
// dashed line. Letters of double width take two columns.
func (s Slip) Text(columns int) string {
	var b strings.Builder
	for _, it := range s {
		switch it := it.(type) {
		case Line:
			b.WriteString(strings.TrimRight(it.layout(columns), " ") + "\n")
		case Code:
			b.WriteString(pad("["+it.Kind+" "+it.Data+"]", columns, it.Align) + "\n")
		case Picture:
			b.WriteString(pad("[picture]", columns, it.Align) + "\n")
		case Feed:
			for n := it.Dots / 24; n > 0; n-- {
				b.WriteString("\n")
			}
		case Cut:
			mark := "8<" + strings.Repeat(" -", max(0, columns-2)/2)
			b.WriteString(mark + "\n")
		}
	}
	return b.String()
}

// Lines are the lines of text alone, blanks at the right trimmed.
func (s Slip) Lines() []string {
	var out []string
	for _, it := range s {
		if l, ok := it.(Line); ok {
			out = append(out, strings.TrimRight(l.String(), " "))
		}
	}
	return out
}

// Codes are the barcodes and two-dimensional codes.
func (s Slip) Codes() []Code {
	var out []Code
	for _, it := range s {
		if c, ok := it.(Code); ok {
			out = append(out, c)
		}
	}
	return out
}

func (l Line) layout(columns int) string {
	width := 0
	for _, s := range l.Spans {
		width += max(s.Width, 1) * len([]rune(s.Text))
	}
	return indent(l.String(), columns-width, l.Align)
}

func pad(s string, columns int, a Align) string { return indent(s, columns-len([]rune(s)), a) }

// indent puts the blanks before a text that leaves n columns free.
func indent(s string, n int, a Align) string {
	switch {
	case n <= 0 || a == Left:
		return s
	case a == Centre:
		return strings.Repeat(" ", n/2) + s
	}
	return strings.Repeat(" ", n) + s
}
