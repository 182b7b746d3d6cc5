package linktest_test

import (
	"crypto/ed25519"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
)

var backlog = flag.Int("backlog", 20_000, "backlog test: records; 30 days are 60,000")

// TestBacklogInFlatMemory drains 30 days of 2,000 receipts while the till
// goes on selling, and looks at the memory of both ends together.
func TestBacklogInFlatMemory(t *testing.T) {
	records := *backlog
	if testing.Short() {
		records = min(records, 6_000)
	}
	c := newCentre(t, func(s *hubtest.Store) { s.Forget = true }, nil)
	tl := newTill(t, c, 1, nil)
	tl.url = "ws://" + c.addr
	fill(t, tl, records)
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	before, most := heap(), 0.0
	began := time.Now()
	tl.start()
	sales, slowest := 0, time.Duration(0)
	until(t, "drained", func() bool {
		at := time.Now()
		if _, err := tl.Sell("m", 1); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(at))
		sales++
		if sales%20 == 0 {
			most = max(most, heap()-before)
		}
		a, err := tl.Box.Acked()
		return err == nil && a.Seq >= uint64(records)
	})
	took := time.Since(began)
	t.Logf("%d records in %s (%.0f/s), %d sales meanwhile, the slowest %s; heap grew by at most %.1f MiB",
		records, took.Round(time.Millisecond), float64(records)/took.Seconds(), sales, slowest.Round(time.Millisecond), most)
	if most > 24 {
		t.Errorf("heap grew by %.1f MiB", most)
	}
	until(t, "the sales too", tl.drained)
	if err := tl.Box.Verify(); err != nil {
		t.Error(err)
	}
	if got, _ := tl.Sold(); c.store.Balance("m") != got["m"] {
		t.Errorf("the till told %d, the centre has %d", got["m"], c.store.Balance("m"))
	}
}

var herd = flag.Int("tills", 60, "herd test: tills that come back at once")

// TestHerd is many tills that come back at the same moment.
func TestHerd(t *testing.T) {
	tills := *herd
	if testing.Short() {
		tills = min(tills, 40)
	}
	var now, peak atomic.Int64
	c := newCentre(t, func(s *hubtest.Store) {
		s.Fail = func(*hub.Batch) error {
			peak.Store(max(peak.Load(), now.Add(1)))
			defer now.Add(-1)
			return nil
		}
	}, func(cfg *hub.Config) { cfg.Greetings, cfg.Ingests, cfg.MaxPending = 4, 4, max(*herd/2, 50) })
	dir := t.TempDir()
	list := make([]*till, tills)
	var wg sync.WaitGroup
	for i := range list {
		id := outbox.Identity{Device: uplinktest.DeviceID(i), Epoch: 1}
		tl := &till{t: t, path: filepath.Join(dir, fmt.Sprint(i)), id: id, url: "ws://" + c.addr,
			opts: func(cfg *uplink.Config) {
				cfg.Timing.RetryMin, cfg.Timing.RetryMax = 50*time.Millisecond, 2*time.Second
			}}
		if err := c.store.Enrol(hub.Device{ID: id.Device, Epoch: 1, Key: uplinktest.Key(id.Device).Public().(ed25519.PublicKey)}); err != nil {
			t.Fatal(err)
		}
		tl.open()
		defer tl.Till.Close()
		tl.DB.NoSync = true // five hundred disks are not what this is about
		if err := tl.SellMany("m", 1, 20); err != nil {
			t.Fatal(err)
		}
		list[i] = tl
	}
	began := time.Now()
	for _, tl := range list {
		tl.start()
	}
	for _, tl := range list {
		until(t, "all drained", tl.drained)
	}
	t.Logf("%d tills in %s, at most %d ingests at once", tills, time.Since(began).Round(time.Millisecond), peak.Load())
	for _, tl := range list {
		wg.Go(tl.stop)
	}
	wg.Wait()
	if got := c.store.Balance("m"); got != int64(tills*20) {
		t.Errorf("the centre has %d, the tills told %d", got, tills*20)
	}
	if al := c.store.Alarms(); len(al) > 0 {
		t.Errorf("alarm without a reason: %+v", al[0])
	}
	if peak.Load() > 4 {
		t.Errorf("%d ingests at once", peak.Load())
	}
}

// TestSlowLine: 9.6 kbit/s and three seconds of latency are bad, not fatal.
// Sped up tenfold here.
func TestSlowLine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while by its nature")
	}
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	tl.proxy.Slow(300*time.Millisecond, 12_000)
	fill(t, tl, 500)
	tl.start()
	until(t, "drained", tl.drained)
	if n := tl.proxy.Dials(); n != 1 {
		t.Errorf("%d connections; the line is slow, not dead", n)
	}
	up, down := tl.proxy.Bytes()
	t.Logf("%d bytes up, %d down for 500 records", up, down)
	if got := len(c.store.Stored(tl.id.Device, 1)); got != 501 {
		t.Errorf("%d records", got)
	}
}
