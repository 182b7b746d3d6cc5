package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/sync/wire"
)

// run runs a command line in this process.
func run(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	p := &program{in: strings.NewReader(""), out: &o, err: &e, version: "test"}
	code = p.main(args)
	return code, o.String(), e.String()
}

func TestExitCodesAndWords(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("version = 1\nlanguage = \"xx\"\n[api]\nlisten = \"0.0.0.0:1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	device := filepath.Join(dir, "device.toml")
	if err := os.WriteFile(device, []byte("version = 1\n[[devices]]\nname=\"p\"\nmodel=\"no-such-model\"\nport=\"COM1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	for _, c := range []struct {
		args string
		code int
		want string // in output or error
	}{
		{"version", 0, "tillside test"},
		{"config sample", 0, "version = 1"},
		{"config check --data " + empty, 0, "defaults are in force"},
		{"config check --config " + bad, 3, "api.listen"},
		{"config check --config " + bad, 3, "bad.toml:2: language"},
		{"config check --config " + device, 3, "no-such-model"},
		{"config check --config " + filepath.Join(dir, "none"), 1, "no settings file"},
		{"run --config " + bad, 3, "language"},
		{"status --data " + empty, 6, "does not run"},
		{"page --data " + empty, 6, "does not run"},
		{"outbox verify --data " + empty, 5, "not enrolled"},
		{"enrol --data " + empty, 2, "--server"},
		{"enrol --server http://127.0.0.1:1 --code short --data " + empty, 1, "code is not complete"},
		{"token add --data " + empty, 2, "arg"},
		{"token add bad/name --data " + empty, 1, "letters"},
		{"token remove nobody --data " + empty, 1, "no program"},
		{"no-such-command", 2, "unknown command"},
		{"run --no-such-flag", 2, "unknown flag"},
		{"token", 2, "Usage"},
		{"config wrong", 2, "unknown command"},
		{"devices models", 0, "escpos"},
		{"service install --dry-run --data " + empty, 0, "service uninstall"},
	} {
		code, out, errs := run(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("tillside %s: exit %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
}

// TestSampleDevicesWork takes the comment signs off the devices of the printed
// sample: who does the same has settings that run.
func TestSampleDevicesWork(t *testing.T) {
	_, sample, _ := run("config", "sample")
	_, devices, found := strings.Cut(sample, "\n# [[devices]]\n")
	if !found {
		t.Fatal("the sample shows no device")
	}
	text := "version = 1\n[[devices]]\n" + regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(devices, "")
	if strings.Count(text, "model = ") < 2 {
		t.Fatalf("fewer than two devices:\n%s", text)
	}
	file := filepath.Join(t.TempDir(), "till.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := run("config", "check", "--config", file); code != 0 {
		t.Errorf("config check: exit %d\n%s\n%s", code, errs, text)
	}
}

func TestTokens(t *testing.T) {
	dir := t.TempDir()
	code, token, _ := run("token", "add", "cashdesk", "--data", dir)
	if code != 0 || !regexp.MustCompile(`^[a-z2-7]{32}\n$`).MatchString(token) {
		t.Fatalf("%d %q", code, token)
	}
	if _, list, _ := run("token", "list", "--data", dir); !strings.Contains(list, "cashdesk") {
		t.Errorf("list: %q", list)
	}
	b, err := os.ReadFile(filepath.Join(dir, "tokens"))
	if err != nil || strings.Contains(string(b), strings.TrimSpace(token)) {
		t.Errorf("the token itself is kept: %v", err)
	}
	if code, _, _ := run("token", "remove", "cashdesk", "--data", dir); code != 0 {
		t.Error("remove")
	}
}

func TestEnrolment(t *testing.T) {
	dir := t.TempDir()
	signed, err := agenttest.Root().Sealed()
	if err != nil {
		t.Fatal(err)
	}
	forged := signed.Bytes() // by nobody
	signed.Sign(agenttest.RootKey())
	root := forged
	refused := true
	centre := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/v1/enrol" {
			http.NotFound(w, r)
			return
		}
		if refused {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"code_used","message":"This code was used","hint":"ask for a new one"}}`))
			return
		}
		_ = json.NewEncoder(w).Encode(wire.EnrolAnswer{Device: "dev-0123456789", Epoch: 1, Store: "s1", Till: "t1", LookupKey: make([]byte, 32),
			Root: root, SyncURL: "ws://127.0.0.1:1/v1/sync"})
	}))
	defer centre.Close()
	args := []string{"enrol", "--server", centre.URL, "--code", "7k2m-9qxt-4wdh", "--data", dir}
	if code, _, errs := run(args...); code != 1 || !strings.Contains(errs, "ask for a new one") {
		t.Errorf("refused: %d %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "identity.json")); err == nil {
		t.Error("an identity without an enrolment")
	}
	refused = false
	if code, out, errs := run(args...); code != 1 || !strings.Contains(out, "which keys to believe") {
		t.Errorf("a root that nobody signed: %d %s %s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "identity.json")); err == nil {
		t.Error("an identity without a root")
	}
	root = signed.Bytes()
	if code, out, errs := run(args...); code != 0 || !strings.Contains(out, "store s1, till t1") {
		t.Errorf("enrol: %d %s %s", code, out, errs)
	}
	if st, err := os.Stat(filepath.Join(dir, "identity.json")); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("identity: %v %v", st.Mode(), err)
	}
	if code, _, errs := run(args...); code == 0 || !strings.Contains(errs, "--replace") {
		t.Errorf("again: %d %s", code, errs)
	}
	if code, _, errs := run(append(args, "--replace")...); code != 0 {
		t.Errorf("replace: %d %s", code, errs)
	}
	if code, _, errs := run("enrol", "--server", centre.URL+"/x", "--code", "7k2m-9qxt-4wdh", "--data", t.TempDir()); code != 0 {
		t.Errorf("a path in the address is left out: %s", errs)
	}
}

// TestHelpHasExamplesThatParse takes every example of the help texts.
func TestHelpHasExamplesThatParse(t *testing.T) {
	p := &program{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}, version: "test"}
	root := p.root()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() && !c.Hidden && c.Name() != "help" && c.Parent() != nil && c.Parent().Name() != "completion" {
			if c.Short == "" || c.Example == "" {
				t.Errorf("%s lacks a short text or an example", c.CommandPath())
			}
		}
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, "|")
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, ">")
			line, _, _ = strings.Cut(line, "&&")
			args, ok := strings.CutPrefix(strings.TrimSpace(line), "tillside ")
			if !ok {
				continue
			}
			fields := strings.Fields(strings.ReplaceAll(args, `"`, ""))
			found, rest, err := root.Find(fields)
			if err != nil || found == root {
				t.Errorf("%q leads nowhere: %v", line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func TestLogFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "till.log")
	r := &rotated{path: path, max: 1000, keep: 2}
	for i := range 100 {
		if _, err := r.Write(bytes.Repeat([]byte{byte('a' + i%26)}, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(path + "*")
	if err != nil || len(list) != 3 {
		t.Fatalf("%v %v", list, err)
	}
	for _, f := range list {
		if st, err := os.Stat(f); err != nil || st.Size() > 1000 {
			t.Errorf("%s: %v", f, err)
		}
	}
}
