package pirit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/intake"
	"github.com/tillside/tillside/drivers/internal/once"
	"github.com/tillside/tillside/drivers/internal/options"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes the driver.
var Driver = drivers.Driver{
	Name:     "pirit",
	Kind:     drivers.KindFiscal,
	Title:    "Pirit and Viki Print fiscal registers",
	Line:     line.Settings{Baud: 57600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: settings,
	New:      func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

var settings = []drivers.Setting{
	{Name: "password", Type: "text", Default: Password, Help: "link password, four characters"},
	{Name: "operator", Type: "text", Default: "Кассир", Help: "cashier's name where a call gives none"},
	{Name: "department", Type: "number", Default: "1", Min: 1, Max: 99, Help: "department of receipts"},
	{Name: "tax_system", Type: "number", Default: "0", Min: 0, Max: 5, Help: "0 general, 1 and 2 simplified, 4 agricultural, 5 patent"},
	{Name: "tax", Type: "number", Default: "4", Min: 0, Max: 15, Help: "number of the tax rate where an item gives none"},
	{Name: "columns", Type: "number", Default: "0", Min: 0, Max: 72, Help: "characters in a line; 0 asks the register"},
	{Name: "requisite", Type: "number", Default: "0", Min: 0, Max: 5, Help: "programmed name before loyalty text, 0 none"},
	{Name: "payments", Type: "text", Default: "cash=0,card=1,credit=2,voucher=3", Help: "payment types by number, 0 to 15"},
	{Name: "patience", Type: "number", Default: "100", Min: 1, Max: 1000, Help: "percent of the protocol's own time-outs"},
	{Name: "resume", Type: "duration", Default: "20s", Help: "how long a command is pursued after the line failed"},
	{Name: "paper_wait", Type: "duration", Default: "90s", Help: "how long a half printed slip waits for paper"},
}

// Dev is a register.
type Dev struct {
	*drivers.Session
	run  *once.Runner
	link *link
	t    timing
	o    choices
	now  func() time.Time

	columns atomic.Int64

	// Guarded by the runner's turn.
	receipt receipt
}

type choices struct {
	operator                           string
	department, system, tax, requisite int
	payments                           options.Payments
	paperWait                          time.Duration
}

// New makes a register. It touches nothing.
func New(cfg drivers.Config, env drivers.Env) (*Dev, error) {
	o := options.With(settings, cfg.Options)
	d := &Dev{
		t: timingOf(max(1, o.Int("patience"))), now: env.Time,
		o: choices{
			operator: o.Text("operator"), department: o.Int("department"), system: o.Int("tax_system"),
			tax: o.Int("tax"), requisite: o.Int("requisite"), paperWait: o.Duration("paper_wait"),
		},
	}
	pw := o.Text("password")
	if len(pw) != 4 {
		return nil, fmt.Errorf("options.password: %d characters, want 4", len(pw))
	}
	var err error
	if d.o.payments, err = options.ParsePayments(o.Text("payments"), 0, 15); err != nil {
		return nil, err
	}
	d.columns.Store(int64(o.Int("columns")))
	d.link = &link{t: d.t, password: pw, in: intake.Intake{Gap: d.t.gap}}
	d.run, env = once.New(d.link, o.Duration("resume"), env)
	d.Session = drivers.NewSession(cfg, env, drivers.Talk{Start: d.start, Poll: d.poll, PollEvery: 1200 * time.Millisecond})
	d.run.S = d.Session
	return d, nil
}

// ask sends on the session's goroutine.
func (d *Dev) ask(ctx context.Context, p *line.Port, code byte, fields ...string) (Answer, error) {
	body, err := d.link.Send(ctx, p, pack(code, fields...))
	if err != nil {
		if p.Err() == nil && !errors.Is(err, drivers.Garbage) {
			err = fmt.Errorf("%w: %w", drivers.Silent, err)
		}
		return Answer{}, err
	}
	return d.answer(body)
}

func (d *Dev) answer(body []byte) (Answer, error) {
	a, err := ParseAnswer(body)
	if err != nil {
		return a, fmt.Errorf("%w: %w", drivers.Garbage, err)
	}
	if a.Error != 0 {
		r := Refusal{Code: a.Error}
		return a, &drivers.Error{Code: r.DriverCode(), Err: r}
	}
	return a, nil
}

func (d *Dev) start(ctx context.Context, p *line.Port) error {
	if err := d.link.Start(ctx, p); err != nil {
		return err
	}
	if d.link.flight != nil {
		// Settle comes first; nothing may be asked that hides a late answer.
		d.Set(drivers.Ready, "")
		return nil
	}
	if err := d.begin(ctx, p); err != nil {
		return err
	}
	if d.columns.Load() == 0 {
		n := int64(0)
		if a, err := d.ask(ctx, p, cmdFacts, "18"); err == nil && len(a.Fields) > 1 {
			n, _ = ParseDecimal(a.Fields[1], 0)
		} else if err != nil && !isRefusal(err) {
			return err
		}
		if n < 16 || n > 72 {
			n = 44
			if a, err := d.ask(ctx, p, cmdFacts, "16"); err == nil && len(a.Fields) > 1 && a.Fields[1] == "1" {
				n = 32 // 57 mm paper
			}
		}
		d.columns.Store(n)
	}
	return d.poll(ctx, p)
}

// begin calls "start of work" when the register says that it wants it, which is
// so after every power-on.
func (d *Dev) begin(ctx context.Context, p *line.Port) error {
	a, err := d.ask(ctx, p, cmdStatus)
	if err != nil {
		return err
	}
	s, err := parseStatus(a.Fields)
	if err != nil || s.flags&flagNotStarted == 0 {
		return err
	}
	now := d.now()
	_, err = d.ask(ctx, p, cmdStart, now.Format("020106"), now.Format("150405"))
	var r Refusal
	if errors.As(err, &r) && r.Code == 0x0B {
		return nil // works with its own clock; poll tells
	}
	if isRefusal(err) {
		d.Session.Set(drivers.CodeOf(err), err.Error())
		return nil
	}
	return err
}

func isRefusal(err error) bool {
	var r Refusal
	return errors.As(err, &r)
}

func (d *Dev) poll(ctx context.Context, p *line.Port) error {
	if d.link.flight != nil {
		return nil
	}
	a, err := d.ask(ctx, p, cmdStatus)
	if err != nil {
		return err
	}
	s, err := parseStatus(a.Fields)
	if err != nil {
		return err
	}
	if s.flags&flagNotStarted != 0 {
		if err := d.begin(ctx, p); err != nil {
			return err
		}
	}
	a, err = d.ask(ctx, p, cmdPrinter)
	if err != nil {
		return err
	}
	s.printer = first(a.Fields)
	d.SetStatus(s.status())
	return nil
}

func first(fields []string) int {
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

// query asks something that changes nothing.
func (d *Dev) query(ctx context.Context, op string, code byte, fields ...string) ([]string, error) {
	body, err := d.run.Do(ctx, once.Command{Op: op, Bytes: pack(code, fields...), Query: true})
	if err != nil {
		return nil, err
	}
	a, err := d.answer(body)
	return a.Fields, d.run.Named(op, err)
}

// work is one command with all the care it needs.
type work struct {
	op     string
	code   byte
	fields []string
	repeat bool
	verify func(ctx context.Context) (bool, error)
	inked  bool // something of the same work is on paper: wait for more paper
}

// do sends a command. While the printer lacks paper or is not ready it waits if
// something is on paper already.
func (d *Dev) do(ctx context.Context, w work) ([]string, error) {
	end := time.Now().Add(d.o.paperWait)
	started := false
	for {
		body, err := d.run.Do(ctx, once.Command{Op: w.op, Bytes: pack(w.code, w.fields...), Query: w.repeat, Verify: w.verify})
		if err != nil || body == nil {
			return nil, err
		}
		a, err := d.answer(body)
		var r Refusal
		if !errors.As(err, &r) {
			return a.Fields, d.run.Named(w.op, err)
		}
		switch r.Code {
		case 0x01, 0x03:
			if f, err := d.query(ctx, w.op, cmdError, "1"); err == nil && len(f) > 1 {
				r.Extended, _ = strconv.Atoi(f[1])
			}
			if r.Extended == 1 && !started {
				// It was switched off and on: once more after "start of work".
				started = true
				if err := d.Do(ctx, w.op, d.begin); err != nil {
					return nil, err
				}
				continue
			}
		case 0x08, 0x09:
			d.look(ctx, w.op)
			if w.inked && time.Now().Before(end) {
				if err := once.Sleep(ctx, d.t.poll); err != nil {
					return nil, d.run.Named(w.op, &drivers.Error{Code: r.DriverCode(), Err: err})
				}
				continue
			}
		case 0x04:
			if time.Now().Before(end) {
				if err := once.Sleep(ctx, d.t.poll); err != nil {
					return nil, d.run.Named(w.op, &drivers.Error{Code: r.DriverCode(), Err: err})
				}
				continue
			}
		}
		return nil, d.run.Named(w.op, &drivers.Error{Code: r.DriverCode(), Err: r})
	}
}

// look asks the printer how it is, so that the state says what is wrong.
func (d *Dev) look(ctx context.Context, op string) {
	if s, err := d.state(ctx, op); err == nil {
		st := s.status()
		d.Do(ctx, op, func(context.Context, *line.Port) error { d.SetStatus(st); return nil })
	}
}
