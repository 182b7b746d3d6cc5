package linktest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

var everyByte = flag.Bool("every-byte", false, "cut a session at every byte instead of every 29th")

// TestCutAtEveryByte ends a session after each number of bytes, in both
// directions together, and lets the next one finish the work.
func TestCutAtEveryByte(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	step := int64(29)
	if *everyByte {
		step = 1
	}
	const whole = 3_500 // a session with two sales has about so many bytes
	for n := int64(0); n < whole; n += step {
		if err := tl.SellMany("m", n+1, 2); err != nil {
			t.Fatal(err)
		}
		dials := tl.proxy.Dials()
		tl.proxy.CutAfter(n, true)
		tl.start()
		until(t, "tried", func() bool { return tl.proxy.Dials() > dials+1 || tl.drained() })
		tl.proxy.Heal()
		until(t, fmt.Sprintf("drained after a cut at byte %d", n), tl.drained)
		tl.stop()
	}
	agree(t, c, tl)
	if al := c.store.Alarms(); len(al) > 0 {
		t.Errorf("alarm without a reason: %+v", al[0])
	}
}

// TestMessagesInAnyOrder loses, repeats, holds back and breaks at the level
// of messages.
func TestMessagesInAnyOrder(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var mu sync.Mutex
			r := rand.New(rand.NewPCG(seed, 2))
			var calm atomic.Bool
			c := newCentre(t, nil, func(cfg *hub.Config) {
				cfg.Timing.Hello, cfg.Timing.FeedWait = 150*time.Millisecond, 150*time.Millisecond
				cfg.Timing.Ping = 50 * time.Millisecond
			})
			m, err := linktest.ListenMessages(c.addr, func(up bool, f wire.Frame) linktest.Fate {
				if calm.Load() {
					return linktest.Pass
				}
				mu.Lock()
				defer mu.Unlock()
				switch r.IntN(14) {
				case 0:
					return linktest.Lose
				case 1, 2:
					return linktest.Repeat
				case 3, 4:
					return linktest.Hold
				case 5:
					if r.IntN(4) == 0 {
						return linktest.Break
					}
				}
				return linktest.Pass
			})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			tl := newTill(t, c, 1, func(cfg *uplink.Config) {
				cfg.Timing.Hello, cfg.Timing.Answer = 150*time.Millisecond, 150*time.Millisecond
			})
			tl.url = "ws://" + m.Addr()
			items := 0
			for range 30 {
				items++
				if _, err := c.store.Put(wire.LaneMember, "", map[string]int{"n": items}); err != nil {
					t.Fatal(err)
				}
			}
			tl.start()
			for range 25 {
				if err := tl.SellMany("m", r2(&mu, r, 50), int(r2(&mu, r, 130))); err != nil {
					t.Fatal(err)
				}
				items++
				if _, err := c.store.Put(wire.LaneMember, "", map[string]int{"n": items}); err != nil {
					t.Fatal(err)
				}
				c.hub.WakeAll()
				time.Sleep(3 * time.Millisecond)
			}
			calm.Store(true)
			until(t, "drained", tl.drained)
			until(t, "fed", func() bool { got, err := tl.Items(wire.LaneMember); return err == nil && len(got) == items })
			agree(t, c, tl)
			if al := c.store.Alarms(); len(al) > 0 {
				t.Errorf("alarm without a reason: %+v", al[0])
			}
			if tl.ForkedBy() != "" {
				t.Errorf("forked: %s", tl.ForkedBy())
			}
		})
	}
}

func r2(mu *sync.Mutex, r *rand.Rand, n int64) int64 {
	mu.Lock()
	defer mu.Unlock()
	return 1 + r.Int64N(n)
}

func TestSlowCentreIsSentLess(t *testing.T) {
	var left atomic.Int64
	left.Store(5)
	c := newCentre(t, func(s *hubtest.Store) {
		s.Fail = func(*hub.Batch) error {
			switch n := left.Add(-1); {
			case n == 3:
				return errors.New("the disk is full")
			case n > 0:
				return hub.Busy(5 * time.Millisecond)
			}
			return nil
		}
	}, nil)
	tl := newTill(t, c, 1, nil)
	if err := tl.SellMany("m", 1, 700); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "drained", tl.drained)
	agree(t, c, tl)
	if n := tl.proxy.Dials(); n != 1 {
		t.Errorf("%d connections for one session", n)
	}
}

func TestFeedThatCannotBeStoredComesAgain(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	var fails atomic.Int64
	fails.Store(3)
	tl.Refuse = func(f *wire.Feed) error {
		if f.Lane == wire.LaneMember && fails.Add(-1) >= 0 {
			return errors.New("no space")
		}
		return nil
	}
	for i := range 1300 {
		if _, err := c.store.Put(wire.LaneMember, "", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.store.Put("lane_of_the_future", "", 1); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "fed", func() bool { return c.store.FedUpTo(tl.id.Device, wire.LaneMember) == 1300 })
	items, err := tl.Items(wire.LaneMember)
	if err != nil || len(items) != 1300 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestUrgentGoesFirst(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	var mu sync.Mutex
	var order []wire.Lane
	tl.Refuse = func(f *wire.Feed) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, f.Lane)
		return nil
	}
	for i := range 3000 {
		if _, err := c.store.Put(wire.LaneMember, "", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []wire.Lane{wire.LaneCommand, wire.LaneRulebook, wire.LaneLease, wire.LaneUrgent} {
		if _, err := c.store.Put(l, "", map[string]string{"lane": string(l)}); err != nil {
			t.Fatal(err)
		}
	}
	tl.start()
	until(t, "fed", func() bool { return c.store.FedUpTo(tl.id.Device, wire.LaneCommand) == 1 })
	mu.Lock()
	defer mu.Unlock()
	want := []wire.Lane{wire.LaneUrgent, wire.LaneLease, wire.LaneRulebook, wire.LaneMember, wire.LaneMember}
	for i, l := range want {
		if order[i] != l {
			t.Fatalf("order %v", order)
		}
	}
}

// TestSilenceIsNoticed drops everything without closing: both ends must find
// out by themselves, and a new session must work meanwhile.
func TestSilenceIsNoticed(t *testing.T) {
	for _, way := range []struct {
		name     string
		up, down bool
	}{{"both ways", true, true}, {"up only", true, false}, {"down only", false, true}} {
		t.Run(way.name, func(t *testing.T) {
			c := newCentre(t, nil, func(cfg *hub.Config) {
				cfg.Timing.ReadLimit, cfg.Timing.Ping = 600*time.Millisecond, 100*time.Millisecond
			})
			tl := newTill(t, c, 1, func(cfg *uplink.Config) {
				cfg.Timing.ReadLimit, cfg.Timing.Ping = 600*time.Millisecond, 100*time.Millisecond
				cfg.Timing.AskBudget = 50 * time.Millisecond
			})
			tl.start()
			until(t, "online", func() bool { return tl.sess.State().Phase == uplink.Online })
			tl.proxy.Silence(way.up, way.down)
			if err := tl.SellMany("m", 3, 5); err != nil {
				t.Fatal(err)
			}
			until(t, "drained over a new session", tl.drained)
			agree(t, c, tl)
			until(t, "the centre has dropped the old one", func() bool {
				ends := 0
				for _, p := range c.store.Seen() {
					if !p.Online {
						ends++
					}
				}
				return ends >= 1
			})
			if al := c.store.Alarms(); len(al) > 0 {
				t.Errorf("alarm without a reason: %+v", al[0])
			}
		})
	}
}

// TestAskOnDeadLine: the first customer waits for the budget, the next ones
// do not wait at all.
func TestAskOnDeadLine(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, func(cfg *uplink.Config) { cfg.Timing.AskBudget = 30 * time.Millisecond })
	tl.start()
	until(t, "online", func() bool { return tl.sess.State().Phase == uplink.Online })
	tl.proxy.Silence(true, true)
	if _, err := tl.sess.AskHold(context.Background(), wire.AskHold{Hold: "h"}); !errors.Is(err, uplink.ErrNoAnswer) {
		t.Fatalf("first: %v", err)
	}
	for range 100 {
		if _, err := tl.sess.AskHold(context.Background(), wire.AskHold{Hold: "h"}); !errors.Is(err, uplink.ErrOffline) {
			t.Fatalf("later: %v", err)
		}
	}
}

// TestLeftoverSessionGivesWay: the till came back before the centre noticed
// that the old line is dead.
func TestLeftoverSessionGivesWay(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	tl.start()
	until(t, "online", func() bool { return tl.sess.State().Phase == uplink.Online })
	tl.proxy.Silence(true, true)
	tl.stop()
	if err := tl.SellMany("m", 3, 5); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "drained", tl.drained)
	agree(t, c, tl)
	if al := c.store.Alarms(); len(al) > 0 {
		t.Errorf("alarm without a reason: %+v", al[0])
	}
}
