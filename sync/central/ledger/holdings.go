package ledger

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// Holdings returns what members have (wallets, tier, counters, stamps,
// coupons, last visit) as the ledger's part of a snapshot for tills. Members
// without any are left out.
func Holdings(tx *db.Tx, ids []loyalty.MemberID) (map[loyalty.MemberID]*loyalty.Member, error) {
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = int64(id)
	}
	all := make(map[loyalty.MemberID]*loyalty.Member, len(ids))
	in := func(id loyalty.MemberID) *loyalty.Member {
		m := all[id]
		if m == nil {
			m = &loyalty.Member{}
			all[id] = m
		}
		return m
	}
	err := db.In(tx, `SELECT member, last_visit, state FROM member_state WHERE member IN %s`, keys, func(r *sql.Rows) error {
		var id loyalty.MemberID
		var visit int64
		var state string
		if err := r.Scan(&id, &visit, &state); err != nil {
			return err
		}
		m := in(id)
		if state != "" {
			if err := json.Unmarshal([]byte(state), m); err != nil {
				return fmt.Errorf("state of member %s: %w", id, err)
			}
		}
		m.Wallets, m.LastSeen = nil, db.Time(visit)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read member states: %w", err)
	}
	err = db.In(tx, `SELECT member, wallet, available, pending FROM balance WHERE member IN %s`, keys, func(r *sql.Rows) error {
		var id loyalty.MemberID
		var wallet string
		var b loyalty.Balance
		if err := r.Scan(&id, &wallet, &b.Active, &b.Pending); err != nil {
			return err
		}
		m := in(id)
		if m.Wallets == nil {
			m.Wallets = map[string]loyalty.Balance{}
		}
		m.Wallets[wallet] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	err = db.In(tx, `SELECT member, wallet, expires_on, SUM(remaining) FROM lot
		WHERE state = 'active' AND expires_on <> '' AND remaining > 0 AND member IN %s
		GROUP BY member, wallet, expires_on ORDER BY member, wallet, expires_on`, keys, func(r *sql.Rows) error {
		var id loyalty.MemberID
		var wallet, on string
		var p loyalty.Points
		if err := r.Scan(&id, &wallet, &on, &p); err != nil {
			return err
		}
		m := in(id)
		if b := m.Wallets[wallet]; b.Expires == "" { // the first day only
			b.Expires, b.Expiring = on, min(p, b.Active)
			m.Wallets[wallet] = b
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read lots: %w", err)
	}
	return all, nil
}

// Change lets fn change a member's tier, counters, stamps or coupons, and
// tells the tills.
func (l *Ledger) Change(tx *db.Tx, id loyalty.MemberID, fn func(m *loyalty.Member)) error {
	w, err := l.work(tx)
	if err != nil {
		return err
	}
	m, err := w.member(id)
	if err != nil {
		return err
	}
	if !m.known {
		return ErrUnknownMember
	}
	s, err := w.snapshot(m)
	if err != nil {
		return err
	}
	fn(s)
	w.touch(m)
	return w.flush()
}
