package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bundle is a rulebook as it travels: its exact bytes, what it is good for,
// and signatures over all of that.
type Bundle struct {
	Version    int64       `json:"version"`              // grows with every publication; "go back" is a new, higher version
	Name       string      `json:"name"`                 // programme
	Tenant     string      `json:"tenant,omitempty"`     // the chain it is for
	Issued     time.Time   `json:"issued"`               // whole seconds, UTC
	NotAfter   time.Time   `json:"not_after,omitzero"`   // never activated after this; zero: no end
	Stores     []string    `json:"stores,omitempty"`     // for these only; empty: for all
	Payload    []byte      `json:"payload"`              // exact bytes of the rulebook
	Signatures []Signature `json:"signatures,omitempty"` // at least one by a key the till trusts
}

// Signature of one key.
type Signature struct {
	Key string `json:"key"` // id of the key, see [KeyID]
	Sig []byte `json:"sig"`
}

// PublicKey is a key that a till trusts.
type PublicKey struct {
	ID     string `json:"id"`
	Public []byte `json:"public_key"` // Ed25519, 32 bytes
}

// KeyID names a public key: the first 8 bytes of its SHA-256 in hexadecimal.
func KeyID(pub ed25519.PublicKey) string {
	h := sha256.Sum256(pub)
	return hex.EncodeToString(h[:8])
}

// SignedBytes is what the signatures of a bundle are over: a domain line, one
// line per header field, an empty line, the payload. The first form had no
// tenant; a signature of one form is none of the other.
func (b *Bundle) SignedBytes() ([]byte, error) {
	if b.Version < 1 {
		return nil, fmt.Errorf("%w: bundle version %d", ErrMalformed, b.Version)
	}
	if !plain(b.Name, 1, 100) {
		return nil, fmt.Errorf("%w: bundle name %q", ErrMalformed, clip([]byte(b.Name)))
	}
	for _, s := range b.Stores {
		if !plain(s, 1, 64) || strings.Contains(s, ",") {
			return nil, fmt.Errorf("%w: bundle store %q", ErrMalformed, clip([]byte(s)))
		}
	}
	if b.Tenant != "" && !plain(b.Tenant, 1, 64) {
		return nil, fmt.Errorf("%w: bundle tenant %q", ErrMalformed, clip([]byte(b.Tenant)))
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	var s strings.Builder
	if b.Tenant == "" {
		s.WriteString("tillside bundle v1\n")
	} else {
		s.WriteString("tillside bundle v2\ntenant " + b.Tenant + "\n")
	}
	s.WriteString("version " + strconv.FormatInt(b.Version, 10) + "\n")
	s.WriteString("name " + b.Name + "\n")
	s.WriteString("issued " + stamp(b.Issued) + "\n")
	s.WriteString("not_after " + stamp(b.NotAfter) + "\n")
	s.WriteString("stores " + strings.Join(b.Stores, ",") + "\n")
	s.WriteString("size " + strconv.Itoa(len(b.Payload)) + "\n\n")
	return append([]byte(s.String()), b.Payload...), nil
}

// Sign adds a signature; one key signs a bundle once.
func (b *Bundle) Sign(key ed25519.PrivateKey) error {
	msg, err := b.SignedBytes()
	if err != nil {
		return err
	}
	id := KeyID(key.Public().(ed25519.PublicKey))
	b.Signatures = slices.DeleteFunc(b.Signatures, func(s Signature) bool { return s.Key == id })
	b.Signatures = append(b.Signatures, Signature{Key: id, Sig: ed25519.Sign(key, msg)})
	return nil
}

// Verify tells whether one of the trusted keys signed the bundle. It does
// not look at tenant, version, expiry, stores or thresholds: package trust
// does, and is what decides at a till.
func (b *Bundle) Verify(trusted []PublicKey) error {
	msg, err := b.SignedBytes()
	if err != nil {
		return err
	}
	if len(b.Signatures) > 16 {
		return fmt.Errorf("bundle with %d signatures: %w", len(b.Signatures), ErrTooLarge)
	}
	for _, s := range b.Signatures {
		for _, k := range trusted {
			if k.ID == s.Key && len(k.Public) == ed25519.PublicKeySize && KeyID(k.Public) == k.ID &&
				ed25519.Verify(k.Public, msg, s.Sig) {
				return nil
			}
		}
	}
	return fmt.Errorf("bundle %s %d: %w", b.Name, b.Version, ErrSignature)
}

// Usable tells why a verified bundle may not replace version active in the
// given store: not newer, ended, or meant for other stores. now may be zero
// when the clock is not trusted; then the end is not checked.
func (b *Bundle) Usable(active int64, store string, now time.Time) error {
	switch {
	case b.Version <= active:
		return fmt.Errorf("bundle version %d is not above %d", b.Version, active)
	case !b.NotAfter.IsZero() && !now.IsZero() && now.After(b.NotAfter):
		return fmt.Errorf("bundle ended at %s", b.NotAfter.UTC().Format(time.RFC3339))
	case len(b.Stores) > 0 && !slices.Contains(b.Stores, store):
		return fmt.Errorf("bundle is not for store %q", store)
	}
	return nil
}
