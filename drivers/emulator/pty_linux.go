package emulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// PTY makes a pseudo-terminal and a link to it at path. Unplug closes it and
// takes the link away; Plug makes a new one at the same path.
func PTY(path string, m Machine) (*Cable, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &Cable{machine: m, address: path}
	c.make = func() (plug, error) { return newPTY(path) }
	return c, c.Plug()
}

type ptyPlug struct {
	master, slave *os.File
	path, device  string
	once          sync.Once
}

func newPTY(path string) (*ptyPlug, error) {
	// Only ever replace a link, and one that may be ours.
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSymlink == 0 {
		return nil, fmt.Errorf("%s is there and is no link", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	master, slave, err := pty.Open()
	if err != nil {
		return nil, err
	}
	if master, err = pollable(master); err != nil {
		slave.Close()
		return nil, err
	}
	p := &ptyPlug{master: master, slave: slave, path: path, device: slave.Name()}
	if err := p.setUp(); err != nil {
		master.Close()
		slave.Close()
		return nil, err
	}
	return p, nil
}

// pollable gives a file whose Close frees a blocked Read and whose writes obey
// deadlines; the one that comes from pty.Open is in blocking mode.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// setUp makes the line raw, so that nothing is echoed before the host has set
// its own mode, and puts the link in place in one step.
func (p *ptyPlug) setUp() error {
	raw, err := p.slave.SyscallConn()
	if err != nil {
		return err
	}
	var ioctl error
	err = raw.Control(func(fd uintptr) {
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
	if err := errors.Join(err, ioctl); err != nil {
		return err
	}
	os.Chmod(p.device, 0o666) // other users' programs are hosts too
	tmp := fmt.Sprintf("%s.%d", p.path, os.Getpid())
	os.Remove(tmp)
	if err := os.Symlink(p.device, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, p.path)
}

func (p *ptyPlug) serve(m Machine) {
	// The slave stays open here: without it the master's reads fail whenever no
	// host has the line open.
	talk(ptyLine{p.master}, m)
	p.pull()
}

func (p *ptyPlug) pull() {
	p.once.Do(func() {
		if to, err := os.Readlink(p.path); err == nil && to == p.device {
			os.Remove(p.path)
		}
		p.master.Close()
		p.slave.Close()
	})
}

// ptyLine gives up sending when nobody reads, and soon: a device does not wait
// for a host.
type ptyLine struct{ *os.File }

func (l ptyLine) SetWriteDeadline(time.Time) error {
	return l.File.SetWriteDeadline(time.Now().Add(time.Second))
}
