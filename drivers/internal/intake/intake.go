// Package intake collects the bytes of frames that come with gaps: it tells
// "nothing came" from "a frame began and stopped" from "the line is gone".
package intake

import (
	"context"
	"errors"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

var (
	// ErrSilence: nothing came in time.
	ErrSilence = errors.New("no answer")
	// ErrTorn: a frame began and the rest did not come; its bytes are thrown away.
	ErrTorn = errors.New("a frame stopped in the middle")
)

// Intake holds the bytes that are not used yet. The user takes them off Buf.
type Intake struct {
	Buf []byte
	// Gap is the most time between two bytes of a frame.
	Gap time.Duration
}

// More waits for at least one more byte, until end when nothing has begun, for
// a gap when something has. Other errors than the two above mean that the line
// is gone or the context has ended.
func (i *Intake) More(ctx context.Context, p *line.Port, end time.Time) error {
	wait := time.Until(end)
	if len(i.Buf) > 0 {
		wait = i.Gap
	}
	if wait <= 0 {
		return ErrSilence
	}
	b, err := p.Next(ctx, wait)
	if err == nil {
		more, _ := p.Take()
		i.Buf = append(append(i.Buf, b), more...)
		return nil
	}
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || p.Err() != nil {
		return err
	}
	if len(i.Buf) > 0 {
		i.Buf = nil
		return ErrTorn
	}
	return ErrSilence
}
