//go:build !windows

package installer

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// PrepareData makes the data folder for the service's user alone. Run by root
// it gives the folder and what is in it to that user, where there is one: data
// that an earlier installation left may have belonged to another number.
func PrepareData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	u, err := user.Lookup(Name)
	if err != nil || dir != DefaultData() {
		return nil // no such user: the service manager makes one and gives it the folder
	}
	uid, e1 := strconv.Atoi(u.Uid)
	gid, e2 := strconv.Atoi(u.Gid)
	if e1 != nil || e2 != nil {
		return fmt.Errorf("data folder: user %s has no number", Name)
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}
