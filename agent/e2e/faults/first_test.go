package faults

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/e2e/faults/powercut"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/boltfile"
)

// startAndStop has the real program start on a folder that lies on a disk of
// ours, do something, and stop.
func startAndStop(t *testing.T, host, token string, do func(s *shop)) (*powercut.History, *shop) {
	t.Helper()
	d, err := powercut.NewDisk(host)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, disk: d, token: token, http: newClient(), tmp: scratch(t)}
	s.dir, _ = mount(t, d)
	t.Cleanup(s.kill)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if do != nil {
		do(s)
	}
	s.stop()
	return d.History(), s
}

// everywhere looks at a history cut at every operation with some seeds.
func everywhere(t *testing.T, r *recorded, seeds []uint64, change func(*job)) *crew {
	t.Helper()
	c, _ := r.cuts(t, r.h, pick(2, 1), seeds, time.Now().Add(max(share(3), time.Minute)), false, change)
	for _, b := range c.bad {
		t.Error(b)
	}
	return c
}

// TestPowerCutAtBeginnings (F3): the first start, a start on files of an older
// version, a start that sets a damaged journal aside, and a journal that is
// written anew, cut at every operation.
func TestPowerCutAtBeginnings(t *testing.T) {
	k := pick(3, 24)
	say := func(what string, h *powercut.History, c *crew) {
		did := fmt.Sprintf("%d operations x %d seeds: %d cuts looked at, slowest start %d ms", h.Count(), k, c.tried, c.slowest)
		rows.add("F3", what, did, c.nbad)
		t.Log(what + ": " + did)
	}
	one := func(s *shop) {
		s.do("capture", "R1", "/v1/receipts/R1/capture", `{"receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"2.00"}]}}`)
	}
	t.Run("first start", func(t *testing.T) {
		host := t.TempDir()
		token := folder(t, host, "ws://127.0.0.1:1/v1/sync")
		h, s := startAndStop(t, host, token, one)
		say("power cut at the first start", h, everywhere(t, &recorded{h, s.calls, token}, someSeeds(k), nil))
	})
	t.Run("no cache yet", func(t *testing.T) {
		host := t.TempDir()
		token := folder(t, host, "ws://127.0.0.1:1/v1/sync")
		if err := os.Remove(filepath.Join(host, store.CacheFile)); err != nil {
			t.Fatal(err)
		}
		h, s := startAndStop(t, host, token, nil)
		say("power cut at the first start of all, nothing there but the identity", h,
			everywhere(t, &recorded{h, s.calls, token}, someSeeds(k), func(j *job) { j.NoRules = true }))
	})
	t.Run("older files", func(t *testing.T) {
		host := t.TempDir()
		token := folder(t, host, "ws://127.0.0.1:1/v1/sync")
		_, s := startAndStop(t, host, token, one)
		old := t.TempDir()
		if err := s.disk.CopyTo(old); err != nil {
			t.Fatal(err)
		}
		// As they were before limits and quotas were kept.
		db, err := boltfile.Open(filepath.Join(old, store.JournalFile), boltfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			for _, b := range []string{"usage", "quotas"} {
				if err := tx.DeleteBucket([]byte(b)); err != nil {
					return err
				}
			}
			return nil
		})
		if e := db.Close(); err != nil || e != nil {
			t.Fatal(err, e)
		}
		h, _ := startAndStop(t, old, token, nil)
		say("power cut at a start on older files", h, everywhere(t, &recorded{h, s.calls, token}, someSeeds(k), func(j *job) { j.Asked, j.Told = 1, 1 }))
	})
	t.Run("damaged journal", func(t *testing.T) {
		host := t.TempDir()
		token := folder(t, host, "ws://127.0.0.1:1/v1/sync")
		_, s := startAndStop(t, host, token, one)
		bad := t.TempDir()
		if err := s.disk.CopyTo(bad); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(bad, store.JournalFile)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 * 4096 { // both beginnings
			b[i] ^= 0x55
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		h, _ := startAndStop(t, bad, token, nil)
		say("power cut while a damaged journal is set aside", h, everywhere(t, &recorded{h, nil, token}, someSeeds(k), func(j *job) { j.Aside = digest(string(b)) }))
	})
	t.Run("compaction", func(t *testing.T) { compaction(t, k, say) })
}

const compactAbove = 1 << 20

// compactor opens a file so that it is written anew.
func compactor(args []string) int {
	if len(args) != 1 {
		return 2
	}
	db, err := boltfile.Open(args[0], boltfile.Options{CompactAbove: compactAbove})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := db.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// compaction cuts the power while a large, mostly empty file is written anew.
func compaction(t *testing.T, k int, say func(string, *powercut.History, *crew)) {
	host := t.TempDir()
	db, err := boltfile.Open(filepath.Join(host, "f.db"), boltfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bucket := []byte("b")
	key := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(bucket)
		for n := 0; n < 1000 && err == nil; n++ {
			err = b.Put(key(n), bytes.Repeat(key(n), 500))
		}
		return err
	})
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error {
			for n := range 1000 {
				if n%20 != 0 {
					if err := tx.Bucket(bucket).Delete(key(n)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if e := db.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	d, err := powercut.NewDisk(host)
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := mount(t, d)
	cmd := exec.Command(os.Args[0], filepath.Join(dir, "f.db"))
	cmd.Env = append(os.Environ(), roleVar+"=compact")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	h := d.History()
	base := filepath.Join(scratch(t), "image")
	c := &crew{}
	small := 0
	for rp := h.Replay(0); ; {
		for _, seed := range someSeeds(k) {
			began := time.Now()
			err := rp.Image(seed).WriteTo(base)
			if err == nil {
				err = boltfile.Check(filepath.Join(base, "f.db"))
			}
			if err == nil {
				var db *bbolt.DB
				if db, err = boltfile.Open(filepath.Join(base, "f.db"), boltfile.Options{ReadOnly: true}); err == nil {
					err = db.View(func(tx *bbolt.Tx) error {
						for n := 0; n < 1000; n += 20 {
							if !bytes.Equal(tx.Bucket(bucket).Get(key(n)), bytes.Repeat(key(n), 500)) {
								return fmt.Errorf("%d is gone", n)
							}
						}
						if tx.Size() < compactAbove {
							small++
						}
						return nil
					})
					db.Close()
				}
			}
			v := verdict{MS: time.Since(began).Milliseconds()}
			if err != nil {
				v.Bad = err.Error()
				t.Errorf("before operation %d with seed %d: %v", rp.At(), seed, err)
			}
			c.note("", v)
		}
		if !rp.Step() {
			break
		}
	}
	if small == 0 {
		t.Error("the file was never written anew")
	}
	say("power cut while a file is written anew", h, c)
}

// asideIs tells whether a damaged journal is still there, whole, and whether
// this till is another incarnation by now.
func (j *job) asideIs() error {
	id, err := agent.LoadIdentity(j.Dir)
	if err != nil {
		return err
	}
	if id.Epoch < 2 {
		return fmt.Errorf("a damaged journal was set aside and the till is still in epoch %d", id.Epoch)
	}
	set, _ := filepath.Glob(filepath.Join(j.Dir, store.JournalFile+".damaged-*"))
	for _, f := range set {
		if strings.HasSuffix(f, ".mirror") {
			continue
		}
		if b, err := os.ReadFile(f); err == nil && digest(string(b)) == j.Aside {
			return nil
		}
	}
	return fmt.Errorf("the damaged journal is gone: %v", set)
}
