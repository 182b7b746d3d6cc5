package faults

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// wrongClock is a till's wall clock that can be set; it has no monotonic part,
// so that a jump is seen as such.
type wrongClock struct{ off atomic.Int64 }

func (c *wrongClock) set(off time.Duration) { c.off.Store(int64(off)) }
func (c *wrongClock) now() time.Time        { return time.Now().Round(0).Add(time.Duration(c.off.Load())) }

// clockTill is an agent in this process, under a clock of ours.
type clockTill struct {
	shop
	clock *wrongClock
	agent *agent.Agent
	stop  func()
}

func (c *clockTill) open() {
	c.t.Helper()
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = c.dir, "127.0.0.1:0"
	a, err := agent.Open(agent.Options{Settings: s, Version: "test", Log: slog.New(slog.DiscardHandler), Check: examine, Now: c.clock.now,
		Timing: uplink.Timing{RetryMin: time.Millisecond, RetryMax: 50 * time.Millisecond}})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }()
	c.agent, c.addr = a, "http://"+a.Addr().String()
	c.stop = func() {
		c.http.CloseIdleConnections()
		cancel()
		<-done
		if err := a.Close(); err != nil {
			c.t.Error(err)
		}
	}
	until(c.t, "the agent answers", func() bool { return c.status().Mode != "" })
}

// TestClockJumps (F7): years ahead, years back, an hour back at night, 1970
// after a dead battery, a jump between hold and capture; with the link and
// without, over restarts and in between. Nothing is lost, nothing happens
// twice, records stay in order, and without a trusted clock no points are
// spent.
func TestClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	o := newHeadOffice(t)
	link, err := linktest.Listen(o.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	c := &clockTill{shop: shop{t: t, tmp: scratch(t), http: newClient()}, clock: &wrongClock{}}
	c.dir = filepath.Join(c.tmp, "data")
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.token = folder(t, c.dir, "ws://"+link.Addr()+wire.SyncPath)
	n := 0
	spend := func(jump time.Duration) (held bool, why string) {
		n++
		id := fmt.Sprintf("S%03d", n)
		status, answer := c.do("authorise", id, "/v1/receipts/"+id+"/authorise", fmt.Sprintf(`{"currency":"GBP","member":%q,"spend":"1","lines":[{"sku":"1","quantity":"1","price":"9.90"}]}`, c.identify(cards[n%3])))
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		c.clock.set(time.Duration(c.clock.off.Load()) + jump) // between hold and capture
		if status, answer := c.do("capture", id, "/v1/receipts/"+id+"/capture", `{"shift":"S1"}`); status != http.StatusOK {
			t.Errorf("%d %s", status, answer)
		}
		return strings.Contains(answer, `"hold"`), answer
	}
	sell := func() {
		n++
		id := fmt.Sprintf("C%03d", n)
		if status, answer := c.do("capture", id, "/v1/receipts/"+id+"/capture", fmt.Sprintf(`{"shift":"S1","receipt":{"currency":"GBP","member":%q,"lines":[{"sku":"1","quantity":"1","price":"7.10"}]}}`, c.identify(cards[n%3]))); status != http.StatusOK {
			t.Errorf("%d %s", status, answer)
		}
	}
	online := func() { until(t, "the link is up", func() bool { return c.status().Mode == "online" }) }

	jumps := map[string]time.Duration{"ten years ahead": 10 * year, "ten years back": -10 * year, "an hour back at night": -time.Hour,
		"1970 after a dead battery": -time.Since(time.Unix(0, 0))}
	told := 0
	for name, off := range jumps {
		// A good day with the centre, then a restart without it under a wrong clock.
		c.clock.set(0)
		link.Heal()
		c.open()
		online()
		if held, why := spend(0); !held {
			t.Errorf("before %s: no points spent online: %.300s", name, why)
		}
		sell()
		c.stop()
		link.Cut()
		c.clock.set(off)
		c.open()
		sell()
		held, why := spend(0)
		if held {
			t.Errorf("%s: points held without the centre", name)
		}
		if off < 0 && !strings.Contains(why, "clock_untrusted") {
			t.Errorf("%s: the clock is trusted: %.400s", name, why)
		}
		// The centre comes back: its time is known, whatever the clock shows.
		link.Heal()
		online()
		if held, why := spend(off); !held {
			t.Errorf("%s, with the centre: no points spent: %.400s", name, why)
		}
		sell()
		c.clock.set(-off) // and in mid-run
		sell()
		until(t, "the centre has all", func() bool { st := c.status(); return st.Journal.Acked == st.Journal.Seq })
		c.stop()
		told++
	}
	// Under the right clock again, everything that was told is there.
	c.clock.set(0)
	j := job{Dir: c.dir, Token: c.token, Asked: len(c.calls), Told: len(c.calls), Whole: true}
	bad := 0
	if err := j.verify(c.calls); err != nil {
		bad++
		t.Error(err)
	}
	if a := o.store.Alarms(); len(a) > 0 {
		bad++
		t.Errorf("alarm: %+v", a[0])
	}
	if t.Failed() {
		bad = max(bad, 1)
	}
	did := fmt.Sprintf("%d wrong clocks, over restarts, in mid-run and between hold and capture: %d calls", told, len(c.calls))
	rows.add("F7", "clock ten years ahead or back, an hour back, 1970", did, bad)
	t.Log(did)
}
