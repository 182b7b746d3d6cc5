package datecs

import (
	"context"
	"errors"
	"time"

	"github.com/tillside/tillside/drivers/codepage"
	proto "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
)

// synEvery is how often a busy device says so.
const synEvery = 60 * time.Millisecond

// Options of a device. The zero value is an ISL printer with 42 columns.
type Options struct {
	Form     proto.Form
	Model    string // "FP-800"
	Firmware string
	Serial   string
	Memory   string // number of the fiscal memory
	CodePage string
	Columns  int
	Now      func() time.Time
}

// Printer is the emulated machine.
type Printer struct {
	fiscal.Base
	opt  Options
	page *codepage.Page

	// memory of the link
	lastSeq    byte
	lastCmd    uint16
	lastAnswer []byte
	pending    *job // waits while the device is busy

	machine
}

type job struct {
	frame proto.Frame
	fault fiscal.Fault
}

// New makes a device with paper in, fiscalised, its day not begun.
func New(opt Options) *Printer {
	def := func(s *string, isl, pm string) {
		if *s == "" {
			if *s = isl; opt.Form == proto.PM {
				*s = pm
			}
		}
	}
	def(&opt.Model, "FP-800", "FP-700X")
	def(&opt.Firmware, "1.00BG", "2.11BG")
	def(&opt.Serial, "DT123456", "DT700123")
	def(&opt.Memory, "02123456", "02700123")
	def(&opt.CodePage, "cp1251", "cp1251")
	if opt.Columns == 0 {
		opt.Columns = 42
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	p := &Printer{opt: opt, page: codepage.Must(opt.CodePage)}
	p.Columns = opt.Columns
	p.machine.p = p
	return p
}

// Closed is what the fiscal memory holds.
func (p *Printer) Closed() (receipts int, total int64) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return p.receipts, p.turnover
}

// Days is the number of Z reports.
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

// Serve answers on a line until it is gone.
func (p *Printer) Serve(ctx context.Context, port *line.Port) error {
	dec := proto.Decoder{Form: p.opt.Form}
	var buf [1024]byte
	for {
		rctx, cancel := ctx, context.CancelFunc(func() {})
		busy, err := p.work(ctx, port)
		if err != nil {
			return err
		}
		if busy {
			rctx, cancel = context.WithTimeout(ctx, synEvery)
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
			ev, m, _ := dec.Feed(c)
			switch ev {
			case proto.BadFrame:
				err = p.put(ctx, port, []byte{proto.NAK}, nil)
			case proto.GotFrame:
				p.Mu.Lock()
				out, ferr := p.take(m)
				p.Mu.Unlock()
				err = p.put(ctx, port, out, ferr)
			}
			if err != nil {
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

// work goes on with a command that waits because the device is busy.
func (p *Printer) work(ctx context.Context, port *line.Port) (busy bool, err error) {
	p.Mu.Lock()
	j := p.pending
	if j == nil {
		p.Mu.Unlock()
		return false, nil
	}
	if p.Holds(fiscal.Busy) {
		p.Mu.Unlock()
		return true, p.put(ctx, port, []byte{proto.SYN}, nil)
	}
	p.pending = nil
	out, err := p.carry(*j)
	p.Mu.Unlock()
	return false, p.put(ctx, port, out, err)
}

// take handles a good frame.
func (p *Printer) take(m proto.Frame) ([]byte, error) {
	if m.Answer() {
		return nil, nil // our own echo, or another device on the line
	}
	fault := p.Strike()
	switch fault {
	case fiscal.Deaf:
		return nil, nil
	case fiscal.BadFrame:
		return []byte{proto.NAK}, nil
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	if p.lastAnswer != nil && m.Seq == p.lastSeq && m.Command == p.lastCmd {
		return p.spoil(p.lastAnswer, fault)
	}
	if p.pending != nil {
		if p.pending.frame.Seq == m.Seq && p.pending.frame.Command == m.Command {
			return []byte{proto.SYN}, nil // the same, still at work
		}
		return nil, nil
	}
	if p.Holds(fiscal.Busy) && fault == "" {
		p.pending = &job{m, fault}
		return []byte{proto.SYN}, nil
	}
	return p.carry(job{m, fault})
}

func (p *Printer) carry(j job) ([]byte, error) {
	data, slow := p.execute(j.frame)
	answer := proto.Frame{Seq: j.frame.Seq, Command: j.frame.Command, Data: data, Status: p.status()}
	out, err := p.opt.Form.Encode(answer)
	if err != nil { // longer than the frame holds: the code alone
		answer.Data = nil
		out, _ = p.opt.Form.Encode(answer)
	}
	p.once = 0
	p.lastSeq, p.lastCmd, p.lastAnswer = j.frame.Seq, j.frame.Command, out
	out, err = p.spoil(out, j.fault)
	if slow && len(out) > 0 {
		out = append([]byte{proto.SYN, proto.SYN}, out...)
	}
	return out, err
}

func (p *Printer) spoil(frame []byte, fault fiscal.Fault) ([]byte, error) {
	switch fault {
	case fiscal.BadCheck:
		b := append([]byte(nil), frame...)
		b[len(b)-2] ^= 0x01
		return b, nil
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
	p.lastAnswer, p.pending = nil, nil
	p.slip = false
}

// PowerCycle switches the printer off and on.
func (p *Printer) PowerCycle() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.off()
}
