package shtrih

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/internal/intake"
	"github.com/tillside/tillside/drivers/internal/once"
	"github.com/tillside/tillside/drivers/line"
)

// timing of the link. The values of the vendor's driver, stretched by the
// setting "patience".
type timing struct {
	enq     time.Duration // one ENQ waits so long for NAK or ACK
	quiet   time.Duration // after trouble the line is listened to until it is silent for so long
	probe   time.Duration // a late answer is asked for by ENQ after so long
	enqs    int           // tries of ENQ
	doubt   int           // so many unanswered ENQs and the register may have been off
	confirm time.Duration // ACK for our frame
	sends   int           // tries of a frame that gets NAK
	gap     time.Duration // between two bytes of a frame
	answer  func(cmd []byte) time.Duration
	poll    time.Duration // between two looks at a busy printer
}

func timingOf(percent int) timing {
	f := func(d time.Duration) time.Duration { return d * time.Duration(percent) / 100 }
	return timing{
		enq: f(500 * time.Millisecond), enqs: 10, doubt: 3,
		quiet: f(400 * time.Millisecond), probe: f(2 * time.Second),
		confirm: f(time.Second), sends: 10,
		gap:    f(300 * time.Millisecond),
		answer: func(cmd []byte) time.Duration { return f(answerTime(cmd)) },
		poll:   f(80 * time.Millisecond),
	}
}

// answerTime is how long the register may take for a command.
func answerTime(cmd []byte) time.Duration {
	switch cmd[0] {
	case cmdShortStatus, cmdFullStatus:
		return 3 * time.Second
	case cmdFont:
		return 5 * time.Second
	case cmdResetTables:
		return 60 * time.Second
	case cmdZReport:
		return 65 * time.Second
	case cmdOpenShift:
		return 120 * time.Second
	}
	return 30 * time.Second
}

// flight is a command that went out and whose fate is not known.
type flight struct {
	cmd    []byte
	acked  bool // the register confirmed the frame
	doubt  bool // the register may have been switched off since
	num    uint16
	answer []byte // found while the line was set up again
}

var errRestart = errors.New("the register was away and may have forgotten its answer")

// stdLink is the standard framing from the host's side.
type stdLink struct {
	t      timing
	in     intake.Intake
	dirty  bool // something may still come that answers what was given up
	flight *flight
}

// token reads the next token within d.
func (l *stdLink) token(ctx context.Context, p *line.Port, d time.Duration) (Token, error) {
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

func (l *stdLink) put(ctx context.Context, p *line.Port, b ...byte) error {
	_, err := p.Write(ctx, b)
	return err
}

// idle sends ENQ until the register is ready for a command. An answer that is
// still kept there is fetched on the way and given to the flight it belongs to.
//
// A NAK that comes late, for an ENQ given up already, must not be taken for the
// reply to a later frame: that frame would be sent twice. So after any wait in
// vain the line is listened to until it is silent, and only then asked again.
func (l *stdLink) idle(ctx context.Context, p *line.Port) error {
	wait := l.t.answer([]byte{cmdOther})
	if l.flight != nil {
		wait = l.t.answer(l.flight.cmd)
	}
	end := time.Now().Add(wait)
	for unanswered := 0; unanswered < l.t.enqs; {
		if l.dirty {
			if err := l.listen(ctx, p); err != nil {
				return err
			}
		}
		if err := l.put(ctx, p, ENQ); err != nil {
			return err
		}
		tok, err := l.control(ctx, p, l.t.enq)
		switch {
		case errors.Is(err, intake.ErrSilence):
			l.dirty = true
			if unanswered++; unanswered >= l.t.doubt && l.flight != nil {
				l.flight.doubt = true
			}
			continue
		case err != nil:
			return err
		case tok.Byte == NAK:
			return nil
		}
		// ACK: an answer is being made or kept.
		unanswered = 0
		body, err := l.frame(ctx, p, l.t.probe)
		switch {
		case errors.Is(err, intake.ErrSilence):
			if time.Now().After(end) {
				return fmt.Errorf("busy for %s: %w", wait, drivers.Silent)
			}
			continue
		case err != nil:
			return err
		}
		l.keep(body)
	}
	return fmt.Errorf("no reply to ENQ: %w", drivers.Silent)
}

// keep gives an answer to the flight it belongs to.
func (l *stdLink) keep(body []byte) {
	if f := l.flight; f != nil && f.answer == nil && answers(body, f.cmd) {
		f.answer = body
	}
}

// listen reads until the line is silent.
func (l *stdLink) listen(ctx context.Context, p *line.Port) error {
	for {
		tok, err := l.token(ctx, p, l.t.quiet)
		switch {
		case errors.Is(err, intake.ErrSilence):
			l.dirty = false
			return nil
		case err != nil:
			return err
		case tok.Kind == Frame:
			// Not acknowledged: the register gives it once more to the next ENQ.
			l.keep(append([]byte(nil), tok.Body...))
		}
	}
}

// control waits for ENQ's answer and skips what is not one: late frames are
// acknowledged by the rule that ENQ asks again.
func (l *stdLink) control(ctx context.Context, p *line.Port, d time.Duration) (Token, error) {
	end := time.Now().Add(d)
	for {
		tok, err := l.token(ctx, p, time.Until(end))
		if err != nil {
			return tok, err
		}
		if tok.Kind == Control && (tok.Byte == ACK || tok.Byte == NAK) {
			return tok, nil
		}
	}
}

// frame reads an answer frame and acknowledges it. A damaged one is refused;
// the register repeats it after ENQ, which is the caller's next step.
func (l *stdLink) frame(ctx context.Context, p *line.Port, d time.Duration) ([]byte, error) {
	end := time.Now().Add(d)
	for {
		tok, err := l.token(ctx, p, time.Until(end))
		if err != nil {
			l.dirty = true
			return nil, err
		}
		switch tok.Kind {
		case Frame:
			body := append([]byte(nil), tok.Body...)
			return body, l.put(ctx, p, ACK)
		case BadFrame:
			l.dirty = true
			if err := l.put(ctx, p, NAK); err != nil {
				return nil, err
			}
			return nil, intake.ErrSilence
		}
	}
}

// answers tells whether a body is the answer to a command. Two-byte commands
// are refused with one or both command bytes.
func answers(body, cmd []byte) bool {
	if len(body) < 2 || body[0] != cmd[0] {
		return false
	}
	if cmd[0] != twoByte {
		return true
	}
	return len(body) == 2 && len(cmd) > 1 || len(body) > 2 && body[1] == cmd[1]
}

// Send sends a command.
func (l *stdLink) Send(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error) {
	frame, err := Encode(cmd)
	if err != nil {
		return nil, &drivers.Error{Code: drivers.BadData, Err: err}
	}
	l.flight = nil
	if err := l.idle(ctx, p); err != nil {
		return nil, fmt.Errorf("%w: %w", once.ErrNotSent, err)
	}
	for range l.t.sends {
		p.Discard() // nothing the register says now can be meant for the frame below
		l.in.Buf = nil
		l.flight = &flight{cmd: cmd}
		if err := l.put(ctx, p, frame...); err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		tok, err := l.control(ctx, p, l.t.confirm)
		switch {
		case errors.Is(err, intake.ErrSilence):
			l.dirty = true
		case err != nil:
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		case tok.Byte == NAK:
			l.dirty = true // damaged on the way, or a NAK meant for something else
		default:
			l.flight.acked = true
			body, err := l.frame(ctx, p, min(l.t.probe, l.t.answer(cmd)))
			if body != nil && answers(body, cmd) { // even if our ACK could not be sent
				l.flight = nil
				return body, nil
			}
			if err != nil && !errors.Is(err, intake.ErrSilence) {
				return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
			}
		}
		answer, err := l.Settle(ctx, p)
		if err == nil || !errors.Is(err, once.ErrNotSent) {
			return answer, err
		}
	}
	l.flight = nil
	return nil, fmt.Errorf("%w: the register takes no frame: %w", once.ErrNotSent, drivers.Garbage)
}

// Settle asks by ENQ what became of the command in flight.
func (l *stdLink) Settle(ctx context.Context, p *line.Port) ([]byte, error) {
	f := l.flight
	if f == nil {
		return nil, fmt.Errorf("%w: %w", drivers.Uncertain, errRestart)
	}
	if f.answer == nil {
		if err := l.idle(ctx, p); err != nil {
			if errors.Is(err, drivers.Silent) {
				f.doubt = true
			}
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
	}
	l.flight = nil
	switch {
	case f.answer != nil:
		return f.answer, nil
	case f.acked, f.doubt:
		return nil, fmt.Errorf("%w: %w", drivers.Uncertain, errRestart)
	}
	return nil, fmt.Errorf("%w: %w", once.ErrNotSent, intake.ErrSilence)
}

// Start is called when the line is open again.
func (l *stdLink) Start(ctx context.Context, p *line.Port) error {
	l.in.Buf, l.dirty = nil, false
	if l.flight != nil {
		l.flight.doubt = true // who knows whether it was only the plug
	}
	return l.idle(ctx, p)
}
