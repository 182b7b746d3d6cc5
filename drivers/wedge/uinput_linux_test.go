package wedge

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
)

var uinput = flag.Bool("uinput", false, "make a keyboard by /dev/uinput and read it; make keyboard runs it in a machine of its own")

// Of linux/uinput.h.
const (
	uiSetEvBit   = 0x40045564
	uiSetKeyBit  = 0x40045565
	uiDevCreate  = 0x5501
	uiDevDestroy = 0x5502
)

// keyboard is a keyboard scanner as the kernel sees one.
type keyboard struct{ f *os.File }

const keyboardName = "Tillside Test Scanner"

func plugIn(t *testing.T) (*keyboard, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/uinput", os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(f.Fd())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.IoctlSetInt(fd, uiSetEvBit, evKey))
	for code := 1; code < 120; code++ {
		must(unix.IoctlSetInt(fd, uiSetKeyBit, code))
	}
	dev := make([]byte, 80+8+4+4*64*4) // struct uinput_user_dev
	copy(dev, keyboardName)
	binary.NativeEndian.PutUint16(dev[80:], 3) // BUS_USB
	binary.NativeEndian.PutUint16(dev[82:], 0x05e0)
	binary.NativeEndian.PutUint16(dev[84:], 0x1200)
	_, err = f.Write(dev)
	must(err)
	must(unix.IoctlSetInt(fd, uiDevCreate, 0))
	var node string
	drivertest.Wait(t, "the input device", func() bool {
		names, _ := filepath.Glob("/sys/class/input/event*/device/name")
		for _, n := range names {
			if b, err := os.ReadFile(n); err == nil && strings.TrimSpace(string(b)) == keyboardName {
				node = "/dev/input/" + filepath.Base(filepath.Dir(filepath.Dir(n)))
				_, err := os.Stat(node)
				return err == nil
			}
		}
		return false
	})
	return &keyboard{f}, node
}

func (k *keyboard) pullOut(t *testing.T) {
	t.Helper()
	if err := unix.IoctlSetInt(int(k.f.Fd()), uiDevDestroy, 0); err != nil {
		t.Error(err)
	}
	k.f.Close()
}

func (k *keyboard) scan(t *testing.T, digits string) {
	t.Helper()
	var events []event
	for _, r := range digits {
		c := uint16(11)
		if r != '0' {
			c = uint16(r-'1') + 2
		}
		events = append(events, tap(c)...)
	}
	if _, err := k.f.Write(records(append(events, tap(keyEnter)...))); err != nil {
		t.Fatal(err)
	}
}

// TestRealKeyboard reads a scanner that the kernel takes for a USB keyboard:
// through the input event device, grabbed, unplugged and plugged in again.
func TestRealKeyboard(t *testing.T) {
	if !*uinput {
		t.Skip("wants a kernel with uinput: make keyboard")
	}
	k, node := plugIn(t)
	window, err := os.OpenFile(node, os.O_RDONLY|unix.O_NONBLOCK, 0) // what the cash software's window would get
	if err != nil {
		t.Fatal(err)
	}
	defer window.Close()
	reg := drivers.NewRegistry()
	reg.Add(Driver)
	dev, err := reg.Build(drivers.Config{Name: "k", Driver: "wedge", Port: node, Options: drivers.Options{"repeat": "0s"}}, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	r := dev.(*Reader)
	if err := r.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, "ready", func() bool { return r.State().Usable() && r.State().Code == drivers.Ready })
	for range 3 {
		k.scan(t, "2000000125008")
		if s := <-r.Scans(); s.Text != "2000000125008" {
			t.Errorf("read %q", s.Text)
		}
	}
	if err := window.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := window.Read(make([]byte, 4096)); n > 0 {
		t.Errorf("the window got %d bytes of a grabbed keyboard, %v", n, err)
	}
	k.pullOut(t)
	drivertest.Wait(t, "absent", func() bool { return r.State().Code == drivers.Absent })
	k, again := plugIn(t)
	defer k.pullOut(t)
	if again != node {
		t.Skipf("the second keyboard is %s, the first was %s", again, node)
	}
	drivertest.Wait(t, "ready again", func() bool { return r.State().Code == drivers.Ready })
	k.scan(t, "4607001234567")
	if s := <-r.Scans(); s.Text != "4607001234567" {
		t.Errorf("read %q", s.Text)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
