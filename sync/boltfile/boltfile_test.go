package boltfile

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

var bucket = []byte("b")

func seedTx(tx *bbolt.Tx) error {
	b, err := tx.CreateBucket(bucket)
	if err != nil {
		return err
	}
	for i := range 2000 {
		if err := b.Put([]byte{byte(i >> 8), byte(i)}, []byte(strings.Repeat("v", i%200))); err != nil {
			return err
		}
	}
	return nil
}

func count(t *testing.T, db *bbolt.DB) int {
	t.Helper()
	n := 0
	if err := db.View(func(tx *bbolt.Tx) error { n = tx.Bucket(bucket).Stats().KeyN; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFirstCreationIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	// What power cuts left: an old half-made file goes, a young one stays,
	// for another process may be writing it.
	old, young := path+newSuffix+"1-a", path+newSuffix+"1-b"
	for _, f := range []string{old, young} {
		if err := os.WriteFile(f, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no")
	if _, err := Open(path, Options{Init: func(*bbolt.Tx) error { return failed }}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("a file that could not be filled has the real name")
	}
	db, err := Open(path, Options{Init: seedTx})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 2000 {
		t.Errorf("%d keys", n)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	db.Close()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 2 {
		t.Errorf("left in the folder: %v", names)
	}
	// Init is for new files only.
	db, err = Open(path, Options{Init: func(*bbolt.Tx) error { return failed }})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var mu sync.Mutex
	var held []*bbolt.DB
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := Open(path, Options{Init: seedTx, LockTimeout: 100 * time.Millisecond})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				held = append(held, db)
			} else if !errors.Is(err, ErrLocked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(held) != 1 {
		t.Fatalf("%d of four have it open", len(held))
	}
	if n := count(t, held[0]); n != 2000 {
		t.Errorf("%d keys", n)
	}
	held[0].Close()
}

func TestWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{"empty": {}, "text": []byte("hello"), "zeros": make([]byte, 64<<10), "noise": []byte(strings.Repeat("noise", 20_000))} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if err := Check(path); !errors.Is(err, ErrDamaged) {
			t.Errorf("check %s: %v", name, err)
		}
		now := time.Unix(1_764_000_000, 0)
		for range 2 {
			to, err := SetAside(path, now)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(to); err != nil || string(got) != string(content) {
				t.Errorf("%s: set aside as %s, %v", name, to, err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "missing"), Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestMostlyEmptyFileIsCompacted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	db, err := Open(path, Options{Init: seedTx})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("waste"))
		if err != nil {
			return err
		}
		if err := tx.Bucket(bucket).SetSequence(77); err != nil {
			return err
		}
		for i := range 1000 {
			if err := b.Put([]byte{byte(i >> 8), byte(i)}, make([]byte, 4000)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("waste")) })
	}
	if err != nil {
		t.Fatal(err)
	}
	before, _ := Space(db)
	db.Close()
	for _, above := range []int64{0, before + 1} { // not asked for; not large enough
		if db, err = Open(path, Options{CompactAbove: above}); err != nil {
			t.Fatal(err)
		}
		if size, _ := Space(db); size != before {
			t.Errorf("above %d: %d bytes became %d", above, before, size)
		}
		db.Close()
	}
	if db, err = Open(path, Options{CompactAbove: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if size, _ := Space(db); size > before/4 {
		t.Errorf("%d bytes became %d", before, size)
	}
	if n := count(t, db); n != 2000 {
		t.Errorf("%d keys", n)
	}
	if err := db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(bucket).Sequence(); n != 77 {
			t.Errorf("sequence %d", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left in the folder: %v", names)
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
}

func TestGuard(t *testing.T) {
	if err := Guard(func() error { panic("page 7 already freed") }); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	own := errors.New("own")
	if err := Guard(func() error { return own }); !errors.Is(err, own) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// TestCheckOfFlippedFiles runs Check in a child process on files with random
// damage, as a service does at its start: whatever bbolt does, the service
// gets an answer.
func TestCheckOfFlippedFiles(t *testing.T) {
	if path := os.Getenv("BOLTFILE_CHECK"); path != "" {
		if err := Check(path); err != nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	db, err := Open(path, Options{Init: seedTx})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	r := rand.New(rand.NewPCG(3, 3))
	for range 12 {
		bad := append([]byte(nil), raw...)
		page := 2 + r.IntN(len(bad)/4096-2)
		for i := range 64 { // the page's header and first elements
			bad[page*4096+i] = byte(r.Uint32())
		}
		broken := filepath.Join(dir, "broken.db")
		if err := os.WriteFile(broken, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestCheckOfFlippedFiles$")
		cmd.Env = append(os.Environ(), "BOLTFILE_CHECK="+broken)
		if err := cmd.Run(); err != nil {
			found++
		}
	}
	if found < 8 {
		t.Errorf("damage was found in %d of 12 files", found)
	}
}
