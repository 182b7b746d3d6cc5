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
// proportion to the visits of late. Nobody else gets any, and a member
// without visits has no spending without a link.
//
// How much, and whether at all, the newest rulebook says (its section
// "offline"): a share of the balance, so much per store, so much per device.
// A store's leases lie at one of its tills, its keeper (see keepers.go), and
// are handed out while that is connected. While it is, they are refreshed as
// points are earned and spent, and renewed before their day; all of that by
// asking the till to close them. Points on a lease of a connected till are
// not lost to the other stores: a hold that needs them asks them back and
// waits for them, within the budget of the sale.

// LeaseTiming is what the rulebook does not say about leases.
type LeaseTiming struct {
	Least loyalty.Points // smaller leases are not worth a message
	Life  time.Duration  // after which the holder may spend no more
	Renew time.Duration  // before the end of it a lease is renewed
	Pause time.Duration  // after leases were asked back for a sale
	Grace time.Duration  // beyond the rulebook's max_offline, until a silent till's leases go back
}

// DefaultLeaseTiming is used where nothing else is said.
func DefaultLeaseTiming() LeaseTiming {
	const day = 24 * time.Hour
	return LeaseTiming{Least: 100, Life: 30 * day, Renew: 10 * day, Pause: 5 * time.Second, Grace: day}
}

// leaser hands out leases for members as they change.
type leaser struct {
	*Server
	t      LeaseTiming
	cursor int64 // of the feed: members after it have not been looked at
	looked time.Time
}

// someMembers share a transaction, so that tills' batches go between.
const someMembers = 100

// programme is what the newest rulebook says about leases.
type programme struct {
	wallets []string // those members may pay with
	limits  loyalty.OfflineLimits
}

// pass looks at members who changed since the last pass, and at those whose
// pause is over. It tells how many leases it granted or recalled.
func (l *leaser) pass(ctx context.Context) (int, error) {
	if err := l.appoint(ctx); err != nil {
		return 0, err
	}
	p, err := l.programme(ctx)
	if err != nil || len(p.wallets) == 0 {
		return 0, err
	}
	changed, err := l.paused(ctx, p)
	if err != nil {
		return changed, err
	}
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
		if err == nil && len(ids) == 0 {
			l.lent.Store(l.cursor)
		}
		if err != nil || len(ids) == 0 {
			return changed, err
		}
		n, err := l.lookAt(ctx, p, ids)
		changed += n
		if err != nil {
			return changed, err
		}
		l.cursor = next
	}
}

// paused looks again at members who were left alone for a sale.
func (l *leaser) paused(ctx context.Context, p *programme) (int, error) {
	var ids []loyalty.MemberID
	err := l.db.Read(ctx, func(tx *db.Tx) error {
		return tx.Rows(`SELECT member FROM lease_pause WHERE until <= ? LIMIT ?`, []any{db.Millis(l.cfg.Now()), someMembers}, func(r *sql.Rows) error {
			var id loyalty.MemberID
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		})
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = l.db.Write(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			if err := tx.Exec(`DELETE FROM lease_pause WHERE member = ? AND until <= ?`, int64(id), db.Millis(l.cfg.Now())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return l.lookAt(ctx, p, ids)
}

func (l *leaser) lookAt(ctx context.Context, p *programme, ids []loyalty.MemberID) (changed int, err error) {
	online := l.hub.Online()
	err = l.db.Write(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			if wait, err := tx.Row(`SELECT until FROM lease_pause WHERE member = ?`, []any{int64(id)}, new(int64)); err != nil || wait {
				if err != nil {
					return err
				}
				continue
			}
			for _, w := range p.wallets {
				k, err := l.balance(tx, p, id, w, online)
				if err != nil {
					return fmt.Errorf("leases of %s: %w", id, err)
				}
				changed += k
			}
		}
		return nil
	})
	return changed, err
}

// programme reads what the newest rulebook says; no wallets when it lets
// nothing be spent without a link.
func (s *Server) programme(ctx context.Context) (*programme, error) {
	var version int64
	p := &programme{}
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) { version, err = rulebook.Latest(tx); return err })
	if err != nil || version == 0 {
		return p, err
	}
	rb, err := s.engine.book(version)
	if err != nil {
		return p, err
	}
	doc := rb.Programme()
	p.limits = doc.Offline.Limits()
	if !p.limits.Spend {
		return p, nil
	}
	names := map[string]bool{}
	for _, r := range doc.Redemption {
		names[r.Wallet] = true
	}
	p.wallets = slices.Sorted(maps.Keys(names))
	return p, nil
}

// balance brings the leases of one wallet to what the visits ask for.
func (l *leaser) balance(tx *db.Tx, p *programme, id loyalty.MemberID, wallet string, online []string) (int, error) {
	all, err := ledger.Balances(tx, id)
	if err != nil {
		return 0, err
	}
	have := all[wallet]
	leases, err := ledger.LiveLeases(tx, id, wallet)
	if err != nil {
		return 0, err
	}
	stores, total, err := l.visits(tx, id, p.limits.Visits)
	if err != nil {
		return 0, err
	}
	if p.limits.Favourite {
		stores, total = favourite(stores)
	}
	keepers := map[string]*fleet.Device{}
	for store := range stores {
		if keepers[store], err = fleet.KeeperDevice(tx, store); err != nil {
			return 0, err
		}
	}
	if reason, err := mayNotSpend(tx, id, wire.Ref{}); err != nil || reason != "" {
		stores = nil // nobody spends for a blocked member: all is asked back
		if err != nil {
			return 0, err
		}
	}
	out := map[string]loyalty.Points{}
	changed := 0
	for _, x := range leases {
		k := keepers[x.Store]
		switch {
		case stores[x.Store] == 0, k != nil && k.No != x.Device, x.NotAfter.Before(l.cfg.Now().Add(l.t.Renew)):
			// Nobody shops there any more, another till keeps the store's
			// leases, or it is old: asked back, once.
			if !x.Recalled {
				changed++
				if err := l.ledger.Recall(tx, x.ID); err != nil {
					return changed, err
				}
			}
			if k != nil && k.No == x.Device && stores[x.Store] > 0 {
				out[x.Store] += x.Remaining
			}
			continue
		}
		out[x.Store] += x.Remaining
	}
	pool := have.Available + have.Leased
	if s := p.limits.LeasedShare; s > 0 {
		pool = s.Of(pool)
	}
	for _, store := range slices.Sorted(maps.Keys(stores)) {
		want := pool * loyalty.Points(stores[store]) / loyalty.Points(total)
		if p.limits.PerStore > 0 {
			want = min(want, p.limits.PerStore)
		}
		want -= want % 100 // whole points: nobody spends hundredths at a till
		k := keepers[store]
		if want < l.t.Least || out[store] > want*19/20 || k == nil || !slices.Contains(online, k.ID) {
			continue // enough is out; small changes are not worth a message
		}
		n, err := l.grant(tx, p, id, wallet, min(want-out[store], have.Available), k)
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

// visits counts a member's sales of late, per store.
func (l *leaser) visits(tx *db.Tx, id loyalty.MemberID, back loyalty.Span) (map[string]int, int, error) {
	const some = 60
	receipts, err := ledger.MemberReceipts(tx, id, some)
	if err != nil {
		return nil, 0, err
	}
	now := l.cfg.Now()
	stores, total := map[string]int{}, 0
	for _, r := range receipts {
		if r.Kind != "sale" || r.Store == "" || back.Over(r.At, now) {
			continue
		}
		stores[r.Store]++
		total++
	}
	return stores, total, nil
}

// favourite leaves the store with most visits; of equals the first by name,
// so that leases do not wander.
func favourite(stores map[string]int) (map[string]int, int) {
	best := ""
	for _, store := range slices.Sorted(maps.Keys(stores)) {
		if best == "" || stores[store] > stores[best] {
			best = store
		}
	}
	if best == "" {
		return nil, 0
	}
	return map[string]int{best: stores[best]}, stores[best]
}

// grant hands points to the store's keeper and tells how many it did.
func (l *leaser) grant(tx *db.Tx, p *programme, id loyalty.MemberID, wallet string, points loyalty.Points, to *fleet.Device) (loyalty.Points, error) {
	if most := p.limits.PerDevice; most > 0 {
		held, err := ledger.LeasedAt(tx, to.No)
		if err != nil {
			return 0, err
		}
		points = min(points, most-held)
	}
	points -= points % 100
	if points < l.t.Least {
		return 0, nil
	}
	lease, err := uuid.NewV7()
	if err != nil {
		return 0, err
	}
	return points, l.ledger.Grant(tx, lease.String(), id, wallet, points, to.No, to.Epoch, l.cfg.Now().Add(l.t.Life))
}

// oldLeases asks for leases that end soon, so that they are handed out anew,
// and gives back what tills hold that were silent for longer than the
// rulebook allows. The latter is a risk the retailer takes: a till is meant to
// stop spending after that time, and what it spent before and never told is
// borne by the shop when it comes.
func (l *leaser) oldLeases(ctx context.Context) error {
	if l.cfg.Now().Sub(l.looked) < time.Hour {
		return nil
	}
	p, err := l.programme(ctx)
	if err != nil {
		return err
	}
	now := l.cfg.Now()
	err = l.db.Write(ctx, func(tx *db.Tx) error {
		n, err := l.ledger.RecallBefore(tx, now.Add(l.t.Renew), 1000)
		if err != nil {
			return err
		}
		if n > 0 {
			l.log.Info("leases asked back because they are old", "leases", n)
		}
		if p.limits.MaxOffline.N == 0 {
			return nil
		}
		n, err = l.ledger.ReturnSilent(tx, p.limits.MaxOffline.Ago(now.Add(-l.t.Grace)))
		if n > 0 {
			l.log.Warn("leases of silent tills went back to the members", "leases", n)
		}
		return err
	})
	if err == nil {
		l.looked = now
	}
	return err
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

// hold keeps points for a receipt. When too few are available it asks the
// tills that hold leases of the member to give them back, and waits for those
// that are connected, as long as the question has time.
func (b *backend) hold(ctx context.Context, q ledger.HoldRequest, device string, blocked func(tx *db.Tx) (string, error)) (reason string, have ledger.Balance, err error) {
	end := time.Now().Add(400 * time.Millisecond)
	if d, ok := ctx.Deadline(); ok {
		end = time.Now().Add(time.Until(d) / 2)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for asked := false; ; {
		waits := false
		// Not tied to the till's patience: a hold that the till gave up on is
		// either booked or not, and the till voids it by id in any case.
		err = b.db.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
			dev, err := fleet.ByID(tx, device)
			if err != nil {
				return err
			}
			q.Device = dev.No
			if reason, err = blocked(tx); err != nil || reason != "" {
				have = ledger.Balance{}
				return err
			}
			have, err = b.ledger.Hold(tx, q)
			if reason = holdRefused(err); reason == "" {
				return err
			}
			if reason != "not_enough" || have.Leased == 0 {
				return nil
			}
			reason = "reserved"
			if !asked {
				asked = true
				if _, err := b.ledger.RecallMember(tx, q.Member, q.Wallet); err != nil {
					return err
				}
				until := db.Millis(b.cfg.Now().Add(b.cfg.Leases.Pause))
				if err := tx.Exec(`INSERT INTO lease_pause (member, until) VALUES (?,?) ON CONFLICT (member) DO UPDATE SET until = excluded.until`, int64(q.Member), until); err != nil {
					return err
				}
			}
			away, err := b.reach(tx, q.Member, q.Wallet)
			waits = away.Near > 0
			return err
		})
		if err != nil || reason != "reserved" || !waits || time.Now().After(end) {
			return reason, have, err
		}
		b.hub.WakeAll(wire.LaneLease)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return reason, have, nil
		}
	}
}

// holdRefused is the reason of a refusal; empty for success and for errors
// that are none.
func holdRefused(err error) string {
	switch {
	case errors.Is(err, ledger.ErrShort):
		return "not_enough"
	case errors.Is(err, ledger.ErrHoldEnded):
		return "void"
	case errors.Is(err, ledger.ErrHoldDiffers):
		return "other_terms"
	case errors.Is(err, ledger.ErrUnknownMember):
		return "unknown_member"
	}
	return ""
}

// reach splits what a member has on leases: at tills that are connected now,
// which give it back when asked, and at others, with the names of their
// stores.
func (s *Server) reach(tx *db.Tx, id loyalty.MemberID, wallet string) (ledger.Away, error) {
	all, err := ledger.LeasedAway(tx, []loyalty.MemberID{id}, s.hub.Online())
	return all[id][wallet], err
}
