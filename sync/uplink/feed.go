package uplink

import (
	"errors"
	"fmt"

	"github.com/tillside/tillside/sync/wire"
)

// feed is the link's goroutine for the way down: one Feed after the other to
// the Applier. Asks and pushes do not wait for it.
func (l *link) feed(cursors map[wire.Lane]uint64) error {
	have := map[wire.Lane]uint64{}
	for lane, c := range cursors {
		have[lane] = c
	}
	for {
		var f *wire.Feed
		select {
		case <-l.ctx.Done():
			return nil
		case f = <-l.feeds:
		}
		if !f.Lane.Known() {
			if err := l.send(&wire.FeedNack{Lane: f.Lane, Reason: wire.FeedUnknown}); err != nil {
				return nil
			}
			continue
		}
		if f.After != have[f.Lane] && !f.Reset {
			if err := l.send(&wire.FeedNack{Lane: f.Lane, Cursor: have[f.Lane], Reason: wire.FeedElsewhere}); err != nil {
				return nil
			}
			continue
		}
		if err := l.s.cfg.Applier.Apply(l.ctx, f); err != nil {
			if l.ctx.Err() != nil {
				return nil
			}
			// Whether it is on disk nobody knows. The session ends, and the
			// next one begins with the cursors as they are.
			if errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrCursors) {
				return fmt.Errorf("apply %s up to %d: %w", f.Lane, f.Upto, err)
			}
			l.s.cfg.Log.Warn("apply feed", "lane", string(f.Lane), "upto", f.Upto, "error", err)
			if err := l.send(&wire.FeedNack{Lane: f.Lane, Cursor: have[f.Lane], Reason: wire.FeedFailed}); err != nil {
				return nil
			}
			continue
		}
		have[f.Lane] = f.Upto
		l.progress.Store(true)
		if err := l.send(&wire.FeedAck{Lane: f.Lane, Cursor: f.Upto}); err != nil {
			return nil
		}
	}
}
