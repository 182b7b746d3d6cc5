package uplink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

var (
	// ErrOffline is returned by Ask when there is no session, or the running
	// one has not answered lately.
	ErrOffline = errors.New("the centre cannot be asked now")
	// ErrNoAnswer is returned by Ask when the budget was over before the
	// answer came. The centre may have done what was asked.
	ErrNoAnswer = errors.New("the centre did not answer in time")
	// ErrOutcomeUnknown is wrapped by Applier.Apply when a commit failed: the
	// session ends, and the next one reads the cursors from disk.
	ErrOutcomeUnknown = errors.New("outcome of the commit is not known")
	// ErrCursors is wrapped by Applier.Apply when it has applied the items and
	// moved the cursor of another lane as well: the next session begins with the
	// cursors as they are on disk.
	ErrCursors = errors.New("cursors of other lanes have changed")
)

// AnswerError is the centre's refusal to answer a question.
type AnswerError struct{ Code string } // wire.AnswerUnknown, …

func (e *AnswerError) Error() string { return "the centre answered: " + e.Code }

// Session keeps a till in touch with the centre. Make one with New and give
// it a goroutine with Run.
type Session struct {
	cfg   Config
	clock clock

	mu        sync.Mutex
	state     State
	live      *link // nil: offline
	forkKnown bool  // found in this run; the next session offers the journal
	evidence  bool  // the centre has that journal

	rmu sync.Mutex // guards cfg.Random
}

// New checks the settings. It touches neither network nor disk.
func New(cfg Config) (*Session, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Session{cfg: cfg, state: State{Phase: Stopped, Since: cfg.Now()}}, nil
}

// Run keeps the session until ctx ends, and returns after all of its
// goroutines did. The error is that of ctx.
func (s *Session) Run(ctx context.Context) error {
	defer s.setPhase(Stopped, nil, time.Time{})
	wait := s.jitter(s.cfg.Timing.RetryMin) // a shop's tills start together after a power cut
	for attempt := 0; ; attempt++ {
		if !s.pause(ctx, wait) {
			return ctx.Err()
		}
		s.setPhase(Connecting, nil, time.Time{})
		progress, err := s.connect(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if progress {
			attempt = 0
		}
		phase := Waiting
		wait = s.jitter(backoff(s.cfg.Timing, attempt))
		var refuse *wire.Refuse
		if errors.As(err, &refuse) {
			if refuse.Permanent() {
				phase = Refused
			}
			if refuse.Code == wire.RefuseFork {
				phase = Forked
				s.forked(ctx, refuse.Message)
			}
			// A forked till comes back soon once, to bring its journal.
			if !s.wantsEvidence() {
				wait = max(wait, s.afterRefuse(refuse))
			}
		}
		if errors.Is(err, outbox.ErrFork) {
			phase = Forked
			s.forked(ctx, err.Error())
		}
		s.cfg.Log.Info("session ended", "error", errText(err), "attempt", attempt, "again_in", wait.Round(time.Millisecond).String())
		s.setPhase(phase, err, s.cfg.Now().Add(wait))
	}
}

// backoff is the upper bound of the wait before an attempt.
func backoff(t Timing, attempt int) time.Duration {
	d := t.RetryMin
	for range attempt {
		if d *= 2; d >= t.RetryMax {
			return t.RetryMax
		}
	}
	return d
}

// jitter is a random time below d ("full jitter"): many tills that lost the
// centre at the same moment come back spread over all of d.
func (s *Session) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.random(func(r *rand.Rand) uint64 { return r.Uint64N(uint64(d)) }))
}

func (s *Session) random(f func(*rand.Rand) uint64) uint64 {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	return f(s.cfg.Random)
}

// afterRefuse is the least wait after a refusal.
func (s *Session) afterRefuse(r *wire.Refuse) time.Duration {
	after := min(max(time.Duration(r.AfterMS)*time.Millisecond, 0), time.Hour)
	if r.Permanent() && after == 0 {
		after = s.cfg.Timing.RetryMax / 2
	}
	return after + s.jitter(after)
}

func (s *Session) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *Session) forked(ctx context.Context, reason string) {
	s.mu.Lock()
	s.forkKnown = true
	s.mu.Unlock()
	if err := s.cfg.Applier.Forked(ctx, reason); err != nil {
		s.cfg.Log.Error("remember fork", "error", err)
	}
}

// State tells how the uplink stands. It reads the queue from the journal.
func (s *Session) State() State {
	s.mu.Lock()
	st := s.state
	s.mu.Unlock()
	st.Clock = s.clock.estimate(s.cfg.Now())
	if stats, err := s.cfg.Outbox.Stats(); err == nil {
		st.Queued, st.Parked = stats.Queued, stats.Parked
	}
	return st
}

// Clock is the estimate of the centre's time.
func (s *Session) Clock() ClockEstimate { return s.clock.estimate(s.cfg.Now()) }

func (s *Session) setPhase(p Phase, err error, next time.Time) {
	s.mu.Lock()
	now := s.cfg.Now()
	if s.state.Phase != p {
		s.state.Since = now
	}
	s.state.Phase = p
	s.state.Next = next
	switch {
	case p == Online:
		s.state.Connected, s.state.LastError, s.state.Attempts = now, "", 0
	case p == Connecting:
		s.state.Attempts++
	case err != nil:
		s.state.LastError = err.Error()
	}
	s.mu.Unlock()
	s.tell()
}

func (s *Session) tell() {
	if s.cfg.OnState != nil {
		s.cfg.OnState(s.State())
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Ask puts a question to the centre and decodes the answer into out. It takes
// at most Timing.AskBudget, or less when ctx ends sooner. ErrOffline comes at
// once when there is no session; after a question that got no answer, further
// ones fail at once until the centre is heard of again, so that a customer
// waits for a dead line only once.
func (s *Session) Ask(ctx context.Context, what string, body, out any) error {
	return s.ask(ctx, what, body, out, s.cfg.Timing.AskBudget)
}

func (s *Session) ask(ctx context.Context, what string, body, out any, budget time.Duration) error {
	s.mu.Lock()
	l := s.live
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("ask %s: %w", what, ErrOffline)
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	a, err := l.ask(ctx, what, body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", what, err)
	}
	if a.Error != "" {
		return fmt.Errorf("ask %s: %w", what, &AnswerError{Code: a.Error})
	}
	if err := wire.ReadAnswer(a, out); err != nil {
		return fmt.Errorf("ask %s: %w", what, err)
	}
	return nil
}

// AskHold asks for points to be held. After ErrNoAnswer the caller must write
// a VOID record for the hold id.
func (s *Session) AskHold(ctx context.Context, q wire.AskHold) (wire.AnswerHold, error) {
	var a wire.AnswerHold
	err := s.Ask(ctx, wire.AskHoldWhat, q, &a)
	return a, err
}

// AskMember asks for the fresh snapshot of a member.
func (s *Session) AskMember(ctx context.Context, q wire.AskMember) (wire.AnswerMember, error) {
	var a wire.AnswerMember
	err := s.Ask(ctx, wire.AskMemberWhat, q, &a)
	return a, err
}

// ReceiptBudget is how long AskReceipt waits: goods that come back have more
// time than a sale.
const ReceiptBudget = 2 * time.Second

// AskReceipt asks for a sale of any till and for what came back of it.
func (s *Session) AskReceipt(ctx context.Context, q wire.AskReceipt) (wire.AnswerReceipt, error) {
	var a wire.AnswerReceipt
	err := s.ask(ctx, wire.AskReceiptWhat, q, &a, max(ReceiptBudget, s.cfg.Timing.AskBudget))
	return a, err
}

// Answers tells whether a question would be sent: there is a session, and it
// has not left the last question without an answer.
func (s *Session) Answers() bool {
	s.mu.Lock()
	l := s.live
	s.mu.Unlock()
	return l != nil && l.doubt.Load() == 0
}
