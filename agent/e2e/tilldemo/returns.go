package main

import (
	"context"
	"fmt"

	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/loyalty"
)

// backLine names goods of an earlier receipt that come back.
type backLine struct {
	ID       string           `json:"id"`
	Quantity loyalty.Quantity `json:"quantity"`
}

// takeBack finds the sales the returned goods came from, as a cashier does with
// the customer's old receipts, and returns them one receipt after another. Of
// what was bought before the data begins there is no receipt: the agent must
// refuse it in plain words.
func (c *counter) takeBack(ctx context.Context, r retail.Receipt) error {
	lines := map[string][]backLine{}
	var order []string
	unknown := 0
	for _, l := range r.Lines {
		left := l.Quantity
		for left > 0 {
			s := c.oldest(r.Member, l.SKU)
			if s == nil {
				break
			}
			q := min(left, s.quantity)
			left, s.quantity = left-q, s.quantity-q
			if lines[s.receipt] == nil {
				order = append(order, s.receipt)
			}
			lines[s.receipt] = append(lines[s.receipt], backLine{s.line, q})
		}
		if left > 0 {
			unknown++
		}
	}
	for n, original := range order {
		body := map[string]any{"original": original, "lines": merge(lines[original]), "fiscal_number": r.ID, "shift": r.Time.Format("2006-01-02")}
		var done struct {
			Result loyalty.ReturnResult `json:"result"`
		}
		if err := c.till.Cash.Call(ctx, "POST", "/v1/returns/capture", fmt.Sprintf("return-%s-%d", r.ID, n), body, &done); err != nil {
			return fmt.Errorf("return of %s: %w", original, err)
		}
		c.tally.returns++
		c.tookBack(done.Result)
	}
	if unknown == 0 {
		return nil
	}
	body := map[string]any{"original": "before-the-data", "lines": []backLine{{ID: "1", Quantity: 1000}}}
	return c.mustRefuse(c.till.Cash.Call(ctx, "POST", "/v1/returns/calculate", "", body, nil))
}

// takeBackElsewhere brings the first thing of this till's last sale back to
// another till, which has to ask the centre for the receipt. Before that the
// other till is asked for more than was sold, and must refuse.
func (c *counter) takeBackElsewhere(ctx context.Context, other *counter) error {
	original := "last-" + c.till.Name
	if c == other || !c.tally.captured[original] {
		return nil
	}
	ask := func(q loyalty.Quantity) map[string]any {
		return map[string]any{"original": original, "lines": []backLine{{ID: "1", Quantity: q}}}
	}
	if err := other.mustRefuse(other.till.Cash.Call(ctx, "POST", "/v1/returns/calculate", "", ask(1_000_000_000), nil)); err != nil {
		return err
	}
	var done struct {
		Store, Till, Mode string
		Result            loyalty.ReturnResult
	}
	if err := other.till.Cash.Call(ctx, "POST", "/v1/returns/capture", "elsewhere-"+original, ask(0), &done); err != nil {
		return fmt.Errorf("return of %s at till %s: %w", original, other.till.Name, err)
	}
	if done.Mode != "online" || done.Till == "" || len(done.Result.Lines) != 1 {
		return fmt.Errorf("return of %s at till %s: %+v", original, other.till.Name, done)
	}
	other.tally.returns++
	other.tookBack(done.Result)
	return nil
}

// tookBack writes down the points of a return or a void.
func (c *counter) tookBack(r loyalty.ReturnResult) {
	for _, e := range r.PointsTaken {
		c.tally.reversed += e.Points
	}
	for _, w := range r.PointsBack {
		c.tally.givenBack += w.Points
	}
}

// oldest gives the first sale of the goods that still has some to return.
func (c *counter) oldest(member, sku string) *sold {
	if member == "" {
		return nil
	}
	for i := range c.bought[member+" "+sku] {
		if s := &c.bought[member+" "+sku][i]; s.quantity > 0 {
			return s
		}
	}
	return nil
}

// merge adds up what comes back of the same line.
func merge(lines []backLine) []backLine {
	var out []backLine
	at := map[string]int{}
	for _, l := range lines {
		i, ok := at[l.ID]
		if !ok {
			at[l.ID] = len(out)
			out = append(out, l)
			continue
		}
		out[i].Quantity += l.Quantity
	}
	return out
}
