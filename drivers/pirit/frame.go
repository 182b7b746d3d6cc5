package pirit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Bytes with a meaning of their own.
const (
	STX byte = 0x02
	ETX byte = 0x03
	ENQ byte = 0x05
	ACK byte = 0x06
	LF  byte = 0x0A
	FS  byte = 0x1C
)

// Identifiers of commands lie between these.
const (
	firstID byte = 0x20
	lastID  byte = 0xF0
)

// Password is the factory's link password.
const Password = "PIRI"

// maxFrame is the longest frame we believe in.
const maxFrame = 4096

var (
	// ErrFrame: the bytes are no frame of this protocol.
	ErrFrame = errors.New("not a frame of this protocol")
	// ErrField: a field holds what the protocol can not carry.
	ErrField = errors.New("field can not be carried")
)

// Request is a command.
type Request struct {
	Password string // "" means the factory's
	ID       byte
	Command  byte
	Fields   []string // in the device's code page
}

// Answer is the register's.
type Answer struct {
	ID      byte
	Command byte
	Error   byte
	Fields  []string
}

// Encode makes the frame of a command.
func (r Request) Encode() ([]byte, error) {
	pw := r.Password
	if pw == "" {
		pw = Password
	}
	if len(pw) != 4 || r.ID < firstID || r.ID > lastID {
		return nil, fmt.Errorf("%w: password of %d bytes, identifier %02Xh", ErrField, len(pw), r.ID)
	}
	head := append([]byte(pw), r.ID)
	return frame(fmt.Appendf(head, "%02X", r.Command), r.Fields)
}

// Encode makes the frame of an answer.
func (a Answer) Encode() ([]byte, error) {
	return frame(fmt.Appendf([]byte{a.ID}, "%02X%02X", a.Command, a.Error), a.Fields)
}

// frame ends each field by FS, as the maker's own sample does, one FS standing
// for no fields in commands; answers without fields have none.
func frame(head []byte, fields []string) ([]byte, error) {
	b := append([]byte{STX}, head...)
	for _, f := range fields {
		for i := range len(f) {
			if f[i] < 0x20 {
				return nil, fmt.Errorf("%w: byte %02Xh", ErrField, f[i])
			}
		}
		b = append(append(b, f...), FS)
	}
	b = append(b, ETX)
	b = fmt.Appendf(b, "%02X", check(b[1:]))
	if len(b) > maxFrame {
		return nil, fmt.Errorf("%w: frame of %d bytes", ErrField, len(b))
	}
	return b, nil
}

func check(b []byte) byte {
	var x byte
	for _, c := range b {
		x ^= c
	}
	return x
}

// Escape writes bytes below 20h as $XX, for fields that carry codes.
func Escape(b []byte) string {
	var out []byte
	for _, c := range b {
		if c < 0x20 {
			out = fmt.Appendf(out, "$%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// Kind is what a Token is.
type Kind byte

// The kinds of tokens.
const (
	More     Kind = iota // nothing whole yet
	Control              // ENQ, ACK or LF
	Frame                // a frame with a right check
	BadFrame             // a frame with a wrong check, or one cut short by the next
	Noise
)

// Token is one thing on the line.
type Token struct {
	Kind Kind
	Byte byte   // of Control and Noise
	Body []byte // between STX and ETX; shares the buffer
}

// Next takes the first token from a buffer and tells how many bytes it used, 0
// for More. It is for both ends of the line.
func Next(buf []byte) (Token, int) {
	if len(buf) == 0 {
		return Token{}, 0
	}
	switch b := buf[0]; b {
	case ENQ, ACK, LF:
		return Token{Kind: Control, Byte: b}, 1
	case STX:
	default:
		return Token{Kind: Noise, Byte: b}, 1
	}
	for i := 1; i < len(buf); i++ {
		switch {
		case buf[i] == STX:
			return Token{Kind: BadFrame, Body: buf[1:i]}, i
		case buf[i] == ETX:
			if len(buf) < i+3 {
				return Token{}, 0
			}
			k := BadFrame
			if x, err := strconv.ParseUint(string(buf[i+1:i+3]), 16, 8); err == nil && byte(x) == check(buf[1:i+1]) {
				k = Frame
			}
			return Token{Kind: k, Body: buf[1:i]}, i + 3
		case i >= maxFrame:
			return Token{Kind: BadFrame, Body: buf[1:i]}, i
		}
	}
	return Token{}, 0
}

// ParseRequest reads the body of a command.
func ParseRequest(body []byte) (Request, error) {
	if len(body) < 7 {
		return Request{}, fmt.Errorf("%w: command of %d bytes", ErrFrame, len(body))
	}
	r := Request{Password: string(body[:4]), ID: body[4]}
	c, err := strconv.ParseUint(string(body[5:7]), 16, 8)
	if err != nil {
		return r, fmt.Errorf("%w: command %q", ErrFrame, body[5:7])
	}
	r.Command, r.Fields = byte(c), fields(body[7:])
	return r, nil
}

// ParseAnswer reads the body of an answer.
func ParseAnswer(body []byte) (Answer, error) {
	if len(body) < 5 {
		return Answer{}, fmt.Errorf("%w: answer of %d bytes", ErrFrame, len(body))
	}
	a := Answer{ID: body[0]}
	c, err := strconv.ParseUint(string(body[1:3]), 16, 8)
	e, err2 := strconv.ParseUint(string(body[3:5]), 16, 8)
	if err != nil || err2 != nil {
		return a, fmt.Errorf("%w: answer %q", ErrFrame, body[1:5])
	}
	a.Command, a.Error, a.Fields = byte(c), byte(e), fields(body[5:])
	return a, nil
}

// fields takes FS as a separator or as an end of field: both are in use.
func fields(data []byte) []string {
	data = bytes.TrimSuffix(data, []byte{FS})
	if len(data) == 0 {
		return nil
	}
	var out []string
	for _, f := range bytes.Split(data, []byte{FS}) {
		out = append(out, string(f))
	}
	return out
}
