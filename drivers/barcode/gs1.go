package barcode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/card"
)

// ErrGS1 wraps what is wrong with an element string.
var ErrGS1 = errors.New("not a GS1 element string")

// fixed gives the length of the value of application identifiers whose first
// two digits make the length known: no separator follows them.
var fixed = map[string]int{
	"00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "11": 6, "12": 6, "13": 6, "14": 6, "15": 6, "16": 6, "17": 6,
	"18": 6, "19": 6, "20": 2, "31": 6, "32": 6, "33": 6, "34": 6, "35": 6, "36": 6, "41": 13,
}

// identLen is how many digits the identifier itself has, by its first two.
func identLen(two string) int {
	switch two {
	case "00", "01", "02", "03", "10", "11", "12", "13", "15", "16", "17", "20", "21", "22", "30", "37",
		"90", "91", "92", "93", "94", "95", "96", "97", "98", "99":
		return 2
	case "23", "24", "25", "40", "41", "42", "71":
		return 3
	case "31", "32", "33", "34", "35", "36", "39", "43", "70", "72", "80", "81", "82":
		return 4
	}
	return 0
}

// ParseGS1 takes an element string apart: identifier to value. Values of
// unfixed length end at a GS byte (1Dh) or at the end. The check digit of a
// GTIN (01, 02) and an SSCC (00) must be right.
func ParseGS1(s string) (map[string]string, error) {
	out := map[string]string{}
	s = strings.TrimPrefix(s, "\x1d")
	for s != "" {
		if len(s) < 3 || !card.Digits(s[:2]) {
			return nil, fmt.Errorf("%w: an identifier is missing", ErrGS1)
		}
		n := identLen(s[:2])
		if n == 0 || len(s) <= n || !card.Digits(s[:n]) {
			return nil, fmt.Errorf("%w: identifier %q", ErrGS1, s[:2])
		}
		ai, rest := s[:n], s[n:]
		var value string
		if want, ok := fixed[ai[:2]]; ok {
			if len(rest) < want {
				return nil, fmt.Errorf("%w: value of %s is too short", ErrGS1, ai)
			}
			value, rest = rest[:want], rest[want:]
			if strings.Contains(value, "\x1d") {
				return nil, fmt.Errorf("%w: value of %s is too short", ErrGS1, ai)
			}
			rest = strings.TrimPrefix(rest, "\x1d")
		} else {
			value, rest, _ = strings.Cut(rest, "\x1d")
			if value == "" || len(value) > 90 {
				return nil, fmt.Errorf("%w: value of %s", ErrGS1, ai)
			}
		}
		switch ai {
		case "00", "01", "02":
			if !card.Digits(value) || card.EANCheck(value[:len(value)-1]) != value[len(value)-1] {
				return nil, fmt.Errorf("%w: check digit of %s", ErrGS1, ai)
			}
		}
		if _, twice := out[ai]; twice {
			return nil, fmt.Errorf("%w: %s is there twice", ErrGS1, ai)
		}
		out[ai] = value
		s = rest
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrGS1)
	}
	return out, nil
}
