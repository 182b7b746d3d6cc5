//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// becomeOwner makes root the owner of the data folder for the rest of the
// program. The service has a user of its own, and a file that root made in its
// folder, such as the database's log, it could not open any more.
func becomeOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(dir)
	if err != nil {
		return nil // a new folder is root's own
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	for _, act := range []func() error{
		func() error { return syscall.Setgroups([]int{int(owner.Gid)}) },
		func() error { return syscall.Setgid(int(owner.Gid)) },
		func() error { return syscall.Setuid(int(owner.Uid)) },
	} {
		if err := act(); err != nil {
			return fmt.Errorf("become the owner of %s: %w", dir, err)
		}
	}
	return nil
}
