package till

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// tokenLife is how long a member token is good: a long shopping trip, not a
// working day of somebody else's token.
const tokenLife = 4 * time.Hour

// claim is what a member token carries.
type claim struct {
	Member *loyalty.MemberID // nil: the card is not in this till's cache
	Ref    wire.Ref
	Entry  string // scan, typed, phone
	At     time.Time
}

var entries = []string{"", "scan", "typed", "phone"}

// sealer seals and opens member tokens with a key of this agent. The tokens
// keep no state here, and so survive a restart.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("member token key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("member token key: %w", err)
	}
	return &sealer{aead}, nil
}

var tokenDomain = []byte("tillside member token 1")

// seal makes a token: 12 bytes nonce, then member, reference, entry and time.
func (s *sealer) seal(c claim) string {
	b := make([]byte, 12, 12+8+1+16+1+8+16)
	rand.Read(b)
	var id uint64
	known := byte(0)
	if c.Member != nil {
		id, known = uint64(*c.Member), 1
	}
	p := binary.BigEndian.AppendUint64(nil, id)
	p = append(p, known)
	p = append(p, c.Ref[:]...)
	p = append(p, byte(max(0, indexOf(entries, c.Entry))))
	p = binary.BigEndian.AppendUint64(p, uint64(c.At.Unix()))
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(b, b[:12], p, tokenDomain))
}

var errToken = errors.New("member token does not open")

// open reads a token made by seal, with the same key, not longer ago than
// tokenLife and not in the future.
func (s *sealer) open(token string, now time.Time) (claim, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 12+8+1+16+1+8+16 {
		return claim{}, errToken
	}
	p, err := s.aead.Open(nil, b[:12], b[12:], tokenDomain)
	if err != nil {
		return claim{}, errToken
	}
	var c claim
	if p[8] == 1 {
		id := loyalty.MemberID(binary.BigEndian.Uint64(p))
		c.Member = &id
	}
	copy(c.Ref[:], p[9:25])
	if int(p[25]) < len(entries) {
		c.Entry = entries[p[25]]
	}
	c.At = time.Unix(int64(binary.BigEndian.Uint64(p[26:])), 0)
	if now.Sub(c.At) > tokenLife || c.At.Sub(now) > time.Minute {
		return claim{}, errToken
	}
	return c, nil
}

// LocalToken is the token of the commands of this program (tillside status).
// Whoever can read the agent's secret may use it; nothing has to be written
// for it.
func LocalToken(key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("tillside local command 1"))
	return hex.EncodeToString(m.Sum(nil)[:20])
}

func indexOf(list []string, s string) int {
	for i, x := range list {
		if x == s {
			return i
		}
	}
	return -1
}
