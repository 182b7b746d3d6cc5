// Package gallery puts every slip and every display text before the eye.
//
// Nothing in it is drawn by hand. The slips are priced by the engine with the
// sample rulebooks or made by agent/receipt, laid out for a device, given to
// its real driver, and what the emulated device understood is the picture:
//
//	rulebook -> loyalty.Price -> receipt.Paper -> driver -> line -> emulator -> PNG
//
// So a cut word, a sum that is not at the edge or a wrong letter in a code page
// is seen here as it would be on paper. `tillbench gallery` and `make gallery`
// write it; the tests hold every paper line against what was laid out.
//
// It is for benches and tests: no part of the agent imports it.
package gallery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/paper"
)

// Widths are the columns slips are shown in when nobody asks for others.
var Widths = []int{24, 32, 42, 48}

// Picture is one picture of the gallery.
type Picture struct {
	Group   string // the chapter it stands in
	Name    string // file name without its end; unique
	Caption string
	Text    string
	// Draw makes the picture, as a PNG file.
	Draw func() ([]byte, error)
	// Letters is what should have come out, line by line, and what did: for
	// tests.
	Want, Got []string
}

// bench is a device of its real driver on an emulated machine.
type bench struct {
	dev    drivers.Device
	cable  *emulator.Cable
	roll   *paper.Roll // of printers
	screen *emulator.Display
}

// patience bounds every wait; emulated devices answer at once.
const patience = 20 * time.Second

// start opens a device on a machine.
func start(ctx context.Context, cfg drivers.Config, m emulator.Machine) (*bench, error) {
	cable, pipe := emulator.Memory(m)
	b := &bench{cable: cable}
	cfg.Name, cfg.Port = "gallery", cable.Address()
	var err error
	if b.dev, err = all.Registry().Build(cfg, drivers.Env{OpenLine: pipe.Open}); err == nil {
		err = b.dev.Open(ctx)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, b.ready(ctx)
}

func (b *bench) close() {
	if b.dev != nil {
		b.dev.Close()
	}
	b.cable.Close()
}

// ready waits until the device takes work.
func (b *bench) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		if s := b.dev.State(); s.Usable() && s.Code != drivers.Opening && (s.Code != drivers.Unknown || s.Detail != "") {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%s never became usable: %+v", b.dev, b.dev.State())
		}
	}
}

// print lays a slip out for the printer and gives what came out of it.
func (b *bench) print(ctx context.Context, s Slip) (Picture, error) {
	p := b.dev.(drivers.Printer)
	rows := till.Paper(p).Layout(s.Lines)
	slip := drivers.Slip{ID: s.Name, CopyMark: s.CopyMark, Blocks: append(till.Blocks(rows), drivers.Feed{Lines: 1}, drivers.Cut{})}
	b.roll.Clear()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if out, err := p.Print(ctx, slip); err != nil || out != drivers.OutcomePrinted && out != drivers.OutcomeSent {
		return Picture{}, fmt.Errorf("print %s on %s: %s, %w", s.Name, b.dev, out, err)
	}
	got := b.roll.All()
	dots := b.roll.Dots
	pic := Picture{Draw: func() ([]byte, error) { return got.PNG(dots) }, Text: got.Text(b.roll.Columns), Got: lines(got)}
	if s.CopyMark != "" {
		pic.Want = append(pic.Want, s.CopyMark)
	}
	for _, r := range rows {
		switch {
		case r.Big:
			pic.Want = append(pic.Want, bigMark+r.Text)
		case r.Code == "" && r.QR == "":
			pic.Want = append(pic.Want, r.Text)
		}
	}
	pic.Want = trimmed(pic.Want)
	return pic, nil
}

// bigMark begins a line of big letters in Picture.Want: where those begin on
// the line is the printer's business.
const bigMark = "\x01"

// lines are the lines of text on the paper.
func lines(s paper.Slip) []string { return trimmed(s.Lines()) }

func trimmed(in []string) []string {
	var out []string
	for _, l := range in {
		l = strings.TrimRight(l, " ")
		out = append(out, l)
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// receiptPrinter is an ESC/POS printer with any columns and pages.
func receiptPrinter(ctx context.Context, columns int, options drivers.Options, pages map[byte]string) (*bench, error) {
	m := emulator.NewPrinter(emulator.PrinterSettings{Columns: columns, Pages: pages})
	o := drivers.Options{"columns": columns}
	for k, v := range options {
		o[k] = v
	}
	b, err := start(ctx, drivers.Config{Driver: "escpos", Options: o}, m)
	if err == nil {
		b.roll = m.Roll()
	}
	return b, err
}

// Slips renders every state of every slip in the languages and widths.
func Slips(ctx context.Context, languages []string, widths []int) ([]Picture, error) {
	var out []Picture
	states := map[string][]Slip{}
	for _, lang := range languages {
		list, err := States(lang)
		if err != nil {
			return nil, err
		}
		states[lang] = list
	}
	for _, columns := range widths {
		b, err := receiptPrinter(ctx, columns, nil, nil)
		if err != nil {
			return nil, err
		}
		for _, lang := range languages {
			for _, s := range states[lang] {
				pic, err := b.print(ctx, s)
				if err != nil {
					b.close()
					return nil, err
				}
				pic.Group = "Slips, " + languageNames[lang] + fmt.Sprintf(", %d columns", columns)
				pic.Name, pic.Caption = fmt.Sprintf("slip-%s-%s-%d", s.Name, lang, columns), s.Title
				out = append(out, pic)
			}
		}
		b.close()
	}
	slices.SortStableFunc(out, func(a, b Picture) int { return strings.Compare(a.Group, b.Group) })
	return out, nil
}

var languageNames = map[string]string{"en": "English", "ru": "Russian", "pl": "Polish"}

// Slip is one state of one slip.
type Slip struct {
	Name, Title string
	CopyMark    string
	Lines       []loyalty.PrintLine
}

// Languages are those of the gallery.
var Languages = receipt.Languages
