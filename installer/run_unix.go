//go:build !windows

package installer

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// RunService runs work until the service manager stops it. Under systemd that
// is a signal.
func RunService(work func(ctx context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := work(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
