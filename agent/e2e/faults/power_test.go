package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/faults/powercut"
)

// workers is how many images are looked at at the same time.
const workers = 2

// recorded is a day whose power may be cut anywhere.
type recorded struct {
	h     *powercut.History
	calls []*call
	token string
}

// record has the real program work through a day on a disk that remembers.
func record(t *testing.T, n int) *recorded {
	t.Helper()
	o := newHeadOffice(t)
	s := newShop(t, o)
	// No room for the ballast, which would only make the images large. (It is
	// there in TestPowerCutAtBeginnings.)
	s.disk.SetCapacity(s.disk.Used() + 72<<20)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	until(t, "the link is up", func() bool { return len(o.hub.Online()) == 1 })
	s.day(n)
	until(t, "the centre has all", func() bool {
		st := s.status()
		return st.Journal.Seq > 0 && st.Journal.Seq == st.Journal.Acked
	})
	s.stop()
	for _, c := range s.unanswered() {
		t.Fatalf("%s of %s was not answered on a good disk", c.Does, c.Receipt)
	}
	r := &recorded{s.disk.History(), s.calls, s.token}
	t.Logf("%d receipts, %d calls, %d operations on the disk (%d writes, %d fsyncs) in %s", n, len(s.calls), r.h.Count(),
		r.h.Count(powercut.Write), r.h.Count(powercut.Sync, powercut.SyncDir), time.Since(began).Round(time.Millisecond))
	return r
}

// cuts tries cuts of a history: at every step-th operation, with these seeds,
// until the time is over or, when first is set, something bad was found. It
// tells how many operations were reached.
func (r *recorded) cuts(t *testing.T, h *powercut.History, step int, seeds []uint64, end time.Time, first bool, change func(*job)) (c *crew, points int) {
	t.Helper()
	if *long == 0 && *receipts == 0 {
		step *= sparsely
	}
	c = newCrew(t, "verify", r.calls, workers)
	base := scratch(t)
	j := job{Token: r.token}
	for rp := h.Replay(seeds[0]); ; {
		if o := rp.Next(); o != nil && o.Kind == powercut.Mark {
			switch n := o.Note.(type) {
			case asked:
				j.Asked = n.n
			case answered:
				j.Told = n.n
			case sent:
				j.Sent = n
			}
			rp.Step()
			continue
		}
		if time.Now().After(end) || first && c.bads() > 0 {
			break
		}
		if rp.At()%step == 0 || rp.Next() == nil {
			points++
			for _, seed := range seeds {
				if rp.Settled() && seed != seeds[0] {
					c.mu.Lock()
					c.settled++ // the same image as with the first seed
					c.mu.Unlock()
					continue
				}
				img, job, where := rp.Image(seed), j, fmt.Sprintf("before operation %d with seed %d", rp.At(), seed)
				job.Whole = points%50 == 0
				if change != nil {
					change(&job)
				}
				c.work <- func(ch *child, worker int) {
					job.Dir = imageDir(base, worker)
					if err := img.WriteTo(job.Dir); err != nil {
						c.note(where, verdict{Bad: "write image: " + err.Error()})
						return
					}
					c.note(where, ch.look(job))
				}
			}
		}
		if !rp.Step() {
			break
		}
	}
	c.end()
	return c, points
}

// someSeeds are n seeds: all lost, nothing lost, and by chance.
func someSeeds(n int) []uint64 {
	out := []uint64{0, 1}
	for s := *firstSeed; len(out) < n; s++ {
		out = append(out, s)
	}
	return out[:n]
}

// TestPowerCutAnywhere (F1) cuts the power of a day's work before every write
// and every fsync.
func TestPowerCutAnywhere(t *testing.T) {
	n := pick(24, 300)
	if *receipts > 0 {
		n = *receipts
	}
	k := pick(3, 5)
	if *seeds > 0 {
		k = *seeds
	}
	r := record(t, n)
	step := 1
	if *long == 0 && *receipts == 0 {
		step = 4 // in the short form every fourth operation
	}
	began := time.Now()
	c, points := r.cuts(t, r.h, step, someSeeds(k), began.Add(share(36)), false, nil)
	for _, b := range c.bad {
		t.Error(b)
	}
	did := fmt.Sprintf("%d of %d instants of a %d-receipt day x %d seeds: %d cuts looked at (%d more are the same image), slowest %d ms, %s",
		points, r.h.Count()+1, n, k, c.tried, c.settled, c.slowest, time.Since(began).Round(time.Second))
	rows.add("F1", "power cut before every write and fsync of a day", did, c.nbad)
	t.Log(did)
}

// TestControlNoFsync: the same day, as if the program had never called fsync.
func TestControlNoFsync(t *testing.T) {
	r := record(t, 12)
	for name, kinds := range map[string][]powercut.Kind{"fsync": {powercut.Sync}, "any fsync": {powercut.Sync, powercut.SyncDir}} {
		c, _ := r.cuts(t, r.h.Without(kinds...), 5, someSeeds(3), time.Now().Add(time.Minute), true, nil)
		if c.nbad == 0 {
			t.Errorf("without %s nothing was found in %d cuts: this suite cannot see", name, c.tried)
		} else {
			t.Logf("without %s: %s", name, c.bad[0])
		}
	}
	// And a till that forgets which calls it has answered.
	c, _ := r.cuts(t, r.h, 25, someSeeds(1), time.Now().Add(time.Minute), true, func(j *job) { j.Forget = true })
	if c.nbad == 0 {
		t.Errorf("without the memory of answers nothing was found in %d cuts: this suite cannot see", c.tried)
	} else {
		t.Logf("without the memory of answers: %s", c.bad[0])
	}
}
