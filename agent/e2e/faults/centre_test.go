package faults

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/agent/e2e/faults/powercut"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

// centreJob is one image of the centre's folder to be looked at.
type centreJob struct {
	Dir    string
	Device string
	Member loyalty.MemberID
	Acked  wire.Head // what the till was told
}

// centreVerifier is the child that looks at images of the centre.
func centreVerifier(in io.Reader, out io.Writer) int {
	r, w := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	var nothing any
	if err := r.Decode(&nothing); err != nil {
		return 2
	}
	for {
		var j centreJob
		if err := r.Decode(&j); err != nil {
			if errors.Is(err, io.EOF) {
				return 0
			}
			return 2
		}
		began := time.Now()
		v := verdict{}
		if err := j.verify(); err != nil {
			v.Bad = err.Error()
		}
		v.MS = time.Since(began).Milliseconds()
		if err := w.Encode(v); err != nil {
			return 2
		}
	}
}

// verify opens the centre's database as the program does at its start and
// holds it against what the till was told.
func (j *centreJob) verify() error {
	ctx := context.Background()
	d, err := db.Open(ctx, j.Dir)
	if err != nil {
		return fmt.Errorf("the database does not open: %w", err)
	}
	defer d.Close()
	return d.Write(ctx, func(tx *db.Tx) error {
		var sane string
		if _, err := tx.Row(`PRAGMA integrity_check`, nil, &sane); err != nil || sane != "ok" {
			return fmt.Errorf("integrity: %s %w", sane, err)
		}
		dev, err := fleet.ByID(tx, j.Device)
		if err != nil {
			return err
		}
		if dev.Acked.Seq < j.Acked.Seq {
			return fmt.Errorf("the till was told that %d is stored; the centre has %d", j.Acked.Seq, dev.Acked.Seq)
		}
		prev, earned := wire.Head{}, 0
		for seq := uint64(1); seq <= dev.Acked.Seq; seq++ {
			raw, err := ledger.Record(tx, dev.No, 1, seq)
			if err != nil {
				return fmt.Errorf("record %d: %w", seq, err)
			}
			r, err := wire.DecodeRecord(raw)
			if err != nil {
				return fmt.Errorf("record %d: %w", seq, err)
			}
			if err := r.Follows(prev); err != nil {
				return err
			}
			prev = wire.Head{Seq: seq, Hash: wire.HashOf(raw)}
			if seq == j.Acked.Seq && prev.Hash != j.Acked.Hash {
				return fmt.Errorf("record %d is another one than was acknowledged", seq)
			}
			if r.Type == wire.TypeEarn {
				earned++
			}
		}
		if prev != dev.Acked {
			return errors.New("the mark and the records differ")
		}
		rep, err := ledger.Verify(tx)
		if err != nil {
			return err
		}
		if !rep.OK() {
			return fmt.Errorf("ledger: %v", rep.Problems)
		}
		all, err := ledger.Balances(tx, j.Member)
		if err != nil {
			return err
		}
		if got := all["points"].Available; got != loyalty.Points(100*earned) {
			return fmt.Errorf("%d records of one point each, and the balance is %v", earned, got)
		}
		return nil
	})
}

// farSide is a real centre on a disk of ours, and a till that writes to it.
type farSide struct {
	disk   *powercut.Disk
	device string
	member loyalty.MemberID
}

// acked is a note that the till has been told.
type acked struct{ wire.Head }

// recordCentre has the real centre take n records in, one commit after the
// other.
func recordCentre(t *testing.T, n int) *farSide {
	t.Helper()
	host := t.TempDir()
	f := &farSide{}
	ctx := t.Context()
	key := uplinktest.Key("far side")
	var epoch uint32
	d, err := db.Open(ctx, host)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(ctx, func(tx *db.Tx) error {
		room := &members.Room{Ledger: &ledger.Ledger{Now: time.Now, Zone: time.UTC}, Now: time.Now}
		var err error
		if f.member, err = room.Add(tx, members.Person{FirstName: "Ada"}); err != nil {
			return err
		}
		code, _, err := fleet.NewCode(tx, "s1", "1", time.Now(), rand.Reader)
		if err != nil {
			return err
		}
		dev, err := fleet.Enrol(tx, &wire.EnrolRequest{Code: code, PublicKey: key.Public().(ed25519.PublicKey), Host: "h"}, time.Now(), rand.Reader)
		if err != nil {
			return err
		}
		f.device, epoch = dev.ID, dev.Epoch
		return nil
	})
	if e := d.Close(); err == nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
	if f.disk, err = powercut.NewDisk(host); err != nil {
		t.Fatal(err)
	}
	dir, _ := mount(t, f.disk)
	addr, stop := startCentre(t, dir)
	stopped := false
	end := func() {
		if !stopped {
			stopped = true
			stop()
		}
	}
	defer end()

	id := outbox.Identity{Device: f.device, Epoch: epoch}
	tl, err := uplinktest.Open(filepath.Join(t.TempDir(), "journal.db"), id, key)
	if err != nil {
		t.Fatal(err)
	}
	defer tl.Close()
	box, err := outbox.Open(tl.DB, id, outbox.Options{Stamp: uplinktest.Stamp, Update: func(fn func(*bbolt.Tx) error) error {
		err := tl.DB.Update(fn)
		if h, e := tl.Box.Acked(); err == nil && e == nil {
			f.disk.Note(acked{h})
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	tl.Box = box
	s, err := uplink.New(uplink.Config{URL: "ws://" + addr + wire.SyncPath, Key: key, Outbox: box, Applier: tl,
		Timing: uplink.Timing{RetryMin: time.Millisecond, RetryMax: 50 * time.Millisecond, Ack: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(run) }()
	defer func() { cancel(); <-done }()
	for i := range n {
		_, err := tl.Write(wire.TypeEarn, "", 0, wire.Earn{Member: f.member.String(), Wallet: "points", Points: "1.00", Reason: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if i%3 != 0 { // now and then two records travel together
			until(t, "the centre has it", func() bool { st, err := box.Stats(); return err == nil && st.Queued == 0 })
		}
	}
	until(t, "the centre has all", func() bool { st, err := box.Stats(); return err == nil && st.Queued == 0 })
	if st, err := box.Stats(); err != nil || st.Parked > 0 {
		t.Fatalf("%d records parked, %v", st.Parked, err)
	}
	end()
	return f
}

// startCentre starts the real centre and gives its address and its end.
func startCentre(t testing.TB, dir string, more ...string) (addr string, stop func()) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "central.toml") // certificates are not what this is about
	if err := os.WriteFile(config, []byte("version = 1\n[tls]\nmode = \"off\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "tillside-central"), append([]string{"run", "--config", config, "--data", dir, "--listen", "127.0.0.1:0"}, more...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if _, rest, found := strings.Cut(sc.Text(), "http://"); found {
			addr = strings.TrimRight(strings.Fields(rest)[0], "/.,")
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if addr == "" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("the centre printed no address: %s", log.String())
	}
	return addr, func() { // orderly, so that the log is brought into the main file
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stuck.Stop()
	}
}

// cuts tries cuts of the centre's history.
func (f *farSide) cuts(t *testing.T, h *powercut.History, step int, seeds []uint64, end time.Time, first bool) (c *crew, points int) {
	t.Helper()
	if *long == 0 {
		step *= sparsely
	}
	c = newCrew(t, "verify-centre", nil, workers)
	base := scratch(t)
	j := centreJob{Device: f.device, Member: f.member}
	for rp := h.Replay(seeds[0]); ; {
		if o := rp.Next(); o != nil && o.Kind == powercut.Mark {
			if a, ok := o.Note.(acked); ok && a.Seq > j.Acked.Seq {
				j.Acked = a.Head
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
					c.settled++
					c.mu.Unlock()
					continue
				}
				img, job, where := rp.Image(seed), j, fmt.Sprintf("before operation %d with seed %d", rp.At(), seed)
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

// TestPowerCutAtTheCentre (F1, I18): what the centre has acknowledged is there
// after a cut before any of its writes, and the ledger is whole.
func TestPowerCutAtTheCentre(t *testing.T) {
	f := recordCentre(t, pick(12, 60))
	h := f.disk.History()
	step, k := pick(4, 1), pick(3, 5)
	began := time.Now()
	c, points := f.cuts(t, h, step, someSeeds(k), began.Add(share(8)), false)
	for _, b := range c.bad {
		t.Error(b)
	}
	did := fmt.Sprintf("%d of %d instants x %d seeds: %d cuts looked at, slowest %d ms, %s",
		points, h.Count()+1, k, c.tried, c.slowest, time.Since(began).Round(time.Second))
	rows.add("F1", "the same at the centre's embedded database", did, c.nbad)
	t.Log(did)
	// The control: the same history without its fsyncs must be found out.
	c, _ = f.cuts(t, h.Without(powercut.Sync), 3, someSeeds(3), time.Now().Add(time.Minute), true)
	if c.nbad == 0 {
		t.Errorf("without fsync nothing was found in %d cuts: this suite cannot see", c.tried)
	} else {
		t.Logf("without fsync: %s", c.bad[0])
	}
}
