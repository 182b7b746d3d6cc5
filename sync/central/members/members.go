package members

import (
	"crypto/rand"
	"database/sql"
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

// AddCard gives a card or phone number to a member. What tills sent for it
// before it was known is credited. The same member having it already is fine.
func (r *Room) AddCard(tx *db.Tx, id loyalty.MemberID, kind, number, typ, status string) error {
	var err error
	switch kind {
	case wire.KindCard:
		number, err = CheckCard(number)
	case wire.KindPhone:
		number, err = CheckPhone(number)
	default:
		err = fmt.Errorf("kind %q: card or phone: %w", kind, ErrBad)
	}
	if err != nil {
		return err
	}
	if err := checkStatus(status); err != nil {
		return err
	}
	key, err := r.LookupKey(tx)
	if err != nil {
		return err
	}
	ref := wire.CardRef(key, kind, number)
	var other loyalty.MemberID
	ok, err := tx.Row(`SELECT member FROM card WHERE ref = ?`, []any{ref[:]}, &other)
	switch {
	case err != nil:
		return err
	case ok && other != id:
		return fmt.Errorf("%s %s %w", kind, Mask(number), ErrTaken)
	case ok:
		return nil
	}
	err = tx.Exec(`INSERT INTO card (ref, member, kind, type, status, added) VALUES (?,?,?,?,?,?)`, ref[:], int64(id), kind, typ, status, db.Millis(r.now()))
	if err != nil {
		return fmt.Errorf("store card: %w", err)
	}
	if err := tx.Exec(`INSERT INTO card_number (ref, number) VALUES (?,?) ON CONFLICT DO NOTHING`, ref[:], number); err != nil {
		return fmt.Errorf("store card number: %w", err)
	}
	if _, err := r.Ledger.Claim(tx, ref, id); err != nil {
		return err
	}
	return ledger.Touch(tx, id)
}

func checkStatus(s string) error {
	switch s {
	case "active", "inactive", "blocked", "lost":
		return nil
	}
	return fmt.Errorf("card status %q: active, inactive, blocked or lost: %w", s, ErrBad)
}

// Mask keeps the last four characters of a number.
func Mask(number string) string {
	if len(number) <= 4 {
		return "****"
	}
	return "***" + number[len(number)-4:]
}

// MakeCard makes a new card number for a member: thirteen digits that scan
// as an EAN of the range kept for use inside shops, ten of them random.
func (r *Room) MakeCard(tx *db.Tx, id loyalty.MemberID) (string, error) {
	key, err := r.LookupKey(tx)
	if err != nil {
		return "", err
	}
	for range 100 {
		var b [8]byte
		if _, err := io.ReadFull(r.random(), b[:]); err != nil {
			return "", fmt.Errorf("make card number: %w", err)
		}
		n := fmt.Sprintf("27%010d", binary.BigEndian.Uint64(b[:])%1e10)
		n += string(checkDigit(n))
		ref := wire.CardRef(key, wire.KindCard, n)
		var one int
		if taken, err := tx.Row(`SELECT 1 FROM card WHERE ref = ?`, []any{ref[:]}, &one); err != nil {
			return "", err
		} else if !taken {
			return n, r.AddCard(tx, id, wire.KindCard, n, "", "active")
		}
	}
	return "", errors.New("no free card number found in 100 tries")
}

// checkDigit is the EAN-13 check digit of twelve digits.
func checkDigit(twelve string) byte {
	sum := 0
	for i := range twelve {
		d := int(twelve[i] - '0')
		if i%2 == 1 {
			d *= 3
		}
		sum += d
	}
	return byte('0' + (10-sum%10)%10)
}

// SetStatus blocks, frees or marks a card as lost, and puts that on the
// tills' stop-list, which goes before everything else.
func (r *Room) SetStatus(tx *db.Tx, ref wire.Ref, status string) error {
	if err := checkStatus(status); err != nil {
		return err
	}
	var id loyalty.MemberID
	ok, err := tx.Row(`UPDATE card SET status = ?, changed = ? WHERE ref = ? RETURNING member`, []any{status, db.Millis(r.now()), ref[:]}, &id)
	if err != nil {
		return err
	}
	if !ok {
		return ErrUnknown
	}
	n, err := tx.Next("urgent", 1)
	if err != nil {
		return err
	}
	do := wire.UrgentStop
	if status == "active" || status == "inactive" {
		do = wire.UrgentFree
	}
	err = tx.Exec(`INSERT INTO urgent (n, kind, ref, member, status, at) VALUES (?,?,?,?,?,?)`, n, do, ref[:], int64(id), status, db.Millis(r.now()))
	if err != nil {
		return err
	}
	return ledger.Touch(tx, id)
}

// Reissue marks a card as lost and gives the member a new one; number is made
// when empty. The balance stays: it belongs to the member.
func (r *Room) Reissue(tx *db.Tx, old wire.Ref, number string) (string, error) {
	var id loyalty.MemberID
	var typ string
	ok, err := tx.Row(`SELECT member, type FROM card WHERE ref = ? AND kind = 'card'`, []any{old[:]}, &id, &typ)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", ErrUnknown
	}
	if number == "" {
		number, err = r.MakeCard(tx, id)
	} else {
		err = r.AddCard(tx, id, wire.KindCard, number, typ, "active")
	}
	if err != nil {
		return "", err
	}
	key, err := r.LookupKey(tx)
	if err != nil {
		return "", err
	}
	fresh := wire.CardRef(key, wire.KindCard, number)
	if err := tx.Exec(`UPDATE card SET replaced = ? WHERE ref = ?`, fresh[:], old[:]); err != nil {
		return "", err
	}
	return number, r.SetStatus(tx, old, "lost")
}

// Get returns one member; ErrUnknown when there is none.
func (r *Room) Get(tx *db.Tx, id loyalty.MemberID) (*Member, error) {
	all, err := r.list(tx, `WHERE m.id = ?`, int64(id))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrUnknown
	}
	return &all[0], nil
}

// ByRef finds the member of a card; ErrUnknown when nobody has it.
func ByRef(tx *db.Tx, ref wire.Ref) (loyalty.MemberID, error) {
	var id loyalty.MemberID
	ok, err := tx.Row(`SELECT member FROM card WHERE ref = ?`, []any{ref[:]}, &id)
	if err == nil && !ok {
		err = ErrUnknown
	}
	return id, err
}

// Page lists members in the order they were made known to the tables.
func (r *Room) Page(tx *db.Tx, after loyalty.MemberID, limit int) ([]Member, error) {
	return r.list(tx, `WHERE m.id > ? ORDER BY m.id LIMIT ?`, int64(after), limit)
}

// Search finds members by card number, phone, e-mail, outside number, member
// id or the beginning of a name.
func (r *Room) Search(tx *db.Tx, text string, limit int) ([]Member, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return r.list(tx, `ORDER BY m.made DESC, m.id LIMIT ?`, limit)
	}
	key, err := r.LookupKeyIfMade(tx)
	if err != nil {
		return nil, err
	}
	var ids []int64
	see := func(id loyalty.MemberID) {
		for _, have := range ids {
			if have == int64(id) {
				return
			}
		}
		ids = append(ids, int64(id))
	}
	if key != nil {
		for _, kind := range []string{wire.KindCard, wire.KindPhone} {
			ref := wire.CardRef(key, kind, text)
			if id, err := ByRef(tx, ref); err == nil {
				see(id)
			} else if !errors.Is(err, ErrUnknown) {
				return nil, err
			}
		}
	}
	var id loyalty.MemberID
	if len(text) == 16 && id.UnmarshalText([]byte(text)) == nil && id < 1<<63 {
		see(id)
	}
	name := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(fold(text))
	for _, q := range []struct {
		sql string
		arg any
	}{
		{`SELECT member FROM contact WHERE external = ? LIMIT ?`, text},
		{`SELECT member FROM contact WHERE email = ? LIMIT ?`, strings.ToLower(text)},
		{`SELECT member FROM contact WHERE search LIKE ? ESCAPE '\' ORDER BY search LIMIT ?`, name + "%"},
		{`SELECT member FROM contact WHERE search LIKE ? ESCAPE '\' ORDER BY search LIMIT ?`, "% " + name + "%"},
	} {
		err := tx.Rows(q.sql, []any{q.arg, limit}, func(rows *sql.Rows) error {
			err := rows.Scan(&id)
			see(id)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	ids = ids[:min(len(ids), limit)]
	var all []Member
	for _, id := range ids {
		m, err := r.Get(tx, loyalty.MemberID(id))
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, *m)
	}
	return all, nil
}

// LookupKeyIfMade is LookupKey for readers: nil when no key was made yet.
func (r *Room) LookupKeyIfMade(tx *db.Tx) ([]byte, error) {
	k, _, err := tx.Get(lookupKey)
	return k, err
}

func (r *Room) list(tx *db.Tx, where string, args ...any) ([]Member, error) {
	var all []Member
	at := map[loyalty.MemberID]int{}
	var ids []int64
	err := tx.Rows(`SELECT m.id, m.state, m.made, m.joined, m.segments, m.attributes, m.consents,
		COALESCE(c.external, ''), COALESCE(c.first_name, ''), COALESCE(c.last_name, ''), COALESCE(c.email, ''), COALESCE(c.phone, ''), COALESCE(c.birthday, ''), COALESCE(c.language, '')
		FROM member m LEFT JOIN contact c ON c.member = m.id `+where, args, func(rows *sql.Rows) error {
		var m Member
		var made int64
		var segments, attributes, consents string
		err := rows.Scan(&m.ID, &m.State, &made, &m.Joined, &segments, &attributes, &consents,
			&m.External, &m.FirstName, &m.LastName, &m.Email, &m.Phone, &m.Birthday, &m.Language)
		if err != nil {
			return err
		}
		m.Made, m.Cards = db.Time(made), []Card{}
		at[m.ID] = len(all)
		ids = append(ids, int64(m.ID))
		all = append(all, m)
		m2 := &all[len(all)-1]
		return errors.Join(json.Unmarshal([]byte(segments), &m2.Segments), json.Unmarshal([]byte(attributes), &m2.Attributes), json.Unmarshal([]byte(consents), &m2.Consents))
	})
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	err = db.In(tx, `SELECT c.ref, c.member, c.kind, c.type, c.status, c.added, COALESCE(n.number, '') FROM card c LEFT JOIN card_number n ON n.ref = c.ref
		WHERE c.member IN %s ORDER BY c.kind, c.added, c.ref`, ids, func(rows *sql.Rows) error {
		var c Card
		var ref []byte
		var id loyalty.MemberID
		var added int64
		if err := rows.Scan(&ref, &id, &c.Kind, &c.Type, &c.Status, &added, &c.Number); err != nil {
			return err
		}
		copy(c.Ref[:], ref)
		c.Added = db.Time(added)
		m := &all[at[id]]
		m.Cards = append(m.Cards, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read cards: %w", err)
	}
	return all, nil
}

// Snapshots makes what tills keep of members, in the order of ids. Members
// that are not active any more come out as drops.
func (r *Room) Snapshots(tx *db.Tx, ids []loyalty.MemberID) ([]wire.MemberItem, error) {
	have, err := ledger.Holdings(tx, ids)
	if err != nil {
		return nil, err
	}
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = int64(id)
	}
	people := map[loyalty.MemberID]*Member{}
	for k := keys; len(k) > 0; {
		n := min(len(k), 500)
		args := make([]any, n)
		for i := range args {
			args[i] = k[i]
		}
		some, err := r.list(tx, `WHERE m.id IN `+db.Marks(n, 1), args...)
		if err != nil {
			return nil, err
		}
		for i := range some {
			people[some[i].ID] = &some[i]
		}
		k = k[n:]
	}
	items := make([]wire.MemberItem, 0, len(ids))
	for _, id := range ids {
		p := people[id]
		if p == nil || p.State == "erased" {
			items = append(items, wire.MemberItem{Do: wire.MemberDrop, Member: id.String()})
			continue
		}
		m := have[id]
		if m == nil {
			m = &loyalty.Member{}
		}
		m.ID, m.FirstName, m.Language, m.Joined = id, p.FirstName, p.Language, p.Joined
		m.Segments, m.Attributes, m.Consents, m.AsOf = p.Segments, p.Attributes, p.Consents, r.now().UTC().Truncate(time.Second)
		m.Birthday = p.Birthday
		if len(m.Birthday) == len(time.DateOnly) {
			m.Birthday = m.Birthday[5:] // the year is nobody's business at a till
		}
		item := wire.MemberItem{Do: wire.MemberPut, Member: id.String(), Refs: make([]wire.RefState, 0, len(p.Cards))}
		for _, c := range p.Cards {
			status := c.Status
			if p.State == "blocked" {
				status = "blocked"
			}
			item.Refs = append(item.Refs, wire.RefState{Ref: c.Ref, Kind: c.Kind, Type: c.Type, Status: status})
		}
		if item.Snapshot, err = json.Marshal(m); err != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", id, err)
		}
		items = append(items, item)
	}
	return items, nil
}
