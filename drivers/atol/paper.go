package atol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tillside/tillside/drivers"
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
		return drivers.OutcomeNotPrinted, d.named(op, err)
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
		return drivers.OutcomeNotPrinted, d.named(op, &drivers.Error{Code: drivers.ReceiptOpen})
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
			c := "-"
			if b.Double {
				c = "="
			}
			ink(d.text(drivers.Text{Text: strings.Repeat(c, d.columns)})...)
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
			data, err := ean13(b.Data)
			if err != nil {
				return nil, &drivers.Error{Code: drivers.BadData, Err: err}
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

// ean13 gives thirteen digits with a right check digit.
func ean13(s string) (string, error) {
	if len(s) != 12 && len(s) != 13 {
		return "", fmt.Errorf("EAN-13 of %d digits", len(s))
	}
	sum := 0
	for i := range 12 {
		if s[i] < '0' || s[i] > '9' {
			return "", fmt.Errorf("EAN-13 %q: only digits", s)
		}
		sum += int(s[i]-'0') * (1 + i%2*2)
	}
	full := s[:12] + string(rune('0'+(10-sum%10)%10))
	if len(s) == 13 && s != full {
		return "", fmt.Errorf("EAN-13 %q: wrong check digit", s)
	}
	return full, nil
}

// text makes a command for each line. The raw protocol's other fonts are not
// public, so bold and size are left out.
func (d *Dev) text(t drivers.Text) [][]byte {
	var out [][]byte
	for _, s := range strings.Split(t.Text, "\n") {
		s = Decode(encode(s))
		for {
			part, rest := s, ""
			if r := []rune(s); len(r) > d.columns {
				part, rest = string(r[:d.columns]), string(r[d.columns:])
			}
			free := d.columns - utf8.RuneCountInString(part)
			switch t.Align {
			case drivers.Right:
				part = strings.Repeat(" ", free) + part
			case drivers.Centre:
				part = strings.Repeat(" ", free/2) + part
			}
			if part == "" {
				part = " "
			}
			out = append(out, append([]byte{cmdText}, encode(part)...))
			if rest == "" {
				break
			}
			s = rest
		}
	}
	return out
}

// PrintLoyalty prints the lines inside the open receipt.
func (d *Dev) PrintLoyalty(ctx context.Context, lines []drivers.LoyaltyLine) (drivers.Outcome, error) {
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
		return drivers.OutcomeNotPrinted, d.named(op, &drivers.Error{Code: drivers.ReceiptClosed})
	}
	if _, err := d.enter(ctx, op, modeRegister); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	var parts []fragment
	for _, l := range lines {
		for _, c := range d.text(drivers.Text{Text: spread(l.Label, l.Value, d.columns)}) {
			parts = append(parts, fragment{c, true})
		}
	}
	done, err := d.put(ctx, op, parts)
	return once.Outcome(err, done), err
}

func spread(label, value string, columns int) string {
	label, value = Decode(encode(label)), Decode(encode(value))
	if value == "" {
		return label
	}
	free := columns - utf8.RuneCountInString(label) - utf8.RuneCountInString(value)
	if label == "" || free < 1 {
		return strings.TrimSpace(label + " " + value)
	}
	return label + strings.Repeat(" ", free) + value
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
	ruler := strings.Repeat("1234567890", d.columns/10+1)[:d.columns]
	out, err := d.Print(ctx, drivers.Slip{ID: "test", Blocks: []drivers.Block{
		drivers.Text{Text: "TEST", Align: drivers.Centre},
		drivers.Text{Text: ruler},
		drivers.Text{Text: "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"},
		drivers.Text{Text: "абвгдеёжзийклмнопрстуфхцчшщъыьэюя №"},
		drivers.Text{Text: "left"}, drivers.Text{Text: "centre", Align: drivers.Centre}, drivers.Text{Text: "right", Align: drivers.Right},
		drivers.Barcode{Symbology: drivers.EAN13, Data: "2000000000008", Align: drivers.Centre},
		drivers.Cut{Partial: true},
	}})
	return out, err
}

var errNothing = errors.New("an amount of nothing leaves no trace")
