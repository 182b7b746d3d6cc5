package wire

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// EnrolPath is where a till sends its enrolment request (POST, JSON).
const EnrolPath = "/v1/enrol"

// SyncPath is where a session is opened (websocket).
const SyncPath = "/v1/sync"

// EnrolRequest is sent once, with a code a person typed.
type EnrolRequest struct {
	Code      string `json:"code"`
	PublicKey []byte `json:"public_key"` // Ed25519, made on the device
	Host      string `json:"host,omitempty"`
	Agent     string `json:"agent,omitempty"`
	// Till is "store/till" that the machine is to be. A code for another till
	// is refused and stays good. Empty: as the code says.
	Till string `json:"till,omitempty"`
}

// EnrolAnswer is all a till needs to start.
type EnrolAnswer struct {
	Device    string `json:"device"`
	Epoch     uint32 `json:"epoch"`
	Store     string `json:"store"`
	Till      string `json:"till"`
	LookupKey []byte `json:"lookup_key"`     // 32 bytes, see CardRef
	Root      []byte `json:"root,omitempty"` // which keys count for rulebooks and programs, see package trust
	SyncURL   string `json:"sync_url"`       // ws:// or wss://
	// Certificate (DER) of the device's key and the authority (DER) that signed
	// it, where the centre ends TLS with an authority of its own.
	Certificate []byte `json:"certificate,omitempty"`
	Authority   []byte `json:"authority,omitempty"`
}

// Error is the shape of every HTTP error of ours.
type Error struct {
	Code    string `json:"code"` // enrol: code_unknown, code_used, code_expired, other_till, too_many_tries, malformed
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Field   string `json:"field,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrorBody wraps an Error on the wire.
type ErrorBody struct {
	Error Error `json:"error"`
}

// crockford is base32 without the letters people mistake for digits.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	codeChars = 12 // 60 bits
	markChars = 4  // 20 bits
)

// NewCode makes an enrolment code of 60 random bits, "XXXX-XXXX-XXXX".
func NewCode(random io.Reader) (string, error) {
	s, err := letters(random, codeChars, crockford)
	if err != nil {
		return "", err
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:], nil
}

// NormaliseCode brings a typed code into its one spelling: upper case, O as
// 0, I and L as 1, dashes and spaces anywhere. A code has three groups of four
// characters, or four when the last is its [CodeMark]. ok is false when it cannot
// be a code.
func NormaliseCode(s string) (code string, ok bool) {
	var b strings.Builder
	for _, r := range strings.ToUpper(s) {
		switch r {
		case '-', ' ', '\t':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if r > 127 || !strings.ContainsRune(crockford, r) || b.Len() == codeChars+markChars {
			return "", false
		}
		b.WriteRune(r)
	}
	c := b.String()
	switch len(c) {
	case codeChars:
		return c[:4] + "-" + c[4:8] + "-" + c[8:], true
	case codeChars + markChars:
		return c[:4] + "-" + c[4:8] + "-" + c[8:12] + "-" + c[12:], true
	}
	return "", false
}

// SplitCode takes a normalised code apart: the secret, which is sent to the
// centre, and the mark of the centre's authority, which is not; it is empty when
// the code has none.
func SplitCode(code string) (secret, mark string) {
	if len(code) == codeChars+markChars+3 {
		return code[:codeChars+2], code[codeChars+3:]
	}
	return code, ""
}

// CodeMark is the fourth group of a code: the fingerprint of the authority that
// signs the centre's certificate, keyed with the secret of this very code. The
// till compares it before it sends the secret.
//
// It is short because it is keyed. Somebody in between who shows another
// authority does not know the secret, so there is nothing to try out beforehand
// or on machines of their own: each enrolment a technician starts is one guess,
// 1 in 1,048,576, and a wrong guess is refused before anybody's eyes. A
// fingerprint that is the same for all codes would need 80 bits and more, 16
// characters to type.
func CodeMark(secret string, authority []byte) string {
	sum := sha256.Sum256(authority)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("tillside authority v1\n"))
	m.Write(sum[:])
	h := m.Sum(nil)[:markChars]
	for i := range h {
		h[i] = crockford[h[i]&31]
	}
	return string(h)
}

// CertificatePath is where a till has its certificate renewed (POST, JSON).
const CertificatePath = "/v1/certificate"

// CertificateRequest asks for a certificate for the key the centre knows of this
// device. The signature is by that key, so an expired certificate does not stop
// it, and what comes back is of use to nobody else.
type CertificateRequest struct {
	Device string `json:"device"`
	SentMS int64  `json:"sent"`
	Sig    []byte `json:"sig"`
}

// CertificateAnswer carries it.
type CertificateAnswer struct {
	Certificate []byte `json:"certificate"` // DER
}

func (q *CertificateRequest) message() []byte {
	return fmt.Appendf(nil, "tillside certificate v1\n%s\n%d\n", q.Device, q.SentMS)
}

// Sign signs the request with the device's key.
func (q *CertificateRequest) Sign(key ed25519.PrivateKey) { q.Sig = ed25519.Sign(key, q.message()) }

// Verify tells whether the device's key signed the request.
func (q *CertificateRequest) Verify(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, q.message(), q.Sig) {
		return fmt.Errorf("certificate request: %w", ErrSignature)
	}
	return nil
}

const deviceChars = "0123456789abcdefghjkmnpqrstvwxyz"

// NewDevice makes a device id: "dev-" and 10 random characters.
func NewDevice(random io.Reader) (string, error) {
	s, err := letters(random, 10, deviceChars)
	if err != nil {
		return "", err
	}
	return "dev-" + s, nil
}

// ValidDevice tells whether s is a device id.
func ValidDevice(s string) bool {
	if len(s) != 14 || s[:4] != "dev-" {
		return false
	}
	for i := 4; i < len(s); i++ {
		if strings.IndexByte(deviceChars, s[i]) < 0 {
			return false
		}
	}
	return true
}

func letters(random io.Reader, n int, alphabet string) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b), nil
}
