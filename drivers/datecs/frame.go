package datecs

import (
	"bytes"
	"errors"
	"fmt"
)

// Bytes that build a frame, and the two that stand alone.
const (
	soh = 0x01 // begins a frame
	etx = 0x03 // ends it
	sep = 0x04 // stands between data and status
	enq = 0x05 // ends what the check covers
	// NAK tells that a frame came broken.
	NAK = 0x15
	// SYN tells that the device is at work.
	SYN = 0x16
)

// The sequence numbers that both forms know.
const (
	FirstSeq = 0x20
	LastSeq  = 0x7F
)

// Form is which of the two forms of the protocol a device speaks.
type Form int

// The forms.
const (
	ISL Form = iota // one-byte length and command, six status bytes
	PM              // four-nibble length and command, eight status bytes
)

// String names the form as settings do.
func (f Form) String() string {
	if f == PM {
		return "pm"
	}
	return "isl"
}

// StatusLen is the number of status bytes in an answer.
func (f Form) StatusLen() int {
	if f == PM {
		return 8
	}
	return 6
}

// MaxData is the most data bytes in a request.
func (f Form) MaxData() int {
	if f == PM {
		return 496
	}
	return 0xFF - 0x24
}

// Frame is a request (no Status) or an answer.
type Frame struct {
	Seq     byte
	Command uint16
	Data    []byte
	Status  []byte // answers only
}

// Answer tells whether the frame came from a device.
func (f Frame) Answer() bool { return f.Status != nil }

// Errors of frames.
var (
	// ErrFrame: the bytes are no frame of this form.
	ErrFrame = errors.New("broken frame")
	// ErrCheck: length and marks are right and the check is not.
	ErrCheck = errors.New("wrong check")
	// ErrData: the values cannot be put into a frame.
	ErrData = errors.New("cannot be put into a frame")
)

func nibbles(v uint16) [4]byte {
	return [4]byte{0x30 + byte(v>>12), 0x30 + byte(v>>8&15), 0x30 + byte(v>>4&15), 0x30 + byte(v&15)}
}

func fromNibbles(b []byte) (v uint16, ok bool) {
	for _, c := range b {
		if c < 0x30 || c > 0x3F {
			return 0, false
		}
		v = v<<4 | uint16(c-0x30)
	}
	return v, len(b) == 4
}

// sum is the check: the bytes added up, sixteen bits of it.
func sum(b []byte) (s uint16) {
	for _, c := range b {
		s += uint16(c)
	}
	return s
}

// Encode makes the bytes of a frame.
func (f Form) Encode(m Frame) ([]byte, error) {
	if m.Seq < FirstSeq || f == ISL && m.Seq > LastSeq {
		return nil, fmt.Errorf("sequence %02X: %w", m.Seq, ErrData)
	}
	if f == ISL && (m.Command < 0x20 || m.Command > 0xFF) {
		return nil, fmt.Errorf("command %X: %w", m.Command, ErrData)
	}
	if len(m.Data) > f.MaxData() {
		return nil, fmt.Errorf("%d bytes of data, at most %d: %w", len(m.Data), f.MaxData(), ErrData)
	}
	for _, c := range m.Data {
		if c < 0x20 && c != '\t' && c != '\n' {
			return nil, fmt.Errorf("byte %02X in the data: %w", c, ErrData)
		}
	}
	if m.Status != nil && len(m.Status) != f.StatusLen() {
		return nil, fmt.Errorf("%d status bytes, want %d: %w", len(m.Status), f.StatusLen(), ErrData)
	}
	var b bytes.Buffer
	b.WriteByte(soh)
	head := 1 + 1 + 1 // LEN SEQ CMD
	if f == PM {
		head = 4 + 1 + 4
	}
	n := head + len(m.Data) + 1
	if m.Status != nil {
		n += 1 + len(m.Status)
	}
	n += 0x20
	if f == PM {
		l, c := nibbles(uint16(n)), nibbles(m.Command)
		b.Write(l[:])
		b.WriteByte(m.Seq)
		b.Write(c[:])
	} else {
		if n > 0xFF {
			return nil, fmt.Errorf("%d bytes of data and status do not fit the length byte: %w", len(m.Data), ErrData)
		}
		b.Write([]byte{byte(n), m.Seq, byte(m.Command)})
	}
	b.Write(m.Data)
	if m.Status != nil {
		b.WriteByte(sep)
		for _, s := range m.Status {
			b.WriteByte(s | 0x80)
		}
	}
	b.WriteByte(enq)
	check := nibbles(sum(b.Bytes()[1:]))
	b.Write(check[:])
	b.WriteByte(etx)
	return b.Bytes(), nil
}

// Parse reads one whole frame, from 01 to 03.
func (f Form) Parse(b []byte) (Frame, error) {
	head := 4 // 01 LEN SEQ CMD
	if f == PM {
		head = 10
	}
	if len(b) < head+6 || b[0] != soh || b[len(b)-1] != etx || b[len(b)-6] != enq {
		return Frame{}, ErrFrame
	}
	covered := b[1 : len(b)-5]
	var n, cmd uint16
	ok := true
	m := Frame{}
	if f == PM {
		var ok2 bool
		n, ok = fromNibbles(b[1:5])
		cmd, ok2 = fromNibbles(b[6:10])
		ok = ok && ok2
		m.Seq = b[5]
	} else {
		n, m.Seq, cmd = uint16(b[1]), b[2], uint16(b[3])
	}
	if !ok || int(n) != 0x20+len(covered) || m.Seq < FirstSeq {
		return Frame{}, fmt.Errorf("length or sequence: %w", ErrFrame)
	}
	want, ok := fromNibbles(b[len(b)-5 : len(b)-1])
	if !ok || want != sum(covered) {
		return Frame{}, ErrCheck
	}
	m.Command = cmd
	data := b[head : len(b)-6]
	if s := len(data) - f.StatusLen() - 1; s >= 0 && data[s] == sep && highBits(data[s+1:]) {
		m.Status = bytes.Clone(data[s+1:])
		data = data[:s]
	}
	for _, c := range data {
		if c < 0x20 && c != '\t' && c != '\n' {
			return Frame{}, fmt.Errorf("byte %02X in the data: %w", c, ErrFrame)
		}
	}
	m.Data = bytes.Clone(data)
	return m, nil
}

func highBits(b []byte) bool {
	for _, c := range b {
		if c&0x80 == 0 {
			return false
		}
	}
	return true
}

// Event is what a Decoder found.
type Event int

// The events.
const (
	Nothing   Event = iota // the byte belongs to something unfinished, or to nothing
	GotFrame               // a whole frame
	BadFrame               // something that began and ended like a frame
	GotNAK                 // a single 15h
	GotSYN                 // a single 16h
	GotNoise               // a byte that belongs to nothing
	maxStored = 1024
)

// Decoder finds frames and single bytes in a stream. Set Form before use.
//
// No byte inside a frame is 01 or 03 (lengths, checks and text begin at 20h), so
// a new 01 always begins a new frame and a 03 always ends one: a broken frame
// never swallows the good one after it.
type Decoder struct {
	Form   Form
	buf    []byte
	inside bool
}

// Feed takes one byte. err tells why a frame is bad.
func (d *Decoder) Feed(c byte) (ev Event, m Frame, err error) {
	switch {
	case c == soh:
		d.buf, d.inside = append(d.buf[:0], c), true
	case !d.inside && c == NAK:
		return GotNAK, m, nil
	case !d.inside && c == SYN:
		return GotSYN, m, nil
	case !d.inside:
		return GotNoise, m, nil
	case c == etx:
		d.buf, d.inside = append(d.buf, c), false
		if m, err = d.Form.Parse(d.buf); err != nil {
			return BadFrame, m, err
		}
		return GotFrame, m, nil
	case len(d.buf) >= maxStored:
		d.inside = false
		return BadFrame, m, fmt.Errorf("no end after %d bytes: %w", len(d.buf), ErrFrame)
	default:
		d.buf = append(d.buf, c)
	}
	return Nothing, m, nil
}

// Midway tells whether a frame has begun and not ended.
func (d *Decoder) Midway() bool { return d.inside }

// Reset forgets a half frame.
func (d *Decoder) Reset() { d.buf, d.inside = d.buf[:0], false }

// Fields splits the data of a PM frame: every field ends with a TAB.
func Fields(data []byte) []string {
	s := string(bytes.TrimSuffix(data, []byte{'\t'}))
	if s == "" && len(data) == 0 {
		return nil
	}
	var out []string
	for {
		i := bytes.IndexByte([]byte(s), '\t')
		if i < 0 {
			return append(out, s)
		}
		out, s = append(out, s[:i]), s[i+1:]
	}
}

// Tabbed joins fields for a PM frame.
func Tabbed(fields ...string) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		b.WriteString(f)
		b.WriteByte('\t')
	}
	return b.Bytes()
}
