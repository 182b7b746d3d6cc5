package loyalty

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// text parses a Text's templates.
func (c *compiler) text(at string, t Text) compiledText {
	if len(t) == 0 {
		return nil
	}
	out := make(compiledText, len(t))
	langs := make([]string, 0, len(t))
	for l := range t {
		langs = append(langs, l)
	}
	slices.Sort(langs)
	for _, l := range langs {
		plural := l
		if plural == "" {
			plural = c.rb.defaultLang
		}
		tpl, err := parseTemplate(plural, t[l])
		if err != nil {
			c.bad(at+"."+l, "bad_template", strconv.Quote(t[l]), err.Error(), "write {name} or {name, plural, one {…} other {…}}")
			continue
		}
		for _, v := range tpl.vars {
			if !slices.Contains(textVariables, v) {
				c.bad(at+"."+l, "unknown_variable", strconv.Quote(v), "no such variable", didYouMean(v, textVariables))
			}
		}
		out[l] = tpl
	}
	return out
}

func didYouMean(s string, known []string) string {
	if near := nearest(s, known); near != "" {
		return "did you mean \"" + near + "\"?"
	}
	return "known: " + strings.Join(known, ", ")
}

func (c *compiler) receiptTexts() {
	c.cur = &c.rb.noRule
	compileLines := func(at string, docs []ReceiptText) []receiptLine {
		var lines []receiptLine
		for i := range docs {
			d := &docs[i]
			p := fmt.Sprintf("%s[%d]", at, i)
			l := receiptLine{doc: d, text: c.text(p+".text", d.Text), right: c.text(p+".right", d.Right)}
			if d.When != nil {
				l.when = c.condition(p+".when", d.When, 0)
			}
			c.names(p+".if", d.If)
			lines = append(lines, l)
		}
		return lines
	}
	t := &c.rb.texts
	if len(c.doc.Receipt) > 0 {
		t.own = compileLines("receipt", c.doc.Receipt)
	} else {
		t.receipt = map[string][]receiptLine{}
		for _, lang := range []string{"en", "ru", "pl"} {
			block := languages[lang].receipt
			if len(c.doc.Wallets) == 0 {
				block = slices.Delete(slices.Clone(block), walletLines[0], walletLines[1])
			}
			t.receipt[lang] = compileLines("receipt", block)
		}
	}
	for i := range c.doc.Greeting {
		d := &c.doc.Greeting[i]
		p := fmt.Sprintf("screen[%d]", i)
		s := screenLine{doc: d, text: c.text(p+".text", d.Text)}
		if d.When != nil {
			s.when = c.condition(p+".when", d.When, 0)
		}
		c.names(p+".if", d.If)
		t.screen = append(t.screen, s)
	}
}

func (c *compiler) names(at string, names []string) {
	for i, n := range names {
		if !slices.Contains(textVariables, n) {
			c.bad(fmt.Sprintf("%s[%d]", at, i), "unknown_variable", strconv.Quote(n), "no such variable", didYouMean(n, textVariables))
		}
	}
}

func (c *compiler) vectors() {
	for i := range c.doc.Vectors {
		v := &c.doc.Vectors[i]
		if v.Name == "" {
			c.bad(fmt.Sprintf("vectors[%d].name", i), "required", "", "a vector without a name", "say what it shows")
		}
	}
}
