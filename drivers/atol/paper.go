package atol

import (
	"context"
	"errors"
	"fmt"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
	"github.com/tillside/tillside/drivers/internal/once"
)

type fragment struct {
	cmd []byte
	ink bool
}

// Print prints a slip between receipts, in the mode of registration.
func (d *Dev) Print(ctx context.Context, slip drivers.Slip) (drivers.Outcome, error) {
	const op = "print slip"
	parts, err := d.layOut(slip)
	if err != nil {
		return drivers.OutcomeNotPrinted, d.run.Named(op, err)
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	defer d.run.Leave()
	s, err := d.enter(ctx, op, modeRegister)
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if s.receipt != 0 {
		return drivers.OutcomeNotPrinted, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptOpen})
	}
	done, err := d.put(ctx, op, parts)
	return once.Outcome(err, done), err
}

func (d *Dev) put(ctx context.Context, op string, parts []fragment) (done int, err error) {
	for _, f := range parts {
		if _, err := d.do(ctx, work{op: op, cmd: f.cmd, repeat: !f.ink, inked: done > 0}); err != nil {
			return done, err
		}
		if f.ink {
			done++
		}
	}
	return done, nil
}

func (d *Dev) layOut(slip drivers.Slip) ([]fragment, error) {
	var out []fragment
	ink := func(cmds ...[]byte) {
		for _, c := range cmds {
			out = append(out, fragment{c, true})
		}
	}
	if slip.CopyMark != "" {
		ink(d.text(drivers.Text{Text: slip.CopyMark, Align: drivers.Centre})...)
	}
	for _, b := range slip.Blocks {
		switch b := b.(type) {
		case drivers.Text:
			ink(d.text(b)...)
		case drivers.Rule:
			ink(d.text(drivers.Text{Text: lines.Rule(b, d.columns)})...)
		case drivers.Feed:
			for range b.Lines {
				out = append(out, fragment{cmd: []byte{cmdText, ' '}})
			}
		case drivers.Cut:
			kind := byte(0)
			if b.Partial {
				kind = 1
			}
			out = append(out, fragment{cmd: []byte{cmdCut, kind}})
		case drivers.Barcode:
			if b.Symbology != drivers.EAN13 {
				return nil, &drivers.Error{Code: drivers.Unsupported, Err: fmt.Errorf("barcode %s", b.Symbology)}
			}
			data, err := lines.Barcode(b)
			if err != nil {
				return nil, err
			}
			ink(code(1, b.Align, max(1, b.Module), 0, data))
		case drivers.QR:
			if n := len(b.Data); n == 0 || n > 1000 {
				return nil, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("QR code of %d bytes, 1 to 1000 fit", n)}
			}
			level := map[byte]byte{'L': 0, 'M': 1, 'Q': 2, 'H': 3, 0: 1}[b.Level]
			ink(code(0, b.Align, max(1, min(b.Dot, 10)), level, b.Data))
		default:
			return nil, &drivers.Error{Code: drivers.Unsupported, Err: fmt.Errorf("block %T on this register", b)}
		}
	}
	return out, nil
}

// code is C1h: type (0 QR, 1 EAN-13), alignment, scale, version 2, options 2,
// correction, rows, columns, proportions 2 and 2, data. Option 1: UTF-8 for QR,
// the check digit is computed for EAN-13.
func code(kind byte, a drivers.Align, scale int, level byte, data string) []byte {
	where := map[drivers.Align]byte{drivers.Left: 1, drivers.Centre: 2, drivers.Right: 3}[a]
	return append([]byte{cmdBarcode, kind, where, byte(scale), 0, 0, 1, 0, level, 0, 0, 0, 0, 0, 0}, data...)
}

// text makes a command for each line. The raw protocol's other fonts are not
// public, so bold and size are left out.
func (d *Dev) text(t drivers.Text) [][]byte {
	var out [][]byte
	for _, part := range lines.Break(t.Text, d.columns, t.Align, fits) {
		if part == "" {
			part = " "
		}
		out = append(out, append([]byte{cmdText}, encode(part)...))
	}
	return out
}

// fits is the text as the register prints it.
func fits(s string) string { return Decode(encode(s)) }

// PrintLoyalty prints the lines inside the open receipt.
func (d *Dev) PrintLoyalty(ctx context.Context, loyalty []drivers.LoyaltyLine) (drivers.Outcome, error) {
	const op = "print loyalty text"
	if err := d.run.Enter(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	defer d.run.Leave()
	s, err := d.state(ctx, op)
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if s.receipt == 0 {
		return drivers.OutcomeNotPrinted, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptClosed})
	}
	if _, err := d.enter(ctx, op, modeRegister); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	var parts []fragment
	for _, l := range loyalty {
		for _, c := range d.text(drivers.Text{Text: lines.Spread(l.Label, l.Value, d.columns, fits)}) {
			parts = append(parts, fragment{c, true})
		}
	}
	done, err := d.put(ctx, op, parts)
	return once.Outcome(err, done), err
}

// OpenDrawer sends the pulse.
func (d *Dev) OpenDrawer(ctx context.Context) error {
	_, err := d.do(ctx, work{op: "open drawer", cmd: []byte{cmdDrawer}, repeat: true})
	return err
}

// Beep sounds.
func (d *Dev) Beep(ctx context.Context) error {
	_, err := d.do(ctx, work{op: "beep", cmd: []byte{cmdBeep}, repeat: true})
	return err
}

// TestPage shows letters, columns and codes.
func (d *Dev) TestPage(ctx context.Context) (drivers.Outcome, error) {
	return d.Print(ctx, lines.TestPage(d.columns, lines.Cyrillic...))
}

var errNothing = errors.New("an amount of nothing leaves no trace")
