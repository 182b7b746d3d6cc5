// Package card knows card numbers: check digits, the masks that turn what was
// read into a card number, and bank cards, which are never kept.
package card

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Digits tells whether s is one or more decimal digits.
func Digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// EANCheck is the check digit for the digits of an EAN or UPC code without it:
// weights 3 and 1 from the right, complement to ten.
func EANCheck(digits string) byte {
	sum := 0
	for i := 0; i < len(digits); i++ {
		w := 1
		if (len(digits)-i)%2 == 1 {
			w = 3
		}
		sum += w * int(digits[i]-'0')
	}
	return byte('0' + (10-sum%10)%10)
}

// EAN tells whether s is an EAN-8, UPC-A, EAN-13 or GTIN-14 with a right check digit.
func EAN(s string) bool {
	switch len(s) {
	case 8, 12, 13, 14:
		return Digits(s) && EANCheck(s[:len(s)-1]) == s[len(s)-1]
	}
	return false
}

// Glued tells whether s looks like two EAN codes read as one, which happens
// when a terminator got lost between two readings.
func Glued(s string) bool {
	if !Digits(s) {
		return false
	}
	for _, n := range []int{13, 12, 8} {
		if len(s) == 2*n && EAN(s[:n]) && EAN(s[n:]) {
			return true
		}
	}
	return len(s) == 21 && (EAN(s[:13]) && EAN(s[13:]) || EAN(s[:8]) && EAN(s[8:]))
}

// Luhn tells whether the last digit of s is right by the rule of payment cards.
func Luhn(s string) bool {
	if !Digits(s) || len(s) < 2 {
		return false
	}
	sum := 0
	for i := 0; i < len(s); i++ {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// Bank tells whether s looks like the number of a bank card: 13 to 19 digits
// that begin with 2 to 6 and pass Luhn. Some loyalty numbers look the same: a
// shop that has such cards names them in a mask (see Masks) and switches the
// refusal off for that reader.
func Bank(s string) bool {
	return len(s) >= 13 && len(s) <= 19 && s[0] >= '2' && s[0] <= '6' && Luhn(s)
}

// Masks turn what was read into a card number. Each is a regular expression
// that must match the whole reading; the number is its first group, or all of
// it when it has none.
//
//	2\d{12}                    in-store EAN-13
//	;?778(\d{9})=.*            digits after the issuer on track 2
//	https://shop\.example/c/(\w{10})   a QR token
type Masks []*regexp.Regexp

// ParseMasks compiles masks. All problems are told at once.
func ParseMasks(patterns []string) (Masks, error) {
	var ms Masks
	var errs []error
	for _, p := range patterns {
		if len(p) > 200 {
			errs = append(errs, fmt.Errorf("mask %.20q…: longer than 200 characters", p))
			continue
		}
		re, err := regexp.Compile(`\A(?:` + p + `)\z`)
		if err != nil {
			errs = append(errs, fmt.Errorf("mask %q: %w", p, err))
			continue
		}
		ms = append(ms, re)
	}
	return ms, errors.Join(errs...)
}

// Find gives the card number of a reading; ok is false when no mask fits.
func (ms Masks) Find(read string) (number string, ok bool) {
	for _, re := range ms {
		m := re.FindStringSubmatch(read)
		if m == nil {
			continue
		}
		n := m[0]
		if len(m) > 1 {
			n = strings.Join(m[1:], "")
		}
		if n != "" {
			return n, true
		}
	}
	return "", false
}
