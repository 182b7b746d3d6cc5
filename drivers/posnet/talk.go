package posnet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// command is one command that must not be carried out twice.
type command struct {
	msg  Message
	op   string
	prev string // token of an answer the printer must remember if it kept its memory
	// sent: it left us and what became of it is not known yet.
	sent bool
	// done: it is known that it was carried out; answer holds what came back.
	done   bool
	answer Message
	// dead: nobody can find out any more.
	dead bool
	// decide finds out from the printer's state whether the command was carried
	// out, when the printer has forgotten its answers. May be nil.
	decide func(ctx context.Context, p *line.Port) (done, known bool, err error)
}

func (c *command) settled() bool { return c.done || c.dead }
func (c *command) inDoubt() bool { return c.sent && !c.done && !c.dead }

func newCommand(op, mnemonic string, params ...Param) *command {
	return &command{op: op, msg: Message{Command: mnemonic, Params: params}}
}

// incoming is a frame from the printer.
type incoming struct {
	m   Message
	bad bool // came broken
}

var errSilent = &drivers.Error{Code: drivers.Silent, Err: errors.New("no answer")}

func (d *Printer) nextToken() string {
	d.token = d.token%9999 + 1
	return fmt.Sprintf("%04d", d.token)
}

// read gives the next frame, or a context error when none comes in time.
func (d *Printer) read(ctx context.Context, p *line.Port, wait time.Duration) (incoming, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var buf [512]byte
	for len(d.in) == 0 {
		n, err := p.Read(ctx, buf[:])
		if err != nil {
			return incoming{}, err
		}
		for _, c := range buf[:n] {
			if m, err, done := d.dec.Feed(c); done {
				d.in = append(d.in, incoming{m, err != nil})
			}
		}
	}
	f := d.in[0]
	d.in = d.in[1:]
	return f, nil
}

// over tells whether a read ended because time ran out and nothing worse.
func over(ctx context.Context, p *line.Port, err error) bool {
	return errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && p.Err() == nil
}

func (d *Printer) send(ctx context.Context, p *line.Port, m Message) error {
	b, err := Encode(m)
	if err != nil {
		return &drivers.Error{Code: drivers.BadData, Err: err}
	}
	_, err = p.Write(ctx, b)
	return err
}

// immediate asks a question that is answered at once. It may be asked while a
// command is under way; an answer to that command is kept.
func (d *Printer) immediate(ctx context.Context, p *line.Port, question string) (Message, error) {
	name := strings.TrimPrefix(question, "!")
	var kept []incoming
	defer func() { d.in = append(kept, d.in...) }()
	for range 3 {
		if err := d.send(ctx, p, Message{Command: question}); err != nil {
			return Message{}, err
		}
		end := time.Now().Add(d.answer)
		for {
			f, err := d.read(ctx, p, time.Until(end))
			if over(ctx, p, err) {
				break
			}
			if err != nil {
				return Message{}, err
			}
			if !f.bad && strings.TrimPrefix(f.m.Command, "!") == name && f.m.Token == "" && !f.m.Refused {
				return f.m, nil
			}
			if !f.bad && f.m.Token != "" {
				kept = append(kept, f)
			}
		}
	}
	return Message{}, errSilent
}

// ask asks a question that changes nothing, with a token, and asks again when
// the answer does not come. A command in doubt is found out about first.
func (d *Printer) ask(ctx context.Context, p *line.Port, mnemonic string, params ...Param) (Message, error) {
	if d.lost != nil {
		if err := d.settle(ctx, p, d.lost); err != nil {
			return Message{}, err
		}
	}
	return d.query(ctx, p, Message{Command: mnemonic, Params: params}, true)
}

// query sends a message that may be repeated freely. fresh gives each attempt a
// token of its own.
func (d *Printer) query(ctx context.Context, p *line.Port, m Message, fresh bool) (Message, error) {
	until := time.Now().Add(d.patience)
	for try := 0; try < 6 || time.Now().Before(until); try++ {
		if fresh {
			m.Token = d.nextToken()
		}
		if err := d.send(ctx, p, m); err != nil {
			return Message{}, err
		}
		f, err := d.await(ctx, p, m, until)
		if err == nil {
			if damaged(f) {
				continue
			}
			if fresh && !f.Refused {
				d.prev = m.Token
			}
			return f, nil
		}
		if !errors.Is(err, errAgain) {
			return Message{}, err
		}
	}
	return Message{}, errSilent
}

// errAgain: the printer is alive and idle, and there is no answer.
var errAgain = errors.New("no answer, though the printer is ready")

// await waits for the answer to m. When it does not come the printer is asked
// whether it is alive; while it is at work or waits for a person, so do we.
func (d *Printer) await(ctx context.Context, p *line.Port, m Message, until time.Time) (Message, error) {
	for {
		end := time.Now().Add(d.answer)
		for {
			f, err := d.read(ctx, p, time.Until(end))
			if over(ctx, p, err) {
				break
			}
			switch {
			case err != nil:
				return Message{}, err
			case f.bad:
				// Ours or not, it can be had again.
				end = time.Now()
			case f.m.Token == m.Token:
				return f.m, nil
			case f.m.Command == "ERR" && f.m.Token == "" && !damaged(f.m):
				// A frame error that names no token can only be about ours.
				return f.m, nil
			case f.m.Command == "ERR" && f.m.Token == "":
				// The printer could not read the frame, so nor its token.
				end = time.Now()
			}
		}
		idle, err := d.idle(ctx, p)
		if err != nil {
			return Message{}, err
		}
		// The answer may have come while we asked.
		for i, f := range d.in {
			if !f.bad && f.m.Token == m.Token {
				d.in = append(d.in[:i:i], d.in[i+1:]...)
				return f.m, nil
			}
		}
		if idle {
			return Message{}, errAgain
		}
		if time.Now().After(until) {
			code := drivers.Busy
			if st := d.sess.State(); st.Code.Severity() == drivers.Fault {
				code = st.Code
			}
			return Message{}, &drivers.Error{Code: code, Err: errors.New("the printer did not finish in time")}
		}
	}
}

// damaged tells whether a frame error means that the frame came broken or found
// no room, so that the same frame may do better.
func damaged(m Message) bool {
	switch m.Refusal {
	case FrameBadCRC, FrameNoChecksum, FrameWrongLength, FrameBufferFull, FrameQueueFull:
		return m.Command == "ERR"
	}
	return false
}

// idle tells whether the printer has nothing left to do, and shows its state.
func (d *Printer) idle(ctx context.Context, p *line.Port) (bool, error) {
	dev, err := d.immediate(ctx, p, "!sdev")
	if err != nil {
		return false, err
	}
	prn, err := d.immediate(ctx, p, "!sprn")
	if err != nil {
		return false, err
	}
	st := drivers.Status{Known: true}
	d.readDevice(&st, dev)
	readMechanism(&st, prn)
	d.sess.SetStatus(st)
	ready, _ := dev.Int("ds")
	ok, _ := prn.Int("pr")
	return ready == 0 && ok == 0 && (dev.Text("qe") == "" || yes(dev.Text("qe"))), nil
}

// run carries a command out once. It returns nil when the printer did it, its
// refusal, or an error with the code Uncertain when nobody can tell. A command
// that came back uncertain may be run again to find out later.
func (d *Printer) run(ctx context.Context, c *command) error {
	if c.dead {
		return d.unknowable(c)
	}
	if !c.done {
		err := d.turn.Run(ctx, c.op, c.inDoubt, func(ctx context.Context, p *line.Port) error { return d.carry(ctx, p, c) })
		if err != nil {
			return err
		}
		if c.dead {
			return d.unknowable(c)
		}
	}
	if c.answer.Refused {
		return d.named(refusal(c.op, c.answer))
	}
	return nil
}

func (d *Printer) named(err error) error {
	var e *drivers.Error
	if errors.As(err, &e) {
		e.Device = d.String()
	}
	return err
}

func (d *Printer) unknowable(c *command) error {
	return &drivers.Error{Device: d.String(), Op: c.op, Code: drivers.Uncertain,
		Err: errors.New("the printer was switched off in between and has forgotten its answers")}
}

// carry sends a command, or finds out about one that was sent.
func (d *Printer) carry(ctx context.Context, p *line.Port, c *command) error {
	if d.lost != nil && d.lost != c {
		if err := d.settle(ctx, p, d.lost); err != nil {
			return err
		}
	}
	until := time.Now().Add(d.patience)
	sends := 0
	for !c.settled() {
		if c.sent {
			if err := d.settle(ctx, p, c); err != nil {
				return err
			}
			continue
		}
		if d.prev == "" {
			if _, err := d.query(ctx, p, Message{Command: "sid"}, true); err != nil {
				return err
			}
		}
		if sends++; sends > 20 && time.Now().After(until) {
			return errSilent
		}
		c.msg.Token, c.prev = d.nextToken(), d.prev
		if _, err := Encode(c.msg); err != nil {
			return &drivers.Error{Code: drivers.BadData, Err: err}
		}
		c.sent, d.lost = true, c
		if err := d.send(ctx, p, c.msg); err != nil {
			return err
		}
		m, err := d.await(ctx, p, c.msg, time.Now().Add(d.patience))
		switch {
		case errors.Is(err, errAgain):
			continue // in doubt: settle finds out
		case err != nil:
			return err
		}
		d.finish(c, m)
		if damaged(m) && sends < 20 {
			c.done = false
			continue
		}
		if m.Refused && m.Refusal == RefusedOtherBusy && time.Now().Before(until) {
			// The other host holds the printer: wait, then it is a new command.
			c.done = false
			if err := d.pause(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Printer) finish(c *command, m Message) {
	c.answer, c.done, c.sent = m, true, false
	d.lost = nil
	if !m.Refused {
		d.prev = c.msg.Token
	}
	if m.Refused && CodeOf(m.Refusal) == drivers.ShiftExpired {
		d.expired = true
	}
}

// pause lets a fifth of a second go by; the other host gets its turn.
func (d *Printer) pause(ctx context.Context, p *line.Port) error {
	if _, err := d.idle(ctx, p); err != nil {
		return err
	}
	t := time.NewTimer(min(200*time.Millisecond, d.answer))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle finds out what became of a command that was sent and not answered. It
// returns nil when that is decided: c is done, or free to be sent again (not
// sent), or dead.
//
// The printer keeps its last answers. If it still has the one before ours and
// not ours, ours never arrived. If it has neither, it was switched off.
func (d *Printer) settle(ctx context.Context, p *line.Port, c *command) error {
	for range 2 { // twice, since a command may have been under way the first time
		m, found, err := d.repeat(ctx, p, c.msg.Token)
		if err != nil {
			return err
		}
		if found {
			d.finish(c, m)
			return nil
		}
	}
	_, found, err := d.repeat(ctx, p, c.prev)
	if err != nil {
		return err
	}
	if found {
		c.sent, d.lost = false, nil
		return nil
	}
	d.prev = "" // its answers are gone
	c.dead = true
	if c.decide != nil {
		done, known, err := c.decide(ctx, p)
		if err != nil {
			c.dead = false
			return err
		}
		if known {
			c.dead = false
			if done {
				c.answer, c.done = Message{Command: c.msg.Command}, true
			}
			c.sent = false
		}
	}
	d.lost = nil
	return nil
}

// repeat asks for the answer with a token once more.
func (d *Printer) repeat(ctx context.Context, p *line.Port, token string) (m Message, found bool, err error) {
	until := time.Now().Add(d.patience)
	for try := 0; try < 6 || time.Now().Before(until); try++ {
		if err := d.send(ctx, p, Message{Command: "rpt", Token: token}); err != nil {
			return m, false, err
		}
		m, err := d.await(ctx, p, Message{Command: "rpt", Token: token}, until)
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil {
			return m, false, err
		}
		if m.Command == "ERR" || m.Command == "rpt" {
			if m.Refusal == FrameTokenNotFound {
				return m, false, nil
			}
			continue
		}
		return m, true, nil
	}
	return m, false, errSilent
}
