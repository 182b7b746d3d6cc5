package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/internal/wsconn"
	"github.com/tillside/tillside/sync/wire"
)

// session is one till that has proved who it is.
type session struct {
	h        *Hub
	conn     *wsconn.Conn
	dev      Device
	body     *wire.HelloBody // until run
	agent    string
	boot     string
	bundle   int64
	theirs   wire.Head // end of the till's journal as HELLO told
	remote   string
	no       uint64
	skew     time.Duration
	evidence bool

	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{}
	wg     sync.WaitGroup

	mu        sync.Mutex
	out       []wire.Frame // to be written before any feed
	pumping   bool         // the writer runs
	again     bool         // it has something more to look at
	open      bool         // WELCOME is written: a writer may be started
	ended     bool         // no writer is started any more
	ping      bool         // a ping is due
	timer     *time.Timer  // for the next ping
	retry     *time.Timer  // for a lane that is blocked; nil: none
	poll      *time.Timer  // for Timing.FeedPoll; nil: never
	last      *wire.Refuse // to be written, then the session ends
	queue     []*wire.Push // waiting for the ingester
	busy      bool         // the ingester runs
	acked     wire.Head    // where the centre stands; the ingester's alone after start
	asks      int          // being answered
	lanes     []lane       // in order of urgency
	pending   int          // FEED messages without an answer
	moved     time.Time    // when a FEED was sent or answered
	reporting bool         // report runs
}

// Bounds of one session.
const (
	maxOut     = 512 // frames waiting for the writer
	feedWindow = 2   // FEED messages without an answer
	feedItems  = 500 // items asked of the backend for one FEED
	feedBytes  = 256 << 10
)

func newSession(h *Hub, c *wsconn.Conn, b *wire.HelloBody, dev Device, remote string, evidence bool) *session {
	s := &session{h: h, conn: c, dev: dev, body: b, agent: b.Agent, boot: b.Boot, bundle: b.Bundle, theirs: b.Last, remote: remote, acked: dev.Acked, evidence: evidence,
		done: make(chan struct{})}
	for _, l := range wire.Lanes {
		cur := b.Cursors[string(l)]
		s.lanes = append(s.lanes, lane{name: l, sent: cur, acked: cur, told: cur, dirty: true})
	}
	s.ctx, s.cancel = context.WithCancelCause(h.ctx)
	return s
}

// run stays until the session ends, and leaves nothing behind.
func (s *session) run() {
	if !s.evidence {
		s.presence(true, "")
	}
	s.body = nil // of no more use, and ten thousand of them are something
	t := s.h.cfg.Timing
	s.mu.Lock()
	s.open = true
	s.timer = time.AfterFunc(t.Ping, s.pingDue)
	if t.FeedPoll > 0 && !s.evidence {
		s.poll = time.AfterFunc(t.FeedPoll, s.pollDue)
	}
	s.mu.Unlock()
	s.send(wire.Grease(rand.Uint32()))
	err := s.read()
	s.cancel(err)
	s.conn.Close()
	s.mu.Lock()
	s.ended = true
	for _, t := range []*time.Timer{s.timer, s.retry, s.poll} {
		if t != nil {
			t.Stop()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause
	}
	s.h.cfg.Log.Info("session ended", "device", s.dev.ID, "session_no", s.no, "acked_seq", s.acked.Seq, "reason", err)
	if !s.evidence {
		s.presence(false, err.Error())
	}
	s.h.unregister(s)
	close(s.done)
}

func (s *session) pingDue() {
	s.mu.Lock()
	s.ping = true
	s.mu.Unlock()
	s.kick()
}

func (s *session) presence(online bool, reason string) {
	p := Presence{Device: s.dev.ID, Epoch: s.dev.Epoch, Online: online, At: s.h.cfg.Now(), Remote: s.remote,
		SessionNo: s.no, Agent: s.agent, Boot: s.boot, Bundle: s.bundle, Last: s.theirs,
		Cursors: map[wire.Lane]uint64{}, ClockSkew: s.skew, Reason: reason}
	s.mu.Lock()
	for _, l := range s.lanes {
		p.Cursors[l.name] = l.acked
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.h.ctx), s.h.cfg.Timing.Hello)
	defer cancel()
	s.h.cfg.Backend.Presence(ctx, p)
}

// pollDue looks at all lanes without having been woken.
func (s *session) pollDue() {
	s.dirty(nil)
	s.mu.Lock()
	if !s.ended {
		s.poll.Reset(s.h.cfg.Timing.FeedPoll)
	}
	s.mu.Unlock()
}

// read hands out what comes. It never waits for the backend.
func (s *session) read() error {
	for {
		f, err := s.conn.Read()
		if err != nil {
			if errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrTooLarge) {
				s.refuse(&wire.Refuse{Code: wire.RefuseMalformed, Message: err.Error()})
				s.waitWritten()
			}
			return err
		}
		switch f := f.(type) {
		case *wire.Push:
			if s.evidence {
				return errors.New("PUSH in an evidence session")
			}
			if err := s.pushed(f); err != nil {
				return err
			}
		case *wire.Evidence:
			if err := s.evidenced(f); err != nil {
				return err
			}
		case *wire.FeedAck:
			s.feedAcked(f)
		case *wire.FeedNack:
			s.feedNacked(f)
		case *wire.Ask:
			s.asked(f)
		case *wire.TimeAsk:
			now := s.h.cfg.Now().UnixMilli()
			s.send(&wire.TimeIs{AskMS: f.SendMS, RecvMS: now, SendMS: now})
		case *wire.Bye:
			if f.Reason == wire.ByeFork {
				s.h.alarm(Alarm{Kind: AlarmReported, Device: s.dev.ID, Epoch: s.dev.Epoch, Ours: s.dev.Acked,
					Theirs: s.theirs, Detail: "the till says that its journal and the centre's differ", Remote: s.remote})
			}
			return fmt.Errorf("the till said goodbye: %.80q", f.Reason)
		case *wire.Unknown:
		default:
			return fmt.Errorf("the till sent %s in a session", f.Kind())
		}
	}
}

// send queues a frame for the writer.
func (s *session) send(f wire.Frame) {
	s.mu.Lock()
	if len(s.out) >= maxOut {
		s.mu.Unlock()
		s.cancel(errors.New("the till asks more than it reads"))
		s.conn.Close()
		return
	}
	s.out = append(s.out, f)
	s.mu.Unlock()
	s.kick()
}

// kick has the writer look at what there is. An idle session has no writer:
// it is started for the occasion, and ends when there is nothing left.
func (s *session) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = true
	if !s.pumping && s.open && !s.ended {
		s.pumping = true
		s.wg.Go(s.pump)
	}
}

func (s *session) pump() {
	for {
		s.mu.Lock()
		if !s.again || s.ended {
			s.pumping = false
			s.mu.Unlock()
			return
		}
		s.again = false
		s.mu.Unlock()
		if err := s.write(); err != nil {
			s.cancel(err)
			s.conn.Close()
			return // pumping stays: nobody writes on a dead connection
		}
	}
}

// refuse ends the session with a word.
func (s *session) refuse(r *wire.Refuse) {
	s.mu.Lock()
	if s.last == nil {
		s.last = r
	}
	s.mu.Unlock()
	s.kick()
}

// waitWritten gives the writer a moment to say the last word before the
// reader's end closes the connection.
func (s *session) waitWritten() {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-s.ctx.Done():
	case <-t.C:
	}
}

// write is the only place that writes frames: first what is queued, then
// feeds by urgency, until there is nothing left.
func (s *session) write() error {
	for {
		s.mu.Lock()
		out, last, ping := s.out, s.last, s.ping
		s.out, s.ping = nil, false
		late := s.pending > 0 && time.Since(s.moved) > s.h.cfg.Timing.FeedWait
		s.mu.Unlock()
		for _, f := range out {
			if err := s.conn.Write(f); err != nil {
				return err
			}
		}
		if last != nil {
			_ = s.conn.Write(last)
			_ = s.conn.Goodbye()
			return last
		}
		if ping {
			if late {
				return errors.New("the till does not answer its feed")
			}
			if err := s.conn.Ping(); err != nil {
				return err
			}
			s.mu.Lock()
			s.timer.Reset(s.h.cfg.Timing.Ping)
			s.mu.Unlock()
		}
		if s.evidence {
			return nil
		}
		f, wait := s.nextFeed()
		if f == nil {
			if wait >= 0 {
				s.mu.Lock()
				if s.retry == nil {
					s.retry = time.AfterFunc(wait, s.kick)
				} else {
					s.retry.Reset(wait)
				}
				s.mu.Unlock()
			}
			return nil
		}
		if err := s.conn.Write(f); err != nil {
			if !errors.Is(err, wire.ErrTooLarge) {
				return err
			}
			s.h.cfg.Log.Error("feed too large", "device", s.dev.ID, "lane", string(f.Lane), "after", f.After)
			s.mu.Lock()
			s.pending = max(s.pending-1, 0) // it was never sent
			s.mu.Unlock()
			s.laneFailed(f.Lane)
		}
	}
}

// asked answers a question beside everything else.
func (s *session) asked(q *wire.Ask) {
	if s.evidence {
		s.send(&wire.Answer{ID: q.ID, Error: wire.AnswerRefused})
		return
	}
	s.mu.Lock()
	full := s.asks >= s.h.cfg.AsksPerTill
	if !full {
		s.asks++
	}
	s.mu.Unlock()
	if full {
		s.send(&wire.Answer{ID: q.ID, Error: wire.AnswerBusy})
		return
	}
	s.wg.Go(func() {
		budget := s.h.cfg.Timing.Ask
		if d := time.Duration(q.BudgetMS) * time.Millisecond; d > 0 && d < budget {
			budget = d
		}
		ctx, cancel := context.WithTimeout(s.ctx, budget)
		defer cancel()
		a := &wire.Answer{ID: q.ID}
		v, err := s.h.cfg.Backend.Ask(ctx, s.dev, q.What, q.Body)
		if err == nil {
			a.Body, err = wire.AskBody(v)
		}
		if err != nil {
			a.Error = wire.AnswerInternal
			var coded *AskError
			if errors.As(err, &coded) {
				a.Error = coded.Code
			} else {
				s.h.cfg.Log.Error("answer question", "device", s.dev.ID, "what", q.What, "error", err)
			}
		}
		s.mu.Lock()
		s.asks--
		s.mu.Unlock()
		s.send(a)
	})
}

// evidenced keeps what a forked till brings.
func (s *session) evidenced(f *wire.Evidence) error {
	keeper, ok := s.h.cfg.Backend.(EvidenceKeeper)
	if !s.evidence || !ok {
		return errors.New("EVIDENCE in an ordinary session")
	}
	if err := keeper.KeepEvidence(s.ctx, s.dev, f.From, f.Records, f.End); err != nil {
		return fmt.Errorf("keep evidence of %s: %w", s.dev.ID, err)
	}
	a := &wire.Ack{Seq: f.From + uint64(len(f.Records))}
	if a.Seq > 0 {
		a.Seq--
	}
	s.send(a)
	return nil
}
