//go:build !windows

package installer

import (
	"context"
	"errors"
	"net"
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

// Ready tells the service manager that the service works. Without one it does
// nothing.
func Ready() {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if name[0] == '@' { // an abstract socket
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte("READY=1"))
}
