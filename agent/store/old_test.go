package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/store/storetest"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// oldFolder is a data folder with the files of an old format.
func oldFolder(t *testing.T, format string) string {
	t.Helper()
	dir := t.TempDir()
	for from, to := range map[string]string{"journal-": store.JournalFile, "cache-": store.CacheFile} {
		b, err := os.ReadFile(filepath.Join("testdata", from+format+".db"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestOldFilesOpen opens the files of every format there ever was: what the
// journal told is there, what the cache had comes again, and what is written
// from now on is of the new format.
func TestOldFilesOpen(t *testing.T) {
	dir := oldFolder(t, "1")
	j := storetest.Open(t, dir, &storetest.Clock{})
	id := loyalty.MemberID(7)
	err := j.Update(func(tx *store.Tx) error {
		for _, r := range []string{"R1", "R2"} {
			a, err := tx.Answer("k-" + r)
			if err != nil || a == nil || !strings.Contains(string(a.Body), r) {
				t.Errorf("answer %s: %+v %v", r, a, err)
			}
			got, err := tx.Receipt(r)
			if err != nil || got == nil || got.State != store.Captured {
				t.Errorf("receipt %s: %+v %v", r, got, err)
			}
		}
		if d, err := tx.Deltas(store.SubjectOf(&id, wire.Ref{}), wire.Mark{}); err != nil || len(d) != 2 {
			t.Errorf("%d changes, %v", len(d), err)
		}
		if q, err := tx.Quota("gifts"); err != nil || q == nil || q.Count != 10 {
			t.Errorf("quota %+v %v", q, err)
		}
		if u, err := tx.Usage(); err != nil || u["c"]["2026-03-01"] != 6 {
			t.Errorf("usage %v %v", u, err)
		}
		if s, err := tx.Shift("S1"); err != nil || s.Receipts != 2 {
			t.Errorf("shift %+v %v", s, err)
		}
		return tx.CountShift("S1", store.ShiftCount{Receipts: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Box().Verify(); err != nil {
		t.Error(err)
	}
	c := openCache(t, dir)
	if c.Rebuilt != "" {
		t.Errorf("an old cache was taken for damaged: %s", c.Rebuilt)
	}
	if m, err := c.MemberByID(id); m != nil || err != nil {
		t.Errorf("a member without checksum: %+v %v", m, err)
	}
	if n, _ := c.Cursor(string(wire.LaneMember)); n != 0 {
		t.Errorf("members are not asked for again: cursor %d", n)
	}
	if v, b, err := c.Bundle(0); v != 3 || len(b) == 0 || err != nil {
		t.Errorf("rulebook %d, %v", v, err)
	}
	if err := errors.Join(c.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{store.JournalFile, store.CacheFile} {
		if err := store.Examine(filepath.Join(dir, f)); err != nil {
			t.Errorf("%s after the change of format: %v", f, err)
		}
	}
}

// TestNewerFilesAreLeftAlone: a program that was rolled back does not touch
// what a newer one wrote.
func TestNewerFilesAreLeftAlone(t *testing.T) {
	dir := oldFolder(t, "1")
	path := filepath.Join(dir, store.JournalFile)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{99}) })
	if e := db.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenJournal(dir, store.Options{Identity: storetest.Identity, Stamp: func() outbox.Stamp { return outbox.Stamp{} }}); !errors.Is(err, store.ErrFormat) {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed: %v", err)
	}
}

// TestFlippedValueIsFound flips one bit in each byte of a stored answer.
func TestFlippedValueIsFound(t *testing.T) {
	dir := t.TempDir()
	j := storetest.Open(t, dir, &storetest.Clock{})
	err := j.Update(func(tx *store.Tx) error {
		return tx.PutAnswer("k", &store.Answer{Status: 200, Body: []byte(`{"net":"12.50"}`)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.JournalFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(whole), `{"net":"12.50"}`)
	for i := at; i < at+15; i++ {
		bad := []byte(string(whole))
		bad[i] ^= 4
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.Examine(path); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("byte %d: %v", i-at, err)
		}
		told := false
		j, err := store.OpenJournal(dir, store.Options{Identity: storetest.Identity, Stamp: func() outbox.Stamp { return outbox.Stamp{} }, Damaged: func(error) { told = true }})
		if err != nil {
			t.Fatal(err)
		}
		err = j.View(func(tx *store.Tx) error { _, err := tx.Answer("k"); return err })
		if !errors.Is(err, store.ErrDamaged) || !told {
			t.Errorf("byte %d: %v, told %v", i-at, err, told)
		}
		j.Close()
	}
}
