package central

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/wire"
)

// Budgets of the newest rulebook are handed to the tills in quotas, whose sum
// never passes the budget: a till gives what it was handed and needs no link
// for it. Each connected till gets half of its even share of what is not
// handed out yet, and as much again when what it has left falls below half of
// that; so the quotas shrink as the budget does, and the last of it goes where
// it is used. A quota is never asked back. What a device that was revoked or
// enrolled anew has not told of may have been given and counts as given.
//
// The quota is known by programme, budget and the first day of its period, not
// by the rulebook's version: publishing again hands out nothing twice.

// allotment is a quota that is due.
type allotment struct {
	budget string
	to     ledger.QuotaHolder
	quota  loyalty.Quota
}

// allot hands out what is due and tells how many quotas that were.
func (s *Server) allot(ctx context.Context) (int, error) {
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
	budgets := slices.DeleteFunc(rb.Budgets(s.cfg.Now().In(zone)), func(b loyalty.BudgetNow) bool { return !b.Bounded() })
	if len(budgets) == 0 {
		return 0, nil
	}
	// Look first: most of the time nothing is due, and reading disturbs nobody.
	var due []allotment
	err = s.db.Read(ctx, func(tx *db.Tx) (err error) { due, err = allotments(tx, budgets, online); return err })
	if err != nil || len(due) == 0 {
		return 0, err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if due, err = allotments(tx, budgets, online); err != nil {
			return err
		}
		for _, a := range due {
			if err := ledger.GrantQuota(tx, a.budget, a.to, a.quota, s.cfg.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	return len(due), err
}

// allotments finds what is due to the connected tills.
func allotments(tx *db.Tx, budgets []loyalty.BudgetNow, online []string) ([]allotment, error) {
	var tills []ledger.QuotaHolder
	for _, id := range online {
		d, err := fleet.ByID(tx, id)
		if errors.Is(err, fleet.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if d.State == fleet.Active {
			tills = append(tills, ledger.QuotaHolder{Device: d.No, Epoch: d.Epoch})
		}
	}
	var all []allotment
	for _, b := range budgets {
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
		for _, h := range tills {
			x := have[h]
			q := loyalty.Quota{
				Money:  loyalty.Money(portion(int64(b.Total.Money), int64(left.Money), int64(x.Granted.Money-x.Used.Money), len(tills))),
				Points: loyalty.Points(portion(int64(b.Total.Points), int64(left.Points), int64(x.Granted.Points-x.Used.Points), len(tills))),
				Count:  portion(b.Total.Count, left.Count, x.Granted.Count-x.Used.Count, len(tills)),
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

// quotas hands out budgets, beside everything else.
func (s *Server) quotas(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	for {
		if _, err := s.allot(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("handing out budgets", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
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
		f.Upto = max(f.Upto, uint64(head))
	} else {
		f.More = true
	}
	return nil
}
