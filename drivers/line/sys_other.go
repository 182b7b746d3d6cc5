//go:build !linux

package line

import (
	"fmt"
	"strings"
	"sync"
)

const nonblock = 0

// exists cannot be told for a COM name without opening it.
func exists(string) (there, known bool) { return false, false }

var (
	lockMu sync.Mutex
	locked = map[string]bool{}
)

// lock keeps this program from opening a port twice; Windows itself keeps
// others out, Wine does not.
func lock(name string) (func(), error) {
	key := strings.ToUpper(name)
	lockMu.Lock()
	defer lockMu.Unlock()
	if locked[key] {
		return nil, fmt.Errorf("%w: open in this program", ErrBusy)
	}
	locked[key] = true
	return func() {
		lockMu.Lock()
		defer lockMu.Unlock()
		delete(locked, key)
	}, nil
}

func links(string) []string { return nil }
