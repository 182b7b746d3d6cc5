package receipt

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A column is as wide as one Latin or Cyrillic letter. Letters of Chinese,
// Japanese and Korean and pictures (emoji) take two, accents that stand on
// their own none. What is one letter for the eye is never broken in two.

const (
	hard   = '\u00a0' // the blank that holds a number together
	joiner = '\u200d' // makes one picture of the two beside it
)

// clean makes a text fit for paper: composed letters where letter and accent
// come apart, full-width Latin in its usual width, one kind of blank, and no
// control characters: in a name or a rule's text they could be commands.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\u3000', unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		case r == '\u202f', r == '\u2007': // narrow and figure blanks hold numbers together too
			return hard
		case r >= 0xFF01 && r <= 0xFF5E:
			return r - 0xFEE0
		case unicode.IsControl(r), r == utf8.RuneError, unicode.Is(unicode.Cf, r) && r != joiner:
			return -1
		}
		return r
	}, norm.NFC.String(s))
}

// plainSpaces replaces the blanks that hold a number together, once the lines
// are laid out: few printers have them.
func plainSpaces(s string) string { return strings.ReplaceAll(s, string(hard), " ") }

// cluster is the first letter of s as the eye sees it, with its accents, and
// its width in columns.
func cluster(s string) (length, columns int) {
	r, n := utf8.DecodeRuneInString(s)
	length, columns = n, runeWidth(r)
	for length < len(s) {
		next, n := utf8.DecodeRuneInString(s[length:])
		switch {
		case next == joiner: // and the picture behind it
			length += n
			_, n = utf8.DecodeRuneInString(s[length:])
			length += n
		case runeWidth(next) == 0, next >= 0x1F3FB && next <= 0x1F3FF: // accents and tones of skin
			length += n
		case regional(r) && regional(next):
			return length + n, columns
		default:
			return length, columns
		}
	}
	return length, columns
}

// regional letters make a flag in pairs.
func regional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// width is how many columns a text takes.
func width(s string) int {
	n := 0
	for len(s) > 0 {
		length, columns := cluster(s)
		n += columns
		s = s[length:]
	}
	return n
}

// head is as much of the beginning of s as fits into the columns, and the rest.
func head(s string, columns int) (string, string) {
	at, used := 0, 0
	for at < len(s) {
		length, c := cluster(s[at:])
		if used+c > columns && at > 0 {
			break
		}
		at, used = at+length, used+c
	}
	return s[:at], s[at:]
}

// wideRanges are the letters of double width (East Asian Width W and F of the
// Unicode standard, with pictures).
var wideRanges = [...][2]rune{{0x1100, 0x115F}, {0x231A, 0x231B}, {0x23E9, 0x23EC}, {0x25FD, 0x25FE}, {0x2614, 0x2615}, {0x2648, 0x2653},
	{0x26BD, 0x26BE}, {0x26C4, 0x26C5}, {0x2705, 0x2705}, {0x270A, 0x270B}, {0x2728, 0x2728}, {0x274C, 0x274C}, {0x2753, 0x2755}, {0x2795, 0x2797},
	{0x2B1B, 0x2B1C}, {0x2B50, 0x2B50}, {0x2B55, 0x2B55}, {0x2E80, 0x303E}, {0x3041, 0x33FF}, {0x3400, 0x4DBF}, {0x4E00, 0xA4CF}, {0xA960, 0xA97F},
	{0xAC00, 0xD7A3}, {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x16FE0, 0x18CFF}, {0x1B000, 0x1B2FF},
	{0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F19A}, {0x1F1E6, 0x1F1FF}, {0x1F200, 0x1F320}, {0x1F32D, 0x1F64F}, {0x1F680, 0x1F6FC},
	{0x1F7E0, 0x1F7F0}, {0x1F90C, 0x1F9FF}, {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD}}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case r == joiner, unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	}
	for _, w := range wideRanges {
		if r < w[0] {
			return 1
		}
		if r <= w[1] {
			return 2
		}
	}
	return 1
}
