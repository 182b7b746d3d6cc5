//go:build !linux

package relay

import (
	"fmt"

	"github.com/tillside/tillside/drivers/line"
)

func newPty(path string) (tillEnd, error) {
	return nil, fmt.Errorf("%w: %q: pseudo-terminals are there on Linux only; on Windows name one end of a pair of virtual serial ports",
		line.ErrSettings, "pty:"+path)
}
