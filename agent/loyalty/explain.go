package loyalty

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation is why a receipt came out as it did, in sentences that a
// cashier or the call centre can say.
type Explanation struct {
	Language string     `json:"language"`
	Summary  string     `json:"summary"`
	Given    []Sentence `json:"given"`           // what fired
	Not      []Sentence `json:"not,omitempty"`   // what did not, and why
	Lines    []Sentence `json:"lines,omitempty"` // each line in a sentence
}

// Sentence is said about one rule or line.
type Sentence struct {
	Rule string `json:"rule,omitempty"`
	Name string `json:"name,omitempty"`
	Line string `json:"line,omitempty"`
	Text string `json:"text"`
}

// Explain tells a stored calculation in a language (en, ru, pl; others as the
// programme's first). It asks the rules nothing: all numbers are those of the
// result. What did not fire is told as far as the result kept its trace.
func (rb *Rulebook) Explain(r *Result, language string) *Explanation {
	p := rb.phrasesFor(&Input{Language: language})
	x := &Explanation{Language: p.lang, Given: []Sentence{}}
	x.Summary = p.summary(r)
	for k := range r.Rules {
		f := &r.Rules[k]
		s := Sentence{Rule: f.Rule, Text: f.Rule}
		if i := rb.ruleIndex(f.Rule); i >= 0 {
			rl := &rb.rules[i]
			s.Name = rl.doc.Name.in(p.lang, rb.defaultLang)
			s.Text = rb.sentence(p, rl, f, r)
		}
		if s.Text == "" {
			s.Text = p.given
		}
		x.Given = append(x.Given, s)
	}
	for _, t := range r.Trace {
		if t.Fired || t.Rule == "" || t.Step == "redemption" {
			continue
		}
		s := Sentence{Rule: t.Rule, Text: p.reasons[t.Reason]}
		if s.Text == "" {
			s.Text = t.Reason
		}
		if i := rb.ruleIndex(t.Rule); i >= 0 {
			if rb.rules[i].doc.Hidden || rb.rules[i].completion {
				continue
			}
			s.Name = rb.rules[i].doc.Name.in(p.lang, rb.defaultLang)
		}
		x.Not = append(x.Not, s)
	}
	for k := range r.Lines {
		x.Lines = append(x.Lines, Sentence{Line: r.Lines[k].ID, Text: rb.lineSentence(p, &r.Lines[k])})
	}
	return x
}

// storedVars are the variables of a rule's sentence, from a stored result.
type storedVars struct {
	rb *Rulebook
	p  *phrases
	r  *Result
	rl *rule
	f  *RuleEffect
}

func (v *storedVars) variable(name string) value {
	switch name {
	case "points":
		return pointsValue(v.f.Points)
	case "discount", "amount":
		return moneyValue2(v.f.Discount)
	case "base":
		return moneyValue2(v.f.Base)
	case "how":
		return textValue(v.rl.hows[v.p.index])
	case "name":
		return textValue(v.rl.doc.Name.in(v.p.lang, v.rb.defaultLang))
	case "currency":
		return textValue(v.r.Currency)
	case "gross":
		return moneyValue2(v.r.Totals.Gross)
	case "net":
		return moneyValue2(v.r.Totals.Net)
	case "wallet":
		k := slices.IndexFunc(v.rb.wallets, func(w wallet) bool { return w.doc.ID == v.f.Wallet })
		if k >= 0 {
			return textValue(v.rb.wallets[k].doc.Name.in(v.p.lang, v.rb.defaultLang))
		}
	}
	return value{}
}

func (rb *Rulebook) sentence(p *phrases, rl *rule, f *RuleEffect, r *Result) string {
	vars := &storedVars{rb, p, r, rl, f}
	if len(rl.explain) > 0 {
		return string(rl.explain.pick(p.lang, rb.defaultLang).appendTo(nil, p, vars, value{}))
	}
	var b []byte
	if f.Discount > 0 {
		b = p.appendOff(b, f.Discount, rl.hows[p.index])
	}
	if f.Points > 0 {
		if len(b) > 0 {
			b = append(b, "; "...)
		}
		if f.Base > 0 && rl.hows[p.index] != "" {
			b = p.points.appendTo(b, p, vars, value{})
			b = rb.excludedFrom(b, p, r)
		} else {
			b = p.bare.appendTo(b, p, vars, value{})
		}
	}
	return string(b)
}

// appendOff says that an amount comes off, and how much that is.
func (p *phrases) appendOff(b []byte, amount Money, how string) []byte {
	b = append(b, p.off[0]...)
	b = p.appendNumber(b, int64(amount), moneyDigits, true)
	b = append(b, p.off[1]...)
	if how != "" {
		b = append(append(b, ": "...), how...)
	}
	return b
}

// excludedFrom names the goods that the law or a rule's ban kept from earning.
func (rb *Rulebook) excludedFrom(b []byte, p *phrases, r *Result) []byte {
	for _, t := range r.Trace {
		if t.Step != "legal" {
			continue
		}
		k := slices.IndexFunc(rb.legal, func(l legalRule) bool { return l.id == t.Rule })
		if k < 0 || rb.legal[k].bans&banEarn == 0 || t.Base <= 0 {
			continue
		}
		name := rb.legal[k].doc.Name.in(p.lang, rb.defaultLang)
		if name == "" {
			name = rb.legal[k].id
		}
		b = p.excluded.appendTo(b, p, &excludedVars{name, t.Base}, value{})
	}
	for _, t := range r.Trace {
		if t.Step == "ban" && t.Fired && t.Points == 0 && t.Base > 0 {
			b = p.excluded.appendTo(b, p, &excludedVars{rb.nameOf(p, t.Rule), t.Base}, value{})
		}
	}
	return b
}

// lineSentence tells one line: what it cost, what came off, what it earned.
func (rb *Rulebook) lineSentence(p *phrases, l *LineResult) string {
	b := append([]byte(nil), l.SKU...)
	b = append(b, ": "...)
	b = p.appendNumber(b, int64(l.Gross), moneyDigits, true)
	for _, d := range l.Discounts {
		b = append(b, " − "...)
		b = p.appendNumber(b, int64(d.Amount), moneyDigits, true)
		b = fmt.Appendf(b, " (%s)", rb.nameOf(p, d.Rule))
	}
	if l.Redeemed > 0 {
		b = append(b, " − "...)
		b = p.appendNumber(b, int64(l.Redeemed), moneyDigits, true)
		b = append(b, " ("...)
		b = p.bare.appendTo(b, p, howVars{"points": pointsValue(l.Spent)}, value{})
		b = append(b, ')')
	}
	if l.Net != l.Gross {
		b = append(b, " = "...)
		b = p.appendNumber(b, int64(l.Net), moneyDigits, true)
	}
	for k, e := range l.Earned {
		if k == 0 {
			b = append(b, "; +"...)
		} else {
			b = append(b, ", +"...)
		}
		b = p.bare.appendTo(b, p, howVars{"points": pointsValue(e.Points)}, value{})
		b = fmt.Appendf(b, " (%s)", rb.nameOf(p, e.Rule))
	}
	return string(b)
}

func (rb *Rulebook) nameOf(p *phrases, rule string) string {
	if rule == "external" {
		return p.external
	}
	if i := rb.ruleIndex(rule); i >= 0 {
		if n := rb.rules[i].doc.Name.in(p.lang, rb.defaultLang); n != "" {
			return n
		}
	}
	return rule
}

// summary is the receipt in one sentence.
func (p *phrases) summary(r *Result) string {
	var earned Points
	for _, e := range r.Earned {
		earned += e.Points
	}
	vars := howVars{"gross": moneyValue2(r.Totals.Gross), "discount": moneyValue2(r.Totals.Discount), "redeemed": moneyValue2(r.Totals.Redeemed),
		"net": moneyValue2(r.Totals.Net), "points": pointsValue(earned)}
	parts := []string{string(p.sumUp.appendTo(nil, p, vars, value{}))}
	if r.Totals.Discount != 0 {
		parts = append(parts, string(p.appendOff(nil, r.Totals.Discount, "")))
	}
	if r.Totals.Redeemed != 0 {
		parts = append(parts, string(p.paidWith.appendTo(nil, p, vars, value{})))
	}
	if earned != 0 {
		parts = append(parts, "+"+string(p.bare.appendTo(nil, p, vars, value{})))
	}
	return strings.Join(parts, "; ")
}
