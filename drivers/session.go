package drivers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

// Talk is what a driver does on its line. The session calls all of it from its
// one goroutine, so a driver needs no locks for what only Talk and Do touch.
type Talk struct {
	// Start sets the device up after every opening of the line. The device is
	// Ready when it returns nil, unless it called Session.Set itself. An error
	// closes the line; it is opened again after a pause.
	Start func(ctx context.Context, p *line.Port) error
	// Poll asks the device how it is, PollEvery after the last traffic. It
	// reports through Session.Set; an error does that for it.
	Poll      func(ctx context.Context, p *line.Port) error
	PollEvery time.Duration
	// Receive takes bytes that come while nothing is being asked.
	Receive func(data []byte, at time.Time)
	// Quiet is called once, QuietAfter after the last received byte.
	Quiet      func()
	QuietAfter time.Duration
	// Lost is called when the line went away.
	Lost func(err error)
	// OpenLine opens the line of devices that are no serial port or stream; nil
	// means line.Open. Env.OpenLine goes before it.
	OpenLine line.OpenFunc
}

// Session supervises one device on one line: opens it, opens it again when it
// is back, runs the driver's work on it one piece after another, and keeps the
// state. Drivers embed or hold one.
type Session struct {
	cfg  Config
	env  Env
	talk Talk

	jobs   chan *sessionJob
	ended  chan struct{}
	cancel context.CancelFunc
	opened atomic.Bool
	closed atomic.Bool

	mu    sync.Mutex
	state State
}

type sessionJob struct {
	ctx  context.Context
	op   string
	fn   func(ctx context.Context, p *line.Port) error
	done chan error
}

// Pauses before a line is opened again.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 5 * time.Second
	lookEvery  = 250 * time.Millisecond // for a local port to come back
	settle     = 200 * time.Millisecond // udev sets rights after the file appears
	openLimit  = 10 * time.Second       // some Windows ports hang in open
)

// NewSession makes a session; nothing is touched before Open.
func NewSession(cfg Config, env Env, talk Talk) *Session {
	return &Session{cfg: cfg, env: env, talk: talk, jobs: make(chan *sessionJob),
		ended: make(chan struct{}), state: State{Code: Unknown, Since: env.Time()}}
}

// String names the device for people.
func (s *Session) String() string { return s.cfg.String() }

// Config is what the device was made of.
func (s *Session) Config() Config { return s.cfg }

// Open starts the session and returns at once.
func (s *Session) Open(ctx context.Context) error {
	if s.closed.Load() || !s.opened.CompareAndSwap(false, true) {
		return &Error{Device: s.String(), Op: "open", Code: InternalFault, Err: errors.New("opened twice or after Close")}
	}
	if s.cfg.Port == "" {
		return &Error{Device: s.String(), Op: "open", Code: BadSettings, Err: errors.New("port: not set")}
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx)
	return nil
}

// Close ends the session and waits for its goroutine.
func (s *Session) Close() error {
	s.closed.Store(true)
	if !s.opened.Load() {
		s.Set(Closed, "")
		return nil
	}
	s.cancel()
	<-s.ended
	return nil
}

// Ended is closed when the session's goroutine has returned.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// State is how the device is.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.More = slices.Clone(st.More)
	return st
}

// Set tells how the device is. Nothing happens when it was so already. Only
// the session's goroutine, so Talk and Do functions, may call it.
func (s *Session) Set(code Code, detail string, more ...Code) {
	s.mu.Lock()
	old := s.state
	if old.Code == code && old.Detail == detail && slices.Equal(old.More, more) {
		s.mu.Unlock()
		return
	}
	st := State{Code: code, Since: old.Since, Detail: detail, More: slices.Clone(more)}
	if old.Code != code {
		st.Since = s.env.Time()
	}
	s.state = st
	s.mu.Unlock()
	if old.Code != code {
		log := s.env.Logger().Info
		if code.Severity() == Fault && code != Closed {
			log = s.env.Logger().Warn
		}
		log("device state changed", "device", s.cfg.Name, "port", s.cfg.Port, "state", string(code), "was", string(old.Code), "detail", detail)
	}
	if s.env.OnState != nil {
		s.env.OnState(st)
	}
}

// SetStatus tells the state from a status answer.
func (s *Session) SetStatus(st Status) {
	if len(st.Codes) == 0 {
		s.Set(st.Worst(), st.Detail)
		return
	}
	s.Set(st.Codes[0], st.Detail, st.Codes[1:]...)
}

// Do runs fn on the line when it is this call's turn and returns its error as
// an *Error. While the line is away it fails at once with the state's code.
// fn's context ends with ctx and with the session; fn must obey it.
func (s *Session) Do(ctx context.Context, op string, fn func(ctx context.Context, p *line.Port) error) error {
	if !s.opened.Load() {
		return s.wrap(op, &Error{Code: Closed, Err: errors.New("device is not open")})
	}
	job := &sessionJob{ctx: ctx, op: op, fn: fn, done: make(chan error, 1)}
	select {
	case s.jobs <- job:
	case <-s.ended:
		return s.wrap(op, &Error{Code: Closed})
	case <-ctx.Done():
		return s.wrap(op, &Error{Code: Busy, Err: ctx.Err(), Hint: "the device is still at work on something else"})
	}
	return s.wrap(op, <-job.done)
}

func (s *Session) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		c := *e
		if c.Device == "" {
			c.Device = s.String()
		}
		if c.Op == "" {
			c.Op = op
		}
		return &c
	}
	return &Error{Device: s.String(), Op: op, Code: CodeOf(err), Err: err}
}

func (s *Session) run(ctx context.Context) {
	defer close(s.ended)
	defer s.Set(Closed, "")
	defer s.cancel()
	pause := firstPause
	for ctx.Err() == nil {
		p, err := s.open(ctx)
		started := false
		if err == nil {
			started, err = s.serve(ctx, p)
			p.Close()
			if s.talk.Lost != nil {
				s.talk.Lost(err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		code := CodeOf(err)
		if code == Closed || code == "" {
			code = Absent
		}
		s.Set(code, detailOf(err))
		if started {
			pause = firstPause
		}
		s.away(ctx, code, pause, err)
		pause = min(pause*2, lastPause)
	}
}

func detailOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		if e.Err == nil {
			return ""
		}
		return e.Err.Error()
	}
	return err.Error()
}

// open opens the line without letting a hanging system call hang us.
func (s *Session) open(ctx context.Context) (*line.Port, error) {
	type result struct {
		raw line.Raw
		err error
	}
	open := s.env.OpenLine
	if open == nil {
		open = s.talk.OpenLine
	}
	if open == nil {
		open = line.Open
	}
	limit, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	got := make(chan result, 1)
	go func() {
		raw, err := open(limit, s.cfg.Port, s.cfg.Line)
		got <- result{raw, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			return nil, r.err
		}
		return line.NewPort(s.cfg.Port, r.raw, s.cfg.Line), nil
	case <-limit.Done():
		go func() { // if it opens after all, let it go
			if r := <-got; r.raw != nil {
				r.raw.Close()
			}
		}()
		return nil, fmt.Errorf("open %s: no answer from the system: %w", s.cfg.Port, line.ErrAbsent)
	}
}

// serve works on an open line until it is gone. started tells whether the
// device was set up.
func (s *Session) serve(ctx context.Context, p *line.Port) (started bool, err error) {
	if s.talk.Start != nil {
		if c := s.State().Code; c == Absent || c == Unknown {
			s.Set(Opening, "")
		}
		was := s.State()
		if err := s.talk.Start(ctx, p); err != nil {
			if p.Err() != nil && ctx.Err() == nil {
				err = p.Err()
			}
			return false, err
		}
		if now := s.State(); now.Code == was.Code && now.Since.Equal(was.Since) {
			s.Set(Ready, "")
		}
	} else {
		s.Set(Ready, "")
	}
	poll := newTimer(s.talk.PollEvery, s.talk.Poll != nil)
	defer poll.Stop()
	quiet := newTimer(s.talk.QuietAfter, false)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-p.Done():
			s.receive(p, quiet) // what came before the plug was pulled
			return true, p.Err()
		case <-p.Arrived():
			s.receive(p, quiet)
		case <-quiet.C:
			if s.talk.Quiet != nil {
				s.talk.Quiet()
			}
		case <-poll.C:
			if err := s.talk.Poll(ctx, p); err != nil && p.Err() == nil && ctx.Err() == nil {
				s.Set(CodeOf(err), detailOf(err))
			}
			poll.Reset(s.talk.PollEvery)
		case job := <-s.jobs:
			s.receive(p, quiet)
			job.done <- s.runJob(ctx, p, job)
			if s.talk.Poll != nil {
				poll.Reset(s.talk.PollEvery)
			}
		}
	}
}

func newTimer(d time.Duration, running bool) *time.Timer {
	if running && d > 0 {
		return time.NewTimer(d)
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (s *Session) receive(p *line.Port, quiet *time.Timer) {
	if s.talk.Receive == nil {
		return
	}
	if b, at := p.Take(); len(b) > 0 {
		s.talk.Receive(b, at)
		if s.talk.QuietAfter > 0 {
			quiet.Reset(s.talk.QuietAfter)
		}
	}
}

func (s *Session) runJob(ctx context.Context, p *line.Port, job *sessionJob) error {
	jctx, cancel := context.WithCancel(job.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	if err := jctx.Err(); err != nil {
		return err
	}
	return job.fn(jctx, p)
}

// away waits before the next opening and answers calls meanwhile. A local port
// that was absent is looked for, so that it is back as soon as it is plugged in.
func (s *Session) away(ctx context.Context, code Code, pause time.Duration, cause error) {
	end := time.NewTimer(pause)
	defer end.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	wasThere := true
	if there, known := line.There(s.cfg.Port); known && s.env.OpenLine == nil {
		wasThere = there
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-look.C:
			if wasThere {
				continue
			}
			if there, _ := line.There(s.cfg.Port); there {
				wasThere = true
				end.Reset(settle)
			}
		case job := <-s.jobs:
			job.done <- &Error{Code: code, Err: cause}
		}
	}
}
