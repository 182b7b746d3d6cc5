package wire

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
)

// Voucher is the word of a store's keeper to another till of the store: so
// many points of the keeper's own leases are held for one receipt of that
// till. It repeats the keeper's HOLD record and is signed with the keeper's
// device key, so that the centre can book the receipt whichever of the two
// journals comes first, and even when the keeper's never comes.
type Voucher struct {
	Hold    string      `json:"hold"`
	Member  string      `json:"member"`
	Wallet  string      `json:"wallet"`
	Points  string      `json:"points"`
	Leases  []LeasePart `json:"leases"`
	Receipt string      `json:"receipt"`
	For     string      `json:"for"`    // device that may spend it
	Keeper  string      `json:"keeper"` // device whose leases they are
	Epoch   uint32      `json:"epoch"`  // of the keeper
	Seq     uint64      `json:"seq"`    // of its HOLD record
	Sig     []byte      `json:"sig"`
}

// ErrVoucher is returned for a voucher that is not the keeper's word.
var ErrVoucher = errors.New("voucher is not signed by the keeper")

// message is what the keeper signs: one value to a line, none of which has a
// line end in it.
func (v *Voucher) message() ([]byte, error) {
	lines := []string{"tillside voucher v1", v.Keeper, fmt.Sprint(v.Epoch), fmt.Sprint(v.Seq), v.For, v.Hold, v.Receipt, v.Member, v.Wallet, v.Points}
	if len(v.Leases) == 0 || len(v.Leases) > MaxLeaseParts {
		return nil, fmt.Errorf("voucher with %d leases: %w", len(v.Leases), ErrMalformed)
	}
	for _, p := range v.Leases {
		lines = append(lines, p.Lease, p.Points)
	}
	size := 0
	for _, l := range lines {
		if size += len(l); strings.ContainsAny(l, "\r\n") || size > 8<<10 {
			return nil, fmt.Errorf("voucher: %w", ErrMalformed)
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// Sign signs the voucher with the keeper's device key.
func (v *Voucher) Sign(key ed25519.PrivateKey) error {
	m, err := v.message()
	if err != nil {
		return err
	}
	v.Sig = ed25519.Sign(key, m)
	return nil
}

// Verify checks the signature against the keeper's public key.
func (v *Voucher) Verify(key ed25519.PublicKey) error {
	m, err := v.message()
	if err != nil {
		return err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, m, v.Sig) {
		return ErrVoucher
	}
	return nil
}
