package store

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

func someone(id loyalty.MemberID, name string) *loyalty.Member {
	return &loyalty.Member{ID: id, FirstName: name, Birthday: "03-08", Attributes: map[string]string{"pet": name + "'s cat"}, Tier: "gold"}
}

func put(t *testing.T, c *Cache, m *loyalty.Member, refs ...byte) {
	t.Helper()
	var list []wire.RefState
	for _, r := range refs {
		list = append(list, wire.RefState{Ref: wire.Ref{r}, Kind: wire.KindCard})
	}
	if err := c.Update(func(tx *CacheTx) error { return tx.PutMember(list, Snapshot{Member: m}) }); err != nil {
		t.Fatal(err)
	}
}

func raw(t *testing.T, dir, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPersonIsUnderAKeyThatIsOverwritten: no page of the cache ever has the name,
// and once the key is gone no copy of the cache gives it back.
func TestPersonIsUnderAKeyThatIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	c, err := OpenCache(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	anna, ben := someone(1, "Zdzisława"), someone(2, "Benedykt")
	put(t, c, anna, 1, 2)
	put(t, c, ben, 3)
	for ref, want := range map[byte]*loyalty.Member{1: anna, 2: anna, 3: ben} {
		s, err := c.Member(wire.Ref{ref})
		if err != nil || s == nil || !reflect.DeepEqual(s.Member, want) {
			t.Fatalf("card %d: %+v %v", ref, s, err)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, PersonsFile)); err != nil || st.Size() != 2*keyBytes || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("keys: %v %v", st, err)
	}
	for _, text := range []string{"Zdzis", "Benedykt", "03-08", "cat"} {
		if bytes.Contains(raw(t, dir, CacheFile), []byte(text)) {
			t.Errorf("%q is in the cache in clear", text)
		}
	}
	put(t, c, anna, 1, 2) // a newer snapshot: the same key
	if n := c.persons.used(); n != 2 {
		t.Errorf("%d keys for two members", n)
	}
	if err := c.Update(func(tx *CacheTx) error { return tx.SetActive(1, "points", 500, 0, "") }); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Member(wire.Ref{2}); err != nil || s.Member.FirstName != anna.FirstName || s.Member.Wallets["points"].Active != 500 {
		t.Errorf("%+v %v", s, err)
	}

	old := raw(t, dir, CacheFile) // somebody has a copy of the cache
	if err := c.Update(func(tx *CacheTx) error { return tx.RemoveMember(1) }); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Member(wire.Ref{1}); s != nil || err != nil {
		t.Errorf("%+v %v", s, err)
	}
	keys := raw(t, dir, PersonsFile)
	if !bytes.Equal(keys[:keyBytes], make([]byte, keyBytes)) || bytes.Equal(keys[keyBytes:], make([]byte, keyBytes)) {
		t.Error("the wrong key was overwritten, or none")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, CacheFile), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = OpenCache(dir, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Member(wire.Ref{1}); s != nil || err != nil {
		t.Errorf("the copy gives the person back: %+v %v", s, err)
	}
	if s, err := c.Member(wire.Ref{3}); err != nil || s == nil || s.Member.FirstName != "Benedykt" {
		t.Errorf("and the other one is lost: %+v %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	// Without the keys everybody is asked for again.
	if err := os.Remove(filepath.Join(dir, PersonsFile)); err != nil {
		t.Fatal(err)
	}
	if c, err = OpenCache(dir, nil); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, _ := c.Counts(); n != 0 {
		t.Errorf("%d members without keys", n)
	}
	if n, err := c.Cursor(string(wire.LaneMember)); n != 0 || err != nil {
		t.Errorf("cursor %d %v", n, err)
	}
}

// TestKeysOfAFailedChangeAreNotUsedAgain: a change that fails at its end leaves
// members unknown, never with another's key.
func TestKeysOfAFailedChangeAreNotUsedAgain(t *testing.T) {
	c, err := OpenCache(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	put(t, c, someone(1, "Anna"), 1)
	ct := &CacheTx{c: c, forgotten: []uint32{0}}
	if err := ct.settlePersons(); err != nil { // and then the commit fails
		t.Fatal(err)
	}
	put(t, c, someone(2, "Ben"), 2)
	if s, err := c.Member(wire.Ref{1}); s != nil || err != nil {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := c.Member(wire.Ref{2}); err != nil || s == nil || s.Member.FirstName != "Ben" {
		t.Errorf("%+v %v", s, err)
	}
	put(t, c, someone(1, "Anna"), 1) // the centre sends her again
	if s, err := c.Member(wire.Ref{1}); err != nil || s == nil || s.Member.FirstName != "Anna" {
		t.Errorf("%+v %v", s, err)
	}
}

// FuzzPerson feeds foreign bytes to the reader of stored members.
func FuzzPerson(f *testing.F) {
	dir := f.TempDir()
	c, err := OpenCache(dir, nil)
	if err != nil {
		f.Fatal(err)
	}
	var v []byte
	err = c.Update(func(tx *CacheTx) (err error) {
		v, err = tx.appendStored(nil, Snapshot{Member: someone(1, "Anna")})
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v)
	f.Add([]byte{9, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := c.persons.readStored(b, c)
		if err == nil && s == nil {
			t.Error("nobody and no error")
		}
	})
}
