package fleet

import (
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
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

// SetKeeper appoints a keeper.
func SetKeeper(tx *db.Tx, k Keeper) error {
	return tx.Exec(`INSERT INTO store_keeper (store, device, term, since) VALUES (?,?,?,?)
		ON CONFLICT (store) DO UPDATE SET device = excluded.device, term = excluded.term, since = excluded.since`, k.Store, k.Device, k.Term, db.Millis(k.Since))
}

// Rosters makes the rosters of all stores as they are now: the devices that
// may speak, and the keeper.
func Rosters(tx *db.Tx) (map[string]*wire.StoreRoster, error) {
	devices, err := Devices(tx)
	if err != nil {
		return nil, err
	}
	keepers, err := Keepers(tx)
	if err != nil {
		return nil, err
	}
	all := map[string]*wire.StoreRoster{}
	for _, d := range devices {
		r := all[d.Store]
		if r == nil {
			r = &wire.StoreRoster{Store: d.Store, Tills: []wire.StoreTill{}}
			if k, ok := keepers[d.Store]; ok {
				r.Term = uint64(k.Term)
			}
			all[d.Store] = r
		}
		if d.State != Active || len(r.Tills) == wire.MostStoreTills {
			continue
		}
		r.Tills = append(r.Tills, wire.StoreTill{Device: d.ID, Epoch: d.Epoch, Till: d.Till, Key: d.Key})
		if k, ok := keepers[d.Store]; ok && k.Device == d.No {
			r.Keeper = d.ID
		}
	}
	return all, nil
}

// TellRosters notes which rosters changed since the tills were told, and tells
// how many did. Stores with one till have nobody to be told of.
func TellRosters(tx *db.Tx, write bool) (int, error) {
	now, err := Rosters(tx)
	if err != nil {
		return 0, err
	}
	told := map[string]string{}
	err = tx.Rows(`SELECT store, roster FROM store_roster`, nil, func(r *sql.Rows) error {
		var store, roster string
		err := r.Scan(&store, &roster)
		told[store] = roster
		return err
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, store := range slices.Sorted(maps.Keys(now)) {
		raw, err := json.Marshal(now[store])
		if err != nil {
			return n, err
		}
		if string(raw) == told[store] || len(now[store].Tills) < 2 && told[store] == "" {
			continue
		}
		n++
		if !write {
			continue
		}
		no, err := tx.Next("command", 1)
		if err == nil {
			err = tx.Exec(`INSERT INTO store_roster (store, n, roster) VALUES (?,?,?) ON CONFLICT (store) DO UPDATE SET n = excluded.n, roster = excluded.roster`, store, no, string(raw))
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Roster is what the tills of a store are told, and its number; nil when they
// were told nothing after that number.
func Roster(tx *db.Tx, store string, after uint64) (json.RawMessage, uint64, error) {
	var n int64
	var raw string
	ok, err := tx.Row(`SELECT n, roster FROM store_roster WHERE store = ?`, []any{store}, &n, &raw)
	if err != nil || !ok || uint64(n) <= after {
		return nil, 0, err
	}
	return json.RawMessage(raw), uint64(n), nil
}

// StoreMarks tells up to where the records of a store's other tills are
// applied.
func StoreMarks(tx *db.Tx, store, but string) (map[string]wire.Mark, error) {
	var all map[string]wire.Mark
	err := tx.Rows(`SELECT id, epoch, acked_seq FROM device WHERE store = ? AND id <> ? AND state = 'active' AND acked_seq > 0`, []any{store, but}, func(r *sql.Rows) error {
		var id string
		var m wire.Mark
		err := r.Scan(&id, &m.Epoch, &m.Seq)
		if all == nil {
			all = map[string]wire.Mark{}
		}
		all[id] = m
		return err
	})
	return all, err
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
