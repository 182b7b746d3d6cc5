package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// A lease is the right of this till to spend up to so many points of one
// member without asking anybody. It lies here, in the journal's file, so that
// what is left of it and the records that took from it are one transaction:
// whatever happens, file and journal say the same.
//
//	grant ──LEASE_OPEN──> open ──HOLD──> less is left ──VOID──> given back
//	                       │                          └─COMMIT─> spent
//	                       └──LEASE_CLOSE: what is left goes back to the member
//
// An id is taken once, ever: a closed lease leaves its id behind. A lease
// belongs to the epoch it was granted to; in a later epoch it is dead, and
// the centre knows that too.

// ErrLease is returned when the leases do not have what is asked of them.
var ErrLease = errors.New("the lease does not have so many points")

// Lease is one right to spend.
type Lease struct {
	ID       string           `json:"-"`
	Member   loyalty.MemberID `json:"member"`
	Wallet   string           `json:"wallet"`
	Points   loyalty.Points   `json:"points"`
	Rest     loyalty.Points   `json:"rest"` // neither held nor spent
	Epoch    uint32           `json:"epoch"`
	NotAfter time.Time        `json:"not_after,omitzero"` // then it spends no more
	Closed   bool             `json:"closed,omitempty"`
}

// fresh tells whether the lease may still be spent from. A clock that nobody
// trusts (a zero now) ends no lease; it bars spending elsewhere.
func (l *Lease) fresh(now time.Time) bool {
	return l.NotAfter.IsZero() || now.IsZero() || now.Before(l.NotAfter)
}

// Lease reads a lease; nil when this till never had it.
func (t *Tx) Lease(id string) (*Lease, error) {
	l := &Lease{ID: id}
	if ok, err := t.get(bucketLeases, id, l); !ok {
		return nil, err
	}
	return l, nil
}

func (t *Tx) putLease(l *Lease) error {
	k := append(be64(uint64(l.Member)), l.ID...)
	if l.Closed {
		if err := t.tx.Bucket(bucketLeasesOf).Delete(k); err != nil {
			return err
		}
		return t.put(bucketLeases, l.ID, &Lease{Member: l.Member, Wallet: l.Wallet, Epoch: l.Epoch, Closed: true})
	}
	if err := t.tx.Bucket(bucketLeasesOf).Put(k, nil); err != nil {
		return err
	}
	return t.put(bucketLeases, l.ID, l)
}

// OpenLease takes a lease in, with its record. One whose id is known, or that
// is of another epoch, changes nothing, and opened is false.
func (t *Tx) OpenLease(l Lease) (opened bool, err error) {
	have, err := t.Lease(l.ID)
	if err != nil || have != nil || l.Epoch != t.Epoch() {
		return false, err
	}
	_, err = t.Append(outbox.Entry{Type: wire.TypeLeaseOpen,
		Payload: wire.LeaseOpen{Lease: l.ID, Member: l.Member.String(), Wallet: l.Wallet, Points: l.Points.String()}})
	if err != nil {
		return false, err
	}
	l.Rest = l.Points
	return true, t.putLease(&l)
}

// CloseLease gives back what is left of a lease, with its record. Points that
// receipts hold stay out until those are settled: the centre knows them by
// their HOLD records, which come before this one. Of a lease that was never
// opened all is left. Closing twice changes nothing.
func (t *Tx) CloseLease(l Lease, reason string) (closed bool, err error) {
	have, err := t.Lease(l.ID)
	if err != nil || l.Epoch != t.Epoch() {
		return false, err
	}
	if have == nil {
		have = &l
		have.Rest = l.Points
	}
	if have.Closed || have.Epoch != t.Epoch() {
		return false, nil
	}
	_, err = t.Append(outbox.Entry{Type: wire.TypeLeaseClose,
		Payload: wire.LeaseClose{Lease: have.ID, Member: have.Member.String(), Rest: have.Rest.String(), Reason: reason}})
	if err != nil {
		return false, err
	}
	have.Closed = true
	return true, t.putLease(have)
}

// LeasesOf lists the open leases of a member in this epoch, those that end
// first in front.
func (t *Tx) LeasesOf(m loyalty.MemberID, wallet string) ([]*Lease, error) {
	var all []*Lease
	prefix := be64(uint64(m))
	c := t.tx.Bucket(bucketLeasesOf).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		l, err := t.Lease(string(k[8:]))
		if err != nil {
			return nil, err
		}
		if l == nil || l.Closed || l.Epoch != t.Epoch() || wallet != "" && l.Wallet != wallet {
			continue
		}
		i := len(all)
		for i > 0 && l.NotAfter.Before(all[i-1].NotAfter) {
			i--
		}
		all = append(all[:i], append([]*Lease{l}, all[i:]...)...)
	}
	return all, nil
}

// Leases lists every open lease of this epoch.
func (t *Tx) Leases() ([]*Lease, error) {
	var all []*Lease
	err := t.tx.Bucket(bucketLeasesOf).ForEach(func(k, _ []byte) error {
		l, err := t.Lease(string(k[8:]))
		if l != nil && !l.Closed && l.Epoch == t.Epoch() {
			all = append(all, l)
		}
		return err
	})
	return all, err
}

// LeaseRest is what may be spent of a member's points, by wallet.
func (t *Tx) LeaseRest(m loyalty.MemberID, now time.Time) (map[string]loyalty.Points, error) {
	all, err := t.LeasesOf(m, "")
	if err != nil || len(all) == 0 {
		return nil, err
	}
	sum, parts := map[string]loyalty.Points{}, map[string]int{}
	for _, l := range all {
		if l.fresh(now) && l.Rest > 0 && parts[l.Wallet] < wire.MaxLeaseParts {
			sum[l.Wallet] += l.Rest
			parts[l.Wallet]++
		}
	}
	return sum, nil
}

// TakeLease takes points out of a member's leases and tells out of which.
// ErrLease, and nothing is taken, when they do not have so many.
func (t *Tx) TakeLease(m loyalty.MemberID, wallet string, points loyalty.Points, now time.Time) ([]wire.LeasePart, error) {
	all, err := t.LeasesOf(m, wallet)
	if err != nil {
		return nil, err
	}
	var parts []wire.LeasePart
	left := points
	for _, l := range all {
		n := min(left, l.Rest)
		if n <= 0 || !l.fresh(now) || len(parts) == wire.MaxLeaseParts {
			continue
		}
		l.Rest -= n
		left -= n
		parts = append(parts, wire.LeasePart{Lease: l.ID, Points: n.String()})
		if err := t.putLease(l); err != nil {
			return nil, err
		}
		if left == 0 {
			break
		}
	}
	if left > 0 {
		return nil, ErrLease // the caller's transaction ends with it
	}
	return parts, nil
}

// GiveLease puts back what a hold had taken. Of a closed lease nothing comes
// back here: the centre gives it to the member when it sees the VOID.
func (t *Tx) GiveLease(parts []wire.LeasePart) error {
	for _, p := range parts {
		l, err := t.Lease(p.Lease)
		if err != nil {
			return err
		}
		n, bad := loyalty.ParsePoints(p.Points)
		if l == nil || l.Closed || bad != nil || n <= 0 {
			continue
		}
		if l.Rest += n; l.Rest > l.Points {
			return fmt.Errorf("lease %s: %w: %s of %s left", l.ID, ErrDamaged, l.Rest, l.Points)
		}
		if err := t.putLease(l); err != nil {
			return err
		}
	}
	return nil
}

// Spend is one use of a member's leases, kept for the limits that count them.
type Spend struct {
	Hold string    `json:"hold"`
	At   time.Time `json:"at"`
	// Place of its HOLD record.
	Epoch uint32 `json:"epoch"`
	Seq   uint64 `json:"-"`
}

// spendsKept is how many spends of one member are kept; limits count fewer.
const spendsKept = 50

// NoteSpend keeps a spend, and lets those go that no limit counts any more.
func (t *Tx) NoteSpend(m loyalty.MemberID, s Spend) error {
	all, err := t.Spends(m)
	if err != nil {
		return err
	}
	b := t.tx.Bucket(bucketSpends)
	for i, old := range all {
		if len(all)-i > spendsKept {
			if err := b.Delete(spendKey(m, old.Seq)); err != nil {
				return err
			}
		}
	}
	return t.put(bucketSpends, string(spendKey(m, s.Seq)), s)
}

// ForgetSpend removes the spend of a hold that was given back.
func (t *Tx) ForgetSpend(m loyalty.MemberID, hold string) error {
	all, err := t.Spends(m)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Hold == hold {
			return t.tx.Bucket(bucketSpends).Delete(spendKey(m, s.Seq))
		}
	}
	return nil
}

// Spends lists the kept spends of a member in this epoch, oldest first.
func (t *Tx) Spends(m loyalty.MemberID) ([]Spend, error) {
	var all []Spend
	c := t.tx.Bucket(bucketSpends).Cursor()
	p := be64(uint64(m))
	for k, _ := c.Seek(p); bytes.HasPrefix(k, p) && len(k) == 16; k, _ = c.Next() {
		s := Spend{Seq: binary.BigEndian.Uint64(k[8:])}
		if _, err := t.get(bucketSpends, string(k), &s); err != nil {
			return nil, err
		}
		if s.Epoch == t.Epoch() {
			all = append(all, s)
		}
	}
	return all, nil
}

func spendKey(m loyalty.MemberID, seq uint64) []byte { return append(be64(uint64(m)), be64(seq)...) }
