package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/relay"
)

// Desk decides what is added to receipts. Its methods are called by one
// goroutine, in the order of the line; none may take long, since a held command
// goes on after 15 ms with or without its lines.
type Desk interface {
	// Heard is told every event but Closing.
	Heard(Event)
	// Lines gives what to add to the receipt that is closing; nothing: let it go.
	Lines(Event) []drivers.Block
	// Added tells what became of lines: all, some or none of them went out.
	Added(Outcome)
	// State tells how the relay's ends are.
	State(relay.State)
}

// Outcome is what became of added lines.
type Outcome string

// The outcomes.
const (
	AllAdded  Outcome = "added"
	SomeAdded Outcome = "some"
	NoneAdded Outcome = "none" // the printer did not take the first
	TooLate   Outcome = "late" // the command had to go on before the lines were ready
)

// wholeWait is how long a close may take to come whole before lines are made
// without what its end says.
const wholeWait = 6 * time.Millisecond

// Session is one stay with a relay.
type Session struct {
	c *relay.Client
	f Follower
	d Desk
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	closings []Event // the last few
	held     *uint64
	answered bool   // what is held has had its word
	inserted uint64 // place of the last insertion, when one was made
	pending  bool   // its outcome is not known yet
	wait     *time.Timer
}

// NewSession joins a relay's client, a follower and a desk.
func NewSession(c *relay.Client, f Follower, d Desk) *Session { return &Session{c: c, f: f, d: d} }

// Want says whether the desk has lines to add, so that the relay asks. It may
// be called from any goroutine.
func (s *Session) Want(is bool) error {
	if is {
		return s.c.Want(s.f.Before())
	}
	return s.c.Want(nil)
}

// Run follows until the relay is gone or ctx is done.
func (s *Session) Run(ctx context.Context) error {
	if s.Now == nil {
		s.Now = time.Now
	}
	notices, broken := make(chan relay.Notice, 256), make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { s.c.Close() })
	defer stop()
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		for {
			n, err := s.c.Next()
			if err != nil {
				broken <- err
				return
			}
			select {
			case notices <- n:
			case <-gone:
				return
			}
		}
	}()
	defer s.c.Close()
	s.wait = time.NewTimer(time.Hour)
	defer s.wait.Stop()
	for {
		select {
		case n := <-notices:
			if err := s.notice(n); err != nil {
				s.end("the relay is gone")
				return err
			}
		case <-s.wait.C:
			if s.held != nil && !s.answered {
				if err := s.decide(true); err != nil {
					s.end("the relay is gone")
					return err
				}
			}
		case err := <-broken:
			for len(notices) > 0 {
				_ = s.notice(<-notices) // nobody to answer any more
			}
			s.end("the relay is gone")
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("relay: %w", err)
		}
	}
}

// end tells the desk that a receipt in progress will not be followed further.
func (s *Session) end(why string) {
	if s.pending {
		// A script once taken is done to its end.
		s.pending = false
		s.d.Added(AllAdded)
	}
	s.tell(s.f.Gap(why))
}

func (s *Session) notice(n relay.Notice) error {
	switch {
	case n.Till != nil:
		return s.tell(s.f.Till(n.At, n.Till, s.Now()))
	case n.Printer != nil:
		if !n.Kept {
			return s.tell(s.f.Printer(n.Printer, s.Now()))
		}
	case n.Held != nil:
		s.held, s.answered = n.Held, false
		return s.decide(false)
	case n.Letting != nil:
		if s.held != nil && *s.held == n.Letting.At {
			if n.Letting.Why == "timer" && s.pending && s.inserted == n.Letting.At {
				s.pending = false
				s.d.Added(TooLate)
			}
			s.held = nil
		}
	case n.Done != nil:
		if s.pending && s.inserted == n.Done.At {
			s.pending = false
			switch {
			case n.Done.OK:
				s.d.Added(AllAdded)
			case n.Done.Steps == 0:
				s.d.Added(NoneAdded)
			default:
				s.d.Added(SomeAdded)
			}
		}
	}
	if n.State != nil {
		s.d.State(*n.State)
	}
	return nil
}

// tell hands events on and keeps the places where lines belong.
func (s *Session) tell(evs []Event) error {
	for _, e := range evs {
		if e.Kind != Closing {
			s.d.Heard(e)
			continue
		}
		known := false
		for i := range s.closings {
			if s.closings[i].At == e.At {
				s.closings[i], known = e, true
			}
		}
		if !known {
			s.closings = append(s.closings, e)
		}
		if len(s.closings) > 8 {
			s.closings = s.closings[1:]
		}
		if s.held == nil || *s.held != e.At {
			continue
		}
		if !s.answered {
			if err := s.decide(false); err != nil {
				return err
			}
		} else if e.Whole && e.Early != nil && s.pending && s.inserted == e.At {
			// Lines are on their way; the till need not wait for their end.
			if err := s.c.Early(e.At, *e.Early); err != nil {
				return err
			}
		}
	}
	return nil
}

// decide says the word on what is held. late: what is not there yet is not
// waited for any more.
func (s *Session) decide(late bool) error {
	at := *s.held
	i := -1
	for k := range s.closings {
		if s.closings[k].At == at {
			i = k
		}
	}
	if i < 0 {
		switch p := s.f.Place(at); {
		case p == Behind:
			s.answered = true
			return s.c.Pass(at, PassByte)
		case p == Soon && !late:
			s.wait.Reset(2 * wholeWait)
			return nil
		}
		s.answered = true
		return s.c.Go(at)
	}
	e := s.closings[i]
	if !e.Whole && !late {
		s.wait.Reset(wholeWait)
		return nil
	}
	s.answered = true
	blocks := s.d.Lines(e)
	if len(blocks) == 0 {
		return s.c.Go(at)
	}
	script, err := e.Add(blocks)
	if err != nil || len(script.Steps) == 0 {
		s.d.Added(NoneAdded)
		return errors.Join(s.c.Go(at))
	}
	s.inserted, s.pending = at, true
	if err := s.c.Insert(at, script); err != nil {
		return err
	}
	if e.Whole && e.Early != nil {
		return s.c.Early(at, *e.Early)
	}
	return nil
}
