package intake

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

func TestMore(t *testing.T) {
	ours, theirs := net.Pipe()
	p := line.NewPort("test", ours, line.Settings{})
	defer p.Close()
	ctx := context.Background()
	in := &Intake{Gap: 10 * time.Millisecond}
	if err := in.More(ctx, p, time.Now().Add(5*time.Millisecond)); !errors.Is(err, ErrSilence) {
		t.Errorf("nothing sent: %v", err)
	}
	theirs.Write([]byte{1})
	if err := in.More(ctx, p, time.Now().Add(time.Minute)); err != nil || len(in.Buf) != 1 {
		t.Errorf("a byte: % X, %v", in.Buf, err)
	}
	if err := in.More(ctx, p, time.Now().Add(time.Minute)); !errors.Is(err, ErrTorn) || in.Buf != nil {
		t.Errorf("a frame that stops: % X, %v", in.Buf, err)
	}
	if err := in.More(ctx, p, time.Now().Add(-time.Second)); !errors.Is(err, ErrSilence) {
		t.Errorf("no time left: %v", err)
	}
	theirs.Close()
	if err := in.More(ctx, p, time.Now().Add(time.Minute)); err == nil || errors.Is(err, ErrSilence) || errors.Is(err, ErrTorn) {
		t.Errorf("line gone: %v", err)
	}
}
