package line_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/line/linetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseAddress(t *testing.T) {
	good := map[string]line.Address{
		"COM12":                 {Kind: line.Serial, Name: "COM12"},
		"/dev/ttyUSB0":          {Kind: line.Serial, Name: "/dev/ttyUSB0"},
		"tcp:127.0.0.1:9100":    {Kind: line.TCP, Name: "127.0.0.1:9100"},
		"tcp://printer:9100":    {Kind: line.TCP, Name: "printer:9100"},
		"usb:04B8:0202":         {Kind: line.USB, Name: "usb:04B8:0202", VID: "04b8", PID: "0202"},
		"usb:04b8:0202:J5 F:1":  {Kind: line.USB, Name: "usb:04b8:0202:J5 F:1", VID: "04b8", PID: "0202", SerialNumber: "J5 F:1"},
		"file:/dev/usb/lp0":     {Kind: line.File, Name: "/dev/usb/lp0"},
		"/dev/serial/by-id/a:b": {Kind: line.Serial, Name: "/dev/serial/by-id/a:b"},
	}
	for in, want := range good {
		if got, err := line.ParseAddress(in); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "tcp:host", "tcp::1", "tcp:h:0", "tcp:h:70000", "usb:1", "usb:12345:1", "file:x", "a\nb"} {
		if _, err := line.ParseAddress(in); !errors.Is(err, line.ErrSettings) {
			t.Errorf("%q: got %v", in, err)
		}
	}
}

func TestSettingsTellAllProblems(t *testing.T) {
	err := line.Settings{Baud: -1, DataBits: 5, Parity: "evan", StopBits: 3, DTR: "up", Chunk: -1}.Check()
	for _, want := range []string{"baud", "data_bits", "evan", "stop_bits", "dtr", "chunk"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func open(t *testing.T, pipe *linetest.Pipe, set line.Settings) *line.Port {
	t.Helper()
	p, err := line.OpenPort(t.Context(), pipe.Open, "mem", set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestBytesGoBothWays(t *testing.T) {
	for _, bytewise := range []bool{false, true} {
		pipe := linetest.New()
		p := open(t, pipe, line.Settings{Chunk: 7, ByteReads: bytewise})
		want := bytes.Repeat([]byte("0123456789"), 1000)
		got := make(chan []byte, 1)
		go func() {
			b := make([]byte, len(want))
			io.ReadFull(pipe.Device(), b)
			got <- b
		}()
		if n, err := p.Write(t.Context(), want); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		if !bytes.Equal(<-got, want) {
			t.Error("bytes changed on the way to the device")
		}
		go pipe.Device().Write(want)
		b, back := make([]byte, 100), []byte{}
		for len(back) < len(want) {
			n, err := p.Read(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			back = append(back, b[:n]...)
		}
		if !bytes.Equal(back, want) {
			t.Error("bytes changed on the way to the host")
		}
	}
}

func TestUnplugIsSeenWhileIdle(t *testing.T) {
	pipe := linetest.New()
	p := open(t, pipe, line.Settings{})
	pipe.Device().Write([]byte("last"))
	for p.Err() == nil { // the bytes are in when a read of them would not wait
		if b, _ := p.Take(); string(b) == "last" {
			break
		}
	}
	pipe.Unplug()
	<-p.Done()
	if !errors.Is(p.Err(), line.ErrUnplugged) {
		t.Errorf("got %v", p.Err())
	}
	if _, err := p.Write(t.Context(), []byte("x")); !errors.Is(err, line.ErrUnplugged) {
		t.Errorf("write: got %v", err)
	}
	if _, err := p.Read(t.Context(), make([]byte, 1)); !errors.Is(err, line.ErrUnplugged) {
		t.Errorf("read: got %v", err)
	}
}

func TestOwnCloseIsNotUnplug(t *testing.T) {
	pipe := linetest.New()
	p := open(t, pipe, line.Settings{})
	p.Close()
	if !errors.Is(p.Err(), line.ErrClosed) || errors.Is(p.Err(), line.ErrUnplugged) {
		t.Errorf("got %v", p.Err())
	}
}

func TestWedgedPortIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		raw, _ := pipe.Open(t.Context(), "mem", line.Settings{})
		p := line.NewPort("mem", raw, line.Settings{Chunk: 16, StallMS: 1000})
		before := line.Abandoned()
		pipe.Wedge(true)
		start := time.Now()
		_, err := p.Write(t.Context(), make([]byte, 100))
		if !errors.Is(err, line.ErrWedged) {
			t.Fatalf("got %v", err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("noticed after %s", d)
		}
		if line.Abandoned() != before+1 {
			t.Error("the abandoned port is not counted")
		}
		start = time.Now()
		p.Close() // must not wait for the stuck write
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("close took %s", d)
		}
		pipe.Unplug() // frees the goroutine so that the test can end
	})
}

func TestSlowIsNotWedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		raw, _ := pipe.Open(t.Context(), "mem", line.Settings{})
		p := line.NewPort("mem", raw, line.Settings{Chunk: 512, StallMS: 1000})
		done := make(chan struct{})
		go func() { // 512 bytes in 800 ms
			defer close(done)
			b := make([]byte, 512)
			for {
				if _, err := io.ReadFull(pipe.Device(), b); err != nil {
					return
				}
				time.Sleep(800 * time.Millisecond)
			}
		}()
		if n, err := p.Write(t.Context(), make([]byte, 20<<10)); err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		p.Close()
		pipe.Unplug()
		<-done
	})
}

func TestContextEndsAWriteBetweenChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		raw, _ := pipe.Open(t.Context(), "mem", line.Settings{})
		p := line.NewPort("mem", raw, line.Settings{Chunk: 10, PaceMS: 100})
		go io.Copy(io.Discard, pipe.Device())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n, err := p.Write(ctx, make([]byte, 1000))
		if !errors.Is(err, context.DeadlineExceeded) || n == 0 || n == 1000 || p.Err() != nil {
			t.Errorf("%d bytes, %v, port %v", n, err, p.Err())
		}
		if _, err := p.Write(t.Context(), []byte("next")); err != nil {
			t.Errorf("the line must live on: %v", err)
		}
		p.Close()
		pipe.Unplug()
	})
}

func TestOpenErrorsAreOurs(t *testing.T) {
	for address, want := range map[string]error{
		t.TempDir() + "/none": line.ErrAbsent, "tcp:127.0.0.1:1": line.ErrAbsent, "tcp:x": line.ErrSettings,
		"usb:ffff:fffe": line.ErrAbsent,
	} {
		if _, err := line.Open(t.Context(), address, line.Settings{}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", address, err, want)
		}
	}
}
