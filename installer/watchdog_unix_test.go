//go:build !windows

package installer

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestWatchdogOnlyWhileAlive plays the service manager: signs of life come
// while the program can work, none come when it cannot, and none when the
// watchdog is another process's.
func TestWatchdogOnlyWhileAlive(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))

	heard := make(chan string)
	go func() {
		b := make([]byte, 100)
		for {
			n, err := l.Read(b)
			if err != nil {
				close(heard)
				return
			}
			heard <- string(b[:n])
		}
	}()

	// The third question and all after it find the program dead.
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan int, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n := 0
		Watchdog(ctx, func(context.Context) error {
			n++
			asked <- n
			if n >= 3 {
				return errors.New("stuck")
			}
			return nil
		})
	}()
	for range 2 {
		if got := <-heard; got != "WATCHDOG=1" {
			t.Errorf("heard %q", got)
		}
	}
	for n := range asked {
		if n == 6 { // three questions after the first bad answer
			break
		}
	}
	select {
	case got := <-heard:
		t.Errorf("heard %q of a program that is stuck", got)
	default:
	}
	cancel()
	<-done

	t.Setenv("WATCHDOG_PID", "1")
	if watchdogPeriod() != 0 {
		t.Error("took the watchdog of another process")
	}
	t.Setenv("WATCHDOG_PID", "")
	if watchdogPeriod() != 30*time.Millisecond {
		t.Error("a watchdog without a process id is ours")
	}
	Ready()
	if got := <-heard; got != "READY=1" {
		t.Errorf("heard %q", got)
	}
}
