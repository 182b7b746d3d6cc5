// Package pirit is the register's side of the Pirit and Viki Print protocol,
// for drivers, practice tills and tests.
//
// It answers each command once under the command's identifier and filters no
// repeats, as the real one. It wants "start of work" after power-on, keeps
// document kind and state as the status 00h tells them, and refuses the wrong
// order with error 01h, explained by 06h. A receipt that meets the end of the
// paper at its close stays in state 8 until 31h is sent again.
package pirit

import (
	"context"
	"time"

	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
	proto "github.com/tillside/tillside/drivers/pirit"
)

// Options of a register; zero fields take those of a PIRIT 2F.
type Options struct {
	Model    string // the answer to 02h/21
	Serial   string
	INN      string
	Columns  int
	Password string
	// Narrow is 57 mm paper.
	Narrow bool
	Now    func() time.Time
}

// Printer is an emulated register.
type Printer struct {
	fiscal.Base
	o    Options
	page *codepage.Page
	m    machine
}

// New makes a register that was just switched on: shift closed, paper in.
func New(o Options) *Printer {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.Model, "2")
	def(&o.Serial, "0493000123")
	def(&o.INN, "7701234567")
	def(&o.Password, proto.Password)
	if o.Columns == 0 {
		o.Columns = 44
		if o.Narrow {
			o.Columns = 32
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Printer{o: o, page: codepage.Must("cp866")}
	p.Columns = o.Columns
	p.m = machine{p: p, settings: map[string]string{}}
	return p
}

// Closed is what the fiscal storage holds.
func (p *Printer) Closed() (receipts int, total int64) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.m.receipts, p.m.total
}

// PowerCycle switches the register off and on.
func (p *Printer) PowerCycle() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.m.started = false
}

const gap = 200 * time.Millisecond

// Serve answers on a line.
func (p *Printer) Serve(ctx context.Context, port *line.Port) error {
	var buf []byte
	for {
		for len(buf) > 0 {
			tok, n := proto.Next(buf)
			if n == 0 {
				break
			}
			buf = buf[n:]
			out, err := p.token(tok)
			if len(out) > 0 {
				if _, werr := port.Write(ctx, out); werr != nil && err == nil {
					err = werr
				}
			}
			if err != nil {
				return err
			}
		}
		wait := time.Hour
		if len(buf) > 0 {
			wait = gap
		}
		b, err := port.Next(ctx, wait)
		switch {
		case err == nil:
			more, _ := port.Take()
			buf = append(append(buf, b), more...)
		case ctx.Err() != nil || port.Err() != nil:
			return err
		case len(buf) > 0:
			out := refuse(buf[1:], errGap)
			buf = nil
			if _, err := port.Write(ctx, out); err != nil {
				return err
			}
		}
	}
}

// refuse answers what was not understood, with identifier and command as far
// as they can be read.
func refuse(body []byte, code byte) []byte {
	r, _ := proto.ParseRequest(body)
	id := r.ID
	if id == 0 {
		id = 0x20
	}
	out, err := proto.Answer{ID: id, Command: r.Command, Error: code}.Encode()
	if err != nil {
		panic("emulator/pirit: " + err.Error())
	}
	return out
}

func (p *Printer) token(tok proto.Token) ([]byte, error) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	switch tok.Kind {
	case proto.BadFrame:
		return refuse(tok.Body, errCheck), nil
	case proto.Control:
		switch tok.Byte {
		case proto.ENQ:
			return []byte{proto.ACK}, nil
		case proto.LF:
			if p.m.canPrint() == 0 {
				p.Print(fiscal.Line{})
			}
		}
		return nil, nil
	case proto.Frame:
	default:
		return nil, nil
	}
	r, err := proto.ParseRequest(tok.Body)
	if err != nil {
		return refuse(tok.Body, errFormat), nil
	}
	if r.Password != p.o.Password {
		return refuse(tok.Body, errPassword), nil
	}
	had := p.Holds(fiscal.PaperOut)
	fault := p.Strike()
	p.m.breaking = !had && p.Holds(fiscal.PaperOut)
	switch fault {
	case fiscal.Deaf:
		return nil, nil
	case fiscal.BadFrame:
		return refuse(tok.Body, errCheck), nil
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	code, fields, quiet := p.m.handle(r.Command, r.Fields)
	if fault == fiscal.PowerCut {
		p.m.started = false
	}
	if fault == fiscal.UnplugAfter || fault == fiscal.PowerCut {
		return nil, fiscal.ErrUnplugged
	}
	if quiet {
		return nil, nil
	}
	out, err := proto.Answer{ID: r.ID, Command: r.Command, Error: code, Fields: fields}.Encode()
	if err != nil {
		panic("emulator/pirit: " + err.Error())
	}
	return fiscal.Mangle(fault, out), nil
}
