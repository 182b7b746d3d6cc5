package datecs

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/internal/turn"
	"github.com/tillside/tillside/drivers/line"
)

// Commands, as the maker numbers them.
const (
	cmdDisplayClear = 0x21
	cmdDisplayLower = 0x23
	cmdSlipOpen     = 0x26
	cmdSlipClose    = 0x27
	cmdSlipText     = 0x2A
	cmdFeed         = 0x2C
	cmdCutFP        = 0x2D
	cmdCutPM        = 0x2E
	cmdDisplayUpper = 0x2F
	cmdOpen         = 0x30
	cmdSell         = 0x31
	cmdSubtotal     = 0x33
	cmdPay          = 0x35
	cmdText         = 0x36
	cmdClose        = 0x38
	cmdCancel       = 0x3C
	cmdSetClock     = 0x3D
	cmdGetClock     = 0x3E
	cmdReport       = 0x45
	cmdCash         = 0x46
	cmdStatus       = 0x4A
	cmdReceiptState = 0x4C
	cmdBarcode      = 0x54
	cmdDiagnostics  = 0x5A
	cmdDrawer       = 0x6A
)

// Driver describes the driver.
var Driver = drivers.Driver{
	Name:  "datecs",
	Kind:  drivers.KindFiscal,
	Title: "Datecs fiscal printers and cash registers (ISL and PM/X)",
	Line:  line.Settings{Baud: 115200, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "form", Type: "text", Default: "isl", Choices: []string{"isl", "pm"}, Help: "isl: one-byte commands (P, C, FP families); pm: the X family"},
		{Name: "family", Type: "text", Default: "p", Choices: []string{"p", "c", "fp", "x"},
			Help: "sub-family: c puts the sale number before the till and '$' before an amount discount; fp cuts with 2Dh"},
		{Name: "codepage", Type: "text", Default: "cp1251", Choices: []string{"cp1251", "cp1250"}, Help: "letters of the device"},
		{Name: "columns", Type: "number", Default: "42", Min: 24, Max: 64, Help: "characters in a line"},
		{Name: "comment", Type: "number", Default: "0", Min: 0, Max: 80, Help: "longest text line inside a receipt; 0 means two less than columns"},
		{Name: "item", Type: "number", Default: "34", Min: 10, Max: 72, Help: "longest item name"},
		{Name: "operator", Type: "text", Default: "1", Help: "operator number"},
		{Name: "password", Type: "text", Default: "0000", Help: "operator password"},
		{Name: "till", Type: "text", Default: "1", Help: "till number"},
		{Name: "tax", Type: "text", Default: "B", Choices: []string{"A", "B", "C", "D", "E", "F", "G", "H"}, Help: "tax group of items that bring none: A to H stand for А to З"},
		{Name: "cutter", Type: "yesno", Default: "no", Help: "the model has a cutter"},
		{Name: "drawer", Type: "number", Default: "50", Min: 1, Max: 255, Help: "length of the drawer pulse in milliseconds"},
		{Name: "answer", Type: "duration", Default: "500ms", Help: "silence after which a frame is sent again"},
		{Name: "tries", Type: "number", Default: "6", Min: 1, Max: 20, Help: "how often a frame is sent"},
		{Name: "patience", Type: "duration", Default: "90s", Help: "how long a device may say that it is busy"},
		{Name: "recover", Type: "duration", Default: "20s", Help: "how long a command waits for a line that went away"},
	},
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// Printer is a Datecs device. Calls may come from any goroutine; they run one
// after another.
type Printer struct {
	cfg  drivers.Config
	env  drivers.Env
	page *codepage.Page
	sess *drivers.Session
	turn *turn.Turn

	form     Form
	family   string
	columns  int
	answer   time.Duration
	patience time.Duration
	tries    int

	// Only the session's goroutine touches these.
	dec    Decoder
	buf    []byte // bytes that were read and not yet looked at
	seq    byte
	lost   *command // sent, and not known what became of it
	counts bool     // the device answers 4Ch so that we understand it
	bits   Bits     // of the last answer

	// Only the call whose turn it is touches these.
	receipt  *receipt
	last     drivers.Document
	dayOpen  bool // something was sold since the last Z report, as far as this run knows
	expired  bool // refused for a day that is over
	slipOpen bool // a slip was left in the middle
}

var (
	_ drivers.FiscalPrinter = (*Printer)(nil)
	_ drivers.Drawer        = (*Printer)(nil)
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
		cfg: cfg, env: env, page: page, family: cfg.Options.Text("family"), columns: cfg.Options.Int("columns"),
		answer: cfg.Options.Duration("answer"), patience: cfg.Options.Duration("patience"), tries: cfg.Options.Int("tries"),
		last: drivers.Document{State: drivers.DocumentUnknown, Total: -1}, seq: LastSeq,
	}
	if cfg.Options.Text("form") == "pm" {
		d.form = PM
	}
	d.dec.Form = d.form
	d.turn = turn.New(cfg.Options.Duration("recover"))
	d.sess = drivers.NewSession(cfg, d.turn.Hook(env), drivers.Talk{
		Start: d.start, Poll: d.poll, PollEvery: time.Second,
		Lost: func(error) {
			d.dec.Reset()
			d.buf = nil
			if d.lost != nil {
				d.lost.stale = true // the device may have been switched off as well
			}
		},
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

// start finds out about a command that was lost with the line before anything
// new is sent, learns whether 4Ch can be used, and shows the state.
func (d *Printer) start(ctx context.Context, p *line.Port) error {
	d.dec.Reset()
	d.buf = nil
	if err := d.settleLost(ctx, p); err != nil {
		return err
	}
	if err := d.poll(ctx, p); err != nil {
		return err
	}
	if !d.counts {
		if _, known, err := d.receiptState(ctx, p); err != nil {
			return err
		} else if known {
			d.counts = true
		}
	}
	return nil
}

func (d *Printer) poll(ctx context.Context, p *line.Port) error {
	st, err := d.readStatus(ctx, p)
	if err != nil {
		return err
	}
	d.sess.SetStatus(st)
	return nil
}

func (d *Printer) readStatus(ctx context.Context, p *line.Port) (drivers.Status, error) {
	st := drivers.Status{At: d.env.Time(), Known: true}
	a, err := d.query(ctx, p, cmdStatus, nil)
	if err != nil {
		return st, err
	}
	st.Add(a.bits().codes(d.form)...)
	if d.expired {
		st.Add(drivers.ShiftExpired)
	}
	return st, nil
}

// Status asks the printer now. Whether a day is open is what this run of the
// program knows: the device has no question for it.
func (d *Printer) Status(ctx context.Context) (drivers.Status, error) {
	leave, err := d.turn.Take(ctx)
	defer leave()
	if err != nil {
		return drivers.Status{}, err
	}
	var st drivers.Status
	err = d.turn.Ask(ctx, "read status", func(ctx context.Context, p *line.Port) error {
		if st, err = d.readStatus(ctx, p); err != nil {
			return err
		}
		fs := &drivers.FiscalStatus{ShiftOpen: d.dayOpen, ReceiptOpen: d.bits.FiscalOpen() || d.bits.NonFiscalOpen()}
		switch {
		case d.bits.FiscalOpen():
			fs.DocumentKind = string(drivers.Sale)
		case d.bits.NonFiscalOpen():
			fs.DocumentKind = "nonfiscal"
		}
		st.Fiscal = fs
		a, err := d.query(ctx, p, cmdGetClock, nil)
		if err != nil {
			return err
		}
		fs.Clock = clock(d.page.Decode(a.payload(d.form)))
		d.sess.SetStatus(st)
		return nil
	})
	return st, err
}

func clock(s string) time.Time {
	s = strings.TrimSuffix(strings.TrimSpace(strings.ReplaceAll(s, ".", "-")), " DST")
	t, err := time.ParseInLocation("02-01-06 15:04:05", strings.TrimSpace(s), time.Local)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Identity asks the diagnostics: model, firmware, numbers.
func (d *Printer) Identity(ctx context.Context) (drivers.Identity, error) {
	id := drivers.Identity{Maker: "Datecs"}
	leave, err := d.turn.Take(ctx)
	defer leave()
	if err != nil {
		return id, err
	}
	err = d.turn.Ask(ctx, "read identity", func(ctx context.Context, p *line.Port) error {
		data := []byte("1")
		if d.form == PM {
			data = Tabbed("1")
		}
		a, err := d.query(ctx, p, cmdDiagnostics, data)
		if err != nil {
			return err
		}
		if err := a.refusal(d.form); err != nil {
			return err
		}
		var f []string
		if d.form == PM {
			f = Fields(a.frame.Data)[1:]
		} else {
			f = strings.Split(string(a.frame.Data), ",")
		}
		for i := range f {
			f[i] = strings.TrimSpace(d.page.Decode([]byte(f[i])))
		}
		if len(f) > 1 {
			id.Model, id.Firmware = f[0], f[1]
		}
		if n := len(f); n >= 4 {
			id.Serial, id.FiscalMemory = f[n-2], f[n-1]
		}
		return nil
	})
	return id, err
}

// taxIndex gives 0 to 7 for A to H, А to З or 1 to 8.
func taxIndex(s string) (int, bool) {
	r := []rune(strings.ToUpper(strings.TrimSpace(s)))
	if len(r) != 1 {
		return 0, false
	}
	for _, letters := range []string{"ABCDEFGH", "АБВГДЕЖЗ", "12345678"} {
		for i, l := range []rune(letters) {
			if l == r[0] {
				return i, true
			}
		}
	}
	return 0, false
}

func money(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	cents := strconv.FormatInt(v%100, 10)
	if len(cents) == 1 {
		cents = "0" + cents
	}
	return sign + strconv.FormatInt(v/100, 10) + "." + cents
}

// parseMoney reads cents: with a point as written, without one as cents already.
func parseMoney(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	whole, frac, point := strings.Cut(s, ".")
	if point {
		if len(frac) > 2 {
			frac = frac[:2]
		}
		whole += frac + strings.Repeat("0", 2-len(frac))
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if neg {
		n = -n
	}
	return n, err == nil
}

func quantity(v int64) string {
	if v%1000 == 0 {
		return strconv.FormatInt(v/1000, 10)
	}
	f := strconv.FormatInt(1000+v%1000, 10)[1:]
	return strconv.FormatInt(v/1000, 10) + "." + strings.TrimRight(f, "0")
}
