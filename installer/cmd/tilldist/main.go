// Command tilldist makes the packages of a release, on Linux, into one folder:
//
//	tillside_1.4.2_amd64.deb          agent for Debian and its kin
//	tillside-1.4.2-1.x86_64.rpm       agent for Red Hat, SUSE and their kin
//	tillside-1.4.2-x64.msi            agent for fleets of Windows machines
//	tillside-1.4.2-setup.exe          agent for hands, in three languages
//	tillside-central_…, tillside-central-…   the centre, deb and rpm
//	SHA256SUMS                        of all of them
//
// "make dist" calls it. The same commit gives the same bytes: every date is the
// commit's, ids are computed from version and processor, and what the tools
// put into a package by themselves is set afterwards. Signatures are of the
// kind that is the same each time (RSA), and carry the commit's date as well.
//
// Keys come from outside and are never kept: --sign-cert and --sign-key sign
// the Windows programs and packages.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The packagers, pinned. Later versions of nfpm need a module that is not
// served to everybody.
const (
	nfpm    = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"
	winres  = "github.com/tc-hib/go-winres@v0.3.3"
	allKind = "deb,rpm,msi,setup"
)

// release is one run.
type release struct {
	root, out, work string
	version         string // "1.4.2"
	date            time.Time
	kinds, archs    []string
	programs        []string // tillside, tillside-central
	compress        string   // of deb and rpm
	sign            signer
	releaseKey      string // file; empty: the list is not signed
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tilldist:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("tilldist", flag.ContinueOnError)
	var r release
	f.StringVar(&r.root, "root", ".", "the project's folder")
	f.StringVar(&r.out, "out", "dist", "where the packages go; it is emptied")
	f.StringVar(&r.version, "version", "", "three numbers: 1.4.2")
	epoch := f.Int64("epoch", 0, "date of the release in seconds since 1970: the commit's")
	kinds := f.String("kinds", allKind, "which packages")
	archs := f.String("arch", "amd64,386,arm,arm64", "for which processors")
	programs := f.String("programs", "tillside,tillside-central", "of which programs")
	f.StringVar(&r.compress, "compress", "xz", "of deb and rpm: xz is small, gzip is quick")
	f.StringVar(&r.sign.cert, "sign-cert", "", "certificate for code signing (PEM), for Windows")
	f.StringVar(&r.sign.key, "sign-key", "", "its key (PEM, RSA)")
	f.StringVar(&r.sign.url, "sign-timestamp", "", "time-stamp server (RFC 3161); its answers differ each time")
	f.StringVar(&r.releaseKey, "release-key", "", "key of the role program: signs the list of sums")
	verify := f.String("verify", "", "check the list of sums in this folder instead, and every package in it")
	public := f.String("release-public", "", "with --verify: the public key of the role program")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *verify != "" {
		return verifySums(*verify, *public)
	}
	r.date = time.Unix(*epoch, 0).UTC()
	r.kinds, r.archs, r.programs = strings.Split(*kinds, ","), strings.Split(*archs, ","), strings.Split(*programs, ",")
	if err := r.check(); err != nil {
		return err
	}
	return r.make()
}

var threeNumbers = regexp.MustCompile(`^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,4})$`)

func (r *release) check() error {
	if !threeNumbers.MatchString(r.version) {
		return fmt.Errorf("--version %q: want three numbers such as 1.4.2; Windows Installer compares no more", r.version)
	}
	if r.date.Unix() <= 0 {
		return errors.New("--epoch: want the commit's date: git log -1 --format=%ct")
	}
	for _, k := range r.kinds {
		if !slices.Contains(strings.Split(allKind, ","), k) {
			return fmt.Errorf("--kinds: %q is none of %s", k, allKind)
		}
	}
	if (r.sign.cert == "") != (r.sign.key == "") {
		return errors.New("--sign-cert and --sign-key are given together")
	}
	return nil
}

func (r *release) make() (err error) {
	for _, p := range []*string{&r.root, &r.out, &r.sign.cert, &r.sign.key, &r.releaseKey} {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if r.work, err = os.MkdirTemp("", "tilldist"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if err := r.linux(); err != nil {
		return err
	}
	if err := r.windows(); err != nil {
		return err
	}
	return r.sums()
}

func (r *release) wants(kind string) bool { return slices.Contains(r.kinds, kind) }

// packaging is a file of the packaging folder.
func (r *release) packaging(name ...string) string {
	return filepath.Join(append([]string{r.root, "installer", "packaging"}, name...)...)
}
