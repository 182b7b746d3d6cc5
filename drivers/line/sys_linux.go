package line

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const nonblock = unix.O_NONBLOCK | unix.O_NOCTTY

func exists(name string) (there, known bool) {
	_, err := os.Stat(name)
	return err == nil, true
}

// lock takes an advisory lock on the device file itself, which holds also
// against another program of root's and needs no folder of its own.
func lock(name string) (func(), error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, classify(err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: locked", ErrBusy)
		}
		// A file system without locks is no reason to leave the device alone.
		return func() {}, nil
	}
	return func() { unix.Close(fd) }, nil
}

// links are the udev names of a port.
func links(name string) []string {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil
	}
	var out []string
	for _, dir := range []string{"/dev/serial/by-id", "/dev/serial/by-path"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			l := filepath.Join(dir, e.Name())
			if to, err := filepath.EvalSymlinks(l); err == nil && to == real {
				out = append(out, l)
			}
		}
	}
	return out
}
