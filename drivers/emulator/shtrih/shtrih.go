// Package shtrih is the register's side of the Shtrih-M protocol: a stand-in
// for a SHTRIH-FR-K and its kin, in both framings, for drivers, practice tills
// and tests. It is no cash register: the maker does not allow its protocol to
// be used for building one.
//
// It keeps an answer until the host acknowledges it, repeats it after ENQ, and
// numbers requests in the alternative framing; it holds shift, receipt and
// paper, refuses commands in the wrong order with the register's own codes, and
// answers what it does not know with 37h as the real one does.
package shtrih

import (
	"context"
	"time"

	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
	proto "github.com/tillside/tillside/drivers/shtrih"
)

// Options of a register. Zero fields take those of a SHTRIH-FR-K.
type Options struct {
	Name    string // as the device type answer gives it
	Model   byte
	Columns int
	Serial  uint32
	INN     uint64
	// FN makes it a register with fiscal storage: receipts need an open shift.
	FN bool
	// Cutter, Nonfiscal (E2h/E3h) and Buffered (bit 23) are model parameters.
	Cutter, Nonfiscal, Buffered bool
	// Gap is the register's limit between two bytes of a frame; 0: 100 ms.
	Gap time.Duration
	Now func() time.Time
}

// Printer is an emulated register.
type Printer struct {
	fiscal.Base
	o    Options
	page *codepage.Page

	// The link: what is kept for the host.
	kept    []byte // answer not acknowledged
	altNum  uint16
	altLast []byte
	altSeen bool

	m machine
}

// New makes a register with a closed shift and paper.
func New(o Options) *Printer {
	if o.Name == "" {
		o.Name, o.Model = "ШТРИХ-ФР-К", 4
	}
	if o.Columns == 0 {
		o.Columns = 36
	}
	if o.Serial == 0 {
		o.Serial = 12345678
	}
	if o.INN == 0 {
		o.INN = 7701234567
	}
	if o.Gap == 0 {
		o.Gap = 100 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Printer{o: o, page: codepage.Must("cp1251")}
	p.Columns = o.Columns
	p.m = machine{p: p, document: -1}
	return p
}

// Closed is what the fiscal memory holds.
func (p *Printer) Closed() (receipts int, total int64) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.m.receipts, p.m.total
}

// Serve answers on a line.
func (p *Printer) Serve(ctx context.Context, port *line.Port) error {
	var buf []byte
	for {
		rest, err := p.take(ctx, port, buf)
		if err != nil {
			return err
		}
		buf = rest
		wait := time.Hour
		if len(buf) > 0 {
			wait = p.o.Gap
		}
		b, err := port.Next(ctx, wait)
		switch {
		case err == nil:
			more, _ := port.Take()
			buf = append(append(buf, b), more...)
		case ctx.Err() != nil || port.Err() != nil:
			return err
		case len(buf) > 0:
			// Half a frame and then nothing.
			if buf[0] == proto.STX {
				if _, err := port.Write(ctx, []byte{proto.NAK}); err != nil {
					return err
				}
			}
			buf = nil
		}
	}
}

// take handles everything that is whole in the buffer.
func (p *Printer) take(ctx context.Context, port *line.Port, buf []byte) ([]byte, error) {
	for len(buf) > 0 {
		var n int
		var err error
		if buf[0] == 0x8F {
			n, err = p.alternative(ctx, port, buf)
		} else {
			n, err = p.standard(ctx, port, buf)
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		buf = buf[n:]
	}
	return buf, nil
}

func (p *Printer) standard(ctx context.Context, port *line.Port, buf []byte) (int, error) {
	tok, n := proto.Next(buf)
	if n == 0 {
		return 0, nil
	}
	var out []byte
	var err error
	p.Mu.Lock()
	switch tok.Kind {
	case proto.BadFrame:
		out = []byte{proto.NAK}
	case proto.Frame:
		out, err = p.command(tok.Body)
	case proto.Control:
		switch tok.Byte {
		case proto.ENQ:
			out = []byte{proto.NAK}
			if p.kept != nil {
				out = append([]byte{proto.ACK}, p.frame(p.kept)...)
			}
		case proto.ACK:
			p.kept = nil
		}
	}
	p.Mu.Unlock()
	if len(out) > 0 {
		if _, werr := port.Write(ctx, out); werr != nil && err == nil {
			err = werr
		}
	}
	return n, err
}

func (p *Printer) frame(body []byte) []byte {
	f, err := proto.Encode(body)
	if err != nil {
		panic("emulator/shtrih: " + err.Error()) // our own answers fit
	}
	return f
}

// command carries out one command and returns the bytes for the line.
func (p *Printer) command(cmd []byte) ([]byte, error) {
	p.kept = nil
	fault := p.strike()
	switch fault {
	case fiscal.Deaf:
		return nil, nil
	case fiscal.BadFrame:
		return []byte{proto.NAK}, nil
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	p.kept = p.m.handle(append([]byte(nil), cmd...))
	frame := p.frame(p.kept)
	switch fault {
	case fiscal.UnplugAfter:
		return []byte{proto.ACK}, fiscal.ErrUnplugged
	case fiscal.PowerCut:
		p.off()
		return nil, fiscal.ErrUnplugged
	case fiscal.Silence:
		return nil, nil
	}
	return append([]byte{proto.ACK}, fiscal.Mangle(fault, frame)...), nil
}

// strike asks for the fault of this command and tells the machine when paper
// ran out just now, so that it breaks in mid-print.
func (p *Printer) strike() fiscal.Fault {
	had := p.Holds(fiscal.PaperOut)
	f := p.Strike()
	if !had && p.Holds(fiscal.PaperOut) {
		p.m.breaking = true
	}
	return f
}

// PowerCycle switches the register off and on.
func (p *Printer) PowerCycle() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.off()
}

// off is what a power cut takes away.
func (p *Printer) off() {
	p.kept, p.altLast, p.altNum, p.altSeen = nil, nil, 0, false
	p.m.blocks = nil
}

func (p *Printer) alternative(ctx context.Context, port *line.Port, buf []byte) (int, error) {
	f, kind, n := proto.NextAlt(buf)
	if kind != proto.Frame {
		return n, nil // damaged frames are passed over; the host asks again
	}
	var err error
	var out []byte
	p.Mu.Lock()
	switch {
	case f.Sync:
		out = encodeAlt(proto.AltFrame{Num: p.altNum})
	case p.altSeen && f.Num == p.altNum:
		out = encodeAlt(proto.AltFrame{Num: p.altNum, Data: p.altLast})
	case f.Num != p.altNum+1:
		out = encodeAlt(proto.AltFrame{Num: p.altNum, Data: p.altLast})
	default:
		switch fault := p.strike(); fault {
		case fiscal.Deaf, fiscal.BadFrame:
		case fiscal.UnplugBefore:
			err = fiscal.ErrUnplugged
		default:
			p.altNum, p.altSeen = f.Num, true
			p.altLast = p.m.handle(append([]byte(nil), f.Data...))
			out = fiscal.Mangle(fault, encodeAlt(proto.AltFrame{Num: f.Num, Data: p.altLast}))
			if fault == fiscal.UnplugAfter || fault == fiscal.PowerCut {
				err = fiscal.ErrUnplugged
			}
			if fault == fiscal.PowerCut {
				p.off()
			}
		}
	}
	p.Mu.Unlock()
	if len(out) > 0 {
		if _, werr := port.Write(ctx, out); werr != nil && err == nil {
			err = werr
		}
	}
	return n, err
}

func encodeAlt(f proto.AltFrame) []byte {
	b, err := f.Encode()
	if err != nil {
		panic("emulator/shtrih: " + err.Error())
	}
	return b
}
