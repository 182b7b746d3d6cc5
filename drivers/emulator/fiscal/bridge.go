package fiscal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/paper"
	"github.com/tillside/tillside/drivers/line"
)

// Printer is an emulated fiscal printer: a Machine with a Base in it.
type Printer interface {
	Machine
	Fail(f Fault, after int) bool
	Heal()
	Paper() *paper.Roll
	Condition() Condition
	SetCondition(Condition)
	Closed() (receipts int, total int64)
}

// Bridge lets a fiscal printer hang on the cables and the bench of package
// emulator.
type Bridge struct {
	Printer
	// Replug is how long the plug stays out after a fault pulled it; 0 means
	// until somebody puts it back.
	Replug time.Duration

	mu    sync.Mutex
	feed  *feed
	stop  context.CancelFunc
	done  chan struct{}
	cable *emulator.Cable
	// torn gets a value when a fault ended the serving of a line and no cable
	// was told to On.
	torn chan struct{}
}

// NewBridge makes a bridge.
func NewBridge(p Printer) *Bridge { return &Bridge{Printer: p, torn: make(chan struct{}, 1)} }

// On tells the bridge its cable, so that faults can pull the plug.
func (b *Bridge) On(c *emulator.Cable) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cable = c
}

// feed is the device's end of a line: bytes are pushed in and sent out.
type feed struct {
	in     chan []byte
	rest   []byte
	send   func([]byte)
	closed chan struct{}
	once   sync.Once
}

func (f *feed) Read(b []byte) (int, error) {
	if len(f.rest) == 0 {
		select {
		case f.rest = <-f.in:
		case <-f.closed:
			return 0, io.EOF
		}
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *feed) Write(b []byte) (int, error) {
	select {
	case <-f.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	f.send(b)
	return len(b), nil
}

func (f *feed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Attach is part of emulator.Machine.
func (b *Bridge) Attach(send func([]byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{in: make(chan []byte, 64), send: send, closed: make(chan struct{})}
	done := make(chan struct{})
	b.feed, b.stop, b.done = f, cancel, done
	go func() {
		defer close(done)
		p := line.NewPort("cable", f, line.Settings{})
		defer p.Close()
		if err := b.Serve(ctx, p); errors.Is(err, ErrUnplugged) {
			go b.pull()
		}
	}()
}

// pull takes the plug out because a fault said so, and puts it back in time.
func (b *Bridge) pull() {
	b.mu.Lock()
	c, after := b.cable, b.Replug
	b.mu.Unlock()
	if c == nil {
		select {
		case b.torn <- struct{}{}:
		default:
		}
		return
	}
	c.Unplug()
	if after > 0 {
		time.Sleep(after)
		c.Plug() // a cable that was closed meanwhile stays closed
	}
}

// Receive is part of emulator.Machine.
func (b *Bridge) Receive(data []byte) {
	b.mu.Lock()
	f := b.feed
	b.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case f.in <- data:
	case <-f.closed:
	}
}

// Detach is part of emulator.Machine.
func (b *Bridge) Detach() {
	b.mu.Lock()
	f, stop, done := b.feed, b.stop, b.done
	b.feed = nil
	b.mu.Unlock()
	if f != nil {
		stop()
		f.Close()
		<-done
	}
}

// Roll is what was printed.
func (b *Bridge) Roll() *paper.Roll { return b.Paper() }

// Wedged is part of emulator.Wedger.
func (b *Bridge) Wedged() bool { return b.Condition().Hang }

// Condition is how the device is, as the bench's state command tells and
// changes it.
type Condition struct {
	Paper  string `json:"paper"`  // ok, near, out
	Cover  string `json:"cover"`  // closed, open
	Shift  string `json:"shift"`  // ok, old
	Memory string `json:"memory"` // ok, full
	Busy   bool   `json:"busy"`
	Silent bool   `json:"silent"` // hears nothing
	Noise  bool   `json:"noise"`  // answers with noise
	Hang   bool   `json:"hang"`   // takes no bytes
}

// StateJSON is how the device is.
func (b *Bridge) StateJSON() any {
	n, total := b.Closed()
	return struct {
		Condition
		Receipts int   `json:"receipts"`
		Total    int64 `json:"total"`
	}{b.Condition(), n, total}
}

// SetStateJSON changes what the JSON names and leaves the rest. "fail" lets a
// fault strike one command, "after" so many others: {"fail":"silence","after":2}.
func (b *Bridge) SetStateJSON(data []byte) error {
	next := struct {
		Condition
		Fail  Fault `json:"fail"`
		After int   `json:"after"`
	}{Condition: b.Condition()}
	if err := json.Unmarshal(data, &next); err != nil {
		return err
	}
	for _, f := range []struct{ name, v, a, b, c string }{
		{"paper", next.Paper, "ok", "near", "out"}, {"cover", next.Cover, "closed", "open", ""},
		{"shift", next.Shift, "ok", "old", ""}, {"memory", next.Memory, "ok", "full", ""}} {
		if f.v == "" || f.v != f.a && f.v != f.b && f.v != f.c {
			return fmt.Errorf("%s: %q is not one of %s, %s %s", f.name, f.v, f.a, f.b, f.c)
		}
	}
	b.SetCondition(next.Condition)
	if next.Fail != "" && !b.Fail(next.Fail, next.After) {
		return fmt.Errorf("fail: %q is not one of %v", next.Fail, Faults)
	}
	return nil
}

// PowerCycle switches the device off and on.
func (b *Bridge) PowerCycle() {
	if c, ok := b.Printer.(interface{ PowerCycle() }); ok {
		c.PowerCycle()
	}
}

var (
	_ emulator.Machine     = (*Bridge)(nil)
	_ emulator.Printing    = (*Bridge)(nil)
	_ emulator.Stateful    = (*Bridge)(nil)
	_ emulator.PowerCycler = (*Bridge)(nil)
	_ emulator.Wedger      = (*Bridge)(nil)
)
