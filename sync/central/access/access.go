// Package access says who may look at the centre's pages.
//
// In this first form there are operators with a password each and one right:
// everything. The first one, admin, is made at the first start with a random
// password that is printed once; the database keeps a slow salted hash
// (PBKDF2-SHA256). A browser that has logged in carries a random cookie whose
// hash is in the database, so that any node knows it, and every form carries a
// second secret of that session (CSRF). Sessions end after twelve hours
// without use, and after seven days in any case.
//
// Wrong passwords are slowed down per operator and address; see Guard.
package access

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/central/db"
)

var (
	// ErrDenied is returned for a wrong name or password, never saying which.
	ErrDenied = errors.New("name or password is wrong")
	// ErrSlow is returned when there were too many wrong passwords lately.
	ErrSlow = errors.New("too many wrong passwords; wait a minute")
	// ErrWeak is returned for a password that is too short.
	ErrWeak = errors.New("a password has at least 10 characters")
)

// Admin is the operator made at first start.
const Admin = "admin"

// Rounds of the hash. For a password that a person chose, one guess costs
// about a tenth of a second on a small machine; a made one has 100 random
// bits, which nobody guesses however fast the hash is.
const (
	roundsChosen = 300_000
	roundsMade   = 10_000
)

const (
	idle    = 12 * time.Hour
	longest = 7 * 24 * time.Hour
)

// First makes the operator admin when there is no operator yet, and returns
// the password to be printed; "" when there is one.
func First(tx *db.Tx, now time.Time) (string, error) {
	var n int
	if _, err := tx.Row(`SELECT COUNT(*) FROM operator`, nil, &n); err != nil || n > 0 {
		return "", err
	}
	return Reset(tx, Admin, now)
}

// Reset gives an operator a new random password and ends their sessions.
func Reset(tx *db.Tx, name string, now time.Time) (string, error) {
	password := rand.Text()[:20] // 100 bits
	return password, setPassword(tx, name, password, roundsMade, now)
}

// SetPassword makes or changes an operator and ends their sessions.
func SetPassword(tx *db.Tx, name, password string, now time.Time) error {
	return setPassword(tx, name, password, roundsChosen, now)
}

func setPassword(tx *db.Tx, name, password string, rounds int, now time.Time) error {
	if len(password) < 10 || len(password) > 200 {
		return ErrWeak
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	hash, err := pbkdf2.Key(sha256.New, password, salt, rounds, 32)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	err = tx.Exec(`INSERT INTO operator (name, salt, hash, rounds, changed) VALUES (?,?,?,?,?)
		ON CONFLICT (name) DO UPDATE SET salt = excluded.salt, hash = excluded.hash, rounds = excluded.rounds, changed = excluded.changed`,
		name, salt, hash, rounds, db.Millis(now))
	if err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM session WHERE operator = ?`, name)
}

// Check tells whether the password is the operator's; ErrDenied when not. An
// unknown name costs as much time as a wrong password.
func Check(tx *db.Tx, name, password string) error {
	salt, want, n := make([]byte, 16), make([]byte, 32), roundsMade
	ok, err := tx.Row(`SELECT salt, hash, rounds FROM operator WHERE name = ?`, []any{name}, &salt, &want, &n)
	if err != nil {
		return err
	}
	got, err := pbkdf2.Key(sha256.New, password[:min(len(password), 200)], salt, n, 32)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	if subtle.ConstantTimeCompare(got, want) != 1 || !ok {
		return ErrDenied
	}
	return nil
}

// Session is a browser that has logged in.
type Session struct {
	Operator string
	CSRF     string // goes into every form
}

// Begin makes a session and returns the cookie's value.
func Begin(tx *db.Tx, name string, now time.Time) (cookie string, err error) {
	b := make([]byte, 32)
	rand.Read(b)
	cookie = base64.RawURLEncoding.EncodeToString(b)
	h := sha256.Sum256([]byte(cookie))
	if err := tx.Exec(`DELETE FROM session WHERE seen < ? OR made < ?`, db.Millis(now.Add(-idle)), db.Millis(now.Add(-longest))); err != nil {
		return "", err
	}
	return cookie, tx.Exec(`INSERT INTO session (token, operator, csrf, made, seen) VALUES (?,?,?,?,?)`, h[:], name, rand.Text(), db.Millis(now), db.Millis(now))
}

// Find returns the session of a cookie; nil when there is none or it ended.
// stale says that Seen should be called, about once in ten minutes.
func Find(tx *db.Tx, cookie string, now time.Time) (s *Session, stale bool, err error) {
	h := sha256.Sum256([]byte(cookie))
	s = &Session{}
	var made, seen int64
	ok, err := tx.Row(`SELECT operator, csrf, made, seen FROM session WHERE token = ?`, []any{h[:]}, &s.Operator, &s.CSRF, &made, &seen)
	if err != nil || !ok || db.Time(seen).Before(now.Add(-idle)) || db.Time(made).Before(now.Add(-longest)) {
		return nil, false, err
	}
	return s, db.Time(seen).Before(now.Add(-10 * time.Minute)), nil
}

// Seen moves the end of a session on.
func Seen(tx *db.Tx, cookie string, now time.Time) error {
	h := sha256.Sum256([]byte(cookie))
	return tx.Exec(`UPDATE session SET seen = ? WHERE token = ?`, db.Millis(now), h[:])
}

// End ends a session.
func End(tx *db.Tx, cookie string) error {
	h := sha256.Sum256([]byte(cookie))
	return tx.Exec(`DELETE FROM session WHERE token = ?`, h[:])
}

// Note writes down what somebody did.
func Note(tx *db.Tx, who, action, subject, detail string, now time.Time) error {
	return tx.Exec(`INSERT INTO audit (at, who, action, subject, detail) VALUES (?,?,?,?,?)`, db.Millis(now), who, action, subject, detail)
}

// Guard slows down guessing: after five wrong tries of one key (a name, an
// address) within a minute it says no, without looking at the password. It
// is per process and forgets; it is safe for concurrent use.
type Guard struct {
	mu    sync.Mutex
	wrong map[string][]time.Time
}

const (
	guardTries  = 5
	guardWindow = time.Minute
	guardKeys   = 10_000
)

// Allow returns ErrSlow when one of the keys has too many wrong tries.
func (g *Guard) Allow(now time.Time, keys ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		if len(g.recent(k, now)) >= guardTries {
			return ErrSlow
		}
	}
	return nil
}

// Wrong notes a wrong try.
func (g *Guard) Wrong(now time.Time, keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong == nil || len(g.wrong) > guardKeys {
		g.wrong = map[string][]time.Time{} // a flood of keys is forgotten whole: memory is bounded
	}
	for _, k := range keys {
		g.wrong[k] = append(g.recent(k, now), now)
	}
}

func (g *Guard) recent(key string, now time.Time) []time.Time {
	all := g.wrong[key]
	for len(all) > 0 && now.Sub(all[0]) > guardWindow {
		all = all[1:]
	}
	return all
}
