package doctor

import (
	"context"
	"time"
)

// clock: does this machine know what time it is?
func clock(_ context.Context, p *Patient) []Finding {
	const do = "set the machine's clock, or better have it set itself (NTP); the agent never sets it"
	now := p.now()
	if now.Year() < 2024 {
		return []Finding{fail("clock_wrong", do, "the clock shows %s: a dead battery?", now.Format(time.DateTime))}
	}
	if p.status != nil {
		for _, w := range p.status.Warnings {
			if w.Code == "clock_untrusted" {
				return []Finding{fail("clock_untrusted", "reach the centre once; until then no points are spent and no timed offers given",
					"nobody knows how far the clock is right: it ran back, or the centre was not heard for long")}
			}
		}
	}
	if p.heard.IsZero() {
		return fine("%s; the centre was not heard, so not compared", now.Format(time.DateTime))
	}
	off := now.Sub(p.heard).Round(time.Second)
	switch abs := off.Abs(); {
	case abs > time.Hour:
		return []Finding{fail("clock_wrong", do, "the clock is %s away from the centre's", off)}
	case abs > 2*time.Minute:
		return []Finding{warn("clock_off", do, "the clock is %s away from the centre's", off)}
	}
	return fine("within %s of the centre's", max(off.Abs(), 2*time.Second))
}
