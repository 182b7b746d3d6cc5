package till

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
)

// defaultColumns is what a slip is laid out for when nobody says.
const defaultColumns = 42

// columns are the caller's, or those of the agent's own printer.
func (t *Till) columns(asked int) int {
	if asked > 0 {
		return min(max(asked, receipt.MinColumns), receipt.MaxColumns)
	}
	if p := t.c.Devices.Printer(); p != nil {
		if n := p.Columns(); n > 0 {
			return n
		}
	}
	return defaultColumns
}

// printLines lays the loyalty block out as plain lines.
func (t *Till) printLines(p *priced, columns int) []string {
	return receipt.Text(receipt.Layout(t.block(p.result, p.credited(), p.unlinked()), t.columns(columns)))
}

// block is the loyalty block of the rulebook, and under it, when the points
// still have to reach the centre, that they are to be credited: a customer
// must not read them as already hers. A slip that was made without a link says
// so, since its balance is not the last word.
func (t *Till) block(r *loyalty.Result, credited, offline bool) []loyalty.PrintLine {
	if len(r.Print) == 0 || !credited && !offline {
		return r.Print
	}
	lines := slices.Clone(r.Print)
	if credited {
		all := earned(r)
		for _, w := range r.Unconfirmed {
			all += w.Points
		}
		lines = append(lines, receipt.Credited(t.c.Language, all))
	}
	if offline {
		lines = append(lines, receipt.Offline(t.c.Language))
	}
	return lines
}

// unlinked tells whether a known customer was served without a link: of an open
// receipt, and of a stored one.
func (p *priced) unlinked() bool { return p.offline && p.cu != nil && p.cu.known }

func unlinked(r *store.Receipt) bool { return r.Offline && r.Member != nil }

// credited tells of a stored receipt what [priced.credited] tells of an open
// one.
func credited(r *store.Receipt, result *loyalty.Result) bool {
	known := r.Member != nil
	return (known || !r.Card.IsZero()) && (r.Offline || !known) && len(result.Earned) > 0
}

// slipRef names a slip: of a receipt's sale (0) or of its n-th return.
type slipRef struct {
	receipt string
	back    int
}

// queueSlip asks for a slip that is noted as queued to be printed. A queue
// that is full loses nothing: what is noted is printed at the next start.
func (t *Till) queueSlip(ref slipRef) {
	select {
	case t.slips <- ref:
	default:
		t.c.Log.Error("too many slips wait", "receipt", ref.receipt)
	}
}

// PrintSlips prints what is queued until ctx is done. Every slip is printed
// once: before the first byte goes out the store says "printing", and one
// whose printing was cut short is never repeated by itself.
func (t *Till) PrintSlips(ctx context.Context) error {
	for {
		select {
		case ref := <-t.slips:
			if err := t.printSlip(ctx, ref); err != nil {
				t.c.Log.Error("slip", "receipt", ref.receipt, "error", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mark moves a slip from one state to another; the receipt is nil when it was
// not in the first.
func (t *Till) mark(ref slipRef, from, to store.Slip) (r *store.Receipt, err error) {
	err = t.c.Journal.Update(func(tx *store.Tx) error {
		cur, err := tx.Receipt(ref.receipt)
		if err != nil || cur == nil {
			return err
		}
		slip, _ := cur.SlipOf(ref.back)
		if slip == nil || *slip != from {
			return nil
		}
		*slip = to
		r = cur
		return tx.PutReceipt(cur)
	})
	return r, err
}

func (t *Till) printSlip(ctx context.Context, ref slipRef) error {
	p := t.c.Devices.Printer()
	if p == nil || t.usable(ctx, p) != nil {
		if ctx.Err() != nil {
			return nil // still queued: the next start decides
		}
		_, err := t.mark(ref, store.SlipQueued, store.SlipFailed)
		t.slipEnded(ref, store.SlipFailed, "the printer was not ready")
		return err
	}
	r, err := t.mark(ref, store.SlipQueued, store.SlipPrinting)
	if err != nil || r == nil {
		return err
	}
	copyMark := ""
	if _, copies := r.SlipOf(ref.back); *copies > 0 {
		copyMark = receipt.CopyMark(t.c.Language)
	}
	slip, err := t.slip(r, ref.back, p, copyMark)
	if err != nil {
		return err
	}
	unlock, err := t.sales.lock(ctx, printerKey) // not into an open fiscal receipt
	if err != nil {
		return err
	}
	outcome, err := p.Print(ctx, slip)
	unlock()
	end := store.SlipPrinted
	switch outcome {
	case drivers.OutcomePrinted, drivers.OutcomeSent:
	case drivers.OutcomeNotPrinted:
		end = store.SlipFailed
	default:
		end = store.SlipUnknown
	}
	detail := ""
	if err != nil {
		detail = err.Error()
	}
	if _, err := t.mark(ref, store.SlipPrinting, end); err != nil {
		return err
	}
	t.slipEnded(ref, end, detail)
	return nil
}

func (t *Till) slipEnded(ref slipRef, s store.Slip, detail string) {
	t.metrics.slip(s)
	id := ref.receipt
	if ref.back == 0 {
		t.events.send(Event{Type: "receipt", Receipt: id, State: store.Captured, Slip: s})
	}
	if s == store.SlipPrinted {
		t.c.Health.Clear(health.SlipLost, "")
		return
	}
	t.c.Health.Raise(health.SlipLost, "", detail)
	t.c.Log.Warn("slip not printed", "receipt", id, "slip", string(s), "detail", detail)
}

// slip makes what the printer is given.
func (t *Till) slip(r *store.Receipt, back int, p drivers.Printer, copyMark string) (drivers.Slip, error) {
	lines, err := t.paragraphs(r, back)
	if err != nil {
		return drivers.Slip{}, err
	}
	s := drivers.Slip{ID: r.ID, CopyMark: copyMark}
	var head []loyalty.PrintLine
	for _, h := range t.c.Header {
		head = append(head, loyalty.PrintLine{Text: h, Align: "center"})
	}
	s.Blocks = append(s.Blocks, Blocks(Paper(p).Layout(append(head, lines...)))...)
	s.Blocks = append(s.Blocks, drivers.Feed{Lines: 1}, drivers.Cut{})
	return s, nil
}

// paragraphs is what a slip of a stored receipt says.
func (t *Till) paragraphs(r *store.Receipt, back int) ([]loyalty.PrintLine, error) {
	if back > 0 {
		b, err := t.told(r, back)
		return receipt.Return(t.c.Language, b), err
	}
	var basket loyalty.Receipt
	var result loyalty.Result
	if err := errors.Join(json.Unmarshal(r.Result, &result), json.Unmarshal(r.Basket, &basket)); err != nil {
		return nil, fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
	}
	result.Print = t.block(&result, credited(r, &result), unlinked(r))
	switch {
	case r.Exchange != nil:
		o, err := t.stored(r.Exchange.Receipt)
		if err != nil || o == nil || r.Exchange.Return > len(o.Returns) {
			break // the original was let go: the sale alone is told
		}
		b, err := t.told(o, r.Exchange.Return)
		return receipt.Exchange(t.c.Language, b, &basket, &result, r.Exchange.Owed), err
	case !t.c.WholeSlip:
		return result.Print, nil
	}
	return receipt.Paragraphs(t.c.Language, &basket, &result), nil
}

// told is a stored return as its slip tells it.
func (t *Till) told(r *store.Receipt, back int) (receipt.Back, error) {
	x := r.Returns[back-1]
	b := receipt.Back{Result: &loyalty.ReturnResult{}, Shortfall: x.Shortfall, Offline: x.Offline}
	if err := json.Unmarshal(x.Result, b.Result); err != nil {
		return b, fmt.Errorf("receipt %s: %w: %w", r.ID, store.ErrDamaged, err)
	}
	b.Names = goodsNames(r)
	return b, nil
}

// goodsNames are the names of the goods of a receipt by line; of a receipt of
// another till there are none.
func goodsNames(r *store.Receipt) map[string]string {
	var basket loyalty.Receipt
	if json.Unmarshal(r.Basket, &basket) != nil {
		return nil
	}
	names := map[string]string{}
	for i, l := range basket.Lines {
		id := l.ID
		if id == "" {
			id = strconv.Itoa(i + 1)
		}
		names[id] = l.Name
	}
	return names
}

// Paper is what slips for a printer are laid out for: its columns, its letters,
// and the codes it has.
func Paper(p drivers.Printer) receipt.Paper {
	out := receipt.Paper{Columns: p.Columns()}
	if out.Columns <= 0 {
		out.Columns = defaultColumns
	}
	if a, ok := drivers.As[drivers.Typesetter](p); ok {
		out.Spell = a.Spell
		if out.Wide = a.Wide(); out.Wide == 0 {
			out.Wide = -1
		}
		out.Draws = func(r receipt.Row) bool { return a.Draws(Blocks([]receipt.Row{r})[0]) }
	}
	return out
}

// Blocks turns laid-out rows into what a printer driver takes.
func Blocks(rows []receipt.Row) []drivers.Block {
	var blocks []drivers.Block
	for _, r := range rows {
		switch {
		case r.Code != "":
			blocks = append(blocks, barcode(r.Code))
		case r.QR != "":
			blocks = append(blocks, drivers.QR{Data: r.QR, Align: drivers.Centre})
		case r.Big:
			blocks = append(blocks, drivers.Text{Text: r.Text, Bold: r.Bold, Width: 2, Height: 2, Align: aligns[r.Align]})
		default:
			blocks = append(blocks, drivers.Text{Text: r.Text, Bold: r.Bold})
		}
	}
	return blocks
}

var aligns = map[string]drivers.Align{"center": drivers.Centre, "right": drivers.Right}

// barcode takes EAN-13 for 12 or 13 digits, Code 128 for the rest.
func barcode(data string) drivers.Barcode {
	b := drivers.Barcode{Symbology: drivers.Code128, Data: data, Align: drivers.Centre}
	if digits(data) && len(data) == 13 && eanCheck(data) {
		b.Symbology = drivers.EAN13
	}
	return b
}

func eanCheck(s string) bool {
	sum := 0
	for i := range 12 {
		d := int(s[i] - '0')
		if i%2 == 1 {
			d *= 3
		}
		sum += d
	}
	return (10-sum%10)%10 == int(s[12]-'0')
}

// PrintAnswer tells how the slip stands.
type PrintAnswer struct {
	Slip   store.Slip `json:"slip"`
	Copies int        `json:"copies"`
}

// printBody says which slip of a receipt is wanted again.
type printBody struct {
	Return int `json:"return,omitempty"` // the n-th return's; left out: the sale's
}

// reprint prints a slip of a captured receipt again, marked as a copy.
func (t *Till) reprint(ctx context.Context, c *call, id string, b *printBody) (*reply, error) {
	if t.c.Devices.Printer() == nil {
		return nil, refuse("no_printer")
	}
	unlock, err := t.sales.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	out, err := t.commit(c, http.StatusAccepted, func(tx *store.Tx) (any, error) {
		r, err := tx.Receipt(id)
		switch {
		case err != nil:
			return nil, err
		case r == nil:
			return nil, refuse("unknown_receipt")
		}
		slip, copies := r.SlipOf(b.Return)
		switch {
		case slip == nil:
			return nil, refuse("bad_request", fmt.Sprintf("the receipt has %d returns", len(r.Returns))).at("return")
		case r.Mark.Seq == 0 || *slip == store.SlipQueued || *slip == store.SlipPrinting:
			return nil, refuse("wrong_state", string(r.State)+" "+string(*slip))
		}
		// One that is known not to be on paper is no copy.
		if *slip != store.SlipFailed && *slip != "" {
			*copies++
		}
		*slip = store.SlipQueued
		return PrintAnswer{*slip, *copies}, tx.PutReceipt(r)
	})
	if err != nil {
		return nil, err
	}
	t.queueSlip(slipRef{id, b.Return})
	return out, nil
}
