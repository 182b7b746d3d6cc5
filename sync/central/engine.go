package central

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/rulebook"
)

// Engine is the tills' rule engine as the centre uses it: to check a rulebook
// before it is published, and to move what members have besides points by the
// very rulebook a till priced with. It is safe for concurrent use.
type Engine struct {
	db *db.DB

	mu    sync.Mutex
	books map[int64]*loyalty.Rulebook // versions never change once published
}

var _ ledger.Rules = (*Engine)(nil)

// NewEngine makes an engine on the published rulebooks of a database.
func NewEngine(d *db.DB) *Engine { return &Engine{db: d, books: map[int64]*loyalty.Rulebook{}} }

// BadRulebook is every problem of a document that may not be published.
type BadRulebook struct{ Err error }

func (e *BadRulebook) Error() string { return e.Err.Error() }
func (e *BadRulebook) Unwrap() error { return e.Err }

// Check tells whether a document may be published: whether it decodes and
// compiles, and its test vectors come out as they say.
func (e *Engine) Check(payload []byte) (rulebook.Checked, error) {
	doc, err := loyalty.Decode(payload)
	if err != nil {
		return rulebook.Checked{}, &BadRulebook{err}
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		return rulebook.Checked{}, &BadRulebook{err}
	}
	if err := rb.Publishable(); err != nil {
		return rulebook.Checked{}, &BadRulebook{err}
	}
	if err := rb.CheckVectors(); err != nil {
		return rulebook.Checked{}, &BadRulebook{err}
	}
	c := rulebook.Checked{Programme: doc.Programme.ID, Rules: len(doc.Rules), Vectors: len(doc.Vectors)}
	for _, w := range rb.Conflicts() {
		c.Warnings = append(c.Warnings, w.String())
	}
	return c, nil
}

// mostBooks bounds the compiled rulebooks kept: tills lag a version or two.
const mostBooks = 8

// book returns a compiled version.
func (e *Engine) book(version int64) (*loyalty.Rulebook, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if rb := e.books[version]; rb != nil {
		return rb, nil
	}
	if version == 0 {
		return nil, errors.New("the till had no rulebook")
	}
	var payload []byte
	// A reader of its own: this is called inside the ledger's transaction,
	// and what was published before it does not change.
	err := e.db.Read(context.Background(), func(tx *db.Tx) error {
		b, err := rulebook.Get(tx, version)
		if err == nil {
			payload = b.Payload
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rulebook %d: %w", version, err)
	}
	doc, err := loyalty.Decode(payload)
	if err != nil {
		return nil, fmt.Errorf("rulebook %d: %w", version, err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		return nil, fmt.Errorf("rulebook %d: %w", version, err)
	}
	if len(e.books) >= mostBooks {
		clear(e.books)
	}
	e.books[version] = rb
	return rb, nil
}

// guard turns a panic of the engine into an error: a till's odd result must
// not stop the books.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the engine broke: %v", p)
	}
}

// Advance is the member after a captured receipt.
func (e *Engine) Advance(bundle int64, m *loyalty.Member, r *loyalty.Result, at time.Time) (next *loyalty.Member, err error) {
	rb, err := e.book(bundle)
	if err != nil {
		return nil, err
	}
	defer guard(&err)
	return rb.Prune(rb.Apply(m, r, at), loyalty.DateOf(at)), nil
}

// Return is the member after goods came back.
func (e *Engine) Return(bundle int64, m *loyalty.Member, r *loyalty.ReturnResult, at time.Time) (next *loyalty.Member, err error) {
	rb, err := e.book(bundle)
	if err != nil {
		return nil, err
	}
	defer guard(&err)
	return rb.Review(rb.ApplyReturn(m, r, at), loyalty.DateOf(at)), nil
}

// Void is the member after a receipt was taken back whole.
func (e *Engine) Void(bundle int64, m *loyalty.Member, r *loyalty.Result, already []*loyalty.ReturnResult, at time.Time) (next *loyalty.Member, err error) {
	rb, err := e.book(bundle)
	if err != nil {
		return nil, err
	}
	defer guard(&err)
	rest, err := rb.Return(r, already, nil)
	if err != nil {
		return nil, err
	}
	return rb.Review(rb.ApplyReturn(m, rest, at), loyalty.DateOf(at)), nil
}

// Replay is what a return of lines gives and takes by the rulebook of the sale.
func (e *Engine) Replay(bundle int64, sale *loyalty.Result, before *loyalty.ReturnResult, lines []loyalty.ReturnLine) (r *loyalty.ReturnResult, err error) {
	rb, err := e.book(bundle)
	if err != nil {
		return nil, err
	}
	defer guard(&err)
	return rb.Return(sale, []*loyalty.ReturnResult{before}, lines)
}

// Shortfall is the rulebook's word on points that cannot be taken back.
func (e *Engine) Shortfall(bundle int64) string {
	rb, err := e.book(bundle)
	if err != nil {
		return ""
	}
	return rb.Programme().Settings.Shortfall
}

// Explain says in sentences why a receipt came out as it did, from its stored
// result and the words of the rulebook it was priced with.
func (e *Engine) Explain(bundle int64, r *loyalty.Result, language string) (x *loyalty.Explanation, err error) {
	rb, err := e.book(bundle)
	if err != nil {
		return nil, err
	}
	defer guard(&err)
	return rb.Explain(r, language), nil
}
