// Package pole drives customer displays with two lines of twenty characters.
//
// They listen and never answer: that the port opens and takes the bytes is the
// only sign of health there is. So the driver always writes both lines whole,
// sets the display up after each opening of the line (one that lost power is
// back in its own code page), and shows the text again if it is still fresh.
//
// What stands on the display is public. Callers show a first name at most,
// never a card number.
//
// Four command sets are known. Epson's DM-D is the one to try first; most
// others, Firich among them, have a switch for it. Code page numbers differ
// from those of printers and between displays: on an Aures OCD-300 CP866 is 11.
//
// A text longer than the display scrolls unless the setting scroll is off: it
// stands for two seconds, then moves by one character at each step. The driver
// does that with whole lines, which every display understands. A CD5220 display
// can move its upper line by itself (ESC Q D); with scroll_by = display it is
// left to it, up to forty characters.
package pole

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes this driver.
var Driver = drivers.Driver{
	Name: "pole", Kind: drivers.KindDisplay, Title: "Customer displays, two lines",
	Line: line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "dialect", Type: "text", Default: "epson", Choices: []string{"epson", "cd5220", "logic", "aedex"}, Help: "command set"},
		{Name: "columns", Type: "number", Default: "20", Min: 8, Max: 40, Help: "characters in a line"},
		{Name: "code_page", Type: "text", Default: "cp437", Help: "code page of the display"},
		{Name: "code_page_number", Type: "number", Default: "-1", Min: -1, Max: 255, Help: "its number for ESC t; -1 sends none"},
		{Name: "pass_through", Type: "yesno", Default: "no", Help: "the display sits between this port and a printer"},
		{Name: "scroll", Type: "yesno", Default: "yes", Help: "lines that are too long move"},
		{Name: "scroll_by", Type: "text", Default: "driver", Choices: []string{"driver", "display"},
			Help: "who moves them: the driver step by step, or the display itself (upper line of cd5220 only)"},
		{Name: "scroll_step", Type: "duration", Default: "400ms", Help: "time for one character"},
	},
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// fresh is how long a text is worth showing again after the display was away.
const fresh = 10 * time.Second

// stand is how long a long line stands still before it moves.
const stand = 2 * time.Second

// Display is one customer display.
type Display struct {
	*drivers.Session
	enc Encoder
	env drivers.Env

	// What follows belongs to the session's goroutine.
	lines  [2]string
	at     time.Time
	scroll bool
	own    bool // the display moves its upper line itself
	shift  int
	shown  []byte
}

var _ drivers.Display = (*Display)(nil)

// New makes a display of checked settings.
func New(cfg drivers.Config, env drivers.Env) (*Display, error) {
	o := cfg.Options
	page, err := codepage.Lookup(o.Text("code_page"))
	if err != nil {
		return nil, fmt.Errorf("options.code_page: %w", err)
	}
	enc := Encoder{Dialect: Dialect(o.Text("dialect")), Columns: o.Int("columns"), Page: page,
		Number: o.Int("code_page_number"), Through: o.Bool("pass_through")}
	if enc.Dialect == AEDEX {
		enc.Page = codepage.Must("ascii") // it knows no other letters
	}
	d := &Display{enc: enc, env: env, scroll: o.Bool("scroll")}
	d.own = d.scroll && o.Text("scroll_by") == "display" && enc.Dialect == CD5220
	talk := drivers.Talk{Start: d.start}
	if d.scroll {
		talk.Poll, talk.PollEvery = d.step, max(o.Duration("scroll_step"), 50*time.Millisecond)
	}
	d.Session = drivers.NewSession(cfg, env, talk)
	return d, nil
}

// Size is columns and rows.
func (d *Display) Size() (columns, rows int) { return d.enc.Columns, 2 }

func (d *Display) start(ctx context.Context, p *line.Port) error {
	p.Discard()
	if _, err := p.Write(ctx, d.enc.Init()); err != nil {
		return err
	}
	d.shown = nil
	if d.at.IsZero() || d.env.Time().Sub(d.at) > fresh {
		d.lines = [2]string{}
		return nil
	}
	return d.put(ctx, p)
}

// Show puts two lines on the display. It fails while the display is away.
func (d *Display) Show(ctx context.Context, top, bottom string) error {
	return d.Do(ctx, "show text", func(ctx context.Context, p *line.Port) error {
		d.lines, d.at, d.shift = [2]string{top, bottom}, d.env.Time(), 0
		return d.put(ctx, p)
	})
}

// put writes what is to be seen now; the same text is not written twice.
func (d *Display) put(ctx context.Context, p *line.Port) error {
	var b []byte
	if d.own && d.long(d.lines[0]) {
		b = d.enc.Roll(d.lines[0], d.window(d.lines[1]))
	} else {
		b = d.enc.Show(d.window(d.lines[0]), d.window(d.lines[1]))
	}
	if d.shown != nil && string(b) == string(d.shown) && d.shift > 0 {
		return nil
	}
	if _, err := p.Write(ctx, b); err != nil {
		d.shown = nil
		return err
	}
	d.shown = b
	return nil
}

// long tells whether a line does not fit.
func (d *Display) long(s string) bool { return len([]rune(d.enc.Page.Fits(s))) > d.enc.Columns }

// window is the part of a line that is seen at the present shift.
func (d *Display) window(s string) string {
	fit := d.enc.Page.Fits(s)
	if !d.scroll || len([]rune(fit)) <= d.enc.Columns || d.shift == 0 {
		return s
	}
	r := []rune(fit + strings.Repeat(" ", 4))
	at := d.shift % len(r)
	return string(append(r[at:len(r):len(r)], r[:at]...))
}

// step moves long lines by one character.
func (d *Display) step(ctx context.Context, p *line.Port) error {
	if d.own || !d.long(d.lines[0]) && !d.long(d.lines[1]) || d.env.Time().Sub(d.at) < stand {
		return nil
	}
	d.shift++
	return d.put(ctx, p)
}
