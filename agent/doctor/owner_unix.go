//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"syscall"
)

// foreign names a file of the folder that has another owner than the folder;
// a command run as root may have left one.
func foreign(dir string) string {
	owner := func(path string) (uint32, bool) {
		st, err := os.Lstat(path)
		if err != nil {
			return 0, false
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok {
			return 0, false
		}
		return sys.Uid, true
	}
	want, ok := owner(dir)
	list, err := os.ReadDir(dir)
	if !ok || err != nil {
		return ""
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		if have, ok := owner(path); ok && have != want {
			return path
		}
	}
	return ""
}
