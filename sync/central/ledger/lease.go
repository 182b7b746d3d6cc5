package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// A lease is the right of one device to spend up to so many points of one
// member without asking. Granting moves the points from available to leased,
// so nobody else can spend them; that is what makes spending without a link
// safe. A lease ends in three ways only: it is spent, its holder gives the
// rest back in its journal, or a person revokes the device. It never ends
// because time has passed: the holder may have spent it unseen.
//
//	            grant                      HOLD, COMMIT
//	available ─────────> leased ─────────────────────────────> spent
//	     ^                 │ LEASE_CLOSE, revocation
//	     └─────────────────┘
//
// What a revoked device spent before it was revoked and brings later is
// charged to the member only as far as the revocation gave points back; what
// goes beyond a lease (a clone) is the shop's loss, never the member's.

// Kinds of entries that leases make.
const (
	Lease   Kind = "lease"   // handed to a till
	Unlease Kind = "unlease" // given back by it, or taken back with its revocation
)

// States of a lease.
const (
	leaseGranted  = "granted"  // on its way to the till
	leaseOpen     = "open"     // the till has it
	leaseRecalled = "recalled" // the till was asked to close it
	leaseClosed   = "closed"   // closed by the till; what unresolved holds keep of it may remain
	leaseRevoked  = "revoked"  // its device was revoked or enrolled anew
)

// ErrLease is returned when a lease cannot be granted or recalled.
var ErrLease = errors.New("lease cannot be changed")

type leased struct {
	id        string
	key       account
	device    int64
	epoch     uint32
	points    loyalty.Points
	remaining loyalty.Points
	returned  loyalty.Points
	state     string
	notAfter  int64
	made      int64
	ended     int64
	dirty     bool
}

func (l *leased) live() bool {
	return l.state == leaseGranted || l.state == leaseOpen || l.state == leaseRecalled
}

const leaseColumns = `id, member, wallet, device, epoch, points, remaining, returned, state, not_after, made, ended`

func scanLease(r *sql.Rows) (*leased, error) {
	l := &leased{}
	err := r.Scan(&l.id, &l.key.member, &l.key.wallet, &l.device, &l.epoch, &l.points, &l.remaining, &l.returned, &l.state, &l.notAfter, &l.made, &l.ended)
	return l, err
}

// lease finds a lease; nil when there is none.
func (w *work) lease(id string) (*leased, error) {
	if l, ok := w.leases[id]; ok {
		return l, nil
	}
	all, err := w.readLeases(`WHERE id = ?`, id)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// readLeases reads leases; each is one value however often it is read.
func (w *work) readLeases(where string, args ...any) ([]*leased, error) {
	var all []*leased
	err := w.tx.Rows(`SELECT `+leaseColumns+` FROM lease `+where, args, func(r *sql.Rows) error {
		l, err := scanLease(r)
		if err != nil {
			return err
		}
		if have := w.leases[l.id]; have != nil {
			l = have
		} else {
			if w.leases == nil {
				w.leases = map[string]*leased{}
			}
			w.leases[l.id] = l
		}
		all = append(all, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	return all, nil
}

func (w *work) keepLease(l *leased) {
	if !l.dirty {
		l.dirty = true
		w.dirtyLeases = append(w.dirtyLeases, l)
	}
}

// tell puts an order for the holder into its lane.
func (w *work) tell(l *leased, what string) error {
	n, err := w.tx.Next("lease", 1)
	if err != nil {
		return err
	}
	return w.tx.Exec(`INSERT INTO lease_feed (n, device, what, lease) VALUES (?,?,?,?)`, n, l.device, what, l.id)
}

func (w *work) flushLeases() error {
	for _, l := range w.dirtyLeases {
		err := w.tx.Exec(`INSERT INTO lease (`+leaseColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
			ON CONFLICT (id) DO UPDATE SET remaining = excluded.remaining, returned = excluded.returned, state = excluded.state, ended = excluded.ended`,
			l.id, int64(l.key.member), l.key.wallet, l.device, int64(l.epoch), int64(l.points), int64(l.remaining), int64(l.returned), l.state, l.notAfter, l.made, l.ended)
		if err != nil {
			return err
		}
	}
	return nil
}

// Grant hands out the right to spend points at one device. ErrShort means the
// member has too few.
func (l *Ledger) Grant(tx *db.Tx, id string, m loyalty.MemberID, wallet string, points loyalty.Points, device int64, epoch uint32, notAfter time.Time) error {
	w, err := l.work(tx)
	if err != nil {
		return err
	}
	if have, err := w.lease(id); err != nil || have != nil {
		return errors.Join(err, fmt.Errorf("lease %s is there already: %w", id, ErrLease))
	}
	who, err := w.member(m)
	if err != nil {
		return err
	}
	if !who.known {
		return ErrUnknownMember
	}
	if err := w.move(who, wallet, Lease, Available, Leased, points, Source{Device: device, Epoch: epoch, Note: id}); err != nil {
		return err
	}
	x := &leased{id: id, key: account{m, wallet}, device: device, epoch: epoch, points: points, remaining: points, state: leaseGranted, notAfter: db.Millis(notAfter), made: db.Millis(w.now)}
	w.keepLease(x)
	if err := w.tell(x, wire.LeaseGrant); err != nil {
		return err
	}
	return w.flush()
}

// Recall asks the holder of a lease to give the rest back. It takes nothing:
// only the holder's journal, or its revocation, ends a lease.
func (l *Ledger) Recall(tx *db.Tx, id string) error {
	w, err := l.work(tx)
	if err != nil {
		return err
	}
	x, err := w.lease(id)
	if err != nil {
		return err
	}
	if x == nil || !x.live() {
		return fmt.Errorf("lease %s is not in force: %w", id, ErrLease)
	}
	if err := w.recallLease(x); err != nil {
		return err
	}
	return w.flush()
}

func (w *work) recallLease(x *leased) error {
	if x.state == leaseRecalled {
		return nil
	}
	x.state = leaseRecalled
	w.keepLease(x)
	return w.tell(x, wire.LeaseRecall)
}

// RecallMember asks all holders of a member's leases to give them back, and
// tells how much they hold.
func (l *Ledger) RecallMember(tx *db.Tx, m loyalty.MemberID, wallet string) (loyalty.Points, error) {
	w, err := l.work(tx)
	if err != nil {
		return 0, err
	}
	all, err := w.readLeases(`WHERE member = ? AND wallet = ? AND state IN ('granted', 'open', 'recalled')`, int64(m), wallet)
	if err != nil {
		return 0, err
	}
	var held loyalty.Points
	for _, x := range all {
		held += x.remaining
		if err := w.recallLease(x); err != nil {
			return 0, err
		}
	}
	return held, w.flush()
}

// ReturnRevoked gives back what revoked devices hold, and what devices held in
// an epoch before the one a person enrolled them in. It is called in the
// transaction that revokes or enrols, and does nothing when there is nothing
// to do.
func (l *Ledger) ReturnRevoked(tx *db.Tx) (int, error) {
	w, err := l.work(tx)
	if err != nil {
		return 0, err
	}
	all, err := w.readLeases(`WHERE state IN ('granted', 'open', 'recalled', 'closed') AND EXISTS
		(SELECT 1 FROM device d WHERE d.no = lease.device AND (d.state = 'revoked' OR d.epoch > lease.epoch)) ORDER BY id`)
	if err != nil {
		return 0, err
	}
	return len(all), w.endLeases(all)
}

// ReturnSilent gives back what devices hold that were last heard before a
// moment. It is the retailer's risk: what such a device spent before and
// brings later is charged to the member only as far as the points are still
// there, and the rest to the shop.
func (l *Ledger) ReturnSilent(tx *db.Tx, before time.Time) (int, error) {
	w, err := l.work(tx)
	if err != nil {
		return 0, err
	}
	all, err := w.readLeases(`WHERE state IN ('granted', 'open', 'recalled', 'closed') AND remaining > 0 AND EXISTS
		(SELECT 1 FROM device d WHERE d.no = lease.device AND d.last_seen < ?) ORDER BY id`, db.Millis(before))
	if err != nil {
		return 0, err
	}
	for _, x := range all {
		w.find("lease_silent", Source{Device: x.device, Epoch: x.epoch}, x.key.member, x.remaining, x.id)
	}
	return len(all), w.endLeases(all)
}

// endLeases ends leases whose holder is not waited for any more.
func (w *work) endLeases(all []*leased) error {
	for _, x := range all {
		rest := x.remaining
		if err := w.giveLeaseBack(x, rest, Source{Device: x.device, Epoch: x.epoch, Note: x.id}); err != nil {
			return err
		}
		x.returned, x.state, x.ended = rest, leaseRevoked, db.Millis(w.now)
	}
	return w.flush()
}

// RecallBefore asks back the leases that end before a moment, so that they
// are handed out anew.
func (l *Ledger) RecallBefore(tx *db.Tx, before time.Time, limit int) (int, error) {
	w, err := l.work(tx)
	if err != nil {
		return 0, err
	}
	all, err := w.readLeases(`WHERE state IN ('granted', 'open') AND not_after < ? ORDER BY not_after, id LIMIT ?`, db.Millis(before), limit)
	if err != nil {
		return 0, err
	}
	for _, x := range all {
		if err := w.recallLease(x); err != nil {
			return 0, err
		}
	}
	return len(all), w.flush()
}

// giveLeaseBack moves points of a lease back to the member.
func (w *work) giveLeaseBack(x *leased, points loyalty.Points, src Source) error {
	w.keepLease(x)
	if points == 0 {
		return nil
	}
	m, err := w.member(x.key.member)
	if err != nil {
		return err
	}
	if err := w.move(m, x.key.wallet, Unlease, Leased, Available, points, src); err != nil {
		return err
	}
	x.remaining -= points
	return nil
}

// mine finds the lease a record names, if it is one of that device and epoch;
// otherwise it notes that and returns nil.
func (w *work) mine(id string, src Source, member loyalty.MemberID) (*leased, error) {
	x, err := w.lease(id)
	if err != nil {
		return nil, err
	}
	if x == nil || x.device != src.Device || x.epoch != src.Epoch {
		w.find("lease_unknown", src, member, 0, id)
		return nil, nil
	}
	return x, nil
}

// openLease books LEASE_OPEN.
func (w *work) openLease(id string, src Source) error {
	x, err := w.mine(id, src, 0)
	if err != nil || x == nil || x.state != leaseGranted {
		return err
	}
	x.state = leaseOpen
	w.keepLease(x)
	return nil
}

// closeLease books LEASE_CLOSE: what no live hold keeps goes back. The till's
// own figure is compared, not trusted: our book has every spend before it.
func (w *work) closeLease(id string, rest loyalty.Points, src Source) error {
	x, err := w.mine(id, src, 0)
	if err != nil || x == nil || !x.live() {
		return err
	}
	kept, err := w.keptOf(x)
	if err != nil {
		return err
	}
	free := x.remaining - min(kept, x.remaining)
	if free != rest {
		w.find("lease_rest_differs", src, x.key.member, rest-free, id)
	}
	src.Note = id
	if err := w.giveLeaseBack(x, free, src); err != nil {
		return err
	}
	x.state, x.ended = leaseClosed, db.Millis(w.now)
	return nil
}

// part is what a hold takes out of one lease.
type part struct {
	lease  string
	points loyalty.Points
	isNew  bool // not written yet
}

// partsOf reads what a hold takes out of which lease.
func (w *work) partsOf(h *hold) ([]part, error) {
	if h.parts != nil || h.lease == "" {
		return h.parts, nil
	}
	h.parts = []part{}
	err := w.tx.Rows(`SELECT lease, points FROM hold_lease WHERE hold = ? ORDER BY lease`, []any{h.id}, func(r *sql.Rows) error {
		var p part
		err := r.Scan(&p.lease, &p.points)
		h.parts = append(h.parts, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read leases of a hold: %w", err)
	}
	return h.parts, nil
}

func (w *work) writeParts(h *hold) error {
	for i := range h.parts {
		p := &h.parts[i]
		if !p.isNew {
			continue
		}
		if err := w.tx.Exec(`INSERT INTO hold_lease (hold, lease, points) VALUES (?,?,?) ON CONFLICT DO NOTHING`, h.id, p.lease, int64(p.points)); err != nil {
			return err
		}
		p.isNew = false
	}
	return nil
}

// keptOf is what live holds keep of a lease.
func (w *work) keptOf(x *leased) (loyalty.Points, error) {
	if err := w.flushHolds(); err != nil {
		return 0, err
	}
	var n loyalty.Points
	_, err := w.tx.Row(`SELECT COALESCE(SUM(p.points), 0) FROM hold_lease p JOIN hold h ON h.id = p.hold WHERE p.lease = ? AND h.state IN ('open', 'unresolved')`,
		[]any{x.id}, &n)
	if err != nil {
		return 0, fmt.Errorf("read holds of a lease: %w", err)
	}
	return n, nil
}

// holdOfLease books a HOLD out of leases. The points stay where they are;
// only the spend moves them.
func (w *work) holdOfLease(p *wire.Hold, receipt string, src Source) error {
	h, err := w.hold(p.Hold)
	if err != nil || h != nil {
		return err
	}
	h = &hold{id: p.Hold, wallet: p.Wallet, device: src.Device, receipt: receipt, state: holdOpen, made: db.Millis(w.now)}
	points, err := loyalty.ParsePoints(p.Points)
	err2 := h.member.UnmarshalText([]byte(p.Member))
	parts := p.Parts()
	if err != nil || err2 != nil || points < 0 || points > MostPoints || len(p.Hold) == 0 || len(p.Hold) > 100 || len(parts) > wire.MaxLeaseParts {
		return poison("hold of %q points of member %q", p.Points, p.Member)
	}
	if p.For != "" {
		if h.to, err = w.deviceNo(p.For); err != nil {
			return err
		}
		if h.to == 0 {
			return poison("hold for device %q, which is not known", p.For)
		}
	}
	if err := w.takeParts(h, parts, src); err != nil {
		return err
	}
	w.keep(h)
	return nil
}

// takeParts fills in what a hold takes out of which lease. What is not a
// right of the device that held it counts nothing: what is spent on it is the
// shop's.
func (w *work) takeParts(h *hold, parts []wire.LeasePart, src Source) error {
	h.parts, h.points = []part{}, 0
	for _, q := range parts {
		n, err := loyalty.ParsePoints(q.Points)
		if err != nil || n < 0 || n > MostPoints || len(q.Lease) == 0 || len(q.Lease) > 100 {
			return poison("hold takes %q points out of lease %.40q", q.Points, q.Lease)
		}
		if h.lease == "" {
			h.lease = q.Lease
		}
		x, err := w.mine(q.Lease, src, h.member)
		if err != nil {
			return err
		}
		if x == nil || x.key != (account{h.member, h.wallet}) {
			continue
		}
		h.parts = append(h.parts, part{q.Lease, n, true})
		h.points += n
	}
	return nil
}

// deviceNo is the number of a device; 0 when it is not known.
func (w *work) deviceNo(id string) (no int64, err error) {
	if _, err = w.tx.Row(`SELECT no FROM device WHERE id = ?`, []any{id}, &no); err != nil {
		return 0, fmt.Errorf("look up device: %w", err)
	}
	return no, nil
}

// spendLease books a spend out of leases: as far as the hold and the lease
// have it, then, if the device was revoked, as far as the member got it back
// with that, and the rest out of the shop's pocket. It returns what the
// member's points paid.
func (w *work) spendLease(m *member, h *hold, points loyalty.Points, src Source) (loyalty.Points, error) {
	parts, err := w.partsOf(h)
	if err != nil {
		return 0, err
	}
	left := points
	w.end(h, holdCommitted)
	for _, p := range parts {
		x, err := w.lease(p.lease)
		if err != nil {
			return 0, err
		}
		if x == nil {
			continue
		}
		src.Note = x.id
		w.keepLease(x)
		n := min(left, p.points, x.remaining)
		if n > 0 {
			if err := w.move(m, h.wallet, Spend, Leased, Spent, n, src); err != nil {
				return 0, err
			}
			x.remaining -= n
			left -= n
		}
		if n := min(left, p.points-n, x.returned, w.balance(x.key).Available); n > 0 {
			if err := w.move(m, h.wallet, Spend, Available, Spent, n, src); err != nil {
				return 0, err
			}
			x.returned -= n
			left -= n
		}
		if err := w.releaseClosed(x, src); err != nil {
			return 0, err
		}
	}
	if left > 0 {
		src.Note = h.lease
		if err := w.move(m, h.wallet, Spend, Lost, Spent, left, src); err != nil {
			return 0, err
		}
		w.find("loss_lease", src, m.id, left, h.lease)
	}
	return points - left, nil
}

// releaseLeases gives back what closed leases held for a hold that has ended
// without a spend.
func (w *work) releaseLeases(h *hold, src Source) error {
	parts, err := w.partsOf(h)
	if err != nil {
		return err
	}
	for _, p := range parts {
		x, err := w.lease(p.lease)
		if err != nil {
			return err
		}
		if x == nil {
			continue
		}
		if err := w.releaseClosed(x, src); err != nil {
			return err
		}
	}
	return nil
}

// releaseClosed gives back what a closed lease held for a hold that has ended
// now.
func (w *work) releaseClosed(x *leased, src Source) error {
	if x.state != leaseClosed {
		return nil
	}
	kept, err := w.keptOf(x)
	if err != nil {
		return err
	}
	return w.giveLeaseBack(x, x.remaining-min(kept, x.remaining), src)
}

// LiveLease is a lease in force, for pages and for those who hand them out.
type LiveLease struct {
	ID        string         `json:"lease"`
	Device    int64          `json:"-"`
	Store     string         `json:"store"`
	Till      string         `json:"till"`
	Points    loyalty.Points `json:"points"`
	Remaining loyalty.Points `json:"remaining"`
	Recalled  bool           `json:"recalled,omitempty"`
	NotAfter  time.Time      `json:"not_after"`
}

// LiveLeases lists the leases of one wallet that are in force.
func LiveLeases(tx *db.Tx, m loyalty.MemberID, wallet string) ([]LiveLease, error) {
	var all []LiveLease
	err := tx.Rows(`SELECT l.id, l.device, d.store, d.till, l.points, l.remaining, l.state, l.not_after FROM lease l JOIN device d ON d.no = l.device
		WHERE l.member = ? AND l.wallet = ? AND l.state IN ('granted', 'open', 'recalled') ORDER BY l.id`, []any{int64(m), wallet}, func(r *sql.Rows) error {
		var x LiveLease
		var state string
		var until int64
		err := r.Scan(&x.ID, &x.Device, &x.Store, &x.Till, &x.Points, &x.Remaining, &state, &until)
		x.Recalled, x.NotAfter = state == leaseRecalled, db.Time(until)
		all = append(all, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	return all, nil
}

// LeasedAt is what a device holds on leases, of all members.
func LeasedAt(tx *db.Tx, device int64) (n loyalty.Points, err error) {
	_, err = tx.Row(`SELECT COALESCE(SUM(remaining), 0) FROM lease WHERE device = ? AND state IN ('granted', 'open', 'recalled', 'closed')`, []any{device}, &n)
	return n, err
}

// LeaseOrder is one order for the holder of a lease.
type LeaseOrder struct {
	N    int64
	Item wire.LeaseItem
}

// LeaseOrders returns what a device is to be told after a cursor. Grants of
// leases that have ended meanwhile are left out.
func LeaseOrders(tx *db.Tx, device, after int64, limit int) ([]LeaseOrder, error) {
	var all []LeaseOrder
	err := tx.Rows(`SELECT f.n, f.what, l.id, l.member, l.wallet, l.points, l.epoch, l.not_after FROM lease_feed f JOIN lease l ON l.id = f.lease
		WHERE f.device = ? AND f.n > ? AND l.state IN ('granted', 'open', 'recalled') ORDER BY f.n LIMIT ?`, []any{device, after, limit}, func(r *sql.Rows) error {
		var o LeaseOrder
		var m loyalty.MemberID
		var p loyalty.Points
		var until int64
		err := r.Scan(&o.N, &o.Item.Do, &o.Item.Lease, &m, &o.Item.Wallet, &p, &o.Item.Epoch, &until)
		o.Item.Member, o.Item.Points, o.Item.NotAfter = m.String(), p.String(), db.Time(until)
		all = append(all, o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read orders about leases: %w", err)
	}
	return all, nil
}

// Away is what a member has on leases: Near at devices that can be asked now,
// Far at others, of the stores Stores ("A, B").
type Away struct {
	Near, Far loyalty.Points
	Stores    string
}

// LeasedAway tells, by member and wallet, what lies on leases. reachable are
// the devices that can be asked now to give theirs back.
func LeasedAway(tx *db.Tx, ids []loyalty.MemberID, reachable []string) (map[loyalty.MemberID]map[string]Away, error) {
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = int64(id)
	}
	near := make(map[string]bool, len(reachable))
	for _, d := range reachable {
		near[d] = true
	}
	all := map[loyalty.MemberID]map[string]Away{}
	err := db.In(tx, `SELECT l.member, l.wallet, d.id, d.state, d.store, SUM(l.remaining) FROM lease l JOIN device d ON d.no = l.device
		WHERE l.remaining > 0 AND l.member IN %s GROUP BY l.member, l.wallet, d.id, d.state, d.store ORDER BY l.member, l.wallet, d.store, d.id`, keys, func(r *sql.Rows) error {
		var id loyalty.MemberID
		var wallet, device, state, store string
		var p loyalty.Points
		if err := r.Scan(&id, &wallet, &device, &state, &store, &p); err != nil {
			return err
		}
		if all[id] == nil {
			all[id] = map[string]Away{}
		}
		a := all[id][wallet]
		switch {
		case near[device] && state == "active":
			a.Near += p
		default:
			a.Far += p
			if a.Stores == "" {
				a.Stores = store
			} else if !strings.HasSuffix(a.Stores, store) && len(a.Stores) < 200 {
				a.Stores += ", " + store
			}
		}
		all[id][wallet] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	return all, nil
}
