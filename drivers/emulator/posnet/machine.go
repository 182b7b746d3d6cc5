package posnet

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	proto "github.com/tillside/tillside/drivers/posnet"
)

// machine is the fiscal memory and the open document. It is guarded by Base.Mu.
type machine struct {
	p *Printer

	// fiscal memory
	receipts int
	turnover int64
	days     int
	dayCount int   // receipts since the daily report
	daySum   int64 // their sum
	cash     int64
	printed  int // documents

	// transaction
	open     bool
	block    bool
	items    int
	totals   [7]int64
	payments int64 // tenders
	given    int64 // change told as a payment of its own (re1)
	paidAny  bool
	held     []string // lines of a block receipt
	foot     bool     // closed with fe0, waits for its foot
	footers  int

	form    *formDoc
	code2d  string
	drawer  int
	display [4]string
}

type formDoc struct {
	number int
	lines  int
}

// refused ends a command with the printer's number; frameFault with a frame error.
type refused int
type frameFault struct {
	number int
	field  string
}

func (r refused) Error() string    { return fmt.Sprintf("refused %d", int(r)) }
func (f frameFault) Error() string { return fmt.Sprintf("frame error %d in %s", f.number, f.field) }

type doer func(m *machine, in proto.Message) ([]proto.Param, error)

// execute runs a command and makes the answer.
func (m *machine) execute(do doer, in proto.Message) proto.Message {
	out := proto.Message{Command: in.Command, Token: in.Token}
	var params []proto.Param
	var err error
	if m.p.Holds(fiscal.Busy) && !readOnly[in.Command] {
		err = refused(proto.RefusedOtherBusy)
	} else {
		params, err = do(m, in)
	}
	switch e := err.(type) {
	case nil:
		out.Params = params
	case refused:
		out.Refused, out.Refusal = true, int(e)
	case frameFault:
		return frameError(e.number, in.Token, in.Command, e.field)
	}
	return out
}

// num reads a whole number; def when absent and not needed.
func num(in proto.Message, id string, needed bool, def, min, max int64) (int64, error) {
	s, ok := in.Get(id)
	if !ok {
		if needed {
			return 0, frameFault{proto.FrameMissingField, id}
		}
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < min || n > max {
		return 0, frameFault{proto.FrameConversion, id}
	}
	return n, nil
}

func boolean(in proto.Message, id string, def bool) (bool, error) {
	s, ok := in.Get(id)
	switch {
	case !ok:
		return def, nil
	case s == "":
	case strings.ContainsRune("1tTyY", rune(s[0])): // clients also send "true"
		return true, nil
	case strings.ContainsRune("0nNfF", rune(s[0])):
		return false, nil
	}
	return false, frameFault{proto.FrameConversion, id}
}

// quantity reads thousandths.
func quantity(in proto.Message, id string) (int64, error) {
	s, ok := in.Get(id)
	if !ok {
		return 1000, nil
	}
	whole, frac, _ := strings.Cut(strings.Replace(s, ",", ".", 1), ".")
	if len(frac) > 3 || whole == "" {
		return 0, frameFault{proto.FrameConversion, id}
	}
	n, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 3-len(frac)), 10, 64)
	if err != nil {
		return 0, frameFault{proto.FrameConversion, id}
	}
	if n <= 0 {
		return 0, refused(proto.RefusedQuantity)
	}
	return n, nil
}

func (m *machine) total() (s int64) {
	for _, t := range m.totals {
		s += t
	}
	return s
}

func (m *machine) text(s string) string { return m.p.page.Decode([]byte(s)) }

// write prints a row of the receipt, now or at the end of a block receipt.
func (m *machine) write(left, right string) {
	row := m.row(left, right)
	if m.open && m.block {
		m.held = append(m.held, row...)
		return
	}
	for _, r := range row {
		m.p.Print(fiscal.Line{Text: r})
	}
}

// row lays a text and a right-aligned one into lines of the paper's width.
func (m *machine) row(left, right string) []string {
	w := m.p.opt.Columns
	l, r := []rune(left), []rune(right)
	var out []string
	for len(l) > w {
		out = append(out, string(l[:w]))
		l = l[w:]
	}
	gap := w - len(l) - len(r)
	switch {
	case right == "":
		return append(out, string(l))
	case gap < 1:
		return append(out, string(l), strings.Repeat(" ", max(0, w-len(r)))+string(r))
	}
	return append(out, string(l)+strings.Repeat(" ", gap)+string(r))
}

func (m *machine) centre(s string) {
	pad := max(0, (m.p.opt.Columns-len([]rune(s)))/2)
	m.write(strings.Repeat(" ", pad)+s, "")
}

func (m *machine) rule() { m.write(strings.Repeat("-", m.p.opt.Columns), "") }

func (m *machine) cut() { m.p.Print(fiscal.Line{Kind: "cut"}) }

func money(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d,%02d", sign, v/100, v%100)
}

// lines of the foot and their keywords. Ids that print the text alone have none.
var footWords = map[int64]string{
	0: "Nr transakcji", 1: "Punkty", 2: "Suma punktów", 3: "Nr rejestracyjny", 4: "Nazwisko", 5: "Karta", 6: "Nr karty",
	7: "Data ważności", 8: "Kasjer", 9: "Nazwa", 16: "Stan konta przed", 17: "Przyznano", 18: "Wykorzystano", 19: "Stan konta po",
	20: "Stały klient", 21: "Voucher", 22: "Nr vouchera", 23: "Wartość vouchera", 25: "", 28: "Nr klienta", 29: "Udzielono łącznie rabatów",
	30: "Numer", 31: "Kod", 32: "Nazwa", 33: "Opis", 34: "Liczba", 35: "Klient", 36: "Kwota", 37: "Promocja", 38: "Informacja", 41: "", 42: "",
}
