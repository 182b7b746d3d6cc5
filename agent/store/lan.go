package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// What this till knows of the other tills of its store, and what they are to
// know of it. All of it lies in the journal's file: movements of other tills
// count like this till's own until a snapshot includes them, and what a keeper
// promised another till is as binding as its own receipts.

const (
	movesKept = 3 * 24 * time.Hour // for tills that were switched off
	mostMoves = 20_000             // bounds what lies here of others, and for them
	lentKept  = Retention
)

// Lent is a hold out of this till's leases for another till of the store.
type Lent struct {
	For     string        `json:"for"`
	Voucher *wire.Voucher `json:"voucher,omitempty"` // nil: void before it was asked for
	Voided  bool          `json:"voided,omitempty"`
	At      time.Time     `json:"at"`
}

// Lent reads a hold made for another till; nil when it was never heard of.
func (t *Tx) Lent(hold string) (*Lent, error) {
	l := &Lent{}
	if ok, err := t.get(bucketLent, hold, l); !ok {
		return nil, err
	}
	return l, nil
}

// PutLent stores one.
func (t *Tx) PutLent(hold string, l *Lent) error { return t.put(bucketLent, hold, l) }

// QueueKeeperVoid keeps a void that the keeper has not been told of.
func (t *Tx) QueueKeeperVoid(v wire.KeeperVoid) error { return t.put(bucketKeeperVoids, v.Hold, v) }

// KeeperVoids lists what the keeper must still be told.
func (t *Tx) KeeperVoids(max int) ([]wire.KeeperVoid, error) {
	var all []wire.KeeperVoid
	c := t.tx.Bucket(bucketKeeperVoids).Cursor()
	for k, _ := c.First(); k != nil && len(all) < max; k, _ = c.Next() {
		var x wire.KeeperVoid
		if _, err := t.get(bucketKeeperVoids, string(k), &x); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// DropKeeperVoid forgets a void that the keeper knows.
func (t *Tx) DropKeeperVoid(hold string) error {
	return t.tx.Bucket(bucketKeeperVoids).Delete([]byte(hold))
}

// shareDelta keeps a change for the other tills of the store.
func (t *Tx) shareDelta(s Subject, d *Delta) error {
	if !t.share {
		return nil
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	k := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, d.Mark.Epoch), d.Mark.Seq)
	return t.put(bucketMoves, string(k), wire.StoreMove{Seq: d.Mark.Seq, Subject: s, Delta: raw})
}

// MovesAfter lists this till's movements in this epoch after a place.
func (t *Tx) MovesAfter(seq uint64, max, maxBytes int) (wire.StoreMoves, error) {
	out := wire.StoreMoves{Epoch: t.Epoch()}
	prefix := binary.BigEndian.AppendUint32(nil, out.Epoch)
	size := 0
	c := t.tx.Bucket(bucketMoves).Cursor()
	for k, v := c.Seek(binary.BigEndian.AppendUint64(bytes.Clone(prefix), seq+1)); bytes.HasPrefix(k, prefix) && len(out.Moves) < max; k, v = c.Next() {
		if size += len(v); size > maxBytes && len(out.Moves) > 0 {
			break
		}
		var m wire.StoreMove
		if _, err := t.get(bucketMoves, string(k), &m); err != nil {
			return out, err
		}
		out.Moves = append(out.Moves, m)
	}
	return out, nil
}

// foreignKey is subject, device, epoch, seq.
func foreignKey(s Subject, device string, m wire.Mark) []byte {
	k := append(bytes.Clone(s), device...)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(k, m.Epoch), m.Seq)
}

// AddForeign takes in movements of another till of the store, and tells
// whether anything was new. What a snapshot includes already, and what was
// taken in before, changes nothing.
func (t *Tx) AddForeign(device string, q wire.StoreMoves) (bool, error) {
	b := t.tx.Bucket(bucketForeign)
	if b.Stats().KeyN > mostMoves {
		return false, fmt.Errorf("movements of other tills: more than %d wait for the centre", mostMoves)
	}
	floor := t.foreignFloor(device)
	added := false
	for _, m := range q.Moves {
		at := wire.Mark{Epoch: q.Epoch, Seq: m.Seq}
		if !later(at, floor) || len(m.Subject) != 9 && len(m.Subject) != 17 {
			continue
		}
		var d Delta
		if err := json.Unmarshal(m.Delta, &d); err != nil || d.Result == nil && d.Back == nil {
			continue // a newer till says something this one does not understand
		}
		k := foreignKey(m.Subject, device, at)
		if b.Get(k) != nil {
			continue
		}
		if err := t.put(bucketForeign, string(k), &d); err != nil {
			return added, err
		}
		added = true
	}
	return added, nil
}

func (t *Tx) foreignFloor(device string) (m wire.Mark) {
	if v := t.tx.Bucket(bucketForeignFloor).Get([]byte(device)); len(v) == 12 {
		m = wire.Mark{Epoch: binary.BigEndian.Uint32(v), Seq: binary.BigEndian.Uint64(v[4:])}
	}
	return m
}

// ForeignDeltas lists what other tills of the store changed of a subject.
func (t *Tx) ForeignDeltas(s Subject) ([]*Delta, error) {
	var all []*Delta
	c := t.tx.Bucket(bucketForeign).Cursor()
	for k, _ := c.Seek(s); bytes.HasPrefix(k, s); k, _ = c.Next() {
		d := &Delta{}
		if _, err := t.get(bucketForeign, string(k), d); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// DropForeign forgets movements of other tills that snapshots of these
// subjects include. In a reading transaction it only counts.
func (t *Tx) DropForeign(subjects []Subject, also map[string]wire.Mark) (int, error) {
	n := 0
	for _, s := range subjects {
		for device, upto := range also {
			k, err := t.dropForeign(foreignKey(s, device, wire.Mark{})[:len(s)+len(device)], upto)
			if err != nil {
				return n, err
			}
			n += k
		}
	}
	return n, nil
}

func (t *Tx) dropForeign(prefix []byte, upto wire.Mark) (int, error) {
	var gone [][]byte
	c := t.tx.Bucket(bucketForeign).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(k) == len(prefix)+12; k, _ = c.Next() {
		at := wire.Mark{Epoch: binary.BigEndian.Uint32(k[len(prefix):]), Seq: binary.BigEndian.Uint64(k[len(prefix)+4:])}
		if !later(at, upto) {
			gone = append(gone, bytes.Clone(k))
		}
	}
	if !t.tx.Writable() {
		return len(gone), nil
	}
	for _, k := range gone {
		if err := t.tx.Bucket(bucketForeign).Delete(k); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

// RaiseForeign notes up to which place of other tills' journals every snapshot
// here includes their movements; those are forgotten, and not taken in again.
func (t *Tx) RaiseForeign(also map[string]wire.Mark) error {
	raised := map[string]wire.Mark{}
	for device, m := range also {
		if later(m, t.foreignFloor(device)) {
			v := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, m.Epoch), m.Seq)
			if err := t.tx.Bucket(bucketForeignFloor).Put([]byte(device), v); err != nil {
				return err
			}
			raised[device] = m
		}
	}
	if len(raised) == 0 {
		return nil
	}
	var gone [][]byte
	err := t.tx.Bucket(bucketForeign).ForEach(func(k, _ []byte) error {
		if n := subjectLen(k); len(k) > n+12 {
			at := wire.Mark{Epoch: binary.BigEndian.Uint32(k[len(k)-12:]), Seq: binary.BigEndian.Uint64(k[len(k)-8:])}
			if m, ok := raised[string(k[n:len(k)-12])]; ok && !later(at, m) {
				gone = append(gone, bytes.Clone(k))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range gone {
		if err := t.tx.Bucket(bucketForeign).Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// RaisesForeign tells, without writing, whether RaiseForeign would change
// anything.
func (t *Tx) RaisesForeign(also map[string]wire.Mark) bool {
	for device, m := range also {
		if later(m, t.foreignFloor(device)) {
			return true
		}
	}
	return false
}

func subjectLen(k []byte) int {
	if len(k) > 0 && k[0] == 'm' {
		return 9
	}
	return 17
}

// PruneLAN lets go what nobody in the store needs any more.
func (t *Tx) PruneLAN(max int) error {
	now := t.now()
	old := func(bucket []byte, keep time.Duration, at func(k string) time.Time) error {
		var gone [][]byte
		c := t.tx.Bucket(bucket).Cursor()
		for k, _ := c.First(); k != nil && len(gone) < max; k, _ = c.Next() {
			if now.Sub(at(string(k))) > keep {
				gone = append(gone, bytes.Clone(k))
			}
		}
		for _, k := range gone {
			if err := t.tx.Bucket(bucket).Delete(k); err != nil {
				return err
			}
		}
		return nil
	}
	err := old(bucketMoves, movesKept, func(k string) time.Time {
		var m wire.StoreMove
		var d Delta
		if _, err := t.get(bucketMoves, k, &m); err != nil || json.Unmarshal(m.Delta, &d) != nil {
			return time.Time{} // one that cannot be read is old
		}
		return d.At
	})
	if err != nil {
		return err
	}
	return old(bucketLent, lentKept, func(k string) time.Time {
		l, err := t.Lent(k)
		if err != nil || l == nil {
			return time.Time{}
		}
		return l.At
	})
}
