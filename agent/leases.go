package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// leases takes in rights to spend and gives back those that are asked for.
// They lie in the journal, the cursor in the cache: an order that comes again
// after a cut finds its lease known or closed and changes nothing.
func (a *applier) leases(f *wire.Feed) error {
	if len(f.Items) > 0 {
		err := a.journal.Update(func(tx *store.Tx) error {
			for _, raw := range f.Items {
				if err := a.lease(tx, raw); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return a.cache.Update(func(tx *store.CacheTx) error { return tx.SetCursor(string(f.Lane), f.Upto) })
}

func (a *applier) lease(tx *store.Tx, raw []byte) error {
	var item wire.LeaseItem
	err := wire.ReadItem(raw, &item)
	var l store.Lease
	if err == nil {
		l, err = readLease(&item)
	}
	if err != nil {
		a.log.Error("order about a lease skipped", "error", err)
		return nil
	}
	switch item.Do {
	case wire.LeaseGrant:
		if why := a.tooMuch(tx, &l); why != nil {
			// The rulebook is signed by others than those who hand out leases.
			a.log.Error("lease not taken", "lease", l.ID, "error", why)
			_, err = tx.CloseLease(l, "limit")
			return err
		}
		_, err = tx.OpenLease(l)
	case wire.LeaseRecall:
		_, err = tx.CloseLease(l, "recall")
	default:
		a.log.Warn("order about a lease of an unknown kind", "do", item.Do)
	}
	return err
}

func readLease(item *wire.LeaseItem) (store.Lease, error) {
	l := store.Lease{ID: item.Lease, Wallet: item.Wallet, Epoch: item.Epoch, NotAfter: item.NotAfter}
	p, err := loyalty.ParsePoints(item.Points)
	if err := errors.Join(err, l.Member.UnmarshalText([]byte(item.Member))); err != nil {
		return l, err
	}
	if l.Points = p; p <= 0 || l.ID == "" || len(l.ID) > 100 || l.Wallet == "" || len(l.Wallet) > 100 {
		return l, fmt.Errorf("lease %.40q of %s points in wallet %.40q is out of range", item.Lease, item.Points, item.Wallet)
	}
	return l, nil
}

// tooMuch holds a grant against the limits of the rulebook in force.
func (a *applier) tooMuch(tx *store.Tx, l *store.Lease) error {
	rules := a.rules.Rules()
	if rules == nil {
		return nil // nothing is spent without a rulebook either
	}
	limits := rules.Offline()
	all, err := tx.Leases()
	if err != nil {
		return err
	}
	mine, here := l.Points, l.Points
	for _, x := range all {
		if x.ID == l.ID {
			return nil // known; OpenLease says so
		}
		here += x.Rest
		if x.Member == l.Member && x.Wallet == l.Wallet {
			mine += x.Rest
		}
	}
	switch {
	case limits.PerStore > 0 && mine > limits.PerStore:
		return fmt.Errorf("%s points of one member, the rulebook allows %s", mine, limits.PerStore)
	case limits.PerDevice > 0 && here > limits.PerDevice:
		return fmt.Errorf("%s points at one till, the rulebook allows %s", here, limits.PerDevice)
	}
	return nil
}

// endLeases gives back what may not be spent any more. now is the time where
// the clock may be trusted; otherwise nothing ends.
func endLeases(j *store.Journal, now time.Time) error {
	if now.IsZero() {
		return nil
	}
	var late []*store.Lease
	err := j.View(func(tx *store.Tx) error {
		all, err := tx.Leases()
		for _, l := range all {
			if !l.NotAfter.IsZero() && now.After(l.NotAfter) {
				late = append(late, l)
			}
		}
		return err
	})
	if err != nil || len(late) == 0 {
		return err
	}
	return j.Update(func(tx *store.Tx) error {
		for _, l := range late {
			if _, err := tx.CloseLease(*l, "expired"); err != nil {
				return err
			}
		}
		return nil
	})
}
