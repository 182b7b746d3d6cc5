package posnet

import (
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/posnet"
)

// masks of the numbered lines: the widths of their fields.
var masks = map[int64][]int{
	664: {16, 23}, 665: {29, 10}, 711: {38}, 607: {24}, 592: {24}, 612: {24},
}

var maskWords = map[int64]string{607: "Saldo", 592: "Klient", 612: "Promocja"}

func formNumber(n int64) bool { return n >= 2 && n <= 43 || n == 200 || n == 201 }

func (m *machine) formStart(in proto.Message) ([]proto.Param, error) {
	fn, err := num(in, "fn", true, 0, 0, 999)
	if err != nil {
		return nil, err
	}
	fh, err := num(in, "fh", false, 84, 0, 999)
	if err != nil {
		return nil, err
	}
	al, err := name(in, "al", false, 56)
	switch {
	case err != nil:
		return nil, err
	case !formNumber(fn):
		return nil, refused(proto.RefusedFormID)
	case m.open:
		return nil, refused(proto.RefusedInTransaction)
	case m.foot:
		return nil, refused(2062)
	case m.form != nil:
		return nil, refused(proto.RefusedFormStarted)
	case fn == 201 && m.p.opt.Columns <= 40:
		return nil, refused(2508)
	case fh < 1 || fh > 255:
		return nil, refused(proto.RefusedFormHeader)
	}
	m.form = &formDoc{number: int(fn)}
	m.centre("NIEFISKALNY")
	if fh != 85 {
		m.centre("DOKUMENT NIEFISKALNY")
	}
	if al != "" {
		m.write(m.text(al), "")
	}
	return nil, nil
}

// inForm checks that the form of a command is the one that is open.
func (m *machine) inForm(in proto.Message) error {
	fn, err := num(in, "fn", true, 0, 0, 999)
	switch {
	case err != nil:
		return err
	case m.form == nil:
		return refused(proto.RefusedFormNotStarted)
	case int(fn) != m.form.number:
		return refused(proto.RefusedFormID)
	}
	return nil
}

// free checks a free text: the heading of a receipt is nobody else's.
func free(s string) error {
	if strings.Contains(strings.ToUpper(s), "PARAGON FISKALNY") {
		return refused(proto.RefusedValue)
	}
	return nil
}

func (m *machine) formLine(in proto.Message) ([]proto.Param, error) {
	if err := m.inForm(in); err != nil {
		return nil, err
	}
	fl, err := num(in, "fl", true, 0, 0, 9999)
	if err != nil {
		return nil, err
	}
	widths, ok := masks[fl]
	if !ok {
		return nil, refused(proto.RefusedFormLine)
	}
	fields := strings.Split(in.Text("s1"), "\n")
	if len(fields) > len(widths) {
		return nil, refused(proto.RefusedFormParams)
	}
	row := maskWords[fl]
	for i, f := range fields {
		if len(f) > widths[i] {
			return nil, refused(proto.RefusedFormParams)
		}
		if err := free(f); err != nil {
			return nil, err
		}
		if row != "" {
			row += " "
		}
		row += m.text(f)
	}
	if fl == 711 {
		row = "|" + row + strings.Repeat(" ", max(0, 38-len([]rune(row)))) + "|"
	}
	m.form.lines++
	m.write(row, "")
	return nil, nil
}

func (m *machine) formFormatted(in proto.Message) ([]proto.Param, error) {
	if err := m.inForm(in); err != nil {
		return nil, err
	}
	s, ok := in.Get("s1")
	switch {
	case !ok:
		return nil, frameFault{proto.FrameMissingField, "s1"}
	case m.form.number != 200 && m.form.number != 201:
		return nil, refused(proto.RefusedFormLine)
	case len(s) > 96:
		return nil, refused(proto.RefusedFormParams)
	}
	l := fiscal.Line{}
	centre := false
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '&' || i+1 == len(s) {
			text.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'c':
			centre = true
		case 'b':
			l.Bold = true
		case 'h':
			l.Height = 2
		case 'u', 'i':
		default:
			return nil, refused(proto.RefusedFormParams)
		}
	}
	if text.Len() > 56 {
		return nil, refused(proto.RefusedTextLong)
	}
	if err := free(text.String()); err != nil {
		return nil, err
	}
	l.Text = m.text(text.String())
	if n := len([]rune(l.Text)); centre && n < m.p.opt.Columns {
		l.Text = strings.Repeat(" ", (m.p.opt.Columns-n)/2) + l.Text
	}
	m.form.lines++
	m.p.Print(l)
	return nil, nil
}

func (m *machine) formBarcode(in proto.Message) ([]proto.Param, error) {
	if err := m.inForm(in); err != nil {
		return nil, err
	}
	bt, err := num(in, "bt", false, 0, 0, 1)
	if err != nil {
		return nil, err
	}
	bc, ok := in.Get("bc")
	switch {
	case !ok:
		return nil, frameFault{proto.FrameMissingField, "bc"}
	case bc == "":
		return nil, refused(proto.RefusedTextEmpty)
	case bt == 1 && len(bc) != 12 && len(bc) != 13:
		return nil, refused(proto.RefusedFormParams)
	}
	m.p.Print(fiscal.Line{Kind: "barcode", Text: m.text(bc)})
	return nil, nil
}

func (m *machine) prepareQR(in proto.Message) ([]proto.Param, error) {
	tx, ok := in.Get("tx")
	if !ok {
		return nil, frameFault{proto.FrameMissingField, "tx"}
	}
	px, err := num(in, "px", false, 4, 0, 20)
	if err != nil {
		return nil, err
	}
	if _, err := num(in, "el", false, 1, 0, 3); err != nil {
		return nil, err
	}
	switch {
	case len(tx) > 2000 || tx == "":
		return nil, refused(3200)
	case px < 2:
		return nil, refused(3202)
	}
	m.code2d = m.text(tx)
	return nil, nil
}

func (m *machine) formQR(in proto.Message) ([]proto.Param, error) {
	if err := m.inForm(in); err != nil {
		return nil, err
	}
	if m.code2d == "" {
		return nil, refused(3203)
	}
	m.p.Print(fiscal.Line{Kind: "qr", Text: m.code2d})
	m.code2d = ""
	return nil, nil
}

func (m *machine) formCommand(in proto.Message) ([]proto.Param, error) {
	if err := m.inForm(in); err != nil {
		return nil, err
	}
	cm, err := num(in, "cm", true, 0, 0, 1)
	if err != nil {
		return nil, err
	}
	if cm == 0 {
		m.p.Feed(1)
	} else {
		m.rule()
	}
	return nil, nil
}

func (m *machine) formEnd(in proto.Message) ([]proto.Param, error) {
	if err := m.inForm(in); err != nil {
		return nil, err
	}
	m.form = nil
	m.write("", fmt.Sprintf("#%s", m.p.opt.Now().Format("2006-01-02 15:04")))
	m.centre("NIEFISKALNY")
	m.printed++
	m.cut()
	return nil, nil
}

func (m *machine) formStarted(proto.Message) ([]proto.Param, error) {
	return []proto.Param{proto.P("is", yn(m.form != nil))}, nil
}
