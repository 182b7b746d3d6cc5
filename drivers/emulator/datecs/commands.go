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
