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

	built time.Time // of this program; zero: not known

	mu    sync.Mutex
	last  time.Time            // latest time that is known to have been, by the centre's clock
	kept  uplink.ClockEstimate // the last one there was, over restarts too
	taken time.Time            // wall time of it
	live  func() uplink.ClockEstimate
	state wire.ClockState
	saved time.Time // when the estimate was written down in this run
}

// keyClock is where the last estimate is kept over a restart.
const keyClock = "clock"

type keptClock struct {
	OffsetMS int64     `json:"offset_ms"`
	Taken    time.Time `json:"taken"`
	Last     time.Time `json:"last"`
}

// load reads the estimate of an earlier run, and when the newest record was
// written: after a power cut that is later than what was kept.
func (c *clockwork) load(j *store.Journal) error {
	var newest time.Time
	if box := j.Box(); box != nil {
		st, err := box.Stats()
		if err != nil {
			return err
		}
		newest = st.Newest
	}
	return j.View(func(tx *store.Tx) error {
		var k keptClock
		if b := tx.Meta(keyClock); b == nil || json.Unmarshal(b, &k) != nil {
			k = keptClock{}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.kept = uplink.ClockEstimate{Known: !k.Taken.IsZero(), Offset: time.Duration(k.OffsetMS) * time.Millisecond}
		c.taken, c.last = k.Taken, k.Last
		if newest = newest.Add(c.kept.Offset); c.kept.Known && newest.After(c.last) {
			c.last = newest
		}
		return nil
	})
}

// save keeps the estimate.
func (c *clockwork) save(j *store.Journal) error {
	c.mu.Lock()
	c.judge(c.now())
	k := keptClock{OffsetMS: c.kept.Offset.Milliseconds(), Last: c.last}
	if c.kept.Known {
		k.Taken = c.taken
	}
	c.mu.Unlock()
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return j.Update(func(tx *store.Tx) error { return tx.SetMeta(keyClock, b) })
}

// saveEvery is how often a running estimate is written down.
const saveEvery = 10 * time.Minute

// due tells, once, that there is an estimate worth writing down.
func (c *clockwork) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil || !c.live().Known {
		return false
	}
	now := c.now()
	if !c.saved.IsZero() && now.Sub(c.saved).Abs() < saveEvery {
		return false
	}
	c.saved = now
	return true
}

// judge tells what time it is by the centre's clock and how far that is to be
// trusted; c.mu is held.
//
// While the centre has been heard of in this run, its time goes on by the
// monotonic clock, and the machine's wall clock may jump as it likes. Before
// that there is only the wall clock and how far it was off when the centre was
// last heard of: it is believed as long as it does not fall behind what is
// known to have been.
func (c *clockwork) judge(now time.Time) (at time.Time, state wire.ClockState) {
	if c.live != nil {
		if e := c.live(); e.Known {
			at = e.Now
			c.kept, c.taken = uplink.ClockEstimate{Known: true, Offset: at.Sub(now.Round(0)), Error: e.Error, Age: e.Age}, now.Add(-e.Age)
			c.last = at // and not the latest of both: a wrong day is corrected here
			return at, uplink.TrustClock(e, at, time.Time{}, time.Time{})
		}
	}
	e := c.kept
	if e.Known {
		e.Age = max(now.Round(0).Sub(c.taken.Round(0)), 0)
	}
	at = now.Add(e.Offset)
	state = uplink.TrustClock(e, at, c.last, c.built)
	if state != wire.ClockUntrusted && at.After(c.last) {
		c.last = at
	}
	return at, state
}

// trust judges the clock now and tells whether that changed, and from what.
func (c *clockwork) trust() (state, before wire.ClockState, offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.state
	_, c.state = c.judge(c.now())
	return c.state, before, c.kept.Offset
}

// stamp is written into every record.
func (c *clockwork) stamp() outbox.Stamp {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	_, state := c.judge(now)
	if now.Year() < 1970 || now.Year() > 9999 { // no clock at all; a record says so in its clock state
		now = time.Unix(0, 0)
	}
	return outbox.Stamp{Wall: now, MonoMS: c.up().Milliseconds(), Boot: c.boot, Clock: state, Bundle: c.bundle()}
}

// trusted is the time where it may be trusted, otherwise zero.
func (c *clockwork) trusted() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	at, state := c.judge(now)
	if state == wire.ClockUntrusted {
		return time.Time{}
	}
	return at.In(now.Location())
}

// best is the time as well as it is known.
func (c *clockwork) best() time.Time {
	if at := c.trusted(); !at.IsZero() {
		return at
	}
	return c.now()
}

// randomID is the name of a run where the system has none for its boot.
func randomID() string {
	b := make([]byte, 8)
	rand.Read(b)
	return "run-" + hex.EncodeToString(b)
}
