package atol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/intake"
	"github.com/tillside/tillside/drivers/internal/once"
	"github.com/tillside/tillside/drivers/line"
)

type timing struct {
	gap    time.Duration // between two bytes of a packet
	reply  time.Duration // for the reply to a packet
	tries  int
	probe  time.Duration // a result that is not here by now is asked for
	task   func(cmd byte) time.Duration
	poll   time.Duration
	repeat int // of packets that arrived damaged
}

func timingOf(percent int) timing {
	f := func(d time.Duration) time.Duration { return d * time.Duration(percent) / 100 }
	return timing{
		gap: f(200 * time.Millisecond), reply: f(time.Second), tries: 5, probe: f(2 * time.Second), poll: f(200 * time.Millisecond), repeat: 4,
		task: func(cmd byte) time.Duration { // T5 of the old transport
			switch cmd {
			case cmdClose, 0x8D, 0x8E, 0xA7:
				return f(20 * time.Second)
			case cmdZ, cmdX, cmdOpenShift, cmdCancel:
				return f(60 * time.Second)
			case cmdItem:
				return f(50 * time.Second)
			}
			return f(20 * time.Second)
		},
	}
}

var errRestart = errors.New("the register was away and has forgotten its tasks")

// link is transport 3 from the host's side. Commands are those of the
// register, without access password; results are its answers.
type link struct {
	t      timing
	in     intake.Intake
	packet byte
	task   byte
	held   int    // task whose result is kept there as a witness, -1 none
	forget []byte // tasks to be acknowledged: one left there would answer for a later one of its number
	flight *flight
}

type flight struct {
	cmd      []byte
	task     byte
	accepted bool
	answer   []byte // came while something else was asked
}

func newLink(t timing) *link { return &link{t: t, held: -1, in: intake.Intake{Gap: t.gap}} }

func next(b *byte) byte {
	if *b >= LastID {
		*b = 0
	} else {
		*b++
	}
	return *b
}

// read reads the next packet.
func (l *link) read(ctx context.Context, p *line.Port, d time.Duration) (Packet, Kind, error) {
	end := time.Now().Add(d)
	for {
		pk, kind, n := Next(l.in.Buf)
		if n == 0 {
			if err := l.in.More(ctx, p, end); errors.Is(err, intake.ErrTorn) {
				return Packet{}, Bad, nil
			} else if err != nil {
				return Packet{}, More, err
			}
			continue
		}
		l.in.Buf = l.in.Buf[n:]
		if kind != Noise {
			return pk, kind, nil
		}
	}
}

// async keeps a result that came by itself.
func (l *link) async(pk Packet) bool {
	if pk.ID != AsyncID || len(pk.Data) < 2 || pk.Data[0] != AsyncResult && pk.Data[0] != AsyncFailed {
		return false
	}
	if f := l.flight; f != nil && pk.Data[1] == f.task {
		f.answer = pk.Data[2:]
		f.accepted = true
	}
	return true
}

// ask sends a packet and waits for its reply. A register that got it damaged
// answers empty, and gets it again.
func (l *link) ask(ctx context.Context, p *line.Port, data ...byte) ([]byte, error) {
	pk := Packet{ID: next(&l.packet), Data: data}
	wire, err := pk.Encode()
	if err != nil {
		return nil, &drivers.Error{Code: drivers.BadData, Err: err}
	}
	for range l.t.repeat {
		if _, err := p.Write(ctx, wire); err != nil {
			return nil, err
		}
		end := time.Now().Add(l.t.reply)
		for again := false; !again; {
			r, kind, err := l.read(ctx, p, time.Until(end))
			switch {
			case err != nil:
				return nil, err
			case kind != Good || l.async(r) || r.ID != pk.ID:
				continue
			case len(r.Data) == 0:
				again = true
			default:
				return r.Data, nil
			}
		}
	}
	return nil, fmt.Errorf("the register gets every packet damaged: %w", drivers.Garbage)
}

// Send adds a task and waits for its result.
func (l *link) Send(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error) {
	l.flight = nil
	if err := l.acknowledge(ctx, p); err != nil {
		return nil, fmt.Errorf("%w: %w", once.ErrNotSent, err)
	}
	f := &flight{cmd: cmd, task: next(&l.task)}
	l.flight = f
	data := append([]byte{TaskAdd, WantResult | Async, f.task, 0, 0}, cmd...)
	r, err := l.ask(ctx, p, data...)
	switch {
	case errors.Is(err, intake.ErrSilence):
		return l.Settle(ctx, p)
	case errors.Is(err, drivers.Garbage), errors.Is(err, drivers.BadData):
		l.flight = nil
		if errors.Is(err, drivers.BadData) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", once.ErrNotSent, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
	}
	if body, done, err := l.state(ctx, p, r); done {
		return body, err
	}
	return l.result(ctx, p)
}

// state acts on a reply about the task in flight. done is false while the task
// is under way.
func (l *link) state(ctx context.Context, p *line.Port, r []byte) (body []byte, done bool, err error) {
	f := l.flight
	switch r[0] {
	case Pending, InProgress, Waiting:
		f.accepted = true
		l.release()
		return nil, false, nil
	case Result, Failed:
		l.release()
		l.keep()
		return r[1:], true, nil
	case Exists:
		// A task is added once; the one that has the number is an old one.
		l.forget = append(l.forget, f.task)
		l.flight = nil
		return nil, true, fmt.Errorf("%w: an old task has the number", once.ErrNotSent)
	case Stopped:
		// An error of before stopped the buffer; this one was not carried out.
		l.flight = nil
		l.abort(ctx, p)
		return nil, true, fmt.Errorf("%w: the task buffer was stopped", once.ErrNotSent)
	case Overflow:
		l.flight = nil
		l.abort(ctx, p)
		return nil, true, &drivers.Error{Code: drivers.Busy, Err: errors.New("the task buffer is full")}
	case NotFound:
		return l.lost(ctx, p)
	case Illegal:
		l.flight = nil
		return nil, true, &drivers.Error{Code: drivers.Unsupported, Err: errors.New("the task buffer refuses the command")}
	}
	return nil, false, nil
}

// lost decides what "no such task" means, by the witness.
func (l *link) lost(ctx context.Context, p *line.Port) ([]byte, bool, error) {
	f := l.flight
	if !f.accepted && l.held >= 0 {
		r, err := l.ask(ctx, p, TaskReq, byte(l.held))
		if err != nil {
			return nil, true, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		if r[0] == Result || r[0] == Failed {
			l.flight = nil
			return nil, true, fmt.Errorf("%w: %w", once.ErrNotSent, intake.ErrSilence)
		}
	}
	l.flight, l.held = nil, -1
	return nil, true, fmt.Errorf("%w: %w", drivers.Uncertain, errRestart)
}

// result waits for the result of an accepted task.
func (l *link) result(ctx context.Context, p *line.Port) ([]byte, error) {
	f := l.flight
	end := time.Now().Add(l.t.task(f.cmd[0]))
	for {
		look := time.Now().Add(l.t.probe)
		for f.answer == nil {
			r, kind, err := l.read(ctx, p, time.Until(look))
			if errors.Is(err, intake.ErrSilence) || err == nil && kind == Bad {
				break // ask for it
			}
			if err != nil {
				return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
			}
			l.async(r)
		}
		if f.answer != nil {
			return l.arrived(f)
		}
		r, err := l.ask(ctx, p, TaskReq, f.task)
		if f.answer != nil {
			return l.arrived(f)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		if body, done, err := l.state(ctx, p, r); done {
			return body, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%w: still at work after %s", once.ErrInFlight, l.t.task(f.cmd[0]))
		}
	}
}

// arrived takes a result that came by itself.
func (l *link) arrived(f *flight) ([]byte, error) {
	l.release()
	l.keep()
	return f.answer, nil
}

// keep leaves the task's result there as the witness of the next one.
func (l *link) keep() {
	l.held = int(l.flight.task)
	l.flight = nil
}

// release marks the witness of before to be forgotten: the new task is in the
// buffer and is witness enough.
func (l *link) release() {
	if l.held >= 0 && int(l.flight.task) != l.held {
		l.forget = append(l.forget, byte(l.held))
		l.held = -1
	}
}

// acknowledge lets the register forget what is done with.
func (l *link) acknowledge(ctx context.Context, p *line.Port) error {
	for len(l.forget) > 0 {
		if _, err := l.ask(ctx, p, TaskAck, l.forget[0]); err != nil {
			return err
		}
		l.forget = l.forget[1:]
	}
	return nil
}

func (l *link) abort(ctx context.Context, p *line.Port) error {
	l.held = -1
	_, err := l.ask(ctx, p, TaskAbort)
	if err == nil {
		l.forget = nil
	}
	return err
}

// Settle asks what became of the task in flight.
func (l *link) Settle(ctx context.Context, p *line.Port) ([]byte, error) {
	f := l.flight
	if f == nil {
		return nil, fmt.Errorf("%w: %w", drivers.Uncertain, errRestart)
	}
	for range l.t.tries {
		r, err := l.ask(ctx, p, TaskReq, f.task)
		if f.answer != nil {
			return l.arrived(f)
		}
		if errors.Is(err, intake.ErrSilence) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		if body, done, err := l.state(ctx, p, r); done {
			return body, err
		}
		return l.result(ctx, p)
	}
	return nil, fmt.Errorf("%w: %w", once.ErrInFlight, drivers.Silent)
}

// Start is called when the line is open again. The buffer is emptied only when
// nothing in it is of use.
func (l *link) Start(ctx context.Context, p *line.Port) error {
	l.in.Buf = nil
	var err error
	for range l.t.tries {
		if l.flight != nil || l.held >= 0 {
			// Any reply will do; Settle asks for itself.
			_, err = l.ask(ctx, p, TaskReq, byte(max(l.held, 0)))
		} else {
			err = l.abort(ctx, p)
		}
		if err == nil || !errors.Is(err, intake.ErrSilence) {
			return err
		}
	}
	return fmt.Errorf("no reply to a packet: %w", drivers.Silent)
}
