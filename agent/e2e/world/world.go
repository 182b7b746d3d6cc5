// Package world sets up a small chain of shops from the real programs: one
// centre, some tills, and beside every till a scanner, a receipt printer and a
// customer display on pseudo-terminals. Nothing in it is simulated but the
// hardware behind the serial lines and the cable to head office, which can be
// cut and mended.
//
//	tillbench (scanner, printer, display) ═pty═ tillside ──link── tillside-central
//	                                               │
//	                                    the cash program (package cash)
//
// The demo and the stories of agent/e2e stand on it. A World belongs to one
// goroutine; its processes and links may be used from several.
package world

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/e2e/cash"
	"github.com/tillside/tillside/sync/linktest"
)

// World is a chain of shops on this machine.
type World struct {
	Dir    string // everything it writes
	Bin    string // where the programs are
	Centre *Process
	Tills  []*Till
}

// Till is one till: its agent, its emulated devices and its cable.
type Till struct {
	Name     string // "1"
	Store    string
	Language string
	Dir      string // data folder of the agent
	Agent    *Process
	Devices  *Process
	Link     *linktest.Proxy
	Cash     *cash.Till

	control string // address of the emulated devices' control
}

// New starts a centre in dir with the programs of bin.
func New(ctx context.Context, bin, dir string) (*World, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	w := &World{Dir: dir, Bin: bin}
	data := w.CentreDir()
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	w.Centre = &Process{
		Name: "centre", Path: w.program("tillside-central"),
		Args:    []string{"run", "--data", data, "--listen", "127.0.0.1:0"},
		LogFile: filepath.Join(dir, "centre.log"),
		Ready:   func() bool { return healthy("https", readAddress(data)) },
	}
	return w, w.Centre.Start(ctx)
}

// Password is what the centre printed at its first start for the operator
// "admin" of its pages.
func (w *World) Password() (string, error) {
	log, err := os.ReadFile(w.Centre.LogFile)
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(string(log), "with the password ")
	words := strings.Fields(rest)
	if !found || len(words) == 0 {
		return "", errors.New("the centre printed no password; its log says:\n" + tail(w.Centre.LogFile))
	}
	return words[0], nil
}

// CentreDir is the centre's data folder.
func (w *World) CentreDir() string { return filepath.Join(w.Dir, "centre") }

// CentreAddress is host:port of the centre now.
func (w *World) CentreAddress() string { return readAddress(w.CentreDir()) }

// Central runs a command of the centre's program on its data and gives its output.
func (w *World) Central(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, w.program("tillside-central"), append(args, "--data", w.CentreDir())...)
}

func (w *World) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(w.Bin, name)
}

// AddTill sets up one more till as a technician would: devices, settings,
// enrolment with a one-time code, a token for the cash program.
func (w *World) AddTill(ctx context.Context, store, name, language string, columns int) (*Till, error) {
	t := &Till{Name: name, Store: store, Language: language}
	base := filepath.Join(w.Dir, "till"+name)
	t.Dir = filepath.Join(base, "data")
	lines := filepath.Join(base, "dev")
	for _, d := range []string{t.Dir, lines} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	if err := t.startDevices(ctx, w, base, lines, columns); err != nil {
		return nil, err
	}
	var err error
	if t.Link, err = linktest.Listen(w.CentreAddress()); err != nil {
		return nil, err
	}
	config := filepath.Join(base, "till.toml")
	if err := os.WriteFile(config, []byte(settings(t.Dir, lines, language, store, columns)), 0o600); err != nil {
		return nil, err
	}
	if err := t.enrol(ctx, w, config); err != nil {
		return nil, err
	}
	t.Agent = &Process{
		Name: "till " + name, Path: w.program("tillside"), Args: []string{"run", "--config", config},
		LogFile: filepath.Join(base, "agent.log"),
		Ready:   func() bool { return healthy("http", readAddress(t.Dir)) },
	}
	t.Cash.Address = func() string { return readAddress(t.Dir) }
	w.Tills = append(w.Tills, t)
	return t, t.Agent.Start(ctx)
}

func (t *Till) startDevices(ctx context.Context, w *World, base, lines string, columns int) error {
	log := filepath.Join(base, "devices.log")
	t.Devices = &Process{
		Name: "devices of till " + t.Name, Path: w.program("tillbench"),
		Args:    []string{"emulate", "till", "--dir", lines, "--control", "127.0.0.1:0", "--stdin=false", "--columns", fmt.Sprint(columns)},
		LogFile: log,
		Ready: func() bool {
			t.control = readControl(log)
			return t.control != ""
		},
	}
	return t.Devices.Start(ctx)
}

// readControl finds the line "ready {…}" that the bench prints.
func readControl(log string) string {
	b, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		found, ok := strings.CutPrefix(line, "ready ")
		var ready struct {
			Control string `json:"control"`
		}
		if ok && json.Unmarshal([]byte(found), &ready) == nil {
			return strings.TrimPrefix(ready.Control, "http://")
		}
	}
	return ""
}

func (t *Till) enrol(ctx context.Context, w *World, config string) error {
	out, err := w.Central(ctx, "till", "add", "--store", t.Store, "--till", t.Name, "--json")
	if err != nil {
		return err
	}
	var added struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal([]byte(out), &added); err != nil || added.Code == "" {
		return fmt.Errorf("till add answered %q: %w", out, errors.Join(err, errors.New("no code in it")))
	}
	agent := w.program("tillside")
	if _, err := Run(ctx, agent, "enrol", "--config", config, "--server", "https://"+t.Link.Addr(), "--code", added.Code); err != nil {
		return err
	}
	token, err := Run(ctx, agent, "token", "add", "cash", "--config", config)
	if err != nil {
		return err
	}
	t.Cash = &cash.Till{Token: lastWord(token), Patience: 30 * time.Second}
	return nil
}

func settings(data, lines, language, store string, columns int) string {
	return fmt.Sprintf(`version = 1
data = %q
language = %q
[api]
listen = "127.0.0.1:0"
practice = "on"
[slip]
header = ["GIFT SHOP", "store %s"]
[[devices]]
name = "scanner"
driver = "barcode"
port = %q
[devices.options]
repeat = "30ms" # customers follow one another faster here than in a shop
[[devices]]
name = "printer"
driver = "escpos"
port = %q
[devices.options]
columns = %d
[[devices]]
name = "display"
driver = "pole"
port = %q
`, data, language, store, filepath.Join(lines, "scanner"), filepath.Join(lines, "printer"), columns, filepath.Join(lines, "display"))
}

// Scan holds a code before the till's scanner: it comes in over the serial line.
func (t *Till) Scan(ctx context.Context, code string) error {
	body, _ := json.Marshal(map[string]string{"data": code})
	_, err := t.Control(ctx, http.MethodPost, "/scan", string(body))
	return err
}

// Control speaks to the emulated devices of this till.
func (t *Till) Control(ctx context.Context, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+t.control+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	return data, err
}

// ControlAddress is where the emulated devices listen.
func (t *Till) ControlAddress() string { return t.control }

// RestartCentre starts the killed centre again and leads the cables to it.
func (w *World) RestartCentre(ctx context.Context) error {
	if err := w.Centre.Start(ctx); err != nil {
		return err
	}
	for _, t := range w.Tills {
		t.Link.Retarget(w.CentreAddress())
	}
	return nil
}

// Close stops everything, tills first.
func (w *World) Close() {
	for _, t := range w.Tills {
		t.Agent.Stop()
		t.Devices.Stop()
		if err := t.Link.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the link of till", t.Name+":", err)
		}
	}
	w.Centre.Stop()
}

// healthy asks a program that has just started. Whose certificate it shows is
// for the tills to judge.
func healthy(scheme, address string) bool {
	if address == "" {
		return false
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(scheme + "://" + address + "/healthz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func lastWord(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}
