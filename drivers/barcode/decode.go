package barcode

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/codepage"
)

// limit is the longest reading: a QR code holds at most 4,296 characters.
const limit = 4296

// stale is how long the beginning of a reading is kept when the terminator
// that this reader is known to send does not come.
const stale = 3 * time.Second

// Rules say how readings are cut out of the byte stream and which are good.
type Rules struct {
	// End is "auto", "cr", "lf", "tab", "etx" or "gap".
	End string
	// Prefix and Suffix are stripped when there. Required makes a reading
	// without them none.
	Prefix, Suffix string
	Required       bool
	// AIM strips and reads an identifier (]cm) at the beginning.
	AIM bool
	// Check is "auto", "ean", "luhn" or "none".
	Check    string
	Min, Max int
	// Repeat is how long the same reading again counts as the same.
	Repeat time.Duration
	// BankCards lets numbers that look like bank cards through.
	BankCards bool
	Masks     card.Masks
	// Page decodes bytes that are not UTF-8; nil drops such readings.
	Page *codepage.Page
}

// Why a reading was dropped. The texts hold nothing of the reading.
var (
	ErrTooLong    = errors.New("longer than any code")
	ErrTooShort   = errors.New("too short")
	ErrPrefix     = errors.New("prefix or suffix is missing")
	ErrCheckDigit = errors.New("wrong check digit")
	ErrGlued      = errors.New("two codes glued together")
	ErrUnreadable = errors.New("not text: wrong speed, parity, or a packet protocol such as SSI")
	ErrBankCard   = errors.New("looks like a bank card")
	ErrIncomplete = errors.New("the end did not come")
	ErrRepeated   = errors.New("the same again")
)

// Decoder cuts readings out of bytes. It does no I/O and reads no clock.
type Decoder struct {
	rules  Rules
	buf    []byte
	over   bool // the reading grew too long; wait for its end
	last   time.Time
	ends   bool // this reader has sent a terminator
	prev   string
	prevAt time.Time
	// Drop is told of readings that were dropped, and why; may be nil.
	Drop func(why error, length int)
	// Parse turns the bytes of a reading into a Scan; nil means Rules.Read.
	// Readers of other kinds use the framing with a Parse of their own.
	Parse func(raw []byte) (drivers.Scan, error)
}

// NewDecoder makes a decoder.
func NewDecoder(r Rules) *Decoder { return &Decoder{rules: r} }

// Reset forgets a reading under way, as after a lost line.
func (d *Decoder) Reset() { d.buf, d.over, d.ends = nil, false, false }

const (
	stx = 0x02
	etx = 0x03
	tab = 0x09
	lf  = 0x0A
	cr  = 0x0D
	gs  = 0x1D
)

func (d *Decoder) terminator(b byte) bool {
	switch d.rules.End {
	case "cr":
		return b == cr
	case "lf":
		return b == lf
	case "tab":
		return b == tab
	case "etx":
		return b == etx
	case "gap":
		return false
	}
	return b == cr || b == lf || b == tab || b == etx
}

// Feed takes bytes that came at a moment and returns the readings they ended.
func (d *Decoder) Feed(data []byte, at time.Time) []drivers.Scan {
	if d.byTerminator() && len(d.buf) > 0 && at.Sub(d.last) > stale {
		d.drop(ErrIncomplete, len(d.buf))
		d.buf, d.over = nil, false
	}
	d.last = at
	var out []drivers.Scan
	for _, b := range data {
		switch {
		case d.terminator(b):
			d.ends = true
			if s, ok := d.finish(at); ok {
				out = append(out, s)
			}
		case b == stx && d.rules.End != "gap":
			// A new reading begins; what came before it has no end.
			if len(d.buf) > 0 {
				d.drop(ErrIncomplete, len(d.buf))
			}
			d.buf, d.over = nil, false
		case len(d.buf) >= limit+64:
			d.over = true
		default:
			d.buf = append(d.buf, b)
		}
	}
	return out
}

func (d *Decoder) byTerminator() bool {
	return d.rules.End != "gap" && (d.rules.End != "auto" && d.rules.End != "" || d.ends)
}

// Gap tells that the line was quiet for the idle gap. It ends a reading of a
// scanner that sends no terminator; with one that does, the reading waits.
func (d *Decoder) Gap(at time.Time) []drivers.Scan {
	if d.byTerminator() {
		return nil
	}
	if s, ok := d.finish(at); ok {
		return []drivers.Scan{s}
	}
	return nil
}

func (d *Decoder) drop(why error, n int) {
	if d.Drop != nil {
		d.Drop(why, n)
	}
}

func (d *Decoder) finish(at time.Time) (drivers.Scan, bool) {
	raw, over := d.buf, d.over
	d.buf, d.over = nil, false
	if len(raw) == 0 {
		return drivers.Scan{}, false
	}
	if over {
		d.drop(ErrTooLong, len(raw))
		return drivers.Scan{}, false
	}
	return d.One(raw, at)
}

// One takes the bytes of one whole reading, cut out by somebody else.
func (d *Decoder) One(raw []byte, at time.Time) (drivers.Scan, bool) {
	parse := d.Parse
	if parse == nil {
		parse = d.rules.Read
	}
	s, err := parse(raw)
	if err == nil && d.rules.Repeat > 0 && s.AIM+s.Text == d.prev && at.Sub(d.prevAt) < d.rules.Repeat {
		d.prevAt = at // still held before the reader
		err = ErrRepeated
	}
	if err != nil {
		d.drop(err, len(raw))
		return drivers.Scan{}, false
	}
	d.prev, d.prevAt = s.AIM+s.Text, at
	s.At = at
	return s, true
}

// Read turns the bytes of one reading into a Scan, or says why it is none.
func (r Rules) Read(raw []byte) (drivers.Scan, error) {
	s := drivers.Scan{Source: drivers.FromBarcode}
	for _, b := range raw {
		if (b < 0x20 && b != gs && b != tab && b != cr && b != lf) || b == 0x7F {
			return s, ErrUnreadable
		}
	}
	text := string(raw)
	if !utf8.ValidString(text) {
		if r.Page == nil {
			return s, ErrUnreadable
		}
		text = r.Page.Decode(raw)
	}
	text, pre := strings.CutPrefix(text, r.Prefix)
	text, suf := strings.CutSuffix(text, r.Suffix)
	if r.Required && (r.Prefix != "" && !pre || r.Suffix != "" && !suf) {
		return s, ErrPrefix
	}
	if r.AIM && isAIM(text) {
		s.AIM, text = text[:3], text[3:]
		s.Symbology = Symbology(s.AIM, text)
		// A second identifier of a code of digits: the end between was lost.
		if (s.AIM[1] == 'E' || s.AIM[1] == 'I') && strings.Contains(text, "]") {
			return s, ErrGlued
		}
	}
	text = strings.Trim(text, " \r\n\t")
	n := utf8.RuneCountInString(text)
	max := r.Max
	if max == 0 || max > limit {
		max = limit
	}
	switch {
	case n == 0 || n < r.Min:
		return s, ErrTooShort
	case n > max:
		return s, ErrTooLong
	}
	s.Text = text
	if err := r.check(s); err != nil {
		return drivers.Scan{}, err
	}
	if isGS1(s.AIM) {
		if el, err := ParseGS1(text); err == nil {
			s.Elements = el
		}
	}
	if number, ok := r.Masks.Find(text); ok {
		s.Card = number
	}
	if !r.BankCards && (bank(text) || track(text)) {
		return drivers.Scan{}, ErrBankCard
	}
	return s, nil
}

func (r Rules) check(s drivers.Scan) error {
	switch r.Check {
	case "none":
		return nil
	case "ean":
		if !card.EAN(s.Text) {
			if card.Glued(s.Text) {
				return ErrGlued
			}
			return ErrCheckDigit
		}
	case "luhn":
		if !card.Luhn(s.Text) {
			return ErrCheckDigit
		}
	default:
		if card.Glued(s.Text) {
			return ErrGlued
		}
		// Only the reader's own word makes digits an EAN: a Code 128 card of
		// thirteen digits has no check digit.
		if (s.AIM == "]E0" || s.AIM == "]E4") && !card.EAN(s.Text) {
			if len(s.Text) == 6 || len(s.Text) == 7 { // UPC-E as printed
				return nil
			}
			return ErrCheckDigit
		}
	}
	return nil
}

// bank tells whether a code is the number of a bank card. One in ten of the
// in-store EAN-13 codes (prefixes 20 to 29) passes Luhn by chance, and no bank
// issues cards of thirteen digits any more: a right EAN-13 is never one.
func bank(s string) bool {
	return card.Bank(s) && !(len(s) == 13 && card.EAN(s))
}

// track tells whether a text is a magnetic track with a bank card on it.
func track(s string) bool {
	if s == "" || s[0] != '%' && s[0] != ';' {
		return false
	}
	run := ""
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == ' ' && run != "") {
			if s[i] != ' ' {
				run += string(s[i])
			}
			continue
		}
		if card.Bank(run) {
			return true
		}
		run = ""
	}
	return false
}

func isAIM(s string) bool {
	return len(s) > 3 && s[0] == ']' && (s[1] >= 'A' && s[1] <= 'Z' || s[1] >= 'a' && s[1] <= 'z') &&
		(s[2] >= '0' && s[2] <= '9' || s[2] >= 'A' && s[2] <= 'F' || s[2] >= 'a' && s[2] <= 'f')
}

var symbologies = map[byte]string{
	'A': "code39", 'C': "code128", 'E': "ean13", 'F': "codabar", 'G': "code93", 'I': "itf", 'L': "pdf417",
	'Q': "qr", 'd': "datamatrix", 'e': "databar", 'z': "aztec", 'X': "other",
}

// Symbology names the code an AIM identifier stands for, "" when unknown.
func Symbology(aim, text string) string {
	if len(aim) != 3 {
		return ""
	}
	switch {
	case aim == "]E4":
		return "ean8"
	case aim == "]E0" && len(text) == 12:
		return "upca"
	case aim == "]C1":
		return "gs1-128"
	case aim == "]d2":
		return "gs1-datamatrix"
	case aim == "]Q3":
		return "gs1-qr"
	}
	return symbologies[aim[1]]
}

func isGS1(aim string) bool {
	switch aim {
	case "]C1", "]e0", "]d2", "]Q3", "]z1":
		return true
	}
	return false
}
