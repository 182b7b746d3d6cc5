package pirit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
	"github.com/tillside/tillside/drivers/internal/once"
)

// fragment is one command of a service document.
type fragment struct {
	code   byte
	fields []string
	ink    bool
}

// Attributes of text.
const (
	attrBold   = 2 // font 2: 13 by 24, bold
	attrSmall  = 1 // font 1: 10 by 20
	attrHeight = 1 << 4
	attrWidth  = 1 << 5
)

const textMost = 72

// Print prints a slip as a service document.
func (d *Dev) Print(ctx context.Context, slip drivers.Slip) (drivers.Outcome, error) {
	const op = "print slip"
	parts, cut, err := d.layOut(slip)
	if err != nil {
		return drivers.OutcomeNotPrinted, d.run.Named(op, err)
	}
	if err := d.run.Enter(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	defer d.run.Leave()
	if err := d.tidy(ctx, op); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	before, err := d.state(ctx, op)
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	if before.open() {
		return drivers.OutcomeNotPrinted, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptOpen})
	}
	_, err = d.do(ctx, work{op: op, code: cmdOpen, fields: d.openFields(docService, ""),
		verify: func(ctx context.Context) (bool, error) {
			s, err := d.state(ctx, op)
			return s.kind == docService, err
		}})
	if err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	done := 0
	for _, f := range parts {
		if _, err = d.do(ctx, work{op: op, code: f.code, fields: f.fields, repeat: !f.ink, inked: done > 0}); err != nil {
			break
		}
		if f.ink {
			done++
		}
	}
	// The document is closed in any case: the register must not be left in it.
	flag := "1"
	if cut {
		flag = "0"
	}
	if cerr := d.finish(ctx, op, flag, done > 0); cerr != nil {
		err = errors.Join(err, cerr)
	}
	return once.Outcome(err, done), err
}

// finish closes a service document.
func (d *Dev) finish(ctx context.Context, op, flag string, wait bool) error {
	_, err := d.do(ctx, work{op: op, code: cmdClose, fields: []string{flag}, inked: wait,
		verify: func(ctx context.Context) (bool, error) {
			s, err := d.state(ctx, op)
			return !s.open(), err
		}})
	return err
}

func (d *Dev) openFields(kind int, operator string) []string {
	if operator == "" {
		operator = d.o.operator
	}
	return []string{strconv.Itoa(kind), strconv.Itoa(d.o.department), text(operator, 64), "", strconv.Itoa(d.o.system)}
}

func (d *Dev) layOut(slip drivers.Slip) (out []fragment, cut bool, err error) {
	ink := func(fs ...fragment) {
		for _, f := range fs {
			f.ink = true
			out = append(out, f)
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
			ink(d.text(drivers.Text{Text: lines.Rule(b, d.Columns())})...)
		case drivers.Feed:
			for range b.Lines { // an empty line may be repeated
				out = append(out, fragment{code: cmdText, fields: []string{" ", "0"}})
			}
		case drivers.Cut:
			cut = true // closing the document cuts
		case drivers.Barcode:
			f, err := barcode(b)
			if err != nil {
				return nil, false, err
			}
			ink(f)
		case drivers.QR:
			f, err := code(8, 0, max(2, min(b.Dot, 8)), 0, b.Data)
			if err != nil {
				return nil, false, err
			}
			ink(f)
		default:
			return nil, false, &drivers.Error{Code: drivers.Unsupported, Err: fmt.Errorf("block %T on this register", b)}
		}
	}
	return out, cut, nil
}

func (d *Dev) text(t drivers.Text) []fragment {
	attr, columns := 0, d.Columns()
	switch {
	case t.Bold:
		attr = attrBold
	case t.Small:
		attr, columns = attrSmall, columns*13/10
	}
	if t.Width > 1 {
		attr |= attrWidth
		columns /= 2
	}
	if t.Height > 1 {
		attr |= attrHeight
	}
	var out []fragment
	for _, part := range lines.Break(t.Text, min(columns, textMost), t.Align, page.Fits) {
		if part == "" {
			part = " " // a text of no length is refused
		}
		out = append(out, fragment{code: cmdText, fields: []string{text(part, textMost), strconv.Itoa(attr)}})
	}
	return out
}

var symbologies = map[drivers.Symbology]int{drivers.UPCA: 0, drivers.UPCE: 1, drivers.EAN13: 2, drivers.EAN8: 3,
	drivers.Code39: 4, drivers.ITF: 5, drivers.Codabar: 6, drivers.Code128: 9}

func barcode(b drivers.Barcode) (fragment, error) {
	kind, ok := symbologies[b.Symbology]
	if !ok {
		return fragment{}, &drivers.Error{Code: drivers.Unsupported, Err: fmt.Errorf("barcode %s", b.Symbology)}
	}
	data, err := lines.Barcode(b)
	if err != nil {
		return fragment{}, err
	}
	hri := 2
	if b.HideText {
		hri = 0
	}
	height, module := b.Height, b.Module
	if height == 0 {
		height = 64
	}
	return code(kind, hri, max(2, min(module, 8)), min(height, 255), data)
}

func code(kind, hri, width, height int, data string) (fragment, error) {
	for i := range len(data) {
		if data[i] < 0x20 || kind != 8 && data[i] > 0x7E {
			return fragment{}, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("code with byte %02Xh", data[i])}
		}
	}
	if len(data) == 0 || len(data) > 1024 {
		return fragment{}, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("code of %d bytes", len(data))}
	}
	return fragment{code: cmdBarcode, fields: []string{strconv.Itoa(hri), strconv.Itoa(width), strconv.Itoa(height), strconv.Itoa(kind), data}}, nil
}

// PrintLoyalty prints the lines as requisites of the open receipt, up to four
// in one command.
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
	if s.kind != docSale && s.kind != docRefund || s.doc == docInMemory {
		return drivers.OutcomeNotPrinted, d.run.Named(op, &drivers.Error{Code: drivers.ReceiptClosed})
	}
	columns := min(d.Columns(), textMost)
	var texts []string
	for _, l := range loyalty {
		for _, t := range strings.Split(lines.Spread(l.Label, l.Value, columns, page.Fits), "\n") {
			t = text(t, textMost)
			if strings.HasPrefix(t, "&") {
				t = " " + t // "&" first would keep the line open
			}
			if t == "" {
				t = " "
			}
			texts = append(texts, t)
		}
	}
	done := 0
	for len(texts) > 0 {
		n := min(4, len(texts))
		_, err := d.do(ctx, work{op: op, code: cmdRequisite, inked: done > 0,
			fields: append([]string{strconv.Itoa(d.o.requisite), "0"}, texts[:n]...)})
		if err != nil {
			return once.Outcome(err, done), err
		}
		done++
		texts = texts[n:]
	}
	return drivers.OutcomePrinted, nil
}

// TestPage shows letters, columns and codes.
func (d *Dev) TestPage(ctx context.Context) (drivers.Outcome, error) {
	return d.Print(ctx, lines.TestPage(d.Columns(), lines.Cyrillic...))
}
