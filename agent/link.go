package agent

import (
	"context"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// link is the way to the centre as the till sees it. The session behind it
// changes when the journal had to be opened again.
type link struct {
	budget time.Duration
	now    func() time.Time
	queue  func() (queued uint64, parked int, oldest time.Time)

	mu      sync.RWMutex
	session *uplink.Session
	since   time.Time // of the mode
	online  bool
	lost    time.Time // when the last link ended; zero: there was none
}

func (l *link) set(s *uplink.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
}

func (l *link) get() *uplink.Session {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.session
}

// phase takes note of the session's phase and tells whether the mode changed.
func (l *link) phase(p uplink.Phase) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	on := p == uplink.Online
	if on == l.online {
		return false
	}
	l.online, l.since = on, l.now()
	if !on {
		l.lost = l.since
	}
	return true
}

// contact is what contact.online wants to know.
func (l *link) contact() (bool, time.Time) {
	l.mu.RLock()
	lost := l.lost
	l.mu.RUnlock()
	return l.Online(), lost
}

// Online implements till.Link. A session that left a question without an
// answer is as good as none until the centre is heard again: a till that
// priced as if it could ask would promise what it cannot hold.
func (l *link) Online() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.online && l.session != nil && l.session.Answers()
}

// Status implements till.Link.
func (l *link) Status() till.LinkStatus {
	l.mu.RLock()
	st := till.LinkStatus{Mode: "offline", Since: l.since.UTC().Truncate(time.Millisecond), Phase: string(uplink.Stopped)}
	if l.online {
		st.Mode = "online"
	}
	s := l.session
	l.mu.RUnlock()
	if s != nil {
		u := s.State()
		st.Phase, st.LastError, st.Centre = string(u.Phase), u.LastError, u.Central
		if !u.Connected.IsZero() {
			at := u.Connected.UTC().Truncate(time.Millisecond)
			st.Connected = &at
		}
	}
	var oldest time.Time
	st.Queued, st.Parked, oldest = l.queue()
	if !oldest.IsZero() {
		oldest = oldest.UTC()
		st.Oldest = &oldest
	}
	return st
}

// AskMember implements till.Link.
func (l *link) AskMember(ctx context.Context, ref wire.Ref) (*wire.AnswerMember, error) {
	s := l.get()
	if s == nil {
		return nil, uplink.ErrOffline
	}
	ctx, cancel := context.WithTimeout(ctx, l.budget)
	defer cancel()
	a, err := s.AskMember(ctx, wire.AskMember{Ref: ref})
	return &a, err
}

// AskHold implements till.Link.
func (l *link) AskHold(ctx context.Context, ask wire.AskHold) (*wire.AnswerHold, error) {
	s := l.get()
	if s == nil {
		return nil, uplink.ErrOffline
	}
	// The caller may hang up; the question is then still answered or timed
	// out, so that the hold is known either way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.budget)
	defer cancel()
	a, err := s.AskHold(ctx, ask)
	return &a, err
}

// AskReceipt implements till.Link.
func (l *link) AskReceipt(ctx context.Context, ask wire.AskReceipt) (*wire.AnswerReceipt, error) {
	s := l.get()
	if s == nil {
		return nil, uplink.ErrOffline
	}
	a, err := s.AskReceipt(ctx, ask)
	return &a, err
}
