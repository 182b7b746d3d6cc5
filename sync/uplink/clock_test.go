package uplink

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// TestClockEstimate plays exchanges over lines of any latency with clocks
// that stand anywhere, and checks that the true offset is always within the
// error that is told.
func TestClockEstimate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var c clock
		start := time.Now() // carries the monotonic clock
		offset := time.Duration(r.Int64N(int64(20*365*24*time.Hour))) - 10*365*24*time.Hour
		at := time.Duration(0)
		theirs := func(d time.Duration) int64 { return start.Add(d).Round(0).Add(offset).UnixMilli() }
		for range 20 {
			at += time.Duration(r.Int64N(int64(time.Hour)))
			sent := at
			up, work, down := time.Duration(r.Int64N(int64(3*time.Second))), time.Duration(r.Int64N(int64(time.Second))), time.Duration(r.Int64N(int64(3*time.Second)))
			recv := sent + up
			answer := recv + work
			at = answer + down
			c.sample(start.Add(sent), start.Add(at), theirs(recv), theirs(answer))
			e := c.estimate(start.Add(at))
			if !e.Known {
				t.Fatal("no estimate")
			}
			off := e.Now.Sub(start.Add(at).Round(0).Add(offset)).Abs()
			if off > e.Error+2*time.Millisecond {
				t.Fatalf("off by %s, told %s", off, e.Error)
			}
			if e.Error > 5*time.Second {
				t.Fatalf("error of %s", e.Error)
			}
		}
	}
}

func TestClockTakesNoNonsense(t *testing.T) {
	now := time.Now()
	ms := now.UnixMilli()
	for name, s := range map[string]struct {
		sent, received time.Time
		recv, send     int64
	}{
		"answered before it came": {now, now.Add(time.Second), ms + 10, ms},
		"worked longer than away": {now, now.Add(time.Second), ms, ms + 5000},
		"received before sent":    {now, now.Add(-time.Second), ms, ms},
		"away too long":           {now, now.Add(10 * time.Minute), ms, ms + 1},
	} {
		var c clock
		c.sample(s.sent, s.received, s.recv, s.send)
		if c.estimate(now).Known {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestGoodSampleIsKept: a slow exchange does not spoil a quick one, until
// that is so old that it is worse.
func TestGoodSampleIsKept(t *testing.T) {
	var c clock
	now := time.Now()
	c.sample(now, now.Add(2*time.Millisecond), now.UnixMilli()+1000, now.UnixMilli()+1000)
	first := c.estimate(now.Add(time.Second))
	c.sample(now.Add(time.Second), now.Add(5*time.Second), now.UnixMilli()+4000, now.UnixMilli()+4000)
	if e := c.estimate(now.Add(6 * time.Second)); e.Error > first.Error+time.Millisecond*2 {
		t.Errorf("error grew from %s to %s", first.Error, e.Error)
	}
	later := now.Add(48 * time.Hour)
	c.sample(later, later.Add(4*time.Second), later.UnixMilli()+1000, later.UnixMilli()+1000)
	if e := c.estimate(later.Add(4 * time.Second)); e.Age != 0 {
		t.Errorf("an estimate of two days ago is kept: %+v", e)
	}
}

func TestTrustClock(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	good := ClockEstimate{Known: true, Age: time.Hour}
	cases := []struct {
		name              string
		e                 ClockEstimate
		wall, last, built time.Time
		want              wire.ClockState
	}{
		{"good", good, now, now.Add(-time.Hour), now.AddDate(0, -1, 0), wire.ClockGood},
		{"nothing known of the past", good, now, time.Time{}, time.Time{}, wire.ClockGood},
		{"a week old", ClockEstimate{Known: true, Age: TrustFor + time.Minute}, now, now, time.Time{}, wire.ClockAged},
		{"no estimate", ClockEstimate{}, now, now, time.Time{}, wire.ClockUntrusted},
		{"back four minutes", good, now, now.Add(4 * time.Minute), time.Time{}, wire.ClockGood},
		{"back an hour", good, now, now.Add(time.Hour), time.Time{}, wire.ClockUntrusted},
		{"1970", good, time.Unix(100, 0), now, time.Time{}, wire.ClockUntrusted},
		{"before the program was built", good, now, time.Time{}, now.AddDate(0, 1, 0), wire.ClockUntrusted},
	}
	for _, tc := range cases {
		if got := TrustClock(tc.e, tc.wall, tc.last, tc.built); got != tc.want {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
}

// TestReturnIsSpread plays 500 tills that lost the centre at the same moment
// and get it back after some time: how many come in the worst second, and how
// long the last one takes.
func TestReturnIsSpread(t *testing.T) {
	timing := Timing{}.withDefaults()
	for _, outage := range []time.Duration{time.Second, time.Minute, time.Hour, 7 * 24 * time.Hour} {
		arrivals := map[int]int{}
		last := time.Duration(0)
		for i := range 500 {
			s := &Session{cfg: Config{Random: rand.New(rand.NewPCG(uint64(i), 9)), Timing: timing}}
			at := time.Duration(0)
			for attempt := 0; ; attempt++ {
				at += s.jitter(backoff(timing, attempt))
				if at >= outage {
					break
				}
			}
			arrivals[int((at-outage)/time.Second)]++
			last = max(last, at-outage)
		}
		worst := 0
		for _, n := range arrivals {
			worst = max(worst, n)
		}
		t.Logf("after %s: at most %d in a second, all there after %s", outage, worst, last.Round(time.Second))
		limit := 20
		if outage < 2*time.Minute {
			limit = 500 // the bounds have not grown yet; the hub's own limits hold
		}
		if worst > limit {
			t.Errorf("after %s: %d tills in one second", outage, worst)
		}
		if last > timing.RetryMax {
			t.Errorf("after %s: the last comes %s later", outage, last)
		}
	}
}
