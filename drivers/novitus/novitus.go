package novitus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/internal/turn"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes the driver.
var Driver = drivers.Driver{
	Name:  "novitus",
	Kind:  drivers.KindFiscal,
	Title: "Novitus and Posnet Thermal fiscal printers (ESC-P protocol)",
	Line:  line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "codepage", Type: "text", Default: "mazovia", Choices: []string{"mazovia", "cp1250", "iso8859-2", "cp852"}, Help: "letters of the printer"},
		{Name: "columns", Type: "number", Default: "40", Min: 24, Max: 56, Help: "characters in a line"},
		{Name: "slips", Type: "text", Default: "novitus", Choices: []string{"novitus", "none"}, Help: "novitus: free lines in a non-fiscal printout; none: the printer has predefined report forms only"},
		{Name: "tax", Type: "text", Default: "A", Choices: []string{"A", "B", "C", "D", "E", "F", "G"}, Help: "VAT letter of items that bring none"},
		{Name: "till", Type: "text", Default: "1", Help: "till code at the foot of a receipt"},
		{Name: "cashier", Type: "text", Default: "01", Help: "cashier at the foot of a receipt when the receipt names none"},
		{Name: "answer", Type: "duration", Default: "2s", Help: "silence after which the printer is asked whether it is alive"},
		{Name: "patience", Type: "duration", Default: "60s", Help: "how long a command may take while the printer is off-line or waits for paper"},
		{Name: "recover", Type: "duration", Default: "20s", Help: "how long a command waits for a line that went away"},
	},
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// Printer is a printer with the Thermal protocol. Calls may come from any
// goroutine; they run one after another.
type Printer struct {
	cfg  drivers.Config
	env  drivers.Env
	page *codepage.Page
	sess *drivers.Session
	turn *turn.Turn

	columns  int
	answer   time.Duration
	patience time.Duration

	// Only the session's goroutine touches these.
	dec        Decoder
	buf        []byte
	in         []Sequence // that were read and not yet looked at
	heard      bool       // something came that makes no sense
	lost       *command   // sent, and not known what became of it
	negotiated bool       // the error mode is set on this line
	acks       bool       // the printer sends its code after each command

	// Only the call whose turn it is touches these.
	receipt  *receipt
	last     drivers.Document
	sold     bool // something was sold since the daily report, as far as this run knows
	slipOpen bool // a printout was left in the middle
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
		cfg: cfg, env: env, page: page, columns: cfg.Options.Int("columns"),
		answer: cfg.Options.Duration("answer"), patience: cfg.Options.Duration("patience"),
		last: drivers.Document{State: drivers.DocumentUnknown, Total: -1},
	}
	d.turn = turn.New(cfg.Options.Duration("recover"))
	d.sess = drivers.NewSession(cfg, d.turn.Hook(env), drivers.Talk{Start: d.start, Poll: d.poll, PollEvery: time.Second})
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

// start closes what may be half a sequence from before, and sets the error mode.
func (d *Printer) start(ctx context.Context, p *line.Port) error {
	d.dec.Reset()
	d.buf, d.in, d.heard, d.negotiated = nil, nil, false, false
	if _, err := p.Write(ctx, []byte{esc, '\\'}); err != nil {
		return err
	}
	st, err := d.quickStatus(ctx, p)
	if err != nil {
		return err
	}
	if st.Worst().Severity() < drivers.Fault {
		if err := d.negotiate(ctx, p); err != nil {
			return err
		}
	}
	d.sess.SetStatus(st)
	return nil
}

func (d *Printer) poll(ctx context.Context, p *line.Port) error {
	st, err := d.quickStatus(ctx, p)
	if err == nil {
		d.sess.SetStatus(st)
	}
	return err
}

// negotiate asks for a code after each command (mode 3). A printer that sends
// none is set to be silent (mode 1) and asked with #n.
func (d *Printer) negotiate(ctx context.Context, p *line.Port) error {
	for range 3 {
		d.in, d.heard = nil, false
		if err := d.send(ctx, p, Sequence{[]int{3}, "#e", ""}); err != nil {
			return err
		}
		code, err := d.acknowledged(ctx, p, d.answer)
		if err == nil && code == 0 {
			d.acks, d.negotiated = true, true
			return nil
		}
		if err != nil && !over(ctx, p, err) {
			return err
		}
		if err == nil && code != CodeCheck && code != CodeBusy {
			break // it knows no such mode
		}
	}
	// No code came: settle with #n, which every printer answers.
	if err := d.send(ctx, p, Sequence{[]int{1}, "#e", ""}); err != nil {
		return err
	}
	_, _, err := d.barrier(ctx, p)
	if err == nil {
		d.acks, d.negotiated = false, true
	}
	return err
}

// quickStatus asks the two bytes that are always answered.
func (d *Printer) quickStatus(ctx context.Context, p *line.Port) (drivers.Status, error) {
	st := drivers.Status{At: d.env.Time(), Known: true}
	m, err := d.single(ctx, p, DLE)
	if err != nil {
		return st, err
	}
	st.Add(mechanism(m)...)
	e, err := d.single(ctx, p, ENQ)
	if err != nil {
		return st, err
	}
	if e&Fiscal == 0 {
		st.Add(drivers.NotFiscal)
	}
	st.Fiscal = &drivers.FiscalStatus{ReceiptOpen: e&InReceipt != 0, ShiftOpen: d.sold}
	if st.Fiscal.ReceiptOpen {
		st.Fiscal.DocumentKind = string(drivers.Sale)
	}
	return st, nil
}

// mechanism reads the answer to DLE.
func mechanism(b byte) (out []drivers.Code) {
	if b&PaperEmpty != 0 {
		out = append(out, drivers.PaperOut)
	}
	if b&MechanismError != 0 {
		out = append(out, drivers.Mechanism)
	}
	if b&OnLine == 0 {
		out = append(out, drivers.Busy)
	}
	return out
}

// Status asks the printer now. The printer does not tell a cover from another
// fault of the mechanism, nor when its day is over.
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
		d.sess.SetStatus(st)
		if st.Worst().Severity() >= drivers.Fault || d.lost != nil {
			return nil // a sequence would wait behind what is printed
		}
		s, err := d.ask(ctx, p, Sequence{[]int{23}, "#s", ""}, "#X")
		if err != nil {
			return err
		}
		if r, ok := parseRegisters(s.Body); ok {
			st.Fiscal.ShiftOpen = r.sold
			st.Fiscal.ReceiptNo = r.receipt
		}
		return nil
	})
	return st, err
}

// registers is what is read of the answer to 23#s.
type registers struct {
	receipt int64
	sold    bool
	serial  string
}

// parseRegisters reads "error;fiscal;..;date/VAT A../receipt no./totals../cash/serial".
// The number of VAT rates differs by model, so totals and number are found from
// the end: as many totals as rates.
func parseRegisters(body string) (r registers, ok bool) {
	_, rest, ok := strings.Cut(body, "/")
	if !ok {
		return r, false
	}
	f := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	n := len(f) - 3 // without number, cash, serial: rates and totals
	if n < 2 || n%2 != 0 {
		return r, false
	}
	r.serial = f[len(f)-1]
	num, err := parseInt(f[n/2])
	if err != nil {
		return r, false
	}
	r.receipt = num
	for _, t := range f[n/2+1 : n+1] {
		v, ok := ParseAmount(t)
		if !ok {
			return r, false
		}
		r.sold = r.sold || v != 0
	}
	return r, true
}

func parseInt(s string) (n int64, err error) {
	if s == "" {
		return 0, errors.New("empty number")
	}
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<50 {
			return 0, errors.New("not a number")
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// Identity asks type, version and serial number.
func (d *Printer) Identity(ctx context.Context) (drivers.Identity, error) {
	var id drivers.Identity
	leave, err := d.turn.Take(ctx)
	defer leave()
	if err != nil {
		return id, err
	}
	err = d.turn.Ask(ctx, "read identity", func(ctx context.Context, p *line.Port) error {
		v, err := d.ask(ctx, p, Sequence{nil, "#v", ""}, "#R")
		if err != nil {
			return err
		}
		model, version, _ := strings.Cut(strings.TrimSuffix(v.Body, "\r"), "/")
		id.Model, id.Firmware = d.page.Decode([]byte(model)), version
		s, err := d.ask(ctx, p, Sequence{[]int{23}, "#s", ""}, "#X")
		if err != nil {
			return err
		}
		if r, ok := parseRegisters(s.Body); ok {
			id.Serial = strings.TrimSpace(d.page.Decode([]byte(r.serial)))
		}
		return nil
	})
	if id.Maker, _, _ = strings.Cut(d.cfg.Title, " "); id.Maker == "" {
		id.Maker = "Novitus"
	}
	return id, err
}
