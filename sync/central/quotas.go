package central

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/wire"
)

// What tills give together is handed to them in quotas: the budgets of the
// newest rulebook, and its limits per store and for all. The sum of the quotas
// never passes the total: a till gives what it was handed and needs no link
// for it. Each connected till gets half of its even share of what is not
// handed out yet, and as much again when what it has left falls below half of
// that; so the quotas shrink as the total does, and the last of it goes where
// it is used. A quota is never asked back. What a device that was revoked or
// enrolled anew has not told of may have been given and counts as given.
//
// A till that has no link on the first day of a period would have nothing of
// it. So half of what begins in the days to come is handed out ahead, in even
// shares; the other half goes to those that are connected then.
//
// The quota is known by programme, budget or limit, store where it is one
// store's, and the first day of its period, not by the rulebook's version:
// publishing again hands out nothing twice.

const (
	daysAhead  = 7                // periods that begin so soon are handed out ahead
	aheadEvery = 10 * time.Minute // is how often that is looked at
	// Looking takes time in a large chain. It never takes more than this
	// share of it.
	lookShare = 20
)

// pot is something to hand out, and to whom.
type pot struct {
	loyalty.BudgetNow
	ahead bool
	tills []ledger.QuotaHolder
}

// allotment is a quota that is due.
type allotment struct {
	budget string
	to     ledger.QuotaHolder
	quota  loyalty.Quota
}

// lookAhead is when the periods to come were last looked at, and for whom.
type lookAhead struct {
	at      time.Time
	version int64
	seen    map[string]bool
}

// due tells whether it is time to look again: for a new rulebook, a till that
// was not there, and from time to time.
func (l *lookAhead) due(version int64, online []string, now time.Time) bool {
	return version != l.version || now.Sub(l.at) >= aheadEvery || slices.ContainsFunc(online, func(id string) bool { return !l.seen[id] })
}

func (l *lookAhead) done(version int64, online []string, now time.Time) {
	if l.seen == nil || version != l.version {
		l.seen = map[string]bool{}
	}
	l.at, l.version = now, version
	for _, id := range online {
		l.seen[id] = true
	}
}

// allot hands out what is due and tells how many quotas that were.
func (s *Server) allot(ctx context.Context, l *lookAhead) (int, error) {
	online := s.hub.Online()
	if len(online) == 0 {
		return 0, nil
	}
	slices.Sort(online)
	var version int64
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) { version, err = rulebook.Latest(tx); return err })
	if err != nil || version == 0 {
		return 0, err
	}
	rb, err := s.engine.book(version)
	if err != nil {
		return 0, err
	}
	zone := s.cfg.Zone
	if zone == nil {
		zone = time.Local
	}
	now := s.cfg.Now().In(zone)
	ahead := l.due(version, online, now)
	// Look first: most of the time nothing is due, and reading disturbs nobody.
	var due []allotment
	look := func(tx *db.Tx) error {
		tills, err := connected(tx, online)
		if err == nil {
			due, err = allotments(tx, pots(rb, now, tills, ahead))
		}
		return err
	}
	if err = s.db.Read(ctx, look); err != nil {
		return 0, err
	}
	if len(due) == 0 {
		if ahead {
			l.done(version, online, now)
		}
		return 0, nil
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := look(tx); err != nil {
			return err
		}
		for _, a := range due {
			if err := ledger.GrantQuota(tx, a.budget, a.to, a.quota, s.cfg.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && ahead {
		l.done(version, online, now)
	}
	return len(due), err
}

// connected finds the tills that are connected and may give, by store.
func connected(tx *db.Tx, online []string) (map[string][]ledger.QuotaHolder, error) {
	tills := map[string][]ledger.QuotaHolder{}
	for _, id := range online {
		d, err := fleet.ByID(tx, id)
		if errors.Is(err, fleet.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if d.State == fleet.Active {
			tills[d.Store] = append(tills[d.Store], ledger.QuotaHolder{Device: d.No, Epoch: d.Epoch})
		}
	}
	return tills, nil
}

// pots lists what there is to hand out.
func pots(rb *loyalty.Rulebook, now time.Time, tills map[string][]ledger.QuotaHolder, ahead bool) []pot {
	var all []pot
	seen := map[string]bool{}
	stores := slices.Sorted(maps.Keys(tills))
	var every []ledger.QuotaHolder
	for _, store := range stores {
		every = append(every, tills[store]...)
	}
	days := 0
	if ahead {
		days = daysAhead
	}
	for day := 0; day <= days; day++ {
		for _, store := range stores {
			for _, b := range rb.Budgets(now.AddDate(0, 0, day), store) {
				if !b.Bounded() || seen[b.Key] {
					continue
				}
				seen[b.Key] = true
				p := pot{BudgetNow: b, ahead: day > 0, tills: every}
				if b.Store {
					p.tills = tills[store]
				}
				all = append(all, p)
			}
		}
	}
	return all
}

// allotments finds what is due to the connected tills.
func allotments(tx *db.Tx, pots []pot) ([]allotment, error) {
	var all []allotment
	for _, b := range pots {
		have, err := ledger.Quotas(tx, b.Key)
		if err != nil {
			return nil, err
		}
		left := b.Total
		for _, h := range have {
			left.Money -= h.Granted.Money
			left.Points -= h.Granted.Points
			left.Count -= h.Granted.Count
		}
		of := portion
		if b.ahead {
			of = aheadShare
		}
		n := len(b.tills)
		for _, h := range b.tills {
			x := have[h]
			q := loyalty.Quota{
				Money:  loyalty.Money(of(int64(b.Total.Money), int64(left.Money), int64(x.Granted.Money-x.Used.Money), n)),
				Points: loyalty.Points(of(int64(b.Total.Points), int64(left.Points), int64(x.Granted.Points-x.Used.Points), n)),
				Count:  of(b.Total.Count, left.Count, x.Granted.Count-x.Used.Count, n),
			}
			if q == (loyalty.Quota{}) {
				continue
			}
			left.Money -= q.Money
			left.Points -= q.Points
			left.Count -= q.Count
			all = append(all, allotment{b.Key, h, q})
		}
	}
	return all, nil
}

// portion is what one of n tills gets of what is left of a total, when it has
// rest: 0 when that is enough for now.
func portion(total, left, rest int64, n int) int64 {
	if left <= 0 {
		return 0
	}
	const smallest = 200 // parts of the total: smaller ones are not worth a message
	p := min(max(left/int64(2*n), total/smallest, 1), left)
	if rest >= (p+1)/2 {
		return 0
	}
	return p
}

// aheadShare is what one of n tills gets ahead of a period: once, and of half of
// the total only.
func aheadShare(total, left, rest int64, n int) int64 {
	p := total / int64(2*n)
	if rest > 0 || left-p < total/2 {
		return 0
	}
	return p
}

// quotas hands out budgets, beside everything else.
func (s *Server) quotas(ctx context.Context) {
	var ahead lookAhead
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		start := time.Now()
		if _, err := s.allot(ctx, &ahead); err != nil && ctx.Err() == nil {
			s.log.Error("handing out budgets", "error", err)
		}
		wait.Reset(max(s.cfg.Poll, lookShare*time.Since(start)))
	}
}

// feedCommands sends a device its quotas.
func (b *backend) feedCommands(tx *db.Tx, f *wire.Feed, device string, maxItems int) error {
	head, err := tx.Counter("command")
	if err != nil {
		return err
	}
	b.rewind(f, head)
	dev, err := fleet.ByID(tx, device)
	if err != nil {
		return err
	}
	grants, err := ledger.QuotaGrants(tx, dev.No, f.After, maxItems)
	if err != nil {
		return err
	}
	for _, g := range grants {
		args, err := wire.FeedItem(g)
		if err != nil {
			return err
		}
		raw, err := wire.FeedItem(wire.CommandItem{ID: fmt.Sprint(g.No), Do: wire.CommandQuota, Args: args})
		if err != nil {
			return err
		}
		f.Items, f.Upto = append(f.Items, raw), g.No
	}
	if len(grants) < maxItems {
		if roster, n, err := fleet.Roster(tx, dev.Store, f.After); err != nil {
			return err
		} else if roster != nil {
			raw, err := wire.FeedItem(wire.CommandItem{ID: fmt.Sprint(n), Do: wire.CommandStore, Args: roster})
			if err != nil {
				return err
			}
			f.Items = append(f.Items, raw)
		}
		f.Upto = max(f.Upto, uint64(head))
	} else {
		f.More = true
	}
	return nil
}
