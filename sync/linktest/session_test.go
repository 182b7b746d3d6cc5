package linktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

func TestRecordsGoUpAndItemsComeDown(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	for i := range 250 {
		if _, err := tl.Sell("m", int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1200 {
		if _, err := c.store.Put(wire.LaneMember, "", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	tl.start()
	until(t, "backlog drained", tl.drained)
	agree(t, c, tl)
	until(t, "members fed", func() bool { return c.store.FedUpTo(tl.id.Device, wire.LaneMember) == 1200 })
	items, err := tl.Items(wire.LaneMember)
	if err != nil || len(items) != 1200 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for i, it := range items {
		var v struct{ N int }
		if json.Unmarshal(it, &v) != nil || v.N != i {
			t.Fatalf("item %d is %s", i, it)
		}
	}
	// A sale while online goes up by itself, a new item comes down by itself.
	if _, err := tl.Sell("m", 7); err != nil {
		t.Fatal(err)
	}
	until(t, "sale arrived", tl.drained)
	agree(t, c, tl)
	if _, err := c.store.Put(wire.LaneUrgent, "", wire.UrgentItem{Do: wire.UrgentStop, Member: "m"}); err != nil {
		t.Fatal(err)
	}
	c.hub.Wake(tl.id.Device, wire.LaneUrgent)
	until(t, "urgent item fed", func() bool { return c.store.FedUpTo(tl.id.Device, wire.LaneUrgent) == 1 })
	if st := tl.sess.State(); st.Phase != uplink.Online || !st.Clock.Known || st.Queued != 0 {
		t.Errorf("state %+v", st)
	}
	if seen := c.store.Seen(); len(seen) != 1 || !seen[0].Online || seen[0].Agent != "test" {
		t.Errorf("presence %+v", seen)
	}
}

func TestPoisonIsParkedAndBlocksNothing(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	for range 5 {
		if _, err := tl.Sell("m", 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tl.Poison(); err != nil {
		t.Fatal(err)
	}
	if _, err := tl.Write("TYPE_OF_THE_FUTURE", "", 0, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := tl.Sell("m", 1); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "drained", tl.drained)
	agree(t, c, tl)
	parked, err := tl.Box.Parked()
	if err != nil || len(parked) != 2 || parked[0].Seq != 6 || parked[1].Seq != 7 || parked[0].Reason != "cannot be applied" {
		t.Errorf("parked %+v, %v", parked, err)
	}
	if got := c.store.Parked(tl.id.Device); len(got) != 2 {
		t.Errorf("parked at the centre %+v", got)
	}
	if al := c.store.Alarms(); len(al) != 1 || al[0].Kind != hub.AlarmPoison {
		t.Errorf("alarms %+v", al)
	}
}

func TestAskAnswersWithinBudget(t *testing.T) {
	c := newCentre(t, func(s *hubtest.Store) {
		s.Asked = func(d hub.Device, what string, body json.RawMessage) (any, error) {
			switch what {
			case wire.AskHoldWhat:
				var q wire.AskHold
				if err := json.Unmarshal(body, &q); err != nil {
					return nil, err
				}
				return wire.AnswerHold{Granted: true, Points: q.Points}, nil
			case wire.AskMemberWhat:
				return nil, errors.New("the database is away")
			}
			return nil, &hub.AskError{Code: wire.AnswerUnknown, Err: errors.New(what)}
		}
	}, nil)
	tl := newTill(t, c, 1, nil)
	tl.start()
	ctx := context.Background()
	until(t, "online", func() bool { return tl.sess.State().Phase == uplink.Online })
	a, err := tl.sess.AskHold(ctx, wire.AskHold{Hold: "h", Member: "m", Points: "12.50"})
	if err != nil || !a.Granted || a.Points != "12.50" {
		t.Fatalf("%+v %v", a, err)
	}
	var coded *uplink.AnswerError
	if _, err := tl.sess.AskMember(ctx, wire.AskMember{Member: "m"}); !errors.As(err, &coded) || coded.Code != wire.AnswerInternal {
		t.Errorf("answer %v", err)
	}
	if err := tl.sess.Ask(ctx, "weather", nil, &struct{}{}); !errors.As(err, &coded) || coded.Code != wire.AnswerUnknown {
		t.Errorf("answer %v", err)
	}
	tl.proxy.Cut()
	until(t, "offline", func() bool { return tl.sess.State().Phase != uplink.Online })
	if _, err := tl.sess.AskHold(ctx, wire.AskHold{}); !errors.Is(err, uplink.ErrOffline) {
		t.Errorf("ask while offline: %v", err)
	}
}

// TestWakeWhileGreeting wakes a till between its registration and WELCOME:
// nothing may be written before WELCOME is.
func TestWakeWhileGreeting(t *testing.T) {
	var woken atomic.Pointer[hub.Hub]
	id := uplinktest.DeviceID(1)
	c := newCentre(t, nil, func(cfg *hub.Config) {
		cfg.Now = func() time.Time { // the hub looks at the clock just before it writes WELCOME
			if h := woken.Load(); h != nil {
				h.Wake(id)
				time.Sleep(2 * time.Millisecond) // a chance to be wrong
			}
			return time.Now()
		}
	})
	woken.Store(c.hub)
	tl := newTill(t, c, 1, nil)
	for i := range 100 {
		if _, err := c.store.Put(wire.LaneMember, "", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tl.SellMany("m", 1, 20); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "drained", tl.drained)
	agree(t, c, tl)
	if n := tl.proxy.Dials(); n != 1 {
		t.Errorf("%d connections for one session", n)
	}
}
