//go:build unix

package main

import (
	"os"
	"syscall"
)

// ownedAs gives files to the owner of a folder, where we are root: the service
// runs as that user.
func ownedAs(dir string, paths ...string) error {
	st, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		for _, p := range paths {
			if err := os.Chown(p, int(sys.Uid), int(sys.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}
