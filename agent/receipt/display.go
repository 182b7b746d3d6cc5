package receipt

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tillside/tillside/agent/loyalty"
)

// Two is the two lines of a customer display.
type Two struct{ Top, Bottom string }

// fit keeps a display line within the columns: a name that is too long loses
// its end rather than its greeting.
func fit(s string, columns int) string {
	s = plainSpaces(clean(s))
	if width(s) <= columns {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:columns-1]), " ") + "."
}

// sides puts one text left and one right on one line, cutting the left one.
func sides(left, right string, columns int) string {
	right = plainSpaces(clean(right))
	left = fit(left, max(1, columns-1-width(right)))
	return left + strings.Repeat(" ", max(1, columns-width(left)-width(right))) + right
}

// Greeting is shown when a card was read: the name, and the balance where it
// is known.
func Greeting(lang, name string, known bool, balance loyalty.Points, columns int) Two {
	top := fit(Hello(lang, name), columns)
	if name != "" && width(Hello(lang, name)) > columns {
		top = fit(clean(name), columns)
	}
	if !known {
		return Two{top, fit(Card(lang), columns)}
	}
	return Two{top, sides(word(lang, "balance"), Number(lang, balance.String()), columns)}
}

// Sale is shown while a basket is priced: what is to pay and what it earns.
func Sale(lang string, total loyalty.Money, earned loyalty.Points, columns int) Two {
	t := Two{Top: sides(word(lang, "total"), Amount(lang, total), columns)}
	if earned > 0 {
		t.Bottom = sides(word(lang, "earned"), "+"+Number(lang, earned.String()), columns)
	}
	return t
}

// Farewell is shown when the receipt is closed.
func Farewell(lang string, earned loyalty.Points, credited bool, columns int) Two {
	t := Two{Top: fit(word(lang, "thanks"), columns)}
	if earned > 0 {
		key := "earned"
		if credited {
			key = "to_be_credited"
		}
		t.Bottom = sides(word(lang, key), "+"+Number(lang, earned.String()), columns)
	}
	return t
}

// Credited is the line of a slip that says which points are not at the
// centre yet.
func Credited(lang string, p loyalty.Points) loyalty.PrintLine {
	return loyalty.PrintLine{Kind: "pair", Text: sentence(word(lang, "to_be_credited")), Right: Number(lang, p.String())}
}

// sentence begins with a capital letter.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// Amount writes money with two digits, as people of a language do.
func Amount(lang string, m loyalty.Money) string {
	s := Number(lang, m.String())
	whole, frac, _ := strings.Cut(m.String(), ".")
	if strings.TrimRight(frac, "0") == "" { // Number dropped ".00"
		s = Number(lang, whole) + comma(lang) + "00"
	}
	return s
}
