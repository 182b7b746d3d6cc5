package main

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/trust"
)

// TestSignedSums: the list verifies with the right key, and neither a changed
// package, nor a changed list, nor another key does.
func TestSignedSums(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, dir := t.TempDir(), t.TempDir()
	write := func(path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	right, wrong := filepath.Join(keys, "right"), filepath.Join(keys, "wrong")
	write(filepath.Join(keys, "key"), trust.FormatKey(key))
	write(right, trust.FormatPublic(public))
	write(wrong, trust.FormatPublic(other))
	deb := filepath.Join(dir, "a.deb")
	write(deb, []byte("package"))
	r := &release{out: dir, releaseKey: filepath.Join(keys, "key"), date: time.Unix(1, 0)}
	if err := r.sums(); err != nil {
		t.Fatal(err)
	}
	if err := verifySums(dir, right); err != nil {
		t.Error(err)
	}
	if verifySums(dir, wrong) == nil {
		t.Error("another key verifies")
	}
	write(deb, []byte("Package"))
	if verifySums(dir, right) == nil {
		t.Error("a changed package is as released")
	}
	write(deb, []byte("package"))
	list, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, sumsFile), append(list, '\n'))
	if verifySums(dir, right) == nil {
		t.Error("a changed list verifies")
	}
}

func TestVersionsWindowsCanCompare(t *testing.T) {
	for version, good := range map[string]bool{"1.4.2": true, "0.1.512": true, "1.4": false, "1.4.2-dirty": false, "v1.4.2": false, "1.4.02": false, "": false} {
		r := &release{version: version, date: time.Unix(1, 0), kinds: []string{"deb"}}
		if err := r.check(); (err == nil) != good {
			t.Errorf("%q: %v", version, err)
		}
	}
}
