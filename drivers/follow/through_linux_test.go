package follow_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	emuposnet "github.com/tillside/tillside/drivers/emulator/posnet"
	emushtrih "github.com/tillside/tillside/drivers/emulator/shtrih"
	"github.com/tillside/tillside/drivers/escpos"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/relay"
)

// turn is what a till sends at once, and what it waits for then.
type turn struct {
	Send string `json:"send"`
	Wait string `json:"wait"` // "", byte, answer, etx
	b    []byte
}

func turns(t testing.TB, file string) (out []turn) {
	t.Helper()
	b, err := os.ReadFile("testdata/streams/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".bin") {
		return []turn{{b: []byte("\x1b@")}, {b: b}} // a till that is switched on begins so
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].b, err = hex.DecodeString(out[i].Send); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// tap writes down what a printer has taken.
type tap struct {
	emulator.Machine
	mu sync.Mutex
	b  []byte
}

func (p *tap) Receive(b []byte) {
	p.Machine.Receive(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.b = append(p.b, b...)
}

func (p *tap) got() []byte { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.b) }

// shop is a till's line and its printer's on pseudo-terminals, with a relay
// between them.
type shop struct {
	t       testing.TB
	tap     *tap
	cable   *emulator.Cable
	folder  string
	relay   *relay.Relay
	stop    func()
	text    func() string
	refused func() int
}

// machine is a printer by protocol.
func machine(protocol string) (m emulator.Machine, text func() string) {
	switch protocol {
	case "shtrih":
		// On a busy machine half a frame may be long on its way.
		p := emushtrih.New(emushtrih.Options{Gap: 10 * time.Second})
		return fiscal.NewBridge(p), p.Text
	case "posnet":
		p := emuposnet.New(emuposnet.Options{})
		return fiscal.NewBridge(p), p.Text
	}
	p := emulator.NewPrinter(emulator.PrinterSettings{Columns: 42})
	return p, func() string { return p.Roll().All().Text(42) }
}

func newShop(t testing.TB, protocol string) *shop {
	t.Helper()
	m, text := machine(protocol)
	s := &shop{t: t, tap: &tap{Machine: m}, folder: t.TempDir(), text: text}
	var err error
	if s.cable, err = emulator.PTY(filepath.Join(s.folder, "printer"), s.tap); err != nil {
		t.Fatal(err)
	}
	door, secret, err := relay.Door(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	s.relay, err = relay.New(relay.Config{Till: "pty:" + filepath.Join(s.folder, "till"), Printer: s.cable.Address(),
		PrinterLine: line.Settings{Baud: 115200}, Attach: door, Secret: secret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.relay.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.cable.Close()
	})
	t.Cleanup(s.stop)
	s.until("the relay", func() bool { st := s.relay.State(); return st.Printer == "ok" && st.Till == "ok" })
	return s
}

func (s *shop) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not seen; printer got %q", what, s.tap.got())
		}
	}
}

// till opens the cash program's port.
func (s *shop) till() *line.Port {
	s.t.Helper()
	p, err := line.OpenPort(context.Background(), nil, filepath.Join(s.folder, "till"), line.Settings{Baud: 115200})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Close() })
	return p
}

// play is the cash program: it sends its turns and waits as they say. before is
// called with the number of bytes sent so far, before each byte when step is 1.
func (s *shop) play(port *line.Port, ts []turn, step int, before func(n int)) (shown []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	sent := 0
	for _, tr := range ts {
		for i := 0; i < len(tr.b); i += step {
			if before != nil {
				before(sent)
			}
			piece := tr.b[i:min(len(tr.b), i+step)]
			if _, err := port.Write(ctx, piece); err != nil {
				s.t.Fatal(err)
			}
			sent += len(piece)
		}
		got, err := waitFor(ctx, port, tr.Wait)
		if err != nil {
			s.t.Fatalf("after %x: shown %x: %v", tr.b, got, err)
		}
		shown = append(shown, got...)
	}
	return shown
}

func waitFor(ctx context.Context, port *line.Port, what string) (got []byte, err error) {
	next := func() byte {
		var b [1]byte
		if err == nil {
			if _, err = port.Read(ctx, b[:]); err == nil {
				got = append(got, b[0])
			}
		}
		return b[0]
	}
	switch what {
	case "byte":
		next()
	case "etx":
		for err == nil && next() != 3 {
		}
	case "answer":
		if next() != 6 {
			return got, fmt.Errorf("no ACK: %w", io.ErrUnexpectedEOF)
		}
		next()
		for n := int(next()) + 1; n > 0 && err == nil; n-- {
			next()
		}
	}
	return got, err
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

// The streams, and what becomes of each.
var lanes = []struct {
	file, protocol string
	receipts       int
	total          int64
	added          int
}{
	{"escpos-encoder-en.bin", "escpos", 1, 1900, 1},
	{"escpos-thermal-pl.bin", "escpos", 1, 5510, 1},
	{"escpos-receiptline-ru.bin", "escpos", 1, 44290, 1},
	{"escpos-plain-two.bin", "escpos", 2, 200, 2},
	{"shtrih-sale.json", "shtrih", 1, 48800, 1},
	{"shtrih-card.json", "shtrih", 1, 20000, 1},
	{"posnet-plain.json", "posnet", 1, 5510, 1},
	{"posnet-footer.json", "posnet", 1, 960, 1},
}

// TestBitIdenticalWithoutAnAgent, and what the till is shown is what it is
// shown without a relay.
func TestBitIdenticalWithoutAnAgent(t *testing.T) {
	for _, l := range lanes {
		t.Run(l.file, func(t *testing.T) {
			s := newShop(t, l.protocol)
			ts := turns(t, l.file)
			shown := s.play(s.till(), ts, 1<<20, nil)
			want := sent(ts)
			s.until("all bytes", func() bool { return len(s.tap.got()) >= len(want) })
			if got := s.tap.got(); !bytes.Equal(got, want) {
				t.Errorf("printer got\n%x\nof\n%x", got, want)
			}
			if direct, text := bare(t, l.protocol, ts); !bytes.Equal(shown, direct) || s.text() != text {
				t.Errorf("till was shown\n%x\nwithout relay\n%x\npaper\n%s\nwithout\n%s", shown, direct, s.text(), text)
			}
		})
	}
}

func sent(ts []turn) (b []byte) {
	for _, tr := range ts {
		b = append(b, tr.b...)
	}
	return b
}

// bare plays without a relay between.
func bare(t testing.TB, protocol string, ts []turn) ([]byte, string) {
	m, text := machine(protocol)
	tp := &tap{Machine: m}
	dir := t.TempDir()
	cable, err := emulator.PTY(filepath.Join(dir, "till"), tp)
	if err != nil {
		t.Fatal(err)
	}
	defer cable.Close()
	s := &shop{t: t, folder: dir, tap: tp}
	port := s.till()
	shown := s.play(port, ts, 1<<20, nil)
	s.until("all bytes", func() bool { return len(tp.got()) == len(sent(ts)) })
	port.Close()
	return shown, text()
}

// TestExactlyTheLines: with an agent the printer gets the till's bytes and the
// lines, nothing else; the till is shown what it is shown without.
func TestExactlyTheLines(t *testing.T) {
	for _, l := range lanes {
		for _, step := range []int{1 << 20, 5} {
			t.Run(fmt.Sprint(l.file, " by ", step), func(t *testing.T) {
				s := newShop(t, l.protocol)
				d := &desk{lines: text}
				_, leave := s.attach(l.protocol, d)
				ts := turns(t, l.file)
				shown := s.play(s.till(), ts, step, nil)
				s.until("the end of the receipts", func() bool {
					closed, added, _ := d.view()
					return len(closed) == l.receipts && len(added) == l.added
				})
				want, ps := sent(ts), places(t, l.protocol, ts, text)
				rest := func() []byte { b, _ := less(s.tap.got(), ps); return b }
				s.until("all bytes", func() bool { return len(rest()) >= len(want) })
				closed, added, heard := d.view()
				if slices.Contains(added, follow.TooLate) {
					t.Skipf("this machine is too busy: lines were late, and left out (%v)", added)
				}
				got := s.tap.got()
				if _, n := less(got, ps); !bytes.Equal(rest(), want) || n != l.added {
					t.Errorf("printer got\n%q\nless the lines\n%q\nof\n%q", got, rest(), want)
				}
				direct, paper := bare(t, l.protocol, ts)
				if !bytes.Equal(shown, direct) {
					t.Errorf("till was shown\n%x\nwithout relay\n%x", shown, direct)
				}
				if last := closed[len(closed)-1]; last.Total != l.total || last.Net() != l.total {
					t.Errorf("receipt %+v, want total %d", last, l.total)
				}
				for _, h := range heard {
					if h != "cancelled" && !strings.Contains(h, "no sale") {
						t.Errorf("heard %q", h)
					}
				}
				for _, a := range added {
					if a != follow.AllAdded {
						t.Errorf("added: %v", added)
					}
				}
				checkPaper(t, paper, s.text(), l.added)
				leave()
			})
		}
	}
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
	for _, l := range lanes {
		t.Run(l.file, func(t *testing.T) {
			ts := turns(t, l.file)
			want, ps := sent(ts), places(t, l.protocol, ts, text)
			at, kills, printed, slowest := 0, 0, 0, 0
			step := 1
			if testing.Short() || len(want) > 1200 && l.protocol == "escpos" {
				step = 3 // the picture's bytes are much alike
			}
			s := newShop(t, l.protocol)
			port := s.till()
			var longest time.Duration
			for ; at <= len(want); at += step {
				if at > len(want)-100 {
					step = 1
				}
				kills++
				before := len(s.tap.got())
				d := &desk{lines: text}
				kill, leave := s.attach(l.protocol, d)
				killed := false
				gone := 0
				for _, piece := range cutTurns(ts, at) {
					if piece.kill {
						if at%2 == 0 { // every other time nothing is on its way just then
							s.until("what was sent", func() bool { b, _ := less(s.tap.got()[before:], ps); return len(b) >= gone })
						}
						kill()
						killed = true
					}
					start := time.Now()
					s.play(port, []turn{piece.turn}, 1<<20, nil)
					gone += len(piece.b)
					if d := time.Since(start); killed && d > longest {
						longest, slowest = d, at
					}
				}
				if !killed { // behind the last byte: it lived to see the end
					s.until("the lines", func() bool { _, n := less(s.tap.got()[before:], ps); return n == l.added })
				}
				leave()
				rest := func() []byte { b, _ := less(s.tap.got()[before:], ps); return b }
				s.until("all bytes", func() bool { return len(rest()) >= len(want) })
				if got := s.tap.got()[before:]; !bytes.Equal(rest(), want) {
					t.Fatalf("killed at %d: printer got\n%q\nless the lines\n%q\nof\n%q", at, got, rest(), want)
				}
				_, n := less(s.tap.got()[before:], ps)
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

type cutTurn struct {
	turn
	kill bool
}

// cutTurns cuts the turn in which byte n stands, and marks the second half.
func cutTurns(ts []turn, n int) (out []cutTurn) {
	for _, tr := range ts {
		switch {
		case n < 0 || n >= len(tr.b):
			out = append(out, cutTurn{tr, false})
		case n == 0:
			out = append(out, cutTurn{tr, true})
		default:
			out = append(out, cutTurn{turn{b: tr.b[:n]}, false}, cutTurn{turn{b: tr.b[n:], Wait: tr.Wait}, true})
		}
		n -= len(tr.b)
	}
	return out
}

// place is where lines belong in a stream, and the bytes that print them.
type place struct {
	at  int
	add []byte
}

// places follows a lane by itself, printer and all, and tells where lines
// belong. What the session does is compared with it.
func places(t testing.TB, protocol string, ts []turn, blocks []drivers.Block) (out []place) {
	t.Helper()
	f := newFollower(t, protocol)
	m, _ := machine(protocol)
	tp := &tap{Machine: m}
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
		note(f.Till(uint64(at), tr.b, time.Now()))
		at += len(tr.b)
		note(f.Printer(s.play(port, []turn{tr}, 1<<20, nil), time.Now()))
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
