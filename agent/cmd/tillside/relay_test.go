package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillside/tillside/drivers/follow/followtest"
)

// TestRelaySettings: what stops a relay, what does not, and what it says.
func TestRelaySettings(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "till.toml")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("version = 1\n"+s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "[passthrough]\ntill = \"tcp:127.0.0.1:0\"\nprinter = \"tcp:127.0.0.1:9\"\ndriver = \"escpos\"\n"
	for _, c := range []struct {
		name, toml string
		code       int
		want       string
	}{
		{"no pass-through", "", 3, "[passthrough]"},
		{"no printer", "[passthrough]\ntill = \"COM5\"\ndriver = \"escpos\"\n", 3, "passthrough.printer"},
		{"one port", "[passthrough]\ntill = \"COM5\"\nprinter = \"COM5\"\ndriver = \"escpos\"\n", 3, "one port"},
		{"another driver", strings.Replace(good, "escpos", "pole", 1), 3, "escpos, shtrih or posnet"},
		{"no such model", good + "model = \"none\"\n", 3, "tillside devices models"},
		{"a wrong port", strings.Replace(good, "tcp:127.0.0.1:9", "tcp:nowhere", 1), 3, "tcp:HOST:PORT"},
		{"a long hold", good + "hold = \"1s\"\n", 3, "1ms to 20ms"},
		{"good", good, 0, "till at tcp:127.0.0.1:0"},
		{"wrong elsewhere", "language = \"xx\"\n[api]\nlisten = \"0.0.0.0:1\"\n" + good, 0, "language: found"},
		{"not TOML at all: the last ones", "[[[", 0, "the settings it had last"},
		{"wrong here: the last ones", "[passthrough]\ntill = 5\n", 0, "the settings it had last"},
	} {
		write(c.toml)
		code, out, errs := run("relay", "--check", "--data", dir)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", c.name, code, c.code, c.want, out, errs)
		}
		if c.code != 0 { // what never worked is not kept
			_ = os.Remove(filepath.Join(dir, lastRelay))
		}
	}
	write(good + "[passthrough.patterns]\nitem = ['(']\n")
	if code, _, errs := run("config", "check", "--config", file); code != 3 || !strings.Contains(errs, "passthrough.patterns: item[0]") {
		t.Errorf("a wrong pattern: %d %s", code, errs)
	}
	write(good + "goods = \"" + filepath.ToSlash(filepath.Join(dir, "none")) + "\"\n")
	if code, _, errs := run("config", "check", "--config", file); code != 3 || !strings.Contains(errs, "goods") {
		t.Errorf("no goods: %d %s", code, errs)
	}
}

// TestRelayRead tells what would be read from a recording.
func TestRelayRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "till.bin")
	if err := os.WriteFile(file, followtest.Bytes(t, "escpos-encoder-en.bin"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run("relay", "read", "--data", dir, file)
	for _, want := range []string{"receipt A-1042", "Milk 1 l", "2 x     1.15 =     2.30", "-0.35", "total 19.00, cash 19.00", "lines would go in before byte"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s%s", code, want, out, errs)
		}
	}
	if err := os.WriteFile(file, []byte("Tea   2.00\nTOTAL  3.00\n\x1dV\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := run("relay", "read", "--data", dir, file); !strings.Contains(out, "lines come to 2.00, the total is 3.00") || !strings.Contains(out, "no receipt was read") {
		t.Error(out)
	}
	if code, _, errs := run("relay", "read", "--data", dir, filepath.Join(dir, "none")); code != 1 || errs == "" {
		t.Errorf("no file: %d %s", code, errs)
	}
	if code, _, errs := run("relay", "record", "--data", dir, filepath.Join(dir, "new.bin")); code != exitNotRunning {
		t.Errorf("no relay: %d %s", code, errs)
	}
}
