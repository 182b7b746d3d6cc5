package loyalty

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// The three number types of the engine. All are int64 with checked arithmetic:
// an operation that would leave the range is an error, never a wrap-around.
// In JSON they are decimal strings ("12.50") so that no client rounds them.
type (
	// Money is an amount in whole minor units (cents, kopecks, grosze).
	Money int64
	// Points are hundredths of a point.
	Points int64
	// Quantity is thousandths of a unit (pieces, kilograms, litres).
	Quantity int64
	// Price is the price of one unit in ten-thousandths of a minor unit, so
	// that fuel at 42.609 a litre is exact.
	Price int64
	// Percent is ten-thousandths of a percent: "20.4" is 204000. As a
	// multiplier of points 1.5 is Percent("150") or Factor("1.5").
	Percent int64
	// Factor is a plain number in millionths: "1.5" is 1500000.
	Factor int64
)

// Digits after the decimal point in the text form of each type.
const (
	moneyDigits    = 2
	pointsDigits   = 2
	quantityDigits = 3
	priceDigits    = 6
	percentDigits  = 4
	factorDigits   = 6
)

// Whole units of each type.
const (
	oneMoney    = 100
	onePoint    = 100
	oneUnit     = 1000
	onePrice    = 1_000_000
	onePercent  = 10_000
	hundredPct  = 100 * onePercent
	oneFactor   = 1_000_000
	priceToCent = onePrice / oneMoney // Price units in one minor unit
)

// ErrOverflow is returned when a sum or product does not fit in an int64.
var ErrOverflow = errors.New("number out of range")

// parseDecimal reads an optionally signed decimal such as "-12.5" into units
// of 10^-digits. More digits than that are refused unless they are zeros.
func parseDecimal(s string, digits int) (int64, error) {
	if s == "" {
		return 0, errors.New("empty number; write it as \"12.50\"")
	}
	if len(s) > 40 {
		return 0, fmt.Errorf("number of %d characters is too long", len(s))
	}
	t, neg := strings.CutPrefix(s, "-")
	whole, frac, point := strings.Cut(t, ".")
	if whole == "" || point && frac == "" {
		return 0, fmt.Errorf("%q is not a decimal number like \"12.50\"", s)
	}
	for len(frac) > digits && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	if len(frac) > digits {
		return 0, fmt.Errorf("%q has more than %d digits after the point", s, digits)
	}
	var n uint64
	const limit = uint64(math.MaxInt64)
	for _, c := range whole + frac + strings.Repeat("0", digits-len(frac)) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a decimal number like \"12.50\"", s)
		}
		d := uint64(c - '0')
		if n > (limit-d)/10 {
			return 0, fmt.Errorf("%q: %w", s, ErrOverflow)
		}
		n = n*10 + d
	}
	if neg {
		return -int64(n), nil
	}
	return int64(n), nil
}

// appendDecimal writes n units of 10^-digits as a decimal with all its digits.
func appendDecimal(b []byte, n int64, digits int) []byte {
	u := uint64(n)
	if n < 0 {
		b = append(b, '-')
		u = -u
	}
	var buf [24]byte
	i := len(buf)
	for k := 0; k <= digits || u > 0; k++ {
		if k == digits && digits > 0 {
			i--
			buf[i] = '.'
		}
		i--
		buf[i] = byte('0' + u%10)
		u /= 10
	}
	return append(b, buf[i:]...)
}

// ParseMoney reads "12.50" as 1250.
func ParseMoney(s string) (Money, error) {
	n, err := parseDecimal(s, moneyDigits)
	return Money(n), err
}

// ParsePoints reads "35.5" as 3550.
func ParsePoints(s string) (Points, error) {
	n, err := parseDecimal(s, pointsDigits)
	return Points(n), err
}

// ParseQuantity reads "0.125" as 125.
func ParseQuantity(s string) (Quantity, error) {
	n, err := parseDecimal(s, quantityDigits)
	return Quantity(n), err
}

// ParsePrice reads "42.609" as 42609000.
func ParsePrice(s string) (Price, error) {
	n, err := parseDecimal(s, priceDigits)
	return Price(n), err
}

// ParsePercent reads "20.4" as 204000.
func ParsePercent(s string) (Percent, error) {
	n, err := parseDecimal(s, percentDigits)
	return Percent(n), err
}

// ParseFactor reads "1.5" as 1500000.
func ParseFactor(s string) (Factor, error) {
	n, err := parseDecimal(s, factorDigits)
	return Factor(n), err
}

func (m Money) String() string  { return string(appendDecimal(nil, int64(m), moneyDigits)) }
func (p Points) String() string { return string(appendDecimal(nil, int64(p), pointsDigits)) }
func (q Quantity) String() string {
	return string(trimZeros(appendDecimal(nil, int64(q), quantityDigits), 0))
}
func (p Price) String() string {
	return string(trimZeros(appendDecimal(nil, int64(p), priceDigits), 2))
}
func (p Percent) String() string {
	return string(trimZeros(appendDecimal(nil, int64(p), percentDigits), 0))
}
func (f Factor) String() string {
	return string(trimZeros(appendDecimal(nil, int64(f), factorDigits), 0))
}

// trimZeros drops trailing zeros of the fraction but keeps at least keep digits.
func trimZeros(b []byte, keep int) []byte {
	dot := len(b) - 1
	for dot >= 0 && b[dot] != '.' {
		dot--
	}
	if dot < 0 {
		return b
	}
	for len(b) > dot+1+keep && b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// MarshalText and UnmarshalText give the JSON form: a decimal string.

func (m Money) MarshalText() ([]byte, error)    { return []byte(m.String()), nil }
func (p Points) MarshalText() ([]byte, error)   { return []byte(p.String()), nil }
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.String()), nil }
func (p Price) MarshalText() ([]byte, error)    { return []byte(p.String()), nil }
func (p Percent) MarshalText() ([]byte, error)  { return []byte(p.String()), nil }
func (f Factor) MarshalText() ([]byte, error)   { return []byte(f.String()), nil }

func (m *Money) UnmarshalText(b []byte) (err error)    { *m, err = ParseMoney(string(b)); return }
func (p *Points) UnmarshalText(b []byte) (err error)   { *p, err = ParsePoints(string(b)); return }
func (q *Quantity) UnmarshalText(b []byte) (err error) { *q, err = ParseQuantity(string(b)); return }
func (p *Price) UnmarshalText(b []byte) (err error)    { *p, err = ParsePrice(string(b)); return }
func (p *Percent) UnmarshalText(b []byte) (err error)  { *p, err = ParsePercent(string(b)); return }
func (f *Factor) UnmarshalText(b []byte) (err error)   { *f, err = ParseFactor(string(b)); return }
