// Package turn lets one call at a time work on a device, and lets a call that
// lost its line in the middle wait until the line is back and find out what
// became of its command.
//
// A drivers.Session gives each piece of work one line. A receipt or a slip is
// many pieces, and a piece may begin on one line and be settled on the next. So
// a driver takes the turn for the whole call and gives each command to Run,
// which calls it again on the new line for as long as the command is in doubt:
//
//	leave, err := d.turn.Take(ctx)
//	defer leave()
//	err = d.turn.Run(ctx, "print line", c.inDoubt, func(ctx context.Context, p *line.Port) error { ... })
package turn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// Turn belongs to one device. Make it with New, hook it into the Env of the
// session, then give it the session.
type Turn struct {
	// Recover is how long a command in doubt waits for its line; 0 means 20 s.
	Recover time.Duration

	sess *drivers.Session
	lock chan struct{}

	mu      sync.Mutex
	changed chan struct{}
}

// New makes a Turn.
func New(recover time.Duration) *Turn {
	return &Turn{Recover: recover, lock: make(chan struct{}, 1), changed: make(chan struct{})}
}

// Hook returns env with the turn listening to its state changes.
func (t *Turn) Hook(env drivers.Env) drivers.Env {
	next := env.OnState
	env.OnState = func(st drivers.State) {
		t.mu.Lock()
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if next != nil {
			next(st)
		}
	}
	return env
}

// Use gives the turn its session.
func (t *Turn) Use(s *drivers.Session) { t.sess = s }

// Take waits for this call's turn. leave must be called once.
func (t *Turn) Take(ctx context.Context) (leave func(), err error) {
	select {
	case t.lock <- struct{}{}:
		return func() { <-t.lock }, nil
	case <-ctx.Done():
		return func() {}, &drivers.Error{Device: t.sess.String(), Op: "wait for the device", Code: drivers.Busy, Err: ctx.Err(),
			Hint: "the device is still at work on something else"}
	}
}

// Up tells whether the session has a working line.
func Up(c drivers.Code) bool {
	switch c {
	case drivers.Absent, drivers.PortBusy, drivers.NoAccess, drivers.Wedged, drivers.Silent, drivers.Garbage,
		drivers.Opening, drivers.Unknown, drivers.Closed:
		return false
	}
	return true
}

// Run gives fn to the session. When it fails while doubt tells that the device
// may or may not have carried out the command, Run waits for the line and calls
// fn again, which then has to find out. What is still in doubt when the context
// or the time for it ends comes back as Uncertain.
func (t *Turn) Run(ctx context.Context, op string, doubt func() bool, fn func(ctx context.Context, p *line.Port) error) error {
	err, given := t.pursue(ctx, op, doubt, fn)
	if given {
		return t.uncertain(op, err)
	}
	return err
}

// Ask gives a question to the session and asks again when the line went away in
// the middle and came back. While the line is away from the start it fails at
// once.
func (t *Turn) Ask(ctx context.Context, op string, fn func(ctx context.Context, p *line.Port) error) error {
	broken := false
	err, _ := t.pursue(ctx, op, func() bool { return broken }, func(ctx context.Context, p *line.Port) error {
		err := fn(ctx, p)
		broken = err != nil && p.Err() != nil
		return err
	})
	return err
}

// pursue calls fn until it ends without doubt. given tells that it gave up.
func (t *Turn) pursue(ctx context.Context, op string, doubt func() bool, fn func(ctx context.Context, p *line.Port) error) (err error, given bool) { //nolint:revive // given belongs to err
	limit := t.Recover
	if limit <= 0 {
		limit = 20 * time.Second
	}
	var first error
	var end <-chan time.Time
	for {
		err := t.sess.Do(ctx, op, fn)
		if err == nil || !doubt() {
			return err, false
		}
		if first == nil {
			first = err
			timer := time.NewTimer(limit)
			defer timer.Stop()
			end = timer.C
		}
		if !t.await(ctx, end) {
			return first, true
		}
	}
}

func (t *Turn) uncertain(op string, err error) error {
	// What a person can mend tells more than "uncertain": the paper, the cover.
	var e *drivers.Error
	if !errors.As(err, &e) {
		e = &drivers.Error{Err: err}
	}
	return &drivers.Error{Device: t.sess.String(), Op: op, Code: drivers.Uncertain, Err: fmt.Errorf("the line failed in the middle: %w", e)}
}

// await waits until the line is up again. It reports false when it is not to
// be waited for any more.
func (t *Turn) await(ctx context.Context, end <-chan time.Time) bool {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		c := t.sess.State().Code
		if ctx.Err() != nil || c == drivers.Closed {
			return false
		}
		select {
		case <-end:
			return false
		default:
		}
		if Up(c) {
			return true
		}
		select {
		case <-changed:
		case <-end:
			return false
		case <-ctx.Done():
			return false
		case <-t.sess.Ended():
			return false
		}
	}
}
