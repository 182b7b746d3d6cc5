package members

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// Erasure is one member who was erased.
type Erasure struct {
	Member loyalty.MemberID `json:"member"`
	At     time.Time        `json:"at"`
	By     string           `json:"by"`
	Reason string           `json:"reason,omitempty"`
	Told   int              `json:"tills_confirmed"` // tills that confirmed in their journal
	Tills  int              `json:"tills"`           // that are active
}

// Erase forgets the person behind a pseudonym: name, contact data, numbers,
// what was asked and agreed. Entries and receipts stay, of nobody. Tills are told
// before anything else, forget too, and confirm in their journals. Again is no
// error.
func (r *Room) Erase(tx *db.Tx, id loyalty.MemberID, by, reason string) error {
	changed, err := tx.ExecCount(`UPDATE member SET state = 'erased', joined = '', segments = '[]', attributes = '{}', consents = '[]' WHERE id = ?`, int64(id))
	if err != nil {
		return fmt.Errorf("erase member: %w", err)
	}
	if changed == 0 {
		return ErrUnknown
	}
	for _, q := range []string{
		`DELETE FROM contact WHERE member = ?`,
		`DELETE FROM card_number WHERE ref IN (SELECT ref FROM card WHERE member = ?)`,
		`DELETE FROM card WHERE member = ?`,
	} {
		if err := tx.Exec(q, int64(id)); err != nil {
			return fmt.Errorf("erase member: %w", err)
		}
	}
	n, err := tx.Next("urgent", 1)
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO urgent (n, kind, ref, member, status, at) VALUES (?,?,?,?,?,?)`, n, wire.UrgentErase, make([]byte, len(wire.Ref{})), int64(id), "", db.Millis(r.now()))
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO erasure (member, at, by, reason) VALUES (?,?,?,?) ON CONFLICT DO NOTHING`, int64(id), db.Millis(r.now()), by, reason)
	if err != nil {
		return err
	}
	return ledger.Touch(tx, id)
}

// Erasures lists who was erased, the latest first.
func Erasures(tx *db.Tx) ([]Erasure, error) {
	all := []Erasure{}
	err := tx.Rows(`SELECT e.member, e.at, e.by, e.reason, (SELECT COUNT(*) FROM erasure_told t JOIN device d ON d.no = t.device AND d.state = 'active' WHERE t.member = e.member),
		(SELECT COUNT(*) FROM device WHERE state = 'active') FROM erasure e ORDER BY e.at DESC, e.member`, nil, func(rows *sql.Rows) error {
		var e Erasure
		var at int64
		err := rows.Scan(&e.Member, &at, &e.By, &e.Reason, &e.Told, &e.Tills)
		e.At = db.Time(at)
		all = append(all, e)
		return err
	})
	return all, err
}

// NoteErasure adds a pseudonym to a list that lies beside the database: a copy
// of the database that is put back later has the person again, and [EraseAgain]
// takes them out. Written before the erasure is done.
func NoteErasure(file string, id loyalty.MemberID) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("list of erasures: %w", err)
	}
	_, err = fmt.Fprintln(f, id)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("list of erasures: %w", err)
	}
	return nil
}

// EraseAgain erases whoever is on the list and back in the database. It tells
// how many those were.
func (r *Room) EraseAgain(tx *db.Tx, file string) (n int, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("list of erasures: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var id loyalty.MemberID
		if id.UnmarshalText(lines.Bytes()) != nil || id > 1<<63-1 {
			continue // the end of a line that a cut left unfinished
		}
		var state string
		ok, err := tx.Row(`SELECT state FROM member WHERE id = ?`, []any{int64(id)}, &state)
		if err != nil {
			return n, err
		}
		if !ok || state == "erased" {
			continue
		}
		if err := r.Erase(tx, id, "restored copy", "was erased before the copy was put back"); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
