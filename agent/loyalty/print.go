package loyalty

import (
	"slices"
	"time"
)

// texts are the compiled texts of a rulebook.
type texts struct {
	receipt map[string][]receiptLine // by language, when they are the engine's own
	own     []receiptLine
	screen  []screenLine
}

type receiptLine struct {
	doc         *ReceiptText
	text, right compiledText
	when        cond
}

type screenLine struct {
	doc  *ScreenText
	text compiledText
	when cond
}

// resultTexts fills the messages and the receipt's loyalty block.
func (e *eval) resultTexts(r *Result) {
	n := len(e.x.texts) + len(e.rb.texts.screen)
	hints := 0
	for _, k := range e.cands {
		if rl, st := &e.rb.rules[k], &e.states[k]; len(rl.hint) > 0 && st.missing > 0 && st.why == "basket" && !rl.doc.Hidden {
			hints++
		}
		if rl := &e.rb.rules[k]; rl.ask != nil && e.states[k].why == "not_confirmed" {
			r.Asks = append(r.Asks, Ask{Rule: rl.id})
		}
	}
	for k := range r.Asks {
		rl := &e.rb.rules[e.rb.ruleIndex(r.Asks[k].Rule)]
		e.put(&r.Asks[k].Text, rl.ask.in(e), e)
	}
	// The strings are set when all texts are made, so the lists must not move.
	r.Messages = room(r.Messages, n+hints)
	for _, t := range e.x.texts {
		rl := &e.rb.rules[t.rule]
		r.Messages = append(r.Messages, Message{To: t.to, Rule: rl.id})
		e.x.vars = ruleVars{e, rl}
		e.put(&r.Messages[len(r.Messages)-1].Text, t.text, &e.x.vars)
	}
	for k := range e.rb.texts.screen {
		s := &e.rb.texts.screen[k]
		e.rule = &e.rb.noRule
		if !e.wanted(s.doc.If, s.when) {
			continue
		}
		r.Messages = append(r.Messages, Message{To: s.doc.To})
		e.put(&r.Messages[len(r.Messages)-1].Text, s.text.in(e), e)
	}
	for _, k := range e.cands {
		rl, st := &e.rb.rules[k], &e.states[k]
		if len(rl.hint) > 0 && st.missing > 0 && st.why == "basket" && !rl.doc.Hidden {
			r.Messages = append(r.Messages, Message{To: "cashier", Rule: rl.id})
			e.x.vars = ruleVars{e, rl}
			e.put(&r.Messages[len(r.Messages)-1].Text, rl.hint.in(e), &e.x.vars)
		}
	}
	if len(r.Messages) == 0 {
		r.Messages = nil
	}
	e.printBlock(r)
}

// wanted tells whether a text is to be shown.
func (e *eval) wanted(names []string, when cond) bool {
	for _, n := range names {
		if !e.variable(n).set {
			return false
		}
	}
	if when != nil {
		ok, _ := when.holds(e)
		return ok
	}
	return true
}

// printBlock makes the lines of the receipt.
func (e *eval) printBlock(r *Result) {
	lines := e.rb.texts.own
	if lines == nil {
		lines = e.rb.texts.receipt[e.lang.lang]
	}
	most := 0
	for k := range lines {
		most += max(1, e.each(lines[k].doc.Each, r))
	}
	if most == 0 {
		return
	}
	r.Print = room(r.Print, most)
	for k := range lines {
		l := &lines[k]
		e.rule = &e.rb.noRule
		if l.doc.Each != "" {
			for n := range e.each(l.doc.Each, r) {
				e.x.nth, e.x.each = n, l.doc.Each
				if e.wanted(l.doc.If, l.when) {
					e.printLine(r, l)
				}
			}
			e.x.each = ""
			continue
		}
		if e.wanted(l.doc.If, l.when) {
			e.printLine(r, l)
		}
	}
}

func (e *eval) printLine(r *Result, l *receiptLine) {
	kind := l.doc.Kind
	if kind == "" {
		kind = "text"
	}
	r.Print = append(r.Print, PrintLine{Kind: kind, Bold: l.doc.Bold, Align: l.doc.Align})
	out := &r.Print[len(r.Print)-1]
	if len(l.text) > 0 {
		e.put(&out.Text, l.text.in(e), e)
	}
	if len(l.right) > 0 {
		e.put(&out.Right, l.right.in(e), e)
	}
}

// each is how many lines a repeated line makes.
func (e *eval) each(what string, r *Result) int {
	switch what {
	case "rule":
		return len(r.Rules)
	case "coupon":
		return len(e.x.issued)
	case "gift":
		return len(r.Gifts)
	case "stamp":
		return len(r.Stamps)
	case "wallet":
		return len(e.rb.wallets)
	case "privilege":
		return len(r.Grants)
	case "message":
		n := 0
		for _, t := range e.x.texts {
			if t.to == "receipt" {
				n++
			}
		}
		return n
	}
	return 0
}

// textVariables are the names every text may use.
var textVariables = []string{"first_name", "programme", "currency", "date", "receipt", "member",
	"gross", "discount", "redeemed", "net", "saved", "earned", "spent", "balance", "balance_after", "pending", "as_of",
	"expiring", "expires_on", "max_points", "max_value", "tier", "tier_name", "next_tier", "missing", "tier_until",
	"points_name", "rule", "rule_name", "explain", "points", "amount", "code", "valid_to", "gift", "quantity", "card", "held", "goal", "left",
	"message", "wallet", "name", "privilege", "how", "base", "times"}

// variable is the value of a name in a text about the whole receipt.
func (e *eval) variable(name string) value {
	r := e.res
	if e.x.each != "" {
		if v, ok := e.nthVariable(name); ok {
			return v
		}
	}
	switch name {
	case "programme":
		return textValue(e.rb.doc.Programme.Name.in(e.lang.lang, e.rb.defaultLang))
	case "currency":
		return textValue(e.rb.doc.Programme.Currency)
	case "date":
		return e.dayValue(e.day.String())
	case "receipt":
		return textValue(e.r.ID)
	case "gross":
		return moneyValue2(r.Totals.Gross)
	case "discount", "saved":
		return moneyValue2(r.Totals.Discount)
	case "redeemed":
		return moneyValue2(r.Totals.Redeemed)
	case "net":
		return moneyValue2(r.Totals.Net)
	case "spent":
		_, n := e.taken()
		return pointsValue(n)
	case "earned":
		return pointsValue(e.earnedInto(0))
	}
	if e.m == nil {
		return value{}
	}
	switch name {
	case "member", "first_name":
		v := textValue(e.m.FirstName)
		v.set = v.set || name == "member"
		return v
	case "balance", "balance_after", "pending", "expiring", "expires_on", "points_name":
		return e.walletVariable(name, 0)
	case "as_of":
		if e.m.AsOf.IsZero() {
			return value{}
		}
		at := e.m.AsOf.In(e.now.Location())
		if at.Format(time.DateOnly) == e.day.String() { // of today the hour is enough
			return textValue(at.Format("15:04"))
		}
		return textValue(at.Format(e.lang.day + " 15:04"))
	case "max_points":
		if r.Spend != nil {
			return pointsValue(r.Spend.Max)
		}
	case "max_value":
		if r.Spend != nil {
			return moneyValue2(r.Spend.MaxValue)
		}
	}
	return e.tierVariable(name)
}

// walletVariable is a number of one wallet.
func (e *eval) walletVariable(name string, w int32) value {
	if int(w) >= len(e.rb.wallets) {
		return value{}
	}
	b := e.m.Wallets[e.rb.wallets[w].doc.ID]
	after, pending := b.Active+e.in.Credited[e.rb.wallets[w].doc.ID], b.Pending
	for _, l := range e.lots {
		if l.wallet != w {
			continue
		}
		if l.active > e.day {
			pending += l.points
		} else {
			after += l.points
		}
	}
	if wallet, n := e.taken(); wallet == e.rb.wallets[w].doc.ID {
		after -= n
	}
	switch name {
	case "balance":
		return pointsValue(b.Active)
	case "balance_after":
		v := pointsValue(after)
		v.set = true
		return v
	case "pending":
		return pointsValue(pending)
	case "expiring":
		return pointsValue(b.Expiring)
	case "expires_on":
		return e.dayValue(b.Expires)
	}
	return textValue(e.walletName(w))
}

// dayValue is a date as people of the language write it.
func (e *eval) dayValue(s string) value {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		s = t.Format(e.lang.day)
	}
	return textValue(s)
}

func (e *eval) tierVariable(name string) value {
	t := e.res.Tier
	if t == nil {
		return value{}
	}
	level := func(id string) value {
		if k := e.rb.tierRank(id); k >= 0 {
			if n := e.rb.ladder.doc.Levels[k].Name; len(n) > 0 {
				return textValue(n.in(e.lang.lang, e.rb.defaultLang))
			}
		}
		return textValue(id)
	}
	switch name {
	case "tier":
		return textValue(t.After)
	case "tier_name":
		return level(t.After)
	case "next_tier":
		return level(t.Next)
	case "tier_until":
		return e.dayValue(t.Until)
	case "missing":
		if m, err := ParseMoney(t.Missing); err == nil && t.Unit == "money" {
			return moneyValue2(m)
		}
		if q, err := ParseQuantity(t.Missing); err == nil {
			return value{n: int64(q), digits: quantityDigits, number: true, set: q != 0}
		}
	}
	return value{}
}

// nthVariable is a variable of the element a repeated line stands for.
func (e *eval) nthVariable(name string) (value, bool) {
	r, n := e.res, e.x.nth
	switch e.x.each + "." + name {
	case "rule.rule":
		return textValue(r.Rules[n].Rule), true
	case "rule.name", "rule.rule_name":
		return textValue(r.Rules[n].Name), true
	case "rule.points":
		return pointsValue(r.Rules[n].Points), true
	case "rule.discount", "rule.amount":
		return moneyValue2(r.Rules[n].Discount), true
	case "rule.explain":
		// The sentence is still in the buffer.
		for _, s := range e.spans {
			if s.at == &r.Rules[n].Explain {
				return textValue(string(e.buf[s.from:s.to])), true
			}
		}
		return value{}, true
	case "coupon.code":
		return textValue(e.x.issued[n].Code), true
	case "coupon.valid_to":
		return e.dayValue(e.x.issued[n].To), true
	case "coupon.name":
		if k := e.rb.ruleIndex(e.x.issued[n].Rule); k >= 0 {
			return textValue(e.ruleName(&e.rb.rules[k])), true
		}
	case "gift.gift", "gift.name":
		if r.Gifts[n].Name != "" {
			return textValue(r.Gifts[n].Name), true
		}
		return textValue(r.Gifts[n].SKU), true
	case "gift.quantity":
		return value{n: int64(r.Gifts[n].Quantity), digits: quantityDigits, number: true, set: true}, true
	case "stamp.card", "stamp.name":
		k := slices.IndexFunc(e.rb.doc.StampCards, func(c StampCard) bool { return c.ID == r.Stamps[n].Card })
		if name := e.rb.doc.StampCards[k].Name; len(name) > 0 {
			return textValue(name.in(e.lang.lang, e.rb.defaultLang)), true
		}
		return textValue(r.Stamps[n].Card), true
	case "stamp.held":
		v := countValue(r.Stamps[n].Held)
		v.set = true
		return v, true
	case "stamp.goal":
		return countValue(r.Stamps[n].Goal), true
	case "stamp.left":
		return countValue(max(0, r.Stamps[n].Goal-r.Stamps[n].Held)), true
	case "wallet.wallet", "wallet.name", "wallet.points_name":
		return textValue(e.walletName(int32(n))), true
	case "wallet.balance", "wallet.balance_after", "wallet.pending", "wallet.expiring", "wallet.expires_on":
		if e.m == nil || e.rb.wallets[n].doc.Hidden {
			return value{}, true
		}
		return e.walletVariable(name, int32(n)), true
	case "wallet.earned":
		return pointsValue(e.earnedInto(int32(n))), true
	case "privilege.privilege", "privilege.name":
		if r.Grants[n].Name != "" {
			return textValue(r.Grants[n].Name), true
		}
		return textValue(r.Grants[n].ID), true
	case "message.message":
		for k := range r.Messages {
			if r.Messages[k].To != "receipt" {
				continue
			}
			if n > 0 {
				n--
				continue
			}
			for _, s := range e.spans {
				if s.at == &r.Messages[k].Text {
					return textValue(string(e.buf[s.from:s.to])), true
				}
			}
		}
		return value{}, true
	}
	return value{}, false
}
