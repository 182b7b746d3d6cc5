package loyalty

import (
	"fmt"
	"strconv"
	"time"
)

// Offline is what a till may do without a link. Points are spent without one
// only within a lease: a right that the centre handed to this till or its
// store before, so that nobody else can spend the same points. The limits
// bound what a stolen, copied or deceived till can cost. A limit that is left
// out has its default; 0 switches it off.
type Offline struct {
	Spend        string   `json:"spend,omitempty" enum:"no|within_lease" doc:"points may be spent without a link (no)"`
	MaxPoints    *Points  `json:"max_points,omitempty" doc:"most points used on one receipt without a link; 0: no such limit (300)"`
	MaxPercent   *Percent `json:"max_percent,omitempty" doc:"most percent of a receipt's sum paid with points without a link; 0: no such limit (30)"`
	MaxAge       Span     `json:"max_snapshot_age,omitzero" doc:"a till that last heard of the member longer ago earns but does not spend; 0 days: no such limit (3 days)"`
	MaxRewardAge Span     `json:"max_reward_age,omitzero" doc:"a till that last heard of the member longer ago gives points, and no discounts, gifts and coupons that ask for a member; 0 days: no such limit (7 days)"`
	Coupons      string   `json:"coupons,omitempty" enum:"yes|multi_use_only|no" doc:"coupons taken without a link (yes)"`

	LeasedShare *Percent `json:"leased_share,omitempty" doc:"percent of a member's points that may be out on leases; 0: all of them (60)"`
	PerStore    *Points  `json:"lease_per_store,omitempty" doc:"most points of one member leased to one store; 0: no such limit (500)"`
	PerDevice   *Points  `json:"lease_per_device,omitempty" doc:"most points of all members leased to one till; 0: no such limit (20000)"`
	Split       string   `json:"lease_split,omitempty" enum:"visits|favourite" doc:"how leases are shared among the stores a member uses: by visits, or all to the one she uses most (visits)"`
	Visits      Span     `json:"lease_visits,omitzero" doc:"leases go to the stores a member used in this time, by visits (90 days)"`

	ProofAfter  *int64 `json:"proof_after,omitempty" doc:"after so many spends of a member that the centre has not seen yet, the next asks for a second proof; 0: never (2)"`
	RefuseAfter *int64 `json:"refuse_after,omitempty" doc:"after so many spends of a member that the centre has not seen yet, no more; 0: no such limit (3)"`
	SameCard    *int64 `json:"same_card,omitempty" doc:"spends of one member at one till in 10 minutes without a link; 0: no such limit (2)"`
	PerDay      *int64 `json:"spends_a_day,omitempty" doc:"spends of one member at one till in a day without a link; 0: no such limit (3)"`
	Typed       string `json:"typed_cards,omitempty" enum:"no|yes" doc:"a card or phone number typed by hand may spend without a link (no)"`
	WarnAfter   Span   `json:"warn_after,omitzero" doc:"a till without a link for longer warns loudly; 0 days: never (7 days)"`
	MaxOffline  Span   `json:"max_offline,omitzero" doc:"a till without a link for longer only gives points; the centre gives back the leases of a till silent for longer, at the retailer's risk; 0 days: never (30 days)"`
}

// OfflineLimits are the limits in force: defaults filled in, 0 for none.
type OfflineLimits struct {
	Spend                                           bool // within leases
	MaxPoints, PerStore, PerDevice                  Points
	MaxPercent, LeasedShare                         Percent
	MaxAge, MaxRewardAge, Visits                    Span
	WarnAfter, MaxOffline                           Span
	ProofAfter, RefuseAfter, SameCard, SpendsPerDay int64
	Typed                                           bool
	Favourite                                       bool // all leases to the store used most
}

// SameCardWindow is the time in which SameCard counts.
const SameCardWindow = 10 * time.Minute

// Limits fills in the defaults.
func (o *Offline) Limits() OfflineLimits {
	return OfflineLimits{
		Spend: o.Spend == "within_lease", Typed: o.Typed == "yes", Favourite: o.Split == "favourite",
		MaxPoints: given(o.MaxPoints, 300*onePoint), PerStore: given(o.PerStore, 500*onePoint), PerDevice: given(o.PerDevice, 20_000*onePoint),
		MaxPercent: given(o.MaxPercent, 30*hundredPct/100), LeasedShare: given(o.LeasedShare, 60*hundredPct/100),
		MaxAge: o.MaxAge.or(3), MaxRewardAge: o.MaxRewardAge.or(7), Visits: o.Visits.or(90), WarnAfter: o.WarnAfter.or(7), MaxOffline: o.MaxOffline.or(30),
		ProofAfter: given(o.ProofAfter, 2), RefuseAfter: given(o.RefuseAfter, 3), SameCard: given(o.SameCard, 2), SpendsPerDay: given(o.PerDay, 3),
	}
}

func given[N any](p *N, or N) N {
	if p != nil {
		return *p
	}
	return or
}

// or is the span, or so many days when none was given.
func (s Span) or(days int) Span {
	if s.IsZero() {
		return Span{days, "days"}
	}
	return s
}

// Over tells whether more than the span lies between two moments. A span of
// nothing is never over.
func (s Span) Over(since, now time.Time) bool {
	return s.N > 0 && s.Ago(now).After(since)
}

// Ago is the moment one span before now: days of 24 hours, months and years
// by the calendar.
func (s Span) Ago(now time.Time) time.Time {
	switch s.Unit {
	case "weeks":
		return now.Add(-time.Duration(s.N) * 7 * 24 * time.Hour)
	case "months":
		return now.AddDate(0, -s.N, 0)
	case "years":
		return now.AddDate(-s.N, 0, 0)
	}
	return now.Add(-time.Duration(s.N) * 24 * time.Hour)
}

// offline finds limits that cannot be meant.
func (c *compiler) offline() {
	o := &c.doc.Offline
	l := o.Limits()
	c.rb.off = l
	for _, x := range []struct {
		name string
		bad  bool
	}{{"max_points", l.MaxPoints < 0}, {"max_percent", l.MaxPercent < 0 || l.MaxPercent > hundredPct}, {"leased_share", l.LeasedShare < 0 || l.LeasedShare > hundredPct},
		{"lease_per_store", l.PerStore < 0}, {"lease_per_device", l.PerDevice < 0}, {"proof_after", l.ProofAfter < 0}, {"refuse_after", l.RefuseAfter < 0},
		{"same_card", l.SameCard < 0}, {"spends_a_day", l.SpendsPerDay < 0}} {
		if x.bad {
			c.bad("offline."+x.name, "range", "", "out of range", "percents lie between 0 and 100, other limits are not below zero; 0 is no limit")
		}
	}
	if o.ProofAfter != nil && l.ProofAfter > 0 && l.RefuseAfter > 0 && l.ProofAfter >= l.RefuseAfter {
		c.bad("offline.proof_after", "range", strconv.FormatInt(l.ProofAfter, 10), "a second proof would never be asked for",
			fmt.Sprintf("a number below refuse_after, which is %d, or 0 for never", l.RefuseAfter))
	}
}

// stale tells whether a till without a link last heard of the member longer
// ago than a limit allows.
func (e *eval) stale(limit Span) bool {
	return e.in.Offline && e.m != nil && limit.Over(e.m.AsOf, e.now)
}

// TooLongOffline as Input.NoSpend says that the till has been without a link
// for longer than the rulebook allows: it only gives points.
const TooLongOffline = "offline_too_long"

// tooOld tells whether a member gets points only, no hard rewards.
func (e *eval) tooOld() bool {
	return e.in.Offline && (e.in.NoSpend == TooLongOffline || e.m != nil && !e.m.AsOf.IsZero() && e.stale(e.rb.off.MaxRewardAge))
}

// Of is so many percent of points, rounded down.
func (p Percent) Of(n Points) Points {
	v, ok := mulDiv(int64(n), int64(p), hundredPct, Down)
	if !ok {
		return 0
	}
	return Points(v)
}
