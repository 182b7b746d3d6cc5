package escpos

import (
	"fmt"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
)

var ascii = codepage.Must("ascii")

// Between makes the bytes that print blocks in the middle of somebody else's
// stream, where the printer's style is as told, and leave the style as it was.
// The printer is not initialised: that would undo what the stream has set.
// start is the number of the code page the printer has when nobody chose one.
// Where the style is not known, plain letters that every code page has are all
// that is sent, and codes are left out.
func (p Profile) Between(s Style, start byte, blocks []drivers.Block) ([]byte, error) {
	e := &encoder{Profile: p}
	put := func(b ...byte) { e.out.Write(b) }
	if s.Line {
		put(lf)
	}
	if !s.Known {
		for _, b := range blocks {
			switch b := b.(type) {
			case drivers.Text:
				put(ascii.Encode(b.Text)...)
				put(lf)
			case drivers.Feed:
				put(esc, 'd', byte(min(max(b.Lines, 0), 255)))
			}
		}
		return e.out.Bytes(), nil
	}
	plain := []struct{ was, cmd, sel byte }{{s.Turned, esc, 'V'}, {s.Upside, esc, '{'}, {s.White, gs, 'B'}, {s.Twice, esc, 'G'},
		{s.Bold, esc, 'E'}, {s.Under, esc, '-'}, {s.Font, esc, 'M'}, {s.Size, gs, '!'}, {s.Align, esc, 'a'}}
	if s.Mode != 0 {
		put(esc, '!', 0)
	}
	for _, f := range plain {
		if f.was != 0 {
			put(f.cmd, f.sel, 0)
		}
	}
	if p.KanjiOff {
		put(cmdKanjiOff...)
	}
	had := start
	if s.Paged {
		had = s.Page
	}
	put(esc, 't', p.Pages[0].Number)
	coded := false
	for i, b := range blocks {
		if err := e.block(b); err != nil {
			return nil, &drivers.Error{Op: fmt.Sprintf("lay out block %d", i+1), Code: drivers.BadData, Err: err}
		}
		if _, ok := b.(drivers.Barcode); ok {
			coded = true
		}
	}
	e.setAlign(drivers.Left)
	if had != p.Pages[e.page].Number {
		put(esc, 't', had)
	}
	if coded { // as the stream had it, or as the printer begins
		put(gs, 'H', s.Hri)
		if s.Tall != 0 {
			put(gs, 'h', s.Tall)
		} else {
			put(gs, 'h', 162)
		}
		if s.Module != 0 {
			put(gs, 'w', s.Module)
		} else {
			put(gs, 'w', 3)
		}
	}
	if s.Mode != 0 {
		put(esc, '!', s.Mode)
	}
	for i := len(plain) - 1; i >= 0; i-- {
		if f := plain[i]; f.was != 0 {
			put(f.cmd, f.sel, f.was)
		}
	}
	return e.out.Bytes(), nil
}
