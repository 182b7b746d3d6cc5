// Package wedge drives scanners and readers that pretend to be a keyboard.
//
// # Linux
//
// Through the input event device. The device is grabbed, so that its codes do not also land in the till's
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
// A real keyboard as the kernel makes one (uinput), grabbed, pulled out and put
// back, is read by `make keyboard` in a virtual machine.
//
// # Windows
//
// Services run in session 0 and see no keyboard. The reader stands on port
// "session", and a helper in the cashier's session (tillside wedge) finds the
// readings among the keys (Burst, Watch) and sends them through the local API,
// which ends in Feed. Burst is pure and knows three ways to tell the scanner:
//
//	prefix  a key that nobody types comes first; the reading is kept from the
//	        window (low-level hook), and what was none is given back in order
//	timing  faster than anybody types, and ended by Enter; the window sees it too
//	device  one USB device (raw input); the window sees it too, because Windows
//	        says which keyboard a key came from only after it was delivered
//
// Under Wine (.ci/machines) it is proven that keys given to the system reach the
// hook, that a reading comes out, and that raw input can be asked for. Not proven
// there, for want of a real keyboard and of windows that have the focus: that a
// reading by prefix stays out of another program's window, that Windows names the
// device of a key, and what an elevated window keeps from a helper that is not
// (run the helper elevated, too, where the cash software is).
//
// The scanner's serial mode (every maker has a set-up barcode for it) needs no
// helper and remains the better way.
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
	Name: "wedge", Kind: drivers.KindReader, Title: "Keyboard scanners: grabbed on Linux, from the cashier's session on Windows",
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
	mail *mailbox // port "session" only
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
	open := grab
	if cfg.Port == SessionPort {
		r.mail = newMailbox()
		open = func(ctx context.Context, _ string, _ line.Settings) (line.Raw, error) { return r.mail.open(ctx) }
	}
	r.Session = drivers.NewSession(cfg, env, drivers.Talk{
		Start: func(context.Context, *line.Port) error {
			r.dec.Reset()
			r.keys, r.buf = Keys{}, nil
			return nil
		},
		Receive:    r.receive,
		Quiet:      func() { r.Deliver(r.dec.Gap(env.Time())...) },
		QuietAfter: cfg.Options.Duration("gap"),
		OpenLine:   open,
	})
	return r, nil
}

// recordSize is the size of an input event: a time of two machine words, type,
// code, value.
const recordSize = 2*wordSize + 8

const wordSize = 4 << (^uint(0) >> 63)

// Feed takes what the helper in the cashier's session has read: the characters
// of keys, as they came, or nothing to say that it is there. It returns
// ErrNoSession when the reader is not on port "session".
func (r *Reader) Feed(text []byte) error {
	if r.mail == nil {
		return ErrNoSession
	}
	return r.mail.feed(text)
}

func (r *Reader) receive(b []byte, at time.Time) {
	if r.mail != nil {
		r.Deliver(r.dec.Feed(b, at)...)
		return
	}
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
