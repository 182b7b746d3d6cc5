package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// signer signs programs and packages for Windows. Without a certificate it
// leaves them as they are.
type signer struct{ cert, key, url string }

// args are the words of osslsigncode that are the same for every file.
func (s signer) args(r *release, name string) []string {
	args := []string{"sign", "-h", "sha256", "-certs", s.cert, "-key", s.key, "-n", name, "-i", "https://github.com/tillside/tillside", "-time", fmt.Sprint(r.date.Unix())}
	if s.url != "" {
		args = append(args, "-ts", s.url)
	}
	return args
}

// file signs a file where it is.
func (s signer) file(r *release, path, name string) error {
	if s.cert == "" {
		return nil
	}
	signed := path + ".signed"
	if _, err := r.tool(r.work, nil, "osslsigncode", append(s.args(r, name), "-in", path, "-out", signed)...); err != nil {
		return err
	}
	return os.Rename(signed, path)
}

// script is what the maker of the installer calls to sign the uninstaller,
// which exists inside the installer only.
func (s signer) script(r *release, dir string) (string, error) {
	path := filepath.Join(dir, "sign")
	words := make([]string, 0, 20)
	for _, w := range s.args(r, "Tillside") {
		words = append(words, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	text := "#!/bin/sh\nset -e\nosslsigncode " + strings.Join(words, " ") + " -in \"$1\" -out \"$1.signed\" >/dev/null\nmv \"$1.signed\" \"$1\"\n"
	return path, os.WriteFile(path, []byte(text), 0o755)
}
