package datecs

import (
	"fmt"
	"strconv"
	"strings"

	proto "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

type command struct {
	do     func(m *machine, in input) ([]string, error)
	prints bool
	slow   bool
	pmOnly bool
}

var commands map[uint16]command

func init() { // a composite literal would refer to itself through the machine
	commands = map[uint16]command{
		0x21: {do: showClear},
		0x23: {do: func(m *machine, in input) ([]string, error) { return show(m, in, 1) }},
		0x2F: {do: func(m *machine, in input) ([]string, error) { return show(m, in, 0) }},
		0x26: {do: slipOpen, prints: true},
		0x2A: {do: slipText, prints: true},
		0x27: {do: slipClose, prints: true},
		0x2C: {do: feed, prints: true},
		0x2D: {do: cutPaper},
		0x2E: {do: cutPaper, pmOnly: true},
		0x30: {do: openReceipt, prints: true},
		0x31: {do: sell, prints: true},
		0x33: {do: subtotal, prints: true},
		0x35: {do: pay, prints: true},
		0x36: {do: comment, prints: true},
		0x38: {do: closeReceipt, prints: true},
		0x3C: {do: cancel, prints: true},
		0x3D: {do: setClock},
		0x3E: {do: getClock},
		0x45: {do: report, prints: true, slow: true},
		0x46: {do: cashInOut, prints: true},
		0x4A: {do: status},
		0x4C: {do: receiptState},
		0x54: {do: barcode, prints: true},
		0x5A: {do: diagnostics},
		0x63: {do: taxpayer},
		0x64: {do: explain, pmOnly: true},
		0x6A: {do: drawer},
		0x6D: {do: duplicate, prints: true},
		0x71: {do: lastNumber},
		0x7B: {do: deviceInfo},
	}
}

func showClear(m *machine, _ input) ([]string, error) {
	m.display = [2]string{}
	return nil, nil
}

// first is the text of a command that has one field.
func (in input) first() string {
	if in.pm {
		return in.field(0)
	}
	return in.raw
}

func show(m *machine, in input, row int) ([]string, error) {
	s := m.text(in.first())
	if r := []rune(s); len(r) > 20 {
		s = string(r[:20])
	}
	m.display[row] = s
	return nil, nil
}

func (m *machine) free() error {
	switch {
	case m.open:
		return wrong(proto.ErrFiscalOpen)
	case m.slip:
		return wrong(proto.ErrNonFiscalOpen)
	}
	return nil
}

func (m *machine) counters() []string {
	m.documents++
	if m.p.opt.Form == proto.PM {
		return []string{fmt.Sprint(m.documents)}
	}
	return []string{fmt.Sprintf("%04d", m.documents), fmt.Sprintf("%04d", m.receipts)}
}

func slipOpen(m *machine, _ input) ([]string, error) {
	if err := m.free(); err != nil {
		return nil, err
	}
	m.slip = true
	m.centre("СЛУЖЕБЕН БОН")
	if m.p.opt.Form == proto.PM {
		return m.counters(), nil
	}
	return m.counters()[:1], nil
}

func slipText(m *machine, in input) ([]string, error) {
	s := in.first()
	switch {
	case !m.slip:
		return nil, wrong(proto.ErrReceiptClosed)
	case s == "" && !in.pm:
		return nil, syntax(proto.ErrSyntax)
	}
	m.print(m.text(s), "")
	return nil, nil
}

func slipClose(m *machine, _ input) ([]string, error) {
	if !m.slip {
		return nil, wrong(proto.ErrReceiptClosed)
	}
	m.slip = false
	m.print(m.p.opt.Now().Format("02-01-2006 15:04:05"), fmt.Sprintf("%07d", m.documents))
	m.centre("СЛУЖЕБЕН БОН")
	m.cut()
	if m.p.opt.Form == proto.PM {
		return []string{fmt.Sprint(m.documents)}, nil
	}
	return []string{fmt.Sprintf("%04d", m.documents)}, nil
}

func feed(m *machine, in input) ([]string, error) {
	n, err := strconv.Atoi(in.first())
	if in.first() == "" {
		n, err = 1, nil
	}
	if err != nil || n < 1 || n > 99 {
		return nil, syntax(proto.ErrSyntax)
	}
	m.p.Feed(n)
	return nil, nil
}

func cutPaper(m *machine, _ input) ([]string, error) {
	m.cut()
	return nil, nil
}

func openReceipt(m *machine, in input) ([]string, error) {
	f := in.f
	if !in.pm {
		f = strings.Split(strings.SplitN(in.raw, "\t", 2)[0], ",")
	}
	if len(f) < 3 {
		return nil, syntax(proto.ErrSyntax)
	}
	if n, err := strconv.Atoi(f[0]); err != nil || n < 1 || n > 30 {
		return nil, syntax(proto.ErrBadInput)
	}
	if f[1] == "" {
		return nil, fault{proto.ErrPassword, notNow}
	}
	// The sale number has two dashes; it stands before or after the till.
	sale := ""
	for _, s := range f[2:] {
		if strings.Count(s, "-") == 2 {
			sale = s
		} else if _, err := strconv.Atoi(s); s != "" && s != "I" && err != nil {
			return nil, syntax(proto.ErrBadInput)
		}
	}
	if err := m.free(); err != nil {
		return nil, err
	}
	switch {
	case m.p.Holds(fiscal.ShiftOld):
		return nil, wrong(proto.ErrDayOver)
	case m.p.Holds(fiscal.MemFull):
		return nil, wrong(proto.ErrMemoryFull)
	}
	m.open, m.items, m.totals, m.paid, m.paying, m.change = true, 0, [8]int64{}, 0, false, 0
	m.centre("ТИЛСАЙД ТЕСТ ООД")
	m.print("#"+m.text(f[0]), "")
	if sale != "" {
		m.print("УНП: "+m.text(sale), "")
	}
	return m.counters(), nil
}

// group finds the tax group of a letter or a number.
func (m *machine) group(s string) (int, bool) {
	r := []rune(m.text(s))
	if len(r) != 1 {
		return 0, false
	}
	for _, letters := range []string{"АБВГДЕЖЗ", "ABCDEFGH", "12345678"} {
		for i, l := range []rune(letters) {
			if l == r[0] {
				return i, true
			}
		}
	}
	return 0, false
}

// decimal reads a number with at most places decimals as a whole number of the
// smallest.
func decimal(s string, places int) (int64, bool) {
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	whole, frac, _ := strings.Cut(s, ".")
	if whole == "" || len(whole) > 8 {
		return 0, false
	}
	for len(frac) > places && strings.HasSuffix(frac, "0") {
		frac = frac[:len(frac)-1]
	}
	if len(frac) > places {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+frac+strings.Repeat("0", places-len(frac)), 10, 62)
	v := int64(n)
	if neg {
		v = -v
	}
	return v, err == nil
}

// sale is a parsed item.
type sale struct {
	name     string
	group    int
	price    int64
	quantity int64 // thousandths
	percent  int64 // hundredths, positive adds
	amount   int64 // positive adds
}

func (in input) sale() (s sale, ok bool) {
	s.quantity = 1000
	var good bool
	if in.pm {
		s.name = in.field(0)
		if s.group, ok = in.m.group(in.field(1)); !ok {
			return s, false
		}
		if s.price, ok = decimal(in.field(2), 2); !ok {
			return s, false
		}
		if q := in.field(3); q != "" {
			if s.quantity, ok = decimal(q, 3); !ok {
				return s, false
			}
		}
		kind, value := in.field(4), in.field(5)
		if kind == "" || kind == "0" {
			return s, true
		}
		v, good := decimal(value, 2)
		switch kind {
		case "1":
			s.percent = v
		case "2":
			s.percent = -v
		case "3":
			s.amount = v
		case "4":
			s.amount = -v
		default:
			good = false
		}
		return s, good && v >= 0
	}
	name, rest, found := strings.Cut(in.raw, "\t")
	if !found || rest == "" {
		return s, false
	}
	s.name = name
	if dept, price, found := strings.Cut(rest, "\t"); found { // a department instead of a group
		n, err := strconv.Atoi(dept)
		if err != nil || n < 1 || n > 99 {
			return s, false
		}
		s.group, rest = 1, price
	} else {
		if s.group, ok = in.m.group(rest[:1]); !ok {
			return s, false
		}
		rest = rest[1:]
	}
	if rest, s.percent, s.amount, good = modifiers(rest); !good {
		return s, false
	}
	price, quantity, has := strings.Cut(rest, "*")
	if has {
		if s.quantity, ok = decimal(quantity, 3); !ok {
			return s, false
		}
	}
	s.price, ok = decimal(price, 2)
	return s, ok
}

// modifiers takes ",±percent" and ";±amount" or "$±amount" off the end.
func modifiers(s string) (rest string, percent, amount int64, ok bool) {
	ok = true
	if i := strings.IndexAny(s, ";$"); i >= 0 {
		value, more, _ := strings.Cut(s[i+1:], ",")
		if amount, ok = decimal(value, 2); !ok {
			return s, 0, 0, false
		}
		if s = s[:i]; more != "" {
			s += "," + more
		}
	}
	if i := strings.IndexByte(s, ','); i >= 0 {
		if percent, ok = decimal(s[i+1:], 2); !ok || percent < -9900 || percent > 9900 {
			return s, 0, 0, false
		}
		s = s[:i]
	}
	return s, percent, amount, ok
}

func sell(m *machine, in input) ([]string, error) {
	s, ok := in.sale()
	switch {
	case !ok:
		return nil, syntax(proto.ErrSyntax)
	case !m.open:
		return nil, wrong(proto.ErrReceiptClosed)
	case m.paying:
		return nil, wrong(proto.ErrPaymentStarted)
	case m.items >= 512:
		return nil, wrong(proto.ErrTooManySales)
	}
	value := (s.price*s.quantity + 500) / 1000
	if s.price*s.quantity < 0 {
		value = (s.price*s.quantity - 500) / 1000
	}
	change := s.amount + half(value*s.percent)
	switch {
	case value > 99_999_999 || value == 0 && s.price != 0:
		return nil, fault{proto.ErrValue, overflow}
	case m.totals[s.group]+value+change < 0:
		return nil, fault{proto.ErrValue, overflow}
	}
	m.totals[s.group] += value + change
	m.items++
	letter := string([]rune("АБВГДЕЖЗ")[s.group])
	if s.quantity != 1000 {
		m.print(fmt.Sprintf("%d.%03d x %s", s.quantity/1000, s.quantity%1000, money(s.price)), "")
	}
	m.print(m.text(strings.ReplaceAll(s.name, "\n", " ")), money(value)+" "+letter)
	m.modified(change)
	return nil, nil
}

// half divides by 10,000 and rounds half away from zero.
func half(v int64) int64 {
	if v < 0 {
		return (v - 5000) / 10000
	}
	return (v + 5000) / 10000
}

func (m *machine) modified(change int64) {
	switch {
	case change < 0:
		m.print("  ОТСТЪПКА", money(change))
	case change > 0:
		m.print("  НАДБАВКА", money(change))
	}
}

func subtotal(m *machine, in input) ([]string, error) {
	var percent, amount int64
	printed := true
	ok := true
	if in.pm {
		printed = in.field(0) != "0"
		kind := in.field(2)
		if kind != "" && kind != "0" {
			s, good := (input{m: m, pm: true, f: []string{"", "1", "0", "", kind, in.field(3)}}).sale()
			percent, amount, ok = s.percent, s.amount, good
		}
	} else if in.raw != "" {
		var flags string
		if flags, percent, amount, ok = modifiers(in.raw); len(flags) > 2 {
			ok = false
		}
		printed = !strings.HasPrefix(flags, "0")
	}
	switch {
	case !ok:
		return nil, syntax(proto.ErrSyntax)
	case !m.open:
		return nil, wrong(proto.ErrReceiptClosed)
	case m.paying:
		return nil, wrong(proto.ErrPaymentStarted)
	}
	sum := m.total()
	change := amount + half(sum*percent)
	if sum+change < 0 {
		return nil, fault{proto.ErrValue, overflow}
	}
	if printed {
		m.print("МЕЖДИННА СУМА", money(sum))
	}
	m.spread(change)
	m.modified(change)
	out := []string{}
	if in.pm {
		out = append(out, fmt.Sprint(m.documents), money(m.total()))
		for _, t := range m.totals {
			out = append(out, money(t))
		}
		return out, nil
	}
	out = append(out, cents(m.total()))
	for _, t := range m.totals {
		out = append(out, cents(t))
	}
	return out, nil
}

// spread puts a change of the subtotal on the groups in proportion.
func (m *machine) spread(change int64) {
	base, left := m.total(), change
	for i, t := range m.totals {
		if t == 0 {
			continue
		}
		part := left
		if base != t {
			part = left * t / base
		}
		base -= t
		m.totals[i] += part
		left -= part
	}
}

func pay(m *machine, in input) ([]string, error) {
	kind, value, label := "P", "", ""
	if in.pm {
		if kind = in.field(0); kind == "" {
			kind = "0"
		}
		value = in.field(1)
	} else {
		var rest string
		if label, rest, _ = strings.Cut(in.raw, "\t"); rest != "" {
			kind, value = rest[:1], rest[1:]
		}
	}
	words := map[string]string{"P": "В БРОЙ", "0": "В БРОЙ", "D": "ДЕБ.КАРТА", "1": "КРЕД.КАРТА", "C": "КРЕД.КАРТА", "N": "КРЕДИТ", "2": "КРЕДИТ",
		"3": "ДЕБ.КАРТА", "4": "ВАУЧЕР", "5": "КУПОН"}
	word, ok := words[kind]
	amount := m.total() - m.paid
	if ok && value != "" {
		amount, ok = decimal(value, 2)
	}
	switch {
	case !ok || amount < 0:
		return nil, syntax(proto.ErrSyntax)
	case !m.open:
		return nil, wrong(proto.ErrReceiptClosed)
	case m.items == 0:
		return nil, wrong(proto.ErrTotalZero)
	case m.paying && m.paid >= m.total():
		return nil, wrong(proto.ErrPaymentStarted)
	}
	if !m.paying {
		m.print("ОБЩА СУМА", money(m.total()))
	}
	m.paying = true
	m.paid += amount
	if label != "" {
		m.print(m.text(label), "")
	}
	m.print(word, money(amount))
	state, rest := "D", m.total()-m.paid
	if rest <= 0 {
		state, rest = "R", -rest
		if m.change = rest; rest > 0 {
			m.print("РЕСТО", money(rest))
		}
	}
	if in.pm {
		return []string{state, money(rest)}, nil
	}
	return []string{state + cents(rest)}, nil
}

func comment(m *machine, in input) ([]string, error) {
	s := in.first()
	switch {
	case !m.open:
		return nil, wrong(proto.ErrReceiptClosed)
	case s == "" && !in.pm:
		return nil, syntax(proto.ErrSyntax)
	}
	r := []rune(m.text(s))
	m.print("#"+string(r[:min(len(r), m.p.opt.Columns-1)]), "")
	return nil, nil
}

func closeReceipt(m *machine, _ input) ([]string, error) {
	switch {
	case !m.open:
		return nil, wrong(proto.ErrReceiptClosed)
	case m.items == 0:
		return nil, wrong(proto.ErrTotalZero)
	case !m.paying:
		return nil, wrong(proto.ErrNoPayment)
	case m.paid < m.total():
		return nil, wrong(proto.ErrUnpaid)
	}
	m.open = false
	m.receipts++
	m.dayCount++
	m.turnover += m.total()
	m.daySum += m.total()
	m.cash += m.total()
	m.print(m.p.opt.Now().Format("02-01-2006 15:04:05"), fmt.Sprintf("%07d", m.receipts))
	m.centre("ФИСКАЛЕН БОН")
	m.print(m.p.opt.Serial, m.p.opt.Memory)
	m.cut()
	if m.p.opt.Form == proto.PM {
		return []string{fmt.Sprint(m.receipts)}, nil
	}
	return []string{fmt.Sprintf("%04d", m.documents), fmt.Sprintf("%04d", m.receipts)}, nil
}

func cancel(m *machine, _ input) ([]string, error) {
	if !m.open {
		return nil, wrong(proto.ErrReceiptClosed)
	}
	m.open, m.totals, m.paid = false, [8]int64{}, 0
	m.centre("АНУЛИРАНО")
	m.cut()
	return nil, nil
}

func setClock(m *machine, _ input) ([]string, error) { return nil, m.free() }

func getClock(m *machine, _ input) ([]string, error) {
	return []string{m.p.opt.Now().Format("02-01-06 15:04:05")}, nil
}

func report(m *machine, in input) ([]string, error) {
	z := false
	switch in.first() {
	case "", "0", "Z":
		z = true
	case "2", "X":
	default:
		return nil, syntax(proto.ErrSyntax)
	}
	if err := m.free(); err != nil {
		return nil, err
	}
	name, number := "X ОТЧЕТ", fmt.Sprint(m.days+1)
	if z {
		m.days++
		name = "ДНЕВЕН ФИНАНСОВ ОТЧЕТ Z"
		m.p.Release(fiscal.ShiftOld)
	}
	m.centre(name)
	m.print("НОМЕР", number)
	m.print("БРОЙ БОНОВЕ", fmt.Sprint(m.dayCount))
	m.print("ОБОРОТ", money(m.daySum))
	m.print("КАСА", money(m.cash))
	m.cut()
	sum := m.daySum
	if z {
		m.dayCount, m.daySum = 0, 0
	}
	if in.pm {
		return []string{number, money(sum)}, nil
	}
	return []string{number, cents(sum)}, nil
}

func cashInOut(m *machine, in input) ([]string, error) {
	value, sign := in.raw, int64(1)
	if in.pm {
		if value = in.field(1); in.field(0) == "1" {
			sign = -1
		}
	}
	amount, ok := decimal(value, 2)
	amount *= sign
	if value == "" {
		amount, ok = 0, true
	}
	switch err := m.free(); {
	case !ok:
		return nil, syntax(proto.ErrSyntax)
	case err != nil:
		return nil, err
	case m.cash+amount < 0:
		return nil, wrong(proto.ErrNoCash)
	}
	m.cash += amount
	switch {
	case amount > 0:
		m.print("СЛУЖЕБНО ВЪВЕДЕНИ", money(amount))
	case amount < 0:
		m.print("СЛУЖЕБНО ИЗВЕДЕНИ", money(-amount))
	}
	if in.pm {
		return []string{money(m.cash), "0.00", "0.00"}, nil
	}
	return []string{"P" + cents(m.cash), cents(0), cents(0)}, nil
}

func status(m *machine, in input) ([]string, error) {
	if in.pm {
		return nil, nil
	}
	return []string{string(m.status())}, nil
}

func receiptState(m *machine, in input) ([]string, error) {
	open := "0"
	if m.open {
		open = "1"
	}
	if in.pm {
		return []string{open, fmt.Sprint(m.documents), fmt.Sprint(m.items), money(m.total()), money(m.paid)}, nil
	}
	return []string{open, fmt.Sprintf("%04d", m.items), cents(m.total()), cents(m.paid)}, nil
}

func barcode(m *machine, in input) ([]string, error) {
	kind, data, ok := strings.Cut(in.raw, ";")
	if in.pm {
		kind, data, ok = in.field(0), in.field(1), true
	}
	n, err := strconv.Atoi(kind)
	switch {
	case !ok || err != nil || n < 1 || n > 7 || data == "":
		return nil, syntax(proto.ErrSyntax)
	case !m.open && !m.slip:
		return nil, wrong(proto.ErrReceiptClosed)
	}
	what := "barcode"
	if in.pm && n == 4 {
		what = "qr"
	}
	m.p.Print(fiscal.Line{Kind: what, Text: m.text(data)})
	return nil, nil
}

func diagnostics(m *machine, in input) ([]string, error) {
	o, now := m.p.opt, m.p.opt.Now()
	if in.pm {
		return []string{o.Model, o.Firmware, now.Format("02Jan06"), now.Format("1504"), "4294", "00000000", o.Serial, o.Memory}, nil
	}
	return []string{o.Model, o.Firmware, strings.ToUpper(now.Format("02Jan06 1504")), "4294", o.Serial, o.Memory}, nil
}

func taxpayer(*machine, input) ([]string, error) { return []string{"123456789", "BULSTAT"}, nil }

func explain(_ *machine, in input) ([]string, error) {
	n, err := strconv.Atoi(in.first())
	if err != nil {
		return nil, syntax(proto.ErrSyntax)
	}
	return []string{fmt.Sprint(n), proto.Meaning(n)}, nil
}

func drawer(m *machine, _ input) ([]string, error) {
	m.p.Print(fiscal.Line{Kind: "drawer"})
	return nil, nil
}

func duplicate(m *machine, in input) ([]string, error) {
	if err := m.free(); err != nil {
		return nil, err
	}
	if m.receipts == 0 {
		return nil, wrong(proto.ErrImpossible)
	}
	m.centre("ДУБЛИКАТ")
	m.print("ОБЩА СУМА", money(m.total()))
	m.cut()
	return nil, nil
}

func lastNumber(m *machine, _ input) ([]string, error) {
	return []string{fmt.Sprintf("%07d", m.receipts)}, nil
}

func deviceInfo(m *machine, _ input) ([]string, error) {
	return []string{m.p.opt.Serial, m.p.opt.Memory, string(m.p.page.Encode("ТИЛСАЙД ТЕСТ ООД"))}, nil
}
