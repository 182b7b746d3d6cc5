package outbox_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

var id = outbox.Identity{Device: "dev-0123456789", Epoch: 1}

func stamp() outbox.Stamp {
	return outbox.Stamp{Wall: time.UnixMilli(1_764_000_000_000), MonoMS: 5, Boot: "b", Clock: wire.ClockGood, Bundle: 3}
}

func openDB(t testing.TB, path string) *bbolt.DB {
	t.Helper()
	db, err := boltfile.Open(path, boltfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openBox(t testing.TB, db *bbolt.DB, id outbox.Identity, mirror string) *outbox.Box {
	t.Helper()
	b, err := outbox.Open(db, id, outbox.Options{Stamp: stamp, Mirror: mirror})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func fresh(t testing.TB) (*bbolt.DB, *outbox.Box) {
	db := openDB(t, filepath.Join(t.TempDir(), "journal.db"))
	return db, openBox(t, db, id, "")
}

func write(t testing.TB, db *bbolt.DB, b *outbox.Box, n int) {
	t.Helper()
	for range n {
		err := db.Update(func(tx *bbolt.Tx) error {
			_, err := b.Append(tx, outbox.Entry{Type: wire.TypeEarn, Receipt: "r", Payload: wire.Earn{Member: "00000000000000aa", Wallet: "base", Points: "1.00"}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func headAt(t testing.TB, b *outbox.Box, seq uint64) wire.Head {
	t.Helper()
	h, err := b.HashAt(seq)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Head{Seq: seq, Hash: h}
}

func TestChainGrowsInsideTheCallersTransaction(t *testing.T) {
	db, b := fresh(t)
	changed := b.Changed()
	write(t, db, b, 3)
	select {
	case <-changed:
	default:
		t.Error("no signal after a commit")
	}
	// A transaction that fails leaves nothing behind, and no gap.
	changed = b.Changed()
	failed := errors.New("business says no")
	err := db.Update(func(tx *bbolt.Tx) error {
		if _, err := b.Append(tx, outbox.Entry{Type: wire.TypeEarn, Payload: json.RawMessage(`{}`)}); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("a signal without a commit")
	default:
	}
	// Two records in one transaction follow each other.
	err = db.Update(func(tx *bbolt.Tx) error {
		for range 2 {
			if _, err := b.Append(tx, outbox.Entry{Type: wire.TypeVoid, Payload: wire.Void{Hold: "h"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Read(wire.Head{}, 100, 1<<20)
	if err != nil || len(batch.Records) != 5 || batch.From != 1 || batch.Last.Seq != 5 {
		t.Fatalf("%+v %v", batch, err)
	}
	prev := wire.Head{}
	for i, raw := range batch.Records {
		r, err := wire.DecodeRecord(raw)
		if err != nil || r.Seq != uint64(i+1) || r.Device != id.Device || r.Bundle != 3 {
			t.Fatalf("%+v %v", r, err)
		}
		if err := r.Follows(prev); err != nil {
			t.Fatal(err)
		}
		prev = wire.Head{Seq: r.Seq, Hash: wire.HashOf(raw)}
	}
	if h, err := b.Head(); err != nil || h != prev {
		t.Fatalf("head %+v %v", h, err)
	}
}

func TestReadKeepsToItsBounds(t *testing.T) {
	db, b := fresh(t)
	write(t, db, b, 10)
	one, err := b.Read(wire.Head{}, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	size := len(one.Records[0])
	for _, tc := range []struct{ after, max, bytes, want int }{
		{0, 3, 1 << 20, 3}, {8, 100, 1 << 20, 2}, {10, 100, 1 << 20, 0}, {0, 100, 1, 1}, {0, 100, 4*size + size/2, 4},
	} {
		got, err := b.Read(headAt(t, b, uint64(tc.after)), tc.max, tc.bytes)
		if err != nil || len(got.Records) != tc.want || got.From != uint64(tc.after)+1 || got.Last.Seq != uint64(tc.after+tc.want) {
			t.Errorf("%+v: %d records from %d to %d, %v", tc, len(got.Records), got.From, got.Last.Seq, err)
		}
	}
	if _, err := b.Read(wire.Head{Seq: 4, Hash: wire.HashOf(nil)}, 5, 1000); !errors.Is(err, outbox.ErrDamaged) {
		t.Errorf("read after a place that is not ours: %v", err)
	}
}

func TestAck(t *testing.T) {
	db, b := fresh(t)
	write(t, db, b, 10)
	if err := b.Ack(headAt(t, b, 4), []wire.Parked{{Seq: 2, Reason: "odd"}, {Seq: 99, Reason: "not ours"}}); err != nil {
		t.Fatal(err)
	}
	st, err := b.Stats()
	if err != nil || st.Queued != 6 || st.Parked != 1 || st.Acked.Seq != 4 || st.First != 1 || st.Oldest.IsZero() {
		t.Errorf("%+v %v", st, err)
	}
	if err := b.Ack(headAt(t, b, 2), nil); err != nil {
		t.Fatal(err)
	}
	if a, _ := b.Acked(); a.Seq != 4 {
		t.Errorf("an old ack moved it to %d", a.Seq)
	}
	for name, h := range map[string]wire.Head{"other hash": {Seq: 6, Hash: wire.HashOf(nil)}, "beyond the end": {Seq: 11, Hash: wire.HashOf(nil)}} {
		if err := b.Ack(h, nil); !errors.Is(err, outbox.ErrFork) {
			t.Errorf("%s: %v", name, err)
		}
	}
	parked, err := b.Parked()
	if err != nil || len(parked) != 1 || parked[0].Reason != "odd" {
		t.Errorf("%+v %v", parked, err)
	}
}

func TestRetention(t *testing.T) {
	db, b := fresh(t)
	day := func(n int) time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	prune := func(n, want int) {
		t.Helper()
		got, err := b.Prune(day(n), 1000)
		if err != nil || got != want {
			t.Fatalf("day %d: removed %d, want %d, %v", n, got, want, err)
		}
		if err := b.Verify(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, db, b, 10)
	prune(0, 0) // marks day 0: records 1 to 10 are older
	write(t, db, b, 10)
	for n := 1; n <= 60; n++ {
		prune(n, 0) // nothing is acknowledged
	}
	if err := b.Ack(headAt(t, b, 5), nil); err != nil {
		t.Fatal(err)
	}
	prune(60, 4) // the acknowledged place itself stays: its hash is needed
	if h, err := b.HashAt(4); err != nil || h == (wire.Hash{}) {
		t.Errorf("the place before the first record is forgotten: %v", err)
	}
	if _, err := b.HashAt(3); !errors.Is(err, outbox.ErrGone) {
		t.Errorf("hash of a removed record: %v", err)
	}
	if _, err := b.Read(wire.Head{Seq: 2}, 5, 1000); !errors.Is(err, outbox.ErrGone) {
		t.Errorf("read of removed records: %v", err)
	}
	write(t, db, b, 5)
	if err := b.Ack(headAt(t, b, 25), nil); err != nil {
		t.Fatal(err)
	}
	prune(60, 16) // 21 to 25 are of day 61
	for n := 61; n <= 95; n++ {
		prune(n, 0)
	}
	prune(96, 0)
	prune(97, 4) // 36 days after the first mark that is younger than they are
	if err := b.Ack(headAt(t, b, 25), nil); err != nil {
		t.Fatal(err)
	}
	// An empty rest is still a journal.
	write(t, db, b, 2)
	if err := b.Verify(); err != nil {
		t.Fatal(err)
	}
	st, err := b.Stats()
	if err != nil || st.First != 25 || st.Head.Seq != 27 {
		t.Errorf("%+v %v", st, err)
	}
}

// TestClockJumpRemovesNothing: days that never were do not end a retention.
func TestClockJumpRemovesNothing(t *testing.T) {
	db, b := fresh(t)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for n := range 20 {
		write(t, db, b, 1)
		if err := b.Ack(headAt(t, b, uint64(n+1)), nil); err != nil {
			t.Fatal(err)
		}
		for _, at := range []time.Time{now, now.AddDate(10, 0, 0), now.AddDate(-10, 0, 0), now} {
			if gone, err := b.Prune(at.AddDate(0, 0, n%3), 1000); err != nil || gone != 0 {
				t.Fatalf("removed %d, %v", gone, err)
			}
		}
	}
}

func TestEpochsLieBesideEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	db := openDB(t, path)
	b := openBox(t, db, id, "")
	write(t, db, b, 5)
	next := id
	next.Epoch = 2
	b2 := openBox(t, db, next, "")
	if h, err := b2.Head(); err != nil || h.Seq != 0 {
		t.Fatalf("a new epoch starts at %d, %v", h.Seq, err)
	}
	write(t, db, b2, 3)
	if _, err := outbox.Open(db, id, outbox.Options{Stamp: stamp}); !errors.Is(err, outbox.ErrIdentity) {
		t.Errorf("the old epoch opened again: %v", err)
	}
	other := outbox.Identity{Device: "dev-0000000000", Epoch: 1}
	b3 := openBox(t, db, other, "")
	write(t, db, b3, 1)
	if _, err := outbox.Open(db, next, outbox.Options{Stamp: stamp}); !errors.Is(err, outbox.ErrIdentity) {
		t.Errorf("the old device opened again: %v", err)
	}
	if err := b.Verify(); err != nil { // its records are untouched
		t.Error(err)
	}
}

// TestDamageIsFound flips and removes what is stored.
func TestDamageIsFound(t *testing.T) {
	records := func(tx *bbolt.Tx) *bbolt.Bucket {
		return tx.Bucket([]byte("outbox")).Bucket(fmt.Appendf(nil, "%s/%08x", id.Device, id.Epoch)).Bucket([]byte("records"))
	}
	key := func(n byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, n} }
	cases := map[string]func(*bbolt.Bucket) error{
		"payload of 5": func(r *bbolt.Bucket) error {
			v := append([]byte(nil), r.Get(key(5))...)
			v[len(v)-8] ^= 1
			return r.Put(key(5), v)
		},
		"prev of 5": func(r *bbolt.Bucket) error {
			v := append([]byte(nil), r.Get(key(5))...)
			for i := range v {
				if string(v[max(0, i-8):i]) == `"prev":"` {
					v[i] ^= 1
				}
			}
			return r.Put(key(5), v)
		},
		"5 missing": func(r *bbolt.Bucket) error { return r.Delete(key(5)) },
		"the last":  func(r *bbolt.Bucket) error { return r.Delete(key(10)) },
		"one more":  func(r *bbolt.Bucket) error { return r.Put(key(11), r.Get(key(10))) },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			db, b := fresh(t)
			write(t, db, b, 10)
			if err := db.Update(func(tx *bbolt.Tx) error { return spoil(records(tx)) }); err != nil {
				t.Fatal(err)
			}
			if err := b.Verify(); !errors.Is(err, outbox.ErrDamaged) {
				t.Errorf("verify: %v", err)
			}
			_, readErr := b.Read(wire.Head{}, 100, 1<<20)
			_, openErr := outbox.Open(db, id, outbox.Options{Stamp: stamp})
			if !errors.Is(readErr, outbox.ErrDamaged) && !errors.Is(openErr, outbox.ErrDamaged) {
				t.Errorf("read: %v, open: %v", readErr, openErr)
			}
		})
	}
}

var writeOld = flag.Bool("write-old", false, "write testdata/journal-1.db anew; only when format 1 itself was wrong")

// TestOldFilesOpen opens a journal of every format there ever was.
func TestOldFilesOpen(t *testing.T) {
	stored := filepath.Join("testdata", "journal-1.db")
	if *writeOld {
		os.Remove(stored)
		db := openDB(t, stored)
		b := openBox(t, db, id, "")
		write(t, db, b, 12)
		if err := b.Ack(headAt(t, b, 7), []wire.Parked{{Seq: 3, Reason: "odd"}}); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	raw, err := os.ReadFile(stored)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, path)
	b := openBox(t, db, id, "")
	if err := b.Verify(); err != nil {
		t.Fatal(err)
	}
	st, err := b.Stats()
	if err != nil || st.Head.Seq != 12 || st.Acked.Seq != 7 || st.Parked != 1 {
		t.Errorf("%+v %v", st, err)
	}
	write(t, db, b, 1)
	// A journal of the future is left alone.
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("outbox")).Put([]byte("format"), []byte{99}) }); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Open(db, id, outbox.Options{Stamp: stamp}); !errors.Is(err, outbox.ErrNewer) {
		t.Errorf("opened a journal of format 99: %v", err)
	}
}

func mirrored(t *testing.T, path string) []uint64 {
	t.Helper()
	var seqs []uint64
	_, _, err := outbox.ReadMirror(path, func(rec []byte) error {
		r, err := wire.DecodeRecord(rec)
		if err != nil {
			return err
		}
		seqs = append(seqs, r.Seq)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seqs
}

func TestMirrorHasWhatTheCentreLacks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.mirror")
	db := openDB(t, filepath.Join(dir, "journal.db"))
	b := openBox(t, db, id, path)
	// Commits at once from several goroutines must leave no hole.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { write(t, db, b, 20) })
	}
	wg.Wait()
	got := mirrored(t, path)
	if len(got) != 160 || got[0] != 1 || got[159] != 160 {
		t.Fatalf("mirror has %d records: %v", len(got), got)
	}
	// Opened again it goes on; torn and flipped places cost what they hit.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		bad := append([]byte(nil), raw...)
		bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		bad = bad[:len(bad)-r.IntN(3)]
		broken := filepath.Join(dir, "broken")
		if err := os.WriteFile(broken, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if n := len(mirrored(t, broken)); n < 158 {
			t.Fatalf("%d of 160 records read after one flip", n)
		}
	}
	if err := os.WriteFile(path, raw[:len(raw)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	b = openBox(t, db, id, path)
	write(t, db, b, 1)
	if got = mirrored(t, path); len(got) != 161 {
		t.Fatalf("after a torn end: %d records", len(got))
	}
	// What is acknowledged goes once the file is worth emptying.
	write(t, db, b, 100)
	if err := b.Ack(headAt(t, b, 261), nil); err != nil {
		t.Fatal(err)
	}
	if got = mirrored(t, path); len(got) != 0 {
		t.Errorf("%d acknowledged records in the mirror", len(got))
	}
	write(t, db, b, 2)
	if got = mirrored(t, path); len(got) != 2 || got[0] != 262 {
		t.Errorf("mirror has %v", got)
	}
}

// TestMirrorShowsASetBackJournal: an old image of the journal under a newer
// mirror.
func TestMirrorShowsASetBackJournal(t *testing.T) {
	dir := t.TempDir()
	path, file := filepath.Join(dir, "journal.mirror"), filepath.Join(dir, "journal.db")
	db := openDB(t, file)
	b := openBox(t, db, id, path)
	write(t, db, b, 5)
	image := filepath.Join(dir, "image.db")
	if err := db.View(func(tx *bbolt.Tx) error { return tx.CopyFile(image, 0o600) }); err != nil {
		t.Fatal(err)
	}
	write(t, db, b, 5)
	b.Close()
	db.Close()
	if err := os.Rename(image, file); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, file)
	b = openBox(t, db, id, path)
	st, err := b.Stats()
	if err != nil || st.MirrorAhead == "" {
		t.Fatalf("%+v %v", st, err)
	}
	if got := mirrored(t, st.MirrorAhead); len(got) != 10 {
		t.Errorf("the old mirror has %d records", len(got))
	}
	if got := mirrored(t, path); len(got) != 5 {
		t.Errorf("the new mirror has %d records", len(got))
	}
}

// TestNoMirrorIsNoReasonToStop: the mirror's place cannot be written, then it
// can.
func TestNoMirrorIsNoReasonToStop(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "away")
	path := filepath.Join(folder, "journal.mirror")
	db := openDB(t, filepath.Join(dir, "journal.db"))
	b := openBox(t, db, id, path)
	write(t, db, b, 5)
	if st, err := b.Stats(); err != nil || st.MirrorError == nil {
		t.Fatalf("%+v %v", st, err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.Ack(headAt(t, b, 2), nil); err != nil {
		t.Fatal(err)
	}
	write(t, db, b, 1)
	if st, err := b.Stats(); err != nil || st.MirrorError != nil {
		t.Fatalf("%+v %v", st, err)
	}
	if got := mirrored(t, path); len(got) != 4 || got[0] != 3 {
		t.Errorf("mirror has %v", got)
	}
}

func FuzzMirror(f *testing.F) {
	f.Add([]byte("TSMIRR1\n\x01\x00\x00\x00abcdx"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "m")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := outbox.ReadMirror(path, func([]byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	db, box := fresh(b)
	db.NoSync = true // the encoding and the tree, not the disk
	payload := json.RawMessage(`{"member":"00000000000000aa","wallet":"base","points":"1.00"}`)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		err := db.Update(func(tx *bbolt.Tx) error {
			for ; n < b.N; n++ {
				if _, err := box.Append(tx, outbox.Entry{Type: wire.TypeEarn, Receipt: "r", Payload: payload}); err != nil {
					return err
				}
				if n%1000 == 999 {
					n++
					break
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
