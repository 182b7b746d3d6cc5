package till

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// Tills is the other tills of the store; package sync/keeper says how.
type Tills interface {
	// Keeper is the till that keeps the store's leases; empty: this one, or none.
	Keeper() string
	// Rest asks it what a member may spend, Hold to hold points. Both wait for a
	// fraction of a second at most.
	Rest(ctx context.Context, member string) (map[string]string, error)
	Hold(ctx context.Context, q wire.KeeperHold) (*wire.KeeperAnswer, error)
	// Moved says that there is something new to tell.
	Moved()
}

// alone is a till without others.
type alone struct{}

func (alone) Keeper() string { return "" }
func (alone) Rest(context.Context, string) (map[string]string, error) {
	return nil, errNoKeeper
}
func (alone) Hold(context.Context, wire.KeeperHold) (*wire.KeeperAnswer, error) {
	return nil, errNoKeeper
}
func (alone) Moved() {}

var errNoKeeper = errors.New("no other till keeps leases")

// keeperRest asks the keeper what a member may spend there.
func (t *Till) keeperRest(m loyalty.MemberID) (map[string]loyalty.Points, error) {
	raw, err := t.c.Tills.Rest(context.Background(), m.String())
	if err != nil {
		return nil, err
	}
	rest := map[string]loyalty.Points{}
	for w, s := range raw {
		p, err := loyalty.ParsePoints(s)
		if err != nil || p < 0 {
			return nil, fmt.Errorf("the keeper says %.40q points", s)
		}
		rest[w] = p
	}
	return rest, nil
}

// keeperHold has the keeper hold the points of a receipt. Before the question
// goes out the hold is on disk; one that got no answer is given back, by a
// VOID record and by telling the keeper when it is there again.
func (t *Till) keeperHold(ctx context.Context, old, r *store.Receipt, p *priced) (*store.Hold, error) {
	h := &store.Hold{ID: uuid.NewString(), Wallet: p.result.Spend.Wallet, Points: p.points(), Keeper: t.c.Tills.Keeper()}
	r.State, r.Hold = store.Open, h
	r.Basket, r.Result = mustJSON(p.receipt), mustJSON(lasting(p.result))
	err := t.c.Journal.Update(func(tx *store.Tx) error {
		if old != nil {
			r.Opened, r.Booked = old.Opened, old.Booked
			if old.Hold != nil {
				if err := t.voidHold(tx, old, "authorised again"); err != nil {
					return err
				}
			}
		}
		return tx.PutReceipt(r)
	})
	if err != nil {
		return nil, err
	}
	a, asked := t.c.Tills.Hold(context.WithoutCancel(ctx), wire.KeeperHold{Hold: h.ID, Member: memberText(r.Member), Wallet: h.Wallet, Points: h.Points.String(), Receipt: r.ID, Proof: p.proof})
	if asked == nil && a.Voucher != nil {
		h.Granted, h.Voucher = true, a.Voucher
		return h, nil
	}
	reason := "keeper silent"
	if asked == nil {
		reason = a.Reason
	}
	t.c.Log.Info("points not held by the keeper", "receipt", r.ID, "reason", reason, "error", asked)
	return nil, t.c.Journal.Update(func(tx *store.Tx) error {
		if asked != nil {
			if err := t.voidHold(tx, r, reason); err != nil {
				return err
			}
		}
		r.Hold = nil
		return tx.PutReceipt(r)
	})
}

// ErrNotLender is returned by Lend on a till that cannot sign.
var ErrNotLender = errors.New("this till cannot hold points for others")

// Lend holds points out of this till's leases for another till of its store:
// the record, what is left of the leases and the voucher are one transaction.
// The same hold again has the same answer.
func (t *Till) Lend(_ context.Context, from wire.StoreTill, q wire.KeeperHold, device string, key ed25519.PrivateKey) (*wire.KeeperAnswer, error) {
	rules := t.c.Rules()
	if rules == nil || len(key) == 0 {
		return nil, ErrNotLender
	}
	var m loyalty.MemberID
	points, err := loyalty.ParsePoints(q.Points)
	if err := errors.Join(err, m.UnmarshalText([]byte(q.Member))); err != nil || points <= 0 || q.Hold == "" || len(q.Hold) > 100 || len(q.Receipt) > 200 || len(q.Wallet) > 100 {
		return &wire.KeeperAnswer{Reason: "malformed"}, nil
	}
	if why := t.c.Barred(); why != "" {
		return &wire.KeeperAnswer{Reason: why}, nil
	}
	acked, limits, now := t.c.Acked(), rules.Offline(), t.c.Now()
	var a *wire.KeeperAnswer
	err = t.c.Journal.Update(func(tx *store.Tx) error {
		a = nil
		have, err := tx.Lent(q.Hold)
		if err != nil {
			return err
		}
		if have != nil {
			switch v := have.Voucher; {
			case have.Voided || have.For != from.Device:
				a = &wire.KeeperAnswer{Reason: "void"}
			case v.Points != q.Points || v.Member != q.Member || v.Wallet != q.Wallet || v.Receipt != q.Receipt:
				a = &wire.KeeperAnswer{Reason: "other_terms"}
			default:
				a = &wire.KeeperAnswer{Voucher: v}
			}
			return nil
		}
		spends, err := tx.Spends(m)
		if err != nil {
			return err
		}
		if why := tooMany(limits, spends, "", acked, now, q.Proof != ""); why != "" {
			a = &wire.KeeperAnswer{Reason: why}
			return nil
		}
		parts, err := tx.TakeLease(m, q.Wallet, points, t.c.Trusted())
		if err != nil {
			return err
		}
		at, err := tx.Append(outbox.Entry{Type: wire.TypeHold, Receipt: q.Receipt, Payload: wire.Hold{Hold: q.Hold, Member: m.String(), Wallet: q.Wallet,
			Points: points.String(), Leases: parts, For: from.Device, Proof: q.Proof}})
		if err != nil {
			return err
		}
		v := &wire.Voucher{Hold: q.Hold, Member: q.Member, Wallet: q.Wallet, Points: q.Points, Leases: parts, Receipt: q.Receipt, For: from.Device,
			Keeper: device, Epoch: tx.Epoch(), Seq: at.Seq}
		if err := v.Sign(key); err != nil {
			return err
		}
		if err := tx.NoteSpend(m, store.Spend{Hold: q.Hold, At: now, Epoch: tx.Epoch(), Seq: at.Seq}); err != nil {
			return err
		}
		a = &wire.KeeperAnswer{Voucher: v}
		return tx.PutLent(q.Hold, &store.Lent{For: from.Device, Voucher: v, At: now})
	})
	if errors.Is(err, store.ErrLease) {
		return &wire.KeeperAnswer{Reason: "lease"}, nil
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// TakeBack gives a hold of another till back, once. One that was never asked
// for is remembered, so that it is refused when it comes late.
func (t *Till) TakeBack(_ context.Context, from wire.StoreTill, q wire.KeeperVoid) error {
	if q.Hold == "" || len(q.Hold) > 100 || len(q.Reason) > 200 {
		return nil
	}
	return t.c.Journal.Update(func(tx *store.Tx) error {
		l, err := tx.Lent(q.Hold)
		if err != nil {
			return err
		}
		switch {
		case l == nil:
			return tx.PutLent(q.Hold, &store.Lent{For: from.Device, Voided: true, At: t.c.Now()})
		case l.Voided || l.For != from.Device:
			return nil
		}
		if err := tx.GiveLease(l.Voucher.Leases); err != nil {
			return err
		}
		_, err = tx.Append(outbox.Entry{Type: wire.TypeVoid, Receipt: l.Voucher.Receipt, Payload: wire.Void{Hold: q.Hold, Member: l.Voucher.Member, Reason: q.Reason}})
		if err != nil {
			return err
		}
		var m loyalty.MemberID
		if err := m.UnmarshalText([]byte(l.Voucher.Member)); err == nil {
			if err := tx.ForgetSpend(m, q.Hold); err != nil {
				return err
			}
		}
		l.Voided = true
		return tx.PutLent(q.Hold, l)
	})
}

// Lendable is what a member may spend out of this till's leases.
func (t *Till) Lendable(_ context.Context, q wire.KeeperAsk) (*wire.KeeperAnswer, error) {
	var m loyalty.MemberID
	a := &wire.KeeperAnswer{Rest: map[string]string{}}
	if err := m.UnmarshalText([]byte(q.Member)); err != nil || t.c.Barred() != "" {
		return a, nil
	}
	return a, t.c.Journal.View(func(tx *store.Tx) error {
		rest, err := tx.LeaseRest(m, t.c.Trusted())
		for w, p := range rest {
			a.Rest[w] = p.String()
		}
		return err
	})
}

// TakeMoves takes in what another till of the store did.
func (t *Till) TakeMoves(_ context.Context, from wire.StoreTill, q wire.StoreMoves) error {
	if len(q.Moves) == 0 {
		return nil
	}
	if len(q.Moves) > wire.MostStoreMoves || q.Epoch != from.Epoch {
		return fmt.Errorf("%d movements of epoch %d from %s", len(q.Moves), q.Epoch, from.Device)
	}
	return t.c.Journal.Update(func(tx *store.Tx) error {
		_, err := tx.AddForeign(from.Device, q)
		return err
	})
}

// PendingMoves is what another till must still be told.
func (t *Till) PendingMoves(after uint64) (m wire.StoreMoves, voids []wire.KeeperVoid, err error) {
	err = t.c.Journal.View(func(tx *store.Tx) error {
		if m, err = tx.MovesAfter(after, wire.MostStoreMoves, wire.MostStoreMessage/2); err != nil {
			return err
		}
		voids, err = tx.KeeperVoids(100)
		return err
	})
	return m, voids, err
}

// KeeperTold forgets a void that the keeper has taken in.
func (t *Till) KeeperTold(hold string) error {
	return t.c.Journal.Update(func(tx *store.Tx) error { return tx.DropKeeperVoid(hold) })
}
