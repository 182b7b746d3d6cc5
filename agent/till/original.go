package till

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// original is a receipt that goods come back from.
type original struct {
	// r is the receipt in this till's journal; of another till's receipt it
	// holds no more than the returns that were taken here.
	r           *store.Receipt
	device      string // whose journal has the COMMIT; empty: ours
	store, till string // that sold, when it was not this till
	result      *loyalty.Result
	already     []*loyalty.ReturnResult
	asked       bool // the centre told of returns elsewhere
}

// awayID is where returns of another till's receipt are kept. It begins with
// a byte that no receipt number may have.
func awayID(device string, m wire.Mark) string {
	return fmt.Sprintf("\x00%s/%d/%d", device, m.Epoch, m.Seq)
}

// original finds a receipt: in this till's journal, else at the centre. Of an
// own receipt, too, the centre is asked, while it can be, what other tills
// have taken back; without its answer the ledger alone holds two tills apart.
func (t *Till) original(ctx context.Context, b *returnBody) (*original, error) {
	if err := t.byFiscal(ctx, b); err != nil {
		return nil, err
	}
	if !goodID(b.Original) || len(b.Store) > 100 || len(b.Till) > 100 {
		return nil, refuse("unknown_receipt").at("original")
	}
	ask := wire.AskReceipt{Number: b.Original, Store: b.Store, Till: b.Till}
	if b.exact != nil {
		ask = *b.exact
	}
	var own *store.Receipt
	if (b.Store == "" || b.Store == t.c.Store) && (b.Till == "" || b.Till == t.c.Till) {
		r, err := t.stored(b.Original)
		if err != nil {
			return nil, err
		}
		if r != nil && (r.State == store.Captured || r.State == store.PartlyReturned) {
			ask = wire.AskReceipt{Number: b.Original, Device: t.c.Device, Mark: r.Mark}
		} else if r != nil {
			return nil, refuse("wrong_state", r.State).at("original")
		}
		own = r
	}
	var a *wire.AnswerReceipt
	if t.c.Link.Online() {
		var err error
		if a, err = t.c.Link.AskReceipt(ctx, ask); err != nil {
			t.c.Log.LogAttrs(ctx, slog.LevelInfo, "the centre was asked for a receipt", slog.String("receipt", b.Original), slog.Any("error", err))
			a = nil
		}
	}
	if own != nil {
		return t.ownOriginal(own, a)
	}
	switch {
	case a == nil:
		return nil, refuse("receipt_elsewhere").at("original")
	case a.Reason == wire.ReceiptAmbiguous:
		return nil, refuse("receipt_ambiguous").at("original")
	case a.Reason != "":
		return nil, refuse("return_refused", "the receipt is too large to be fetched").at("original")
	case !a.Known:
		return nil, refuse("unknown_receipt").at("original")
	case a.State != string(store.Captured) && a.State != string(store.PartlyReturned):
		return nil, refuse("wrong_state", a.State).at("original")
	}
	return t.awayOriginal(a)
}

// byFiscal finds out which receipt bears a fiscal number, here or at the
// centre, and names it in b; nothing to do when it is named already.
func (t *Till) byFiscal(ctx context.Context, b *returnBody) error {
	if b == nil || b.OriginalFiscal == "" || b.Original != "" {
		return nil
	}
	n := b.OriginalFiscal
	if len(n) > 100 || len(b.Store) > 100 || len(b.Till) > 100 {
		return refuse("unknown_receipt").at("original_fiscal")
	}
	if (b.Store == "" || b.Store == t.c.Store) && (b.Till == "" || b.Till == t.c.Till) {
		var own *store.Receipt
		err := t.c.Journal.View(func(tx *store.Tx) (err error) { own, err = tx.ReceiptByFiscal(n); return err })
		if err != nil {
			return err
		}
		if own != nil {
			b.Original, b.Store, b.Till = own.ID, t.c.Store, t.c.Till
			return nil
		}
	}
	if !t.c.Link.Online() {
		return refuse("receipt_elsewhere").at("original_fiscal")
	}
	a, err := t.c.Link.AskReceipt(ctx, wire.AskReceipt{Fiscal: n, Store: b.Store, Till: b.Till})
	switch {
	case err != nil:
		t.c.Log.LogAttrs(ctx, slog.LevelInfo, "the centre was asked for a receipt", slog.String("fiscal", n), slog.Any("error", err))
		return refuse("receipt_elsewhere").at("original_fiscal")
	case a.Reason == wire.ReceiptAmbiguous:
		return refuse("receipt_ambiguous").at("original_fiscal")
	case a.Reason != "":
		return refuse("return_refused", "the receipt is too large to be fetched").at("original_fiscal")
	case !a.Known:
		return refuse("unknown_receipt").at("original_fiscal")
	}
	b.Original, b.Store, b.Till = a.Number, a.Store, a.Till
	b.exact = &wire.AskReceipt{Number: a.Number, Device: a.Device, Mark: a.Mark}
	return nil
}

// ownOriginal is a receipt of this till.
func (t *Till) ownOriginal(r *store.Receipt, a *wire.AnswerReceipt) (*original, error) {
	o := &original{r: r, result: &loyalty.Result{}}
	if err := json.Unmarshal(r.Result, o.result); err != nil {
		return nil, fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
	}
	return o, o.returns(t.c.Device, a)
}

// awayOriginal is a receipt of another till, as the centre told it.
func (t *Till) awayOriginal(a *wire.AnswerReceipt) (*original, error) {
	o := &original{device: a.Device, store: a.Store, till: a.Till, result: &loyalty.Result{}}
	if a.Device == t.c.Device {
		o.device, o.store, o.till = "", "", "" // ours, older than what is kept here
	}
	if err := json.Unmarshal(a.Result, o.result); err != nil {
		return nil, fmt.Errorf("receipt %s of %s: %w", a.Number, a.Device, err)
	}
	id := awayID(a.Device, a.Mark)
	r, err := t.stored(id)
	if err != nil {
		return nil, err
	}
	if r == nil {
		// The goods stay at the centre; the sums are enough to say so here.
		r = &store.Receipt{ID: id, Basket: json.RawMessage(`{}`), Result: json.RawMessage(`{}`)}
	}
	r.Mark, r.Card, r.Member = a.Mark, a.CardRef, nil
	if a.Member != "" {
		var m loyalty.MemberID
		if err := m.UnmarshalText([]byte(a.Member)); err != nil {
			return nil, fmt.Errorf("receipt %s of %s: %w", a.Number, a.Device, err)
		}
		r.Member = &m
	}
	o.r = r
	return o, o.returns(t.c.Device, a)
}

// returns joins what this till has taken back with what the centre knows of
// all tills; our latest may not have reached it yet.
func (o *original) returns(device string, a *wire.AnswerReceipt) error {
	here := map[wire.Mark]bool{}
	add := func(raw []byte) error {
		one := &loyalty.ReturnResult{}
		if err := json.Unmarshal(raw, one); err != nil {
			return fmt.Errorf("earlier return of a receipt: %w: %w", store.ErrDamaged, err)
		}
		o.already = append(o.already, one)
		return nil
	}
	for _, x := range o.r.Returns {
		here[x.Mark] = true
		if err := add(x.Result); err != nil {
			return err
		}
	}
	o.asked = a != nil
	if a == nil {
		return nil
	}
	for _, x := range a.Returns {
		if x.Device == device && here[x.Mark] || len(x.Result) == 0 {
			continue
		}
		if err := add(x.Result); err != nil {
			return err
		}
	}
	return nil
}
