package till

import (
	"context"
	"slices"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
)

// An exchange is a return and a sale in one receipt: `returns` in the body of
// calculate, authorise and capture. The sale is priced for the member as she
// is after the return, and both are written down together or not at all.

// exchange is what comes back with a receipt that sells something else.
type exchange struct {
	o    *original
	a    *ReturnAnswer
	body *returnBody
}

// Exchange is the return inside an exchange and what is left to pay.
type Exchange struct {
	Return *ReturnAnswer `json:"return"`
	ToPay  loyalty.Money `json:"to_pay"` // by the customer
	Refund loyalty.Money `json:"refund"` // to the customer; one of the two is zero
}

// exchanging prices what comes back with receipt id; nil when nothing does.
func (t *Till) exchanging(ctx context.Context, id string, b *returnBody) (*exchange, error) {
	if b == nil {
		return nil, nil
	}
	if err := t.byFiscal(ctx, b); err != nil {
		return nil, err
	}
	if b.Original == id {
		return nil, refuse("return_refused", "a receipt cannot take itself back").at("returns.original")
	}
	o, a, err := t.returning(ctx, b)
	if err != nil {
		return nil, err
	}
	return &exchange{o, a, b}, nil
}

// told is the exchange as the caller sees it.
func (x *exchange) told(sale *loyalty.Result) *Exchange {
	if x == nil {
		return nil
	}
	owed := x.owed(sale)
	return &Exchange{Return: x.a, ToPay: max(0, owed), Refund: max(0, -owed)}
}

// owed is what the customer pays for both; below zero she gets it back.
func (x *exchange) owed(sale *loyalty.Result) loyalty.Money {
	back := x.a.Result.Totals
	return sale.Totals.Net + sale.Totals.Tax - back.Net - back.Tax
}

// exchangeLines is the slip of an exchange, laid out in lines.
func (t *Till) exchangeLines(x *exchange, p *priced, columns int) []string {
	sale := *p.result
	sale.Print = t.block(p.result, p.credited(), p.unlinked())
	told := receipt.Back{Result: x.a.Result, Names: goodsNames(x.o.r), Shortfall: x.a.Shortfall, Offline: !x.o.asked}
	return receipt.Text(receipt.Layout(receipt.Exchange(t.c.Language, told, p.receipt, &sale, x.owed(p.result)), t.columns(columns)))
}

// after is the member after the return. Points that come back are the
// centre's to give first: the same receipt cannot spend them.
func (x *exchange) after(rules Rules, m *loyalty.Member, at time.Time) *loyalty.Member {
	if x == nil || x.o.r.Member == nil || *x.o.r.Member != m.ID {
		return m
	}
	n := rules.ApplyReturn(m, x.a.Result, at)
	if n == m {
		return m
	}
	moved := *n
	moved.Wallets = make(map[string]loyalty.Balance, len(n.Wallets))
	for name, w := range n.Wallets {
		w.Active = max(0, min(w.Active, m.Wallets[name].Active))
		moved.Wallets[name] = w
	}
	return &moved
}

// lockSales takes a receipt and the one goods come back from, always in the
// same order.
func (t *Till) lockSales(ctx context.Context, id string, back *returnBody) (unlock func(), err error) {
	ids := []string{id}
	if back != nil && back.Original != id {
		ids = append(ids, back.Original)
		slices.Sort(ids)
	}
	var held []func()
	unlock = func() {
		for _, f := range held {
			f()
		}
	}
	for _, id := range ids {
		one, err := t.sales.lock(ctx, id)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, one)
	}
	return unlock, nil
}
