package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// Why something is not believed. Every error of this package wraps one of
// these; [Reason] gives the word for records and logs.
var (
	ErrMalformed = errors.New("not a signed document of ours")
	ErrSignature = errors.New("not enough signatures of the keys that count")
	ErrTenant    = errors.New("made for another chain")
	ErrVersion   = errors.New("version is not above what was seen")
	ErrExpired   = errors.New("its time is over")
	ErrScope     = errors.New("not for this store")
	ErrContent   = errors.New("bytes are not those that were signed for")
)

// Reason is the machine word of an error: signature, tenant, version, expired,
// scope, content, decode; empty for an error of another kind.
func Reason(err error) string {
	for _, r := range []struct {
		err  error
		word string
	}{{ErrMalformed, "decode"}, {ErrSignature, "signature"}, {ErrTenant, "tenant"}, {ErrVersion, "version"},
		{ErrExpired, "expired"}, {ErrScope, "scope"}, {ErrContent, "content"}} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return ""
}

// Role is what a key may sign.
type Role string

// The roles. Rulebooks are [wire.Bundle] values; the other two are documents of
// this package.
const (
	RoleRoot     Role = "root"
	RoleRulebook Role = "rulebook"
	RoleRelease  Role = "release"
)

// Roles lists them all.
var Roles = []Role{RoleRoot, RoleRulebook, RoleRelease}

// Limits of a document.
const (
	maxSigned     = 1 << 20 // bytes of a signed file
	maxKeys       = 32
	maxSignatures = 32
	maxPrograms   = 1000
)

// Signed is a document as it travels and lies on disk: its exact bytes and the
// signatures over them. The bytes are never written anew, so no two programs
// can disagree on what was signed.
type Signed struct {
	Kind       Role             `json:"kind"`    // root or release
	Payload    []byte           `json:"payload"` // exact JSON bytes
	Signatures []wire.Signature `json:"signatures,omitempty"`
}

// message is what a signature is over: a line that names the kind, then the
// payload. A signature for one kind is none for another.
func (s *Signed) message() []byte {
	return append([]byte("tillside "+string(s.Kind)+" v1\n"), s.Payload...)
}

// Sign adds a signature; one key signs a document once.
func (s *Signed) Sign(key ed25519.PrivateKey) {
	id := wire.KeyID(key.Public().(ed25519.PublicKey))
	s.Signatures = slices.DeleteFunc(s.Signatures, func(x wire.Signature) bool { return x.Key == id })
	s.Signatures = append(s.Signatures, wire.Signature{Key: id, Sig: ed25519.Sign(key, s.message())})
}

// Bytes is the file form.
func (s *Signed) Bytes() []byte {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil { // only strings and bytes
		panic(err)
	}
	return append(b, '\n')
}

// ParseSigned reads the file form. It verifies nothing.
func ParseSigned(b []byte) (*Signed, error) {
	if len(b) > maxSigned {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	var s Signed
	if err := strict(b, &s); err != nil {
		return nil, err
	}
	if s.Kind != RoleRoot && s.Kind != RoleRelease || len(s.Signatures) > maxSignatures {
		return nil, fmt.Errorf("kind %.20q with %d signatures: %w", s.Kind, len(s.Signatures), ErrMalformed)
	}
	return &s, nil
}

// strict reads JSON of known depth and known fields: what was signed and what
// is understood must be the same thing.
func strict(b []byte, v any) error {
	if err := depth(b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.More() {
		return fmt.Errorf("%w: something follows the document", ErrMalformed)
	}
	return nil
}

// depth bounds nesting before encoding/json sees foreign bytes.
func depth(b []byte) error {
	level, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if level++; level > 8 {
				return fmt.Errorf("%w: nested too deeply", ErrMalformed)
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return nil
}

// Header begins every document.
type Header struct {
	Form    int       `json:"form"`             // of the document; 1
	Tenant  string    `json:"tenant,omitempty"` // the chain it is for
	Version int64     `json:"version"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"` // taken no more after this
}

func (h *Header) check() error {
	switch {
	case h.Form != 1:
		return fmt.Errorf("form %d, this program knows 1: %w", h.Form, ErrMalformed)
	case h.Version < 1:
		return fmt.Errorf("version %d: %w", h.Version, ErrMalformed)
	case h.Expires.IsZero():
		return fmt.Errorf("no expiry: %w", ErrMalformed)
	case len(h.Tenant) > 64:
		return fmt.Errorf("tenant of %d bytes: %w", len(h.Tenant), ErrMalformed)
	}
	return nil
}

// expired tells whether the end has come; now may be zero: not known.
func (h *Header) expired(now time.Time) error {
	if !now.IsZero() && now.After(h.Expires) {
		return fmt.Errorf("ended %s: %w", h.Expires.UTC().Format(time.DateOnly), ErrExpired)
	}
	return nil
}

// FormatKey is the file form of a private key: PEM, PKCS #8.
func FormatKey(key ed25519.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil { // a key of the right length
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// ParseKey reads what [FormatKey] wrote.
func ParseKey(b []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("not a PEM file with a PRIVATE KEY")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	return key, nil
}

// FormatPublic is the file form of a public key: PEM, PKIX.
func FormatPublic(pub ed25519.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil { // a key of the right length
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// ParsePublic reads what [FormatPublic] wrote, or the public half of a private
// key file.
func ParsePublic(b []byte) (ed25519.PublicKey, error) {
	if key, err := ParseKey(b); err == nil {
		return key.Public().(ed25519.PublicKey), nil
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("not a PEM file with a PUBLIC KEY")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	pub, ok := k.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	return pub, nil
}
