package fleet

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// Why an enrolment is refused.
var (
	ErrCodeUnknown = errors.New("no such code")
	ErrCodeUsed    = errors.New("code has been used")
	ErrCodeExpired = errors.New("code has expired")
	ErrTooMany     = errors.New("code was entered wrongly too often")
	ErrOtherTill   = errors.New("code is for another till")
	ErrMalformed   = errors.New("request is malformed")
)

// ErrUnknown is returned for a till or device that is not there.
var ErrUnknown = errors.New("no such till or device")

const (
	codeLife  = 24 * time.Hour
	codeTries = 5
)

// State of a device.
type State string

// States of a device.
const (
	Active      State = "active"
	Quarantined State = "quarantined" // its journal forked; it may bring evidence only
	Revoked     State = "revoked"     // by a person
)

// Device is one agent.
type Device struct {
	No        int64             `json:"-"`
	ID        string            `json:"device"`
	Store     string            `json:"store"`
	Till      string            `json:"till"`
	Key       ed25519.PublicKey `json:"-"`
	Host      string            `json:"host,omitempty"`
	State     State             `json:"state"`
	Reason    string            `json:"reason,omitempty"` // of a state that is not active
	Enrolled  time.Time         `json:"enrolled"`
	Revoked   time.Time         `json:"revoked,omitzero"`
	Epoch     uint32            `json:"epoch"`
	Acked     wire.Head         `json:"acked"`
	SessionNo uint64            `json:"session"`
	LastSeen  time.Time         `json:"last_seen,omitzero"`
	Program   string            `json:"program,omitempty"`
	Bundle    int64             `json:"rulebook"`
	Queue     uint64            `json:"queue"` // records it had to send when it last said
	Clock     string            `json:"clock,omitempty"`
	Rejected  string            `json:"rejected,omitempty"` // rulebook it would not take
}

// Till is a place with the device that speaks for it.
type Till struct {
	Store  string    `json:"store"`
	Till   string    `json:"till"`
	Added  time.Time `json:"added"`
	Device *Device   `json:"device,omitempty"` // nil: none enrolled
}

// place is what store and till numbers look like: they stand in file names,
// topics and signed headers.
var place = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// AddTill makes a till when it is not there yet.
func AddTill(tx *db.Tx, store, till string, now time.Time) error {
	if !place.MatchString(store) || !place.MatchString(till) {
		return fmt.Errorf("store %q, till %q: letters, digits, dots and dashes, at most 32: %w", store, till, ErrMalformed)
	}
	return tx.Exec(`INSERT INTO till (store, till, added) VALUES (?,?,?) ON CONFLICT DO NOTHING`, store, till, db.Millis(now))
}

// NewCode makes a till when needed and a one-time code for it. Open codes of
// the same till stop working. random is crypto/rand.Reader when nil.
func NewCode(tx *db.Tx, store, till string, now time.Time, random io.Reader) (code string, expires time.Time, err error) {
	if err := AddTill(tx, store, till, now); err != nil {
		return "", time.Time{}, err
	}
	if err := tx.Exec(`DELETE FROM enrolment WHERE store = ? AND till = ? AND used = 0`, store, till); err != nil {
		return "", time.Time{}, err
	}
	expires = now.Add(codeLife)
	for {
		if code, err = wire.NewCode(random); err != nil {
			return "", time.Time{}, err
		}
		n, err := tx.ExecCount(`INSERT INTO enrolment (selector, secret, store, till, made, expires) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
			code[:4], secret(code), store, till, db.Millis(now), db.Millis(expires))
		if err != nil || n == 1 {
			return code, expires, err
		}
	}
}

func secret(code string) []byte {
	h := sha256.Sum256([]byte("tillside enrolment v1\n" + code))
	return h[:]
}

// Enrol makes a device out of a code. What it answers with an error is
// written all the same (a try is counted), so the transaction must be
// committed when errors.Is finds one of the errors of this package.
func Enrol(tx *db.Tx, q *wire.EnrolRequest, now time.Time, random io.Reader) (*Device, error) {
	if len(q.PublicKey) != ed25519.PublicKeySize || len(q.Host) > 200 || len(q.Agent) > 100 {
		return nil, ErrMalformed
	}
	code, ok := wire.NormaliseCode(q.Code)
	if !ok {
		return nil, ErrCodeUnknown
	}
	code, _ = wire.SplitCode(code) // a till keeps the rest to itself
	var want []byte
	var expires, used int64
	var tries int
	d := &Device{Key: ed25519.PublicKey(q.PublicKey), Host: q.Host, Program: q.Agent, State: Active, Epoch: 1, Enrolled: now.UTC()}
	var before string
	found, err := tx.Row(`SELECT secret, store, till, expires, tries, used, device FROM enrolment WHERE selector = ?`, []any{code[:4]},
		&want, &d.Store, &d.Till, &expires, &tries, &used, &before)
	if err != nil {
		return nil, fmt.Errorf("look up code: %w", err)
	}
	switch {
	case !found:
		return nil, ErrCodeUnknown
	case tries >= codeTries:
		return nil, ErrTooMany
	case subtle.ConstantTimeCompare(want, secret(code)) != 1:
		if err := tx.Exec(`UPDATE enrolment SET tries = tries + 1 WHERE selector = ?`, code[:4]); err != nil {
			return nil, err
		}
		return nil, ErrCodeUnknown
	case used > 0:
		// The answer may have been lost on the way: the very same key asking
		// again gets it again, anybody else does not.
		have, err := ByID(tx, before)
		if err == nil && have.Key.Equal(d.Key) && have.State == Active {
			return have, nil
		}
		return nil, ErrCodeUsed
	case now.UnixMilli() > expires:
		return nil, ErrCodeExpired
	case q.Till != "" && q.Till != d.Store+"/"+d.Till:
		return nil, fmt.Errorf("%w: it is %s/%s, asked for was %.100s", ErrOtherTill, d.Store, d.Till, q.Till)
	}
	if d.ID, err = wire.NewDevice(random); err != nil {
		return nil, err
	}
	if d.No, err = tx.Next("device", 1); err != nil {
		return nil, err
	}
	// One device speaks for a till: the one before gives way.
	err = tx.Exec(`UPDATE device SET state = 'revoked', reason = ?, revoked = ? WHERE store = ? AND till = ? AND state <> 'revoked'`,
		"replaced by "+d.ID, db.Millis(now), d.Store, d.Till)
	if err != nil {
		return nil, err
	}
	err = tx.Exec(`INSERT INTO device (no, id, store, till, public_key, host, program, enrolled, acked_hash) VALUES (?,?,?,?,?,?,?,?,?)`,
		d.No, d.ID, d.Store, d.Till, []byte(d.Key), d.Host, d.Program, db.Millis(now), make([]byte, 32))
	if err != nil {
		return nil, fmt.Errorf("store device: %w", err)
	}
	return d, tx.Exec(`UPDATE enrolment SET used = ?, device = ? WHERE selector = ?`, db.Millis(now), d.ID, code[:4])
}

// Refusal tells whether an error of Enrol is an answer to the till, as
// opposed to a failing database.
func Refusal(err error) (code, hint string, ok bool) {
	switch {
	case errors.Is(err, ErrCodeUnknown):
		return "code_unknown", "check the code, letter by letter", true
	case errors.Is(err, ErrCodeUsed):
		return "code_used", "ask for a new code: tillside-central till add", true
	case errors.Is(err, ErrCodeExpired):
		return "code_expired", "codes last 24 hours; ask for a new one", true
	case errors.Is(err, ErrOtherTill):
		return "other_till", "take the code of this till; this one stays good", true
	case errors.Is(err, ErrTooMany):
		return "too_many_tries", "the code is dead after five wrong tries; ask for a new one", true
	case errors.Is(err, ErrMalformed):
		return "malformed", "use the enrol command of this version of tillside", true
	}
	return "", "", false
}

const deviceColumns = `no, id, store, till, public_key, host, state, reason, enrolled, revoked, epoch, acked_seq, acked_hash, session_no, last_seen, program, bundle, queue, clock, rejected`

func scan(r *sql.Rows) (*Device, error) {
	d := &Device{}
	var key, hash []byte
	var enrolled, revoked, seen int64
	err := r.Scan(&d.No, &d.ID, &d.Store, &d.Till, &key, &d.Host, &d.State, &d.Reason, &enrolled, &revoked, &d.Epoch, &d.Acked.Seq, &hash,
		&d.SessionNo, &seen, &d.Program, &d.Bundle, &d.Queue, &d.Clock, &d.Rejected)
	d.Key = ed25519.PublicKey(key)
	copy(d.Acked.Hash[:], hash)
	d.Enrolled, d.Revoked, d.LastSeen = db.Time(enrolled), db.Time(revoked), db.Time(seen)
	return d, err
}

// ByID returns a device; ErrUnknown when there is none.
func ByID(tx *db.Tx, id string) (*Device, error) {
	var d *Device
	err := tx.Rows(`SELECT `+deviceColumns+` FROM device WHERE id = ?`, []any{id}, func(r *sql.Rows) (err error) {
		d, err = scan(r)
		return err
	})
	if err == nil && d == nil {
		err = ErrUnknown
	}
	return d, err
}

// ByNo returns a device by its number here; ErrUnknown when there is none.
func ByNo(tx *db.Tx, no int64) (*Device, error) {
	var d *Device
	err := tx.Rows(`SELECT `+deviceColumns+` FROM device WHERE no = ?`, []any{no}, func(r *sql.Rows) (err error) {
		d, err = scan(r)
		return err
	})
	if err == nil && d == nil {
		err = ErrUnknown
	}
	return d, err
}

// Devices lists all devices, those that speak now first.
func Devices(tx *db.Tx) ([]*Device, error) {
	var all []*Device
	err := tx.Rows(`SELECT `+deviceColumns+` FROM device ORDER BY store, till, CASE state WHEN 'revoked' THEN 1 ELSE 0 END, no DESC`, nil, func(r *sql.Rows) error {
		d, err := scan(r)
		all = append(all, d)
		return err
	})
	return all, err
}

// Tills lists all tills with the device of each.
func Tills(tx *db.Tx) ([]Till, error) {
	devices, err := Devices(tx)
	if err != nil {
		return nil, err
	}
	current := map[[2]string]*Device{}
	for _, d := range devices {
		k := [2]string{d.Store, d.Till}
		if current[k] == nil {
			current[k] = d
		}
	}
	var all []Till
	err = tx.Rows(`SELECT store, till, added FROM till ORDER BY store, till`, nil, func(r *sql.Rows) error {
		var t Till
		var added int64
		err := r.Scan(&t.Store, &t.Till, &added)
		t.Added, t.Device = db.Time(added), current[[2]string{t.Store, t.Till}]
		all = append(all, t)
		return err
	})
	return all, err
}

// Revoke ends the trust in the devices of a till, or in one device when id is
// not empty. It tells how many it ended.
func Revoke(tx *db.Tx, store, till, id, reason string, now time.Time) (int64, error) {
	if id != "" {
		return tx.ExecCount(`UPDATE device SET state = 'revoked', reason = ?, revoked = ? WHERE id = ? AND state <> 'revoked'`, reason, db.Millis(now), id)
	}
	return tx.ExecCount(`UPDATE device SET state = 'revoked', reason = ?, revoked = ? WHERE store = ? AND till = ? AND state <> 'revoked'`,
		reason, db.Millis(now), store, till)
}

// Quarantine stops a device whose journal does not fit ours.
func Quarantine(tx *db.Tx, id, reason string) error {
	return tx.Exec(`UPDATE device SET state = 'quarantined', reason = ? WHERE id = ? AND state = 'active'`, reason, id)
}

// Report is what a till said of itself when a session began or went on.
type Report struct {
	Device  string
	At      time.Time
	Program string
	Bundle  int64
	Last    uint64 // end of its journal
}

// Heard stores a report. The queue is what the journal has beyond the
// watermark.
func Heard(tx *db.Tx, r Report) error {
	return tx.Exec(`UPDATE device SET last_seen = CASE WHEN last_seen > ? THEN last_seen ELSE ? END, program = CASE WHEN ? = '' THEN program ELSE ? END,
		bundle = CASE WHEN ? = 0 THEN bundle ELSE ? END,
		queue = CASE WHEN ? > acked_seq THEN ? - acked_seq ELSE 0 END WHERE id = ?`,
		db.Millis(r.At), db.Millis(r.At), r.Program, r.Program, r.Bundle, r.Bundle, int64(r.Last), int64(r.Last), r.Device)
}

// Peripheral is a scanner, printer or display of a till as last told.
type Peripheral struct {
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
}

// Peripherals lists what hangs on a device's cables.
func Peripherals(tx *db.Tx, no int64) ([]Peripheral, error) {
	var all []Peripheral
	err := tx.Rows(`SELECT name, state, detail, at FROM peripheral WHERE device = ? ORDER BY name`, []any{no}, func(r *sql.Rows) error {
		var p Peripheral
		var at int64
		err := r.Scan(&p.Name, &p.State, &p.Detail, &at)
		p.At = db.Time(at)
		all = append(all, p)
		return err
	})
	return all, err
}
