// Package receipt lays out what is printed and shown: the loyalty block of a
// slip for a printer's columns, and the two lines of a customer display.
//
// It is pure. The rules decide what is said (loyalty.PrintLine, in the
// customer's language); this package decides where on the paper it stands:
//
//	{pair "Balance" "1,234.50"}   ->  "Balance               1,234.50"
//	{text "120 more to Silver"}   ->  wrapped at words, continuation lines kept
//
// A column is one character of normal width; "big" letters take two. Every
// laid-out line has at most the given columns; nothing is ever cut off, since
// half a sum is worse than one more line.
package receipt

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tillside/tillside/agent/loyalty"
)

// Bounds of the columns a slip is laid out for.
const (
	MinColumns = 16
	MaxColumns = 64
)

// Row is one laid-out row. Exactly one of Text, Code and QR is meant: a row
// of text (which may be empty), a linear barcode or a QR code.
type Row struct {
	Text string
	Bold bool
	Big  bool   // double width and height; Text has at most half the columns
	Code string // data of a linear barcode
	QR   string // data of a QR code
}

// Layout lays paragraphs out for a number of columns.
func Layout(lines []loyalty.PrintLine, columns int) []Row {
	columns = min(max(columns, MinColumns), MaxColumns)
	var rows []Row
	for _, l := range lines {
		switch l.Kind {
		case "barcode":
			rows = append(rows, Row{Code: l.Text})
		case "qr":
			rows = append(rows, Row{QR: l.Text})
		case "rule":
			rows = append(rows, Row{Text: strings.Repeat("-", columns)})
		case "blank":
			rows = append(rows, Row{})
		case "pair":
			for _, s := range pair(clean(l.Text), clean(l.Right), columns) {
				rows = append(rows, Row{Text: s, Bold: l.Bold})
			}
		case "big":
			for _, s := range Wrap(clean(l.Text), columns/2) {
				rows = append(rows, Row{Text: place(s, columns/2, orCenter(l.Align)), Bold: l.Bold, Big: true})
			}
		default:
			for _, s := range Wrap(clean(l.Text), columns) {
				rows = append(rows, Row{Text: place(s, columns, l.Align), Bold: l.Bold})
			}
		}
	}
	for i := range rows {
		rows[i].Text = plainSpaces(rows[i].Text)
	}
	return rows
}

// plainSpaces replaces the spaces that hold a number together, once the lines
// are laid out: few printers have them.
func plainSpaces(s string) string { return strings.ReplaceAll(s, "\u00a0", " ") }

func orCenter(align string) string {
	if align == "" {
		return "center"
	}
	return align
}

// Text gives the rows as plain lines, for a printer that somebody else
// drives. Barcodes are not among them; big letters are as wide as others.
func Text(rows []Row) []string {
	lines := []string{}
	for _, r := range rows {
		if r.Code == "" && r.QR == "" {
			lines = append(lines, strings.TrimRight(r.Text, " "))
		}
	}
	return lines
}

// clean keeps control characters away from a printer: in a name or a rule's
// text they could be commands.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError, unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
}

func width(s string) int { return utf8.RuneCountInString(s) }

// pair puts one text left and one right. When they do not fit on one line the
// left one is wrapped and the right one stands at the end of the last line, or
// on its own.
func pair(left, right string, columns int) []string {
	if right == "" {
		return Wrap(left, columns)
	}
	if width(right) > columns {
		return append(Wrap(left, columns), Wrap(right, columns)...)
	}
	lines := Wrap(left, columns)
	last := lines[len(lines)-1]
	if width(last)+1+width(right) > columns && width(last) > 0 {
		// Leave room beside the last word rather than a line for the number
		// alone, where the words allow it.
		if room := columns - 1 - width(right); room >= columns/3 && room >= longest(left) {
			lines = Wrap(left, room)
			last = lines[len(lines)-1]
		} else {
			return append(lines, place(right, columns, "right"))
		}
	}
	lines[len(lines)-1] = last + strings.Repeat(" ", columns-width(last)-width(right)) + right
	return lines
}

func longest(s string) int {
	n := 0
	for _, w := range strings.Fields(s) {
		n = max(n, width(w))
	}
	return n
}

// Wrap breaks a text at its spaces into lines of at most columns characters.
// A word that is longer than a line is broken where the line ends. The result
// has at least one line.
func Wrap(s string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && width(line)+1+width(word) <= columns {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for width(word) > columns {
			head := string([]rune(word)[:columns])
			lines = append(lines, head)
			word = word[len(head):]
		}
		line = word
	}
	return append(lines, line)
}

// place aligns a text within the columns.
func place(s string, columns int, align string) string {
	room := columns - width(s)
	if room <= 0 {
		return s
	}
	switch align {
	case "right":
		return strings.Repeat(" ", room) + s
	case "center":
		return strings.Repeat(" ", room/2) + s
	}
	return s
}
