package ledger

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// States of a receipt.
const (
	captured       = "captured"
	partlyReturned = "partly_returned"
	returned       = "returned"
	voided         = "voided"
)

// Moves sums up what a receipt did in one wallet.
type Moves struct {
	Earned     loyalty.Points `json:"earned,omitzero"`
	Spent      loyalty.Points `json:"spent,omitzero"`
	EarnedBack loyalty.Points `json:"earned_back,omitzero"` // taken back since
	SpentBack  loyalty.Points `json:"spent_back,omitzero"`  // given back since
	Lost       loyalty.Points `json:"lost,omitzero"`        // part of Spent - SpentBack that the shop bears
}

// receipt is a row of purchase history.
type receipt struct {
	id, prev int64
	at       place
	kind     string
	original int64
	number   string
	fiscal   string
	time     int64
	member   loyalty.MemberID
	totals   loyalty.Totals
	moves    map[string]*Moves
	state    string
	offline  bool
	cashier  string
	record   *Item // what made it, when it is at hand
	fresh    bool  // made in this transaction
	dirty    bool
}

func (r *receipt) in(wallet string) *Moves {
	m := r.moves[wallet]
	if m == nil {
		m = &Moves{}
		if r.moves == nil {
			r.moves = map[string]*Moves{}
		}
		r.moves[wallet] = m
	}
	return m
}

// wallets lists the wallets a receipt moved, in a fixed order.
func (r *receipt) wallets() []string {
	names := make([]string, 0, len(r.moves))
	for n := range r.moves {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// add appends a receipt to the purchase history.
func (w *work) add(r *receipt) {
	r.id, r.fresh, r.state = w.nextReceipt, true, captured
	w.nextReceipt++
	w.receipts[r.at] = r
	w.newReceipts = append(w.newReceipts, r)
}

// own hangs a receipt into the chain of its member.
func (w *work) own(r *receipt, m *member) {
	r.member, r.prev = m.id, m.lastReceipt
	m.lastReceipt = r.id
	if r.kind == "sale" {
		m.receipts++
		m.lastVisit = max(m.lastVisit, r.time)
	}
	w.change(r)
	w.touch(m)
}

func (w *work) change(r *receipt) {
	if !r.fresh && !r.dirty {
		r.dirty = true
		w.oldReceipts = append(w.oldReceipts, r)
	}
}

const receiptColumns = `id, prev, device, epoch, seq, kind, original, number, fiscal, at, COALESCE(member, 0), gross, discount, redeemed, net, moves, state, offline, cashier`

func scanReceipt(rows interface{ Scan(...any) error }) (*receipt, error) {
	r := &receipt{}
	var moves string
	err := rows.Scan(&r.id, &r.prev, &r.at.device, &r.at.epoch, &r.at.seq, &r.kind, &r.original, &r.number, &r.fiscal, &r.time, &r.member,
		&r.totals.Gross, &r.totals.Discount, &r.totals.Redeemed, &r.totals.Net, &moves, &r.state, &r.offline, &r.cashier)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(moves), &r.moves); err != nil {
		return nil, fmt.Errorf("moves of receipt %d: %w", r.id, err)
	}
	return r, nil
}

// receipt finds the receipt that a record made; nil when there is none.
func (w *work) receipt(at place) (*receipt, error) {
	if r, ok := w.receipts[at]; ok {
		return r, nil
	}
	var found *receipt
	err := w.tx.Rows(`SELECT `+receiptColumns+` FROM receipt WHERE device = ? AND epoch = ? AND seq = ?`,
		[]any{at.device, int64(at.epoch), int64(at.seq)}, func(rows *sql.Rows) (err error) {
			found, err = scanReceipt(rows)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read receipt: %w", err)
	}
	if found != nil {
		w.receipts[at] = found
	}
	return found, nil
}

// sale finds a sale by the number the cash software gave it. Numbers may
// repeat between tills and years: one of the same member and device goes
// first, then the newest.
func (w *work) sale(number string, who loyalty.MemberID, device int64) (*receipt, error) {
	if number == "" {
		return nil, nil
	}
	var best *receipt
	rank := func(r *receipt) int {
		n := 0
		if who != 0 && r.member == who {
			n += 2
		}
		if r.at.device == device {
			n++
		}
		return n
	}
	better := func(r *receipt) bool {
		return best == nil || rank(r) > rank(best) || rank(r) == rank(best) && r.id > best.id
	}
	err := w.tx.Rows(`SELECT `+receiptColumns+` FROM receipt WHERE number = ? AND kind = 'sale' ORDER BY id DESC LIMIT 20`, []any{number}, func(rows *sql.Rows) error {
		r, err := scanReceipt(rows)
		if err != nil {
			return err
		}
		if have := w.receipts[r.at]; have != nil {
			r = have
		}
		if better(r) {
			best = r
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read receipt: %w", err)
	}
	for _, r := range w.newReceipts {
		if r.number == number && r.kind == "sale" && better(r) {
			best = r
		}
	}
	if best != nil {
		w.receipts[best.at] = best
	}
	return best, nil
}

func (w *work) flushReceipts() error {
	if n := w.nextReceipt - w.firstReceipt; n > 0 {
		if _, err := w.tx.Next("receipt", n); err != nil {
			return err
		}
	}
	flat := make([]any, 0, 19*len(w.newReceipts))
	for _, r := range w.newReceipts {
		moves, err := encodeMoves(r)
		if err != nil {
			return err
		}
		flat = append(flat, r.id, r.prev, r.at.device, int64(r.at.epoch), int64(r.at.seq), r.kind, r.original, r.number, r.fiscal, r.time, nullMember(r.member),
			int64(r.totals.Gross), int64(r.totals.Discount), int64(r.totals.Redeemed), int64(r.totals.Net), moves, r.state, r.offline, r.cashier)
	}
	err := w.tx.InsertMany(`INSERT INTO receipt (id, prev, device, epoch, seq, kind, original, number, fiscal, at, member, gross, discount, redeemed, net, moves, state, offline, cashier) VALUES`,
		19, flat, ``)
	if err != nil {
		return err
	}
	for _, r := range w.oldReceipts {
		moves, err := encodeMoves(r)
		if err != nil {
			return err
		}
		if err := w.tx.Exec(`UPDATE receipt SET prev = ?, member = ?, moves = ?, state = ? WHERE id = ?`, r.prev, nullMember(r.member), moves, r.state, r.id); err != nil {
			return err
		}
	}
	return nil
}

// encodeMoves is the JSON of what a receipt moved; the usual case, points
// earned in one wallet, without the encoder.
func encodeMoves(r *receipt) (string, error) {
	if len(r.moves) == 1 {
		for wallet, m := range r.moves {
			if *m == (Moves{Earned: m.Earned}) && m.Earned != 0 && plainName(wallet) {
				return `{"` + wallet + `":{"earned":"` + m.Earned.String() + `"}}`, nil
			}
		}
	}
	b, err := json.Marshal(r.moves)
	return string(b), err
}

// plainName tells whether a wallet's name is the same inside JSON.
func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func nullMember(id loyalty.MemberID) any {
	if id == 0 {
		return nil
	}
	return int64(id)
}

// hold is a row of points kept for a receipt.
type hold struct {
	id      string
	member  loyalty.MemberID
	wallet  string
	points  loyalty.Points
	device  int64
	receipt string
	lease   string // first of those it is kept out of; empty: out of the held account
	to      int64  // device that may spend it, when a keeper held it for another till
	parts   []part // what it takes out of each lease; nil: not read yet
	state   string
	made    int64
	ended   int64
	dirty   bool
}

// States of a hold. A void hold may never have been seen: its id is kept so
// that a late request for it is refused.
const (
	holdOpen       = "open"
	holdUnresolved = "unresolved"
	holdCommitted  = "committed"
	holdVoided     = "voided"
)

func (h *hold) live() bool { return h.state == holdOpen || h.state == holdUnresolved }

// hold finds a hold; nil when the centre never saw it.
func (w *work) hold(id string) (*hold, error) {
	if h, ok := w.holds[id]; ok {
		return h, nil
	}
	h := &hold{id: id}
	ok, err := w.tx.Row(`SELECT member, wallet, points, device, receipt, lease, for_device, state, made, ended FROM hold WHERE id = ?`, []any{id},
		&h.member, &h.wallet, &h.points, &h.device, &h.receipt, &h.lease, &h.to, &h.state, &h.made, &h.ended)
	if err != nil {
		return nil, fmt.Errorf("read hold: %w", err)
	}
	if !ok {
		h = nil
	}
	w.holds[id] = h
	return h, nil
}

// keep stores a new or changed hold.
func (w *work) keep(h *hold) {
	w.holds[h.id] = h
	if !h.dirty {
		h.dirty = true
		w.dirtyHolds = append(w.dirtyHolds, h)
	}
}

// end resolves a hold, once.
func (w *work) end(h *hold, state string) {
	h.state = state
	if state != holdUnresolved {
		h.ended = db.Millis(w.now)
	}
	w.keep(h)
}

func (w *work) flushHolds() error {
	for _, h := range w.dirtyHolds {
		err := w.tx.Exec(`INSERT INTO hold (id, member, wallet, points, device, receipt, lease, for_device, state, made, ended) VALUES (?,?,?,?,?,?,?,?,?,?,?)
			ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = excluded.ended`,
			h.id, int64(h.member), h.wallet, int64(h.points), h.device, h.receipt, h.lease, h.to, h.state, h.made, h.ended)
		if err != nil {
			return err
		}
		if err := w.writeParts(h); err != nil {
			return err
		}
		h.dirty = false
	}
	w.dirtyHolds = nil
	return nil
}
