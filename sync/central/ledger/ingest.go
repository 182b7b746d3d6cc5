package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

var (
	// ErrWatermark is returned when a batch does not start right after what
	// is stored of its device.
	ErrWatermark = errors.New("batch does not follow the watermark")
	// ErrNoDevice is returned for a device that is not there, or not active,
	// or enrolled anew meanwhile.
	ErrNoDevice = errors.New("device may not send")
	// ErrClosed is returned by an Ingester after Close.
	ErrClosed = errors.New("ingester is closed")
)

// Batch is a run of records of one device, in order, chain verified.
type Batch struct {
	Device    string
	Epoch     uint32
	After     wire.Head // the watermark they follow
	Last      wire.Head // the watermark after them
	SessionNo uint64    // highest session number in them; 0: none
	Items     []*Item

	packed []byte // what is stored of the records
}

// Ingester collects the batches of many devices and writes those that come
// while a transaction runs together in the next one: the price of making a
// transaction durable is shared, and nobody waits for company.
type Ingester struct {
	ledger *Ledger
	db     *db.DB

	mu     sync.Mutex
	queue  []*job
	closed bool
	wake   chan struct{}
	done   chan struct{}
}

type job struct {
	batch  *Batch
	parked []wire.Parked
	err    error
	done   chan struct{}
}

// groupRecords bounds the records of one transaction, so that a question of
// a waiting customer never stands behind more than some tens of milliseconds.
const groupRecords = 4000

// NewIngester starts the one goroutine that writes; Close ends it.
func NewIngester(l *Ledger, d *db.DB) *Ingester {
	in := &Ingester{ledger: l, db: d, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go in.run()
	return in
}

// Close refuses new batches, writes what is queued, and returns when the
// goroutine has ended.
func (in *Ingester) Close() {
	in.mu.Lock()
	if !in.closed {
		in.closed = true
		close(in.wake)
	}
	in.mu.Unlock()
	<-in.done
}

// Ingest stores a batch and returns after that is durable, with the records
// that were stored but could not be applied. When ctx ends first the batch
// may or may not be stored.
func (in *Ingester) Ingest(ctx context.Context, b *Batch) ([]wire.Parked, error) {
	// Packing costs as much as booking some rows: done here, many tills pack
	// while one is written.
	b.packed = pack(b)
	j := &job{batch: b, done: make(chan struct{})}
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return nil, ErrClosed
	}
	in.queue = append(in.queue, j)
	select {
	case in.wake <- struct{}{}:
	default:
	}
	in.mu.Unlock()
	select {
	case <-j.done:
		return j.parked, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (in *Ingester) run() {
	defer close(in.done)
	for range in.wake {
		for in.next() {
		}
	}
	for in.next() {
	}
}

// next writes one group; false when the queue was empty.
func (in *Ingester) next() bool {
	in.mu.Lock()
	n, records := 0, 0
	for n < len(in.queue) && (n == 0 || records+len(in.queue[n].batch.Items) <= groupRecords) {
		records += len(in.queue[n].batch.Items)
		n++
	}
	group := append([]*job(nil), in.queue[:n]...)
	in.queue = append(in.queue[:0], in.queue[n:]...)
	in.mu.Unlock()
	if n == 0 {
		return false
	}
	// The writer's own transaction is not tied to any caller's context: one
	// till that hangs up must not undo the batches of others.
	in.ledger.write(context.Background(), in.db, group)
	for _, j := range group {
		close(j.done)
	}
	return true
}

// write writes a group of batches in one transaction and sets the outcome of
// each. When the database fails, all of them fail.
func (l *Ledger) write(ctx context.Context, d *db.DB, group []*job) {
	for {
		err := d.Write(ctx, func(tx *db.Tx) error { return l.applyGroup(tx, group) })
		var bad *unbookable
		if errors.As(err, &bad) {
			// A record that passed every check and still cannot be booked: it
			// is parked and the transaction done again without it, so that it
			// blocks neither its own till nor the others.
			bad.item.poison = "could not be booked: " + bad.err.Error()
			continue
		}
		if err != nil {
			for _, j := range group {
				j.parked, j.err = nil, err
			}
		}
		return
	}
}

type unbookable struct {
	item *Item
	err  error
}

func (e *unbookable) Error() string { return e.err.Error() }
func (e *unbookable) Unwrap() error { return e.err }

// cursor is where a device stands within the transaction.
type cursor struct {
	no      int64
	epoch   uint32
	head    wire.Head
	session uint64
	moved   bool
}

func (l *Ledger) applyGroup(tx *db.Tx, group []*job) error {
	w, err := l.work(tx)
	if err != nil {
		return err
	}
	devices := map[string]*cursor{}
	var good []*job
	for _, j := range group {
		j.parked, j.err = nil, nil
		c, ok := devices[j.batch.Device]
		if !ok {
			if c, err = loadCursor(tx, j.batch.Device); err != nil {
				return err
			}
			devices[j.batch.Device] = c
		}
		switch {
		case c == nil || c.epoch != j.batch.Epoch:
			j.err = ErrNoDevice
		case c.head != j.batch.After:
			j.err = fmt.Errorf("%w: it follows %d, stored is up to %d", ErrWatermark, j.batch.After.Seq, c.head.Seq)
		default:
			c.head, c.session, c.moved = j.batch.Last, max(c.session, j.batch.SessionNo), true
			good = append(good, j)
		}
	}
	if err := w.preload(good); err != nil {
		return err
	}
	for _, j := range good {
		c := devices[j.batch.Device]
		for _, it := range j.batch.Items {
			src := Source{Device: c.no, Epoch: j.batch.Epoch, Seq: it.Seq}
			if err := w.book(it, src, j); err != nil {
				return err
			}
		}
		if err := store(tx, c.no, j.batch); err != nil {
			return err
		}
	}
	if err := w.applyWaiting(); err != nil {
		return err
	}
	for _, c := range devices {
		if c == nil || !c.moved {
			continue
		}
		err := tx.Exec(`UPDATE device SET acked_seq = ?, acked_hash = ?, session_no = ?, last_seen = ? WHERE no = ?`,
			int64(c.head.Seq), c.head.Hash[:], int64(c.session), db.Millis(w.now), c.no)
		if err != nil {
			return fmt.Errorf("move watermark: %w", err)
		}
	}
	return w.flush()
}

// book applies one record or parks it.
func (w *work) book(it *Item, src Source, j *job) error {
	err := w.apply(it, src)
	var p *errPoison
	switch {
	case err == nil:
		return w.useQuotas(it.post, src)
	case errors.As(err, &p):
		if j != nil {
			j.parked = append(j.parked, wire.Parked{Seq: it.Seq, Reason: p.why})
		}
		err = w.tx.Exec(`INSERT INTO parked (device, epoch, seq, type, reason, at) VALUES (?,?,?,?,?,?)
			ON CONFLICT (device, epoch, seq) DO UPDATE SET reason = excluded.reason, resolved = 0`,
			src.Device, int64(src.Epoch), int64(src.Seq), it.kind(), p.why, db.Millis(w.now))
		if err != nil {
			return fmt.Errorf("park record: %w", err)
		}
		return nil
	case errors.Is(err, ErrShort), errors.Is(err, loyalty.ErrOverflow):
		return &unbookable{it, err}
	}
	return fmt.Errorf("record %d/%d/%d: %w", src.Device, src.Epoch, src.Seq, err)
}

func loadCursor(tx *db.Tx, id string) (*cursor, error) {
	c := &cursor{}
	var hash []byte
	ok, err := tx.Row(`SELECT no, epoch, acked_seq, acked_hash, session_no FROM device WHERE id = ? AND state = 'active'`, []any{id},
		&c.no, &c.epoch, &c.head.Seq, &hash, &c.session)
	if err != nil {
		return nil, fmt.Errorf("read watermark: %w", err)
	}
	if !ok {
		return nil, nil
	}
	copy(c.head.Hash[:], hash)
	return c, nil
}

// preload reads what the records of a group will need, in few queries.
func (w *work) preload(group []*job) error {
	var ids []loyalty.MemberID
	var refs [][]byte
	var holds []string
	for _, j := range group {
		for _, it := range j.batch.Items {
			if it.post == nil {
				continue
			}
			id, ref := it.post.who()
			if id != 0 {
				ids = append(ids, id)
			} else if !ref.IsZero() {
				if _, ok := w.refs[ref]; !ok {
					w.refs[ref] = 0
					refs = append(refs, append([]byte(nil), ref[:]...))
				}
			}
			if s, ok := it.post.(*sale); ok && s.hold != "" {
				holds = append(holds, s.hold)
			}
		}
	}
	err := db.In(w.tx, `SELECT ref, member FROM card WHERE ref IN %s`, refs, func(r *sql.Rows) error {
		var b []byte
		var id loyalty.MemberID
		if err := r.Scan(&b, &id); err != nil {
			return err
		}
		w.refs[wire.Ref(b)] = id
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look up cards: %w", err)
	}
	err = db.In(w.tx, `SELECT id, member, wallet, points, device, receipt, lease, for_device, state, made, ended FROM hold WHERE id IN %s`, holds, func(r *sql.Rows) error {
		h := &hold{}
		if err := r.Scan(&h.id, &h.member, &h.wallet, &h.points, &h.device, &h.receipt, &h.lease, &h.to, &h.state, &h.made, &h.ended); err != nil {
			return err
		}
		w.holds[h.id] = h
		return nil
	})
	if err != nil {
		return fmt.Errorf("read holds: %w", err)
	}
	return w.loadMembers(ids)
}
