package outbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/wire"
)

// Retention is how long an acknowledged record stays.
const Retention = 35 * 24 * time.Hour

var (
	// ErrDamaged is returned when a stored record or head cannot be what was
	// written: a flipped bit, a lost page, a gap. The journal must be set
	// aside whole (boltfile.SetAside) and the device enrolled again.
	ErrDamaged = errors.New("journal is damaged")
	// ErrIdentity is returned by Open when the journal belongs to another
	// device or a later epoch than the caller says.
	ErrIdentity = errors.New("journal belongs to another identity")
	// ErrFork is returned by Ack when the centre has another hash at a seq
	// than this journal: somebody else writes in our name, or this is an old
	// copy.
	ErrFork = errors.New("journal and centre differ")
	// ErrNewer is returned by Open when a newer program wrote the journal.
	ErrNewer = errors.New("journal was written by a newer program")
	// ErrGone is returned by Read for records that retention removed.
	ErrGone = errors.New("records are no longer kept")
)

// Identity says whose journal it is.
type Identity struct {
	Device string
	Epoch  uint32
}

// Stamp is what a till says about its time and state with every record.
type Stamp struct {
	Wall   time.Time
	MonoMS int64
	Boot   string
	Clock  wire.ClockState
	Bundle int64
}

// Options of [Open].
type Options struct {
	// Stamp is called for every record, inside the transaction; it must be
	// quick and must not touch the database.
	Stamp func() Stamp
	// NewID makes record ids; UUIDv7 when nil.
	NewID func() (string, error)
	// Update runs Box's own writing transactions (Ack and Prune), for an owner
	// who wants to know of a failed commit and open the file again; the
	// database's Update when nil. It must not be called back into while the
	// owner opens the Box.
	Update func(func(tx *bbolt.Tx) error) error
	// Mirror, when not empty, is the path of the salvage mirror: a flat copy
	// of the records the centre does not have (see ReadMirror).
	Mirror string
}

// Entry is what the caller wants to have written.
type Entry struct {
	Type    wire.Type
	Receipt string // receipt key; may be empty
	Payload any    // payload struct of wire, or json.RawMessage
}

// Appended tells where an entry went.
type Appended struct {
	wire.Head
	ID string
}

// Box is the journal of one device in the caller's database.
type Box struct {
	db   *bbolt.DB
	id   Identity
	opts Options

	mu      sync.Mutex
	changed chan struct{} // closed and replaced after every commit with records

	mirror *mirror // nil: none
}

// Open prepares the journal buckets of id in db and checks that the end of
// the journal fits its head. A new epoch starts an empty journal beside the
// earlier ones; an earlier epoch than the last one is refused.
func Open(db *bbolt.DB, id Identity, opts Options) (*Box, error) {
	if !wire.ValidDevice(id.Device) || id.Epoch == 0 {
		return nil, fmt.Errorf("open journal: %w: device %q epoch %d", ErrIdentity, id.Device, id.Epoch)
	}
	if opts.Stamp == nil {
		return nil, errors.New("open journal: no stamp")
	}
	if opts.NewID == nil {
		opts.NewID = func() (string, error) {
			u, err := uuid.NewV7()
			return u.String(), err
		}
	}
	if opts.Update == nil {
		opts.Update = db.Update
	}
	b := &Box{db: db, id: id, opts: opts, changed: make(chan struct{})}
	ready := false
	err := db.View(func(tx *bbolt.Tx) (err error) { ready, err = b.ready(tx); return err })
	if err == nil && !ready {
		err = db.Update(b.prepare)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if opts.Mirror != "" {
		// Without its mirror a till goes on selling; Stats tells why it has
		// none, and the next acknowledgement tries again.
		m, err := openMirror(opts.Mirror, b)
		m.err = err
		b.mirror = m
	}
	return b, nil
}

// Close closes the mirror, if there is one. The database stays the caller's.
func (b *Box) Close() error {
	if b.mirror == nil {
		return nil
	}
	return b.mirror.close()
}

// Identity tells whose journal it is.
func (b *Box) Identity() Identity { return b.id }

// Append writes a record in the caller's transaction. Nothing may be told,
// printed or shown before that transaction is committed without an error.
func (b *Box) Append(tx *bbolt.Tx, e Entry) (Appended, error) {
	j, err := b.journal(tx)
	if err != nil {
		return Appended{}, err
	}
	head, err := j.head()
	if err != nil {
		return Appended{}, err
	}
	payload, raw := e.Payload.(json.RawMessage)
	if !raw {
		if payload, err = json.Marshal(e.Payload); err != nil {
			return Appended{}, fmt.Errorf("append %s: payload: %w", e.Type, err)
		}
	}
	id, err := b.opts.NewID()
	if err != nil {
		return Appended{}, fmt.Errorf("append %s: new id: %w", e.Type, err)
	}
	s := b.opts.Stamp()
	rec, err := wire.Encode(&wire.Record{
		Device: b.id.Device, Epoch: b.id.Epoch, Seq: head.Seq + 1, Prev: head.Hash, ID: id, Type: e.Type,
		Wall: s.Wall, MonoMS: s.MonoMS, Boot: s.Boot, Clock: s.Clock, Bundle: s.Bundle,
		Receipt: e.Receipt, Payload: payload,
	})
	if err != nil {
		return Appended{}, fmt.Errorf("append %s: %w", e.Type, err)
	}
	next := wire.Head{Seq: head.Seq + 1, Hash: wire.HashOf(rec)}
	if err := j.put(next, rec); err != nil {
		return Appended{}, fmt.Errorf("append %s: %w", e.Type, err)
	}
	if e.Type == wire.TypeSession {
		var st wire.SessionStart
		if err := json.Unmarshal(payload, &st); err != nil {
			return Appended{}, fmt.Errorf("append %s: payload: %w", e.Type, err)
		}
		if err := j.meta.Put(keySession, key(st.No)); err != nil {
			return Appended{}, fmt.Errorf("append %s: %w", e.Type, err)
		}
	}
	tx.OnCommit(func() { b.committed(next, rec) })
	return Appended{Head: next, ID: id}, nil
}

// committed runs after the caller's commit.
func (b *Box) committed(h wire.Head, rec []byte) {
	if b.mirror != nil {
		b.mirror.add(h, rec)
	}
	b.mu.Lock()
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
}

// Changed returns a channel that is closed when a record is committed after
// this call.
func (b *Box) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Head is the end of the journal.
func (b *Box) Head() (wire.Head, error) {
	var h wire.Head
	err := b.view(func(j journal) (err error) { h, err = j.head(); return err })
	return h, err
}

// Acked is the last place the centre has confirmed.
func (b *Box) Acked() (wire.Head, error) {
	var h wire.Head
	err := b.view(func(j journal) (err error) { h, err = j.get(keyAcked); return err })
	return h, err
}

// LastSession is the number of the last SESSION record of this epoch; 0: none.
func (b *Box) LastSession() (uint64, error) {
	var no uint64
	err := b.view(func(j journal) error {
		v := j.meta.Get(keySession)
		if v == nil {
			return nil
		}
		if len(v) != 8 {
			return fmt.Errorf("%w: session number", ErrDamaged)
		}
		no = binary.BigEndian.Uint64(v)
		return nil
	})
	return no, err
}

// HashAt is the hash of the record at seq. The zero seq has the zero hash.
// ErrGone when the record is no longer kept, ErrDamaged beyond the end.
func (b *Box) HashAt(seq uint64) (wire.Hash, error) {
	var h wire.Hash
	err := b.view(func(j journal) (err error) { h, err = j.hashAt(seq); return err })
	return h, err
}

// Batch is a run of records as they are stored.
type Batch struct {
	From    uint64 // seq of the first record
	Records [][]byte
	Last    wire.Head // seq and hash of the last
}

// Read returns up to max records and up to maxBytes (one record always) after
// the given place, copied, each checked against the hash of the one before.
// An empty batch means that there is nothing after it. A record that does not
// fit is ErrDamaged: it is never sent.
func (b *Box) Read(after wire.Head, max, maxBytes int) (Batch, error) {
	var out Batch
	err := b.view(func(j journal) error {
		var err error
		out, err = j.read(after, max, maxBytes)
		return err
	})
	return out, err
}

// Ack notes that the centre has everything up to h durably. parked are
// records it could not apply. An ack that is older than the known one changes
// nothing. When h is not in this journal, ErrFork.
func (b *Box) Ack(h wire.Head, parked []wire.Parked) error {
	err := b.opts.Update(func(tx *bbolt.Tx) error {
		j, err := b.journal(tx)
		if err != nil {
			return err
		}
		return j.ack(h, parked)
	})
	if err != nil {
		return fmt.Errorf("store ack of %d: %w", h.Seq, err)
	}
	if b.mirror != nil {
		b.mirror.acked(h)
	}
	return nil
}

// Stats tells how the journal stands.
type Stats struct {
	Identity Identity
	Head     wire.Head // last record
	Acked    wire.Head // last confirmed
	First    uint64    // oldest record kept; 0: none
	Queued   uint64    // records not confirmed
	Parked   int       // records the centre could not apply
	Oldest   time.Time // wall time of the oldest unconfirmed record; zero: none
	Newest   time.Time // wall time of the last record; zero: none

	// MirrorError tells why the salvage mirror is not written; nil: it is, or
	// there is none. MirrorAhead is the name of a mirror that knew other or
	// later records than the journal when it was opened: the journal was set
	// back, and somebody should look.
	MirrorError error
	MirrorAhead string
}

// Stats reads them.
func (b *Box) Stats() (Stats, error) {
	s := Stats{Identity: b.id}
	err := b.view(func(j journal) error { return j.stats(&s) })
	if m := b.mirror; m != nil {
		m.mu.Lock()
		s.MirrorError, s.MirrorAhead = m.err, m.ahead
		m.mu.Unlock()
	}
	return s, err
}

// Parked lists the records the centre could not apply.
func (b *Box) Parked() ([]wire.Parked, error) {
	var out []wire.Parked
	err := b.view(func(j journal) error {
		return j.parked.ForEach(func(k, v []byte) error {
			out = append(out, wire.Parked{Seq: binary.BigEndian.Uint64(k), Reason: string(v)})
			return nil
		})
	})
	return out, err
}

// Verify walks the whole journal and proves seq, chain and head.
func (b *Box) Verify() error {
	return b.view(func(j journal) error { return j.verify() })
}

// Examine proves every journal in a file, those of earlier epochs too, for a
// file that nobody works on. It is content with a file that has none.
func Examine(tx *bbolt.Tx) error {
	top := tx.Bucket(bucketOutbox)
	if top == nil {
		return nil
	}
	return top.ForEachBucket(func(name []byte) error {
		own := top.Bucket(name)
		j := journal{own.Bucket(bucketRecords), own.Bucket(bucketMeta), own.Bucket(bucketParked), own.Bucket(bucketDays)}
		if j.records == nil || j.meta == nil || j.parked == nil || j.days == nil {
			return fmt.Errorf("%s: %w: journal lacks a bucket", name, ErrDamaged)
		}
		if err := j.verify(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// Each calls f with every record kept, in order, until f returns an error.
// The record is valid during the call only.
func (b *Box) Each(f func(seq uint64, record []byte) error) error {
	return b.view(func(j journal) error {
		return j.records.ForEach(func(k, v []byte) error { return f(binary.BigEndian.Uint64(k), v) })
	})
}

// Prune removes records that the centre has and whose retention is over, at
// most max in one call (the till must not wait long for the file), and tells
// how many. Call it now and then, at least daily: each call marks the day,
// and a record goes when its day is 35 days ago and 35 other days have been
// seen since. So a wrong clock removes nothing, and a till that was switched
// off for months keeps its records a while longer.
func (b *Box) Prune(now time.Time, max int) (int, error) {
	n := 0
	err := b.opts.Update(func(tx *bbolt.Tx) error {
		j, err := b.journal(tx)
		if err != nil {
			return err
		}
		n, err = j.prune(now, max)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("prune journal: %w", err)
	}
	return n, nil
}

func (b *Box) view(f func(journal) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		j, err := b.journal(tx)
		if err != nil {
			return err
		}
		return f(j)
	})
}
