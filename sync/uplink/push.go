package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// pusher sends the journal and stores what is acknowledged.
type pusher struct {
	l      *link
	sent   wire.Head // last record on the way
	flight []flight  // batches without an answer, oldest first
	acked  wire.Head // last place confirmed
	stored wire.Head // of that, what the journal knows
	parked []wire.Parked
	window int
	bytes  int // raw bytes in one batch; follows what the line can take
	repeat int // NACKs still to come for batches sent behind a gap
	slow   time.Time
}

type flight struct {
	last wire.Head
	at   time.Time
}

const (
	firstBytes = 32 << 10
	leastBytes = 4 << 10
	quickAck   = 500 * time.Millisecond
	lateAck    = 2 * time.Second
)

// push is the link's goroutine for the way up. start is where the centre
// stands.
func (l *link) push(start wire.Head, window int) error {
	p := &pusher{l: l, sent: start, acked: start, window: window, bytes: firstBytes}
	var err error
	if p.stored, err = l.s.cfg.Outbox.Acked(); err != nil {
		return err
	}
	err = p.loop()
	// What was acknowledged is stored even when the link is gone; were it
	// lost, WELCOME would tell it again.
	if e := p.store(); err == nil {
		err = e
	}
	return err
}

func (p *pusher) loop() error {
	box := p.l.s.cfg.Outbox
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// Take the signal before looking: what is written in between is seen
		// either way.
		changed := box.Changed()
		more, err := p.fill(box)
		if err != nil {
			return err
		}
		if more {
			changed = nil
		}
		wake := time.Hour
		if p.acked != p.stored {
			if len(p.flight) == 0 {
				if err := p.store(); err != nil {
					return err
				}
			} else {
				wake = p.l.s.cfg.Timing.Ack
			}
		}
		if d := time.Until(p.slow); d > 0 {
			wake = min(wake, d)
		}
		if len(p.flight) > 0 {
			left := time.Until(p.flight[0].at.Add(p.l.s.cfg.Timing.Answer))
			if left <= 0 {
				return fmt.Errorf("the centre did not answer the batch up to %d", p.flight[0].last.Seq)
			}
			wake = min(wake, left)
		}
		timer.Reset(wake)
		select {
		case <-p.l.ctx.Done():
			return nil
		case <-changed:
		case f := <-p.l.acks:
			if err := p.take(f); err != nil {
				return err
			}
			for p.drain(&err) {
			}
			if err != nil {
				return err
			}
		case <-timer.C:
			if p.acked != p.stored {
				if err := p.store(); err != nil {
					return err
				}
			}
		}
	}
}

// drain takes what else has come, without waiting.
func (p *pusher) drain(err *error) bool {
	select {
	case f := <-p.l.acks:
		*err = p.take(f)
		return *err == nil
	default:
		return false
	}
}

// fill sends batches while the window is open. more tells that records are
// left which it did not allow.
func (p *pusher) fill(box *outbox.Box) (more bool, err error) {
	for {
		if len(p.flight) >= p.window || time.Now().Before(p.slow) {
			return true, nil
		}
		b, err := box.Read(p.sent, wire.BatchRecords, p.bytes)
		if err != nil {
			return false, fmt.Errorf("read journal: %w", err)
		}
		if len(b.Records) == 0 {
			return false, nil
		}
		id := p.l.id
		f := &wire.Push{From: b.From, Records: b.Records, Last: b.Last,
			Sig: wire.SignPush(p.l.s.cfg.Key, id.Device, id.Epoch, b.Last)}
		select {
		case p.l.bulk <- f:
		case <-p.l.ctx.Done():
			return false, nil
		}
		p.flight = append(p.flight, flight{b.Last, time.Now()})
		p.sent = b.Last
	}
}

func (p *pusher) take(f wire.Frame) error {
	switch f := f.(type) {
	case *wire.Ack:
		return p.ack(f)
	case *wire.Nack:
		return p.nack(f)
	case *wire.Slow:
		d := min(max(time.Duration(f.AfterMS)*time.Millisecond, 0), 10*time.Minute)
		p.slow = time.Now().Add(d + p.l.s.jitter(d/2))
		// What was in flight is not answered; it is sent again.
		p.flight, p.sent, p.repeat = nil, p.acked, 0
	}
	return nil
}

func (p *pusher) ack(a *wire.Ack) error {
	p.parked = append(p.parked, a.Parked...)
	if len(p.parked) > 10_000 {
		return errors.New("the centre parks more than was sent")
	}
	if a.Seq < p.acked.Seq {
		return nil
	}
	if a.Seq > p.sent.Seq {
		// After SLOW or a NACK the centre may confirm what was sent before.
		p.sent = wire.Head{Seq: a.Seq, Hash: a.Hash}
	}
	own, err := p.hashOf(a.Seq)
	if err != nil {
		return err
	}
	if own != a.Hash {
		p.bye()
		return fmt.Errorf("%w: the centre confirms another record %d", outbox.ErrFork, a.Seq)
	}
	p.acked = wire.Head{Seq: a.Seq, Hash: a.Hash}
	p.repeat = 0
	p.l.progress.Store(true)
	for len(p.flight) > 0 && p.flight[0].last.Seq <= a.Seq {
		took := time.Since(p.flight[0].at)
		switch {
		case took < quickAck:
			p.bytes = min(p.bytes*2, wire.BatchBytes)
		case took > lateAck:
			p.bytes = max(p.bytes/2, leastBytes)
		}
		p.flight = p.flight[1:]
	}
	return nil
}

func (p *pusher) hashOf(seq uint64) (wire.Hash, error) {
	for _, f := range p.flight {
		if f.last.Seq == seq {
			return f.last.Hash, nil
		}
	}
	own, err := p.l.s.cfg.Outbox.HashAt(seq)
	if errors.Is(err, outbox.ErrDamaged) {
		if head, e := p.l.s.cfg.Outbox.Head(); e == nil && seq > head.Seq {
			p.bye()
			return own, fmt.Errorf("%w: the centre confirms %d, the journal ends at %d", outbox.ErrFork, seq, head.Seq)
		}
	}
	return own, err
}

// nack goes back to where the centre stands. Each batch that was sent behind
// the gap is answered by a NACK of its own; those are expected.
func (p *pusher) nack(n *wire.Nack) error {
	if p.repeat > 0 && n.Expected == p.acked.Seq+1 {
		p.repeat--
		return nil
	}
	if n.Expected == 0 || n.Expected > p.sent.Seq+1 {
		return fmt.Errorf("the centre wants %d, nothing beyond %d was sent", n.Expected, p.sent.Seq)
	}
	own, err := p.l.s.cfg.Outbox.HashAt(n.Expected - 1)
	if err != nil {
		return err
	}
	p.repeat = max(len(p.flight)-1, 0)
	p.acked = wire.Head{Seq: n.Expected - 1, Hash: own}
	p.sent, p.flight = p.acked, nil
	return nil
}

func (p *pusher) bye() {
	select {
	case p.l.urgent <- &wire.Bye{Reason: wire.ByeFork}:
	default:
	}
}

// store writes what was confirmed into the journal.
func (p *pusher) store() error {
	if p.acked == p.stored && len(p.parked) == 0 {
		return nil
	}
	if p.acked.Seq < p.stored.Seq && len(p.parked) == 0 {
		// The centre has less than it once confirmed (it came back from a
		// backup). The journal remembers the farther place; sending goes on
		// from the nearer one.
		return nil
	}
	if err := p.l.s.cfg.Outbox.Ack(p.acked, p.parked); err != nil {
		return err
	}
	p.parked = nil
	p.stored = p.acked
	if len(p.flight) == 0 {
		p.l.s.tell()
	}
	return nil
}

func (s *Session) wantsEvidence() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forkKnown && !s.evidence
}

// bringEvidence sends the whole journal, one message at a time, to be kept
// aside by the centre.
func (s *Session) bringEvidence(ctx context.Context, c frameConn) error {
	var err error
	after := wire.Head{}
	st, err := s.cfg.Outbox.Stats()
	if err != nil {
		return err
	}
	if st.First > 1 {
		h, err := s.cfg.Outbox.HashAt(st.First - 1)
		if err != nil {
			return err
		}
		after = wire.Head{Seq: st.First - 1, Hash: h}
	}
	for ctx.Err() == nil {
		b, err := s.cfg.Outbox.Read(after, wire.BatchRecords, wire.BatchBytes)
		if err != nil {
			return fmt.Errorf("read journal for the centre: %w", err)
		}
		end := len(b.Records) == 0
		if err := c.Write(&wire.Evidence{From: b.From, Records: b.Records, End: end}); err != nil {
			return err
		}
		if err := awaitAck(c); err != nil {
			return err
		}
		if end {
			s.mu.Lock()
			s.evidence = true
			s.mu.Unlock()
			return &wire.Refuse{Code: wire.RefuseFork, Message: "the centre has this till's journal; enrol the till again"}
		}
		after = b.Last
	}
	return ctx.Err()
}

type frameConn interface {
	Write(wire.Frame) error
	Read() (wire.Frame, error)
}

func awaitAck(c frameConn) error {
	for range 16 {
		f, err := c.Read()
		if err != nil {
			return err
		}
		switch f := f.(type) {
		case *wire.Ack:
			return nil
		case *wire.Refuse:
			return f
		}
	}
	return errors.New("the centre does not confirm what it keeps")
}
