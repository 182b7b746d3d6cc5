package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// fataler is what *testing.T, *testing.B and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// centre is a database with a ledger on it and a clock that stands still.
type centre struct {
	t   fataler
	db  *db.DB
	l   *Ledger
	in  *Ingester
	now time.Time
}

func newCentre(t fataler, dir string) *centre {
	t.Helper()
	d, err := db.Open(context.Background(), dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	c := &centre{t: t, db: d, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	c.l = &Ledger{Now: func() time.Time { return c.now }, Zone: time.UTC}
	c.in = NewIngester(c.l, d)
	return c
}

func open(t *testing.T) *centre {
	t.Helper()
	c := newCentre(t, t.TempDir())
	t.Cleanup(c.close)
	return c
}

func (c *centre) close() {
	c.in.Close()
	c.db.Close()
}

func (c *centre) write(fn func(tx *db.Tx) error) {
	c.t.Helper()
	if err := c.db.Write(context.Background(), fn); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *centre) read(fn func(tx *db.Tx) error) {
	c.t.Helper()
	if err := c.db.Read(context.Background(), fn); err != nil {
		c.t.Fatalf("read: %v", err)
	}
}

func (c *centre) member(id loyalty.MemberID) {
	c.t.Helper()
	c.write(func(tx *db.Tx) error { return tx.Exec(`INSERT INTO member (id, made) VALUES (?, 0)`, int64(id)) })
}

// card makes a member known by a card, as package members does.
func (c *centre) card(id loyalty.MemberID, ref wire.Ref) (claimed int) {
	c.t.Helper()
	c.write(func(tx *db.Tx) (err error) {
		if err := tx.Exec(`INSERT INTO card (ref, member, kind, added) VALUES (?, ?, 'card', 0)`, ref[:], int64(id)); err != nil {
			return err
		}
		claimed, err = c.l.Claim(tx, ref, id)
		return err
	})
	return claimed
}

func (c *centre) balance(id loyalty.MemberID) (b Balance) {
	c.t.Helper()
	c.read(func(tx *db.Tx) error {
		all, err := Balances(tx, id)
		b = all["points"]
		return err
	})
	return b
}

// want holds a balance against what is expected and the ledger against itself.
func (c *centre) want(id loyalty.MemberID, want Balance) {
	c.t.Helper()
	got := c.balance(id)
	if got != want {
		c.t.Errorf("member %s has %+v, want %+v", id, got, want)
	}
	c.sound()
}

func (c *centre) sound() *Summary {
	c.t.Helper()
	var s *Summary
	c.read(func(tx *db.Tx) error {
		r, err := Verify(tx)
		if err != nil {
			return err
		}
		for _, p := range r.Problems {
			c.t.Errorf("verify: %s", p)
		}
		s, err = Sum(tx)
		return err
	})
	return s
}

func (c *centre) findings() map[string]int {
	c.t.Helper()
	all := map[string]int{}
	c.read(func(tx *db.Tx) error {
		some, err := Findings(tx, 10_000)
		for _, f := range some {
			all[f.Code]++
		}
		return err
	})
	return all
}

func (c *centre) hold(id string, m loyalty.MemberID, points loyalty.Points, d *device) error {
	return c.db.Write(context.Background(), func(tx *db.Tx) error {
		_, err := c.l.Hold(tx, HoldRequest{ID: id, Member: m, Wallet: "points", Points: points, Receipt: "r", Device: d.no})
		return err
	})
}

// device writes a journal as a till does.
type device struct {
	c     *centre
	no    int64
	id    string
	epoch uint32
	head  wire.Head // end of the journal
	acked wire.Head
	queue []*Item
}

func (c *centre) device(no int64) *device {
	c.t.Helper()
	d := &device{c: c, no: no, id: fmt.Sprintf("dev-%010d", no), epoch: 1}
	c.write(func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO device (no, id, store, till, public_key, enrolled, acked_hash) VALUES (?,?,?,?,?,0,?)`,
			no, d.id, fmt.Sprintf("s%d", no), "1", []byte{}, make([]byte, 32))
	})
	return d
}

// log appends a record to the journal and returns its place.
func (d *device) log(typ wire.Type, receipt string, payload any) wire.Mark {
	d.c.t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		d.c.t.Fatalf("payload: %v", err)
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%d/%d", d.no, d.head.Seq))
	id, _ := uuid.FromBytes(h[:16])
	r := &wire.Record{Device: d.id, Epoch: d.epoch, Seq: d.head.Seq + 1, Prev: d.head.Hash, ID: id.String(), Type: typ, Wall: d.c.now,
		Boot: "b", Clock: wire.ClockGood, Bundle: 1, Receipt: receipt, Payload: raw}
	b, err := wire.Encode(r)
	if err != nil {
		d.c.t.Fatalf("encode: %v", err)
	}
	rec, err := wire.DecodeRecord(b)
	if err != nil {
		d.c.t.Fatalf("decode: %v", err)
	}
	d.queue = append(d.queue, Prepare(rec.Seq, b, rec, ""))
	d.head = wire.Head{Seq: r.Seq, Hash: wire.HashOf(b)}
	return wire.Mark{Epoch: d.epoch, Seq: r.Seq}
}

// batch makes a batch of the first n queued records.
func (d *device) batch(n int) *Batch {
	last := d.queue[n-1]
	return &Batch{Device: d.id, Epoch: d.epoch, After: d.acked, Last: wire.Head{Seq: last.Seq, Hash: wire.HashOf(last.Raw)}, Items: d.queue[:n:n]}
}

// send pushes the first n queued records.
func (d *device) send(n int) []wire.Parked {
	d.c.t.Helper()
	b := d.batch(n)
	parked, err := d.c.in.Ingest(context.Background(), b)
	if err != nil {
		d.c.t.Fatalf("ingest of %s: %v", d.id, err)
	}
	d.acked, d.queue = b.Last, d.queue[n:]
	return parked
}

// flush sends everything.
func (d *device) flush() (parked []wire.Parked) {
	d.c.t.Helper()
	for len(d.queue) > 0 {
		parked = append(parked, d.send(min(len(d.queue), 100))...)
	}
	return parked
}

// opt changes a sale before it is written.
type opt func(p *wire.Commit, r *loyalty.Result)

func spend(hold string, n loyalty.Points) opt {
	return func(p *wire.Commit, r *loyalty.Result) {
		p.Hold = hold
		r.Spend = &loyalty.Spending{Wallet: "points", Points: n, Value: loyalty.Money(n)}
		l := &r.Lines[0]
		l.Redeemed, l.Spent, l.Net = loyalty.Money(n), n, l.Gross-loyalty.Money(n)
		r.Totals.Redeemed, r.Totals.Net = l.Redeemed, l.Net
	}
}

func withLot(active, expires string) opt {
	return func(_ *wire.Commit, r *loyalty.Result) { r.Earned[0].Active, r.Earned[0].Expires = active, expires }
}

func byCard(ref wire.Ref) opt {
	return func(p *wire.Commit, _ *loyalty.Result) { p.CardRef, p.Member = ref, "" }
}

// sale logs a closed receipt of one line over 1000.00.
func (d *device) sale(number string, m loyalty.MemberID, earned loyalty.Points, opts ...opt) wire.Mark {
	d.c.t.Helper()
	p := wire.Commit{Receipt: json.RawMessage(`{"lines":[{"sku":"a","quantity":"1","price":"1000.00"}]}`), At: d.c.now, Cashier: "7"}
	if m != 0 {
		p.Member = m.String()
	}
	r := &loyalty.Result{Rulebook: "shop@1", Currency: "GBP",
		Lines:  []loyalty.LineResult{{ID: "1", SKU: "a", Quantity: 1000, Gross: 100000, Net: 100000}},
		Totals: loyalty.Totals{Gross: 100000, Net: 100000}}
	if earned != 0 {
		r.Earned = []loyalty.Earning{{Rule: "base", Wallet: "points", Points: earned}}
	}
	for _, o := range opts {
		o(&p, r)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		d.c.t.Fatalf("result: %v", err)
	}
	p.Result = raw
	return d.log(wire.TypeCommit, number, p)
}

func (d *device) giveBack(sale wire.Mark, of *device, m loyalty.MemberID, earned, spent loyalty.Points) {
	d.c.t.Helper()
	p := wire.Return{Original: "r", Reverses: &sale, Member: m.String(), At: d.c.now}
	if of != d {
		p.Device = of.id
	}
	p.Moves = moves(earned, spent)
	d.log(wire.TypeReturn, "return", p)
}

func moves(earned, spent loyalty.Points) (all []wire.Move) {
	if earned > 0 {
		all = append(all, wire.Move{Wallet: "points", Points: earned.String(), Back: "earned"})
	}
	if spent > 0 {
		all = append(all, wire.Move{Wallet: "points", Points: spent.String(), Back: "spent"})
	}
	return all
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}
