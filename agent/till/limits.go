package till

import (
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// Limits and budgets at a till. A receipt takes its part of both when it is
// authorised, or when it is captured without that: two baskets that are open
// at once never get the last of something twice. The receipt keeps what it
// took (store.Booking); authorised again or captured, only the difference
// moves; void and return give it back. All of it is in the transaction of the
// receipt itself.
//
// Limits per till and cashier are the till's own. What counts for several
// tills, a budget or a limit per store or for all, each gives only as far as
// the centre has handed it over (wire.QuotaGrant), so that nobody needs a link
// to stay within the total. Limits per member and card are counters in the
// member's snapshot.
// A budget in percent of turnover needs no quota: a till that keeps the share
// for itself keeps it for all.

// standing gives a price what limits and budgets have left for a receipt,
// what it holds itself not counted.
func (t *Till) standing(in *Pricing, rules Rules, id string, at time.Time) error {
	return t.c.Journal.View(func(tx *store.Tx) (err error) {
		if in.Usage, err = tx.Usage(); err != nil {
			return err
		}
		in.Budgets = map[string]*loyalty.Quota{}
		budgets := rules.Budgets(at, t.c.Store)
		keys := map[string]string{}
		for _, b := range budgets {
			q, err := tx.Quota(b.Key)
			if err != nil {
				return err
			}
			if q == nil {
				// Nothing was handed over: a bounded one gives nothing, a
				// share of turnover begins.
				q = &loyalty.Quota{}
			}
			in.Budgets[b.ID], keys[b.Key] = q, b.ID
		}
		old, err := tx.Receipt(id)
		if err != nil || old == nil || old.Booked.Empty() {
			return err
		}
		own := old.Booked.Back()
		if in.Usage == nil {
			in.Usage = map[string]map[string]int64{}
		}
		loyalty.AddUsage(in.Usage, own.Usage)
		for _, u := range own.Quotas {
			if q := in.Budgets[keys[u.Key]]; q != nil {
				q.Money -= u.Money
				q.Points -= u.Points
				q.Count -= u.Count
				q.Turnover += u.Turnover
				q.Cost += u.Cost
			}
		}
		return nil
	})
}

// booking is what a priced receipt takes; kept is what it took before, which
// stays when the rulebook that priced it is no longer there.
func booking(p *priced, kept *store.Booking) *store.Booking {
	if p.rules == nil || p.rules.Version() != p.result.Rulebook {
		return kept
	}
	b := &store.Booking{Quotas: p.rules.QuotaUses(p.result, p.receipt.Store)}
	for _, u := range p.result.Usage {
		b.Usage = append(b.Usage, loyalty.CounterAdd{Counter: u.Counter, Day: u.Day, Add: u.Add})
	}
	if b.Empty() {
		return nil
	}
	return b
}

// told is what the centre is told of quotas: nothing of shares of turnover.
func told(b *store.Booking) []wire.QuotaUse {
	if b == nil {
		return nil
	}
	var all []wire.QuotaUse
	for _, q := range b.Quotas {
		if q.Money != 0 || q.Points != 0 || q.Count != 0 {
			all = append(all, wire.QuotaUse{Budget: q.Key, Money: q.Money.String(), Points: q.Points.String(), Count: q.Count})
		}
	}
	return all
}

// partBack is what a return gives back of a booking, as a booking with
// negative amounts; never more than is left of it, and all of that with the
// last of the receipt.
func partBack(b *store.Booking, res *loyalty.ReturnResult) *store.Booking {
	if res.Whole || b == nil {
		return b.Back()
	}
	left := map[string]int64{}
	for _, u := range b.Usage {
		left[u.Counter+"\x00"+u.Day] += u.Add
	}
	back := &store.Booking{}
	for _, u := range res.Usage {
		k := u.Counter + "\x00" + u.Day
		if n := max(u.Add, -left[k]); n < 0 {
			left[k] += n
			back.Usage = append(back.Usage, loyalty.CounterAdd{Counter: u.Counter, Day: u.Day, Add: n})
		}
	}
	for _, q := range b.Quotas {
		x := loyalty.QuotaUse{Key: q.Key, Budget: q.Budget, Counter: q.Counter}
		none := x
		if q.Counter != "" {
			for _, u := range res.Usage {
				if u.Counter == q.Counter {
					x.Add(u.Add)
				}
			}
		}
		for _, u := range res.Budgets {
			if u.Budget == q.Budget {
				x.Money, x.Points, x.Count, x.Cost = x.Money-u.Money, x.Points-u.Points, x.Count-u.Count, x.Cost-u.Cost
			}
		}
		x.Money, x.Points, x.Count, x.Cost = max(x.Money, -q.Money), max(x.Points, -q.Points), max(x.Count, -q.Count), max(x.Cost, -q.Cost)
		if q.Turnover > 0 {
			x.Turnover = max(-max(0, res.Totals.Net+res.Totals.Redeemed), -q.Turnover)
		}
		if x != none {
			back.Quotas = append(back.Quotas, x)
		}
	}
	return back
}

// less is what is left of a booking after a part was given back.
func less(b, back *store.Booking) *store.Booking {
	if b == nil {
		return nil
	}
	sum := map[string]map[string]int64{}
	loyalty.AddUsage(sum, b.Usage)
	loyalty.AddUsage(sum, back.Usage)
	n := &store.Booking{}
	for _, u := range b.Usage {
		if v := sum[u.Counter][u.Day]; v != 0 {
			n.Usage = append(n.Usage, loyalty.CounterAdd{Counter: u.Counter, Day: u.Day, Add: v})
		}
	}
	for _, q := range b.Quotas {
		for _, x := range back.Quotas {
			if x.Key == q.Key {
				q.Money, q.Points, q.Count = q.Money+x.Money, q.Points+x.Points, q.Count+x.Count
				q.Turnover, q.Cost = q.Turnover+x.Turnover, q.Cost+x.Cost
			}
		}
		n.Quotas = append(n.Quotas, q)
	}
	return n
}
