package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/installer"
)

// linuxArchs names the processors as nfpm does. The centre is for servers.
var linuxArchs = map[string]struct {
	nfpm   string
	centre bool
}{
	"amd64": {"amd64", true},
	"386":   {"386", false},
	"arm":   {"arm6", false},
	"arm64": {"arm64", true},
}

// linux makes deb and rpm of both programs.
func (r *release) linux() error {
	if !r.wants("deb") && !r.wants("rpm") {
		return nil
	}
	if err := r.linuxFiles(); err != nil {
		return err
	}
	for _, arch := range r.archs {
		a, ok := linuxArchs[arch]
		if !ok {
			return fmt.Errorf("--arch: no packages for %q", arch)
		}
		for _, program := range r.programs {
			if program == "tillside-central" && !a.centre {
				continue
			}
			dir := filepath.Join(r.work, "linux-"+arch)
			exe := filepath.Join(dir, program)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := r.build(program, "linux", arch, exe); err != nil {
				return err
			}
			if err := r.dated(exe); err != nil {
				return err
			}
			for _, kind := range []string{"deb", "rpm"} {
				if !r.wants(kind) {
					continue
				}
				if err := r.nfpm(program, a.nfpm, kind, dir); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Where the two families keep units and completions of zsh. Old systems of the
// first have /lib apart from /usr/lib.
var places = map[string][]string{
	"deb": {"${UNITS}", "/lib/systemd/system", "${ZSH}", "/usr/share/zsh/vendor-completions"},
	"rpm": {"${UNITS}", "/usr/lib/systemd/system", "${ZSH}", "/usr/share/zsh/site-functions"},
}

func (r *release) nfpm(program, arch, kind, programs string) error {
	recipe := filepath.Join(programs, program+"."+kind+".yaml")
	words := append([]string{"${ARCH}", arch, "${VERSION}", r.version, "${WORK}", r.work, "${PROGRAMS}", programs, "${PACKAGING}", r.packaging(), "${COMPRESS}", r.compress}, places[kind]...)
	if err := fill(r.packaging("linux", program+".yaml"), recipe, words...); err != nil {
		return err
	}
	_, err := r.tool(r.work, nil, "go", "run", nfpm, "package", "-f", recipe, "-p", kind, "-t", r.out)
	return err
}

// linuxFiles makes what packages carry besides the programs. A program of this
// very machine prints manual and completions.
func (r *release) linuxFiles() error {
	files := map[string][]byte{
		"tillside.service":        []byte(installer.PackageUnit()),
		"tillside-relay.service":  []byte(installer.RelayUnit()),
		"tillside-provision.toml": configs.ProvisionSample,
		"central.toml":            configs.CentralSample,
		"changelog.yaml":          r.changelog(),
	}
	for _, name := range []string{"copyright", "tillside-central.service", "tillside.preinst", "tillside.postinst", "tillside.prerm", "tillside.postrm",
		"tillside-central.preinst", "tillside-central.postinst", "tillside-central.prerm", "tillside-central.postrm"} {
		b, err := os.ReadFile(r.packaging("linux", name))
		if err != nil {
			return err
		}
		files[name] = b
	}
	for _, program := range r.programs {
		exe := filepath.Join(r.work, "here-"+program)
		if err := r.build(program, runtime.GOOS, runtime.GOARCH, exe); err != nil {
			return err
		}
		for _, shell := range []string{"bash", "zsh", "fish"} {
			out, err := r.tool(r.work, nil, exe, "completion", shell)
			if err != nil {
				return err
			}
			// The program's name, not that of the file that printed it.
			files[program+"."+shell] = bytes.ReplaceAll(out, []byte("here-"+program), []byte(program))
		}
		man, err := r.tool(r.work, nil, exe, "manpage", "--epoch", fmt.Sprint(r.date.Unix()))
		if err != nil {
			return err
		}
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(man); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		files[program+".1.gz"] = z.Bytes()
	}
	for name, b := range files {
		path := filepath.Join(r.work, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
		if err := r.dated(path); err != nil {
			return err
		}
	}
	return nil
}

// changelog is what the package managers show of this version.
func (r *release) changelog() []byte {
	return fmt.Appendf(nil, `- semver: %s
  date: %s
  packager: Tillside <packages@tillside.example>
  deb:
    urgency: medium
    distributions: [stable]
  changes:
    - note: Release %s. What is new stands in the notes of the release.
`, r.version, r.date.Format(time.RFC3339), r.version)
}
