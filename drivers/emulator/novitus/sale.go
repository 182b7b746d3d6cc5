package novitus

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/novitus"
)

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
