package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tillside/tillside/sync/trust"
)

// sumsFile is the list that sha256sum -c reads.
const sumsFile = "SHA256SUMS"

// sums writes the list of every package and prints it.
func (r *release) sums() error {
	list, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, e := range list {
		sum, err := sumOf(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, e.Name())
	}
	fmt.Print(b.String())
	if r.sign.cert == "" && (r.wants("msi") || r.wants("setup")) {
		fmt.Println("The Windows packages are not signed: give SIGN_CERT and SIGN_KEY.")
	}
	if err := os.WriteFile(filepath.Join(r.out, sumsFile), []byte(b.String()), 0o644); err != nil {
		return err
	}
	if r.releaseKey == "" {
		return nil
	}
	raw, err := os.ReadFile(r.releaseKey)
	if err != nil {
		return fmt.Errorf("release key: %w", err)
	}
	key, err := trust.ParseKey(raw)
	if err != nil {
		return fmt.Errorf("release key: %w", err)
	}
	return os.WriteFile(filepath.Join(r.out, sumsSignature), ed25519.Sign(key, sumsMessage([]byte(b.String()))), 0o644)
}

// sumsSignature is the detached Ed25519 signature of the list, 64 bytes.
const sumsSignature = sumsFile + ".sig"

// sumsMessage is what is signed: the list, under words that no other message
// of ours begins with.
func sumsMessage(list []byte) []byte { return append([]byte("tillside SHA256SUMS v1\n"), list...) }

// verifySums checks the signature of a list, where a key is given, and every
// package that is named in it.
func verifySums(dir, public string) error {
	list, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return err
	}
	if public != "" {
		raw, err := os.ReadFile(public)
		if err != nil {
			return err
		}
		key, err := trust.ParsePublic(raw)
		if err != nil {
			return err
		}
		sig, err := os.ReadFile(filepath.Join(dir, sumsSignature))
		if err != nil {
			return err
		}
		if !ed25519.Verify(key, sumsMessage(list), sig) {
			return errors.New("the list of sums is not signed by this key")
		}
	}
	n := 0
	for line := range strings.Lines(string(list)) {
		want, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || filepath.Base(name) != name {
			return fmt.Errorf("%q is no line of a list of sums", line)
		}
		got, err := sumOf(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is not what was released", name)
		}
		n++
	}
	fmt.Printf("%d packages are as released\n", n)
	return nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
