// Package linetest is a line in memory with faults on demand, so that drivers
// and the line layer can be tested on every system and without a clock.
//
//	pipe := linetest.New()
//	env := drivers.Env{OpenLine: pipe.Open}     // the host's end
//	pipe.Device().Write([]byte("2000000125008\r"))
//	pipe.Unplug()                               // both ends see it
//	pipe.Plug()
package linetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tillside/tillside/drivers/line"
)

// Fault changes the bytes that travel in one direction. It gets the position
// of a byte since the pipe was made, and the byte; what it returns travels
// instead. Nil faults change nothing.
type Fault func(at int64, b byte) []byte

// Drop loses the bytes at the positions.
func Drop(positions ...int64) Fault {
	lost := map[int64]bool{}
	for _, p := range positions {
		lost[p] = true
	}
	return func(at int64, b byte) []byte {
		if lost[at] {
			return nil
		}
		return []byte{b}
	}
}

// Flip changes bits of the byte at a position.
func Flip(position int64, bits byte) Fault {
	return func(at int64, b byte) []byte {
		if at == position {
			b ^= bits
		}
		return []byte{b}
	}
}

// Pipe is a line between a host and a device. All methods may be called from
// any goroutine.
type Pipe struct {
	mu       sync.Mutex
	cond     *sync.Cond
	plugged  bool
	open     *end // the host's end while it is open
	toHost   []byte
	toDevice []byte
	wedged   bool // the device takes nothing
	limit    int  // bytes the device's side holds before a write waits
	faults   [2]Fault
	count    [2]int64
	opens    int
	failOpen error
}

// New makes a plugged pipe.
func New() *Pipe {
	p := &Pipe{plugged: true, limit: 4096}
	p.cond = sync.NewCond(&p.mu)
	return p
}

// Faults sets what happens to bytes on the way to the host and to the device.
func (p *Pipe) Faults(toHost, toDevice Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = [2]Fault{toHost, toDevice}
}

// Open is a line.OpenFunc for the host's end.
func (p *Pipe) Open(_ context.Context, address string, _ line.Settings) (line.Raw, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.failOpen != nil:
		return nil, fmt.Errorf("open %s: %w", address, p.failOpen)
	case !p.plugged:
		return nil, fmt.Errorf("open %s: %w", address, line.ErrAbsent)
	case p.open != nil:
		return nil, fmt.Errorf("open %s: %w", address, line.ErrBusy)
	}
	p.opens++
	p.toHost, p.toDevice = nil, nil
	p.open = &end{p: p}
	p.cond.Broadcast()
	return p.open, nil
}

// FailOpen makes Open fail with an error until it is called with nil.
func (p *Pipe) FailOpen(err error) { p.set(func() { p.failOpen = err }) }

// Opens counts the times the host opened the line.
func (p *Pipe) Opens() int { p.mu.Lock(); defer p.mu.Unlock(); return p.opens }

// Unplug pulls the plug: reads and writes of both ends fail.
func (p *Pipe) Unplug() { p.set(func() { p.plugged, p.toHost, p.toDevice = false, nil, nil }) }

// Plug puts the plug back. The host has to open the line again.
func (p *Pipe) Plug() {
	p.set(func() {
		p.plugged = true
		if p.open != nil {
			p.open.gone = true
			p.open = nil
		}
	})
}

// Wedge makes the device take no bytes: writes of the host stand still, and
// nothing but Wedge(false) or Unplug frees them, as with a real port.
func (p *Pipe) Wedge(on bool) { p.set(func() { p.wedged = on }) }

func (p *Pipe) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.cond.Broadcast()
}

// WaitOpen waits until the host has opened the line.
func (p *Pipe) WaitOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.open == nil {
		p.cond.Wait()
	}
}

func (p *Pipe) through(dir int, b []byte) []byte {
	var out []byte
	for _, c := range b {
		at := p.count[dir]
		p.count[dir]++
		if f := p.faults[dir]; f != nil {
			out = append(out, f(at, c)...)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// end is the host's end.
type end struct {
	p      *Pipe
	closed bool
	gone   bool
}

func (e *end) dead() error {
	switch {
	case e.closed:
		return line.ErrClosed
	case e.gone || !e.p.plugged:
		return errors.New("input/output error")
	}
	return nil
}

func (e *end) Read(b []byte) (int, error) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	for len(e.p.toHost) == 0 || e.dead() != nil {
		if err := e.dead(); err != nil {
			return 0, err
		}
		e.p.cond.Wait()
	}
	n := copy(b, e.p.toHost)
	e.p.toHost = e.p.toHost[n:]
	e.p.cond.Broadcast()
	return n, nil
}

func (e *end) Write(b []byte) (int, error) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	// Closing does not free a write that stands still: real ports are so.
	for e.p.plugged && !e.gone && (e.p.wedged || len(e.p.toDevice) >= e.p.limit) {
		e.p.cond.Wait()
	}
	if err := e.dead(); err != nil {
		return 0, err
	}
	e.p.toDevice = append(e.p.toDevice, e.p.through(1, b)...)
	e.p.cond.Broadcast()
	return len(b), nil
}

func (e *end) Close() error {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	e.closed = true
	if e.p.open == e {
		e.p.open = nil
	}
	e.p.cond.Broadcast()
	return nil
}

// Device is the device's end.
func (p *Pipe) Device() io.ReadWriter { return device{p} }

type device struct{ p *Pipe }

// Read waits for bytes of the host. It gives io.EOF while the plug is out.
func (d device) Read(b []byte) (int, error) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	for len(d.p.toDevice) == 0 || d.p.wedged {
		if !d.p.plugged {
			return 0, io.EOF
		}
		d.p.cond.Wait()
	}
	n := copy(b, d.p.toDevice)
	d.p.toDevice = d.p.toDevice[n:]
	d.p.cond.Broadcast()
	return n, nil
}

// Write sends to the host. Bytes for a line that nobody has open are lost, as
// on a real port.
func (d device) Write(b []byte) (int, error) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	if !d.p.plugged {
		return 0, io.EOF
	}
	if d.p.open != nil {
		d.p.toHost = append(d.p.toHost, d.p.through(0, b)...)
		d.p.cond.Broadcast()
	}
	return len(b), nil
}
