package receipt

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tillside/tillside/agent/loyalty"
)

// Two is the two lines of a customer display. A line may be longer than the
// display when its Screen scrolls.
type Two struct{ Top, Bottom string }

// Screen is the display that texts are made for.
type Screen struct {
	Columns int
	// Scrolls says that a line that is too long moves past. A sum never does.
	Scrolls bool
	// Spell writes texts in the letters the display has. Nil: it has them all.
	Spell func(parts ...string) []string
}

func (s Screen) spell(text string) string {
	return plainSpaces(Paper{Spell: s.Spell}.spell(text)[0])
}

// fit keeps a text within the columns, cutting its end where it may not scroll.
func (s Screen) fit(text string, scrolls bool) string {
	text = s.spell(text)
	if width(text) <= s.Columns || scrolls {
		return text
	}
	first, _ := head(text, s.Columns-1)
	return strings.TrimRight(first, " ,.") + "."
}

// sides puts one text left and one right on one line. The right one is a sum
// and stays whole; of the left ones the first that fits beside it is taken. A
// sum that leaves room for none stands alone.
func (s Screen) sides(right string, left ...string) string {
	right = s.spell(right)
	for _, l := range left {
		if l = s.spell(l); width(l)+1+width(right) <= s.Columns {
			return l + strings.Repeat(" ", s.Columns-width(l)-width(right)) + right
		}
	}
	return strings.Repeat(" ", max(0, s.Columns-width(right))) + right
}

// middle centres a text that fits.
func (s Screen) middle(text string) string {
	text = s.fit(text, s.Scrolls)
	return place(text, s.Columns, "center")
}

// Greeting is shown when a card was read: the name, and the balance where it
// is known. A name that leaves no room for the greeting stands alone.
func (s Screen) Greeting(lang, name string, known bool, balance loyalty.Points) Two {
	top := s.spell(Hello(lang, name))
	if alone := s.spell(name + "!"); name != "" && width(top) > s.Columns && width(alone) <= s.Columns {
		top = alone
	}
	top = s.fit(top, s.Scrolls)
	if !known {
		return Two{top, s.fit(Card(lang), s.Scrolls)}
	}
	return Two{top, s.sides(Number(lang, balance.String()), word(lang, "balance"))}
}

// Sale is shown while a basket is priced: what is to pay, and the points it
// uses or earns.
func (s Screen) Sale(lang string, total loyalty.Money, spent, earned loyalty.Points) Two {
	t := Two{Top: s.sides(Amount(lang, total), word(lang, "total"))}
	switch {
	case spent > 0:
		t.Bottom = s.sides("-"+Number(lang, spent.String()), word(lang, "spent"))
	case earned > 0:
		t.Bottom = s.sides("+"+Number(lang, earned.String()), word(lang, "earned"))
	}
	return t
}

// Farewell is shown when the receipt is closed.
func (s Screen) Farewell(lang string, earned loyalty.Points, credited bool) Two {
	t := Two{Top: s.fit(word(lang, "thanks"), s.Scrolls)}
	if earned > 0 {
		labels := []string{word(lang, "earned")}
		if credited {
			labels = append([]string{sentence(word(lang, "to_be_credited"))}, labels...)
		}
		t.Bottom = s.sides("+"+Number(lang, earned.String()), labels...)
	}
	return t
}

// Idle is shown between customers: the shop's own two lines, centred.
func (s Screen) Idle(lines []string) Two {
	var t Two
	if len(lines) > 0 {
		t.Top = s.middle(lines[0])
	}
	if len(lines) > 1 {
		t.Bottom = s.middle(lines[1])
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
