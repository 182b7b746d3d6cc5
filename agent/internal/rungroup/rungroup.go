// Package rungroup runs the parts of a program together and stops them
// together.
//
// An actor is a name and two functions: Run works until it is done or told to
// stop, Stop tells it. The first actor to end, for whatever reason, stops all
// others; Run of the group returns when all have ended or the patience is
// over, and then the error names who is still holding up the stop. A panic in
// one actor is an orderly stop of the others with the panic as error, because
// a half-dead agent beside a till is worse than one that starts again.
package rungroup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sort"
	"strings"
	"time"
)

// ErrHung is wrapped by Run's error when actors did not end in time.
var ErrHung = errors.New("did not stop in time")

// Actor is one part of the program. Run blocks until its context is done or
// it fails; it must not return while goroutines of its own still run.
type Actor struct {
	Name string
	Run  func(ctx context.Context) error
}

// Group is a set of actors. The zero value is ready; it may be run once.
type Group struct {
	// Log gets one line for each actor that ends and for those that hang.
	Log *slog.Logger
	// Patience is how long the actors have to end after the stop; zero means
	// ten seconds.
	Patience time.Duration
	actors   []Actor
}

// Add puts an actor into the group. Not to be called after Run.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.actors = append(g.actors, Actor{name, run})
}

type ended struct {
	name string
	err  error
}

// Run starts every actor and returns when all have ended: nil after an
// orderly stop by ctx, otherwise the error of the first that ended. The error
// wraps ErrHung when some did not end within Patience.
func (g *Group) Run(ctx context.Context) error {
	log := g.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	patience := g.Patience
	if patience == 0 {
		patience = 10 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	running := map[string]bool{}
	ends := make(chan ended, len(g.actors))
	for _, a := range g.actors {
		running[a.Name] = true
		go func() { ends <- ended{a.Name, protect(ctx, a)} }()
	}

	var first error
	var deadline <-chan time.Time
	stopping := ctx.Done()
	for len(running) > 0 {
		select {
		case <-stopping:
			stopping = nil
			t := time.NewTimer(patience)
			defer t.Stop()
			deadline = t.C
		case e := <-ends:
			delete(running, e.name)
			stopped := ctx.Err() != nil
			if e.err != nil && !(stopped && errors.Is(e.err, context.Canceled)) {
				log.Error("part ended", "part", e.name, "error", e.err)
				if first == nil {
					first = fmt.Errorf("%s: %w", e.name, e.err)
				}
			} else if !stopped {
				log.Warn("part ended by itself", "part", e.name)
			}
			cancel()
		case <-deadline:
			names := make([]string, 0, len(running))
			for n := range running {
				names = append(names, n)
			}
			sort.Strings(names)
			log.Error("parts hold up the stop", "parts", names)
			return errors.Join(first, fmt.Errorf("%s: %w", strings.Join(names, ", "), ErrHung))
		}
	}
	return first
}

// protect turns a panic into an error with its stack.
func protect(ctx context.Context, a Actor) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return a.Run(ctx)
}
