package ledger

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// Entry is one line of a member's journal.
type Entry struct {
	ID      int64            `json:"id"`
	Member  loyalty.MemberID `json:"member"`
	Wallet  string           `json:"wallet"`
	Kind    Kind             `json:"kind"`
	From    Account          `json:"from"`
	To      Account          `json:"to"`
	Points  loyalty.Points   `json:"points"`
	At      time.Time        `json:"at"`
	Device  int64            `json:"-"`
	Store   string           `json:"store,omitempty"` // of the till; empty: the centre
	Till    string           `json:"till,omitempty"`
	Receipt int64            `json:"-"`
	Number  string           `json:"receipt,omitempty"`
	Rule    string           `json:"rule,omitempty"`
	Note    string           `json:"note,omitempty"`
}

// Balances returns all wallets of a member.
func Balances(tx *db.Tx, id loyalty.MemberID) (map[string]Balance, error) {
	all := map[string]Balance{}
	err := tx.Rows(`SELECT wallet, available, pending, held, leased, spent, expired, issued, lost FROM balance WHERE member = ?`, []any{int64(id)}, func(r *sql.Rows) error {
		var wallet string
		var b Balance
		err := r.Scan(&wallet, &b.Available, &b.Pending, &b.Held, &b.Leased, &b.Spent, &b.Expired, &b.Issued, &b.Lost)
		all[wallet] = b
		return err
	})
	return all, err
}

// Journal returns the newest entries of one wallet of a member, newest first;
// before (an entry id) pages on, 0 starts at the end.
func Journal(tx *db.Tx, id loyalty.MemberID, wallet string, before int64, limit int) ([]Entry, error) {
	start := `SELECT last FROM balance WHERE member = ? AND wallet = ?`
	args := []any{int64(id), wallet}
	if before > 0 {
		start = `SELECT prev FROM entry WHERE member = ? AND wallet = ? AND id = ?`
		args = append(args, before)
	}
	var all []Entry
	err := tx.Rows(`WITH RECURSIVE chain (id, prev, n) AS (
			SELECT e.id, e.prev, 1 FROM entry e WHERE e.id = (`+start+`)
			UNION ALL
			SELECT e.id, e.prev, chain.n + 1 FROM entry e JOIN chain ON e.id = chain.prev WHERE chain.n < ?)
		SELECT e.id, e.wallet, e.kind, e.debit, e.credit, e.points, e.at, e.device, COALESCE(d.store, ''), COALESCE(d.till, ''), e.receipt, COALESCE(r.number, ''), e.rule, e.note
		FROM chain JOIN entry e ON e.id = chain.id
		LEFT JOIN device d ON d.no = e.device
		LEFT JOIN receipt r ON r.id = e.receipt
		ORDER BY e.id DESC`, append(args, limit), func(r *sql.Rows) error {
		e := Entry{Member: id}
		var at int64
		err := r.Scan(&e.ID, &e.Wallet, &e.Kind, &e.From, &e.To, &e.Points, &at, &e.Device, &e.Store, &e.Till, &e.Receipt, &e.Number, &e.Rule, &e.Note)
		e.At = db.Time(at)
		all = append(all, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read journal of %s: %w", id, err)
	}
	return all, nil
}

// Receipt is one row of purchase history, for pages.
type Receipt struct {
	ID       int64            `json:"id"`
	Kind     string           `json:"kind"` // sale, return
	Original int64            `json:"-"`
	Number   string           `json:"number"`
	Fiscal   string           `json:"fiscal,omitempty"`
	At       time.Time        `json:"at"`
	Store    string           `json:"store"`
	Till     string           `json:"till"`
	Member   loyalty.MemberID `json:"member,omitzero"`
	Totals   loyalty.Totals   `json:"totals"`
	Moves    map[string]Moves `json:"moves,omitempty"`
	State    string           `json:"state"`
	Offline  bool             `json:"offline,omitempty"`
	Cashier  string           `json:"cashier,omitempty"`
	Device   int64            `json:"-"`
	Epoch    uint32           `json:"-"`
	Seq      uint64           `json:"-"`
}

const historyColumns = `r.id, r.kind, r.original, r.number, r.fiscal, r.at, COALESCE(d.store, ''), COALESCE(d.till, ''), COALESCE(r.member, 0),
	r.gross, r.discount, r.redeemed, r.net, r.moves, r.state, r.offline, r.cashier, r.device, r.epoch, r.seq`

func scanHistory(rows *sql.Rows) (Receipt, error) {
	var r Receipt
	var at int64
	var moves string
	err := rows.Scan(&r.ID, &r.Kind, &r.Original, &r.Number, &r.Fiscal, &at, &r.Store, &r.Till, &r.Member,
		&r.Totals.Gross, &r.Totals.Discount, &r.Totals.Redeemed, &r.Totals.Net, &moves, &r.State, &r.Offline, &r.Cashier, &r.Device, &r.Epoch, &r.Seq)
	if err != nil {
		return r, err
	}
	r.At = db.Time(at)
	return r, json.Unmarshal([]byte(moves), &r.Moves)
}

// Filter narrows a list of receipts; zero fields do not.
type Filter struct {
	Store  string
	Till   string
	Number string // exact receipt number
	Fiscal string // exact fiscal number
	Before int64  // receipt id, for paging
}

// Receipts lists receipts, newest arrival first.
func Receipts(tx *db.Tx, f Filter, limit int) ([]Receipt, error) {
	var where []string
	var args []any
	add := func(cond string, v ...any) { where, args = append(where, cond), append(args, v...) }
	if f.Before > 0 {
		add(`r.id < ?`, f.Before)
	}
	if f.Store != "" {
		add(`d.store = ?`, f.Store)
	}
	if f.Till != "" {
		add(`d.till = ?`, f.Till)
	}
	if f.Number != "" {
		add(`r.number = ?`, f.Number)
	}
	if f.Fiscal != "" {
		add(`r.fiscal = ? AND r.fiscal <> ''`, f.Fiscal) // the second says that the index will do
	}
	q := `SELECT ` + historyColumns + ` FROM receipt r LEFT JOIN device d ON d.no = r.device`
	if len(where) > 0 {
		q += ` WHERE ` + strings.Join(where, ` AND `)
	}
	return history(tx, q+` ORDER BY r.id DESC LIMIT ?`, append(args, limit)...)
}

// MemberReceipts lists the purchases of a member, newest arrival first.
func MemberReceipts(tx *db.Tx, id loyalty.MemberID, limit int) ([]Receipt, error) {
	return history(tx, `WITH RECURSIVE chain (id, prev, n) AS (
			SELECT r.id, r.prev, 1 FROM receipt r JOIN member_state s ON r.id = s.last_receipt WHERE s.member = ?
			UNION ALL
			SELECT r.id, r.prev, chain.n + 1 FROM receipt r JOIN chain ON r.id = chain.prev WHERE chain.n < ?)
		SELECT `+historyColumns+` FROM chain JOIN receipt r ON r.id = chain.id LEFT JOIN device d ON d.no = r.device ORDER BY chain.n`, int64(id), limit)
}

// OneReceipt returns one receipt by its id here.
func OneReceipt(tx *db.Tx, id int64) (*Receipt, error) {
	all, err := history(tx, `SELECT `+historyColumns+` FROM receipt r LEFT JOIN device d ON d.no = r.device WHERE r.id = ?`, id)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// Returns lists what came back of a sale.
func Returns(tx *db.Tx, sale Receipt) ([]Receipt, error) {
	// Returns carry the sale's id; there is no index on it, but a member's
	// receipts are few. A sale without a member has returns without points.
	if sale.Member == 0 {
		return nil, nil
	}
	all, err := MemberReceipts(tx, sale.Member, 500)
	var some []Receipt
	for _, r := range all {
		if r.Kind == "return" && r.Original == sale.ID {
			some = append(some, r)
		}
	}
	return some, err
}

// ReceiptEntries lists what a receipt booked, oldest first.
func ReceiptEntries(tx *db.Tx, r Receipt) ([]Entry, error) {
	if r.Member == 0 {
		return nil, nil
	}
	var all []Entry
	for wallet := range r.Moves {
		entries, err := Journal(tx, r.Member, wallet, 0, 2000)
		if err != nil {
			return nil, err
		}
		for i := len(entries) - 1; i >= 0; i-- {
			if entries[i].Receipt == r.ID {
				all = append(all, entries[i])
			}
		}
	}
	return all, nil
}

func history(tx *db.Tx, q string, args ...any) ([]Receipt, error) {
	var all []Receipt
	err := tx.Rows(q, args, func(rows *sql.Rows) error {
		r, err := scanHistory(rows)
		all = append(all, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	return all, nil
}

// Parked is a record that could not be applied.
type Parked struct {
	Device string    `json:"device"`
	Store  string    `json:"store"`
	Till   string    `json:"till"`
	Epoch  uint32    `json:"epoch"`
	Seq    uint64    `json:"seq"`
	Type   string    `json:"type"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// ParkedRecords lists what waits for a person, newest first.
func ParkedRecords(tx *db.Tx, limit int) ([]Parked, error) {
	var all []Parked
	err := tx.Rows(`SELECT d.id, d.store, d.till, p.epoch, p.seq, p.type, p.reason, p.at FROM parked p JOIN device d ON d.no = p.device
		WHERE p.resolved = 0 ORDER BY p.at DESC, p.seq DESC LIMIT ?`, []any{limit}, func(r *sql.Rows) error {
		var p Parked
		var at int64
		err := r.Scan(&p.Device, &p.Store, &p.Till, &p.Epoch, &p.Seq, &p.Type, &p.Reason, &at)
		p.At = db.Time(at)
		all = append(all, p)
		return err
	})
	return all, err
}

// Finding is something a person should look at.
type Finding struct {
	ID     int64            `json:"id"`
	At     time.Time        `json:"at"`
	Code   string           `json:"code"`
	Store  string           `json:"store,omitempty"`
	Till   string           `json:"till,omitempty"`
	Member loyalty.MemberID `json:"member,omitzero"`
	Points loyalty.Points   `json:"points,omitzero"`
	Detail string           `json:"detail,omitempty"`
}

// Findings lists them, newest first.
func Findings(tx *db.Tx, limit int) ([]Finding, error) {
	var all []Finding
	err := tx.Rows(`SELECT f.id, f.at, f.code, COALESCE(d.store, ''), COALESCE(d.till, ''), f.member, f.points, f.detail
		FROM finding f LEFT JOIN device d ON d.no = f.device ORDER BY f.id DESC LIMIT ?`, []any{limit}, func(r *sql.Rows) error {
		var f Finding
		var at int64
		err := r.Scan(&f.ID, &at, &f.Code, &f.Store, &f.Till, &f.Member, &f.Points, &f.Detail)
		f.At = db.Time(at)
		all = append(all, f)
		return err
	})
	return all, err
}
