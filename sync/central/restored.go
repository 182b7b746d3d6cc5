package central

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/wire"
)

// A database restored from a copy forgets what it had told the tills after
// the copy was made. Its counters would give the same numbers again, to other
// changes, and a till whose cursor is higher would never hear of them.
//
// So every start moves the counters of the lanes ahead to a number made of
// the time, which no start before can have reached, and notes the gap that it
// leaves. A till that shows a cursor inside a gap has been fed by a database
// that is no more: its lane starts anew and replaces what the till has.

// gap is numbers that this database has never given out: above Before, below
// Base.
type gap struct {
	Before int64 `json:"before"`
	Base   int64 `json:"base"`
}

// mostGaps bounds what is remembered: a hundred starts.
const mostGaps = 100

// counters of the lanes that are numbered here.
var counters = map[wire.Lane]string{wire.LaneMember: "feed", wire.LaneUrgent: "urgent", wire.LaneLease: "lease", wire.LaneCommand: "command"}

// jump moves the counters ahead, a million numbers for every second, and
// returns the gaps of this and earlier starts.
func jump(tx *db.Tx, now time.Time) (map[wire.Lane][]gap, error) {
	gaps := map[wire.Lane][]gap{}
	for lane, name := range counters {
		key := "gaps:" + name
		raw, ok, err := tx.Get(key)
		if err != nil {
			return nil, err
		}
		var all []gap
		if ok {
			if err := json.Unmarshal(raw, &all); err != nil {
				return nil, fmt.Errorf("gaps of %s: %w", name, err)
			}
		}
		before, err := tx.Counter(name)
		if err != nil {
			return nil, err
		}
		if base := now.Unix() << 20; base > before {
			if _, err := tx.Next(name, base-before); err != nil {
				return nil, err
			}
			all = append(all, gap{before, base})
			all = all[max(0, len(all)-mostGaps):]
			if raw, err = json.Marshal(all); err != nil {
				return nil, err
			}
			if err := tx.Set(key, raw); err != nil {
				return nil, err
			}
		}
		gaps[lane] = all
	}
	return gaps, nil
}

// rewind starts a lane anew for a till whose cursor this database never gave.
func (s *Server) rewind(f *wire.Feed, head int64) {
	after := int64(f.After)
	strange := f.After > uint64(head)
	for _, g := range s.gaps[f.Lane] {
		// A till that heard of nothing new stands on a base, not above Before.
		strange = strange || after > g.Before && after < g.Base
	}
	if strange {
		s.log.Warn("a till was fed by another database: its lane starts anew", "lane", f.Lane, "cursor", f.After)
		f.After, f.Upto, f.Reset = 0, 0, true
	}
}

// mostAhead bounds how far a till's word moves the version of the next
// rulebook.
const mostAhead = 1000

// raise sees to it that the next rulebook is above what a till already has:
// tills take no version twice.
func (s *Server) raise(ctx context.Context, p hub.Presence) error {
	var have int64
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) { have, err = tx.Counter("bundle"); return err })
	if err != nil || p.Bundle <= have || p.Bundle > have+mostAhead {
		return err
	}
	s.log.Warn("a till has a newer rulebook than this database: publish again", "theirs", p.Bundle, "ours", have)
	return s.db.Write(ctx, func(tx *db.Tx) error {
		have, err := tx.Counter("bundle")
		if err != nil || p.Bundle <= have {
			return err
		}
		_, err = tx.Next("bundle", p.Bundle-have)
		return err
	})
}
