package keys_test

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/trust"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestFirstRootAndTheNext: keys are made once, with tight rights; the root that
// follows needs the key of the one before; without the files the centre works.
func TestFirstRootAndTheNext(t *testing.T) {
	d, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(fn func(tx *db.Tx) error) {
		t.Helper()
		if err := d.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *db.Tx) error {
		if _, err := keys.State(tx); !errors.Is(err, keys.ErrNoRoot) {
			t.Errorf("a root out of nothing: %v", err)
		}
		return nil
	})
	files := keys.FilesIn(filepath.Join(t.TempDir(), "keys", "rulebook.key"))
	var made bool
	first := func(tx *db.Tx) (err error) { made, err = keys.First(tx, files, now); return err }
	if write(first); !made {
		t.Error("nothing was made")
	}
	for _, f := range []string{files.Root, files.Rulebook, files.Release} {
		if st, err := os.Stat(f); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, st, err)
		}
	}
	rootKey, err := keys.Load(files.Root)
	if err != nil {
		t.Fatal(err)
	}
	// The key goes into the safe; a restart makes no other.
	if err := os.Remove(files.Root); err != nil {
		t.Fatal(err)
	}
	if write(first); made {
		t.Error("made again")
	}
	if _, err := keys.Load(files.Root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the root's key is back: %v", err)
	}

	_, other, _ := ed25519.GenerateKey(nil)
	write(func(tx *db.Tx) error {
		st, err := keys.State(tx)
		if err != nil {
			return err
		}
		next := st.Root().Next()
		next.Add(trust.RoleRulebook, other.Public().(ed25519.PublicKey))
		s, err := next.Sealed()
		if err != nil {
			return err
		}
		s.Sign(other)
		if _, err := keys.Publish(tx, s.Bytes(), now); !errors.Is(err, trust.ErrSignature) {
			t.Errorf("a root by another key: %v", err)
		}
		s.Sign(rootKey)
		for range 2 { // the second time is no error and no change
			if r, err := keys.Publish(tx, s.Bytes(), now); err != nil || r.Version != 2 {
				t.Errorf("%+v %v", r, err)
			}
		}
		for after, want := range map[uint64]int{0: 2, 1: 1, 2: 0, 1 << 63: 0} {
			if v, _, err := keys.After(tx, after); err != nil || len(v) != want {
				t.Errorf("after %d: %v %v", after, v, err)
			}
		}
		return nil
	})
}

func TestKeyFileThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Load(file); !errors.Is(err, keys.ErrKey) {
		t.Fatal(err)
	}
	if _, err := keys.Make(file); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "hello" {
		t.Fatal("the file was overwritten")
	}
}
