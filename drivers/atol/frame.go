package atol

import (
	"errors"
	"fmt"
)

// Transport 3.
const (
	stx     byte = 0xFE
	esc     byte = 0xFD
	escSTX  byte = 0xEE
	escESC  byte = 0xED
	LastID  byte = 0xDF // packet numbers go round from 0 to this
	AsyncID byte = 0xF0 // packets the register sends by itself
	maxData      = 2048
)

// ErrTooLong: a packet would be longer than registers take.
var ErrTooLong = errors.New("packet too long")

// Packet is one packet of transport 3.
type Packet struct {
	ID byte
	// Data is empty in the answer to a damaged packet.
	Data []byte
}

// Encode makes the bytes: FE, length 7+8 bits, number, data and check stuffed.
func (p Packet) Encode() ([]byte, error) {
	n := len(p.Data)
	if n > maxData || p.ID >= esc {
		return nil, fmt.Errorf("%w: %d bytes, number %02Xh", ErrTooLong, n, p.ID)
	}
	out := append(make([]byte, 0, n+8), stx, byte(n&0x7F), byte(n>>7), p.ID)
	for _, b := range p.Data {
		out = stuff(out, b)
	}
	return stuff(out, crc8(crc8Start(p.ID), p.Data)), nil
}

func stuff(out []byte, b byte) []byte {
	switch b {
	case stx:
		return append(out, esc, escSTX)
	case esc:
		return append(out, esc, escESC)
	}
	return append(out, b)
}

func crc8Start(id byte) byte { return crc8(0xFF, []byte{id}) }

// crc8: polynomial 31h, most significant bit first.
func crc8(crc byte, data []byte) byte {
	for _, b := range data {
		crc ^= b
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x31
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// Kind is what Next found.
type Kind byte

// The kinds.
const (
	More  Kind = iota // nothing whole yet
	Good              // a packet
	Bad               // a packet with a wrong check, or cut short by the next; ID may be right
	Noise             // a byte outside packets
)

// Next takes the first packet from a buffer and tells how many bytes it used, 0
// for More. It is for both ends of the line.
func Next(buf []byte) (p Packet, kind Kind, n int) {
	if len(buf) == 0 {
		return p, More, 0
	}
	if buf[0] != stx {
		return p, Noise, 1
	}
	for i := 1; i < min(4, len(buf)); i++ {
		if buf[i] == stx {
			return p, Bad, i
		}
	}
	if len(buf) < 4 {
		return p, More, 0
	}
	want := int(buf[1]&0x7F) | int(buf[2])<<7
	p.ID = buf[3]
	if buf[1] > 0x7F || want > maxData {
		return p, Bad, 4
	}
	for i := 4; i < len(buf); i++ {
		b := buf[i]
		switch b {
		case stx:
			return Packet{ID: p.ID}, Bad, i
		case esc:
			if i+1 == len(buf) {
				return Packet{}, More, 0
			}
			i++
			switch buf[i] {
			case escSTX:
				b = stx
			case escESC:
				b = esc
			case stx:
				return Packet{ID: p.ID}, Bad, i
			default:
				return Packet{ID: p.ID}, Bad, i + 1
			}
		}
		if len(p.Data) < want {
			p.Data = append(p.Data, b)
			continue
		}
		if crc8(crc8Start(p.ID), p.Data) != b {
			return Packet{ID: p.ID}, Bad, i + 1
		}
		return p, Good, i + 1
	}
	return Packet{}, More, 0
}
