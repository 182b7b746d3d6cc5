// Package update decides which program a till runs, so that a bad one goes back
// by itself.
//
// The program that a package or a person installed is never touched: the agent
// may not write there, and need not. Newer programs are put on a shelf in the
// data folder, and the installed one, when it is started, looks at the shelf
// and hands over:
//
//	installed program ──Choose──> program on the shelf ──runs as the till
//	                       ▲             │ well for a while: Confirm
//	                       │             │ not well, or Starts used up: Back
//	                       └─────────────┘
//
// A program on trial has a few starts to become well (store open, rulebook and
// link and devices as they were before) and must stay well for a while. Each
// start is counted on disk before it is made, so a program that dies at once,
// one that dies after nine minutes and a machine that loses power in between
// all end the same way: with a program that works.
//
// What may be put on the shelf is decided elsewhere: a list signed by the
// release keys (sync/trust), never an older list than the last. Going back to
// an older version is a new list that names it.
//
// The data stays where it is when a program goes back: a release may not write
// what the release before it cannot read. So that this is not a matter of
// faith, a copy of the journal is laid aside before each switch all the same.
//
// A Shelf is for one process at a time, the one that holds the data folder.
// Every change is a file that is written whole, synced and renamed.
package update

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/trust"
)

// Folder is the shelf inside the data folder.
const Folder = "programs"

// Starts is how often a program on trial may be started.
const Starts = 3

var (
	// ErrFailed is returned for a program that was tried here and went back.
	ErrFailed = errors.New("this program was tried here and went back")
	// ErrTrial is returned while another program is on trial.
	ErrTrial = errors.New("another program is on trial")
)

// Program is a program on the shelf.
type Program struct {
	Version string    `json:"version"`
	File    string    `json:"file"` // below the shelf
	SHA256  string    `json:"sha256"`
	Size    int64     `json:"size"`
	At      time.Time `json:"at"` // when it was put there
}

// Before is how the till was when it switched: a new program must do as well.
type Before struct {
	Rulebook bool     `json:"rulebook"`
	Online   bool     `json:"online"`
	Ready    []string `json:"ready,omitempty"` // devices
}

// Trial is a program that has not shown yet that it works.
type Trial struct {
	Begun  time.Time `json:"begun"`
	Starts int       `json:"starts"`
	Before Before    `json:"before"`
}

// Failure is a program that went back.
type Failure struct {
	Version string    `json:"version"`
	SHA256  string    `json:"sha256"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// State is what the shelf remembers. The zero value is a shelf that was never
// used.
type State struct {
	// Base is the version of the installed program when the switch was made:
	// when a person installs another one, that is what is meant to run.
	Base     string    `json:"base,omitempty"`
	Staged   *Program  `json:"staged,omitempty"`   // waits for its hour
	Current  *Program  `json:"current,omitempty"`  // nil: the installed one
	Previous *Program  `json:"previous,omitempty"` // where Back goes; nil: the installed one
	Trial    *Trial    `json:"trial,omitempty"`
	Failed   []Failure `json:"failed,omitempty"` // newest last, at most mostFailed
}

const (
	stateFile  = "state.json"
	mostFailed = 20
)

// Shelf holds programs of one data folder.
type Shelf struct {
	Data      string           // data folder
	Installed string           // version of the installed program
	Now       func() time.Time // nil: time.Now

	// Step is called before each thing that a power cut may come before;
	// tests cut there.
	Step func()
}

func (s *Shelf) dir() string { return filepath.Join(s.Data, Folder) }

func (s *Shelf) now() time.Time {
	if s.Now == nil {
		return time.Now().UTC().Truncate(time.Second)
	}
	return s.Now().UTC().Truncate(time.Second)
}

func (s *Shelf) step() {
	if s.Step != nil {
		s.Step()
	}
}

// State reads what the shelf remembers. A file that cannot be read counts as a
// shelf that was never used: the installed program runs.
func (s *Shelf) State() (State, error) {
	var st State
	b, err := os.ReadFile(filepath.Join(s.dir(), stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, fmt.Errorf("read the shelf: %w", err)
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return State{}, fmt.Errorf("read the shelf: %w", err)
	}
	return st, nil
}

func (s *Shelf) save(st State) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return s.write(stateFile, append(b, '\n'), 0o600)
}

// write puts a file there whole.
func (s *Shelf) write(name string, b []byte, mode os.FileMode) error {
	path := filepath.Join(s.dir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	s.step()
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(b)
	s.step()
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	s.step()
	if err == nil {
		err = boltfile.Rename(path+".part", path)
	}
	s.step()
	if err == nil {
		err = boltfile.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Stage puts a program on the shelf, to be switched to at its hour. r is read
// to its end and must be the program. One that went back here before is
// refused, and so is the one that runs.
func (s *Shelf) Stage(p *trust.Program, r io.Reader) (*Program, error) {
	st, err := s.State()
	if err != nil {
		return nil, err
	}
	if err := st.wants(p, s.Installed); err != nil {
		return nil, err
	}
	name := "tillside"
	if p.OS == "windows" {
		name += ".exe"
	}
	prog := &Program{Version: p.Version, SHA256: p.SHA256, Size: p.Size, At: s.now(), File: filepath.Join(p.Version+"-"+p.SHA256[:12], name)}
	if err := s.put(p, prog, r); err != nil {
		return nil, fmt.Errorf("put %s on the shelf: %w", p.Version, err)
	}
	st.Staged = prog
	if err := s.save(st); err != nil {
		return nil, err
	}
	return prog, nil
}

// Wants tells whether a program of a list is news here; the error says why not.
func (s *Shelf) Wants(p *trust.Program) error {
	st, err := s.State()
	if err != nil {
		return err
	}
	return st.wants(p, s.Installed)
}

// ErrSame is returned for the program that runs or waits already.
var ErrSame = errors.New("this program is here already")

func (st *State) wants(p *trust.Program, installed string) error {
	for _, f := range st.Failed {
		if f.SHA256 == p.SHA256 {
			return fmt.Errorf("%s: %w (%s): %s", p.Version, ErrFailed, f.At.Format(time.DateTime), f.Reason)
		}
	}
	switch {
	case st.Current != nil && st.Current.SHA256 == p.SHA256, st.Staged != nil && st.Staged.SHA256 == p.SHA256,
		st.Current == nil && p.Version == installed:
		return fmt.Errorf("%s: %w", p.Version, ErrSame)
	}
	return nil
}

// put copies a program and verifies what lies there afterwards.
func (s *Shelf) put(p *trust.Program, prog *Program, r io.Reader) error {
	path := filepath.Join(s.dir(), prog.File)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	s.step()
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o700)
	if err != nil {
		return err
	}
	defer os.Remove(path + ".part")
	defer f.Close()
	if _, err := io.Copy(f, io.LimitReader(r, p.Size+1)); err != nil {
		return err
	}
	s.step()
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := p.Verify(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.step()
	if err := boltfile.Rename(path+".part", path); err != nil {
		return err
	}
	s.step()
	if err := boltfile.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return boltfile.SyncDir(s.dir())
}

// Switch makes the staged program the one to run, on trial. The caller ends
// soon after, so that it is started.
func (s *Shelf) Switch(b Before) error {
	st, err := s.State()
	if err != nil {
		return err
	}
	switch {
	case st.Staged == nil:
		return errors.New("no program waits on the shelf")
	case st.Trial != nil:
		return ErrTrial
	}
	st.Previous, st.Current, st.Staged = st.Current, st.Staged, nil
	st.Base, st.Trial = s.Installed, &Trial{Begun: s.now(), Before: b}
	return s.save(st)
}

// Choose tells which program to run: a path, or "" for the installed one, which
// is the one that asks. It counts the start of a program on trial, and goes
// back when its starts are used up or its file is not what it was.
func (s *Shelf) Choose() (path string, err error) {
	st, err := s.State()
	if err != nil {
		return "", err
	}
	for st.Current != nil {
		if st.Base != s.Installed {
			// A person installed another program meanwhile: that one is meant.
			st = State{Failed: st.Failed, Staged: st.Staged}
			return "", s.save(st)
		}
		if err := s.verify(st.Current); err != nil {
			st.back(err.Error(), s.now())
			if err := s.save(st); err != nil {
				return "", err
			}
			continue
		}
		if st.Trial == nil {
			break
		}
		if st.Trial.Starts >= Starts {
			st.back(fmt.Sprintf("not well after %d starts", st.Trial.Starts), s.now())
			if err := s.save(st); err != nil {
				return "", err
			}
			continue
		}
		st.Trial.Starts++
		if err := s.save(st); err != nil {
			// A start that cannot be counted is not made.
			return "", err
		}
		break
	}
	if st.Current == nil {
		return "", nil
	}
	return filepath.Join(s.dir(), st.Current.File), nil
}

func (s *Shelf) verify(p *Program) error {
	f, err := os.Open(filepath.Join(s.dir(), p.File))
	if err != nil {
		return fmt.Errorf("the program %s is not there any more: %w", p.Version, err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("read the program %s: %w", p.Version, err)
	}
	if n != p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("the program %s is damaged", p.Version)
	}
	return nil
}

// back makes the previous program current again.
func (st *State) back(reason string, now time.Time) {
	st.Failed = append(st.Failed, Failure{Version: st.Current.Version, SHA256: st.Current.SHA256, Reason: reason, At: now})
	if len(st.Failed) > mostFailed {
		st.Failed = st.Failed[len(st.Failed)-mostFailed:]
	}
	st.Current, st.Previous, st.Trial = st.Previous, nil, nil
}

// Confirm ends a trial: the program works. What is no longer needed leaves the
// shelf.
func (s *Shelf) Confirm() error {
	st, err := s.State()
	if err != nil || st.Trial == nil {
		return err
	}
	st.Trial = nil
	if err := s.save(st); err != nil {
		return err
	}
	return s.sweep(st)
}

// Back ends a trial the other way, or undoes a switch that was confirmed. The
// caller ends soon after.
func (s *Shelf) Back(reason string) error {
	st, err := s.State()
	if err != nil {
		return err
	}
	if st.Current == nil {
		return errors.New("the installed program runs; there is nothing to go back from")
	}
	st.back(reason, s.now())
	return s.save(st)
}

// sweep removes programs that nothing names.
func (s *Shelf) sweep(st State) error {
	keep := map[string]bool{}
	for _, p := range []*Program{st.Current, st.Previous, st.Staged} {
		if p != nil {
			keep[filepath.Dir(p.File)] = true
		}
	}
	list, err := os.ReadDir(s.dir())
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.IsDir() && e.Name() != Inbox && !keep[e.Name()] {
			s.step()
			if err := os.RemoveAll(filepath.Join(s.dir(), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Inbox is where a person or the link leaves release files, below the shelf.
const Inbox = "inbox"

// Here is the program of a list for this machine and store.
func Here(l *trust.Releases, store string) (trust.Program, bool) {
	return l.Find("tillside", runtime.GOOS, runtime.GOARCH, store)
}
