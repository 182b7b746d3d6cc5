package novitus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
)

// Print prints a non-fiscal printout with free lines, which Novitus printers
// have; the old Posnet ones know predefined forms only (setting slips: none).
// Alignment is done with blanks. Codes are printed as their text, pictures are
// left out.
func (d *Printer) Print(ctx context.Context, slip drivers.Slip) (drivers.Outcome, error) {
	const op = "print slip"
	if d.cfg.Options.Text("slips") == "none" {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: op, Code: drivers.Unsupported,
			Err: errors.New("this printer has predefined report forms only")}
	}
	cmds, err := d.slipCommands(op, slip)
	if err != nil {
		return drivers.OutcomeNotPrinted, &drivers.Error{Device: d.String(), Op: op, Code: drivers.BadData, Err: err}
	}
	leave, err := d.begin(ctx)
	defer leave()
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if err := d.able(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	open := &command{op: op, seq: Sequence{[]int{0, 1, 0, 0}, "$w", ""}}
	if err := d.run(ctx, open); err != nil {
		// No text was sent yet, whatever became of the heading.
		d.slipOpen = open.dead || open.inDoubt()
		return drivers.OutcomeNotPrinted, err
	}
	d.slipOpen = true
	for i, c := range cmds {
		if err := d.run(ctx, c); err != nil {
			if ctx.Err() == nil {
				d.endSlip(ctx) // begin tries again when this does not work
			}
			if i == 0 && !c.dead && !c.sent {
				return drivers.OutcomeNotPrinted, err
			}
			return drivers.OutcomeUnknown, partly(err)
		}
	}
	if err := d.endSlip(ctx); err != nil {
		return drivers.OutcomeUnknown, partly(err)
	}
	return drivers.OutcomePrinted, nil
}

func partly(err error) error {
	var e *drivers.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Err = errors.Join(errors.New("part of the slip is on the paper"), e.Err)
	return &c
}

// endSlip ends the printout. To end one that is ended is refused, which is as
// good: so it may be sent twice.
func (d *Printer) endSlip(ctx context.Context) error {
	for range 3 {
		c := &command{op: "end slip", seq: Sequence{[]int{1, 1, 0, 0}, "$w", ""}}
		if err := d.run(ctx, c); err != nil && !c.done && !c.dead {
			return err
		}
		if c.done {
			d.slipOpen = false
			return nil
		}
	}
	return errSilent
}

func (d *Printer) slipCommands(op string, slip drivers.Slip) ([]*command, error) {
	var out []*command
	row := func(s string) {
		out = append(out, &command{op: op, seq: Sequence{[]int{1, 0, 0, 0, 0, 0, 0}, "$w", s + "\r"}})
	}
	text := func(s string, align drivers.Align) {
		for part := range strings.SplitSeq(s, "\n") {
			for _, r := range d.rows(part, align) {
				row(r)
			}
		}
	}
	if slip.CopyMark != "" {
		text(slip.CopyMark, drivers.Centre)
	}
	for _, b := range slip.Blocks {
		switch b := b.(type) {
		case drivers.Text:
			text(b.Text, b.Align)
		case drivers.Rule:
			row(strings.Repeat("-", d.columns))
		case drivers.Feed:
			for range min(b.Lines, 20) {
				row(" ")
			}
		case drivers.Barcode:
			text(b.Data, drivers.Centre)
		case drivers.QR:
			text(b.Data, drivers.Centre)
		case drivers.Image, drivers.Cut:
		default:
			return nil, fmt.Errorf("a block of type %T", b)
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
		drivers.Text{Text: "Tillside", Align: drivers.Centre}, drivers.Text{Text: d.cfg.Title, Align: drivers.Centre},
		drivers.Text{Text: d.env.Time().Format(time.DateTime), Align: drivers.Centre}, drivers.Rule{},
		drivers.Text{Text: strings.Repeat("1234567890", 6)[:d.columns]},
		drivers.Text{Text: "ĄĆĘŁŃÓŚŹŻ ąćęłńóśźż " + d.page.Name()}, drivers.Feed{Lines: 1},
	}})
}
