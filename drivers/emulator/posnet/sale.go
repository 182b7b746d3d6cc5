package posnet

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/posnet"
)

// active VAT rates: A to E.
const activeRates = 5

func (m *machine) begin(in proto.Message) ([]proto.Param, error) {
	block, err := boolean(in, "bm", false)
	switch {
	case err != nil:
		return nil, err
	case m.open:
		return nil, refused(proto.RefusedInTransaction)
	case m.form != nil || m.foot:
		return nil, refused(2062)
	case m.p.Holds(fiscal.MemFull):
		return nil, refused(proto.RefusedReadOnly)
	case m.p.Holds(fiscal.ShiftOld):
		return nil, refused(proto.RefusedNoDailyReport)
	}
	m.open, m.block, m.items, m.totals, m.payments, m.given, m.paidAny, m.held = true, block, 0, [7]int64{}, 0, 0, false, nil
	m.centre("PARAGON FISKALNY")
	m.rule()
	return nil, nil
}

func (m *machine) inTransaction(proto.Message) ([]proto.Param, error) {
	if !m.open {
		return nil, refused(proto.RefusedNoTransaction)
	}
	return nil, nil
}

func (m *machine) buyer(in proto.Message) ([]proto.Param, error) {
	if _, ok := in.Get("ni"); !ok {
		return nil, frameFault{proto.FrameMissingField, "ni"}
	}
	return m.inTransaction(in)
}

// name reads a text of 1 to max letters.
func name(in proto.Message, id string, needed bool, max int) (string, error) {
	s, ok := in.Get(id)
	switch {
	case !ok && needed:
		return "", frameFault{proto.FrameMissingField, id}
	case ok && strings.TrimSpace(s) == "" && needed:
		return "", refused(proto.RefusedTextEmpty)
	case len(s) > max:
		return "", refused(proto.RefusedTextLong)
	}
	return s, nil
}

// discountOf reads a discount of a sum: positive takes away.
func discountOf(in proto.Message, sum int64) (int64, error) {
	down, err := boolean(in, "rd", true)
	if err != nil {
		return 0, err
	}
	rp, err := num(in, "rp", false, -1, 0, 9999)
	if err != nil {
		return 0, err
	}
	rw, err := num(in, "rw", false, -1, 0, 9_999_999_999)
	if err != nil {
		return 0, err
	}
	amount := rw
	switch {
	case rp < 0 && rw < 0:
		return 0, refused(proto.RefusedParameter)
	case rp >= 0:
		amount = (sum*rp + 5000) / 10000
		if rw >= 0 && rw != amount {
			return 0, refused(proto.RefusedDiscountValue)
		}
	}
	if !down {
		return -amount, nil
	}
	if amount > sum {
		return 0, refused(proto.RefusedDiscountValue)
	}
	return amount, nil
}

func (m *machine) sell(in proto.Message) ([]proto.Param, error) {
	na, err := name(in, "na", true, 80)
	if err != nil {
		return nil, err
	}
	vt, err := num(in, "vt", true, 0, 0, 6)
	if err != nil {
		return nil, err
	}
	pr, err := num(in, "pr", true, 0, -9_999_999_999, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	switch {
	case !m.open:
		return nil, refused(proto.RefusedNoTransaction)
	case m.paidAny:
		return nil, refused(proto.RefusedState)
	case vt >= activeRates:
		return nil, refused(proto.RefusedVAT)
	case pr <= 0:
		return nil, refused(proto.RefusedPrice)
	case m.items >= 500:
		return nil, refused(proto.RefusedBufferFull)
	}
	il, err := quantity(in, "il")
	if err != nil {
		return nil, err
	}
	value := (pr*il + 500) / 1000
	wa, err := num(in, "wa", false, value, -9_999_999_999, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	// Clients round the value of a line or cut it off: one grosz is forgiven.
	if wa != value && wa != pr*il/1000 {
		return nil, refused(proto.RefusedSums)
	}
	value = wa
	storno, err := boolean(in, "st", false)
	if err != nil {
		return nil, err
	}
	var off int64
	_, hasP := in.Get("rp")
	_, hasW := in.Get("rw")
	if hasP || hasW {
		if off, err = discountOf(in, value); err != nil {
			return nil, err
		}
	}
	sum := value - off
	if storno {
		if sum > m.totals[vt] {
			return nil, refused(2852)
		}
		sum = -sum
	}
	m.totals[vt] += sum
	m.items++
	letter := string(rune('A' + vt))
	qty := fmt.Sprintf("%d", il/1000)
	if il%1000 != 0 {
		qty = strings.TrimRight(fmt.Sprintf("%d,%03d", il/1000, il%1000), "0")
	}
	title := m.text(na)
	if storno {
		title = "STORNO " + title
		value = -value
	}
	m.write(title, fmt.Sprintf("%s%s x%s %s%s", qty, m.text(in.Text("jm")), money(pr), money(value), letter))
	if off != 0 {
		m.writeDiscount(m.text(in.Text("rn")), off, letter)
	}
	return nil, nil
}

func (m *machine) writeDiscount(name string, off int64, letter string) {
	word := "OPUST"
	if off < 0 {
		word = "NARZUT"
	}
	m.write(strings.TrimSpace("   "+word+" "+name), money(-off)+letter)
}

func (m *machine) discount(in proto.Message) ([]proto.Param, error) {
	na, err := name(in, "na", false, 25)
	switch {
	case err != nil:
		return nil, err
	case !m.open:
		return nil, refused(proto.RefusedNoTransaction)
	case m.items == 0:
		return nil, refused(proto.RefusedNoItems)
	case m.paidAny:
		return nil, refused(proto.RefusedState)
	}
	from, to := 0, len(m.totals)
	if vt, ok := in.Int("vt"); ok {
		if vt < 0 || vt >= activeRates {
			return nil, refused(proto.RefusedVAT)
		}
		from, to = int(vt), int(vt)+1
	}
	var sum int64
	for _, t := range m.totals[from:to] {
		sum += t
	}
	off, err := discountOf(in, sum)
	if err != nil {
		return nil, err
	}
	// The discount falls on the rates in proportion; the last takes the rest.
	left, base := off, sum
	for i := from; i < to; i++ {
		if m.totals[i] == 0 {
			continue
		}
		part := left
		if base != m.totals[i] {
			part = left * m.totals[i] / base
		}
		base -= m.totals[i]
		m.totals[i] -= part
		left -= part
	}
	m.writeDiscount(m.text(na), off, "")
	return nil, nil
}

func (m *machine) subtotal(in proto.Message) ([]proto.Param, error) {
	if !m.open {
		return nil, refused(proto.RefusedNoTransaction)
	}
	m.write("PODSUMA", money(m.total()))
	return nil, nil
}

var paymentWords = map[int64]string{0: "Gotówka", 2: "Karta", 3: "Czek", 4: "Bon", 5: "Kredyt", 6: "Inna", 7: "Voucher", 8: "Przelew"}

func (m *machine) pay(in proto.Message) ([]proto.Param, error) {
	ty, err := num(in, "ty", true, 0, 0, 8)
	if err != nil {
		return nil, err
	}
	wa, err := num(in, "wa", true, 0, 0, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	change, err := boolean(in, "re", false)
	if err != nil {
		return nil, err
	}
	if _, err := name(in, "na", false, 25); err != nil {
		return nil, err
	}
	word, ok := paymentWords[ty]
	switch {
	case !m.open:
		return nil, refused(proto.RefusedNoTransaction)
	case m.items == 0:
		return nil, refused(proto.RefusedNoItems)
	case !ok:
		return nil, refused(proto.RefusedValue)
	}
	m.paidAny = true
	if change {
		m.given += wa
		return nil, nil
	}
	m.payments += wa
	m.write(strings.TrimSpace(word+" "+m.text(in.Text("na"))), money(wa))
	return nil, nil
}

func (m *machine) end(in proto.Message) ([]proto.Param, error) {
	to, err := num(in, "to", true, 0, 0, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	fp, err := num(in, "fp", false, -1, 0, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	re, err := num(in, "re", false, -1, 0, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	finish, err := boolean(in, "fe", true)
	if err != nil {
		return nil, err
	}
	total := m.total()
	paid := m.payments
	if !m.paidAny {
		if paid = fp; fp < 0 {
			paid = total
		}
	}
	switch {
	case !m.open:
		return nil, refused(proto.RefusedNoTransaction)
	case m.items == 0:
		return nil, refused(proto.RefusedNoItems)
	case to != total:
		return nil, refused(proto.RefusedTotal)
	case total == 0:
		return nil, refused(2041)
	case m.paidAny && fp >= 0 && fp != m.payments:
		return nil, refused(proto.RefusedSums)
	case paid < total, re >= 0 && paid-re != total, m.given > 0 && paid-m.given != total:
		return nil, refused(proto.RefusedPayments)
	}
	m.rule()
	m.write("SUMA PLN", money(total))
	if paid > total {
		m.write("Reszta", money(paid-total))
	}
	held := m.held
	m.open, m.held = false, nil
	for _, l := range held {
		m.p.Print(fiscal.Line{Text: l})
	}
	m.receipts++
	m.dayCount++
	m.turnover += total
	m.daySum += total
	m.cash += total
	m.write(m.p.opt.Now().Format("2006-01-02 15:04"), fmt.Sprintf("%04d", m.receipts))
	m.centre("{PL} " + m.p.opt.Unique)
	if finish {
		m.cut()
	} else {
		m.foot, m.footers = true, 0
	}
	return nil, nil
}

func (m *machine) cancel(in proto.Message) ([]proto.Param, error) {
	if !m.open {
		return nil, refused(proto.RefusedNoTransaction)
	}
	return m.cancelAny(in)
}

// cancelAny is prncancel: with nothing to cancel nothing happens. Clients send
// it before each receipt, to be sure.
func (m *machine) cancelAny(proto.Message) ([]proto.Param, error) {
	if m.open {
		m.open, m.held, m.totals, m.payments = false, nil, [7]int64{}, 0
		m.centre("PARAGON ANULOWANY")
		m.cut()
	}
	m.foot, m.form = false, nil
	return nil, nil
}
