package till

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/drivers"
)

// What a part of this program needs that reads sales off a line instead of
// being told them (package passthrough): who stands at the till, and the lines
// of a receipt for a printer that is not the agent's own.

// atTheTill is the customer identified last, until she has bought.
type atTheTill struct {
	mu    sync.Mutex
	token string
	since time.Time
	watch []func()
}

func (c *atTheTill) set(token string, now time.Time) {
	c.mu.Lock()
	c.token, c.since = token, now
	watch := c.watch
	c.mu.Unlock()
	for _, f := range watch {
		f()
	}
}

// Customer is the member token of who was identified last, by card or by a
// program, and when; empty when she has bought, or nobody came.
func (t *Till) Customer() (token string, since time.Time) {
	t.customer.mu.Lock()
	defer t.customer.mu.Unlock()
	return t.customer.token, t.customer.since
}

// WatchCustomer registers a function that is called when somebody was
// identified or has gone. Call it before Run.
func (t *Till) WatchCustomer(f func()) {
	t.customer.mu.Lock()
	defer t.customer.mu.Unlock()
	t.customer.watch = append(t.customer.watch, f)
}

// CustomerDone says that the customer of a token has bought. Somebody
// identified since then stays.
func (t *Till) CustomerDone(token string) {
	t.customer.mu.Lock()
	same := t.customer.token == token
	t.customer.mu.Unlock()
	if same {
		t.customer.set("", time.Time{})
	}
}

// Lines lays the loyalty lines of a receipt out that was authorised or
// captured.
func (t *Till) Lines(_ context.Context, id string, p receipt.Paper) ([]drivers.Block, error) {
	r, err := t.stored(id)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fmt.Errorf("receipt %s is not known", id)
	}
	lines, err := t.paragraphs(r, 0)
	if err != nil {
		return nil, err
	}
	return Blocks(p.Layout(lines)), nil
}

// TellPassthrough tells how reading along goes.
func (t *Till) TellPassthrough(text string) { t.events.send(Event{Type: "passthrough", Text: text}) }
