package loyalty

import (
	"slices"
	"strings"
)

// counterCond compares a counter of the member.
type counterCond struct {
	bounds
	counter int32
	window  Period
	include bool
	every   int64
}

func (c *counterCond) holds(e *eval) (bool, string) {
	if e.m == nil {
		return false, "no_member"
	}
	n := e.counted(c.counter, c.window)
	if c.every > 0 {
		add := e.counterAdd(c.counter)
		step := c.every * 1000
		return add > 0 && (n+add)/step > n/step, "counter"
	}
	if c.include {
		n += e.counterAdd(c.counter)
	}
	return c.hold(n), "counter"
}

// counted is what a counter holds from earlier receipts within a window, in
// thousandths of its unit.
func (e *eval) counted(counter int32, window Period) int64 {
	c := &e.rb.counters[counter]
	if window.IsZero() {
		window = c.window
	}
	return sumDays(e.m.Counters[c.ID], window.start(e.day), e.day)
}

// sumDays adds up the buckets from a day on. Buckets after today come from a
// till whose clock was ahead; they count, or a purchase would be lost.
func sumDays(buckets map[string]int64, from, _ Date) int64 {
	if len(buckets) == 0 {
		return 0
	}
	start := ""
	if from > 0 {
		start = from.String()
	}
	var n int64
	for day, v := range buckets {
		if day >= start {
			n += v
		}
	}
	return n
}

type visitCond struct {
	v       *VisitIs
	counter int32
}

func (c *visitCond) holds(e *eval) (bool, string) {
	if e.m == nil {
		return false, "no_member"
	}
	v := c.v
	if v.First || v.Number > 0 || v.Every > 0 {
		n := e.counted(c.counter, Period{})/1000 + 1
		if v.First && n != 1 || v.Number > 0 && n != v.Number || v.Every > 0 && n%v.Every != 0 {
			return false, "visit"
		}
	}
	if v.Away > 0 || v.Within > 0 || v.Today {
		if e.m.LastSeen.IsZero() {
			return v.Today && v.Away == 0 && v.Within == 0, "visit"
		}
		days := int(e.day - DateOf(e.m.LastSeen.In(e.now.Location())))
		if v.Away > 0 && days < v.Away || v.Within > 0 && days > v.Within || v.Today && days == 0 {
			return false, "visit"
		}
	}
	return true, ""
}

type balanceCond struct {
	bounds
	wallet  int32
	pending bool
}

func (c *balanceCond) holds(e *eval) (bool, string) {
	if e.m == nil {
		return false, "no_member"
	}
	b := e.m.Wallets[e.rb.doc.Wallets[c.wallet].ID]
	n := b.Active
	if c.pending {
		n += b.Pending
	}
	return c.hold(int64(n)), "balance"
}

type stampsCond struct {
	bounds
	card string
}

func (c *stampsCond) holds(e *eval) (bool, string) {
	if e.m == nil {
		return false, "no_member"
	}
	return c.hold(e.m.Stamps[c.card]), "stamps"
}

// couponCond asks for a code. It notes the code, which is used up when the
// rule fires.
type couponCond struct {
	c     *CouponHas
	codes map[string]bool
}

func (c *couponCond) holds(e *eval) (bool, string) {
	why := "coupon"
	for k := range len(e.r.Coupons) + len(e.x.now) {
		code := ""
		if k < len(e.r.Coupons) {
			code = e.r.Coupons[k]
		} else {
			code = e.x.now[k-len(e.r.Coupons)]
		}
		switch {
		case c.codes[code]:
		case c.c.Prefix != "" && strings.HasPrefix(code, c.c.Prefix):
		case c.c.Issued && (e.m != nil && e.m.Coupons[code].Rule == e.rule.id || e.issuedNow(code)):
		default:
			continue
		}
		if why = e.couponUsable(c, code); why == "" {
			if !c.c.Keep {
				e.rstate().coupon = code
			}
			return true, ""
		}
	}
	return false, why
}

// couponUsable says why a code that fits cannot be used; empty: it can.
func (e *eval) couponUsable(c *couponCond, code string) string {
	if e.x.couponTaken(code) {
		return "coupon_used"
	}
	if e.in.Offline {
		switch e.rb.doc.Offline.Coupons {
		case "no":
			return "coupon_offline"
		case "multi_use_only":
			if !c.codes[code] {
				return "coupon_offline"
			}
		}
	}
	if e.m == nil {
		if c.c.Uses > 0 || c.c.ByCode {
			return "no_member"
		}
		return ""
	}
	held, ok := e.m.Coupons[code]
	if ok {
		today := e.day.String()
		switch {
		case held.Rule != "" && held.Rule != e.rule.id:
			return "coupon"
		case held.Uses <= 0:
			return "coupon_used"
		case held.From != "" && today < held.From:
			return "coupon_early"
		case held.To != "" && today > held.To:
			return "coupon_late"
		}
		return ""
	}
	if c.c.Uses > 0 {
		if sumDays(e.m.Counters[couponCounter(e.rule.id)], 0, e.day) >= c.c.Uses*1000 {
			return "coupon_used"
		}
	}
	if c.c.ByCode && sumDays(e.m.Counters[couponCounter(code)], 0, e.day) > 0 {
		return "coupon_used"
	}
	return ""
}

// couponCounter is the member counter that counts the uses of a coupon.
func couponCounter(name string) string { return couponCounterName + name }

// couponCounterName stands before the rule or code in the name of a counter.
const couponCounterName = "coupon:"

// issuedNow tells whether this very receipt issued the code for the rule.
func (e *eval) issuedNow(code string) bool {
	return slices.ContainsFunc(e.x.issued, func(c CouponUse) bool { return c.Code == code && c.Rule == e.rule.id })
}
