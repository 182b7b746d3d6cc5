package members

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

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
