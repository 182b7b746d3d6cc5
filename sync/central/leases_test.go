package central_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/configs/rulebooks"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// leaseItems is what a till was told of leases, in order.
func (x *till) leaseItems(t *testing.T) (all []wire.LeaseItem) {
	t.Helper()
	raw, err := x.Items(wire.LaneLease)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range raw {
		var it wire.LeaseItem
		if err := json.Unmarshal(r, &it); err != nil {
			t.Fatal(err)
		}
		all = append(all, it)
	}
	return all
}

// Leases go where the member shops, by visits; asking for more than is left
// calls them back; a revoked till's go back to the member.
func TestLeasesGoWhereTheMemberShops(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir(), listen: "127.0.0.1:0"}
	r.open()
	t.Cleanup(r.close)
	doc, err := rulebooks.Get("grocer")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	m["offline"] = map[string]any{"spend": "within_lease"}
	doc, _ = json.Marshal(m)
	id := r.member("4000")
	stranger := r.member("5000")
	a, b, c := r.till("A", "1"), r.till("B", "1"), r.till("C", "1")
	for i := range 6 {
		a.sale(t, fmt.Sprint("a", i), id, wire.Ref{}, 0, 0, "")
	}
	for i := range 2 {
		b.sale(t, fmt.Sprint("b", i), id, wire.Ref{}, 0, 0, "")
	}
	a.drained(t)
	b.drained(t)
	c.sale(t, "c", 0, wire.Ref{}, 0, 0, "")
	c.drained(t)
	r.publishDoc(t, doc)
	r.write(func(tx *db.Tx) error {
		for _, who := range []loyalty.MemberID{id, stranger} {
			if _, err := r.s.Ledger().AdjustBy(tx, who, "points", 100000, "", ""); err != nil {
				return err
			}
		}
		return nil
	})
	until(t, "both tills have their leases", func() bool { return len(a.leaseItems(t)) == 1 && len(b.leaseItems(t)) == 1 })
	la, lb := a.leaseItems(t)[0], b.leaseItems(t)[0]
	if la.Do != wire.LeaseGrant || la.Points != "450.00" || la.Member != id.String() || la.Epoch != 1 || !la.NotAfter.After(time.Now().AddDate(0, 0, 29)) {
		t.Errorf("A was told %+v", la)
	}
	if lb.Points != "150.00" {
		t.Errorf("B was told %+v", lb)
	}
	if got := r.balance(id); got.Available != 40000 || got.Leased != 60000 {
		t.Errorf("balance %+v", got)
	}
	if got := r.balance(stranger); got.Leased != 0 {
		t.Errorf("a member who shops nowhere has leases: %+v", got)
	}
	// Online, somebody wants more than is available: the leases are asked back.
	h, err := c.s.AskHold(t.Context(), wire.AskHold{Hold: "h1", Member: id.String(), Wallet: "points", Points: "500.00", Receipt: "x"})
	if err != nil || h.Granted || h.Reason != "reserved" || h.Available != "400.00" {
		t.Errorf("%+v, %v", h, err)
	}
	until(t, "A is asked to give back", func() bool { return len(a.leaseItems(t)) == 2 })
	if it := a.leaseItems(t)[1]; it.Do != wire.LeaseRecall || it.Lease != la.Lease {
		t.Errorf("A was told %+v", it)
	}
	// A has spent 300 of it before it closed; the rest comes back.
	a.log(t, wire.TypeLeaseOpen, "", wire.LeaseOpen{Lease: la.Lease, Member: la.Member, Wallet: "points", Points: la.Points})
	a.log(t, wire.TypeHold, "s", wire.Hold{Hold: "h2", Member: la.Member, Wallet: "points", Points: "30.00", Lease: la.Lease})
	a.sale(t, "s", id, wire.Ref{}, 0, 3000, "h2")
	a.log(t, wire.TypeLeaseClose, "", wire.LeaseClose{Lease: la.Lease, Member: la.Member, Rest: "420.00", Reason: "recall"})
	a.drained(t)
	// B is stolen.
	r.write(func(tx *db.Tx) error {
		if _, err := fleet.Revoke(tx, "B", "1", "", "stolen", time.Now()); err != nil {
			return err
		}
		_, err := r.s.Ledger().ReturnRevoked(tx)
		return err
	})
	got := r.balance(id)
	if got.Spent != 3000 || got.Lost != 0 || got.Available+got.Leased != 97000 {
		t.Errorf("balance %+v", got)
	}
	r.read(func(tx *db.Tx) error {
		all, err := ledger.LiveLeases(tx, id, "points")
		for _, x := range all {
			if x.Store == "B" {
				t.Errorf("the stolen till still holds %+v", x)
			}
		}
		return err
	})
	r.sound()
}
