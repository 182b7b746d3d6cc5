package doctor

import (
	"context"
	"time"
)

// queue: does what happened here reach the centre?
func queue(_ context.Context, p *Patient) []Finding {
	s := p.status
	if s == nil {
		return notAsked("what waits")
	}
	var all []Finding
	l := s.Link
	if l.Parked > 0 {
		all = append(all, warn("records_parked", "nothing is lost; central IT sees them under \"Needs a look\"", "the centre put %s aside", count(l.Parked, "record")))
	}
	if l.Oldest != nil && p.now().Sub(*l.Oldest) > time.Duration(p.Settings.Health.QueueAge) {
		all = append(all, warn("queue_old", "mend the link; nothing is lost meanwhile", "%d records wait, the oldest since %s", l.Queued, l.Oldest.Local().Format(time.DateTime)))
	}
	if len(all) > 0 {
		return all
	}
	return fine("%d of %d records are at the centre", s.Journal.Acked, s.Journal.Seq)
}

// rulebook: is there one, and has the centre been heard of lately?
func rulebook(_ context.Context, p *Patient) []Finding {
	s := p.status
	if s == nil {
		return notAsked("which rulebook is in force")
	}
	if s.Rulebook.Version == "" {
		return []Finding{fail("rulebook_none", "it comes with the first contact; at the centre: tillside-central rulebook publish", "no rulebook yet: sales go without loyalty")}
	}
	var all []Finding
	for _, w := range s.Warnings {
		switch w.Code {
		case "rulebook_rejected":
			all = append(all, warn("rulebook_rejected", "central IT must publish a sound one; the last good one stays in force", "a newer one was rejected: %s", w.Text))
		case "rulebook_old":
			all = append(all, warn("rulebook_old", "mend the link: nobody knows whether this is still the newest", "%s, and %s", s.Rulebook.Version, w.Text))
		}
	}
	if len(all) > 0 {
		return all
	}
	return fine("%s is in force", s.Rulebook.Version)
}
