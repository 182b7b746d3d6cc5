package installer

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"golang.org/x/sys/windows/svc/eventlog"
)

// SystemLog is a handler that writes to the event log of Windows; nil when
// that cannot be opened. What a service prints nobody sees.
func SystemLog(o *slog.HandlerOptions) slog.Handler {
	l, err := eventlog.Open(Name)
	if err != nil {
		return nil
	}
	s := &eventSink{log: l}
	return &events{s, slog.NewTextHandler(&s.line, o)}
}

// eventSink is the event log and the line that is being made for it.
type eventSink struct {
	log  *eventlog.Log
	mu   sync.Mutex
	line bytes.Buffer
}

// events lets a text handler make the line and hands it on by its level.
type events struct {
	sink *eventSink
	text slog.Handler
}

func (e *events) Enabled(ctx context.Context, l slog.Level) bool { return e.text.Enabled(ctx, l) }

func (e *events) Handle(ctx context.Context, r slog.Record) error {
	e.sink.mu.Lock()
	defer e.sink.mu.Unlock()
	e.sink.line.Reset()
	if err := e.text.Handle(ctx, r); err != nil {
		return err
	}
	line := e.sink.line.String()
	switch {
	case r.Level >= slog.LevelError:
		return e.sink.log.Error(1, line)
	case r.Level >= slog.LevelWarn:
		return e.sink.log.Warning(1, line)
	}
	return e.sink.log.Info(1, line)
}

func (e *events) WithAttrs(a []slog.Attr) slog.Handler { return &events{e.sink, e.text.WithAttrs(a)} }
func (e *events) WithGroup(name string) slog.Handler   { return &events{e.sink, e.text.WithGroup(name)} }
