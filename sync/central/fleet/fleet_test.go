package fleet_test

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/wire"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func code(t *testing.T, d *db.DB, store, till string) (code string) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.Tx) (err error) {
		code, _, err = fleet.NewCode(tx, store, till, noon, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol commits like the server does: refusals are written too.
func enrol(t *testing.T, d *db.DB, q *wire.EnrolRequest, at time.Time) (dev *fleet.Device, refused error) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.Tx) (err error) {
		dev, err = fleet.Enrol(tx, q, at, nil)
		if _, _, ok := fleet.Refusal(err); ok {
			refused, err = err, nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dev, refused
}

func key(t *testing.T) []byte {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func TestCodeWorksOnce(t *testing.T) {
	d := open(t)
	q := &wire.EnrolRequest{Code: code(t, d, "s1", "t1"), PublicKey: key(t), Host: "till-1"}
	dev, refused := enrol(t, d, q, noon)
	if refused != nil || dev.Store != "s1" || dev.Till != "t1" || dev.Epoch != 1 || !wire.ValidDevice(dev.ID) {
		t.Fatalf("got %+v, %v", dev, refused)
	}
	again, refused := enrol(t, d, q, noon)
	if refused != nil || again.ID != dev.ID {
		t.Fatalf("the same key after a lost answer: %+v, %v", again, refused)
	}
	if _, refused := enrol(t, d, &wire.EnrolRequest{Code: q.Code, PublicKey: key(t)}, noon); !errors.Is(refused, fleet.ErrCodeUsed) {
		t.Fatalf("a second device with the same code: %v", refused)
	}
}

func TestCodeDiesAfterFiveWrongTries(t *testing.T) {
	d := open(t)
	good := code(t, d, "s1", "t1")
	wrong := good[:4] + "-0000-0000"
	for range 5 {
		if _, refused := enrol(t, d, &wire.EnrolRequest{Code: wrong, PublicKey: key(t)}, noon); !errors.Is(refused, fleet.ErrCodeUnknown) {
			t.Fatal(refused)
		}
	}
	if _, refused := enrol(t, d, &wire.EnrolRequest{Code: good, PublicKey: key(t)}, noon); !errors.Is(refused, fleet.ErrTooMany) {
		t.Fatalf("the right code after five wrong ones: %v", refused)
	}
}

func TestCodeEnds(t *testing.T) {
	d := open(t)
	q := &wire.EnrolRequest{Code: code(t, d, "s1", "t1"), PublicKey: key(t)}
	if _, refused := enrol(t, d, q, noon.Add(24*time.Hour+time.Second)); !errors.Is(refused, fleet.ErrCodeExpired) {
		t.Fatal(refused)
	}
	old := code(t, d, "s1", "t2")
	code(t, d, "s1", "t2") // a new code ends the old one
	if _, refused := enrol(t, d, &wire.EnrolRequest{Code: old, PublicKey: key(t)}, noon); !errors.Is(refused, fleet.ErrCodeUnknown) {
		t.Fatal(refused)
	}
}

// TestCodeOfAnotherTillStaysGood: a mixed-up code is refused before it is used.
func TestCodeOfAnotherTillStaysGood(t *testing.T) {
	d := open(t)
	q := &wire.EnrolRequest{Code: code(t, d, "s1", "t1"), PublicKey: key(t), Till: "s1/t2"}
	for range 7 { // more often than a wrong code may be tried
		if _, refused := enrol(t, d, q, noon); !errors.Is(refused, fleet.ErrOtherTill) {
			t.Fatal(refused)
		}
	}
	q.Till = "s1/t1"
	if dev, refused := enrol(t, d, q, noon); refused != nil || dev.Till != "t1" {
		t.Fatal(dev, refused)
	}
}

func TestNewDeviceOfATillReplacesTheOld(t *testing.T) {
	d := open(t)
	first, _ := enrol(t, d, &wire.EnrolRequest{Code: code(t, d, "s1", "t1"), PublicKey: key(t)}, noon)
	second, _ := enrol(t, d, &wire.EnrolRequest{Code: code(t, d, "s1", "t1"), PublicKey: key(t)}, noon)
	err := d.Read(t.Context(), func(tx *db.Tx) error {
		old, err := fleet.ByID(tx, first.ID)
		if err != nil || old.State != fleet.Revoked {
			t.Errorf("the old device is %v, %v", old.State, err)
		}
		tills, err := fleet.Tills(tx)
		if err != nil || len(tills) != 1 || tills[0].Device.ID != second.ID {
			t.Errorf("tills %+v, %v", tills, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBadNamesAndKeys(t *testing.T) {
	d := open(t)
	for _, name := range []string{"", "a b", "../x", "-", "ж", "123456789012345678901234567890123"} {
		err := d.Write(t.Context(), func(tx *db.Tx) error { return fleet.AddTill(tx, name, "1", noon) })
		if !errors.Is(err, fleet.ErrMalformed) {
			t.Errorf("store %q: %v", name, err)
		}
	}
	if _, refused := enrol(t, d, &wire.EnrolRequest{Code: code(t, d, "s", "t"), PublicKey: []byte("short")}, noon); !errors.Is(refused, fleet.ErrMalformed) {
		t.Error(refused)
	}
}
