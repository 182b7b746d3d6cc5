package loyalty

import (
	"fmt"
	"strings"
	"time"
)

// QuotaUse is what a receipt takes out of a till's quota of a budget:
// Result.Budgets reduced to what the budget bounds, under the name by which
// its quota is kept. Negative amounts give back.
type QuotaUse struct {
	Key      string `json:"key"`
	Budget   string `json:"budget"`
	Money    Money  `json:"money,omitempty"`
	Points   Points `json:"points,omitempty"`
	Count    int64  `json:"count,omitempty"`
	Turnover Money  `json:"turnover,omitempty"`
	Cost     Money  `json:"cost,omitempty"`
}

// BudgetNow is a budget as it stands on one day.
type BudgetNow struct {
	Key   string // name of its quota: programme/budget, and @first day when it has periods
	ID    string
	Total Quota // Money, Points and Count of the whole budget; 0: not bounded
	// Turnover: bounded by a share of turnover, which every till keeps by
	// itself and which needs no quota.
	Turnover bool
}

// Bounded tells whether tills need quotas of it.
func (b *BudgetNow) Bounded() bool { return b.Total != (Quota{}) }

// Budgets lists the budgets that are open on the day of a moment. A rulebook
// published anew goes on with the same budgets: what was used of one stays
// used as long as programme and id are the same.
func (rb *Rulebook) Budgets(at time.Time) []BudgetNow {
	var all []BudgetNow
	for _, b := range rb.doc.Budgets {
		key := rb.doc.Programme.ID + "/" + b.ID
		if start := b.Period.start(DateOf(at)); start > 0 {
			key += "@" + start.String()
		}
		all = append(all, BudgetNow{Key: key, ID: b.ID, Total: Quota{Money: b.Money, Points: b.Points, Count: b.Count}, Turnover: b.Turnover > 0})
	}
	return all
}

// QuotaUses is what a result takes out of the quotas of its day.
func (rb *Rulebook) QuotaUses(r *Result) []QuotaUse {
	var all []QuotaUse
	for _, b := range rb.Budgets(r.Time) {
		u := QuotaUse{Key: b.Key, Budget: b.ID}
		for _, x := range r.Budgets {
			if x.Budget != b.ID {
				continue
			}
			if b.Total.Money > 0 {
				u.Money += x.Money
			}
			if b.Total.Points > 0 {
				u.Points += x.Points
			}
			if b.Total.Count > 0 {
				u.Count += x.Count
			}
			if b.Turnover {
				u.Cost += x.Cost
			}
		}
		if b.Turnover {
			u.Turnover = max(0, r.Totals.Net)
		}
		if u != (QuotaUse{Key: b.Key, Budget: b.ID}) {
			all = append(all, u)
		}
	}
	return all
}

// Unbooked says what of a rulebook this version prices but does not book yet;
// nil when it is complete. Such a rulebook may be tried out (check, eval) but
// comes into force nowhere.
func (rb *Rulebook) Unbooked() error {
	var bad []string
	for i := range rb.rules {
		if r := &rb.rules[i]; r.cost > 0 {
			bad = append(bad, fmt.Sprintf("rules: %s: rewards with costs are priced by eval, but not yet booked by this version; take \"costs\" out", r.id))
		}
	}
	for _, b := range rb.doc.Budgets {
		if !b.Period.Span.IsZero() || b.Period.Name == "receipt" {
			bad = append(bad, fmt.Sprintf("budgets: %s: quotas are handed out by day, week, month, quarter, year or for ever; choose one of these as its period", b.ID))
		}
	}
	if bad == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(bad, "\n"))
}
