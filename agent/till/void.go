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

type voidBody struct {
	Reason string `json:"reason,omitempty"`
}

// StateAnswer tells where a receipt stands.
type StateAnswer struct {
	State    store.State       `json:"state"`
	Seq      uint64            `json:"seq,omitempty"`
	Reversed []loyalty.Earning `json:"reversed,omitempty"` // points taken back
	Returned *loyalty.Spending `json:"returned,omitempty"` // points given back
}

// void releases what a receipt holds, or takes a captured receipt back whole.
func (t *Till) void(ctx context.Context, c *call, id string, b *voidBody) (*reply, error) {
	if len(b.Reason) > 200 {
		return nil, refuse("bad_request", "reason is longer than 200 characters").at("reason")
	}
	unlock, err := t.sales.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := t.stored(id)
	if err != nil {
		return nil, err
	}
	if old == nil {
		t.drafts.drop(id)
		return nil, refuse("unknown_receipt")
	}
	if !old.State.May(store.Voided) || old.State == store.Voided {
		return nil, refuse("wrong_state", old.State)
	}
	var result loyalty.Result
	if err := json.Unmarshal(old.Result, &result); err != nil {
		return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
	}
	v := wire.Void{Member: memberText(old.Member), CardRef: old.Card, Reason: b.Reason}
	a := StateAnswer{State: store.Voided}
	captured := old.State == store.Captured
	if captured {
		mark := old.Mark
		v.Reverses = &mark
		v.Moves = reversal(&result)
		a.Reversed = result.Earned
		if s := result.Spend; s != nil && s.Points > 0 {
			a.Returned = s
		}
	} else if old.Hold != nil {
		v.Hold = old.Hold.ID
	}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		r, err := tx.Receipt(id)
		if err != nil {
			return nil, err
		}
		r.State, r.Hold = store.Voided, nil
		if captured || v.Hold != "" {
			at, err := tx.Append(outbox.Entry{Type: wire.TypeVoid, Receipt: id, Payload: v})
			if err != nil {
				return nil, err
			}
			a.Seq = at.Seq
			if !captured && old.Hold.Granted && result.Spend != nil {
				// What was held comes back with the next snapshot; until then
				// this till knows it by itself.
				give := &loyalty.Result{Spend: result.Spend}
				d := &store.Delta{Mark: wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}, Result: give, Reverse: true, At: t.c.Now()}
				if err := tx.AddDelta(store.SubjectOf(old.Member, old.Card), d); err != nil {
					return nil, err
				}
			}
			if captured && (old.Member != nil || !old.Card.IsZero()) {
				d := &store.Delta{Mark: wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}, Result: moving(&result), Reverse: true, At: t.c.Now()}
				if err := tx.AddDelta(store.SubjectOf(old.Member, old.Card), d); err != nil {
					return nil, err
				}
			}
		}
		if captured {
			n := count(&result, -1)
			n.Voided = 1
			if err := tx.CountShift(old.Shift, n); err != nil {
				return nil, err
			}
		}
		return a, tx.PutReceipt(r)
	})
	if err != nil {
		return nil, err
	}
	t.drafts.drop(id)
	t.events.state(id, store.Voided)
	return out, nil
}

// reversal is every point movement of a result, taken back.
func reversal(r *loyalty.Result) []wire.Move {
	var m []wire.Move
	for _, e := range r.Earned {
		if e.Points != 0 {
			m = append(m, wire.Move{Wallet: e.Wallet, Points: e.Points.String(), Back: "earned", Rule: e.Rule})
		}
	}
	if s := r.Spend; s != nil && s.Points > 0 {
		m = append(m, wire.Move{Wallet: s.Wallet, Points: s.Points.String(), Back: "spent"})
	}
	return m
}
