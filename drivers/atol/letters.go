package atol

import (
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
)

var _ drivers.Typesetter = (*Dev)(nil)

// Spell writes texts in the letters of the register.
func (d *Dev) Spell(parts ...string) []string { return lines.Fits(fits).Spell(parts...) }

// Wide is 0: the fonts of the raw protocol are not public.
func (d *Dev) Wide() int { return 0 }

// Draws tells whether the raw protocol has the code.
func (d *Dev) Draws(b drivers.Block) bool {
	switch b := b.(type) {
	case drivers.Barcode:
		_, err := lines.Barcode(b)
		return err == nil && lines.Across(b, d.columns) && b.Symbology == drivers.EAN13
	case drivers.QR:
		return b.Data != "" && len(b.Data) <= 1000
	}
	return false
}
