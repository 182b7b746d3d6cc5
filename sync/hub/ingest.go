package hub

import (
	"context"
	"errors"
	"fmt"

	"github.com/tillside/tillside/sync/wire"
)

// pushed queues a batch and sees that somebody works on the queue. An idle
// session has no goroutine for it.
func (s *session) pushed(p *wire.Push) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > wire.Window {
		return errors.New("more PUSH than the window allows")
	}
	s.queue = append(s.queue, p)
	if !s.busy {
		s.busy = true
		s.wg.Go(s.ingest)
	}
	return nil
}

// joined is how many batches go to the backend in one piece. All four of the
// window would leave the till without anything to do until the answer; two
// keep both ends busy.
const joined = 2

// ingest works until the queue is empty. What has come meanwhile goes to the
// backend in one piece: one commit, one signature to check, one ACK.
func (s *session) ingest() {
	for {
		s.mu.Lock()
		n := min(len(s.queue), joined)
		queue := s.queue[:n:n]
		s.queue = s.queue[n:]
		if len(queue) == 0 || s.ctx.Err() != nil {
			s.busy = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err := s.take(queue); err != nil {
			s.cancel(err)
			s.conn.Close()
		}
	}
}

// take brings a run of batches to the backend and answers.
func (s *session) take(queue []*wire.Push) error {
	b, reply, err := s.join(queue)
	if err != nil {
		return s.fork(err, queue[len(queue)-1].Last)
	}
	if b == nil {
		s.send(reply)
		return nil
	}
	select {
	case s.h.ingest <- struct{}{}:
	case <-s.ctx.Done():
		return nil
	}
	// Not the session's context: once the backend has it, the line going
	// down must not turn a commit into a question.
	got, err := s.h.cfg.Backend.Ingest(context.WithoutCancel(s.h.ctx), b)
	<-s.h.ingest
	switch {
	case errors.Is(err, ErrWatermark):
		return s.resync()
	case err != nil:
		after := s.h.cfg.Timing.Busy
		var busy *busyError
		if errors.As(err, &busy) {
			after = busy.after
		} else if !errors.Is(err, ErrBusy) {
			s.h.cfg.Log.Error("ingest", "device", s.dev.ID, "after_seq", b.After.Seq, "error", err)
		}
		s.mu.Lock()
		s.queue = nil // the till sends them again
		s.mu.Unlock()
		s.send(&wire.Slow{AfterMS: after.Milliseconds()})
		return nil
	}
	s.acked = b.Last
	s.send(&wire.Ack{Seq: b.Last.Seq, Hash: b.Last.Hash, Parked: got.Parked})
	if n, ok := reply.(*wire.Nack); ok {
		s.send(n)
	}
	if len(got.Parked) > 0 {
		s.h.alarm(Alarm{Kind: AlarmPoison, Device: s.dev.ID, Epoch: s.dev.Epoch, Ours: b.Last,
			Theirs: wire.Head{Seq: got.Parked[0].Seq},
			Detail: fmt.Sprintf("%d records parked, the first: %s", len(got.Parked), got.Parked[0].Reason), Remote: s.remote})
	}
	return nil
}

// join checks the batches and joins what is new in them. A nil batch has a
// reply instead. The error is a fork.
func (s *session) join(queue []*wire.Push) (*Batch, wire.Frame, error) {
	b := &Batch{Device: s.dev, After: s.acked, Last: s.acked, Received: s.h.cfg.Now()}
	var reply wire.Frame
	var signed *wire.Push
	for _, p := range queue {
		if p.From > b.Last.Seq+1 {
			reply = &wire.Nack{Expected: b.Last.Seq + 1}
			break
		}
		if p.Last.Seq <= b.Last.Seq {
			if err := s.repeated(p, b); err != nil {
				return nil, nil, err
			}
			continue
		}
		signed = p
		if err := s.add(b, p); err != nil {
			return nil, nil, err
		}
	}
	if signed == nil {
		if reply == nil {
			reply = &wire.Ack{Seq: s.acked.Seq, Hash: s.acked.Hash}
		}
		return nil, reply, nil
	}
	// The chain binds all that is before the end, so one signature is enough.
	if err := wire.VerifyPush(s.dev.Key, s.dev.ID, s.dev.Epoch, signed.Last, signed.Sig); err != nil {
		return nil, nil, err
	}
	b.Sig = signed.Sig
	return b, reply, nil
}

// repeated looks at a batch that lies wholly in what the centre has.
func (s *session) repeated(p *wire.Push, b *Batch) error {
	if p.Last.Seq == b.Last.Seq {
		if p.Last.Hash != b.Last.Hash {
			return fmt.Errorf("record %d came again with another hash: %w", p.Last.Seq, wire.ErrChain)
		}
		return nil
	}
	if p.Last.Seq > s.acked.Seq {
		if it := b.Items[p.Last.Seq-s.acked.Seq-1]; it.Hash != p.Last.Hash {
			return fmt.Errorf("record %d came again with another hash: %w", p.Last.Seq, wire.ErrChain)
		}
		return nil
	}
	if hist, ok := s.h.cfg.Backend.(Historian); ok {
		ctx, cancel := context.WithTimeout(s.ctx, s.h.cfg.Timing.Hello)
		defer cancel()
		if have, found, err := hist.HashAt(ctx, s.dev.ID, s.dev.Epoch, p.Last.Seq); err == nil && found && have != p.Last.Hash {
			return fmt.Errorf("record %d came again with another hash: %w", p.Last.Seq, wire.ErrChain)
		}
	}
	return nil
}

// add appends the new records of p to b, proving the chain.
func (s *session) add(b *Batch, p *wire.Push) error {
	for i, raw := range p.Records {
		seq := p.From + uint64(i)
		hash := wire.HashOf(raw)
		if seq <= b.Last.Seq {
			// The part of an overlapping batch that is known: its last record
			// must be the one we have; the chain proves the others.
			if seq == b.Last.Seq && hash != b.Last.Hash {
				return fmt.Errorf("record %d came again with another hash: %w", seq, wire.ErrChain)
			}
			continue
		}
		it := Item{Seq: seq, Hash: hash, Raw: raw}
		rec, err := wire.DecodeRecord(raw)
		switch {
		case err == nil && (rec.Device != s.dev.ID || rec.Epoch != s.dev.Epoch):
			return fmt.Errorf("record %d is of %s/%d: %w", seq, rec.Device, rec.Epoch, wire.ErrChain)
		case err == nil:
			if err := rec.Follows(b.Last); err != nil {
				return err
			}
			it.Record = rec
			if rec.Type == wire.TypeSession {
				var st wire.SessionStart
				if wire.ReadPayload(rec, &st) == nil {
					b.SessionNo = max(b.SessionNo, st.No)
				}
			}
		default:
			// Not a record. When the front of it can be read, the chain must
			// hold all the same; the rest is for a person to look at.
			if _, _, n, prev, ok := wire.PeekSeq(raw); ok && (n != seq || prev != b.Last.Hash) {
				return fmt.Errorf("record %d: %w", seq, wire.ErrChain)
			}
			it.Problem = err.Error()
		}
		b.Items = append(b.Items, it)
		b.Last = wire.Head{Seq: seq, Hash: hash}
	}
	return nil
}

// fork alarms and ends the session.
func (s *session) fork(err error, theirs wire.Head) error {
	r := forked("%s", err)
	if errors.Is(err, wire.ErrSignature) {
		r = &wire.Refuse{Code: wire.RefuseSignature, Message: err.Error()}
	} else {
		s.h.alarm(Alarm{Kind: AlarmFork, Device: s.dev.ID, Epoch: s.dev.Epoch, Ours: s.acked, Theirs: theirs,
			Detail: err.Error(), Remote: s.remote})
	}
	s.refuse(r)
	s.waitWritten()
	return err
}

// resync reads the watermark anew after another node moved it.
func (s *session) resync() error {
	d, err := s.h.device(s.dev.ID)
	if err != nil {
		return fmt.Errorf("read watermark of %s: %w", s.dev.ID, err)
	}
	if d.State != Active || d.Epoch != s.dev.Epoch {
		return fmt.Errorf("device %s may not go on", s.dev.ID)
	}
	s.acked = d.Acked
	s.send(&wire.Ack{Seq: d.Acked.Seq, Hash: d.Acked.Hash})
	s.send(&wire.Nack{Expected: d.Acked.Seq + 1})
	return nil
}
