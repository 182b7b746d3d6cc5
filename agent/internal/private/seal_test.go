package private

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// folder is t.TempDir for Wine as well, which cannot delete the way Go asks for.
func folder(t *testing.T) string {
	dir, err := os.MkdirTemp("", "private")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestSealedByWhatTheMachineHas: the file shows nothing, opens here, and not with
// another key; what was written before is still read.
func TestSealedByWhatTheMachineHas(t *testing.T) {
	dir, creds := folder(t), folder(t)
	path := filepath.Join(dir, "identity.json")
	secret := []byte(`{"private_key":"very secret indeed"}`)
	if err := WriteFile(path, secret); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadSealed(path); err != nil || !bytes.Equal(b, secret) {
		t.Errorf("an unsealed file: %q %v", b, err)
	}
	if runtime.GOOS != "windows" {
		t.Setenv("CREDENTIALS_DIRECTORY", creds)
		if err := WriteSealed(path, secret); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(path); !bytes.Equal(b, secret) {
			t.Error("sealed without a credential")
		}
		if err := os.WriteFile(filepath.Join(creds, Credential), []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := WriteSealed(path, secret); err == nil {
			t.Error("a credential of 5 bytes")
		}
		if err := os.WriteFile(filepath.Join(creds, Credential), bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time it is sealed already
		if err := Reseal(path); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil || bytes.Contains(stored, []byte("secret")) {
		t.Fatalf("%q %v", stored, err)
	}
	if b, err := ReadSealed(path); err != nil || !bytes.Equal(b, secret) {
		t.Errorf("%q %v", b, err)
	}
	spoilt := bytes.Clone(stored)
	spoilt[len(spoilt)-20] ^= 1
	if err := os.WriteFile(path, spoilt, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSealed(path); !errors.Is(err, ErrSealed) {
		t.Errorf("a flipped bit: %v", err)
	}
	if err := Reseal(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.WriteFile(path, stored, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(creds, Credential), bytes.Repeat([]byte("x"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSealed(path); !errors.Is(err, ErrSealed) {
		t.Errorf("another machine's credential: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := ReadSealed(path); !errors.Is(err, ErrSealed) {
		t.Errorf("without the credential: %v", err)
	}
}
