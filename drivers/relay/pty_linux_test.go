package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line"
)

// paper is a machine that keeps what it is sent and answers when told.
type paper struct {
	mu   sync.Mutex
	b    []byte
	send func([]byte)
}

func (p *paper) Attach(send func([]byte)) { p.mu.Lock(); p.send = send; p.mu.Unlock() }
func (p *paper) Detach()                  {}
func (p *paper) Receive(b []byte)         { p.mu.Lock(); p.b = append(p.b, b...); p.mu.Unlock() }
func (p *paper) got() []byte              { p.mu.Lock(); defer p.mu.Unlock(); return bytes.Clone(p.b) }
func (p *paper) answer(b []byte)          { p.mu.Lock(); defer p.mu.Unlock(); p.send(b) }

// ptyRig is a relay between two pseudo-terminals.
func ptyRig(t *testing.T, m emulator.Machine) (r *Relay, c *emulator.Cable, path string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	c, err := emulator.PTY(filepath.Join(dir, "printer"), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	path = filepath.Join(dir, "till")
	r, err = New(Config{Till: "pty:" + path, Printer: c.Address()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- r.Run(ctx, func(string) { close(ready) }) }()
	<-ready
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return r, c, path, stop
}

func open(t *testing.T, path string) *line.Port {
	t.Helper()
	p, err := line.OpenPort(context.Background(), nil, path, line.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestSerialPrinterUnplugged: the till's port stays, what no printer is there
// for is counted, and all goes on when the plug is back.
func TestSerialPrinterUnplugged(t *testing.T) {
	m := &paper{}
	r, c, path, _ := ptyRig(t, m)
	till := open(t, path)
	ctx := context.Background()
	write := func(s string) {
		if _, err := till.Write(ctx, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("one ")
	until(t, "one", func() bool { return string(m.got()) == "one " })
	c.Unplug()
	until(t, "the missing printer", func() bool { return r.State().Printer != "ok" })
	write("lost")
	until(t, "the loss", func() bool { return r.State().Lost == 4 })
	if err := c.Plug(); err != nil {
		t.Fatal(err)
	}
	until(t, "the printer", func() bool { return r.State().Printer == "ok" })
	write("two")
	until(t, "two", func() bool { return string(m.got()) == "one two" })
	m.answer([]byte("ok"))
	b := make([]byte, 2)
	if _, err := io.ReadFull(reader{till}, b); err != nil || string(b) != "ok" {
		t.Errorf("%q %v", b, err)
	}
}

type reader struct{ p *line.Port }

func (r reader) Read(b []byte) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return r.p.Read(ctx, b)
}

// TestTillComesAndGoes: a cash program closes its port and opens it again; what
// nobody reads holds nothing up.
func TestTillComesAndGoes(t *testing.T) {
	m := &paper{}
	r, _, path, stop := ptyRig(t, m)
	for i := range 3 {
		till := open(t, path)
		if _, err := till.Write(context.Background(), []byte{byte('a' + i)}); err != nil {
			t.Fatal(err)
		}
		until(t, "a byte", func() bool { return len(m.got()) == i+1 })
		till.Close()
		for range 20 { // states nobody reads: far more than a line holds
			m.answer(bytes.Repeat([]byte{0x10}, 1000))
		}
	}
	if r.State().Lost != 0 {
		t.Errorf("%d bytes lost", r.State().Lost)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is left behind: %v", err)
	}
}

// TestFileInTheWay: only a link is ever replaced.
func TestFileInTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "till")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Till: "pty:" + path, Printer: "tcp:127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(context.Background(), nil); err == nil {
		t.Error("a file was replaced")
	}
}

// TestLatency prints how long bytes take through the relay, with nobody
// attached, with an agent that says nothing, and with one that answers. It
// decides nothing: the machine may be busy.
func TestLatency(t *testing.T) {
	for _, c := range []struct {
		name  string
		agent func(c *Client)
	}{{"alone", nil}, {"a silent agent", func(c *Client) { answerOnce(c, []Pattern{{Bytes: []byte("E")}}, func(uint64) {}) }},
		{"an agent", func(c *Client) { answerOnce(c, []Pattern{{Bytes: []byte("E")}}, func(at uint64) { _ = c.Go(at) }) }}} {
		came := make(chan time.Time, 16)
		dev := newDevice(t, func([]byte) []byte { came <- time.Now(); return nil })
		g := newRig(t, dev, nil)
		if c.agent != nil {
			client := g.attach()
			go c.agent(client)
			until(t, "the wish", g.Asking)
		}
		till := g.dial()
		var longest time.Duration
		for range 50 {
			start := time.Now()
			if _, err := till.Write([]byte("E")); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, (<-came).Sub(start))
		}
		t.Logf("%s: longest of 50 held bytes %v", c.name, longest)
	}
}
