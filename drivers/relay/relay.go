package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

// Config is what a Relay is made of.
type Config struct {
	// Till is where the cash program's port ends: a serial port (COM5,
	// /dev/ttyS1), "pty:/path/of/a/link" for a pseudo-terminal of the relay's
	// own (Linux), or "tcp:127.0.0.1:9100" to listen.
	Till     string
	TillLine line.Settings // of a serial port
	// Printer is a line address, as in package line.
	Printer     string
	PrinterLine line.Settings
	// Attach is where an agent may come in; nil: nowhere. Secret is what it
	// must know.
	Attach net.Listener
	Secret string
	// Hold is the most a byte waits for an agent's word. Zero: 12 ms.
	Hold time.Duration
	// Log gets the story; nil: nobody does.
	Log *slog.Logger
	// OpenLine replaces line.Open for the printer, for tests.
	OpenLine line.OpenFunc
}

// DefaultHold is the most a byte waits for an agent's word: the promise is
// 20 ms, and timers are late on a busy machine.
const DefaultHold = 12 * time.Millisecond

// Relay is one till's line and its printer's. Make it with New.
type Relay struct {
	c    Config
	till tillEnd

	// The way to the printer: till bytes come by chunks, the agent's words by
	// words. Both are bounded.
	chunks chan chunk
	words  chan word
	nudge  chan struct{} // wants changed, agent gone

	answers chan []byte // for the till

	mu      sync.Mutex
	conn    tillConn // nil: no cash program
	port    *line.Port
	session *session
	came    uint64 // bytes of the till so far
	state   State
	wanted  chan struct{} // closed and remade when a TCP till comes or goes
	needed  bool          // the printer's line is to be open
	ready   chan struct{} // closed once the printer was tried for the first time

	back backWay
}

// NotOpened is the state of an end nobody has asked for.
const NotOpened = "not opened yet"

// chunk is bytes of the till as they came, or the end of its connection.
type chunk struct {
	at   uint64
	when time.Time
	b    []byte
	end  chan struct{} // closed when everything before has gone on
}

// word is what the agent said of a held command.
type word struct {
	s *session
	reply
}

// New checks the settings and makes a relay; nothing is opened.
func New(c Config) (*Relay, error) {
	if c.Hold == 0 {
		c.Hold = DefaultHold
	}
	if c.Hold < 0 || c.Hold > 20*time.Millisecond {
		return nil, fmt.Errorf("hold: found %v, want at most 20ms", c.Hold)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	till, err := newTillEnd(c.Till, c.TillLine)
	if err != nil {
		return nil, fmt.Errorf("till's side: %w", err)
	}
	if _, err := line.ParseAddress(c.Printer); err != nil {
		return nil, fmt.Errorf("printer's side: %w", err)
	}
	if c.Printer == c.Till {
		return nil, fmt.Errorf("both sides are %s", c.Printer)
	}
	// A printer without paper takes nothing for as long as a cashier needs:
	// that is no reason to give its line up.
	if c.PrinterLine.StallMS == 0 {
		c.PrinterLine.StallMS = int(10 * time.Minute / time.Millisecond)
	}
	if err := errors.Join(c.TillLine.Check(), c.PrinterLine.Check()); err != nil {
		return nil, err
	}
	r := &Relay{c: c, till: till, chunks: make(chan chunk, 64), words: make(chan word, 16), nudge: make(chan struct{}, 1), answers: make(chan []byte, 256),
		wanted: make(chan struct{}), ready: make(chan struct{}), state: State{Printer: NotOpened, Till: NotOpened}}
	r.back.r = r
	r.needed = !r.onDemand()
	return r, nil
}

// onDemand tells whether the printer's line is open only while the till's is.
func (r *Relay) onDemand() bool {
	a, _ := line.ParseAddress(r.c.Printer)
	return a.Kind == line.TCP && r.till.comesAndGoes()
}

// Address is where the cash program finds its printer, once Run has begun.
func (r *Relay) Address() string { return r.till.address() }

// State is how both ends are.
func (r *Relay) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Run carries until ctx is done. Ports that are absent are waited for; only a
// till side that can never be had is an error. ready, when not nil, is called
// with the till's address once a cash program may come.
func (r *Relay) Run(ctx context.Context, ready func(address string)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.till.open(); err != nil {
		return fmt.Errorf("till's side: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer r.till.close()
	defer cancel()
	for _, f := range []func(context.Context){r.keepPrinter, r.forward, r.writeTill, r.acceptAgents} {
		wg.Go(func() { f(ctx) })
	}
	wg.Go(func() { <-ctx.Done(); r.hangUp(); r.till.close() })
	if ready != nil {
		ready(r.till.address())
	}
	r.c.Log.Info("relay runs", "till", r.till.address(), "printer", r.c.Printer)
	if r.needed { // what the till says first must find its printer
		select {
		case <-r.ready:
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		r.serveTill(ctx)
	}
	r.c.Log.Info("relay stops")
	return nil
}

// serveTill serves one connection of the cash program.
func (r *Relay) serveTill(ctx context.Context) {
	conn, err := r.till.next(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.setState(func(s *State) { s.Till = err.Error() })
			pause(ctx, 250*time.Millisecond)
		}
		return
	}
	r.mu.Lock()
	r.conn = conn
	r.mu.Unlock()
	r.setState(func(s *State) {
		s.Till = "ok"
		if r.onDemand() {
			s.Printer = NotOpened
		}
	})
	r.need(true)
	if r.till.comesAndGoes() && !r.reached(ctx) {
		r.c.Log.Warn("till turned away: no printer", "printer", r.c.Printer)
	} else {
		r.readTill(ctx, conn)
	}
	conn.Close()
	end := make(chan struct{})
	select {
	case r.chunks <- chunk{end: end}:
		select {
		case <-end:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.conn = nil
	r.mu.Unlock()
	if r.onDemand() {
		r.need(false)
	}
}

// reached waits for the printer's line as long as a till waits for a
// connection.
func (r *Relay) reached(ctx context.Context) bool {
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		r.mu.Lock()
		port, changed := r.port, r.wanted
		r.mu.Unlock()
		if port != nil {
			return true
		}
		select {
		case <-changed:
		case <-time.After(time.Until(end)):
		case <-ctx.Done():
			return false
		}
		if r.State().Printer != "ok" && r.State().Printer != NotOpened {
			return false
		}
	}
	return false
}

// readTill takes the till's bytes: first the agent's copy, which never waits,
// then on their way.
func (r *Relay) readTill(ctx context.Context, conn tillConn) {
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		n, err := conn.Read(buf)
		if n > 0 {
			b := append([]byte(nil), buf[:n]...)
			r.mu.Lock()
			at := r.came
			r.came += uint64(n)
			s := r.session
			if s != nil {
				s.bytesOfTill(at, b)
			}
			r.mu.Unlock()
			select {
			case r.chunks <- chunk{at: at, when: time.Now(), b: b}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			r.setState(func(s *State) { s.Till = "closed" })
			return
		}
	}
}

// hangUp ends the connection of the cash program.
func (r *Relay) hangUp() {
	r.mu.Lock()
	conn := r.conn
	r.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

func (r *Relay) need(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.needed != is {
		r.needed = is
		r.changed()
	}
}

// changed wakes who waits for the printer's line; r.mu is held.
func (r *Relay) changed() {
	close(r.wanted)
	r.wanted = make(chan struct{})
}

func (r *Relay) setState(f func(*State)) {
	r.mu.Lock()
	was := r.state
	f(&r.state)
	now, s := r.state, r.session
	if was != now && s != nil {
		s.send(encode(kindState, now))
	}
	r.mu.Unlock()
	if was.Printer != now.Printer || was.Till != now.Till {
		r.c.Log.Info("relay", "printer", now.Printer, "till", now.Till, "lost", now.Lost)
	}
}

// keepPrinter opens the printer's line, reads it, and opens it again.
func (r *Relay) keepPrinter(ctx context.Context) {
	first := sync.OnceFunc(func() { close(r.ready) })
	defer first()
	wait := 50 * time.Millisecond
	for ctx.Err() == nil {
		r.mu.Lock()
		needed, changed := r.needed, r.wanted
		r.mu.Unlock()
		if !needed {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		dial, cancel := context.WithTimeout(ctx, 4*time.Second)
		port, err := line.OpenPort(dial, r.c.OpenLine, r.c.Printer, r.c.PrinterLine)
		cancel()
		if err != nil {
			r.setState(func(s *State) { s.Printer = err.Error() })
			first()
			r.mu.Lock()
			r.changed()
			changed = r.wanted
			r.mu.Unlock()
			select {
			case <-time.After(wait):
			case <-changed:
			case <-ctx.Done():
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 50 * time.Millisecond
		r.setState(func(s *State) { s.Printer = "ok" })
		r.mu.Lock()
		r.port = port
		r.changed()
		r.mu.Unlock()
		first()
		err = r.readPrinter(ctx, port)
		r.mu.Lock()
		r.port = nil
		needed = r.needed
		r.mu.Unlock()
		port.Close()
		r.back.reset()
		switch {
		case ctx.Err() != nil:
		case !needed:
			r.setState(func(s *State) { s.Printer = NotOpened })
		default:
			r.setState(func(s *State) { s.Printer = err.Error() })
			if r.till.comesAndGoes() {
				r.hangUp() // what the till would see without us
			}
		}
	}
}

// readPrinter takes the printer's bytes until its line is gone or not needed.
func (r *Relay) readPrinter(ctx context.Context, port *line.Port) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { // notices that the line is needed no more
		for {
			r.mu.Lock()
			needed, changed := r.needed, r.wanted
			r.mu.Unlock()
			if !needed {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	buf := make([]byte, 4096)
	for {
		n, err := port.Read(ctx, buf)
		if err != nil {
			return err
		}
		r.back.take(append([]byte(nil), buf[:n]...))
	}
}

// toPrinter writes, or counts as lost what no printer is there for.
func (r *Relay) toPrinter(ctx context.Context, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	r.mu.Lock()
	port := r.port
	r.mu.Unlock()
	n := 0
	if port != nil {
		var err error
		if n, err = port.Write(ctx, b); err == nil {
			return true
		}
	}
	if ctx.Err() == nil {
		r.setState(func(s *State) { s.Lost += uint64(len(b) - n) })
	}
	return false
}

// toTill hands bytes to the cash program's writer and never waits: what a
// program does not take is lost, as on a wire.
func (r *Relay) toTill(b []byte) {
	if len(b) == 0 {
		return
	}
	select {
	case r.answers <- b:
	default:
	}
}

// writeTill is the one writer to the cash program.
func (r *Relay) writeTill(ctx context.Context) {
	for {
		select {
		case b := <-r.answers:
			r.mu.Lock()
			conn := r.conn
			r.mu.Unlock()
			if conn != nil {
				_, _ = conn.Write(b) // lost when nobody takes it
			}
		case <-ctx.Done():
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
