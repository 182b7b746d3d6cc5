package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/agent/e2e/cash"
	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/e2e/world"
	"github.com/tillside/tillside/agent/loyalty"
)

// tally is what one cash program wrote down of what its agent told it. It is
// compared with the centre's ledger in the end, so it trusts only answers.
type tally struct {
	sales, returns, voided int
	refusedGoods           int // returns without a sale: refused in plain words
	writeOffs              int // stock corrections: priced at nothing, never captured
	scans, rescans         int
	offline                int // receipts captured while the link was down
	spendAsked             int
	spendOffline           int // wishes to spend that no link could grant
	spendNothing           int // wishes of members who had nothing to spend yet
	earned, spent          loyalty.Points
	reversed, givenBack    loyalty.Points
	captured               map[string]bool // receipt ids, sales and returns
}

// counter replays the receipts of one till.
type counter struct {
	till     *world.Till
	progress *atomic.Int64

	tally  tally
	bought map[string][]sold // member and SKU -> sales not yet returned
	member chan string       // tokens of cards the agent recognised
}

func newCounter(t *world.Till, progress *atomic.Int64) *counter {
	return &counter{till: t, progress: progress, tally: tally{captured: map[string]bool{}},
		bought: map[string][]sold{}, member: make(chan string, 1)}
}

type sold struct {
	receipt, line string
	quantity      loyalty.Quantity
}

// receiptBody is what the cash program sends for a basket.
type receiptBody struct {
	loyalty.Receipt
	Member string `json:"member,omitempty"`
}

// work replays receipts in order. It ends early only on what no shop would
// accept: an answer that makes no sense, or an agent that stays away.
func (c *counter) work(ctx context.Context, receipts []retail.Receipt, cut func(i int) bool) error {
	for i, r := range receipts {
		if cut(i) {
			c.till.Link.Cut()
		} else {
			c.till.Link.Heal()
		}
		if err := c.one(ctx, i, r); err != nil {
			return fmt.Errorf("till %s, receipt %s: %w", c.till.Name, r.ID, err)
		}
		c.progress.Add(1)
	}
	c.till.Link.Heal()
	return nil
}

// listen follows the agent's events until the returned function is called.
func (c *counter) listen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var events sync.WaitGroup
	events.Go(func() { c.till.Cash.Events(ctx, c.hear) })
	return func() {
		cancel()
		events.Wait()
	}
}

// hear takes the events of the agent: a member known by a scanned card.
func (c *counter) hear(e cash.Event) {
	if e.Type != "member" {
		return
	}
	var m struct {
		Member struct {
			Token string `json:"token"`
		} `json:"member"`
	}
	if json.Unmarshal(e.Data, &m) == nil && m.Member.Token != "" {
		select {
		case c.member <- m.Member.Token:
		default:
		}
	}
}

func (c *counter) one(ctx context.Context, i int, r retail.Receipt) error {
	body := receiptBody{Receipt: loyalty.Receipt{Time: r.Time, Currency: "GBP", Lines: r.Lines}}
	if r.Member != "" && r.Kind == retail.Sale {
		token, err := c.scan(ctx, retail.Card(r.Member))
		if err != nil {
			return err
		}
		body.Member = token
	}
	switch r.Kind {
	case retail.Sale:
		return c.sell(ctx, i, r, body)
	case retail.Return:
		return c.takeBack(ctx, r)
	default:
		return c.writeOff(ctx, r, body)
	}
}

// writeOff tries to ring up a stock correction. It is no sale: the agent may
// refuse it in plain words, or price it, but then it gives nothing.
func (c *counter) writeOff(ctx context.Context, r retail.Receipt, body receiptBody) error {
	var seen loyalty.Result
	err := c.till.Cash.Call(ctx, "POST", "/v1/receipts/"+r.ID+"/calculate", "", body, &seen)
	if err != nil {
		return c.mustRefuse(err)
	}
	if seen.Totals.Net != 0 || seen.Totals.Discount != 0 || len(seen.Earned) > 0 {
		return fmt.Errorf("a write-off at price zero came to %+v and earned %+v", seen.Totals, seen.Earned)
	}
	c.tally.writeOffs++
	return nil
}

// scan shows a card and waits for the agent to know it. A cashier who hears no
// beep scans again: so does this.
func (c *counter) scan(ctx context.Context, card string) (string, error) {
	for len(c.member) > 0 {
		<-c.member
	}
	for try := range 60 {
		if err := c.till.Scan(ctx, card); err != nil {
			return "", err
		}
		c.tally.scans++
		if try > 0 {
			c.tally.rescans++
		}
		select {
		case token := <-c.member:
			return token, nil
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return "", errors.New("the agent never answered the scanned card")
}

func (c *counter) sell(ctx context.Context, i int, r retail.Receipt, body receiptBody) error {
	path := "/v1/receipts/" + r.ID
	var seen, held, done cash.Answer
	if err := c.till.Cash.Call(ctx, "POST", path+"/calculate", "", body, &seen.Result); err != nil {
		var refused *cash.Error
		if errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		// The agent was away: a calculation has no effect, so just ask again.
		if err := c.till.Cash.Call(ctx, "POST", path+"/calculate", "recalculate-"+r.ID, body, &seen.Result); err != nil {
			return err
		}
	}
	if body.Member != "" && i%4 == 3 {
		body.Spend = "max"
		c.tally.spendAsked++
	}
	err := c.till.Cash.Call(ctx, "POST", path+"/authorise", "authorise-"+r.ID, body, &held)
	var refused *cash.Error
	if body.Spend != "" && errors.As(err, &refused) {
		c.tally.spendOffline++
		body.Spend = ""
		err = c.till.Cash.Call(ctx, "POST", path+"/authorise", "authorise-again-"+r.ID, body, &held)
	}
	if err != nil {
		return fmt.Errorf("authorise: %w", err)
	}
	pay := map[string]any{
		"fiscal_number": r.ID, "shift": r.Time.Format("2006-01-02"), "cashier": "7", "print": "agent",
		"tenders": []loyalty.Tender{{Kind: "card", Amount: held.Result.Totals.Net}},
	}
	if err := c.till.Cash.Call(ctx, "POST", path+"/capture", "capture-"+r.ID, pay, &done); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	c.wroteDown(r, body, done)
	if i%40 == 39 {
		return c.void(ctx, r)
	}
	return nil
}

func (c *counter) wroteDown(r retail.Receipt, body receiptBody, done cash.Answer) {
	c.tally.sales++
	c.tally.captured[r.ID] = true
	if done.Mode == "offline" {
		c.tally.offline++
	}
	if body.Member == "" {
		return
	}
	for _, e := range done.Result.Earned {
		c.tally.earned += e.Points
	}
	if done.Result.Spend != nil {
		c.tally.spent += done.Result.Spend.Points
	}
	if body.Spend != "" && (done.Result.Spend == nil || done.Result.Spend.Points == 0) {
		if done.Mode == "offline" {
			c.tally.spendOffline++
		} else {
			c.tally.spendNothing++
		}
	}
	for _, l := range r.Lines {
		key := r.Member + " " + l.SKU
		c.bought[key] = append(c.bought[key], sold{r.ID, l.ID, l.Quantity})
	}
}

// void takes a captured receipt back whole, as a cashier does who rang up the
// wrong customer.
func (c *counter) void(ctx context.Context, r retail.Receipt) error {
	var done struct {
		Result *loyalty.ReturnResult `json:"result"`
	}
	if err := c.till.Cash.Call(ctx, "POST", "/v1/receipts/"+r.ID+"/void", "void-"+r.ID, struct{}{}, &done); err != nil {
		return fmt.Errorf("void: %w", err)
	}
	c.tally.voided++
	if r.Member == "" {
		return nil
	}
	if done.Result == nil {
		return errors.New("the void of a member's receipt says nothing of points")
	}
	c.tookBack(*done.Result)
	for _, l := range r.Lines {
		key := r.Member + " " + l.SKU
		c.bought[key] = nil
	}
	return nil
}

// lastSale rings up three things for the member of this till who has been here
// most, so that there is a slip to look at that says everything.
func (c *counter) lastSale(ctx context.Context, receipts []retail.Receipt) error {
	times := map[string]int{}
	best := ""
	for _, r := range receipts {
		if r.Member != "" && r.Kind == retail.Sale {
			times[r.Member]++
			if n := times[r.Member]; n > times[best] || n == times[best] && r.Member < best {
				best = r.Member
			}
		}
	}
	if best == "" {
		return nil
	}
	var three []loyalty.Line
	for _, r := range receipts {
		for _, l := range r.Lines {
			if r.Kind == retail.Sale && l.Price > 0 && l.Name != "" && len(three) < 3 {
				l.ID = fmt.Sprint(len(three) + 1)
				three = append(three, l)
			}
		}
	}
	const wishesToSpend = 3 // see sell
	return c.one(ctx, wishesToSpend, retail.Receipt{ID: "last-" + c.till.Name, Kind: retail.Sale, Member: best, Time: time.Now(), Lines: three})
}

func (c *counter) mustRefuse(err error) error {
	var refused *cash.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("expected a refusal, got %v", err)
	}
	if refused.Status >= 500 || refused.Message == "" {
		return fmt.Errorf("expected a clear refusal, got %w", err)
	}
	c.tally.refusedGoods++
	return nil
}
