package ledger

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// Source says where an entry comes from. The zero Source is the centre itself.
type Source struct {
	Device  int64 // number of the device; 0: the centre
	Epoch   uint32
	Seq     uint64
	Receipt int64
	Rule    string
	Note    string
}

// work is one transaction's worth of bookkeeping. Rows are read once, moved
// in memory and written back together by flush; nothing it did counts before
// the transaction is committed.
type work struct {
	tx    *db.Tx
	now   time.Time
	today string // in the shop's time
	rules Rules

	members  map[loyalty.MemberID]*member
	balances map[account]*Balance
	dirty    []account // balances touched, in order
	touched  []*member // members to write back and to tell the tills about

	firstEntry, nextEntry     int64
	firstReceipt, nextReceipt int64
	firstLot, nextLot         int64
	entries                   []any

	receipts    map[place]*receipt
	newReceipts []*receipt
	oldReceipts []*receipt
	holds       map[string]*hold
	dirtyHolds  []*hold
	lots        map[account][]*lot
	newLots     []*lot
	oldLots     []*lot
	leases      map[string]*leased
	dirtyLeases []*leased
	uses        []any
	refs        map[wire.Ref]loyalty.MemberID
	findings    []any
}

// account is the key of a balance.
type account struct {
	member loyalty.MemberID
	wallet string
}

// place is where a record stands: device number, epoch, seq.
type place struct {
	device int64
	epoch  uint32
	seq    uint64
}

// member is what the ledger keeps of a member besides the points.
type member struct {
	id          loyalty.MemberID
	known       bool // exists in the member room
	stored      bool // has a row in member_state
	lastReceipt int64
	receipts    int64
	lastVisit   int64
	state       string
	snapshot    *loyalty.Member // state decoded, when it was needed
	touched     bool
	huge        bool // a balance is so large that sums could leave the range
}

func newWork(tx *db.Tx, now time.Time, zone *time.Location, rules Rules) (*work, error) {
	w := &work{
		tx: tx, now: now, today: now.In(zone).Format(time.DateOnly), rules: rules,
		members: map[loyalty.MemberID]*member{}, balances: map[account]*Balance{},
		receipts: map[place]*receipt{}, holds: map[string]*hold{}, lots: map[account][]*lot{},
		refs: map[wire.Ref]loyalty.MemberID{},
	}
	for _, c := range []struct {
		name        string
		first, next *int64
	}{{"entry", &w.firstEntry, &w.nextEntry}, {"receipt", &w.firstReceipt, &w.nextReceipt}, {"lot", &w.firstLot, &w.nextLot}} {
		n, err := tx.Next(c.name, 0)
		if err != nil {
			return nil, err
		}
		*c.first, *c.next = n, n
	}
	return w, nil
}

// loadMembers reads members and their balances in bulk.
func (w *work) loadMembers(ids []loyalty.MemberID) error {
	var keys []int64
	for _, id := range ids {
		if _, ok := w.members[id]; !ok {
			w.members[id] = &member{id: id}
			keys = append(keys, int64(id))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	err := db.In(w.tx, `SELECT m.id, s.member, s.last_receipt, s.receipts, s.last_visit, s.state
		FROM member m LEFT JOIN member_state s ON s.member = m.id WHERE m.id IN %s`, keys, func(r *sql.Rows) error {
		var id int64
		var has, last, count, visit sql.NullInt64
		var state sql.NullString
		if err := r.Scan(&id, &has, &last, &count, &visit, &state); err != nil {
			return err
		}
		m := w.members[loyalty.MemberID(id)]
		m.known, m.stored = true, has.Valid
		m.lastReceipt, m.receipts, m.lastVisit, m.state = last.Int64, count.Int64, visit.Int64, state.String
		return nil
	})
	if err != nil {
		return fmt.Errorf("read members: %w", err)
	}
	err = db.In(w.tx, `SELECT member, wallet, available, pending, held, leased, spent, expired, issued, lost, last
		FROM balance WHERE member IN %s`, keys, func(r *sql.Rows) error {
		var id int64
		var wallet string
		b := &Balance{}
		if err := r.Scan(&id, &wallet, &b.Available, &b.Pending, &b.Held, &b.Leased, &b.Spent, &b.Expired, &b.Issued, &b.Lost, &b.last); err != nil {
			return err
		}
		w.balances[account{loyalty.MemberID(id), wallet}] = b
		if b.huge() {
			w.members[loyalty.MemberID(id)].huge = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read balances: %w", err)
	}
	return nil
}

// member returns one member; unknown ones have known == false.
func (w *work) member(id loyalty.MemberID) (*member, error) {
	if m, ok := w.members[id]; ok {
		return m, nil
	}
	if err := w.loadMembers([]loyalty.MemberID{id}); err != nil {
		return nil, err
	}
	return w.members[id], nil
}

// touch marks a member as changed: its row is written and tills are told.
func (w *work) touch(m *member) {
	if !m.touched {
		m.touched = true
		w.touched = append(w.touched, m)
	}
}

// balance returns the balance of a loaded member, a new empty one if needed.
func (w *work) balance(k account) *Balance {
	b := w.balances[k]
	if b == nil {
		b = &Balance{}
		w.balances[k] = b
	}
	return b
}

// move books one entry. Nothing changes when it returns an error.
func (w *work) move(m *member, wallet string, kind Kind, from, to Account, points loyalty.Points, src Source) error {
	k := account{m.id, wallet}
	b := w.balance(k)
	if err := b.move(from, to, points); err != nil {
		return err
	}
	id := w.nextEntry
	w.nextEntry++
	w.entries = append(w.entries, id, b.last, int64(m.id), wallet, string(kind), string(from), string(to), int64(points),
		db.Millis(w.now), src.Device, int64(src.Epoch), int64(src.Seq), src.Receipt, src.Rule, src.Note)
	b.last = id
	m.huge = m.huge || b.huge()
	w.dirty = append(w.dirty, k)
	w.touch(m)
	return nil
}

// snapshot returns the member's counters, tier, stamps and coupons.
func (w *work) snapshot(m *member) (*loyalty.Member, error) {
	if m.snapshot == nil {
		m.snapshot = &loyalty.Member{ID: m.id}
		if m.state != "" {
			if err := json.Unmarshal([]byte(m.state), m.snapshot); err != nil {
				return nil, fmt.Errorf("state of member %s: %w", m.id, err)
			}
		}
	}
	return m.snapshot, nil
}

// find notes something a person should look at.
func (w *work) find(code string, src Source, member loyalty.MemberID, points loyalty.Points, detail string) {
	w.findings = append(w.findings, db.Millis(w.now), code, src.Device, int64(src.Epoch), int64(src.Seq), int64(member), int64(points), detail)
}

// flush writes everything back.
func (w *work) flush() error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"entries", w.flushEntries}, {"balances", w.flushBalances}, {"receipts", w.flushReceipts}, {"holds", w.flushHolds}, {"leases", w.flushLeases},
		{"lots", w.flushLots}, {"members", w.flushMembers}, {"findings", w.flushFindings},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("write %s: %w", step.what, err)
		}
	}
	return nil
}

func (w *work) flushEntries() error {
	if w.nextEntry == w.firstEntry {
		return nil
	}
	if _, err := w.tx.Next("entry", w.nextEntry-w.firstEntry); err != nil {
		return err
	}
	return w.tx.InsertMany(`INSERT INTO entry (id, prev, member, wallet, kind, debit, credit, points, at, device, epoch, seq, receipt, rule, note) VALUES`,
		15, w.entries, ``)
}

func (w *work) flushBalances() error {
	var flat []any
	done := make(map[account]bool, len(w.dirty))
	for _, k := range w.dirty {
		if done[k] {
			continue
		}
		done[k] = true
		b := w.balances[k]
		if p := b.sound(); p != "" {
			return fmt.Errorf("member %s, wallet %s: %s", k.member, k.wallet, p)
		}
		flat = append(flat, int64(k.member), k.wallet, int64(b.Available), int64(b.Pending), int64(b.Held), int64(b.Leased),
			int64(b.Spent), int64(b.Expired), int64(b.Issued), int64(b.Lost), b.last)
	}
	return w.tx.InsertMany(`INSERT INTO balance (member, wallet, available, pending, held, leased, spent, expired, issued, lost, last) VALUES`, 11, flat,
		`ON CONFLICT (member, wallet) DO UPDATE SET available = excluded.available, pending = excluded.pending, held = excluded.held,
		leased = excluded.leased, spent = excluded.spent, expired = excluded.expired, issued = excluded.issued, lost = excluded.lost, last = excluded.last`)
}

func (w *work) flushMembers() error {
	if len(w.touched) == 0 {
		return nil
	}
	n, err := w.tx.Next("feed", int64(len(w.touched)))
	if err != nil {
		return err
	}
	flat, feed := make([]any, 0, 6*len(w.touched)), make([]any, 0, 2*len(w.touched))
	for _, m := range w.touched {
		if m.snapshot != nil {
			b, err := json.Marshal(m.snapshot)
			if err != nil {
				return err
			}
			m.state = string(b)
		}
		flat = append(flat, int64(m.id), n, m.lastReceipt, m.receipts, m.lastVisit, m.state)
		feed = append(feed, n, int64(m.id))
		n++
	}
	err = w.tx.InsertMany(`INSERT INTO member_state (member, changed, last_receipt, receipts, last_visit, state) VALUES`, 6, flat,
		`ON CONFLICT (member) DO UPDATE SET changed = excluded.changed, last_receipt = excluded.last_receipt,
		receipts = excluded.receipts, last_visit = excluded.last_visit, state = excluded.state`)
	if err != nil {
		return err
	}
	return w.tx.InsertMany(`INSERT INTO feed (n, member) VALUES`, 2, feed, ``)
}

func (w *work) flushFindings() error {
	return w.tx.InsertMany(`INSERT INTO finding (at, code, device, epoch, seq, member, points, detail) VALUES`, 8, w.findings, ``)
}

// Touch notes that a member changed outside the ledger (a card, a name), so
// that the tills are told. The member must exist.
func Touch(tx *db.Tx, ids ...loyalty.MemberID) error {
	w, err := newWork(tx, time.Now(), time.UTC, nil)
	if err != nil {
		return err
	}
	if err := w.loadMembers(ids); err != nil {
		return err
	}
	for _, id := range ids {
		w.touch(w.members[id])
	}
	return w.flushMembers()
}

// Find notes something a person should look at, found outside the ledger.
func Find(tx *db.Tx, code string, src Source, detail string, at time.Time) error {
	return tx.Exec(`INSERT INTO finding (at, code, device, epoch, seq, member, points, detail) VALUES (?,?,?,?,?,0,0,?)`,
		db.Millis(at), code, src.Device, int64(src.Epoch), int64(src.Seq), detail)
}
