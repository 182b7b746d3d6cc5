package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/tillside/tillside/agent/loyalty"
)

// PersonsFile holds one key for each member of the cache. What tells the person
// (first name, birthday, attributes) lies in cache.db under that key only.
//
// bbolt keeps deleted bytes in free pages, for as long as it likes. Forgetting
// somebody is therefore not left to it: the key is overwritten where it lies,
// and what is left of the person on the disk is noise at that moment, whatever
// copies of pages there are. The file is flat, 16 bytes a member, so that a key
// has one place.
const PersonsFile = "persons.keys"

const keyBytes = 16

// errForgotten is returned for a person whose key is gone.
var errForgotten = errors.New("the person was forgotten")

type persons struct {
	f *os.File

	mu    sync.Mutex
	next  uint32   // first slot that was never used
	free  []uint32 // used before
	dirty bool     // there are keys that are not synced
}

func openPersons(path string) (*persons, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", PersonsFile, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", PersonsFile, err)
	}
	return &persons{f: f, next: uint32(st.Size() / keyBytes)}, nil
}

func (p *persons) close() error { return p.f.Close() }

// key reads the key of a slot; errForgotten when there is none.
func (p *persons) key(slot uint32) (k [keyBytes]byte, err error) {
	_, err = p.f.ReadAt(k[:], int64(slot)*keyBytes)
	if errors.Is(err, io.EOF) || err == nil && k == [keyBytes]byte{} {
		return k, errForgotten
	}
	return k, err
}

// fresh makes a key in a slot of its own. sync makes it last.
func (p *persons) fresh() (slot uint32, k [keyBytes]byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		slot = p.next
		p.next++
	}
	rand.Read(k[:])
	p.dirty = true
	_, err = p.f.WriteAt(k[:], int64(slot)*keyBytes)
	return slot, k, err
}

// drop overwrites keys.
func (p *persons) drop(slots []uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var none [keyBytes]byte
	for _, s := range slots {
		if s >= p.next {
			continue // of a file that is no more
		}
		p.dirty = true
		if _, err := p.f.WriteAt(none[:], int64(s)*keyBytes); err != nil {
			return fmt.Errorf("forget: %w", err)
		}
	}
	return nil
}

// release lets slots be used again, once nothing in the file names them.
func (p *persons) release(slots []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, slots...)
}

// sync puts on the disk what was made and overwritten.
func (p *persons) sync() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dirty {
		return nil
	}
	if err := p.f.Sync(); err != nil {
		return fmt.Errorf("flush %s: %w", PersonsFile, err)
	}
	p.dirty = false
	return nil
}

func (p *persons) used() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// sealedPerson is what lies before a stored snapshot: nothing, or slot, 8 bytes
// made from key and content, and the content under AES-CTR with those as its
// beginning. The same content gives the same bytes, and one key is used for one
// member only, so nothing can be compared between members.
func sealPerson(slot uint32, key [keyBytes]byte, m *loyalty.Member) []byte {
	var w writer
	w.text(m.FirstName)
	w.text(m.Birthday)
	w.uint(uint64(len(m.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(m.Attributes)) {
		w.text(k)
		w.text(m.Attributes[k])
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(w.b)
	out := binary.AppendUvarint(nil, uint64(slot))
	out = append(out, mac.Sum(nil)[:8]...)
	from := len(out)
	out = append(out, w.b...)
	stream(key, out[from-8:from]).XORKeyStream(out[from:], out[from:])
	return out
}

func stream(key [keyBytes]byte, iv []byte) cipher.Stream {
	block, err := aes.NewCipher(key[:])
	if err != nil { // a key of the right length
		panic(err)
	}
	var full [aes.BlockSize]byte
	copy(full[:], iv)
	return cipher.NewCTR(block, full[:])
}

func slotOf(blob []byte) (slot uint32, rest []byte, err error) {
	n, size := binary.Uvarint(blob)
	if size <= 0 || n > 1<<31 || len(blob) < size+8 {
		return 0, nil, fmt.Errorf("person: %w", ErrDamaged)
	}
	return uint32(n), blob[size:], nil
}

// openPerson puts into m what sealPerson took from it.
func (p *persons) openPerson(blob []byte, m *loyalty.Member) error {
	slot, rest, err := slotOf(blob)
	if err != nil {
		return err
	}
	key, err := p.key(slot)
	if err != nil {
		return err
	}
	plain := make([]byte, len(rest)-8)
	stream(key, rest[:8]).XORKeyStream(plain, rest[8:])
	r := reader{b: plain}
	m.FirstName, m.Birthday = r.text(), r.text()
	n := r.uint()
	if n > uint64(len(plain)) {
		return fmt.Errorf("person: %w", ErrDamaged)
	}
	if n > 0 {
		m.Attributes = make(map[string]string, n)
		for range n {
			k := r.text()
			m.Attributes[k] = r.text()
		}
	}
	if r.err != nil || len(r.b) > 0 {
		return fmt.Errorf("person: %w", ErrDamaged)
	}
	return nil
}

// split takes a stored value apart.
func split(v []byte) (blob, snapshot []byte, err error) {
	n, size := binary.Uvarint(v)
	if size <= 0 || uint64(len(v)-size) < n {
		return nil, nil, fmt.Errorf("member: %w", ErrDamaged)
	}
	return v[size : size+int(n)], v[size+int(n):], nil
}

// readStored reads what appendStored wrote.
func (p *persons) readStored(v []byte, dict words) (*Snapshot, error) {
	blob, rest, err := split(v)
	if err != nil {
		return nil, err
	}
	s, err := readSnapshot(rest, dict)
	if err != nil || len(blob) == 0 {
		return s, err
	}
	return s, p.openPerson(blob, s.Member)
}

// appendStored writes a snapshot with the person apart.
func (t *CacheTx) appendStored(b []byte, s Snapshot) ([]byte, error) {
	m := *s.Member
	var blob []byte
	if m.FirstName != "" || m.Birthday != "" || len(m.Attributes) > 0 {
		slot, key, err := t.personKey(m.ID)
		if err != nil {
			return nil, err
		}
		blob = sealPerson(slot, key, &m)
		m.FirstName, m.Birthday, m.Attributes = "", "", nil
	}
	b = binary.AppendUvarint(b, uint64(len(blob)))
	b = append(b, blob...)
	return appendSnapshot(b, Snapshot{&m, s.Includes}, t)
}

// personKey gives the key of a member: the one in use, or a new one.
func (t *CacheTx) personKey(id loyalty.MemberID) (slot uint32, key [keyBytes]byte, err error) {
	if slot, ok := t.slots[id]; ok {
		key, err = t.c.persons.key(slot)
		return slot, key, err
	}
	slot, key, err = t.c.persons.fresh()
	if t.slots == nil {
		t.slots = map[loyalty.MemberID]uint32{}
	}
	t.slots[id] = slot
	return slot, key, err
}

// know finds the key a member has already, under any of its references.
func (t *CacheTx) know(id loyalty.MemberID) {
	if _, ok := t.slots[id]; ok {
		return
	}
	for k := range slices.Chunk(t.tx.Bucket(bucketRefs).Get(be64(uint64(id))), 8) {
		v, err := unseal(bucketMembers, k, t.tx.Bucket(bucketMembers).Get(k))
		if err != nil {
			continue
		}
		blob, _, err := split(v)
		if err != nil || len(blob) == 0 {
			continue
		}
		slot, _, err := slotOf(blob)
		if err != nil {
			continue
		}
		if _, err := t.c.persons.key(slot); err != nil {
			continue // forgotten: a new one
		}
		if t.slots == nil {
			t.slots = map[loyalty.MemberID]uint32{}
		}
		t.slots[id] = slot
		return
	}
}

// forget has a member's key overwritten when the transaction ends.
func (t *CacheTx) forget(id loyalty.MemberID) {
	t.know(id)
	if slot, ok := t.slots[id]; ok {
		t.forgotten = append(t.forgotten, slot)
		delete(t.slots, id)
	}
}

// settlePersons is the last thing before the commit: new keys are on the disk
// before what they open, and old ones are gone before the commit says so. When
// the commit then fails, the members concerned are unknown until the centre
// sends them again, which it does.
func (t *CacheTx) settlePersons() error {
	if err := t.c.persons.drop(t.forgotten); err != nil {
		return err
	}
	return t.c.persons.sync()
}
