package agent

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/wire"
)

// rulebooks holds the rulebook in force and decides what may replace it.
type rulebooks struct {
	store   string // the store's name, for bundles meant for some stores only
	keys    []wire.PublicKey
	now     func() time.Time // zero time while the clock is not trusted
	current atomic.Pointer[active]
}

type active struct {
	till.Rules
	version int64
}

// Rules gives the rulebook in force, nil when there is none.
func (r *rulebooks) Rules() till.Rules {
	if a := r.current.Load(); a != nil {
		return a.Rules
	}
	return nil
}

// number is the version in force, 0 when there is none.
func (r *rulebooks) number() int64 {
	if a := r.current.Load(); a != nil {
		return a.version
	}
	return 0
}

func (r *rulebooks) activate(rules till.Rules) {
	r.current.Store(&active{rules, rules.Number()})
}

// check verifies, decodes, compiles and tries a bundle. The reason is the
// machine word of a BUNDLE_REJECTED record. A rule that panics is a bad rule,
// not a dead agent.
func (r *rulebooks) check(b *wire.Bundle) (rules till.Rules, reason string, err error) {
	if err := b.Verify(r.keys); err != nil {
		return nil, "signature", err
	}
	if err := b.Usable(r.number(), r.store, r.now()); err != nil {
		switch {
		case b.Version <= r.number():
			reason = "version"
		case !b.NotAfter.IsZero() && !r.now().IsZero() && r.now().After(b.NotAfter):
			reason = "expired"
		default:
			reason = "scope"
		}
		return nil, reason, err
	}
	defer func() {
		if p := recover(); p != nil {
			rules, reason, err = nil, "vectors", fmt.Errorf("the rulebook breaks the engine: %v", p)
		}
	}()
	return till.Compile(b.Payload, b.Version)
}

// load activates the bundle that was in force before the restart. It was
// checked when it came; a damaged one is told and the till runs without.
func (r *rulebooks) load(c *store.Cache) error {
	version, raw, err := c.Bundle(0)
	if err != nil || version == 0 {
		return err
	}
	var b wire.Bundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return fmt.Errorf("stored rulebook %d: %w", version, err)
	}
	if err := b.Verify(r.keys); err != nil {
		return fmt.Errorf("stored rulebook %d: %w", version, err)
	}
	rules, _, err := till.Compile(b.Payload, b.Version)
	if err != nil {
		return fmt.Errorf("stored rulebook %d: %w", version, err)
	}
	r.activate(rules)
	return nil
}
