package loyalty

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// QuotaUse is what a receipt takes out of a till's quota of a budget or limit:
// Result.Budgets and Usage reduced to what is bounded, under the name by which
// its quota is kept. Negative amounts give back.
type QuotaUse struct {
	Key      string `json:"key"`
	Budget   string `json:"budget"`
	Counter  string `json:"counter,omitempty"` // of the limit, as in Result.Usage; empty: a budget's
	Money    Money  `json:"money,omitempty"`
	Points   Points `json:"points,omitempty"`
	Count    int64  `json:"count,omitempty"`
	Turnover Money  `json:"turnover,omitempty"`
	Cost     Money  `json:"cost,omitempty"`
}

// BudgetNow is what several tills may give together, as it stands on one day:
// a budget, or one bound of a limit per store or for all.
type BudgetNow struct {
	Key   string // name of its quota: programme/id, @store= when it is one store's, and @first day when it has periods
	ID    string // as in Input.Budgets
	Total Quota  // Money, Points and Count of the whole; 0: not bounded
	// Turnover: bounded by a share of turnover, which every till keeps by
	// itself and which needs no quota.
	Turnover bool
	// Store: for the tills of one store, not for all.
	Store bool

	counter string // of the limit, as in Result.Usage; empty: a budget
}

// Bounded tells whether tills need quotas of it.
func (b *BudgetNow) Bounded() bool { return b.Total != (Quota{}) }

// Budgets lists what tills of a store may give together on the day of a
// moment: the budgets, and the limits per store and for all. A rulebook
// published anew goes on with the same: what was used of one stays used as
// long as programme and id are the same.
func (rb *Rulebook) Budgets(at time.Time, store string) []BudgetNow {
	day := DateOf(at)
	var all []BudgetNow
	add := func(b BudgetNow, period Period, at string) {
		b.Key = rb.doc.Programme.ID + "/" + b.ID + at
		if start := period.start(day); start > 0 {
			b.Key += "@" + start.String()
		}
		all = append(all, b)
	}
	for _, b := range rb.doc.Budgets {
		add(BudgetNow{ID: b.ID, Total: Quota{Money: b.Money, Points: b.Points, Count: b.Count}, Turnover: b.Turnover > 0}, b.Period, "")
	}
	for _, l := range rb.sharedLimits() {
		at := ""
		if l.Per == "store" {
			at = "@store=" + store
		}
		for _, x := range [...]struct {
			suffix string
			total  Quota
		}{{useCount, Quota{Count: l.Count}}, {useUnits, Quota{Count: l.Units}}, {useMoney, Quota{Money: l.Money}}, {usePoints, Quota{Points: l.Points}}} {
			if x.total != (Quota{}) {
				add(BudgetNow{ID: l.quota + x.suffix, Total: x.total, Store: at != "", counter: l.key + at + x.suffix}, l.Period, at)
			}
		}
	}
	return all
}

// sharedLimits are the limits that several tills count on together. Of two
// that say the same of the same, the narrower holds.
func (rb *Rulebook) sharedLimits() []limit {
	var all []limit
	add := func(l limit) {
		if l.quota == "" {
			return
		}
		k := slices.IndexFunc(all, func(x limit) bool { return x.quota == l.quota })
		if k < 0 {
			all = append(all, l)
			return
		}
		n := *all[k].Limit
		narrow(&n.Count, l.Count)
		narrow(&n.Units, l.Units)
		narrow((*int64)(&n.Money), int64(l.Money))
		narrow((*int64)(&n.Points), int64(l.Points))
		all[k].Limit = &n
	}
	for k := range rb.rules {
		for _, l := range rb.rules[k].limits {
			add(l)
		}
	}
	for _, l := range rb.programmeLimits {
		add(l)
	}
	return all
}

// narrow lowers a bound to another one, where 0 is none.
func narrow(bound *int64, to int64) {
	if to > 0 && (*bound == 0 || to < *bound) {
		*bound = to
	}
}

// QuotaUses is what a result takes out of the quotas of its day and store.
func (rb *Rulebook) QuotaUses(r *Result, store string) []QuotaUse {
	var all []QuotaUse
	for _, b := range rb.Budgets(r.Time, store) {
		u := QuotaUse{Key: b.Key, Budget: b.ID, Counter: b.counter}
		none := u
		for _, x := range r.Usage {
			if b.counter != "" && x.Counter == b.counter {
				u.Add(x.Add)
			}
		}
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
			u.Turnover = turnoverOf(r)
		}
		if u != none {
			all = append(all, u)
		}
	}
	return all
}

// ReturnUses is what a return gives back to quotas, in negative amounts, for a
// till that has not sold the receipt and does not know what it took: to the
// budgets as they stood when it was sold.
func (rb *Rulebook) ReturnUses(orig *Result, r *ReturnResult, store string) []QuotaUse {
	back := &Result{Time: orig.Time, Usage: r.Usage}
	for _, b := range r.Budgets {
		b.Count, b.Money, b.Points, b.Cost = -b.Count, -b.Money, -b.Points, -b.Cost
		back.Budgets = append(back.Budgets, b)
	}
	all := rb.QuotaUses(back, store)
	if orig.Time.IsZero() {
		return nil
	}
	for _, b := range rb.Budgets(orig.Time, store) {
		if !b.Turnover {
			continue
		}
		k := slices.IndexFunc(all, func(u QuotaUse) bool { return u.Key == b.Key })
		if k < 0 {
			k = len(all)
			all = append(all, QuotaUse{Key: b.Key, Budget: b.ID})
		}
		all[k].Turnover = -max(0, r.Totals.Net+r.Totals.Redeemed)
	}
	return all
}

// Add adds a use of a limit, told as in Result.Usage.
func (u *QuotaUse) Add(n int64) {
	switch {
	case strings.HasSuffix(u.Counter, useMoney):
		u.Money += Money(n)
	case strings.HasSuffix(u.Counter, usePoints):
		u.Points += Points(n)
	default:
		u.Count += n / oneUnit
	}
}

// turnoverOf is what a receipt adds to turnover: what the customer pays, be it
// with points, because the cost of those was counted when they were earned.
func turnoverOf(r *Result) Money { return max(0, r.Totals.Net+r.Totals.Redeemed) }

// maxQuotaName bounds what a quota is called, so that with a store's id it
// fits the wire.
const maxQuotaName = 160

// Publishable says what of a rulebook cannot be kept by tills that do not see
// each other, as Problems; nil when all can. Such a rulebook may be tried out
// (check, eval) but comes into force nowhere.
func (rb *Rulebook) Publishable() error {
	var bad Problems
	note := func(path, code, found, what, remedy string) {
		bad = append(bad, Problem{Path: path, Code: code, Found: found, What: what, Remedy: remedy})
	}
	period := func(path string, p Period, remedy string) {
		if text, _ := p.MarshalText(); !p.Span.IsZero() || p.Name == "receipt" {
			note(path+".period", "not_handed_out", strconv.Quote(string(text)), "what tills give together is handed to them by day, week, month, quarter, year or ever", "choose one of these"+remedy)
		}
	}
	name := func(path, id string) {
		if len(rb.doc.Programme.ID+id) > maxQuotaName {
			note(path, "too_long", strconv.Quote(shorten(id)), fmt.Sprintf("with the programme's id it is longer than %d bytes, too long a name for a quota", maxQuotaName), "take shorter ids")
		}
	}
	for k, b := range rb.doc.Budgets {
		at := fmt.Sprintf("budgets[%d]", k)
		period(at, b.Period, "")
		name(at+".id", b.ID)
	}
	limits := func(path string, all []limit) {
		for k, l := range all {
			if l.quota != "" {
				at := fmt.Sprintf("%s[%d]", path, k)
				period(at, l.Period, ", or limit it per till or per member")
				name(at, l.quota+usePoints)
			}
		}
	}
	limits("limits", rb.programmeLimits)
	for k := range rb.doc.Rules {
		if i := rb.ruleIndex(rb.doc.Rules[k].ID); i >= 0 {
			limits(fmt.Sprintf("rules[%d].limits", k), rb.rules[i].limits)
		}
	}
	return bad.err()
}
