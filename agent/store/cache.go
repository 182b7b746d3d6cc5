package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/wire"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// CacheFile is the name of the cache in the data folder.
const CacheFile = "cache.db"

// Cache holds what the centre sends down. Everything in it can be had again.
// It is safe for concurrent use.
type Cache struct {
	path    string
	db      *bbolt.DB
	persons *persons
	// Rebuilt names the damaged file that was set aside at opening, or is
	// empty.
	Rebuilt string
	// Damaged is told of a member that is not what was written; such a member
	// is as good as unknown. It may be set before the first call. nil: nobody.
	Damaged func(error)

	mu   sync.RWMutex // guards the dictionary
	list []string     // number-1 -> word
	nums map[string]uint64
}

// OpenCache opens cache.db in dir, beginning anew when it is damaged. check,
// when not nil, examines the file first; wanted after an unclean stop.
func OpenCache(dir string, check func(path string) error) (*Cache, error) {
	path := filepath.Join(dir, CacheFile)
	c, err := openCache(path, check)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) {
		aside, err2 := boltfile.SetAside(path, time.Now())
		if err2 != nil {
			return nil, errors.Join(err, err2)
		}
		if c, err = openCache(path, nil); err == nil {
			c.Rebuilt = aside
		}
	}
	return c, err
}

// ErrCacheFull is wrapped when no more fits into the cache.
var ErrCacheFull = errors.New("the cache is as large as this machine allows")

// cacheMost bounds the cache where addresses are short: a file is mapped into
// memory whole, and a 32-bit program has some two gigabytes for everything.
// That is room for two million members.
func cacheMost() int {
	if strconv.IntSize == 32 {
		return 256 << 20
	}
	return 0
}

func openCache(path string, check func(path string) error) (*Cache, error) {
	if _, err := os.Stat(path); check != nil && err == nil {
		if err := check(path); err != nil {
			return nil, err
		}
	}
	db, err := openFile(path, cacheLayout)
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		// Larger than this program can hold, as on a machine that was 64 bits
		// wide: the centre sends what fits.
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	c := &Cache{path: path, db: db, nums: map[string]uint64{}}
	err = boltfile.Guard(func() error { return db.View(c.readWords) })
	if err == nil {
		c.persons, err = openPersons(filepath.Join(filepath.Dir(path), PersonsFile))
	}
	if err == nil && c.persons.used() == 0 {
		// Without the keys nobody in the cache is known: asked for again.
		err = c.Update(func(tx *CacheTx) error {
			if k, _ := tx.tx.Bucket(bucketMembers).Cursor().First(); k == nil {
				return nil
			}
			return errors.Join(tx.ClearMembers(), tx.tx.Bucket(bucketCursors).Delete([]byte(wire.LaneMember)))
		})
	}
	if err != nil {
		_ = c.Close() // the first error tells
		return nil, err
	}
	return c, nil
}

func (c *Cache) readWords(tx *bbolt.Tx) error {
	return tx.Bucket(bucketWords).ForEach(func(k, v []byte) error {
		if len(k) != 2 || int(binary.BigEndian.Uint16(k)) != len(c.list)+1 {
			return fmt.Errorf("dictionary: %w", ErrDamaged)
		}
		c.list = append(c.list, string(v))
		c.nums[string(v)] = uint64(len(c.list))
		return nil
	})
}

// Close closes the files.
func (c *Cache) Close() error {
	err := c.db.Close()
	if c.persons != nil {
		err = errors.Join(err, c.persons.close())
	}
	return err
}

// word gives the word of a number.
func (c *Cache) word(n uint64) (string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n > uint64(len(c.list)) {
		return "", fmt.Errorf("word %d is not in the dictionary: %w", n, ErrDamaged)
	}
	return c.list[n-1], nil
}

func (c *Cache) number(string) (uint64, error) {
	return 0, errors.New("the dictionary is read only here")
}

// Snapshot is a member as the centre sent it, for one of its cards.
type Snapshot struct {
	Member *loyalty.Member
	// Includes is the place in this till's journal up to which the till's own
	// changes are in the snapshot already.
	Includes wire.Mark
}

// Member looks a card or phone reference up; the answer is nil when it is not
// in this till's cache.
func (c *Cache) Member(ref wire.Ref) (*Snapshot, error) {
	return c.member(func(*bbolt.Tx) []byte { return ref[:8] })
}

// MemberByID looks a member up by its pseudonym, with the state of its first
// card.
func (c *Cache) MemberByID(id loyalty.MemberID) (*Snapshot, error) {
	return c.member(func(tx *bbolt.Tx) []byte {
		if refs := tx.Bucket(bucketRefs).Get(be64(uint64(id))); len(refs) >= 8 {
			return refs[:8]
		}
		return nil
	})
}

// view is a reading transaction that survives damaged pages.
func (c *Cache) view(fn func(tx *bbolt.Tx) error) error {
	return boltfile.Guard(func() error { return c.db.View(fn) })
}

func (c *Cache) member(key func(tx *bbolt.Tx) []byte) (s *Snapshot, err error) {
	err = c.view(func(tx *bbolt.Tx) error {
		k := key(tx)
		v := tx.Bucket(bucketMembers).Get(k)
		if v == nil {
			return nil
		}
		if v, err = unseal(bucketMembers, k, v); err == nil {
			s, err = c.persons.readStored(v, c)
		}
		return err
	})
	if errors.Is(err, errForgotten) {
		return nil, nil
	}
	if errors.Is(err, ErrDamaged) && c.Damaged != nil {
		c.Damaged(err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look member up: %w", err)
	}
	return s, nil
}

// Stopped tells whether a card is on the stop-list, and why.
func (c *Cache) Stopped(ref wire.Ref) (reason string, stopped bool) {
	_ = c.view(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketStops).Get(ref[:8]); v != nil {
			reason, stopped = string(v), true
		}
		return nil
	})
	return reason, stopped
}

// Counts tells how many references and stopped cards there are.
func (c *Cache) Counts() (members, stops int) {
	_ = c.view(func(tx *bbolt.Tx) error {
		members = tx.Bucket(bucketRefs).Stats().KeyN
		stops = tx.Bucket(bucketStops).Stats().KeyN
		return nil
	})
	return members, stops
}

// Cursor tells how far a lane was read; 0 at the beginning.
func (c *Cache) Cursor(lane string) (n uint64, err error) {
	err = c.view(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketCursors).Get([]byte(lane)); len(v) == 8 {
			n = binary.BigEndian.Uint64(v)
		}
		return nil
	})
	return n, err
}

// Bundle returns a stored rulebook bundle; version 0 means the active one.
// The version is 0 when there is none.
func (c *Cache) Bundle(version int64) (int64, []byte, error) {
	var b []byte
	err := c.view(func(tx *bbolt.Tx) error {
		if version == 0 {
			version = activeVersion(tx)
		}
		b = bytes.Clone(tx.Bucket(bucketBundles).Get(be64(uint64(version))))
		return nil
	})
	if err != nil || b == nil {
		return 0, nil, err
	}
	return version, b, nil
}

// BundleBefore returns the bundle that was active before the present one; the
// version is 0 when there is none.
func (c *Cache) BundleBefore() (version int64, data []byte, err error) {
	err = c.view(func(tx *bbolt.Tx) error {
		active := activeVersion(tx)
		return tx.Bucket(bucketBundles).ForEach(func(k, v []byte) error {
			if n := int64(binary.BigEndian.Uint64(k)); n != active {
				version, data = n, bytes.Clone(v)
			}
			return nil
		})
	})
	return version, data, err
}

var keyActive = []byte("active")

func activeVersion(tx *bbolt.Tx) int64 {
	if v := tx.Bucket(bucketCacheMeta).Get(keyActive); len(v) == 8 {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// CacheTx changes the cache inside one transaction.
type CacheTx struct {
	c     *Cache
	tx    *bbolt.Tx
	added []string // words new in this transaction

	slots     map[loyalty.MemberID]uint32 // keys of persons that this transaction knows
	forgotten []uint32                    // keys to overwrite at its end
}

func (c *Cache) update(fn func(tx *bbolt.Tx) error) error {
	err := boltfile.Guard(func() error { return c.db.Update(fn) })
	if errors.Is(err, ErrDamaged) && c.Damaged != nil {
		c.Damaged(err)
	}
	return err
}

// Update changes the cache in one transaction: all of it or nothing.
func (c *Cache) Update(fn func(tx *CacheTx) error) error {
	ct := &CacheTx{c: c}
	err := c.update(func(tx *bbolt.Tx) error {
		ct.tx = tx
		if err := fn(ct); err != nil {
			return err
		}
		b := tx.Bucket(bucketWords)
		for i, w := range ct.added {
			if err := b.Put(binary.BigEndian.AppendUint16(nil, uint16(len(c.list)+i+1)), []byte(w)); err != nil {
				return err
			}
		}
		return ct.settlePersons()
	})
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		err = fmt.Errorf("%w: %w", ErrCacheFull, err)
	}
	if err != nil {
		return fmt.Errorf("change the cache: %w", err)
	}
	c.persons.release(ct.forgotten)
	c.mu.Lock()
	for _, w := range ct.added {
		c.list = append(c.list, w)
		c.nums[w] = uint64(len(c.list))
	}
	c.mu.Unlock()
	return nil
}

// maxWords bounds the dictionary; a programme has some dozens of words.
const maxWords = 60000

func (t *CacheTx) number(w string) (uint64, error) {
	// Only the one writing transaction changes the dictionary.
	if n := t.c.nums[w]; n > 0 {
		return n, nil
	}
	if i := slices.Index(t.added, w); i >= 0 {
		return uint64(len(t.c.list) + i + 1), nil
	}
	if len(t.c.list)+len(t.added) >= maxWords {
		return 0, fmt.Errorf("dictionary of %d words is full", maxWords)
	}
	t.added = append(t.added, w)
	return uint64(len(t.c.list) + len(t.added)), nil
}

func (t *CacheTx) word(n uint64) (string, error) {
	if k := int(n) - len(t.c.list); k > 0 && k <= len(t.added) {
		return t.added[k-1], nil
	}
	return t.c.word(n)
}

// PutMember stores a snapshot under each of its references, with the state of
// that card; references the member had before and has no more are removed.
// Without references the member is removed.
func (t *CacheTx) PutMember(refs []wire.RefState, snap Snapshot) error {
	members, byID := t.tx.Bucket(bucketMembers), t.tx.Bucket(bucketRefs)
	id := be64(uint64(snap.Member.ID))
	t.know(snap.Member.ID)
	list := make([]byte, 0, 8*len(refs))
	for _, r := range refs {
		list = append(list, r.Ref[:8]...)
	}
	if old := byID.Get(id); !bytes.Equal(old, list) {
		for k := range slices.Chunk(bytes.Clone(old), 8) {
			if err := members.Delete(k); err != nil {
				return err
			}
		}
		if len(list) == 0 {
			t.forget(snap.Member.ID)
			return byID.Delete(id)
		}
		if err := byID.Put(id, list); err != nil {
			return err
		}
	}
	for i, r := range refs {
		v, err := t.appendRef(nil, r, snap)
		if err != nil {
			return err
		}
		k := list[8*i : 8*i+8]
		if err := members.Put(k, seal(bucketMembers, k, v)); err != nil {
			return err
		}
	}
	return nil
}

// appendRef writes what stands under one reference of a member.
func (t *CacheTx) appendRef(b []byte, r wire.RefState, snap Snapshot) ([]byte, error) {
	m := *snap.Member
	m.Card = loyalty.Card{Type: r.Type, Status: r.Status}
	b, err := t.appendStored(b, Snapshot{&m, snap.Includes})
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", m.ID, err)
	}
	return b, nil
}

// SetActive corrects one wallet of a member after the centre has told what is
// left of it. A member that is not in the cache is no error.
func (t *CacheTx) SetActive(id loyalty.MemberID, wallet string, active, reserved loyalty.Points, reservedAt string) error {
	members := t.tx.Bucket(bucketMembers)
	for k := range slices.Chunk(bytes.Clone(t.tx.Bucket(bucketRefs).Get(be64(uint64(id)))), 8) {
		old := members.Get(k)
		if old == nil {
			continue
		}
		old, err := unseal(bucketMembers, k, old)
		if err != nil {
			return err
		}
		s, err := t.c.persons.readStored(old, t)
		if errors.Is(err, errForgotten) {
			continue
		}
		if err != nil {
			return err
		}
		if s.Member.Wallets == nil {
			s.Member.Wallets = map[string]loyalty.Balance{}
		}
		b := s.Member.Wallets[wallet]
		b.Active, b.Reserved, b.ReservedAt = active, reserved, reservedAt
		s.Member.Wallets[wallet] = b
		t.know(id)
		v, err := t.appendStored(nil, *s)
		if err != nil {
			return err
		}
		if err := members.Put(k, seal(bucketMembers, k, v)); err != nil {
			return err
		}
	}
	return nil
}

// RemoveMember forgets a member and its references, and overwrites the key of
// what tells the person. One that is not there is no error.
func (t *CacheTx) RemoveMember(id loyalty.MemberID) error {
	byID := t.tx.Bucket(bucketRefs)
	key := be64(uint64(id))
	t.forget(id)
	for k := range slices.Chunk(bytes.Clone(byID.Get(key)), 8) {
		if err := t.tx.Bucket(bucketMembers).Delete(k); err != nil {
			return err
		}
	}
	return byID.Delete(key)
}

// Stop puts a card on the stop-list; an empty reason takes it off.
func (t *CacheTx) Stop(ref wire.Ref, reason string) error {
	if reason == "" {
		return t.tx.Bucket(bucketStops).Delete(ref[:8])
	}
	return t.tx.Bucket(bucketStops).Put(ref[:8], []byte(reason))
}

// StopAny stops or frees a card, or every card of a member this till knows.
// For a member, the cards it has now are meant.
func (t *CacheTx) StopAny(ref wire.Ref, member, reason string) error {
	if !ref.IsZero() {
		return t.Stop(ref, reason)
	}
	var id loyalty.MemberID
	if err := id.UnmarshalText([]byte(member)); err != nil {
		return nil // names nobody
	}
	for k := range slices.Chunk(bytes.Clone(t.tx.Bucket(bucketRefs).Get(be64(uint64(id)))), 8) {
		var r wire.Ref
		copy(r[:], k)
		if err := t.Stop(r, reason); err != nil {
			return err
		}
	}
	return nil
}

// SetCursor says how far a lane was read, with the change it belongs to.
func (t *CacheTx) SetCursor(lane string, n uint64) error {
	return t.tx.Bucket(bucketCursors).Put([]byte(lane), be64(n))
}

// PutBundle stores a verified bundle and makes it the active one. The one
// before is kept; older ones go.
func (t *CacheTx) PutBundle(version int64, data []byte) error {
	b := t.tx.Bucket(bucketBundles)
	before := activeVersion(t.tx)
	if err := b.Put(be64(uint64(version)), data); err != nil {
		return err
	}
	var old [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if v := int64(binary.BigEndian.Uint64(k)); v != version && v != before {
			old = append(old, bytes.Clone(k))
		}
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return t.tx.Bucket(bucketCacheMeta).Put(keyActive, be64(uint64(version)))
}

// ClearMembers forgets every member, for a lane that begins anew.
func (t *CacheTx) ClearMembers() error {
	for slot := range t.c.persons.used() {
		t.forgotten = append(t.forgotten, slot)
	}
	t.slots = nil
	return t.clear(bucketMembers, bucketRefs)
}

// ClearStops empties the stop-list, for a lane that begins anew.
func (t *CacheTx) ClearStops() error { return t.clear(bucketStops) }

func (t *CacheTx) clear(buckets ...[]byte) error {
	for _, b := range buckets {
		if err := t.tx.DeleteBucket(b); err != nil {
			return err
		}
		if _, err := t.tx.CreateBucket(b); err != nil {
			return err
		}
	}
	return nil
}

// Entry is one member of a bulk load.
type Entry struct {
	Refs     []wire.RefState
	Snapshot Snapshot
}

// Load replaces all members at once: sorted and packed full, in transactions
// of bounded size. It is meant for the first fill and for benchmarks; until it
// returns, look-ups see a part.
func (c *Cache) Load(entries []Entry) error {
	type row struct{ key, value []byte }
	rows := make([]row, 0, len(entries))
	refs := make(map[uint64][]byte, len(entries))
	// The dictionary first, in one transaction, so that the values are final.
	err := c.Update(func(t *CacheTx) error {
		if err := t.ClearMembers(); err != nil {
			return err
		}
		for _, e := range entries {
			list := make([]byte, 0, 8*len(e.Refs))
			for i, r := range e.Refs {
				v, err := t.appendRef(nil, r, e.Snapshot)
				if err != nil {
					return err
				}
				list = append(list, r.Ref[:8]...)
				k := list[8*i : 8*i+8]
				rows = append(rows, row{k, seal(bucketMembers, k, v)})
			}
			refs[uint64(e.Snapshot.Member.ID)] = list
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(a, b row) int { return bytes.Compare(a.key, b.key) })
	ids := slices.Sorted(maps.Keys(refs))
	const step = 50_000
	for part := range slices.Chunk(rows, step) {
		if err := c.fill(bucketMembers, len(part), func(i int) ([]byte, []byte) { return part[i].key, part[i].value }); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(ids, step) {
		if err := c.fill(bucketRefs, len(part), func(i int) ([]byte, []byte) { return be64(part[i]), refs[part[i]] }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) fill(bucket []byte, n int, at func(int) ([]byte, []byte)) error {
	err := c.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		b.FillPercent = 1
		for i := range n {
			k, v := at(i)
			if err := b.Put(k, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load members: %w", err)
	}
	return nil
}
