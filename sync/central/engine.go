package central

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/rulebook"
)

// Engine is the tills' rule engine as the centre uses it: to check a rulebook
// before it is published, and to move what members have besides points.
// It is safe for concurrent use.
type Engine struct {
	db *db.DB
}

// NewEngine makes an engine on the published rulebooks of a database.
func NewEngine(d *db.DB) *Engine { return &Engine{db: d} }

// Check tells whether a document may be published.
func (e *Engine) Check(payload []byte) (rulebook.Checked, error) {
	var doc struct {
		Programme struct {
			ID string `json:"id"`
		} `json:"programme"`
		Rules   []json.RawMessage `json:"rules"`
		Vectors []json.RawMessage `json:"vectors"`
	}
	if err := json.Unmarshal(payload, &doc); err != nil {
		return rulebook.Checked{}, fmt.Errorf("rulebook: %w", err)
	}
	if doc.Programme.ID == "" {
		return rulebook.Checked{}, errors.New("rulebook: programme.id is missing")
	}
	return rulebook.Checked{Programme: doc.Programme.ID, Rules: len(doc.Rules), Vectors: len(doc.Vectors)}, nil
}

// Advance returns the member after a captured receipt, by what the result
// says it did.
func (e *Engine) Advance(bundle int64, m *loyalty.Member, r *loyalty.Result, at time.Time) (*loyalty.Member, error) {
	next := *m
	next.Counters = map[string]map[string]int64{}
	for name, days := range m.Counters {
		next.Counters[name] = maps.Clone(days)
	}
	for _, c := range r.Counters {
		if next.Counters[c.Counter] == nil {
			next.Counters[c.Counter] = map[string]int64{}
		}
		next.Counters[c.Counter][c.Day] += c.Add
	}
	next.Stamps = maps.Clone(m.Stamps)
	for _, s := range r.Stamps {
		if next.Stamps == nil {
			next.Stamps = map[string]int64{}
		}
		next.Stamps[s.Card] = s.Held
	}
	if t := r.Tier; t != nil && t.After != "" && t.After != m.Tier {
		next.Tier, next.TierSince, next.TierUntil = t.After, at.Format(time.DateOnly), t.Until
	}
	return &next, nil
}
