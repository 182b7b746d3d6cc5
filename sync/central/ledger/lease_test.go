package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

func (c *centre) grant(id string, m loyalty.MemberID, points loyalty.Points, d *device) {
	c.t.Helper()
	c.write(func(tx *db.Tx) error {
		return c.l.Grant(tx, id, m, "points", points, d.no, d.epoch, c.now.Add(30*24*time.Hour))
	})
}

func (c *centre) revoke(d *device) {
	c.t.Helper()
	c.write(func(tx *db.Tx) error {
		if err := tx.Exec(`UPDATE device SET state = 'revoked' WHERE no = ?`, d.no); err != nil {
			return err
		}
		_, err := c.l.ReturnRevoked(tx)
		return err
	})
}

// offline logs a spend out of a lease as a till without a link does.
func (d *device) offline(lease, hold string, m loyalty.MemberID, points loyalty.Points) {
	d.c.t.Helper()
	d.log(wire.TypeHold, "r", wire.Hold{Hold: hold, Member: m.String(), Wallet: "points", Points: points.String(), Lease: lease})
	d.sale("r-"+hold, m, 0, spend(hold, points))
}

func (d *device) openLease(lease string, m loyalty.MemberID, points loyalty.Points) {
	d.c.t.Helper()
	d.log(wire.TypeLeaseOpen, "", wire.LeaseOpen{Lease: lease, Member: m.String(), Wallet: "points", Points: points.String()})
}

func (d *device) closeLease(lease string, m loyalty.MemberID, rest loyalty.Points) {
	d.c.t.Helper()
	d.log(wire.TypeLeaseClose, "", wire.LeaseClose{Lease: lease, Member: m.String(), Rest: rest.String(), Reason: "recall"})
}

// The worked example of two stores without a link and a web shop meanwhile:
// nobody spends what another may have spent.
func TestWorkedExampleOfLeases(t *testing.T) {
	c := open(t)
	c.member(ann)
	a, b, web := c.device(1), c.device(2), c.device(3)
	a.sale("start", ann, 100000)
	a.flush()
	c.grant("A", ann, 45000, a)
	c.grant("B", ann, 15000, b)
	c.want(ann, Balance{Available: 40000, Leased: 60000, Issued: -100000})
	a.openLease("A", ann, 45000)
	b.openLease("B", ann, 15000)
	a.flush()
	b.flush()
	// The link is down: A spends 300, B 150. The web shop spends all it may.
	a.offline("A", "ha", ann, 30000)
	b.offline("B", "hb", ann, 15000)
	if err := c.hold("hw", ann, 40001, web); !errors.Is(err, ErrShort) {
		t.Fatalf("more than is available: %v", err)
	}
	if err := c.hold("hw", ann, 40000, web); err != nil {
		t.Fatal(err)
	}
	web.sale("w", ann, 0, spend("hw", 40000))
	web.flush()
	c.want(ann, Balance{Leased: 60000, Spent: 40000, Issued: -100000})
	// A comes back, and the recall closes its lease.
	a.flush()
	c.write(func(tx *db.Tx) error { return c.l.Recall(tx, "A") })
	a.closeLease("A", ann, 15000)
	a.flush()
	c.want(ann, Balance{Available: 15000, Leased: 15000, Spent: 70000, Issued: -100000})
	b.flush()
	c.want(ann, Balance{Available: 15000, Spent: 85000, Issued: -100000})
	if f := c.findings(); len(f) != 0 {
		t.Errorf("findings %v", f)
	}
}

// B's till is stolen before it could send: the revocation gives its lease
// back, and its late spend is charged as far as that is still there.
func TestLateSpendOfARevokedDevice(t *testing.T) {
	for name, x := range map[string]struct {
		meanwhile loyalty.Points // spent elsewhere after the revocation
		want      Balance
	}{
		"all there":  {0, Balance{Available: 85000, Spent: 15000, Issued: -100000}},
		"some there": {90000, Balance{Spent: 105000, Issued: -100000, Lost: -5000}},
		"none there": {100000, Balance{Spent: 115000, Issued: -100000, Lost: -15000}},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			c.member(ann)
			a, b := c.device(1), c.device(2)
			a.sale("start", ann, 100000)
			a.flush()
			c.grant("B", ann, 15000, b)
			b.openLease("B", ann, 15000)
			b.flush()
			b.offline("B", "hb", ann, 15000)
			c.revoke(b)
			c.want(ann, Balance{Available: 100000, Issued: -100000})
			if x.meanwhile > 0 {
				if err := c.hold("h", ann, x.meanwhile, a); err != nil {
					t.Fatal(err)
				}
				a.sale("m", ann, 0, spend("h", x.meanwhile))
				a.flush()
			}
			if _, err := c.in.Ingest(context.Background(), b.batch(len(b.queue))); !errors.Is(err, ErrNoDevice) {
				t.Fatalf("a revoked device may send: %v", err)
			}
			// A person takes the journal of the found disk in after all.
			c.write(func(tx *db.Tx) error { return tx.Exec(`UPDATE device SET state = 'active' WHERE no = ?`, b.no) })
			b.flush()
			c.want(ann, x.want)
		})
	}
}

// A clone spends a lease twice: what goes beyond it is the shop's, never the
// member's, however much the member has.
func TestSpendBeyondALease(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("start", ann, 100000)
	d.flush()
	c.grant("L", ann, 10000, d)
	d.openLease("L", ann, 10000)
	d.offline("L", "h1", ann, 8000)
	d.offline("L", "h2", ann, 8000)
	d.offline("made up", "h3", ann, 500)
	d.flush()
	c.want(ann, Balance{Available: 90000, Spent: 16500, Issued: -100000, Lost: -6500})
	if f := c.findings(); f["loss_lease"] != 2 || f["lease_unknown"] != 1 {
		t.Errorf("findings %v", f)
	}
}

// A lease closed while a receipt is unresolved keeps that receipt's points
// until it is known what became of it.
func TestCloseWithAnUnresolvedHold(t *testing.T) {
	for _, spent := range []bool{true, false} {
		c := open(t)
		c.member(ann)
		d := c.device(1)
		d.sale("start", ann, 10000)
		d.flush()
		c.grant("L", ann, 6000, d)
		d.openLease("L", ann, 6000)
		d.log(wire.TypeHold, "r", wire.Hold{Hold: "h", Member: ann.String(), Wallet: "points", Points: "10.00", Lease: "L"})
		d.log(wire.TypeUnresolved, "r", wire.Unresolved{Hold: "h"})
		d.closeLease("L", ann, 5000)
		d.flush()
		c.want(ann, Balance{Available: 9000, Leased: 1000, Issued: -10000})
		if spent {
			d.sale("r", ann, 0, spend("h", 700))
			d.flush()
			c.want(ann, Balance{Available: 9300, Spent: 700, Issued: -10000})
		} else {
			d.log(wire.TypeVoid, "r", wire.Void{Hold: "h"})
			d.flush()
			c.want(ann, Balance{Available: 10000, Issued: -10000})
		}
		if f := c.findings(); len(f) != 0 {
			t.Errorf("findings %v", f)
		}
	}
}

// Time alone never takes a lease back: points on a lease long past its day
// are still the holder's to account for.
func TestTimeTakesNothingBack(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("start", ann, 10000, withLot("", "2026-11-30"))
	d.flush()
	c.grant("L", ann, 6000, d)
	d.openLease("L", ann, 6000)
	d.offline("L", "h", ann, 6000)
	c.now = c.now.AddDate(1, 0, 0)
	for n := 1; n > 0; {
		c.write(func(tx *db.Tx) (err error) { n, err = c.l.RunDay(tx, 10); return err })
	}
	c.want(ann, Balance{Leased: 6000, Expired: 4000, Issued: -10000})
	d.flush()
	c.want(ann, Balance{Spent: 6000, Expired: 4000, Issued: -10000})
}

func TestGrantAndRecallAreRefused(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("start", ann, 1000)
	d.flush()
	c.grant("L", ann, 600, d)
	grant := func(id string, m loyalty.MemberID, p loyalty.Points) error {
		return c.db.Write(context.Background(), func(tx *db.Tx) error { return c.l.Grant(tx, id, m, "points", p, d.no, 1, c.now) })
	}
	wantErr(t, grant("L", ann, 1), ErrLease)
	wantErr(t, grant("M", ann, 401), ErrShort)
	wantErr(t, grant("M", bob, 1), ErrUnknownMember)
	d.closeLease("L", ann, 600)
	d.flush()
	wantErr(t, c.db.Write(context.Background(), func(tx *db.Tx) error { return c.l.Recall(tx, "L") }), ErrLease)
	wantErr(t, grant("L", ann, 1), ErrLease) // an id is used once, ever
	c.want(ann, Balance{Available: 1000, Issued: -1000})
}

// Random days of tills that are cut off, with leases granted, recalled,
// closed and devices revoked: nobody below zero, no loss without a fault, and
// nothing of a lease is ever spent twice.
func TestLeasesAgainstChance(t *testing.T) {
	for range 6 * effort() {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 0))
		dir, clean := tempDir(t)
		s := newStory(t, dir, 3, 2)
		c := s.c
		type right struct {
			id   string
			d    *device
			m    loyalty.MemberID
			left loyalty.Points
		}
		var rights []*right
		var spent loyalty.Points
		for i := range 120 {
			d := s.devices[rnd.IntN(3)]
			m := s.people[rnd.IntN(2)]
			switch rnd.IntN(6) {
			case 0:
				d.sale(fmt.Sprint(i), m, loyalty.Points(rnd.IntN(3000)+1))
			case 1:
				d.flush()
				p := loyalty.Points(rnd.IntN(2000) + 1)
				id := fmt.Sprintf("L%d", i)
				err := c.db.Write(context.Background(), func(tx *db.Tx) error { return c.l.Grant(tx, id, m, "points", p, d.no, 1, c.now) })
				if err == nil {
					rights = append(rights, &right{id, d, m, p})
					d.openLease(id, m, p)
				} else if !errors.Is(err, ErrShort) {
					t.Fatal(err)
				}
			case 2, 3:
				if len(rights) == 0 {
					continue
				}
				r := rights[rnd.IntN(len(rights))]
				if p := loyalty.Points(rnd.IntN(int(r.left) + 1)); p > 0 {
					r.d.offline(r.id, fmt.Sprintf("h%d", i), r.m, p)
					r.left -= p
					spent += p
				}
			case 4:
				if len(rights) == 0 {
					continue
				}
				k := rnd.IntN(len(rights))
				r := rights[k]
				r.d.closeLease(r.id, r.m, r.left)
				rights = append(rights[:k], rights[k+1:]...)
			case 5:
				d.flush()
			}
		}
		s.sendShuffled(rnd)
		sum := c.sound()
		if f := c.findings(); len(f) != 0 {
			t.Errorf("seed %d: findings %v", seed, f)
		}
		var got, lost loyalty.Points
		for _, w := range sum.Wallets {
			got, lost = got+w.Spent, lost+w.Lost
		}
		if got != spent || lost != 0 {
			t.Errorf("seed %d: spent %s, booked %s, lost %s", seed, spent, got, lost)
		}
		c.close()
		clean()
	}
}
