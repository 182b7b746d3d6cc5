package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Ref stands for a card or phone number in records, caches and frames: the
// first 16 bytes of HMAC-SHA256(lookup key, kind ":" normalised number). The
// lookup key is made by the centre, one per programme, and handed to a till
// when it is enrolled. Without the key a Ref says nothing; with it, short
// numbers can be tried out, so both key and caches are kept small and close.
//
// The zero Ref means "none". In JSON a Ref is 32 hexadecimal digits, or "".
type Ref [16]byte

// Kinds of numbers.
const (
	KindCard  = "card"
	KindPhone = "phone"
)

// CardRef makes the Ref of a number. kind is [KindCard] or [KindPhone]; the
// number is normalised first (see [Normalise]), so both ends agree however it
// was typed.
func CardRef(key []byte, kind, number string) Ref {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(kind))
	m.Write([]byte{':'})
	m.Write([]byte(Normalise(kind, number)))
	var r Ref
	copy(r[:], m.Sum(nil))
	return r
}

// Normalise brings a number into its one spelling. Cards: letters upper
// case, spaces, dashes and dots dropped. Phones: digits only, in the
// international form without "+" or "00"; national forms must be completed
// by the caller, who knows the country.
func Normalise(kind, number string) string {
	if kind == KindPhone {
		digits := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, number)
		if !strings.HasPrefix(strings.TrimSpace(number), "+") {
			digits = strings.TrimPrefix(digits, "00")
		}
		return digits
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '.' || r == '\t' || r == '\u00a0':
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, strings.TrimSpace(number))
}

// IsZero reports "none".
func (r Ref) IsZero() bool { return r == Ref{} }

// Short is the first 8 bytes, the key of a till's member cache.
func (r Ref) Short() uint64 { return binary.BigEndian.Uint64(r[:8]) }

func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return hex.EncodeToString(r[:])
}

// MarshalText writes 32 hexadecimal digits, nothing for the zero Ref.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads 32 hexadecimal digits or nothing.
func (r *Ref) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*r = Ref{}
		return nil
	}
	if len(b) != 2*len(r) {
		return fmt.Errorf("%w: card reference of %d characters", ErrMalformed, len(b))
	}
	var v Ref
	if _, err := hex.Decode(v[:], b); err != nil {
		return fmt.Errorf("%w: card reference", ErrMalformed)
	}
	*r = v
	return nil
}

// ParseRef reads the text form.
func ParseRef(s string) (Ref, error) {
	var r Ref
	err := r.UnmarshalText([]byte(s))
	return r, err
}
