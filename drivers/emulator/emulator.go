// Package emulator is the device's side of the protocols: scanners, printers
// and displays without the hardware, for tests, for the demo and for training.
//
// A Machine is the device itself: it keeps its paper, its cover, its two lines
// of text, and answers as the protocol says. A Cable joins it to a line that
// the host opens like a real one:
//
//	printer := emulator.NewPrinter(emulator.PrinterSettings{Columns: 42})
//	cable, err := emulator.PTY("/tmp/till/printer", printer)   // Linux
//	cable, err := emulator.TCP("127.0.0.1:0", printer)         // everywhere
//	cfg.Port = cable.Address()
//	cable.Unplug()   // the host's reads and writes fail
//	cable.Plug()     // the same name is back
//
// Machines are built to the protocol and not to our drivers: they take what
// other programs' encoders send.
package emulator

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers/line/linetest"
)

// Machine is an emulated device. The cable calls it from one goroutine at a
// time per method; send may be called from any goroutine at any time between
// Attach and Detach and drops what nobody takes.
type Machine interface {
	// Attach tells that a line is there and how to send on it.
	Attach(send func([]byte))
	// Receive takes bytes of the host.
	Receive(b []byte)
	// Detach tells that the line is gone.
	Detach()
}

// Wedger is a Machine that can stop taking bytes.
type Wedger interface{ Wedged() bool }

// Cable joins a Machine to a line.
type Cable struct {
	machine Machine
	make    func() (plug, error)
	address string

	mu     sync.Mutex
	now    plug
	served chan struct{}
	closed bool
}

// plug is one period of being plugged in.
type plug interface {
	serve(m Machine) // until pull
	pull()
}

// ErrClosed is returned by Plug after Close.
var ErrClosed = errors.New("cable is closed")

// Address is what to write as the port of the device.
func (c *Cable) Address() string { return c.address }

// Plug puts the plug in. It does nothing when it is in.
func (c *Cable) Plug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.now != nil {
		return nil
	}
	p, err := c.make()
	if err != nil {
		return fmt.Errorf("plug in %s: %w", c.address, err)
	}
	c.now, c.served = p, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		p.serve(c.machine)
	}(c.served)
	return nil
}

// Unplug pulls the plug and waits until the line is gone.
func (c *Cable) Unplug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pull()
}

func (c *Cable) pull() {
	if c.now == nil {
		return
	}
	c.now.pull()
	<-c.served
	c.now = nil
}

// Plugged tells whether the plug is in.
func (c *Cable) Plugged() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.now != nil }

// Close pulls the plug for good.
func (c *Cable) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.pull()
	return nil
}

// TCP listens at an address such as "127.0.0.1:0"; the port stays the same over
// Unplug and Plug. Like a real printer it serves one client at a time.
func TCP(listen string, m Machine) (*Cable, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	at := l.Addr().String()
	c := &Cable{machine: m, address: "tcp:" + at}
	c.make = func() (plug, error) {
		first := l
		l = nil
		if first != nil {
			return newTCPPlug(first), nil
		}
		again, err := net.Listen("tcp", at)
		if err != nil {
			return nil, err
		}
		return newTCPPlug(again), nil
	}
	return c, c.Plug()
}

type tcpPlug struct {
	l    net.Listener
	mu   sync.Mutex
	conn net.Conn
	out  bool
}

func newTCPPlug(l net.Listener) *tcpPlug { return &tcpPlug{l: l} }

func (t *tcpPlug) serve(m Machine) {
	for {
		conn, err := t.l.Accept()
		if err != nil {
			return
		}
		t.mu.Lock()
		if t.out {
			conn.Close()
			t.mu.Unlock()
			return
		}
		t.conn = conn
		t.mu.Unlock()
		talk(conn, m)
		conn.Close()
	}
}

func (t *tcpPlug) pull() {
	t.mu.Lock()
	t.out = true
	if t.conn != nil {
		if tc, ok := t.conn.(*net.TCPConn); ok {
			tc.SetLinger(0) // gone, not said goodbye
		}
		t.conn.Close()
	}
	t.mu.Unlock()
	t.l.Close()
}

// talk moves bytes between a line and a machine until the line ends.
func talk(rw io.ReadWriter, m Machine) {
	var mu sync.Mutex
	m.Attach(func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		if d, ok := rw.(interface{ SetWriteDeadline(time.Time) error }); ok {
			d.SetWriteDeadline(time.Now().Add(5 * time.Second))
		}
		rw.Write(b) // nobody takes it: lost, as on a real line
	})
	defer m.Detach()
	b := make([]byte, 4096)
	for {
		for w, ok := m.(Wedger); ok && w.Wedged(); {
			if d, ok := rw.(interface{ SetReadDeadline(time.Time) error }); ok {
				// Notice a pulled plug while not reading.
				d.SetReadDeadline(time.Now())
				_, err := rw.Read(nil)
				d.SetReadDeadline(time.Time{})
				if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		n, err := rw.Read(b)
		if n > 0 {
			m.Receive(append([]byte(nil), b[:n]...))
		}
		if err != nil {
			return
		}
	}
}

// Memory joins a machine to a line in memory; give Open to drivers.Env.OpenLine.
func Memory(m Machine) (*Cable, *linetest.Pipe) {
	pipe := linetest.New()
	pipe.Unplug()
	c := &Cable{machine: m, address: "memory"}
	c.make = func() (plug, error) { pipe.Plug(); return memoryPlug{pipe}, nil }
	if err := c.Plug(); err != nil {
		panic(err) // a pipe in memory cannot fail
	}
	return c, pipe
}

type memoryPlug struct{ pipe *linetest.Pipe }

func (p memoryPlug) serve(m Machine) { talk(p.pipe.Device(), m) }
func (p memoryPlug) pull()           { p.pipe.Unplug() }
