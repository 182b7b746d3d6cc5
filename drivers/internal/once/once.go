// Package once carries commands to fiscal printers so that each is carried out
// once, or it is known that it was not, or it is said that nobody can know.
//
// A protocol's link knows three ends of a command: an answer, a refusal by the
// device, or trouble. Trouble comes in two kinds. ErrNotSent: the device cannot
// have carried it out; it may be sent again. ErrInFlight: it may have; when the
// line is back, Settle asks the device by the protocol's own means.
//
//	         ┌───────────── ErrNotSent ─────────────┐
//	Send ────┤                                      ├── send again
//	         └─ ErrInFlight ── Settle ──┬─ not done ┘
//	                                    ├─ answer ──────── done
//	                                    └─ Uncertain ── Verify (counters) ── done / not done / unknown
package once

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

var (
	// ErrNotSent: the device did not carry out the command.
	ErrNotSent = errors.New("not carried out")
	// ErrInFlight: the line failed after the command went out; Settle tells.
	ErrInFlight = errors.New("command in flight")
)

// Link is a protocol's way of sending. Its methods run on the session's
// goroutine. Errors other than the two above are final: refusals of the device
// (not carried out), or drivers.Uncertain from Settle.
type Link interface {
	// Send sends a command and waits for its answer.
	Send(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error)
	// Settle finds out what became of the command that was in flight: its
	// answer, ErrNotSent, ErrInFlight when the line failed again, or
	// drivers.Uncertain when the device cannot tell.
	Settle(ctx context.Context, p *line.Port) ([]byte, error)
}

// Command is one command on its way.
type Command struct {
	Op    string // the act, for errors
	Bytes []byte
	// Query marks a command that may be carried out twice without harm.
	Query bool
	// Verify tells by other means (counters, states) whether the command was
	// carried out; nil when it leaves no trace.
	Verify func(ctx context.Context) (done bool, err error)
}

// Runner runs commands one after another on a session.
type Runner struct {
	S    *drivers.Session
	Link Link
	// Limit is how long a command is pursued after the first trouble.
	Limit time.Duration

	turn    chan struct{}
	mu      sync.Mutex
	changed chan struct{}
}

// New makes a runner and an Env that tells it about states. Set S before use.
func New(link Link, limit time.Duration, env drivers.Env) (*Runner, drivers.Env) {
	r := &Runner{Link: link, Limit: limit, turn: make(chan struct{}, 1), changed: make(chan struct{})}
	tell := env.OnState
	env.OnState = func(st drivers.State) {
		r.mu.Lock()
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
		if tell != nil {
			tell(st)
		}
	}
	return r, env
}

// Enter waits for the turn of a work of several commands. Leave must follow
// when it returned nil.
func (r *Runner) Enter(ctx context.Context, op string) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-r.S.Ended():
		return r.Named(op, &drivers.Error{Code: drivers.Closed})
	case <-ctx.Done():
		return r.Named(op, &drivers.Error{Code: drivers.Busy, Err: ctx.Err(),
			Hint: "the device is still at work on something else"})
	}
}

// Leave ends a work begun by Enter.
func (r *Runner) Leave() { <-r.turn }

// Named puts device and act into an error; nil stays nil.
func (r *Runner) Named(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *drivers.Error
	if errors.As(err, &e) {
		c := *e
		if c.Device == "" {
			c.Device = r.S.String()
		}
		c.Op = op
		return &c
	}
	return &drivers.Error{Device: r.S.String(), Op: op, Code: drivers.CodeOf(err), Err: err}
}

// Do carries a command. The answer is nil when only Verify knows that it was
// carried out. An error with the code Uncertain means nobody knows; after any
// other error it was not carried out.
func (r *Runner) Do(ctx context.Context, c Command) ([]byte, error) {
	var end time.Time // of the patience, from the first trouble
	inFlight := false
	for tries := 0; ; tries++ {
		var answer []byte
		ran := false
		err := r.S.Do(ctx, c.Op, func(ctx context.Context, p *line.Port) (err error) {
			ran = true
			if inFlight {
				answer, err = r.Link.Settle(ctx, p)
			} else {
				answer, err = r.Link.Send(ctx, p, c.Bytes)
			}
			return err
		})
		switch {
		case err == nil:
			return answer, nil
		case !ran:
			// The line is away or the device is closed: as before.
		case errors.Is(err, ErrInFlight):
			inFlight = true
		case errors.Is(err, ErrNotSent):
			inFlight = false
		case errors.Is(err, drivers.Uncertain):
			inFlight = false
			if c.Query {
				break // ask again
			}
			if c.Verify == nil {
				return nil, r.Named(c.Op, err)
			}
			done, verr := c.Verify(ctx)
			if verr != nil {
				return nil, r.uncertain(c.Op, fmt.Errorf("%w; then: %w", err, verr))
			}
			if done {
				return nil, nil
			}
		default:
			if inFlight {
				// A refusal that Settle brought, or trouble it cannot name.
				var e *drivers.Error
				if !errors.As(err, &e) {
					return nil, r.uncertain(c.Op, err)
				}
			}
			return nil, r.Named(c.Op, err)
		}
		if end.IsZero() {
			end = time.Now().Add(r.Limit)
		}
		if tries > 2 { // a line that dies again and again must not make us spin
			Sleep(ctx, time.Duration(min(tries, 20))*time.Millisecond)
		}
		if stop := r.wait(ctx, end, ran); stop != nil {
			if inFlight {
				return nil, r.uncertain(c.Op, fmt.Errorf("%w; %w", err, stop))
			}
			return nil, r.Named(c.Op, err)
		}
	}
}

func (r *Runner) uncertain(op string, err error) error {
	return &drivers.Error{Device: r.S.String(), Op: op, Code: drivers.Uncertain, Err: err}
}

var errPatience = errors.New("the device did not come back in time")

// wait waits until the line is there, and says when to give up.
func (r *Runner) wait(ctx context.Context, end time.Time, ran bool) error {
	left := time.NewTimer(time.Until(end))
	defer left.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		// Right after the line died the state may still be the old one; the next
		// try finds out without harm.
		if time.Until(end) > 0 && (ran && r.S.State().Code != drivers.Closed || !away(r.S.State().Code)) {
			return nil
		}
		select {
		case <-changed:
			ran = false
		case <-r.S.Ended():
			return drivers.Closed
		case <-ctx.Done():
			return ctx.Err()
		case <-left.C:
			return errPatience
		}
	}
}

// away tells whether a state means that nothing can be sent now.
func away(c drivers.Code) bool {
	switch c {
	case drivers.Absent, drivers.PortBusy, drivers.NoAccess, drivers.Wedged, drivers.Opening, drivers.Unknown,
		drivers.Silent, drivers.Garbage, drivers.Closed:
		return true
	}
	return false
}

// Sleep waits, or returns early with the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Outcome turns the error of a work of several commands into an outcome: done
// counts the commands that put something on paper and are known to be carried
// out.
func Outcome(err error, done int) drivers.Outcome {
	switch {
	case err == nil:
		return drivers.OutcomePrinted
	case errors.Is(err, drivers.Uncertain) || done > 0:
		return drivers.OutcomeUnknown
	}
	return drivers.OutcomeNotPrinted
}
