package discover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tillside/tillside/drivers"
)

// Smoke tries a device that is already open: it waits until the device is
// usable, asks who and how it is, and then lets it do its work once: a reader
// is waited for to read a card, a printer prints its test page or a short slip,
// a display shows two lines. What happens is told on w. Card data is not told.
func Smoke(ctx context.Context, dev drivers.Device, w io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	if err := usable(ctx, dev); err != nil {
		st := dev.State()
		say("%s: %s %s", dev, st.Code, st.Detail)
		if h := st.Code.Hint(); h != "" {
			say("  %s", h)
		}
		return err
	}
	say("%s: %s", dev, dev.State().Code)
	if asks, ok := drivers.As[drivers.Identifier](dev); ok {
		if id, err := asks.Identity(ctx); err == nil {
			say("  maker %s, model %s, number %s, firmware %s", id.Maker, id.Model, id.Serial, id.Firmware)
		} else {
			say("  does not say who it is")
		}
	}
	if p, ok := drivers.As[drivers.Printer](dev); ok {
		return smokePrinter(ctx, p, say)
	}
	if d, ok := drivers.As[drivers.Display](dev); ok {
		columns, rows := d.Size()
		if err := d.Show(ctx, "Tillside 1234567890", "АБВ ąćę "); err != nil {
			return err
		}
		say("  two lines are sent to a display of %d by %d: look at it", columns, rows)
		return nil
	}
	if r, ok := drivers.As[drivers.Reader](dev); ok {
		say("  scan a card now")
		select {
		case s, ok := <-r.Scans():
			if !ok {
				return errors.New("the reader was closed")
			}
			say("  read: %s, %d characters, %s, ends in %s", s.Source, len(s.Text), orDash(s.Symbology), drivers.Mask(s.Text))
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for a card: %w", ctx.Err())
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func smokePrinter(ctx context.Context, p drivers.Printer, say func(string, ...any)) error {
	st, err := p.Status(ctx)
	if err != nil {
		return err
	}
	say("  status: %s %v, %d columns", st.Worst(), st.Codes, p.Columns())
	var out drivers.Outcome
	if t, ok := drivers.As[drivers.Tester](p); ok {
		out, err = t.TestPage(ctx)
	} else {
		out, err = p.Print(ctx, drivers.Lines("smoke test", "Tillside", "1234567890", "АБВ абв ąćęłńóśźż"))
	}
	say("  test slip: %s", out)
	return err
}

func usable(ctx context.Context, dev drivers.Device) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		st := dev.State()
		if st.Usable() && st.Code != drivers.Opening && (st.Code != drivers.Unknown || st.Detail != "") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the device: %w", errors.Join(st.Code, ctx.Err()))
		case <-tick.C:
		}
	}
}
