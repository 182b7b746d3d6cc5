package novitus

import (
	"context"
	"errors"
	"time"

	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
	proto "github.com/tillside/tillside/drivers/novitus"
)

// Options of a printer. The zero value is a Novitus with 40 columns.
type Options struct {
	// Thermal leaves out what Novitus added: $n, free lines, four-digit codes.
	Thermal  bool
	NoCodes  bool // sends no code by itself in the modes 2 and 3
	Model    string
	Version  string
	Serial   string
	CodePage string // "mazovia"
	Columns  int
	Now      func() time.Time
}

// Printer is the emulated machine.
type Printer struct {
	fiscal.Base
	opt  Options
	page *codepage.Page

	mode  int // of errors
	queue []queued

	machine
}

type queued struct {
	s     proto.Sequence
	fault fiscal.Fault
}

// New makes a printer with paper in, fiscalised, its day not begun.
func New(opt Options) *Printer {
	def := func(s *string, novitus, thermal string) {
		if *s == "" {
			if *s = novitus; opt.Thermal {
				*s = thermal
			}
		}
	}
	def(&opt.Model, "DEON", "THERMAL")
	def(&opt.Version, "3.10", "2.02")
	def(&opt.Serial, "BCS12345678", "AAB01234567")
	def(&opt.CodePage, "mazovia", "mazovia")
	if opt.Columns == 0 {
		opt.Columns = 40
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	p := &Printer{opt: opt, page: codepage.Must(opt.CodePage)}
	p.Columns = opt.Columns
	p.machine.p = p
	p.completed, p.commandDone = true, true
	p.extra = map[string]bool{}
	p.shown = map[string]bool{}
	return p
}

// Closed is what the fiscal memory holds.
func (p *Printer) Closed() (receipts int, total int64) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.receipts, p.turnover
}

// Days is the number of daily reports.
func (p *Printer) Days() int {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.days
}

// Display is what the customer display shows.
func (p *Printer) Display() [2]string {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.display
}

// Beeps counts the sounds.
func (p *Printer) Beeps() int {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.beeps
}

// Serve answers on a line until it is gone.
func (p *Printer) Serve(ctx context.Context, port *line.Port) error {
	var dec proto.Decoder
	var buf [1024]byte
	for {
		if err := p.drain(ctx, port); err != nil {
			return err
		}
		rctx, cancel := ctx, context.CancelFunc(func() {})
		if p.waits() { // look now and then whether paper came
			rctx, cancel = context.WithTimeout(ctx, 5*time.Millisecond)
		}
		n, err := port.Read(rctx, buf[:])
		cancel()
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				continue
			}
			return err
		}
		for _, c := range buf[:n] {
			ev, s, serr := dec.Feed(c)
			if ev == proto.Nothing {
				continue
			}
			p.Mu.Lock()
			var out []byte
			switch ev {
			case proto.GotByte:
				out, err = p.single(c)
			default:
				out, err = p.sequence(s, serr)
			}
			p.Mu.Unlock()
			if err := p.put(ctx, port, out, err); err != nil {
				return err
			}
		}
	}
}

func (p *Printer) put(ctx context.Context, port *line.Port, out []byte, err error) error {
	if len(out) > 0 {
		if _, werr := port.Write(ctx, out); werr != nil {
			return werr
		}
	}
	return err
}

func (p *Printer) waits() bool {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return len(p.queue) > 0
}

// stuck tells whether the mechanism cannot print now.
func (p *Printer) stuck() bool {
	return p.Holds(fiscal.PaperOut) || p.Holds(fiscal.CoverOpen) || p.Holds(fiscal.Busy)
}

func (p *Printer) drain(ctx context.Context, port *line.Port) error {
	for {
		p.Mu.Lock()
		if len(p.queue) == 0 || p.stuck() {
			p.Mu.Unlock()
			return nil
		}
		q := p.queue[0]
		p.queue = p.queue[1:]
		out, err := p.carry(q)
		p.Mu.Unlock()
		if err := p.put(ctx, port, out, err); err != nil {
			return err
		}
	}
}

// single answers ENQ, DLE and the others.
func (p *Printer) single(c byte) ([]byte, error) {
	if c != proto.ENQ && c != proto.DLE && c != proto.BEL && c != proto.CAN {
		return nil, nil // noise
	}
	fault := p.Strike()
	switch fault {
	case fiscal.Deaf, fiscal.BadFrame:
		return nil, nil
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	var out []byte
	switch c {
	case proto.ENQ:
		b := byte(0x60 | proto.Fiscal)
		if p.commandDone {
			b |= proto.Done
		}
		if p.open {
			b |= proto.InReceipt
		}
		if p.completed {
			b |= proto.Completed
		}
		out = []byte{b}
	case proto.DLE:
		b := byte(0x70)
		if !p.Holds(fiscal.Busy) {
			b |= proto.OnLine
		}
		if p.Holds(fiscal.PaperOut) {
			b |= proto.PaperEmpty
		}
		if p.Holds(fiscal.CoverOpen) {
			b |= proto.MechanismError
		}
		out = []byte{b}
	case proto.BEL:
		p.beeps++
	case proto.CAN:
		p.queue = nil
	}
	return p.spoil(out, fault)
}

// sequence takes a sequence, good or broken.
func (p *Printer) sequence(s proto.Sequence, bad error) ([]byte, error) {
	fault := p.Strike()
	switch fault {
	case fiscal.Deaf:
		return nil, nil
	case fiscal.BadFrame:
		bad = proto.ErrCheck
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	if bad != nil {
		p.lastError, p.commandDone = proto.CodeCheck, false
		return p.spoil(p.automatic(proto.CodeCheck), fault)
	}
	q := queued{s, fault}
	if len(p.queue) > 0 || p.stuck() && (prints[s.Command] || p.Holds(fiscal.Busy)) {
		if len(p.queue) >= 32 {
			return nil, nil // the buffer is full; flow control would have told
		}
		if fault == fiscal.UnplugAfter {
			p.queue = append(p.queue, queued{s, ""})
			return nil, fiscal.ErrUnplugged
		}
		p.queue = append(p.queue, q)
		return nil, nil
	}
	return p.carry(q)
}

func (p *Printer) carry(q queued) ([]byte, error) {
	if answer, ok := p.query(q.s); ok {
		return p.spoil(answer, q.fault)
	}
	code := p.execute(q.s)
	return p.spoil(p.automatic(code), q.fault)
}

// automatic is the code sent after a command, in the modes that send one.
func (p *Printer) automatic(code int) []byte {
	if p.mode < 2 || p.opt.NoCodes {
		return nil
	}
	b, _ := proto.Encode(proto.Sequence{Params: []int{min(code, 255)}, Command: "#Z"})
	return b
}

func (p *Printer) spoil(frame []byte, fault fiscal.Fault) ([]byte, error) {
	switch fault {
	case fiscal.BadCheck:
		if len(frame) < 4 {
			return frame, nil // a single byte has no check
		}
		b := append([]byte(nil), frame...)
		b[len(b)-3] ^= 0x01
		return b, nil
	case fiscal.Garbage:
		if len(frame) == 0 {
			return nil, nil
		}
	case fiscal.UnplugAfter:
		return nil, fiscal.ErrUnplugged
	case fiscal.PowerCut:
		p.off()
		return nil, fiscal.ErrUnplugged
	}
	return fiscal.Mangle(fault, frame), nil
}

// off is what a power cut takes away.
func (p *Printer) off() {
	p.queue, p.mode = nil, 0
	p.foot, p.report = false, false
}

// PowerCycle switches the printer off and on.
func (p *Printer) PowerCycle() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.off()
}
