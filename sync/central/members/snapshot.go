package members

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// Snapshots makes what tills keep of members, in the order of ids. Members
// that are not active any more come out as drops.
func (r *Room) Snapshots(tx *db.Tx, ids []loyalty.MemberID) ([]wire.MemberItem, error) {
	have, err := ledger.Holdings(tx, ids)
	if err != nil {
		return nil, err
	}
	var reachable []string
	if r.Online != nil {
		reachable = r.Online()
	}
	leased, err := ledger.LeasedAway(tx, ids, reachable)
	if err != nil {
		return nil, err
	}
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = int64(id)
	}
	people := map[loyalty.MemberID]*Member{}
	for k := keys; len(k) > 0; {
		n := min(len(k), 500)
		args := make([]any, n)
		for i := range args {
			args[i] = k[i]
		}
		some, err := r.list(tx, `WHERE m.id IN `+db.Marks(n, 1), args...)
		if err != nil {
			return nil, err
		}
		for i := range some {
			people[some[i].ID] = &some[i]
		}
		k = k[n:]
	}
	items := make([]wire.MemberItem, 0, len(ids))
	for _, id := range ids {
		p := people[id]
		if p == nil || p.State == "erased" {
			items = append(items, wire.MemberItem{Do: wire.MemberDrop, Member: id.String()})
			continue
		}
		m := have[id]
		if m == nil {
			m = &loyalty.Member{}
		}
		// What lies on leases that can be asked back now is as good as
		// available; the rest is told apart.
		for wallet, a := range leased[id] {
			b := m.Wallets[wallet]
			b.Active += a.Near
			b.Reserved, b.ReservedAt = a.Far, a.Stores
			if m.Wallets == nil {
				m.Wallets = map[string]loyalty.Balance{}
			}
			m.Wallets[wallet] = b
		}
		m.ID, m.FirstName, m.Language, m.Joined = id, p.FirstName, p.Language, p.Joined
		m.Segments, m.Attributes, m.Consents, m.AsOf = p.Segments, p.Attributes, p.Consents, r.now().UTC().Truncate(time.Second)
		m.Birthday = p.Birthday
		if len(m.Birthday) == len(time.DateOnly) {
			m.Birthday = m.Birthday[5:] // the year is nobody's business at a till
		}
		item := wire.MemberItem{Do: wire.MemberPut, Member: id.String(), Refs: make([]wire.RefState, 0, len(p.Cards))}
		for _, c := range p.Cards {
			status := c.Status
			if p.State == "blocked" {
				status = "blocked"
			}
			item.Refs = append(item.Refs, wire.RefState{Ref: c.Ref, Kind: c.Kind, Type: c.Type, Status: status})
		}
		if item.Snapshot, err = json.Marshal(m); err != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", id, err)
		}
		items = append(items, item)
	}
	return items, nil
}
