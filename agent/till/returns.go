package till

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// returnBody names a receipt and the lines that come back. Store and till are
// those of the receipt, when its number is not enough to find it.
type returnBody struct {
	Original string `json:"original,omitempty"`
	// OriginalFiscal is the fiscal number of the receipt, when its own is not
	// known.
	OriginalFiscal string `json:"original_fiscal,omitempty"`

	Store   string       `json:"store,omitempty"`
	Till    string       `json:"till,omitempty"`
	Lines   []returnLine `json:"lines"`
	Fiscal  string       `json:"fiscal_number,omitempty"`
	Shift   string       `json:"shift,omitempty"`
	Cashier string       `json:"cashier,omitempty"`
	Print   string       `json:"print,omitempty"`   // "agent": a slip on the agent's own printer
	Columns int          `json:"columns,omitempty"` // of the caller's printer

	found []loyalty.ReturnLine // Lines, as lines of the original
	exact *wire.AskReceipt     // the receipt, as the centre named it
}

// returnLine is how much of a line comes back. The line is named by its id or,
// when the caller did not keep it, by its goods.
type returnLine struct {
	ID       string           `json:"id,omitempty"`
	SKU      string           `json:"sku,omitempty"`
	Quantity loyalty.Quantity `json:"quantity"` // "0": all that is left of it
}

// ReturnAnswer is what a return gives back and takes back.
type ReturnAnswer struct {
	Original string      `json:"original"`
	State    store.State `json:"state"` // of the original, after this
	// Store and Till sold, when it was not this till.
	Store string `json:"store,omitempty"`
	Till  string `json:"till,omitempty"`
	// Mode is offline when the centre was not asked what other tills have
	// taken back already.
	Mode   string                `json:"mode"`
	Seq    uint64                `json:"seq,omitempty"`
	Result *loyalty.ReturnResult `json:"result"`
	// Shortfall is points to be taken back that the member, as far as this
	// till knows her, does not have; the ledger decides when it books.
	Shortfall []loyalty.WalletPoints `json:"shortfall,omitempty"`
	// Print is the slip of the return, laid out in lines.
	Print []string   `json:"print"`
	Slip  store.Slip `json:"slip,omitempty"`
}

// returning prices a return against the stored receipt and earlier returns.
func (t *Till) returning(ctx context.Context, b *returnBody) (*original, *ReturnAnswer, error) {
	rules := t.c.Rules()
	if rules == nil {
		return nil, nil, refuse("no_rulebook")
	}
	if len(b.Lines) == 0 || len(b.Lines) > 10_000 {
		return nil, nil, refuse("return_refused", "name the lines that come back").at("lines")
	}
	o, err := t.original(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	left := map[string]loyalty.Quantity{}
	for _, l := range o.result.Lines {
		left[l.ID] = l.Quantity
	}
	for _, one := range o.already {
		for _, l := range one.Lines {
			left[l.ID] -= l.Quantity
		}
	}
	lines, err := find(b.Lines, o.result, left)
	if err != nil {
		return nil, nil, err
	}
	b.found = lines
	res, err := rules.Return(o.result, o.already, lines)
	if err != nil {
		return nil, nil, err
	}
	a := &ReturnAnswer{Original: b.Original, State: after(res), Store: o.store, Till: o.till, Mode: "offline", Result: res}
	if o.asked {
		a.Mode = "online"
	}
	if a.Shortfall, err = t.shortfall(rules, o, lines); err != nil {
		return nil, nil, err
	}
	told := receipt.Back{Result: res, Names: goodsNames(o.r), Shortfall: a.Shortfall, Offline: !o.asked}
	a.Print = receipt.Text(receipt.Layout(receipt.Return(t.c.Language, told), t.columns(b.Columns)))
	return o, a, nil
}

// find gives the lines of the original that a caller names. Goods that stand on
// several lines are taken from the first that have some left.
func find(lines []returnLine, sold *loyalty.Result, left map[string]loyalty.Quantity) ([]loyalty.ReturnLine, error) {
	left = maps.Clone(left)
	var out []loyalty.ReturnLine
	for i, l := range lines {
		field := fmt.Sprintf("lines[%d].", i)
		switch {
		case l.ID != "" && l.SKU != "":
			return nil, refuse("bad_request", "id and sku are there both").at(field + "sku")
		case l.ID == "" && l.SKU == "":
			return nil, refuse("return_refused", "name the lines that come back").at(field + "id")
		case l.ID != "":
			q := l.Quantity
			if q == 0 {
				q = left[l.ID]
			}
			left[l.ID] -= q
			out = append(out, loyalty.ReturnLine{ID: l.ID, Quantity: q})
			continue
		}
		want, first := l.Quantity, len(out)
		if want < 0 {
			return nil, refuse("return_refused", "a quantity is below zero").at(field + "quantity")
		}
		for _, s := range sold.Lines {
			have := left[s.ID]
			if s.SKU != l.SKU || have <= 0 || l.Quantity != 0 && want == 0 {
				continue
			}
			q := have
			if l.Quantity != 0 {
				q = min(have, want)
				want -= q
			}
			left[s.ID] -= q
			out = append(out, loyalty.ReturnLine{ID: s.ID, Quantity: q})
		}
		if len(out) == first || want > 0 && l.Quantity != 0 {
			return nil, refuse("return_refused", fmt.Sprintf("the receipt has no %s of %s left", l.Quantity, l.SKU)).at(field + "sku")
		}
	}
	return out, nil
}

// shortfall holds a return against the member as this till knows her, with
// what she earned here and the centre has not confirmed yet.
func (t *Till) shortfall(rules Rules, o *original, lines []loyalty.ReturnLine) ([]loyalty.WalletPoints, error) {
	if o.r.Member == nil {
		return nil, nil
	}
	cu, err := t.load(claim{Member: o.r.Member, Ref: o.r.Card}, rules)
	if err != nil || !cu.known || cu.member.ID != *o.r.Member {
		return nil, err
	}
	m := *cu.member
	m.Wallets = maps.Clone(m.Wallets)
	for name, p := range cu.credited {
		if m.Wallets == nil {
			m.Wallets = map[string]loyalty.Balance{}
		}
		w := m.Wallets[name]
		w.Pending += p
		m.Wallets[name] = w
	}
	return rules.Shortfall(o.result, o.already, lines, &m)
}

func after(res *loyalty.ReturnResult) store.State {
	if res.Whole {
		return store.Returned
	}
	return store.PartlyReturned
}

func (t *Till) returnCalculate(ctx context.Context, b *returnBody) (*ReturnAnswer, error) {
	_, a, err := t.returning(ctx, b)
	return a, err
}

func (t *Till) returnCapture(ctx context.Context, c *call, b *returnBody) (*reply, error) {
	if b.Print != "" && b.Print != "agent" {
		return nil, refuse("bad_request", `print is "agent" or left out`).at("print")
	}
	if b.Print == "agent" && t.c.Devices.Printer() == nil {
		return nil, refuse("no_printer").at("print")
	}
	if err := t.byFiscal(ctx, b); err != nil {
		return nil, err
	}
	unlock, err := t.sales.lock(ctx, b.Original)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if code := t.c.Closed(); code != "" {
		return nil, refuse(code)
	}
	o, a, err := t.returning(ctx, b)
	if err != nil {
		return nil, err
	}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		return a, t.takeBack(tx, o, a, b)
	})
	if err != nil {
		return nil, err
	}
	if a.Slip == store.SlipQueued {
		t.queueSlip(slipRef{o.r.ID, len(o.r.Returns) + 1})
	}
	t.events.state(b.Original, a.State)
	return out, nil
}

// takeBack writes a return down, with everything it changes, and fills in the
// answer's place in the journal.
func (t *Till) takeBack(tx *store.Tx, o *original, a *ReturnAnswer, b *returnBody) error {
	r, res := *o.r, a.Result
	mark := r.Mark
	rec := wire.Return{Original: b.Original, Reverses: &mark, Device: o.device, Member: memberText(r.Member), CardRef: r.Card, Lines: mustJSON(b.found),
		Result: mustJSON(res), Moves: reversal(res), Offline: !o.asked, Fiscal: b.Fiscal, Shift: b.Shift,
		Cashier: b.Cashier, At: t.c.Now()}
	undo := partBack(r.Booked, res)
	if o.device != "" {
		// What another till gave comes back to this one, to give again.
		undo = &store.Booking{Quotas: t.c.Rules().ReturnUses(o.result, res, o.store)}
	}
	rec.Quotas = told(undo)
	at, err := tx.Append(outbox.Entry{Type: wire.TypeReturn, Receipt: b.Original, Payload: rec})
	if err != nil {
		return err
	}
	a.Seq = at.Seq
	here := wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}
	if err := tx.Rebook(nil, undo); err != nil {
		return err
	}
	r.State = a.State
	if o.device == "" {
		r.Booked = less(r.Booked, undo)
	}
	if b.Print == "agent" {
		a.Slip = store.SlipQueued
	}
	r.Returns = append(slices.Clone(r.Returns), store.Return{Lines: mustJSON(b.found), Result: mustJSON(res), Mark: here, At: t.stamp(),
		Offline: !o.asked, Shortfall: a.Shortfall, Slip: a.Slip})
	if err := tx.PutReceipt(&r); err != nil {
		return err
	}
	if r.Member != nil || !r.Card.IsZero() {
		d := &store.Delta{Mark: here, Back: res, At: t.c.Now()}
		if err := tx.AddDelta(store.SubjectOf(r.Member, r.Card), d); err != nil {
			return err
		}
	}
	n := store.ShiftCount{Returns: 1, Net: -res.Totals.Net, Discount: -res.Totals.Discount, Redeemed: -res.Totals.Redeemed}
	for _, e := range res.PointsTaken {
		n.Earned -= e.Points
	}
	for _, p := range res.PointsBack {
		n.Spent -= p.Points
	}
	return tx.CountShift(b.Shift, n)
}
