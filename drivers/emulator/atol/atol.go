// Package atol is the register's side of ATOL's transport 3 and command set
// 3.1, as far as they are public, for drivers, practice tills and tests.
//
// Damaged packets are answered by empty ones. Tasks are carried out when they
// are added; the result goes out by itself on packet number F0 and stays in the
// buffer until it is acknowledged. A task number that is in use is refused, an
// unknown one is "not found". After a power cut the buffer is empty and the
// register in no mode; receipt and shift are as they were.
//
// ACK+ADD (C5h) is answered as illegal: its layout is not public.
package atol

import (
	"context"
	"slices"
	"time"

	proto "github.com/tillside/tillside/drivers/atol"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
)

// Options of a register; zero fields take those of an ATOL 30F.
type Options struct {
	Name    string
	Model   byte
	Serial  uint32 // eight digits
	Columns int
	Now     func() time.Time
}

// Printer is an emulated register.
type Printer struct {
	fiscal.Base
	o     Options
	tasks []task
	m     machine
}

type task struct {
	id     byte
	answer []byte
	failed bool
}

// capacity is how many tasks the buffer holds.
const capacity = 16

// New makes a register with a closed shift and paper.
func New(o Options) *Printer {
	if o.Name == "" {
		o.Name, o.Model = "АТОЛ 30Ф", 0x39
	}
	if o.Serial == 0 {
		o.Serial = 12345678
	}
	if o.Columns == 0 {
		o.Columns = 42
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Printer{o: o}
	p.Columns = o.Columns
	p.m = machine{p: p}
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
	p.tasks, p.m.mode = nil, 0
}

const gap = 200 * time.Millisecond

// Serve answers on a line.
func (p *Printer) Serve(ctx context.Context, port *line.Port) error {
	var buf []byte
	for {
		for len(buf) > 0 {
			pk, kind, n := proto.Next(buf)
			if n == 0 {
				break
			}
			buf = buf[n:]
			out, err := p.packet(pk, kind)
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
		default:
			buf = nil
		}
	}
}

func encode(id byte, data ...byte) []byte {
	b, err := proto.Packet{ID: id, Data: data}.Encode()
	if err != nil {
		panic("emulator/atol: " + err.Error())
	}
	return b
}

func (p *Printer) find(id byte) int {
	return slices.IndexFunc(p.tasks, func(t task) bool { return t.id == id })
}

func (p *Printer) packet(pk proto.Packet, kind proto.Kind) ([]byte, error) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	switch {
	case kind == proto.Bad:
		return encode(min(pk.ID, proto.AsyncID)), nil
	case kind != proto.Good || pk.ID > proto.LastID:
		return nil, nil
	case len(pk.Data) == 0:
		return nil, nil // the host asks for a repetition; it can ask for the task
	}
	id := func() (byte, bool) {
		if len(pk.Data) < 2 {
			return 0, false
		}
		return pk.Data[1], true
	}
	switch pk.Data[0] {
	case proto.TaskAdd:
		return p.add(pk)
	case proto.TaskAck:
		n, ok := id()
		i := p.find(n)
		if !ok || i < 0 {
			return encode(pk.ID, proto.NotFound), nil
		}
		p.tasks = slices.Delete(p.tasks, i, i+1)
		return encode(pk.ID, proto.Pending), nil
	case proto.TaskReq:
		n, ok := id()
		if !ok && len(p.tasks) > 0 { // without a number: the last one
			n = p.tasks[len(p.tasks)-1].id
		}
		i := p.find(n)
		switch {
		case i < 0:
			return encode(pk.ID, proto.NotFound), nil
		case p.tasks[i].failed:
			return encode(pk.ID, append([]byte{proto.Failed}, p.tasks[i].answer...)...), nil
		}
		return encode(pk.ID, append([]byte{proto.Result}, p.tasks[i].answer...)...), nil
	case proto.TaskAbort:
		p.tasks = nil
		return encode(pk.ID, proto.Pending), nil
	}
	return encode(pk.ID, proto.Illegal), nil
}

// add puts a task into the buffer and carries it out.
func (p *Printer) add(pk proto.Packet) ([]byte, error) {
	had := p.Holds(fiscal.PaperOut)
	fault := p.Strike()
	p.m.breaking = !had && p.Holds(fiscal.PaperOut)
	switch fault {
	case fiscal.Deaf:
		return nil, nil
	case fiscal.BadFrame:
		return encode(pk.ID), nil
	case fiscal.UnplugBefore:
		return nil, fiscal.ErrUnplugged
	}
	d := pk.Data
	switch {
	case len(d) < 6:
		return encode(pk.ID, proto.Illegal), nil
	case p.find(d[2]) >= 0:
		return encode(pk.ID, proto.Exists), nil
	case len(p.tasks) >= capacity || p.Holds(fiscal.Busy):
		return encode(pk.ID, proto.Overflow), nil
	}
	flags, id := d[1], d[2]
	answer, failed := p.m.handle(d[5:])
	out := encode(pk.ID, proto.Pending)
	if flags&(proto.WantResult|proto.Async) != 0 {
		p.tasks = append(p.tasks, task{id: id, answer: answer, failed: failed})
		// One client shows that results come by themselves without the third
		// flag too.
		state := proto.AsyncResult
		if failed {
			state = proto.AsyncFailed
		}
		async := encode(proto.AsyncID, append([]byte{state, id}, answer...)...)
		if fault == fiscal.Half || fault == fiscal.BadCheck || fault == fiscal.Garbage {
			async = fiscal.Mangle(fault, async)
			fault = ""
		}
		out = append(out, async...)
	}
	switch fault {
	case fiscal.UnplugAfter:
		return nil, fiscal.ErrUnplugged
	case fiscal.PowerCut:
		p.tasks, p.m.mode = nil, 0
		return nil, fiscal.ErrUnplugged
	}
	return fiscal.Mangle(fault, out), nil
}
