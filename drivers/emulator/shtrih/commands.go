package shtrih

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

func (m *machine) deviceType([]byte) (byte, []byte) {
	return ok, append([]byte{0, 0, 1, 3, m.p.o.Model, 0}, m.p.page.Encode(m.p.o.Name)...)
}

func (m *machine) shortStatus([]byte) (byte, []byte) {
	b := put(nil, int64(m.flags()), 2)
	b = append(b, m.mode(), m.submode(), byte(m.ops), 0xA0, 0xD8, 0, 0, byte(m.ops>>8))
	return ok, append(b, 0, 0, 0)
}

func (m *machine) fullStatus([]byte) (byte, []byte) {
	t := m.p.o.Now()
	b := append([]byte("10"), 0x6D, 0x00, 22, 6, 7, 1)
	b = put(b, int64(m.docs), 2)
	b = put(b, int64(m.flags()), 2)
	b = append(b, m.mode(), m.submode(), 0)
	b = append(b, '2', '0', 5, 0, 1, 2, 3)
	b = append(b, byte(t.Day()), byte(t.Month()), byte(t.Year()%100), byte(t.Hour()), byte(t.Minute()), byte(t.Second()))
	fm := byte(1 | 1<<1 | 1<<5)
	if m.shiftOpen {
		fm |= 1 << 6
		if m.p.Holds(fiscal.ShiftOld) {
			fm |= 1 << 7
		}
	}
	if m.p.Holds(fiscal.MemFull) {
		fm |= 1 << 3
	}
	b = append(b, fm)
	b = put(b, int64(m.p.o.Serial), 4)
	b = put(b, int64(m.shift), 2)
	b = put(b, 2090, 2)
	b = append(b, 1, 15)
	return ok, put(b, int64(m.p.o.INN), 6)
}

func (m *machine) parameters(a []byte) (byte, []byte) {
	if a[0] != 1 {
		return badParameters, nil
	}
	f := int64(1 << 28)
	if m.p.o.Cutter {
		f |= 1 << 13
	}
	if m.p.o.Nonfiscal {
		f |= 1 << 22
	}
	if m.p.o.Buffered {
		f |= 1 << 23
	}
	return ok, append(put(nil, f, 8), byte(m.p.o.Columns), 0, 0, 0)
}

func (m *machine) font(a []byte) (byte, []byte) {
	if a[0] < 1 || a[0] > 7 {
		return badParameters, nil
	}
	w := byte(12)
	if a[0] == 2 {
		w = 24
	}
	return ok, append(put(nil, int64(m.p.o.Columns)*12, 2), w, 24, 7)
}

func (m *machine) errorText(a []byte) (byte, []byte) {
	texts := map[byte]string{ok: "Ошибок нет", noPaper: "Нет чековой ленты", unknown: "Команда не поддерживается",
		receiptClosed: "Чек закрыт - операция невозможна", shiftTooLong: "Смена превысила 24 часа"}
	s, known := texts[a[0]]
	if !known {
		s = fmt.Sprintf("Ошибка %02Xh", a[0])
	}
	return ok, m.p.page.Encode(s)
}

// goOn is B0h: print what a paper break has stopped.
func (m *machine) goOn([]byte) (byte, []byte) {
	switch m.submode() {
	case 1, 2:
		return noPaper, nil
	case 3:
		m.broken = false
		for _, l := range m.rest {
			m.p.Print(l)
		}
		m.rest = nil
	}
	return ok, nil
}

func (m *machine) line(b []byte, flags byte, width int) (byte, []byte) {
	columns := m.p.o.Columns / width
	for _, s := range m.lines(b) {
		r := []rune(s)
		if flags&(1<<6) != 0 { // wrap
			for len(r) > columns {
				m.put(fiscal.Line{Text: string(r[:columns]), Width: width})
				r = r[columns:]
			}
		}
		m.put(fiscal.Line{Text: fit(string(r), columns), Width: width, Bold: width > 1})
	}
	return ok, nil
}

func (m *machine) load(a []byte) (byte, []byte) {
	if m.blocks == nil {
		m.blocks = map[byte][]byte{}
	}
	m.blocks[a[1]] = slices.Clone(a[2:66])
	return ok, nil
}

func (m *machine) print2D(a []byte) (byte, []byte) {
	var data []byte
	n := int(le(a[1:3]))
	for i := a[3]; len(data) < n; i++ {
		b, there := m.blocks[i]
		if !there {
			return badParameters, nil
		}
		data = append(data, b...)
	}
	if n == 0 || a[0] > 3 {
		return badParameters, nil
	}
	m.put(fiscal.Line{Kind: []string{"pdf417", "datamatrix", "aztec", "qr"}[a[0]], Text: string(data[:n])})
	return ok, nil
}

func (m *machine) openNonfiscal([]byte) (byte, []byte) {
	switch {
	case !m.p.o.Nonfiscal:
		return unknown, nil
	case m.document >= 0:
		return wrongMode, nil
	}
	m.document, m.current = 4, nil
	return ok, nil
}

func (m *machine) closeNonfiscal([]byte) (byte, []byte) {
	switch {
	case !m.p.o.Nonfiscal:
		return unknown, nil
	case m.document != 4:
		return wrongMode, nil
	}
	if err := m.canPrint(); err != ok && m.p.o.Buffered {
		return err, nil
	}
	m.document = -1
	m.put(m.buffer...)
	m.lastDoc, m.buffer = m.current, nil
	m.docs++
	return ok, nil
}

func (m *machine) requisite(a []byte) (byte, []byte) {
	if m.document < 0 || m.document > 3 {
		return wrongMode, nil
	}
	for i, s := range m.lines(a[1:]) {
		if i == 4 {
			return badParameters, nil
		}
		m.say("%s", s)
	}
	return ok, nil
}

func (m *machine) openShift([]byte) (byte, []byte) {
	if m.shiftOpen || m.document >= 0 {
		return wrongMode, nil
	}
	m.startShift()
	return ok, nil
}

func (m *machine) startShift() {
	m.shiftOpen, m.inShift = true, 0
	m.docs++
	m.say("СМЕНА ОТКРЫТА %d", m.shift+1)
}

func (m *machine) xReport([]byte) (byte, []byte) {
	if m.document >= 0 {
		return wrongMode, nil
	}
	m.docs++
	m.say("X-ОТЧЕТ")
	m.pair("ЧЕКОВ", fmt.Sprint(m.inShift))
	m.put(fiscal.Line{Kind: "cut"})
	return ok, nil
}

func (m *machine) zReport([]byte) (byte, []byte) {
	if m.document >= 0 || !m.shiftOpen {
		return wrongMode, nil
	}
	m.docs++
	m.shift++
	m.shiftOpen, m.cash = false, 0
	m.p.Release(fiscal.ShiftOld)
	m.say("Z-ОТЧЕТ %d", m.shift)
	m.pair("ЧЕКОВ", fmt.Sprint(m.inShift))
	m.put(fiscal.Line{Kind: "cut"})
	return ok, nil
}

func (m *machine) cashMove(v int64) (byte, []byte) {
	switch {
	case m.document >= 0:
		return wrongMode, nil
	case m.p.o.FN && !m.shiftOpen:
		return shiftIsClosed, nil
	case m.shiftOpen && m.p.Holds(fiscal.ShiftOld):
		return shiftTooLong, nil
	case m.cash+v < 0:
		return notEnoughMoney, nil
	}
	if !m.shiftOpen {
		m.startShift()
	}
	m.cash += v
	m.docs++
	name := "ВНЕСЕНИЕ"
	if v < 0 {
		name, v = "ВЫПЛАТА", -v
	}
	m.pair(name, "="+money(v))
	return ok, put(nil, int64(m.docs), 2)
}

func (m *machine) open(a []byte) (byte, []byte) {
	switch {
	case a[0] > 3:
		return badParameters, nil
	case m.document >= 0:
		return notInReceipt, nil
	case m.shiftOpen && m.p.Holds(fiscal.ShiftOld):
		return shiftTooLong, nil
	case m.p.o.FN && !m.shiftOpen:
		return shiftIsClosed, nil
	}
	if !m.shiftOpen {
		m.startShift()
	}
	m.document, m.ops, m.sum, m.last, m.current = int(a[0]), 0, 0, 0, nil
	m.say("%s", []string{"ПРОДАЖА", "ПОКУПКА", "ВОЗВРАТ ПРОДАЖИ", "ВОЗВРАТ ПОКУПКИ"}[a[0]])
	return ok, nil
}

// item is 80h-84h: quantity, price, department, four taxes, text.
func (m *machine) item(a []byte, kind int, sign int64) (byte, []byte) {
	quantity, price := le(a[:5]), le(a[5:10])
	switch {
	case m.document < 0:
		return receiptClosed, nil
	case kind >= 0 && kind != m.document:
		return wrongMode, nil
	case a[10] > 16:
		return badDepartment, nil
	}
	return m.register(quantity*1000, price, -1, sign, m.text(a[15:]))
}

// register adds a line; quantity in millionths, sum -1 to compute it.
func (m *machine) register(quantity, price, sum, sign int64, name string) (byte, []byte) {
	switch {
	case quantity <= 0 || quantity > 1e13:
		return badQuantity, nil
	case price < 0 || price > 1e10 || quantity/1000 > 0 && price > (1<<62)/(quantity/1000+1):
		return badPrice, nil
	}
	if sum < 0 {
		sum = (price*(quantity/1000) + 500) / 1000
	}
	if m.sum+sign*sum < 0 {
		return 0x5F, nil
	}
	m.sum += sign * sum
	m.last = sum
	m.ops++
	if sign < 0 {
		m.say("СТОРНО")
	}
	if !strings.HasPrefix(name, "//") {
		m.say("%s", name)
	}
	m.pair(fmt.Sprintf("%d.%03d X %s", quantity/1e6, quantity/1000%1000, money(price)), "="+money(sum))
	return ok, nil
}

func (m *machine) discount(a []byte, sign int64) (byte, []byte) {
	v := le(a[:5])
	switch {
	case m.document < 0 || m.document == 4:
		return receiptClosed, nil
	case v == 0:
		return badParameters, nil
	case sign < 0 && v > m.sum:
		return tooLarge, nil
	}
	m.sum += sign * v
	name := "СКИДКА"
	if sign > 0 {
		name = "НАДБАВКА"
	}
	if s := m.text(a[9:]); s != "" {
		m.say("%s", s)
	}
	m.pair(name, "="+money(v))
	return ok, nil
}

func (m *machine) subtotal([]byte) (byte, []byte) {
	if m.document < 0 || m.document == 4 {
		return receiptClosed, nil
	}
	return ok, put(nil, m.sum, 5)
}

// close is 85h and 8Eh: payments, percent, four taxes, text.
func (m *machine) close(a []byte, types int) (byte, []byte) {
	var pay []int64
	for i := range types {
		pay = append(pay, le(a[5*i:5*i+5]))
	}
	change, err := m.settle(pay)
	if err != ok {
		return err, nil
	}
	text := ""
	if at := types*5 + 6; len(a) > at {
		text = m.text(a[at:])
	}
	m.finish(pay, change, text)
	return ok, put(nil, change, 5)
}

// settle checks the payments and gives the change.
func (m *machine) settle(pay []int64) (change int64, err byte) {
	var paid, other int64
	for i, v := range pay {
		if v < 0 {
			return 0, badParameters
		}
		paid += v
		if i > 0 {
			other += v
		}
	}
	switch {
	case m.document < 0 || m.document == 4:
		return 0, receiptClosed
	case m.ops == 0:
		return 0, zeroTotal
	case paid < m.sum:
		return 0, lessPaid
	case other > m.sum:
		return 0, badParameters
	}
	return paid - m.sum, ok
}

// finish closes the receipt in the fiscal memory and prints its foot.
func (m *machine) finish(pay []int64, change int64, text string) {
	if text != "" {
		m.say("%s", text)
	}
	m.pair("ИТОГ", "="+money(m.sum))
	for i, v := range pay {
		if v > 0 {
			m.pair([]string{"НАЛИЧНЫМИ", "КАРТОЙ", "ТИП 3", "ТИП 4"}[min(i, 3)], "="+money(v))
		}
	}
	if change > 0 {
		m.pair("СДАЧА", "="+money(change))
	}
	m.docs++
	m.inShift++
	m.receipts++
	if m.document == 2 || m.document == 1 {
		m.total -= m.sum
		m.cash -= pay[0] - change
	} else {
		m.total += m.sum
		m.cash += pay[0] - change
	}
	m.pair(fmt.Sprintf("ККМ %08d", m.p.o.Serial), fmt.Sprintf("#%04d", m.docs))
	m.put(fiscal.Line{Kind: "cut"})
	m.document, m.lastDoc = -1, m.current
}

func (m *machine) cancel([]byte) (byte, []byte) {
	if m.document < 0 || m.document == 4 {
		return receiptClosed, nil
	}
	m.say("ЧЕК АННУЛИРОВАН")
	m.put(fiscal.Line{Kind: "cut"})
	m.docs++
	m.document = -1
	return ok, nil
}

func (m *machine) copyLast([]byte) (byte, []byte) {
	switch {
	case m.document >= 0:
		return notInReceipt, nil
	case m.lastDoc == nil:
		return nothingToCopy, nil
	}
	m.say("КОПИЯ")
	m.put(slices.Clone(m.lastDoc)...)
	return ok, nil
}

// storage is FF01h.
func (m *machine) storage([]byte) (byte, []byte) {
	if !m.p.o.FN {
		return unknown, nil
	}
	t := m.p.o.Now()
	var doc, shift byte
	if m.document >= 0 {
		doc = 4
	}
	if m.shiftOpen {
		shift = 1
	}
	b := []byte{3, doc, 0, shift, 0, byte(t.Year() % 100), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute())}
	b = append(b, "9999078900001234"...)
	return ok, put(b, int64(m.docs), 4)
}

func (m *machine) tlv(a []byte) (byte, []byte) {
	if !m.p.o.FN {
		return unknown, nil
	}
	if m.document < 0 {
		return wrongMode, nil
	}
	for len(a) > 0 {
		if len(a) < 4 || len(a) < 4+int(le(a[2:4])) {
			return badParameters, nil
		}
		a = a[4+int(le(a[2:4])):]
	}
	return ok, nil
}

func (m *machine) shiftState([]byte) (byte, []byte) {
	state, number := byte(0), m.shift
	if m.shiftOpen {
		state, number = 1, m.shift+1
		if m.p.Holds(fiscal.ShiftOld) {
			state = 2
		}
	}
	return ok, put(put([]byte{state}, int64(number), 2), int64(m.inShift), 2)
}

// operationV2 is FF46h.
func (m *machine) operationV2(a []byte) (byte, []byte) {
	if !m.p.o.FN {
		return unknown, nil
	}
	kinds := map[byte]int{1: 0, 2: 2, 3: 1, 4: 3}
	kind, known := kinds[a[0]]
	switch {
	case !known:
		return badParameters, nil
	case m.document < 0 || m.document == 4:
		return receiptClosed, nil
	case kind != m.document:
		return wrongMode, nil
	case a[23] > 16:
		return badDepartment, nil
	}
	sum := le(a[12:17])
	if sum == 0xFFFFFFFFFF {
		sum = -1
	}
	return m.register(le(a[1:7]), le(a[7:12]), sum, 1, m.text(a[26:]))
}

// closeV2 is FF45h.
func (m *machine) closeV2(a []byte) (byte, []byte) {
	if !m.p.o.FN {
		return unknown, nil
	}
	var pay []int64
	for i := range 16 {
		pay = append(pay, le(a[5*i:5*i+5]))
	}
	change, err := m.settle(pay)
	if err != ok {
		return err, nil
	}
	text := ""
	if len(a) > 112 {
		text = m.text(a[112:])
	}
	m.finish(pay, change, text)
	b := put(put(nil, change, 5), int64(m.docs), 4)
	return ok, put(b, 0x51EA0000+int64(m.docs), 4)
}

// ean13 adds the check digit, as the register does.
func ean13(v int64) string {
	s := fmt.Sprintf("%012d", v)
	sum := 0
	for i, c := range s {
		sum += int(c-'0') * (1 + i%2*2)
	}
	return s + string(rune('0'+(10-sum%10)%10))
}
