package loyalty

import (
	"fmt"
	"strings"
)

// A template is a text with variables: "{points} {points, plural, one {point}
// other {points}}". Plural forms are one, few, many and other, by the rules
// of the text's language; # stands for the number. An apostrophe is only an
// apostrophe; a brace is written twice: {{ and }}.
type template struct {
	lang  string
	parts []part
	vars  []string // every variable it names
}

type part struct {
	lit   string
	name  string
	forms map[string]*template // plural forms; nil: the plain value
	hash  bool                 // # inside a plural form
}

// Bounds of a template.
const (
	maxTemplate      = 4096
	maxTemplateDepth = 4
)

// parseTemplate reads a template; the error says where it is broken.
func parseTemplate(lang, s string) (*template, error) {
	if len(s) > maxTemplate {
		return nil, fmt.Errorf("a text of %d bytes; at most %d", len(s), maxTemplate)
	}
	p := &templateParser{s: s, lang: lang}
	t, err := p.parse(0)
	if err != nil {
		return nil, err
	}
	if p.pos < len(s) {
		return nil, fmt.Errorf("a closing brace without an opening one at character %d", p.pos+1)
	}
	return t, nil
}

type templateParser struct {
	s    string
	lang string
	pos  int
}

func (p *templateParser) parse(depth int) (*template, error) {
	t := &template{lang: p.lang}
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			t.parts = append(t.parts, part{lit: lit.String()})
			lit.Reset()
		}
	}
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case (c == '{' || c == '}' && depth == 0) && strings.HasPrefix(p.s[p.pos+1:], string(c)):
			lit.WriteByte(c)
			p.pos += 2
		case c == '#' && depth > 0:
			flush()
			t.parts = append(t.parts, part{hash: true})
			p.pos++
		case c == '}':
			flush()
			return t, nil
		case c == '{':
			flush()
			if err := p.variable(t, depth); err != nil {
				return nil, err
			}
		default:
			lit.WriteByte(c)
			p.pos++
		}
	}
	flush()
	return t, nil
}

func (p *templateParser) variable(t *template, depth int) error {
	start := p.pos
	p.pos++
	name := p.word()
	if name == "" {
		return fmt.Errorf("a variable without a name at character %d", start+1)
	}
	t.vars = append(t.vars, name)
	v := part{name: name}
	if p.eat('}') {
		t.parts = append(t.parts, v)
		return nil
	}
	if !p.eat(',') || p.word() != "plural" || !p.eat(',') {
		return fmt.Errorf("after {%s comes } or \", plural, one {…} other {…}}\"", shorten(name))
	}
	if depth >= maxTemplateDepth {
		return fmt.Errorf("plural forms nest more than %d deep", maxTemplateDepth)
	}
	v.forms = map[string]*template{}
	for !p.eat('}') {
		form := p.word()
		switch form {
		case "one", "few", "many", "other", "zero":
		default:
			return fmt.Errorf("%q is not a plural form (zero, one, few, many, other)", shorten(form))
		}
		if !p.eat('{') {
			return fmt.Errorf("the plural form %s has no {text}", form)
		}
		sub, err := p.parse(depth + 1)
		if err != nil {
			return err
		}
		if !p.eat('}') {
			return fmt.Errorf("the plural form %s has no end", form)
		}
		t.vars = append(t.vars, sub.vars...)
		v.forms[form] = sub
	}
	if v.forms["other"] == nil {
		return fmt.Errorf("the plural of %s has no form \"other\"", shorten(name))
	}
	t.parts = append(t.parts, v)
	return nil
}

func (p *templateParser) space() {
	for p.pos < len(p.s) && (p.s[p.pos] == ' ' || p.s[p.pos] == '\n' || p.s[p.pos] == '\t') {
		p.pos++
	}
}

func (p *templateParser) word() string {
	p.space()
	start := p.pos
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		if c != '_' && c != '.' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			break
		}
		p.pos++
	}
	return p.s[start:p.pos]
}

func (p *templateParser) eat(c byte) bool {
	p.space()
	if p.pos < len(p.s) && p.s[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// value is what a variable stands for. Numbers are in 10^-digits.
type value struct {
	text   string
	n      int64
	digits int
	number bool
	set    bool
}

func textValue(s string) value { return value{text: s, set: s != ""} }
func moneyValue(m Money) value {
	return value{n: int64(m), digits: moneyDigits, number: true, set: m != 0}
}
func pointsValue(p Points) value {
	return value{n: int64(p), digits: pointsDigits, number: true, set: p != 0}
}
func countValue(n int64) value { return value{n: n, number: true, set: n != 0} }

// variables gives the values of a template's variables.
type variables interface{ variable(name string) value }

// appendTo fills a template in.
func (t *template) appendTo(b []byte, p *phrases, get variables, hash value) []byte {
	for i := range t.parts {
		part := &t.parts[i]
		switch {
		case part.hash:
			b = p.appendValue(b, hash)
		case part.forms != nil:
			v := get.variable(part.name)
			form := part.forms[pluralForm(t.lang, v.n, v.digits)]
			if v.n == 0 && part.forms["zero"] != nil {
				form = part.forms["zero"]
			}
			if form == nil {
				form = part.forms["other"]
			}
			b = form.appendTo(b, p, get, v)
		case part.name != "":
			b = p.appendValue(b, get.variable(part.name))
		default:
			b = append(b, part.lit...)
		}
	}
	return b
}

// pluralForm is the CLDR plural category of n units of 10^-digits. Whole
// numbers are taken without their zeros after the point, as they are written.
func pluralForm(lang string, n int64, digits int) string {
	if n < 0 {
		n = -n
	}
	for ; digits > 0; digits-- {
		if n%10 != 0 {
			return "other" // a fraction, in Russian and Polish too
		}
		n /= 10
	}
	m10, m100 := n%10, n%100
	switch lang {
	case "ru", "uk", "be":
		switch {
		case m10 == 1 && m100 != 11:
			return "one"
		case m10 >= 2 && m10 <= 4 && (m100 < 12 || m100 > 14):
			return "few"
		}
		return "many"
	case "pl":
		switch {
		case n == 1:
			return "one"
		case m10 >= 2 && m10 <= 4 && (m100 < 12 || m100 > 14):
			return "few"
		}
		return "many"
	}
	if n == 1 {
		return "one"
	}
	return "other"
}

// compiledText is a Text with its templates parsed.
type compiledText map[string]*template

// in is the template in the language of this pricing, or the nearest there is.
func (c compiledText) in(e *eval) *template { return c.pick(e.lang.lang, e.rb.defaultLang) }

func (c compiledText) pick(langs ...string) *template {
	for _, l := range langs {
		if t := c[l]; t != nil {
			return t
		}
	}
	for _, l := range [...]string{"", "en", "ru", "pl"} {
		if t := c[l]; t != nil {
			return t
		}
	}
	first := ""
	for l := range c {
		if first == "" || l < first {
			first = l
		}
	}
	return c[first]
}

// in is the text in the first of the languages it has.
func (t Text) in(langs ...string) string {
	for _, l := range langs {
		if s, ok := t[l]; ok {
			return s
		}
	}
	for _, l := range [...]string{"", "en"} {
		if s, ok := t[l]; ok {
			return s
		}
	}
	first := ""
	for l := range t {
		if first == "" || l < first {
			first = l
		}
	}
	return t[first]
}
