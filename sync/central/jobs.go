package central

import (
	"context"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/wire"
)

// heads is the newest number of each lane.
type heads struct{ urgent, bundle, member, lease, command, release int64 }

func (s *Server) heads(ctx context.Context) (h heads, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		for _, c := range []struct {
			name string
			to   *int64
		}{{"urgent", &h.urgent}, {"bundle", &h.bundle}, {"feed", &h.member}, {"lease", &h.lease}, {"command", &h.command}, {"release", &h.release}} {
			var err error
			if *c.to, err = tx.Counter(c.name); err != nil {
				return err
			}
		}
		return nil
	})
	return h, err
}

// watch wakes the sessions when a lane has something new, whichever process
// wrote it, and ends the sessions of devices that were revoked.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	var last heads
	for {
		h, err := s.heads(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("looking for changes", "error", err)
		case h != last:
			var lanes []wire.Lane
			if h.urgent != last.urgent {
				lanes = append(lanes, wire.LaneUrgent)
			}
			if h.bundle != last.bundle {
				lanes = append(lanes, wire.LaneRulebook)
			}
			if h.member != last.member {
				lanes = append(lanes, wire.LaneMember)
			}
			if h.lease != last.lease {
				lanes = append(lanes, wire.LaneLease)
			}
			if h.release != last.release {
				lanes = append(lanes, wire.LaneProgram)
			}
			if h.command != last.command {
				lanes = append(lanes, wire.LaneCommand)
			}
			last = h
			s.hub.WakeAll(lanes...)
		}
		if err := s.dropRevoked(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("looking for revoked devices", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) dropRevoked(ctx context.Context) error {
	online := s.hub.Online()
	if len(online) == 0 {
		return nil
	}
	var gone []string
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		for _, id := range online {
			d, err := fleet.ByID(tx, id)
			if err != nil {
				return err
			}
			if d.State == fleet.Revoked {
				gone = append(gone, id)
			}
		}
		return nil
	})
	for _, id := range gone {
		s.drop(id)
	}
	return err
}

func (s *Server) drop(device string) {
	s.hub.Drop(device, wire.Refuse{Code: wire.RefuseRevoked, Message: "this device was revoked"})
}

// lend hands out leases as members change, beside everything else.
func (s *Server) lend(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	l := &leaser{Server: s, t: s.cfg.Leases}
	for {
		n, err := l.pass(ctx)
		if n > 0 {
			s.hub.WakeAll(wire.LaneLease, wire.LaneMember)
		}
		if err == nil {
			err = l.oldLeases(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("handing out leases", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// days does what a new day asks for, and sweeps the feed. It looks every
// minute: a day begins when the clock says so, also after a standstill.
func (s *Server) days(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.day(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("day's work", "error", err)
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("sweeping the feed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) day(ctx context.Context) error {
	const some = 500 // lots to a transaction: tills' batches go between
	for {
		n := 0
		err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
			n, err = s.ledger.RunDay(tx, some)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		s.log.Info("points activated or expired", "lots", n)
	}
}

// sweep removes rows of the feed that a later row of the same member has
// overtaken, a stretch at a time.
func (s *Server) sweep(ctx context.Context) error {
	const stretch = 20_000
	for {
		done := false
		err := s.db.Write(ctx, func(tx *db.Tx) error {
			swept, err := tx.Counter("feed_swept")
			if err != nil {
				return err
			}
			// The newest rows are left alone: sessions are about to read them.
			var upto int64
			ok, err := tx.Row(`SELECT n FROM feed WHERE n > ? ORDER BY n LIMIT 1 OFFSET ?`, []any{swept, stretch}, &upto)
			if done = !ok; err != nil || done {
				return err
			}
			err = tx.Exec(`DELETE FROM feed WHERE n > ? AND n <= ? AND EXISTS
				(SELECT 1 FROM member_state s WHERE s.member = feed.member AND s.changed > feed.n)`, swept, upto)
			if err != nil {
				return err
			}
			_, err = tx.Next("feed_swept", upto-swept)
			return err
		})
		if err != nil || done {
			return err
		}
	}
}
