package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// unresolvedAfter is how long a receipt may hold points before it is told as
// unresolved. It still counts as spent; only capture, void or the centre ends
// it.
const unresolvedAfter = 12 * time.Hour

// fault asks for a DEVICE_FAULT record; one that cannot wait is dropped, the
// state itself is in status.
func (a *Agent) fault(name string, st drivers.State) {
	select {
	case a.faults <- wire.DeviceFault{Device: name, State: string(st.Code), Detail: st.Detail}:
	default:
	}
}

// housekeeping looks after health every second and after old data every hour.
func (a *Agent) housekeeping(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	told := map[string]time.Time{} // device -> last fault record
	a.look()
	a.prune()
	for {
		select {
		case <-second.C:
			a.look()
			a.health.Check()
			a.scrub()
			if a.suspect.Load() && a.o.Now().Sub(a.began) > restful && a.o.Now().Sub(a.till.LastCall()) > restful {
				return errDamaged
			}
		case <-hourly.C:
			a.prune()
			a.compact()
		case b := <-a.rules.fell:
			a.rulesFell(b)
		case f := <-a.faults:
			// A loose plug must not fill the journal.
			if a.id == nil || a.o.Now().Sub(told[f.Device]) < time.Minute {
				continue
			}
			told[f.Device] = a.o.Now()
			a.record(wire.TypeDeviceFault, f)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// record writes a journal record of the agent's own.
func (a *Agent) record(t wire.Type, payload any) {
	err := a.journal.Update(func(tx *store.Tx) error {
		_, err := tx.Append(outbox.Entry{Type: t, Payload: payload})
		return err
	})
	if err != nil {
		a.log.Error("record not written", "type", string(t), "error", err)
	}
}

// look raises and clears the warnings that nobody else sees.
func (a *Agent) look() {
	h := a.o.Settings.Health
	if a.id != nil {
		st := a.link.Status()
		a.health.Set(st.Mode == "offline", health.LinkDown.With(time.Duration(h.LinkDown)), "", st.LastError)
		old := st.Oldest != nil && a.o.Now().Sub(*st.Oldest) > time.Duration(h.QueueAge)
		a.health.Set(old, health.QueueOld, "", fmt.Sprintf("%d records", st.Queued))
		a.health.Set(st.Parked > 0, health.RecordParked, "", fmt.Sprintf("%d records", st.Parked))
		a.health.Set(st.Mode == "offline" && a.o.Now().Sub(st.Since) > time.Duration(h.RulebookAge), health.RulebookOld, "",
			"no word from the centre since "+st.Since.Format(time.DateOnly))
		state, before, offset := a.clock.trust()
		a.health.Set(state == wire.ClockUntrusted && before != "", health.ClockBad.With(time.Minute), "", "")
		if before != "" && before != state {
			a.record(wire.TypeClock, wire.ClockChange{From: before, To: state, OffsetM: offset.Milliseconds()})
		}
		if a.clock.due() {
			if err := a.clock.save(a.journal); err != nil {
				a.log.Error("clock not kept", "error", err)
			}
		}
	}
	if err := a.contact.save(a.journal, contactEvery); err != nil {
		a.log.Error("time of the last contact not kept", "error", err)
	}
	if rules := a.rules.Rules(); rules != nil && a.id != nil {
		l, last := rules.Offline(), a.contact.at()
		alone := !last.IsZero() && l.WarnAfter.Over(last, a.o.Now())
		what := "since " + last.Format(time.DateOnly)
		if l.MaxOffline.N > 0 {
			what += "; from " + l.MaxOffline.After(loyalty.DateOf(last)).String() + " on it only gives points"
		}
		a.health.Set(alone, health.AloneLong, "", what)
	}
	a.health.Set(a.rules.number() == 0, health.NoRulebook, "", "")
	if free, err := freeBytes(a.dir); err == nil {
		a.space(free)
	}
}

// space looks after the disk. Spending stops while there is little room. When
// a commit found none at all (outOfSpace), the ballast was given back so that
// open receipts can be closed, and nothing new is begun until there is room
// for it again.
func (a *Agent) space(free uint64) {
	least := uint64(a.o.Settings.Health.MinFreeMB) << 20
	a.diskLow.Store(free < least)
	if !a.ballast.There() && free >= least+store.BallastSize {
		if err := a.ballast.Lay(); err != nil {
			a.log.Error("ballast not laid down", "error", err)
		} else if a.diskFull.Swap(false) {
			a.log.Info("there is room on the disk again")
		}
	}
	full := a.diskFull.Load()
	a.health.Set(full, health.DiskFull, "", fmt.Sprintf("%d MiB free; open receipts can be closed, new ones are not taken", free>>20))
	a.health.Set(free < least && !full, health.DiskLow, "", fmt.Sprintf("%d MiB free", free>>20))
}

// outOfSpace is called when a commit failed for want of space.
func (a *Agent) outOfSpace() {
	a.diskFull.Store(true)
	gave, err := a.ballast.Drop()
	a.log.Error("the disk is full", "ballast_given_back", gave, "error", err)
}

// damaged is called when a value of the journal is not what was written: a
// bit flipped on the disk. The call that met it fails; others go on. The file
// is examined and set aside at the next start, which comes by itself when
// nobody has sold for a while.
func (a *Agent) damaged(err error) {
	if !a.suspect.Swap(true) {
		a.log.Error("the journal is damaged", "error", err)
		a.health.Raise(health.JournalDamaged, "", "it is set aside whole at the next start; keep the file, enrol the till again")
	}
}

// cacheDamaged is its like for the cache, where the next start loses nothing.
func (a *Agent) cacheDamaged(err error) {
	if !a.suspect.Swap(true) {
		a.log.Error("the member cache is damaged", "error", err)
		a.health.Raise(health.CacheRebuilt, "", "at the next start, which comes by itself when nobody sells")
	}
}

// errDamaged ends the agent so that its next start examines the files.
var errDamaged = errors.New("a store file is damaged; the next start sets it aside")

// restful is how long nobody must have sold for the journal to be written
// anew, which takes a moment.
const restful = 5 * time.Minute

// rulesFell makes the way back from a broken rulebook last, and tells of it.
func (a *Agent) rulesFell(b brokenRules) {
	a.log.Error("the rulebook breaks the engine and is out of force", "version", b.version, "error", b.why, "now", a.rules.number())
	if v, raw, err := a.cache.BundleBefore(); err == nil && v == a.rules.number() && v > 0 {
		err = a.cache.Update(func(tx *store.CacheTx) error { return tx.PutBundle(v, raw) })
		if err != nil {
			a.log.Error("the rulebook before is not kept", "error", err)
		}
	}
	a.health.Raise(health.RulebookBad, "", fmt.Sprintf("%d: breaks the engine: %s", b.version, b.why))
	a.health.Set(a.rules.number() == 0, health.NoRulebook, "", "")
	a.record(wire.TypeBundleRejected, wire.BundleRejected{Version: b.version, Reason: "crashed", Detail: b.why})
}

// scrub has nothing left on the disk of somebody who was erased, as soon as no
// customer waits.
func (a *Agent) scrub() {
	if a.o.Now().Sub(a.till.LastCall()) < scrubAfter {
		return
	}
	if done, err := a.journal.Scrub(); err != nil {
		a.log.Error("journal not scrubbed", "error", err)
	} else if done {
		a.log.Info("journal scrubbed")
	}
}

// scrubAfter is how long nobody must have called before the journal is written
// anew, which holds up whoever comes for a moment.
const scrubAfter = 10 * time.Second

// compact gives space back that the journal no longer uses.
func (a *Agent) compact() {
	if a.o.Now().Sub(a.till.LastCall()) < restful {
		return
	}
	if done, err := a.journal.Compact(); err != nil {
		a.log.Error("journal not compacted", "error", err)
	} else if done {
		a.log.Info("journal compacted", "bytes", a.journal.Size())
	}
}

// prune lets old receipts and records go, a few at a time so that no sale
// waits, and marks holds that nobody finished.
func (a *Agent) prune() {
	for {
		n := 0
		err := a.journal.Update(func(tx *store.Tx) (err error) { n, err = tx.PruneReceipts(100); return err })
		if err != nil {
			a.log.Error("old receipts not removed", "error", err)
			break
		}
		if n < 100 {
			break
		}
	}
	before := a.o.Now().AddDate(0, 0, -store.UsageDays).Format(time.DateOnly)
	for n := 100; n == 100; {
		err := a.journal.Update(func(tx *store.Tx) (err error) { n, err = tx.FoldUsage(before, 100); return err })
		if err != nil {
			a.log.Error("old use of limits not summed up", "error", err)
			break
		}
	}
	if box := a.journal.Box(); box != nil {
		if now := a.clock.trusted(); !now.IsZero() {
			if _, err := box.Prune(now, 500); err != nil {
				a.log.Error("old records not removed", "error", err)
			}
		}
		a.unresolved()
		if err := a.journal.Update(func(tx *store.Tx) error { return tx.PruneLAN(500) }); err != nil {
			a.log.Error("old movements of the store not removed", "error", err)
		}
		if err := endLeases(a.journal, a.clock.trusted()); err != nil {
			a.log.Error("leases not given back", "error", err)
		}
	}
	if err := a.clock.save(a.journal); err != nil {
		a.log.Error("clock not kept", "error", err)
	}
}

// unresolved marks receipts that have held points for too long.
func (a *Agent) unresolved() {
	var late []string
	err := a.journal.View(func(tx *store.Tx) error {
		list, err := tx.OpenReceipts()
		for _, r := range list {
			if r.State == store.Held && r.Hold != nil && a.o.Now().Sub(r.Changed) > unresolvedAfter {
				late = append(late, r.ID)
			}
		}
		return err
	})
	if err == nil && len(late) > 0 {
		err = a.journal.Update(func(tx *store.Tx) error {
			for _, id := range late {
				r, err := tx.Receipt(id)
				if err != nil || r == nil || r.State != store.Held {
					return err
				}
				r.State = store.Unresolved
				if err := tx.PutReceipt(r); err != nil {
					return err
				}
				u := wire.Unresolved{Hold: r.Hold.ID, Reason: "no capture or void"}
				if r.Member != nil {
					u.Member = r.Member.String()
				}
				if _, err := tx.Append(outbox.Entry{Type: wire.TypeUnresolved, Receipt: id, Payload: u}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		a.log.Error("unresolved receipts", "error", err)
	}
	a.health.Set(len(late) > 0, health.Unresolved, "", fmt.Sprintf("%d receipts", len(late)))
}
