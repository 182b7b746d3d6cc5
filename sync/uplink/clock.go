package uplink

import (
	"sync"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// ClockEstimate is what the till knows of the centre's time. The machine's
// clock is never set.
type ClockEstimate struct {
	Known  bool
	Offset time.Duration // centre's time minus the machine's wall clock when it was taken
	Error  time.Duration // the true offset is within ± this
	Age    time.Duration // since it was taken, by the monotonic clock
	Now    time.Time     // the centre's time, by the monotonic clock from then on; zero when not known
}

// clock keeps the best estimate. The centre's time is carried forward by the
// monotonic clock, so a jump of the machine's wall clock does not touch it.
type clock struct {
	mu     sync.Mutex
	known  bool
	at     time.Time // machine's clock with monotonic part, when taken
	theirs time.Time
	err    time.Duration
}

// drift is how much an estimate may go wrong by itself: 200 parts in a
// million, ten times a cheap quartz.
const drift = 200

// sample takes the four times of an exchange: sent and received here, received
// and sent there (centre's Unix milliseconds).
func (c *clock) sample(sent, received time.Time, recvMS, sendMS int64) {
	rtt := received.Sub(sent) - time.Duration(sendMS-recvMS)*time.Millisecond
	if sendMS < recvMS || rtt < 0 || received.Sub(sent) > time.Minute {
		return
	}
	theirs := time.UnixMilli(sendMS).Add(rtt / 2)
	e := rtt/2 + time.Millisecond
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		age := received.Sub(c.at)
		if age >= 0 && e > c.err+age*drift/1_000_000 {
			return // what we have is better even at its age
		}
	}
	c.known, c.at, c.theirs, c.err = true, received, theirs, e
}

func (c *clock) estimate(now time.Time) ClockEstimate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return ClockEstimate{}
	}
	age := max(now.Sub(c.at), 0)
	return ClockEstimate{
		Known: true, Age: age, Error: c.err + age*drift/1_000_000,
		Offset: c.theirs.Sub(c.at.Round(0)), Now: c.theirs.Add(age),
	}
}

// TrustFor is how long an estimate is good; after that it is aged.
const TrustFor = 7 * 24 * time.Hour

// BackMost is how far the wall clock may stand behind the last time seen
// before it is not trusted any more.
const BackMost = 5 * time.Minute

// TrustClock decides the state of a till's clock. last is the latest time
// that is known to have been (newest record, last estimate), built the
// program's build time; zero values are not looked at.
func TrustClock(e ClockEstimate, wall, last, built time.Time) wire.ClockState {
	switch {
	case !e.Known,
		!last.IsZero() && wall.Before(last.Add(-BackMost)),
		!built.IsZero() && wall.Before(built):
		return wire.ClockUntrusted
	case e.Age > TrustFor:
		return wire.ClockAged
	}
	return wire.ClockGood
}
