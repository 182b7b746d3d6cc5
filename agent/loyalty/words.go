package loyalty

import (
	"strings"
)

// phrases are the words of one language: how numbers are written, and the
// sentences the engine makes itself.
type phrases struct {
	lang     string
	index    int       // place in a rule's descriptions
	given    string    // the reason of a rule that gave something
	day      string    // how a date is written, as package time wants it
	point    string    // decimal point
	whole    bool      // amounts without digits after it
	group    string    // between thousands
	off      [2]string // around the amount of a discount
	points   *template
	bare     *template // points without a base
	excluded *template
	sumUp    *template
	paidWith *template
	external string // a discount of the cash software
	reasons  map[string]string
	how      map[string]*template
	receipt  []ReceiptText
}

// textSpan is where a text stands in the buffer until all are made.
type textSpan struct {
	at   *string
	from int
	to   int
}

// phrasesFor picks the language of one pricing.
func (rb *Rulebook) phrasesFor(in *Input) *phrases {
	all := languages
	if rb.set.unit > 1 {
		all = wholeLanguages
	}
	lang := in.Language
	if lang == "" && in.Member != nil {
		lang = in.Member.Language
	}
	if lang == "" {
		lang = rb.defaultLang
	}
	if p := all[lang]; p != nil {
		return p
	}
	lang, _, _ = strings.Cut(lang, "-")
	if p := all[lang]; p != nil {
		return p
	}
	if p := all[rb.defaultLang]; p != nil {
		return p
	}
	return all["en"]
}

// wholeLanguages write amounts of a currency that has no minor unit.
var wholeLanguages = func() map[string]*phrases {
	all := map[string]*phrases{}
	for lang, p := range languages {
		q := *p
		q.whole = true
		all[lang] = &q
	}
	return all
}()

// appendValue writes a value as people of this language read it: grouped by
// thousands, whole points without zeros, money always with two digits.
func (p *phrases) appendValue(b []byte, v value) []byte {
	if !v.number {
		return append(b, v.text...)
	}
	return p.appendNumber(b, v.n, v.digits, v.text != "")
}

// appendNumber writes n units of 10^-digits; keepZeros keeps the zeros after
// the point. Points have both digits or none: 122.50 stands under 3.18.
func (p *phrases) appendNumber(b []byte, n int64, digits int, keepZeros bool) []byte {
	var buf [32]byte
	s := appendDecimal(buf[:0], n, digits)
	if s[0] == '-' {
		b = append(b, '-')
		s = s[1:]
	}
	whole := len(s)
	if digits > 0 {
		whole -= digits + 1
		if (!keepZeros || p.whole) && (digits != pointsDigits || n%100 == 0) {
			for len(s) > whole && (s[len(s)-1] == '0' || s[len(s)-1] == '.') {
				last := s[len(s)-1]
				s = s[:len(s)-1]
				if last == '.' {
					break
				}
			}
		}
	}
	for i, c := range s {
		switch {
		case i == whole:
			b = append(b, p.point...)
			continue
		case i > 0 && i < whole && (whole-i)%3 == 0:
			b = append(b, p.group...)
		}
		b = append(b, c)
	}
	return b
}

// say fills a short text without variables of its own.
func (e *eval) say(t Text) string {
	if len(t) == 0 || e.in.Plain {
		return ""
	}
	return t.in(e.lang.lang, e.rb.defaultLang)
}

// ruleVars are the variables of a rule's sentences.
type ruleVars struct {
	e *eval
	r *rule
}

func (v *ruleVars) variable(name string) value {
	e, st := v.e, &v.e.states[v.r.index]
	switch name {
	case "points":
		return pointsValue(st.points)
	case "discount", "amount":
		return moneyValue2(st.discount)
	case "base":
		return moneyValue2(st.base)
	case "how":
		return textValue(v.r.hows[e.lang.index])
	case "name":
		return textValue(e.ruleName(v.r))
	case "missing":
		return moneyValue2(st.missing)
	case "times":
		return countValue(st.times)
	case "currency":
		return textValue(e.rb.doc.Programme.Currency)
	case "wallet":
		return textValue(e.walletName(st.wallet))
	}
	return e.variable(name)
}

// moneyValue2 is money written with both its digits.
func moneyValue2(m Money) value {
	v := moneyValue(m)
	v.text = "."
	return v
}

func (e *eval) ruleName(r *rule) string {
	if len(r.doc.Name) > 0 {
		return r.doc.Name.in(e.lang.lang, e.rb.defaultLang)
	}
	return r.id
}

func (e *eval) walletName(w int32) string {
	if int(w) >= len(e.rb.wallets) {
		return ""
	}
	d := e.rb.wallets[w].doc
	if len(d.Name) > 0 {
		return d.Name.in(e.lang.lang, e.rb.defaultLang)
	}
	return d.ID
}

// put fills a template into the buffer; the string at is set when all texts
// are made, so that one allocation holds them all.
func (e *eval) put(at *string, t *template, vars variables) {
	if t == nil {
		return
	}
	from := len(e.buf)
	e.buf = t.appendTo(e.buf, e.lang, vars, value{})
	e.spans = append(e.spans, textSpan{at, from, len(e.buf)})
}

// finishTexts turns the buffer into strings.
func (e *eval) finishTexts() {
	all := string(e.buf)
	for _, s := range e.spans {
		*s.at = all[s.from:s.to]
	}
	clear(e.spans)
	e.spans = e.spans[:0]
}

// explain makes the sentence that tells what a rule gave.
func (e *eval) explain(at *string, r *rule) {
	st := &e.states[r.index]
	e.x.vars = ruleVars{e, r}
	if len(r.explain) > 0 {
		e.put(at, r.explain.in(e), &e.x.vars)
		return
	}
	from := len(e.buf)
	p := e.lang
	switch {
	case st.points > 0 && st.base > 0 && r.hows[p.index] != "":
		e.buf = p.points.appendTo(e.buf, p, &e.x.vars, value{})
		e.explainExcluded(r)
	case st.points > 0:
		e.buf = p.bare.appendTo(e.buf, p, &e.x.vars, value{})
	case st.discount > 0:
		e.buf = p.appendOff(e.buf, st.discount, r.hows[p.index])
	default:
		return
	}
	e.spans = append(e.spans, textSpan{at, from, len(e.buf)})
}

// excludedVars are the variables of the clause about goods that earn nothing.
type excludedVars struct {
	goods string
	sum   Money
}

func (v *excludedVars) variable(name string) value {
	switch name {
	case "goods":
		return textValue(v.goods)
	case "sum":
		return moneyValue2(v.sum)
	}
	return value{}
}

// explainExcluded names the goods that the law or a rule's ban keeps from earning.
func (e *eval) explainExcluded(r *rule) {
	for k := range e.rb.legal {
		law := &e.rb.legal[k]
		if law.bans&banEarn == 0 {
			continue
		}
		var sum Money
		for _, m := range e.x.law {
			if m.rule == int32(k) {
				sum += e.lines[m.line].gross
			}
		}
		if sum > 0 {
			name := law.doc.Name.in(e.lang.lang, e.rb.defaultLang)
			if name == "" {
				name = law.id
			}
			e.buf = e.lang.excluded.appendTo(e.buf, e.lang, &excludedVars{name, sum}, value{})
		}
	}
	for _, k := range e.x.noEarn {
		e.buf = e.lang.excluded.appendTo(e.buf, e.lang, &excludedVars{e.ruleName(&e.rb.rules[k]), e.states[k].base}, value{})
	}
}
