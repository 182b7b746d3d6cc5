package wedge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tillside/tillside/drivers/line"
)

// eviocgrab is EVIOCGRAB of linux/input.h.
const eviocgrab = 0x40044590

// grab opens an input event device and takes it for us alone.
func grab(_ context.Context, name string, _ line.Settings) (line.Raw, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open %s: %w: %w", name, line.ErrAccess, err)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w: %w", name, line.ErrAbsent, err)
	}
	conn, err := f.SyscallConn()
	if err == nil {
		var ioctl error
		err = conn.Control(func(fd uintptr) { ioctl = unix.IoctlSetInt(int(fd), eviocgrab, 1) })
		err = errors.Join(err, ioctl)
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("grab %s: %w", name, line.ErrBusy)
		}
		return nil, fmt.Errorf("grab %s: no input event device: %w: %w", name, line.ErrSettings, err)
	}
	return readOnly{f}, nil
}

// readOnly is a line that nothing is written to.
type readOnly struct{ *os.File }

func (readOnly) Write([]byte) (int, error) { return 0, errors.New("a keyboard takes no data") }
