package posnet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
)

// form is the "super form": any header and any line.
const form = 200

// maxFormatted is the most bytes of a formatted line, marks included.
const maxFormatted = 96

// Print prints a non-fiscal slip as a form of formatted lines. Pictures are left
// out: the protocol has none. The printer cuts after every document by itself.
func (d *Printer) Print(ctx context.Context, slip drivers.Slip) (drivers.Outcome, error) {
	cmds, err := d.slipCommands(slip)
	if err != nil {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: "print slip", Code: drivers.BadData, Err: err}
	}
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if err := d.ready(ctx, "print slip"); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	started := false // something of the text may be on paper
	for i, c := range cmds {
		err := d.run(ctx, c)
		if i == 0 && c.done && c.answer.Refused && (c.answer.Refusal == RefusedFormStarted || c.answer.Refusal == RefusedUnfinished) {
			// Another run of the program left a form or a foot open.
			d.run(ctx, newCommand(c.op, "trftrend"))
			if err = d.endForm(ctx); err == nil {
				c = newCommand(c.op, c.msg.Command, c.msg.Params...)
				err = d.run(ctx, c)
			}
		}
		if err == nil {
			started = started || i > 0
			d.formOpen = i < len(cmds)-1
			continue
		}
		if i == 0 && c.done { // the printer refused to begin
			return drivers.OutcomeNotPrinted, err
		}
		if i == 0 && !c.sent && !c.dead {
			return drivers.OutcomeNotPrinted, err
		}
		d.formOpen = true
		if !started && (i == 0 || c.done && c.answer.Refused) {
			// The form began, or may have, and none of the text was taken.
			d.tidy(ctx)
			return drivers.OutcomeNotPrinted, err
		}
		d.tidy(ctx)
		return drivers.OutcomeUnknown, d.partly(err)
	}
	return drivers.OutcomePrinted, nil
}

// partly says that a slip stopped in the middle, and keeps the code.
func (d *Printer) partly(err error) error {
	var e *drivers.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Err = errors.Join(errForm, e.Err)
	return &c
}

// tidy ends a form that cannot be finished, if the caller still waits.
func (d *Printer) tidy(ctx context.Context) {
	if ctx.Err() == nil {
		d.endForm(ctx)
	}
}

// endForm ends a form that was left in the middle.
func (d *Printer) endForm(ctx context.Context) error {
	c := newCommand("end slip", "formend", P("fn", form))
	err := d.run(ctx, c)
	if err != nil && !c.settled() {
		return err
	}
	d.formOpen = false // ended now, or not open any more
	return nil
}

func (d *Printer) slipCommands(slip drivers.Slip) ([]*command, error) {
	const op = "print slip"
	start := []Param{P("fn", form)}
	if d.header != 0 {
		start = append(start, P("fh", d.header))
	}
	out := []*command{newCommand(op, "formstart", start...)}
	add := func(mnemonic string, ps ...Param) { out = append(out, newCommand(op, mnemonic, ps...)) }
	text := func(t drivers.Text) {
		for part := range strings.SplitSeq(t.Text, "\n") {
			for _, row := range d.rows(part, t) {
				add("formformattedline", P("fn", form), P("s1", row))
			}
		}
	}
	if slip.CopyMark != "" {
		text(drivers.Text{Text: slip.CopyMark, Align: drivers.Centre, Bold: true})
	}
	for _, b := range slip.Blocks {
		switch b := b.(type) {
		case drivers.Text:
			text(b)
		case drivers.Rule:
			add("formcmd", P("fn", form), P("cm", 1))
		case drivers.Feed:
			for range min(b.Lines, 20) {
				add("formcmd", P("fn", form), P("cm", 0))
			}
		case drivers.Barcode:
			kind := 0
			switch b.Symbology {
			case drivers.EAN13:
				kind = 1
			case drivers.Code128, drivers.GS1128:
			default:
				return nil, fmt.Errorf("the printer has no %s barcodes", b.Symbology)
			}
			add("formbarcode", P("fn", form), P("bc", d.bytes(b.Data)), P("bt", kind))
		case drivers.QR:
			level := strings.IndexByte("LMQH", b.Level)
			if b.Level == 0 {
				level = 1
			}
			if level < 0 || len(d.bytes(b.Data)) > 2000 {
				return nil, fmt.Errorf("QR code of %d characters, level %q", len(b.Data), b.Level)
			}
			add("qrcode", P("px", max(2, b.Dot)), P("el", level), P("hx", 0), P("tx", d.bytes(b.Data)))
			add("formbarcode2d", P("fn", form))
		case drivers.Image, drivers.Cut:
		default:
			return nil, fmt.Errorf("a block of type %T", b)
		}
	}
	add("formend", P("fn", form))
	return out, nil
}

// rows makes formatted lines of a text: marks for style first, then the letters.
// A '&' begins a mark, so one in the text becomes a plus sign.
func (d *Printer) rows(s string, t drivers.Text) []string {
	marks := ""
	if t.Align == drivers.Centre {
		marks += "&c"
	}
	if t.Bold {
		marks += "&b"
	}
	if t.Underline {
		marks += "&u"
	}
	if t.Inverse {
		marks += "&i"
	}
	if t.Height > 1 {
		marks += "&h"
	}
	b := d.bytes(strings.ReplaceAll(s, "&", "+"))
	if t.Align == drivers.Right && len(b) < d.columns {
		b = strings.Repeat(" ", d.columns-len(b)) + b
	}
	width := min(d.columns, maxFormatted-len(marks))
	var out []string
	for {
		row := b[:min(width, len(b))]
		if row == "" {
			row = " "
		}
		out = append(out, marks+row)
		if b = b[min(width, len(b)):]; b == "" {
			return out
		}
	}
}

// TestPage prints a page for the technician.
func (d *Printer) TestPage(ctx context.Context) (drivers.Outcome, error) {
	ruler := strings.Repeat("1234567890", 6)[:d.columns]
	return d.Print(ctx, drivers.Slip{ID: "test page", Blocks: []drivers.Block{
		drivers.Text{Text: "Tillside", Align: drivers.Centre, Bold: true},
		drivers.Text{Text: d.cfg.Title, Align: drivers.Centre},
		drivers.Text{Text: d.env.Time().Format(time.DateTime), Align: drivers.Centre},
		drivers.Rule{}, drivers.Text{Text: ruler},
		drivers.Text{Text: "ĄĆĘŁŃÓŚŹŻ ąćęłńóśźż " + d.page.Name()},
		drivers.Text{Text: "bold", Bold: true}, drivers.Text{Text: "underlined", Underline: true}, drivers.Text{Text: "inverse", Inverse: true},
		drivers.Barcode{Symbology: drivers.EAN13, Data: "2000000125008"}, drivers.QR{Data: "TILLSIDE TEST"}, drivers.Feed{Lines: 1},
	}})
}
