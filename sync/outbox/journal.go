package outbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/wire"
)

// Buckets. One bucket per device and epoch holds everything of that journal,
// so that a new incarnation never touches the records of the one before.
var (
	bucketOutbox  = []byte("outbox")  // holds the journals and keyCurrent
	bucketRecords = []byte("records") // seq, big-endian -> stored bytes of the record
	bucketMeta    = []byte("meta")    // keyHead, keyAcked, keyPruned -> place
	bucketParked  = []byte("parked")  // seq, big-endian -> reason
	bucketDays    = []byte("days")    // day since 1970, big-endian 4 bytes -> last seq written before that day's first mark

	keyCurrent = []byte("current") // in bucketOutbox: name of the journal in use
	keyFormat  = []byte("format")  // in bucketOutbox: one byte, the layout of all this
	keyHead    = []byte("head")
	keyAcked   = []byte("acked")
	keyPruned  = []byte("pruned")  // last record removed
	keySession = []byte("session") // number of the last SESSION record, big-endian
)

func (id Identity) bucket() []byte { return fmt.Appendf(nil, "%s/%08x", id.Device, id.Epoch) }

// journal is the buckets of one identity inside a transaction.
type journal struct{ records, meta, parked, days *bbolt.Bucket }

func (b *Box) journal(tx *bbolt.Tx) (journal, error) {
	top := tx.Bucket(bucketOutbox)
	if top == nil {
		return journal{}, fmt.Errorf("%w: no outbox", ErrDamaged)
	}
	own := top.Bucket(b.id.bucket())
	if own == nil {
		return journal{}, fmt.Errorf("%w: no journal of this device", ErrDamaged)
	}
	j := journal{own.Bucket(bucketRecords), own.Bucket(bucketMeta), own.Bucket(bucketParked), own.Bucket(bucketDays)}
	if j.records == nil || j.meta == nil || j.parked == nil || j.days == nil {
		return journal{}, fmt.Errorf("%w: journal lacks a bucket", ErrDamaged)
	}
	return j, nil
}

// ready tells whether there is nothing to prepare, which spares a start its
// commit, and checks the end of the journal then.
func (b *Box) ready(tx *bbolt.Tx) (bool, error) {
	top := tx.Bucket(bucketOutbox)
	if top == nil || !bytes.Equal(top.Get(keyCurrent), b.id.bucket()) || !bytes.Equal(top.Get(keyFormat), []byte{format}) {
		return false, nil
	}
	j, err := b.journal(tx)
	if err != nil {
		return false, err
	}
	return true, j.checkEnd()
}

// prepare makes the buckets and checks the end of the journal.
func (b *Box) prepare(tx *bbolt.Tx) error {
	top, err := tx.CreateBucketIfNotExists(bucketOutbox)
	if err != nil {
		return err
	}
	if err := migrate(top); err != nil {
		return err
	}
	name := b.id.bucket()
	if cur := top.Get(keyCurrent); cur != nil && !bytes.Equal(cur, name) {
		sameDevice := bytes.HasPrefix(cur, []byte(b.id.Device+"/"))
		if sameDevice && bytes.Compare(name, cur) < 0 {
			return fmt.Errorf("%w: it is at %s", ErrIdentity, cur)
		}
		if !sameDevice && top.Bucket(name) != nil {
			return fmt.Errorf("%w: it has gone on as %s", ErrIdentity, cur)
		}
	}
	if err := top.Put(keyCurrent, name); err != nil {
		return err
	}
	own, err := top.CreateBucketIfNotExists(name)
	if err != nil {
		return err
	}
	for _, n := range [][]byte{bucketRecords, bucketMeta, bucketParked, bucketDays} {
		if _, err := own.CreateBucketIfNotExists(n); err != nil {
			return err
		}
	}
	j, err := b.journal(tx)
	if err != nil {
		return err
	}
	return j.checkEnd()
}

// format is the layout this program writes.
//
//	1  first layout
//
// A step from each older format to the next belongs into migrate, and a file
// of that format into testdata.
const format = 1

func migrate(top *bbolt.Bucket) error {
	have := byte(format)
	if v := top.Get(keyFormat); len(v) == 1 {
		have = v[0]
	}
	if have > format {
		return fmt.Errorf("%w: format %d, this program knows %d", ErrNewer, have, format)
	}
	return top.Put(keyFormat, []byte{format})
}

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }

// get reads a place; a missing one is the zero Head.
func (j journal) get(name []byte) (wire.Head, error) {
	v := j.meta.Get(name)
	if v == nil {
		return wire.Head{}, nil
	}
	var h wire.Head
	if len(v) != 8+len(h.Hash) {
		return h, fmt.Errorf("%w: %s", ErrDamaged, name)
	}
	h.Seq = binary.BigEndian.Uint64(v)
	copy(h.Hash[:], v[8:])
	return h, nil
}

func (j journal) set(name []byte, h wire.Head) error {
	return j.meta.Put(name, append(key(h.Seq), h.Hash[:]...))
}

func (j journal) head() (wire.Head, error) { return j.get(keyHead) }

func (j journal) put(h wire.Head, rec []byte) error {
	// Keys only ever grow: pages are filled to the brim.
	j.records.FillPercent = 1
	if err := j.records.Put(key(h.Seq), rec); err != nil {
		return err
	}
	return j.set(keyHead, h)
}

// checkEnd compares the head with the last record.
func (j journal) checkEnd() error {
	h, err := j.head()
	if err != nil {
		return err
	}
	pruned, err := j.get(keyPruned)
	if err != nil {
		return err
	}
	k, v := j.records.Cursor().Last()
	switch {
	case k == nil && h.Seq == pruned.Seq && h.Hash == pruned.Hash:
		return nil
	case k == nil:
		return fmt.Errorf("%w: head at %d without records", ErrDamaged, h.Seq)
	case len(k) != 8 || binary.BigEndian.Uint64(k) != h.Seq:
		return fmt.Errorf("%w: head at %d, last record elsewhere", ErrDamaged, h.Seq)
	case wire.HashOf(v) != h.Hash:
		return fmt.Errorf("%w: last record %d has another hash", ErrDamaged, h.Seq)
	}
	return nil
}

func (j journal) hashAt(seq uint64) (wire.Hash, error) {
	if seq == 0 {
		return wire.Hash{}, nil
	}
	pruned, err := j.get(keyPruned)
	if err != nil {
		return wire.Hash{}, err
	}
	if seq == pruned.Seq {
		return pruned.Hash, nil
	}
	if seq < pruned.Seq {
		return wire.Hash{}, fmt.Errorf("record %d: %w", seq, ErrGone)
	}
	v := j.records.Get(key(seq))
	if v == nil {
		return wire.Hash{}, fmt.Errorf("%w: no record %d", ErrDamaged, seq)
	}
	return wire.HashOf(v), nil
}

func (j journal) read(after wire.Head, max, maxBytes int) (Batch, error) {
	out := Batch{From: after.Seq + 1, Last: after}
	pruned, err := j.get(keyPruned)
	if err != nil {
		return out, err
	}
	if after.Seq < pruned.Seq {
		return out, fmt.Errorf("records after %d: %w", after.Seq, ErrGone)
	}
	size := 0
	c := j.records.Cursor()
	for k, v := c.Seek(key(after.Seq + 1)); k != nil && len(out.Records) < max; k, v = c.Next() {
		if len(out.Records) > 0 && size+len(v) > maxBytes {
			break
		}
		if err := fits(out.Last, k, v); err != nil {
			return Batch{}, err
		}
		out.Records = append(out.Records, bytes.Clone(v))
		out.Last = wire.Head{Seq: out.Last.Seq + 1, Hash: wire.HashOf(v)}
		size += len(v)
	}
	return out, nil
}

// fits tells whether the stored pair comes right after prev.
func fits(prev wire.Head, k, v []byte) error {
	_, _, seq, hash, ok := wire.PeekSeq(v)
	if !ok || len(k) != 8 || binary.BigEndian.Uint64(k) != prev.Seq+1 || seq != prev.Seq+1 {
		return fmt.Errorf("%w: no record %d in its place", ErrDamaged, prev.Seq+1)
	}
	if hash != prev.Hash {
		return fmt.Errorf("%w: record %d does not follow %d", ErrDamaged, seq, prev.Seq)
	}
	return nil
}

func (j journal) ack(h wire.Head, parked []wire.Parked) error {
	acked, err := j.get(keyAcked)
	if err != nil {
		return err
	}
	head, err := j.head()
	if err != nil {
		return err
	}
	if h.Seq > head.Seq {
		return fmt.Errorf("%w: the centre has %d, the journal ends at %d", ErrFork, h.Seq, head.Seq)
	}
	if h.Seq >= acked.Seq {
		own, err := j.hashAt(h.Seq)
		if err != nil {
			return err
		}
		if own != h.Hash {
			return fmt.Errorf("%w: at %d", ErrFork, h.Seq)
		}
		if err := j.set(keyAcked, h); err != nil {
			return err
		}
	}
	for _, p := range parked {
		if p.Seq == 0 || p.Seq > head.Seq {
			continue
		}
		reason := p.Reason
		if len(reason) > 500 {
			reason = reason[:500]
		}
		if err := j.parked.Put(key(p.Seq), []byte(reason)); err != nil {
			return err
		}
	}
	return nil
}

func (j journal) stats(s *Stats) error {
	var err error
	if s.Head, err = j.head(); err != nil {
		return err
	}
	if s.Acked, err = j.get(keyAcked); err != nil {
		return err
	}
	c := j.records.Cursor()
	if k, _ := c.First(); len(k) == 8 {
		s.First = binary.BigEndian.Uint64(k)
	}
	s.Queued = s.Head.Seq - s.Acked.Seq
	pc := j.parked.Cursor()
	for k, _ := pc.First(); k != nil; k, _ = pc.Next() {
		s.Parked++
	}
	if _, v := c.Last(); v != nil {
		if r, err := wire.DecodeRecord(v); err == nil {
			s.Newest = r.Wall
		}
	}
	if s.Queued > 0 {
		if k, v := c.Seek(key(s.Acked.Seq + 1)); k != nil {
			if r, err := wire.DecodeRecord(v); err == nil {
				s.Oldest = r.Wall
			}
		}
	}
	return nil
}

func (j journal) verify() error {
	prev, err := j.get(keyPruned)
	if err != nil {
		return err
	}
	err = j.records.ForEach(func(k, v []byte) error {
		if err := fits(prev, k, v); err != nil {
			return err
		}
		if _, err := wire.DecodeRecord(v); err != nil {
			return fmt.Errorf("%w: record %d: %w", ErrDamaged, prev.Seq+1, err)
		}
		prev = wire.Head{Seq: prev.Seq + 1, Hash: wire.HashOf(v)}
		return nil
	})
	if err != nil {
		return err
	}
	head, err := j.head()
	if err != nil {
		return err
	}
	if prev != head {
		return fmt.Errorf("%w: chain ends at %d, head is %d", ErrDamaged, prev.Seq, head.Seq)
	}
	acked, err := j.get(keyAcked)
	if err != nil {
		return err
	}
	if own, err := j.hashAt(acked.Seq); err == nil && own != acked.Hash || acked.Seq > head.Seq {
		return fmt.Errorf("%w: acknowledged place %d", ErrDamaged, acked.Seq)
	}
	return nil
}

const retentionDays = int(Retention / (24 * time.Hour))

func day(t time.Time) uint32 { return uint32(t.Unix() / 86400) }

func (j journal) prune(now time.Time, most int) (int, error) {
	head, err := j.head()
	if err != nil {
		return 0, err
	}
	acked, err := j.get(keyAcked)
	if err != nil {
		return 0, err
	}
	pruned, err := j.get(keyPruned)
	if err != nil {
		return 0, err
	}
	today := binary.BigEndian.AppendUint32(nil, day(now))
	if j.days.Get(today) == nil {
		if err := j.days.Put(today, key(head.Seq)); err != nil {
			return 0, err
		}
	}
	// The youngest mark whose retention is over bounds what may go. It must be
	// old by the calendar, and as many other days must have been seen since:
	// one wrong date, however far ahead, is one day and removes nothing.
	limit := uint64(0)
	old := binary.BigEndian.AppendUint32(nil, day(now.Add(-Retention-24*time.Hour)))
	var past [][]byte
	seen := 0
	c := j.days.Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		if len(v) != 8 {
			return 0, fmt.Errorf("%w: day mark", ErrDamaged)
		}
		if bytes.Compare(k, old) <= 0 && seen >= retentionDays {
			limit = max(limit, binary.BigEndian.Uint64(v))
			past = append(past, bytes.Clone(k))
		}
		seen++
	}
	// The record at the acknowledged place stays: its hash is compared with
	// the centre's at every WELCOME.
	if acked.Seq > 0 {
		limit = min(limit, acked.Seq-1)
	} else {
		limit = 0
	}
	var gone []uint64
	rc := j.records.Cursor()
	for k, v := rc.First(); k != nil && len(gone) < most; k, v = rc.Next() {
		seq := binary.BigEndian.Uint64(k)
		if seq > limit {
			break
		}
		pruned = wire.Head{Seq: seq, Hash: wire.HashOf(v)}
		gone = append(gone, seq)
	}
	if len(gone) == 0 {
		return 0, nil
	}
	// The new beginning first, the removal second: after a crash between
	// them nothing would be missing. (Here both are one transaction anyway.)
	if err := j.set(keyPruned, pruned); err != nil {
		return 0, err
	}
	for _, seq := range gone {
		if err := j.records.Delete(key(seq)); err != nil {
			return 0, err
		}
		if err := j.parked.Delete(key(seq)); err != nil {
			return 0, err
		}
	}
	// Day marks are of no use once everything before them is gone; the
	// youngest of them stays until then.
	if pruned.Seq == limit && len(past) > 1 {
		for _, k := range past[1:] { // the youngest is first
			if err := j.days.Delete(k); err != nil {
				return 0, err
			}
		}
	}
	return len(gone), nil
}
