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

// StateAnswer tells where a receipt stands, and what was given and taken back.
type StateAnswer struct {
	State  store.State           `json:"state"`
	Seq    uint64                `json:"seq,omitempty"`
	Result *loyalty.ReturnResult `json:"result,omitempty"`
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
	var back *loyalty.ReturnResult
	if captured {
		if back, err = t.whole(&result); err != nil {
			return nil, err
		}
		mark := old.Mark
		v.Reverses, v.Moves, v.Quotas, a.Result = &mark, reversal(back), told(old.Booked.Back()), back
	} else if old.Hold != nil {
		v.Hold = old.Hold.ID
	}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		r, err := tx.Receipt(id)
		if err != nil {
			return nil, err
		}
		if err := tx.Rebook(r.Booked, nil); err != nil {
			return nil, err
		}
		if !captured {
			if err := giveLease(tx, r); err != nil {
				return nil, err
			}
		}
		r.State, r.Hold, r.Booked = store.Voided, nil, nil
		if captured || v.Hold != "" {
			at, err := tx.Append(outbox.Entry{Type: wire.TypeVoid, Receipt: id, Payload: v})
			if err != nil {
				return nil, err
			}
			a.Seq = at.Seq
			if !captured {
				back = nil
				if s := result.Spend; old.Hold.Granted && len(old.Hold.Leases) == 0 && old.Hold.Voucher == nil && s != nil {
					// What was held comes back with the next snapshot; until
					// then this till knows it by itself.
					back = &loyalty.ReturnResult{PointsBack: []loyalty.WalletPoints{{Wallet: s.Wallet, Points: s.Points}}}
				}
			}
			if back != nil && (old.Member != nil || !old.Card.IsZero()) {
				d := &store.Delta{Mark: wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}, Back: back, At: t.c.Now()}
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

// whole is a captured receipt taken back whole. A void must work without a
// rulebook too: then points alone are taken back.
func (t *Till) whole(r *loyalty.Result) (*loyalty.ReturnResult, error) {
	if rules := t.c.Rules(); rules != nil {
		return rules.Return(r, nil, nil)
	}
	back := &loyalty.ReturnResult{Receipt: r.Receipt, Rulebook: r.Rulebook, Currency: r.Currency, Member: r.Member, Whole: true,
		Lines: []loyalty.ReturnedLine{}, Totals: r.Totals, PointsTaken: r.Earned}
	if s := r.Spend; s != nil && s.Points > 0 {
		back.PointsBack = []loyalty.WalletPoints{{Wallet: s.Wallet, Points: s.Points}}
	}
	return back, nil
}

// reversal is every point movement that is taken back.
func reversal(r *loyalty.ReturnResult) []wire.Move {
	var m []wire.Move
	for _, e := range r.PointsTaken {
		if e.Points != 0 {
			m = append(m, wire.Move{Wallet: e.Wallet, Points: e.Points.String(), Back: "earned", Rule: e.Rule})
		}
	}
	for _, p := range r.PointsBack {
		if p.Points != 0 {
			m = append(m, wire.Move{Wallet: p.Wallet, Points: p.Points.String(), Back: "spent"})
		}
	}
	return m
}
