package rulebook_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
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
	err = d.Write(t.Context(), func(tx *db.Tx) error { _, err := keys.First(tx, keys.FilesIn(file), now); return err })
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Load(file)
	if err != nil {
		t.Fatal(err)
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
		st, err := keys.State(tx)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Bundle(b, "any", now); err != nil {
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
		if err := st.Signed(b); err == nil {
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

// TestSignedElsewhere: a bundle is prepared here, signed by another program, and
// stored only when the tills would believe it.
func TestSignedElsewhere(t *testing.T) {
	d, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	file := filepath.Join(t.TempDir(), "rulebook.key")
	doc := []byte(`{"programme":{"id":"shop"},"rules":[]}`)
	var first, second *wire.Bundle
	err = d.Write(t.Context(), func(tx *db.Tx) error {
		if _, err := keys.First(tx, keys.FilesIn(file), now); err != nil {
			return err
		}
		if first, _, err = rulebook.Prepare(tx, doc, rulebook.For{Stores: []string{"north", "south"}, NotAfter: now.Add(time.Hour)}, now, fine); err != nil {
			return err
		}
		second, _, err = rulebook.Prepare(tx, doc, rulebook.For{}, now, fine)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	store := func(b *wire.Bundle, at time.Time) error {
		return d.Write(t.Context(), func(tx *db.Tx) error { _, err := rulebook.Store(tx, b, "", 0, at, fine); return err })
	}
	if err := store(first, now); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("unsigned: %v", err)
	}
	key, err := keys.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*wire.Bundle{first, second} {
		if err := b.Sign(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := store(first, now.Add(2*time.Hour)); !errors.Is(err, trust.ErrExpired) {
		t.Errorf("ended: %v", err)
	}
	if err := store(first, now); err != nil {
		t.Fatal(err)
	}
	if err := store(second, now); !errors.Is(err, rulebook.ErrTaken) {
		t.Errorf("the same version twice: %v", err)
	}
	err = d.Read(t.Context(), func(tx *db.Tx) error {
		for place, want := range map[string]int64{"north": 1, "south": 1, "nort": 0, "": 0} {
			if v, err := rulebook.ForStore(tx, place); err != nil || v != want {
				t.Errorf("%q gets version %d, want %d (%v)", place, v, want, err)
			}
		}
		b, err := rulebook.Get(tx, 1)
		if err == nil && (!b.NotAfter.Equal(first.NotAfter) || len(b.Stores) != 2) {
			t.Errorf("read back for %v until %v", b.Stores, b.NotAfter)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
