package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
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
	// fell gets the version of a rulebook that broke the engine at work; it must
	// not be waited for, a customer is. nil: nobody.
	fell chan brokenRules
}

// brokenRules is a rulebook that passed its vectors and then broke the engine.
type brokenRules struct {
	version int64
	why     string
}

type active struct {
	till.Rules
	version int64
	before  till.Rules // what was in force; nil: nothing
}

// Rules gives the rulebook in force, nil when there is none.
func (r *rulebooks) Rules() till.Rules {
	if a := r.current.Load(); a != nil {
		return watched{a.Rules, a, r}
	}
	return nil
}

// watched is a rulebook at work. One that passed its vectors and breaks the
// engine on a customer's basket is put out of force on the spot, and the basket
// is priced by the one before. (I27)
type watched struct {
	till.Rules
	a *active
	r *rulebooks
}

func (w watched) Price(p till.Pricing) (res *loyalty.Result, err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		before := w.r.back(w.a, v)
		if before == nil {
			panic(v) // the till sells this basket without loyalty
		}
		res, err = before.Price(p)
	}()
	return w.Rules.Price(p)
}

// back puts the rulebook before a broken one in force and gives it; nil when
// there is none.
func (r *rulebooks) back(broken *active, why any) till.Rules {
	if broken.before != nil {
		r.current.CompareAndSwap(broken, &active{Rules: broken.before, version: broken.before.Number()})
	} else {
		r.current.CompareAndSwap(broken, nil)
	}
	select {
	case r.fell <- brokenRules{broken.version, fmt.Sprint(why)}:
	default: // said already
	}
	return broken.before
}

// number is the version in force, 0 when there is none.
func (r *rulebooks) number() int64 {
	if a := r.current.Load(); a != nil {
		return a.version
	}
	return 0
}

func (r *rulebooks) activate(rules till.Rules) {
	next := &active{Rules: rules, version: rules.Number()}
	if a := r.current.Load(); a != nil {
		next.before = a.Rules
	}
	r.current.Store(next)
}

// check verifies, decodes, compiles and tries a bundle. The reason is the
// machine word of a BUNDLE_REJECTED record. A rule that panics is a bad rule,
// not a dead agent.
func (r *rulebooks) check(b *wire.Bundle) (rules till.Rules, reason string, err error) {
	err = r.keys.ask(func(st *trust.State) error { return st.Bundle(b, r.store, r.now()) })
	if err != nil {
		return nil, cmp.Or(trust.Reason(err), "signature"), err
	}
	if rules, reason, err = compile(b); err != nil {
		return nil, reason, err
	}
	defer func() {
		if p := recover(); p != nil {
			rules, reason, err = nil, "vectors", fmt.Errorf("the rulebook breaks the engine: %v", p)
		}
	}()
	if err := till.Try(rules); err != nil {
		return nil, "vectors", err
	}
	return rules, "", nil
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
	known := false
	if err := r.keys.ask(func(st *trust.State) error { known = st.InForce(&b); return nil }); err != nil || known {
		return err
	}
	return r.keys.accept(&b) // cut between the cache and the memory of it, or the one before
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
