package novitus

import (
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
)

var _ drivers.Typesetter = (*Printer)(nil)

// Spell writes texts in the letters of the printer.
func (d *Printer) Spell(parts ...string) []string { return lines.Fits(d.page.Fits).Spell(parts...) }

// Wide is 0: free lines have one size.
func (d *Printer) Wide() int { return 0 }

// Draws is never so: free lines are text.
func (d *Printer) Draws(drivers.Block) bool { return false }
