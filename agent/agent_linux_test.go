package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/emulator"
)

const annasCard = "2000000125008"

// counter is an agent with emulated devices on pseudo-terminals.
type counter struct {
	t       *testing.T
	dir     string
	token   string
	agent   *agent.Agent
	scanner *emulator.Scanner
	printer *emulator.Printer
	display *emulator.Display
	cables  map[string]*emulator.Cable
	log     syncBuffer
	stop    func() error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func rulebook(t testing.TB) []byte {
	b, err := os.ReadFile("../configs/rulebooks/grocer.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newCounter(t *testing.T) *counter { return newCounterWith(t, nil) }

// newCounterWith makes one whose settings were changed.
func newCounterWith(t *testing.T, change func(*configs.Agent)) *counter {
	c := &counter{t: t, dir: t.TempDir(), scanner: emulator.NewScanner(emulator.ScannerSettings{}),
		printer: emulator.NewPrinter(emulator.PrinterSettings{}), display: emulator.NewDisplay(emulator.DisplaySettings{}), cables: map[string]*emulator.Cable{}}
	ports := t.TempDir()
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = c.dir, "127.0.0.1:0"
	for _, d := range []struct {
		name, driver, model string
		m                   emulator.Machine
	}{{"scanner", "barcode", "", c.scanner}, {"printer", "", "epson-tm-t88v", c.printer}, {"display", "pole", "", c.display}} {
		path := filepath.Join(ports, d.name)
		cable, err := emulator.PTY(path, d.m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cable.Close() })
		c.cables[d.name] = cable
		s.Devices = append(s.Devices, configs.Device{Name: d.name, Driver: d.driver, Model: d.model, Port: path})
	}
	c.token = agenttest.Folder(t, c.dir, "ws://127.0.0.1:1/v1/sync", rulebook(t), map[string]*loyalty.Member{
		annasCard: {ID: 0x1234, FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: 10000}}}})
	if change != nil {
		change(&s)
	}
	a, err := agent.Open(agent.Options{Settings: s, Version: "test", Log: slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	c.agent = a
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c.stop = sync.OnceValue(func() error {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		return a.Close()
	})
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(c.log.String())
		}
	})
	return c
}

func (c *counter) call(method, path, key, body string, into any) error {
	req, err := http.NewRequest(method, "http://"+c.agent.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// until is within without a promise.
func (c *counter) until(what string, ok func() bool) { c.t.Helper(); c.within(time.Minute, what, ok) }

// within waits for a condition and fails the test when it takes longer than
// the promise; slow machines get a margin on top.
func (c *counter) within(promise time.Duration, what string, ok func() bool) {
	c.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > promise+20*time.Second {
			c.t.Fatalf("%s: not seen", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if d := time.Since(start); d > promise {
		c.t.Logf("%s took %v, promised within %v", what, d, promise)
	}
}

func (c *counter) state(device string) string {
	var s till.Status
	if err := c.call("GET", "/v1/status", "", "", &s); err != nil {
		c.t.Fatal(err)
	}
	for _, d := range s.Devices {
		if d.Name == device {
			return d.State
		}
	}
	return "not listed"
}

// TestPlugsArePulled pulls every plug in mid-work and puts it back.
func TestPlugsArePulled(t *testing.T) {
	c := newCounter(t)
	for name := range c.cables {
		c.within(5*time.Second, name+" ready", func() bool { return c.state(name) == "ok" })
	}
	for round := range 2 {
		for name, cable := range c.cables {
			cable.Unplug()
			c.within(2*time.Second, name+" gone", func() bool { return c.state(name) == "absent" })
			// Everything else goes on.
			var a till.MemberAnswer
			if err := c.call("POST", "/v1/identify", "", `{"input":"`+annasCard+`"}`, &a); err != nil || !a.Known {
				t.Fatalf("without the %s: %v %+v", name, err, a)
			}
			if err := cable.Plug(); err != nil {
				t.Fatal(err)
			}
			c.within(7*time.Second, name+" back", func() bool { return c.state(name) == "ok" })
		}
		// And each of them works again.
		c.scanner.Scan(annasCard)
		c.within(5*time.Second, "greeting", func() bool { top, _ := c.display.Lines(); return strings.HasPrefix(top, "Hello, Anna!") })
		id := fmt.Sprintf("R%d", round)
		var done till.CaptureAnswer
		err := c.call("POST", "/v1/receipts/"+id+"/capture", "k"+id, `{"print":"agent","receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"30.00","category":"food"}]}}`, &done)
		if err != nil {
			t.Fatal(err)
		}
		c.within(10*time.Second, "slip", func() bool {
			var v till.ReceiptView
			return c.call("GET", "/v1/receipts/"+id, "", "", &v) == nil && v.Slip == "printed"
		})
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if s := c.log.String(); strings.Contains(s, annasCard) || strings.Contains(s, "Anna") || strings.Contains(s, c.token) {
		t.Error("the log tells a card number, a name or a token")
	}
}

// TestSlipWaitsForPaper captures without paper: the sale goes on, the slip
// comes when there is paper, once.
func TestSlipWaitsForPaper(t *testing.T) {
	c := newCounter(t)
	c.within(5*time.Second, "printer ready", func() bool { return c.state("printer") == "ok" })
	c.printer.Set(func(s *emulator.Condition) { s.Paper = "out" })
	c.within(4*time.Second, "paper out", func() bool { return c.state("printer") == "paper_out" })
	var done till.CaptureAnswer
	err := c.call("POST", "/v1/receipts/R1/capture", "k", `{"print":"agent","receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"30.00","category":"food"}]}}`, &done)
	if err != nil || done.State != "captured" {
		t.Fatalf("%v %+v", err, done)
	}
	c.printer.Set(func(s *emulator.Condition) { s.Paper = "ok" })
	c.within(10*time.Second, "slip", func() bool {
		var v till.ReceiptView
		return c.call("GET", "/v1/receipts/R1", "", "", &v) == nil && v.Slip == "printed"
	})
}

func TestTwoAgentsOnOneFolder(t *testing.T) {
	c := newCounter(t)
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = c.dir, "127.0.0.1:0"
	if _, err := agent.Open(agent.Options{Settings: s}); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("second agent: %v", err)
	}
}
