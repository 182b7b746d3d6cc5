// Package magstripe drives magnetic stripe readers on a serial line.
//
// A reader sends the text of all tracks in one line, mostly without check
// characters, ended by CR:
//
//	%B4000001234567899^IVANOVA/ANNA^29121011234567890?;4000001234567899=2912...?
//
// The number comes from track 2, else 1, else 3: what stands before "=" or "^".
// "E?" behind a start sentinel is the reader's word for "could not read".
//
// Bank cards are recognised (13 to 19 digits from 2 to 6 that pass Luhn) and
// thrown away at once: nothing of them is delivered, kept or logged.
package magstripe

import (
	"context"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes this driver.
var Driver = drivers.Driver{
	Name: "magstripe", Kind: drivers.KindReader, Title: "Magnetic stripe readers on a serial line",
	Line: line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "gap", Type: "duration", Default: "200ms", Help: "idle gap that ends a swipe without a terminator"},
		{Name: "repeat", Type: "duration", Default: "1500ms", Help: "the same card within this time is dropped"},
		{Name: "bank_cards", Type: "yesno", Default: "no", Help: "let numbers through that look like bank cards"},
		{Name: "masks", Type: "list", Help: "regular expressions that make a card number of a number or a track; see package card"},
	},
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// Reader is one reader.
type Reader struct {
	*drivers.Session
	barcode.Sink
}

var _ drivers.Reader = (*Reader)(nil)

// New makes a reader of checked settings.
func New(cfg drivers.Config, env drivers.Env) (*Reader, error) {
	masks, err := card.ParseMasks(cfg.Options.List("masks"))
	if err != nil {
		return nil, err
	}
	bank := cfg.Options.Bool("bank_cards")
	r := &Reader{Sink: barcode.NewSink(cfg.Name, env)}
	dec := barcode.NewDecoder(barcode.Rules{End: "auto", Repeat: cfg.Options.Duration("repeat")})
	dec.Drop = r.Dropped
	dec.Parse = func(raw []byte) (drivers.Scan, error) {
		defer clear(raw) // a bank card must not linger in a buffer
		return Read(raw, bank, masks)
	}
	r.Session = drivers.NewSession(cfg, env, drivers.Talk{
		Start:      func(context.Context, *line.Port) error { dec.Reset(); return nil },
		Receive:    func(data []byte, at time.Time) { r.Deliver(dec.Feed(data, at)...) },
		Quiet:      func() { r.Deliver(dec.Gap(env.Time())...) },
		QuietAfter: cfg.Options.Duration("gap"),
	})
	return r, nil
}

// Close ends the reader and closes the channel of Scans.
func (r *Reader) Close() error {
	err := r.Session.Close()
	r.Sink.Close()
	return err
}
