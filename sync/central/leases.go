package central

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/wire"
)

// Leases are handed out ahead of the moment when a till has no link: a part
// of each member's points goes to the stores where that member shops, in
// proportion to the visits of the last 90 days. Nobody else gets any, and a
// member without visits has no spending without a link.
//
// Points on a lease cannot be spent elsewhere, so there are limits: a share
// of the balance, so much per store, so much per device. They are handed out
// only when the newest rulebook lets tills spend within a lease, and only to
// tills that are connected now. Where a store has several tills, the one
// where the member paid most often holds the store's share.

// LeaseLimits bound what is handed out.
type LeaseLimits struct {
	Share     int            // percent of a member's points that may be out on leases
	PerStore  loyalty.Points // of one member at one store
	PerDevice loyalty.Points // of all members at one device
	Least     loyalty.Points // smaller shares are not worth a lease
	Visits    time.Duration  // how far back visits count
	Life      time.Duration  // after which the holder may spend no more
}

// DefaultLeaseLimits are the proposals of the risk table.
func DefaultLeaseLimits() LeaseLimits {
	return LeaseLimits{Share: 60, PerStore: 50_000, PerDevice: 2_000_000, Least: 100, Visits: 90 * 24 * time.Hour, Life: 30 * 24 * time.Hour}
}

// leaser hands out leases for members as they change.
type leaser struct {
	*Server
	limits LeaseLimits
	cursor int64 // of the feed: members after it have not been looked at
}

// someMembers share a transaction, so that tills' batches go between.
const someMembers = 100

// pass looks at members who changed since the last pass. It tells how many
// leases it granted or recalled.
func (l *leaser) pass(ctx context.Context) (int, error) {
	wallets, err := l.wallets(ctx)
	if err != nil || len(wallets) == 0 {
		return 0, err
	}
	changed := 0
	for {
		var ids []loyalty.MemberID
		next := l.cursor
		err := l.db.Read(ctx, func(tx *db.Tx) error {
			return tx.Rows(`SELECT f.n, f.member FROM feed f JOIN member_state s ON s.member = f.member AND s.changed = f.n WHERE f.n > ? ORDER BY f.n LIMIT ?`,
				[]any{l.cursor, someMembers}, func(r *sql.Rows) error {
					var id loyalty.MemberID
					err := r.Scan(&next, &id)
					ids = append(ids, id)
					return err
				})
		})
		if err != nil || len(ids) == 0 {
			return changed, err
		}
		online := l.hub.Online()
		err = l.db.Write(ctx, func(tx *db.Tx) error {
			n := 0
			for _, id := range ids {
				for _, w := range wallets {
					k, err := l.balance(tx, id, w, online)
					if err != nil {
						return fmt.Errorf("leases of %s: %w", id, err)
					}
					n += k
				}
			}
			changed += n
			return nil
		})
		if err != nil {
			return changed, err
		}
		l.cursor = next
	}
}

// wallets are those that the newest rulebook lets members spend without a
// link.
func (l *leaser) wallets(ctx context.Context) ([]string, error) {
	var version int64
	err := l.db.Read(ctx, func(tx *db.Tx) (err error) { version, err = rulebook.Latest(tx); return err })
	if err != nil || version == 0 {
		return nil, err
	}
	rb, err := l.engine.book(version)
	if err != nil {
		return nil, err
	}
	doc := rb.Programme()
	if doc.Offline.Spend != "within_lease" {
		return nil, nil
	}
	names := map[string]bool{}
	for _, r := range doc.Redemption {
		names[r.Wallet] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// share is what one store should hold for a member, and at which device.
type share struct {
	visits  int
	devices map[int64]int
}

// balance brings the leases of one wallet to what the visits ask for.
func (l *leaser) balance(tx *db.Tx, id loyalty.MemberID, wallet string, online []string) (int, error) {
	all, err := ledger.Balances(tx, id)
	if err != nil {
		return 0, err
	}
	have := all[wallet]
	leases, err := ledger.LiveLeases(tx, id, wallet)
	if err != nil {
		return 0, err
	}
	stores, total, err := l.visits(tx, id)
	if err != nil {
		return 0, err
	}
	out := map[string]loyalty.Points{}
	changed := 0
	for _, x := range leases {
		if stores[x.Store] == nil {
			// Nobody shops there any more: asked back, once.
			if !x.Recalled {
				changed++
				if err := l.ledger.Recall(tx, x.ID); err != nil {
					return changed, err
				}
			}
			continue
		}
		out[x.Store] += x.Remaining
	}
	pool := (have.Available + have.Leased) / 100 * loyalty.Points(l.limits.Share)
	for _, store := range slices.Sorted(maps.Keys(stores)) {
		s := stores[store]
		want := min(pool/loyalty.Points(total)*loyalty.Points(s.visits), l.limits.PerStore)
		want -= want % 100 // whole points: nobody spends hundredths at a till
		if want < l.limits.Least || out[store] > want/2 {
			continue // enough is out; small changes are not worth a message
		}
		n, err := l.grant(tx, id, wallet, min(want-out[store], have.Available), s, online)
		if err != nil {
			return changed, err
		}
		have.Available -= n
		if n > 0 {
			changed++
		}
	}
	return changed, nil
}

// visits counts a member's sales of late, per store and device.
func (l *leaser) visits(tx *db.Tx, id loyalty.MemberID) (map[string]*share, int, error) {
	const some = 60
	receipts, err := ledger.MemberReceipts(tx, id, some)
	if err != nil {
		return nil, 0, err
	}
	since := l.cfg.Now().Add(-l.limits.Visits)
	stores, total := map[string]*share{}, 0
	for _, r := range receipts {
		if r.Kind != "sale" || r.Store == "" || r.At.Before(since) {
			continue
		}
		s := stores[r.Store]
		if s == nil {
			s = &share{devices: map[int64]int{}}
			stores[r.Store] = s
		}
		s.visits++
		s.devices[r.Device]++
		total++
	}
	return stores, total, nil
}

// grant hands points to the store's holder and tells how many it did.
func (l *leaser) grant(tx *db.Tx, id loyalty.MemberID, wallet string, points loyalty.Points, s *share, online []string) (loyalty.Points, error) {
	var best *fleet.Device
	for _, no := range slices.Sorted(maps.Keys(s.devices)) {
		d, err := fleet.ByNo(tx, no)
		if errors.Is(err, fleet.ErrUnknown) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if d.State == fleet.Active && slices.Contains(online, d.ID) && (best == nil || s.devices[no] > s.devices[best.No]) {
			best = d
		}
	}
	if best == nil {
		return 0, nil
	}
	held, err := ledger.LeasedAt(tx, best.No)
	if err != nil {
		return 0, err
	}
	points = min(points, l.limits.PerDevice-held)
	points -= points % 100
	if points < l.limits.Least {
		return 0, nil
	}
	lease, err := uuid.NewV7()
	if err != nil {
		return 0, err
	}
	return points, l.ledger.Grant(tx, lease.String(), id, wallet, points, best.No, best.Epoch, l.cfg.Now().Add(l.limits.Life))
}

// feedLeases sends a device the orders about its leases.
func (b *backend) feedLeases(tx *db.Tx, f *wire.Feed, device string, maxItems int) error {
	head, err := tx.Counter("lease")
	if err != nil {
		return err
	}
	b.rewind(f, head)
	dev, err := fleet.ByID(tx, device)
	if err != nil {
		return err
	}
	orders, err := ledger.LeaseOrders(tx, dev.No, int64(f.After), maxItems)
	if err != nil {
		return err
	}
	for _, o := range orders {
		raw, err := wire.FeedItem(o.Item)
		if err != nil {
			return err
		}
		f.Items, f.Upto = append(f.Items, raw), uint64(o.N)
	}
	if len(orders) < maxItems {
		f.Upto = max(f.Upto, uint64(head))
	} else {
		f.More = true
	}
	return nil
}
