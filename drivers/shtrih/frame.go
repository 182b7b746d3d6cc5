package shtrih

import (
	"errors"
	"fmt"
)

// Control bytes of the standard framing.
const (
	STX byte = 0x02
	ENQ byte = 0x05
	ACK byte = 0x06
	NAK byte = 0x15
)

// maxBody is the most bytes between LEN and LRC.
const maxBody = 255

// ErrTooLong: a command does not fit into a frame.
var ErrTooLong = errors.New("command does not fit into a frame")

// Encode makes the standard frame of a command or answer: STX, LEN, body, LRC.
func Encode(body []byte) ([]byte, error) {
	if len(body) == 0 || len(body) > maxBody {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(body))
	}
	f := make([]byte, 0, len(body)+3)
	f = append(f, STX, byte(len(body)))
	f = append(f, body...)
	return append(f, lrc(f[1:])), nil
}

func lrc(b []byte) byte {
	var x byte
	for _, c := range b {
		x ^= c
	}
	return x
}

// Kind is what a Token is.
type Kind byte

// The kinds of tokens.
const (
	More     Kind = iota // nothing whole yet: wait for more bytes
	Control              // ENQ, ACK or NAK, in Token.Byte
	Frame                // a frame with a right LRC
	BadFrame             // a frame with a wrong LRC
	Noise                // a byte that means nothing here
)

// Token is one thing on a line with standard framing.
type Token struct {
	Kind Kind
	Byte byte   // the control byte or the noise
	Body []byte // of a frame; shares the buffer
}

// Next takes the first token from a buffer and tells how many bytes it used,
// 0 for More. It is for both ends of the line and for listeners between them.
// A frame that stays incomplete is the caller's to give up after the gap time.
func Next(buf []byte) (Token, int) {
	if len(buf) == 0 {
		return Token{}, 0
	}
	switch b := buf[0]; b {
	case ENQ, ACK, NAK:
		return Token{Kind: Control, Byte: b}, 1
	case STX:
		if len(buf) < 2 {
			return Token{}, 0
		}
		n := int(buf[1])
		if n == 0 {
			return Token{Kind: Noise, Byte: b}, 1
		}
		if len(buf) < n+3 {
			return Token{}, 0
		}
		k := Frame
		if lrc(buf[1:n+2]) != buf[n+2] {
			k = BadFrame
		}
		return Token{Kind: k, Body: buf[2 : n+2]}, n + 3
	default:
		// FFh before control bytes is seen on USB and network adapters.
		return Token{Kind: Noise, Byte: b}, 1
	}
}
