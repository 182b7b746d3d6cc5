package receipt

import (
	"embed"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

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

// Points writes an amount with the right form of the word: "35 points",
// "2,5 балла".
func Points(lang string, p loyalty.Points) string { return say(lang, "points", "n", p) }

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

// The words of slips and displays that no rule provides stand in words/*.json:
// key -> text, or key -> plural category -> text. A text names its blanks in
// braces: "{n} reserved at store {stores}". A new text is a line in each file.
//
//go:embed words/*.json
var wordFiles embed.FS

// Languages are those of the word files.
var Languages = []string{"en", "ru", "pl"}

// phrase is one text with its plural forms; a text without any is "other".
type phrase map[string]string

// UnmarshalJSON takes a text or an object of plural forms.
func (p *phrase) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*p = phrase{"other": one}
		return nil
	}
	return json.Unmarshal(b, (*map[string]string)(p))
}

var texts = sync.OnceValue(func() map[string]map[string]phrase {
	all := map[string]map[string]phrase{}
	for _, lang := range Languages {
		b, err := wordFiles.ReadFile("words/" + lang + ".json")
		words := map[string]phrase{}
		if err == nil {
			err = json.Unmarshal(b, &words)
		}
		if err != nil {
			panic("receipt: words " + lang + ": " + err.Error()) // part of the program; a test reads them
		}
		all[lang] = words
	}
	return all
})

var categories = map[Form]string{One: "one", Few: "few", Many: "many", Other: "other"}

// say fills a text in: name and value by turns. Numbers are written as people
// of the language do; the value of "n" chooses the plural form.
func say(lang, key string, args ...any) string {
	p := texts()[lang][key]
	if p == nil {
		lang = "en"
		p = texts()[lang][key]
	}
	form := "other"
	var pairs []string
	for i := 0; i+1 < len(args); i += 2 {
		name, text := args[i].(string), ""
		switch v := args[i+1].(type) {
		case loyalty.Points:
			text = Number(lang, v.String())
			if name == "n" {
				form = categories[Plural(lang, v)]
			}
		case int64:
			text = Number(lang, strconv.FormatInt(v, 10))
			if name == "n" {
				form = categories[Plural(lang, loyalty.Points(v)*100)]
			}
		case string:
			text = v
		}
		pairs = append(pairs, "{"+name+"}", text)
	}
	s, ok := p[form]
	if !ok {
		s = p["other"]
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// word gives a text of a language without blanks, English where it is missing.
func word(lang, key string) string { return say(lang, key) }

// list puts several names into one sentence: "A, B and C".
func list(lang string, names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + word(lang, "and") + " " + names[len(names)-1]
}

// Date writes a day (YYYY-MM-DD) as people of a language do; what is no day
// stays as it is.
func Date(lang, day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format(dayForm(lang))
}

func dayForm(lang string) string {
	if lang == "ru" || lang == "pl" {
		return "02.01.2006"
	}
	return "2\u00a0Jan\u00a02006" // a date is not broken in two
}

// Hello greets by name, or without one.
func Hello(lang, name string) string {
	if name == "" {
		return word(lang, "hello")
	}
	return say(lang, "hello_name", "name", clean(name))
}

// Discount is what a discount is called on a fiscal receipt.
func Discount(lang string) string { return word(lang, "discount") }

// CopyMark is printed first on a slip that is printed again.
func CopyMark(lang string) string { return "*** " + word(lang, "copy") + " ***" }

// Card is what a slip says of a card this till does not know.
func Card(lang string) string { return word(lang, "unknown_card") }
