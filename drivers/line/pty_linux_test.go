package line_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/tillside/tillside/drivers/line"
)

// ptyAt makes a pseudo-terminal whose device is reached by a stable name.
func ptyAt(t *testing.T, name string) (master *os.File) {
	t.Helper()
	m, s, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	os.Remove(name)
	if err := os.Symlink(s.Name(), name); err != nil {
		t.Fatal(err)
	}
	s.Close()
	t.Cleanup(func() { m.Close() })
	return m
}

func TestSerialOnAPseudoTerminal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "port")
	m := ptyAt(t, name)
	set := line.Settings{Baud: 115200, Parity: "even", DataBits: 7, StopBits: 2, DTR: "off", RTS: "on"}
	p, err := line.OpenPort(t.Context(), nil, name, set)
	if err != nil {
		t.Fatal("DTR and RTS must be forgotten where there are none:", err)
	}
	defer p.Close()
	if _, err := line.OpenPort(t.Context(), nil, name, set); !errors.Is(err, line.ErrBusy) {
		t.Errorf("second open, also as root: got %v", err)
	}
	go m.Write([]byte("hello\x1a\x03\x00"))
	var got []byte
	b := make([]byte, 16)
	for len(got) < 8 {
		n, err := p.Read(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != "hello\x1a\x03\x00" {
		t.Errorf("got %q", got)
	}
	m.Close()
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the pulled plug was not seen")
	}
	if !errors.Is(p.Err(), line.ErrUnplugged) {
		t.Errorf("got %v", p.Err())
	}
	p.Close()
	os.Remove(name)
	if _, err := line.OpenPort(t.Context(), nil, name, set); !errors.Is(err, line.ErrAbsent) {
		t.Errorf("open while unplugged: got %v", err)
	}
	ptyAt(t, name)
	p2, err := line.OpenPort(t.Context(), nil, name, set)
	if err != nil {
		t.Fatal("replug:", err)
	}
	p2.Close()
}

// A device that does not read blocks a write for good; the port is given up,
// Close returns, and the device's end frees the goroutine at last.
func TestWedgedPseudoTerminal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "port")
	m := ptyAt(t, name)
	p, err := line.OpenPort(t.Context(), nil, name, line.Settings{StallMS: 300})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.Write(t.Context(), make([]byte, 1<<20))
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, line.ErrWedged) {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the write hangs")
	}
	closed := make(chan struct{})
	go func() { p.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("close hangs")
	}
	m.Close()
}
