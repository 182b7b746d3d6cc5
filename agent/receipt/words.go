package receipt

import (
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
)

// Form is which form of a noun goes with a number.
type Form int

// The forms of the three languages: English has one and other, Polish and
// Russian have one, few and many ("1 балл, 2 балла, 5 баллов"), and other for
// broken numbers ("2,5 балла").
const (
	One Form = iota
	Few
	Many
	Other
)

// Plural tells the form for an amount of points in a language.
//
// # Decision, 2026-11-23: no plural library on the till
//
// go-i18n was chosen for the programs as a whole; it and the tables it brings
// are 1 MB of a till's 14. Three languages need the dozen lines below, which
// follow the plural rules of Unicode CLDR for them.
func Plural(lang string, p loyalty.Points) Form {
	n := uint64(max(p, -p))
	if n%100 != 0 {
		if lang == "ru" || lang == "pl" {
			return Other
		}
		return Many
	}
	n /= 100
	d, dd := n%10, n%100
	switch lang {
	case "ru":
		switch {
		case d == 1 && dd != 11:
			return One
		case d >= 2 && d <= 4 && (dd < 12 || dd > 14):
			return Few
		}
		return Many
	case "pl":
		switch {
		case n == 1:
			return One
		case d >= 2 && d <= 4 && (dd < 12 || dd > 14):
			return Few
		}
		return Many
	}
	if n == 1 {
		return One
	}
	return Many
}

var pointWords = map[string][4]string{
	"en": {"point", "points", "points", "points"},
	"ru": {"балл", "балла", "баллов", "балла"},
	"pl": {"punkt", "punkty", "punktów", "punktu"},
}

// Points writes an amount with the right form of the word: "35 points",
// "2,5 балла".
func Points(lang string, p loyalty.Points) string {
	w, ok := pointWords[lang]
	if !ok {
		w, lang = pointWords["en"], "en"
	}
	return Number(lang, p.String()) + " " + w[Plural(lang, p)]
}

// Number writes a decimal as people of a language do: "1,234.50", "1 234,50".
// Zeros at the end of the fraction go when all of it is zero.
func Number(lang, s string) string {
	sign := ""
	if rest, neg := strings.CutPrefix(s, "-"); neg {
		sign, s = "-", rest
	}
	whole, frac, _ := strings.Cut(s, ".")
	frac = strings.TrimRight(frac, "0")
	if len(frac) == 1 {
		frac += "0"
	}
	group, comma := ",", "."
	if lang == "ru" || lang == "pl" {
		group, comma = "\u00a0", ","
		if len(whole) == 4 && lang == "pl" {
			group = ""
		}
	}
	out := ""
	for len(whole) > 3 {
		out = group + whole[len(whole)-3:] + out
		whole = whole[:len(whole)-3]
	}
	out = sign + whole + out
	if frac != "" {
		out += comma + frac
	}
	return out
}

// texts are the words of slips and displays that no rule provides.
var texts = map[string]map[string]string{
	"en": {"hello": "Welcome", "hello_name": "Hello, %s!", "balance": "Balance", "earned": "Earned", "spent": "Spent",
		"to_be_credited": "to be credited", "copy": "COPY", "thanks": "Thank you!", "next": "Next customer, please",
		"total": "To pay", "unknown_card": "Card accepted", "receipt": "Receipt", "gross": "Goods", "discount": "Discount", "paid_points": "Paid with points",
		"tender_cash": "Cash", "tender_card": "Bank card", "tender_gift_card": "Gift card"},
	"ru": {"hello": "Добро пожаловать", "hello_name": "Здравствуйте, %s!", "balance": "Баланс", "earned": "Начислено", "spent": "Списано",
		"to_be_credited": "будет начислено", "copy": "КОПИЯ", "thanks": "Спасибо!", "next": "Следующий, пожалуйста",
		"total": "К оплате", "unknown_card": "Карта принята", "receipt": "Чек", "gross": "Товары", "discount": "Скидка", "paid_points": "Оплачено баллами",
		"tender_cash": "Наличные", "tender_card": "Банковская карта", "tender_gift_card": "Подарочная карта"},
	"pl": {"hello": "Witamy", "hello_name": "Witaj, %s!", "balance": "Saldo", "earned": "Naliczono", "spent": "Wykorzystano",
		"to_be_credited": "do naliczenia", "copy": "KOPIA", "thanks": "Dziękujemy!", "next": "Zapraszamy",
		"total": "Do zapłaty", "unknown_card": "Karta przyjęta", "receipt": "Paragon", "gross": "Towary", "discount": "Rabat", "paid_points": "Zapłacono punktami",
		"tender_cash": "Gotówka", "tender_card": "Karta płatnicza", "tender_gift_card": "Karta podarunkowa"},
}

// word gives a text of a language, English where it is missing.
func word(lang, key string) string {
	if w := texts[lang][key]; w != "" {
		return w
	}
	return texts["en"][key]
}

// Hello greets by name, or without one.
func Hello(lang, name string) string {
	if name == "" {
		return word(lang, "hello")
	}
	return strings.Replace(word(lang, "hello_name"), "%s", clean(name), 1)
}

// CopyMark is printed first on a slip that is printed again.
func CopyMark(lang string) string { return "*** " + word(lang, "copy") + " ***" }

// Card is what a slip says of a card this till does not know.
func Card(lang string) string { return word(lang, "unknown_card") }
