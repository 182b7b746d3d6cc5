package loyalty

import (
	"cmp"
	"errors"
	"slices"
)

// Lot is points of one wallet that became active and end together.
type Lot struct {
	Points  Points `json:"points"`
	Active  Date   `json:"active_on,omitempty"`  // 0: always was
	Expires Date   `json:"expires_on,omitempty"` // 0: never
}

// Lots are the points of one wallet, lot by lot. Their methods never change
// the list they are called on.
type Lots []Lot

// ErrShort is returned by Lots.Spend when the active points do not suffice.
var ErrShort = errors.New("not enough active points")

// Balance sums the lots up for a day: what is active, what is pending, and
// the first points that will end.
func (ls Lots) Balance(day Date) Balance {
	var b Balance
	var first Date
	for _, l := range ls {
		switch {
		case l.Expires != 0 && l.Expires < day:
		case l.Active > day:
			b.Pending += l.Points
		default:
			b.Active += l.Points
			if l.Expires != 0 && (first == 0 || l.Expires < first) {
				first = l.Expires
			}
		}
	}
	for _, l := range ls {
		if first != 0 && l.Expires == first && l.Active <= day {
			b.Expiring += l.Points
		}
	}
	b.Expires = first.String()
	return b
}

// Add puts a lot in; lots with the same dates become one.
func (ls Lots) Add(l Lot) Lots {
	out := slices.Clone(ls)
	for i := range out {
		if out[i].Active == l.Active && out[i].Expires == l.Expires {
			out[i].Points += l.Points
			return out
		}
	}
	return append(out, l)
}

// Spend takes points from the active lots, those that end first first, those
// that never end last. taken says from which, so that a void can put them
// back with their dates.
func (ls Lots) Spend(n Points, day Date) (left, taken Lots, err error) {
	if n < 0 || ls.Balance(day).Active < n {
		return ls, nil, ErrShort
	}
	left = slices.Clone(ls)
	slices.SortStableFunc(left, func(a, b Lot) int {
		return cmp.Or(cmp.Compare(uint32(a.Expires-1), uint32(b.Expires-1)), cmp.Compare(a.Active, b.Active))
	})
	for i := range left {
		l := &left[i]
		if n == 0 {
			break
		}
		if l.Active > day || l.Expires != 0 && l.Expires < day {
			continue
		}
		part := min(n, l.Points)
		l.Points -= part
		n -= part
		taken = append(taken, Lot{part, l.Active, l.Expires})
	}
	return left.compact(), taken, nil
}

func (ls Lots) compact() Lots {
	return slices.DeleteFunc(ls, func(l Lot) bool { return l.Points == 0 })
}

// Expire takes out what ended before a day.
func (ls Lots) Expire(day Date) (left Lots, expired Points) {
	for _, l := range ls {
		if l.Expires != 0 && l.Expires < day {
			expired += l.Points
			continue
		}
		left = append(left, l)
	}
	return left, expired
}

// Slide renews the end of every living lot after an activity on a day, as a
// sliding expiry promises; other kinds are left alone.
func (ls Lots) Slide(x Expiry, day Date) Lots {
	if x.Kind != "sliding" {
		return ls
	}
	var out Lots
	for _, l := range ls {
		if l.Expires != 0 && l.Expires >= day {
			l.Expires = max(l.Expires, x.Ends(day))
		}
		out = out.Add(l)
	}
	return out
}
