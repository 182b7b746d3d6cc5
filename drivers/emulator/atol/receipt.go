package atol

import (
	"bytes"
	"fmt"

	proto "github.com/tillside/tillside/drivers/atol"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

var titles = map[byte]string{1: "ПРИХОД", 2: "ВОЗВРАТ ПРИХОДА", 4: "РАСХОД", 5: "ВОЗВРАТ РАСХОДА"}

func (m *machine) openReceipt(a *args) (byte, []byte) {
	flags, kind := a.byte(), a.byte()
	switch {
	case a.bad:
		return badLength, nil
	case titles[kind] == "":
		return badFormat, nil
	case m.receipt != 0:
		return receiptOpen, nil
	case m.open && m.p.Holds(fiscal.ShiftOld):
		return shiftTooLong, nil
	case m.p.Holds(fiscal.MemFull):
		return storage, nil
	case flags&1 != 0:
		return 0, nil
	}
	if !m.open {
		m.startShift()
	}
	m.receipt, m.lines, m.sum, m.paid, m.paidCash, m.final = kind, 0, 0, 0, 0, false
	m.say("%s", titles[kind])
	return 0, nil
}

// item is E6h: flags, name 64, price 6, quantity 5, discount type, sign and
// size 6, tax, section, reserve.
func (m *machine) item(a *args) (byte, []byte) {
	flags, name := a.byte(), a.bytes(64)
	price, n := a.bcd(6), a.bcd(5)
	kind, sign, discount := a.byte(), a.byte(), a.bcd(6)
	a.bytes(2)
	switch {
	case a.bad:
		return badLength, nil
	case m.receipt == 0:
		return receiptClosed, nil
	case m.final || m.paid > 0:
		return wrongMode, nil
	case n == 0:
		return badQuantity, nil
	case price > (1<<61)/n:
		return badPrice, nil
	}
	amount := (price*n + 500) / 1000
	if kind == 0 { // percent, in hundredths
		discount = (amount*discount + 5000) / 10000
	}
	if sign == 0 {
		if discount > amount {
			return badDiscount, nil
		}
		discount = -discount
	}
	if flags&1 != 0 {
		return 0, nil
	}
	m.sum += amount + discount
	m.lines++
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	m.say("%s", proto.Decode(name))
	m.pair(fmt.Sprintf("%d.%03d X %s", n/1000, n%1000, money(price)), "="+money(amount))
	switch {
	case discount < 0:
		m.pair("СКИДКА", "="+money(-discount))
	case discount > 0:
		m.pair("НАДБАВКА", "="+money(discount))
	}
	return 0, nil
}

// discount is 43h: flags, area, type (1 a sum), sign, size 5.
func (m *machine) discount(a *args) (byte, []byte) {
	flags := a.byte()
	area, kind, sign, v := a.byte(), a.byte(), a.byte(), a.bcd(5)
	switch {
	case a.bad:
		return badLength, nil
	case m.receipt == 0:
		return receiptClosed, nil
	case area != 0 || m.lines == 0 || m.final || m.paid > 0:
		return badDiscount, nil
	}
	if kind == 0 {
		v = (m.sum*v + 5000) / 10000
	}
	if v == 0 {
		v = m.sum % 100
	}
	if sign == 0 {
		v = -v
	}
	if m.sum+v < 0 {
		return badDiscount, nil
	}
	if flags&1 != 0 {
		return 0, nil
	}
	m.sum += v
	m.final = true
	if v < 0 {
		m.pair("СКИДКА", "="+money(-v))
	} else {
		m.pair("НАДБАВКА", "="+money(v))
	}
	return 0, nil
}

// pay is 99h: flags, type, sum. The answer tells what is left and the change.
func (m *machine) pay(a *args) (byte, []byte) {
	flags, kind, v := a.byte(), a.byte(), a.bcd(5)
	switch {
	case a.bad:
		return badLength, nil
	case m.receipt == 0:
		return receiptClosed, nil
	case kind < 1 || kind > 10 || kind > 1 && m.paid+v > m.sum:
		return badPrice, nil
	}
	if flags&1 == 0 {
		m.take(kind, v)
	}
	return 0, bcd(bcd(nil, max(0, m.sum-m.paid), 5), max(0, m.paid-m.sum), 5)
}

func (m *machine) take(kind byte, v int64) {
	m.paid += v
	name := fmt.Sprintf("ОПЛАТА %d", kind)
	if kind == 1 {
		name = "НАЛИЧНЫМИ"
		m.paidCash += v
	}
	m.pair(name, "="+money(v))
}

// close is 4Ah: flags, type, sum; sum 0 pays what is left.
func (m *machine) close(a *args) (byte, []byte) {
	flags, kind, v := a.byte(), a.byte(), a.bcd(5)
	if v == 0 {
		v = max(0, m.sum-m.paid)
	}
	switch {
	case a.bad:
		return badLength, nil
	case m.receipt == 0:
		return receiptClosed, nil
	case kind < 1 || kind > 10 || kind > 1 && m.paid+v > m.sum:
		return badPrice, nil
	case m.paid+v < m.sum || m.lines == 0:
		return lessPaid, nil
	case flags&1 != 0:
		return 0, nil
	}
	m.pair("ИТОГ", "="+money(m.sum))
	if v > 0 {
		m.take(kind, v)
	}
	change := m.paid - m.sum
	if change > 0 {
		m.pair("СДАЧА", "="+money(change))
	}
	m.number++
	m.receipts++
	if m.receipt == 2 || m.receipt == 4 {
		m.total -= m.sum
		m.cash -= m.paidCash - change
	} else {
		m.total += m.sum
		m.cash += m.paidCash - change
	}
	m.pair(fmt.Sprintf("ЗН ККТ %08d", m.p.o.Serial), fmt.Sprintf("ЧЕК %d", m.number))
	m.p.Print(fiscal.Line{Kind: "cut"})
	m.receipt, m.sum = 0, 0
	return 0, nil
}

func (m *machine) cancel(*args) (byte, []byte) {
	if m.receipt == 0 {
		return receiptClosed, nil
	}
	m.say("ЧЕК АННУЛИРОВАН")
	m.p.Print(fiscal.Line{Kind: "cut"})
	m.receipt, m.sum = 0, 0
	return 0, nil
}
