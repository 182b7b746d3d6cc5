package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

// rulebooks holds the rulebook in force and decides what may replace it.
type rulebooks struct {
	store   string // the store's name, for bundles meant for some stores only
	keys    *keyring
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
	err = r.keys.ask(func(st *trust.State) error { return st.Bundle(b, r.store, r.now()) })
	if err != nil {
		return nil, cmp.Or(trust.Reason(err), "signature"), err
	}
	return compile(b)
}

func compile(b *wire.Bundle) (rules till.Rules, reason string, err error) {
	defer func() {
		if p := recover(); p != nil {
			rules, reason, err = nil, "vectors", fmt.Errorf("the rulebook breaks the engine: %v", p)
		}
	}()
	return till.Compile(b.Payload, b.Version)
}

// load activates the bundle that was in force before the restart. It was
// checked when it came; a damaged one is told and the till runs with the one
// before, or without.
func (r *rulebooks) load(c *store.Cache) error {
	version, raw, err := c.Bundle(0)
	if err != nil || version == 0 {
		return err
	}
	first := r.restore(raw)
	if first == nil {
		return nil
	}
	if _, raw, err = c.BundleBefore(); err == nil && raw != nil {
		if err = r.restore(raw); err != nil {
			err = fmt.Errorf("the one before: %w", err)
		}
	}
	return errors.Join(fmt.Errorf("stored rulebook %d: %w", version, first), err)
}

// restore puts a stored bundle into force: one that the keys of now have
// signed, or the very one that was taken last, unless its keys are revoked.
func (r *rulebooks) restore(raw []byte) error {
	var b wire.Bundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return err
	}
	err := r.keys.ask(func(st *trust.State) error {
		if st.InForce(&b) && !st.Disowned(trust.RoleRulebook) {
			return nil
		}
		return st.Signed(&b)
	})
	if err != nil {
		return err
	}
	rules, _, err := compile(&b)
	if err != nil {
		return err
	}
	r.activate(rules)
	return nil
}

// drop takes a rulebook out of force whose keys are revoked. The one before
// takes its place when it is still believed; otherwise the till sells without
// rules until a good one comes.
func (r *rulebooks) drop(c *store.Cache) (dropped bool) {
	err := r.keys.ask(func(st *trust.State) error {
		if r.number() > 0 && st.Disowned(trust.RoleRulebook) {
			dropped = true
		}
		return nil
	})
	if err != nil || !dropped {
		return false
	}
	r.current.Store(nil)
	if _, raw, err := c.BundleBefore(); err == nil && raw != nil {
		_ = r.restore(raw) // without, then
	}
	return true
}
