//go:build !linux

package wedge

import (
	"context"
	"fmt"

	"github.com/tillside/tillside/drivers/line"
)

// grab cannot be done here.
func grab(_ context.Context, name string, _ line.Settings) (line.Raw, error) {
	return nil, fmt.Errorf("open %s: keyboard scanners can be grabbed on Linux only; use the scanner's serial mode: %w", name, line.ErrSettings)
}
