package follow

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/relay"
)

// Desk decides what is added to receipts. Its methods are called by one
// goroutine, in the order of the line; none may take long, since a held command
// goes on after 12 ms with or without its lines.
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
const wholeWait = 3 * time.Millisecond

// heldWait is how long what follows a close waits for the relay to ask about
// it. The question comes right behind the bytes, or not at all.
const heldWait = 20 * time.Millisecond

// Session is one stay with a relay.
type Session struct {
	c *relay.Client
	f Follower
	d Desk
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	wants    atomic.Bool
	closings []*place // the last few
	held     *uint64
	answered bool   // what is held has had its word
	inserted uint64 // place of the last insertion, when one was made
	pending  bool   // its outcome is not known yet
	wait     *time.Timer

	// What came behind a close whose lines are made is told when the relay has
	// its word: the desk books in its own time, the till waits.
	ahead   *place
	later   []Event
	patient *time.Timer
}

// place is one where lines belong.
type place struct {
	Event
	asked  bool // the desk has made lines, or none
	script *relay.Script
}

// NewSession joins a relay's client, a follower and a desk.
func NewSession(c *relay.Client, f Follower, d Desk) *Session { return &Session{c: c, f: f, d: d} }

// Want says whether the desk has lines to add, so that the relay asks. It may
// be called from any goroutine.
func (s *Session) Want(is bool) error {
	s.wants.Store(is)
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
	var wg sync.WaitGroup
	defer func() {
		close(gone)
		s.c.Close()
		wg.Wait()
	}()
	wg.Go(func() {
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
	})
	s.wait = time.NewTimer(time.Hour)
	defer s.wait.Stop()
	s.patient = time.NewTimer(time.Hour)
	defer s.patient.Stop()
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
		case <-s.patient.C:
			s.goOn(true)
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
	s.goOn(true)
	_ = s.tell(s.f.Gap(why)) // nobody to send to any more
	s.goOn(true)
}

// goOn tells what waited behind a close. unasked: the relay did not ask about
// it.
func (s *Session) goOn(unasked bool) {
	if s.ahead != nil && unasked && s.ahead.script != nil {
		s.d.Added(TooLate)
		s.ahead.script = nil
	}
	s.ahead = nil
	evs := s.later
	s.later = nil
	_ = s.tell(evs) // at worst the next notice finds the relay gone
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
		err := s.decide(false)
		if s.ahead != nil && s.ahead.At == *s.held && s.answered {
			s.goOn(false)
		}
		return err
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
	for i, e := range evs {
		if s.ahead != nil {
			s.later = append(s.later, evs[i:]...)
			return nil
		}
		if e.Kind != Closing {
			s.d.Heard(e)
			continue
		}
		c := s.closing(e.At)
		c.Event = e
		if e.Whole && !c.asked && s.wants.Load() {
			s.make(c)
			if c.script != nil && (s.held == nil || *s.held != e.At) {
				s.ahead = c
				s.patient.Reset(heldWait)
			}
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

// closing finds or makes the note of a place.
func (s *Session) closing(at uint64) *place {
	for _, c := range s.closings {
		if c.At == at {
			return c
		}
	}
	c := &place{Event: Event{At: at}}
	if s.closings = append(s.closings, c); len(s.closings) > 8 {
		s.closings = s.closings[1:]
	}
	return c
}

// make asks the desk for lines and makes their script.
func (s *Session) make(c *place) {
	c.asked = true
	blocks := s.d.Lines(c.Event)
	if len(blocks) == 0 {
		return
	}
	script, err := c.Add(blocks)
	if err != nil || len(script.Steps) == 0 {
		s.d.Added(NoneAdded)
		return
	}
	c.script = script
}

// decide says the word on what is held. late: what is not there yet is not
// waited for any more.
func (s *Session) decide(late bool) error {
	at := *s.held
	var c *place
	for _, k := range s.closings {
		if k.At == at {
			c = k
		}
	}
	if c == nil {
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
	if !c.Whole && !late {
		s.wait.Reset(wholeWait)
		return nil
	}
	s.answered = true
	if !c.asked {
		s.make(c)
	}
	if c.script == nil {
		return s.c.Go(at)
	}
	script := c.script
	c.script = nil
	s.inserted, s.pending = at, true
	if err := s.c.Insert(at, script); err != nil {
		return err
	}
	if c.Whole && c.Early != nil {
		return s.c.Early(at, *c.Early)
	}
	return nil
}
