package till

import (
	"errors"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

// engine is a compiled rulebook as the till uses it.
type engine struct {
	rb      *loyalty.Rulebook
	version int64
}

var _ Rules = (*engine)(nil)

// Compile decodes and compiles the payload of a bundle, whose version is that
// of the bundle. The second result is the reason of a refusal.
func Compile(payload []byte, version int64) (Rules, string, error) {
	doc, err := loyalty.Decode(payload)
	if err != nil {
		return nil, "decode", err
	}
	doc.Programme.Version = version
	rb, err := loyalty.Compile(doc)
	if err == nil {
		err = rb.Publishable()
	}
	if err != nil {
		return nil, "compile", err
	}
	return &engine{rb, version}, "", nil
}

// Try runs the test vectors that a rulebook brings along: what its maker expects
// must come out at this till as well.
func Try(r Rules) error {
	if e, ok := r.(*engine); ok {
		return e.rb.CheckVectors()
	}
	return nil
}

func (e *engine) Version() string  { return e.rb.Version() }
func (e *engine) Number() int64    { return e.version }
func (e *engine) Currency() string { return e.rb.Programme().Programme.Currency }

// Price implements Rules. What the engine refuses is the caller's
// mistake, told with the field.
func (e *engine) Price(p Pricing) (*loyalty.Result, error) {
	r, err := e.rb.Price(loyalty.Input{Receipt: p.Receipt, Member: p.Member, Offline: p.Offline, Language: p.Language, Now: p.Now, NoClock: p.NoClock,
		Usage: p.Usage, Budgets: p.Budgets, Leases: p.Leases, NoSpend: p.NoSpend, Credited: p.Credited})
	var bad *loyalty.InputError
	if errors.As(err, &bad) {
		text := bad.What
		if bad.Hint != "" {
			text += "; " + bad.Hint
		}
		return nil, BadReceipt(bad.Field, text)
	}
	return r, err
}

func (e *engine) Offline() loyalty.OfflineLimits { return e.rb.Programme().Offline.Limits() }

func (e *engine) Budgets(at time.Time, store string) []loyalty.BudgetNow {
	return e.rb.Budgets(at, store)
}

func (e *engine) QuotaUses(r *loyalty.Result, store string) []loyalty.QuotaUse {
	return e.rb.QuotaUses(r, store)
}

func (e *engine) ReturnUses(orig *loyalty.Result, r *loyalty.ReturnResult, store string) []loyalty.QuotaUse {
	return e.rb.ReturnUses(orig, r, store)
}

func (e *engine) Apply(m *loyalty.Member, r *loyalty.Result, at time.Time) *loyalty.Member {
	return e.rb.Apply(m, r, at)
}

func (e *engine) ApplyReturn(m *loyalty.Member, r *loyalty.ReturnResult, at time.Time) *loyalty.Member {
	return e.rb.ApplyReturn(m, r, at)
}

// Return implements Rules. How far points may be taken back from somebody who
// has spent them is the ledger's decision: this till may not know it all.
func (e *engine) Return(orig *loyalty.Result, already []*loyalty.ReturnResult, lines []loyalty.ReturnLine) (*loyalty.ReturnResult, error) {
	r, err := e.rb.Return(orig, already, lines)
	var bad *loyalty.InputError
	if errors.As(err, &bad) {
		return nil, refuse("return_refused", bad.What).at(bad.Field)
	}
	return r, err
}

// Shortfall implements Rules.
func (e *engine) Shortfall(orig *loyalty.Result, already []*loyalty.ReturnResult, lines []loyalty.ReturnLine, m *loyalty.Member) ([]loyalty.WalletPoints, error) {
	r, err := e.rb.ReturnFor(orig, already, lines, m)
	if err != nil {
		return nil, err
	}
	return r.Shortfall, nil
}

// in gives a text in a language, or in the first one there is.
func in(t loyalty.Text, language string) string {
	for _, l := range []string{language, "en", ""} {
		if s := t[l]; s != "" {
			return s
		}
	}
	for _, s := range t {
		return s
	}
	return ""
}

// Explain implements Rules.
func (e *engine) Explain(r *loyalty.Result, language string) *loyalty.Explanation {
	return e.rb.Explain(r, language)
}

// Greet implements Rules.
func (e *engine) Greet(m *loyalty.Member, now time.Time, language string) Greeting {
	doc := e.rb.Programme()
	g := Greeting{Wallets: map[string]string{}, Birthday: m.Birthday != "" && m.Birthday == now.Format("01-02")}
	for _, w := range doc.Wallets {
		if !w.Hidden {
			g.Wallets[w.ID] = in(w.Name, language)
		}
	}
	if doc.Tiers != nil {
		at := m.Tier
		if at == "" && len(doc.Tiers.Levels) > 0 {
			at = doc.Tiers.Levels[0].ID // who has no tier yet is in the lowest, as when a basket is priced
		}
		for _, l := range doc.Tiers.Levels {
			if l.ID != at {
				continue
			}
			g.TierName = in(l.Name, language)
			for _, p := range l.Privileges {
				g.Prompts = append(g.Prompts, in(p, language))
			}
		}
	}
	return g
}
