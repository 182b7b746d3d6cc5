package pirit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/intake"
	"github.com/tillside/tillside/drivers/internal/once"
	"github.com/tillside/tillside/drivers/line"
)

// Error codes of the link.
const (
	errGap      = 0x05
	errPassword = 0x06
	errCheck    = 0x07
)

type timing struct {
	gap   time.Duration // between two bytes of an answer
	enq   time.Duration // for ENQ's ACK
	enqs  int
	quiet time.Duration // after trouble, until late bytes are over
	probe time.Duration // an answer that is not here by now is asked after by ENQ
	sends int
	long  func(cmd byte) time.Duration
	poll  time.Duration
}

func timingOf(percent int) timing {
	f := func(d time.Duration) time.Duration { return d * time.Duration(percent) / 100 }
	return timing{
		gap: f(300 * time.Millisecond), enq: f(700 * time.Millisecond), enqs: 4, quiet: f(400 * time.Millisecond),
		probe: f(2 * time.Second), sends: 4, poll: f(200 * time.Millisecond),
		long: func(cmd byte) time.Duration {
			switch cmd {
			case cmdX, cmdZ, cmdOpenShift, cmdClose, cmdCancel:
				return f(60 * time.Second)
			case cmdOpen, cmdItem, cmdSubtotal, cmdPay:
				return f(20 * time.Second)
			}
			return f(8 * time.Second)
		},
	}
}

var errNoTrace = errors.New("the register keeps no trace of the command")

// link sends commands as the byte of the command followed by its fields joined
// by FS; Send gives back a whole answer frame's body.
type link struct {
	t        timing
	password string
	id       byte
	in       intake.Intake
	dirty    bool
	flight   *flight
}

type flight struct {
	id     byte
	answer []byte
}

func (l *link) nextID() byte {
	if l.id < firstID || l.id >= lastID {
		l.id = firstID - 1
	}
	l.id++
	return l.id
}

func (l *link) token(ctx context.Context, p *line.Port, d time.Duration) (Token, error) {
	end := time.Now().Add(d)
	for {
		tok, n := Next(l.in.Buf)
		if n == 0 {
			if err := l.in.More(ctx, p, end); errors.Is(err, intake.ErrTorn) {
				return Token{Kind: BadFrame}, nil
			} else if err != nil {
				return Token{}, err
			}
			continue
		}
		l.in.Buf = l.in.Buf[n:]
		if tok.Kind != Noise {
			return tok, nil
		}
	}
}

// answer waits for the answer to the command in flight.
func (l *link) answer(ctx context.Context, p *line.Port, d time.Duration) (Answer, []byte, error) {
	end := time.Now().Add(d)
	for {
		tok, err := l.token(ctx, p, time.Until(end))
		if err != nil {
			return Answer{}, nil, err
		}
		switch tok.Kind {
		case BadFrame:
			l.dirty = true
			return Answer{}, nil, fmt.Errorf("damaged answer: %w", drivers.Garbage)
		case Frame:
			body := append([]byte(nil), tok.Body...)
			a, err := ParseAnswer(body)
			if err == nil && l.flight != nil && a.ID == l.flight.id {
				return a, body, nil
			}
		}
	}
}

// alive asks by ENQ whether the register is there. An answer that comes
// meanwhile is kept.
func (l *link) alive(ctx context.Context, p *line.Port) (bool, error) {
	for range l.t.enqs {
		if _, err := p.Write(ctx, []byte{ENQ}); err != nil {
			return false, err
		}
		end := time.Now().Add(l.t.enq)
		for {
			tok, err := l.token(ctx, p, time.Until(end))
			if errors.Is(err, intake.ErrSilence) {
				break
			}
			if err != nil {
				return false, err
			}
			switch {
			case tok.Kind == Control && tok.Byte == ACK:
				return true, nil
			case tok.Kind == Frame:
				body := append([]byte(nil), tok.Body...)
				if a, err := ParseAnswer(body); err == nil && l.flight != nil && a.ID == l.flight.id {
					l.flight.answer = body
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// listen reads until the line is silent.
func (l *link) listen(ctx context.Context, p *line.Port) error {
	for {
		_, err := l.token(ctx, p, l.t.quiet)
		if errors.Is(err, intake.ErrSilence) {
			l.dirty = false
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Send sends a command.
func (l *link) Send(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error) {
	l.flight = nil
	if l.dirty {
		if err := l.listen(ctx, p); err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrNotSent, err)
		}
	}
	var refusal byte
	for range l.t.sends {
		f := &flight{id: l.nextID()}
		frame, err := Request{Password: l.password, ID: f.id, Command: cmd[0], Fields: unpack(cmd)}.Encode()
		if err != nil {
			return nil, &drivers.Error{Code: drivers.BadData, Err: err}
		}
		l.flight = f
		if _, err := p.Write(ctx, frame); err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		a, body, err := l.wait(ctx, p, cmd[0])
		if err != nil {
			return nil, err
		}
		l.flight = nil
		if a.Error == errGap || a.Error == errCheck {
			refusal = a.Error // not understood: once more under a new identifier
			continue
		}
		return body, nil
	}
	return nil, fmt.Errorf("%w: the register understands no frame (error %02Xh): %w", once.ErrNotSent, refusal, drivers.Garbage)
}

// wait waits for the answer as long as the register shows life and the command
// may take.
func (l *link) wait(ctx context.Context, p *line.Port, cmd byte) (Answer, []byte, error) {
	end := time.Now().Add(l.t.long(cmd))
	for {
		a, body, err := l.answer(ctx, p, min(l.t.probe, time.Until(end)))
		switch {
		case err == nil:
			return a, body, nil
		case errors.Is(err, drivers.Garbage):
			// There was an answer and it cannot be read. It will not come again.
			l.flight = nil
			return a, nil, fmt.Errorf("%w: %w", drivers.Uncertain, err)
		case !errors.Is(err, intake.ErrSilence):
			return a, nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		l.dirty = true
		ok, err := l.alive(ctx, p)
		if err != nil {
			return a, nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		if body := l.flight.answer; body != nil {
			a, err := ParseAnswer(body)
			return a, body, err
		}
		if !ok {
			return a, nil, fmt.Errorf("%w: no reply to ENQ: %w", once.ErrInFlight, drivers.Silent)
		}
		if time.Now().After(end) {
			l.flight = nil
			return a, nil, fmt.Errorf("%w: %w", drivers.Uncertain, errNoTrace)
		}
	}
}

// Settle can only wait for the register to be back: it keeps no answers.
func (l *link) Settle(ctx context.Context, p *line.Port) ([]byte, error) {
	ok, err := l.alive(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
	}
	f := l.flight
	if f != nil && f.answer != nil {
		l.flight = nil
		return f.answer, nil
	}
	if !ok {
		return nil, fmt.Errorf("%w: %w", once.ErrInFlight, drivers.Silent)
	}
	l.flight = nil
	return nil, fmt.Errorf("%w: %w", drivers.Uncertain, errNoTrace)
}

// Start is called when the line is open again.
func (l *link) Start(ctx context.Context, p *line.Port) error {
	l.in.Buf, l.dirty = nil, true
	if l.flight != nil {
		l.flight.answer = nil
	}
	ok, err := l.alive(ctx, p)
	if err == nil && !ok {
		err = fmt.Errorf("no reply to ENQ: %w", drivers.Silent)
	}
	return err
}

// pack and unpack carry a command through the runner, which knows bytes only.
func pack(code byte, fields ...string) []byte {
	return append([]byte{code}, strings.Join(fields, string(rune(FS)))...)
}

// unpack: a command without fields is sent with one empty field, as the
// maker's sample does.
func unpack(cmd []byte) []string { return strings.Split(string(cmd[1:]), string(rune(FS))) }
