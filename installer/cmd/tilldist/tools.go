package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tool runs a program in a folder and says what it was when it fails.
func (r *release) tool(dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append([]string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix()), "TZ=UTC", "LC_ALL=C.UTF-8"}, env...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, stderr.String())
	}
	return out, nil
}

// build makes a program for a system and a processor. What stands in a binary
// of the machine it was built on is kept out.
func (r *release) build(program, system, arch, exe string) error {
	pkg := map[string]string{"tillside": "./agent/cmd/tillside", "tillside-central": "./sync/cmd/tillside-central"}[program]
	if pkg == "" {
		return fmt.Errorf("no program %q", program)
	}
	_, err := r.tool(r.root, []string{"CGO_ENABLED=0", "GOOS=" + system, "GOARCH=" + arch, "GOARM=6", "GOFLAGS="},
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", exe, pkg)
	return err
}

// fill copies a text and replaces words in it.
func fill(from, to string, pairs ...string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, []byte(strings.NewReplacer(pairs...).Replace(string(b))), 0o644)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// date gives files the release's date, which packagers write down.
func (r *release) dated(files ...string) error {
	for _, f := range files {
		if err := os.Chtimes(f, r.date, r.date); err != nil {
			return err
		}
	}
	return nil
}
