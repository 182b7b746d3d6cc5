package members

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

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
