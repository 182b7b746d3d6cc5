package follow_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/escpos"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/follow/followtest"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/relay"
)

// shop is a till's line and its printer's, with a relay between them: on
// pseudo-terminals, or on TCP.
type shop struct {
	path   string // what the till opens
	t      testing.TB
	tap    *followtest.Tap
	cable  *emulator.Cable
	folder string
	relay  *relay.Relay
	stop   func()
}

func newShop(t testing.TB, protocol string) *shop { t.Helper(); return openShop(t, protocol, false) }

func openShop(t testing.TB, protocol string, tcp bool) *shop {
	t.Helper()
	s := &shop{t: t, tap: followtest.Printer(protocol), folder: t.TempDir()}
	var err error
	at := "pty:" + filepath.Join(s.folder, "till")
	if tcp {
		at = "tcp:127.0.0.1:0"
		s.cable, err = emulator.TCP("127.0.0.1:0", s.tap)
	} else {
		s.cable, err = emulator.PTY(filepath.Join(s.folder, "printer"), s.tap)
	}
	if err != nil {
		t.Fatal(err)
	}
	door, secret, err := relay.Door(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	s.relay, err = relay.New(relay.Config{Till: at, Printer: s.cable.Address(),
		PrinterLine: line.Settings{Baud: 115200}, Attach: door, Secret: secret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := make(chan string, 1)
	go func() { done <- s.relay.Run(ctx, func(at string) { ready <- at }) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.cable.Close()
	})
	t.Cleanup(s.stop)
	s.path = <-ready
	return s
}

func (s *shop) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not seen; printer got %q", what, s.tap.Got())
		}
	}
}

// till opens the cash program's port.
func (s *shop) till() *line.Port {
	s.t.Helper()
	path := s.path
	if path == "" {
		path = filepath.Join(s.folder, "till")
	}
	p, err := line.OpenPort(context.Background(), nil, path, line.Settings{Baud: 115200})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Close() })
	return p
}

// desk adds the same lines to every receipt.
type desk struct {
	mu     sync.Mutex
	lines  []drivers.Block
	heard  []string
	added  []follow.Outcome
	closed []*follow.Receipt
}

func (d *desk) Heard(e follow.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e.Kind {
	case follow.Closed:
		d.closed = append(d.closed, e.Receipt)
	case follow.Lost, follow.Other:
		d.heard = append(d.heard, e.Text)
	case follow.Cancelled:
		d.heard = append(d.heard, "cancelled")
	}
}

func (d *desk) Lines(follow.Event) []drivers.Block { return d.lines }
func (d *desk) Added(o follow.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.added = append(d.added, o)
}
func (d *desk) State(relay.State) {}

func (d *desk) view() (closed []*follow.Receipt, added []follow.Outcome, heard []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.closed), slices.Clone(d.added), slices.Clone(d.heard)
}

func newFollower(t testing.TB, protocol string) follow.Follower {
	t.Helper()
	switch protocol {
	case "shtrih":
		return follow.NewShtrih(follow.ShtrihSettings{})
	case "posnet":
		f, err := follow.NewPosnet(follow.PosnetSettings{})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	pages, err := escpos.ParsePages("cp437=0 cp866=17 cp852=18 cp858=19")
	if err != nil {
		t.Fatal(err)
	}
	f, err := follow.NewESCPOS(follow.ESCPOSSettings{Profile: escpos.Profile{Columns: 42, Dots: 512, Pages: pages, NativeQR: true, CutLines: 5}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// attach lets an agent come in. kill makes it go in the middle of whatever it
// does; leave does so too, and waits until the relay has noticed.
func (s *shop) attach(protocol string, d *desk) (kill, leave func()) {
	s.t.Helper()
	c, err := relay.Find(context.Background(), s.folder)
	if err != nil {
		s.t.Fatal(err)
	}
	se := follow.NewSession(c, newFollower(s.t, protocol), d)
	done := make(chan struct{})
	go func() { defer close(done); _ = se.Run(context.Background()) }() // its error is the leaving
	if err := se.Want(true); err != nil {
		s.t.Fatal(err)
	}
	s.until("the wish", s.relay.Asking)
	leave = sync.OnceFunc(func() {
		c.Close()
		<-done
		s.until("the leaving", func() bool { return !s.relay.Asking() })
	})
	s.t.Cleanup(leave)
	return func() { c.Close() }, leave
}

var text = []drivers.Block{drivers.Text{Text: "Anna, 12 punktow"}, drivers.Text{Text: "Saldo 112"}}

// TestBitIdenticalWithoutAnAgent, and what the till is shown is what it is
// shown without a relay.
func TestBitIdenticalWithoutAnAgent(t *testing.T) {
	for _, l := range followtest.Lanes {
		t.Run(l.File, func(t *testing.T) {
			s := newShop(t, l.Protocol)
			ts := followtest.Turns(t, l.File)
			shown := followtest.Play(t, s.till(), ts, 1<<20)
			want := followtest.Sent(ts)
			s.until("all bytes", func() bool { return len(s.tap.Got()) >= len(want) })
			if got := s.tap.Got(); !bytes.Equal(got, want) {
				t.Errorf("printer got\n%x\nof\n%x", got, want)
			}
			if direct, text := bare(t, l.Protocol, ts); !bytes.Equal(shown, direct) || s.tap.Text() != text {
				t.Errorf("till was shown\n%x\nwithout relay\n%x\npaper\n%s\nwithout\n%s", shown, direct, s.tap.Text(), text)
			}
		})
	}
}

// bare plays without a relay between.
func bare(t testing.TB, protocol string, ts []followtest.Turn) ([]byte, string) {
	tp := followtest.Printer(protocol)
	dir := t.TempDir()
	cable, err := emulator.PTY(filepath.Join(dir, "till"), tp)
	if err != nil {
		t.Fatal(err)
	}
	defer cable.Close()
	s := &shop{t: t, folder: dir, tap: tp}
	port := s.till()
	shown := followtest.Play(t, port, ts, 1<<20)
	s.until("all bytes", func() bool { return len(tp.Got()) == len(followtest.Sent(ts)) })
	port.Close()
	return shown, tp.Text()
}

// TestOverTCP: till and printer on the network, connection after connection.
func TestOverTCP(t *testing.T) {
	for _, l := range followtest.Lanes {
		t.Run(l.File, func(t *testing.T) {
			s := openShop(t, l.Protocol, true)
			ts := followtest.Turns(t, l.File)
			want, ps := followtest.Sent(ts), places(t, l.Protocol, ts, text)
			for round := 1; round <= 2; round++ {
				d := &desk{lines: text}
				_, leave := s.attach(l.Protocol, d)
				before := len(s.tap.Got())
				port := s.till()
				followtest.Play(t, port, ts, 1<<20)
				rest := func() []byte { b, _ := less(s.tap.Got()[before:], ps); return b }
				s.until("all bytes", func() bool { return len(rest()) >= len(want) })
				port.Close()
				if !bytes.Equal(rest(), want) {
					t.Errorf("round %d: printer got\n%q\nof\n%q", round, rest(), want)
				}
				s.until("the receipts", func() bool { closed, _, _ := d.view(); return len(closed) == l.Receipts })
				s.until("the end of the connection", func() bool { return s.relay.State().Printer == relay.NotOpened })
				leave()
			}
			if lost := s.relay.State().Lost; lost != 0 {
				t.Errorf("%d bytes lost", lost)
			}
		})
	}
}

// TestExactlyTheLines: with an agent the printer gets the till's bytes and the
// lines, nothing else; the till is shown what it is shown without.
func TestExactlyTheLines(t *testing.T) {
	for _, l := range followtest.Lanes {
		for _, step := range []int{1 << 20, 5} {
			t.Run(fmt.Sprint(l.File, " by ", step), func(t *testing.T) {
				for try := 1; !exactly(t, l, step); try++ {
					if try == 10 {
						t.Fatal("lines were late ten times")
					}
				}
			})
		}
	}
}

// exactly plays a lane past an agent. It is false when lines were late, as they
// may be on a busy machine.
func exactly(t *testing.T, l followtest.Lane, step int) bool {
	s := newShop(t, l.Protocol)
	d := &desk{lines: text}
	_, leave := s.attach(l.Protocol, d)
	defer s.stop()
	defer leave()
	ts := followtest.Turns(t, l.File)
	shown := followtest.Play(t, s.till(), ts, step)
	s.until("the end of the receipts", func() bool {
		closed, added, _ := d.view()
		return len(closed) == l.Receipts && len(added) == l.Receipts
	})
	want, ps := followtest.Sent(ts), places(t, l.Protocol, ts, text)
	rest := func() []byte { b, _ := less(s.tap.Got(), ps); return b }
	s.until("all bytes", func() bool { return len(rest()) >= len(want) })
	closed, added, heard := d.view()
	got := s.tap.Got()
	if !bytes.Equal(rest(), want) {
		t.Errorf("printer got\n%q\nless the lines\n%q\nof\n%q", got, rest(), want)
	}
	if last := closed[len(closed)-1]; last.Total != l.Total || last.Net() != l.Total {
		t.Errorf("receipt %+v, want total %d", last, l.Total)
	}
	for _, h := range heard {
		if h != "cancelled" && !strings.Contains(h, "no sale") {
			t.Errorf("heard %q", h)
		}
	}
	direct, paper := bare(t, l.Protocol, ts)
	if !bytes.Equal(shown, direct) {
		t.Errorf("till was shown\n%x\nwithout relay\n%x", shown, direct)
	}
	if slices.Contains(added, follow.TooLate) {
		return false
	}
	if _, n := less(got, ps); n != l.Receipts {
		t.Errorf("lines were added %d times, want %d: %q", n, l.Receipts, got)
	}
	for _, a := range added {
		if a != follow.AllAdded {
			t.Errorf("added: %v", added)
		}
	}
	checkPaper(t, paper, s.tap.Text(), l.Receipts)
	return true
}

// checkPaper: the lines stand on the paper once for each receipt, and taking
// them away leaves the paper as it is without an agent.
func checkPaper(t *testing.T, without, with string, times int) {
	t.Helper()
	if n := strings.Count(with, "Anna, 12 punktow"); n != times {
		t.Errorf("lines stand on the paper %d times, want %d:\n%s", n, times, with)
	}
	i, k := strings.Index(with, "Saldo 112"), strings.Index(with, "Anna, 12 punktow")
	if k > i {
		t.Errorf("lines are not in order:\n%s", with)
	}
	for _, l := range strings.Split(without, "\n") {
		if strings.TrimSpace(l) != "" && !strings.Contains(with, strings.TrimSpace(l)) {
			t.Errorf("the paper lacks %q:\n%s", l, with)
		}
	}
}

// TestAgentKilledAtEveryByte: the agent goes before each byte of each stream in
// turn. All of the till's bytes come, in order, once; lines come whole or not
// at all.
func TestAgentKilledAtEveryByte(t *testing.T) {
	for _, l := range followtest.Lanes {
		t.Run(l.File, func(t *testing.T) {
			ts := followtest.Turns(t, l.File)
			want, ps := followtest.Sent(ts), places(t, l.Protocol, ts, text)
			at, kills, printed, slowest := 0, 0, 0, 0
			step := 1
			if testing.Short() || len(want) > 1200 && l.Protocol == "escpos" {
				step = 3 // the picture's bytes are much alike
			}
			s := newShop(t, l.Protocol)
			port := s.till()
			var longest time.Duration
			for ; at <= len(want); at += step {
				if at > len(want)-100 {
					step = 1
				}
				kills++
				before := len(s.tap.Got())
				d := &desk{lines: text}
				kill, leave := s.attach(l.Protocol, d)
				killed := false
				gone := 0
				cut, killAt := followtest.Cut(ts, at)
				for i, piece := range cut {
					if i == killAt {
						if at%2 == 0 { // every other time nothing is on its way just then
							s.until("what was sent", func() bool { b, _ := less(s.tap.Got()[before:], ps); return len(b) >= gone })
						}
						kill()
						killed = true
					}
					start := time.Now()
					followtest.Play(t, port, []followtest.Turn{piece}, 1<<20)
					gone += len(piece.Bytes)
					if d := time.Since(start); killed && d > longest {
						longest, slowest = d, at
					}
				}
				leave()
				rest := func() []byte { b, _ := less(s.tap.Got()[before:], ps); return b }
				s.until("all bytes", func() bool { return len(rest()) >= len(want) })
				if got := s.tap.Got()[before:]; !bytes.Equal(rest(), want) {
					t.Fatalf("killed at %d: printer got\n%q\nless the lines\n%q\nof\n%q", at, got, rest(), want)
				}
				_, n := less(s.tap.Got()[before:], ps)
				printed += n
				if lost := s.relay.State().Lost; lost != 0 {
					t.Fatalf("%d bytes lost", lost)
				}
			}
			if printed == 0 {
				t.Error("no agent ever lived to add a line")
			}
			t.Logf("%d kills, lines added %d times; longest turn after a kill %v, at byte %d", kills, printed, longest, slowest)
		})
	}
}

// place is where lines belong in a stream, and the bytes that print them.
type place struct {
	at  int
	add []byte
}

// places follows a lane by itself, printer and all, and tells where lines
// belong. What the session does is compared with it.
func places(t testing.TB, protocol string, ts []followtest.Turn, blocks []drivers.Block) (out []place) {
	t.Helper()
	f := newFollower(t, protocol)
	tp := followtest.Printer(protocol)
	dir := t.TempDir()
	cable, err := emulator.PTY(filepath.Join(dir, "till"), tp)
	if err != nil {
		t.Fatal(err)
	}
	defer cable.Close()
	s := &shop{t: t, folder: dir, tap: tp}
	port := s.till()
	at := 0
	note := func(evs []follow.Event) {
		for _, e := range evs {
			if e.Kind != follow.Closing || !e.Whole {
				continue
			}
			script, err := e.Add(blocks)
			if err != nil {
				t.Fatal(err)
			}
			p := place{at: int(e.At)}
			for _, st := range script.Steps {
				p.add = append(p.add, st.Send...)
			}
			out = append(out, p)
		}
	}
	for _, tr := range ts {
		note(f.Till(uint64(at), tr.Bytes, time.Now()))
		at += len(tr.Bytes)
		note(f.Printer(followtest.Play(t, port, []followtest.Turn{tr}, 1<<20), time.Now()))
	}
	port.Close()
	return out
}

// less takes added lines out of what a printer got, where they belong and
// nowhere else, and tells how often they were there.
func less(got []byte, ps []place) (rest []byte, times int) {
	for _, p := range ps {
		k := p.at - len(rest)
		if k > len(got) {
			break
		}
		rest = append(rest, got[:k]...)
		got = got[k:]
		if bytes.HasPrefix(got, p.add) {
			got = got[len(p.add):]
			times++
		}
	}
	return append(rest, got...), times
}
