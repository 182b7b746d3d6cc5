package agent

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// clockwork knows what time it is and how far that is to be trusted. The
// machine's clock is never set.
type clockwork struct {
	now    func() time.Time
	up     func() time.Duration
	boot   string
	bundle func() int64

	mu    sync.Mutex
	last  time.Time            // latest wall time written into a record
	kept  uplink.ClockEstimate // from before the restart
	taken time.Time            // wall time of it
	live  func() uplink.ClockEstimate
	state wire.ClockState
}

// keyClock is where the last estimate is kept over a restart.
const keyClock = "clock"

type keptClock struct {
	OffsetMS int64     `json:"offset_ms"`
	Taken    time.Time `json:"taken"`
	Last     time.Time `json:"last"`
}

// load reads the estimate of an earlier run.
func (c *clockwork) load(j *store.Journal) error {
	return j.View(func(tx *store.Tx) error {
		var k keptClock
		if b := tx.Meta(keyClock); b == nil || json.Unmarshal(b, &k) != nil {
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.kept = uplink.ClockEstimate{Known: !k.Taken.IsZero(), Offset: time.Duration(k.OffsetMS) * time.Millisecond}
		c.taken, c.last = k.Taken, k.Last
		return nil
	})
}

// save keeps the estimate.
func (c *clockwork) save(j *store.Journal) error {
	c.mu.Lock()
	e, last := c.estimate(), c.last
	c.mu.Unlock()
	k := keptClock{OffsetMS: e.Offset.Milliseconds(), Last: last}
	if e.Known {
		k.Taken = c.now().Add(-e.Age)
	}
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return j.Update(func(tx *store.Tx) error { return tx.SetMeta(keyClock, b) })
}

// estimate is the running one, or the kept one aged by the wall clock; c.mu is
// held.
func (c *clockwork) estimate() uplink.ClockEstimate {
	if c.live != nil {
		if e := c.live(); e.Known {
			return e
		}
	}
	e := c.kept
	if e.Known {
		if e.Age = c.now().Sub(c.taken); e.Age < 0 {
			e.Age = 0
		}
	}
	return e
}

// trust judges the clock now and tells whether that changed, and from what.
func (c *clockwork) trust() (state, before wire.ClockState, offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.estimate()
	before, state = c.state, uplink.TrustClock(e, c.now(), c.last, time.Time{})
	c.state = state
	return state, before, e.Offset
}

// stamp is written into every record.
func (c *clockwork) stamp() outbox.Stamp {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	state := uplink.TrustClock(c.estimate(), now, c.last, time.Time{})
	if now.After(c.last) {
		c.last = now
	}
	return outbox.Stamp{Wall: now, MonoMS: c.up().Milliseconds(), Boot: c.boot, Clock: state, Bundle: c.bundle()}
}

// trusted is the time where it may be trusted, otherwise zero.
func (c *clockwork) trusted() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	e := c.estimate()
	if uplink.TrustClock(e, now, c.last, time.Time{}) == wire.ClockUntrusted {
		return time.Time{}
	}
	return now.Add(e.Offset)
}

// randomID is the name of a run where the system has none for its boot.
func randomID() string {
	b := make([]byte, 8)
	rand.Read(b)
	return "run-" + hex.EncodeToString(b)
}
