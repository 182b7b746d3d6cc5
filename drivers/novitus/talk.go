package novitus

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
	op  string
	seq Sequence

	sent bool // it left us and what became of it is not known yet
	done bool
	dead bool // nobody can find out any more
	code int  // the printer's, when done

	// again is the code with which the printer refuses the very same command a
	// second time because it has it already; 0 when there is no such protection.
	again    int
	repeated bool
	// decide finds out from ENQ whether the command was carried out.
	decide func(enq byte) (done, known bool)
}

func (c *command) inDoubt() bool { return c.sent && !c.done && !c.dead }

var errSilent = &drivers.Error{Code: drivers.Silent, Err: errors.New("no answer")}

// over tells whether a read ended because time ran out and nothing worse.
func over(ctx context.Context, p *line.Port, err error) bool {
	return errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && p.Err() == nil
}

func (d *Printer) send(ctx context.Context, p *line.Port, s Sequence) error {
	b, err := Encode(s)
	if err != nil {
		return &drivers.Error{Code: drivers.BadData, Err: err}
	}
	_, err = p.Write(ctx, b)
	return err
}

// event gives the next sequence or single byte. Broken ones are remembered in
// heard.
func (d *Printer) event(ctx context.Context, p *line.Port, wait time.Duration) (s Sequence, single byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		for len(d.buf) > 0 {
			c := d.buf[0]
			d.buf = d.buf[1:]
			switch ev, s, _ := d.dec.Feed(c); ev {
			case GotSequence:
				return s, 0, nil
			case GotByte:
				if c&0xF0 == enqBase || c&0xF8 == dleBase {
					return Sequence{}, c, nil
				}
				d.heard = true
			case BadSequence:
				d.heard = true
			}
		}
		var chunk [256]byte
		n, err := p.Read(ctx, chunk[:])
		if err != nil {
			if d.dec.Midway() {
				d.heard = true
			}
			return Sequence{}, 0, err
		}
		d.buf = append(d.buf, chunk[:n]...)
	}
}

// single asks ENQ or DLE. Sequences that come meanwhile are kept.
func (d *Printer) single(ctx context.Context, p *line.Port, ask byte) (byte, error) {
	base, mask := byte(enqBase), byte(0xF0)
	if ask == DLE {
		base, mask = dleBase, 0xF8
	}
	for try := range 3 {
		if try > 0 {
			// A half sequence of ours may block the answer.
			if _, err := p.Write(ctx, []byte{esc, '\\'}); err != nil {
				return 0, err
			}
			d.dec.Reset()
		}
		if _, err := p.Write(ctx, []byte{ask}); err != nil {
			return 0, err
		}
		end := time.Now().Add(d.answer)
		for {
			s, b, err := d.event(ctx, p, time.Until(end))
			if over(ctx, p, err) {
				break
			}
			switch {
			case err != nil:
				return 0, err
			case s.Command != "":
				d.in = append(d.in, s)
			case b&mask == base:
				return b, nil
			}
		}
	}
	return 0, errSilent
}

// next gives the next sequence, kept ones first.
func (d *Printer) next(ctx context.Context, p *line.Port, wait time.Duration) (Sequence, error) {
	if len(d.in) > 0 {
		s := d.in[0]
		d.in = d.in[1:]
		return s, nil
	}
	end := time.Now().Add(wait)
	for {
		s, _, err := d.event(ctx, p, time.Until(end))
		if err != nil || s.Command != "" {
			return s, err
		}
	}
}

// acknowledged waits for the code that a printer in mode 3 sends by itself.
func (d *Printer) acknowledged(ctx context.Context, p *line.Port, wait time.Duration) (code int, err error) {
	end := time.Now().Add(wait)
	for {
		s, err := d.next(ctx, p, time.Until(end))
		if err != nil {
			return 0, err
		}
		if s.Command == "#Z" {
			return s.Param(0), nil
		}
	}
}

// ask asks a question that changes nothing. A command in doubt is found out
// about first.
func (d *Printer) ask(ctx context.Context, p *line.Port, q Sequence, want string) (Sequence, error) {
	if d.lost != nil {
		if err := d.settle(ctx, p, d.lost); err != nil {
			return Sequence{}, err
		}
	}
	for range 4 {
		d.in = nil
		if err := d.send(ctx, p, q); err != nil {
			return Sequence{}, err
		}
		end := time.Now().Add(d.answer)
		for {
			s, err := d.next(ctx, p, time.Until(end))
			if over(ctx, p, err) {
				break
			}
			if err != nil {
				return s, err
			}
			if s.Command == want {
				return s, nil
			}
		}
		if err := d.ready(ctx, p, time.Now().Add(d.patience)); err != nil {
			return Sequence{}, err
		}
	}
	return Sequence{}, errSilent
}

// ready waits until the mechanism says that it can work, and shows its state.
func (d *Printer) ready(ctx context.Context, p *line.Port, until time.Time) error {
	for {
		b, err := d.single(ctx, p, DLE)
		if err != nil {
			return err
		}
		codes := mechanism(b)
		st := drivers.Status{Known: true}
		st.Add(codes...)
		d.sess.SetStatus(st)
		if len(codes) == 0 {
			return nil
		}
		if time.Now().After(until) {
			return &drivers.Error{Code: st.Worst(), Err: errors.New("the printer did not finish in time")}
		}
		t := time.NewTimer(min(100*time.Millisecond, d.answer))
		select {
		case <-t.C:
		case <-p.Done():
			t.Stop()
			return p.Err()
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// barrier waits until the printer has worked off all that was sent: it answers
// #n after that. An acknowledgement that comes before is given back too.
func (d *Printer) barrier(ctx context.Context, p *line.Port) (code int, acknowledged bool, err error) {
	until := time.Now().Add(d.patience)
	for try := 0; try < 6 || time.Now().Before(until); try++ {
		if err := d.ready(ctx, p, until); err != nil {
			return 0, false, err
		}
		if err := d.send(ctx, p, Sequence{nil, "#n", ""}); err != nil {
			return 0, false, err
		}
		end := time.Now().Add(d.answer)
		ack := -1
		for {
			s, err := d.next(ctx, p, time.Until(end))
			if over(ctx, p, err) {
				break
			}
			if err != nil {
				return 0, false, err
			}
			switch s.Command {
			case "#Z":
				ack = s.Param(0)
			case "#E":
				if ack >= 0 {
					return ack, true, nil
				}
				n, err := strconv.Atoi(s.Body)
				if err != nil {
					continue
				}
				return n, false, nil
			}
		}
		if ack >= 0 {
			return ack, true, nil
		}
	}
	return 0, false, errSilent
}

// deliver sends a command and gets its code. known is false when the printer has
// finished and there is no telling whether the code is about this command.
func (d *Printer) deliver(ctx context.Context, p *line.Port, c *command) (code int, known bool, err error) {
	d.in, d.heard = nil, false
	if err := d.send(ctx, p, c.seq); err != nil {
		return 0, false, err
	}
	if d.acks {
		code, err := d.acknowledged(ctx, p, d.answer)
		if err == nil {
			return code, true, nil
		}
		if !over(ctx, p, err) {
			return 0, false, err
		}
	}
	code, acknowledged, err := d.barrier(ctx, p)
	if err != nil {
		return 0, false, err
	}
	if d.acks && !acknowledged {
		d.negotiated = false // it may have been switched off, and be in another mode
	}
	// Without acknowledgements #n is all there is. With them, a broken answer
	// tells that the command was taken, and #n what its code was.
	return code, acknowledged || !d.acks || d.heard, nil
}

// run carries a command out once. It returns nil when the printer did it, its
// refusal, or an error with the code Uncertain when nobody can tell. A command
// that came back uncertain may be run again to find out later.
func (d *Printer) run(ctx context.Context, c *command) error {
	if !c.done && !c.dead {
		err := d.turn.Run(ctx, c.op, c.inDoubt, func(ctx context.Context, p *line.Port) error { return d.carry(ctx, p, c) })
		if err != nil {
			return err
		}
	}
	switch {
	case c.dead:
		return &drivers.Error{Device: d.String(), Op: c.op, Code: drivers.Uncertain,
			Err: errors.New("no code came for this command, and the printer cannot be asked about it")}
	case c.code != 0:
		return &drivers.Error{Device: d.String(), Op: c.op, Code: CodeOf(c.code), Err: &Refusal{Command: c.seq.Command, Number: c.code}}
	}
	return nil
}

// carry sends a command, or finds out about one that was sent.
func (d *Printer) carry(ctx context.Context, p *line.Port, c *command) error {
	if d.lost != nil && d.lost != c {
		if err := d.settle(ctx, p, d.lost); err != nil {
			return err
		}
	}
	until := time.Now().Add(d.patience)
	for tries := 0; !c.done && !c.dead; tries++ {
		if c.sent {
			if err := d.settle(ctx, p, c); err != nil {
				return err
			}
			continue
		}
		if tries > 20 && time.Now().After(until) {
			return errSilent
		}
		if !d.negotiated {
			if err := d.negotiate(ctx, p); err != nil {
				return err
			}
		}
		if _, err := Encode(c.seq); err != nil {
			return &drivers.Error{Code: drivers.BadData, Err: err}
		}
		c.sent, d.lost = true, c
		code, known, err := d.deliver(ctx, p, c)
		if err != nil {
			return err
		}
		if known {
			d.take(c, code)
			if c.done && code == CodeBusy {
				c.done = false
				if err := d.ready(ctx, p, until); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// take puts a code down as the command's.
func (d *Printer) take(c *command, code int) {
	c.sent, d.lost = false, nil
	switch {
	case code == CodeCheck: // it came broken: send it again
	case c.repeated && c.again != 0 && code == c.again:
		c.done, c.code = true, 0 // it has it already
	default:
		c.done, c.code = true, code
	}
}

// settle finds out what became of a command that was sent and got no code.
// Afterwards it is done, dead, or free to be sent again.
func (d *Printer) settle(ctx context.Context, p *line.Port, c *command) error {
	code, acknowledged, err := d.barrier(ctx, p)
	if err != nil {
		return err
	}
	if acknowledged {
		d.take(c, code)
		return nil
	}
	switch {
	case c.decide != nil:
		b, err := d.single(ctx, p, ENQ)
		if err != nil {
			return err
		}
		done, known := c.decide(b)
		c.done, c.dead = done && known, !known
	case c.again != 0:
		c.repeated = true
	default:
		c.dead = true
	}
	c.sent, d.lost = false, nil
	return nil
}
