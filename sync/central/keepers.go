package central

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/wire"
)

// Each store has a keeper: the one till that holds the store's leases, and
// that the other tills of the store ask when the link is down. Appointing one
// is the centre's decision alone, with a term that grows.
//
// Two tills can never spend the same lease, whoever believes to be keeper: a
// lease belongs to the device and epoch it was granted to, for ever, and only
// that device's journal spends it. A new keeper gets new leases, out of
// points that the old one's do not hold; the old one's are asked back and come
// when it is heard again. So a change of keepers costs reach, not safety, and
// is made only when the old keeper has been gone for a while and another till
// of the store is connected.

// keeperPatience is how long a keeper may be gone before another is made.
const keeperPatience = 30 * time.Minute

// appoint sees to it that every store with a connected till has a keeper.
func (s *Server) appoint(ctx context.Context) error {
	online := s.hub.Online()
	if len(online) == 0 {
		return nil
	}
	var due []fleet.Keeper
	look := func(tx *db.Tx) error {
		due = nil
		devices, err := fleet.Devices(tx)
		if err != nil {
			return err
		}
		keepers, err := fleet.Keepers(tx)
		if err != nil {
			return err
		}
		byNo, best := map[int64]*fleet.Device{}, map[string]*fleet.Device{}
		for _, d := range devices {
			byNo[d.No] = d
			if d.State == fleet.Active && slices.Contains(online, d.ID) && (best[d.Store] == nil || d.No < best[d.Store].No) {
				best[d.Store] = d
			}
		}
		for _, store := range slices.Sorted(maps.Keys(best)) {
			d := best[store]
			k, have := keepers[store]
			now := byNo[k.Device]
			gone := !have || now == nil || now.State != fleet.Active || now.Store != store ||
				!slices.Contains(online, now.ID) && s.cfg.Now().Sub(now.LastSeen) > keeperPatience
			if gone {
				due = append(due, fleet.Keeper{Store: store, Device: d.No, Term: k.Term + 1, Since: s.cfg.Now()})
			}
		}
		return nil
	}
	changed := 0
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		if err = look(tx); err == nil {
			changed, err = fleet.TellRosters(tx, false)
		}
		return err
	})
	if err != nil || len(due)+changed == 0 {
		return err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := look(tx); err != nil {
			return err
		}
		for _, k := range due {
			if err := fleet.SetKeeper(tx, k); err != nil {
				return err
			}
			s.log.Info("keeper appointed", "store", k.Store, "device", k.Device, "term", k.Term)
		}
		_, err := fleet.TellRosters(tx, true)
		return err
	})
	if err == nil {
		s.hub.WakeAll(wire.LaneCommand)
	}
	return err
}
