package receipt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Wrap breaks a text at its spaces into lines of at most columns. A word that
// is longer than a line is broken behind a hyphen or a stroke, or else where
// the line ends. What belongs together stays so while there is room: "10 %",
// "№ 5", a dash with the word before it, a word of one letter with the next.
// The result has at least one line.
func Wrap(s string, columns int) []string {
	columns = max(columns, 2) // a picture is two wide
	var lines []string
	line := ""
	for _, word := range words(s, columns) {
		if line != "" && width(line)+1+width(word) <= columns {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for width(word) > columns {
			var first string
			first, word = split(word, columns)
			lines = append(lines, first)
		}
		line = word
	}
	return append(lines, line)
}

// words parts a text at its spaces, but for those that bind.
func words(s string, columns int) []string {
	var out []string
	bound := false // the last word wants the next one beside it
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) && r != hard }) {
		last := len(out) - 1
		if last >= 0 && (bound || binds(out[last], w)) && width(out[last])+1+width(w) <= columns {
			out[last] += string(hard) + w
		} else {
			out = append(out, w)
		}
		bound = single(w) || w == "№"
	}
	return out
}

// binds tells whether the second word may not begin a line.
func binds(before, w string) bool {
	switch w {
	case "—", "–", "-", "x", "×":
		return true
	case "%":
		return before != ""
	}
	return false
}

// single tells whether a word may not end a line: one letter (prepositions and
// the like, in Polish and Russian), or a short word cut by a full stop ("ул.").
func single(w string) bool {
	bare := strings.TrimLeft(w, "«„“\"(")
	if r, n := utf8.DecodeRuneInString(bare); n == len(bare) {
		return unicode.IsLetter(r)
	}
	cut, dot := strings.CutSuffix(bare, ".")
	return dot && utf8.RuneCountInString(cut) <= 2 && strings.IndexFunc(cut, func(r rune) bool { return !unicode.IsLetter(r) }) < 0
}

// split breaks a word that is longer than a line: behind a hyphen or a stroke,
// else with a hyphen between letters, else anywhere.
func split(word string, columns int) (first, rest string) {
	first, rest = head(word, columns)
	if i := strings.LastIndexAny(first, "-/"+string(hard)); i > len(first)/3 {
		_, n := utf8.DecodeRuneInString(first[i:])
		return first[:i+n], first[i+n:] + rest
	}
	if columns > 8 && width(word) > columns+1 && len(first) > 0 && plainWord(word) {
		first, _ = head(word, columns-1)
		return first + "-", word[len(first):]
	}
	return first, rest
}

// plainWord tells whether a hyphen may break the word: an address or a code
// would become another one.
func plainWord(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) && !strings.ContainsRune("-,.!?:;»”\")", r) || runeWidth(r) == 2
	}) < 0
}

// Balanced is Wrap with lines of about the same length, for text that is
// centred: no word stands alone under a full line.
func Balanced(s string, columns int) []string {
	lines := Wrap(s, columns)
	least := longest(s)
	for n := max(least, width(s)/max(1, len(lines))); len(lines) > 1 && n < columns; n++ {
		if narrow := Wrap(s, n); len(narrow) <= len(lines) {
			return narrow
		}
	}
	return lines
}

// pair puts one text left and one right. When they do not fit on one line the
// left one is wrapped and the right one stands at the end of the last line, or
// on its own. The right one always ends in the last column.
func pair(left, right string, columns int) []string {
	if right == "" {
		return Wrap(left, columns)
	}
	if width(right) > columns {
		var lines []string
		if strings.TrimSpace(left) != "" {
			lines = Wrap(left, columns)
		}
		for _, s := range Wrap(right, columns) {
			lines = append(lines, place(s, columns, "right"))
		}
		return lines
	}
	lines := Wrap(left, columns)
	last := lines[len(lines)-1]
	if width(last)+1+width(right) > columns && last != "" {
		// Room beside the last words, rather than a line for the number alone,
		// where that needs no line more and breaks no word.
		room := columns - 1 - width(right)
		if narrow := Wrap(left, room); room >= longest(left) && len(narrow) == len(lines) {
			lines, last = narrow, narrow[len(narrow)-1]
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
