package shtrih

import (
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
)

var _ drivers.Typesetter = (*Dev)(nil)

// Spell writes texts in the letters of the register.
func (d *Dev) Spell(parts ...string) []string { return lines.Fits(page.Fits).Spell(parts...) }

// Wide is what the command for bold lines holds.
func (d *Dev) Wide() int { return min(20, d.Columns()/2) }

// Draws tells whether the register has a command for the code.
func (d *Dev) Draws(b drivers.Block) bool {
	var err error
	switch b := b.(type) {
	case drivers.Barcode:
		if !lines.Across(b, d.Columns()) {
			return false
		}
		_, err = d.barcode(b)
	case drivers.QR:
		_, err = d.qr(b)
	default:
		return false
	}
	return err == nil
}
