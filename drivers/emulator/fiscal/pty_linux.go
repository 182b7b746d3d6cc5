package fiscal

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/tillside/tillside/drivers/line"
)

// heldMaster keeps the slave open beside the master: else the master's reads
// fail whenever no program has the port open.
type heldMaster struct {
	*os.File
	slave *os.File
}

func (h heldMaster) Close() error {
	h.slave.Close()
	return h.File.Close()
}

func openPty(link string) (line.Raw, func(), error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	if err := raw(slave); err != nil {
		master.Close()
		slave.Close()
		return nil, nil, err
	}
	os.Remove(link)
	tmp := filepath.Join(filepath.Dir(link), "."+filepath.Base(link)+".new")
	os.Remove(tmp)
	err = os.Symlink(slave.Name(), tmp)
	if err == nil {
		err = os.Rename(tmp, link)
	}
	if err != nil {
		master.Close()
		slave.Close()
		return nil, nil, fmt.Errorf("link %s: %w", link, err)
	}
	return heldMaster{master, slave}, func() { os.Remove(link) }, nil
}

// raw puts the terminal into 8-bit mode without echo.
func raw(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}
