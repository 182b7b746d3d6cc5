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
