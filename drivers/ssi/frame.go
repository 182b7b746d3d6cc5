package ssi

import (
	"errors"

	"github.com/tillside/tillside/drivers/barcode"
)

// Opcodes.
const (
	opDecodeData = 0xF3
	opACK        = 0xD0
	opNAK        = 0xD1
	opEvent      = 0xF6
	opParams     = 0xC6
	opBeep       = 0xE6
)

// Sources and status bits.
const (
	fromDecoder    = 0x00
	fromHost       = 0x04
	statusRepeated = 0x01
	statusMore     = 0x02
)

// Packet is one SSI packet without its length and checksum.
type Packet struct {
	Opcode, Source, Status byte
	Data                   []byte
}

// ErrChecksum is told when a packet is damaged; it is to be sent again.
var ErrChecksum = errors.New("wrong checksum")

// checksum is the two's complement of the sum of all bytes before it.
func checksum(b []byte) uint16 {
	var sum uint16
	for _, c := range b {
		sum += uint16(c)
	}
	return -sum
}

// Bytes makes the packet ready for the line. Data is at most 251 bytes.
func (p Packet) Bytes() []byte {
	b := append([]byte{byte(4 + len(p.Data)), p.Opcode, p.Source, p.Status}, p.Data...)
	ck := checksum(b)
	return append(b, byte(ck>>8), byte(ck))
}

// parse takes a packet from the beginning of b. n is its length on the line; 0
// means that bytes are missing. A packet with a wrong checksum has its length
// and ErrChecksum.
func parse(b []byte) (p Packet, n int, err error) {
	if len(b) == 0 {
		return p, 0, nil
	}
	l := int(b[0])
	if l < 4 {
		return p, 1, ErrChecksum // no packet begins so
	}
	if len(b) < l+2 {
		return p, 0, nil
	}
	if uint16(b[l])<<8|uint16(b[l+1]) != checksum(b[:l]) {
		return p, l + 2, ErrChecksum
	}
	return Packet{Opcode: b[1], Source: b[2], Status: b[3], Data: b[4:l]}, l + 2, nil
}

// aims gives the AIM identifier that a code type stands for, so that readings
// go the same way as those of text scanners.
var aims = map[byte]string{0x01: "]A0", 0x02: "]F0", 0x03: "]C0", 0x06: "]I0", 0x07: "]G0", 0x08: "]E0", 0x09: "]E0", 0x0A: "]E4", 0x0B: "]E0",
	0x0F: "]C1", 0x11: "]L2", 0x1B: "]d1", 0x1C: "]Q1", 0x2D: "]z0", 0x30: "]e0", 0x31: "]e0", 0x32: "]e0"}

// reading is the body of DECODE_DATA as a text scanner with AIM identifiers
// would send it.
func reading(data []byte) ([]byte, error) {
	if len(data) < 2 {
		return nil, barcode.ErrTooShort
	}
	return append([]byte(aims[data[0]]), data[1:]...), nil
}
