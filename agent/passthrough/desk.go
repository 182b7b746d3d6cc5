package passthrough

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/relay"
)

// Counter is what is asked of the till; *till.Till is one.
type Counter interface {
	Inside(ctx context.Context, c till.Inside) (status int, answer []byte)
	Customer() (token string, since time.Time)
	CustomerDone(token string)
	WatchCustomer(f func())
	Lines(ctx context.Context, id string, p receipt.Paper) ([]drivers.Block, error)
	TellPassthrough(text string)
}

// caller is the name the till knows us by.
const caller = "passthrough"

// askPatience bounds one call of the till; they are all local.
const askPatience = 10 * time.Second

// desk books what is read and decides what is added. It implements
// follow.Desk.
type desk struct {
	c      Config
	ctx    context.Context
	goods  *Goods
	health *health.Tracker
	log    *slog.Logger

	mu   sync.Mutex
	open *openFile
	now  *sale
	told relay.State // by the relay, last
}

// sale is the receipt that is being read.
type sale struct {
	entry
	member string
	ready  *basket // as it was authorised
	tries  int     // authorisations so far
	result bool    // the authorised price is the till's own
	added  bool    // lines went out, or were tried: never twice
}

func (d *desk) ask(call, id, key string, body any) (int, []byte) {
	b, err := json.Marshal(body)
	if err != nil {
		panic("passthrough: " + err.Error()) // our own types
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), askPatience)
	defer cancel()
	return d.c.Till.Inside(ctx, till.Inside{Caller: caller, Call: call, ID: id, Key: key, Body: b})
}

// customer is the member token of who stands at the till; empty: nobody.
func (d *desk) customer() string {
	token, since := d.c.Till.Customer()
	if token == "" || d.c.Now().Sub(since) > d.c.Card {
		return ""
	}
	return token
}

// Heard implements follow.Desk.
func (d *desk) Heard(e follow.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e.Kind {
	case follow.Opened:
		d.begin()
	case follow.Totalled:
		if d.now == nil {
			d.begin()
		}
		d.prepare(e.Receipt)
	case follow.Closed:
		d.book(e.Receipt)
	case follow.Cancelled:
		d.drop("cancelled")
	case follow.Lost:
		d.unread(e.Text)
	case follow.Other:
		d.log.Info("not a sale", "what", e.Text)
		d.c.Till.TellPassthrough(e.Text)
	}
}

func (d *desk) begin() {
	if s := d.now; s != nil && s.Printed {
		d.settle(s.entry) // its end was not seen, its lines were
	} else {
		d.drop("another receipt began")
	}
	d.now = &sale{entry: entry{ID: "pt-" + uuid.NewString()}}
}

// prepare authorises the receipt as it is now, so that its lines are at hand
// when it closes. It tells whether they are.
func (d *desk) prepare(r *follow.Receipt) bool {
	s := d.now
	if s == nil || s.added || r.Refund || len(r.Lines) == 0 {
		return false
	}
	// Until lines are out, the card read last counts.
	if token := d.customer(); token != "" {
		s.member = token
	}
	if s.member == "" {
		return false
	}
	b := basketOf(r, s.member, d.goods)
	if s.ready != nil && same(*s.ready, b) {
		return s.result
	}
	s.tries++
	status, answer := d.ask("authorise", s.ID, fmt.Sprintf("%s-a%d", s.ID, s.tries), b)
	if status != http.StatusOK {
		d.refused("authorise", answer)
		return false
	}
	s.ready, s.result = &b, d.agrees(answer, r)
	s.Capture = d.capture(r)
	if err := d.open.put(s.entry); err != nil {
		d.log.Error("open receipts", "error", err)
	}
	return s.result
}

// agrees tells whether the engine left the till's prices alone. With the floors
// it must; were it not so, the lines would speak of other sums than the receipt.
func (d *desk) agrees(answer []byte, r *follow.Receipt) bool {
	var a struct {
		Totals loyalty.Totals `json:"totals"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || int64(a.Totals.Net) != r.Net() || a.Totals.Redeemed != 0 {
		d.log.Error("a rule moved the till's prices", "net", a.Totals.Net, "receipt", decimal(r.Net(), 2), "error", err)
		return false
	}
	return true
}

// Lines implements follow.Desk.
func (d *desk) Lines(e follow.Event) []drivers.Block {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.prepare(e.Receipt) {
		return nil
	}
	s := d.now
	p := receipt.Paper{Columns: e.Columns, Wide: -1, Draws: func(receipt.Row) bool { return false }}
	if e.Draws {
		p.Wide, p.Draws = 0, nil
	}
	blocks, err := d.c.Till.Lines(d.ctx, s.ID, p)
	if err != nil {
		d.log.Error("lines", "receipt", s.ID, "error", err)
		return nil
	}
	if len(blocks) == 0 {
		return nil
	}
	s.added, s.Printed = true, true
	if err := d.open.mark(s.ID); err != nil {
		// What could not be remembered is not promised.
		d.log.Error("open receipts", "error", err)
		s.Printed = false
		return nil
	}
	return blocks
}

// capture is the body of the call that books the receipt.
func (d *desk) capture(r *follow.Receipt) json.RawMessage {
	body := map[string]any{}
	if r.Number != "" {
		body["fiscal_number"] = clip(r.Number)
	}
	if t := tenders(r); len(t) > 0 {
		body["tenders"] = t
	}
	if r.Operator != "" {
		body["cashier"] = clip(r.Operator)
	}
	if d.now.ready == nil {
		body["receipt"] = basketOf(r, d.now.member, d.goods)
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic("passthrough: " + err.Error())
	}
	return b
}

// Added implements follow.Desk.
func (d *desk) Added(o follow.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log.Info("lines", "outcome", string(o))
	if o == follow.AllAdded {
		d.health.Clear(health.PassLate, "")
		return
	}
	text := map[follow.Outcome]string{follow.SomeAdded: "the printer took only some of them", follow.NoneAdded: "the printer did not take them",
		follow.TooLate: "they were not ready in time"}[o]
	d.health.Raise(health.PassLate, "", text)
	d.c.Till.TellPassthrough("lines left out: " + text)
	if s := d.now; s != nil && o != follow.SomeAdded {
		s.added, s.Printed = false, false // the till may try to close it again
		if err := d.open.put(s.entry); err != nil {
			d.log.Error("open receipts", "error", err)
		}
	}
}

// book captures the receipt the printer has closed.
func (d *desk) book(r *follow.Receipt) {
	if d.now == nil {
		d.begin()
	}
	s := d.now
	if s.member == "" && s.ready == nil { // the card came after the total
		s.member = d.customer()
	}
	if s.ready != nil {
		if b := basketOf(r, s.member, d.goods); !same(*s.ready, b) {
			// More was read since it was authorised, and no lines told of it.
			if s.tries++; !s.Printed {
				if status, answer := d.ask("authorise", s.ID, fmt.Sprintf("%s-a%d", s.ID, s.tries), b); status != http.StatusOK {
					d.refused("authorise", answer)
				}
			} else {
				d.log.Warn("the receipt changed after its lines", "receipt", s.ID)
			}
		}
	}
	s.Closed, s.Capture = true, d.capture(r)
	d.now = nil
	if err := d.open.put(s.entry); err != nil {
		d.log.Error("open receipts", "error", err)
	}
	d.health.Clear(health.PassUnread, "")
	if d.settle(s.entry) && s.member != "" {
		d.c.Till.CustomerDone(s.member)
	}
}

// settle books or voids an entry and tells whether it is done with.
func (d *desk) settle(e entry) bool {
	if !e.Closed && !e.Printed {
		status, answer := d.ask("void", e.ID, e.ID+"-v", map[string]string{"reason": "its end was not seen"})
		if status >= 500 {
			return false
		}
		if status != http.StatusOK {
			d.log.Info("not voided", "receipt", e.ID, "answer", string(answer))
		}
		d.forget(e.ID)
		return true
	}
	status, answer := d.ask("capture", e.ID, e.ID+"-c", e.Capture)
	switch {
	case status == http.StatusOK:
		d.health.Clear(health.PassRefused, "")
	case status >= 500:
		d.log.Warn("not booked yet", "receipt", e.ID, "answer", string(answer))
		d.refused("capture", answer)
		return false // it stays in the file, and is tried again
	default:
		d.refused("capture", answer)
	}
	d.forget(e.ID)
	return status == http.StatusOK
}

func (d *desk) forget(id string) {
	if err := d.open.drop(id); err != nil {
		d.log.Error("open receipts", "error", err)
	}
}

// settleAll settles what is left from before; what is being read is left alone.
func (d *desk) settleAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range append([]entry(nil), d.open.entries...) {
		if d.now == nil || d.now.ID != e.ID {
			d.settle(e)
		}
	}
}

// drop ends a receipt that was no sale after all. What its lines have promised
// on paper goes with it: the paper says that it was cancelled.
func (d *desk) drop(why string) {
	s := d.now
	d.now = nil
	if s == nil {
		return
	}
	d.log.Info("receipt dropped", "receipt", s.ID, "why", why)
	if s.ready != nil {
		s.Printed, s.Closed = false, false
		d.settle(s.entry)
	}
}

// unread ends a receipt that cannot be believed. Lines that went out hold.
func (d *desk) unread(why string) {
	s := d.now
	d.now = nil
	d.log.Warn("receipt not read", "why", why)
	d.health.Raise(health.PassUnread, "", why)
	d.c.Till.TellPassthrough("not read: " + why)
	if s != nil && s.ready != nil && d.settle(s.entry) && s.Printed {
		d.c.Till.CustomerDone(s.member)
	}
}

// refused tells that the till would not take what was read.
func (d *desk) refused(call string, answer []byte) {
	var a struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(answer, &a) // without words the code tells nothing either
	d.log.Warn("refused", "call", call, "code", a.Error.Code, "message", a.Error.Message)
	if a.Error.Code == "not_enrolled" || a.Error.Code == "no_rulebook" {
		return // told by warnings of their own
	}
	d.health.Raise(health.PassRefused, "", a.Error.Message)
}

// State implements follow.Desk.
func (d *desk) State(s relay.State) {
	d.mu.Lock()
	lost := s.Lost > d.told.Lost
	asking := s.Asking != d.told.Asking
	d.told = s
	d.mu.Unlock()
	if asking {
		d.log.Info("relay", "asks_before_closes", s.Asking)
	}
	text := ""
	if s.Printer != "ok" && s.Printer != relay.NotOpened {
		text = "printer: " + s.Printer
	} else if s.Till != "ok" && s.Till != "closed" && s.Till != relay.NotOpened {
		text = "till: " + s.Till
	}
	d.health.Set(text != "", health.RelayEnd, "", text)
	if lost {
		d.c.Till.TellPassthrough(fmt.Sprintf("%d bytes of the till found no printer", s.Lost))
	}
}
