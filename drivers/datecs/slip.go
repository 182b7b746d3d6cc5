package datecs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
)

// Barcode kinds of command 54h. They vary by model; EAN and Code 128 are the
// same in what was found.
const (
	kindEAN8    = "1"
	kindEAN13   = "2"
	kindCode128 = "3"
	kindQR      = "4" // PM only
)

// Print prints a non-fiscal slip. Alignment is done with blanks; pictures are
// left out; a QR code on an ISL device is printed as its text.
func (d *Printer) Print(ctx context.Context, slip drivers.Slip) (drivers.Outcome, error) {
	const op = "print slip"
	cmds, err := d.slipCommands(op, slip)
	if err != nil {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: op, Code: drivers.BadData, Err: err}
	}
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if err := d.ready(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	open := d.command(op, cmdSlipOpen, nil)
	open.decide = func(receiptState) (bool, bool) { return d.bits.NonFiscalOpen(), true }
	if err := d.run(ctx, open); err != nil {
		// No text was sent yet, whatever became of the heading.
		d.slipOpen = open.dead || open.inDoubt()
		return drivers.OutcomeNotPrinted, err
	}
	d.slipOpen = true
	for i, c := range cmds {
		if err := d.printed(d.run(ctx, c), c); err != nil {
			if ctx.Err() == nil {
				d.endSlip(ctx) // begin tries again when this does not work
			}
			return outcome(i, c), partly(i, err)
		}
	}
	if err := d.endSlip(ctx); err != nil {
		return drivers.OutcomeUnknown, partly(len(cmds), err)
	}
	if d.cfg.Options.Bool("cutter") {
		d.cutPaper(ctx)
	}
	return drivers.OutcomePrinted, nil
}

var errPartly = errors.New("part of the slip is on the paper")

func partly(n int, err error) error {
	var e *drivers.Error
	if n == 0 || !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Err = errors.Join(errPartly, e.Err)
	return &c
}

// endSlip closes the slip. That it is not open any more is as good.
func (d *Printer) endSlip(ctx context.Context) error {
	c := d.command("end slip", cmdSlipClose, nil)
	c.decide = func(receiptState) (bool, bool) { return !d.bits.NonFiscalOpen(), true }
	err := d.run(ctx, c)
	switch {
	case err == nil, c.dead:
	case c.done:
		if code := drivers.CodeOf(err); code == drivers.PaperOut || code == drivers.CoverOpen || code == drivers.Mechanism {
			return err // the slip waits for somebody
		}
	default:
		return err
	}
	d.slipOpen = false
	return nil
}

// cutPaper cuts after a slip. The slip is printed whether this works or not.
func (d *Printer) cutPaper(ctx context.Context) {
	code := uint16(cmdCutFP)
	if d.form == PM {
		code = cmdCutPM
	}
	if err := d.run(ctx, d.command("cut", code, nil)); err != nil {
		d.env.Logger().Warn("the paper was not cut", "device", d.cfg.Name, "error", err)
	}
}

func (d *Printer) slipCommands(op string, slip drivers.Slip) ([]*command, error) {
	var out []*command
	add := func(code uint16, data []byte) { out = append(out, d.command(op, code, data)) }
	text := func(t drivers.Text) {
		for part := range strings.SplitSeq(t.Text, "\n") {
			for _, row := range d.rows(part, t.Align) {
				add(cmdSlipText, d.text(row))
			}
		}
	}
	if slip.CopyMark != "" {
		text(drivers.Text{Text: slip.CopyMark, Align: drivers.Centre})
	}
	for _, b := range slip.Blocks {
		switch b := b.(type) {
		case drivers.Text:
			text(b)
		case drivers.Rule:
			add(cmdSlipText, d.text(strings.Repeat("-", d.columns)))
		case drivers.Feed:
			for range min(b.Lines, 20) {
				add(cmdSlipText, d.text(" "))
			}
		case drivers.Barcode:
			kind, ok := map[drivers.Symbology]string{drivers.EAN8: kindEAN8, drivers.EAN13: kindEAN13,
				drivers.Code128: kindCode128, drivers.GS1128: kindCode128}[b.Symbology]
			if !ok {
				return nil, fmt.Errorf("the device has no %s barcodes", b.Symbology)
			}
			data := string(d.page.Encode(b.Data))
			add(cmdBarcode, d.fields(kind+";"+data, kind, data))
		case drivers.QR:
			if d.form == ISL {
				text(drivers.Text{Text: b.Data, Align: drivers.Centre})
				continue
			}
			add(cmdBarcode, Tabbed(kindQR, string(d.page.Encode(b.Data))))
		case drivers.Image, drivers.Cut:
		default:
			return nil, fmt.Errorf("a block of type %T", b)
		}
	}
	for _, c := range out {
		if len(c.data) > d.form.MaxData() {
			return nil, fmt.Errorf("%d bytes in one command, at most %d", len(c.data), d.form.MaxData())
		}
	}
	return out, nil
}

// rows cuts a text to lines and aligns them.
func (d *Printer) rows(s string, align drivers.Align) []string {
	b := string(d.page.Encode(s))
	var out []string
	for {
		row := b[:min(d.columns, len(b))]
		b = b[len(row):]
		switch pad := d.columns - len(row); align {
		case drivers.Centre:
			row = strings.Repeat(" ", pad/2) + row
		case drivers.Right:
			row = strings.Repeat(" ", pad) + row
		}
		if row == "" {
			row = " "
		}
		out = append(out, row)
		if b == "" {
			return out
		}
	}
}

// TestPage prints a page for the technician.
func (d *Printer) TestPage(ctx context.Context) (drivers.Outcome, error) {
	return d.Print(ctx, drivers.Slip{ID: "test page", Blocks: []drivers.Block{
		drivers.Text{Text: "Tillside", Align: drivers.Centre},
		drivers.Text{Text: d.cfg.Title, Align: drivers.Centre},
		drivers.Text{Text: d.env.Time().Format(time.DateTime), Align: drivers.Centre},
		drivers.Rule{}, drivers.Text{Text: strings.Repeat("1234567890", 7)[:d.columns]},
		drivers.Text{Text: "АБВГДЕЖЗ абвгдежз ЪЬЮЯ ъьюя " + d.page.Name()}, drivers.Text{Text: "ĄĆĘŁŃÓŚŹŻ ąćęłńóśźż"},
		drivers.Barcode{Symbology: drivers.EAN13, Data: "2000000125008"}, drivers.QR{Data: "TILLSIDE TEST"}, drivers.Feed{Lines: 1},
	}})
}
