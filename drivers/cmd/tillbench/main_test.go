package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func run(t *testing.T, stdin string, args ...string) (string, string, error) {
	t.Helper()
	cmd := root()
	var out, errs bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestDevices(t *testing.T) {
	out, _, err := run(t, "", "devices")
	if err != nil || !strings.Contains(out, "escpos") || !strings.Contains(out, "epson-tm-t88v") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = run(t, "", "devices", "--json")
	var all struct{ Drivers, Models []any }
	if err != nil || json.Unmarshal([]byte(out), &all) != nil || len(all.Drivers) < 3 || len(all.Models) < 30 {
		t.Errorf("%v\n%.200s", err, out)
	}
	for arg, want := range map[string]string{"escpos": "code_pages", "epson-tm-t88v": "TM-T88VI"} {
		if out, _, err := run(t, "", "devices", arg); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", arg, err, out)
		}
	}
	if _, _, err := run(t, "", "devices", "kettle"); err == nil {
		t.Error("an unknown name was taken")
	}
}

func TestPorts(t *testing.T) {
	out, _, err := run(t, "", "ports", "--json")
	var list []any
	if err != nil || json.Unmarshal([]byte(out), &list) != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRender(t *testing.T) {
	dir := t.TempDir()
	job := filepath.Join(dir, "job.bin")
	if err := os.WriteFile(job, []byte("\x1b@\x1bt\x11\x8a\x8b\x93\x81\n\x1dV\x00\x1b\xff\x01"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, errs, err := run(t, "", "render", job, "--text", "--png", filepath.Join(dir, "slip.png"))
	if err != nil || !strings.HasPrefix(out, "КЛУБ\n8<") || !strings.Contains(errs, "1B FF 01") {
		t.Errorf("%v\n%s\n%s", err, out, errs)
	}
	if img, err := os.ReadFile(filepath.Join(dir, "slip.png")); err != nil || !bytes.HasPrefix(img, []byte("\x89PNG")) {
		t.Error(err)
	}
	if out, _, err := run(t, "from a pipe\n", "render", "-"); err != nil || out != "from a pipe\n" {
		t.Errorf("%q %v", out, err)
	}
}

func TestEmulateTill(t *testing.T) {
	out, _, err := run(t, "paper out\ntext display\nquit\n", "emulate", "till", "--tcp", "127.0.0.1:0", "--control", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(out, "\n")
	var ready map[string]string
	if j, ok := strings.CutPrefix(first, "ready "); !ok || json.Unmarshal([]byte(j), &ready) != nil {
		t.Fatalf("the first line is %q", first)
	}
	for _, n := range []string{"scanner", "printer", "display", "control"} {
		if ready[n] == "" {
			t.Errorf("%s has no address in %v", n, ready)
		}
	}
	if rest != "ok\n"+strings.Repeat(" ", 20)+"\n"+strings.Repeat(" ", 20)+"\n" {
		t.Errorf("answers %q", rest)
	}
}

func TestEmulateNeedsALine(t *testing.T) {
	for _, args := range [][]string{{"emulate", "printer"}, {"emulate", "till"}, {"emulate", "scanner", "--pty", "/tmp/x", "--tcp", "127.0.0.1:0"}} {
		if _, _, err := run(t, "quit\n", args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// Every command teaches with an example, except those that only group others.
func TestHelpHasExamples(t *testing.T) {
	for _, c := range root().Commands() {
		for _, s := range append(c.Commands(), c) {
			if s.Name() == "help" || s.Name() == "completion" || s.HasSubCommands() {
				continue
			}
			if s.Example == "" || s.Short == "" {
				t.Errorf("%s has no example", s.CommandPath())
			}
		}
	}
}

func TestGallery(t *testing.T) {
	dir := t.TempDir()
	out, _, err := run(t, "", "gallery", "--out", dir, "--languages", "pl", "--columns", "32", "--parts", "slips")
	if err != nil || !strings.Contains(out, filepath.Join(dir, "index.html")) {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "slip-sale-pl-32.txt"))
	if err != nil || !strings.Contains(string(text), "Zdobyte punkty") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, args := range [][]string{{"gallery"}, {"gallery", "--out", dir, "--languages", "de"}, {"gallery", "--out", dir, "--columns", "12"}, {"gallery", "--out", dir, "--parts", "receipts"}} {
		if _, _, err := run(t, "", args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
