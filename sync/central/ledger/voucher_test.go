package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// keeps gives a device a key, so that it can sign vouchers.
func (c *centre) keeps(d *device) ed25519.PrivateKey {
	c.t.Helper()
	seed := sha256.Sum256([]byte(d.id))
	key := ed25519.NewKeyFromSeed(seed[:])
	c.write(func(tx *db.Tx) error {
		return tx.Exec(`UPDATE device SET public_key = ? WHERE no = ?`, []byte(key.Public().(ed25519.PublicKey)), d.no)
	})
	return key
}

// A keeper holds for another till; the two journals come in any order, and
// every point is spent once, whatever the order, and whichever never comes.
func TestHoldInTwoJournals(t *testing.T) {
	for name, order := range map[string][]int{"keeper first": {0, 1}, "other first": {1, 0}, "keeper never": {1}, "other first, twice": {1, 0, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			c.member(ann)
			k, o := c.device(1), c.device(2)
			key := c.keeps(k)
			k.sale("start", ann, 100000)
			k.flush()
			c.grant("L", ann, 30000, k)
			k.openLease("L", ann, 30000)
			k.flush()
			parts := []wire.LeasePart{{Lease: "L", Points: "200.00"}}
			k.log(wire.TypeHold, "r", wire.Hold{Hold: "h", Member: ann.String(), Wallet: "points", Points: "200.00", Leases: parts, For: o.id})
			v := &wire.Voucher{Hold: "h", Member: ann.String(), Wallet: "points", Points: "200.00", Leases: parts, Receipt: "r", For: o.id, Keeper: k.id, Epoch: k.epoch, Seq: 3}
			if err := v.Sign(key); err != nil {
				t.Fatal(err)
			}
			o.sale("r", ann, 0, spend("h", 20000), func(p *wire.Commit, _ *loyalty.Result) { p.Voucher = v })
			for _, i := range order {
				[]*device{k, o}[i].flush()
			}
			c.want(ann, Balance{Available: 70000, Leased: 10000, Spent: 20000, Issued: -100000})
			if f := c.findings(); len(f) != 0 {
				t.Errorf("findings %v", f)
			}
			// The voucher again, for another receipt: nothing of the member's.
			o.sale("r2", ann, 0, spend("h", 20000), func(p *wire.Commit, _ *loyalty.Result) { p.Voucher = v })
			o.flush()
			c.want(ann, Balance{Available: 70000, Leased: 10000, Spent: 40000, Issued: -100000, Lost: -20000})
		})
	}
}

// What is no word of the keeper for this till costs the member nothing
// beyond what she has, and is found.
func TestVouchersThatAreNone(t *testing.T) {
	for name, change := range map[string]func(v *wire.Voucher){
		"for another till": func(v *wire.Voucher) { v.For = v.Keeper }, "signed over less": func(v *wire.Voucher) { v.Points = "300.00" },
		"no keeper": func(v *wire.Voucher) { v.Keeper = "dev-0000000000" }, "unsigned": func(v *wire.Voucher) { v.Sig = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			c.member(ann)
			k, o := c.device(1), c.device(2)
			key := c.keeps(k)
			k.sale("start", ann, 30000)
			k.flush()
			c.grant("L", ann, 30000, k)
			parts := []wire.LeasePart{{Lease: "L", Points: "200.00"}}
			v := &wire.Voucher{Hold: "h", Member: ann.String(), Wallet: "points", Points: "200.00", Leases: parts, Receipt: "r", For: o.id, Keeper: k.id, Epoch: k.epoch, Seq: 3}
			if err := v.Sign(key); err != nil {
				t.Fatal(err)
			}
			change(v)
			o.sale("r", ann, 0, spend("h", 20000), func(p *wire.Commit, _ *loyalty.Result) { p.Voucher = v })
			o.flush()
			c.want(ann, Balance{Leased: 30000, Spent: 20000, Issued: -30000, Lost: -20000})
			if f := c.findings(); f["voucher_bad"]+f["loss_lease"]+f["loss_spend"] == 0 {
				t.Errorf("findings %v", f)
			}
		})
	}
}

// Random days of a keeper and two tills that ask it, journals in random order
// and repeated: what was spent is booked once, and nothing is lost.
func TestKeeperAgainstChance(t *testing.T) {
	for range 4 * effort() {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 0))
		c := open(t)
		c.member(ann)
		k := c.device(1)
		others := []*device{c.device(2), c.device(3)}
		key := c.keeps(k)
		k.sale("start", ann, 100000)
		k.flush()
		c.grant("L", ann, 60000, k)
		k.openLease("L", ann, 60000)
		rest, spent := 60000, 0
		seq := uint64(2)
		for i := range 40 {
			o := others[rnd.IntN(2)]
			n := rnd.IntN(3000) + 1
			if n > rest {
				break
			}
			rest -= n
			points := fmt.Sprintf("%d.%02d", n/100, n%100)
			h, r := fmt.Sprintf("h%d", i), fmt.Sprintf("r%d", i)
			parts := []wire.LeasePart{{Lease: "L", Points: points}}
			seq++
			k.log(wire.TypeHold, r, wire.Hold{Hold: h, Member: ann.String(), Wallet: "points", Points: points, Leases: parts, For: o.id})
			v := &wire.Voucher{Hold: h, Member: ann.String(), Wallet: "points", Points: points, Leases: parts, Receipt: r, For: o.id, Keeper: k.id, Epoch: k.epoch, Seq: seq}
			if err := v.Sign(key); err != nil {
				t.Fatal(err)
			}
			switch rnd.IntN(4) {
			case 0: // given up: both say so
				o.log(wire.TypeVoid, r, wire.Void{Hold: h, Member: ann.String()})
				k.log(wire.TypeVoid, r, wire.Void{Hold: h, Member: ann.String()})
				seq++
				rest += n
			default:
				spent += n
				o.sale(r, ann, 0, spend(h, loyalty.Points(n)), func(p *wire.Commit, _ *loyalty.Result) { p.Voucher = v })
			}
			if rnd.IntN(5) == 0 {
				[]*device{k, others[0], others[1]}[rnd.IntN(3)].flush()
			}
		}
		for _, i := range rnd.Perm(3) {
			[]*device{k, others[0], others[1]}[i].flush()
		}
		c.want(ann, Balance{Available: 40000, Leased: loyalty.Points(60000 - spent), Spent: loyalty.Points(spent), Issued: -100000})
		if f := c.findings(); len(f) != 0 {
			t.Errorf("seed %d: findings %v", seed, f)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
