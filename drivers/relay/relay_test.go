package relay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// device is a printer on TCP that writes down what comes and may answer.
type device struct {
	t  *testing.T
	l  net.Listener
	mu sync.Mutex
	b  bytes.Buffer
	c  net.Conn
	// answer, when there is one, is asked at each arrival with all that came.
	answer func(new []byte) []byte
	wg     sync.WaitGroup
}

func newDevice(t *testing.T, answer func([]byte) []byte) *device {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, l: l, answer: answer}
	d.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.c = c
			d.mu.Unlock()
			d.wg.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); d.unplug(); d.wg.Wait() })
	return d
}

func (d *device) serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		d.mu.Lock()
		d.b.Write(buf[:n])
		d.mu.Unlock()
		if d.answer != nil && n > 0 {
			if a := d.answer(buf[:n]); len(a) > 0 {
				c.Write(a)
			}
		}
		if err != nil {
			return
		}
	}
}

func (d *device) unplug() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.c != nil {
		d.c.Close()
	}
}

func (d *device) got() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.b.Bytes())
}

func (d *device) say(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c.Write(b)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not seen", what)
		}
	}
}

// rig is a relay between a TCP till and a device, with a door.
type rig struct {
	*Relay
	t      *testing.T
	dev    *device
	folder string
	stop   func()
}

func newRig(t *testing.T, dev *device, change func(*Config)) *rig {
	t.Helper()
	g := &rig{t: t, dev: dev, folder: t.TempDir()}
	l, secret, err := Door(g.folder)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Till: "tcp:127.0.0.1:0", Printer: "tcp:" + dev.l.Addr().String(), Attach: l, Secret: secret, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&c)
	}
	if g.Relay, err = New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, nil) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	until(t, "the till's side", func() bool { return !strings.HasSuffix(g.Address(), ":0") })
	return g
}

func (g *rig) dial() net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.Address(), "tcp:"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

func (g *rig) attach() *Client {
	g.t.Helper()
	c, err := Find(context.Background(), g.folder)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	if n, err := c.Next(); err != nil || !n.Hello {
		g.t.Fatalf("no hello: %+v %v", n, err)
	}
	return c
}

// agents are the ways an agent can be; each must leave the stream as it is.
var agents = map[string]func(c *Client, rng *rand.Rand){
	"lets go":      func(c *Client, _ *rand.Rand) { answer(c, func(at uint64) { c.Go(at) }) },
	"says nothing": func(c *Client, _ *rand.Rand) { answer(c, func(uint64) {}) },
	"reads nothing": func(c *Client, _ *rand.Rand) {
		c.Want([]Pattern{{Bytes: []byte{1}}, {Bytes: []byte{2, 3}}})
	},
	"speaks of another place": func(c *Client, _ *rand.Rand) {
		answer(c, func(at uint64) { c.Insert(at+1, &Script{Steps: []Step{{Send: []byte("wrong")}}}) })
	},
	"sends nonsense": func(c *Client, rng *rand.Rand) {
		answer(c, func(uint64) {
			b := make([]byte, 5+rng.IntN(20))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			c.say(b)
		})
	},
	"goes when asked": func(c *Client, _ *rand.Rand) { answer(c, func(uint64) { c.Close() }) },
	"inserts nothing": func(c *Client, _ *rand.Rand) { answer(c, func(at uint64) { c.Insert(at, &Script{}) }) },
}

func answer(c *Client, held func(at uint64)) {
	c.Want([]Pattern{{Bytes: []byte{1}}, {Bytes: []byte{2, 3}}, {Bytes: []byte{4, 0, 5}, Mask: []byte{255, 0, 255}}})
	for {
		n, err := c.Next()
		if err != nil {
			return
		}
		if n.Held != nil {
			held(*n.Held)
		}
	}
}

// TestEveryByteArrivesWhateverTheAgentDoes sends random streams, in random
// pieces, past agents of every kind.
func TestEveryByteArrivesWhateverTheAgentDoes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, agent := range agents {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(len(name))))
			g := newRig(t, newDevice(t, nil), nil)
			c := g.attach()
			var wg sync.WaitGroup
			wg.Go(func() { agent(c, rand.New(rand.NewPCG(seed, 7))) })
			till := g.dial()
			var sent []byte
			for range 40 {
				b := make([]byte, 1+rng.IntN(60))
				for i := range b {
					b[i] = byte(rng.IntN(8)) // patterns and their beginnings abound
				}
				if rng.IntN(10) == 0 {
					b = bytes.Repeat([]byte{9}, 5000)
				}
				sent = append(sent, b...)
				if _, err := till.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "all bytes", func() bool { return len(g.dev.got()) >= len(sent) })
			if !bytes.Equal(g.dev.got(), sent) {
				t.Errorf("%d bytes came otherwise than the %d that were sent", len(g.dev.got()), len(sent))
			}
			if lost := g.State().Lost; lost != 0 {
				t.Errorf("%d bytes lost", lost)
			}
			c.Close()
			wg.Wait()
		})
	}
}

// TestWithoutAnAgent is the bare carrier.
func TestWithoutAnAgent(t *testing.T) {
	dev := newDevice(t, func(b []byte) []byte { return bytes.ToUpper(b) })
	g := newRig(t, dev, func(c *Config) { c.Attach.Close(); c.Attach = nil })
	till := g.dial()
	fmt.Fprint(till, "hello")
	b := make([]byte, 5)
	if _, err := till.Read(b); err != nil || string(b) != "HELLO" {
		t.Errorf("%q %v", b, err)
	}
}

// TestScriptGoesInBetween: exactly the script's bytes, exactly before the held
// command; its answers stay here, the till's own come through.
func TestScriptGoesInBetween(t *testing.T) {
	dev := newDevice(t, func(b []byte) []byte {
		var out []byte
		for _, c := range b {
			if c >= 'a' && c <= 'z' {
				out = append(out, '<', c, '>')
			}
		}
		return out
	})
	g := newRig(t, dev, nil)
	c := g.attach()
	done := make(chan Done, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		c.Want([]Pattern{{Bytes: []byte("E")}})
		for {
			n, err := c.Next()
			if err != nil {
				return
			}
			switch {
			case n.Held != nil:
				step := func(s string) Step {
					return Step{Send: []byte(s), Take: &Answer{Start: Pattern{Bytes: []byte("<")}, Until: '>'}, Want: &Pattern{Bytes: []byte("<" + s)}}
				}
				c.Insert(*n.Held, &Script{Steps: []Step{step("p"), step("q")}})
			case n.Done != nil:
				done <- *n.Done
			}
		}
	})
	till := g.dial()
	until(t, "the wish", g.Asking)
	fmt.Fprint(till, "ab")
	until(t, "the first answers", func() bool { return len(dev.got()) == 2 })
	fmt.Fprint(till, "Exy")
	until(t, "the rest", func() bool { return len(dev.got()) == 7 })
	if got := string(dev.got()); got != "abpqExy" {
		t.Errorf("printer got %q", got)
	}
	if d := <-done; !d.OK || d.Steps != 2 || d.At != 2 {
		t.Errorf("done: %+v", d)
	}
	want := "<a><b><x><y>"
	got := make([]byte, len(want))
	till.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(till, got); err != nil || string(got) != want {
		t.Errorf("till was shown %q %v", got, err)
	}
	c.Close()
	wg.Wait()
}

// TestOwedAnswersAreKept: answers that come late, between the till's own.
func TestOwedAnswersAreKept(t *testing.T) {
	dev := newDevice(t, nil)
	g := newRig(t, dev, nil)
	till := g.dial()
	fmt.Fprint(till, ".")
	until(t, "a byte", func() bool { return len(dev.got()) == 1 })
	g.back.begin(&Script{Owed: []Answer{
		{Start: Pattern{Bytes: []byte("<our1")}, Until: '>'}, {Start: Pattern{Bytes: []byte("<our2")}, Until: '>'}}})
	for _, s := range []string{"<a><ou", "r1 x>", "<out>", "<our2>", "<our1>", "<b>", "<ou"} {
		dev.say([]byte(s))
	}
	want := "<a><out><our1><b><ou" // the second <our1> is nobody's but the till's
	got := make([]byte, len(want))
	till.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.ReadFull(till, got); err != nil {
		t.Fatalf("%q %v", got[:n], err)
	}
	if string(got) != want {
		t.Errorf("till was shown %q", got)
	}
}

// TestPassFirst puts lines behind a command.
func TestPassFirst(t *testing.T) {
	g := newRig(t, newDevice(t, nil), nil)
	c := g.attach()
	go answerOnce(c, []Pattern{{Bytes: []byte("end")}}, func(at uint64) {
		if at == 4 {
			c.Pass(at, ';')
			return
		}
		c.Insert(at, &Script{Steps: []Step{{Send: []byte("[lines]")}}})
	})
	till := g.dial()
	until(t, "the wish", g.Asking)
	for _, s := range []string{"abc;en", "d 1", "2;next;"} {
		fmt.Fprint(till, s)
	}
	want := "abc;end 12;[lines]next;"
	until(t, "all", func() bool { return len(g.dev.got()) >= len(want) })
	if got := string(g.dev.got()); got != want {
		t.Errorf("%q", got)
	}
}

func answerOnce(c *Client, want []Pattern, held func(at uint64)) {
	c.Want(want)
	for {
		n, err := c.Next()
		if err != nil {
			return
		}
		if n.Held != nil {
			held(*n.Held)
		}
	}
}

// TestEarlyAnswer: the till is answered at once, and not again by the printer.
func TestEarlyAnswer(t *testing.T) {
	dev := newDevice(t, func(b []byte) []byte {
		if bytes.Contains(b, []byte("E")) {
			return []byte("+done")
		}
		return nil
	})
	g := newRig(t, dev, nil)
	c := g.attach()
	go answerOnce(c, []Pattern{{Bytes: []byte("E")}}, func(at uint64) {
		c.Early(at, Early{Say: []byte("+"), Skip: []byte("+")})
		c.Go(at)
	})
	till := g.dial()
	until(t, "the wish", g.Asking)
	fmt.Fprint(till, "E")
	got := make([]byte, 5)
	till.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.ReadFull(till, got); err != nil {
		t.Fatalf("%q %v", got[:n], err)
	}
	if string(got) != "+done" {
		t.Errorf("till was shown %q", got)
	}
}

// TestUnfinishedScriptLetsGo: a printer that does not answer the agent's
// command keeps the till's no longer than the step may wait, and its late
// answer is not the till's.
func TestUnfinishedScriptLetsGo(t *testing.T) {
	dev := newDevice(t, nil)
	g := newRig(t, dev, nil)
	c := g.attach()
	go answerOnce(c, []Pattern{{Bytes: []byte("E")}}, func(at uint64) {
		c.Insert(at, &Script{Steps: []Step{{Send: []byte("q"), Wait: 10 * time.Millisecond,
			Take: &Answer{Start: Pattern{Bytes: []byte("<q")}, Until: '>'}}, {Send: []byte("never")}}})
	})
	till := g.dial()
	until(t, "the wish", g.Asking)
	fmt.Fprint(till, "E")
	until(t, "the till's command", func() bool { return string(dev.got()) == "qE" })
	dev.say([]byte("<q>!"))
	b := make([]byte, 10)
	if n, err := till.Read(b); err != nil || string(b[:n]) != "!" {
		t.Errorf("till was shown %q %v", b[:n], err)
	}
}

// TestPrinterGoesAndComes: a TCP till is told by its connection, and is served
// again when the printer is back.
func TestPrinterGoesAndComes(t *testing.T) {
	g := newRig(t, newDevice(t, nil), nil)
	till := g.dial()
	fmt.Fprint(till, "one")
	until(t, "one", func() bool { return string(g.dev.got()) == "one" })
	g.dev.unplug()
	if n, err := till.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes of a line that is gone", n)
	}
	again := g.dial()
	fmt.Fprint(again, "two")
	until(t, "two", func() bool { return string(g.dev.got()) == "onetwo" })
	again.Close()
	until(t, "the printer let go", func() bool { return g.State().Printer == NotOpened })
	g.dev.l.Close()
	last := g.dial()
	if n, err := last.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes without a printer", n)
	}
}

// TestStrangersStayOut: no secret, no copy of a receipt.
func TestStrangersStayOut(t *testing.T) {
	g := newRig(t, newDevice(t, nil), nil)
	st, err := os.Stat(filepath.Join(g.folder, DoorFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("door file: %v %v", st, err)
	}
	for _, secret := range []string{"", "x", g.c.Secret + "x"} {
		conn, err := net.Dial(g.c.Attach.Addr().Network(), g.c.Attach.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := Attach(context.Background(), conn, secret)
		if err == nil {
			_, err = c.Next()
		}
		if err == nil {
			t.Errorf("secret %q was taken", secret)
		}
		conn.Close()
	}
	if g.attach() == nil {
		t.Error("the right secret was not")
	}
	if _, _, err := Door(g.folder); err == nil {
		t.Error("two relays in one folder")
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []Config{
		{Till: "", Printer: "tcp:127.0.0.1:1"}, {Till: "tcp:9100", Printer: "tcp:127.0.0.1:1"}, {Till: "pty:relative", Printer: "tcp:127.0.0.1:1"},
		{Till: "usb:04b8:0202", Printer: "tcp:127.0.0.1:1"}, {Till: "/dev/ttyS1", Printer: "/dev/ttyS1"}, {Till: "/dev/ttyS1", Printer: ""},
		{Till: "tcp:127.0.0.1:0", Printer: "tcp:127.0.0.1:1", Hold: time.Second},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// FuzzFind: whatever the patterns, what find calls free concerns none.
func FuzzFind(f *testing.F) {
	f.Add([]byte("abcabd"), []byte("abd"))
	f.Add([]byte{0x1b, 0x1d, 0x56, 0}, []byte{0x1d, 0x56})
	f.Fuzz(func(t *testing.T, b, p []byte) {
		pat := Pattern{Bytes: p}
		if !pat.good() {
			return
		}
		free, size := find(b, []Pattern{pat})
		at := bytes.Index(b, p)
		switch {
		case at >= 0 && (free != at || size != len(p)):
			t.Errorf("%x in %x: free %d size %d", p, b, free, size)
		case at < 0 && size != 0:
			t.Errorf("%x in %x: found", p, b)
		case at < 0 && !bytes.HasPrefix(p, b[free:]) && free < len(b):
			t.Errorf("%x in %x: held %x", p, b, b[free:])
		}
	})
}
