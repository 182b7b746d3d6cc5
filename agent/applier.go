package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// applier takes in what the centre sends down; see uplink.Applier for what it
// promises.
type applier struct {
	dir     string // data folder
	log     *slog.Logger
	journal *store.Journal
	cache   *store.Cache
	rules   *rulebooks
	health  *health.Tracker
	onFork  func() // spending stops
	// onRoster is told the tills of the store; nil: nobody.
	onRoster func(*wire.StoreRoster)
}

var _ uplink.Applier = (*applier)(nil)

// Cursors implements uplink.Applier.
func (a *applier) Cursors(context.Context) (map[wire.Lane]uint64, error) {
	m := map[wire.Lane]uint64{}
	for _, l := range wire.Lanes {
		n, err := a.cache.Cursor(string(l))
		if err != nil {
			return nil, err
		}
		m[l] = n
	}
	return m, nil
}

// keySession holds epoch and number of the last SESSION record.
const keySession = "session"

// Session implements uplink.Applier.
func (a *applier) Session(_ context.Context, s wire.SessionStart) error {
	err := a.journal.Update(func(tx *store.Tx) error {
		if _, err := tx.Append(outbox.Entry{Type: wire.TypeSession, Payload: s}); err != nil {
			return err
		}
		v := binary.BigEndian.AppendUint32(nil, tx.Epoch())
		return tx.SetMeta(keySession, binary.BigEndian.AppendUint64(v, s.No))
	})
	return outcome(err)
}

// outcome tells the uplink when nobody knows what is on disk.
func outcome(err error) error {
	if errors.Is(err, store.ErrOutcomeUnknown) {
		return fmt.Errorf("%w: %w", uplink.ErrOutcomeUnknown, err)
	}
	return err
}

// LastSession implements uplink.Applier.
func (a *applier) LastSession(context.Context) (n uint64, err error) {
	err = a.journal.View(func(tx *store.Tx) error {
		if v := tx.Meta(keySession); len(v) == 12 && binary.BigEndian.Uint32(v) == tx.Epoch() {
			n = binary.BigEndian.Uint64(v[4:])
		}
		return nil
	})
	return n, err
}

// keyForked remembers, over a restart, that spending must stop.
const keyForked = "forked"

// Forked implements uplink.Applier.
func (a *applier) Forked(_ context.Context, reason string) error {
	a.onFork()
	known, err := forked(a.journal)
	if err != nil || known == reason {
		return err
	}
	a.log.Error("journal and centre differ", "reason", reason)
	return a.journal.Update(func(tx *store.Tx) error {
		return tx.SetMeta(keyForked, append(binary.BigEndian.AppendUint32(nil, tx.Epoch()), reason...))
	})
}

// forked tells why spending has stopped in this epoch; empty: it has not.
func forked(j *store.Journal) (reason string, err error) {
	err = j.View(func(tx *store.Tx) error {
		if v := tx.Meta(keyForked); len(v) >= 4 && binary.BigEndian.Uint32(v) == tx.Epoch() {
			reason = string(v[4:])
		}
		return nil
	})
	return reason, err
}

// Apply implements uplink.Applier. The cursor lies in the cache, with the
// items; what also concerns the journal is written there first and may be
// written again without harm.
func (a *applier) Apply(ctx context.Context, f *wire.Feed) error {
	var err error
	switch f.Lane {
	case wire.LaneUrgent:
		err = a.urgent(f)
	case wire.LaneTrust:
		err = a.trust(f)
	case wire.LaneRulebook:
		err = a.rulebook(ctx, f)
	case wire.LaneMember:
		err = a.members(f)
	case wire.LaneCommand:
		err = a.commands(f)
	case wire.LaneLease:
		err = a.leases(f)
	case wire.LaneProgram:
		err = a.releases(f)
	default: // lanes this program does not know: nothing to keep yet
		err = a.cache.Update(func(tx *store.CacheTx) error { return tx.SetCursor(string(f.Lane), f.Upto) })
	}
	return outcome(err)
}

// members puts snapshots into the cache and forgets the changes they include.
func (a *applier) members(f *wire.Feed) error {
	var changed []store.Subject
	err := a.cache.Update(func(tx *store.CacheTx) error {
		if f.Reset && f.After == 0 {
			if err := tx.ClearMembers(); err != nil {
				return err
			}
		}
		for _, raw := range f.Items {
			var item wire.MemberItem
			if err := wire.ReadItem(raw, &item); err != nil {
				a.log.Error("member item skipped", "error", err)
				continue
			}
			var id loyalty.MemberID
			if err := id.UnmarshalText([]byte(item.Member)); err != nil {
				a.log.Error("member item skipped", "error", err)
				continue
			}
			if item.Do == wire.MemberDrop {
				if err := tx.RemoveMember(id); err != nil {
					return err
				}
				continue
			}
			m := loyalty.Member{}
			if err := json.Unmarshal(item.Snapshot, &m); err != nil {
				a.log.Error("member item skipped", "member", id.String(), "error", err)
				continue
			}
			m.ID = id
			if err := tx.PutMember(item.Refs, store.Snapshot{Member: &m, Includes: f.Includes}); err != nil {
				// One that cannot be stored must not hold up the others.
				a.log.Error("member item skipped", "member", id.String(), "error", err)
				continue
			}
			changed = append(changed, store.SubjectOf(&id, wire.Ref{}))
			for _, r := range item.Refs {
				changed = append(changed, store.SubjectOf(nil, r.Ref))
			}
		}
		return tx.SetCursor(string(f.Lane), f.Upto)
	})
	if err == nil && len(f.Also) > 0 {
		err = a.others(f, changed)
	}
	if err != nil || f.Includes == (wire.Mark{}) {
		return err
	}
	// Look first: most snapshots concern members this till did not touch, and
	// a reading transaction costs no flush.
	found := 0
	err = a.journal.View(func(tx *store.Tx) error {
		for _, s := range changed {
			n, err := tx.DropDeltas(s, f.Includes)
			if err != nil {
				return err
			}
			found += n
		}
		return nil
	})
	if err != nil || found == 0 {
		return err
	}
	return a.journal.Update(func(tx *store.Tx) error {
		for _, s := range changed {
			if _, err := tx.DropDeltas(s, f.Includes); err != nil {
				return err
			}
		}
		return nil
	})
}

// urgent erases members and keeps the stop-list.
func (a *applier) urgent(f *wire.Feed) error {
	var items []wire.UrgentItem
	for _, raw := range f.Items {
		var u wire.UrgentItem
		if err := wire.ReadItem(raw, &u); err != nil {
			a.log.Error("urgent item skipped", "error", err)
			continue
		}
		items = append(items, u)
	}
	for _, u := range items {
		var id loyalty.MemberID
		if u.Do != wire.UrgentErase || id.UnmarshalText([]byte(u.Member)) != nil {
			continue
		}
		// What the till shows goes first, then what it has written; the erasure is
		// itself a record. Cut anywhere, it is begun again with the same item.
		if err := a.cache.Update(func(tx *store.CacheTx) error { return tx.RemoveMember(id) }); err != nil {
			return err
		}
		err := a.journal.Forget(id, func(tx *store.Tx) error {
			if _, err := tx.DropDeltas(store.SubjectOf(&id, wire.Ref{}), wire.Mark{Epoch: 1<<32 - 1}); err != nil {
				return err
			}
			_, err := tx.Append(outbox.Entry{Type: wire.TypeErased, Payload: wire.Erased{Member: u.Member, Order: u.Order}})
			return err
		})
		if err != nil {
			return err
		}
		a.log.Info("member erased", "order", u.Order)
	}
	return a.cache.Update(func(tx *store.CacheTx) error {
		if f.Reset && f.After == 0 {
			if err := tx.ClearStops(); err != nil {
				return err
			}
		}
		for _, u := range items {
			var err error
			var id loyalty.MemberID
			switch u.Do {
			case wire.UrgentErase:
				if bad := id.UnmarshalText([]byte(u.Member)); bad != nil {
					a.log.Error("urgent item skipped", "error", bad)
				} else {
					err = tx.RemoveMember(id)
				}
			case wire.UrgentStop:
				reason := u.Reason
				if reason == "" {
					reason = "stopped"
				}
				err = tx.StopAny(u.Ref, u.Member, reason)
			case wire.UrgentFree:
				err = tx.StopAny(u.Ref, u.Member, "")
			default:
				a.log.Warn("urgent item of an unknown kind", "do", u.Do)
			}
			if err != nil {
				return err
			}
		}
		return tx.SetCursor(string(f.Lane), f.Upto)
	})
}

// commands takes in quotas of budgets and answers what this program cannot
// do. The quota lies in the journal, the cursor in the cache: one that comes
// again after a cut is known by its number.
func (a *applier) commands(f *wire.Feed) error {
	err := a.journal.Update(func(tx *store.Tx) error {
		for _, raw := range f.Items {
			var c wire.CommandItem
			if err := wire.ReadItem(raw, &c); err != nil {
				continue
			}
			if c.Do == wire.CommandStore {
				if err := a.roster(tx, c.Args); err != nil {
					return err
				}
				continue
			}
			if c.Do == wire.CommandQuota {
				err := grant(tx, c.Args)
				var bad *badGrant
				if errors.As(err, &bad) {
					a.log.Error("quota skipped", "command", c.ID, "error", err)
				} else if err != nil {
					return err
				}
				continue
			}
			_, err := tx.Append(outbox.Entry{Type: wire.TypeOperator,
				Payload: wire.Operator{Who: "centre", Action: "command_unknown", Detail: c.ID + " " + c.Do}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.cache.Update(func(tx *store.CacheTx) error { return tx.SetCursor(string(f.Lane), f.Upto) })
}

// trust follows the roots that say which keys count. One that does not follow
// is a sign of somebody who has the centre but not the keys: it is refused,
// told, and changes nothing.
func (a *applier) trust(f *wire.Feed) error {
	forgotten := false
	for _, raw := range f.Items {
		var item wire.TrustItem
		if err := wire.ReadItem(raw, &item); err != nil {
			return a.note("root_refused", err.Error())
		}
		done, forgot, err := a.rules.keys.follow(item.Root, a.rules.now())
		if err != nil {
			a.log.Error("root refused", "reason", trust.Reason(err), "error", err)
			a.health.Raise(health.RootRefused, "", err.Error())
			if err := a.note("root_refused", err.Error()); err != nil {
				return err
			}
			continue
		}
		if !done {
			continue
		}
		a.health.Clear(health.RootRefused, "")
		a.log.Info("root followed", "version", a.rules.keys.version())
		if err := a.note("root_followed", fmt.Sprint(a.rules.keys.version())); err != nil {
			return err
		}
		forgotten = forgotten || forgot
	}
	if before := a.rules.number(); a.rules.drop(a.cache) {
		a.health.Set(a.rules.number() == 0, health.NoRulebook, "", "")
		if err := a.reject(before, "", "revoked", errors.New("the keys that signed it are revoked")); err != nil {
			return err
		}
	}
	err := a.cache.Update(func(tx *store.CacheTx) error {
		if forgotten { // what looked old may be the good one
			if err := tx.SetCursor(string(wire.LaneRulebook), 0); err != nil {
				return err
			}
		}
		return tx.SetCursor(string(f.Lane), f.Upto)
	})
	if err == nil && forgotten {
		return uplink.ErrCursors
	}
	return err
}

// note writes down something the agent did by itself.
func (a *applier) note(action, detail string) error {
	if len(detail) > 500 {
		detail = detail[:500] + "…"
	}
	return a.journal.Update(func(tx *store.Tx) error {
		_, err := tx.Append(outbox.Entry{Type: wire.TypeOperator, Payload: wire.Operator{Who: "agent", Action: action, Detail: detail}})
		return err
	})
}

// rulebook activates the newest usable bundle of a feed, or notes why not.
func (a *applier) rulebook(_ context.Context, f *wire.Feed) error {
	for _, raw := range f.Items {
		var b wire.Bundle
		if err := wire.ReadItem(raw, &b); err != nil {
			if err := a.reject(0, "", "decode", err); err != nil {
				return err
			}
			continue
		}
		if b.Version == a.rules.number() && a.have(&b) {
			continue // the lane began anew
		}
		r, reason, err := a.rules.check(&b)
		if err != nil {
			if err := a.reject(b.Version, b.Name, reason, err); err != nil {
				return err
			}
			continue
		}
		before := a.rules.number()
		err = a.cache.Update(func(tx *store.CacheTx) error { return tx.PutBundle(b.Version, raw) })
		if err != nil {
			return err
		}
		if err := a.rules.keys.accept(&b); err != nil {
			return err
		}
		a.rules.activate(r)
		a.health.Clear(health.NoRulebook, "")
		a.health.Clear(health.RulebookBad, "")
		a.log.Info("rulebook activated", "version", r.Version(), "before", before)
		err = a.journal.Update(func(tx *store.Tx) error {
			_, err := tx.Append(outbox.Entry{Type: wire.TypeBundleActivated,
				Payload: wire.BundleActivated{Version: b.Version, Name: b.Name, Hash: wire.HashOf(b.Payload), Before: before}})
			return err
		})
		if err != nil {
			return err
		}
	}
	return a.cache.Update(func(tx *store.CacheTx) error { return tx.SetCursor(string(f.Lane), f.Upto) })
}

// have tells whether the cache holds the very same rulebook.
func (a *applier) have(b *wire.Bundle) bool {
	_, raw, err := a.cache.Bundle(b.Version)
	var known wire.Bundle
	return err == nil && raw != nil && json.Unmarshal(raw, &known) == nil && bytes.Equal(known.Payload, b.Payload)
}

func (a *applier) reject(version int64, name, reason string, why error) error {
	detail := why.Error()
	if len(detail) > 1000 {
		detail = detail[:1000] + "…"
	}
	a.log.Error("rulebook rejected", "version", version, "reason", reason, "error", why)
	a.health.Raise(health.RulebookBad, "", fmt.Sprintf("%d: %s: %s", version, reason, detail))
	return a.journal.Update(func(tx *store.Tx) error {
		_, err := tx.Append(outbox.Entry{Type: wire.TypeBundleRejected,
			Payload: wire.BundleRejected{Version: version, Name: name, Reason: reason, Detail: detail}})
		return err
	})
}
