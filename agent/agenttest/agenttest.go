// Package agenttest makes data folders of tills for tests: enrolled, with a
// rulebook and members, as if a centre had sent all that, but without one.
package agenttest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

// LookupKey is the programme's key of every folder made here.
var LookupKey = make([]byte, 32)

// Device is the device of every folder made here.
const Device = "dev-0123456789"

func key(seed string) ed25519.PrivateKey {
	s := sha256.Sum256([]byte(seed))
	return ed25519.NewKeyFromSeed(s[:])
}

// Key is the device's key, BundleKey the one that signs rulebooks, RootKey the
// one that says so, ReleaseKey the one that signs lists of programs.
func Key() ed25519.PrivateKey        { return key("device") }
func BundleKey() ed25519.PrivateKey  { return key("rulebook") }
func RootKey() ed25519.PrivateKey    { return key("root") }
func ReleaseKey() ed25519.PrivateKey { return key("release") }

// Tenant is the chain every till made here belongs to.
const Tenant = "chain-test"

// Root is what every folder made here trusts at first.
func Root() *trust.Root {
	now := time.Now().UTC().Truncate(time.Second)
	r := &trust.Root{Header: trust.Header{Form: 1, Tenant: Tenant, Version: 1, Issued: now, Expires: now.AddDate(1, 0, 0)}}
	r.Add(trust.RoleRoot, RootKey().Public().(ed25519.PublicKey))
	r.Add(trust.RoleRulebook, BundleKey().Public().(ed25519.PublicKey))
	r.Add(trust.RoleRelease, ReleaseKey().Public().(ed25519.PublicKey))
	return r
}

// Folder fills dir: the till "t1" of store "s1", the given rulebook as
// version 1, and members with a card each. syncURL may lead nowhere. It
// returns the token of a program "test".
func Folder(t testing.TB, dir, syncURL string, rulebook []byte, members map[string]*loyalty.Member) (token string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	id := agent.Identity{EnrolAnswer: wire.EnrolAnswer{Device: Device, Epoch: 1, Store: "s1", Till: "t1", LookupKey: LookupKey,
		SyncURL: syncURL}, PrivateKey: Key().Seed(), Server: "http://127.0.0.1:1"}
	b, err := json.Marshal(id)
	check(err)
	check(os.WriteFile(filepath.Join(dir, agent.IdentityFile), b, 0o600))
	check(agent.SaveTrust(dir, SignedRoot()))
	bundle := Bundle(t, 1, rulebook)
	raw, err := json.Marshal(bundle)
	check(err)
	c, err := store.OpenCache(dir, nil)
	check(err)
	check(c.Update(func(tx *store.CacheTx) error {
		if err := tx.PutBundle(1, raw); err != nil {
			return err
		}
		for card, m := range members {
			refs := []wire.RefState{{Ref: wire.CardRef(LookupKey, wire.KindCard, card), Kind: wire.KindCard}}
			if err := tx.PutMember(refs, store.Snapshot{Member: m, Includes: wire.Mark{Epoch: 1}}); err != nil {
				return err
			}
		}
		return nil
	}))
	check(c.Close())
	token, err = till.OpenPrograms(dir).Add("test", 1, time.Now())
	check(err)
	return token
}

// SignedRoot is Root signed by RootKey.
func SignedRoot() []byte {
	s, err := Root().Sealed()
	if err != nil {
		panic(err)
	}
	s.Sign(RootKey())
	return s.Bytes()
}

// Bundle signs a rulebook.
func Bundle(t testing.TB, version int64, rulebook []byte) *wire.Bundle {
	t.Helper()
	b := &wire.Bundle{Version: version, Name: "grocer", Tenant: Tenant, Issued: time.Now().UTC().Truncate(time.Second), Payload: rulebook}
	if err := b.Sign(BundleKey()); err != nil {
		t.Fatal(err)
	}
	return b
}
