// Package discover finds out what hangs on which port, without doing harm.
//
// An unknown port may have a fiscal register behind it, and bytes that are a
// question for one device print a line or open a shift on another. So only two
// questions are ever asked of a port nobody assigned:
//
//	05            ENQ: Shtrih-M answers 15, Pirit and ATOL 06, Thermal 60..6F
//	10 04 01      DLE EOT 1: an ESC/POS printer answers a byte xx1xxx10
//
// All devices known here ignore both when they are not meant for them: they are
// control bytes outside any frame, and never text. Only after an answer tells
// the family is that family's driver asked who is there, by the question its
// maker says changes nothing.
//
// Scanners and displays never answer. They are suggested by the maker's USB
// number alone, and a bridge chip (FTDI, CH340, Prolific) proves nothing: a
// person assigns such a port.
//
// A port that another program or our own agent holds is busy and left alone.
package discover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// Found is what is known of one port.
type Found struct {
	line.Info
	// Address is what to write in settings: the most stable name there is.
	Address string `json:"address"`
	// Family is what answered: "escpos", "shtrih", "pirit or atol", "thermal", "".
	Family string `json:"family,omitempty"`
	// Driver that answered, and at which speed.
	Driver string `json:"driver,omitempty"`
	Baud   int    `json:"baud,omitempty"`
	// Identity as the device tells it; nil when it was not or could not be asked.
	Identity *drivers.Identity `json:"identity,omitempty"`
	// Models that the USB number suggests.
	Models []string `json:"models,omitempty"`
	// Code is "" when the port could be asked, else why not: busy, no access.
	Code drivers.Code `json:"code,omitempty"`
	// Note is a sentence for the person.
	Note string `json:"note"`
}

// Options of a search. The zero value lists ports and asks them all.
type Options struct {
	Registry *drivers.Registry
	// Ports to look at; nil means all of this machine.
	Ports []line.Info
	// ListOnly sends no byte to anybody.
	ListOnly bool
	// Bauds to try; nil means the usual ones.
	Bauds []int
	// Wait is how long a question waits for its answer; 0 means 300 ms.
	Wait time.Duration
	// Open opens lines; nil means line.Open.
	Open line.OpenFunc
	Log  *slog.Logger
}

// usualBauds in the order that finds most devices soonest.
var usualBauds = []int{115200, 9600, 38400, 57600, 19200, 4800}

// Scan looks at every port, several at a time, and never fails for one of them.
func Scan(ctx context.Context, o Options) ([]Found, error) {
	ports := o.Ports
	if ports == nil {
		var err error
		if ports, err = line.Ports(); err != nil {
			return nil, err
		}
	}
	found := make([]Found, len(ports))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, p := range ports {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = o.look(ctx, p)
		})
	}
	wg.Wait()
	return found, ctx.Err()
}

func (o Options) look(ctx context.Context, p line.Info) Found {
	f := Found{Info: p, Address: p.Name, Models: suggest(o.Registry, p)}
	if len(p.Stable) > 0 && (p.Serial != "" || !strings.HasPrefix(p.Stable[0], "usb:")) {
		f.Address = p.Stable[0]
	} else if len(p.Stable) > 1 {
		f.Address = p.Stable[1] // a usb: name without a number fits two equal devices
	}
	if !o.ListOnly {
		o.ask(ctx, &f)
	}
	f.Note = note(f, o.ListOnly)
	return f
}

// suggest names the models that a USB number stands for.
func suggest(reg *drivers.Registry, p line.Info) []string {
	if reg == nil || p.VID == "" {
		return nil
	}
	var exact, maker []string
	for _, m := range reg.Models() {
		switch {
		case slices.Contains(m.USB, p.VID+":"+p.PID):
			exact = append(exact, m.Name)
		case slices.Contains(m.USB, p.VID):
			maker = append(maker, m.Name)
		}
	}
	return append(exact, maker...)
}

func (o Options) ask(ctx context.Context, f *Found) {
	bauds := o.Bauds
	if len(bauds) == 0 {
		bauds = usualBauds
	}
	if a, err := line.ParseAddress(f.Name); err == nil && a.Kind != line.Serial {
		bauds = []int{0} // no speed to try on TCP
	}
	for _, baud := range bauds {
		p, err := line.OpenPort(ctx, o.Open, f.Name, line.Settings{Baud: baud, DataBits: 8, Parity: "none", StopBits: 1, StallMS: 1000})
		if err != nil {
			f.Code = drivers.CodeOf(err)
			return
		}
		family, err := question(ctx, p, o.Wait)
		p.Close()
		if err != nil {
			f.Code = drivers.CodeOf(err)
			return
		}
		if family != "" {
			f.Family, f.Baud = family, baud
			o.identify(ctx, f)
			return
		}
	}
}

// question asks the two harmless questions; "" means no known answer.
func question(ctx context.Context, p *line.Port, wait time.Duration) (string, error) {
	if wait == 0 {
		wait = 300 * time.Millisecond
	}
	for _, q := range []struct {
		ask []byte
		who func(b byte) string
	}{{[]byte{0x05}, enqAnswer}, {[]byte{0x10, 0x04, 0x01}, eotAnswer}} {
		p.Discard()
		if _, err := p.Write(ctx, q.ask); err != nil {
			return "", err
		}
		// Lines over USB bridges may put FFh before an answer; look at a few bytes.
		for range 4 {
			b, err := p.Next(ctx, wait+p.Settings().WireTime(4))
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				break
			}
			if err != nil {
				return "", err
			}
			if who := q.who(b); who != "" {
				return who, nil
			}
		}
	}
	return "", nil
}

func enqAnswer(b byte) string {
	switch {
	case b == 0x15:
		return "shtrih"
	case b == 0x06:
		return "pirit or atol"
	case b&0xF0 == 0x60:
		return "thermal"
	}
	return ""
}

func eotAnswer(b byte) string {
	// Thermal answers the DLE alone with 70h and three bits; it was asked ENQ before.
	if b&0x93 == 0x12 {
		return "escpos"
	}
	return ""
}

// identify lets the family's driver ask who is there.
func (o Options) identify(ctx context.Context, f *Found) {
	if o.Registry == nil {
		return
	}
	d, ok := o.Registry.Driver(f.Family)
	if f.Family == "thermal" {
		d, ok = o.Registry.Driver("novitus")
	}
	if !ok {
		return
	}
	f.Driver = d.Name
	dev, err := o.Registry.Build(drivers.Config{Name: "found", Driver: d.Name, Port: f.Name, Line: line.Settings{Baud: f.Baud}},
		drivers.Env{OpenLine: o.Open, Log: o.Log})
	if err != nil {
		return
	}
	asks, ok := drivers.As[drivers.Identifier](dev)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := dev.Open(ctx); err != nil {
		return
	}
	defer dev.Close()
	if id, err := asks.Identity(ctx); err == nil {
		f.Identity = &id
	}
}

func note(f Found, listOnly bool) string {
	switch {
	case f.Code != "":
		s := string(f.Code)
		if h := f.Code.Hint(); h != "" {
			s += ": " + h
		}
		return s
	case f.Identity != nil:
		who := strings.TrimSpace(f.Identity.Maker + " " + f.Identity.Model)
		if f.Identity.Serial != "" {
			who += ", number " + f.Identity.Serial
		}
		return strings.TrimSpace(fmt.Sprintf("%s answers: %s", f.Family, who))
	case f.Family != "":
		return f.Family + " answers; choose the model"
	case len(f.Models) > 0:
		return "the USB number is that of " + strings.Join(f.Models, ", ")
	case listOnly:
		return "not asked"
	}
	return "no answer: a scanner, a display, another speed, or nothing"
}
