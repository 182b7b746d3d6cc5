package datecs

import (
	"fmt"
	"strconv"
	"strings"

	proto "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

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
