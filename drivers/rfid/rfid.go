// Package rfid drives RFID and NFC readers that write card numbers to a serial
// line: EM4100 readers (RDM6300 and the like), Iron Logic Z-2 in text mode,
// Wiegand-to-serial converters.
//
// The same 125 kHz card has many names. All of these are one card of 40 bits,
// eight of version and 32 of number:
//
//	170009593F              ten hexadecimal digits
//	98784860479             decimal, all bits
//	0000612671              decimal, the low 32 bits
//	009,22847               facility and number, the low 24 bits
//	Em-Marine[1700] 009,22847    Z-2: the upper 16 bits in brackets
//	STX 170009593F 78 ETX   RDM6300, with an exclusive-or check
//
// A programme chooses one notation and every reader is brought to it. A
// Wiegand-26 reader loses the upper 16 bits, so two cards may look alike: such
// readings are dropped unless the setting short allows them, and are marked.
//
// Of Mifare cards the identifier in the brackets counts. A 4-byte identifier
// that begins with 08 is made up anew by a phone at each touch and no card.
// Some readers give the bytes in reverse order: see the setting reverse.
package rfid

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
	Name: "rfid", Kind: drivers.KindReader, Title: "RFID and NFC readers on a serial line",
	Line: line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "notation", Type: "text", Default: "hex10", Choices: []string{"hex10", "decimal", "dec10", "facility"}, Help: "how card numbers are written in this programme"},
		{Name: "ten_digits", Type: "text", Default: "hex", Choices: []string{"hex", "decimal"}, Help: "what ten digits from this reader are"},
		{Name: "raw_wiegand", Type: "yesno", Default: "no", Help: "the reader sends the three bytes of Wiegand-26 and nothing else"},
		{Name: "short", Type: "yesno", Default: "no", Help: "deliver readings that hold only 24 of 40 bits, marked with ~"},
		{Name: "reverse", Type: "yesno", Default: "no", Help: "this reader gives the bytes in reverse order"},
		{Name: "gap", Type: "duration", Default: "100ms", Help: "idle gap that ends a reading without a terminator"},
		{Name: "repeat", Type: "duration", Default: "1500ms", Help: "a card that is held is read once; so long it must be away to count again"},
		{Name: "masks", Type: "list", Help: "regular expressions that make a card number of a reading; see package card"},
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
	o := cfg.Options
	masks, err := card.ParseMasks(o.List("masks"))
	if err != nil {
		return nil, err
	}
	rules := Rules{Notation: Notation(o.Text("notation")), Short: o.Bool("short"), Reverse: o.Bool("reverse"),
		HexDigits: o.Text("ten_digits") == "hex", RawWiegand: o.Bool("raw_wiegand"), Masks: masks}
	end := "auto"
	if rules.RawWiegand {
		end = "gap" // any byte may stand in the number
	}
	r := &Reader{Sink: barcode.NewSink(cfg.Name, env)}
	dec := barcode.NewDecoder(barcode.Rules{End: end, Repeat: o.Duration("repeat")})
	dec.Parse = rules.Read
	dec.Drop = func(why error, n int) {
		if why != ErrNoCard && why != barcode.ErrRepeated { // said many times a second
			r.Dropped(why, n)
		}
	}
	r.Session = drivers.NewSession(cfg, env, drivers.Talk{
		Start:      func(context.Context, *line.Port) error { dec.Reset(); return nil },
		Receive:    func(data []byte, at time.Time) { r.Deliver(dec.Feed(data, at)...) },
		Quiet:      func() { r.Deliver(dec.Gap(env.Time())...) },
		QuietAfter: o.Duration("gap"),
	})
	return r, nil
}

// Close ends the reader and closes the channel of Scans.
func (r *Reader) Close() error {
	err := r.Session.Close()
	r.Sink.Close()
	return err
}
