package ledger

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// Exposure is what is out at the tills and not settled, and what it has cost:
// nothing of it is wrong, all of it is somebody's to look at.
type Exposure struct {
	Holds  []OpenHold    `json:"open_holds"`    // that nobody ended, oldest first
	Silent []SilentTill  `json:"silent_leases"` // tills with leases that were not heard of
	Losses []StoreLoss   `json:"losses"`        // borne by the shops, by store
	Leases []StoreLeases `json:"leases"`        // on leases now, by store
}

// OpenHold is points kept for a receipt that nobody ended.
type OpenHold struct {
	Hold    string           `json:"hold"`
	Member  loyalty.MemberID `json:"member"`
	Wallet  string           `json:"wallet"`
	Points  loyalty.Points   `json:"points"`
	Store   string           `json:"store"`
	Till    string           `json:"till"`
	Receipt string           `json:"receipt"`
	State   string           `json:"state"` // open, unresolved
	Leased  bool             `json:"leased,omitempty"`
	Made    time.Time        `json:"made"`
}

// SilentTill is a till that holds leases and has not been heard.
type SilentTill struct {
	Store    string         `json:"store"`
	Till     string         `json:"till"`
	Device   string         `json:"device"`
	State    string         `json:"state"`
	Leases   int64          `json:"leases"`
	Points   loyalty.Points `json:"points"`
	LastSeen time.Time      `json:"last_seen"`
}

// StoreLoss is what a store's tills cost beyond what members had.
type StoreLoss struct {
	Store  string         `json:"store"`
	Till   string         `json:"till"`
	Wallet string         `json:"wallet"`
	Points loyalty.Points `json:"points"`
	Times  int64          `json:"times"`
}

// StoreLeases is what lies on leases at a store.
type StoreLeases struct {
	Store   string         `json:"store"`
	Till    string         `json:"till"`
	Wallet  string         `json:"wallet"`
	Members int64          `json:"members"`
	Points  loyalty.Points `json:"points"`
}

// Exposed looks at what is out. Holds count from an age, tills from a silence.
func Exposed(tx *db.Tx, now time.Time, age, silence time.Duration, limit int) (*Exposure, error) {
	e := &Exposure{Holds: []OpenHold{}, Silent: []SilentTill{}, Losses: []StoreLoss{}, Leases: []StoreLeases{}}
	err := tx.Rows(`SELECT h.id, h.member, h.wallet, h.points, COALESCE(d.store, ''), COALESCE(d.till, ''), h.receipt, h.state, h.lease, h.made
		FROM hold h LEFT JOIN device d ON d.no = h.device WHERE h.state IN ('open', 'unresolved') AND (h.state = 'unresolved' OR h.made < ?) ORDER BY h.made, h.id LIMIT ?`,
		[]any{db.Millis(now.Add(-age)), limit}, func(r *sql.Rows) error {
			var h OpenHold
			var lease string
			var made int64
			err := r.Scan(&h.Hold, &h.Member, &h.Wallet, &h.Points, &h.Store, &h.Till, &h.Receipt, &h.State, &lease, &made)
			h.Leased, h.Made = lease != "", db.Time(made)
			e.Holds = append(e.Holds, h)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read open holds: %w", err)
	}
	err = tx.Rows(`SELECT d.store, d.till, d.id, d.state, COUNT(*), SUM(l.remaining), d.last_seen FROM lease l JOIN device d ON d.no = l.device
		WHERE l.remaining > 0 AND d.last_seen < ? GROUP BY d.store, d.till, d.id, d.state, d.last_seen ORDER BY d.last_seen LIMIT ?`,
		[]any{db.Millis(now.Add(-silence)), limit}, func(r *sql.Rows) error {
			var s SilentTill
			var seen int64
			err := r.Scan(&s.Store, &s.Till, &s.Device, &s.State, &s.Leases, &s.Points, &seen)
			s.LastSeen = db.Time(seen)
			e.Silent = append(e.Silent, s)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read leases of silent tills: %w", err)
	}
	err = tx.Rows(`SELECT COALESCE(d.store, ''), COALESCE(d.till, ''), e.wallet, SUM(CASE WHEN e.debit = 'lost' THEN e.points ELSE -e.points END), COUNT(*)
		FROM entry e LEFT JOIN device d ON d.no = e.device WHERE e.debit = 'lost' OR e.credit = 'lost'
		GROUP BY d.store, d.till, e.wallet ORDER BY d.store, d.till, e.wallet LIMIT ?`, []any{limit}, func(r *sql.Rows) error {
		var l StoreLoss
		err := r.Scan(&l.Store, &l.Till, &l.Wallet, &l.Points, &l.Times)
		e.Losses = append(e.Losses, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("add up losses: %w", err)
	}
	err = tx.Rows(`SELECT d.store, d.till, l.wallet, COUNT(DISTINCT l.member), SUM(l.remaining) FROM lease l JOIN device d ON d.no = l.device
		WHERE l.remaining > 0 GROUP BY d.store, d.till, l.wallet ORDER BY d.store, d.till, l.wallet LIMIT ?`, []any{limit}, func(r *sql.Rows) error {
		var s StoreLeases
		err := r.Scan(&s.Store, &s.Till, &s.Wallet, &s.Members, &s.Points)
		e.Leases = append(e.Leases, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("add up leases: %w", err)
	}
	return e, nil
}
