package members

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// importRows is how many rows share a transaction: a server that runs on the
// same database waits that long at most.
const importRows = 500

// Import reads a CSV file into the database. Nothing is written when a line
// is wrong; then the error is RowProblems. Importing the same file again
// changes nothing. A row meets the member with the same external_id, else the
// same card, else the same phone; columns that the file lacks or leaves empty
// stay as they are.
func (r *Room) Import(ctx context.Context, d *db.DB, in io.Reader, o ImportOptions) (Imported, error) {
	var sum Imported
	rows, err := readCSV(in)
	if err != nil {
		return sum, err
	}
	all := len(rows)
	for len(rows) > 0 {
		part := rows[:min(importRows, len(rows))]
		var made []loyalty.MemberID
		var s Imported
		err := d.Write(ctx, func(tx *db.Tx) error {
			made, s = nil, Imported{}
			for i := range part {
				id, err := r.importRow(tx, &part[i], &s)
				if err != nil {
					return RowProblems{{part[i].line, err}}
				}
				if o.MakeCards {
					var n int
					if _, err := tx.Row(`SELECT COUNT(*) FROM card WHERE member = ? AND kind = 'card' AND status IN ('active', 'inactive')`, []any{int64(id)}, &n); err != nil {
						return err
					}
					if n == 0 {
						if _, err := r.MakeCard(tx, id); err != nil {
							return err
						}
						made = append(made, id)
						s.Cards++
					}
				}
			}
			return nil
		})
		if err != nil {
			return sum, err
		}
		sum.Rows, sum.Added, sum.Changed, sum.Unchanged, sum.Cards = sum.Rows+s.Rows, sum.Added+s.Added, sum.Changed+s.Changed, sum.Unchanged+s.Unchanged, sum.Cards+s.Cards
		if o.Made != nil && len(made) > 0 {
			err := d.Read(ctx, func(tx *db.Tx) error {
				for _, id := range made {
					m, err := r.Get(tx, id)
					if err != nil {
						return err
					}
					if err := o.Made(*m); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return sum, err
			}
		}
		rows = rows[len(part):]
		if o.Progress != nil {
			o.Progress(sum.Rows, all)
		}
	}
	return sum, nil
}

func (r *Room) importRow(tx *db.Tx, x *row, sum *Imported) (loyalty.MemberID, error) {
	sum.Rows++
	id, err := r.meet(tx, x)
	if err != nil {
		return 0, err
	}
	fresh := id == 0
	if fresh {
		if id, err = r.Add(tx, x.person); err != nil {
			return 0, err
		}
	}
	changed, err := r.merge(tx, id, x, fresh)
	if err != nil {
		return 0, err
	}
	switch {
	case fresh:
		sum.Added++
	case changed:
		sum.Changed++
	default:
		sum.Unchanged++
	}
	return id, nil
}

// meet finds the member a row is about; 0 for a new one.
func (r *Room) meet(tx *db.Tx, x *row) (loyalty.MemberID, error) {
	var id loyalty.MemberID
	if x.person.External != "" {
		if ok, err := tx.Row(`SELECT member FROM contact WHERE external = ?`, []any{x.person.External}, &id); err != nil || ok {
			return id, err
		}
	}
	key, err := r.LookupKey(tx)
	if err != nil {
		return 0, err
	}
	for _, k := range [][2]string{{wire.KindCard, x.card}, {wire.KindPhone, x.person.Phone}} {
		if k[1] == "" {
			continue
		}
		id, err := ByRef(tx, wire.CardRef(key, k[0], k[1]))
		if err == nil {
			// Known under another outside number: two people, not one.
			if x.person.External != "" {
				var other string
				if _, err := tx.Row(`SELECT COALESCE(external, '') FROM contact WHERE member = ?`, []any{int64(id)}, &other); err != nil {
					return 0, err
				}
				if other != "" && other != x.person.External {
					return 0, fmt.Errorf("%s %s %w, external_id %s", k[0], Mask(k[1]), ErrTaken, other)
				}
			}
			return id, nil
		}
		if !errors.Is(err, ErrUnknown) {
			return 0, err
		}
	}
	return 0, nil
}

// merge writes what a row says and the member does not have yet.
func (r *Room) merge(tx *db.Tx, id loyalty.MemberID, x *row, fresh bool) (changed bool, err error) {
	m, err := r.Get(tx, id)
	if err != nil {
		return false, err
	}
	if !fresh {
		p := m.Person
		take := func(name string, to *string, v string) {
			if x.has[name] && *to != v {
				*to, changed = v, true
			}
		}
		take("external_id", &p.External, x.person.External)
		take("first_name", &p.FirstName, x.person.FirstName)
		take("last_name", &p.LastName, x.person.LastName)
		take("email", &p.Email, x.person.Email)
		take("phone", &p.Phone, x.person.Phone)
		take("birthday", &p.Birthday, x.person.Birthday)
		take("language", &p.Language, x.person.Language)
		take("joined", &p.Joined, x.person.Joined)
		if x.has["segments"] && !slices.Equal(p.Segments, x.person.Segments) {
			p.Segments, changed = x.person.Segments, true
		}
		if x.has["consents"] && !slices.Equal(p.Consents, x.person.Consents) {
			p.Consents, changed = x.person.Consents, true
		}
		for k, v := range x.person.Attributes {
			if p.Attributes[k] != v {
				if p.Attributes == nil {
					p.Attributes = map[string]string{}
				}
				p.Attributes[k], changed = v, true
			}
		}
		if changed {
			if err := r.contact(tx, id, p); err != nil {
				return false, err
			}
			err := tx.Exec(`UPDATE member SET joined = ?, segments = ?, attributes = ?, consents = ? WHERE id = ?`,
				p.Joined, encode(orEmpty(p.Segments)), encode(p.Attributes), encode(orEmpty(p.Consents)), int64(id))
			if err != nil {
				return false, err
			}
			if err := ledger.Touch(tx, id); err != nil {
				return false, err
			}
		}
	}
	for _, k := range [][4]string{{wire.KindCard, x.card, x.typ, x.status}, {wire.KindPhone, x.person.Phone, "", "active"}} {
		if k[1] == "" || slices.ContainsFunc(m.Cards, func(c Card) bool { return c.Kind == k[0] && c.Number == k[1] }) {
			continue
		}
		if err := r.AddCard(tx, id, k[0], k[1], k[2], k[3]); err != nil {
			return false, err
		}
		changed = true
	}
	if x.tier != "" {
		have, err := ledger.Holdings(tx, []loyalty.MemberID{id})
		if err != nil {
			return false, err
		}
		if have[id] == nil || have[id].Tier == "" { // an earned tier is not taken away by an old file
			changed = true
			err := r.Ledger.Change(tx, id, func(m *loyalty.Member) { m.Tier, m.TierSince = x.tier, r.Ledger.Today() })
			if err != nil {
				return false, err
			}
		}
	}
	if x.points > 0 {
		done, err := r.Ledger.AdjustBy(tx, id, x.wallet, x.points, "opening:"+id.String()+":"+x.wallet, "opening balance")
		if err != nil {
			return false, err
		}
		changed = changed || done
	}
	return changed, nil
}
