package hub

import (
	"context"
	"slices"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// lane is where a till stands in one stream.
type lane struct {
	name    wire.Lane
	sent    uint64    // cursor after the last FEED that was sent
	acked   uint64    // cursor the till has on disk
	told    uint64    // of that, what the backend was told
	dirty   bool      // there may be something after sent
	off     bool      // the till does not know this lane
	blocked time.Time // not before; after a failure
}

// dirty marks lanes; none means all.
func (s *session) dirty(lanes []wire.Lane) {
	s.mu.Lock()
	for i := range s.lanes {
		if len(lanes) == 0 || slices.Contains(lanes, s.lanes[i].name) {
			s.lanes[i].dirty = true
		}
	}
	s.mu.Unlock()
	s.kick()
}

// nextFeed asks the backend for the most urgent thing there is. Without one
// it tells how long until it makes sense to look again; below zero: when
// somebody wakes us. It is called by the writer alone.
func (s *session) nextFeed() (*wire.Feed, time.Duration) {
	for {
		now := time.Now()
		wait := time.Duration(-1)
		s.mu.Lock()
		at := -1
		if s.pending < feedWindow {
			for i := range s.lanes {
				l := &s.lanes[i]
				if l.off || !l.dirty {
					continue
				}
				if d := l.blocked.Sub(now); d > 0 {
					if wait < 0 || d < wait {
						wait = d
					}
					continue
				}
				at = i
				break
			}
		}
		var l lane
		if at >= 0 {
			l = s.lanes[at]
			s.lanes[at].dirty = false // set again by whoever comes meanwhile
		}
		s.mu.Unlock()
		if at < 0 {
			return nil, wait
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.h.cfg.Timing.Hello)
		f, err := s.h.cfg.Backend.Feed(ctx, s.dev, l.name, l.sent, feedItems, feedBytes)
		cancel()
		if err != nil {
			if s.ctx.Err() == nil {
				s.h.cfg.Log.Error("read feed", "device", s.dev.ID, "lane", string(l.name), "after", l.sent, "error", err)
			}
			s.laneFailed(l.name)
			continue
		}
		if f == nil || (len(f.Items) == 0 && f.Upto == f.After && !f.Reset) {
			continue
		}
		f.Lane = l.name
		s.mu.Lock()
		cur := &s.lanes[at]
		if cur.sent != l.sent {
			// A FEEDNACK moved the lane while the backend was reading.
			cur.dirty = true
			s.mu.Unlock()
			continue
		}
		cur.sent = f.Upto
		cur.dirty = true // there may be more
		s.pending++
		s.moved = now
		s.mu.Unlock()
		return f, -1
	}
}

// laneFailed blocks a lane for a while; the others go on.
func (s *session) laneFailed(name wire.Lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.lanes {
		if l := &s.lanes[i]; l.name == name {
			l.sent = l.acked
			l.dirty = true
			l.blocked = time.Now().Add(s.h.cfg.Timing.FeedRetry)
		}
	}
}

func (s *session) feedAcked(f *wire.FeedAck) {
	s.mu.Lock()
	s.pending = max(s.pending-1, 0)
	s.moved = time.Now()
	moved := false
	for i := range s.lanes {
		if l := &s.lanes[i]; l.name == f.Lane && f.Cursor <= l.sent {
			l.acked, moved = f.Cursor, true
		}
	}
	if moved && !s.reporting {
		s.reporting = true
		s.wg.Go(s.report)
	}
	s.mu.Unlock()
	s.kick()
}

// report tells the backend what the till has, the latest of each lane, until
// there is nothing new to tell.
func (s *session) report() {
	for {
		s.mu.Lock()
		var l *lane
		for i := range s.lanes {
			if s.lanes[i].acked != s.lanes[i].told {
				l = &s.lanes[i]
				break
			}
		}
		if l == nil || s.ctx.Err() != nil {
			s.reporting = false
			s.mu.Unlock()
			return
		}
		name, cursor := l.name, l.acked
		l.told = cursor
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.ctx, s.h.cfg.Timing.Hello)
		if err := s.h.cfg.Backend.FeedAcked(ctx, s.dev, name, cursor); err != nil && s.ctx.Err() == nil {
			s.h.cfg.Log.Warn("note feed cursor", "device", s.dev.ID, "lane", string(name), "error", err)
		}
		cancel()
	}
}

func (s *session) feedNacked(f *wire.FeedNack) {
	s.h.cfg.Log.Info("feed not taken", "device", s.dev.ID, "lane", string(f.Lane), "cursor", f.Cursor, "reason", f.Reason)
	s.mu.Lock()
	s.pending = max(s.pending-1, 0)
	s.moved = time.Now()
	for i := range s.lanes {
		l := &s.lanes[i]
		if l.name != f.Lane {
			continue
		}
		switch f.Reason {
		case wire.FeedUnknown:
			l.off = true
		case wire.FeedElsewhere:
			l.sent, l.acked, l.dirty = f.Cursor, f.Cursor, true
		default:
			l.sent, l.acked, l.dirty = f.Cursor, f.Cursor, true
			l.blocked = time.Now().Add(s.h.cfg.Timing.FeedRetry)
		}
	}
	s.mu.Unlock()
	s.kick()
}
