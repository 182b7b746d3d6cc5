package posnet

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bytes that build a frame.
const (
	stx = 0x02
	etx = 0x03
	tab = 0x09
)

// maxFrame bounds a frame: the longest command, a 2-D code of 2,000 characters,
// fits several times. A longer run of bytes is noise.
const maxFrame = 8 << 10

// Numbers of frame errors, as they stand after "ERR ?".
const (
	FrameUnknownCommand = 1
	FrameMissingField   = 2
	FrameConversion     = 3
	FrameBadToken       = 4
	FrameBadCRC         = 5
	FrameNoMnemonic     = 6
	FrameWrongLength    = 10
	FrameBufferFull     = 11
	FrameNotImmediate   = 12
	FrameTokenNotFound  = 13
	FrameQueueFull      = 14
	FrameNoChecksum     = 15
)

// Param is one parameter: two characters glued to a value. Values are bytes in
// the printer's own code page.
type Param struct {
	ID    string
	Value string
}

// P makes a parameter.
func P(id string, value any) Param { return Param{id, fmt.Sprint(value)} }

// Message is a command or an answer without its envelope.
type Message struct {
	// Command is the mnemonic, "trinit"; immediate commands keep their mark,
	// "!sdev". Frame errors have "ERR".
	Command string
	Params  []Param
	// Token is four digits, or empty.
	Token string
	// Refusal is the number after "?" of a refusing answer.
	Refusal int
	// Refused tells whether there is one.
	Refused bool
}

// Get gives the value of a parameter, and whether it is there.
func (m Message) Get(id string) (string, bool) {
	for _, p := range m.Params {
		if p.ID == id {
			return p.Value, true
		}
	}
	return "", false
}

// Text gives the value of a parameter or "".
func (m Message) Text(id string) string { v, _ := m.Get(id); return v }

// Int gives a parameter as a whole number.
func (m Message) Int(id string) (int64, bool) {
	v, ok := m.Get(id)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil
}

// FrameError is what is wrong with a frame, by the printer's own number.
type FrameError struct {
	Number int
	Token  string // as far as it could be read
	Cmd    string // likewise
	Field  string
}

// Error says the number and its meaning.
func (e *FrameError) Error() string {
	s := fmt.Sprintf("frame error %d (%s)", e.Number, Meaning(e.Number))
	if e.Cmd != "" {
		s += ", command " + e.Cmd
	}
	if e.Field != "" {
		s += ", field " + e.Field
	}
	return s
}

// ErrFrame is what every error of Encode is about: a value that would break
// the frame.
var ErrFrame = errors.New("cannot be put into a frame")

// CRC is the check of a frame: CRC-16 with polynomial 1021, start 0000, not
// reflected, no final XOR, over what stands between STX and '#'.
func CRC(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^c]
	}
	return crc
}

var crcTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// Encode puts a message into its envelope. The token stands right after the
// mnemonic, a refusal last and without a TAB, as in the maker's text.
func Encode(m Message) ([]byte, error) {
	if !goodMnemonic(m.Command) {
		return nil, fmt.Errorf("mnemonic %q: %w", m.Command, ErrFrame)
	}
	var b bytes.Buffer
	b.WriteByte(stx)
	b.WriteString(m.Command)
	b.WriteByte(tab)
	if m.Token != "" {
		if !goodToken(m.Token) {
			return nil, fmt.Errorf("token %q: %w", m.Token, ErrFrame)
		}
		b.WriteByte('@')
		b.WriteString(m.Token)
		b.WriteByte(tab)
	}
	if m.Refused && m.Command == "ERR" {
		fmt.Fprintf(&b, "?%d\t", m.Refusal)
	}
	for _, p := range m.Params {
		if len(p.ID) != 2 || !cleanText(p.ID) || strings.ContainsAny(p.ID[:1], "@?#") || strings.Contains(p.ID, "\n") {
			return nil, fmt.Errorf("parameter id %q: %w", p.ID, ErrFrame)
		}
		if !cleanText(p.Value) {
			return nil, fmt.Errorf("value of %s: control characters: %w", p.ID, ErrFrame)
		}
		b.WriteString(p.ID)
		b.WriteString(p.Value)
		b.WriteByte(tab)
	}
	if m.Refused && m.Command != "ERR" {
		fmt.Fprintf(&b, "?%d", m.Refusal)
	}
	crc := CRC(b.Bytes()[1:])
	fmt.Fprintf(&b, "#%04X", crc)
	b.WriteByte(etx)
	if b.Len() > maxFrame {
		return nil, fmt.Errorf("%d bytes: too long: %w", b.Len(), ErrFrame)
	}
	return b.Bytes(), nil
}

func goodMnemonic(s string) bool {
	s = strings.TrimPrefix(s, "!")
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return true
}

func goodToken(s string) bool {
	if len(s) != 4 {
		return false
	}
	for i := range 4 {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// cleanText: printable bytes and LF, which separates the lines of a form.
func cleanText(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 && s[i] != '\n' {
			return false
		}
	}
	return true
}

// Parse reads what stands between STX and ETX. Errors are *FrameError with the
// number a printer answers.
func Parse(body []byte) (Message, error) {
	var m Message
	cut := bytes.LastIndexByte(body, '#')
	if cut < 0 {
		return m, &FrameError{Number: FrameNoChecksum}
	}
	text, sum := body[:cut], body[cut+1:]
	if len(sum) != 4 {
		return m, &FrameError{Number: FrameNoChecksum}
	}
	want, err := strconv.ParseUint(string(sum), 16, 16)
	if err != nil || uint16(want) != CRC(text) {
		return m, &FrameError{Number: FrameBadCRC}
	}
	mnemonic, rest, ok := strings.Cut(string(text), "\t")
	if !ok || !goodMnemonic(mnemonic) {
		return m, &FrameError{Number: FrameUnknownCommand}
	}
	m.Command = mnemonic
	fail := func(n int, field string) (Message, error) {
		return m, &FrameError{Number: n, Token: m.Token, Cmd: m.Command, Field: field}
	}
	for rest != "" {
		var f string
		f, rest, ok = strings.Cut(rest, "\t")
		switch {
		case f == "":
			return fail(FrameNoMnemonic, "")
		case f[0] == '@':
			if !goodToken(f[1:]) || m.Token != "" {
				return fail(FrameBadToken, "")
			}
			m.Token = f[1:]
		case f[0] == '?' && !m.Refused:
			n, err := strconv.Atoi(f[1:])
			if err != nil || n < 0 || len(f) > 7 {
				return fail(FrameConversion, "")
			}
			m.Refusal, m.Refused = n, true
		case !ok || len(f) < 2:
			// Only a refusal may stand without its TAB.
			return fail(FrameNoMnemonic, "")
		default:
			m.Params = append(m.Params, Param{f[:2], f[2:]})
		}
	}
	return m, nil
}

// Decoder finds frames in a stream. What stands outside of frames is skipped
// and counted. The zero value is ready to use.
type Decoder struct {
	buf     []byte
	inside  bool
	skipped int
}

// Feed takes one byte. When it ends a frame, done is true and the message, or
// what is wrong with the frame, is returned.
func (d *Decoder) Feed(c byte) (m Message, err error, done bool) { //nolint:revive // the error belongs to the frame, done says whether there is one
	switch {
	case c == stx:
		d.skipped += len(d.buf)
		d.buf, d.inside = d.buf[:0], true
	case !d.inside:
		d.skipped++
	case c == etx:
		m, err = Parse(d.buf)
		d.buf, d.inside = d.buf[:0], false
		return m, err, true
	case len(d.buf) >= maxFrame:
		d.skipped += len(d.buf)
		d.buf, d.inside = d.buf[:0], false
		return m, &FrameError{Number: FrameBufferFull}, true
	default:
		d.buf = append(d.buf, c)
	}
	return m, nil, false
}

// Midway tells whether a frame has begun and not ended.
func (d *Decoder) Midway() bool { return d.inside }

// Skipped is how many bytes stood outside of frames since the last Reset.
func (d *Decoder) Skipped() int { return d.skipped }

// Reset forgets a half frame and the count.
func (d *Decoder) Reset() { d.buf, d.inside, d.skipped = d.buf[:0], false, 0 }
