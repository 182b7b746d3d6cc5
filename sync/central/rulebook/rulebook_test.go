package rulebook_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/rulebook"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 500, time.UTC)

func fine(payload []byte) (rulebook.Checked, error) {
	return rulebook.Checked{Programme: "shop"}, nil
}

func TestPublishedVersionsGrowAndVerify(t *testing.T) {
	d, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	file := filepath.Join(t.TempDir(), "keys", "rulebook.key")
	key, made, err := rulebook.LoadKey(file)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	again, made, err := rulebook.LoadKey(file)
	if err != nil || made || !again.Equal(key) {
		t.Fatal("the key file does not give the same key back", err)
	}
	if st, err := os.Stat(file); runtime.GOOS != "windows" && (err != nil || st.Mode().Perm() != 0o600) {
		t.Errorf("key file mode %v, %v", st.Mode(), err)
	}
	doc := []byte(`{"programme":{"id":"shop","version":77},"rules":[ {"z":1, "a":"1.50"} ]}`)
	bad := errors.New("bad rulebook")
	err = d.Write(t.Context(), func(tx *db.Tx) error {
		_, _, err := rulebook.Publish(tx, doc, "", 0, key, now, func([]byte) (rulebook.Checked, error) { return rulebook.Checked{}, bad })
		return err
	})
	if !errors.Is(err, bad) {
		t.Fatalf("a failed check published: %v", err)
	}
	for want := int64(1); want <= 3; want++ {
		err = d.Write(t.Context(), func(tx *db.Tx) error {
			b, _, err := rulebook.Publish(tx, doc, "", 0, key, now, fine)
			if err == nil && b.Version != want {
				t.Errorf("version %d, want %d", b.Version, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err = d.Read(t.Context(), func(tx *db.Tx) error {
		b, err := rulebook.Get(tx, 0)
		if err != nil || b.Version != 3 {
			t.Fatalf("newest is %+v, %v", b, err)
		}
		keys, err := rulebook.Keys(tx)
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		if err := b.Verify(keys); err != nil {
			t.Errorf("as read back: %v", err)
		}
		var doc struct {
			Programme struct{ Version int64 }
			Rules     json.RawMessage
		}
		if err := json.Unmarshal(b.Payload, &doc); err != nil || doc.Programme.Version != 3 {
			t.Errorf("payload says version %d, %v", doc.Programme.Version, err)
		}
		b.Payload[len(b.Payload)-2] ^= 1
		if err := b.Verify(keys); err == nil {
			t.Error("a changed payload verifies")
		}
		_, err = rulebook.Get(tx, 9)
		if !errors.Is(err, rulebook.ErrUnknown) {
			t.Errorf("version 9: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyFileThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rulebook.LoadKey(file); !errors.Is(err, rulebook.ErrKey) {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "hello" {
		t.Fatal("the file was overwritten")
	}
}
