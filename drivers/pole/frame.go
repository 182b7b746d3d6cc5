package pole

import (
	"bytes"
	"fmt"

	"github.com/tillside/tillside/drivers/codepage"
)

// Dialect is a display's command set.
type Dialect string

// The dialects.
const (
	Epson  Dialect = "epson"  // DM-D and everything that imitates it
	CD5220 Dialect = "cd5220" // Partner, ICD, DSP-800 class
	Logic  Dialect = "logic"  // Logic Controls, Bematech
	AEDEX  Dialect = "aedex"  // Emax
)

// Encoder turns lines into bytes. It is a value without state.
type Encoder struct {
	Dialect Dialect
	Columns int
	Page    *codepage.Page
	// Number for ESC t; below zero sends none.
	Number int
	// Through is set when the display sits between us and a printer.
	Through bool
}

// Init is sent after each opening of the line: a display that lost power is in
// its own code page and shows its cursor.
func (e Encoder) Init() []byte {
	var b bytes.Buffer
	switch e.Dialect {
	case Epson:
		b.Write([]byte{0x1B, '@'})
		e.page(&b)
		b.Write([]byte{0x1F, 0x01, 0x1F, 0x43, 0x00, 0x0C}) // overwrite mode, no cursor, clear
	case CD5220:
		b.Write([]byte{0x1B, '@'})
		e.page(&b)
		b.Write([]byte{0x1B, 0x11, 0x1B, 0x5F, 0x00, 0x0C})
	case Logic:
		b.Write([]byte{0x1F, 0x11, 0x14}) // reset to normal mode, no cursor
	case AEDEX:
		// It has no set-up.
	}
	return e.wrap(b.Bytes())
}

func (e Encoder) page(b *bytes.Buffer) {
	if e.Number >= 0 {
		b.Write([]byte{0x1B, 't', byte(e.Number)})
	}
}

// Show writes both lines whole, so that nothing of the old text stays and no
// line wraps into a scroll.
func (e Encoder) Show(top, bottom string) []byte {
	lines := [2][]byte{e.Page.Line(top, e.Columns), e.Page.Line(bottom, e.Columns)}
	var b bytes.Buffer
	for i, l := range lines {
		row := byte(i + 1)
		switch e.Dialect {
		case Epson:
			b.Write([]byte{0x1F, 0x24, 1, row})
			b.Write(l)
		case CD5220:
			// ESC Q A and ESC Q B set a whole line. Cursor commands do nothing
			// after them until the display is cleared, so none is ever mixed in.
			b.Write([]byte{0x1B, 'Q', 'A' + byte(i)})
			b.Write(l)
			b.WriteByte(0x0D)
		case Logic:
			b.Write([]byte{0x10, byte(i * e.Columns)})
			b.Write(l)
		case AEDEX:
			fmt.Fprintf(&b, "!#%d", row)
			b.Write(l)
			b.WriteByte(0x0D)
		}
	}
	return e.wrap(b.Bytes())
}

// rollMost is the most characters that a CD5220 display moves by itself.
const rollMost = 40

// Roll is Show for a CD5220 display that moves a long upper line by itself.
func (e Encoder) Roll(top, bottom string) []byte {
	t := e.Page.Encode(top)
	var b bytes.Buffer
	b.WriteByte(0x18) // ends what moved before
	b.Write([]byte{0x1B, 'Q', 'B'})
	b.Write(e.Page.Line(bottom, e.Columns))
	b.Write([]byte{0x0D, 0x1B, 'Q', 'D'})
	b.Write(t[:min(len(t), rollMost)])
	b.WriteByte(0x0D)
	return e.wrap(b.Bytes())
}

// wrap selects the display, and always the printer again behind it: else the
// next receipt would go to the display.
func (e Encoder) wrap(b []byte) []byte {
	if !e.Through {
		return b
	}
	out := append([]byte{0x1B, '=', 2}, b...)
	return append(out, 0x1B, '=', 1)
}
