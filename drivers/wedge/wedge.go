// Package wedge drives scanners and readers that pretend to be a keyboard, on
// Linux, through the input event device.
//
// The device is grabbed, so that its codes do not also land in the till's
// window. The service needs the group input, or a udev rule that gives it the
// device. Name it by a stable link: /dev/input/by-id/...-event-kbd. Only a
// device that was assigned by a person is opened: a grabbed real keyboard would
// leave the cashier without one.
//
// Letters are made from key codes of the US layout, which such scanners send
// whatever layout the till has. Caps lock is ignored. A reading ends at Enter,
// Tab or a gap of 100 ms, longer than between two keys of a scanner and shorter
// than between a person's.
//
// On Windows a keyboard scanner cannot be taken from the focused window by a
// service: use the scanner's serial mode (every maker has a set-up barcode for
// it), or let the cash program pass the code on.
package wedge

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes this driver.
var Driver = drivers.Driver{
	Name: "wedge", Kind: drivers.KindReader, Title: "Keyboard scanners, grabbed (Linux)",
	Settings: barcode.ReadingSettings,
	New:      func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// Reader is one keyboard scanner.
type Reader struct {
	*drivers.Session
	barcode.Sink
	keys Keys
	buf  []byte
	dec  *barcode.Decoder
}

var _ drivers.Reader = (*Reader)(nil)

// New makes a reader of checked settings.
func New(cfg drivers.Config, env drivers.Env) (*Reader, error) {
	rules, err := barcode.RulesOf(cfg.Options)
	if err != nil {
		return nil, err
	}
	rules.End = "auto"
	r := &Reader{Sink: barcode.NewSink(cfg.Name, env), dec: barcode.NewDecoder(rules)}
	r.dec.Drop = r.Dropped
	r.Session = drivers.NewSession(cfg, env, drivers.Talk{
		Start: func(context.Context, *line.Port) error {
			r.dec.Reset()
			r.keys, r.buf = Keys{}, nil
			return nil
		},
		Receive:    r.receive,
		Quiet:      func() { r.Deliver(r.dec.Gap(env.Time())...) },
		QuietAfter: cfg.Options.Duration("gap"),
		OpenLine:   grab,
	})
	return r, nil
}

// recordSize is the size of an input event: a time of two machine words, type,
// code, value.
const recordSize = 2*wordSize + 8

const wordSize = 4 << (^uint(0) >> 63)

func (r *Reader) receive(b []byte, at time.Time) {
	r.buf = append(r.buf, b...)
	var text []byte
	for len(r.buf) >= recordSize {
		e := r.buf[recordSize-8 : recordSize]
		text = append(text, r.keys.Event(binary.NativeEndian.Uint16(e), binary.NativeEndian.Uint16(e[2:]), int32(binary.NativeEndian.Uint32(e[4:])))...)
		r.buf = r.buf[recordSize:]
	}
	if len(text) > 0 {
		r.Deliver(r.dec.Feed(text, at)...)
	}
}

// Close ends the reader and closes the channel of Scans.
func (r *Reader) Close() error {
	err := r.Session.Close()
	r.Sink.Close()
	return err
}
