package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// printerOf starts emulated devices and tells where the printer's line and the
// bench's control are.
func printerOf(t *testing.T, dir string) (line, control string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "devices.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "tillbench"), "emulate", "till", "--dir", dir, "--control", "127.0.0.1:0", "--stdin=false", "--columns", "42")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
	})
	until(t, "the devices are ready", func() bool {
		b, _ := os.ReadFile(log.Name())
		for line := range strings.Lines(string(b)) {
			var ready struct{ Control string }
			if rest, ok := strings.CutPrefix(line, "ready "); ok && json.Unmarshal([]byte(rest), &ready) == nil {
				control = ready.Control
			}
		}
		return control != ""
	})
	if !strings.HasPrefix(control, "http") {
		control = "http://" + control
	}
	return filepath.Join(dir, "printer"), control
}

// TestShutdownWhilePrinting (F25): the system stops the agent with five
// seconds of grace while slips are being printed. Nothing that was told is
// lost, and no slip comes twice: one of which nobody knows is not printed
// again.
func TestShutdownWhilePrinting(t *testing.T) {
	s := &shop{t: t, tmp: scratch(t), http: newClient()}
	s.dir = filepath.Join(s.tmp, "data")
	lines := filepath.Join(s.tmp, "lines")
	for _, d := range []string{s.dir, lines} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.token = folder(t, s.dir, "ws://127.0.0.1:1/v1/sync")
	t.Cleanup(s.kill)
	line, control := printerOf(t, lines)
	settings := filepath.Join(s.tmp, "till.toml")
	text := fmt.Sprintf("version = 1\n[slip]\ncontent = \"receipt\"\n[[devices]]\nname = \"printer\"\ndriver = \"escpos\"\nport = %q\n[devices.options]\ncolumns = 42\n", line)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.more = []string{"--config", settings}
	r := rand.New(rand.NewPCG(*firstSeed, 25))
	stops, late := pick(6, 60), 0
	slips := map[string]int{}
	for n := range stops {
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			id := fmt.Sprintf("X%03d%d", n, i)
			status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", fmt.Sprintf(`{"print":"agent","receipt":{"currency":"GBP","lines":[{"sku":"1","name":"Goods %s","quantity":"1","price":"30.00"}]}}`, id))
			if status != http.StatusOK {
				t.Fatalf("%d %s", status, answer)
			}
		}
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond) // somewhere in the middle of it
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(5 * time.Second):
			late++
		}
		s.kill()
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for _, c := range s.calls {
		until(t, "the slip's fate is known", func() bool {
			v := s.slip(c.Receipt)
			if v == "queued" || v == "printing" || v == "" {
				return false
			}
			states[v]++
			return true
		})
	}
	paper := get(t, control+"/text?device=printer")
	twice := 0
	for _, c := range s.calls {
		slips[c.Receipt] = strings.Count(paper, "Goods "+c.Receipt)
		if slips[c.Receipt] > 1 {
			twice++
			t.Errorf("the slip of %s came %d times", c.Receipt, slips[c.Receipt])
		}
		if slips[c.Receipt] == 0 && s.slip(c.Receipt) == "printed" {
			t.Errorf("the slip of %s is told to be printed and is not", c.Receipt)
		}
	}
	s.kill()
	j := job{Dir: s.dir, Token: s.token, Asked: len(s.calls), Told: len(s.calls), Whole: true}
	if err := j.verify(s.calls); err != nil {
		t.Error(err)
	}
	bad := twice
	if t.Failed() {
		bad = max(bad, 1)
	}
	did := fmt.Sprintf("%d stops, %d needed SIGKILL after 5 s; slips: %v", stops, late, states)
	rows.add("F25", "the system stops the agent while slips are printed", did, bad)
	t.Log(did)
}

// slip asks what became of the slip of a receipt.
func (s *shop) slip(id string) string {
	req, err := http.NewRequest(http.MethodGet, s.addr+"/v1/receipts/"+id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.http.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var v struct{ Slip string }
	_ = json.NewDecoder(resp.Body).Decode(&v) // empty: asked again
	return v.Slip
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
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
