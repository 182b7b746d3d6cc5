// Package lines lays out text for printers that know only lines of letters, and
// checks what they would print as a wrong code.
package lines

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tillside/tillside/drivers"
)

// Fits shows a text as the printer's code page will, letter for letter.
type Fits func(string) string

// Break makes lines of a text: new lines where the text has them, cut where the
// paper ends, blanks in front as the alignment wants.
func Break(text string, columns int, a drivers.Align, fits Fits) []string {
	var out []string
	for _, s := range strings.Split(text, "\n") {
		r := []rune(fits(s))
		for len(r) > columns {
			out = append(out, string(r[:columns]))
			r = r[columns:]
		}
		free := columns - len(r)
		switch a {
		case drivers.Right:
			out = append(out, strings.Repeat(" ", free)+string(r))
		case drivers.Centre:
			out = append(out, strings.Repeat(" ", free/2)+string(r))
		default:
			out = append(out, string(r))
		}
	}
	return out
}

// Spread puts label left and value right in a line. Where they do not fit
// beside each other, a blank stands between them.
func Spread(label, value string, columns int, fits Fits) string {
	label, value = fits(label), fits(value)
	if value == "" {
		return label
	}
	free := columns - utf8.RuneCountInString(label) - utf8.RuneCountInString(value)
	if label == "" || free < 1 {
		return strings.TrimSpace(label + " " + value)
	}
	return label + strings.Repeat(" ", free) + value
}

// Spell is Fits for each of several texts.
func (f Fits) Spell(parts ...string) []string {
	out := make([]string, len(parts))
	for i, s := range parts {
		out[i] = f(s)
	}
	return out
}

// Rule is a line across the paper.
func Rule(r drivers.Rule, columns int) string {
	if r.Double {
		return strings.Repeat("=", columns)
	}
	return strings.Repeat("-", columns)
}

// digits of the codes whose last digit is a check.
var digits = map[drivers.Symbology]int{drivers.EAN13: 13, drivers.EAN8: 8, drivers.UPCA: 12}

// Barcode checks the data of a linear code: its characters, and the number of
// digits and the check digit of EAN and UPC codes, which it adds when it is not
// there. A wrong one is an error with the code BadData.
func Barcode(b drivers.Barcode) (string, error) {
	bad := func(why string) (string, error) {
		return "", &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("barcode %s %q: %s", b.Symbology, b.Data, why)}
	}
	s, n := b.Data, digits[b.Symbology]
	if s == "" {
		return bad("empty")
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7E || n > 0 && (s[i] < '0' || s[i] > '9') {
			return bad("characters it can not have")
		}
	}
	switch {
	case n == 0:
		return s, nil
	case len(s) != n && len(s) != n-1:
		return bad(fmt.Sprintf("%d or %d digits", n-1, n))
	}
	sum := 0
	for i := range n - 1 {
		v := int(s[i] - '0')
		if (n-i)%2 == 0 {
			v *= 3
		}
		sum += v
	}
	full := s[:n-1] + string(rune('0'+(10-sum%10)%10))
	if len(s) == n && s != full {
		return bad("wrong check digit")
	}
	return full, nil
}

// Across tells whether a linear code, with bars of two dots, fits on paper of so
// many columns of twelve dots.
func Across(b drivers.Barcode, columns int) bool {
	n, modules := len(b.Data), 0
	switch b.Symbology {
	case drivers.EAN13, drivers.UPCA:
		modules = 95
	case drivers.EAN8:
		modules = 67
	case drivers.UPCE:
		modules = 51
	case drivers.Code39:
		modules = 16 * (n + 2)
	case drivers.Code93:
		modules = 9*(n+4) + 1
	case drivers.ITF:
		modules = 9*n + 9
	case drivers.Codabar:
		modules = 12 * n
	default:
		modules = 11*(n+2) + 13
	}
	return modules*2 <= columns*12
}

// TestPage is a page that shows letters, columns and codes.
func TestPage(columns int, letters ...string) drivers.Slip {
	ruler := strings.Repeat("1234567890", columns/10+1)[:columns]
	s := drivers.Slip{ID: "test", Blocks: []drivers.Block{
		drivers.Text{Text: "TEST", Align: drivers.Centre, Width: 2}, drivers.Text{Text: ruler}}}
	for _, l := range letters {
		s.Blocks = append(s.Blocks, drivers.Text{Text: l})
	}
	s.Blocks = append(s.Blocks,
		drivers.Text{Text: "left"}, drivers.Text{Text: "centre", Align: drivers.Centre}, drivers.Text{Text: "right", Align: drivers.Right},
		drivers.Barcode{Symbology: drivers.EAN13, Data: "200000000000"}, drivers.Cut{Partial: true})
	return s
}

// Cyrillic is what a test page of a Russian printer shows.
var Cyrillic = []string{"АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя №"}
