//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/update"
	"github.com/tillside/tillside/sync/trust"
)

var replaceStory = flag.Bool("replace", false, "replace the running program by another, for real")

// releaseFile packs a program as list number n, signed by the release key.
func releaseFile(t *testing.T, n int64, version string, program []byte, spoil func(l *trust.Releases, signed *trust.Signed)) string {
	t.Helper()
	h := sha256.Sum256(program)
	l := &trust.Releases{Header: agenttest.Root().Header, Programs: []trust.Program{{Name: "tillside", Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Size: int64(len(program)), SHA256: hex.EncodeToString(h[:])}}}
	l.Version = n
	doc, err := l.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(l, doc)
	} else {
		doc.Sign(agenttest.ReleaseKey())
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range map[string][]byte{"releases.json": doc.Bytes(), l.Programs[0].SHA256: program} {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "release.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProgramIsReplacedAndGoesBack runs the real program under a little service
// manager: a newer one from a file takes over and stays, one that dies at once
// goes back by itself, one that nobody signed is not even looked at, and no
// record is lost on the way.
func TestProgramIsReplacedAndGoesBack(t *testing.T) {
	if !*replaceStory {
		t.Skip("takes a quiet machine: go test ./agent/cmd/tillside -run Replaced -args -replace")
	}
	installed, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=2", "-o", newer, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(newer)
	if err != nil {
		t.Fatal(err)
	}
	dir, token := testFolder(t)
	settings := "version = 1\n[api]\nlisten = \"127.0.0.1:0\"\n[update]\nprobation = \"2s\"\npatience = \"20s\"\n"
	if err := os.WriteFile(filepath.Join(dir, "till.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // as a service manager does
		defer close(ended)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, installed, "run", "--data", dir)
			cmd.Stdout, cmd.Stderr = log, log
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = 5 * time.Second // a signal may meet the moment of the hand-over
			_ = cmd.Run()
		}
	}()
	defer func() { stop(); <-ended }()

	shelf := &update.Shelf{Data: dir, Installed: "test"}
	until := func(what string, ok func(update.State) bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if st, err := shelf.State(); err == nil && ok(st) {
				return
			}
		}
		b, _ := os.ReadFile(log.Name())
		t.Fatalf("never happened: %s\n%s", what, b)
	}
	// version asks the agent that answers now.
	version := func() (v string, seq uint64) {
		var st struct {
			Version string
			Journal struct{ Seq uint64 }
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if ask(dir, "/v1/status", &st) == nil {
				return st.Version, st.Journal.Seq
			}
		}
		t.Fatal("nobody answers")
		return "", 0
	}
	sale := func(id string) {
		t.Helper()
		body := `{"receipt":{"lines":[{"sku":"1","quantity":"1","price":"5.00"}]}}`
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			addr, err := address(dir)
			if err != nil {
				continue
			}
			req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/v1/receipts/"+id+"/capture", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", id)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return
				}
			}
		}
		t.Fatal("not captured")
	}
	if v, _ := version(); v != "dev" {
		t.Fatal(v)
	}
	sale("R1")
	// Nobody signed it, or somebody else: not taken.
	for _, spoil := range []func(*trust.Releases, *trust.Signed){
		func(*trust.Releases, *trust.Signed) {},
		func(_ *trust.Releases, s *trust.Signed) { s.Sign(agenttest.BundleKey()) },
	} {
		if code, out, errs := run("update", "--data", dir, releaseFile(t, 1, "2", program, spoil)); code == 0 || !strings.Contains(errs, "did not take") {
			t.Fatalf("%d %s %s", code, out, errs)
		}
	}
	if code, out, errs := run("update", "--data", dir, releaseFile(t, 1, "2", program, nil)); code != 0 || !strings.Contains(out, "2") {
		b, _ := os.ReadFile(log.Name())
		t.Fatalf("%d %s %s\n%s", code, out, errs, b)
	}
	until("2 stays", func(s update.State) bool { return s.Current != nil && s.Current.Version == "2" && s.Trial == nil })
	if v, _ := version(); v != "2" {
		t.Fatal(v)
	}
	sale("R2")
	// The same list again is old news; an older one is refused.
	if code, _, errs := run("update", "--data", dir, releaseFile(t, 1, "3", []byte("#!/bin/sh\nexit 3\n"), nil)); code == 0 {
		t.Fatalf("another list with a number that was seen was taken: %s", errs)
	}
	if code, out, errs := run("update", "--data", dir, releaseFile(t, 2, "3", []byte("#!/bin/sh\nexit 3\n"), nil)); code != 0 {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	until("3 goes back", func(s update.State) bool {
		return len(s.Failed) == 1 && s.Current != nil && s.Current.Version == "2" && s.Trial == nil
	})
	if v, _ := version(); v != "2" {
		t.Fatal(v)
	}
	sale("R3")
	if code, out, _ := run("update", "--data", dir); code != 0 || !strings.Contains(out, "went back 3") || !strings.Contains(out, "runs      2") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, errs := run("rollback", "--data", dir); code != 0 || !strings.Contains(out, "installed program") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	stop()
	<-ended
	for id, n := range map[string]int{"R1": 1, "R2": 1, "R3": 1} {
		if got := commits(t, dir)[id]; got != n {
			t.Errorf("%s is in the journal %d times", id, got)
		}
	}
	if copies, _ := filepath.Glob(filepath.Join(dir, "backup", "*.db")); len(copies) != 1 {
		t.Errorf("copies of the journal: %v", copies)
	}
	var st update.State
	if code, out, _ := run("update", "--data", dir, "--json"); code != 0 || json.Unmarshal([]byte(out), &st) != nil || len(st.Failed) != 2 {
		t.Errorf("%d %s", code, out)
	}
}
