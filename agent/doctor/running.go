package doctor

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/store"
)

// running: does one agent work on this folder, and only one?
func running(_ context.Context, p *Patient) []Finding {
	if s := p.status; s != nil {
		var all []Finding
		if p.Version != "" && s.Version != p.Version {
			all = append(all, warn("version_differs", "start it again: tillside service restart", "the running agent is %s, this program is %s", s.Version, p.Version))
		}
		for _, w := range s.Warnings {
			switch {
			case told[w.Code]: // by a check of its own
			case w.Severity == health.Bad:
				all = append(all, fail(w.Code, "", "%s %s", w.Title, w.Text))
			default:
				all = append(all, warn(w.Code, "", "%s %s", w.Title, w.Text))
			}
		}
		if len(all) > 0 {
			return all
		}
		return fine("%s runs since %s", s.Version, s.Started.Local().Format(time.DateTime))
	}
	err := store.Free(filepath.Join(p.Settings.Data, "journal.db"))
	if errors.Is(err, store.ErrInUse) {
		return []Finding{fail("agent_silent", "look for a second tillside on this data folder and stop it; else: tillside service restart",
			"something holds the data folder and does not answer: %v", p.asked)}
	}
	return []Finding{fail("agent_stopped", "tillside service start (or tillside run, to see what it says)", "the agent does not run; the till sells on without loyalty")}
}

// told are warnings that a check has a better word for.
var told = map[string]bool{
	"not_enrolled": true, "link_down": true, "link_refused": true, "queue_old": true, "record_parked": true, "no_rulebook": true,
	"rulebook_old": true, "rulebook_rejected": true, "device_down": true, "clock_untrusted": true, "disk_low": true, "disk_full": true,
}
