package linktest_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/wire"
)

var seeds = flag.Int("seeds", 0, "model test: number of seeds (0: a few)")
var seed = flag.Uint64("seed", 0, "model test: only this seed")

// agree checks that the centre has the till's journal, byte for byte, each
// record applied once, and that the sums are those the till told.
func agree(t testing.TB, c *centre, tl *till) {
	t.Helper()
	if err := disagreement(c, tl); err != nil {
		t.Fatal(err)
	}
}

func disagreement(c *centre, tl *till) error {
	var all []error
	if err := tl.Box.Verify(); err != nil {
		return err
	}
	stored := c.store.Stored(tl.id.Device, tl.id.Epoch)
	n := 0
	err := tl.Box.Each(func(seq uint64, rec []byte) error {
		n++
		if int(seq) > len(stored) || string(stored[seq-1]) != string(rec) {
			all = append(all, fmt.Errorf("record %d differs at the centre", seq))
		}
		if k := c.store.Applied(tl.id.Device, tl.id.Epoch, seq); k != 1 {
			all = append(all, fmt.Errorf("record %d was applied %d times", seq, k))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n != len(stored) {
		all = append(all, fmt.Errorf("the till has %d records, the centre %d", n, len(stored)))
	}
	sold, err := tl.Sold()
	if err != nil {
		return err
	}
	for m, p := range sold {
		if got := c.store.Balance(m); got != p {
			all = append(all, fmt.Errorf("member %s: the till told %d, the centre has %d", m, p, got))
		}
	}
	if len(all) > 3 {
		all = append(all[:3], fmt.Errorf("and %d more", len(all)-3))
	}
	return errors.Join(all...)
}

// story plays one random day: sales, cuts at any byte, resets, kills of
// either side, items down. Then the line heals, and both ends must agree.
func story(t *testing.T, seed uint64, setup func(*hubtest.Store)) error {
	r := rand.New(rand.NewPCG(seed, 1))
	c := newCentre(t, setup, nil)
	tl := newTill(t, c, 1, nil)
	tl.start()
	items, kills := 0, 0
	// Items for tills are the centre's business, not the journal's: the
	// small store does not keep them over a kill, so they are put again.
	var put []map[string]uint64
	refill := func() {
		for _, it := range put {
			if _, err := c.store.Put(wire.LaneMember, "", it); err != nil {
				t.Fatal(err)
			}
		}
	}
	for step := range 60 {
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			if err := tl.SellMany(fmt.Sprintf("m%d", r.IntN(3)), r.Int64N(100)+1, 1+r.IntN(150)); err != nil {
				t.Fatal(err)
			}
		case 4:
			if _, err := tl.Sell("m0", r.Int64N(100)); err != nil {
				t.Fatal(err)
			}
		case 5:
			tl.proxy.Reset()
		case 6:
			tl.proxy.CutAfter(r.Int64N(20_000), r.IntN(2) == 0)
			tl.proxy.Reset()
		case 7:
			tl.proxy.Heal()
		case 8:
			tl.proxy.Cut()
			if r.IntN(2) == 0 {
				tl.proxy.Heal()
			}
		case 9:
			kills++
			c.kill()
			c.start()
			refill()
			tl.proxy.Retarget(c.addr)
		case 10:
			tl.restart()
		case 11:
			for range 1 + r.IntN(50) {
				items++
				it := map[string]uint64{"n": uint64(items)}
				put = append(put, it)
				if _, err := c.store.Put(wire.LaneMember, "", it); err != nil {
					t.Fatal(err)
				}
			}
			c.hub.WakeAll(wire.LaneMember)
		}
		if step%5 == 0 {
			// Let something happen; nothing depends on how much.
			time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
		}
	}
	if kills == 0 {
		c.kill()
		c.start()
		refill()
		tl.proxy.Retarget(c.addr)
	}
	tl.proxy.Heal()
	until(t, fmt.Sprintf("seed %d: backlog drained", seed), tl.drained)
	until(t, fmt.Sprintf("seed %d: items fed", seed), func() bool {
		got, err := tl.Items(wire.LaneMember)
		return err == nil && len(got) >= items
	})
	if why := tl.ForkedBy(); why != "" {
		return fmt.Errorf("the till was told that it forked: %s", why)
	}
	if al := c.store.Alarms(); len(al) > 0 {
		return fmt.Errorf("alarm without a reason: %+v", al[0])
	}
	got, err := tl.Items(wire.LaneMember)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != items {
		return fmt.Errorf("%d items were applied, %d were put", len(got), items)
	}
	for i, it := range got {
		if want := fmt.Sprintf(`{"n":%d}`, i+1); string(it) != want {
			return fmt.Errorf("item %d is %s", i, it)
		}
	}
	return disagreement(c, tl)
}

// TestModel plays random days. Run it longer with -seeds 1000, or one again
// with -seed N.
func TestModel(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = 8
		if testing.Short() {
			n = 3
		}
	}
	first := uint64(1)
	if *seed != 0 {
		first, n = *seed, 1
	}
	for s := first; s < first+uint64(n); s++ {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			if err := story(t, s, nil); err != nil {
				t.Fatalf("seed %d: %v", s, err)
			}
		})
	}
}

// TestModelNoticesDoubles is the negative control: a centre whose watermark
// is not stored together with the records must be found out.
func TestModelNoticesDoubles(t *testing.T) {
	for s := uint64(1); s <= 5; s++ {
		found := false
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			found = story(t, s, func(st *hubtest.Store) { st.LazyWatermark = true }) != nil
		})
		if found {
			return
		}
	}
	t.Fatal("a centre that applies records twice was not noticed")
}

// TestModelNoticesLoss is the other one: a centre that confirms before it has
// synced loses records when it is killed.
func TestModelNoticesLoss(t *testing.T) {
	c := newCentre(t, func(s *hubtest.Store) { s.NoSync = true }, nil)
	tl := newTill(t, c, 1, nil)
	if err := tl.SellMany("m", 1, 50); err != nil {
		t.Fatal(err)
	}
	// Enrolled on disk, so that only the records can be lost.
	tl.start()
	until(t, "drained", tl.drained)
	tl.stop()
	c.kill()
	c.start()
	if disagreement(c, tl) == nil {
		t.Fatal("a centre that confirms what is not on disk was not noticed")
	}
}
