package simulation

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
)

// oracle remembers what cash programs were told. It knows no rule and no
// balance: what was said to a customer must be what the ledger has.
type oracle struct {
	w     *world
	sales map[string]*sold
	order []*sold
}

// sold is one receipt that was told to be closed.
type sold struct {
	id            string
	at            *machine
	member        int
	earned, spent loyalty.Points
	offline       bool
	risk          bool // the till was cloned, set back or stolen before the centre had it: it may be missing
	back          bool // something came back, or was tried to
	taken, given  loyalty.Points
	backRisk      bool
}

// some picks a receipt.
func (o *oracle) some(n int) *sold {
	if len(o.order) == 0 {
		return nil
	}
	return o.order[n%len(o.order)]
}

func (o *oracle) captured(m *machine, v *visit, a *saleAnswer) {
	s := &sold{id: v.id, at: m, member: v.member, offline: a.Mode == "offline", risk: m.tainted}
	if v.token == "" {
		s.member = -1
	}
	for _, e := range a.Result.Earned {
		s.earned += e.Points
	}
	if a.Result.Spend != nil {
		s.spent = a.Result.Spend.Points
	}
	if old := o.sales[v.id]; old != nil {
		if old.earned != s.earned || old.spent != s.spent {
			if !m.tainted {
				o.w.fail("receipt %s was told twice and differently: %+v, %+v", v.id, old, s)
			}
			old.earned, old.spent, old.risk = s.earned, s.spent, true
		}
		return
	}
	o.sales[v.id] = s
	o.order = append(o.order, s)
	o.w.counts.add(s)
}

func (o *oracle) returned(m *machine, s *sold, r *loyalty.ReturnResult) {
	s.backRisk = s.risk || m.tainted
	for _, e := range r.PointsTaken {
		s.taken += e.Points
	}
	for _, p := range r.PointsBack {
		s.given += p.Points
	}
	o.w.counts.Returns++
}

// doubt marks what a till said and the centre does not have yet: the till was
// cloned, set back or stolen, and its word may never come.
func (o *oracle) doubt(m *machine) {
	m.tainted = true
	there := o.there()
	for _, s := range o.order {
		if s.at == m && there[s.id] == nil {
			s.risk, s.backRisk = true, true
		}
		if s.at == m && s.back {
			s.backRisk = true
		}
	}
}

// booked is what the ledger has of one receipt.
type booked struct {
	n                           int
	earned, spent, taken, given loyalty.Points
}

// there reads the receipts of the ledger.
func (o *oracle) there() map[string]*booked {
	all := map[string]*booked{}
	o.w.centre.read(func(tx *db.Tx) error {
		list, err := ledger.Receipts(tx, ledger.Filter{}, 1_000_000)
		if err != nil {
			return err
		}
		for _, r := range list {
			b := all[r.Number]
			if b == nil {
				b = &booked{}
				all[r.Number] = b
			}
			if r.Kind == "sale" {
				b.n++
			}
			entries, err := ledger.ReceiptEntries(tx, r)
			if err != nil {
				return err
			}
			for _, e := range entries {
				switch e.Kind {
				case ledger.Earn:
					b.earned += e.Points
				case ledger.Spend:
					b.spent += e.Points
				case ledger.TakeBack:
					b.taken += e.Points
				case ledger.GiveBack:
					b.given += e.Points
				}
			}
		}
		return nil
	})
	return all
}

// compare holds what was said against what is booked (I3, I4).
func (o *oracle) compare() {
	there := o.there()
	for _, s := range o.order {
		b := there[s.id]
		switch {
		case b == nil && s.risk:
			continue
		case b == nil || b.n == 0:
			o.w.fail("receipt %s of till %s was told to be closed (earned %s, spent %s) and is not in the ledger", s.id, s.at.place, s.earned, s.spent)
			continue
		case b.n > 1:
			o.w.fail("receipt %s is in the ledger %d times", s.id, b.n)
		}
		if s.risk {
			continue
		}
		if s.member >= 0 && (b.earned != s.earned || b.spent != s.spent) {
			o.w.fail("receipt %s: told earned %s, spent %s; booked %s, %s", s.id, s.earned, s.spent, b.earned, b.spent)
		}
		if s.member >= 0 && !s.backRisk && (b.taken > s.taken || b.given != s.given) {
			o.w.fail("receipt %s: told taken back %s, given back %s; booked %s, %s", s.id, s.taken, s.given, b.taken, b.given)
		}
	}
	for id := range there {
		if o.w.visits[id] == nil && !strings.HasPrefix(id, "first-") {
			o.w.fail("receipt %s is in the ledger and nobody sold it", id)
		}
	}
}

// losses holds what was spent without a right to it against the tills that
// may have done so (I6).
func (o *oracle) losses() {
	tainted := map[string]bool{}
	for _, m := range o.w.machines {
		if m.tainted {
			tainted[m.place.String()] = true
		}
	}
	o.w.centre.read(func(tx *db.Tx) error {
		leases := map[string]loyalty.Points{}
		for _, m := range o.w.machines {
			leases[m.place.String()] = 0
		}
		for i, id := range o.w.members {
			entries, err := ledger.Journal(tx, id, wallet, 0, 1_000_000)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.Kind != ledger.Spend || e.From != ledger.Lost {
					continue
				}
				at := e.Store + "/" + e.Till
				if !tainted[at] {
					o.w.fail("member %d: %s spent at %s without a right to it, and that till is sound", i, e.Points, at)
				}
				o.w.counts.Lost += e.Points
			}
		}
		return nil
	})
}

// counts is what a run was made of.
type counts struct {
	Seeds, Events, Sales, Spends, Offline, OfflineSpends, Returns, Audits int64
	Lost                                                                  loyalty.Points
}

func (c *counts) add(s *sold) {
	c.Sales++
	if s.spent > 0 {
		c.Spends++
	}
	if s.offline {
		c.Offline++
		if s.spent > 0 {
			c.OfflineSpends++
		}
	}
}

func (c *counts) plus(o *counts) {
	c.Seeds += o.Seeds
	c.Events += o.Events
	c.Sales += o.Sales
	c.Spends += o.Spends
	c.Offline += o.Offline
	c.OfflineSpends += o.OfflineSpends
	c.Returns += o.Returns
	c.Audits += o.Audits
	c.Lost += o.Lost
}

func (c *counts) String() string {
	return fmt.Sprintf("%d seeds, %d events: %d sales (%d without the centre), %d with points spent (%d without the centre), %d returns; %d audits; borne by shops after clones and thefts: %s points",
		c.Seeds, c.Events, c.Sales, c.Offline, c.Spends, c.OfflineSpends, c.Returns, c.Audits, c.Lost)
}
