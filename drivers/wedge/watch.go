package wedge

import (
	"errors"
	"time"
)

// ErrNoKeyboard is returned by Watch on systems other than Windows.
var ErrNoKeyboard = errors.New("only Windows needs a helper: elsewhere the service reads the scanner itself (driver wedge, port /dev/input/by-id/…)")

// Options say how the helper finds a scanner.
type Options struct {
	By     string        // ByPrefix, ByTiming or ByDevice
	Prefix string        // key of ByPrefix
	Device string        // "VID:PID" of ByDevice, hexadecimal
	Gap    time.Duration // longest time between two keys of a scanner
	Min    int           // fewest characters of ByTiming
}
