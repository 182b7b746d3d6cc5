package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/keeper"
	"github.com/tillside/tillside/sync/wire"
)

// keyRoster is where the tills of the store are kept over a restart.
const keyRoster = "store_roster"

// roster takes in who the tills of the store are.
func (a *applier) roster(tx *store.Tx, args json.RawMessage) error {
	var r wire.StoreRoster
	err := wire.ReadItem(args, &r)
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		a.log.Error("tills of the store not taken in", "error", err)
		return nil
	}
	if err := tx.SetMeta(keyRoster, args); err != nil {
		return err
	}
	if a.onRoster != nil {
		a.onRoster(&r)
	}
	return nil
}

// others forgets what other tills of the store did and these snapshots
// include.
func (a *applier) others(f *wire.Feed, changed []store.Subject) error {
	if err := till.DropForeign(a.journal, changed, f.Also); err != nil || f.More {
		return err
	}
	// The lane has caught up: every snapshot here includes as much.
	raises := false
	err := a.journal.View(func(tx *store.Tx) error { raises = tx.RaisesForeign(f.Also); return nil })
	if err != nil || !raises {
		return err
	}
	return a.journal.Update(func(tx *store.Tx) error { return tx.RaiseForeign(f.Also) })
}

// storeLAN is this till among the tills of its store.
type storeLAN struct {
	current atomic.Pointer[wire.StoreRoster]
	store   *keeper.Store // nil: not wanted
}

func (l *storeLAN) roster() *wire.StoreRoster { return l.current.Load() }

// load reads the roster of an earlier run.
func (l *storeLAN) load(j *store.Journal) error {
	return j.View(func(tx *store.Tx) error {
		var r wire.StoreRoster
		if b := tx.Meta(keyRoster); b != nil && json.Unmarshal(b, &r) == nil && r.Check() == nil {
			l.current.Store(&r)
		}
		return nil
	})
}

// lender answers the other tills.
type lender struct {
	till   func() *till.Till
	device string
	key    ed25519.PrivateKey
}

var _ keeper.Host = (*lender)(nil)

func (h *lender) Hold(ctx context.Context, from wire.StoreTill, q wire.KeeperHold) (*wire.KeeperAnswer, error) {
	return h.till().Lend(ctx, from, q, h.device, h.key)
}

func (h *lender) Void(ctx context.Context, from wire.StoreTill, q wire.KeeperVoid) error {
	return h.till().TakeBack(ctx, from, q)
}

func (h *lender) Rest(ctx context.Context, _ wire.StoreTill, q wire.KeeperAsk) (*wire.KeeperAnswer, error) {
	return h.till().Lendable(ctx, q)
}

func (h *lender) Moves(ctx context.Context, from wire.StoreTill, q wire.StoreMoves) error {
	return h.till().TakeMoves(ctx, from, q)
}

// openStoreLAN listens for the other tills where the settings want that. The
// till is there before anybody is answered.
func (a *Agent) openStoreLAN() (till.Tills, error) {
	s := a.o.Settings.Store
	if s.Listen == "" || a.id == nil {
		return nil, nil
	}
	st, err := keeper.New(keeper.Config{Device: a.id.Device, Key: a.id.Key(), Listen: s.Listen, Peers: s.Peers, Discover: s.Discover == "on", Roster: a.lan.roster,
		Host: &lender{till: a.Till, device: a.id.Device, key: a.id.Key()},
		Pending: func(_ string, after uint64) (wire.StoreMoves, []wire.KeeperVoid, error) {
			return a.till.PendingMoves(after)
		},
		Told: func(hold string) error { return a.till.KeeperTold(hold) }, Log: a.log.With("part", "store")})
	if err != nil {
		return nil, fmt.Errorf("%w (set store.listen to a free port, or empty)", err)
	}
	a.lan.store = st
	return st, nil
}

// runStoreLAN is nil-safe: a till without others waits.
func (a *Agent) runStoreLAN(ctx context.Context) error {
	err := a.lan.store.Run(ctx)
	if ctx.Err() == nil {
		err = errors.Join(errors.New("the tills of the store are not answered any more"), err)
	}
	return err
}

// StoreAddr is where the other tills of the store find this one; for tests.
func (a *Agent) StoreAddr() string {
	if a.lan.store == nil {
		return ""
	}
	return a.lan.store.Addr().String()
}

// StoreTills lists the other tills of the store that answer now.
func (a *Agent) StoreTills() []string {
	if a.lan.store == nil {
		return nil
	}
	return a.lan.store.Reachable()
}
