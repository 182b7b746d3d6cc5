package db_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/sync/central/db"
)

func open(t *testing.T, dir string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestOpenTwiceKeepsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder?with #odd% name")
	d := open(t, dir)
	if err := d.Write(t.Context(), func(tx *db.Tx) error { return tx.Set("k", []byte("v")) }); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	err := again.Read(t.Context(), func(tx *db.Tx) error {
		v, ok, err := tx.Get("k")
		if err != nil || !ok || string(v) != "v" {
			t.Errorf("got %q, %v, %v", v, ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := filepath.Glob(filepath.Join(dir, db.FileName)); m == nil {
		t.Errorf("database is not at %s", filepath.Join(dir, db.FileName))
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	d := open(t, t.TempDir())
	boom := errors.New("boom")
	for range 2 { // numbers of a rolled back transaction come again
		err := d.Write(t.Context(), func(tx *db.Tx) error {
			n, err := tx.Next("x", 3)
			if err != nil || n != 1 {
				t.Errorf("first number is %d, %v", n, err)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestReaderCannotWrite(t *testing.T) {
	d := open(t, t.TempDir())
	err := d.Read(t.Context(), func(tx *db.Tx) error { return tx.Set("k", []byte("v")) })
	if err == nil {
		t.Fatal("a reader wrote")
	}
}

func TestSecondProcessSeesAndWaits(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	ctx := t.Context()
	done := make(chan error, 1)
	err := a.Write(ctx, func(tx *db.Tx) error {
		go func() {
			done <- b.Write(context.Background(), func(tx *db.Tx) error { _, err := tx.Next("x", 1); return err })
		}()
		_, err := tx.Next("x", 1)
		return err
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	_ = a.Read(ctx, func(tx *db.Tx) error {
		if n, err := tx.Counter("x"); n != 2 || err != nil {
			t.Errorf("counter is %d, %v", n, err)
		}
		return nil
	})
}

func TestInsertManyAndIn(t *testing.T) {
	d := open(t, t.TempDir())
	const n = 1234
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		var flat []any
		var keys []int64
		for i := range int64(n) {
			flat = append(flat, i, i*i)
			keys = append(keys, i)
		}
		if err := tx.InsertMany(`INSERT INTO feed (n, member) VALUES`, 2, flat, ``); err != nil {
			return err
		}
		seen := map[int64]int64{}
		err := db.In(tx, `SELECT n, member FROM feed WHERE n IN %s`, keys, func(r *sql.Rows) error {
			var k, v int64
			err := r.Scan(&k, &v)
			seen[k] = v
			return err
		})
		for k := range int64(n) {
			if seen[k] != k*k {
				t.Fatalf("row %d holds %d", k, seen[k])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewerFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	err := d.Write(t.Context(), func(tx *db.Tx) error { return tx.Exec(`INSERT INTO schema_version (version) VALUES (999)`) })
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	var newer *db.ErrNewer
	if _, err := db.Open(t.Context(), dir); !errors.As(err, &newer) || newer.File != 999 {
		t.Fatalf("got %v", err)
	}
}
