package rfid

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/card"
)

// What can be wrong with a reading.
var (
	ErrChecksum = errors.New("wrong checksum")
	ErrNoCard   = errors.New("the reader says that no card is there")
	ErrRandom   = errors.New("a random identifier, such as phones have")
	ErrShort    = errors.New("the reader gives only 24 of the card's 40 bits")
	ErrFormat   = errors.New("no known form of a card number")
)

// Number is a card's identifier with the number of bits that are known of it.
type Number struct {
	Value uint64
	Bits  int    // 40 or 24 for 125 kHz cards; 32, 56 or 80 for Mifare
	Kind  string // "em4100" or "mifare"
}

var (
	em10    = regexp.MustCompile(`^[0-9A-Fa-f]{10}$`)
	em12    = regexp.MustCompile(`^[0-9A-Fa-f]{12}$`)
	dec10   = regexp.MustCompile(`^[0-9]{10}$`)
	fac     = regexp.MustCompile(`^([0-9]{1,3}),([0-9]{1,5})$`)
	dec8    = regexp.MustCompile(`^([0-9]{3})([0-9]{5})$`)
	emz2    = regexp.MustCompile(`^Em-?Marine\[([0-9A-Fa-f]{4})\] *([0-9]{1,3}),([0-9]{1,5})$`)
	mifare  = regexp.MustCompile(`^Mifare\[([0-9A-Fa-f]{8}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20})\]`)
	noCard  = regexp.MustCompile(`(?i)^no card$`)
	notSaid = regexp.MustCompile(`^[0-9]{8}$`)
)

// Parse reads one line or frame of a reader, without STX, ETX and line ends.
// Ten characters that are all digits may be hexadecimal or decimal: hex says
// which this reader sends.
func Parse(s string, hexDigits bool) (Number, error) {
	s = strings.TrimSpace(s)
	switch {
	case noCard.MatchString(s):
		return Number{}, ErrNoCard
	case em12.MatchString(s):
		b, _ := hex.DecodeString(s)
		var x byte
		var v uint64
		for _, c := range b[:5] {
			x ^= c
			v = v<<8 | uint64(c)
		}
		if x != b[5] {
			return Number{}, ErrChecksum
		}
		return Number{v, 40, "em4100"}, nil
	case dec10.MatchString(s) && !hexDigits:
		v, _ := strconv.ParseUint(s, 10, 64)
		if v > 0xFFFFFFFF {
			return Number{}, ErrFormat
		}
		return Number{v, 32, "em4100"}, nil
	case em10.MatchString(s):
		v, _ := strconv.ParseUint(s, 16, 64)
		return Number{v, 40, "em4100"}, nil
	}
	if m := emz2.FindStringSubmatch(s); m != nil {
		high, _ := strconv.ParseUint(m[1], 16, 64)
		low, err := facility(m[2], m[3])
		return Number{high<<24 | low, 40, "em4100"}, err
	}
	if m := mifare.FindStringSubmatch(s); m != nil {
		b, _ := hex.DecodeString(m[1])
		return uid(b)
	}
	if m := fac.FindStringSubmatch(s); m != nil {
		v, err := facility(m[1], m[2])
		return Number{v, 24, "em4100"}, err
	}
	if m := dec8.FindStringSubmatch(s); m != nil && notSaid.MatchString(s) {
		v, err := facility(m[1], m[2])
		return Number{v, 24, "em4100"}, err
	}
	return Number{}, ErrFormat
}

// Wiegand reads the three bytes of a Wiegand-26 converter.
func Wiegand(b []byte) (Number, error) {
	if len(b) != 3 {
		return Number{}, ErrFormat
	}
	return Number{uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2]), 24, "em4100"}, nil
}

func facility(f, n string) (uint64, error) {
	a, _ := strconv.ParseUint(f, 10, 32)
	b, _ := strconv.ParseUint(n, 10, 32)
	if a > 255 || b > 65535 {
		return 0, ErrFormat
	}
	return a<<16 | b, nil
}

// uid is a Mifare identifier as the reader shows it. The maker's decimal
// numbers beside it pick other bytes for each length, so they are not used.
func uid(b []byte) (Number, error) {
	if len(b) == 4 && b[0] == 0x08 {
		return Number{}, ErrRandom
	}
	if len(b) > 8 {
		// Ten bytes do not fit a number; the last eight are as good.
		b = b[len(b)-8:]
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return Number{v, 8 * len(b), "mifare"}, nil
}

// Reversed is the number with its bytes in the other order.
func (n Number) Reversed() Number {
	var v uint64
	for i := 0; i < n.Bits; i += 8 {
		v = v<<8 | n.Value>>i&0xFF
	}
	n.Value = v
	return n
}

// Notation is how card numbers are written down in a programme.
type Notation string

// The notations; all readers of a programme are brought to one.
const (
	Hex10    Notation = "hex10"    // 170009593F: all 40 bits
	Dec      Notation = "decimal"  // 98784860479: all 40 bits
	Dec10    Notation = "dec10"    // 0000612671: the low 32 bits
	Facility Notation = "facility" // 009,22847: the low 24 bits
)

// Format writes a number in a notation. It fails with ErrShort when the reader
// gave fewer bits than the notation needs, unless short is allowed: then the
// low 24 bits are written as "~" and six hexadecimal digits, so that nobody
// takes them for a whole number.
func (n Number) Format(to Notation, short bool) (string, error) {
	if n.Kind == "mifare" {
		return fmt.Sprintf("%0*X", n.Bits/4, n.Value), nil
	}
	need := map[Notation]int{Hex10: 40, Dec: 40, Dec10: 32, Facility: 24}[to]
	if n.Bits < need {
		if !short {
			return "", ErrShort
		}
		return fmt.Sprintf("~%06X", n.Value&0xFFFFFF), nil
	}
	switch to {
	case Dec:
		return strconv.FormatUint(n.Value, 10), nil
	case Dec10:
		return fmt.Sprintf("%010d", n.Value&0xFFFFFFFF), nil
	case Facility:
		return fmt.Sprintf("%03d,%05d", n.Value>>16&0xFF, n.Value&0xFFFF), nil
	}
	return fmt.Sprintf("%010X", n.Value), nil
}

// Rules say how readings become card numbers.
type Rules struct {
	Notation   Notation
	Short      bool
	Reverse    bool
	HexDigits  bool
	RawWiegand bool
	Masks      card.Masks
}

// Read turns one line or frame into a Scan.
func (r Rules) Read(raw []byte) (drivers.Scan, error) {
	var n Number
	var err error
	if r.RawWiegand {
		n, err = Wiegand(raw)
	} else {
		for _, b := range raw {
			if b < 0x20 || b > 0x7E {
				return drivers.Scan{}, barcode.ErrUnreadable
			}
		}
		n, err = Parse(string(raw), r.HexDigits)
	}
	if err != nil {
		return drivers.Scan{}, err
	}
	if r.Reverse {
		n = n.Reversed()
	}
	text, err := n.Format(r.Notation, r.Short)
	if err != nil {
		return drivers.Scan{}, err
	}
	s := drivers.Scan{Source: drivers.FromRFID, Symbology: n.Kind, Text: text}
	if c, ok := r.Masks.Find(text); ok {
		s.Card = c
	}
	return s, nil
}
