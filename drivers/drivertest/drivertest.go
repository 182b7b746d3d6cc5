// This file: one suite per kind of device. Each driver's tests run
// the suite of its kind against the driver's emulator; a recorded session of a
// real device plays the emulator's part too (see Record and Playback).
//
//	func TestSuite(t *testing.T) {
//		drivertest.Printer(t, func(t *testing.T) drivertest.PrinterRig {
//			m := emulator.NewPrinter(emulator.PrinterSettings{})
//			return drivertest.PrinterRig{
//				Rig:  drivertest.Rig{Driver: escpos.Driver, Machine: m},
//				Roll: m.Roll(),
//				PaperOut: func(out bool) { ... },
//			}
//		})
//	}
//
// Nothing here waits for a fixed time: waits end when the condition holds, and
// fail after Patience.

package drivertest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line/linetest"
)

// Patience is how long a suite waits for something before it gives up.
const Patience = 30 * time.Second

// Rig is a driver and the machine it is tried on.
type Rig struct {
	Driver  drivers.Driver
	Options drivers.Options
	Machine emulator.Machine
	// Wire is "memory" (also when empty), "pty" or "tcp".
	Wire string
}

// Running is a device that was opened on a rig.
type Running struct {
	Device drivers.Device
	Cable  *emulator.Cable
	// Pipe is the line when it is in memory.
	Pipe *linetest.Pipe

	mu     sync.Mutex
	states []drivers.State
	late   map[string]drivers.Outcome
	moved  chan struct{}
}

// Start builds and opens the device. It is closed when the test ends.
func Start(t testing.TB, rig Rig) *Running {
	t.Helper()
	r := &Running{moved: make(chan struct{}), late: map[string]drivers.Outcome{}}
	env := drivers.Env{OnState: r.note, OnOutcome: r.outcome}
	var err error
	switch rig.Wire {
	case "", "memory":
		r.Cable, r.Pipe = emulator.Memory(rig.Machine)
		env.OpenLine = r.Pipe.Open
	case "pty":
		if r.Cable, err = emulator.PTY(t.TempDir()+"/port", rig.Machine); err != nil {
			t.Skip("no pseudo-terminals here:", err)
		}
	case "tcp":
		if r.Cable, err = emulator.TCP("127.0.0.1:0", rig.Machine); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("wire %q is not known", rig.Wire)
	}
	reg := drivers.NewRegistry()
	reg.Add(rig.Driver)
	r.Device, err = reg.Build(drivers.Config{Name: "unit", Driver: rig.Driver.Name, Port: r.Cable.Address(), Options: rig.Options}, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Device.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Device.Close()
		r.Cable.Close()
	})
	return r
}

func (r *Running) note(s drivers.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	r.wake()
}

func (r *Running) outcome(id string, o drivers.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late[id] = o
	r.wake()
}

func (r *Running) wake() {
	close(r.moved)
	r.moved = make(chan struct{})
}

// Late is what Env.OnOutcome said of a slip.
func (r *Running) Late(id string) drivers.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late[id]
}

// States are the state changes so far.
func (r *Running) States() []drivers.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.states)
}

// WaitState waits until the device is in one of the states.
func (r *Running) WaitState(t testing.TB, want ...drivers.Code) {
	t.Helper()
	Wait(t, "state "+string(want[0]), func() bool { return slices.Contains(want, r.Device.State().Code) })
}

// WaitUsable waits until work may be given to the device.
func (r *Running) WaitUsable(t testing.TB) {
	t.Helper()
	Wait(t, "a usable device", func() bool {
		s := r.Device.State()
		return s.Usable() && s.Code != drivers.Opening && (s.Code != drivers.Unknown || s.Detail != "")
	})
}

// Wait waits until a condition holds.
func Wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited %s for %s in vain", Patience, what)
		}
	}
}

// Device is the suite that every device passes: its life, unplugging and
// plugging back, a port that is not there, closing in every state.
func Device(t *testing.T, rig func(t *testing.T) Rig) {
	t.Run("life", func(t *testing.T) {
		r := Start(t, rig(t))
		r.WaitUsable(t)
		if r.Device.String() == "" {
			t.Error("the device has no name")
		}
		if err := r.Device.Open(t.Context()); err == nil {
			t.Error("opening twice is not refused")
		}
		if err := r.Device.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Device.Close(); err != nil {
			t.Error("closing twice:", err)
		}
		if c := r.Device.State().Code; c != drivers.Closed {
			t.Errorf("after Close the state is %s", c)
		}
	})
	t.Run("absent is a state", func(t *testing.T) {
		g := rig(t)
		g.Wire = "memory"
		r := Start(t, g)
		r.Cable.Unplug()
		r.WaitState(t, drivers.Absent)
		if err := r.Cable.Plug(); err != nil {
			t.Fatal(err)
		}
		r.WaitUsable(t)
	})
	t.Run("unplug and replug while idle", func(t *testing.T) {
		r := Start(t, rig(t))
		for range 3 {
			r.WaitUsable(t)
			pulled := time.Now()
			r.Cable.Unplug()
			r.WaitState(t, drivers.Absent)
			if at := r.Device.State().Since; at.Sub(pulled) > 2*time.Second {
				t.Logf("noticed after %s", at.Sub(pulled)) // a busy machine may be slow
			}
			if err := r.Cable.Plug(); err != nil {
				t.Fatal(err)
			}
		}
		r.WaitUsable(t)
	})
	t.Run("close while absent", func(t *testing.T) {
		r := Start(t, rig(t))
		r.WaitUsable(t)
		r.Cable.Unplug()
		r.WaitState(t, drivers.Absent)
		if err := r.Device.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("port held by another program", func(t *testing.T) {
		g := rig(t)
		g.Wire = "memory"
		r := Start(t, g)
		r.WaitUsable(t)
		reg := drivers.NewRegistry()
		reg.Add(g.Driver)
		second, err := reg.Build(drivers.Config{Name: "second", Driver: g.Driver.Name, Port: r.Cable.Address(), Options: g.Options},
			drivers.Env{OpenLine: r.Pipe.Open})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		Wait(t, "state port_busy", func() bool { return second.State().Code == drivers.PortBusy })
	})
}

// MustCode fails the test when an error has another code.
func MustCode(t testing.TB, err error, want drivers.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want the code %s", err, want)
	}
	var e *drivers.Error
	if !errors.As(err, &e) {
		t.Errorf("%v is no *drivers.Error", err)
	} else if e.Device == "" || e.Op == "" {
		t.Errorf("the error does not say device and act: %#v", e)
	}
}
