package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tillside/tillside/drivers/line"
)

// ptyTill is a pseudo-terminal with a link at a stable path: to the cash
// program a serial port. It stays open as long as the relay runs, whether a
// program has it open or not, as the socket of a cable does.
type ptyTill struct {
	path string

	mu            sync.Mutex
	master, slave *os.File
	used          bool
	done          chan struct{}
	once          sync.Once
}

func newPty(path string) (tillEnd, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: %q: want pty:/absolute/path", line.ErrSettings, "pty:"+path)
	}
	return &ptyTill{path: path, done: make(chan struct{})}, nil
}

func (t *ptyTill) open() error {
	// Only a link is ever replaced: a device or a file of this name is not ours.
	if st, err := os.Lstat(t.path); err == nil && st.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("%s is there and is no link", t.path)
	}
	if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	fail := func(err error) error {
		unix.Close(fd)
		return fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return fail(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return fail(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fail(err)
	}
	if err := rawMode(slave); err != nil {
		slave.Close()
		return fail(err)
	}
	// Like a serial port: the group of serial ports may use it.
	if g, err := user.LookupGroup("dialout"); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			_ = os.Chown(name, -1, gid)
		}
	}
	_ = os.Chmod(name, 0o660)
	tmp := fmt.Sprintf("%s.%d", t.path, os.Getpid())
	_ = os.Remove(tmp)
	if err := errors.Join(os.Symlink(name, tmp), os.Rename(tmp, t.path)); err != nil {
		slave.Close()
		return fail(err)
	}
	t.master, t.slave = os.NewFile(uintptr(fd), "/dev/ptmx"), slave
	return nil
}

// rawMode passes every byte as it is, before the cash program sets its own
// mode.
func rawMode(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var ioctl error
	err = c.Control(func(fd uintptr) {
		t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err != nil {
			ioctl = err
			return
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD | unix.CLOCAL
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		ioctl = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	return errors.Join(err, ioctl)
}

func (t *ptyTill) next(ctx context.Context) (tillConn, error) {
	t.mu.Lock()
	first := !t.used
	t.used = true
	t.mu.Unlock()
	if first {
		return ptyConn{t}, nil
	}
	select { // the one line there is was closed: the relay ends
	case <-t.done:
	case <-ctx.Done():
	}
	return nil, errEnded
}

type ptyConn struct{ t *ptyTill }

func (c ptyConn) Read(b []byte) (int, error) { return c.t.master.Read(b) }

func (c ptyConn) Write(b []byte) (int, error) {
	_ = c.t.master.SetWriteDeadline(time.Now().Add(patienceWithTill))
	n, err := c.t.master.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// Nobody reads, perhaps nobody has the port open: what waits is old.
		if raw, e := c.t.slave.SyscallConn(); e == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIFLUSH) })
		}
	}
	return n, err
}

func (c ptyConn) Close() error { c.t.close(); return nil }

func (t *ptyTill) address() string    { return t.path }
func (t *ptyTill) comesAndGoes() bool { return false }

func (t *ptyTill) close() {
	t.once.Do(func() {
		close(t.done)
		if t.master == nil {
			return
		}
		if to, err := os.Readlink(t.path); err == nil && to == t.slave.Name() {
			os.Remove(t.path)
		}
		t.master.Close()
		t.slave.Close()
	})
}
