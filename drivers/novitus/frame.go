package novitus

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bytes of the protocol.
const (
	esc = 0x1B
	// ENQ asks for the state of the receipt; the answer is 60h and bits.
	ENQ = 0x05
	// DLE asks for the state of the mechanism; the answer is 70h and bits.
	DLE = 0x10
	// BEL beeps.
	BEL = 0x07
	// CAN drops the input.
	CAN = 0x18
)

// Bits of the answer to ENQ.
const (
	Completed = 1 << iota // TRF: the last transaction was completed
	InReceipt             // PAR: a transaction is open
	Done                  // CMD: the last command was carried out
	Fiscal                // FSK: fiscal mode
	enqBase   = 0x60
)

// Bits of the answer to DLE.
const (
	MechanismError = 1 << iota // printing mechanism or control error
	PaperEmpty                 // no paper, or battery low
	OnLine                     // ready to take commands
	dleBase        = 0x70
)

// maxSequence bounds what stands between ESC P and ESC \.
const maxSequence = 4096

// Errors of sequences.
var (
	// ErrSequence: not a sequence of this protocol.
	ErrSequence = errors.New("broken sequence")
	// ErrCheck: the check is missing or wrong.
	ErrCheck = errors.New("wrong check")
	// ErrData: the values cannot be put into a sequence.
	ErrData = errors.New("cannot be put into a sequence")
)

// Sequence is a command or an answer: numbers, two characters, and a body of
// texts ended by CR and amounts ended by '/'. Text is in the printer's code page.
type Sequence struct {
	Params  []int
	Command string
	Body    string
}

// Param gives a number by its place, 0 where it is not there.
func (s Sequence) Param(i int) int {
	if i < len(s.Params) {
		return s.Params[i]
	}
	return 0
}

// Check is the exclusive-or of the bytes, begun with FF.
func Check(b []byte) byte {
	c := byte(0xFF)
	for _, x := range b {
		c ^= x
	}
	return c
}

// Encode makes the bytes of a sequence with its check.
func Encode(s Sequence) ([]byte, error) { return encode(s, true) }

// EncodeBare makes the bytes without a check, as the answer to #n has none.
func EncodeBare(s Sequence) ([]byte, error) { return encode(s, false) }

func encode(s Sequence, check bool) ([]byte, error) {
	if !goodCommand(s.Command) {
		return nil, fmt.Errorf("command %q: %w", s.Command, ErrData)
	}
	var b bytes.Buffer
	b.Write([]byte{esc, 'P'})
	for i, p := range s.Params {
		if p < 0 || p > 255 {
			return nil, fmt.Errorf("number %d: %w", p, ErrData)
		}
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(strconv.Itoa(p))
	}
	b.WriteString(s.Command)
	for i := range len(s.Body) {
		if c := s.Body[i]; c < 0x20 && c != '\r' && c != '\n' {
			return nil, fmt.Errorf("byte %02X in the text: %w", c, ErrData)
		}
	}
	b.WriteString(s.Body)
	if b.Len() > maxSequence {
		return nil, fmt.Errorf("%d bytes: too long: %w", b.Len(), ErrData)
	}
	if check {
		fmt.Fprintf(&b, "%02X", Check(b.Bytes()[2:]))
	}
	b.Write([]byte{esc, '\\'})
	return b.Bytes(), nil
}

func goodCommand(s string) bool {
	if len(s) != 2 || s[0] != '$' && s[0] != '#' && s[0] != '^' && s[0] != '@' {
		return false
	}
	return s[1] > 0x20 && s[1] < 0x7F && s[1] != ';' && s[1] != '\\' && (s[1] < '0' || s[1] > '9')
}

// checkOptional holds the commands that may come without a check.
var checkOptional = map[string]bool{"#s": true, "#n": true, "#c": true, "#v": true, "$d": true,
	// and what the printer sends without one
	"#E": true}

// Parse reads what stands between ESC P and ESC \. With ErrCheck the sequence is
// returned as far as it could be read.
func Parse(body []byte) (Sequence, error) {
	var s Sequence
	i := 0
	for i < len(body) && (body[i] >= '0' && body[i] <= '9' || body[i] == ';') {
		i++
	}
	if len(body) < i+2 || !goodCommand(string(body[i:i+2])) {
		return s, ErrSequence
	}
	if i > 0 {
		for f := range strings.SplitSeq(string(body[:i]), ";") {
			n, err := strconv.Atoi(f)
			if err != nil || n > 255 {
				return s, fmt.Errorf("number %q: %w", f, ErrSequence)
			}
			s.Params = append(s.Params, n)
		}
	}
	s.Command = string(body[i : i+2])
	rest := body[i+2:]
	for _, c := range rest {
		if c < 0x20 && c != '\r' && c != '\n' {
			return s, fmt.Errorf("byte %02X: %w", c, ErrSequence)
		}
	}
	if n := len(rest) - 2; n >= 0 && string(rest[n:]) == fmt.Sprintf("%02X", Check(body[:i+2+n])) {
		s.Body = string(rest[:n])
		return s, nil
	}
	s.Body = string(rest)
	if !checkOptional[s.Command] {
		return s, ErrCheck
	}
	return s, nil
}

// Event is what a Decoder found.
type Event int

// The events.
const (
	Nothing     Event = iota // the byte belongs to something unfinished
	GotSequence              // a whole sequence
	BadSequence              // a sequence that is broken
	GotByte                  // a byte outside of sequences
)

// Decoder finds sequences in a stream. The zero value is ready to use.
type Decoder struct {
	buf    []byte
	inside bool
	escape bool
}

// Feed takes one byte. With GotByte it is a single byte; err tells why a
// sequence is bad.
func (d *Decoder) Feed(c byte) (ev Event, s Sequence, err error) {
	if d.escape {
		d.escape = false
		switch {
		case c == 'P': // begins a sequence, and cancels an unfinished one
			d.buf, d.inside = d.buf[:0], true
			return Nothing, s, nil
		case c == '\\' && d.inside:
			d.inside = false
			if s, err = Parse(d.buf); err != nil {
				return BadSequence, s, err
			}
			return GotSequence, s, nil
		case c == '\\': // closes nothing: sent to be sure
			return Nothing, s, nil
		case c == esc:
			d.escape = true
			return Nothing, s, nil
		}
		if !d.inside {
			return GotByte, s, nil
		}
		d.inside = false
		return BadSequence, s, fmt.Errorf("escape %02X: %w", c, ErrSequence)
	}
	switch {
	case c == esc:
		d.escape = true
		return Nothing, s, nil
	case !d.inside:
		return GotByte, s, nil
	case len(d.buf) >= maxSequence:
		d.inside = false
		return BadSequence, s, fmt.Errorf("no end after %d bytes: %w", len(d.buf), ErrSequence)
	}
	d.buf = append(d.buf, c)
	return Nothing, s, nil
}

// Midway tells whether a sequence has begun and not ended.
func (d *Decoder) Midway() bool { return d.inside || d.escape }

// Reset forgets a half sequence.
func (d *Decoder) Reset() { d.buf, d.inside, d.escape = d.buf[:0], false, false }

// Amount writes minor units with two decimals, "-3.05".
func Amount(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%02d", sign, v/100, v%100)
}

// ParseAmount reads minor units, "3", "3.5", "3.05" or with a comma.
func ParseAmount(s string) (int64, bool) { return parseFixed(s, 2) }

// parseFixed reads a decimal number with at most places decimals.
func parseFixed(s string, places int) (int64, bool) {
	s = strings.TrimSpace(strings.Replace(s, ",", ".", 1))
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	whole, frac, _ := strings.Cut(s, ".")
	if whole == "" || len(whole) > 12 || len(frac) > places {
		return 0, false
	}
	digits := whole + frac + strings.Repeat("0", places-len(frac))
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if neg {
		n = -n
	}
	return n, err == nil
}

// Quantity writes thousandths as the printer wants them: "2" or "0.455".
func Quantity(v int64) string {
	if v%1000 == 0 {
		return strconv.FormatInt(v/1000, 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%03d", v/1000, v%1000), "0")
}

// ParseQuantity reads thousandths.
func ParseQuantity(s string) (int64, bool) { return parseFixed(s, 3) }
