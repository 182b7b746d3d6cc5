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
