package datecs

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// command is one command that must not be carried out twice.
type command struct {
	op   string
	code uint16
	data []byte
	seq  byte

	sent   bool // it left us and what became of it is not known yet
	stale  bool // and the device may have forgotten it: repeating is not safe
	done   bool
	dead   bool // nobody can find out any more
	answer answer
	// decide finds out from the receipt's state whether the command was carried
	// out. Nil for text, which leaves no trace.
	decide func(before receiptState) (done, known bool)
}

func (c *command) inDoubt() bool { return c.sent && !c.done && !c.dead }

type answer struct{ frame Frame }

func (a answer) bits() Bits { return Bits(a.frame.Status) }

// number is the error code of a PM answer.
func (a answer) number() int {
	f := Fields(a.frame.Data)
	if len(f) == 0 {
		return errUnparsable
	}
	n, err := strconv.Atoi(f[0])
	if err != nil {
		return errUnparsable
	}
	return n
}

// payload is the data of an answer without the error code.
func (a answer) payload(form Form) []byte {
	if form == PM {
		if f := Fields(a.frame.Data); len(f) > 1 {
			return []byte(f[1])
		}
		return nil
	}
	return a.frame.Data
}

// refusal is nil when the device did what it was told.
func (a answer) refusal(form Form) error {
	r := &Refusal{Command: a.frame.Command, Status: a.bits()}
	if form == PM {
		r.Number = a.number()
		if r.Number == errNone || r.Number == errPaperNearlyOver {
			return nil
		}
		return &drivers.Error{Code: CodeOf(r.Number), Err: r}
	}
	if code, ok := a.bits().refused(); ok {
		return &drivers.Error{Code: code, Err: r}
	}
	return nil
}

var errSilent = &drivers.Error{Code: drivers.Silent, Err: errors.New("no answer")}

func (d *Printer) nextSeq() byte {
	if d.seq >= LastSeq || d.seq < FirstSeq {
		d.seq = FirstSeq
	} else {
		d.seq++
	}
	return d.seq
}

// event gives the next thing that is not noise.
func (d *Printer) event(ctx context.Context, p *line.Port, wait time.Duration) (Event, Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		for len(d.buf) > 0 {
			c := d.buf[0]
			d.buf = d.buf[1:]
			if ev, m, _ := d.dec.Feed(c); ev != Nothing && ev != GotNoise {
				return ev, m, nil
			}
		}
		var chunk [512]byte
		n, err := p.Read(ctx, chunk[:])
		if err != nil {
			return Nothing, Frame{}, err
		}
		d.buf = append(d.buf, chunk[:n]...)
	}
}

// exchange sends a frame until it is answered: again after a NAK, after a
// broken answer and after silence, each time the same frame with the same
// sequence number.
func (d *Printer) exchange(ctx context.Context, p *line.Port, c *command) error {
	frame, err := d.form.Encode(Frame{Seq: c.seq, Command: c.code, Data: c.data})
	if err != nil {
		return &drivers.Error{Code: drivers.BadData, Err: err}
	}
	busyUntil := time.Now().Add(d.patience)
	heard, garbled := false, false
	for range d.tries {
		if _, err := p.Write(ctx, frame); err != nil {
			return err
		}
	listen:
		for {
			ev, m, err := d.event(ctx, p, d.answer)
			switch {
			case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && p.Err() == nil:
				d.dec.Reset()
				break listen
			case err != nil:
				return err
			case ev == GotSYN:
				heard = true
				if time.Now().After(busyUntil) {
					return &drivers.Error{Code: drivers.Busy, Err: errors.New("the device did not finish in time")}
				}
			case ev == GotNAK, ev == BadFrame:
				garbled = true
				break listen
			case ev == GotFrame && m.Answer() && m.Seq == c.seq && m.Command == c.code:
				c.answer, d.bits = answer{m}, Bits(m.Status)
				return nil
			}
		}
	}
	if garbled && !heard {
		return &drivers.Error{Code: drivers.Garbage, Err: errors.New("only broken frames")}
	}
	return errSilent
}

// query asks a question that changes nothing. A command in doubt is found out
// about first, since a new sequence number makes the device forget it.
func (d *Printer) query(ctx context.Context, p *line.Port, code uint16, data []byte) (answer, error) {
	if err := d.settleLost(ctx, p); err != nil {
		return answer{}, err
	}
	return d.ask(ctx, p, code, data)
}

func (d *Printer) ask(ctx context.Context, p *line.Port, code uint16, data []byte) (answer, error) {
	c := &command{code: code, data: data, seq: d.nextSeq()}
	err := d.exchange(ctx, p, c)
	return c.answer, err
}

func (d *Printer) settleLost(ctx context.Context, p *line.Port) error {
	if d.lost == nil {
		return nil
	}
	return d.settle(ctx, p, d.lost)
}

// run carries a command out once. It returns nil when the device did it, its
// refusal, or an error with the code Uncertain when nobody can tell.
func (d *Printer) run(ctx context.Context, c *command) error {
	if !c.done && !c.dead {
		err := d.turn.Run(ctx, c.op, c.inDoubt, func(ctx context.Context, p *line.Port) error { return d.carry(ctx, p, c) })
		if err != nil {
			return err
		}
	}
	if c.dead {
		return &drivers.Error{Device: d.String(), Op: c.op, Code: drivers.Uncertain,
			Err: errors.New("the line was gone, and the device may have been switched off: it cannot be asked about a text")}
	}
	if err := c.answer.refusal(d.form); err != nil {
		var e *drivers.Error
		errors.As(err, &e)
		e.Device, e.Op = d.String(), c.op
		if e.Code == drivers.ShiftExpired {
			d.expired = true
		}
		return e
	}
	if code, bad := c.answer.bits().faulty(); bad && d.form == ISL && !c.text() {
		return d.stopped(ctx, c, code)
	}
	return nil
}

// text tells whether the command only prints a text, which leaves no trace.
func (c *command) text() bool {
	switch c.code {
	case cmdText, cmdSlipText, cmdBarcode:
		return true
	}
	return false
}

// stopped finds out whether an ISL device that answers "no paper" carried the
// command out: its bits do not say it. The receipt's state does; what that
// cannot tell is taken as refused.
func (d *Printer) stopped(ctx context.Context, c *command, code drivers.Code) error {
	refused := &drivers.Error{Device: d.String(), Op: c.op, Code: code, Err: &Refusal{Command: c.code, Status: c.answer.bits()}}
	if c.decide == nil || !d.counts {
		return refused
	}
	var done, known bool
	err := d.turn.Ask(ctx, c.op, func(ctx context.Context, p *line.Port) error {
		rs, ok, err := d.receiptState(ctx, p)
		if err == nil && ok {
			done, known = c.decide(rs)
		}
		return err
	})
	switch {
	case err != nil || !known:
		refused.Err = errors.Join(refused.Err, err)
		c.dead = true
		return &drivers.Error{Device: d.String(), Op: c.op, Code: drivers.Uncertain, Err: refused}
	case done:
		return nil
	}
	return refused
}

// carry sends a command, or finds out about one that was sent.
func (d *Printer) carry(ctx context.Context, p *line.Port, c *command) error {
	if d.lost != c {
		if err := d.settleLost(ctx, p); err != nil {
			return err
		}
	}
	for range 3 {
		if c.done || c.dead { // found out when the line came back
			return nil
		}
		if !c.sent {
			c.seq, c.sent, c.stale, d.lost = d.nextSeq(), true, false, c
			if _, err := d.form.Encode(Frame{Seq: c.seq, Command: c.code, Data: c.data}); err != nil {
				c.sent, d.lost = false, nil
				return &drivers.Error{Code: drivers.BadData, Err: err}
			}
		}
		if err := d.settle(ctx, p, c); err != nil {
			return err
		}
	}
	if c.done || c.dead {
		return nil
	}
	return errSilent
}

// settle sends a command again with its sequence number, which is safe as long
// as the device remembers it. A stale one is decided by the receipt's state, or
// given up. Afterwards the command is done, dead, or free to be sent as new.
func (d *Printer) settle(ctx context.Context, p *line.Port, c *command) error {
	if !c.stale || c.decide != nil && !d.counts {
		err := d.exchange(ctx, p, c)
		if err == nil {
			c.done, c.sent, d.lost = true, false, nil
			return nil
		}
		if errors.Is(err, drivers.Silent) {
			// Long silence: somebody may have switched it off.
			c.stale = true
		}
		return err
	}
	if c.decide == nil {
		c.dead, c.sent, d.lost = true, false, nil
		return nil
	}
	rs, known, err := d.receiptState(ctx, p)
	if err != nil {
		return err
	}
	done := false
	if known {
		done, known = c.decide(rs)
	}
	switch {
	case !known:
		c.dead = true
	case done:
		c.done = true
		c.answer = answer{Frame{Seq: c.seq, Command: c.code, Status: d.bits}}
		if d.form == PM {
			c.answer.frame.Data = Tabbed("0")
		}
	}
	c.sent, d.lost = false, nil
	return nil
}

// receiptState is the answer to 4Ch.
type receiptState struct {
	open   bool
	number string
	items  int
	total  int64
	paid   int64
}

// receiptState asks about the open receipt. known is false when the device
// does not know the command or answers in a way of its own.
func (d *Printer) receiptState(ctx context.Context, p *line.Port) (rs receiptState, known bool, err error) {
	var data []byte
	if d.form == ISL {
		data = []byte("T")
	}
	a, err := d.ask(ctx, p, cmdReceiptState, data)
	if err != nil || a.refusal(d.form) != nil {
		return rs, false, err
	}
	rs, known = parseReceiptState(d.form, a.frame.Data)
	return rs, known, nil
}

func parseReceiptState(form Form, data []byte) (rs receiptState, ok bool) {
	var f []string
	if form == PM {
		if f = Fields(data); len(f) < 6 {
			return rs, false
		}
		rs.number = f[2]
		f = append([]string{f[1]}, f[3:]...)
	} else {
		start := 0
		for i := range len(data) + 1 {
			if i == len(data) || data[i] == ',' {
				f = append(f, string(data[start:i]))
				start = i + 1
			}
		}
		if len(f) < 4 {
			return rs, false
		}
	}
	var ok1, ok2 bool
	var err error
	rs.open = f[0] != "0" && f[0] != ""
	rs.items, err = strconv.Atoi(f[1])
	rs.total, ok1 = parseMoney(f[2])
	rs.paid, ok2 = parseMoney(f[3])
	return rs, err == nil && ok1 && ok2
}
