//go:build !linux

package emulator

import "errors"

// PTY needs Linux; use TCP elsewhere.
func PTY(path string, m Machine) (*Cable, error) {
	return nil, errors.New("pseudo-terminals need Linux; use TCP here")
}
