package shtrih

import (
	"encoding/binary"
	"fmt"
)

// The alternative framing, for noisy lines and models that have it (bit 28 of
// F7h):
//
//	8F LEN16 NUM16 DATA CRC16     little-endian, stuffed after the first byte
//	8F 0000 CRC16                 synchronise
const (
	altStart byte = 0x8F
	altEsc   byte = 0x9F
	altIs8F  byte = 0x81
	altIs9F  byte = 0x83
	altMax        = 1024 // most bytes of data we believe in
)

// AltFrame is a frame of the alternative framing.
type AltFrame struct {
	// Sync: a request to synchronise; it has neither number nor data. The
	// register answers with its number and no data.
	Sync bool
	Num  uint16
	Data []byte
}

// Encode makes the bytes of a frame.
func (f AltFrame) Encode() ([]byte, error) {
	if len(f.Data) > altMax {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(f.Data))
	}
	var raw []byte
	if f.Sync {
		raw = []byte{0, 0}
	} else {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(len(f.Data)+2))
		raw = binary.LittleEndian.AppendUint16(raw, f.Num)
		raw = append(raw, f.Data...)
	}
	raw = binary.LittleEndian.AppendUint16(raw, crc16(raw))
	out := make([]byte, 1, len(raw)+4)
	out[0] = altStart
	for _, b := range raw {
		switch b {
		case altStart:
			out = append(out, altEsc, altIs8F)
		case altEsc:
			out = append(out, altEsc, altIs9F)
		default:
			out = append(out, b)
		}
	}
	return out, nil
}

// crc16 is CCITT, polynomial 1021h, start FFFFh, not reflected.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// NextAlt takes the first frame from a buffer. kind is More (n is 0), Frame,
// BadFrame (wrong CRC, stuffing or length) or Noise (one byte that starts no
// frame).
func NextAlt(buf []byte) (f AltFrame, kind Kind, n int) {
	if len(buf) == 0 {
		return f, More, 0
	}
	if buf[0] != altStart {
		return f, Noise, 1
	}
	var raw []byte
	want := 4 // LEN and CRC
	for i := 1; i < len(buf); i++ {
		b := buf[i]
		switch b {
		case altStart: // a new frame begins: what came before is damaged
			return f, BadFrame, i
		case altEsc:
			if i+1 == len(buf) {
				return f, More, 0
			}
			i++
			switch buf[i] {
			case altIs8F:
				b = altStart
			case altIs9F:
				b = altEsc
			case altStart:
				return f, BadFrame, i
			default:
				return f, BadFrame, i + 1
			}
		}
		raw = append(raw, b)
		if len(raw) == 2 {
			ln := int(binary.LittleEndian.Uint16(raw))
			if ln == 1 || ln > altMax+2 {
				return f, BadFrame, i + 1
			}
			want = ln + 4
		}
		if len(raw) < want {
			continue
		}
		body := raw[:want-2]
		if binary.LittleEndian.Uint16(raw[want-2:]) != crc16(body) {
			return f, BadFrame, i + 1
		}
		if want == 4 {
			return AltFrame{Sync: true}, Frame, i + 1
		}
		return AltFrame{Num: binary.LittleEndian.Uint16(body[2:]), Data: body[4:]}, Frame, i + 1
	}
	return f, More, 0
}
