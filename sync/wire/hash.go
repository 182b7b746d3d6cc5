package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256 over the stored bytes of a record. The zero Hash stands
// before the first record of an epoch. In JSON it is 64 hexadecimal digits.
type Hash [sha256.Size]byte

// HashOf hashes the stored bytes of a record.
func HashOf(record []byte) Hash { return sha256.Sum256(record) }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports the hash before the first record.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes 64 lower-case hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads exactly 64 lower-case hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) error {
	v, ok := parseHash(b)
	if !ok {
		return fmt.Errorf("%w: hash %q", ErrMalformed, clip(b))
	}
	*h = v
	return nil
}

// parseHash accepts lower case only, so that a hash has one spelling.
func parseHash(b []byte) (h Hash, ok bool) {
	if len(b) != 2*len(h) {
		return h, false
	}
	for i := range h {
		hi, lo := unhex(b[2*i]), unhex(b[2*i+1])
		if hi > 15 || lo > 15 {
			return Hash{}, false
		}
		h[i] = hi<<4 | lo
	}
	return h, true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// Head names the end of a journal or of what the centre has of it.
// The zero Head is an empty journal.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash Hash   `json:"hash"`
}

// Mark names a place in the journal of one device.
type Mark struct {
	Epoch uint32 `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// clip keeps foreign bytes in error texts short.
func clip(b []byte) string {
	if len(b) > 60 {
		return string(b[:60]) + "…"
	}
	return string(b)
}
