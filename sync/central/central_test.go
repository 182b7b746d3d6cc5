package central_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/configs/rulebooks"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

// patience is how long a test waits for what must come; it decides nothing.
const patience = 60 * time.Second

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// rig is a real centre on a real port.
type rig struct {
	t      *testing.T
	dir    string
	listen string
	s      *central.Server
}

func start(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), listen: "127.0.0.1:0"}
	r.open()
	t.Cleanup(func() { r.close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	s, err := central.Open(r.t.Context(), central.Config{Dir: r.dir, Listen: r.listen, Version: "test", Zone: time.UTC, Poll: 20 * time.Millisecond,
		Timing: hub.Timing{Ping: 200 * time.Millisecond, Busy: 20 * time.Millisecond, FeedRetry: 20 * time.Millisecond}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.s, r.listen = s, s.Address()
}

func (r *rig) close() {
	if r.s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.s.Close(ctx); err != nil {
		r.t.Errorf("close: %v", err)
	}
	r.s = nil
}

func (r *rig) write(fn func(tx *db.Tx) error) {
	r.t.Helper()
	if err := r.s.DB().Write(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) read(fn func(tx *db.Tx) error) {
	r.t.Helper()
	if err := r.s.DB().Read(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) member(card string) (id loyalty.MemberID) {
	r.t.Helper()
	r.write(func(tx *db.Tx) (err error) {
		if id, err = r.s.Members().Add(tx, members.Person{FirstName: "Ada"}); err != nil {
			return err
		}
		return r.s.Members().AddCard(tx, id, wire.KindCard, card, "", "active")
	})
	return id
}

func (r *rig) balance(id loyalty.MemberID) (b ledger.Balance) {
	r.t.Helper()
	r.read(func(tx *db.Tx) error {
		all, err := ledger.Balances(tx, id)
		b = all["points"]
		return err
	})
	return b
}

func (r *rig) sound() {
	r.t.Helper()
	r.read(func(tx *db.Tx) error {
		rep, err := ledger.Verify(tx)
		if err == nil && !rep.OK() {
			r.t.Errorf("ledger: %v", rep.Problems)
		}
		return err
	})
}

// till is an enrolled till with a session.
type till struct {
	*uplinktest.Till
	s      *uplink.Session
	id     string
	answer wire.EnrolAnswer
	stop   func()
}

func (r *rig) enrol(store, name string) (wire.EnrolAnswer, ed25519.PrivateKey) {
	r.t.Helper()
	var code string
	r.write(func(tx *db.Tx) (err error) {
		code, _, err = fleet.NewCode(tx, store, name, time.Now(), nil)
		return err
	})
	key := uplinktest.Key(store + name)
	body, _ := json.Marshal(wire.EnrolRequest{Code: code, PublicKey: key.Public().(ed25519.PublicKey), Host: "h"})
	resp, err := http.Post(r.s.URL()+wire.EnrolPath, "application/json", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var a wire.EnrolAnswer
	raw, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(raw, &a); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("enrol: %d %s", resp.StatusCode, raw)
	}
	return a, key
}

func (r *rig) till(store, name string) *till {
	r.t.Helper()
	a, key := r.enrol(store, name)
	if len(a.LookupKey) != 32 || len(a.Root) == 0 || !strings.HasSuffix(a.SyncURL, wire.SyncPath) {
		r.t.Fatalf("answer %+v", a)
	}
	tl, err := uplinktest.Open(filepath.Join(r.t.TempDir(), "journal.db"), outbox.Identity{Device: a.Device, Epoch: a.Epoch}, key)
	if err != nil {
		r.t.Fatal(err)
	}
	x := &till{Till: tl, id: a.Device, answer: a}
	x.s, err = uplink.New(uplink.Config{URL: a.SyncURL, Key: key, Outbox: tl.Box, Applier: tl, Agent: "test 1", Boot: "b", Bundle: func() int64 { return 0 },
		Timing: uplink.Timing{Ping: 200 * time.Millisecond, RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond, Ack: 10 * time.Millisecond, AskBudget: 20 * time.Second}})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = x.s.Run(ctx) }()
	x.stop = func() { cancel(); <-done }
	r.t.Cleanup(func() { x.stop(); tl.Close() })
	return x
}

func (x *till) log(t *testing.T, typ wire.Type, receipt string, payload any) (m wire.Mark) {
	t.Helper()
	err := x.DB.Update(func(tx *bbolt.Tx) error {
		a, err := x.Box.Append(tx, outbox.Entry{Type: typ, Receipt: receipt, Payload: payload})
		m = wire.Mark{Epoch: 1, Seq: a.Seq}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (x *till) sale(t *testing.T, number string, m loyalty.MemberID, ref wire.Ref, earned, spent loyalty.Points, hold string) wire.Mark {
	t.Helper()
	p := wire.Commit{Receipt: json.RawMessage(`{"lines":[{"sku":"tea","name":"Tea","quantity":"1","price":"100.00"}],"tenders":[{"kind":"cash","amount":"100.00"}]}`), Hold: hold, CardRef: ref, Fiscal: "F-" + number}
	if m != 0 {
		p.Member = m.String()
	}
	net := loyalty.Money(10000) - loyalty.Money(spent)
	res := loyalty.Result{Rulebook: "grocer@1", Currency: "GBP", Lines: []loyalty.LineResult{{ID: "1", SKU: "tea", Quantity: 1000, Gross: 10000, Redeemed: loyalty.Money(spent), Spent: spent, Net: net}},
		Totals: loyalty.Totals{Gross: 10000, Redeemed: loyalty.Money(spent), Net: net}, Rules: []loyalty.RuleEffect{{Rule: "base", Name: "Base", Points: earned, Wallet: "points"}},
		Earned: []loyalty.Earning{{Rule: "base", Wallet: "points", Points: earned}}}
	if spent > 0 {
		res.Spend = &loyalty.Spending{Wallet: "points", Points: spent, Value: loyalty.Money(spent)}
	}
	p.Result, _ = json.Marshal(res)
	return x.log(t, wire.TypeCommit, number, p)
}

func (x *till) drained(t *testing.T) {
	t.Helper()
	until(t, "the journal is acknowledged", func() bool {
		h, err := x.Box.Head()
		a, err2 := x.Box.Acked()
		return err == nil && err2 == nil && h == a
	})
}

// snapshot is what the till last heard of a member.
func (x *till) snapshot(t *testing.T, id loyalty.MemberID) (last *loyalty.Member, item wire.MemberItem) {
	t.Helper()
	all, err := x.Items(wire.LaneMember)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range all {
		var it wire.MemberItem
		if err := json.Unmarshal(raw, &it); err != nil {
			t.Fatal(err)
		}
		if it.Member == id.String() {
			item, last = it, &loyalty.Member{}
			if err := json.Unmarshal(it.Snapshot, last); err != nil {
				t.Fatal(err)
			}
		}
	}
	return last, item
}

func (r *rig) publish(t *testing.T) {
	t.Helper()
	doc, err := rulebooks.Get("grocer")
	if err != nil {
		t.Fatal(err)
	}
	// Without leases: what is available is all there is, in these stories.
	r.publishDoc(t, bytes.Replace(doc, []byte(`"spend": "within_lease"`), []byte(`"spend": "no"`), 1))
}

func (r *rig) publishDoc(t *testing.T, doc []byte) {
	t.Helper()
	key, err := keys.Load(central.KeyFile(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	engine := central.NewEngine(r.s.DB())
	r.write(func(tx *db.Tx) error {
		_, _, err := rulebook.Publish(tx, doc, "", 0, key, time.Now(), engine.Check)
		return err
	})
}

// The way of a sale: a member and a rulebook reach the till, its receipts
// reach the ledger, the new balance reaches every till.
func TestSaleAcrossTheRealLink(t *testing.T) {
	r := start(t)
	id := r.member("4000")
	r.publish(t)
	a, b := r.till("s1", "1"), r.till("s2", "1")
	ref := wire.CardRef(a.answer.LookupKey, wire.KindCard, "4000")
	until(t, "the member is at the till", func() bool { m, _ := a.snapshot(t, id); return m != nil })
	if m, item := a.snapshot(t, id); m.FirstName != "Ada" || len(item.Refs) != 1 || item.Refs[0].Ref != ref {
		t.Errorf("snapshot %+v, refs %+v", m, item.Refs)
	}
	until(t, "the rulebook is at the till", func() bool { n, _ := a.Items(wire.LaneRulebook); return len(n) == 1 })
	raw, _ := a.Items(wire.LaneRulebook)
	var bundle wire.Bundle
	st, err := trust.Begin(a.answer.Root)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(raw[0], &bundle), st.Bundle(&bundle, "s1", time.Now())); err != nil || bundle.Version != 1 {
		t.Errorf("bundle %d, %v", bundle.Version, err)
	}
	a.sale(t, "1", id, ref, 2000, 0, "")
	a.drained(t)
	if got := r.balance(id); got.Available != 2000 {
		t.Fatalf("balance %+v", got)
	}
	until(t, "the other till knows the new balance", func() bool {
		m, _ := b.snapshot(t, id)
		return m != nil && m.Wallets["points"].Active == 2000
	})

	got, err := b.s.AskMember(t.Context(), wire.AskMember{Ref: ref})
	if err != nil || !got.Known || got.Item.Member != id.String() {
		t.Fatalf("%+v, %v", got, err)
	}
	hold := wire.AskHold{Hold: "11111111-1111-7111-8111-111111111111", Member: id.String(), CardRef: ref, Wallet: "points", Points: "15.00", Receipt: "2"}
	for range 2 {
		if h, err := b.s.AskHold(t.Context(), hold); err != nil || !h.Granted || h.Available != "5.00" {
			t.Fatalf("%+v, %v", h, err)
		}
	}
	other := hold
	other.Hold = "22222222-2222-7222-8222-222222222222"
	if h, err := a.s.AskHold(t.Context(), other); err != nil || h.Granted || h.Reason != "not_enough" || h.Available != "5.00" {
		t.Fatalf("%+v, %v", h, err)
	}
	b.sale(t, "2", id, ref, 85, 1500, hold.Hold)
	b.drained(t)
	if got := r.balance(id); got != (ledger.Balance{Available: 585, Spent: 1500, Issued: -2085}) {
		t.Errorf("balance %+v", got)
	}
	if h, err := b.s.AskHold(t.Context(), hold); err != nil || h.Granted || h.Reason != "void" {
		t.Errorf("a committed hold again: %+v, %v", h, err)
	}
	r.sound()
}

func TestQuestionsThatAreRefused(t *testing.T) {
	r := start(t)
	id := r.member("4000")
	x := r.till("s1", "1")
	ref := wire.CardRef(x.answer.LookupKey, wire.KindCard, "4000")
	r.write(func(tx *db.Tx) error {
		_, err := r.s.Ledger().AdjustBy(tx, id, "points", 1000, "", "")
		return err
	})
	ask := func(n int, change func(q *wire.AskHold)) string {
		q := wire.AskHold{Hold: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), Member: id.String(), CardRef: ref, Wallet: "points", Points: "1.00", Receipt: "r"}
		change(&q)
		h, err := x.s.AskHold(t.Context(), q)
		if err != nil {
			return "error"
		}
		if h.Granted {
			return "granted"
		}
		return h.Reason
	}
	until(t, "the till is connected", func() bool { return x.s.State().Phase == uplink.Online })
	for i, c := range []struct {
		want   string
		change func(q *wire.AskHold)
	}{
		{"granted", func(q *wire.AskHold) {}},
		{"unknown_member", func(q *wire.AskHold) { q.Member = loyalty.MemberID(5).String() }},
		{"unknown_card", func(q *wire.AskHold) { q.CardRef[0]++ }},
		{"other_terms", func(q *wire.AskHold) { q.Points = "0.00" }},
		{"error", func(q *wire.AskHold) { q.Points = "many" }},
		{"error", func(q *wire.AskHold) { q.Member = "x" }},
	} {
		if got := ask(i, c.change); got != c.want {
			t.Errorf("question %d: %s, want %s", i, got, c.want)
		}
	}
	r.write(func(tx *db.Tx) error { return r.s.Members().SetStatus(tx, ref, "blocked") })
	if got := ask(100, func(*wire.AskHold) {}); got != "blocked" {
		t.Errorf("a blocked card: %s", got)
	}
	until(t, "the stop-list is at the till", func() bool { n, _ := x.Items(wire.LaneUrgent); return len(n) == 1 })
	if a, err := x.s.AskMember(t.Context(), wire.AskMember{Ref: wire.Ref{9}}); err != nil || a.Known {
		t.Errorf("an unknown card: %+v, %v", a, err)
	}
}

// A card that tills used before the centre knew it.
func TestUnknownCardBecomesKnown(t *testing.T) {
	r := start(t)
	x := r.till("s1", "1")
	ref := wire.CardRef(x.answer.LookupKey, wire.KindCard, "7777")
	x.sale(t, "1", 0, ref, 300, 0, "")
	x.sale(t, "2", 0, ref, 200, 0, "")
	x.drained(t)
	id := r.member("7777")
	if got := r.balance(id); got.Available != 500 {
		t.Errorf("balance %+v", got)
	}
	until(t, "the till knows the member", func() bool {
		m, _ := x.snapshot(t, id)
		return m != nil && m.Wallets["points"].Active == 500
	})
	r.sound()
}

// What is acknowledged is there after the centre comes back, and what was on
// the way is there once.
func TestCentreRestarts(t *testing.T) {
	r := start(t)
	id := r.member("4000")
	x := r.till("s1", "1")
	const n = 150
	for i := range n {
		x.sale(t, fmt.Sprint(i), id, wire.Ref{}, 10, 0, "")
		if i%50 == 25 {
			r.close()
			r.open()
		}
	}
	x.drained(t)
	if got := r.balance(id); got.Available != 10*n {
		t.Errorf("balance %+v, want %d sales", got, n)
	}
	r.sound()
}

// Another process on the same database: what it changes reaches the tills.
func TestCommandBesideTheServer(t *testing.T) {
	r := start(t)
	x := r.till("s1", "1")
	until(t, "the till is connected", func() bool { return x.s.State().Phase == uplink.Online })
	d, err := db.Open(t.Context(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	room := &members.Room{Ledger: &ledger.Ledger{Zone: time.UTC}}
	var id loyalty.MemberID
	err = d.Write(t.Context(), func(tx *db.Tx) (err error) {
		id, err = room.Add(tx, members.Person{FirstName: "Bea"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the member is at the till", func() bool { m, _ := x.snapshot(t, id); return m != nil })
	err = d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := fleet.Revoke(tx, "s1", "1", "", "stolen", time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the revoked till is out", func() bool { return x.s.State().Phase != uplink.Online })
	x.sale(t, "late", id, wire.Ref{}, 10, 0, "")
	before := r.balance(id)
	until(t, "it tried again", func() bool { return x.s.State().Attempts >= 2 })
	if got := r.balance(id); got != before {
		t.Errorf("a revoked till was booked: %+v", got)
	}
}

// A copy of a till that goes its own way is found out, stopped and shown; the
// member pays nothing for it.
func TestForkIsQuarantined(t *testing.T) {
	r := start(t)
	id := r.member("4000")
	a, key := r.enrol("s1", "1")
	dir := t.TempDir()
	run := func(file string, points loyalty.Points) *till {
		tl, err := uplinktest.Open(filepath.Join(dir, file), outbox.Identity{Device: a.Device, Epoch: a.Epoch}, key)
		if err != nil {
			t.Fatal(err)
		}
		x := &till{Till: tl, id: a.Device}
		x.s, err = uplink.New(uplink.Config{URL: a.SyncURL, Key: key, Outbox: tl.Box, Applier: tl, Agent: "test", Boot: "b", Bundle: func() int64 { return 0 },
			Timing: uplink.Timing{RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond, Ack: 10 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		x.sale(t, "1", id, wire.Ref{}, points, 0, "")
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = x.s.Run(ctx) }()
		x.stop = func() { cancel(); <-done; tl.Close() }
		return x
	}
	first := run("a.db", 100)
	first.drained(t)
	first.stop()
	second := run("b.db", 9900)
	until(t, "the fork is noticed", func() bool {
		state := ""
		r.read(func(tx *db.Tx) error {
			d, err := fleet.ByID(tx, a.Device)
			state = string(d.State)
			return err
		})
		return state == "quarantined"
	})
	second.stop()
	if got := r.balance(id); got.Available != 100 {
		t.Errorf("balance %+v", got)
	}
	r.sound()
}

func TestAddressFileComesAndGoes(t *testing.T) {
	r := start(t)
	b, err := os.ReadFile(filepath.Join(r.dir, central.AddressFile))
	if err != nil || strings.TrimSpace(string(b)) != r.s.Address() {
		t.Errorf("%q, %v", b, err)
	}
	r.close()
	if _, err := os.Stat(filepath.Join(r.dir, central.AddressFile)); err == nil {
		t.Error("the file stays after the end")
	}
}

// A centre restored from a copy gets what the copy lacks from the tills.
func TestRestoredFromACopy(t *testing.T) {
	r := start(t)
	id := r.member("4000")
	x := r.till("s1", "1")
	x.sale(t, "1", id, wire.Ref{}, 100, 0, "")
	x.drained(t)
	until(t, "the till heard of it", func() bool {
		m, _ := x.snapshot(t, id)
		return m != nil && m.Wallets["points"].Active == 100
	})
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := r.s.DB().Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		x.sale(t, fmt.Sprint(i+2), id, wire.Ref{}, 100, 0, "")
		x.drained(t)
	}
	// Something only the lost database knew: it moved the till's cursor on.
	lost := r.member("5000")
	until(t, "the till has the lost member", func() bool { m, _ := x.snapshot(t, lost); return m != nil })
	until(t, "the till heard of that", func() bool {
		m, _ := x.snapshot(t, id)
		return m.Wallets["points"].Active == 600
	})
	r.close()
	for _, f := range []string{"-wal", "-shm"} {
		os.Remove(filepath.Join(r.dir, db.FileName+f))
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, db.FileName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	second := r.member("6000") // its place in the feed must not be one the till has passed
	until(t, "the till has brought the rest", func() bool { return r.balance(id).Available == 600 })
	until(t, "the till knows the new member", func() bool { m, _ := x.snapshot(t, second); return m != nil })
	x.sale(t, "last", id, wire.Ref{}, 100, 0, "")
	until(t, "the till knows the balance", func() bool {
		m, _ := x.snapshot(t, id)
		return m.Wallets["points"].Active == 700
	})
	if reason := x.ForkedBy(); reason != "" {
		t.Errorf("the till was told that it forked: %s", reason)
	}
	r.sound()
}
