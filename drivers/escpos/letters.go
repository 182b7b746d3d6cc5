package escpos

import (
	"strings"

	"github.com/tillside/tillside/drivers"
)

var _ drivers.Typesetter = (*Printer)(nil)

// Spell writes texts of one line in the letters of the first page that lacks
// the fewest of them: the page the encoder will choose for that line.
func (d *Printer) Spell(parts ...string) []string {
	all := strings.Join(parts, "")
	best, lacks := 0, -1
	for i, pn := range d.profile.Pages {
		if n := len(pn.Page.Lacks(all)); lacks < 0 || n < lacks {
			best, lacks = i, n
		}
	}
	out := make([]string, len(parts))
	for i, s := range parts {
		out[i] = d.profile.Pages[best].Page.Fits(s)
	}
	return out
}

// Wide is half of the columns.
func (d *Printer) Wide() int { return d.profile.Columns / 2 }

// Draws tells whether the code has good data and fits on the paper.
func (d *Printer) Draws(b drivers.Block) bool {
	e := &encoder{Profile: d.profile}
	switch b.(type) {
	case drivers.Barcode, drivers.QR:
		return e.block(b) == nil
	}
	return false
}
