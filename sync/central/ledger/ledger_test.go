package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

const ann, bob = loyalty.MemberID(11), loyalty.MemberID(12)

// I1, I2, I3: a spend granted online is posted once, the rest comes back.
func TestHoldCommitAndRest(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 10000)
	d.flush()
	c.want(ann, Balance{Available: 10000, Issued: -10000})
	if err := c.hold("h1", ann, 6000, d); err != nil {
		t.Fatal(err)
	}
	if err := c.hold("h1", ann, 6000, d); err != nil {
		t.Fatalf("the same hold again: %v", err)
	}
	c.want(ann, Balance{Available: 4000, Held: 6000, Issued: -10000})
	wantErr(t, c.hold("h1", ann, 5000, d), ErrHoldDiffers)
	wantErr(t, c.hold("h2", ann, 4001, d), ErrShort)
	wantErr(t, c.hold("h2", bob, 1, d), ErrUnknownMember)
	d.sale("2", ann, 50, spend("h1", 5000))
	d.flush()
	c.want(ann, Balance{Available: 5050, Spent: 5000, Issued: -10050})
	wantErr(t, c.hold("h1", ann, 6000, d), ErrHoldEnded)
	if f := c.findings(); len(f) != 0 {
		t.Errorf("findings %v", f)
	}
}

// I5: a hold resolves once, whatever comes later; a void that is quicker than
// its hold wins.
func TestVoidOfHolds(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 10000)
	d.log(wire.TypeVoid, "", wire.Void{Hold: "never-seen", Member: ann.String()})
	d.flush()
	wantErr(t, c.hold("never-seen", ann, 1000, d), ErrHoldEnded)
	if err := c.hold("h", ann, 1000, d); err != nil {
		t.Fatal(err)
	}
	d.log(wire.TypeUnresolved, "", wire.Unresolved{Hold: "h"})
	d.flush()
	c.want(ann, Balance{Available: 9000, Held: 1000, Issued: -10000}) // counts as spent until resolved
	for range 2 {
		d.log(wire.TypeVoid, "", wire.Void{Hold: "h"})
	}
	d.flush()
	c.want(ann, Balance{Available: 10000, Issued: -10000})
	d.sale("2", ann, 0, spend("h", 1000)) // the till is wrong, the member has the points: charged, and noted
	d.flush()
	c.want(ann, Balance{Available: 9000, Spent: 1000, Issued: -10000})
	if f := c.findings(); f["hold_ended"] != 1 {
		t.Errorf("findings %v", f)
	}
}

// I2, I6: what a till spends without a right is never taken below zero.
func TestSpendBeyondTheBalanceIsTheShops(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 300)
	d.sale("2", ann, 0, spend("", 1000))
	d.flush()
	c.want(ann, Balance{Spent: 1000, Issued: -300, Lost: -700})
	if f := c.findings(); f["loss_spend"] != 1 || f["spend_without_hold"] != 1 {
		t.Errorf("findings %v", f)
	}
	// Given back, the shop's part goes to the shop.
	d.giveBack(wire.Mark{Epoch: 1, Seq: 2}, d, ann, 0, 800)
	d.flush()
	c.want(ann, Balance{Available: 100, Spent: 200, Issued: -300})
	if s := c.sound(); s.Wallets[0].Lost != 0 || s.Wallets[0].Spent != 1000 {
		t.Errorf("totals %+v", s.Wallets[0])
	}
}

// I4: returns take and give back what the receipt did, never more, at any
// till, in any part.
func TestReturns(t *testing.T) {
	c := open(t)
	c.member(ann)
	d, e := c.device(1), c.device(2)
	d.sale("1", ann, 1000)
	d.flush()
	if err := c.hold("h", ann, 400, d); err != nil {
		t.Fatal(err)
	}
	sale := d.sale("2", ann, 90, spend("h", 400))
	d.flush()
	c.want(ann, Balance{Available: 690, Spent: 400, Issued: -1090})
	d.giveBack(sale, d, ann, 30, 100)
	d.flush()
	c.want(ann, Balance{Available: 760, Spent: 300, Issued: -1060})
	e.giveBack(sale, d, ann, 60, 300)
	e.giveBack(sale, d, ann, 90, 400) // once more, whole: nothing is left to give
	e.flush()
	c.want(ann, Balance{Available: 1000, Issued: -1000})
	if f := c.findings(); f["returned_too_much"] != 2 {
		t.Errorf("findings %v", f)
	}
	c.read(func(tx *db.Tx) error {
		all, err := MemberReceipts(tx, ann, 10)
		if err != nil || len(all) != 5 {
			t.Fatalf("%d receipts, %v", len(all), err)
		}
		if all[3].State != "returned" || all[4].State != "captured" {
			t.Errorf("the sale is %s, the other %s", all[3].State, all[4].State)
		}
		back, err := Returns(tx, all[3])
		if len(back) != 3 {
			t.Errorf("%d returns of the sale", len(back))
		}
		return err
	})
}

// A return whose points were spent meanwhile costs the shop, not the member.
func TestReturnOfSpentPoints(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	sale := d.sale("1", ann, 500)
	d.flush()
	if err := c.hold("h", ann, 450, d); err != nil {
		t.Fatal(err)
	}
	d.sale("2", ann, 0, spend("h", 450))
	d.giveBack(sale, d, ann, 500, 0)
	d.flush()
	c.want(ann, Balance{Spent: 450, Issued: 0, Lost: -450})
	if s := c.sound(); s.Wallets[0].Reversed != 500 {
		t.Errorf("reversed %s: the figure is what the till took back", s.Wallets[0].Reversed)
	}
}

func TestVoidReversesAReceiptWhole(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 1000)
	d.flush()
	if err := c.hold("h", ann, 1000, d); err != nil {
		t.Fatal(err)
	}
	sale := d.sale("2", ann, 70, spend("h", 1000))
	d.log(wire.TypeVoid, "2", wire.Void{Reverses: &sale, Member: ann.String()})
	d.log(wire.TypeVoid, "2", wire.Void{Reverses: &sale, Member: ann.String()})
	d.giveBack(sale, d, ann, 70, 1000)
	d.flush()
	c.want(ann, Balance{Available: 1000, Issued: -1000})
	if f := c.findings(); f["return_after_void"] != 1 {
		t.Errorf("findings %v", f)
	}
}

// A return may arrive before its sale (I17): it waits and is applied once.
func TestReturnBeforeItsSale(t *testing.T) {
	for _, named := range []bool{false, true} {
		c := open(t)
		c.member(ann)
		d, e := c.device(1), c.device(2)
		sale := d.sale("A-17", ann, 500)
		if named {
			e.log(wire.TypeReturn, "ret", wire.Return{Original: "A-17", Member: ann.String(), Moves: moves(200, 0)})
		} else {
			e.giveBack(sale, d, ann, 200, 0)
		}
		if p := e.flush(); len(p) != 0 {
			t.Fatalf("parked %v", p)
		}
		if s := c.sound(); s.Waiting != 1 {
			t.Fatalf("%d waiting", s.Waiting)
		}
		d.flush()
		c.want(ann, Balance{Available: 300, Issued: -300})
		if s := c.sound(); s.Waiting != 0 || s.Returns != 1 {
			t.Errorf("%d waiting, %d returns", s.Waiting, s.Returns)
		}
	}
}

// Poison is parked and blocks nothing.
func TestPoisonIsParked(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	bad := map[string]func(){
		"unknown member":      func() { d.sale("x", bob, 10) },
		"negative points":     func() { d.sale("x", ann, -10) },
		"absurd points":       func() { d.sale("x", ann, MostPoints+1) },
		"lines do not add up": func() { d.sale("x", ann, 10, func(_ *wire.Commit, r *loyalty.Result) { r.Totals.Net++ }) },
		"line does not add up": func() {
			d.sale("x", ann, 10, func(_ *wire.Commit, r *loyalty.Result) { r.Lines[0].Net++; r.Totals.Net++ })
		},
		"spend differs": func() {
			d.sale("x", ann, 0, spend("", 10), func(_ *wire.Commit, r *loyalty.Result) { r.Spend.Points = 5 })
		},
		"spend by nobody":       func() { d.sale("x", 0, 0, spend("", 10)) },
		"member differs":        func() { b := bob; d.sale("x", ann, 1, func(_ *wire.Commit, r *loyalty.Result) { r.Member = &b }) },
		"bad day":               func() { d.sale("x", ann, 1, withLot("soon", "")) },
		"unknown type":          func() { d.log(wire.TypeReceiptOpen, "", map[string]string{}) },
		"type of the future":    func() { d.log("TELEPORT", "", map[string]string{"a": "b"}) },
		"void of nothing":       func() { d.log(wire.TypeVoid, "", wire.Void{}) },
		"void of no receipt":    func() { d.log(wire.TypeVoid, "", wire.Void{Reverses: &wire.Mark{Epoch: 1, Seq: 99999}}) },
		"return of no receipt":  func() { d.giveBack(wire.Mark{Epoch: 1, Seq: 99999}, d, ann, 1, 0) },
		"payload is a list":     func() { d.log(wire.TypeEarn, "", map[string]any{"points": []int{1}}) },
		"gift without a person": func() { d.log(wire.TypeEarn, "", wire.Earn{Wallet: "points", Points: "1.00"}) },
	}
	for name, log := range bad {
		log()
		d.sale("good", ann, 100)
		parked := d.flush()
		if len(parked) != 1 || parked[0].Seq != d.head.Seq-1 || parked[0].Reason == "" {
			t.Errorf("%s: parked %v", name, parked)
		}
	}
	n := loyalty.Points(len(bad)) * 100
	c.want(ann, Balance{Available: n, Issued: -n})
	c.read(func(tx *db.Tx) error {
		all, err := ParkedRecords(tx, 100)
		if len(all) != len(bad) {
			t.Errorf("%d parked records are listed, want %d", len(all), len(bad))
		}
		return err
	})
}

// A parked record is booked once its reason is gone, once.
func TestRetry(t *testing.T) {
	c := open(t)
	d := c.device(1)
	d.sale("1", ann, 100)
	d.sale("2", ann, 0, spend("", 10), func(_ *wire.Commit, r *loyalty.Result) { r.Spend.Points = 5 })
	if p := d.flush(); len(p) != 2 {
		t.Fatalf("parked %v", p)
	}
	retry := func(wantBooked, wantLeft int) {
		t.Helper()
		c.write(func(tx *db.Tx) error {
			booked, left, err := c.l.Retry(tx, 100)
			if booked != wantBooked || left != wantLeft {
				t.Errorf("booked %d, left %d", booked, left)
			}
			return err
		})
	}
	retry(0, 2)
	c.member(ann)
	retry(1, 1)
	retry(0, 1)
	c.want(ann, Balance{Available: 100, Issued: -100})
}

// A record that passes every check and still cannot be booked does not hold
// up the others either.
func TestUnbookableIsParked(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	for range 4 {
		d.sale("1", ann, MostPoints)
	}
	d.flush()
	c.write(func(tx *db.Tx) error { // as if 10^17 had been issued long ago
		return tx.Exec(`UPDATE balance SET available = available + 9000000000000000000, issued = issued - 9000000000000000000 WHERE member = ?`, int64(ann))
	})
	d.sale("2", ann, 1)
	if p := d.flush(); len(p) != 1 || !strings.Contains(p[0].Reason, "out of range") {
		t.Errorf("parked %v", p)
	}
}

// I16: a batch that does not follow the watermark changes nothing.
func TestWatermark(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 100)
	first := d.batch(1)
	d.flush()
	_, err := c.in.Ingest(context.Background(), first)
	wantErr(t, err, ErrWatermark)
	d.sale("2", ann, 100)
	d.sale("3", ann, 100)
	gap := d.batch(2)
	gap.After = wire.Head{Seq: 2}
	_, err = c.in.Ingest(context.Background(), gap)
	wantErr(t, err, ErrWatermark)
	other := d.batch(2)
	other.Epoch = 2
	_, err = c.in.Ingest(context.Background(), other)
	wantErr(t, err, ErrNoDevice)
	d.flush()
	c.want(ann, Balance{Available: 300, Issued: -300})
	c.read(func(tx *db.Tx) error {
		for seq := uint64(1); seq <= 3; seq++ {
			raw, err := Record(tx, d.no, 1, seq)
			if err != nil {
				return err
			}
			if r, err := wire.DecodeRecord(raw); err != nil || r.Seq != seq {
				t.Errorf("record %d reads back as %v, %v", seq, r, err)
			}
		}
		if raw, err := Record(tx, d.no, 1, 4); raw != nil || err != nil {
			t.Errorf("a record that never came: %s, %v", raw, err)
		}
		return nil
	})
}

// A card nobody knows: kept, and credited when it becomes known, returns and
// all.
func TestUnknownCardIsClaimed(t *testing.T) {
	c := open(t)
	d, e := c.device(1), c.device(2)
	ref := wire.CardRef([]byte("key"), wire.KindCard, "4000")
	sale := d.sale("1", 0, 500, byCard(ref))
	d.sale("2", 0, 70, byCard(ref))
	gone := d.sale("3", 0, 9, byCard(ref))
	d.log(wire.TypeVoid, "3", wire.Void{Reverses: &gone, CardRef: ref})
	d.flush()
	e.log(wire.TypeReturn, "ret", wire.Return{Original: "1", Reverses: &sale, Device: d.id, CardRef: ref, Moves: moves(200, 0)})
	e.flush()
	s := c.sound()
	if s.Wallets[0].Unclaimed != 579 || s.Wallets[0].Earned != 579 || s.Receipts != 3 {
		t.Errorf("before the claim: %+v", s)
	}
	c.member(ann)
	if n := c.card(ann, ref); n != 5 {
		t.Errorf("claimed %d records", n)
	}
	c.want(ann, Balance{Available: 370, Issued: -370})
	s = c.sound()
	if w := s.Wallets[0]; w.Unclaimed != 0 || w.Earned != 579 || w.Reversed != 209 || s.Receipts != 3 || s.Returns != 1 {
		t.Errorf("after the claim: %+v", s)
	}
	c.read(func(tx *db.Tx) error {
		all, err := MemberReceipts(tx, ann, 10)
		if len(all) != 4 {
			t.Errorf("%d receipts in the history", len(all))
		}
		return err
	})
	d.sale("4", 0, 30, byCard(ref)) // from now on directly
	d.flush()
	c.want(ann, Balance{Available: 400, Issued: -400})
}

// A receipt without member and card is history only.
func TestReceiptOfNobody(t *testing.T) {
	c := open(t)
	d := c.device(1)
	d.sale("1", 0, 0)
	d.flush()
	if s := c.sound(); s.Receipts != 1 || s.Entries != 0 {
		t.Errorf("%+v", s)
	}
}

// Pending points become active on their day, lots end on theirs, and a spend
// takes the lot that ends first.
func TestDays(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 100, withLot("2026-12-01", "2026-12-31"))
	d.sale("2", ann, 1000, withLot("", "2026-11-30"))
	d.sale("3", ann, 10)
	d.flush()
	c.want(ann, Balance{Available: 1010, Pending: 100, Issued: -1110})
	day := func(now string) {
		t.Helper()
		at, err := time.Parse(time.DateOnly, now)
		if err != nil {
			t.Fatal(err)
		}
		c.now = at
		for n := 1; n > 0; {
			c.write(func(tx *db.Tx) (err error) { n, err = c.l.RunDay(tx, 1); return err })
		}
	}
	day("2026-11-30")
	c.want(ann, Balance{Available: 1010, Pending: 100, Issued: -1110})
	if err := c.hold("h", ann, 300, d); err != nil {
		t.Fatal(err)
	}
	day("2026-12-01") // held points are not expired under the customer's hands
	c.want(ann, Balance{Available: 110, Held: 300, Expired: 700, Issued: -1110})
	sale := d.sale("4", ann, 0, spend("h", 290))
	d.flush()
	c.want(ann, Balance{Available: 120, Spent: 290, Expired: 700, Issued: -1110})
	day("2026-12-02") // the 10 that were kept and not used end now
	c.want(ann, Balance{Available: 110, Spent: 290, Expired: 710, Issued: -1110})
	d.giveBack(sale, d, ann, 0, 290) // their day is over: they come back and end
	d.flush()
	c.want(ann, Balance{Available: 400, Expired: 710, Issued: -1110})
	day("2026-12-03")
	c.want(ann, Balance{Available: 110, Expired: 1000, Issued: -1110})
	day("2027-01-01") // those of the first sale too; the ones without an end stay
	c.want(ann, Balance{Available: 10, Expired: 1100, Issued: -1110})
}

func TestReturnOfPendingPoints(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	sale := d.sale("1", ann, 100, withLot("2026-12-01", ""))
	d.sale("2", ann, 50)
	d.giveBack(sale, d, ann, 40, 0)
	d.flush()
	c.want(ann, Balance{Available: 50, Pending: 60, Issued: -110})
	d.giveBack(sale, d, ann, 60, 0)
	d.flush()
	c.want(ann, Balance{Available: 50, Issued: -50})
}

func TestAdjustOnce(t *testing.T) {
	c := open(t)
	c.member(ann)
	for i := range 3 {
		c.write(func(tx *db.Tx) error {
			done, err := c.l.AdjustBy(tx, ann, "points", 500, "ref-1", "opening")
			if done != (i == 0) {
				t.Errorf("call %d booked: %v", i, done)
			}
			return err
		})
	}
	c.want(ann, Balance{Available: 500, Issued: -500})
	err := c.db.Write(context.Background(), func(tx *db.Tx) error {
		_, err := c.l.AdjustBy(tx, ann, "points", -501, "", "too much")
		return err
	})
	wantErr(t, err, ErrShort)
}

// Every record of one wallet is on the member's chain, newest first, in pages.
func TestJournalPages(t *testing.T) {
	c := open(t)
	c.member(ann)
	c.member(bob)
	d := c.device(1)
	for i := range 250 {
		d.sale(fmt.Sprint(i), ann, loyalty.Points(i+1))
		d.sale(fmt.Sprint(i), bob, 1)
	}
	d.flush()
	var all []Entry
	c.read(func(tx *db.Tx) error {
		for before := int64(0); ; {
			some, err := Journal(tx, ann, "points", before, 100)
			if err != nil || len(some) == 0 {
				return err
			}
			all = append(all, some...)
			before = some[len(some)-1].ID
		}
	})
	if len(all) != 250 {
		t.Fatalf("%d entries", len(all))
	}
	for i, e := range all {
		if e.Points != loyalty.Points(250-i) || e.Member != ann || e.Number != fmt.Sprint(249-i) || e.Store != "s1" {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
}

// Verify must find what is wrong, or it proves nothing.
func TestVerifyFindsDamage(t *testing.T) {
	for name, damage := range map[string]string{
		"entry removed":   `DELETE FROM entry WHERE id = 2`,
		"entry changed":   `UPDATE entry SET points = points + 1 WHERE id = 3`,
		"entry of other":  `UPDATE entry SET member = 12 WHERE id = 3`,
		"chain broken":    `UPDATE entry SET prev = 1 WHERE id = 3`,
		"balance changed": `UPDATE balance SET available = available + 5, issued = issued - 5 WHERE member = 11`,
		"balance gone":    `DELETE FROM balance WHERE member = 11`,
		"hold lost":       `DELETE FROM hold`,
		"lot too large":   `UPDATE lot SET remaining = 1000000 WHERE state = 'active'`,
		"lot gone":        `DELETE FROM lot WHERE state = 'pending'`,
	} {
		c := open(t)
		c.member(ann)
		c.member(bob)
		d := c.device(1)
		d.sale("1", ann, 100)
		d.sale("2", ann, 100, withLot("", "2026-12-31"))
		d.sale("3", ann, 100, withLot("2026-12-30", ""))
		d.flush()
		if err := c.hold("h", ann, 10, d); err != nil {
			t.Fatal(err)
		}
		c.sound()
		c.write(func(tx *db.Tx) error { return tx.Exec(damage) })
		c.read(func(tx *db.Tx) error {
			r, err := Verify(tx)
			if err == nil && r.OK() {
				t.Errorf("%s: nothing found", name)
			}
			return err
		})
	}
}

// The database itself refuses what the invariants forbid.
func TestDatabaseGuardsTheInvariants(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 100)
	d.flush()
	for _, bad := range []string{
		`UPDATE balance SET available = -1, spent = 101`,
		`UPDATE balance SET available = available + 1`,
		`UPDATE entry SET points = 0`,
	} {
		if err := c.db.Write(context.Background(), func(tx *db.Tx) error { return tx.Exec(bad) }); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

// What the till counted moves the member's state through the rules.
type counting struct{ calls int }

func (r *counting) Advance(bundle int64, m *loyalty.Member, res *loyalty.Result, at time.Time) (*loyalty.Member, error) {
	r.calls++
	next := *m
	next.Tier = res.Tier.After
	return &next, nil
}

func (r *counting) Return(bundle int64, m *loyalty.Member, _ *loyalty.ReturnResult, _ time.Time) (*loyalty.Member, error) {
	return m, nil
}

func (r *counting) Void(bundle int64, m *loyalty.Member, _ *loyalty.Result, _ []*loyalty.ReturnResult, _ time.Time) (*loyalty.Member, error) {
	return m, nil
}

func (r *counting) Replay(int64, *loyalty.Result, *loyalty.ReturnResult, []loyalty.ReturnLine) (*loyalty.ReturnResult, error) {
	return nil, errors.New("no rulebook")
}

func (r *counting) Shortfall(int64) string { return "" }

func TestTierMoves(t *testing.T) {
	c := open(t)
	rules := &counting{}
	c.l.Rules = rules
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 10, func(_ *wire.Commit, r *loyalty.Result) { r.Tier = &loyalty.TierMove{Before: "", After: "silver"} })
	d.sale("2", ann, 10)
	d.flush()
	c.read(func(tx *db.Tx) error {
		have, err := Holdings(tx, []loyalty.MemberID{ann})
		if have[ann].Tier != "silver" || have[ann].Wallets["points"].Active != 20 || !have[ann].LastSeen.Equal(c.now) {
			b, _ := json.Marshal(have[ann])
			t.Errorf("holdings %s", b)
		}
		return err
	})
	if rules.calls != 1 {
		t.Errorf("rules were called %d times", rules.calls)
	}
}
