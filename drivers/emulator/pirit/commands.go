package pirit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

func (m *machine) openShift(a *args) (byte, []string) {
	switch {
	case m.kind != 0:
		return m.fail(extDocument)
	case m.shiftOpen:
		return errCloseZ, nil
	case m.canPrint() != 0:
		return m.canPrint(), nil
	}
	m.shiftOpen, m.inShift = true, 0
	m.shift++
	m.docs++
	m.say("ОТКРЫТИЕ СМЕНЫ %d", m.shift)
	m.cutHere()
	return 0, nil
}

func (m *machine) xReport(*args) (byte, []string) {
	switch {
	case m.kind != 0:
		return m.fail(extDocument)
	case m.canPrint() != 0:
		return m.canPrint(), nil
	}
	m.docs++
	m.say("X-ОТЧЕТ")
	m.pair("ЧЕКОВ", strconv.Itoa(m.inShift))
	m.cutHere()
	return 0, nil
}

func (m *machine) zReport(*args) (byte, []string) {
	switch {
	case m.kind != 0:
		return m.fail(extDocument)
	case !m.shiftOpen:
		return m.fail(extNoShift)
	case m.canPrint() != 0:
		return m.canPrint(), nil
	}
	m.docs++
	m.shiftOpen = false
	m.p.Release(fiscal.ShiftOld)
	m.say("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ %d", m.shift)
	m.pair("ЧЕКОВ", strconv.Itoa(m.inShift))
	m.cutHere()
	return 0, nil
}

func (m *machine) cutHere() { m.put(fiscal.Line{Kind: "cut"}) }

var titles = map[int]string{1: "СЕРВИСНЫЙ ДОКУМЕНТ", 2: "ПРИХОД", 3: "ВОЗВРАТ ПРИХОДА", 4: "ВНЕСЕНИЕ", 5: "ИЗЪЯТИЕ", 6: "РАСХОД", 7: "ВОЗВРАТ РАСХОДА"}

func (m *machine) isReceipt() bool { return m.kind == 2 || m.kind == 3 || m.kind == 6 || m.kind == 7 }

func (m *machine) open(a *args) (byte, []string) {
	mode, department := a.number(0), a.number(1)
	kind := mode & 0x0F
	switch {
	case m.kind != 0 && m.state == 8:
		return m.fail(extInMemory)
	case m.kind != 0:
		return m.fail(extDocument)
	case titles[kind] == "" || mode > 0xFF:
		return m.wrong(40)
	case department < 0 || department > 99:
		return m.wrong(41)
	case kind != 1 && !m.shiftOpen:
		return m.fail(extNoShift)
	case kind != 1 && m.p.Holds(fiscal.ShiftOld):
		return errShiftOld, nil
	case kind != 1 && m.p.Holds(fiscal.MemFull):
		return errStorage, nil
	case mode&0x80 == 0 && m.canPrint() != 0:
		return m.canPrint(), nil
	}
	m.kind, m.state = kind, 1
	m.batch, m.bad, m.delayed, m.silent = mode&0x10 != 0, false, mode&0x20 != 0, mode&0x80 != 0
	m.lines, m.sum, m.discount, m.paid, m.paidCash = 0, 0, 0, 0, 0
	m.pays, m.later = nil, nil
	m.operator = m.text(a.at(2))
	if kind != 1 {
		m.pair(titles[kind], m.operator)
	}
	return 0, nil
}

// need checks document and paper for a command inside a document.
func (m *machine) need(states ...int) (byte, bool) {
	if m.kind == 0 {
		m.ext = extNoDocument
		return errState, false
	}
	for _, s := range states {
		if m.state == s {
			if !m.silent {
				if e := m.canPrint(); e != 0 {
					return e, false
				}
			}
			return 0, true
		}
	}
	m.ext = map[int]int{1: extNotOpened, 2: extNotOpened, 3: extPastTotal, 4: extPaid, 8: extInMemory}[m.state]
	return errState, false
}

func (m *machine) printText(a *args) (byte, []string) {
	if m.kind != 0 && m.kind != 1 {
		return m.fail(extNotService)
	}
	if e, ok := m.need(1); !ok {
		return e, nil
	}
	t := m.text(a.at(0))
	attr := a.number(1)
	if n := len(a.at(0)); n < 1 || n > 72 {
		return m.wrong(57)
	}
	l := fiscal.Line{Text: t, Bold: attr&0x0F == 2 || attr&0x0F == 3}
	if attr&(1<<4) != 0 {
		l.Height = 2
	}
	if attr&(1<<5) != 0 {
		l.Width = 2
	}
	m.put(l)
	return 0, nil
}

func (m *machine) barcode(a *args) (byte, []string) {
	if e, ok := m.need(1, 2, 3); !ok {
		return e, nil
	}
	kind, data := a.number(3), a.at(4)
	if kind < 0 || kind > 9 || data == "" {
		return errFormat, nil
	}
	name := "barcode"
	if kind == 8 {
		name = "qr"
	}
	m.put(fiscal.Line{Kind: name, Text: data})
	return 0, nil
}

func (m *machine) lineFacts(*args) (byte, []string) {
	if e, ok := m.need(1); !ok {
		return e, nil
	}
	return 0, nil
}

func (m *machine) item(a *args) (byte, []string) {
	if m.kind != 0 && !m.isReceipt() {
		return m.fail(extNotReceipt)
	}
	if e, ok := m.need(1); !ok {
		return e, nil
	}
	name := m.text(a.at(0))
	if name == "" {
		name = "Товар"
	}
	n, price := a.decimal(2, 3), a.decimal(3, 2)
	switch {
	case !a.ok:
		return errFormat, nil
	case len(a.at(0)) > 256:
		return m.wrong(44)
	case n <= 0 || n > 1e12:
		return m.wrong(46)
	case price < 0 || price > 9_999_999_999:
		return m.wrong(47)
	}
	amount := (price*n + 500) / 1000
	m.sum += amount
	m.lines++
	m.counter++
	m.say("%s", name)
	m.pair(fmt.Sprintf("%d.%03d * %s", n/1000, n%1000, money(price)), "="+money(amount))
	if d := a.decimal(9, 2); d != 0 {
		m.pair(map[int]string{2: "скидка", 4: "наценка"}[a.number(7)], money(d))
	}
	return 0, []string{"0.0000"}
}

func (m *machine) subtotal(*args) (byte, []string) {
	if m.kind != 0 && !m.isReceipt() {
		return m.fail(extNotReceipt)
	}
	if e, ok := m.need(1, 2); !ok {
		return e, nil
	}
	m.state++
	m.pair("ПОДЫТОГ", "="+money(m.sum))
	return 0, nil
}

func (m *machine) discountAll(a *args) (byte, []string) {
	if m.kind != 0 && !m.isReceipt() {
		return m.fail(extNotReceipt)
	}
	if e, ok := m.need(2); !ok {
		return e, nil
	}
	v := a.decimal(2, 2)
	switch {
	case !a.ok || a.number(0) != 1 || v <= 0 || v > 99:
		return m.wrong(52)
	case m.discount != 0:
		return m.fail(extOneDiscount)
	case v > m.sum:
		return errNegative, nil
	}
	m.sum -= v
	m.discount = v
	m.pair("СКИДКА "+m.text(a.at(1)), "="+money(v))
	return 0, nil
}

func (m *machine) pay(a *args) (byte, []string) {
	if m.kind != 0 && !m.isReceipt() {
		return m.fail(extNotReceipt)
	}
	if e, ok := m.need(1, 2, 3); !ok {
		return e, nil
	}
	kind, v := a.number(0), a.decimal(1, 2)
	switch {
	case m.lines == 0:
		return m.fail(extZero)
	case !a.ok || kind < 0 || kind > 15:
		return m.wrong(55)
	case v < 0 || kind > 0 && m.paid+v > m.sum:
		return m.wrong(extBadPayment)
	}
	if m.state < 3 {
		m.pair("ИТОГ", "="+money(m.sum))
	}
	m.state = 3
	m.paid += v
	name := "НАЛИЧНЫМИ"
	if kind == 0 {
		m.paidCash += v
	} else {
		name = fmt.Sprintf("БЕЗНАЛИЧНЫМИ %d", kind)
	}
	m.pair(name, "="+money(v))
	if t := a.at(2); t != "" {
		m.say("%s", m.text(t))
	}
	if m.paid >= m.sum {
		m.state = 4
		if m.paid > m.sum {
			m.pair("СДАЧА", "="+money(m.paid-m.sum))
		}
	}
	return 0, nil
}

func (m *machine) cashMove(a *args) (byte, []string) {
	if m.kind != 0 && m.kind != 4 && m.kind != 5 {
		return m.fail(extNotCash)
	}
	if e, ok := m.need(1); !ok {
		return e, nil
	}
	v := a.decimal(1, 2)
	switch {
	case !a.ok || v < 0:
		return m.wrong(52)
	case m.kind == 5 && v > m.cash:
		return errNegative, nil
	}
	m.sum += v
	m.pair(m.text(a.at(0)), "="+money(v))
	return 0, nil
}

func (m *machine) requisite(a *args) (byte, []string) {
	if m.kind == 1 {
		return m.fail(extService)
	}
	if e, ok := m.need(1, 2, 3, 4); !ok {
		return e, nil
	}
	code := a.number(0)
	var lines []string
	for i := 2; i < len(a.f); i++ {
		if len(a.f[i]) > 72 || i > 5 {
			return m.wrong(57)
		}
		if a.f[i] != "" {
			lines = append(lines, m.text(a.f[i]))
		}
	}
	if !a.ok || code < 0 || code > 5 || len(lines) == 0 {
		return m.wrong(57)
	}
	if name := m.settings["52/"+strconv.Itoa(code)]; code > 0 && name != "" {
		lines[0] = m.text(name) + lines[0]
	}
	for _, l := range lines {
		l = strings.TrimPrefix(l, "&")
		if m.delayed {
			m.later = append(m.later, l)
		} else {
			m.say("%s", l)
		}
	}
	return 0, nil
}

func (m *machine) operatorTag(a *args) (byte, []string) {
	if e, ok := m.need(1, 2, 3, 4); !ok {
		return e, nil
	}
	m.pair(m.text(a.at(2)), m.text(a.at(3)))
	return 0, nil
}

func (m *machine) department(*args) (byte, []string) {
	if m.kind == 0 {
		return m.fail(extNoDocument)
	}
	return 0, nil
}

func (m *machine) compare(a *args) (byte, []string) {
	if m.kind == 0 {
		return m.fail(extNoDocument)
	}
	if a.decimal(0, 2) != m.sum {
		return errFormat, nil
	}
	return 0, nil
}

// close is 31h. A receipt goes into the storage first; what the paper does not
// take stays to be printed by the next 31h.
func (m *machine) close(a *args) (byte, []string) {
	flag := a.number(0)
	switch {
	case m.kind == 0:
		return m.fail(extNoDocument)
	case m.state == 8:
		if e := m.canPrint(); e != 0 {
			return e, nil
		}
		return m.printTail(flag)
	case m.isReceipt() && m.lines == 0:
		return m.fail(extZero)
	case m.isReceipt() && m.state != 4:
		return m.fail(extNotPaid)
	}
	m.batch = false
	m.docs++
	m.counter++
	m.closing = []string{strconv.Itoa(m.docs), strconv.Itoa(m.counter)}
	m.tail = nil
	for _, l := range m.later {
		m.tail = append(m.tail, fiscal.Line{Text: l})
	}
	if m.isReceipt() {
		m.inShift++
		m.receipts++
		if m.kind == 3 || m.kind == 6 {
			m.total -= m.sum
			m.cash -= m.paidCash - max(0, m.paid-m.sum)
		} else {
			m.total += m.sum
			m.cash += m.paidCash - max(0, m.paid-m.sum)
		}
		sign := fmt.Sprintf("%010d", 1_500_000_000+m.docs)
		now := m.p.o.Now()
		m.closing = append(m.closing, fmt.Sprintf("ФД %d ФП %s", m.docs, sign), strconv.Itoa(m.docs), sign,
			strconv.Itoa(m.shift), strconv.Itoa(m.inShift), now.Format("020106"), now.Format("150405"))
		m.closing[2] = string(m.p.page.Encode(m.closing[2]))
		m.last = []string{strconv.Itoa(m.kind), strconv.Itoa(m.counter), strconv.Itoa(m.inShift), strconv.Itoa(m.docs),
			money(m.sum), money(m.discount), "0", sign, strconv.Itoa(m.docs)}
		m.tail = append(m.tail, fiscal.Line{Text: "ЗН ККТ " + m.p.o.Serial},
			fiscal.Line{Text: fmt.Sprintf("ФД %d ФП %s", m.docs, sign)})
	} else if m.kind == 4 {
		m.cash += m.sum
	} else if m.kind == 5 {
		m.cash -= m.sum
	}
	m.state = 8
	if e := m.canPrint(); e != 0 && !m.silent {
		return e, nil
	}
	return m.printTail(flag)
}

func (m *machine) printTail(flag int) (byte, []string) {
	for _, l := range m.tail {
		m.put(l)
	}
	if !(flag == 1 && m.kind == 1 || flag == 5 && m.isReceipt()) {
		m.cutHere()
	}
	m.kind, m.state, m.tail, m.silent = 0, 0, nil, false
	return 0, m.closing
}

func (m *machine) cancel(a *args) (byte, []string) {
	switch {
	case m.kind == 0:
		return m.fail(extNoDocument)
	case m.state == 8:
		return m.fail(extInMemory)
	case m.canPrint() != 0:
		return m.canPrint(), nil
	}
	m.batch = false
	m.docs++
	m.counter++
	m.cancelled++
	m.last = []string{"0", strconv.Itoa(m.counter), strconv.Itoa(m.inShift), strconv.Itoa(m.docs), money(m.sum), money(m.discount), "0", "", "0"}
	m.say("ДОКУМЕНТ АННУЛИРОВАН")
	if t := m.text(a.at(0)); t != "" {
		m.say("%s", t)
	}
	m.cutHere()
	m.kind, m.state = 0, 0
	return 0, nil
}

func (m *machine) cut(*args) (byte, []string) {
	if e := m.canPrint(); e != 0 {
		return e, nil
	}
	m.cutHere()
	return 0, nil
}
