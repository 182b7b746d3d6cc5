package rungroup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestFirstEndStopsAll(t *testing.T) {
	boom := errors.New("boom")
	var g Group
	stopped := false
	g.Add("worker", func(ctx context.Context) error { defer func() { stopped = true }(); return wait(ctx) })
	g.Add("fails", func(context.Context) error { return boom })
	err := g.Run(t.Context())
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "fails") || !stopped {
		t.Errorf("err = %v, worker stopped: %v", err, stopped)
	}
}

func TestOrderlyStopIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var g Group
	g.Add("a", wait)
	g.Add("b", func(ctx context.Context) error { <-ctx.Done(); return nil })
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	var g Group
	g.Add("other", wait)
	g.Add("fragile", func(context.Context) error { panic("dropped it") })
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "dropped it") {
		t.Errorf("err = %v", err)
	}
}

func TestWhoHoldsUpTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		g := Group{Patience: 3 * time.Second}
		g.Add("quick", wait)
		g.Add("stuck", func(context.Context) error { <-release; return nil })
		cancel()
		start := time.Now()
		err := g.Run(ctx)
		if !errors.Is(err, ErrHung) || !strings.Contains(err.Error(), "stuck") || strings.Contains(err.Error(), "quick") {
			t.Errorf("err = %v", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("waited %v", d)
		}
		close(release)
	})
}
