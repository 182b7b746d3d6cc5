package filedrop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tillside/tillside/drivers/codepage"
)

// Encodings are the ones a file may be declared to be in.
var Encodings = []string{"utf-8", "utf-16", "utf-16le", "utf-16be", "windows-1250", "windows-1251", "cp866", "cp852", "mazovia", "iso-8859-2", "koi8-r"}

// guessed are the eight-bit tables that are told apart without a declaration.
var guessed = []string{"windows-1251", "cp866", "windows-1250", "iso-8859-2", "mazovia", "cp852", "koi8-r"}

// page is a table by any of its usual names.
func page(name string) *codepage.Page {
	n := strings.ToLower(strings.TrimSpace(name))
	switch n {
	case "cp1250", "cp1251", "win-1250", "win-1251", "win1250", "win1251", "windows1250", "windows1251":
		n = "windows-125" + n[len(n)-1:]
	case "ibm866", "866", "dos", "oem866":
		n = "cp866"
	case "ibm852", "852":
		n = "cp852"
	case "iso8859-2", "iso_8859-2", "latin2", "latin-2":
		n = "iso-8859-2"
	case "koi8r", "koi8":
		n = "koi8-r"
	case "cp667", "cp790", "cp620":
		n = "mazovia"
	}
	if !slices.Contains(guessed, n) {
		return nil
	}
	return codepage.Must(strings.Replace(n, "iso-8859", "iso8859", 1))
}

// Text is a file as text, and what it was written in.
type Text struct {
	Text     string
	Encoding string // as in Encodings; "ascii" when nothing tells
	BOM      bool
}

var xmlDeclared = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// Decode turns the bytes of a file into text. declared is the settings' word:
// auto, or one of Encodings.
func Decode(b []byte, declared string) (Text, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return utf8Text(b[3:], true)
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return utf16Text(b[2:], binary.LittleEndian, "utf-16le", true)
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return utf16Text(b[2:], binary.BigEndian, "utf-16be", true)
	}
	if declared == "" {
		declared = "auto"
	}
	declared = strings.ToLower(declared)
	if declared == "auto" {
		if m := xmlDeclared.FindSubmatch(b[:min(len(b), 200)]); m != nil {
			declared = strings.ToLower(string(m[1]))
			if declared == "us-ascii" || declared == "ascii" {
				declared = "utf-8"
			}
		}
	}
	switch declared {
	case "auto":
		return guess(b)
	case "utf-8", "utf8":
		return utf8Text(b, false)
	case "utf-16":
		if e := zeros(b); e == "utf-16be" {
			return utf16Text(b, binary.BigEndian, e, false)
		}
		return utf16Text(b, binary.LittleEndian, "utf-16le", false)
	case "utf-16le":
		return utf16Text(b, binary.LittleEndian, declared, false)
	case "utf-16be":
		return utf16Text(b, binary.BigEndian, declared, false)
	}
	p := page(declared)
	if p == nil {
		return Text{}, &Problem{Text: fmt.Sprintf("encoding %q is not known", declared), Hint: "there are " + strings.Join(Encodings, ", ")}
	}
	return pageText(b, p)
}

func utf8Text(b []byte, bom bool) (Text, error) {
	if i := invalidUTF8(b); i >= 0 {
		return Text{}, &Problem{Text: fmt.Sprintf("byte %d (%02Xh) is not UTF-8", i, b[i]), Hint: "write UTF-8, or set files.encoding to what the file is written in", Torn: i >= len(b)-3}
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return Text{}, &Problem{Text: fmt.Sprintf("byte %d is zero", i), Hint: "the file is torn, or set files.encoding to utf-16", Torn: true}
	}
	return Text{string(b), "utf-8", bom}, nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

func utf16Text(b []byte, order binary.ByteOrder, name string, bom bool) (Text, error) {
	if len(b)%2 != 0 {
		return Text{}, &Problem{Text: "an odd number of bytes is not UTF-16", Hint: "the file is torn, or another encoding", Torn: true}
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	s := string(utf16.Decode(u))
	if i := strings.IndexRune(s, utf8.RuneError); i >= 0 {
		return Text{}, &Problem{Text: "half a pair of UTF-16", Hint: "the file is torn, or set files.encoding", Torn: i >= len(s)-3}
	}
	if strings.IndexByte(s, 0) >= 0 {
		return Text{}, &Problem{Text: "a zero among the text", Hint: "the file is torn", Torn: true}
	}
	return Text{s, name, bom}, nil
}

func pageText(b []byte, p *codepage.Page) (Text, error) {
	var s strings.Builder
	for i, c := range b {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			s.WriteByte(c)
		case c == 0x1a && i == len(b)-1: // the end mark of DOS
		case c < 0x20 || c == 0x7f:
			return Text{}, &Problem{Text: fmt.Sprintf("byte %d is the control code %02Xh", i, c), Hint: "the file is torn, or no text", Torn: c == 0}
		default:
			r := p.Decode([]byte{c})
			if r == "\ufffd" {
				return Text{}, &Problem{Text: fmt.Sprintf("byte %d (%02Xh) is nothing in %s", i, c, name(p)), Hint: "set files.encoding to what the file is written in"}
			}
			s.WriteString(r)
		}
	}
	return Text{s.String(), name(p), false}, nil
}

func name(p *codepage.Page) string {
	switch n := p.Name(); n {
	case "cp1250", "cp1251":
		return "windows-" + n[2:]
	case "iso8859-2":
		return "iso-8859-2"
	default:
		return n
	}
}

// zeros tells UTF-16 without a mark by where its zero bytes are.
func zeros(b []byte) string {
	var even, odd int
	n := min(len(b), 4096)
	for i := range n {
		if b[i] == 0 {
			if i%2 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	switch {
	case odd > n/5 && even < n/50:
		return "utf-16le"
	case even > n/5 && odd < n/50:
		return "utf-16be"
	}
	return ""
}

// guess finds out what a file is written in. Valid UTF-8 with letters beyond
// ASCII is UTF-8: text of another encoding is so by accident only. Among the
// eight-bit tables the one wins under which the letters beyond ASCII make words
// of one alphabet, with small and capital letters where they belong. If the
// best two are close and read differently, nobody knows.
func guess(b []byte) (Text, error) {
	switch zeros(b) {
	case "utf-16le":
		return utf16Text(b, binary.LittleEndian, "utf-16le", false)
	case "utf-16be":
		return utf16Text(b, binary.BigEndian, "utf-16be", false)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return utf8Text(b, false) // which says so
	}
	high := 0
	for _, c := range b {
		if c >= 0x80 {
			high++
		}
	}
	if high == 0 {
		t, err := pageText(b, codepage.Must("cp866")) // no letter matters
		t.Encoding = "ascii"
		return t, err
	}
	type reading struct {
		Text
		score int
	}
	var all []reading
	switch i := invalidUTF8(b); {
	case i < 0:
		u, score := Text{string(b), "utf-8", false}, plausible(string(b))
		if score >= 0 || high > 8 {
			return u, nil
		}
		all = append(all, reading{u, score}) // one odd letter may be an accident
	case i >= len(b)-3 && b[i] >= 0xc2 && b[i] < 0xf5 && partial(b[i:]):
		return Text{}, &Problem{Text: "the file ends in the middle of a letter, if it is UTF-8", Hint: "end the file with a line end, or set files.encoding", Torn: true}
	}
	for _, n := range guessed {
		if t, err := pageText(b, page(n)); err == nil {
			all = append(all, reading{t, plausible(t.Text)})
		}
	}
	slices.SortStableFunc(all, func(a, b reading) int { return b.score - a.score })
	if len(all) == 0 || all[0].score <= 0 {
		return Text{}, &Problem{Text: fmt.Sprintf("%d bytes beyond ASCII make no words in any encoding known here", high), Hint: "set files.encoding, or write UTF-8"}
	}
	for _, o := range all[1:] {
		if o.Text.Text != all[0].Text.Text && o.score*10 > all[0].score*7 {
			return Text{}, &Problem{Text: fmt.Sprintf("the file may be %s (%q) or %s (%q)", all[0].Encoding, sample(all[0].Text.Text), o.Encoding, sample(o.Text.Text)),
				Hint: "set files.encoding to the right one"}
		}
	}
	return all[0].Text, nil
}

// partial tells the beginning of a letter in UTF-8, where everything before it
// was UTF-8 as well.
func partial(b []byte) bool { return !utf8.FullRune(b) }

// sample is the first word with letters beyond ASCII.
func sample(s string) string {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if strings.IndexFunc(w, func(r rune) bool { return r > 0x7f }) >= 0 {
			if r := []rune(w); len(r) > 20 {
				return string(r[:20])
			}
			return w
		}
	}
	for _, r := range s {
		if r > 0x7f {
			return string(r)
		}
	}
	return ""
}

// Letters of goods, names and addresses.
const (
	polish  = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ"
	russian = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"
	common  = "оаеинтрслкмвпд"
	// Words of one letter.
	alone = "аивкосуя"
	// Other letters that people have in their names, and signs.
	others = "äöüÄÖÜßéèêëáàâçčďěíňřšťúůýžÁÉÍČŠŽėįųūőűôîâășțіїєґІЇЄҐў№«»„”“’–—°€§…£ "
	vowels = "aeiouyąęóäöüéáíаеёиоуыэюя"
)

// plausible scores a reading by its words; more is better, below one is
// nonsense. Only words with letters beyond ASCII count, since that is all the
// readings differ in.
func plausible(s string) int {
	score := 0
	var word []rune
	prev := ' '
	for _, r := range s + " " {
		before := prev
		prev = r
		if unicode.IsLetter(r) {
			word = append(word, r)
			continue
		}
		score += wordScore(word)
		word = word[:0]
		switch {
		case r < 0x80:
		case strings.ContainsRune(others, r):
			if before < 0x80 {
				score++
			}
		default:
			score -= 8 // frames, mathematics, control codes
		}
	}
	return score
}

func wordScore(w []rune) int {
	score, upper, lower, cyr, lat, high := 0, 0, 0, 0, 0, 0
	for i, r := range w {
		if r >= 0x80 {
			high++
		}
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
		switch {
		case unicode.Is(unicode.Cyrillic, r):
			cyr++
		case unicode.Is(unicode.Latin, r):
			lat++
		}
		switch {
		case r < 0x80:
		case strings.ContainsRune(russian, r):
			score += 4
			if strings.ContainsRune(common, unicode.ToLower(r)) {
				score += 3
			}
		case strings.ContainsRune(polish, r):
			score += 8
		case strings.ContainsRune(others, r):
			score++
		default:
			score -= 6
		}
		if i > 0 && vowel(r) && vowel(w[i-1]) && (strings.ContainsRune(polish, r) || strings.ContainsRune(polish, w[i-1])) {
			score -= 6 // no Polish word has ó, ą or ę beside a vowel
		}
	}
	if high == 0 {
		return 0
	}
	if cyr > 0 && lat > 0 {
		score -= 14 * min(cyr, lat)
	}
	if upper > 0 && lower > 0 && !(upper == 1 && unicode.IsUpper(w[0])) {
		score = min(score, 0) - 6*min(upper, lower+1) // neither Word nor WORD nor word
	}
	if len(w) == 1 && !strings.ContainsRune(alone, unicode.ToLower(w[0])) {
		score = min(score, 0)
	}
	return score
}

func vowel(r rune) bool { return strings.ContainsRune(vowels, unicode.ToLower(r)) }
