package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/installer"
	"github.com/tillside/tillside/sync/boltfile"
)

func (p *program) runCmd() *cobra.Command {
	var listen string
	var asService, child bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Work beside the till until stopped",
		Long: `Run works until it gets a stop signal (Ctrl+C, SIGTERM). The first signal
finishes the calls in flight and sends what it can; a second one leaves at
once. Whatever was answered before is on disk either way.

The address it listens on is printed, and written to the file "address" in
the data folder.`,
		Example: "  tillside run\n  tillside run --data /tmp/till1 --listen 127.0.0.1:0",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, file, err := p.settings()
			if err != nil {
				return err
			}
			if listen != "" {
				s.API.Listen = listen
			}
			log, closer := p.logger(s, asService)
			defer closer.Close()
			if file != "" {
				log.Info("settings", "file", file)
			}
			if asService && !child {
				return installer.RunService(func(ctx context.Context) error { return p.work(ctx, s, log) })
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if isChild = child; child {
				go func() { _, _ = io.Copy(io.Discard, p.in); stop() }()
			}
			done := make(chan error, 1)
			go func() { done <- p.work(ctx, s, log) }()
			select {
			case err := <-done:
				return err
			case <-ctx.Done():
			}
			// The first signal was taken; the second one leaves now.
			again := make(chan os.Signal, 1)
			signal.Notify(again, os.Interrupt, syscall.SIGTERM)
			defer signal.Stop(again)
			select {
			case err := <-done:
				return err
			case <-again:
				return &exit{code: exitForced, err: errors.New("stopped by a second signal; what was answered is on disk")}
			}
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address instead of the settings' (port 0 takes a free one)")
	cmd.Flags().BoolVar(&asService, "service", false, "run under the system's service manager")
	cmd.Flags().BoolVar(&child, "child", false, "stop when standard input ends")
	_ = cmd.Flags().MarkHidden("service")
	_ = cmd.Flags().MarkHidden("child")
	return cmd
}

// work runs the agent: the program that the shelf names, and once more as a
// till when it was enrolled meanwhile.
func (p *program) work(ctx context.Context, s *configs.Agent, log *slog.Logger) error {
	if err := p.choose(ctx, s.Data, log); err != nil {
		return err
	}
	for {
		err := p.workOnce(ctx, s, log)
		switch {
		case errors.Is(err, agent.ErrRestart) && ctx.Err() == nil:
			if err := p.restart(ctx, s.Data, log); err != nil {
				return err
			}
		case errors.Is(err, agent.ErrEnrolled) && ctx.Err() == nil:
		default:
			return err
		}
	}
}

// workOnce opens, runs and closes one agent.
func (p *program) workOnce(ctx context.Context, s *configs.Agent, log *slog.Logger) error {
	// A till's working set is a few megabytes and its memory belongs to the
	// cash software: collect early, keep a soft ceiling.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(96 << 20)
	shelf, _ := p.shelf(s.Data)
	a, err := agent.Open(agent.Options{Settings: *s, Version: p.version, Log: log, Check: checkInChild, Shelf: shelf, Built: built()})
	if err != nil {
		return err
	}
	if a.Addr().Network() == "tcp" {
		fmt.Fprintf(p.out, "listening on http://%s\n", a.Addr())
	} else {
		fmt.Fprintf(p.out, "listening on %s\n", a.Addr())
	}
	installer.Ready()
	watched, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	go installer.Watchdog(watched, a.Alive)
	err = a.Run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	if e := a.Close(); err == nil {
		err = e
	}
	return err
}

// checkInChild examines a store file in a process of its own: a very damaged
// file can end the process that reads it.
func checkInChild(path string) error {
	self, err := os.Executable()
	if err != nil {
		return nil // the check is a precaution, not a condition
	}
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "outbox", "check-file", path)
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	var code *exec.ExitError
	switch {
	case err == nil, ctx.Err() != nil: // a very large file: go on without
		return nil
	case errors.As(err, &code):
		return fmt.Errorf("%w: %s", boltfile.ErrDamaged, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// logger makes the log of the settings: on standard error, or in the system's
// log where nobody sees that, and in a rotated file where one is named.
func (p *program) logger(s *configs.Agent, asService bool) (*slog.Logger, io.Closer) {
	var w io.Writer = p.err
	var closer io.Closer = io.NopCloser(nil)
	if s.Log.File != "" {
		f := &rotated{path: s.Log.File, max: int64(s.Log.MaxMB) << 20, keep: s.Log.Keep}
		w, closer = io.MultiWriter(p.err, f), f
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Log.Level)) // checked with the settings
	o := &slog.HandlerOptions{Level: level}
	if asService {
		if system := installer.SystemLog(o); system != nil {
			if s.Log.File == "" {
				return slog.New(system), closer
			}
			return slog.New(slog.NewMultiHandler(system, slog.NewTextHandler(w, o))), closer
		}
	}
	if s.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), closer
	}
	return slog.New(slog.NewTextHandler(w, o)), closer
}

// built is when the source of this program was committed; zero when the build
// did not note it.
func built() (at time.Time) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return at
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			at, _ = time.Parse(time.RFC3339, s.Value) // zero is right when it cannot be read
		}
	}
	return at
}
