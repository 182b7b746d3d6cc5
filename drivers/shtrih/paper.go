package shtrih

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strconv"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/lines"
	"github.com/tillside/tillside/drivers/internal/once"
	"github.com/tillside/tillside/drivers/line"
)

func (d *Dev) setter(st drivers.Status) func(context.Context, *line.Port) error {
	return func(context.Context, *line.Port) error { d.SetStatus(st); return nil }
}

// fragment is one command of a slip. ink tells whether it puts on paper what
// must not be there twice.
type fragment struct {
	cmd []byte
	ink bool
}

// Print prints a slip between documents.
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
	if d.o.nonfiscal {
		return d.printDocument(ctx, op, parts)
	}
	done, err := d.put(ctx, op, parts)
	return once.Outcome(err, done), err
}

// put sends fragments in order and tells how many put something on paper.
func (d *Dev) put(ctx context.Context, op string, parts []fragment) (done int, err error) {
	for _, f := range parts {
		if _, err := d.do(ctx, work{op: op, cmd: f.cmd, repeat: !f.ink, inked: done > 0}); err != nil {
			return done, err
		}
		if f.ink {
			done++
		}
	}
	if done > 0 {
		// The last line may still be on its way, or may have met the end of the roll.
		if _, err := d.ready(ctx, op, true); err != nil {
			return done, err
		}
	}
	return done, nil
}

// printDocument prints a slip as a non-fiscal document. Registers that buffer
// it print it whole or not at all.
func (d *Dev) printDocument(ctx context.Context, op string, parts []fragment) (drivers.Outcome, error) {
	isOpen := func(_ context.Context, _, now short) (bool, error) { return now.mode == modeDocument, nil }
	isShut := func(_ context.Context, _, now short) (bool, error) { return now.mode != modeDocument, nil }
	if _, err := d.do(ctx, work{op: op, cmd: req(cmdOpenNonf).password(d.o.password).b, verify: isOpen}); err != nil {
		return drivers.OutcomeNotPrinted, err
	}
	done, err := d.put(ctx, op, parts)
	// The document is closed in any case: a register must not be left in it.
	if _, cerr := d.do(ctx, work{op: op, cmd: req(cmdCloseNonf).password(d.o.password).b, verify: isShut, inked: true}); cerr != nil {
		err = errors.Join(err, cerr)
		done++
	}
	if err == nil {
		_, err = d.ready(ctx, op, true)
	}
	return once.Outcome(err, done), err
}

// layOut turns a slip into commands.
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
			ink(d.text(drivers.Text{Text: lines.Rule(b, d.Columns())})...)
		case drivers.Feed:
			for n := b.Lines; n > 0; n -= 255 {
				out = append(out, fragment{cmd: req(cmdFeed).password(d.o.password).bytes(receiptRoll, byte(min(n, 255))).b})
			}
		case drivers.Cut:
			kind := byte(0)
			if b.Partial {
				kind = 1
			}
			out = append(out, fragment{cmd: req(cmdFeed).password(d.o.password).bytes(receiptRoll, 3).b},
				fragment{cmd: req(cmdCut).password(d.o.password).bytes(kind).b})
		case drivers.Barcode:
			c, err := d.barcode(b)
			if err != nil {
				return nil, err
			}
			ink(c)
		case drivers.QR:
			cs, err := d.qr(b)
			if err != nil {
				return nil, err
			}
			// Loading the data prints nothing and may be repeated.
			for _, c := range cs[:len(cs)-1] {
				out = append(out, fragment{cmd: c})
			}
			ink(cs[len(cs)-1])
		case drivers.Image:
			cs, err := d.image(b)
			if err != nil {
				return nil, err
			}
			ink(cs...)
		default:
			return nil, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("block %T is not known to this driver", b)}
		}
	}
	return out, nil
}

// text makes the commands of a text block: a command for each line, cut where
// the protocol has no room for more.
func (d *Dev) text(t drivers.Text) [][]byte {
	var out [][]byte
	if t.Width > 1 {
		for _, s := range lines.Break(t.Text, min(20, d.Columns()/2), t.Align, page.Fits) {
			out = append(out, req(cmdBoldLine).password(d.o.password).bytes(receiptRoll).text(s, 20, d.fixed(20)).b)
		}
		return out
	}
	for _, s := range lines.Break(t.Text, min(d.Columns(), d.o.line), t.Align, page.Fits) {
		out = append(out, req(cmdLine).password(d.o.password).bytes(receiptRoll).text(s, d.o.line, d.fixed(40)).b)
	}
	return out
}

func (d *Dev) fixed(n int) int {
	if d.o.pad {
		return n
	}
	return 0
}

// Types of CBh.
var symbologies = map[drivers.Symbology]byte{
	drivers.UPCA: 0, drivers.UPCE: 1, drivers.EAN13: 2, drivers.EAN8: 3, drivers.Code39: 4, drivers.ITF: 5,
	drivers.Codabar: 6, drivers.Code93: 7, drivers.Code128: 8,
}

func (d *Dev) barcode(b drivers.Barcode) ([]byte, error) {
	kind, ok := symbologies[b.Symbology]
	if !ok {
		return nil, &drivers.Error{Code: drivers.Unsupported, Err: fmt.Errorf("barcode %s", b.Symbology)}
	}
	data, err := lines.Barcode(b)
	if err != nil {
		return nil, err
	}
	switch {
	case len(data) > 48:
		return nil, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("barcode of %d characters, 48 fit", len(data))}
	case b.Symbology == drivers.EAN13: // the register adds the check digit
		n, err := strconv.ParseInt(data[:12], 10, 64)
		return req(cmdEAN13).password(d.o.password).number(n, 5).b, err
	case b.Symbology == drivers.EAN8 || b.Symbology == drivers.UPCA:
		data = data[:len(data)-1]
	}
	hri := byte(2)
	if b.HideText {
		hri = 0
	}
	height, module := b.Height, b.Module
	if height == 0 {
		height = 64
	}
	if module == 0 {
		module = 2
	}
	return req(cmdBarcode).password(d.o.password).bytes(byte(min(height, 255)), byte(module), hri, 0, kind).bytes([]byte(data)...).b, nil
}

// qr loads the data in blocks of 64 bytes and prints it.
func (d *Dev) qr(q drivers.QR) ([][]byte, error) {
	data := []byte(q.Data)
	if len(data) == 0 || len(data) > 7*64 {
		return nil, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("QR code of %d bytes, 1 to 448 fit", len(data))}
	}
	var out [][]byte
	for n := 0; n*64 < len(data); n++ {
		block := make([]byte, 64)
		copy(block, data[n*64:])
		out = append(out, req(cmdLoad2D).password(d.o.password).bytes(0, byte(n)).bytes(block...).b)
	}
	dot := q.Dot
	if dot == 0 {
		dot = 6
	}
	level := map[byte]byte{'L': 0, 'M': 1, 'Q': 2, 'H': 3, 0: 1}[q.Level]
	where := map[drivers.Align]byte{drivers.Left: 0, drivers.Centre: 1, drivers.Right: 2}[q.Align]
	return append(out, req(cmdPrint2D).password(d.o.password).bytes(3).number(int64(len(data)), 2).
		bytes(0, 0, 0, byte(max(3, min(dot, 8))), 0, level, where).b), nil
}

// image prints a picture as graphic lines, a command for each row of dots.
func (d *Dev) image(i drivers.Image) ([][]byte, error) {
	b := image.Rectangle{}
	if i.Image != nil {
		b = i.Image.Bounds()
	}
	const most = 40 * 8
	if b.Empty() || b.Dx() > most || b.Dy() > 512 {
		return nil, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("picture of %d by %d dots, up to %d by 512 fit", b.Dx(), b.Dy(), most)}
	}
	var out [][]byte
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := make([]byte, (b.Dx()+7)/8)
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, a := i.Image.At(x, y).RGBA()
			if a > 0x7FFF && (299*r+587*g+114*bl)/1000 < 0x8000 {
				n := x - b.Min.X
				row[n/8] |= 1 << (n % 8)
			}
		}
		out = append(out, req(cmdGraphic).password(d.o.password).number(1, 2).bytes(row...).b)
	}
	return out, nil
}

// OpenDrawer sends the pulse.
func (d *Dev) OpenDrawer(ctx context.Context) error {
	_, err := d.query(ctx, "open drawer", req(cmdDrawer).password(d.o.password).bytes(0).b)
	return err
}

// Beep sounds.
func (d *Dev) Beep(ctx context.Context) error {
	_, err := d.query(ctx, "beep", req(cmdBeep).password(d.o.password).b)
	return err
}

// Recover continues a document that a paper break has stopped. It prints
// nothing twice: the register itself knows where it stopped.
func (d *Dev) Recover(ctx context.Context) error {
	const op = "continue printing"
	if err := d.run.Enter(ctx, op); err != nil {
		return err
	}
	defer d.run.Leave()
	_, err := d.ready(ctx, op, false)
	return err
}

// TestPage shows letters, columns and codes.
func (d *Dev) TestPage(ctx context.Context) (drivers.Outcome, error) {
	return d.Print(ctx, lines.TestPage(d.Columns(), lines.Cyrillic...))
}
