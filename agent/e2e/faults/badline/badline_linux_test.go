package badline_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/faults/badline"
)

// echo answers every line at B with the same line.
func echo(t *testing.T, l *badline.Line) string {
	t.Helper()
	ln, err := l.B.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func TestLine(t *testing.T) {
	l, err := badline.New(1)
	if errors.Is(err, badline.ErrNotHere) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := echo(t, l)
	dial := func() net.Conn {
		c, err := l.A.Dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	say := func(c net.Conn, wait time.Duration) error {
		_ = c.SetDeadline(time.Now().Add(wait))
		if _, err := fmt.Fprintln(c, "hello"); err != nil {
			return err
		}
		_, err := bufio.NewReader(c).ReadString('\n')
		return err
	}
	c := dial()
	defer c.Close()
	if err := say(c, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.Set(badline.Quality{Delay: 200 * time.Millisecond}, badline.Quality{Delay: 200 * time.Millisecond})
	began := time.Now()
	if err := say(c, 10*time.Second); err != nil || time.Since(began) < 400*time.Millisecond {
		t.Errorf("%v after %s over 400 ms of latency", err, time.Since(began))
	}
	l.Set(badline.Quality{Loss: 0.3}, badline.Quality{Loss: 0.3})
	for range 5 {
		if err := say(c, 30*time.Second); err != nil {
			t.Errorf("TCP does not get over 30 %% loss: %v", err)
		}
	}
	l.Set(badline.Quality{}, badline.Quality{Mute: true})
	if err := say(c, 500*time.Millisecond); err == nil {
		t.Error("an answer over a mute line")
	}
	l.Set(badline.Quality{}, badline.Quality{})
	l.Forget()
	if err := say(c, 500*time.Millisecond); err == nil {
		t.Error("an answer on a forgotten connection")
	}
	again := dial()
	defer again.Close()
	if err := say(again, 10*time.Second); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	if l.Packets.Load() == 0 || l.Dropped.Load() == 0 {
		t.Errorf("%d packets, %d dropped", l.Packets.Load(), l.Dropped.Load())
	}
}
