package shtrih

import (
	"context"
	"errors"
	"fmt"
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
	Name:     "shtrih",
	Kind:     drivers.KindFiscal,
	Title:    "Shtrih-M fiscal registers",
	Line:     line.Settings{Baud: 115200, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: settings,
	New:      func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

var settings = []drivers.Setting{
	{Name: "framing", Type: "text", Default: "standard", Choices: []string{"standard", "alternative"},
		Help: "alternative only where the model has it and the line is noisy"},
	{Name: "generation", Type: "text", Default: "classic", Choices: []string{"classic", "fn"},
		Help: "fn: registers with fiscal storage that sell by FF46h and close by FF45h"},
	{Name: "password", Type: "number", Default: "1", Min: 0, Max: 99999999, Help: "cashier's password"},
	{Name: "admin_password", Type: "number", Default: "30", Min: 0, Max: 99999999, Help: "system administrator's, for reports"},
	{Name: "columns", Type: "number", Default: "0", Min: 0, Max: 64, Help: "characters in a line of font 1; 0 asks the register"},
	{Name: "line", Type: "number", Default: "40", Min: 16, Max: 200, Help: "most characters in one text command"},
	{Name: "pad", Type: "yesno", Default: "no", Help: "old firmware wants text filled up to 40 bytes"},
	{Name: "loyalty", Type: "text", Default: "line", Choices: []string{"line", "requisite"},
		Help: "how loyalty text goes into a receipt: 17h lines, or the E4h requisite of newer models"},
	{Name: "requisite", Type: "number", Default: "1", Min: 1, Max: 255, Help: "number of the requisite for E4h"},
	{Name: "nonfiscal", Type: "yesno", Default: "no", Help: "slips as non-fiscal documents E2h/E3h"},
	{Name: "near_sensor", Type: "yesno", Default: "yes", Help: "the model has a sensor for the end of the roll"},
	{Name: "payments", Type: "text", Default: "cash=1,card=2,voucher=3,credit=4", Help: "payment types by number, 1 to 16"},
	{Name: "patience", Type: "number", Default: "100", Min: 1, Max: 1000, Help: "percent of the protocol's own time-outs"},
	{Name: "resume", Type: "duration", Default: "20s", Help: "how long a command is pursued after the line failed"},
	{Name: "paper_wait", Type: "duration", Default: "90s", Help: "how long a half printed slip waits for paper"},
}

// link is one of the two framings.
type link interface {
	once.Link
	Start(ctx context.Context, p *line.Port) error
}

// Dev is a register.
type Dev struct {
	*drivers.Session
	run  *once.Runner
	link link
	t    timing
	o    choices

	columns atomic.Int64

	// What follows is guarded by the runner's turn.
	receipt receipt
	last    drivers.DocumentState // what our own commands led to
}

type choices struct {
	fn, pad, requisite, nonfiscal, near bool
	password, admin                     uint32
	line                                int
	requisiteNo                         byte
	payments                            options.Payments
	paperWait                           time.Duration
}

// New makes a register. It touches nothing.
func New(cfg drivers.Config, env drivers.Env) (*Dev, error) {
	o := options.With(settings, cfg.Options)
	d := &Dev{
		t: timingOf(max(1, o.Int("patience"))),
		o: choices{
			fn: o.Text("generation") == "fn", pad: o.Bool("pad"), requisite: o.Text("loyalty") == "requisite",
			nonfiscal: o.Bool("nonfiscal"), near: o.Bool("near_sensor"),
			password: uint32(o.Int("password")), admin: uint32(o.Int("admin_password")),
			line: o.Int("line"), requisiteNo: byte(o.Int("requisite")), paperWait: o.Duration("paper_wait"),
		},
		last: drivers.DocumentNone,
	}
	var err error
	if d.o.payments, err = options.ParsePayments(o.Text("payments"), 1, 16); err != nil {
		return nil, err
	}
	d.columns.Store(int64(o.Int("columns")))
	if o.Text("framing") == "alternative" {
		d.link = &altLink{t: d.t, in: intake.Intake{Gap: d.t.gap}}
	} else {
		d.link = &stdLink{t: d.t, in: intake.Intake{Gap: d.t.gap}}
	}
	d.run, env = once.New(d.link, o.Duration("resume"), env)
	d.Session = drivers.NewSession(cfg, env, drivers.Talk{
		Start: d.start, Poll: d.poll, PollEvery: 1200 * time.Millisecond,
	})
	d.run.S = d.Session
	return d, nil
}

// start sets the register up: link first, so that a kept answer is fetched
// before anything new is asked.
func (d *Dev) start(ctx context.Context, p *line.Port) error {
	if err := d.link.Start(ctx, p); err != nil {
		return err
	}
	if d.inFlight() {
		return d.poll(ctx, p) // Settle comes first; ask nothing that would hide its answer
	}
	if d.columns.Load() == 0 {
		rest, err := d.ask(ctx, p, req(cmdFont).password(d.o.admin).bytes(1).b)
		switch {
		case err == nil && len(rest) >= 3 && rest[2] > 0:
			d.columns.Store(little(rest[0:2]) / int64(rest[2]))
		case err == nil || isRefusal(err):
			d.columns.Store(36)
		default:
			return err
		}
	}
	return d.poll(ctx, p)
}

func (d *Dev) inFlight() bool {
	switch l := d.link.(type) {
	case *stdLink:
		return l.flight != nil
	case *altLink:
		return l.flight != nil
	}
	return false
}

func isRefusal(err error) bool {
	var r Refusal
	return errors.As(err, &r)
}

// ask sends a query on the session's goroutine and takes the error byte off.
func (d *Dev) ask(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error) {
	var answer []byte
	var err error
	for range 3 {
		answer, err = d.link.Send(ctx, p, cmd)
		if err == nil {
			return refusalOf(answer)
		}
		if p.Err() != nil || ctx.Err() != nil {
			break
		}
	}
	if !errors.Is(err, drivers.Garbage) {
		err = fmt.Errorf("%w: %w", drivers.Silent, err)
	}
	return nil, err
}

// poll asks how the register is.
func (d *Dev) poll(ctx context.Context, p *line.Port) error {
	if d.inFlight() {
		return nil
	}
	rest, err := d.ask(ctx, p, req(cmdShortStatus).password(d.o.password).b)
	if err != nil {
		return err
	}
	s, err := parseShort(rest)
	if err != nil {
		return err
	}
	d.SetStatus(d.statusOf(s))
	return nil
}

// query asks something that changes nothing.
func (d *Dev) query(ctx context.Context, op string, cmd []byte) ([]byte, error) {
	answer, err := d.run.Do(ctx, once.Command{Op: op, Bytes: cmd, Query: true})
	if err != nil {
		return nil, err
	}
	rest, err := refusalOf(answer)
	return rest, d.run.Named(op, err)
}

// work is one printing or fiscal command with all the care it needs.
type work struct {
	op     string
	cmd    []byte
	repeat bool // may be carried out twice without harm
	// verify tells from the short status whether the command was carried out;
	// before is how things stood.
	verify func(ctx context.Context, before, now short) (bool, error)
	// inked: something of the same work is on paper already, so wait for paper.
	inked bool
}

// do waits until the printer is ready, sends the command, and follows the
// register's advice: busy waits, a paper break is continued.
func (d *Dev) do(ctx context.Context, w work) ([]byte, error) {
	busyEnd := time.Now().Add(d.o.paperWait)
	for {
		before, err := d.ready(ctx, w.op, w.inked)
		if err != nil {
			return nil, err
		}
		c := once.Command{Op: w.op, Bytes: w.cmd, Query: w.repeat}
		if w.verify != nil {
			c.Verify = func(ctx context.Context) (bool, error) {
				now, err := d.short(ctx, w.op)
				if err != nil {
					return false, err
				}
				return w.verify(ctx, before, now)
			}
		}
		answer, err := d.run.Do(ctx, c)
		if err != nil {
			return nil, err
		}
		if answer == nil {
			return nil, nil
		}
		rest, err := refusalOf(answer)
		var r Refusal
		if errors.As(err, &r) {
			switch r {
			case errPrinting, errWaitContinue, 0x72:
				// ready continues or waits; then again.
				if time.Now().Before(busyEnd) {
					if err := once.Sleep(ctx, d.t.poll); err != nil {
						return nil, d.run.Named(w.op, err)
					}
					continue
				}
			case errNoPaper, errNoJournal:
				if w.inked && time.Now().Before(busyEnd) {
					if err := once.Sleep(ctx, d.t.poll); err != nil {
						return nil, d.run.Named(w.op, err)
					}
					continue
				}
			}
		}
		return rest, d.run.Named(w.op, err)
	}
}

// ready waits until the printer takes a command and returns how it stands.
// After a paper break it continues the printing. wait tells whether to wait for
// paper and cover, or to say at once that something is wrong.
func (d *Dev) ready(ctx context.Context, op string, wait bool) (short, error) {
	end := time.Now().Add(d.o.paperWait)
	for {
		s, err := d.short(ctx, op)
		if err != nil {
			return s, err
		}
		var code drivers.Code
		switch {
		case s.sub == subWaitContinue:
			// Carried out twice it is refused: nothing is left to continue.
			if _, err := d.query(ctx, op, req(cmdContinue).password(d.o.password).b); err != nil && !isRefusal(err) {
				return s, err
			}
			continue
		case s.sub == subPrinting || s.sub == subReport:
			code = drivers.Busy
		case s.sub == subNoPaper || s.sub == subBroke || s.paperOut():
			code = drivers.PaperOut
		case s.coverOpen():
			code = drivers.CoverOpen
		default:
			return s, nil
		}
		if code != drivers.Busy && !wait || time.Now().After(end) {
			return s, d.run.Named(op, &drivers.Error{Code: code, Err: fmt.Errorf("mode %d, submode %d", s.mode, s.sub)})
		}
		pause := d.t.poll
		if code != drivers.Busy {
			pause *= 4
		}
		if err := once.Sleep(ctx, pause); err != nil {
			return s, d.run.Named(op, &drivers.Error{Code: code, Err: err})
		}
	}
}
