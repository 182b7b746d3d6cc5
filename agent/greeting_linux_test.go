package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/pole"
)

// scans is how many cards BenchmarkGreeting reads at each speed.
const scans = 1000

// BenchmarkGreeting measures a whole agent: from the last byte of a card on the
// scanner's line to the greeting standing on the display, whose line carries
// bytes at 9600 and 115200 baud. over is what came on top of the time that the
// display's bytes take on such a line; 5 ms are allowed. Beside it, by turns, a
// loop that does nothing but copy: it reads the card and writes a greeting that
// was made before. What that one takes is the machine's, not the agent's.
func BenchmarkGreeting(b *testing.B) {
	for _, baud := range []int{9600, 115200} {
		b.Run(fmt.Sprintf("baud=%d", baud), func(b *testing.B) {
			for b.Loop() {
				took, over, bare := greetings(b, baud, scans)
				p99 := func(all []time.Duration) float64 {
					slices.Sort(all)
					return float64(all[len(all)*99/100].Microseconds()) / 1000
				}
				b.ReportMetric(p99(over), "ms-over-p99")
				b.ReportMetric(p99(bare), "ms-over-p99-bare")
				b.ReportMetric(p99(took), "ms-p99")
				b.ReportMetric(float64(over[len(over)/2].Microseconds())/1000, "ms-over-median")
				b.ReportMetric(float64(bare[len(bare)/2].Microseconds())/1000, "ms-over-median-bare")
			}
		})
	}
}

// The benchmark's own machinery, on a line that is fast: every card is greeted
// by its own name.
func TestGreetingIsMeasured(t *testing.T) {
	took, over, bare := greetings(t, 115200, 20)
	if len(took) != 20 || len(over) != 20 || len(bare) != 20 {
		t.Errorf("%d, %d and %d measurements", len(took), len(over), len(bare))
	}
}

// greetings reads two cards by turns and gives how long each greeting took, how
// much of that was not the display's line, and how much it was for a bare copy.
func greetings(t testing.TB, baud, n int) (took, over, bare []time.Duration) {
	t.Helper()
	dir, ports := t.TempDir(), t.TempDir()
	scanner, display := emulator.NewScanner(emulator.ScannerSettings{}), emulator.NewDisplay(emulator.DisplaySettings{})
	wire := &emulator.Wire{Machine: display, Baud: baud}
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = dir, "127.0.0.1:0"
	for _, d := range []struct {
		name, driver string
		m            emulator.Machine
		options      map[string]string
	}{{"scanner", "barcode", scanner, map[string]string{"repeat": "0s"}}, {"display", "pole", wire, nil}} {
		path := filepath.Join(ports, d.name)
		cable, err := emulator.PTY(path, d.m)
		if err != nil {
			t.Fatal(err)
		}
		defer cable.Close()
		s.Devices = append(s.Devices, configs.Device{Name: d.name, Driver: d.driver, Port: path, Options: d.options, Line: configs.DeviceLine{Baud: baud}})
	}
	// Both lines differ from one greeting to the next, to their last letter.
	people := []struct {
		card, name, bottom string
		points             loyalty.Points
	}{{"2000000125008", "Anna", "Balance          101", 10100}, {"2000000000022", "Maria", "Balance          202", 20200}}
	members := map[string]*loyalty.Member{}
	for i, p := range people {
		members[p.card] = &loyalty.Member{ID: loyalty.MemberID(i + 1), FirstName: p.name, Wallets: map[string]loyalty.Balance{"points": {Active: p.points}}}
	}
	agenttest.Folder(t, dir, "ws://127.0.0.1:1/v1/sync", rulebook(t), members)
	a, err := agent.Open(agent.Options{Settings: s, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	// The first card waits until both devices are open.
	for begin := time.Now(); !scanner.Scan(people[1].card) || !soon(func() bool { top, _ := display.Lines(); return strings.HasPrefix(top, "Hello, Maria") }); {
		if time.Since(begin) > time.Minute {
			t.Fatal("the first card was never greeted")
		}
	}
	if !shows(display, "Hello, Maria!", people[1].bottom) {
		t.Fatal("the first greeting never came to its end")
	}
	peer := copier(t, baud)
	for i := range n {
		p := people[i%2]
		before := wire.Sent()
		begin := time.Now()
		scanner.Scan(p.card)
		if !shows(display, "Hello, "+p.name+"!", p.bottom) {
			t.Fatalf("card %d: %s was not greeted", i, p.name)
		}
		d := time.Since(begin)
		took = append(took, d)
		over = append(over, d-time.Duration(wire.Sent()-before)*10*time.Second/time.Duration(baud))
		bare = append(bare, peer(p.name, p.bottom))
	}
	return took, over, bare
}

// shows waits until the display shows two lines that begin so.
func shows(d *emulator.Display, top, bottom string) bool {
	limit := time.After(time.Minute)
	for {
		changed := d.Changed()
		if a, b := d.Lines(); strings.HasPrefix(a, top) && strings.HasPrefix(b, bottom) {
			return true
		}
		select {
		case <-changed:
		case <-limit:
			return false
		}
	}
}

// copier is the bare copy on lines of the same speed; what it gives measures
// one card.
func copier(t testing.TB, baud int) (once func(name, bottom string) time.Duration) {
	t.Helper()
	ports := t.TempDir()
	scanner, display := emulator.NewScanner(emulator.ScannerSettings{}), emulator.NewDisplay(emulator.DisplaySettings{})
	wire := &emulator.Wire{Machine: display, Baud: baud}
	var files []*os.File
	for name, m := range map[string]emulator.Machine{"scanner": scanner, "display": wire} {
		cable, err := emulator.PTY(filepath.Join(ports, name), m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cable.Close() })
	}
	for _, name := range []string{"scanner", "display"} {
		f, err := os.OpenFile(filepath.Join(ports, name), os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	e := pole.Encoder{Dialect: pole.Epson, Columns: 20, Page: codepage.Must("cp437"), Number: -1}
	return func(name, bottom string) time.Duration {
		text, before := e.Show("Hello, "+name+"!", bottom), wire.Sent()
		go func() {
			buf := make([]byte, 64)
			for {
				n, err := files[0].Read(buf)
				if err != nil {
					return
				}
				if bytes.IndexByte(buf[:n], '\r') >= 0 {
					break
				}
			}
			files[1].Write(text)
		}()
		begin := time.Now()
		scanner.Scan("2000000125008")
		if !shows(display, "Hello, "+name+"!", bottom) {
			t.Fatal("the bare copy never came")
		}
		return time.Since(begin) - time.Duration(wire.Sent()-before)*10*time.Second/time.Duration(baud)
	}
}

// soon looks for a second.
func soon(f func() bool) bool {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // between looks
		if f() {
			return true
		}
	}
	return false
}
