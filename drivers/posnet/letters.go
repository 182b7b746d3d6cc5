package posnet

import (
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
)

var _ drivers.Typesetter = (*Printer)(nil)

// Spell writes texts in the letters of the printer. A '&' would begin a mark of
// style.
func (d *Printer) Spell(parts ...string) []string {
	return lines.Fits(func(s string) string { return d.page.Fits(strings.ReplaceAll(s, "&", "+")) }).Spell(parts...)
}

// Wide is 0: formatted lines can be taller, not wider.
func (d *Printer) Wide() int { return 0 }

// Draws tells whether forms have the code.
func (d *Printer) Draws(b drivers.Block) bool {
	switch b := b.(type) {
	case drivers.Barcode:
		_, err := lines.Barcode(b)
		return err == nil && lines.Across(b, d.columns) && (b.Symbology == drivers.EAN13 || b.Symbology == drivers.Code128 || b.Symbology == drivers.GS1128)
	case drivers.QR:
		return b.Data != "" && len(d.bytes(b.Data)) <= 2000
	}
	return false
}
