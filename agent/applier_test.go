package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/store/storetest"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

var (
	good  = ed25519.NewKeyFromSeed([]byte(strings.Repeat("g", 32)))
	wrong = ed25519.NewKeyFromSeed([]byte(strings.Repeat("w", 32)))

	rootKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32)))
)

// chain is the tenant of the tests' documents.
const chain = "chain-test"

// testRoot names good for rulebooks; its own key is rootKey.
func testRoot() *trust.Root {
	r := &trust.Root{Header: trust.Header{Form: 1, Tenant: chain, Version: 1, Issued: time.Unix(1_700_000_000, 0).UTC(), Expires: time.Unix(4_000_000_000, 0).UTC()}}
	r.Add(trust.RoleRoot, rootKey.Public().(ed25519.PublicKey))
	r.Add(trust.RoleRulebook, good.Public().(ed25519.PublicKey))
	return r
}

func sealed(t *testing.T, r *trust.Root, keys ...ed25519.PrivateKey) []byte {
	s, err := r.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		s.Sign(k)
	}
	return s.Bytes()
}

func testRing(t *testing.T, dir string) *keyring {
	if err := SaveTrust(dir, sealed(t, testRoot(), rootKey)); err != nil {
		t.Fatal(err)
	}
	k, err := openKeyring(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// taker is an applier on temporary stores.
type taker struct {
	*applier
	t     *testing.T
	clock *storetest.Clock
	upto  map[wire.Lane]uint64
}

func newTaker(t *testing.T) *taker {
	clock := &storetest.Clock{}
	dir := t.TempDir()
	c, err := store.OpenCache(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := &rulebooks{store: "s1", keys: testRing(t, dir), now: clock.Now}
	return &taker{t: t, clock: clock, upto: map[wire.Lane]uint64{}, applier: &applier{log: slog.New(slog.DiscardHandler),
		journal: storetest.Open(t, dir, clock), cache: c, rules: r, health: &health.Tracker{}, onFork: func() {}}}
}

// feed hands items over as the uplink does.
func (k *taker) feed(lane wire.Lane, includes uint64, items ...any) {
	k.t.Helper()
	f := &wire.Feed{Lane: lane, After: k.upto[lane], Upto: k.upto[lane] + uint64(len(items)), Includes: wire.Mark{Epoch: 1, Seq: includes}}
	for _, i := range items {
		b, err := wire.FeedItem(i)
		if err != nil {
			k.t.Fatal(err)
		}
		f.Items = append(f.Items, b)
	}
	if err := k.Apply(context.Background(), f); err != nil {
		k.t.Fatal(err)
	}
	k.upto[lane] = f.Upto
	cursors, err := k.Cursors(context.Background())
	if err != nil || cursors[lane] != f.Upto {
		k.t.Errorf("cursor of %s is %d, want %d (%v)", lane, cursors[lane], f.Upto, err)
	}
}

func (k *taker) records() (out []string) {
	k.t.Helper()
	err := k.journal.Box().Each(func(_ uint64, b []byte) error {
		r, err := wire.DecodeRecord(b)
		if err != nil {
			return err
		}
		s := string(r.Type)
		var p struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(r.Payload, &p) == nil && p.Reason != "" {
			s += ":" + p.Reason
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func grocer(t *testing.T) []byte {
	b, err := os.ReadFile("../configs/rulebooks/grocer.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bundle(t *testing.T, version int64, payload []byte, key ed25519.PrivateKey, change ...func(*wire.Bundle)) *wire.Bundle {
	b := &wire.Bundle{Version: version, Name: "grocer", Tenant: chain, Issued: time.Unix(1_700_000_000, 0).UTC(), Payload: payload}
	for _, f := range change {
		f(b)
	}
	if err := b.Sign(key); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestOnlyGoodRulebooksComeIntoForce: whatever comes down the line, the last
// good one stays until a better one is proven.
func TestOnlyGoodRulebooksComeIntoForce(t *testing.T) {
	k := newTaker(t)
	book := grocer(t)
	k.feed(wire.LaneRulebook, 0, bundle(t, 5, book, good))
	if k.rules.number() != 5 {
		t.Fatalf("version %d in force; %v", k.rules.number(), k.records())
	}
	flipped := bundle(t, 6, book, good)
	flipped.Payload = append([]byte(nil), book...)
	flipped.Payload[len(book)/2] ^= 1
	renamed := bundle(t, 6, book, good)
	renamed.Version = 7
	for _, c := range []struct {
		name, want string
		item       any
	}{
		{"flipped byte", "BUNDLE_REJECTED:signature", flipped},
		{"another version under the same signature", "BUNDLE_REJECTED:signature", renamed},
		{"wrong key", "BUNDLE_REJECTED:signature", bundle(t, 6, book, wrong)},
		{"unsigned", "BUNDLE_REJECTED:signature", &wire.Bundle{Version: 6, Name: "grocer", Tenant: chain, Payload: book}},
		{"another chain's", "BUNDLE_REJECTED:tenant", bundle(t, 6, book, good, func(b *wire.Bundle) { b.Tenant = "chain-2" })},
		{"no chain's", "BUNDLE_REJECTED:tenant", bundle(t, 6, book, good, func(b *wire.Bundle) { b.Tenant = "" })},
		{"the root's key", "BUNDLE_REJECTED:signature", bundle(t, 6, book, rootKey)},
		{"lower version", "BUNDLE_REJECTED:version", bundle(t, 4, book, good)},
		{"expired", "BUNDLE_REJECTED:expired", bundle(t, 6, book, good, func(b *wire.Bundle) { b.NotAfter = k.clock.Now().Add(-time.Hour) })},
		{"another store's", "BUNDLE_REJECTED:scope", bundle(t, 6, book, good, func(b *wire.Bundle) { b.Stores = []string{"s2"} })},
		{"not JSON", "BUNDLE_REJECTED:decode", bundle(t, 6, []byte("{"), good)},
		{"deeply nested", "BUNDLE_REJECTED:decode", bundle(t, 6, []byte(`{"rules":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}`), good)},
		{"unknown field", "BUNDLE_REJECTED:decode", bundle(t, 6, []byte(strings.Replace(string(book), `"programme"`, `"program":1,"programme"`, 1)), good)},
		{"not an object", "BUNDLE_REJECTED:decode", 12},
	} {
		before := len(k.records())
		k.feed(wire.LaneRulebook, 0, c.item)
		got := k.records()[before:]
		if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s: records %v, want %s", c.name, got, c.want)
		}
		if k.rules.number() != 5 {
			t.Errorf("%s came into force", c.name)
		}
	}
	if len(k.health.Current()) == 0 {
		t.Error("a rejected rulebook is no warning")
	}
	k.feed(wire.LaneRulebook, 0, bundle(t, 6, book, good, func(b *wire.Bundle) { b.Stores = []string{"s1"} }))
	if k.rules.number() != 6 || len(k.health.Current()) != 0 {
		t.Errorf("version %d, warnings %v", k.rules.number(), k.health.Current())
	}
	// The same again (the lane began anew) is nothing new; a restart loads it.
	before := len(k.records())
	k.feed(wire.LaneRulebook, 0, bundle(t, 6, book, good))
	if n := len(k.records()); n != before {
		t.Errorf("%d new records", n-before)
	}
	r := &rulebooks{store: "s1", keys: k.rules.keys, now: k.clock.Now}
	if err := r.load(k.cache); err != nil || r.number() != 6 {
		t.Errorf("after a restart: %d %v", r.number(), err)
	}
	r = &rulebooks{store: "s1", now: k.clock.Now, keys: &keyring{}}
	if err := r.load(k.cache); err == nil {
		t.Error("a stored rulebook was loaded without a key to trust")
	}
}

// TestKeysRotateAndStolenOnesGo: the till follows roots only along the chain;
// a stolen key's million is forgotten when the root takes the key out, what it
// signed goes out of force, and honest counting goes on. (I28)
func TestKeysRotateAndStolenOnesGo(t *testing.T) {
	k := newTaker(t)
	book := grocer(t)
	second := ed25519.NewKeyFromSeed([]byte(strings.Repeat("2", 32)))
	both := testRoot().Next()
	both.Add(trust.RoleRulebook, second.Public().(ed25519.PublicKey))
	k.feed(wire.LaneTrust, 0, wire.TrustItem{Root: sealed(t, both, wrong)}, wire.TrustItem{Root: []byte("{")})
	if k.rules.keys.version() != 1 || len(k.health.Current()) != 1 || k.health.Current()[0].Code != "root_refused" {
		t.Fatalf("root %d, warnings %v", k.rules.keys.version(), k.health.Current())
	}
	k.feed(wire.LaneTrust, 0, wire.TrustItem{Root: sealed(t, testRoot(), rootKey)}, wire.TrustItem{Root: sealed(t, both, rootKey)})
	if k.rules.keys.version() != 2 || len(k.health.Current()) != 0 {
		t.Fatalf("root %d, warnings %v", k.rules.keys.version(), k.health.Current())
	}

	k.feed(wire.LaneRulebook, 0, bundle(t, 5, book, good))
	k.feed(wire.LaneRulebook, 0, bundle(t, 1_000_000, book, second)) // the thief
	k.feed(wire.LaneRulebook, 0, bundle(t, 6, book, good))
	if k.rules.number() != 1_000_000 {
		t.Fatalf("version %d in force", k.rules.number())
	}

	out := both.Next()
	id := wire.KeyID(second.Public().(ed25519.PublicKey))
	out.Remove(trust.RoleRulebook, id)
	out.Revoked = []string{id}
	d := out.Roles[trust.RoleRulebook]
	d.From = 5
	out.Roles[trust.RoleRulebook] = d
	raw, err := wire.FeedItem(wire.TrustItem{Root: sealed(t, out, rootKey)})
	if err != nil {
		t.Fatal(err)
	}
	err = k.Apply(context.Background(), &wire.Feed{Lane: wire.LaneTrust, After: k.upto[wire.LaneTrust], Upto: 3, Items: []json.RawMessage{raw}})
	if !errors.Is(err, uplink.ErrCursors) {
		t.Fatalf("the session goes on with old cursors: %v", err)
	}
	cursors, err := k.Cursors(context.Background())
	if err != nil || cursors[wire.LaneRulebook] != 0 || cursors[wire.LaneTrust] != 3 {
		t.Errorf("cursors %v %v", cursors, err)
	}
	if k.rules.number() != 5 {
		t.Errorf("version %d in force after the thief's went", k.rules.number())
	}
	if got := k.records(); got[len(got)-1] != "BUNDLE_REJECTED:revoked" {
		t.Errorf("records %v", got)
	}
	// A restart does not bring it back.
	r := &rulebooks{store: "s1", keys: k.rules.keys, now: k.clock.Now}
	if err := r.load(k.cache); err == nil || r.number() != 5 {
		t.Errorf("after a restart: %d %v", r.number(), err)
	}
	k.upto[wire.LaneRulebook] = 0
	for _, c := range []struct {
		version int64
		key     ed25519.PrivateKey
		want    int64
	}{{4, good, 5}, {1_000_001, second, 5}, {6, good, 6}, {5, good, 6}} {
		k.feed(wire.LaneRulebook, 0, bundle(t, c.version, book, c.key))
		if k.rules.number() != c.want {
			t.Errorf("after version %d: %d in force, want %d", c.version, k.rules.number(), c.want)
		}
	}
}

// breaking is a rulebook that breaks the engine on one basket.
type breaking struct{ till.Rules }

func (b breaking) Price(p till.Pricing) (*loyalty.Result, error) {
	if len(p.Receipt.Lines) == 13 {
		panic("index out of range")
	}
	return b.Rules.Price(p)
}

// TestARulebookThatBreaksAtWorkGoesBackByItself (I27): its vectors came out, a
// customer's basket breaks it: that very basket is priced by the one before, and
// so is every other from then on.
func TestARulebookThatBreaksAtWorkGoesBackByItself(t *testing.T) {
	k := newTaker(t)
	k.rules.fell = make(chan brokenRules, 4)
	book := grocer(t)
	k.feed(wire.LaneRulebook, 0, bundle(t, 5, book, good))
	six, _, err := till.Compile(book, 6)
	if err != nil {
		t.Fatal(err)
	}
	k.rules.activate(breaking{six})
	line := loyalty.Line{ID: "1", SKU: "7", Name: "Coffee", Quantity: 1000, Price: 1250}
	fine := till.Pricing{Receipt: &loyalty.Receipt{Currency: "GBP", Lines: []loyalty.Line{line}}, Now: k.clock.Now()}
	if r, err := k.rules.Rules().Price(fine); err != nil || !strings.HasSuffix(r.Rulebook, "@6") {
		t.Fatalf("%+v %v", r, err)
	}
	bad := &loyalty.Receipt{Currency: "GBP"}
	for i := range 13 {
		l := line
		l.ID = strconv.Itoa(i)
		bad.Lines = append(bad.Lines, l)
	}
	in := k.rules.Rules() // a sale that began before
	for range 2 {
		if r, err := in.Price(till.Pricing{Receipt: bad, Now: k.clock.Now()}); err != nil || !strings.HasSuffix(r.Rulebook, "@5") {
			t.Fatalf("the basket that breaks it: %+v %v", r, err)
		}
	}
	if k.rules.number() != 5 {
		t.Errorf("version %d in force", k.rules.number())
	}
	if b := <-k.rules.fell; b.version != 6 || !strings.Contains(b.why, "index out of range") {
		t.Errorf("told: %+v", b)
	}
}

func snapshot(id loyalty.MemberID, active loyalty.Points, refs ...wire.Ref) wire.MemberItem {
	b, err := json.Marshal(loyalty.Member{ID: id, FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: active}}})
	if err != nil {
		panic(err)
	}
	item := wire.MemberItem{Do: wire.MemberPut, Member: id.String(), Snapshot: b}
	for _, r := range refs {
		item.Refs = append(item.Refs, wire.RefState{Ref: r, Kind: "card"})
	}
	return item
}

func TestSnapshotsStopsAndErasure(t *testing.T) {
	k := newTaker(t)
	anna, card := loyalty.MemberID(7), wire.Ref{1, 2, 3}
	subject := store.SubjectOf(&anna, wire.Ref{})
	err := k.journal.Update(func(tx *store.Tx) error {
		for seq := range uint64(3) {
			d := &store.Delta{Mark: wire.Mark{Epoch: 1, Seq: seq + 1}, Result: &loyalty.Result{}}
			if err := tx.AddDelta(subject, d); err != nil {
				return err
			}
		}
		return tx.AddDelta(store.SubjectOf(nil, card), &store.Delta{Mark: wire.Mark{Epoch: 1, Seq: 2}, Result: &loyalty.Result{}})
	})
	if err != nil {
		t.Fatal(err)
	}
	count := func(s store.Subject) (n int) {
		if err := k.journal.View(func(tx *store.Tx) error { l, err := tx.Deltas(s, wire.Mark{}); n = len(l); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// A snapshot takes the place of what it includes, and of no more.
	k.feed(wire.LaneMember, 2, snapshot(anna, 500, card), json.RawMessage(`{"do":"put","member":"zz"}`), json.RawMessage(`5`))
	s, err := k.cache.Member(card)
	if err != nil || s == nil || s.Member.Wallets["points"].Active != 500 || s.Includes.Seq != 2 {
		t.Fatalf("%+v %v", s, err)
	}
	if count(subject) != 1 || count(store.SubjectOf(nil, card)) != 0 {
		t.Errorf("changes left: %d of the member, %d of the card", count(subject), count(store.SubjectOf(nil, card)))
	}
	k.feed(wire.LaneUrgent, 0, wire.UrgentItem{Do: wire.UrgentStop, Ref: card, Reason: "lost"})
	if why, yes := k.cache.Stopped(card); !yes || why != "lost" {
		t.Error("the card is not stopped")
	}
	k.feed(wire.LaneUrgent, 0, wire.UrgentItem{Do: wire.UrgentFree, Ref: card}, wire.UrgentItem{Do: wire.UrgentErase, Member: anna.String(), Order: "o1"},
		wire.UrgentItem{Do: "dance"}, wire.UrgentItem{Do: wire.UrgentErase, Member: "nonsense"})
	if s, err := k.cache.Member(card); s != nil || err != nil || count(subject) != 0 {
		t.Errorf("after the erasure: %+v %v, %d changes", s, err, count(subject))
	}
	if got := strings.Join(k.records(), " "); got != "ERASED" {
		t.Errorf("records: %s", got)
	}
	// A lane that begins anew replaces what there was.
	k.feed(wire.LaneMember, 0, snapshot(1, 1, wire.Ref{9}))
	k.upto[wire.LaneMember] = 0
	b, _ := wire.FeedItem(snapshot(2, 2, wire.Ref{8}))
	if err := k.Apply(context.Background(), &wire.Feed{Lane: wire.LaneMember, Reset: true, Upto: 40, Items: []json.RawMessage{b}}); err != nil {
		t.Fatal(err)
	}
	if s, _ := k.cache.Member(wire.Ref{9}); s != nil {
		t.Error("a member of before the reset is still there")
	}
	if s, _ := k.cache.Member(wire.Ref{8}); s == nil {
		t.Error("the new one is not")
	}
	k.feed(wire.LaneCommand, 0, wire.CommandItem{ID: "c1", Do: "reboot"})
	if got := k.records(); got[len(got)-1] != "OPERATOR" {
		t.Errorf("an unknown command was not answered: %v", got)
	}
}

func TestSessionAndForkSurviveARestart(t *testing.T) {
	k := newTaker(t)
	ctx := context.Background()
	if n, err := k.LastSession(ctx); n != 0 || err != nil {
		t.Errorf("first: %d %v", n, err)
	}
	if err := k.Session(ctx, wire.SessionStart{No: 12}); err != nil {
		t.Fatal(err)
	}
	if n, err := k.LastSession(ctx); n != 12 || err != nil {
		t.Errorf("after: %d %v", n, err)
	}
	for range 2 {
		if err := k.Forked(ctx, "hash differs"); err != nil {
			t.Fatal(err)
		}
	}
	if why, err := forked(k.journal); why != "hash differs" || err != nil {
		t.Errorf("forked: %q %v", why, err)
	}
}
