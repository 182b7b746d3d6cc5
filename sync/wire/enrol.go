package wire

import (
	"crypto/rand"
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

const codeChars = 12 // 60 bits

// NewCode makes an enrolment code of 60 random bits, "XXXX-XXXX-XXXX".
func NewCode(random io.Reader) (string, error) {
	s, err := letters(random, codeChars, crockford)
	if err != nil {
		return "", err
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:], nil
}

// NormaliseCode brings a typed code into its one spelling: upper case, O as
// 0, I and L as 1, dashes and spaces anywhere. ok is false when it cannot be
// a code.
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
		if r > 127 || !strings.ContainsRune(crockford, r) || b.Len() == codeChars {
			return "", false
		}
		b.WriteRune(r)
	}
	c := b.String()
	if len(c) != codeChars {
		return "", false
	}
	return c[:4] + "-" + c[4:8] + "-" + c[8:], true
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
