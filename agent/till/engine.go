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
	if err != nil {
		return nil, "compile", err
	}
	return &engine{rb, version}, "", nil
}

func (e *engine) Version() string  { return e.rb.Version() }
func (e *engine) Number() int64    { return e.version }
func (e *engine) Currency() string { return e.rb.Programme().Programme.Currency }

// Price implements Rules. What the engine refuses is the caller's
// mistake, told with the field.
func (e *engine) Price(p Pricing) (*loyalty.Result, error) {
	r, err := e.rb.Price(loyalty.Input{Receipt: p.Receipt, Member: p.Member, Offline: p.Offline, Language: p.Language, Now: p.Now})
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

func (e *engine) Apply(m *loyalty.Member, r *loyalty.Result, at time.Time) *loyalty.Member {
	return e.rb.Apply(m, r, at)
}

// Reverse takes back what Apply moved. Points are the till's own business;
// counters and stamps go back, a used coupon may be used again.
func (e *engine) Reverse(m *loyalty.Member, r *loyalty.Result, _ time.Time) *loyalty.Member {
	back := &loyalty.Result{}
	for _, c := range r.Counters {
		c.Add = -c.Add
		back.Counters = append(back.Counters, c)
	}
	n := e.rb.Apply(m, back, m.LastSeen)
	for _, s := range r.Stamps {
		n.Stamps[s.Card] = s.Held - s.Added
	}
	return n
}

// Return implements Rules.
func (e *engine) Return(*loyalty.Result, []*loyalty.Result, []ReturnLine) (*loyalty.Result, error) {
	return nil, errors.New("returns are not offered by this engine")
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
		for _, l := range doc.Tiers.Levels {
			if l.ID != m.Tier {
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
