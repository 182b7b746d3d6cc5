package posnet

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/internal/turn"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes the driver.
var Driver = drivers.Driver{
	Name:  "posnet",
	Kind:  drivers.KindFiscal,
	Title: "Posnet fiscal printers (POSNET protocol)",
	Line:  line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "codepage", Type: "text", Default: "cp1250", Choices: []string{"cp1250", "iso8859-2", "mazovia"},
			Help: "as set in the printer's menu: WIN1250, LATIN-2 or MAZOVIA"},
		{Name: "columns", Type: "number", Default: "40", Min: 24, Max: 56, Help: "characters in a line: 40, or 56 on 80 mm paper"},
		{Name: "interface", Type: "text", Default: "1", Choices: []string{"1", "2"}, Help: "which of the printer's logical interfaces this line is: 1 is the till's, 2 the second host's"},
		{Name: "tax", Type: "text", Default: "A", Choices: []string{"A", "B", "C", "D", "E", "F", "G"}, Help: "VAT letter of items that bring none"},
		{Name: "header", Type: "number", Default: "85", Min: 1, Max: 255, Help: "header of slips: 84 says DOKUMENT NIEFISKALNY, 85 is empty"},
		{Name: "answer", Type: "duration", Default: "1s", Help: "silence after which the printer is asked whether it is alive"},
		{Name: "patience", Type: "duration", Default: "60s", Help: "how long a command may take while the printer says it is at work or waits for paper"},
		{Name: "recover", Type: "duration", Default: "20s", Help: "how long a command waits for a line that went away"},
	},
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// Printer is a Posnet printer. Calls may come from any goroutine; they run one
// after another.
type Printer struct {
	cfg  drivers.Config
	env  drivers.Env
	page *codepage.Page
	sess *drivers.Session
	turn *turn.Turn

	columns  int
	iface    int64
	tax      string
	header   int
	answer   time.Duration
	patience time.Duration

	// Only the session's goroutine touches these.
	dec     Decoder
	in      []incoming // frames that were read and not yet looked at
	token   int
	prev    string   // token of the last command that was answered
	lost    *command // sent, and not known what became of it
	expired bool     // the printer refused for want of a daily report

	// Only the call whose turn it is touches these.
	receipt  *receipt
	last     drivers.Document
	formOpen bool // a slip was left in the middle
}

var (
	_ drivers.FiscalPrinter = (*Printer)(nil)
	_ drivers.Drawer        = (*Printer)(nil)
	_ drivers.Beeper        = (*Printer)(nil)
	_ drivers.CashInOut     = (*Printer)(nil)
	_ drivers.Tester        = (*Printer)(nil)
)

// New makes a printer and touches nothing.
func New(cfg drivers.Config, env drivers.Env) (*Printer, error) {
	page, err := codepage.Lookup(cfg.Options.Text("codepage"))
	if err != nil {
		return nil, &drivers.Error{Device: cfg.String(), Op: "new", Code: drivers.BadSettings, Err: err}
	}
	d := &Printer{
		cfg: cfg, env: env, page: page,
		columns: cfg.Options.Int("columns"), iface: int64(cfg.Options.Int("interface")), tax: cfg.Options.Text("tax"),
		header: cfg.Options.Int("header"), answer: cfg.Options.Duration("answer"), patience: cfg.Options.Duration("patience"),
		last: drivers.Document{State: drivers.DocumentUnknown, Total: -1},
	}
	d.turn = turn.New(cfg.Options.Duration("recover"))
	d.sess = drivers.NewSession(cfg, d.turn.Hook(env), drivers.Talk{
		Start: d.start, Poll: d.poll, PollEvery: time.Second,
		Lost: func(error) { d.dec.Reset(); d.in = nil },
	})
	d.turn.Use(d.sess)
	return d, nil
}

// String names model and line.
func (d *Printer) String() string { return d.sess.String() }

// Open starts the printer's session.
func (d *Printer) Open(ctx context.Context) error { return d.sess.Open(ctx) }

// Close ends it.
func (d *Printer) Close() error { return d.sess.Close() }

// State is how the printer is.
func (d *Printer) State() drivers.State { return d.sess.State() }

// Columns is the width of the paper as the model says.
func (d *Printer) Columns() int { return d.columns }

// start asks for the state and for an answer with a token, so that there is one
// that the printer must remember (see settle).
func (d *Printer) start(ctx context.Context, p *line.Port) error {
	d.dec.Reset()
	d.in = nil
	st, err := d.quickStatus(ctx, p)
	if err != nil {
		return err
	}
	if d.lost == nil && !st.Has(drivers.PaperOut) && !st.Has(drivers.CoverOpen) {
		if m, err := d.ask(ctx, p, "sid"); err == nil && m.Refused && m.Refusal == RefusedThermal {
			return refusal("start", m)
		}
	}
	d.sess.SetStatus(st)
	return nil
}

func (d *Printer) poll(ctx context.Context, p *line.Port) error {
	st, err := d.quickStatus(ctx, p)
	if err != nil {
		return err
	}
	d.sess.SetStatus(st)
	return nil
}

// quickStatus asks the two immediate questions, which the printer answers also
// while it waits for paper.
func (d *Printer) quickStatus(ctx context.Context, p *line.Port) (drivers.Status, error) {
	st := drivers.Status{At: d.env.Time(), Known: true}
	dev, err := d.immediate(ctx, p, "!sdev")
	if err != nil {
		return st, err
	}
	prn, err := d.immediate(ctx, p, "!sprn")
	if err != nil {
		return st, err
	}
	d.readDevice(&st, dev)
	readMechanism(&st, prn)
	if d.expired {
		st.Add(drivers.ShiftExpired)
	}
	return st, nil
}

func (d *Printer) readDevice(st *drivers.Status, m Message) {
	if holder, ok := m.Int("tl"); ok && holder != 0 && holder != d.iface {
		st.Add(drivers.OtherInterface)
	}
	switch n, _ := m.Int("ds"); n {
	case 1, 2:
		st.Add(drivers.WaitingUser)
	}
	if yes(m.Text("pe")) {
		st.Add(drivers.PaperNear)
	}
}

func readMechanism(st *drivers.Status, m Message) {
	switch n, _ := m.Int("pr"); n {
	case 1, 3, 10:
		st.Add(drivers.CoverOpen)
	case 2:
		st.Add(drivers.Mechanism)
	case 5:
		st.Add(drivers.PaperOut)
	case 6:
		st.Add(drivers.Overheated)
	case 7, 9:
		st.Add(drivers.PowerFault)
	case 8:
		st.Add(drivers.CutterFault)
	}
}

// yes reads the printer's truth values.
func yes(s string) bool {
	return s != "" && strings.ContainsRune("1tTyY", rune(s[0]))
}

// Status asks the printer now.
func (d *Printer) Status(ctx context.Context) (drivers.Status, error) {
	leave, err := d.turn.Take(ctx)
	defer leave()
	if err != nil {
		return drivers.Status{}, err
	}
	var st drivers.Status
	err = d.turn.Ask(ctx, "read status", func(ctx context.Context, p *line.Port) error {
		if st, err = d.quickStatus(ctx, p); err != nil {
			return err
		}
		fs := &drivers.FiscalStatus{}
		st.Fiscal = fs
		if st.Has(drivers.PaperOut) || st.Has(drivers.CoverOpen) || d.lost != nil {
			d.sess.SetStatus(st)
			return nil // the other questions would wait behind what is printed
		}
		m, err := d.ask(ctx, p, "scomm")
		if err != nil {
			return err
		}
		if m.Refused {
			return refusal("read status", m)
		}
		fs.ShiftOpen = !yes(m.Text("tz"))
		if !yes(m.Text("fs")) {
			st.Add(drivers.NotFiscal)
		}
		if yes(m.Text("td")) {
			st.Add(drivers.MemoryFull)
		}
		switch n, _ := m.Int("ts"); n {
		case 0:
		case 48:
			fs.ReceiptOpen, fs.DocumentKind = true, "packaging"
		case 33:
			fs.ReceiptOpen, fs.DocumentKind = true, "invoice"
		default:
			fs.ReceiptOpen, fs.DocumentKind = true, string(drivers.Sale)
		}
		if m, err = d.ask(ctx, p, "rtcget"); err != nil {
			return err
		}
		fs.Clock = clock(m.Text("da"))
		d.sess.SetStatus(st)
		return nil
	})
	return st, err
}

func clock(s string) time.Time {
	s = strings.NewReplacer(";", " ", ",", " ", "/", "-", ".", "-").Replace(s)
	t, err := time.ParseInLocation("2006-01-02 15:04", s, time.Local)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Identity asks model, version and numbers.
func (d *Printer) Identity(ctx context.Context) (drivers.Identity, error) {
	id := drivers.Identity{Maker: "Posnet"}
	leave, err := d.turn.Take(ctx)
	defer leave()
	if err != nil {
		return id, err
	}
	for _, q := range []struct {
		cmd  string
		read func(m Message)
	}{
		{"sid", func(m Message) { id.Model, id.Firmware = d.text(m.Text("nm")), m.Text("vr") }},
		{"factorynumberget", func(m Message) { id.Serial = m.Text("fn") }},
		{"scomm", func(m Message) { id.FiscalMemory = m.Text("nu") }},
		{"prnwidthget", func(m Message) {
			if wd, ok := m.Int("wd"); ok {
				id.Columns = 40
				if wd == 0 {
					id.Columns = 56
				}
			}
		}},
	} {
		err = d.turn.Ask(ctx, "read identity", func(ctx context.Context, p *line.Port) error {
			m, err := d.ask(ctx, p, q.cmd)
			if err == nil && !m.Refused {
				q.read(m)
			}
			return err
		})
		if err != nil {
			return id, err
		}
	}
	return id, nil
}

func (d *Printer) text(s string) string  { return d.page.Decode([]byte(s)) }
func (d *Printer) bytes(s string) string { return string(d.page.Encode(s)) }

// cut encodes a text and cuts it to n bytes.
func (d *Printer) cut(s string, n int) string {
	b := d.bytes(s)
	if len(b) > n {
		b = b[:n]
	}
	return b
}

// refusal makes an error of a refusing answer.
func refusal(op string, m Message) error {
	return &drivers.Error{Op: op, Code: CodeOf(m.Refusal), Err: &Refusal{Command: m.Command, Number: m.Refusal}}
}

// Refusal is the printer's own word, inside a drivers.Error.
type Refusal struct {
	Command string
	Number  int
}

// Error says command, number and meaning.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s refused with %d (%s)", r.Command, r.Number, Meaning(r.Number))
}
