package loyalty

import "math/bits"

// split shares a total among parts, exactly: the shares add up to the total
// (or to all that the caps allow), none passes its cap, and equal input gives
// equal output on every machine.
//
// Shares are proportional to the weights, rounded down; what is left goes one
// unit each to the parts with the largest remainders, ties by position. A
// part that reaches its cap keeps it, and the rest is shared anew among the
// others.
type split struct {
	spare  Spare
	last   bool // ties go to the last part
	rem    []uint64
	order  []int32
	open   []int32
	scaled []int64 // caps, in a currency's smallest unit
}

// Spare says who takes the units that do not divide.
type Spare uint8

// Spare units go to the largest remainders, or from the first or last part on.
const (
	SpareLargest Spare = iota
	SpareFirst
	SpareLast
)

// share fills out with shares of total. All arguments are not negative;
// caps may be nil. It returns what the caps did not let it place.
func (s *split) share(total int64, weights, caps, out []int64) int64 {
	for i := range out {
		out[i] = 0
	}
	s.open = s.open[:0]
	for i, w := range weights {
		if w > 0 && (caps == nil || caps[i] > 0) {
			s.open = append(s.open, int32(i))
		}
	}
	for total > 0 && len(s.open) > 0 {
		var sum int64
		for _, i := range s.open {
			sum += weights[i]
		}
		// Parts that would pass their cap are filled first; the others'
		// proportions then refer to what remains.
		if caps != nil {
			full, kept := int64(0), s.open[:0]
			for _, i := range s.open {
				if room := caps[i] - out[i]; needsCap(total, weights[i], sum, room) {
					out[i] += room
					full += room
					continue
				}
				kept = append(kept, i)
			}
			s.open = kept
			if full > 0 {
				total -= full
				continue
			}
		}
		s.spread(total, sum, weights, out)
		return 0
	}
	return total
}

// money is share in steps of a currency's smallest unit, which all the
// amounts are multiples of.
func (s *split) money(unit, total int64, weights, caps, out []int64) int64 {
	if unit == 1 {
		return s.share(total, weights, caps, out)
	}
	if caps != nil {
		s.scaled = append(s.scaled[:0], caps...)
		for i := range s.scaled {
			s.scaled[i] /= unit
		}
		caps = s.scaled
	}
	left := s.share(total/unit, weights, caps, out)
	for i := range out {
		out[i] *= unit
	}
	return left*unit + total%unit
}

// needsCap tells whether the exact share total*w/sum is at least room.
func needsCap(total, w, sum, room int64) bool {
	h1, l1 := bits.Mul64(uint64(total), uint64(w))
	h2, l2 := bits.Mul64(uint64(room), uint64(sum))
	return h1 > h2 || h1 == h2 && l1 >= l2
}

// spread shares total among the open parts, whose exact shares are below
// their caps.
func (s *split) spread(total, sum int64, weights, out []int64) {
	s.rem = s.rem[:0]
	left := total
	for _, i := range s.open {
		hi, lo := bits.Mul64(uint64(total), uint64(weights[i]))
		q, r := bits.Div64(hi, lo, uint64(sum))
		out[i] += int64(q)
		left -= int64(q)
		s.rem = append(s.rem, r)
	}
	if left == 0 {
		return
	}
	s.order = s.order[:0]
	for k := range s.open {
		s.order = append(s.order, int32(k))
	}
	// The sum of the remainders is left units, each below one, so fewer units
	// are left than there are parts: each part takes at most one. An exact
	// share below its cap leaves room for it. A heap finds the next claimant
	// in place, without allocations and without a bad input.
	o := s.order
	for i := len(o)/2 - 1; i >= 0; i-- {
		s.sift(i, len(o))
	}
	for n := len(o) - 1; left > 0; n-- {
		out[s.open[o[0]]]++
		left--
		o[0] = o[n]
		s.sift(0, n)
	}
}

// sift lets element i of a heap of n sink until no claim below it is better.
func (s *split) sift(i, n int) {
	o := s.order
	for {
		c := 2*i + 1
		if c >= n {
			return
		}
		if c+1 < n && s.before(o[c+1], o[c]) {
			c++
		}
		if !s.before(o[c], o[i]) {
			return
		}
		o[i], o[c] = o[c], o[i]
		i = c
	}
}

// before tells whether part a takes a spare unit before part b.
func (s *split) before(a, b int32) bool {
	switch s.spare {
	case SpareFirst:
		return a < b
	case SpareLast:
		return a > b
	}
	if s.rem[a] != s.rem[b] {
		return s.rem[a] > s.rem[b]
	}
	return (a < b) != s.last
}
