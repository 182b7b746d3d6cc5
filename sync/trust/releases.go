package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// Releases is the list of programs that may be installed. A new list replaces
// the one before it whole.
type Releases struct {
	Header
	Programs []Program `json:"programs"`
	// Hash of the signed bytes, filled when a list is read.
	Hash string `json:"-"`
	// By are the keys that vouch for it, filled by [State.Releases].
	By []string `json:"-"`
}

// Program is one file for one system.
type Program struct {
	Name    string `json:"name"`    // tillside
	Version string `json:"version"` // of the program: 1.4.2
	OS      string `json:"os"`      // as Go names it: linux, windows
	Arch    string `json:"arch"`    // amd64, 386, arm, arm64
	Size    int64  `json:"size"`    // bytes
	SHA256  string `json:"sha256"`  // hexadecimal
	// Stores get this one; empty: all. The first that fits is taken, so a pilot
	// stands before the version for everybody.
	Stores []string `json:"stores,omitempty"`
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$`)

// ParseReleases reads a list without asking who signed it.
func ParseReleases(payload []byte) (*Releases, error) {
	var l Releases
	if err := strict(payload, &l); err != nil {
		return nil, fmt.Errorf("release list: %w", err)
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	l.Hash = hashOf(payload)
	return &l, nil
}

// Check tells whether the list makes sense. Names and versions are plain words:
// they stand in file names.
func (l *Releases) Check() error {
	if err := l.Header.check(); err != nil {
		return fmt.Errorf("release list: %w", err)
	}
	if len(l.Programs) > maxPrograms {
		return fmt.Errorf("release list of %d programs: %w", len(l.Programs), ErrMalformed)
	}
	for i, p := range l.Programs {
		for _, s := range []string{p.Name, p.Version, p.OS, p.Arch} {
			if !plainName.MatchString(s) {
				return fmt.Errorf("release list: programs[%d]: %.40q is not a plain word: %w", i, s, ErrMalformed)
			}
		}
		if h, err := hex.DecodeString(p.SHA256); err != nil || len(h) != sha256.Size || p.Size < 1 || p.Size > 1<<30 {
			return fmt.Errorf("release list: programs[%d]: %d bytes with SHA-256 %.80q: %w", i, p.Size, p.SHA256, ErrMalformed)
		}
	}
	return nil
}

// Sealed is the list as a document to sign.
func (l *Releases) Sealed() (*Signed, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return &Signed{Kind: RoleRelease, Payload: b}, nil
}

// Find gives the program for a system in a store: the first that fits.
func (l *Releases) Find(name, os, arch, store string) (Program, bool) {
	for _, p := range l.Programs {
		if p.Name == name && p.OS == os && p.Arch == arch && (len(p.Stores) == 0 || slices.Contains(p.Stores, store)) {
			return p, true
		}
	}
	return Program{}, false
}

// Verify reads a file to its end and tells whether it is the program. It never
// reads more than one byte beyond the size it should have.
func (p *Program) Verify(r io.Reader) error {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, p.Size+1))
	switch {
	case err != nil:
		return fmt.Errorf("read %s %s: %w", p.Name, p.Version, err)
	case n != p.Size:
		return fmt.Errorf("%s %s: %d bytes or more, want %d: %w", p.Name, p.Version, n, p.Size, ErrContent)
	case hex.EncodeToString(h.Sum(nil)) != p.SHA256:
		return fmt.Errorf("%s %s: SHA-256 differs: %w", p.Name, p.Version, ErrContent)
	}
	return nil
}

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
