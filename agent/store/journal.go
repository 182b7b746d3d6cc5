package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/outbox"
	"go.etcd.io/bbolt"
)

// JournalFile is the name of the journal in the data folder.
const JournalFile = "journal.db"

// Options of OpenJournal.
type Options struct {
	// Identity of this till; the zero value opens a journal that takes no
	// records (a till that is not enrolled yet).
	Identity outbox.Identity
	// Stamp is written into every record; see outbox.Options.
	Stamp func() outbox.Stamp
	// Check, when not nil, examines the file before it is opened; wanted after
	// an unclean stop. It returns ErrDamaged for a file to be set aside.
	Check func(path string) error
	// Renew gives this till another epoch, durably, and returns its identity
	// from now on. It is called before a damaged journal is set aside, so that
	// no cut between the two can have a sequence number used twice. nil: the
	// identity stays.
	Renew func() (outbox.Identity, error)
	// Damaged is told of a value or page that cannot be what was written, found
	// while at work; it must not call the journal. The call that met it gets
	// ErrDamaged. nil: nobody.
	Damaged func(error)
	// Full is called when a commit failed for want of space, before the file is
	// opened again: whoever has space to give back gives it now. nil: nobody.
	Full func()
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Share keeps changes of members for the other tills of the store.
	Share bool
}

// Journal is the precious file. It is safe for concurrent use.
type Journal struct {
	path string
	opts Options
	// Aside names the damaged journal that was set aside at opening.
	Aside string

	mu     sync.RWMutex // held for writing while the file is closed and opened again
	db     *bbolt.DB
	box    *outbox.Box
	broken error // why the file could not be opened again
	closed bool
	tried  time.Time // last time View tried to open it again
}

// OpenJournal opens journal.db in dir. A damaged one is set aside whole, and
// a new one is begun, in a new epoch: Aside tells.
func OpenJournal(dir string, o Options) (*Journal, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	j := &Journal{path: filepath.Join(dir, JournalFile), opts: o}
	err := j.check()
	if err == nil {
		err = j.open()
	}
	if errors.Is(err, ErrDamaged) || errors.Is(err, outbox.ErrDamaged) {
		var err2 error
		if o.Renew != nil && o.Identity != (outbox.Identity{}) {
			if j.opts.Identity, err2 = o.Renew(); err2 != nil {
				return nil, errors.Join(err, err2)
			}
		}
		if j.Aside, err2 = boltfile.SetAside(j.path, o.Now()); err2 != nil {
			return nil, errors.Join(err, err2)
		}
		err = j.open()
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

func (j *Journal) check() error {
	if j.opts.Check == nil {
		return nil
	}
	if _, err := os.Stat(j.path); err != nil {
		return nil // a new one
	}
	return j.opts.Check(j.path)
}

// open opens file and outbox; j.mu is held or nobody else knows j.
func (j *Journal) open() error {
	db, err := openFile(j.path, journalLayout)
	if err != nil {
		return err
	}
	j.db, j.box = db, nil
	if j.opts.Identity != (outbox.Identity{}) {
		o := outbox.Options{Stamp: j.opts.Stamp, Mirror: j.path + ".mirror",
			// What the uplink stores goes the way of what the till stores: after
			// a failed commit the file is opened again.
			Update: func(fn func(*bbolt.Tx) error) error {
				return j.Update(func(tx *Tx) error { return fn(tx.tx) })
			}}
		err = boltfile.Guard(func() (err error) {
			j.box, err = outbox.Open(db, j.opts.Identity, o)
			return err
		})
		if err != nil {
			db.Close()
			return err
		}
	}
	return nil
}

// Close closes the file. Calls in flight end first.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed, j.broken = true, errClosed
	return j.shut()
}

func (j *Journal) shut() error {
	var err error
	if j.box != nil {
		err = j.box.Close()
		j.box = nil
	}
	if j.db != nil {
		err = errors.Join(err, j.db.Close())
		j.db = nil
	}
	return err
}

// Box is the outbox in this file, for the uplink; nil when not enrolled or
// when the file is broken. It changes when the file had to be opened again.
func (j *Journal) Box() *outbox.Box {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.box
}

// Size is the file's size in bytes.
func (j *Journal) Size() int64 {
	st, err := os.Stat(j.path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// errNotOpen is wrapped when a failed commit was followed by a failed open.
var errNotOpen = errors.New("the journal could not be opened again")

var errClosed = errors.New("it was closed")

// View runs fn in a reading transaction.
func (j *Journal) View(fn func(tx *Tx) error) error {
	j.mu.RLock()
	if j.db == nil {
		j.mu.RUnlock()
		if err := j.revive(); err != nil {
			return err
		}
		j.mu.RLock()
	}
	defer j.mu.RUnlock()
	if j.db == nil {
		return fmt.Errorf("%w: %w", errNotOpen, j.broken)
	}
	err := boltfile.Guard(func() error {
		return j.db.View(func(tx *bbolt.Tx) error { return fn(&Tx{tx: tx, box: j.box, now: j.opts.Now, share: j.opts.Share}) })
	})
	j.tell(err)
	return err
}

// tell passes on that something is damaged.
func (j *Journal) tell(err error) {
	if j.opts.Damaged != nil && (errors.Is(err, ErrDamaged) || errors.Is(err, outbox.ErrDamaged)) {
		j.opts.Damaged(err)
	}
}

// reviveEvery is how often a reader tries to open a broken file again.
const reviveEvery = 200 * time.Millisecond

// revive tries to open a file again that could not be opened after a failed
// commit, now and then.
func (j *Journal) revive() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.db != nil {
		return nil
	}
	if j.closed || time.Since(j.tried) < reviveEvery {
		return fmt.Errorf("%w: %w", errNotOpen, j.broken)
	}
	j.tried = time.Now()
	if err := j.reopen(); err != nil {
		j.broken = err
		return fmt.Errorf("%w: %w", errNotOpen, err)
	}
	return nil
}

// Backup writes a copy of the journal, as of one moment, to a file, whole or
// not at all. Copies of other names in the same folder are removed: one is kept.
func (j *Journal) Backup(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".part"
	err := j.View(func(tx *Tx) error {
		f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = tx.tx.WriteTo(f)
		if err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	})
	if err == nil {
		err = boltfile.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.db"))
	for _, o := range old {
		if o != path {
			_ = os.Remove(o)
		}
	}
	return errors.Join(err, boltfile.SyncDir(filepath.Dir(path)))
}

// Update runs fn in a writing transaction. See the package comment for what
// its error means.
func (j *Journal) Update(fn func(tx *Tx) error) error {
	j.mu.RLock()
	err, commit := j.update(fn)
	j.mu.RUnlock()
	j.tell(err)
	if !commit {
		return err
	}
	// The commit itself failed. What is on disk is not known: bbolt's own
	// picture may differ from the file's, so it is opened anew (I12).
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return err
	}
	_ = j.shut() // the handle is not trusted; its error says nothing new
	if j.opts.Full != nil && IsFull(err) {
		j.opts.Full()
	}
	if e := j.reopen(); e != nil {
		j.broken = e
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

// reopen opens the file after a commit failed and makes what it shows
// certain. A page whose flush failed still reads as it was written, and a
// later flush does not write it again: what the file shows now may be gone
// after a power cut. Only the last page written, which says where everything
// begins, can be in that state, because all others were flushed before it. So
// an empty commit follows: it writes the other one of the two such pages. When
// that is flushed, what was read is on the disk whatever became of the first.
func (j *Journal) reopen() error {
	if err := j.open(); err != nil {
		return err
	}
	err := boltfile.Guard(func() error { return j.db.Update(func(*bbolt.Tx) error { return nil }) })
	if err != nil {
		_ = j.shut()
	}
	return err
}

// CompactAbove is the size from which a journal or cache that is more than
// half empty is written anew.
const CompactAbove = 32 << 20

// Compact writes the file anew when it is large and mostly empty, which bbolt
// never does by itself, and tells whether it did. Everybody waits meanwhile,
// a second or two at most for what is left in use; call it when nobody sells.
func (j *Journal) Compact() (bool, error) {
	j.mu.RLock()
	db := j.db
	var before, free int64
	if db != nil {
		before, free = boltfile.Space(db)
	}
	j.mu.RUnlock()
	if before <= CompactAbove || free <= before/2 {
		return false, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false, errNotOpen
	}
	err := j.shut()
	if err == nil {
		err = j.open() // this is what compacts
	}
	if err != nil {
		j.broken = err
		return false, fmt.Errorf("compact %s: %w", JournalFile, err)
	}
	after, _ := boltfile.Space(j.db)
	return after < before, nil
}

// update reports as second result whether the error came from the commit.
func (j *Journal) update(fn func(tx *Tx) error) (error, bool) {
	if j.db == nil {
		return fmt.Errorf("%w: %w", errNotOpen, j.broken), true
	}
	inside := true
	err := boltfile.Guard(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error {
			if err := fn(&Tx{tx: tx, box: j.box, now: j.opts.Now, share: j.opts.Share}); err != nil {
				return err
			}
			inside = false
			return nil
		})
	})
	return err, err != nil && !inside
}

// Tx is a transaction on the journal. It and what it hands out of the file
// must not be used after fn returned; values are copies and may.
type Tx struct {
	tx  *bbolt.Tx
	box *outbox.Box
	now func() time.Time
	// share keeps changes of members for the other tills of the store.
	share bool
}

// ErrNotEnrolled is returned by Append on a till without identity.
var ErrNotEnrolled = errors.New("this till is not enrolled")

// Append writes a journal record.
func (t *Tx) Append(e outbox.Entry) (outbox.Appended, error) {
	if t.box == nil {
		return outbox.Appended{}, ErrNotEnrolled
	}
	return t.box.Append(t.tx, e)
}

// Epoch is the incarnation records are written in.
func (t *Tx) Epoch() uint32 {
	if t.box == nil {
		return 0
	}
	return t.box.Identity().Epoch
}

func (t *Tx) get(bucket []byte, key string, v any) (bool, error) {
	b := t.tx.Bucket(bucket).Get([]byte(key))
	if b == nil {
		return false, nil
	}
	b, err := unseal(bucket, []byte(key), b)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("%s %q: %w: %w", bucket, key, ErrDamaged, err)
	}
	return true, nil
}

func (t *Tx) put(bucket []byte, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s %q: %w", bucket, key, err)
	}
	return t.tx.Bucket(bucket).Put([]byte(key), seal(bucket, []byte(key), b))
}

// Meta reads a small value of the agent's own; nil when there is none.
func (t *Tx) Meta(name string) []byte { return bytes.Clone(t.tx.Bucket(bucketMeta).Get([]byte(name))) }

// SetMeta stores a small value.
func (t *Tx) SetMeta(name string, v []byte) error {
	return t.tx.Bucket(bucketMeta).Put([]byte(name), v)
}

// timeKey sorts by time, then by name.
func timeKey(at time.Time, name string) []byte {
	return append(be64(uint64(at.UnixMilli())), name...)
}

// expire deletes up to max of the oldest entries of an index and what they
// point to, as long as they are older than before.
func (t *Tx) expire(index, bucket []byte, before time.Time, max int, keep func(name []byte) bool) (int, error) {
	var gone [][]byte
	c := t.tx.Bucket(index).Cursor()
	limit := uint64(before.UnixMilli())
	for k, _ := c.First(); k != nil && len(gone) < max; k, _ = c.Next() {
		if len(k) < 8 || binary.BigEndian.Uint64(k) >= limit {
			break
		}
		if keep == nil || !keep(k[8:]) {
			gone = append(gone, bytes.Clone(k))
		}
	}
	for _, k := range gone {
		if err := t.tx.Bucket(index).Delete(k); err != nil {
			return 0, err
		}
		if err := t.tx.Bucket(bucket).Delete(k[8:]); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}
