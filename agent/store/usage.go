package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
)

// UsageDays is how many days limits look back; older use is summed up, so
// that limits for ever go on counting it.
const UsageDays = 400

// usageOld is the day of use that is older.
const usageOld = "0001-01-01"

// ErrQuota is returned when a receipt asks for more of a budget than this
// till's quota has left: another receipt took it since the price was made.
var ErrQuota = errors.New("the quota has been used meanwhile")

// Booking is what an authorised or captured receipt has taken of limits and
// quotas.
type Booking struct {
	Usage  []loyalty.CounterAdd `json:"usage,omitempty"`
	Quotas []loyalty.QuotaUse   `json:"quotas,omitempty"`
}

// Empty tells whether nothing was taken.
func (b *Booking) Empty() bool { return b == nil || len(b.Usage) == 0 && len(b.Quotas) == 0 }

// Back is the booking that undoes b.
func (b *Booking) Back() *Booking {
	n := &Booking{}
	if b == nil {
		return n
	}
	for _, a := range b.Usage {
		n.Usage = append(n.Usage, loyalty.CounterAdd{Counter: a.Counter, Day: a.Day, Add: -a.Add})
	}
	for _, q := range b.Quotas {
		n.Quotas = append(n.Quotas, loyalty.QuotaUse{Key: q.Key, Budget: q.Budget, Counter: q.Counter, Money: -q.Money, Points: -q.Points, Count: -q.Count,
			Turnover: -q.Turnover, Cost: -q.Cost})
	}
	return n
}

// Usage reads what limits of this till, its store, cashiers and programme
// have used, as loyalty.Input wants it.
func (t *Tx) Usage() (map[string]map[string]int64, error) {
	var all map[string]map[string]int64
	err := t.tx.Bucket(bucketUsage).ForEach(func(k, v []byte) error {
		i := bytes.LastIndexByte(k, 0)
		v, err := unseal(bucketUsage, k, v)
		if err != nil {
			return err
		}
		if i < 0 || len(v) != 8 {
			return fmt.Errorf("usage of limits: %w", ErrDamaged)
		}
		if all == nil {
			all = map[string]map[string]int64{}
		}
		counter := string(k[:i])
		if all[counter] == nil {
			all[counter] = map[string]int64{}
		}
		all[counter][string(k[i+1:])] = int64(binary.BigEndian.Uint64(v))
		return nil
	})
	return all, err
}

func (t *Tx) addUsage(counter, day string, add int64) error {
	b, k := t.tx.Bucket(bucketUsage), []byte(counter+"\x00"+day)
	n := add
	if v := b.Get(k); v != nil {
		v, err := unseal(bucketUsage, k, v)
		if err != nil {
			return err
		}
		if len(v) == 8 {
			n += int64(binary.BigEndian.Uint64(v))
		}
	}
	if n == 0 {
		return b.Delete(k)
	}
	return b.Put(k, seal(bucketUsage, k, be64(uint64(n))))
}

// Rebook replaces what a receipt had taken by what it takes now; either may
// be nil. ErrQuota when the quota does not have the difference.
func (t *Tx) Rebook(old, now *Booking) error {
	undo := old.Back()
	all := undo.Usage
	quotas := undo.Quotas
	if now != nil {
		all, quotas = append(all, now.Usage...), append(quotas, now.Quotas...)
	}
	for _, a := range all {
		if err := t.addUsage(a.Counter, a.Day, a.Add); err != nil {
			return err
		}
	}
	// One sum per quota: giving back and taking again must not fail half way.
	sums, order := map[string]*loyalty.QuotaUse{}, []string(nil)
	for _, q := range quotas {
		s := sums[q.Key]
		if s == nil {
			s = &loyalty.QuotaUse{}
			sums[q.Key], order = s, append(order, q.Key)
		}
		s.Money, s.Points, s.Count = s.Money+q.Money, s.Points+q.Points, s.Count+q.Count
		s.Turnover, s.Cost = s.Turnover+q.Turnover, s.Cost+q.Cost
	}
	for _, key := range order {
		if err := t.useQuota(key, sums[key]); err != nil {
			return err
		}
	}
	return nil
}

// quota is what this till still has of a budget.
type quota struct {
	Left  loyalty.Quota `json:"left"`
	Last  uint64        `json:"last,omitempty"`  // number of the last grant taken in
	Epoch uint32        `json:"epoch,omitempty"` // it was granted to
}

func (t *Tx) useQuota(key string, u *loyalty.QuotaUse) error {
	if *u == (loyalty.QuotaUse{}) {
		return nil
	}
	var q quota
	if _, err := t.get(bucketQuotas, key, &q); err != nil {
		return err
	}
	if u.Money > max(q.Left.Money, 0) || u.Points > max(q.Left.Points, 0) || u.Count > max(q.Left.Count, 0) {
		return fmt.Errorf("%w: %s", ErrQuota, key)
	}
	q.Left.Money -= u.Money
	q.Left.Points -= u.Points
	q.Left.Count -= u.Count
	q.Left.Turnover += u.Turnover
	q.Left.Cost += u.Cost
	return t.put(bucketQuotas, key, q)
}

// Quota reads what is left of a budget here; nil when there never was any.
func (t *Tx) Quota(key string) (*loyalty.Quota, error) {
	var q quota
	if ok, err := t.get(bucketQuotas, key, &q); !ok {
		return nil, err
	}
	return &q.Left, nil
}

// Grant adds a quota that the centre handed to this till in this epoch.
// Grants of one budget are numbered upwards; one that came before is not
// added again.
func (t *Tx) Grant(key string, n uint64, epoch uint32, add loyalty.Quota) error {
	var q quota
	if _, err := t.get(bucketQuotas, key, &q); err != nil {
		return err
	}
	if epoch != t.Epoch() || q.Epoch == epoch && n <= q.Last {
		return nil
	}
	q.Last, q.Epoch = n, epoch
	q.Left.Money += add.Money
	q.Left.Points += add.Points
	q.Left.Count += add.Count
	return t.put(bucketQuotas, key, q)
}

// FoldUsage sums up to max days of use before a day (YYYY-MM-DD) into one
// and tells how many they were.
func (t *Tx) FoldUsage(before string, max int) (int, error) {
	type entry struct {
		counter, day string
		n            int64
	}
	var old []entry
	c := t.tx.Bucket(bucketUsage).Cursor()
	for k, v := c.First(); k != nil && len(old) < max; k, v = c.Next() {
		i := bytes.LastIndexByte(k, 0)
		v, err := unseal(bucketUsage, k, v)
		if err != nil {
			return 0, err
		}
		if i < 0 || len(v) != 8 {
			continue
		}
		if day := string(k[i+1:]); day < before && day != usageOld {
			old = append(old, entry{string(k[:i]), day, int64(binary.BigEndian.Uint64(v))})
		}
	}
	for _, e := range old {
		if err := t.addUsage(e.counter, e.day, -e.n); err != nil {
			return 0, err
		}
		if err := t.addUsage(e.counter, usageOld, e.n); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}
