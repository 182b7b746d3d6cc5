// Package escpos drives receipt printers that speak ESC/POS: Epson TM and its
// many relatives.
//
// A slip becomes one job: initialise, code page, blocks, cut. Behind it goes a
// query that the printer answers in order (GS r 1, else GS I 1), so its answer
// means that all before it was taken:
//
//	ESC @ · ESC t n · text ... · GS V B 0 · GS r 1  ──>
//	                                          <──  one byte: printed
//
// No answer within ten seconds and the time on the wire is "unknown": the rest
// may still come out when paper is loaded. The driver never repeats a slip. If
// the answer comes late after all, Env.OnOutcome is told.
//
// Meanwhile, and every second when idle, the printer is asked in real time (DLE
// EOT 1 to 4), which it answers also when it is off-line; with asb it tells
// changes by itself. Printers on one-way lines never answer: their state is
// unknown, not faulty, and slips are "sent".
//
// Code page numbers are not universal (CP866 is 17 on an Epson, 7 on a Citizen,
// 59 on some POS-58), so each model lists its own. Each line is printed with
// the first page that has its letters. ESC @ forgets the page, so it is always
// sent again. TestPage prints a line in each page for the technician to look at.
//
// Serial printers are set to 9600 to 115200 baud 8N1 (Epson ships 38400); TCP
// printers listen on port 9100 and take one client at a time; USB printers are
// /dev/usb/lp0 on Linux (file:/dev/usb/lp0).
package escpos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// answerIn is how long a real-time answer may take, beside the wire.
const answerIn = 500 * time.Millisecond

// Printer is one ESC/POS printer.
type Printer struct {
	*drivers.Session
	profile Profile
	env     drivers.Env

	askable  string        // option status
	confirm  string        // option confirm
	asb      bool          //
	rtClear  bool          //
	answer   time.Duration //
	answered bool          // it has answered a query since the program started

	// What follows belongs to the session's goroutine.
	sort    sorter
	query   []byte   // what confirms a slip here; nil when nothing does
	owed    []string // slips whose confirmation has not come, oldest first
	broken  bool     // a job was cut short: the printer's buffer is unclear
	missed  int      // status queries without answer in a row
	gotText string
	gotByte byte
	last    drivers.Status
}

var (
	_ drivers.Printer    = (*Printer)(nil)
	_ drivers.Drawer     = (*Printer)(nil)
	_ drivers.Identifier = (*Printer)(nil)
	_ drivers.Recoverer  = (*Printer)(nil)
	_ drivers.Tester     = (*Printer)(nil)
)

// New makes a printer of checked settings.
func New(cfg drivers.Config, env drivers.Env) (*Printer, error) {
	prof, err := ProfileOf(cfg.Options)
	if err != nil {
		return nil, err
	}
	o := cfg.Options
	d := &Printer{profile: prof, env: env, askable: o.Text("status"), confirm: o.Text("confirm"),
		asb: o.Bool("asb"), rtClear: o.Bool("realtime_clear"), answer: o.Duration("answer")}
	talk := drivers.Talk{Start: d.start, Poll: d.poll, PollEvery: max(o.Duration("poll"), 100*time.Millisecond), Receive: d.receive, Lost: d.lost}
	if d.askable == "no" {
		talk.Poll = nil
	}
	d.Session = drivers.NewSession(cfg, env, talk)
	return d, nil
}

// Columns of font A.
func (d *Printer) Columns() int { return d.profile.Columns }

// start brings the printer to a known state and learns what it answers.
func (d *Printer) start(ctx context.Context, p *line.Port) error {
	d.sort.reset()
	d.owed, d.query, d.missed = nil, nil, 0
	p.Discard()
	if d.broken && d.rtClear {
		if err := d.write(ctx, p, cmdClear); err != nil {
			return err
		}
	}
	if err := d.write(ctx, p, d.profile.Init()); err != nil {
		return err
	}
	d.broken = false
	if d.askable == "no" {
		d.Set(drivers.Unknown, "the printer is not asked")
		return nil
	}
	rt, err := d.ask(ctx, p)
	if err != nil {
		if p.Err() != nil || ctx.Err() != nil {
			return err
		}
		return d.silent()
	}
	d.setStatus(rt.status())
	if err := d.learn(ctx, p, rt); err != nil {
		return err
	}
	if d.asb {
		if err := d.write(ctx, p, cmdASB); err != nil {
			return err
		}
	}
	return nil
}

// silent says what it means that a printer does not answer: nothing, or
// nothing that makes sense.
func (d *Printer) silent() error {
	if d.sort.strange > 0 {
		d.sort.strange = 0
		d.owed = nil
		d.Set(drivers.Garbage, "the answers are not those of an ESC/POS printer")
		return nil
	}
	d.query = nil
	if d.askable == "auto" && !d.answered {
		d.Set(drivers.Unknown, "the printer does not answer status queries")
		return nil
	}
	// What it owed us is gone if it was switched off.
	d.owed = nil
	d.Set(drivers.Silent, "no answer to status queries")
	return nil
}

// learn finds the query that confirms slips. An off-line printer answers no
// queued query, so nothing is learned of it then and GS r 1 is believed in.
func (d *Printer) learn(ctx context.Context, p *line.Port, rt realtime) error {
	switch d.confirm {
	case "none":
		d.query = nil
		return nil
	case "gs_r":
		d.query = cmdStatusR
		return nil
	case "gs_i":
		d.query = cmdModelID
		return nil
	}
	d.query = cmdStatusR
	if rt[0]&0x08 != 0 {
		return nil
	}
	for _, q := range [][]byte{cmdStatusR, cmdModelID} {
		if err := d.write(ctx, p, q); err != nil {
			return err
		}
		ok, err := d.await(ctx, p, queued, time.Second)
		if err != nil {
			return err
		}
		if ok {
			d.query = q
			return nil
		}
	}
	d.query = nil
	return nil
}

func (d *Printer) write(ctx context.Context, p *line.Port, b []byte) error {
	_, err := p.Write(ctx, b)
	return err
}

// await reads until an answer of a kind is there. false means time ran out;
// an error means the line or the call ended.
func (d *Printer) await(ctx context.Context, p *line.Port, want eventKind, limit time.Duration) (bool, error) {
	tctx, cancel := context.WithTimeout(ctx, limit+p.Settings().WireTime(16))
	defer cancel()
	buf := make([]byte, 1)
	for {
		// One byte at a time: what follows the answer belongs to the next one.
		if _, err := p.Read(tctx, buf); err != nil {
			if tctx.Err() != nil && ctx.Err() == nil && p.Err() == nil {
				return false, nil
			}
			return false, err
		}
		e := d.sort.feed(buf[0])
		if e.kind == queued && d.query != nil && d.query[1] == 'r' && e.b&paperMask != 0 {
			d.sort.strange++
			continue
		}
		if e.kind == want && !d.late(e) {
			d.gotByte, d.gotText = e.b, e.text
			return true, nil
		}
		if e.kind != want {
			d.unasked(e)
		}
	}
}

// late books a queued answer on a slip of earlier, if one is owed.
func (d *Printer) late(e event) bool {
	if e.kind != queued || len(d.owed) == 0 {
		return false
	}
	id := d.owed[0]
	d.owed = d.owed[1:]
	if id == "" {
		return false // the one being waited for
	}
	d.env.Logger().Info("slip confirmed late", "device", d.Config().Name, "slip", id)
	if d.env.OnOutcome != nil {
		d.env.OnOutcome(id, drivers.OutcomePrinted)
	}
	return true
}

// unasked takes answers that nobody waits for.
func (d *Printer) unasked(e event) {
	switch e.kind {
	case asbAns:
		d.setStatus(asbStatus(e.asb))
	case queued:
		d.late(e)
	}
}

func (d *Printer) receive(b []byte, _ time.Time) {
	for _, c := range b {
		d.unasked(d.sort.feed(c))
	}
}

func (d *Printer) lost(error) { d.owed = nil; d.sort.reset() }

func (d *Printer) setStatus(st drivers.Status) {
	st.At = d.env.Time()
	d.last = st
	d.answered = true
	d.missed = 0
	d.SetStatus(st)
}

var errNoAnswer = errors.New("no answer")

// ask sends DLE EOT 1 and, when there is more to know, 2 to 4.
func (d *Printer) ask(ctx context.Context, p *line.Port) (realtime, error) {
	var rt realtime
	for n := byte(1); n <= 4; n++ {
		if err := d.write(ctx, p, eotQuery(n)); err != nil {
			return rt, err
		}
		ok, err := d.await(ctx, p, eotAns, answerIn)
		if err != nil {
			return rt, err
		}
		if !ok {
			if n == 1 {
				return rt, errNoAnswer
			}
			continue // a clone that knows only some of them
		}
		rt[n-1] = d.gotByte
	}
	return rt, nil
}

func (d *Printer) poll(ctx context.Context, p *line.Port) error {
	d.sort.have, d.sort.open = 0, false
	strange := d.sort.strange
	rt, err := d.ask(ctx, p)
	switch {
	case err == nil && d.sort.strange > strange:
		return d.silent() // among noise an answer says nothing
	case err == nil:
		first := !d.answered
		d.setStatus(rt.status())
		if first || d.query == nil && d.confirm != "none" {
			return d.learn(ctx, p, rt)
		}
		return nil
	case errors.Is(err, errNoAnswer):
		if d.missed++; d.missed >= 2 || d.State().Code != drivers.Ready {
			return d.silent()
		}
		return nil
	}
	return err
}

// Status asks the printer now.
func (d *Printer) Status(ctx context.Context) (drivers.Status, error) {
	st := drivers.Status{At: d.env.Time()}
	if d.askable == "no" {
		return st, nil
	}
	err := d.Do(ctx, "read status", func(ctx context.Context, p *line.Port) error {
		err := d.poll(ctx, p)
		if err == nil && d.missed == 0 {
			st = d.last
		}
		return err
	})
	return st, err
}

// Print prints a slip. See the package comment for what the outcomes mean.
func (d *Printer) Print(ctx context.Context, slip drivers.Slip) (drivers.Outcome, error) {
	job, err := d.profile.Encode(slip)
	if err != nil {
		var e *drivers.Error
		errors.As(err, &e)
		e.Device = d.String()
		return drivers.OutcomeNotPrinted, e
	}
	out := drivers.OutcomeNotPrinted
	err = d.Do(ctx, "print slip "+slip.ID, func(ctx context.Context, p *line.Port) error {
		var err error
		out, err = d.print(ctx, p, slip.ID, job)
		return err
	})
	return out, err
}

func (d *Printer) print(ctx context.Context, p *line.Port, id string, job []byte) (drivers.Outcome, error) {
	if d.answered && d.askable != "no" {
		if err := d.poll(ctx, p); err != nil {
			return drivers.OutcomeNotPrinted, err
		}
		if st := d.State(); !st.Usable() {
			return drivers.OutcomeNotPrinted, &drivers.Error{Code: st.Code}
		}
	}
	confirm := d.query
	d.sort.strange = 0
	n, err := p.Write(ctx, append(job, confirm...))
	if err != nil {
		d.broken = n > 0
		if n == 0 {
			return drivers.OutcomeNotPrinted, err
		}
		if ctx.Err() != nil && p.Err() == nil {
			// The rest is not sent any more; free the printer for the next slip.
			d.flush(p, job, n)
		}
		return drivers.OutcomeUnknown, err
	}
	if confirm == nil {
		if d.answered && d.askable != "no" {
			_ = d.poll(ctx, p) // the paper may have run out; the state tells
		}
		return drivers.OutcomeSent, nil
	}
	return d.confirmed(ctx, p, id, len(job))
}

// flush ends a job that was cut short between two chunks, so that the bytes of
// the next one are not taken for the rest of a picture or a QR code.
func (d *Printer) flush(p *line.Port, job []byte, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if d.rtClear {
		_ = d.write(ctx, p, cmdClear)
	} else {
		// NUL fills whatever was being read and prints nothing as text.
		_ = d.write(ctx, p, make([]byte, min(len(job)-n, 4096)))
	}
	_ = d.write(ctx, p, d.profile.Init())
	d.broken = false
}

// confirmed waits for the answer behind a job. Meanwhile it asks why none comes.
func (d *Printer) confirmed(ctx context.Context, p *line.Port, id string, n int) (drivers.Outcome, error) {
	d.owed = append(d.owed, "") // ours is the empty one, behind what is owed already
	mine := func() int {
		for i, s := range d.owed {
			if s == "" {
				return i
			}
		}
		return -1
	}
	end := time.Now().Add(d.answer + p.Settings().WireTime(n))
	var bad time.Time // since when the printer reports a fault
	for {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		ok, err := d.await(ctx, p, queued, min(left, 700*time.Millisecond))
		if ok && d.sort.strange > 0 {
			// One byte of noise in four looks like a confirmation: it is none.
			d.Set(drivers.Garbage, "noise between the answers")
			return drivers.OutcomeUnknown, &drivers.Error{Code: drivers.Garbage, Err: errors.New("the slip was confirmed among noise")}
		}
		if ok {
			if d.query[1] == 'r' {
				if st := queuedStatus(d.gotByte); st.Worst() != d.last.Worst() && st.Worst() == drivers.PaperNear {
					d.setStatus(st)
				}
			}
			return drivers.OutcomePrinted, nil
		}
		if err == nil {
			var rt realtime
			if rt, err = d.ask(ctx, p); err == nil {
				d.setStatus(rt.status())
				if d.State().Usable() {
					bad = time.Time{}
				} else if bad.IsZero() {
					bad = time.Now()
				} else if time.Since(bad) > 2*time.Second {
					break
				}
			} else if errors.Is(err, errNoAnswer) {
				err = nil
				if d.missed++; d.missed > 3 {
					_ = d.silent()
					break
				}
			}
			if mine() < 0 { // the answer came between the status answers
				return drivers.OutcomePrinted, nil
			}
		}
		if err != nil {
			if i := mine(); i >= 0 {
				d.owed[i] = id
			}
			return drivers.OutcomeUnknown, err
		}
	}
	if i := mine(); i >= 0 {
		if id == "" {
			id = "(no name)"
		}
		d.owed[i] = id
	}
	code := d.State().Code
	if code.Severity() < drivers.Fault {
		code = drivers.Silent
	}
	return drivers.OutcomeUnknown, &drivers.Error{Code: code, Err: errors.New("the slip was not confirmed"),
		Hint: "look at the printer: the slip may be out, or come out when the fault is cleared"}
}

// OpenDrawer sends the drawer pulse.
func (d *Printer) OpenDrawer(ctx context.Context) error {
	return d.Do(ctx, "open drawer", func(ctx context.Context, p *line.Port) error {
		t := byte(max(1, d.profile.DrawerOn/2))
		return d.write(ctx, p, []byte{esc, 'p', d.profile.Drawer, t, 250})
	})
}

// Recover clears the printer's buffer after a fault that it can recover from,
// such as a jammed cutter. What was not yet printed of a slip is lost.
func (d *Printer) Recover(ctx context.Context) error {
	return d.Do(ctx, "recover", func(ctx context.Context, p *line.Port) error {
		if err := d.write(ctx, p, cmdRecover); err != nil {
			return err
		}
		d.owed = nil
		if err := d.write(ctx, p, d.profile.Init()); err != nil {
			return err
		}
		return d.poll(ctx, p)
	})
}

// Identity asks by GS I. Models that do not answer leave fields empty.
func (d *Printer) Identity(ctx context.Context) (drivers.Identity, error) {
	var id drivers.Identity
	err := d.Do(ctx, "read identity", func(ctx context.Context, p *line.Port) error {
		d.sort.wantText = true
		defer func() { d.sort.wantText = false }()
		for _, q := range []struct {
			n  byte
			to *string
		}{{0x41, &id.Firmware}, {0x42, &id.Maker}, {0x43, &id.Model}, {0x44, &id.Serial}} {
			if err := d.write(ctx, p, []byte{gs, 'I', q.n}); err != nil {
				return err
			}
			ok, err := d.await(ctx, p, textAns, time.Second)
			if err != nil {
				return err
			}
			if !ok && q.n == 0x41 {
				return &drivers.Error{Code: drivers.Unsupported, Err: errors.New("the printer does not say who it is")}
			}
			if ok {
				*q.to = strings.TrimSpace(d.gotText)
			}
		}
		return nil
	})
	return id, err
}

// TestPage prints columns, every code page by its number, styles, a barcode and
// a QR code.
func (d *Printer) TestPage(ctx context.Context) (drivers.Outcome, error) {
	var e encoder
	e.Profile = d.profile
	e.out.Write(d.profile.Init())
	e.text(drivers.Text{Text: "TEST", Align: drivers.Centre, Width: 2, Height: 2})
	e.text(drivers.Text{Text: d.Config().Title})
	ruler := strings.Repeat("1234567890", 10)[:d.profile.Columns]
	e.text(drivers.Text{Text: ruler})
	for i, pn := range d.profile.Pages {
		e.setAlign(drivers.Left)
		e.page = i
		e.out.Write([]byte{esc, 't', pn.Number})
		e.out.Write(pn.Page.Encode(fmt.Sprintf("%-7s %3d ", pn.Page.Name(), pn.Number)))
		e.out.Write(pn.Page.Encode("Ąę Łódź Žluť Äß Жук €"))
		e.out.WriteByte(lf)
	}
	e.text(drivers.Text{Text: "bold", Bold: true})
	e.text(drivers.Text{Text: "underlined", Underline: true})
	e.text(drivers.Text{Text: "right", Align: drivers.Right})
	for _, b := range []drivers.Block{
		drivers.Barcode{Symbology: drivers.EAN13, Data: "200000012500", Align: drivers.Centre},
		drivers.QR{Data: "TILLSIDE", Align: drivers.Centre}, drivers.Cut{Partial: true},
	} {
		if err := e.block(b); err != nil {
			return drivers.OutcomeNotPrinted, err
		}
	}
	out := drivers.OutcomeNotPrinted
	err := d.Do(ctx, "print test page", func(ctx context.Context, p *line.Port) error {
		var err error
		out, err = d.print(ctx, p, "test page", e.out.Bytes())
		return err
	})
	return out, err
}
