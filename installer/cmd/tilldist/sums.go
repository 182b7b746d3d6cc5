package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
		f, err := os.Open(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", h.Sum(nil), e.Name())
	}
	fmt.Print(b.String())
	if r.sign.cert == "" && (r.wants("msi") || r.wants("setup")) {
		fmt.Println("The Windows packages are not signed: give SIGN_CERT and SIGN_KEY.")
	}
	return os.WriteFile(filepath.Join(r.out, sumsFile), []byte(b.String()), 0o644)
}
