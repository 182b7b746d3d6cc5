package loyalty

import (
	"math"
	"math/bits"
)

// A Mode says how a number between two steps is rounded.
type Mode uint8

// Rounding modes. Negative numbers are rounded as their absolute value, so
// that a return is the mirror of its sale.
const (
	HalfUp Mode = iota
	HalfEven
	HalfDown
	Up   // away from zero
	Down // towards zero
)

// mulDiv is a*b/d rounded by mode with a 128-bit product; ok is false when
// the answer does not fit. d must be positive.
func mulDiv(a, b, d int64, mode Mode) (n int64, ok bool) {
	neg := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(abs64(a), abs64(b))
	ud := uint64(d)
	if hi >= ud {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, ud)
	if roundsUp(q, r, ud, mode) {
		q++
	}
	if q > math.MaxInt64 {
		return 0, false
	}
	if neg {
		return -int64(q), true
	}
	return int64(q), true
}

// roundsUp tells whether quotient q with remainder r of divisor d goes up.
func roundsUp(q, r, d uint64, mode Mode) bool {
	if r == 0 {
		return false
	}
	switch mode {
	case Up:
		return true
	case Down:
		return false
	case HalfDown:
		return r > d-r
	case HalfEven:
		return r > d-r || r == d-r && q&1 == 1
	default:
		return r >= d-r
	}
}

func abs64(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// addOK is a+b, false on overflow.
func addOK(a, b int64) (int64, bool) {
	s := a + b
	return s, (s > a) == (b > 0)
}

// roundTo rounds n to a multiple of step.
func roundTo(n, step int64, mode Mode) (int64, bool) {
	if step <= 1 {
		return n, true
	}
	q, ok := mulDiv(n, 1, step, mode)
	if !ok || abs64(q) > math.MaxInt64/uint64(step) {
		return 0, false
	}
	return q * step, true
}

// mul128 is a*b of numbers that are not negative, in 128 bits.
func mul128(a, b int64) (hi, lo uint64) { return bits.Mul64(uint64(a), uint64(b)) }
