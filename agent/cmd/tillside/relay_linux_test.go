package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/follow/followtest"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// passCounter is a till whose software cannot be changed: the real relay and the
// real agent as processes, an emulated scanner and an emulated printer.
type passCounter struct {
	t       *testing.T
	dir     string
	token   string
	tap     *followtest.Tap
	scanner *emulator.Scanner
	till    string // what the cash program opens
	relay   *exec.Cmd
	agent   *process
	port    *line.Port
}

const passRulebook = "../../../configs/rulebooks/grocer.json"

func newPassCounter(t *testing.T, protocol string) *passCounter {
	t.Helper()
	rb, err := os.ReadFile(passRulebook)
	if err != nil {
		t.Fatal(err)
	}
	c := &passCounter{t: t, dir: t.TempDir(), tap: followtest.Printer(protocol), scanner: emulator.NewScanner(emulator.ScannerSettings{})}
	c.token = agenttest.Folder(t, c.dir, "ws://127.0.0.1:1/v1/sync", rb, map[string]*loyalty.Member{
		card: {ID: 0x1234, FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: 10000}}}})
	ports := t.TempDir()
	for name, m := range map[string]emulator.Machine{"printer": c.tap, "scanner": c.scanner} {
		cable, err := emulator.PTY(filepath.Join(ports, name), m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cable.Close() })
	}
	till := filepath.Join(ports, "till")
	toml := fmt.Sprintf("version = 1\n[passthrough]\ntill = \"pty:%s\"\nprinter = %q\ndriver = %q\n[[devices]]\nname = \"scanner\"\ndriver = \"barcode\"\nport = %q\n[devices.options]\nrepeat = \"1ms\"\n",
		till, filepath.Join(ports, "printer"), protocol, filepath.Join(ports, "scanner"))
	if err := os.WriteFile(filepath.Join(c.dir, "till.toml"), []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	c.till = till
	c.startRelay()
	if c.port, err = line.OpenPort(t.Context(), nil, till, line.Settings{Baud: 115200}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.port.Close() })
	return c
}

// startRelay starts the real relay and waits until it carries.
func (c *passCounter) startRelay() {
	c.t.Helper()
	exe, err := buildOnce()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(exe, "relay", "--data", c.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.relay = cmd
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, c.till) {
		c.t.Fatalf("relay said %q %v", line, err)
	}
}

// startAgent starts the agent and waits until it has attached.
func (c *passCounter) startAgent() {
	c.t.Helper()
	c.agent = start(c.t, c.dir)
	c.until("attached", func() bool { return strings.Contains(c.log(), "attached to the relay") })
	c.until("the scanner", func() bool { return strings.Contains(c.get("/v1/status"), `"state":"ok"`) })
}

func (c *passCounter) log() string {
	b, _ := os.ReadFile(c.agent.log.Name())
	return string(b)
}

func (c *passCounter) get(path string) string {
	cmd := exec.Command("curl", "-s", "-H", "Authorization: Bearer "+c.token, c.agent.addr+path)
	cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1")
	b, _ := cmd.Output()
	return string(b)
}

func (c *passCounter) until(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			log := ""
			if c.agent != nil {
				log = c.log()
			}
			c.t.Fatalf("%s: not seen\nprinter got %q\npaper\n%s\n%s", what, c.tap.Got(), c.tap.Text(), log)
		}
	}
}

// scan reads Anna's card and waits until she stands at the till.
func (c *passCounter) scan() {
	c.t.Helper()
	const asks = "asks_before_closes=true"
	was := strings.Count(c.log(), asks)
	c.scanner.Scan(card)
	c.until("the card", func() bool { return strings.Count(c.log(), asks) > was })
}

// booked reads what a stopped till has booked.
func booked(t *testing.T, dir string) (out []*wire.Commit) {
	t.Helper()
	j, err := store.OpenJournal(dir, store.Options{Identity: outbox.Identity{Device: agenttest.Device, Epoch: 1}, Stamp: func() outbox.Stamp { return outbox.Stamp{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Box().Each(func(_ uint64, b []byte) error {
		r, err := wire.DecodeRecord(b)
		if err != nil || r.Type != wire.TypeCommit {
			return err
		}
		var c wire.Commit
		if err := json.Unmarshal(r.Payload, &c); err != nil {
			return err
		}
		out = append(out, &c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// net is what a booked receipt came to, and the points it earned.
func net(t *testing.T, c *wire.Commit) (loyalty.Money, loyalty.Points, *loyalty.Result) {
	t.Helper()
	var r loyalty.Result
	if err := json.Unmarshal(c.Result, &r); err != nil {
		t.Fatal(err)
	}
	var p loyalty.Points
	for _, e := range r.Earned {
		p += e.Points
	}
	return r.Totals.Net, p, &r
}

// TestPassthrough plays the receipts of other people's programs past the real
// relay and the real agent: once with a card read before, once without.
func TestPassthrough(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	for _, l := range followtest.Lanes {
		t.Run(l.File, func(t *testing.T) {
			c := newPassCounter(t, l.Protocol)
			c.startAgent()
			ts := followtest.Turns(t, l.File)
			sent := followtest.Sent(ts)

			// A stranger's receipt goes through bit for bit, and is booked.
			followtest.Play(t, c.port, ts, 1<<20)
			c.until("a stranger's receipt", func() bool { return c.captured() == l.Receipts && len(c.tap.Got()) >= len(sent) })
			if got := c.tap.Got(); !bytes.Equal(got, sent) {
				t.Errorf("without a card the printer got\n%q\nof\n%q", got, sent)
			}
			// Then the member's. On a busy machine her lines may be late, and are
			// left out; then she comes again.
			rounds := 0
			for added := false; !added && rounds < 10; {
				rounds++
				before := len(c.tap.Got())
				c.scan()
				followtest.Play(t, c.port, ts, 1<<20)
				c.until("the member's receipt", func() bool { return c.captured() == (1+rounds)*l.Receipts })
				c.until("the lines", func() bool {
					return strings.Count(c.log(), "outcome=") == rounds && len(c.tap.Got())-before >= len(sent)
				})
				added = strings.Contains(c.log(), "outcome=added")
				if got := c.tap.Got()[before:]; !subsequence(sent, got) || added == (len(got) == len(sent)) {
					t.Errorf("with a card the printer got\n%q\nof\n%q\nadded %v", got, sent, added)
				}
			}
			if n := strings.Count(c.log(), "outcome=added"); n != 1 {
				t.Errorf("lines were added %d times in %d rounds:\n%s", n, rounds, c.log())
			}
			c.agent.stop()

			list := booked(t, c.dir)
			if len(list) != (1+rounds)*l.Receipts {
				t.Fatalf("%d receipts are booked", len(list))
			}
			var members int
			for i, b := range list {
				sum, points, result := net(t, b)
				var basket loyalty.Receipt
				if err := json.Unmarshal(b.Receipt, &basket); err != nil {
					t.Fatal(err)
				}
				if b.Member != "" {
					members++
					if points == 0 && sum >= 20_00 { // under that the grocer gives none
						t.Errorf("receipt %d of a member earned nothing: %s", i, b.Result)
					}
				}
				last := (i+1)%l.Receipts == 0
				if last && int64(sum) != l.Total {
					t.Errorf("receipt %d came to %s, want %d", i, sum, l.Total)
				}
				for _, r := range result.Rules {
					if r.Discount != 0 {
						t.Errorf("rule %s moved a price the till has set", r.Rule)
					}
				}
				if len(basket.Tenders) == 0 {
					t.Errorf("receipt %d was paid by nothing", i)
				}
			}
			if members != rounds {
				t.Errorf("%d receipts of the member, want %d", members, rounds)
			}
			if _, err := os.Stat(filepath.Join(c.dir, "passthrough.open")); err == nil {
				t.Error("a receipt was left open")
			}
		})
	}
}

// captured counts the receipts the agent has booked so far.
func (c *passCounter) captured() (n int) {
	for l := range strings.Lines(c.get("/metrics")) {
		if strings.HasPrefix(l, "tillside_receipts_total{") {
			var v float64
			if _, err := fmt.Sscan(l[strings.LastIndex(l, " ")+1:], &v); err == nil {
				n += int(v)
			}
		}
	}
	return n
}

// subsequence: all of a stands in b, in order.
func subsequence(a, b []byte) bool {
	for len(a) > 0 && len(b) > 0 {
		if a[0] == b[0] {
			a = a[1:]
		}
		b = b[1:]
	}
	return len(a) == 0
}

// everyByte is the long form: minutes.
var everyByte = flag.Bool("every-byte", false, "kill the agent at every byte of the streams in turn, not at some")

// TestAgentKilledWhileItReads kills the real agent (SIGKILL) at bytes all over
// real receipts: the till's bytes come through whole and in order, and after a
// restart every receipt whose lines went out is booked once.
func TestAgentKilledWhileItReads(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	parts := 8
	if *everyByte {
		parts = 0
	}
	if testing.Short() {
		parts = 3
	}
	for _, file := range []string{"escpos-thermal-pl.bin", "shtrih-sale.json", "posnet-plain.json", "posnet-footer.json"} {
		t.Run(file, func(t *testing.T) {
			ts := followtest.Turns(t, file)
			sent := followtest.Sent(ts)
			c := newPassCounter(t, strings.Split(file, "-")[0])
			printed, late, parts := 0, false, parts
			if parts == 0 {
				parts = len(sent)
			}
			for i := range parts + 1 {
				at := len(sent) * i / parts
				if i == parts-1 && !*everyByte {
					at = len(sent) - 4 // around the close
				}
				before := len(c.tap.Got())
				c.startAgent()
				c.scan()
				cut, killAt := followtest.Cut(ts, at)
				for k, turn := range cut {
					if k == killAt {
						c.agent.kill()
					}
					followtest.Play(t, c.port, []followtest.Turn{turn}, 1<<20)
				}
				c.until("all bytes", func() bool { return subsequence(sent, c.tap.Got()[before:]) })
				if killAt < 0 {
					c.until("the end", func() bool { return strings.Contains(c.log(), "outcome=") })
				}
				c.agent.kill()
				got := c.tap.Got()[before:]
				if len(got) > len(sent) {
					printed++
				}
				late = late || strings.Contains(c.log(), "outcome=late")
			}
			if printed == 0 && !late { // a busy machine may be late
				t.Error("no agent ever lived to add a line")
			}
			// What was left in the middle is settled by the next start.
			c.startAgent()
			c.agent.stop()
			if _, err := os.Stat(filepath.Join(c.dir, "passthrough.open")); err == nil {
				t.Error("a receipt was left open")
			}
			members := 0
			for _, b := range booked(t, c.dir) {
				if b.Member != "" {
					members++
				}
			}
			if members < printed || members > parts+1 {
				t.Errorf("lines went out %d times, %d receipts of the member are booked", printed, members)
			}
			for id, n := range commits(t, c.dir) {
				if n != 1 {
					t.Errorf("%s is booked %d times", id, n)
				}
			}
			t.Logf("%d kills, lines on %d receipts, %d booked for the member", parts, printed, members)
		})
	}
}

// TestRelayKilledAndBack: the till opens its port again, as after a pulled
// plug, and the agent finds the relay by itself.
func TestRelayKilledAndBack(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	c := newPassCounter(t, "posnet")
	c.startAgent()
	ts := followtest.Turns(t, "posnet-plain.json")
	followtest.Play(t, c.port, ts, 1<<20)
	c.until("a receipt", func() bool { return c.captured() == 1 })

	_ = c.relay.Process.Kill()
	_ = c.relay.Wait()
	<-c.port.Done() // the till is told by its port
	c.port.Close()
	if code, _, errs := run("relay", "record", "--data", c.dir, filepath.Join(t.TempDir(), "x")); code != exitNotRunning {
		t.Errorf("a killed relay answers: %d %s", code, errs)
	}
	c.startRelay()
	var err error
	if c.port, err = line.OpenPort(t.Context(), nil, c.till, line.Settings{Baud: 115200}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.port.Close() })
	c.until("attached again", func() bool { return strings.Count(c.log(), "attached to the relay") == 2 })
	c.scan()
	followtest.Play(t, c.port, ts, 1<<20)
	c.until("the next receipt", func() bool { return c.captured() == 2 && strings.Contains(c.log(), "outcome=") })
	if code, _, _ := run("relay", "--data", c.dir); code != exitInUse {
		t.Errorf("a second relay in one folder: exit %d", code)
	}
	c.agent.stop()
}
