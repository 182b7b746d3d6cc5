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

// altLink is the alternative framing from the host's side. Requests are
// numbered; repeating a number asks for the last answer and carries out nothing.
type altLink struct {
	t      timing
	in     intake.Intake
	num    uint16 // of the last request the register has seen
	synced bool
	flight *flight
}

const altTries = 5

func (l *altLink) read(ctx context.Context, p *line.Port, d time.Duration) (AltFrame, error) {
	end := time.Now().Add(d)
	for {
		f, kind, n := NextAlt(l.in.Buf)
		switch {
		case n == 0:
			if err := l.in.More(ctx, p, end); errors.Is(err, intake.ErrTorn) {
				return AltFrame{}, intake.ErrSilence
			} else if err != nil {
				return AltFrame{}, err
			}
			continue
		case kind == BadFrame:
			l.in.Buf = nil
			return AltFrame{}, intake.ErrSilence
		}
		l.in.Buf = l.in.Buf[n:]
		if kind == Frame {
			return f, nil
		}
	}
}

// sync asks the register for its number.
func (l *altLink) sync(ctx context.Context, p *line.Port) error {
	ask, err := AltFrame{Sync: true}.Encode()
	if err != nil {
		return err
	}
	for try := range l.t.enqs {
		if _, err := p.Write(ctx, ask); err != nil {
			return err
		}
		for {
			f, err := l.read(ctx, p, l.t.enq)
			if errors.Is(err, intake.ErrSilence) {
				break
			}
			if err != nil {
				return err
			}
			if !f.Sync && len(f.Data) == 0 {
				l.num, l.synced = f.Num, true
				return nil
			}
		}
		if try+1 >= l.t.doubt && l.flight != nil {
			l.flight.doubt = true
		}
	}
	return fmt.Errorf("no reply to a synchronise request: %w", drivers.Silent)
}

// Send sends a command under the next number.
func (l *altLink) Send(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error) {
	l.flight = nil
	if len(cmd) > altMax {
		return nil, &drivers.Error{Code: drivers.BadData, Err: ErrTooLong}
	}
	if !l.synced {
		if err := l.sync(ctx, p); err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrNotSent, err)
		}
	}
	l.flight = &flight{cmd: cmd, num: l.num + 1}
	return l.exchange(ctx, p)
}

// exchange sends the command in flight under its number until its answer is
// here. Repeating is safe: the register knows the number.
func (l *altLink) exchange(ctx context.Context, p *line.Port) ([]byte, error) {
	f := l.flight
	frame, err := AltFrame{Num: f.num, Data: f.cmd}.Encode()
	if err != nil {
		return nil, &drivers.Error{Code: drivers.BadData, Err: err}
	}
	for range altTries {
		if _, err := p.Write(ctx, frame); err != nil {
			return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
		}
		end := time.Now().Add(l.t.answer(f.cmd))
		for time.Now().Before(end) {
			a, err := l.read(ctx, p, time.Until(end))
			if errors.Is(err, intake.ErrSilence) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
			}
			if a.Num == f.num && answers(a.Data, f.cmd) {
				l.num, l.flight = f.num, nil
				return a.Data, nil
			}
			// An answer of before: the register is elsewhere in its count. That
			// is found out by synchronising.
		}
		body, err := l.Settle(ctx, p)
		if err == nil || !errors.Is(err, once.ErrNotSent) {
			return body, err
		}
		// It never got it: the same number again, or the one that follows its own.
		f.num = l.num + 1
		l.flight = f
		if frame, err = (AltFrame{Num: f.num, Data: f.cmd}).Encode(); err != nil {
			return nil, &drivers.Error{Code: drivers.BadData, Err: err}
		}
	}
	l.flight = nil
	return nil, fmt.Errorf("%w: %w", once.ErrNotSent, intake.ErrSilence)
}

// Settle compares the register's number with that of the command in flight.
func (l *altLink) Settle(ctx context.Context, p *line.Port) ([]byte, error) {
	f := l.flight
	if f == nil {
		return nil, fmt.Errorf("%w: %w", drivers.Uncertain, errRestart)
	}
	if err := l.sync(ctx, p); err != nil {
		if errors.Is(err, drivers.Silent) {
			f.doubt = true
		}
		l.synced = false
		return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
	}
	switch {
	case l.num == f.num:
		// It has it. The same number again brings the answer.
		frame, err := AltFrame{Num: f.num, Data: f.cmd}.Encode()
		if err != nil {
			return nil, err
		}
		for range altTries {
			if _, err := p.Write(ctx, frame); err != nil {
				return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
			}
			a, err := l.read(ctx, p, l.t.answer(f.cmd))
			if errors.Is(err, intake.ErrSilence) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%w: %w", once.ErrInFlight, err)
			}
			if a.Num == f.num && answers(a.Data, f.cmd) {
				l.flight = nil
				return a.Data, nil
			}
		}
		return nil, fmt.Errorf("%w: %w", once.ErrInFlight, intake.ErrSilence)
	case l.num == f.num-1 && (!f.doubt || l.num != 0):
		// A register that was switched off counts from the beginning; one that
		// stands just before our number was not.
		l.flight = nil
		return nil, fmt.Errorf("%w: %w", once.ErrNotSent, intake.ErrSilence)
	}
	l.flight = nil
	return nil, fmt.Errorf("%w: %w", drivers.Uncertain, errRestart)
}

// Start is called when the line is open again.
func (l *altLink) Start(ctx context.Context, p *line.Port) error {
	l.in.Buf, l.synced = nil, false
	if l.flight != nil {
		l.flight.doubt = true
	}
	return l.sync(ctx, p)
}
