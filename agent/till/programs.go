package till

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/internal/private"
)

// ProgramsFile is the name of the token list in the data folder.
const ProgramsFile = "tokens"

// Program is one program that may call the agent. Its token is kept as a hash:
// it is shown once, when it is made.
type Program struct {
	Name    string    `json:"name"`
	Hash    string    `json:"sha256"`
	Created time.Time `json:"created"`
	// Only is the one call the program may make, by its operation id; empty: all.
	Only string `json:"only,omitempty"`
}

// Programs is the list of programs that may call, kept in a file that other
// processes (tillside token) may change while the agent runs. It is safe for
// concurrent use.
type Programs struct {
	path string

	mu   sync.Mutex
	list []Program
	mod  time.Time
	size int64
}

// OpenPrograms opens the list in a data folder; no file means no programs.
func OpenPrograms(dir string) *Programs { return &Programs{path: filepath.Join(dir, ProgramsFile)} }

// ErrProgram is returned for a name that cannot be used.
var ErrProgram = errors.New("a program's name has 1 to 40 letters, digits, dots and dashes")

var programName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,39}$`)

// load reads the file when it has changed; p.mu is held.
func (p *Programs) load() error {
	st, err := os.Stat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		p.list, p.mod, p.size = nil, time.Time{}, 0
		return nil
	}
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	if st.ModTime().Equal(p.mod) && st.Size() == p.size {
		return nil
	}
	b, err := os.ReadFile(p.path)
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	var list []Program
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("read tokens: %s is not as written by tillside token: %w", p.path, err)
	}
	p.list, p.mod, p.size = list, st.ModTime(), st.Size()
	return nil
}

// Who tells which program a token belongs to, and the one call it may make, if
// it is bound to one. Every stored hash is compared, in constant time.
func (p *Programs) Who(token string) (name, only string, ok bool, err error) {
	sum := sha256.Sum256([]byte(token))
	want := hex.EncodeToString(sum[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return "", "", false, err
	}
	for _, e := range p.list {
		if subtle.ConstantTimeCompare([]byte(e.Hash), []byte(want)) == 1 {
			name, only, ok = e.Name, e.Only, true
		}
	}
	return name, only, ok, nil
}

// List gives the programs, oldest first.
func (p *Programs) List() ([]Program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.load()
	return slices.Clone(p.list), err
}

// Add makes a token for a program and returns it; it cannot be had again.
// keep bounds how many tokens of this name there may be: 1 replaces an
// earlier one.
func (p *Programs) Add(name string, keep int, now time.Time) (string, error) {
	return p.AddFor(name, "", keep, now)
}

// AddFor is Add for a program that may make one call only.
func (p *Programs) AddFor(name, only string, keep int, now time.Time) (string, error) {
	if only != "" && !slices.ContainsFunc(routes, func(r route) bool { return r.name == only && !r.open }) {
		return "", fmt.Errorf("there is no call %q; see /v1/openapi.json for the operation ids", only)
	}
	if !programName.MatchString(name) {
		return "", ErrProgram
	}
	b := make([]byte, 20)
	rand.Read(b)
	token := strings.ToLower(base32.StdEncoding.EncodeToString(b)) // 160 bits, 32 characters
	sum := sha256.Sum256([]byte(token))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return "", err
	}
	list, same := []Program{}, 0
	for _, e := range slices.Backward(p.list) {
		if e.Name == name {
			if same++; same >= keep {
				continue
			}
		}
		list = append(list, e)
	}
	slices.Reverse(list)
	list = append(list, Program{name, hex.EncodeToString(sum[:]), now.UTC().Truncate(time.Second), only})
	return token, p.store(list)
}

// Remove takes a program's tokens away and tells whether there were any.
func (p *Programs) Remove(name string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return false, err
	}
	list := slices.DeleteFunc(slices.Clone(p.list), func(e Program) bool { return e.Name == name })
	if len(list) == len(p.list) {
		return false, nil
	}
	return true, p.store(list)
}

func (p *Programs) store(list []Program) error {
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	if err := private.WriteFile(p.path, append(b, '\n')); err != nil {
		return err
	}
	p.mod = time.Time{} // read it again
	return p.load()
}
