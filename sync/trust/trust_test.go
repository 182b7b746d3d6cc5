package trust

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

var issued = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// key n is the same in every run.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) ed25519.PublicKey { return key(n).Public().(ed25519.PublicKey) }

func id(n byte) string { return wire.KeyID(public(n)) }

// firstRoot has key 1 as root, 2 and 3 for rulebooks (one is enough), 4 to 6
// for programs (two together).
func firstRoot() *Root {
	r := &Root{Header: Header{Form: 1, Tenant: "chain-1", Version: 1, Issued: issued, Expires: issued.AddDate(5, 0, 0)}}
	r.Add(RoleRoot, public(1))
	r.Add(RoleRulebook, public(2))
	r.Add(RoleRulebook, public(3))
	for n := byte(4); n <= 6; n++ {
		r.Add(RoleRelease, public(n))
	}
	d := r.Roles[RoleRelease]
	d.Threshold = 2
	r.Roles[RoleRelease] = d
	return r
}

func signed(t testing.TB, doc interface{ Sealed() (*Signed, error) }, keys ...byte) []byte {
	t.Helper()
	s, err := doc.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range keys {
		s.Sign(key(n))
	}
	return s.Bytes()
}

func begin(t testing.TB) *State {
	t.Helper()
	st, err := Begin(signed(t, firstRoot(), 1))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func bundle(t testing.TB, version int64, by byte, change ...func(*wire.Bundle)) *wire.Bundle {
	t.Helper()
	b := &wire.Bundle{Version: version, Name: "grocer", Tenant: "chain-1", Issued: issued, NotAfter: issued.AddDate(1, 0, 0),
		Payload: fmt.Appendf(nil, `{"programme":{"version":%d}}`, version)}
	for _, f := range change {
		f(b)
	}
	if err := b.Sign(key(by)); err != nil {
		t.Fatal(err)
	}
	return b
}

func releases(version int64) *Releases {
	return &Releases{Header: Header{Form: 1, Version: version, Issued: issued, Expires: issued.AddDate(0, 6, 0)}, Programs: []Program{
		{Name: "tillside", Version: "1.5.0", OS: "linux", Arch: "amd64", Size: 3, SHA256: hashOf([]byte("new")), Stores: []string{"pilot"}},
		{Name: "tillside", Version: "1.4.0", OS: "linux", Arch: "amd64", Size: 3, SHA256: hashOf([]byte("old"))},
	}}
}

func wants(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// TestBundleIsBelievedOnlyWhole: everything that may be wrong with a rulebook,
// each by itself. (I26, I28)
func TestBundleIsBelievedOnlyWhole(t *testing.T) {
	st := begin(t)
	st.AcceptBundle(bundle(t, 7, 2))
	now := issued.AddDate(0, 1, 0)
	for name, c := range map[string]struct {
		b    *wire.Bundle
		at   time.Time
		want error
	}{
		"a new one":                       {bundle(t, 8, 2), now, nil},
		"by the other key":                {bundle(t, 8, 3), now, nil},
		"the same again":                  {bundle(t, 7, 3), now, nil},
		"the same number, other bytes":    {bundle(t, 7, 2, func(b *wire.Bundle) { b.Payload = []byte(`{}`) }), now, ErrVersion},
		"lower":                           {bundle(t, 6, 2), now, ErrVersion},
		"unsigned":                        {&wire.Bundle{Version: 8, Name: "grocer", Tenant: "chain-1", Payload: []byte(`{}`)}, now, ErrSignature},
		"by a stranger":                   {bundle(t, 8, 9), now, ErrSignature},
		"by the root's key":               {bundle(t, 8, 1), now, ErrSignature},
		"by a release key":                {bundle(t, 8, 4), now, ErrSignature},
		"another chain's":                 {bundle(t, 8, 2, func(b *wire.Bundle) { b.Tenant = "chain-2" }), now, ErrTenant},
		"nobody's":                        {bundle(t, 8, 2, func(b *wire.Bundle) { b.Tenant = "" }), now, ErrTenant},
		"ended":                           {bundle(t, 8, 2), issued.AddDate(1, 0, 1), ErrExpired},
		"ended, by a clock nobody trusts": {bundle(t, 8, 2), time.Time{}, nil},
		"under a root that has ended":     {bundle(t, 8, 2, func(b *wire.Bundle) { b.NotAfter = time.Time{} }), issued.AddDate(5, 0, 1), ErrExpired},
		"for this store among others":     {bundle(t, 8, 2, func(b *wire.Bundle) { b.Stores = []string{"s2", "s1"} }), now, nil},
		"for another store":               {bundle(t, 8, 2, func(b *wire.Bundle) { b.Stores = []string{"s2"} }), now, ErrScope},
	} {
		err := st.Bundle(c.b, "s1", c.at)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if (err == nil) != (Reason(err) == "") {
			t.Errorf("%s: reason %q of %v", name, Reason(err), err)
		}
	}
	if st.Seen(RoleRulebook) != 7 {
		t.Errorf("asking changed what was seen: %d", st.Seen(RoleRulebook))
	}
}

// TestThreshold: two of three, and one key is not two.
func TestThreshold(t *testing.T) {
	st := begin(t)
	s, err := releases(1).Sealed()
	if err != nil {
		t.Fatal(err)
	}
	s.Sign(key(4))
	_, err = st.Releases(s.Bytes(), issued)
	wants(t, "one of two", err, ErrSignature)
	s.Signatures = append(s.Signatures, s.Signatures[0], s.Signatures[0])
	_, err = st.Releases(s.Bytes(), issued)
	wants(t, "one three times", err, ErrSignature)
	s.Sign(key(2))
	_, err = st.Releases(s.Bytes(), issued)
	wants(t, "with a rulebook key", err, ErrSignature)
	s.Sign(key(6))
	if _, err = st.Releases(s.Bytes(), issued); err != nil {
		t.Error(err)
	}
}

func TestReleases(t *testing.T) {
	st := begin(t)
	now := issued.AddDate(0, 1, 0)
	l, err := st.Releases(signed(t, releases(3), 4, 5), now)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := l.Find("tillside", "linux", "amd64", "pilot"); !ok || p.Version != "1.5.0" {
		t.Errorf("pilot gets %v", p)
	}
	p, ok := l.Find("tillside", "linux", "amd64", "s1")
	if !ok || p.Version != "1.4.0" {
		t.Errorf("others get %v", p)
	}
	if _, ok := l.Find("tillside", "windows", "amd64", "s1"); ok {
		t.Error("a program for another system")
	}
	if err := p.Verify(strings.NewReader("old")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"olD", "ol", "", "old and more"} {
		wants(t, bad, p.Verify(strings.NewReader(bad)), ErrContent)
	}
	wants(t, "endless", p.Verify(endless{}), ErrContent)

	st.AcceptReleases(l)
	_, err = st.Releases(signed(t, releases(2), 4, 5), now)
	wants(t, "lower", err, ErrVersion)
	other := releases(3)
	other.Programs = other.Programs[1:]
	_, err = st.Releases(signed(t, other, 4, 5), now)
	wants(t, "same number, other list", err, ErrVersion)
	_, err = st.Releases(signed(t, releases(4), 4, 5), issued.AddDate(0, 7, 0))
	wants(t, "ended", err, ErrExpired)
	foreign := releases(4)
	foreign.Tenant = "chain-2"
	_, err = st.Releases(signed(t, foreign, 4, 5), now)
	wants(t, "another chain's", err, ErrTenant)
	_, err = st.Releases(signed(t, firstRoot(), 1), now)
	wants(t, "a root as a list", err, ErrMalformed)
	b := signed(t, releases(4), 4, 5)
	_, err = st.Releases(bytes.Replace(b, []byte(`"release"`), []byte(`"root"`), 1), now)
	wants(t, "a list as a root", err, ErrMalformed)
	for i, spoil := range []func(*Releases){
		func(l *Releases) { l.Programs[0].Name = "../tillside" }, func(l *Releases) { l.Programs[0].Version = "" },
		func(l *Releases) { l.Programs[0].SHA256 = "00" }, func(l *Releases) { l.Programs[0].Size = -1 },
		func(l *Releases) { l.Expires = time.Time{} }, func(l *Releases) { l.Form = 2 }, func(l *Releases) { l.Version = 0 },
	} {
		l := releases(4)
		spoil(l)
		if _, err := l.Sealed(); !errors.Is(err, ErrMalformed) {
			t.Errorf("spoilt list %d: %v", i, err)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestRootRotation: only who held the old keys brings in new ones, one version
// at a time.
func TestRootRotation(t *testing.T) {
	st := begin(t)
	now := issued.AddDate(0, 1, 0)
	next := st.Root().Next()
	next.Remove(RoleRoot, id(1))
	next.Add(RoleRoot, public(11))
	follow := func(b []byte) error { _, err := st.Follow(b, now); return err }
	wants(t, "by the new key alone", follow(signed(t, next, 11)), ErrSignature)
	wants(t, "by the old key alone", follow(signed(t, next, 1)), ErrSignature)
	wants(t, "by a stranger", follow(signed(t, next, 9, 11)), ErrSignature)
	skip := next.Next()
	wants(t, "one left out", follow(signed(t, skip, 1, 11)), ErrVersion)
	foreign := next.Next()
	foreign.Version, foreign.Tenant = 2, "chain-2"
	wants(t, "another chain's", follow(signed(t, foreign, 1, 11)), ErrTenant)
	ended := next.Next()
	ended.Version, ended.Expires = 2, issued
	wants(t, "ended", follow(signed(t, ended, 1, 11)), ErrExpired)
	if st.Root().Version != 1 {
		t.Fatal("a refused root was taken")
	}
	good := signed(t, next, 1, 11)
	if forgot, err := st.Follow(good, now); err != nil || len(forgot) != 0 {
		t.Fatalf("%v, %v", forgot, err)
	}
	if err := follow(good); err != nil {
		t.Errorf("the same root again: %v", err)
	}
	wants(t, "the first root again", follow(signed(t, firstRoot(), 1)), ErrVersion)
	third := st.Root().Next()
	wants(t, "by the key that was taken out", follow(signed(t, third, 1)), ErrSignature)
	// The present root has ended: the next one is still taken, or a chain that
	// forgot about it could never be helped.
	late := issued.AddDate(6, 0, 0)
	wants(t, "a bundle under a root that has ended", st.Bundle(bundle(t, 1, 2, func(b *wire.Bundle) { b.NotAfter = time.Time{} }), "s1", late), ErrExpired)
	third.Expires = issued.AddDate(10, 0, 0)
	if _, err := st.Follow(signed(t, third, 11), late); err != nil {
		t.Error(err)
	}
	if err := st.Bundle(bundle(t, 1, 2, func(b *wire.Bundle) { b.NotAfter = time.Time{} }), "s1", late); err != nil {
		t.Error(err)
	}
}

// TestLeakedKey: a stolen key signs 1,000,000; the root takes the key out, and
// honest counting goes on where the keyholder says.
func TestLeakedKey(t *testing.T) {
	st := begin(t)
	for v := int64(1); v <= 12; v++ {
		st.AcceptBundle(bundle(t, v, 2))
	}
	evil := bundle(t, 1_000_000, 3)
	if err := st.Bundle(evil, "s1", issued); err != nil {
		t.Fatal(err)
	}
	st.AcceptBundle(evil)
	wants(t, "honest 13", st.Bundle(bundle(t, 13, 2), "s1", issued), ErrVersion)
	if st.Disowned(RoleRulebook) {
		t.Error("disowned before anybody said so")
	}

	next := st.Root().Next()
	next.Remove(RoleRulebook, id(3))
	next.Revoked = append(next.Revoked, id(3))
	d := next.Roles[RoleRulebook]
	d.From = 12
	next.Roles[RoleRulebook] = d
	forgot, err := st.Follow(signed(t, next, 1), issued)
	if err != nil || len(forgot) != 1 || forgot[0] != RoleRulebook {
		t.Fatalf("forgot %v, %v", forgot, err)
	}
	if !st.Disowned(RoleRulebook) {
		t.Error("what the thief signed stays in force")
	}
	// It survives a restart.
	if st, err = Load(st.Bytes()); err != nil {
		t.Fatal(err)
	}
	if !st.Disowned(RoleRulebook) {
		t.Error("forgotten over a restart")
	}
	wants(t, "the thief's again", st.Bundle(bundle(t, 1_000_001, 3), "s1", issued), ErrSignature)
	wants(t, "old rules", st.Bundle(bundle(t, 11, 2), "s1", issued), ErrVersion)
	for v := int64(12); v <= 13; v++ {
		if err := st.Bundle(bundle(t, v, 2), "s1", issued); err != nil {
			t.Error(err)
		}
	}
	st.AcceptBundle(bundle(t, 13, 2))
	wants(t, "12 after 13", st.Bundle(bundle(t, 12, 2), "s1", issued), ErrVersion)
	if st.Disowned(RoleRulebook) {
		t.Error("honest rules disowned")
	}

	// A key that is only replaced takes nothing down.
	again := st.Root().Next()
	again.Remove(RoleRulebook, id(2))
	again.Add(RoleRulebook, public(12))
	if _, err := st.Follow(signed(t, again, 1), issued); err != nil {
		t.Fatal(err)
	}
	if st.Disowned(RoleRulebook) {
		t.Error("a replaced key takes rules down")
	}
}

func TestRootIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Root){
		"no tenant":          func(r *Root) { r.Tenant = "" },
		"no rulebook role":   func(r *Root) { delete(r.Roles, RoleRulebook) },
		"unknown role":       func(r *Root) { r.Roles["king"] = Delegation{Keys: []string{id(1)}, Threshold: 1} },
		"threshold zero":     func(r *Root) { r.Roles[RoleRoot] = Delegation{Keys: []string{id(1)}} },
		"threshold too high": func(r *Root) { r.Roles[RoleRoot] = Delegation{Keys: []string{id(1)}, Threshold: 2} },
		"one key twice":      func(r *Root) { r.Roles[RoleRoot] = Delegation{Keys: []string{id(1), id(1)}, Threshold: 2} },
		"key not there":      func(r *Root) { r.Roles[RoleRoot] = Delegation{Keys: []string{id(9)}, Threshold: 1} },
		"key with other id":  func(r *Root) { r.Keys[0].ID = id(9) },
		"revoked and named":  func(r *Root) { r.Revoked = []string{id(2)} },
		"other form":         func(r *Root) { r.Form = 2 },
	} {
		r := firstRoot()
		spoil(r)
		if err := r.Check(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Begin(signed(t, firstRoot())); !errors.Is(err, ErrSignature) {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := Begin(signed(t, firstRoot(), 2)); !errors.Is(err, ErrSignature) {
		t.Errorf("signed by a rulebook key: %v", err)
	}
}

// TestNothingFlippedIsBelieved: every bit of a stored state and of a signed
// list matters, or does not change what is believed.
func TestNothingFlippedIsBelieved(t *testing.T) {
	st := begin(t)
	list := signed(t, releases(3), 4, 5)
	for i := range list {
		for bit := range 8 {
			b := bytes.Clone(list)
			b[i] ^= 1 << bit
			got, err := st.Releases(b, issued)
			if err == nil && got.Hash != mustReleases(t, st, list).Hash {
				t.Fatalf("byte %d, bit %d: another list is believed", i, bit)
			}
		}
	}
	state := st.Bytes()
	for i := range state {
		b := bytes.Clone(state)
		b[i] ^= 1
		if got, err := Load(b); err == nil && !bytes.Equal(got.signed.Payload, st.signed.Payload) {
			t.Fatalf("byte %d: another root is believed", i)
		}
	}
}

func mustReleases(t *testing.T, st *State, b []byte) *Releases {
	t.Helper()
	l, err := st.Releases(b, issued)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLargeAndDeep: hostile documents cost nothing.
func TestLargeAndDeep(t *testing.T) {
	st := begin(t)
	large := bytes.Repeat([]byte("A"), 100<<20)
	copy(large, `{"kind":"release","payload":"`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, b := range map[string][]byte{
		"large": large,
		"deep":  bytes.Repeat([]byte("["), 1<<19),
		"empty": nil, "null": []byte("null"), "words": []byte("hello"), "two": []byte(`{"kind":"release"}{"kind":"root"}`),
		"unknown field": []byte(`{"kind":"release","payload":"e30=","extra":1}`),
	} {
		if _, err := st.Releases(b, issued); Reason(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := st.Follow(b, issued); Reason(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Load(b); Reason(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 20<<20 {
		t.Errorf("%d MB were allocated", grown>>20)
	}
}

func TestKeyFiles(t *testing.T) {
	k, err := ParseKey(FormatKey(key(1)))
	if err != nil || !k.Equal(key(1)) {
		t.Fatal(err)
	}
	for _, file := range [][]byte{FormatPublic(public(1)), FormatKey(key(1))} {
		if p, err := ParsePublic(file); err != nil || !p.Equal(public(1)) {
			t.Error(err)
		}
	}
	if _, err := ParseKey(FormatPublic(public(1))); err == nil {
		t.Error("a public key as a private one")
	}
	if _, err := ParsePublic([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")); err == nil {
		t.Error("an empty key")
	}
}

// FuzzState feeds foreign bytes to every reader of the package.
func FuzzState(f *testing.F) {
	f.Add(signed(f, firstRoot(), 1))
	f.Add(signed(f, releases(3), 4, 5))
	f.Add(begin(f).Bytes())
	f.Add(FormatKey(key(1)))
	next := firstRoot().Next()
	f.Add(signed(f, next, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		st := begin(t)
		if _, err := st.Follow(b, issued); err == nil && st.Root().Version > 2 {
			t.Error("a root by nobody")
		}
		if got, err := Load(b); err == nil {
			if _, err := Load(got.Bytes()); err != nil {
				t.Errorf("what was loaded does not load again: %v", err)
			}
		}
		if l, err := ParseReleases(b); err == nil {
			if _, err := l.Sealed(); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
		_, _ = st.Releases(b, issued)
		_, _ = ParseKey(b)
		_, _ = ParsePublic(b)
	})
}
