// Package uplinktest has a small, honest till for tests: a real bbolt
// journal, an [uplink.Applier] that applies and stores its cursor in one
// transaction, and a note of everything it has sold, in the same transaction
// as the record about it.
package uplinktest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// Key makes the device key of a seed.
func Key(seed string) ed25519.PrivateKey {
	h := sha256.Sum256([]byte(seed))
	return ed25519.NewKeyFromSeed(h[:])
}

// DeviceID makes a device id of a small number.
func DeviceID(n int) string { return fmt.Sprintf("dev-%010d", n) }

var (
	bucketSold    = []byte("sold")    // member -> points, as this till has told its customers
	bucketCursors = []byte("cursors") // lane -> cursor
	bucketItems   = []byte("items")   // lane/number -> item as applied
)

// Till is one device with its journal.
type Till struct {
	Key ed25519.PrivateKey
	DB  *bbolt.DB
	Box *outbox.Box

	// Refuse, when it returns an error, makes Apply fail before anything is
	// stored.
	Refuse func(*wire.Feed) error

	mu     sync.Mutex
	forked string
}

// Open opens the till's journal at path.
func Open(path string, id outbox.Identity, key ed25519.PrivateKey) (*Till, error) {
	db, err := boltfile.Open(path, boltfile.Options{LockTimeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	box, err := outbox.Open(db, id, outbox.Options{Stamp: Stamp})
	if err != nil {
		db.Close()
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{bucketSold, bucketCursors, bucketItems} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, err
	}
	return &Till{Key: key, DB: db, Box: box}, nil
}

// Stamp is a plain stamp.
func Stamp() outbox.Stamp {
	return outbox.Stamp{Wall: time.Now(), MonoMS: 1, Boot: "boot-1", Clock: wire.ClockGood, Bundle: 1}
}

// Close closes the journal.
func (t *Till) Close() error { return t.DB.Close() }

// Sell gives points to a member, in one transaction with the record.
func (t *Till) Sell(member string, points int64) (outbox.Appended, error) {
	return t.Write(wire.TypeEarn, member, points, map[string]any{"member": member, "points": points})
}

// Poison writes a record that the centre cannot apply.
func (t *Till) Poison() (outbox.Appended, error) {
	return t.Write(wire.TypeEarn, "", 0, map[string]any{"member": "x", "points": 1, "poison": true})
}

// Write appends a record and books points as told to the member.
func (t *Till) Write(typ wire.Type, member string, points int64, payload any) (outbox.Appended, error) {
	var a outbox.Appended
	err := t.DB.Update(func(tx *bbolt.Tx) error {
		if points != 0 {
			b := tx.Bucket(bucketSold)
			var n int64
			if v := b.Get([]byte(member)); v != nil {
				n = int64(binary.BigEndian.Uint64(v))
			}
			if err := b.Put([]byte(member), binary.BigEndian.AppendUint64(nil, uint64(n+points))); err != nil {
				return err
			}
		}
		var err error
		a, err = t.Box.Append(tx, outbox.Entry{Type: typ, Receipt: "r/1", Payload: payload})
		return err
	})
	return a, err
}

// SellMany sells n times in one transaction.
func (t *Till) SellMany(member string, points int64, n int) error {
	return t.DB.Update(func(tx *bbolt.Tx) error {
		for range n {
			if _, err := t.Box.Append(tx, outbox.Entry{Type: wire.TypeEarn, Receipt: "r/1",
				Payload: map[string]any{"member": member, "points": points}}); err != nil {
				return err
			}
		}
		b := tx.Bucket(bucketSold)
		var have int64
		if v := b.Get([]byte(member)); v != nil {
			have = int64(binary.BigEndian.Uint64(v))
		}
		return b.Put([]byte(member), binary.BigEndian.AppendUint64(nil, uint64(have+points*int64(n))))
	})
}

// Sold is what the till has told its customers.
func (t *Till) Sold() (map[string]int64, error) {
	out := map[string]int64{}
	err := t.DB.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketSold).ForEach(func(k, v []byte) error {
			out[string(k)] = int64(binary.BigEndian.Uint64(v))
			return nil
		})
	})
	return out, err
}

// Items lists what was applied of a lane, in order.
func (t *Till) Items(lane wire.Lane) ([]json.RawMessage, error) {
	var out []json.RawMessage
	err := t.DB.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketItems).Cursor()
		prefix := []byte(string(lane) + "/")
		for k, v := c.Seek(prefix); k != nil && string(k[:min(len(prefix), len(k))]) == string(prefix); k, v = c.Next() {
			out = append(out, append(json.RawMessage(nil), v...))
		}
		return nil
	})
	return out, err
}

// ForkedBy is the reason given to Forked, empty when it was never called.
func (t *Till) ForkedBy() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.forked
}

// Cursors implements uplink.Applier.
func (t *Till) Cursors(context.Context) (map[wire.Lane]uint64, error) {
	out := map[wire.Lane]uint64{}
	err := t.DB.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketCursors).ForEach(func(k, v []byte) error {
			out[wire.Lane(k)] = binary.BigEndian.Uint64(v)
			return nil
		})
	})
	return out, err
}

// Apply implements uplink.Applier.
func (t *Till) Apply(_ context.Context, f *wire.Feed) error {
	if t.Refuse != nil {
		if err := t.Refuse(f); err != nil {
			return err
		}
	}
	return t.DB.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketCursors)
		have := uint64(0)
		if v := c.Get([]byte(f.Lane)); v != nil {
			have = binary.BigEndian.Uint64(v)
		}
		if have != f.After && !f.Reset {
			return errors.New("feed does not start at the cursor")
		}
		items := tx.Bucket(bucketItems)
		for _, it := range f.Items {
			n, err := items.NextSequence()
			if err != nil {
				return err
			}
			if err := items.Put(fmt.Appendf(nil, "%s/%016x", f.Lane, n), it); err != nil {
				return err
			}
		}
		return c.Put([]byte(f.Lane), binary.BigEndian.AppendUint64(nil, f.Upto))
	})
}

// Session implements uplink.Applier.
func (t *Till) Session(_ context.Context, s wire.SessionStart) error {
	_, err := t.Write(wire.TypeSession, "", 0, s)
	return err
}

// Forked implements uplink.Applier.
func (t *Till) Forked(_ context.Context, reason string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forked = reason
	return nil
}

var _ uplink.Applier = (*Till)(nil)
