package till

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// customer is a member as this till sees it now: the centre's snapshot and
// what this till did since.
type customer struct {
	claim
	known    bool
	member   *loyalty.Member           // never nil; for an unknown card one that may only earn
	credited map[string]loyalty.Points // wallet -> earned here, not yet confirmed by the centre
	ready    map[string]loyalty.Points // of these, what is active once it is confirmed
	stopped  string                    // reason, when the card is on the stop-list
	online   bool                      // the snapshot is the centre's answer of just now
}

// statusUnknown is the card status of a card that is not in the cache.
const statusUnknown = "unknown"

// load builds the customer of a claim out of cache and journal.
func (t *Till) load(c claim, rules Rules) (*customer, error) {
	snap, err := t.c.Cache.Member(c.Ref)
	if err == nil && snap == nil && c.Member != nil {
		snap, err = t.c.Cache.MemberByID(*c.Member)
	}
	if err != nil {
		return nil, err
	}
	return t.settle(c, snap, rules)
}

// settle applies what this till did since the snapshot was made.
func (t *Till) settle(c claim, snap *store.Snapshot, rules Rules) (*customer, error) {
	cu := &customer{claim: c, credited: map[string]loyalty.Points{}, ready: map[string]loyalty.Points{}}
	after := wire.Mark{}
	if snap != nil {
		cu.known, cu.member, after = true, snap.Member, snap.Includes
		id := snap.Member.ID
		cu.Member = &id
		// A snapshot that did not change is as old as the last word from the
		// centre, not as the day it was made.
		if last := t.c.Contact(); last.After(cu.member.AsOf) && !cu.member.AsOf.IsZero() {
			m := *cu.member
			m.AsOf = last.UTC().Truncate(time.Second)
			cu.member = &m
		}
	} else {
		// Earns, cannot spend: who it is, the centre will find out.
		cu.member = &loyalty.Member{Card: loyalty.Card{Status: "inactive"}}
		cu.Member = nil
	}
	if reason, stopped := t.c.Cache.Stopped(c.Ref); stopped {
		cu.stopped = reason
		m := *cu.member
		m.Card.Status = "blocked"
		cu.member = &m
	}
	if c.Entry != "phone" && !c.Ref.IsZero() {
		m := *cu.member
		m.Card.Ref = hex.EncodeToString(c.Ref[:4])
		cu.member = &m
	}
	var deltas []*store.Delta
	err := t.c.Journal.View(func(tx *store.Tx) error {
		var err error
		deltas, err = tx.Deltas(store.SubjectOf(nil, c.Ref), after)
		if err == nil && cu.Member != nil {
			var more []*store.Delta
			more, err = tx.Deltas(store.SubjectOf(cu.Member, wire.Ref{}), after)
			deltas = append(deltas, more...)
		}
		if err != nil {
			return err
		}
		// What the other tills of the store did, as far as they told.
		subjects := []store.Subject{store.SubjectOf(nil, c.Ref)}
		if cu.Member != nil {
			subjects = append(subjects, store.SubjectOf(cu.Member, wire.Ref{}))
		}
		for _, s := range subjects {
			more, err := tx.ForeignDeltas(s)
			if err != nil {
				return err
			}
			deltas = append(deltas, more...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(deltas) > 0 {
		cu.apply(deltas, rules)
	}
	return cu, nil
}

// apply moves the snapshot by this till's own receipts. Counters, stamps and
// coupons move at once, spent points are gone at once; earned points count
// when the centre confirms them.
func (cu *customer) apply(deltas []*store.Delta, rules Rules) {
	wallets := map[string]loyalty.Balance{}
	maps.Copy(wallets, cu.member.Wallets)
	m := cu.member
	spend := func(wallet string, p loyalty.Points) {
		b := wallets[wallet]
		if n := min(p-max(b.Active, 0), b.Reserved); n > 0 { // out of a lease that the snapshot thought out of reach
			b.Reserved -= n
			p -= n
		}
		b.Active -= p
		wallets[wallet] = b
	}
	for _, d := range deltas {
		if d.Result != nil {
			if rules != nil {
				m = rules.Apply(m, d.Result, d.At)
			}
			for _, e := range d.Result.Earned {
				cu.credited[e.Wallet] += e.Points
				if e.Active <= loyalty.DateOf(d.At).String() {
					cu.ready[e.Wallet] += e.Points
				}
			}
			if s := d.Result.Spend; s != nil {
				spend(s.Wallet, s.Points)
			}
		}
		if d.Back != nil {
			if rules != nil {
				m = rules.ApplyReturn(m, d.Back, d.At)
			}
			for _, e := range d.Back.PointsTaken {
				cu.credited[e.Wallet] -= e.Points
				if e.Active <= loyalty.DateOf(d.At).String() {
					cu.ready[e.Wallet] -= e.Points
				}
			}
			for _, p := range d.Back.PointsBack {
				spend(p.Wallet, -p.Points)
			}
		}
	}
	for w, p := range cu.credited {
		if p < 0 { // of points the snapshot has already
			spend(w, -p)
			delete(cu.credited, w)
		}
	}
	for w := range cu.ready {
		if cu.ready[w] = min(cu.ready[w], cu.credited[w]); cu.ready[w] <= 0 {
			delete(cu.ready, w)
		}
	}
	moved := *m
	moved.Wallets = wallets
	if len(wallets) == 0 {
		moved.Wallets = nil
	}
	cu.member = &moved
}

// normal brings a scanned or typed text into (kind, number).
func (t *Till) normal(input, phone string) (kind, number string, err error) {
	if phone != "" {
		return t.phone(phone)
	}
	if strings.HasPrefix(strings.TrimSpace(input), "+") {
		return t.phone(input)
	}
	n := wire.Normalise(wire.KindCard, input)
	if len(n) < 3 || len(n) > 64 {
		return "", "", refuse("no_card").at("input")
	}
	for _, r := range n {
		if r < 0x21 || r > 0x7e {
			return "", "", refuse("no_card").at("input")
		}
	}
	return wire.KindCard, n, nil
}

func (t *Till) phone(s string) (string, string, error) {
	s = strings.TrimSpace(s)
	national := !strings.HasPrefix(s, "+") && !strings.HasPrefix(s, "00")
	n := wire.Normalise(wire.KindPhone, s)
	if national && t.c.PhonePrefix != "" {
		n = t.c.PhonePrefix + strings.TrimPrefix(n, "0")
	}
	if len(n) < 7 || len(n) > 15 {
		return "", "", refuse("no_card").at("phone")
	}
	return wire.KindPhone, n, nil
}

// identify finds a customer by what was scanned or typed. ask says whether
// the centre may be asked for a fresh snapshot, within its budget.
func (t *Till) identify(ctx context.Context, input, phone, entry string, ask bool) (*customer, error) {
	if t.c.LookupKey == nil {
		return nil, refuse("not_enrolled")
	}
	kind, number, err := t.normal(input, phone)
	if err != nil {
		return nil, err
	}
	if kind == wire.KindPhone {
		entry = "phone"
	}
	var rules Rules
	if r := t.c.Rules(); r != nil {
		rules = r
	}
	c := claim{Ref: wire.CardRef(t.c.LookupKey, kind, number), Entry: entry, At: t.c.Now()}
	cu, err := t.find(ctx, c, rules, ask)
	if err != nil || cu.known || kind == wire.KindPhone {
		return cu, err
	}
	// One field for both: what is no card may be a phone number.
	if _, n, err := t.phone(input); err == nil && digits(number) {
		c.Ref, c.Entry = wire.CardRef(t.c.LookupKey, wire.KindPhone, n), "phone"
		if other, err := t.find(ctx, c, rules, ask); err == nil && other.known {
			return other, nil
		}
	}
	return cu, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// find asks the centre when allowed and possible, otherwise the cache.
func (t *Till) find(ctx context.Context, c claim, rules Rules, ask bool) (*customer, error) {
	if ask && t.c.Link.Online() {
		if snap, ok := t.fresh(ctx, c.Ref); ok {
			cu, err := t.settle(c, snap, rules)
			if err == nil {
				cu.online = true
			}
			return cu, err
		}
	}
	return t.load(c, rules)
}

// fresh asks the centre for a member and keeps the answer. ok is false when
// there was no answer in time.
func (t *Till) fresh(ctx context.Context, ref wire.Ref) (*store.Snapshot, bool) {
	a, err := t.c.Link.AskMember(ctx, ref)
	if err != nil {
		t.c.Log.Debug("member not asked", "error", err)
		return nil, false
	}
	if !a.Known {
		return nil, true
	}
	snap, err := t.Keep(a.Item, a.Includes, a.Also)
	if err != nil {
		t.c.Log.Error("member from the centre not kept", "error", err)
		return nil, false
	}
	// The state of the card that was shown, not of the first one.
	for _, r := range a.Item.Refs {
		if r.Ref == ref {
			m := *snap.Member
			m.Card = loyalty.Card{Type: r.Type, Status: r.Status}
			return &store.Snapshot{Member: &m, Includes: snap.Includes}, true
		}
	}
	return snap, true
}

// errNotMember is returned for a snapshot that cannot be read.
var errNotMember = errors.New("not a member snapshot")

// Keep stores a snapshot outside the stream of snapshots.
func (t *Till) Keep(item wire.MemberItem, includes wire.Mark, also map[string]wire.Mark) (*store.Snapshot, error) {
	var m loyalty.Member
	if err := json.Unmarshal(item.Snapshot, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotMember, err)
	}
	snap := store.Snapshot{Member: &m, Includes: includes}
	err := t.c.Cache.Update(func(tx *store.CacheTx) error { return tx.PutMember(item.Refs, snap) })
	if err != nil || len(also) == 0 {
		return &snap, err
	}
	return &snap, DropForeign(t.c.Journal, Subjects(m.ID, item.Refs), also)
}

// Subjects are all a member is known by here.
func Subjects(id loyalty.MemberID, refs []wire.RefState) []store.Subject {
	all := []store.Subject{store.SubjectOf(&id, wire.Ref{})}
	for _, r := range refs {
		all = append(all, store.SubjectOf(nil, r.Ref))
	}
	return all
}

// DropForeign forgets movements of other tills that snapshots include. It
// looks before it writes: most snapshots concern nobody who was here.
func DropForeign(j *store.Journal, subjects []store.Subject, also map[string]wire.Mark) error {
	n := 0
	err := j.View(func(tx *store.Tx) (err error) { n, err = tx.DropForeign(subjects, also); return err })
	if err != nil || n == 0 {
		return err
	}
	return j.Update(func(tx *store.Tx) error { _, err := tx.DropForeign(subjects, also); return err })
}

// MemberAnswer is what identify answers.
type MemberAnswer struct {
	Member *MemberView `json:"member"`
	Mode   string      `json:"mode"` // online: the centre answered just now; offline: from this till's cache
	Known  bool        `json:"known"`
}

// MemberView is a member for the cashier's eyes.
type MemberView struct {
	Token      string        `json:"token"`
	FirstName  string        `json:"first_name,omitempty"`
	Tier       string        `json:"tier,omitempty"`
	TierName   string        `json:"tier_name,omitempty"`
	CardStatus string        `json:"card_status"`
	Balances   []BalanceView `json:"balances"`
	Birthday   bool          `json:"birthday"`
	Greeting   string        `json:"greeting,omitempty"`
	Prompts    []string      `json:"prompts,omitempty"`
	Say        string        `json:"say,omitempty"`
}

// BalanceView is one wallet for the cashier's eyes.
type BalanceView struct {
	Wallet    string         `json:"wallet"`
	Name      string         `json:"name,omitempty"`
	Active    loyalty.Points `json:"active"`
	Pending   loyalty.Points `json:"pending"`
	ToBe      loyalty.Points `json:"to_be_credited"`
	AsOf      *time.Time     `json:"as_of,omitempty"`
	Expiring  loyalty.Points `json:"expiring,omitzero"`
	ExpiresOn string         `json:"expires_on,omitempty"`
	// Reserved points lie on leases of the stores ReservedAt and cannot be
	// asked back now; they are not in Active.
	Reserved   loyalty.Points `json:"reserved,omitzero"`
	ReservedAt string         `json:"reserved_at,omitempty"`
}

// String keeps the name and the token out of logs, and so does LogValue.
func (v *MemberView) String() string { return "member, card " + v.CardStatus }

// LogValue is String.
func (v *MemberView) LogValue() slog.Value { return slog.StringValue(v.String()) }

// view makes the answer of identify.
func (t *Till) view(cu *customer, rules Rules) MemberAnswer {
	m := cu.member
	v := &MemberView{Token: t.seal.seal(cu.claim), FirstName: m.FirstName, Tier: m.Tier, CardStatus: m.Card.Status, Balances: []BalanceView{}}
	switch {
	case cu.stopped != "":
		v.CardStatus = "blocked"
	case !cu.known:
		v.CardStatus = statusUnknown
	case v.CardStatus == "":
		v.CardStatus = "active"
	}
	var g Greeting
	if rules != nil && cu.known {
		g = rules.Greet(m, t.c.Now(), t.c.Language)
	}
	v.TierName, v.Greeting, v.Say, v.Prompts, v.Birthday = g.TierName, g.Greeting, g.Say, g.Prompts, g.Birthday
	if v.Greeting == "" {
		v.Greeting = receipt.Hello(t.c.Language, m.FirstName)
	}
	ids := map[string]bool{}
	for w := range m.Wallets {
		ids[w] = true
	}
	for w := range cu.credited {
		ids[w] = true
	}
	if len(ids) == 0 { // a new member has nothing, which is a balance too
		for w := range g.Wallets {
			ids[w] = true
		}
	}
	for _, w := range slices.Sorted(maps.Keys(ids)) {
		name, shown := g.Wallets[w]
		if g.Wallets != nil && !shown {
			continue
		}
		b := m.Wallets[w]
		bv := BalanceView{Wallet: w, Name: name, Active: b.Active, Pending: b.Pending, ToBe: cu.credited[w],
			Expiring: b.Expiring, ExpiresOn: b.Expires, Reserved: b.Reserved, ReservedAt: b.ReservedAt}
		if !m.AsOf.IsZero() {
			bv.AsOf = &m.AsOf
		}
		v.Balances = append(v.Balances, bv)
	}
	mode := "offline"
	if cu.online {
		mode = "online"
	}
	return MemberAnswer{Member: v, Mode: mode, Known: cu.known}
}
