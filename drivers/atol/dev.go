package atol

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/once"
	"github.com/tillside/tillside/drivers/internal/options"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes the driver.
var Driver = drivers.Driver{
	Name:     "atol",
	Kind:     drivers.KindFiscal,
	Title:    "ATOL fiscal registers, transport 3",
	Line:     line.Settings{Baud: 115200, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: settings,
	New:      func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

var settings = []drivers.Setting{
	{Name: "password", Type: "number", Default: "30", Min: 0, Max: 99999999, Help: "password for entering modes; 30 is the administrator's"},
	{Name: "columns", Type: "number", Default: "42", Min: 16, Max: 64, Help: "characters in a line"},
	{Name: "payments", Type: "text", Default: "cash=1,card=2,advance=3,credit=4,voucher=5", Help: "payment types by number, 1 to 9"},
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

	password  int64
	columns   int
	payments  options.Payments
	paperWait time.Duration
	// expired: the register said that its shift is over 24 hours; its status
	// does not tell.
	expired atomic.Bool

	// Guarded by the runner's turn.
	receipt receipt
	last    drivers.DocumentState
}

// New makes a register. It touches nothing.
func New(cfg drivers.Config, env drivers.Env) (*Dev, error) {
	o := options.With(settings, cfg.Options)
	d := &Dev{t: timingOf(max(1, o.Int("patience"))), password: int64(o.Int("password")), columns: o.Int("columns"),
		paperWait: o.Duration("paper_wait"), last: drivers.DocumentNone}
	var err error
	if d.payments, err = options.ParsePayments(o.Text("payments"), 1, 9); err != nil {
		return nil, err
	}
	d.link = newLink(d.t)
	d.run, env = once.New(d.link, o.Duration("resume"), env)
	d.Session = drivers.NewSession(cfg, env, drivers.Talk{Start: d.start, Poll: d.poll, PollEvery: 1200 * time.Millisecond})
	d.run.S = d.Session
	return d, nil
}

func (d *Dev) start(ctx context.Context, p *line.Port) error {
	if err := d.link.Start(ctx, p); err != nil {
		return err
	}
	if d.link.flight != nil {
		d.Set(drivers.Ready, "") // Settle comes first
		return nil
	}
	return d.poll(ctx, p)
}

// poll asks how the register is. Its first result is the witness that the link
// keeps.
func (d *Dev) poll(ctx context.Context, p *line.Port) error {
	if d.link.flight != nil {
		return nil
	}
	send := func(cmd byte) ([]byte, error) {
		var body []byte
		var err error
		for range 3 {
			if body, err = d.link.Send(ctx, p, []byte{cmd}); err == nil || p.Err() != nil || ctx.Err() != nil {
				break
			}
		}
		if err != nil && p.Err() == nil && !errors.Is(err, drivers.Garbage) {
			err = fmt.Errorf("%w: %w", drivers.Silent, err)
		}
		return body, err
	}
	body, err := send(cmdState)
	if err != nil {
		return err
	}
	s, err := parseState(body)
	if err != nil {
		return err
	}
	if body, err = send(cmdStateCode); err != nil {
		return err
	}
	s.code(body)
	d.SetStatus(d.status(s))
	return nil
}

// query asks something that changes nothing. A full task buffer is waited for.
func (d *Dev) query(ctx context.Context, op string, cmd ...byte) ([]byte, error) {
	end := time.Now().Add(d.paperWait)
	for {
		body, err := d.run.Do(ctx, once.Command{Op: op, Bytes: cmd, Query: true})
		if !errors.Is(err, drivers.Busy) || time.Now().After(end) || once.Sleep(ctx, d.t.poll) != nil {
			return body, err
		}
	}
}

// refusalOf reads an answer of the common shape: 55, error, extension, data.
func refusalOf(answer []byte) ([]byte, error) {
	if len(answer) < 2 || answer[0] != 0x55 {
		return nil, fmt.Errorf("answer % X: %w", answer[:min(len(answer), 8)], drivers.Garbage)
	}
	r := Refusal{Code: answer[1]}
	rest := answer[2:]
	if len(rest) > 0 {
		r.More, rest = rest[0], rest[1:]
	}
	if r.Code != 0 {
		return nil, &drivers.Error{Code: r.DriverCode(), Err: r}
	}
	return rest, nil
}

// work is one command with all the care it needs.
type work struct {
	op     string
	cmd    []byte
	repeat bool
	verify func(ctx context.Context) (bool, error)
	inked  bool // something of the same work is on paper: wait for more paper
}

func (d *Dev) do(ctx context.Context, w work) ([]byte, error) {
	end := time.Now().Add(d.paperWait)
	for {
		body, err := d.run.Do(ctx, once.Command{Op: w.op, Bytes: w.cmd, Query: w.repeat, Verify: w.verify})
		if err == nil && body == nil {
			return nil, nil // carried out, as the state tells; the answer is lost
		}
		wait := errors.Is(err, drivers.Busy)
		if err == nil {
			var rest []byte
			if rest, err = refusalOf(body); err == nil {
				return rest, nil
			}
			switch drivers.CodeOf(err) {
			case drivers.PaperOut, drivers.Overheated:
				d.look(ctx, w.op)
				wait = w.inked
			case drivers.ShiftExpired:
				d.expired.Store(true)
			}
		}
		if !wait || time.Now().After(end) {
			return nil, d.run.Named(w.op, err)
		}
		if serr := once.Sleep(ctx, d.t.poll); serr != nil {
			return nil, d.run.Named(w.op, err)
		}
	}
}

// look keeps the state up to date while a slip waits.
func (d *Dev) look(ctx context.Context, op string) {
	if s, err := d.state(ctx, op); err == nil {
		st := d.status(s)
		d.Do(ctx, op, func(context.Context, *line.Port) error { d.SetStatus(st); return nil })
	}
}

// enter brings the register into a mode. Leaving and entering may be repeated
// without harm.
func (d *Dev) enter(ctx context.Context, op string, mode byte) (state, error) {
	for try := 0; ; try++ {
		s, err := d.state(ctx, op)
		if err != nil || s.mode == mode {
			return s, err
		}
		if try == 3 {
			return s, d.run.Named(op, &drivers.Error{Code: drivers.WrongState, Err: fmt.Errorf("mode %d", s.mode)})
		}
		if s.mode != modeIdle {
			if _, err := d.do(ctx, work{op: op, cmd: []byte{cmdLeave}, repeat: true}); err != nil {
				return s, err
			}
		}
		if _, err := d.do(ctx, work{op: op, cmd: bcd([]byte{cmdEnter, mode}, d.password, 4), repeat: true}); err != nil {
			// Repeated, it may find itself inside already.
			if now, serr := d.state(ctx, op); serr != nil || now.mode != mode {
				return s, err
			}
		}
	}
}
