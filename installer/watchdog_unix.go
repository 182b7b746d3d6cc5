//go:build !windows

package installer

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// notify tells the service manager one thing. Without one it does nothing.
func notify(state string) {
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
	_, _ = c.Write([]byte(state))
}

// Ready tells the service manager that the service works.
func Ready() { notify("READY=1") }

// watchdogPeriod is how often the service manager wants a sign of life; 0 when
// it wants none of this process.
func watchdogPeriod() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// Watchdog gives the service manager its signs of life until ctx is done:
// three in each period, and each only after alive has found the program able
// to work. When alive fails or hangs there is none, and the manager kills the
// program and starts it again. Without a watchdog it returns at once.
func Watchdog(ctx context.Context, alive func(ctx context.Context) error) {
	period := watchdogPeriod()
	if period == 0 {
		return
	}
	tick := time.NewTicker(period / 3)
	defer tick.Stop()
	for {
		ask, cancel := context.WithTimeout(ctx, period/3)
		if alive(ask) == nil {
			notify("WATCHDOG=1")
		}
		cancel()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
