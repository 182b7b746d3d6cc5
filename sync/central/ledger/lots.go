package ledger

import (
	"database/sql"
	"fmt"
	"sort"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// lot is points that become active or end on a day. Points that are active
// for ever have none.
type lot struct {
	id        int64
	key       account
	state     string // pending, active, done
	points    loyalty.Points
	remaining loyalty.Points
	active    string // day; "": at once
	expires   string // last day; "": never
	receipt   int64
	fresh     bool
	dirty     bool
}

func (w *work) addLot(k account, e loyalty.Earning, pending bool, receipt int64) {
	l := &lot{id: w.nextLot, key: k, state: "active", points: e.Points, remaining: e.Points, active: e.Active, expires: e.Expires, receipt: receipt, fresh: true}
	if pending {
		l.state = "pending"
	}
	w.nextLot++
	w.newLots = append(w.newLots, l)
	if have, ok := w.lots[k]; ok {
		w.lots[k] = append(have, l)
	}
}

func (w *work) changeLot(l *lot) {
	if l.remaining == 0 {
		l.state = "done"
	}
	if !l.fresh && !l.dirty {
		l.dirty = true
		w.oldLots = append(w.oldLots, l)
	}
}

const lotColumns = `id, member, wallet, state, points, remaining, active_on, expires_on, receipt`

func scanLot(r *sql.Rows) (*lot, error) {
	l := &lot{}
	err := r.Scan(&l.id, &l.key.member, &l.key.wallet, &l.state, &l.points, &l.remaining, &l.active, &l.expires, &l.receipt)
	return l, err
}

// open returns the lots of a wallet that are not used up, the one that ends
// first in front, those that never end last.
func (w *work) open(k account) ([]*lot, error) {
	all, ok := w.lots[k]
	if !ok {
		err := w.tx.Rows(`SELECT `+lotColumns+` FROM lot WHERE member = ? AND wallet = ? AND state <> 'done' ORDER BY id`,
			[]any{int64(k.member), k.wallet}, func(r *sql.Rows) error {
				l, err := scanLot(r)
				all = append(all, l)
				return err
			})
		if err != nil {
			return nil, fmt.Errorf("read lots: %w", err)
		}
		for _, l := range w.newLots {
			if l.key == k {
				all = append(all, l)
			}
		}
		w.lots[k] = all
	}
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if (a.expires == "") != (b.expires == "") {
			return a.expires != ""
		}
		if a.expires != b.expires {
			return a.expires < b.expires
		}
		return a.id < b.id
	})
	return all, nil
}

// use takes spent points out of the lots that end first. What no lot covers
// came from points without an end.
func (w *work) use(k account, points loyalty.Points, receipt int64) error {
	all, err := w.open(k)
	if err != nil {
		return err
	}
	for _, l := range all {
		if points == 0 {
			break
		}
		n := min(points, l.remaining)
		if l.state != "active" || n == 0 {
			continue
		}
		l.remaining -= n
		points -= n
		w.changeLot(l)
		w.uses = append(w.uses, receipt, l.id, int64(n))
	}
	return nil
}

// unuse puts points given back into the lots they were taken from, the one
// that ends last first: the member keeps the longer-lived points.
func (w *work) unuse(receipt int64, points loyalty.Points) error {
	if err := w.flushUses(); err != nil {
		return err
	}
	type taken struct {
		lot    *lot
		points loyalty.Points
	}
	var all []taken
	err := w.tx.Rows(`SELECT lot, points FROM lot_use WHERE receipt = ?`, []any{receipt}, func(r *sql.Rows) error {
		var t taken
		var id int64
		if err := r.Scan(&id, &t.points); err != nil {
			return err
		}
		t.lot = w.cachedLot(id)
		if t.lot == nil {
			t.lot = &lot{id: id}
		}
		all = append(all, t)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read lots of a receipt: %w", err)
	}
	for i := range all {
		if all[i].lot.points == 0 {
			l, err := w.lotByID(all[i].lot.id)
			if err != nil {
				return err
			}
			all[i].lot = l
		}
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i].lot, all[j].lot
		if a.expires != b.expires {
			return a.expires == "" || b.expires != "" && a.expires > b.expires
		}
		return a.id > b.id
	})
	for _, t := range all {
		n := min(points, t.points)
		if n == 0 {
			continue
		}
		points -= n
		l := t.lot
		if l.state == "done" {
			l.state = "active"
			if have, ok := w.lots[l.key]; ok && w.cachedLot(l.id) == nil {
				w.lots[l.key] = append(have, l)
			}
		}
		l.remaining += n
		w.changeLot(l)
		if err := w.tx.Exec(`UPDATE lot_use SET points = points - ? WHERE receipt = ? AND lot = ?`, int64(n), receipt, l.id); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) cachedLot(id int64) *lot {
	for _, l := range w.newLots {
		if l.id == id {
			return l
		}
	}
	for _, l := range w.oldLots {
		if l.id == id {
			return l
		}
	}
	for _, all := range w.lots {
		for _, l := range all {
			if l.id == id {
				return l
			}
		}
	}
	return nil
}

func (w *work) lotByID(id int64) (*lot, error) {
	if l := w.cachedLot(id); l != nil {
		return l, nil
	}
	var l *lot
	err := w.tx.Rows(`SELECT `+lotColumns+` FROM lot WHERE id = ?`, []any{id}, func(r *sql.Rows) (err error) {
		l, err = scanLot(r)
		return err
	})
	if err == nil && l == nil {
		err = fmt.Errorf("lot %d is gone", id)
	}
	return l, err
}

// unearn takes earned points out of the lots their receipt made, and tells
// how many of them were still pending.
func (w *work) unearn(k account, receipt int64, points loyalty.Points, onlyPending bool) (pending loyalty.Points, err error) {
	all, err := w.open(k)
	if err != nil {
		return 0, err
	}
	for _, l := range all {
		n := min(points, l.remaining)
		if l.receipt != receipt || n == 0 || onlyPending && l.state != "pending" {
			continue
		}
		if l.state == "pending" {
			pending += n
		}
		l.remaining -= n
		points -= n
		w.changeLot(l)
	}
	return pending, nil
}

// trim keeps the lots of a wallet within what the accounts hold: points taken
// back out of the available account must leave the lots too.
func (w *work) trim(k account) error {
	all, err := w.open(k)
	if err != nil {
		return err
	}
	b := w.balance(k)
	room := b.Available + b.Held + b.Leased
	for i := len(all) - 1; i >= 0; i-- { // the points that live longest stay
		l := all[i]
		if l.state != "active" {
			continue
		}
		if l.remaining > room {
			l.remaining = room
			w.changeLot(l)
		}
		room -= l.remaining
	}
	return nil
}

func (w *work) flushUses() error {
	flat := w.uses
	w.uses = nil
	return w.tx.InsertMany(`INSERT INTO lot_use (receipt, lot, points) VALUES`, 3, flat,
		`ON CONFLICT (receipt, lot) DO UPDATE SET points = lot_use.points + excluded.points`)
}

func (w *work) flushLots() error {
	if n := w.nextLot - w.firstLot; n > 0 {
		if _, err := w.tx.Next("lot", n); err != nil {
			return err
		}
	}
	flat := make([]any, 0, 9*len(w.newLots))
	for _, l := range w.newLots {
		flat = append(flat, l.id, int64(l.key.member), l.key.wallet, l.state, int64(l.points), int64(l.remaining), l.active, l.expires, l.receipt)
	}
	if err := w.tx.InsertMany(`INSERT INTO lot (`+lotColumns+`) VALUES`, 9, flat, ``); err != nil {
		return err
	}
	for _, l := range w.oldLots {
		if err := w.tx.Exec(`UPDATE lot SET state = ?, remaining = ? WHERE id = ?`, l.state, int64(l.remaining), l.id); err != nil {
			return err
		}
	}
	return w.flushUses()
}

// RunDay does what a new day asks for: points whose day has come become
// active, points whose last day has passed expire. At most limit lots are
// looked at; it tells how many, so that the caller comes again while that
// many were found. Running it twice does nothing twice.
func (l *Ledger) RunDay(tx *db.Tx, limit int) (int, error) {
	w, err := l.work(tx)
	if err != nil {
		return 0, err
	}
	var due []*lot
	for _, q := range []string{
		`SELECT ` + lotColumns + ` FROM lot WHERE state = 'pending' AND active_on <= ? ORDER BY active_on LIMIT ?`,
		`SELECT ` + lotColumns + ` FROM lot WHERE state = 'active' AND expires_on <> '' AND expires_on < ? ORDER BY expires_on LIMIT ?`,
	} {
		err := tx.Rows(q, []any{w.today, limit}, func(r *sql.Rows) error {
			x, err := scanLot(r)
			due = append(due, x)
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("read lots due: %w", err)
		}
	}
	n := 0
	for _, d := range due {
		m, err := w.member(d.key.member)
		if err != nil {
			return 0, err
		}
		all, err := w.open(d.key) // the one copy everybody here works on
		if err != nil {
			return 0, err
		}
		for _, x := range all {
			if x.id == d.id {
				d = x
			}
		}
		src := Source{Receipt: d.receipt}
		if d.state == "pending" {
			if err := w.move(m, d.key.wallet, Activate, Pending, Available, d.remaining, src); err != nil {
				return 0, fmt.Errorf("activate lot %d: %w", d.id, err)
			}
			d.state = "active"
			if d.expires == "" {
				d.remaining = 0 // no end: no longer a lot of its own
			}
			w.changeLot(d)
			n++
			continue
		}
		// Points kept for an open receipt or leased to a till stay until that
		// has ended; like spent ones they are those that end first.
		b := w.balance(d.key)
		kept := b.Held + b.Leased
		for _, x := range all {
			if x == d {
				break
			}
			if x.state == "active" {
				kept -= min(kept, x.remaining)
			}
		}
		if p := min(d.remaining-min(kept, d.remaining), b.Available); p > 0 {
			if err := w.move(m, d.key.wallet, Expire, Available, Expired, p, src); err != nil {
				return 0, fmt.Errorf("expire lot %d: %w", d.id, err)
			}
			d.remaining -= p
			w.changeLot(d)
			n++
		}
	}
	return n, w.flush()
}
