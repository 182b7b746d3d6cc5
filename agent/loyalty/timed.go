package loyalty

import "slices"

// A till whose clock cannot be trusted (its battery is dead, somebody set it
// back) still prices and still gives points, but nothing that is good at
// certain times only: it cannot tell whether the time is now. [Input].NoClock
// says so. Bans stay in force whatever they say of time: on a day nobody
// knows, what may be forbidden is.

// timed tells whether a rule asks for the day or the hour.
func (d *Rule) timed() bool {
	return d.Schedule != nil || d.Audience.timed() || d.When.timed()
}

func (c *Condition) timed() bool {
	if c == nil {
		return false
	}
	each := func(list []Condition) bool {
		return slices.ContainsFunc(list, func(c Condition) bool { return c.timed() })
	}
	// A coupon has days on which it is good.
	return c.Schedule != nil || c.Coupon != nil || c.Member.timed() || each(c.All) || each(c.Any) || each(c.None)
}

func (a *Audience) timed() bool {
	return a != nil && (a.Birthday != nil || a.Anniversary != nil || a.MemberFor != Span{} || a.JoinedIn != Span{})
}
