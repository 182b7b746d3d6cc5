package posnet

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/posnet"
)

// readOnly commands are answered whoever holds the printer.
var readOnly = map[string]bool{
	"sid": true, "scomm": true, "strns": true, "sdev": true, "sprn": true, "sdrwr": true, "rtcget": true, "vatget": true,
	"factorynumberget": true, "prnwidthget": true, "formisstarted": true,
}

// prints are the commands that wait for paper. In block mode lines do not, but
// this printer does not tell.
var prints = map[string]bool{
	"trinit": true, "trline": true, "trdiscntbill": true, "trdiscntvat": true, "trdiscntline": true, "trdiscntpromo": true,
	"trsubtot": true, "trsubtotcanc": true, "trpayment": true, "trend": true, "trcancel": true, "prncancel": true, "trftrln": true, "trftrend": true,
	"formstart": true, "formline": true, "formformattedline": true, "formtinyline": true, "formbarcode": true, "formbarcode2d": true,
	"formcmd": true, "formend": true, "papfeed": true, "dailyrep": true, "shiftrep": true, "cash": true,
}

var commands map[string]doer

func init() { // a composite literal would refer to itself through the machine
	commands = map[string]doer{
		"sid":       identity,
		"scomm":     (*machine).common,
		"strns":     (*machine).transaction,
		"sdev":      inQueue("sdev"),
		"sprn":      inQueue("sprn"),
		"sdrwr":     inQueue("sdrwr"),
		"rtcget":    readClock,
		"rtcset":    done,
		"vatget":    vatRates,
		"login":     done,
		"logout":    done,
		"beep":      done,
		"trnipset":  (*machine).buyer,
		"opendrwr":  (*machine).openDrawer,
		"cash":      (*machine).cashInOut,
		"dailyrep":  (*machine).dailyReport,
		"shiftrep":  (*machine).shiftReport,
		"papfeed":   (*machine).feed,
		"trinit":    (*machine).begin,
		"trline":    (*machine).sell,
		"trsubtot":  (*machine).subtotal,
		"trpayment": (*machine).pay,
		"trend":     (*machine).end,
		"trftrln":   (*machine).footLine,
		"trftrend":  (*machine).footEnd,

		"trdiscntbill":     (*machine).discount,
		"trdiscntvat":      (*machine).discount,
		"trdiscntline":     (*machine).discount,
		"trdiscntpromo":    (*machine).discount,
		"showsubtotal":     (*machine).inTransaction,
		"trsubtotcanc":     (*machine).inTransaction,
		"prncancel":        (*machine).cancelAny,
		"trcancel":         (*machine).cancel,
		"hardprncancel":    (*machine).cancelAny,
		"factorynumberget": (*machine).factoryNumber,
		"prnwidthget":      (*machine).width,

		"formstart":         (*machine).formStart,
		"formline":          (*machine).formLine,
		"formformattedline": (*machine).formFormatted,
		"formtinyline":      (*machine).formFormatted,
		"formbarcode":       (*machine).formBarcode,
		"qrcode":            (*machine).prepareQR,
		"formbarcode2d":     (*machine).formQR,
		"formcmd":           (*machine).formCommand,
		"formend":           (*machine).formEnd,
		"formisstarted":     (*machine).formStarted,

		"dsptxtline": (*machine).displayLine,
		"dsptxt":     (*machine).displayText,
		"dspcmd":     done,
	}
}

func done(*machine, proto.Message) ([]proto.Param, error) { return nil, nil }

// status answers the three questions that have an immediate form.
func (p *Printer) status(in proto.Message, name string) proto.Message {
	out := proto.Message{Command: in.Command, Token: in.Token}
	switch name {
	case "sdev":
		ds, tl := 0, 0
		if len(p.queue) > 0 && p.stuck() {
			ds = 3
		}
		switch {
		case p.Holds(fiscal.Busy):
			tl = 2
		case p.open:
			tl = 1
		}
		out.Params = []proto.Param{proto.P("ds", ds), proto.P("cp", yn(true)), proto.P("qe", yn(len(p.queue) == 0)),
			proto.P("pe", yn(p.Holds(fiscal.PaperNear))), proto.P("tl", tl)}
	case "sprn":
		pr := 0
		switch {
		case p.Holds(fiscal.CoverOpen):
			pr = 3
		case p.Holds(fiscal.PaperOut):
			pr = 5
		}
		out.Params = []proto.Param{proto.P("pr", pr)}
	case "sdrwr":
		out.Params = []proto.Param{proto.P("ds", p.drawer), proto.P("ks", 2)}
	}
	return out
}

func inQueue(name string) doer {
	return func(m *machine, in proto.Message) ([]proto.Param, error) { return m.p.status(in, name).Params, nil }
}

func yn(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

func identity(m *machine, _ proto.Message) ([]proto.Param, error) {
	return []proto.Param{proto.P("nm", m.p.opt.Model), proto.P("vr", m.p.opt.Version)}, nil
}

func (m *machine) factoryNumber(proto.Message) ([]proto.Param, error) {
	return []proto.Param{proto.P("fn", m.p.opt.Serial)}, nil
}

func (m *machine) width(proto.Message) ([]proto.Param, error) {
	wd := 1
	if m.p.opt.Columns > 40 {
		wd = 0
	}
	return []proto.Param{proto.P("wd", wd)}, nil
}

func (m *machine) common(proto.Message) ([]proto.Param, error) {
	ts := 0
	if m.open {
		ts = 16
		if m.block {
			ts = 17
		}
	}
	return []proto.Param{proto.P("fs", "Y"), proto.P("tz", yn(m.dayCount == 0)), proto.P("ts", ts), proto.P("hr", "Y"),
		proto.P("nu", m.p.opt.Unique), proto.P("td", yn(m.p.Holds(fiscal.MemFull)))}, nil
}

func (m *machine) transaction(proto.Message) ([]proto.Param, error) {
	to, ts := 0, 0
	if m.open {
		to = 1
	}
	if m.open || m.receipts > 0 {
		ts = 16
	}
	out := []proto.Param{proto.P("to", to), proto.P("ts", ts)}
	for i, t := range m.totals {
		out = append(out, proto.P("v"+string(rune('a'+i)), t))
	}
	return out, nil
}

func readClock(m *machine, _ proto.Message) ([]proto.Param, error) {
	now := m.p.opt.Now()
	return []proto.Param{proto.P("da", now.Format("2006-01-02;15:04")), proto.P("tm", now.Format("2006-01-02T15:04:05-07:00"))}, nil
}

func vatRates(*machine, proto.Message) ([]proto.Param, error) {
	var out []proto.Param
	for i, r := range []string{"23,00", "8,00", "5,00", "0,00", "100", "101", "101"} {
		out = append(out, proto.P("v"+string(rune('a'+i)), r))
	}
	return out, nil
}

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

func (m *machine) footLine(in proto.Message) ([]proto.Param, error) {
	id, err := num(in, "id", true, 0, 0, 99)
	if err != nil {
		return nil, err
	}
	na, err := name(in, "na", false, m.p.opt.Columns)
	if err != nil {
		return nil, err
	}
	word, ok := footWords[id]
	switch {
	case !m.foot:
		return nil, refused(proto.RefusedFooter)
	case !ok:
		return nil, refused(proto.RefusedFooterLine)
	case m.footers >= 60:
		return nil, refused(proto.RefusedFooterLines)
	case id == 25 && len(na) > m.p.opt.Columns-15:
		return nil, refused(proto.RefusedTextLong)
	}
	m.footers++
	switch {
	case id == 25:
		m.write(strings.Repeat(" ", 15)+m.text(na), "")
	case word == "":
		m.write(m.text(na), "")
	default:
		m.write(word+":", m.text(na))
	}
	return nil, nil
}

func (m *machine) footEnd(proto.Message) ([]proto.Param, error) {
	if !m.foot {
		return nil, refused(proto.RefusedFooter)
	}
	m.foot = false
	m.cut()
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

func (m *machine) openDrawer(proto.Message) ([]proto.Param, error) {
	m.drawer = 0
	m.p.Print(fiscal.Line{Kind: "drawer"})
	return nil, nil
}

func (m *machine) feed(in proto.Message) ([]proto.Param, error) {
	n, err := num(in, "ln", true, 0, 0, 20)
	if err != nil {
		return nil, err
	}
	m.p.Feed(int(n))
	return nil, nil
}

func (m *machine) idleDoc() error {
	switch {
	case m.open:
		return refused(proto.RefusedInTransaction)
	case m.form != nil || m.foot:
		return refused(2062)
	}
	return nil
}

func (m *machine) cashInOut(in proto.Message) ([]proto.Param, error) {
	kw, err := num(in, "kw", true, 0, 0, 9_999_999_999)
	if err != nil {
		return nil, err
	}
	into, err := boolean(in, "wp", true)
	if err == nil {
		err = m.idleDoc()
	}
	if err != nil {
		return nil, err
	}
	word := "WPŁATA DO KASY"
	if !into {
		if word = "WYPŁATA Z KASY"; kw > m.cash {
			return nil, refused(proto.RefusedCash)
		}
		kw = -kw
	}
	m.cash += kw
	m.centre("NIEFISKALNY")
	m.write(word, money(max(kw, -kw)))
	m.cut()
	return nil, nil
}

func (m *machine) dailyReport(in proto.Message) ([]proto.Param, error) {
	if err := m.idleDoc(); err != nil {
		return nil, err
	}
	m.days++
	m.p.Release(fiscal.ShiftOld)
	m.centre("RAPORT FISKALNY DOBOWY")
	m.write("Nr raportu", fmt.Sprint(m.days))
	m.write("Liczba paragonów", fmt.Sprint(m.dayCount))
	m.write("Łączna kwota", money(m.daySum))
	m.cut()
	m.dayCount, m.daySum = 0, 0
	return nil, nil
}

func (m *machine) shiftReport(in proto.Message) ([]proto.Param, error) {
	zero, err := boolean(in, "zr", false)
	if err == nil {
		err = m.idleDoc()
	}
	if err != nil {
		return nil, err
	}
	m.centre("RAPORT ZMIANY")
	m.write("Zmiana", in.Text("sh"))
	m.write("Liczba paragonów", fmt.Sprint(m.dayCount))
	m.write("Stan kasy", money(m.cash))
	m.cut()
	if zero {
		m.cash = 0
	}
	return nil, nil
}

func (m *machine) displayLine(in proto.Message) ([]proto.Param, error) {
	no, err := num(in, "no", true, 0, 0, int64(len(m.display)-1))
	if err != nil {
		return nil, err
	}
	ln, err := name(in, "ln", false, 30)
	if err != nil {
		return nil, err
	}
	m.display[no] = m.text(ln)
	return nil, nil
}

func (m *machine) displayText(in proto.Message) ([]proto.Param, error) {
	m.display = [4]string{}
	for i, l := range strings.Split(in.Text("st"), "\n") {
		if i < len(m.display) {
			m.display[i] = m.text(l)
		}
	}
	return nil, nil
}
