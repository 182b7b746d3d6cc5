// Package receipt lays out what is printed and shown: the loyalty block of a
// slip for a printer's columns, slips of their own (a return, a coupon, a
// stamp card, a joining), and the two lines of a customer display.
//
// It is pure. The rules decide what is said (loyalty.PrintLine, in the
// customer's language), or the builders here do with the words of words/*.json;
// a Paper decides where it stands:
//
//	{pair "Balance" "1,234.50"}   ->  "Balance               1,234.50"
//	{text "120 more to Silver"}   ->  wrapped at words, continuation lines kept
//
// A column is one character of normal width; "big" letters take two. Every
// laid-out line has at most the given columns; nothing is ever cut off, since
// half a sum is worse than one more line.
//
// Letters that the device lacks are replaced before anything is measured
// (Paper.Spell): on a Polish printer Щ is four letters, and a line that was
// wrapped before that would not fit any more.
package receipt

import (
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
)

// Bounds of the columns a slip is laid out for.
const (
	MinColumns = 16
	MaxColumns = 64
)

// Paper is what a slip is laid out for.
type Paper struct {
	Columns int
	// Wide is how many letters of double width a line holds. 0 means half the
	// columns; below 0 there are none, and big letters become bold ones.
	Wide int
	// Spell writes texts that stand on one line in the letters the device has.
	// Nil: it has them all.
	Spell func(parts ...string) []string
	// Draws tells whether a code comes out as bars; one that does not is
	// printed as text. Nil: every code does.
	Draws func(Row) bool
}

// Row is one laid-out row. Exactly one of Text, Code and QR is meant: a row
// of text (which may be empty), a linear barcode or a QR code.
type Row struct {
	Text string // with the blanks that align it, but for big letters
	Bold bool
	Big  bool   // double width and height; at most Wide letters
	Code string // data of a linear barcode
	QR   string // data of a QR code
	// Align of big letters, a printer's own business: left, center, right.
	Align string

	columns int
}

// Layout lays paragraphs out for a number of columns and any letters.
func Layout(lines []loyalty.PrintLine, columns int) []Row {
	return Paper{Columns: columns}.Layout(lines)
}

// Layout lays paragraphs out.
func (p Paper) Layout(lines []loyalty.PrintLine) []Row {
	p.Columns = min(max(p.Columns, MinColumns), MaxColumns)
	if p.Wide == 0 {
		p.Wide = p.Columns / 2
	}
	var rows []Row
	for _, l := range lines {
		rows = append(rows, p.paragraph(l)...)
	}
	for i := range rows {
		rows[i].Text, rows[i].columns = plainSpaces(rows[i].Text), p.Columns
	}
	return rows
}

func (p Paper) paragraph(l loyalty.PrintLine) (rows []Row) {
	text := p.spell(l.Text, l.Right)
	wrap := Wrap
	if l.Align == "center" || l.Kind == "big" {
		wrap = Balanced
	}
	add := func(lines []string, align string, bold bool) {
		for _, s := range lines {
			rows = append(rows, Row{Text: place(s, p.Columns, align), Bold: bold})
		}
	}
	switch l.Kind {
	case "barcode", "qr":
		r := Row{Code: l.Text}
		if l.Kind == "qr" {
			r = Row{QR: l.Text}
		}
		if p.Draws == nil || p.Draws(r) {
			return append(rows, r)
		}
		add(Wrap(text[0], p.Columns), "center", true)
	case "rule":
		add([]string{strings.Repeat("-", p.Columns)}, "", false)
	case "blank":
		rows = append(rows, Row{})
	case "pair":
		add(pair(text[0], text[1], p.Columns), "", l.Bold)
	case "big":
		align := l.Align
		if align == "" {
			align = "center"
		}
		// A word broken in two is worse than a small one.
		if p.Wide < 2 || longest(text[0]) > p.Wide {
			add(wrap(p.spaced(text[0]), p.Columns), align, true)
			break
		}
		for _, s := range wrap(text[0], p.Wide) {
			rows = append(rows, Row{Text: s, Bold: l.Bold, Big: true, Align: align})
		}
	default:
		add(wrap(text[0], p.Columns), l.Align, l.Bold)
	}
	return rows
}

// spaced gives a title in capitals the room that big letters would give it, for
// printers that know neither big nor bold ones: К У П О Н.
func (p Paper) spaced(s string) string {
	if s != strings.ToUpper(s) || s == strings.ToLower(s) || width(s)*2-1 > p.Columns {
		return s
	}
	var words []string
	for _, w := range strings.Fields(s) {
		var letters []string
		for len(w) > 0 {
			n, _ := cluster(w)
			letters = append(letters, w[:n])
			w = w[n:]
		}
		words = append(words, strings.Join(letters, string(hard)))
	}
	return strings.Join(words, string(hard)+" ")
}

// spell cleans texts that stand on one line and writes them in the letters of
// the device. The blanks inside numbers stay what they are until all is laid
// out.
func (p Paper) spell(texts ...string) []string {
	for i := range texts {
		texts[i] = clean(texts[i])
	}
	if p.Spell == nil {
		return texts
	}
	var parts []string
	var count []int
	for _, s := range texts {
		held := strings.Split(s, string(hard))
		parts, count = append(parts, held...), append(count, len(held))
	}
	parts = p.Spell(parts...)
	for i, n := range count {
		texts[i] = strings.Join(parts[:n], string(hard))
		parts = parts[n:]
	}
	return texts
}

// Text gives the rows as plain lines, for a printer that somebody else
// drives: big letters are as wide as others, codes are their text.
func Text(rows []Row) []string {
	lines := []string{}
	for _, r := range rows {
		switch {
		case r.Code != "", r.QR != "":
			for _, s := range Wrap(clean(r.Code+r.QR), r.columns) {
				lines = append(lines, place(plainSpaces(s), r.columns, "center"))
			}
		case r.Big:
			lines = append(lines, place(r.Text, r.columns, r.Align))
		default:
			lines = append(lines, strings.TrimRight(r.Text, " "))
		}
	}
	return lines
}
