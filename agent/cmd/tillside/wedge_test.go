package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/drivers/wedge"
)

// lines keeps what a helper tells.
type lines struct {
	mu sync.Mutex
	s  string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s += string(b)
	return len(b), nil
}

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.s }

func get(t *testing.T, addr, token, path string) string {
	t.Helper()
	req, err := http.NewRequest("GET", addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still waiting: " + what)
		}
	}
}

// TestReadingsFromTheCashiersSession runs the helper against the real agent: a
// reading among its keys is a card read by the agent's reader, its token is good
// for nothing else, and the agent's absence stops neither keys nor helper.
func TestReadingsFromTheCashiersSession(t *testing.T) {
	dir, token := testFolder(t)
	toml := "version = 1\n[[devices]]\nname = \"counter scanner\"\ndriver = \"wedge\"\nport = \"session\"\n"
	if err := os.WriteFile(filepath.Join(dir, "till.toml"), []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := till.OpenPrograms(dir).AddFor("wedge", "scan", 1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, dir)
	state := func() string { return get(t, p.addr, token, "/v1/status") }
	if s := state(); !strings.Contains(s, `"name":"counter scanner"`) || strings.Contains(s, `"state":"ok"`) {
		t.Errorf("before anybody is there: %s", s)
	}
	keys := make(chan string)
	var told lines
	h := helper{url: p.addr, token: own, out: &told, watch: func(ctx context.Context, _ wedge.Options, read func([]byte)) error {
		for {
			select {
			case k := <-keys:
				read([]byte(k))
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx, wedge.Options{}) }()
	until(t, "the reader is ready", func() bool { return strings.Contains(state(), `"kind":"reader","state":"ok"`) })
	keys <- card + "\r"
	log := func() string { b, _ := os.ReadFile(p.log.Name()); return string(b) }
	until(t, "the card is read", func() bool { return strings.Contains(log(), "card read") })
	if strings.Contains(log(), card) {
		t.Error("the card's number is in the log")
	}
	for path, body := range map[string]string{"/v1/identify": `{"input":"` + card + `"}`, "/v1/receipts/R1/capture": `{}`} {
		if status, answer := post(p.addr, own, path, "k", body); status != 403 || !strings.Contains(answer, "not_allowed") {
			t.Errorf("the helper's token at %s: %d %s", path, status, answer)
		}
	}
	if status, answer := post(p.addr, own, "/v1/scans", "", `{"reader":"other"}`); status != 404 || !strings.Contains(answer, "no_reader") {
		t.Errorf("a reader that is not there: %d %s", status, answer)
	}
	p.kill()
	for i := range 3 * keepReadings { // the keyboard never waits
		select {
		case keys <- fmt.Sprintf("20000001250%02d\r", i):
		case <-time.After(30 * time.Second):
			t.Fatal("keys wait for an agent that is not there")
		}
	}
	until(t, "word of the agent's absence", func() bool { return strings.Contains(told.String(), "no agent at") })
	stop()
	if err := <-ended; err != context.Canceled {
		t.Errorf("helper: %v", err)
	}
	if !strings.HasPrefix(told.String(), "the agent listens\n") {
		t.Errorf("told: %s", told.String())
	}
	if code, _, errs := run("wedge", "--data", dir); code != 2 || !strings.Contains(errs, "--only scan") {
		t.Errorf("without a token: %d %s", code, errs)
	}
	if code, _, errs := run("token", "add", "x", "--only", "nonsense", "--data", dir); code != 1 || !strings.Contains(errs, "no call") {
		t.Errorf("a call that is not there: %d %s", code, errs)
	}
}
