package access_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestPasswordAndSession(t *testing.T) {
	d, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var password, cookie string
	write := func(fn func(tx *db.Tx) error) {
		t.Helper()
		if err := d.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *db.Tx) (err error) { password, err = access.First(tx, noon); return err })
	if len(password) < 20 {
		t.Fatalf("password of %d characters", len(password))
	}
	write(func(tx *db.Tx) error {
		again, err := access.First(tx, noon)
		if err != nil || again != "" {
			t.Error("a second first password")
		}
		for _, bad := range []struct{ name, password string }{{access.Admin, password + "x"}, {access.Admin, ""}, {"nobody", password}} {
			if err := access.Check(tx, bad.name, bad.password); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s: %v", bad.name, err)
			}
		}
		if err := access.Check(tx, access.Admin, password); err != nil {
			t.Error(err)
		}
		cookie, err = access.Begin(tx, access.Admin, noon)
		return err
	})
	find := func(at time.Time, cookie string) (s *access.Session) {
		t.Helper()
		err := d.Read(t.Context(), func(tx *db.Tx) (err error) { s, _, err = access.Find(tx, cookie, at); return err })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := find(noon.Add(11*time.Hour), cookie); s == nil || s.Operator != access.Admin || s.CSRF == "" {
		t.Errorf("session %+v", s)
	}
	if find(noon, cookie+"x") != nil || find(noon.Add(13*time.Hour), cookie) != nil {
		t.Error("a wrong or idle cookie counts")
	}
	for h := time.Duration(0); h <= 7*24; h += 11 {
		at := noon.Add(h * time.Hour)
		write(func(tx *db.Tx) error { return access.Seen(tx, cookie, at) })
	}
	if find(noon.Add(7*24*time.Hour+time.Minute), cookie) != nil {
		t.Error("a session lives for ever")
	}
	write(func(tx *db.Tx) error { return access.SetPassword(tx, access.Admin, "another password", noon) })
	if find(noon, cookie) != nil {
		t.Error("a changed password leaves old sessions open")
	}
}

func TestGuard(t *testing.T) {
	var g access.Guard
	for range 5 {
		if err := g.Allow(noon, "admin", "10.0.0.1"); err != nil {
			t.Fatal(err)
		}
		g.Wrong(noon, "admin", "10.0.0.1")
	}
	if err := g.Allow(noon, "other", "10.0.0.1"); !errors.Is(err, access.ErrSlow) {
		t.Errorf("sixth try from the address: %v", err)
	}
	if err := g.Allow(noon.Add(2*time.Minute), "admin", "10.0.0.1"); err != nil {
		t.Errorf("two minutes later: %v", err)
	}
}
