package till

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// returnBody names a receipt of this till and the lines that come back.
type returnBody struct {
	Original string       `json:"original"`
	Lines    []ReturnLine `json:"lines"`
	Fiscal   string       `json:"fiscal_number,omitempty"`
	Shift    string       `json:"shift,omitempty"`
	Cashier  string       `json:"cashier,omitempty"`
}

// ReturnAnswer is what a return gives back and takes back.
type ReturnAnswer struct {
	Original string          `json:"original"`
	State    store.State     `json:"state"`
	Seq      uint64          `json:"seq,omitempty"`
	Result   *loyalty.Result `json:"result"`
}

// returning prices a return against the stored receipt and earlier returns.
func (t *Till) returning(b *returnBody) (*store.Receipt, *loyalty.Result, store.State, error) {
	rules := t.c.Rules()
	if rules == nil {
		return nil, nil, "", refuse("no_rulebook")
	}
	if len(b.Lines) == 0 || len(b.Lines) > 10_000 {
		return nil, nil, "", refuse("return_refused", "name the lines that come back").at("lines")
	}
	r, err := t.stored(b.Original)
	switch {
	case err != nil:
		return nil, nil, "", err
	case r == nil:
		return nil, nil, "", refuse("unknown_receipt").at("original")
	case r.State != store.Captured && r.State != store.PartlyReturned:
		return nil, nil, "", refuse("wrong_state", r.State).at("original")
	}
	var orig loyalty.Result
	if err := json.Unmarshal(r.Result, &orig); err != nil {
		return nil, nil, "", fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
	}
	var already []*loyalty.Result
	for _, x := range r.Returns {
		var one loyalty.Result
		if err := json.Unmarshal(x.Result, &one); err != nil {
			return nil, nil, "", fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
		}
		already = append(already, &one)
	}
	res, err := rules.Return(&orig, already, b.Lines)
	if err != nil {
		return nil, nil, "", err
	}
	left := map[string]loyalty.Quantity{}
	for _, l := range orig.Lines {
		left[l.ID] += l.Quantity
	}
	for _, x := range append(already, res) {
		for _, l := range x.Lines {
			left[l.ID] -= max(l.Quantity, -l.Quantity)
		}
	}
	state := store.Returned
	for _, q := range left {
		if q != 0 {
			state = store.PartlyReturned
		}
	}
	return r, res, state, nil
}

func (t *Till) returnCalculate(_ context.Context, b *returnBody) (*ReturnAnswer, error) {
	_, res, state, err := t.returning(b)
	if err != nil {
		return nil, err
	}
	return &ReturnAnswer{Original: b.Original, State: state, Result: res}, nil
}

func (t *Till) returnCapture(ctx context.Context, c *call, b *returnBody) (*reply, error) {
	unlock, err := t.sales.lock(ctx, b.Original)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, res, state, err := t.returning(b)
	if err != nil {
		return nil, err
	}
	mark := r.Mark
	rec := wire.Return{Original: r.ID, Reverses: &mark, Member: memberText(r.Member), CardRef: r.Card, Lines: mustJSON(b.Lines),
		Result: mustJSON(settled(res)), Moves: reversal(res), Offline: !t.c.Link.Online(), Fiscal: b.Fiscal, Shift: b.Shift,
		Cashier: b.Cashier, At: t.c.Now()}
	a := ReturnAnswer{Original: r.ID, State: state, Result: lasting(res)}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		at, err := tx.Append(outbox.Entry{Type: wire.TypeReturn, Receipt: r.ID, Payload: rec})
		if err != nil {
			return nil, err
		}
		a.Seq = at.Seq
		here := wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}
		r.State = state
		r.Returns = append(r.Returns, store.Return{Lines: mustJSON(b.Lines), Result: mustJSON(lasting(res)), Mark: here, At: t.stamp()})
		if err := tx.PutReceipt(r); err != nil {
			return nil, err
		}
		if r.Member != nil || !r.Card.IsZero() {
			d := &store.Delta{Mark: here, Result: moving(res), Reverse: true, At: t.c.Now()}
			if err := tx.AddDelta(store.SubjectOf(r.Member, r.Card), d); err != nil {
				return nil, err
			}
		}
		n := count(res, -1)
		n.Receipts, n.Returns = 0, 1
		return a, tx.CountShift(b.Shift, n)
	})
	if err == nil {
		t.events.state(r.ID, state)
	}
	return out, err
}
