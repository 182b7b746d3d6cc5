// Package barcode drives barcode and QR scanners on a serial line, RS-232 or
// USB virtual COM.
//
// A scanner has no protocol: it sends what it read as text, and mostly, but
// not always, something before and after it:
//
//	[STX | prefix] [AIM identifier ]cm] text [suffix] [CR | CR LF | LF | TAB | ETX | nothing]
//
// A reading ends at a terminator. A scanner that never sent one is cut at an
// idle gap (100 ms); once it has sent one, a gap ends nothing any more, because
// a slow line would be cut into wrong cards. The LF after CR is an empty
// reading and dropped.
//
// Anything doubtful is no reading: too long, a wrong EAN check digit, two codes
// glued together, bytes that are no text (a scanner set to the SSI packet
// protocol looks like that), a bank card. Dropped readings are logged with
// their length and the reason, never with their text.
//
// The line is 9600 8N1 unless the scanner was set otherwise; some ship with
// 115200.
package barcode

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes this driver.
var Driver = drivers.Driver{
	Name: "barcode", Kind: drivers.KindReader, Title: "Barcode and QR scanners on a serial line",
	Line:     line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: append([]drivers.Setting{endSetting}, ReadingSettings...),
	New:      func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

var endSetting = drivers.Setting{Name: "end", Type: "text", Default: "auto",
	Choices: []string{"auto", "cr", "lf", "tab", "etx", "gap"},
	Help:    "what ends a reading; auto takes CR, LF, TAB, ETX, and an idle gap for a scanner that sends none of them"}

// ReadingSettings are the settings that all readers share.
var ReadingSettings = []drivers.Setting{
	{Name: "gap", Type: "duration", Default: "100ms", Help: "idle gap that ends a reading without a terminator"},
	{Name: "prefix", Type: "text", Help: `text to strip before the reading; \x02 and the like are understood`},
	{Name: "suffix", Type: "text", Help: "text to strip after the reading"},
	{Name: "require", Type: "yesno", Default: "no", Help: "drop readings without prefix and suffix"},
	{Name: "aim", Type: "yesno", Default: "yes", Help: "read and strip an AIM identifier (]E0) when it is there"},
	{Name: "check", Type: "text", Default: "auto", Choices: []string{"auto", "ean", "luhn", "none"},
		Help: "check digit; auto checks what the AIM identifier calls EAN or UPC"},
	{Name: "min", Type: "number", Default: "3", Min: 1, Max: limit, Help: "fewest characters of a reading"},
	{Name: "max", Type: "number", Default: "4296", Min: 1, Max: limit, Help: "most characters of a reading"},
	{Name: "repeat", Type: "duration", Default: "1500ms", Help: "the same reading within this time is dropped"},
	{Name: "bank_cards", Type: "yesno", Default: "no", Help: "let numbers through that look like bank cards"},
	{Name: "masks", Type: "list", Help: "regular expressions that make a card number of a reading; see package card"},
	{Name: "code_page", Type: "text", Help: "code page of readings that are not UTF-8; without it they are dropped"},
}

// RulesOf makes Rules of checked settings.
func RulesOf(o drivers.Options) (Rules, error) {
	r := Rules{End: o.Text("end"), Required: o.Bool("require"), AIM: o.Bool("aim"), Check: o.Text("check"),
		Min: o.Int("min"), Max: o.Int("max"), Repeat: o.Duration("repeat"), BankCards: o.Bool("bank_cards")}
	var err error
	if r.Prefix, err = unescape(o.Text("prefix")); err != nil {
		return r, fmt.Errorf("options.prefix: %w", err)
	}
	if r.Suffix, err = unescape(o.Text("suffix")); err != nil {
		return r, fmt.Errorf("options.suffix: %w", err)
	}
	if r.Masks, err = card.ParseMasks(o.List("masks")); err != nil {
		return r, fmt.Errorf("options.masks: %w", err)
	}
	if p := o.Text("code_page"); p != "" {
		if r.Page, err = codepage.Lookup(p); err != nil {
			return r, fmt.Errorf("options.code_page: %w", err)
		}
	}
	return r, nil
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	return strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
}

// Reader is one scanner.
type Reader struct {
	*drivers.Session
	Sink
	dec *Decoder
	env drivers.Env
}

var _ drivers.Reader = (*Reader)(nil)

// New makes a scanner of checked settings.
func New(cfg drivers.Config, env drivers.Env) (*Reader, error) {
	rules, err := RulesOf(cfg.Options)
	if err != nil {
		return nil, err
	}
	r := &Reader{dec: NewDecoder(rules), env: env, Sink: NewSink(cfg.Name, env)}
	r.dec.Drop = r.Dropped
	r.Session = drivers.NewSession(cfg, env, drivers.Talk{
		Start: func(context.Context, *line.Port) error { r.dec.Reset(); return nil },
		Receive: func(data []byte, at time.Time) {
			r.Deliver(r.dec.Feed(data, at)...)
		},
		Quiet:      func() { r.Deliver(r.dec.Gap(env.Time())...) },
		QuietAfter: cfg.Options.Duration("gap"),
	})
	return r, nil
}

// Close ends the scanner and closes the channel of Scans.
func (r *Reader) Close() error {
	err := r.Session.Close()
	r.Sink.Close()
	return err
}

// Sink hands readings to whoever wants them. Readers of other kinds use it too.
type Sink struct {
	name  string
	env   drivers.Env
	scans chan drivers.Scan
	once  *sync.Once
}

// NewSink makes one.
func NewSink(name string, env drivers.Env) Sink {
	return Sink{name: name, env: env, scans: make(chan drivers.Scan, 8), once: new(sync.Once)}
}

// Scans delivers the readings.
func (s Sink) Scans() <-chan drivers.Scan { return s.scans }

// Deliver hands readings on without waiting. Call it from one goroutine, and
// not after Close.
func (s Sink) Deliver(scans ...drivers.Scan) {
	for _, sc := range scans {
		sc.Reader = s.name
		select {
		case s.scans <- sc:
		default:
			s.env.Logger().Warn("reading dropped", "device", s.name, "reason", "nobody takes readings", "length", len(sc.Text))
		}
	}
}

// Dropped logs a reading that was none.
func (s Sink) Dropped(why error, length int) {
	s.env.Logger().Info("reading dropped", "device", s.name, "reason", why.Error(), "length", length)
}

// Close closes the channel.
func (s Sink) Close() { s.once.Do(func() { close(s.scans) }) }
