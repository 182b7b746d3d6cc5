package novitus

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/novitus"
)

type doer func(m *machine, s proto.Sequence, b body) int

var commands = map[string]doer{
	"#e": errorMode, "$h": begin, "$l": sell, "$Y": discount, "$n": discountIn, "$b": pay, "$e": end, "$y": endPaid, "$z": footer,
	"$w": printout, "$d": device, "#l": feed, "#r": daily, "#k": shift, "#i": cashIn, "#d": cashOut, "#p": done, "#q": done,
}

func done(*machine, proto.Sequence, body) int { return 0 }

func errorMode(m *machine, s proto.Sequence, _ body) int {
	if s.Param(0) > 3 {
		return proto.CodeParamValue
	}
	m.p.mode = s.Param(0)
	return 0
}

func begin(m *machine, s proto.Sequence, b body) int {
	switch {
	case len(s.Params) == 0:
		return proto.CodeParamCount
	case s.Param(0) > 80 || s.Param(1) > 3:
		return proto.CodeParamValue
	case m.open && m.p.opt.Thermal:
		return proto.CodeNotNow
	case m.open:
		return proto.CodeAlreadyOpen
	case m.foot || m.report:
		return proto.CodeNotNow
	case m.p.Holds(fiscal.MemFull):
		return 6
	case len(b.texts) < s.Param(1):
		return proto.CodeTill
	}
	m.open, m.block, m.held, m.items, m.totals, m.payments, m.paying = true, s.Param(0), nil, 0, [7]int64{}, 0, false
	m.completed = false
	for _, t := range b.texts[:s.Param(1)] {
		if code := m.free(t); code != 0 {
			m.open = false
			return code
		}
		m.write(m.text(t), "")
	}
	m.centre("PARAGON FISKALNY")
	return 0
}

// free counts a different free line of the day.
func (m *machine) free(s string) int {
	if len(s) > 40 {
		return proto.CodeTill
	}
	if !m.extra[s] && len(m.extra) >= 25 {
		return proto.CodeTooManyLines
	}
	m.extra[s] = true
	return 0
}

// discountOf reads a discount of kind 1 amount, 2 percent, 3 and 4 surcharges.
func discountOf(kind int, value, base int64) (off int64, ok bool) {
	switch kind {
	case 1, 3:
		off = value
	case 2, 4:
		off = (base*value + 5000) / 10000
	default:
		return 0, false
	}
	if kind >= 3 {
		return -off, value >= 0
	}
	return off, value >= 0 && off <= base
}

func sell(m *machine, s proto.Sequence, b body) int {
	number := s.Param(0)
	switch {
	case len(s.Params) == 0:
		return proto.CodeParamCount
	case !m.open:
		return proto.CodeNoTransaction
	case m.paying:
		return proto.CodeNotNow
	case number != 0 && number != m.items+1:
		return proto.CodeParamValue
	case m.block > 0 && m.items >= m.block:
		return proto.CodeBufferFull
	}
	name := b.text(0)
	if strings.TrimSpace(name) == "" || len(name) > 40 {
		return proto.CodeName
	}
	quantity, ok := proto.ParseQuantity(b.text(1))
	if b.text(1) == "" {
		quantity, ok = 1000, true
	}
	if !ok || quantity <= 0 {
		return proto.CodeQuantity
	}
	if len(b.amounts) < 3 || len(b.amounts[0]) != 1 || b.amounts[0][0] < 'A' || b.amounts[0][0] >= 'A'+activeRates {
		return proto.CodeVAT
	}
	rate := int(b.amounts[0][0] - 'A')
	price, ok := b.amount(1)
	if !ok || price <= 0 {
		return proto.CodePrice
	}
	gross, ok := b.amount(2)
	if !ok || gross != (price*quantity+500)/1000 {
		return proto.CodeGross
	}
	var off int64
	if kind := s.Param(1); kind != 0 {
		value, ok := b.amount(3)
		if !ok {
			return proto.CodeGross
		}
		if off, ok = discountOf(kind, value, gross); !ok {
			return proto.CodeGross
		}
	}
	value := gross - off
	if number == 0 { // void
		if value > m.totals[rate] || m.items == 0 {
			return proto.CodeVoid
		}
		m.totals[rate] -= value
		m.write("STORNO "+m.text(name), proto.Amount(-gross)+string(rune('A'+rate)))
		return 0
	}
	m.items++
	m.totals[rate] += value
	m.write(m.text(name), fmt.Sprintf("%s x%s %s%c", proto.Quantity(quantity), proto.Amount(price), proto.Amount(gross), 'A'+rate))
	if off != 0 {
		word := map[int]string{5: "stały klient", 7: "urodziny", 9: "promocja"}[s.Param(2)]
		if s.Param(2) == 16 {
			word = m.text(b.text(2))
		}
		m.discounted(word, off)
	}
	return 0
}

func (m *machine) discounted(name string, off int64) {
	word := "RABAT"
	if off < 0 {
		word = "NARZUT"
	}
	m.write(strings.TrimSpace("  "+word+" "+name), proto.Amount(-off))
}

// spread takes an amount from the VAT totals in proportion.
func (m *machine) spread(off int64) {
	base, left := m.total(), off
	for i, t := range m.totals {
		if t == 0 {
			continue
		}
		part := left
		if base != t {
			part = left * t / base
		}
		base -= t
		m.totals[i] -= part
		left -= part
	}
}

// discount is on the subtotal: 1 %, 2 surcharge %, 3 amount, 4 surcharge amount.
func discount(m *machine, s proto.Sequence, b body) int {
	switch {
	case !m.open:
		return proto.CodeNoTransaction
	case m.items == 0 || m.paying:
		return proto.CodeNotNow
	}
	subtotal, ok := b.amount(0)
	if !ok || subtotal != m.total() {
		return proto.CodeTotal
	}
	value, ok := b.amount(1)
	kind := map[int]int{1: 2, 2: 4, 3: 1, 4: 3}[s.Param(0)]
	if !ok || kind == 0 {
		return proto.CodeParamValue
	}
	off, ok := discountOf(kind, value, subtotal)
	if !ok {
		return proto.CodeAmount
	}
	m.spread(off)
	m.write("PODSUMA", proto.Amount(subtotal))
	m.discounted(m.text(b.text(0)), off)
	return 0
}

// discountIn is Novitus' discount in a transaction, in percent.
func discountIn(m *machine, s proto.Sequence, b body) int {
	switch {
	case !m.open:
		return proto.CodeNoTransaction
	case m.items == 0 || m.paying:
		return proto.CodeNotNow
	}
	value, ok := b.amount(0)
	kind := map[int]int{1: 2, 2: 4, 3: 1, 4: 3}[s.Param(0)]
	if !ok || kind == 0 {
		return proto.CodeParamValue
	}
	off, ok := discountOf(kind, value, m.total())
	if !ok {
		return proto.CodeAmount
	}
	m.spread(off)
	m.discounted(m.text(b.text(0)), off)
	return 0
}

var paymentWords = [...]string{"GOTÓWKA", "KARTA", "CZEK", "BON", "INNA", "KREDYT", "KONTO", "VOUCHER", "PRZELEW", "MOBILNA", "VOUCHER"}

func (m *machine) tender(kind int, name string, amount int64) {
	word := "INNA"
	if kind < len(paymentWords) {
		word = paymentWords[kind]
	}
	m.write(strings.TrimSpace(word+" "+m.text(name)), proto.Amount(amount))
}

func pay(m *machine, s proto.Sequence, b body) int {
	amount, ok := b.amount(0)
	switch {
	case !m.open:
		return proto.CodeNoTransaction
	case m.items == 0:
		return proto.CodeNoSale
	case s.Param(0) != 1 && s.Param(0) != 2 || s.Param(1) > 10:
		return proto.CodeParamValue
	case !ok || amount <= 0:
		return proto.CodeAmount
	case s.Param(0) == 2 && amount > m.payments:
		return proto.CodePayments
	}
	m.paying = true
	if s.Param(0) == 2 {
		m.payments -= amount
		return 0
	}
	m.payments += amount
	m.tender(s.Param(1), b.text(0), amount)
	return 0
}

func end(m *machine, s proto.Sequence, b body) int {
	switch s.Param(0) {
	case 0:
		if !m.open {
			return proto.CodeNoTransaction
		}
		m.open, m.held, m.completed = false, nil, false
		m.centre("PARAGON ANULOWANY")
		m.cut()
		return 0
	case 1:
	default:
		return proto.CodeParamValue
	}
	paid, ok := b.amount(0)
	if !ok {
		return proto.CodeAmount
	}
	total, ok := b.amount(1)
	switch {
	case !m.open:
		return proto.CodeEndOutside
	case m.items == 0:
		return proto.CodeNoSale
	case !ok || total != m.total():
		return proto.CodeTotal
	case b.text(0) == "":
		return proto.CodeTill
	case len(b.texts) < 1+s.Param(2):
		return proto.CodeTill
	}
	if m.paying && m.payments+paid < total || !m.paying && paid != 0 && paid < total {
		return proto.CodeAmount
	}
	for _, l := range b.texts[1 : 1+s.Param(2)] {
		if code := m.free(l); code != 0 {
			return code
		}
	}
	m.closed(m.text(b.text(0)), max(0, m.payments+paid-total))
	for _, l := range b.texts[1 : 1+s.Param(2)] {
		m.write(m.text(l), "")
	}
	m.cut()
	return 0
}

// closed puts the receipt into the fiscal memory and prints its end.
func (m *machine) closed(who string, change int64) {
	total := m.total()
	m.write("SUMA PLN", proto.Amount(total))
	if change > 0 {
		m.write("RESZTA", proto.Amount(change))
	}
	held := m.held
	m.open, m.held, m.completed = false, nil, true
	for _, l := range held {
		m.p.Print(l)
	}
	m.receipts++
	m.dayCount++
	m.turnover += total
	m.cash += total
	for i, t := range m.totals {
		m.day[i] += t
	}
	m.write(fmt.Sprintf("%04d %s", m.receipts, who), m.p.opt.Now().Format("2006-01-02 15:04"))
	m.centre("PL " + m.p.opt.Serial)
}

// endPaid is the close with payments. See the driver for the order of its
// numbers.
func endPaid(m *machine, s proto.Sequence, b body) int {
	extra, finish, packaging := s.Param(0), s.Param(1), s.Param(5)+s.Param(6)
	system, forms, hasCash := s.Param(7), s.Param(8), s.Param(10)
	switch {
	case len(s.Params) < 11 || len(s.Params) != 11+forms:
		return proto.CodeParamCount
	case extra > 3 || finish > 3 || packaging != 0 || system > 1:
		return proto.CodeParamValue
	case !m.open:
		return proto.CodeEndOutside
	case m.items == 0:
		return proto.CodeNoSale
	case len(b.texts) != 2+system+extra+forms:
		return proto.CodeTill
	case len(b.amounts) != 5+forms:
		return proto.CodeAmount
	}
	sums := make([]int64, len(b.amounts))
	for i := range b.amounts {
		v, ok := b.amount(i)
		if !ok {
			return proto.CodeAmount
		}
		sums[i] = v
	}
	total, cash := sums[0], sums[3]
	if hasCash == 0 {
		cash = 0
	}
	paid := cash
	for _, v := range sums[4 : 4+forms] {
		paid += v
	}
	change := sums[len(sums)-1]
	switch {
	case total != m.total():
		return proto.CodeTotal
	case m.paying:
		return proto.CodeNotNow
	case paid == 0:
		paid = total
	case paid < total:
		return proto.CodeAmount
	case s.Param(9) == 1 && change != paid-total:
		return proto.CodePayments
	}
	lines := b.texts[2+system : 2+system+extra]
	for _, l := range lines {
		if code := m.free(l); code != 0 {
			return code
		}
	}
	if cash > 0 {
		m.tender(0, "", cash)
	}
	for i, v := range sums[4 : 4+forms] {
		m.tender(s.Param(11+i), b.texts[2+system+extra+i], v)
	}
	m.closed(m.text(b.texts[0]+" "+b.texts[1]), paid-total)
	for _, l := range lines {
		m.write(m.text(l), "")
	}
	if finish == 3 {
		m.foot, m.presets = true, 0
	} else {
		m.cut()
	}
	return 0
}

// Lines of the foot: their keywords, and those whose value is a number.
var footWords = map[int]string{
	0: "Nr transakcji", 1: "Punkty", 2: "Suma punktów", 3: "Nr rejestracyjny", 4: "Nazwisko", 5: "Karta", 6: "Nr karty", 7: "Data ważności",
	8: "Kasjer", 9: "Nazwa", 15: "Opis", 16: "Stan konta przed", 17: "Przyznano", 18: "Wykorzystano", 19: "Stan konta po", 20: "Stały klient",
	21: "Voucher", 22: "Nr vouchera", 23: "Wartość vouchera", 25: "", 26: "", 27: "", 28: "Nr klienta", 29: "Udzielono łącznie rabatów",
	30: "Numer", 31: "Kod", 32: "Nazwa", 33: "Opis", 34: "Liczba",
}

func isLetter(r rune) bool { return unicode.IsLetter(r) }
func isDigit(r rune) bool  { return unicode.IsDigit(r) }

func numeric(id int) bool {
	return id <= 3 || id >= 6 && id <= 8 || id >= 16 && id <= 23 || id >= 25 && id <= 29
}
func textual(id int) bool { return id == 4 || id == 5 || id == 9 || id == 15 }

// blank leaves three of the letters, or of the digits, and blanks the rest.
func blank(s string, is func(rune) bool) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if is(r) {
			if n++; n > 3 {
				return ' '
			}
		}
		return r
	}, s)
}

func footer(m *machine, s proto.Sequence, b body) int {
	if !m.foot {
		return proto.CodeNotNow
	}
	switch s.Param(0) {
	case 20:
		id := s.Param(1)
		word, ok := footWords[id]
		switch {
		case !ok || len(s.Params) < 2:
			return proto.CodeParamValue
		case m.presets >= 20:
			return proto.CodeBufferFull
		case len(b.texts) != 1 || len(b.texts[0]) > 25:
			return proto.CodeTill
		}
		v := m.text(b.texts[0])
		if numeric(id) {
			v = blank(v, isLetter)
		} else if textual(id) {
			v = blank(v, isDigit)
		}
		m.presets++
		if word == "" {
			m.write(strings.Repeat(" ", 15)+v, "")
		} else {
			m.write(word+":", v)
		}
	case 24:
		n := s.Param(1)
		if n < 1 || n > 3 || len(b.texts) != n {
			return proto.CodeTill
		}
		for _, l := range b.texts {
			if code := m.free(l); code != 0 {
				return code
			}
		}
		for _, l := range b.texts {
			m.write(m.text(l), "")
		}
	case 28:
		m.foot = false
		m.cut()
	default:
		return proto.CodeParamValue
	}
	return 0
}

// printout is the non-fiscal report. Novitus begins with four numbers, takes
// free lines with seven and ends with four that begin with 1.
func printout(m *machine, s proto.Sequence, b body) int {
	n := len(s.Params)
	switch {
	case m.open || m.foot:
		return proto.CodeNotNow
	case n >= 2 && s.Param(0) == 0:
		if m.report {
			return proto.CodeNotNow
		}
		m.report = true
		m.centre("NIEFISKALNY")
	case !m.report:
		return proto.CodeNotNow
	case n == 4 && s.Param(0) == 1:
		m.report = false
		m.centre("NIEFISKALNY")
		m.write("", m.p.opt.Now().Format("2006-01-02 15:04"))
		m.cut()
	case n == 7 && !m.p.opt.Thermal:
		if len(b.texts) != 1 {
			return proto.CodeTill
		}
		t := m.text(b.texts[0])
		if strings.Contains(strings.ToUpper(t), "PARAGON FISKALNY") {
			return proto.CodeTill
		}
		m.write(t, "")
	case n == 3 && s.Param(1) == 254 && s.Param(2) == 0:
		m.p.Print(fiscal.Line{Kind: "barcode", Text: m.text(b.text(0))})
	case n == 3 && s.Param(1) == 254:
		m.write(strings.Repeat("-", m.p.opt.Columns), "")
	case n == 2 && s.Param(1) == 255:
		m.put("")
	case n == 2:
		m.write(strings.TrimSpace(fmt.Sprintf("[%d.%d] %s", s.Param(0), s.Param(1), m.text(strings.Join(b.texts, " ")))), "")
	default:
		return proto.CodeParamCount
	}
	return 0
}

// device is the drawer and the display.
func device(m *machine, s proto.Sequence, b body) int {
	switch s.Param(0) {
	case 1:
		m.p.Print(fiscal.Line{Kind: "drawer"})
	case 2, 101, 102:
		row := 0
		if s.Param(0) == 102 {
			row = 1
		}
		t := b.text(0)
		switch {
		case len(t) > 40 || len(t) > 20 && s.Param(0) != 2:
			return proto.CodeName
		case !m.shown[t] && len(m.shown) >= 30:
			return proto.CodeTooManyLines
		}
		m.shown[t] = true
		if s.Param(0) == 2 && len(t) > 20 {
			m.display[1] = m.text(t[20:])
			t = t[:20]
		}
		m.display[row] = m.text(t)
	default:
		return proto.CodeParamValue
	}
	return 0
}

func feed(m *machine, s proto.Sequence, _ body) int {
	if n := s.Param(0); n > 20 {
		return proto.CodeParamValue
	}
	m.p.Feed(s.Param(0))
	return 0
}

func (m *machine) busyDoc() bool { return m.open || m.foot || m.report }

func daily(m *machine, _ proto.Sequence, _ body) int {
	if m.busyDoc() {
		return proto.CodeNotNow
	}
	m.days++
	m.centre("RAPORT FISKALNY DOBOWY")
	m.write("Nr raportu", fmt.Sprint(m.days))
	m.write("Paragony", fmt.Sprint(m.dayCount))
	var sum int64
	for i, t := range m.day {
		if sum += t; t != 0 {
			m.write("Sprzedaż "+string(rune('A'+i)), proto.Amount(t))
		}
	}
	m.write("Łącznie", proto.Amount(sum))
	for l := range m.extra { // they are all printed again
		m.write("* "+blank(m.text(l), isDigit), "")
	}
	m.cut()
	m.dayCount, m.day, m.extra, m.shown = 0, [7]int64{}, map[string]bool{}, map[string]bool{}
	return 0
}

func shift(m *machine, _ proto.Sequence, _ body) int {
	if m.busyDoc() {
		return proto.CodeNotNow
	}
	m.centre("RAPORT ZMIANY")
	m.write("Paragony", fmt.Sprint(m.dayCount))
	m.write("Stan kasy", proto.Amount(m.cash))
	m.cut()
	return 0
}

func cashIn(m *machine, _ proto.Sequence, b body) int {
	v, ok := b.amount(0)
	switch {
	case m.busyDoc():
		return proto.CodeNotNow
	case !ok || v < 0:
		return proto.CodeAmount
	}
	m.cash += v
	m.write("WPŁATA", proto.Amount(v))
	m.cut()
	return 0
}

func cashOut(m *machine, _ proto.Sequence, b body) int {
	v, ok := b.amount(0)
	switch {
	case m.busyDoc():
		return proto.CodeNotNow
	case !ok || v < 0:
		return proto.CodeAmount
	case v > m.cash:
		return proto.CodeCashNegative
	}
	m.cash -= v
	m.write("WYPŁATA", proto.Amount(v))
	m.cut()
	return 0
}
