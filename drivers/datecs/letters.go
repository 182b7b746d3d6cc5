package datecs

import (
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
)

var _ drivers.Typesetter = (*Printer)(nil)

// Spell writes texts in the letters of the device.
func (d *Printer) Spell(parts ...string) []string { return lines.Fits(d.page.Fits).Spell(parts...) }

// Wide is 0: slip text has one size.
func (d *Printer) Wide() int { return 0 }

// Draws tells whether the device has a kind for the code.
func (d *Printer) Draws(b drivers.Block) bool {
	switch b := b.(type) {
	case drivers.Barcode:
		_, err := lines.Barcode(b)
		return err == nil && lines.Across(b, d.columns) && (b.Symbology == drivers.EAN13 || b.Symbology == drivers.EAN8 || b.Symbology == drivers.Code128 || b.Symbology == drivers.GS1128)
	case drivers.QR:
		return b.Data != "" && d.form == PM
	}
	return false
}
