// Package codepage turns text into the bytes of a device's code page and back,
// and finds other letters for those a page does not have.
//
// Devices know one eight-bit table at a time. A text in another alphabet is
// transliterated, never sent as UTF-8 and never dropped: "Żółć" is "Zolc" on a
// Cyrillic printer, "Баланс" is "Balans" on a Latin-2 one.
//
// Encoded text never holds a control byte (below 20h, or 7Fh): a member's name
// cannot carry a command into a printer.
package codepage

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// Page is one table. It is immutable and safe for concurrent use.
type Page struct {
	name string
	to   map[rune]byte
	from [256]rune
}

var makers = map[string]func() [256]rune{
	"ascii":      func() [256]rune { return [256]rune{} },
	"cp437":      table(charmap.CodePage437),
	"cp850":      table(charmap.CodePage850),
	"cp852":      table(charmap.CodePage852),
	"cp855":      table(charmap.CodePage855),
	"cp862":      table(charmap.CodePage862),
	"cp858":      table(charmap.CodePage858),
	"cp860":      table(charmap.CodePage860),
	"cp863":      table(charmap.CodePage863),
	"cp865":      table(charmap.CodePage865),
	"cp866":      table(charmap.CodePage866),
	"cp1125":     cp1125,
	"cp1250":     table(charmap.Windows1250),
	"cp1251":     table(charmap.Windows1251),
	"cp1252":     table(charmap.Windows1252),
	"cp1253":     table(charmap.Windows1253),
	"cp1254":     table(charmap.Windows1254),
	"cp1255":     table(charmap.Windows1255),
	"cp1256":     table(charmap.Windows1256),
	"cp1257":     table(charmap.Windows1257),
	"cp1258":     table(charmap.Windows1258),
	"iso8859-2":  table(charmap.ISO8859_2),
	"iso8859-5":  table(charmap.ISO8859_5),
	"iso8859-15": table(charmap.ISO8859_15),
	"koi8-r":     table(charmap.KOI8R),
	"mazovia":    mazovia,
}

var (
	mu    sync.Mutex
	pages = map[string]*Page{}
)

// Names lists the pages.
func Names() []string {
	var out []string
	for n := range makers {
		out = append(out, n)
	}
	for n := range tables {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Lookup finds a page by name, "cp866". Upper case and "windows-1251" are
// understood too.
func Lookup(name string) (*Page, error) {
	n := strings.ToLower(strings.TrimSpace(name))
	if rest, ok := strings.CutPrefix(n, "windows-"); ok {
		n = "cp" + rest
	}
	mu.Lock()
	defer mu.Unlock()
	if p, ok := pages[n]; ok {
		return p, nil
	}
	make, ok := makers[n]
	if _, own := tables[n]; own {
		make, ok = func() [256]rune { return fromTable(n) }, true
	}
	if !ok {
		return nil, fmt.Errorf("code page %q is not known; there are %s", name, strings.Join(Names(), ", "))
	}
	p := newPage(n, make())
	pages[n] = p
	return p, nil
}

// Must is Lookup for names in the program itself.
func Must(name string) *Page {
	p, err := Lookup(name)
	if err != nil {
		panic(err)
	}
	return p
}

func newPage(name string, upper [256]rune) *Page {
	p := &Page{name: name, to: map[rune]byte{}}
	for b := 0x20; b < 0x7F; b++ {
		p.from[b], p.to[rune(b)] = rune(b), byte(b)
	}
	for b := 0x80; b < 0x100; b++ {
		r := upper[b]
		if r == 0 || r == unicode.ReplacementChar || r < 0xA0 {
			continue
		}
		p.from[b] = r
		if _, taken := p.to[r]; !taken {
			p.to[r] = byte(b)
		}
	}
	return p
}

func table(c *charmap.Charmap) func() [256]rune {
	return func() (t [256]rune) {
		for b := 0x80; b < 0x100; b++ {
			t[b] = c.DecodeByte(byte(b))
		}
		return t
	}
}

// mazovia is CP437 with the Polish letters of the makers Posnet and Novitus.
func mazovia() [256]rune {
	t := table(charmap.CodePage437)()
	polish := map[byte]rune{
		0x8F: 'Ą', 0x95: 'Ć', 0x90: 'Ę', 0x9C: 'Ł', 0xA5: 'Ń', 0xA3: 'Ó', 0x98: 'Ś', 0xA0: 'Ź', 0xA1: 'Ż',
		0x86: 'ą', 0x8D: 'ć', 0x91: 'ę', 0x92: 'ł', 0xA4: 'ń', 0xA2: 'ó', 0x9E: 'ś', 0xA6: 'ź', 0xA7: 'ż',
	}
	for b := range t { // a letter must not stand in two places
		for at, r := range polish {
			if t[b] == r && byte(b) != at {
				t[b] = 0
			}
		}
	}
	for b, r := range polish {
		t[b] = r
	}
	return t
}

// cp1125 is CP866 with the Ukrainian letters in the last rows.
func cp1125() [256]rune {
	t := table(charmap.CodePage866)()
	for b, r := range map[byte]rune{0xF2: 'Ґ', 0xF3: 'ґ', 0xF4: 'Є', 0xF5: 'є', 0xF6: 'І', 0xF7: 'і', 0xF8: 'Ї', 0xF9: 'ї'} {
		t[b] = r
	}
	return t
}

// Name is the page's name, "cp866".
func (p *Page) Name() string { return p.name }

// Has tells whether the page has a letter.
func (p *Page) Has(r rune) bool { _, ok := p.to[r]; return ok }

// Decode turns bytes into text; bytes that mean nothing become U+FFFD.
func (p *Page) Decode(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if r := p.from[c]; r != 0 {
			s.WriteRune(r)
		} else {
			s.WriteRune(unicode.ReplacementChar)
		}
	}
	return s.String()
}

// Encode turns text into bytes. Letters the page lacks are transliterated; what
// has no other letter becomes "?". Where a letter becomes several, blanks are
// taken out of the next gap of two or more, so that columns stay in line.
func (p *Page) Encode(s string) []byte {
	out := make([]byte, 0, len(s))
	extra := 0 // columns we are ahead
	rs := []rune(norm.NFC.String(s))
	for i, r := range rs {
		if b, ok := p.to[r]; ok {
			if r == ' ' && extra > 0 && i+1 < len(rs) && rs[i+1] == ' ' {
				extra--
				continue
			}
			out = append(out, b)
			continue
		}
		if i > 0 && rs[i-1] == joiner {
			continue // one picture made of several: its first part stands for it
		}
		sub := p.substitute(r)
		if len(sub) > 1 && unicode.IsUpper(r) && inCapitals(rs, i) {
			sub = p.capitals(sub)
		}
		extra += len(sub) - 1
		extra = max(extra, 0)
		out = append(out, sub...)
	}
	return out
}

// joiner makes one picture of the two beside it.
const joiner = '\u200d'

// inCapitals tells whether the capital at i stands in a word of capitals, as
// its neighbours show: ЧЕК is CHEK, Чек is Chek.
func inCapitals(rs []rune, i int) bool {
	if i+1 < len(rs) && unicode.IsLetter(rs[i+1]) {
		return unicode.IsUpper(rs[i+1])
	}
	return i > 0 && unicode.IsUpper(rs[i-1])
}

// capitals is a transliteration in capitals, as far as the page has them.
func (p *Page) capitals(sub []byte) []byte {
	out := make([]byte, len(sub))
	for i, b := range sub {
		out[i] = b
		if c, ok := p.to[unicode.ToUpper(p.from[b])]; ok {
			out[i] = c
		}
	}
	return out
}

// Lacks lists the letters of a text that the page does not have, each once.
func (p *Page) Lacks(s string) []rune {
	var out []rune
	for _, r := range norm.NFC.String(s) {
		if !p.Has(r) && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// Fits is Encode and Decode: the text as the device will show it.
func (p *Page) Fits(s string) string { return p.Decode(p.Encode(s)) }

// Line encodes text to exactly n bytes: cut or padded with blanks.
func (p *Page) Line(s string, n int) []byte {
	b := p.Encode(s)
	if len(b) > n {
		b = b[:n]
	}
	for len(b) < n {
		b = append(b, ' ')
	}
	return b
}

func (p *Page) substitute(r rune) []byte {
	switch {
	case r == '\t' || unicode.Is(unicode.Zs, r):
		return []byte{' '}
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Mn, r):
		return nil
	}
	if silent[r] {
		return nil
	}
	for _, try := range others[r] {
		if b, ok := p.all(try); ok {
			return b
		}
	}
	if b, ok := p.picture(r); ok {
		return b
	}
	// An accented letter without its accents.
	base := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(string(r)))
	if b, ok := p.all(base); ok {
		return b
	}
	for _, c := range base {
		for _, try := range others[c] {
			if b, ok := p.all(try); ok {
				return b
			}
		}
	}
	// Capitals by their small letter.
	if low := unicode.ToLower(r); low != r {
		for _, try := range others[low] {
			if b, ok := p.all(capital(try)); ok {
				return b
			}
		}
	}
	if b, ok := p.all(norm.NFKD.String(string(r))); ok {
		return b
	}
	return []byte{'?'}
}

// picture is the small sign that stands for an emoji: hearts, faces, and an
// asterisk for the rest. A tone of skin is no sign of its own.
func (p *Page) picture(r rune) ([]byte, bool) {
	sign := "*"
	switch {
	case r >= 0x1F3FB && r <= 0x1F3FF:
		return nil, true
	case r >= 0x1F1E6 && r <= 0x1F1FF: // flags are two letters
		sign = string('A' + r - 0x1F1E6)
	case r >= 0x1F600 && r <= 0x1F64F, r >= 0x1F910 && r <= 0x1F92F, r >= 0x1F970 && r <= 0x1F97A, r == '☺', r == '☹':
		sign = ":)"
	case r >= 0x1F493 && r <= 0x1F49F, r >= 0x1F90D && r <= 0x1F90E, r == 0x1F9E1, r == '❤', r == '❣':
		sign = "<3"
	case r >= 0x1F000 && r <= 0x1FAFF, r >= 0x2600 && r <= 0x27BF, r >= 0x2B00 && r <= 0x2BFF:
	default:
		return nil, false
	}
	return p.all(sign)
}

func (p *Page) all(s string) ([]byte, bool) {
	var out []byte
	for _, r := range s {
		b, ok := p.to[r]
		if !ok {
			return nil, false
		}
		out = append(out, b)
	}
	return out, s != ""
}

func capital(s string) string {
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}
