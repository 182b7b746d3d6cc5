package filedrop

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// values turns the texts of a line or tender into what the API takes.
func (s *Settings) values(in map[string]string, fields map[string]kind, place string) (map[string]any, error) {
	out := map[string]any{}
	bad := func(name, what, hint string) error {
		if place != "" {
			name = place + ", " + name
		}
		return &Problem{Field: name, Text: what, Hint: hint}
	}
	for name, v := range in {
		v = strings.TrimSpace(v)
		if v == "" {
			continue
		}
		if a, ok := strings.CutPrefix(name, "attributes."); ok {
			m, _ := out["attributes"].(map[string]any)
			if m == nil {
				m = map[string]any{}
				out["attributes"] = m
			}
			m[a] = v
			continue
		}
		switch fields[name] {
		case text:
			out[name] = v
		case money, measure:
			n, err := s.decimal(v, fields[name] == money)
			if err != nil {
				return nil, bad(name, err.Error(), decimalHint)
			}
			out[name] = n
		case word:
			w, err := s.word(name, v)
			if err != nil {
				return nil, err
			}
			out[name] = w
		case whole:
			n := 0
			if _, err := fmt.Sscanf(v, "%d", &n); err != nil || fmt.Sprint(n) != v || n < 0 || n > 1000 {
				return nil, bad(name, fmt.Sprintf("%q is no whole number", v), "write 32")
			}
			out[name] = n
		case yesNo:
			switch strings.ToLower(v) {
			case "1", "true", "yes", "y", "да", "tak":
				out[name] = true
			case "0", "false", "no", "n", "нет", "nie":
			default:
				return nil, bad(name, fmt.Sprintf("%q is neither yes nor no", v), "write 1 or 0")
			}
		}
	}
	return out, nil
}

// word is what the shop's own word for a request or a tender means.
func (s *Settings) word(_, v string) (string, error) {
	v = strings.TrimSpace(v)
	if v == "" {
		return "", nil
	}
	for from, to := range s.Words {
		if strings.EqualFold(from, v) {
			return to, nil
		}
	}
	low := strings.ToLower(v)
	if len(low) > 40 {
		return "", &Problem{Field: "request", Text: "a word of more than 40 letters", Hint: "say in files.words what it means"}
	}
	return low, nil
}

const decimalHint = "write 1234.50 or 1234,50, and set files.decimal where thousands are grouped"

// decimal reads a number as people and old programs write it: comma or point
// before the fraction, blanks between thousands. A number that can be read in
// two ways is refused, unless the settings say which mark is which.
func (s *Settings) decimal(v string, sum bool) (string, error) {
	if len(v) > 40 {
		return "", fmt.Errorf("a number of %d characters", len(v))
	}
	n := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\u00a0', '\u202f', '\'':
			return -1
		case '\u2212':
			return '-'
		}
		return r
	}, v)
	n = strings.TrimPrefix(n, "+")
	mark, group := byte('.'), byte(',')
	switch {
	case s.Decimal == "comma":
		mark, group = ',', '.'
	case s.Decimal == "point":
	case strings.Contains(n, ",") && strings.Contains(n, "."), strings.Count(n, ",") > 1, strings.Count(n, ".") > 1:
		return "", fmt.Errorf("%q has more than one comma or point", v)
	case strings.Contains(n, ","):
		if _, frac, _ := strings.Cut(n, ","); sum && len(frac) == 3 {
			return "", fmt.Errorf("%q may be thousands or thousandths", v)
		}
		mark, group = ',', 0
	default:
		group = 0
	}
	sign := ""
	if strings.HasPrefix(n, "-") {
		sign, n = "-", n[1:]
	}
	whole, frac, point := strings.Cut(n, string(mark))
	if group != 0 && strings.IndexByte(whole, group) >= 0 {
		parts := strings.Split(whole, string(group))
		for i, p := range parts {
			if i > 0 && len(p) != 3 || i == 0 && (len(p) < 1 || len(p) > 3) {
				return "", fmt.Errorf("%q does not group its thousands by three", v)
			}
		}
		whole = strings.Join(parts, "")
	}
	if whole == "" && frac != "" { // ".50"
		whole = "0"
	}
	if whole == "" || strings.Trim(whole, "0123456789") != "" || strings.Trim(frac, "0123456789") != "" {
		return "", fmt.Errorf("%q is no number", v)
	}
	if frac = strings.TrimRight(frac, "0"); !point || frac == "" {
		return sign + whole, nil
	}
	return sign + whole + "." + frac, nil
}

// layouts are the ways of writing a moment that mean one thing only: 03/04 is
// not among them.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "02.01.2006 15:04:05", "02.01.2006 15:04",
	"20060102150405", "20060102T150405", "20060102 150405", "2006-01-02 150405", "02.01.2006 150405", "02.01.06 15:04:05", "02.01.06 15:04"}

func (s *Settings) moment(v string) (time.Time, error) {
	v = strings.TrimSpace(v)
	where := s.Location
	if where == nil {
		where = time.Local
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, v, where); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &Problem{Field: "time", Text: fmt.Sprintf("%q is no moment", v), Hint: `write 2026-03-08 14:05:06 or 08.03.2026 14:05`}
}

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
