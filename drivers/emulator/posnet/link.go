package posnet

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
	proto "github.com/tillside/tillside/drivers/posnet"
)

// What the printer remembers of its answers.
const (
	keptAnswers = 32
	keptBytes   = 1 << 10
)

// Options of a printer. The zero value is a 40-column machine with WIN1250.
type Options struct {
	Model    string // "THERMAL HD ONLINE"
	Version  string
	Serial   string // factory number
	Unique   string // number of the fiscal memory
	CodePage string // "cp1250", "iso8859-2", "mazovia"
	Columns  int    // 40 or 56
	Now      func() time.Time
}

// Printer is the emulated machine.
type Printer struct {
	fiscal.Base
	opt  Options
	page *codepage.Page

	answers []kept
	queue   []queued // commands that wait for paper

	machine
}

type kept struct {
	token string
	frame []byte
}

type queued struct {
	m     proto.Message
	fault fiscal.Fault
}

// New makes a printer with paper in, fiscalised, its day not begun.
func New(opt Options) *Printer {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&opt.Model, "THERMAL HD ONLINE")
	def(&opt.Version, "2.01")
	def(&opt.Serial, "EAR2001234567")
	def(&opt.Unique, "ZBF 1801007587")
	def(&opt.CodePage, "cp1250")
	if opt.Columns == 0 {
		opt.Columns = 40
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	p := &Printer{opt: opt, page: codepage.Must(opt.CodePage)}
	p.Columns = opt.Columns
	p.machine.p = p
	p.drawer = 1
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
func (p *Printer) Display() []string {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return append([]string(nil), p.display[:]...)
}

// Serve answers on a line until it is gone.
func (p *Printer) Serve(ctx context.Context, port *line.Port) error {
	var dec proto.Decoder
	var buf [1024]byte
	for {
		if err := p.drain(ctx, port); err != nil {
			return err
		}
		// While a command waits for paper, look now and then whether it came.
		rctx, cancel := ctx, context.CancelFunc(func() {})
		if p.waits() {
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
			m, err, done := dec.Feed(c)
			if !done {
				continue
			}
			if err := p.frame(ctx, port, m, err); err != nil {
				return err
			}
		}
	}
}

func (p *Printer) waits() bool {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return len(p.queue) > 0
}

// stuck tells whether the mechanism cannot print now.
func (p *Printer) stuck() bool { return p.Holds(fiscal.PaperOut) || p.Holds(fiscal.CoverOpen) }

// drain carries out what waited, when paper is back.
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

func (p *Printer) put(ctx context.Context, port *line.Port, out []byte, err error) error {
	if len(out) > 0 {
		if _, werr := port.Write(ctx, out); werr != nil {
			return werr
		}
	}
	return err
}

// frame answers one frame, good or broken.
func (p *Printer) frame(ctx context.Context, port *line.Port, m proto.Message, bad error) error {
	p.Mu.Lock()
	out, err := p.take(m, bad)
	p.Mu.Unlock()
	return p.put(ctx, port, out, err)
}

func (p *Printer) take(m proto.Message, bad error) ([]byte, error) {
	fault := p.Strike()
	switch fault {
	case fiscal.Deaf:
		return nil, nil
	case fiscal.BadFrame:
		m, bad = proto.Message{}, &proto.FrameError{Number: proto.FrameBadCRC}
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	var fe *proto.FrameError
	if errors.As(bad, &fe) {
		return p.spoil(encode(frameError(fe.Number, fe.Token, fe.Cmd, fe.Field)), fault)
	}
	if name, ok := strings.CutPrefix(m.Command, "!"); ok {
		answer := frameError(proto.FrameNotImmediate, m.Token, m.Command, "")
		if name == "sprn" || name == "sdev" || name == "sdrwr" {
			answer = p.status(m, name)
		}
		return p.spoil(encode(answer), fault)
	}
	q := queued{m, fault}
	if len(p.queue) > 0 || p.stuck() && prints[m.Command] {
		if len(p.queue) >= 16 {
			return p.spoil(encode(frameError(proto.FrameQueueFull, m.Token, m.Command, "")), fault)
		}
		if fault == fiscal.UnplugAfter {
			p.queue = append(p.queue, queued{m, ""})
			return nil, fiscal.ErrUnplugged
		}
		p.queue = append(p.queue, q)
		return nil, nil
	}
	return p.carry(q)
}

// carry carries a command out and makes its answer.
func (p *Printer) carry(q queued) ([]byte, error) {
	m := q.m
	if m.Command == "rpt" {
		for _, k := range p.answers {
			if k.token == m.Token && m.Token != "" {
				return p.spoil(k.frame, q.fault)
			}
		}
		return p.spoil(encode(frameError(proto.FrameTokenNotFound, m.Token, m.Command, "")), q.fault)
	}
	var answer proto.Message
	if do, ok := commands[m.Command]; ok {
		answer = p.execute(do, m)
	} else {
		answer = frameError(proto.FrameUnknownCommand, m.Token, m.Command, "")
	}
	frame := encode(answer)
	if m.Token != "" {
		p.keep(m.Token, frame)
	}
	return p.spoil(frame, q.fault)
}

func (p *Printer) keep(token string, frame []byte) {
	for i, k := range p.answers {
		if k.token == token {
			p.answers = append(p.answers[:i:i], p.answers[i+1:]...)
			break
		}
	}
	p.answers = append(p.answers, kept{token, frame})
	size := 0
	for i := len(p.answers) - 1; i >= 0; i-- {
		size += len(p.answers[i].frame)
		if len(p.answers)-i > keptAnswers || size > keptBytes {
			p.answers = p.answers[i+1:]
			return
		}
	}
}

// spoil does to an answer what the fault says.
func (p *Printer) spoil(frame []byte, fault fiscal.Fault) ([]byte, error) {
	switch fault {
	case fiscal.Silence:
		return nil, nil
	case fiscal.Garbage:
		return []byte{0x55, 0xAA, 0x02, 0x7F, 0x33, 0x03, 0x11}, nil
	case fiscal.Half:
		return frame[:len(frame)/2], nil
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
	return frame, nil
}

// off is what a power cut takes away.
func (p *Printer) off() {
	p.answers, p.queue = nil, nil
	p.form = nil
}

func frameError(n int, token, cmd, field string) proto.Message {
	m := proto.Message{Command: "ERR", Token: token, Refused: true, Refusal: n}
	if cmd != "" {
		m.Params = append(m.Params, proto.P("cm", cmd))
		if field != "" {
			m.Params = append(m.Params, proto.P("fd", field))
		}
	}
	return m
}

func encode(m proto.Message) []byte {
	b, err := proto.Encode(m)
	if err != nil {
		// A mnemonic or field that cannot be said back: say the number alone.
		b, _ = proto.Encode(proto.Message{Command: "ERR", Refused: true, Refusal: proto.FrameUnknownCommand})
	}
	return b
}

// PowerCycle switches the printer off and on.
func (p *Printer) PowerCycle() {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.off()
}
