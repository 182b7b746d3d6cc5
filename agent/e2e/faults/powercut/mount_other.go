//go:build !linux

package powercut

import "errors"

// ErrNoFUSE is wrapped by Mount where file systems cannot be mounted.
var ErrNoFUSE = errors.New("no FUSE here")

// Mount is for Linux only.
func (d *Disk) Mount(string) (unmount func() error, err error) { return nil, ErrNoFUSE }
