package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/tillside/tillside/agent/update"
)

// What a program that was handed over to is told of the one that is installed.
const (
	envInstalled = "TILLSIDE_INSTALLED"         // its version
	envPath      = "TILLSIDE_INSTALLED_PROGRAM" // its path
)

var (
	errChooseAgain = errors.New("another program takes over")
	errEnded       = errors.New("the program on the shelf has ended")
)

// shelf is where newer programs of a data folder lie. chosen tells whether we
// are one of them.
func (p *program) shelf(data string) (s *update.Shelf, chosen bool) {
	installed := os.Getenv(envInstalled)
	if installed == "" {
		return &update.Shelf{Data: data, Installed: p.version}, false
	}
	return &update.Shelf{Data: data, Installed: installed}, true
}

// choose hands over to the program that the shelf names; it returns nil when
// that is this one. Trouble with the shelf is told, and this one runs: a till
// that sells with an old program is better than none.
func (p *program) choose(ctx context.Context, data string, log *slog.Logger) error {
	s, chosen := p.shelf(data)
	if chosen {
		return nil
	}
	for {
		path, err := s.Choose()
		if err != nil {
			log.Error("choose a program", "error", err)
			return nil
		}
		if path == "" {
			return nil
		}
		self, err := os.Executable()
		if err != nil {
			log.Error("choose a program", "error", err)
			return nil
		}
		log.Info("program from the shelf takes over", "file", path)
		err = handOver(ctx, path, append(os.Environ(), envInstalled+"="+p.version, envPath+"="+self))
		switch {
		case errors.Is(err, errChooseAgain):
			continue
		case errors.Is(err, errEnded):
			return err
		}
		// It could not even be started. That counts: the next choice may be
		// another one.
		log.Error("program from the shelf", "file", path, "error", err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if strings.Contains(err.Error(), "ended") {
			return err // the service manager starts us again
		}
	}
}

// restart lets the installed program choose again.
func (p *program) restart(ctx context.Context, data string, log *slog.Logger) error {
	installed := os.Getenv(envPath)
	if installed == "" {
		return p.choose(ctx, data, log)
	}
	if isChild {
		return &exit{code: exitRestart, err: errChooseAgain, quiet: true}
	}
	env := os.Environ()[:0:0]
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, envInstalled+"=") && !strings.HasPrefix(v, envPath+"=") {
			env = append(env, v)
		}
	}
	return handOver(ctx, installed, env)
}

// isChild is set in a program that waits for the end of its standard input.
var isChild bool
