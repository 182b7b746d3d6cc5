// Package ssi drives Zebra and Symbol scanners in SSI mode: packets with a
// checksum instead of bare text.
//
//	LEN OPCODE SOURCE STATUS data... CKhi CKlo
//
// LEN counts all but the checksum. The scanner expects an ACK for each packet
// within about two seconds, else it sends it again with a status bit set: such
// a repeat is acknowledged again and counted once. A damaged packet gets a NAK
// "resend". Long codes come in several packets, all but the last with the
// status bit "more"; that is taken from one description and not tried on a
// scanner.
//
// At the start the scanner is told to send decode data in packets. A scanner
// that does not acknowledge that is used all the same: it may be asleep.
//
// A scanner in SSI mode that is read by the driver barcode sends no text, and
// that driver says so in its log.
package ssi

import (
	"context"
	"errors"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes this driver.
var Driver = drivers.Driver{
	Name: "ssi", Kind: drivers.KindReader, Title: "Zebra and Symbol scanners in SSI packet mode",
	Line: line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: append([]drivers.Setting{
		{Name: "setup", Type: "yesno", Default: "yes", Help: "tell the scanner at the start to send packets"},
	}, barcode.ReadingSettings...),
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// gap is how long the rest of a packet may take before it is given up.
const gap = 500 * time.Millisecond

// Reader is one scanner.
type Reader struct {
	*drivers.Session
	barcode.Sink
	env   drivers.Env
	setup bool

	// What follows belongs to the session's goroutine.
	dec   *barcode.Decoder
	buf   []byte
	at    time.Time
	last  []byte // the packet that was taken last, to know its repeat
	long  []byte // the parts of a long code so far
	acked bool
	port  *line.Port
}

var (
	_ drivers.Reader = (*Reader)(nil)
	_ drivers.Beeper = (*Reader)(nil)
)

// New makes a scanner of checked settings.
func New(cfg drivers.Config, env drivers.Env) (*Reader, error) {
	rules, err := barcode.RulesOf(cfg.Options)
	if err != nil {
		return nil, err
	}
	rules.AIM = true // made of the code type below
	r := &Reader{env: env, setup: cfg.Options.Bool("setup"), dec: barcode.NewDecoder(rules), Sink: barcode.NewSink(cfg.Name, env)}
	r.dec.Drop = r.Dropped
	r.Session = drivers.NewSession(cfg, env, drivers.Talk{Start: r.start, Receive: r.receive, Lost: func(error) { r.port = nil }})
	return r, nil
}

func (r *Reader) start(ctx context.Context, p *line.Port) error {
	r.buf, r.last, r.long, r.port = nil, nil, nil, p
	if !r.setup {
		return nil
	}
	// Parameter EEh = 1: packeted decode data; FFh: without a beep.
	ask := Packet{Opcode: opParams, Source: fromHost, Data: []byte{0xFF, 0xEE, 1}}.Bytes()
	for range 2 {
		r.acked = false
		if _, err := p.Write(ctx, ask); err != nil {
			return err
		}
		end := time.Now().Add(gap + p.Settings().WireTime(16))
		for !r.acked && time.Now().Before(end) {
			wait, cancel := context.WithDeadline(ctx, end)
			b := make([]byte, 256)
			n, err := p.Read(wait, b)
			cancel()
			if err != nil {
				if p.Err() != nil || ctx.Err() != nil {
					return err
				}
				break
			}
			r.receive(b[:n], r.env.Time())
		}
		if r.acked {
			return nil
		}
	}
	r.env.Logger().Info("scanner does not acknowledge its set-up", "device", r.Config().Name)
	return nil
}

func (r *Reader) receive(b []byte, at time.Time) {
	if len(r.buf) > 0 && at.Sub(r.at) > gap {
		r.Dropped(barcode.ErrIncomplete, len(r.buf))
		r.buf = nil
	}
	r.buf, r.at = append(r.buf, b...), at
	for {
		p, n, err := parse(r.buf)
		if n == 0 {
			return
		}
		packet := r.buf[:n:n]
		r.buf = r.buf[n:]
		switch {
		case err != nil && n == 1:
			continue // noise: look for a beginning
		case err != nil:
			r.Dropped(err, n)
			r.send(Packet{Opcode: opNAK, Source: fromHost, Data: []byte{1}}) // resend
			// The length may have been the damaged byte: begin anew.
			r.buf = nil
		default:
			r.take(p, packet, at)
		}
	}
}

func (r *Reader) take(p Packet, packet []byte, at time.Time) {
	switch {
	case p.Source != fromDecoder:
		return // our own echo
	case p.Opcode == opACK:
		r.acked = true
		return
	case p.Opcode == opNAK:
		return
	}
	r.send(Packet{Opcode: opACK, Source: fromHost})
	again := p.Status&statusRepeated != 0 && same(packet, r.last)
	r.last = append(r.last[:0], packet...)
	if p.Opcode != opDecodeData || again {
		return
	}
	part := p.Data
	if len(r.long) > 0 && len(part) > 0 {
		part = part[1:] // the code type is in each part
	}
	r.long = append(r.long, part...)
	if len(r.long) > 5000 {
		r.Dropped(barcode.ErrTooLong, len(r.long))
		r.long = nil
		return
	}
	if p.Status&statusMore != 0 {
		return
	}
	raw, err := reading(r.long)
	r.long = nil
	if err != nil {
		r.Dropped(err, len(p.Data))
		return
	}
	if s, ok := r.dec.One(raw, at); ok {
		r.Deliver(s)
	}
}

// same compares two packets but for the repeat bit and the checksum it changes.
func same(a, b []byte) bool {
	if len(a) != len(b) || len(a) < 6 {
		return false
	}
	for i := range a[:len(a)-2] {
		x, y := a[i], b[i]
		if i == 3 {
			x, y = x&^statusRepeated, y&^statusRepeated
		}
		if x != y {
			return false
		}
	}
	return true
}

// send answers the scanner. It is called while receiving; an answer that cannot
// be sent is repeated by the scanner's own resend.
func (r *Reader) send(p Packet) {
	if r.port == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := r.port.Write(ctx, p.Bytes()); err != nil && !errors.Is(err, line.ErrClosed) {
		r.env.Logger().Debug("answer to scanner not sent", "device", r.Config().Name, "error", err)
	}
}

// Beep makes the scanner sound one short high beep.
func (r *Reader) Beep(ctx context.Context) error {
	return r.Do(ctx, "beep", func(ctx context.Context, p *line.Port) error {
		_, err := p.Write(ctx, Packet{Opcode: opBeep, Source: fromHost, Data: []byte{0}}.Bytes())
		return err
	})
}

// Close ends the scanner and closes the channel of Scans.
func (r *Reader) Close() error {
	err := r.Session.Close()
	r.Sink.Close()
	return err
}
