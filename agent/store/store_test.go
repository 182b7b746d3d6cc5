package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/store/storetest"
	"github.com/tillside/tillside/sync/wire"
)

func TestJournal(t *testing.T) { storetest.Run(t, store.OpenJournal) }

func openCache(t testing.TB, dir string) *store.Cache {
	t.Helper()
	c, err := store.OpenCache(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ref(n uint64) (r wire.Ref) {
	binary.BigEndian.PutUint64(r[:], n*0x9e3779b97f4a7c15)
	r[15] = 1
	return r
}

func state(n uint64, status string) wire.RefState {
	return wire.RefState{Ref: ref(n), Kind: "card", Status: status}
}

func member(n int) *loyalty.Member {
	return &loyalty.Member{ID: loyalty.MemberID(n + 1), FirstName: fmt.Sprint("Name", n%1000), Tier: []string{"basic", "silver"}[n%2],
		AsOf: time.UnixMilli(1_780_000_000_000).UTC(), Wallets: map[string]loyalty.Balance{"points": {Active: loyalty.Points(n * 7)}}}
}

func TestCacheKeepsCardsOfAMember(t *testing.T) {
	dir := t.TempDir()
	c := openCache(t, dir)
	put := func(m *loyalty.Member, refs ...wire.RefState) {
		t.Helper()
		if err := c.Update(func(tx *store.CacheTx) error {
			return tx.PutMember(refs, store.Snapshot{Member: m, Includes: wire.Mark{Epoch: 1, Seq: 9}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	status := func(n uint64) string {
		t.Helper()
		s, err := c.Member(ref(n))
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			return "none"
		}
		return s.Member.FirstName + ":" + s.Member.Card.Status
	}
	put(member(1), state(1, "lost"), state(2, "active"))
	if status(1) != "Name1:lost" || status(2) != "Name1:active" || status(3) != "none" {
		t.Error(status(1), status(2), status(3))
	}
	put(member(1), state(2, "active"), state(3, ""))
	if status(1) != "none" || status(3) != "Name1:" {
		t.Error("after a card went:", status(1), status(3))
	}
	if s, err := c.MemberByID(2); err != nil || s == nil || s.Includes.Seq != 9 {
		t.Errorf("by id: %+v %v", s, err)
	}
	if err := c.Update(func(tx *store.CacheTx) error { return tx.SetActive(2, "points", 55, 0, "") }); err != nil {
		t.Fatal(err)
	}
	if s, _ := c.Member(ref(3)); s.Member.Wallets["points"].Active != 55 {
		t.Errorf("%+v", s.Member.Wallets)
	}
	// All or nothing, the dictionary too.
	no := errors.New("no")
	err := c.Update(func(tx *store.CacheTx) error {
		m := member(4)
		m.Tier = "a new word"
		if err := tx.PutMember([]wire.RefState{state(4, "")}, store.Snapshot{Member: m}); err != nil {
			return err
		}
		return no
	})
	if !errors.Is(err, no) || status(4) != "none" {
		t.Error(err, status(4))
	}
	m := member(5)
	m.Tier = "another word"
	put(m, state(5, ""))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openCache(t, dir)
	if s, err := c.Member(ref(5)); err != nil || s.Member.Tier != "another word" {
		t.Errorf("after opening again: %+v %v", s, err)
	}
	if err := c.Update(func(tx *store.CacheTx) error { return tx.RemoveMember(2) }); err != nil || status(2) != "none" || status(3) != "none" {
		t.Error("removed:", err, status(2), status(3))
	}
}

func TestStopsCursorsAndBundles(t *testing.T) {
	c := openCache(t, t.TempDir())
	err := c.Update(func(tx *store.CacheTx) error {
		if err := tx.PutMember([]wire.RefState{state(1, ""), state(2, "")}, store.Snapshot{Member: member(1)}); err != nil {
			return err
		}
		if err := tx.StopAny(wire.Ref{}, "0000000000000002", "fraud"); err != nil {
			return err
		}
		for v := range int64(4) {
			if err := tx.PutBundle(v+1, fmt.Appendf(nil, "bundle %d", v+1)); err != nil {
				return err
			}
		}
		return tx.SetCursor("member", 77)
	})
	if err != nil {
		t.Fatal(err)
	}
	if reason, yes := c.Stopped(ref(2)); !yes || reason != "fraud" {
		t.Errorf("stop: %q %v", reason, yes)
	}
	if err := c.Update(func(tx *store.CacheTx) error { return tx.Stop(ref(2), "") }); err != nil {
		t.Fatal(err)
	}
	if _, yes := c.Stopped(ref(2)); yes {
		t.Error("freed and still stopped")
	}
	if n, err := c.Cursor("member"); n != 77 || err != nil {
		t.Errorf("cursor %d %v", n, err)
	}
	if n, _ := c.Cursor("rulebook"); n != 0 {
		t.Errorf("cursor of a lane never fed: %d", n)
	}
	v, b, err := c.Bundle(0)
	if v != 4 || string(b) != "bundle 4" || err != nil {
		t.Errorf("active: %d %q %v", v, b, err)
	}
	if v, _, _ := c.Bundle(3); v != 3 {
		t.Error("the one before is not kept")
	}
	if v, _, _ := c.Bundle(1); v != 0 {
		t.Error("old ones are kept for ever")
	}
}

func TestDamagedCacheIsBegunAnew(t *testing.T) {
	dir := t.TempDir()
	c := openCache(t, dir)
	if err := c.Update(func(tx *store.CacheTx) error { return tx.SetCursor("member", 5) }); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.CacheFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c = openCache(t, dir)
	if n, err := c.Cursor("member"); c.Rebuilt == "" || n != 0 || err != nil {
		t.Errorf("rebuilt %q, cursor %d %v", c.Rebuilt, n, err)
	}
}

func entries(n int) []store.Entry {
	list := make([]store.Entry, n)
	for i := range list {
		list[i] = store.Entry{Refs: []wire.RefState{state(uint64(i), "active")}, Snapshot: store.Snapshot{Member: member(i), Includes: wire.Mark{Epoch: 1, Seq: uint64(i)}}}
	}
	return list
}

func TestBulkLoad(t *testing.T) {
	dir := t.TempDir()
	c := openCache(t, dir)
	const n = 20_000
	if err := c.Load(entries(n)); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, 777, n - 1} {
		if s, err := c.Member(ref(uint64(i))); err != nil || s == nil || s.Member.ID != loyalty.MemberID(i+1) {
			t.Errorf("%d: %+v %v", i, s, err)
		}
	}
	if s, err := c.Member(ref(n)); s != nil || err != nil {
		t.Errorf("one too many: %+v %v", s, err)
	}
	if members, _ := c.Counts(); members != n {
		t.Errorf("%d members", members)
	}
	st, err := os.Stat(filepath.Join(dir, store.CacheFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes a member", st.Size()/n)
	if st.Size()/n > 220 { // so small a file doubles when it grows
		t.Errorf("%d bytes a member", st.Size()/n)
	}
}

func BenchmarkIdentify(b *testing.B) {
	c := openCache(b, b.TempDir())
	const n = 200_000
	if err := c.Load(entries(n)); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	i := uint64(0)
	for b.Loop() {
		i = (i + 7919) % n
		if s, err := c.Member(ref(i)); err != nil || s == nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCapture(b *testing.B) {
	j := storetest.Open(b, b.TempDir(), &storetest.Clock{})
	basket := make([]byte, 3000)
	for i := range basket {
		basket[i] = 'x'
	}
	body := fmt.Appendf(nil, "%q", basket)
	i := 0
	for b.Loop() {
		i++
		err := j.Update(func(tx *store.Tx) error {
			r := &store.Receipt{ID: fmt.Sprint(i), State: store.Captured, Basket: body, Result: body}
			if err := tx.PutReceipt(r); err != nil {
				return err
			}
			return tx.PutAnswer(fmt.Sprint("k", i), &store.Answer{Status: 200, Body: body})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
