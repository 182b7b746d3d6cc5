package till

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// basketBody is the body of calculate and authorise: a receipt, the member's
// token, and for authorise what the caller has shown the customer.
type basketBody struct {
	loyalty.Receipt
	Member  string      `json:"member,omitempty"`
	Expect  *Expect     `json:"expect,omitempty"`
	Returns *returnBody `json:"returns,omitempty"` // goods that come back in exchange
	// Customer names the customer by what was scanned or typed, for callers that
	// keep no token.
	Customer *identifyBody `json:"customer,omitempty"`
	// Proof is what else the member showed to spend without a link: the phone
	// number of the account or another card of it.
	Proof string `json:"proof,omitempty"`

	back    *exchange // what Returns amounts to
	noSpend string    // why the centre would not have it
}

// Expect is the price the caller goes by.
type Expect struct {
	Net      *loyalty.Money `json:"net,omitempty"`
	Discount *loyalty.Money `json:"discount,omitempty"`
	Redeemed *loyalty.Money `json:"redeemed,omitempty"`
}

func (e *Expect) fits(t loyalty.Totals) bool {
	return e == nil || (e.Net == nil || *e.Net == t.Net) && (e.Discount == nil || *e.Discount == t.Discount) &&
		(e.Redeemed == nil || *e.Redeemed == t.Redeemed)
}

// SaleAnswer is what calculate and authorise answer: the result of pricing
// and where the receipt stands.
type SaleAnswer struct {
	*loyalty.Result
	Mode         string      `json:"mode"`
	State        store.State `json:"state,omitempty"`
	Hold         string      `json:"hold,omitempty"`
	ToBeCredited bool        `json:"to_be_credited,omitempty"`
	Exchange     *Exchange   `json:"exchange,omitempty"`
	// SpendNote says, in the till's language, why not more points can be used.
	SpendNote string `json:"spend_note,omitempty"`
}

// ClockUntrusted is what Barred answers while nobody knows what day it is:
// then what is good at certain times only is not given either.
const ClockUntrusted = "clock_untrusted"

// priced is a receipt with its price.
type priced struct {
	rules   Rules
	cu      *customer // nil: nobody
	receipt *loyalty.Receipt
	result  *loyalty.Result
	offline bool
	before  *loyalty.Result // as authorised, when the tenders changed it
	proof   string          // kind of the second proof; empty: none
}

func (p *priced) mode() string {
	if p.offline {
		return "offline"
	}
	return "online"
}

// credited tells whether the points are shown as "to be credited".
func (p *priced) credited() bool {
	return p.cu != nil && (p.offline || !p.cu.known) && len(p.result.Earned) > 0
}

func (p *priced) points() loyalty.Points {
	if p.result.Spend == nil {
		return 0
	}
	return p.result.Spend.Points
}

// price prices a basket without any effect.
func (t *Till) price(id string, b *basketBody, offline bool) (*priced, error) {
	rules := t.c.Rules()
	switch {
	case t.c.Till == "":
		return nil, refuse("not_enrolled")
	case rules == nil:
		return nil, refuse("no_rulebook")
	case b.ID != "" && b.ID != id:
		return nil, refuse("bad_request", "id differs from the address").at("id")
	}
	r := b.Receipt
	r.ID, r.Store, r.Till = id, t.c.Store, t.c.Till
	if r.Time.IsZero() {
		r.Time = t.c.Time().Truncate(time.Second)
	}
	if r.Spend == "" {
		if d, ok := t.drafts.get(id); ok && d.spend != nil {
			r.Spend = *d.spend
		}
	}
	p := &priced{rules: rules, receipt: &r, offline: offline}
	barred := t.c.Barred()
	in := Pricing{Receipt: &r, Offline: offline || barred != "", Language: t.c.Language, Now: t.c.Now(), NoClock: barred == ClockUntrusted, NoSpend: barred}
	if in.NoSpend == "" {
		in.NoSpend = b.noSpend
	}
	if b.Member != "" {
		c, err := t.seal.open(b.Member, t.c.Now())
		if err != nil {
			return nil, refuse("bad_member").at("member")
		}
		if p.cu, err = t.load(c, rules); err != nil {
			return nil, err
		}
		in.Member, in.Credited = b.back.after(rules, p.cu.member, r.Time), p.cu.ready
		if in.Offline {
			if p.proof, err = t.right(&in, p.cu, rules, id, b.Proof); err != nil {
				return nil, err
			}
		}
	}
	if err := t.standing(&in, rules, id, r.Time); err != nil {
		return nil, err
	}
	var err error
	if p.result, err = rules.Price(in); err != nil {
		return nil, err
	}
	p.result.Receipt = id
	p.result.Member = nil
	if p.cu != nil {
		p.result.Member = p.cu.Member
	}
	return p, nil
}

// who turns a basket's customer into the token of a member.
func (t *Till) who(ctx context.Context, b *basketBody) error {
	c := b.Customer
	if c == nil {
		return nil
	}
	if b.Member != "" {
		return refuse("bad_request", "member and customer are there both").at("customer")
	}
	cu, err := t.named(ctx, c)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Field != "" {
			e.Field = "customer." + e.Field
		}
		return err
	}
	b.Member, b.Customer = t.seal.seal(cu.claim), nil
	return nil
}

// calculate prices a basket and remembers it, in memory, for the cashier's
// choice of points.
func (t *Till) calculate(ctx context.Context, id string, b *basketBody) (*SaleAnswer, error) {
	err := t.who(ctx, b)
	if err != nil {
		return nil, err
	}
	if b.back, err = t.exchanging(ctx, id, b.Returns); err != nil {
		return nil, err
	}
	p, err := t.price(id, b, !t.c.Link.Online())
	if err != nil {
		return nil, err
	}
	t.drafts.change(id, func(d *draft) { d.body, d.at = *b, t.c.Now() })
	a := &SaleAnswer{Result: p.result, Mode: p.mode(), State: store.Open, ToBeCredited: p.credited(), Exchange: b.back.told(p.result), SpendNote: t.note(p)}
	t.events.receipt(id, store.Open, p)
	return a, nil
}

// choose is the cashier's choice of points on the page.
func (t *Till) choose(_ context.Context, id, spend string) (*SaleAnswer, error) {
	d, ok := t.drafts.get(id)
	if !ok {
		return nil, refuse("unknown_receipt")
	}
	if spend != "" && spend != "max" {
		if _, err := loyalty.ParsePoints(spend); err != nil {
			return nil, refuse("bad_request", err.Error()).at("spend")
		}
	}
	b := d.body
	b.Spend = spend
	p, err := t.price(id, &b, !t.c.Link.Online())
	if err != nil {
		return nil, err
	}
	t.drafts.change(id, func(d *draft) { d.spend = &spend })
	t.events.send(Event{Type: "spend", Receipt: id, Spend: &spend})
	t.events.receipt(id, store.Open, p)
	return &SaleAnswer{Result: p.result, Mode: p.mode(), State: store.Open, ToBeCredited: p.credited(), Exchange: b.back.told(p.result), SpendNote: t.note(p)}, nil
}

// authorise prices the basket for the last time before payment and holds the
// points it spends.
func (t *Till) authorise(ctx context.Context, c *call, id string, b *basketBody) (*reply, error) {
	if err := t.who(ctx, b); err != nil {
		return nil, err
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
	if old != nil && !old.State.May(store.Held) {
		return nil, refuse("wrong_state", old.State)
	}
	if code := t.c.Closed(); code != "" && old == nil {
		return nil, refuse(code)
	}
	if b.back, err = t.exchanging(ctx, id, b.Returns); err != nil {
		return nil, err
	}
	p, err := t.price(id, b, !t.c.Link.Online())
	if err != nil {
		return nil, err
	}
	if !b.Expect.fits(p.result.Totals) {
		return nil, changed(p.result.Totals)
	}
	r := t.newReceipt(id, c, p)
	var hold *store.Hold
	if pts := p.points(); pts > 0 {
		if hold, p, err = t.hold(ctx, old, r, b, p); err != nil {
			return nil, err
		}
	}
	// Without a link the points come out of leases, in the transaction below.
	leased := hold != nil && p.offline && hold.Keeper == ""
	a := SaleAnswer{Result: p.result, Mode: p.mode(), State: store.Held, ToBeCredited: p.credited(), Exchange: b.back.told(p.result), SpendNote: t.note(p)}
	if hold != nil {
		a.Hold = hold.ID
	}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		r := t.newReceipt(id, c, p)
		cur, err := tx.Receipt(id)
		if err != nil {
			return nil, err
		}
		if cur != nil {
			r.Opened = cur.Opened
			// An earlier authorisation of this receipt held points: give back.
			if cur.Hold != nil && (hold == nil || cur.Hold.ID != hold.ID) {
				if err := t.voidHold(tx, cur, "authorised again"); err != nil {
					return nil, err
				}
			}
		}
		r.State, r.Hold, r.Booked = store.Held, hold, booking(p, nil)
		var took *store.Booking
		if cur != nil {
			took = cur.Booked
		}
		if err := tx.Rebook(took, r.Booked); err != nil {
			return nil, err
		}
		if leased {
			hold.Leases = nil // of an attempt that was not written down
			if err := t.takeLease(tx, r, hold, p.proof); err != nil {
				return nil, err
			}
		} else if hold != nil && hold.Keeper == "" {
			_, err := tx.Append(outbox.Entry{Type: wire.TypeHold, Receipt: id, Payload: wire.Hold{Hold: hold.ID,
				Member: memberText(r.Member), Wallet: hold.Wallet, Points: hold.Points.String()}})
			if err != nil {
				return nil, err
			}
		}
		if err := tellRefused(tx, r, p); err != nil {
			return nil, err
		}
		return a, tx.PutReceipt(r)
	})
	if errors.Is(err, store.ErrQuota) || errors.Is(err, store.ErrLease) {
		// Another basket took the last of a budget or lease since the price was
		// made.
		if p, err = t.price(id, b, p.offline); err != nil {
			return nil, err
		}
		return nil, changed(p.result.Totals)
	}
	if err == nil {
		t.events.receipt(id, store.Held, p)
	}
	return out, err
}

// hold sees to the points of a receipt. With a link it asks the centre to keep
// them. Before the question goes out the hold is on disk, so that a restart in
// between gives it back; an answer that does not come in time is given back
// too, and the receipt is priced again as without a link. A refusal for want
// of points tells how many there are, and those are asked for once.
//
// A hold of a receipt that is priced without a link is taken out of leases by
// the caller, in the transaction that writes the receipt down.
func (t *Till) hold(ctx context.Context, old, r *store.Receipt, b *basketBody, p *priced) (*store.Hold, *priced, error) {
	with := *b
	for try := 0; ; try++ {
		h := &store.Hold{ID: uuid.NewString(), Wallet: p.result.Spend.Wallet, Points: p.points()}
		if p.offline {
			here, err := t.here(old, p)
			if err != nil || here {
				h.Granted = true
				return h, p, err
			}
			if h, err = t.keeperHold(ctx, old, r, p); err != nil || h != nil {
				return h, p, err
			}
			with.noSpend = noKeeper
			if p, err = t.price(r.ID, &with, true); err == nil && !b.Expect.fits(p.result.Totals) {
				err = changed(p.result.Totals)
			}
			return nil, p, err
		}
		r.State, r.Hold = store.Open, h
		r.Basket, r.Result = mustJSON(p.receipt), mustJSON(lasting(p.result))
		err := t.c.Journal.Update(func(tx *store.Tx) error {
			if old != nil {
				r.Opened, r.Booked = old.Opened, old.Booked
				if old.Hold != nil {
					if err := t.voidHold(tx, old, "authorised again"); err != nil {
						return err
					}
				}
			}
			return tx.PutReceipt(r)
		})
		if err != nil {
			return nil, nil, err
		}
		answer, asked := t.c.Link.AskHold(ctx, wire.AskHold{Hold: h.ID, Member: memberText(r.Member), CardRef: r.Card,
			Wallet: h.Wallet, Points: h.Points.String(), Receipt: r.ID})
		if asked == nil && answer.Granted {
			h.Granted = true
			t.held(r, h, answer)
			return h, p, nil
		}
		reason := "no answer"
		if asked == nil {
			reason = answer.Reason
		}
		t.c.Log.Info("points not held", "receipt", r.ID, "reason", reason)
		// A refusal needs no giving back; silence may hide a grant.
		err = t.c.Journal.Update(func(tx *store.Tx) error {
			if asked != nil {
				if e := t.voidHold(tx, r, reason); e != nil {
					return e
				}
			}
			r.Hold = nil
			return tx.PutReceipt(r)
		})
		if err != nil {
			return nil, nil, err
		}
		before := *r
		old = &before // it holds nothing any more
		if asked == nil && (try > 0 || !t.short(r, h, answer)) {
			with.noSpend = reason
		}
		again, err := t.price(r.ID, &with, asked != nil)
		if err != nil {
			return nil, nil, err
		}
		if s := again.result.Spend; s != nil && asked == nil && (s.LimitedBy == "" || s.LimitedBy == "balance") {
			s.LimitedBy = reason
		}
		if !b.Expect.fits(again.result.Totals) {
			return nil, nil, changed(again.result.Totals)
		}
		if p = again; p.points() == 0 {
			return nil, p, nil
		}
	}
}

// short tells whether a hold was refused only because there is less than was
// asked for, and takes note of how much there is.
func (t *Till) short(r *store.Receipt, h *store.Hold, a *wire.AnswerHold) bool {
	left, err := loyalty.ParsePoints(a.Available)
	if err != nil || left >= h.Points || a.Reason != "not_enough" && a.Reason != noReserved {
		return false
	}
	t.held(r, h, a)
	return true
}

// held takes note, in the cache, of what the centre's answer left available:
// granted points are not in it, and from here on the centre's snapshots are
// without them too, so closing the receipt takes nothing off again.
func (t *Till) held(r *store.Receipt, h *store.Hold, a *wire.AnswerHold) {
	left, err := loyalty.ParsePoints(a.Available)
	if err != nil || r.Member == nil {
		return
	}
	reserved, err := loyalty.ParsePoints(a.Reserved)
	if err != nil {
		reserved = 0
	}
	err = t.c.Cache.Update(func(tx *store.CacheTx) error { return tx.SetActive(*r.Member, h.Wallet, left, reserved, a.ReservedAt) })
	if err != nil {
		t.c.Log.Error("balance not corrected", "error", err)
	}
}

func changed(t loyalty.Totals) *Error {
	return refuse("price_changed", t.Net, t.Discount, t.Redeemed)
}

// voidHold journals that a hold is given back.
func (t *Till) voidHold(tx *store.Tx, r *store.Receipt, reason string) error {
	if err := giveLease(tx, r); err != nil {
		return err
	}
	_, err := tx.Append(outbox.Entry{Type: wire.TypeVoid, Receipt: r.ID, Payload: wire.Void{Hold: r.Hold.ID,
		Member: memberText(r.Member), CardRef: r.Card, Reason: reason}})
	return err
}

func memberText(m *loyalty.MemberID) string {
	if m == nil {
		return ""
	}
	return m.String()
}

// stored reads a receipt; nil when this till does not know it.
func (t *Till) stored(id string) (r *store.Receipt, err error) {
	err = t.c.Journal.View(func(tx *store.Tx) error {
		r, err = tx.Receipt(id)
		return err
	})
	return r, err
}

// newReceipt makes the stored form of a priced receipt.
func (t *Till) newReceipt(id string, c *call, p *priced) *store.Receipt {
	r := &store.Receipt{ID: id, Caller: c.caller, Offline: p.offline, Basket: mustJSON(p.receipt), Result: mustJSON(lasting(p.result)),
		Cashier: p.receipt.Cashier}
	if p.cu != nil {
		r.Member, r.Card, r.Entry, r.Snapshot = p.cu.Member, p.cu.Ref, p.cu.Entry, p.cu.member
	}
	return r
}

// lasting is a result without its trace: the trace can be computed again
// from rulebook, basket and snapshot.
func lasting(r *loyalty.Result) *loyalty.Result {
	c := *r
	c.Trace = nil
	return &c
}

// settled is what the journal and the centre need of a result.
func settled(r *loyalty.Result) *loyalty.Result {
	c := *lasting(r)
	c.Print, c.Messages, c.Unconfirmed = nil, nil, nil
	return &c
}

// moving is what moves a member's snapshot.
func moving(r *loyalty.Result) *loyalty.Result {
	c := *settled(r)
	c.Lines, c.Rules, c.Gifts = nil, nil, nil
	return &c
}

// mustJSON marshals our own types, which always can be.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("till: %v", err))
	}
	return b
}

// captureBody is the body of capture.
type captureBody struct {
	Fiscal  string           `json:"fiscal_number,omitempty"`
	Shift   string           `json:"shift,omitempty"`
	Cashier string           `json:"cashier,omitempty"`
	Tenders []loyalty.Tender `json:"tenders,omitempty"`
	Receipt *basketBody      `json:"receipt,omitempty"` // when it was not authorised before
	Member  string           `json:"member,omitempty"`
	Expect  *Expect          `json:"expect,omitempty"`
	Print   string           `json:"print,omitempty"`   // "agent": on the agent's own printer
	Columns int              `json:"columns,omitempty"` // of the caller's printer
	// Returns is goods that come back in exchange, as it was authorised.
	Returns *returnBody `json:"returns,omitempty"`
}

// CaptureAnswer is what capture answers.
type CaptureAnswer struct {
	State        store.State     `json:"state"`
	Seq          uint64          `json:"seq"`
	Result       *loyalty.Result `json:"result"`
	Print        []string        `json:"print"`
	Slip         store.Slip      `json:"slip,omitempty"`
	Mode         string          `json:"mode"`
	ToBeCredited bool            `json:"to_be_credited"`
	Exchange     *Exchange       `json:"exchange,omitempty"`
}

// capture closes a receipt: everything it changes is one transaction, and
// nothing is told or printed before that is on disk.
func (t *Till) capture(ctx context.Context, c *call, id string, b *captureBody) (*reply, error) {
	if b.Print != "" && b.Print != "agent" {
		return nil, refuse("bad_request", `print is "agent" or left out`).at("print")
	}
	if b.Print == "agent" && t.c.Devices.Printer() == nil {
		return nil, refuse("no_printer").at("print")
	}
	if b.Receipt != nil {
		if b.Returns == nil {
			b.Returns = b.Receipt.Returns
		}
		if err := t.who(ctx, b.Receipt); err != nil {
			return nil, err
		}
	}
	if err := t.byFiscal(ctx, b.Returns); err != nil {
		return nil, err
	}
	if b.Fiscal == "" {
		if rec, err := t.fiscalRecord(id); err != nil {
			return nil, err
		} else if rec != nil && rec.Closed != nil {
			b.Fiscal = rec.Closed.Number // printed through us
		}
	}
	unlock, err := t.lockSales(ctx, id, b.Returns)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := t.stored(id)
	if err != nil {
		return nil, err
	}
	x, err := t.exchanging(ctx, id, b.Returns)
	if err != nil {
		return nil, err
	}
	if x != nil {
		same := *b.Returns
		x.body = &same
		for _, f := range [][2]*string{{&same.Fiscal, &b.Fiscal}, {&same.Shift, &b.Shift}, {&same.Cashier, &b.Cashier}} {
			if *f[0] == "" {
				*f[0] = *f[1]
			}
		}
	}
	if b.Receipt != nil {
		b.Receipt.back = x
	}
	p, err := t.closing(id, old, b)
	if err != nil {
		return nil, err
	}
	out, err := t.close(c, id, b, old, p, x)
	if errors.Is(err, store.ErrQuota) {
		// Another basket took the last of a budget since the price was made.
		// What was authorised keeps its own part; a new price is made of the rest.
		if p.before != nil {
			p.result = p.before
		} else if p, err = t.closing(id, old, b); err != nil {
			return nil, err
		}
		if out, err = t.close(c, id, b, old, p, x); errors.Is(err, store.ErrQuota) {
			return nil, changed(p.result.Totals)
		}
	}
	return out, err
}

// close writes a priced receipt down as captured, and tells and prints it.
func (t *Till) close(c *call, id string, b *captureBody, old *store.Receipt, p *priced, x *exchange) (*reply, error) {
	r := t.newReceipt(id, c, p)
	r.State, r.Fiscal, r.Shift = store.Captured, b.Fiscal, b.Shift
	if b.Cashier != "" {
		r.Cashier = b.Cashier
	}
	var took *store.Booking
	if old != nil {
		r.Hold, r.Opened, took = old.Hold, old.Opened, old.Booked
	}
	r.Booked = booking(p, took)
	if b.Print == "agent" {
		r.Slip = store.SlipQueued
	}
	if x != nil {
		r.Exchange = &store.Exchanged{Receipt: x.o.r.ID, Return: len(x.o.r.Returns) + 1, Owed: x.owed(p.result)}
	}
	commit := wire.Commit{Receipt: mustJSON(p.receipt), Result: mustJSON(settled(p.result)), Member: memberText(r.Member),
		CardRef: r.Card, Offline: p.offline, Fiscal: r.Fiscal, Shift: r.Shift, Cashier: r.Cashier, Entry: r.Entry, At: p.receipt.Time,
		Quotas: told(r.Booked)}
	if r.Hold != nil {
		commit.Hold, commit.Voucher = r.Hold.ID, r.Hold.Voucher
	}
	lines := t.printLines(p, b.Columns)
	if x != nil {
		lines = t.exchangeLines(x, p, b.Columns)
	}
	out, err := t.commit(c, http.StatusOK, func(tx *store.Tx) (any, error) {
		if x != nil {
			if err := t.takeBack(tx, x.o, x.a, x.body); err != nil {
				return nil, err
			}
		}
		at, err := tx.Append(outbox.Entry{Type: wire.TypeCommit, Receipt: id, Payload: commit})
		if err != nil {
			return nil, err
		}
		r.Mark = wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}
		if err := tx.Rebook(took, r.Booked); err != nil {
			return nil, err
		}
		if err := tx.PutReceipt(r); err != nil {
			return nil, err
		}
		if p.cu != nil {
			d := &store.Delta{Mark: r.Mark, Result: moving(p.result), At: p.receipt.Time}
			if r.Hold != nil && len(r.Hold.Leases) == 0 && r.Hold.Voucher == nil {
				d.Result.Spend = nil // gone since the hold was granted
			}
			if err := tx.AddDelta(store.SubjectOf(r.Member, r.Card), d); err != nil {
				return nil, err
			}
		}
		if err := tx.CountShift(b.Shift, count(p.result, 1)); err != nil {
			return nil, err
		}
		return CaptureAnswer{State: store.Captured, Seq: at.Seq, Result: lasting(p.result), Print: lines, Slip: r.Slip,
			Mode: p.mode(), ToBeCredited: p.credited(), Exchange: x.told(p.result)}, nil
	})
	if err != nil {
		return nil, err
	}
	t.drafts.drop(id)
	t.metrics.captured(p)
	if r.Slip == store.SlipQueued {
		t.queueSlip(slipRef{id, 0})
	}
	if x != nil {
		t.events.state(x.body.Original, x.a.State)
	}
	t.events.receipt(id, store.Captured, p)
	t.farewell(p)
	return out, nil
}

// closing gives the price a receipt is closed with: what was authorised, with
// the real tenders where they change what it earns, or a receipt that comes
// with the call.
func (t *Till) closing(id string, old *store.Receipt, b *captureBody) (*priced, error) {
	if old == nil || old.State == store.Open {
		if code := t.c.Closed(); code != "" {
			return nil, refuse(code)
		}
		body := b.Receipt
		if body == nil {
			return nil, refuse("unknown_receipt")
		}
		if b.Member != "" {
			body.Member = b.Member
		}
		if len(b.Tenders) > 0 {
			body.Tenders = b.Tenders
		}
		if b.Cashier != "" {
			body.Cashier = b.Cashier
		}
		p, err := t.price(id, body, !t.c.Link.Online())
		if err != nil {
			return nil, err
		}
		if p.points() > 0 {
			return nil, refuse("authorise_first")
		}
		expect := b.Expect
		if expect == nil {
			expect = body.Expect
		}
		if !expect.fits(p.result.Totals) {
			return nil, changed(p.result.Totals)
		}
		return p, nil
	}
	if !old.State.May(store.Captured) || old.State == store.Captured {
		return nil, refuse("wrong_state", old.State)
	}
	p := &priced{rules: t.c.Rules(), receipt: &loyalty.Receipt{}, result: &loyalty.Result{}, offline: old.Offline}
	if err := errors.Join(json.Unmarshal(old.Basket, p.receipt), json.Unmarshal(old.Result, p.result)); err != nil {
		return nil, fmt.Errorf("receipt %s: %w: %w", id, store.ErrDamaged, err)
	}
	if !b.Expect.fits(p.result.Totals) {
		return nil, changed(p.result.Totals)
	}
	if old.Member != nil || !old.Card.IsZero() {
		// The customer as of the authorisation: one receipt, one snapshot.
		p.cu = &customer{claim: claim{Member: old.Member, Ref: old.Card, Entry: old.Entry}, known: old.Member != nil, member: old.Snapshot}
		if p.cu.member == nil {
			p.cu.member = &loyalty.Member{Card: loyalty.Card{Status: "inactive"}}
		}
	}
	if len(b.Tenders) > 0 {
		p.receipt.Tenders = b.Tenders
		t.reprice(p)
	}
	return p, nil
}

// reprice takes the real tenders into account: what is earned may depend on
// them, what is paid may not change any more.
func (t *Till) reprice(p *priced) {
	if p.rules == nil || p.rules.Version() != p.result.Rulebook {
		return
	}
	in := Pricing{Receipt: p.receipt, Offline: p.offline, Language: t.c.Language, Now: t.c.Now(), NoClock: t.c.Barred() == ClockUntrusted}
	if s := p.result.Spend; p.offline && s != nil && s.Points > 0 { // held already
		in.Leases = map[string]loyalty.Points{s.Wallet: s.Points}
	}
	if p.cu != nil {
		in.Member, in.Credited = p.cu.member, map[string]loyalty.Points{}
		for _, w := range p.result.Unconfirmed {
			in.Credited[w.Wallet] = w.Points
		}
	}
	if err := t.standing(&in, p.rules, p.receipt.ID, p.receipt.Time); err != nil {
		return
	}
	again, err := p.rules.Price(in)
	if err != nil || again.Totals != p.result.Totals || len(again.Lines) != len(p.result.Lines) {
		return
	}
	for i, l := range again.Lines {
		o := p.result.Lines[i]
		if l.Net != o.Net || l.Redeemed != o.Redeemed || l.Spent != o.Spent {
			return
		}
	}
	again.Receipt, again.Member = p.result.Receipt, p.result.Member
	p.before, p.result = p.result, again
}

// count is what a receipt adds to its shift.
func count(r *loyalty.Result, sign int64) store.ShiftCount {
	c := store.ShiftCount{Receipts: int(sign), Net: r.Totals.Net * loyalty.Money(sign), Discount: r.Totals.Discount * loyalty.Money(sign),
		Redeemed: r.Totals.Redeemed * loyalty.Money(sign)}
	for _, e := range r.Earned {
		c.Earned += e.Points * loyalty.Points(sign)
	}
	if r.Spend != nil {
		c.Spent += r.Spend.Points * loyalty.Points(sign)
	}
	return c
}
