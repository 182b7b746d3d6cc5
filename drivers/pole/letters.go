package pole

import (
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
)

var (
	_ drivers.Typesetter = (*Display)(nil)
	_ drivers.Scroller   = (*Display)(nil)
)

// Scrolls tells whether long lines move.
func (d *Display) Scrolls() bool { return d.scroll }

// Spell writes texts in the letters of the display.
func (d *Display) Spell(parts ...string) []string { return lines.Fits(d.enc.Page.Fits).Spell(parts...) }

// Wide is 0: a display has one size.
func (d *Display) Wide() int { return 0 }

// Draws is never so.
func (d *Display) Draws(drivers.Block) bool { return false }
