package till

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// returnBody names a receipt of this till and the lines that come back.
type returnBody struct {
	Original string               `json:"original"`
	Lines    []loyalty.ReturnLine `json:"lines"` // a quantity of "0": all that is left of the line
	Fiscal   string               `json:"fiscal_number,omitempty"`
	Shift    string               `json:"shift,omitempty"`
	Cashier  string               `json:"cashier,omitempty"`
}

// ReturnAnswer is what a return gives back and takes back.
type ReturnAnswer struct {
	Original string                `json:"original"`
	State    store.State           `json:"state"` // of the original, after this
	Seq      uint64                `json:"seq,omitempty"`
	Result   *loyalty.ReturnResult `json:"result"`
}

// returning prices a return against the stored receipt and earlier returns.
func (t *Till) returning(b *returnBody) (*store.Receipt, *loyalty.ReturnResult, error) {
	rules := t.c.Rules()
	if rules == nil {
		return nil, nil, refuse("no_rulebook")
	}
	if len(b.Lines) == 0 || len(b.Lines) > 10_000 {
		return nil, nil, refuse("return_refused", "name the lines that come back").at("lines")
	}
	if !goodID(b.Original) {
		return nil, nil, refuse("unknown_receipt").at("original")
	}
	r, err := t.stored(b.Original)
	switch {
	case err != nil:
		return nil, nil, err
	case r == nil:
		return nil, nil, refuse("unknown_receipt").at("original")
	case r.State != store.Captured && r.State != store.PartlyReturned:
		return nil, nil, refuse("wrong_state", r.State).at("original")
	}
	var orig loyalty.Result
	if err := json.Unmarshal(r.Result, &orig); err != nil {
		return nil, nil, fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
	}
	left := map[string]loyalty.Quantity{}
	for _, l := range orig.Lines {
		left[l.ID] = l.Quantity
	}
	var already []*loyalty.ReturnResult
	for _, x := range r.Returns {
		var one loyalty.ReturnResult
		if err := json.Unmarshal(x.Result, &one); err != nil {
			return nil, nil, fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
		}
		already = append(already, &one)
		for _, l := range one.Lines {
			left[l.ID] -= l.Quantity
		}
	}
	lines := slices.Clone(b.Lines)
	for i := range lines {
		if lines[i].Quantity == 0 {
			lines[i].Quantity = left[lines[i].ID]
		}
	}
	res, err := rules.Return(&orig, already, lines)
	return r, res, err
}

func after(res *loyalty.ReturnResult) store.State {
	if res.Whole {
		return store.Returned
	}
	return store.PartlyReturned
}

func (t *Till) returnCalculate(_ context.Context, b *returnBody) (*ReturnAnswer, error) {
	_, res, err := t.returning(b)
	if err != nil {
		return nil, err
	}
	return &ReturnAnswer{Original: b.Original, State: after(res), Result: res}, nil
}

func (t *Till) returnCapture(ctx context.Context, c *call, b *returnBody) (*reply, error) {
	unlock, err := t.sales.lock(ctx, b.Original)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, res, err := t.returning(b)
	if err != nil {
		return nil, err
	}
	mark := r.Mark
	rec := wire.Return{Original: r.ID, Reverses: &mark, Member: memberText(r.Member), CardRef: r.Card, Lines: mustJSON(b.Lines),
		Result: mustJSON(res), Moves: reversal(res), Offline: !t.c.Link.Online(), Fiscal: b.Fiscal, Shift: b.Shift,
		Cashier: b.Cashier, At: t.c.Now()}
	undo := partBack(r.Booked, res)
	rec.Quotas = told(undo)
	a := ReturnAnswer{Original: r.ID, State: after(res), Result: res}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		at, err := tx.Append(outbox.Entry{Type: wire.TypeReturn, Receipt: r.ID, Payload: rec})
		if err != nil {
			return nil, err
		}
		a.Seq = at.Seq
		here := wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}
		if err := tx.Rebook(nil, undo); err != nil {
			return nil, err
		}
		r.State, r.Booked = after(res), less(r.Booked, undo)
		r.Returns = append(r.Returns, store.Return{Lines: mustJSON(b.Lines), Result: mustJSON(res), Mark: here, At: t.stamp()})
		if err := tx.PutReceipt(r); err != nil {
			return nil, err
		}
		if r.Member != nil || !r.Card.IsZero() {
			d := &store.Delta{Mark: here, Back: res, At: t.c.Now()}
			if err := tx.AddDelta(store.SubjectOf(r.Member, r.Card), d); err != nil {
				return nil, err
			}
		}
		n := store.ShiftCount{Returns: 1, Net: -res.Totals.Net, Discount: -res.Totals.Discount, Redeemed: -res.Totals.Redeemed}
		for _, e := range res.PointsTaken {
			n.Earned -= e.Points
		}
		for _, p := range res.PointsBack {
			n.Spent -= p.Points
		}
		return a, tx.CountShift(b.Shift, n)
	})
	if err == nil {
		t.events.state(r.ID, after(res))
	}
	return out, err
}
