package members

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

var (
	// ErrUnknown is returned for a member or card that is not there.
	ErrUnknown = errors.New("no such member or card")
	// ErrTaken is returned when a card, phone or outside number belongs to
	// another member.
	ErrTaken = errors.New("belongs to another member")
	// ErrBad is wrapped by what is wrong with the values given.
	ErrBad = errors.New("not acceptable")
)

// Person is what is known of a member as a person, and what tills may know.
type Person struct {
	External   string            `json:"external_id,omitempty"` // number in the system they came from
	FirstName  string            `json:"first_name,omitempty"`
	LastName   string            `json:"last_name,omitempty"`
	Email      string            `json:"email,omitempty"`
	Phone      string            `json:"phone,omitempty"`    // international, digits
	Birthday   string            `json:"birthday,omitempty"` // YYYY-MM-DD or MM-DD
	Language   string            `json:"language,omitempty"` // en, ru, pl
	Joined     string            `json:"joined,omitempty"`   // YYYY-MM-DD
	Segments   []string          `json:"segments,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Consents   []string          `json:"consents,omitempty"`
}

// Card is one way to know a member.
type Card struct {
	Ref    wire.Ref  `json:"ref"`
	Kind   string    `json:"kind"` // card, phone
	Number string    `json:"number,omitempty"`
	Type   string    `json:"type,omitempty"`
	Status string    `json:"status"` // active, inactive, blocked, lost
	Added  time.Time `json:"added"`
}

// Member is a member with everything the centre keeps of the person.
type Member struct {
	ID    loyalty.MemberID `json:"id"`
	State string           `json:"state"`
	Made  time.Time        `json:"made"`
	Person
	Cards []Card `json:"cards"`
}

// Room works with members. It holds settings only.
type Room struct {
	Ledger *ledger.Ledger
	Now    func() time.Time // time.Now when nil
	Random io.Reader        // crypto/rand.Reader when nil
	// Online lists the devices that are connected now, for what of a member's
	// points can be asked back from leases; nil: none.
	Online func() []string
}

func (r *Room) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *Room) random() io.Reader {
	if r.Random != nil {
		return r.Random
	}
	return rand.Reader
}

const lookupKey = "lookup_key"

// LookupKey returns the programme's key of card references, made on first
// use. Losing it means importing all card numbers again.
func (r *Room) LookupKey(tx *db.Tx) ([]byte, error) {
	k, ok, err := tx.Get(lookupKey)
	if err != nil || ok {
		return k, err
	}
	k = make([]byte, 32)
	if _, err := io.ReadFull(r.random(), k); err != nil {
		return nil, fmt.Errorf("make lookup key: %w", err)
	}
	return k, tx.Set(lookupKey, k)
}

var (
	cardNumber = regexp.MustCompile(`^[0-9A-Z%;?=/:+*_#$&@!]{4,64}$`)
	language   = regexp.MustCompile(`^([a-z]{2})?$`)
	monthDay   = regexp.MustCompile(`^[0-9]{2}-[0-9]{2}$`)
	shortWord  = regexp.MustCompile(`^[\pL\pN._-]{1,40}$`)
)

// CheckCard brings a card number into its one spelling or says what is wrong.
func CheckCard(s string) (string, error) {
	n := wire.Normalise(wire.KindCard, s)
	if !cardNumber.MatchString(n) {
		return "", fmt.Errorf("card number %q: 4 to 64 letters and digits: %w", s, ErrBad)
	}
	return n, nil
}

// CheckPhone brings a phone number into its one spelling or says what is
// wrong.
func CheckPhone(s string) (string, error) {
	n := wire.Normalise(wire.KindPhone, s)
	if len(n) < 7 || len(n) > 15 {
		return "", fmt.Errorf("phone %q: the international form, 7 to 15 digits, such as +48501002003: %w", s, ErrBad)
	}
	return n, nil
}

// Check normalises a person and says everything that is wrong with it.
func (p *Person) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(format+": %w", append(args, ErrBad)...))
	}
	for _, f := range []struct {
		name string
		v    *string
		most int
	}{{"external_id", &p.External, 64}, {"first_name", &p.FirstName, 80}, {"last_name", &p.LastName, 80}, {"email", &p.Email, 200}} {
		*f.v = strings.TrimSpace(*f.v)
		if len(*f.v) > f.most || strings.ContainsFunc(*f.v, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			bad("%s: at most %d bytes, no control characters", f.name, f.most)
		}
	}
	if p.Email != "" {
		if a, err := mail.ParseAddress(p.Email); err != nil || a.Address != p.Email {
			bad("email %q: not an address", p.Email)
		}
		p.Email = strings.ToLower(p.Email)
	}
	if p.Phone != "" {
		n, err := CheckPhone(p.Phone)
		if err != nil {
			errs = append(errs, err)
		}
		p.Phone = n
	}
	if p.Birthday != "" {
		d := p.Birthday
		if monthDay.MatchString(d) {
			d = "2000-" + d
		}
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			bad("birthday %q: YYYY-MM-DD or MM-DD", p.Birthday)
		}
	}
	if p.Joined != "" {
		if _, err := time.Parse(time.DateOnly, p.Joined); err != nil {
			bad("joined %q: YYYY-MM-DD", p.Joined)
		}
	}
	if !language.MatchString(p.Language) {
		bad("language %q: two letters such as pl", p.Language)
	}
	for _, list := range [][]string{p.Segments, p.Consents} {
		for _, s := range list {
			if !shortWord.MatchString(s) {
				bad("segment or consent %q: letters, digits, dot, dash, at most 40", s)
			}
		}
	}
	return errors.Join(errs...)
}

func orEmpty[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // lists and maps of strings cannot fail
	}
	return string(b)
}

// Add makes a member. The person must have passed Check.
func (r *Room) Add(tx *db.Tx, p Person) (loyalty.MemberID, error) {
	var b [8]byte
	var id loyalty.MemberID
	for id == 0 {
		if _, err := io.ReadFull(r.random(), b[:]); err != nil {
			return 0, fmt.Errorf("make member id: %w", err)
		}
		id = loyalty.MemberID(binary.BigEndian.Uint64(b[:]) >> 1)
	}
	if p.Joined == "" {
		p.Joined = r.now().Format(time.DateOnly)
	}
	if p.Attributes == nil {
		p.Attributes = map[string]string{}
	}
	err := tx.Exec(`INSERT INTO member (id, made, joined, segments, attributes, consents) VALUES (?,?,?,?,?,?)`,
		int64(id), db.Millis(r.now()), p.Joined, encode(orEmpty(p.Segments)), encode(p.Attributes), encode(orEmpty(p.Consents)))
	if err != nil {
		return 0, fmt.Errorf("store member: %w", err)
	}
	if err := r.contact(tx, id, p); err != nil {
		return 0, err
	}
	if p.Phone != "" {
		if err := r.AddCard(tx, id, wire.KindPhone, p.Phone, "", "active"); err != nil {
			return 0, err
		}
	}
	return id, ledger.Touch(tx, id)
}

func (r *Room) contact(tx *db.Tx, id loyalty.MemberID, p Person) error {
	var external any
	if p.External != "" {
		external = p.External
		var other loyalty.MemberID
		if ok, err := tx.Row(`SELECT member FROM contact WHERE external = ?`, []any{p.External}, &other); err != nil {
			return err
		} else if ok && other != id {
			return fmt.Errorf("external_id %s %w", p.External, ErrTaken)
		}
	}
	err := tx.Exec(`INSERT INTO contact (member, external, first_name, last_name, search, email, phone, birthday, language) VALUES (?,?,?,?,?,?,?,?,?)
		ON CONFLICT (member) DO UPDATE SET external = excluded.external, first_name = excluded.first_name, last_name = excluded.last_name,
		search = excluded.search, email = excluded.email, phone = excluded.phone, birthday = excluded.birthday, language = excluded.language`,
		int64(id), external, p.FirstName, p.LastName, fold(p.LastName+" "+p.FirstName), p.Email, p.Phone, p.Birthday, p.Language)
	if err != nil {
		return fmt.Errorf("store contact: %w", err)
	}
	return nil
}

// fold makes names comparable.
func fold(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }
