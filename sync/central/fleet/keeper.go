package fleet

import (
	"database/sql"
	"errors"
	"time"

	"github.com/tillside/tillside/sync/central/db"
)

// Keeper is the device that holds a store's leases.
type Keeper struct {
	Store  string
	Device int64
	Term   int64 // grows with every appointment in the store
	Since  time.Time
}

// Keepers lists the keeper of each store.
func Keepers(tx *db.Tx) (map[string]Keeper, error) {
	all := map[string]Keeper{}
	err := tx.Rows(`SELECT store, device, term, since FROM store_keeper ORDER BY store`, nil, func(r *sql.Rows) error {
		var k Keeper
		var since int64
		err := r.Scan(&k.Store, &k.Device, &k.Term, &since)
		k.Since = db.Time(since)
		all[k.Store] = k
		return err
	})
	return all, err
}

// SetKeeper appoints a keeper and has the tills of the store told.
func SetKeeper(tx *db.Tx, k Keeper) error {
	err := tx.Exec(`INSERT INTO store_keeper (store, device, term, since) VALUES (?,?,?,?)
		ON CONFLICT (store) DO UPDATE SET device = excluded.device, term = excluded.term, since = excluded.since`, k.Store, k.Device, k.Term, db.Millis(k.Since))
	if err != nil {
		return err
	}
	return Changed(tx, k.Store)
}

// Changed notes that the tills of a store, or who keeps its leases, changed.
func Changed(tx *db.Tx, store string) error {
	_, err := tx.Next("command", 1)
	return err
}

// KeeperDevice is the device that keeps a store's leases; nil when there is
// none that may.
func KeeperDevice(tx *db.Tx, store string) (*Device, error) {
	var no int64
	if ok, err := tx.Row(`SELECT device FROM store_keeper WHERE store = ?`, []any{store}, &no); err != nil || !ok {
		return nil, err
	}
	d, err := ByNo(tx, no)
	if errors.Is(err, ErrUnknown) || err == nil && (d.State != Active || d.Store != store) {
		return nil, nil
	}
	return d, err
}
