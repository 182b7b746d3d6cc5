package private

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Secrets are sealed where the machine offers something to seal them with, so
// that a stolen disk alone gives nothing away:
//
//   - Windows: DPAPI in machine scope, with a key the system keeps;
//   - Linux: a key that the service manager hands to the service alone, as the
//     credential [Credential] (systemd-creds can bind it to the machine's TPM).
//     Without one, the rights of the file are all there is.
//
// What lies unsealed from before is read as it is, and sealed when it is written
// next.

// Credential is the name of the systemd credential that seals, 16 bytes or more of
// anything.
const Credential = "tillside-seal"

// sealMark begins a sealed file; the word after it says with what.
const sealMark = "tillside sealed 1 "

// ErrSealed is wrapped when a sealed file cannot be opened here.
var ErrSealed = errors.New("sealed for the service on its machine")

// WriteSealed is WriteFile of a secret.
func WriteSealed(path string, b []byte) error {
	how, box, err := seal(b)
	if err != nil {
		return fmt.Errorf("seal %s: %w", filepath.Base(path), err)
	}
	if how != "" {
		b = []byte(sealMark + how + "\n" + base64.StdEncoding.EncodeToString(box) + "\n")
	}
	return WriteFile(path, b)
}

// ReadSealed reads a secret, sealed or not.
func ReadSealed(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(b, []byte(sealMark))
	if !ok {
		return b, nil
	}
	how, box, _ := bytes.Cut(rest, []byte("\n"))
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(box)))
	if err == nil {
		b, err = unseal(string(how), raw)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", filepath.Base(path), ErrSealed, err)
	}
	return b, nil
}

// Reseal seals a file that is not, where there is something to seal with. A file
// that is not there is no error.
func Reseal(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || bytes.HasPrefix(b, []byte(sealMark)) {
		return err
	}
	if how, _, err := seal(b); how == "" || err != nil {
		return err
	}
	return WriteSealed(path, b)
}

// credential gives the key of the service manager; nil when there is none.
func credential() (cipher.AEAD, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, Credential))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) < 16 {
		return nil, fmt.Errorf("credential %s has %d bytes, want 16 or more", Credential, len(b))
	}
	key := sha256.Sum256(append([]byte("tillside seal v1\n"), b...))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func sealWith(a cipher.AEAD, b []byte) []byte {
	nonce := make([]byte, a.NonceSize())
	rand.Read(nonce)
	return a.Seal(nonce, nonce, b, []byte(sealMark))
}

func unsealWith(a cipher.AEAD, box []byte) ([]byte, error) {
	if len(box) < a.NonceSize() {
		return nil, errors.New("cut short")
	}
	return a.Open(nil, box[:a.NonceSize()], box[a.NonceSize():], []byte(sealMark))
}
