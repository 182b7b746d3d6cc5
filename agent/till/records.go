package till

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
)

// ReceiptView is a receipt as GET /v1/receipts/{id} tells it.
type ReceiptView struct {
	Receipt  string           `json:"receipt"`
	State    store.State      `json:"state"`
	Seq      uint64           `json:"seq,omitempty"`
	Basket   *loyalty.Receipt `json:"basket"`
	Result   *loyalty.Result  `json:"result"`
	Hold     string           `json:"hold,omitempty"`
	Mode     string           `json:"mode"`
	Fiscal   string           `json:"fiscal_number,omitempty"`
	Shift    string           `json:"shift,omitempty"`
	Slip     store.Slip       `json:"slip,omitempty"`
	Copies   int              `json:"copies,omitempty"`
	Print    []string         `json:"print"`
	Returns  []ReturnView     `json:"returns,omitempty"`
	Opened   time.Time        `json:"opened"`
	Changed  time.Time        `json:"changed"`
	Customer string           `json:"customer"` // none, member, card
	// Explanation says in sentences why the result is what it is, and of an
	// open receipt also which offers did not apply. It is there while the
	// rulebook that priced the receipt is in force.
	Explanation *loyalty.Explanation `json:"explanation,omitempty"`
}

// ReturnView is one return against a receipt.
type ReturnView struct {
	Seq    uint64                `json:"seq"`
	At     time.Time             `json:"at"`
	Lines  []loyalty.ReturnLine  `json:"lines"`
	Result *loyalty.ReturnResult `json:"result"`
}

func (t *Till) receiptView(id string) (*ReceiptView, error) {
	r, err := t.stored(id)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return t.draftView(id)
	}
	v := &ReceiptView{Receipt: r.ID, State: r.State, Seq: r.Mark.Seq, Basket: &loyalty.Receipt{}, Result: &loyalty.Result{},
		Mode: "online", Fiscal: r.Fiscal, Shift: r.Shift, Slip: r.Slip, Copies: r.Copies, Opened: r.Opened, Changed: r.Changed, Customer: "none"}
	if err := json.Unmarshal(r.Basket, v.Basket); err != nil {
		return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
	}
	if err := json.Unmarshal(r.Result, v.Result); err != nil {
		return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
	}
	if r.Offline {
		v.Mode = "offline"
	}
	if r.Hold != nil {
		v.Hold = r.Hold.ID
	}
	if r.Member != nil {
		v.Customer = "member"
	} else if !r.Card.IsZero() {
		v.Customer = "card"
	}
	v.Print = receipt.Text(receipt.Layout(t.block(v.Result, credited(r, v.Result), unlinked(r)), t.columns(0)))
	v.Explanation = t.explain(v.Result)
	for _, x := range r.Returns {
		rv := ReturnView{Seq: x.Mark.Seq, At: x.At, Result: &loyalty.ReturnResult{}}
		if err := json.Unmarshal(x.Result, rv.Result); err != nil {
			return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
		}
		if err := json.Unmarshal(x.Lines, &rv.Lines); err != nil {
			return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
		}
		v.Returns = append(v.Returns, rv)
	}
	return v, nil
}

// draftView is a basket that was calculated and not yet authorised. It is
// priced again, so that its result carries the trace: why an offer did not
// apply is asked about open receipts.
func (t *Till) draftView(id string) (*ReceiptView, error) {
	d, ok := t.drafts.get(id)
	if !ok {
		return nil, refuse("unknown_receipt")
	}
	p, err := t.price(id, &d.body, !t.c.Link.Online())
	if err != nil {
		return nil, err
	}
	v := &ReceiptView{Receipt: id, State: store.Open, Basket: p.receipt, Result: p.result, Mode: p.mode(), Customer: "none",
		Opened: p.receipt.Time, Changed: p.receipt.Time}
	if p.cu != nil {
		v.Customer = "card"
		if p.cu.known {
			v.Customer = "member"
		}
	}
	v.Print = t.printLines(p, 0)
	v.Explanation = t.explain(p.result)
	return v, nil
}

func (t *Till) explain(r *loyalty.Result) *loyalty.Explanation {
	rules := t.c.Rules()
	if rules == nil || rules.Version() != r.Rulebook {
		return nil
	}
	return rules.Explain(r, t.c.Language)
}

// reconcileBody is what the cash software counted in a shift. What it leaves
// out is not compared.
type reconcileBody struct {
	Receipts *int            `json:"receipts,omitempty"`
	Returns  *int            `json:"returns,omitempty"`
	Net      *loyalty.Money  `json:"net,omitempty"`
	Discount *loyalty.Money  `json:"discount,omitempty"`
	Redeemed *loyalty.Money  `json:"redeemed,omitempty"`
	Earned   *loyalty.Points `json:"earned,omitempty"`
	Spent    *loyalty.Points `json:"spent,omitempty"`
}

// ReconcileAnswer puts both counts side by side.
type ReconcileAnswer struct {
	Shift       string           `json:"shift"`
	Agrees      bool             `json:"agrees"`
	Here        store.ShiftCount `json:"here"`
	Differences []Difference     `json:"differences"`
}

// Difference is one figure on which the two do not agree.
type Difference struct {
	Figure string `json:"figure"`
	Here   string `json:"here"`
	There  string `json:"there"`
}

func (t *Till) reconcile(c *call, shift string, b *reconcileBody) (*reply, error) {
	return t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		n, err := tx.Shift(shift)
		if err != nil {
			return nil, err
		}
		a := ReconcileAnswer{Shift: shift, Here: n, Differences: []Difference{}}
		compare(&a, "receipts", n.Receipts, b.Receipts)
		compare(&a, "returns", n.Returns, b.Returns)
		compare(&a, "net", n.Net, b.Net)
		compare(&a, "discount", n.Discount, b.Discount)
		compare(&a, "redeemed", n.Redeemed, b.Redeemed)
		compare(&a, "earned", n.Earned, b.Earned)
		compare(&a, "spent", n.Spent, b.Spent)
		a.Agrees = len(a.Differences) == 0
		return a, nil
	})
}

func compare[N comparable](a *ReconcileAnswer, figure string, here N, there *N) {
	if there != nil && *there != here {
		a.Differences = append(a.Differences, Difference{figure, fmt.Sprint(here), fmt.Sprint(*there)})
	}
}
