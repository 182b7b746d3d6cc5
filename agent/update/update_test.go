package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillside/tillside/sync/trust"
)

// program makes a program and its line of a list.
func program(version string) (*trust.Program, []byte) {
	body := []byte("program " + version)
	h := sha256.Sum256(body)
	return &trust.Program{Name: "tillside", Version: version, OS: "linux", Arch: "amd64", Size: int64(len(body)), SHA256: hex.EncodeToString(h[:])}, body
}

func stage(t *testing.T, s *Shelf, version string) {
	t.Helper()
	p, body := program(version)
	if _, err := s.Stage(p, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

func runs(t *testing.T, s *Shelf) string {
	t.Helper()
	path, err := s.Choose()
	if err != nil {
		t.Fatal(err)
	}
	if path == "" {
		return s.Installed
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(b), "program ")
}

func TestGoodProgramStays(t *testing.T) {
	s := &Shelf{Data: t.TempDir(), Installed: "1"}
	if got := runs(t, s); got != "1" {
		t.Fatal(got)
	}
	stage(t, s, "2")
	if got := runs(t, s); got != "1" {
		t.Fatalf("%s runs before its hour", got)
	}
	if err := s.Switch(Before{Online: true}); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, s); got != "2" {
		t.Fatal(got)
	}
	if err := s.Confirm(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if got := runs(t, s); got != "2" {
			t.Fatal(got)
		}
	}
	stage(t, s, "3")
	if err := s.Switch(Before{}); err != nil {
		t.Fatal(err)
	}
	runs(t, s)
	if err := s.Confirm(); err != nil {
		t.Fatal(err)
	}
	if err := s.Back("it is too slow"); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, s); got != "2" {
		t.Fatalf("back from 3 is %s", got)
	}
}

func TestBadProgramGoesBack(t *testing.T) {
	s := &Shelf{Data: t.TempDir(), Installed: "1"}
	stage(t, s, "2")
	if err := s.Switch(Before{}); err != nil {
		t.Fatal(err)
	}
	for range Starts {
		if got := runs(t, s); got != "2" {
			t.Fatal(got)
		}
	}
	for range 3 {
		if got := runs(t, s); got != "1" {
			t.Fatalf("after %d starts %s runs", Starts, got)
		}
	}
	p, body := program("2")
	if _, err := s.Stage(p, bytes.NewReader(body)); !errors.Is(err, ErrFailed) {
		t.Errorf("the same again: %v", err)
	}
	st, err := s.State()
	if err != nil || len(st.Failed) != 1 || st.Failed[0].Version != "2" || st.Failed[0].Reason == "" {
		t.Errorf("%+v, %v", st, err)
	}
	// A sound one after it, then one whose file rots.
	stage(t, s, "3")
	if err := s.Switch(Before{}); err != nil {
		t.Fatal(err)
	}
	runs(t, s)
	if err := s.Confirm(); err != nil {
		t.Fatal(err)
	}
	stage(t, s, "4")
	if err := s.Switch(Before{}); err != nil {
		t.Fatal(err)
	}
	runs(t, s)
	if err := s.Confirm(); err != nil {
		t.Fatal(err)
	}
	st, err = s.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir(), st.Current.File), []byte("program X"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, s); got != "3" {
		t.Errorf("a damaged program is followed by %s", got)
	}
}

func TestPersonInstallsAnother(t *testing.T) {
	s := &Shelf{Data: t.TempDir(), Installed: "1"}
	stage(t, s, "2")
	if err := s.Switch(Before{}); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, s); got != "2" {
		t.Fatal(got)
	}
	s.Installed = "5"
	if got := runs(t, s); got != "5" {
		t.Fatalf("a person installed 5, %s runs", got)
	}
}

func TestNotTheProgram(t *testing.T) {
	s := &Shelf{Data: t.TempDir(), Installed: "1"}
	p, body := program("2")
	for name, b := range map[string][]byte{"shorter": body[:3], "longer": append(bytes.Clone(body), 'x'), "changed": bytes.ToUpper(body), "nothing": nil} {
		if _, err := s.Stage(p, bytes.NewReader(b)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if st, _ := s.State(); st.Staged != nil {
		t.Error("something waits on the shelf")
	}
	if p, body := program("1"); !errors.Is(func() error { _, err := s.Stage(p, bytes.NewReader(body)); return err }(), ErrSame) {
		t.Error("the program that runs was taken again")
	}
}

// errCut is the power going.
type errCut struct{}

// TestPowerCutAtEveryStep cuts before every step of an update and of the way
// back: the next start finds a program that is whole, and the update can be
// done again.
func TestPowerCutAtEveryStep(t *testing.T) {
	story := func(s *Shelf) {
		must := func(err error) {
			if err != nil && !errors.Is(err, ErrSame) {
				panic(err)
			}
		}
		put := func(version string) {
			p, body := program(version)
			_, err := s.Stage(p, bytes.NewReader(body))
			must(err)
		}
		put("2")
		must(s.Switch(Before{}))
		_, err := s.Choose()
		must(err)
		must(s.Confirm())
		put("3")
		must(s.Switch(Before{}))
		for range Starts + 1 {
			_, err := s.Choose()
			must(err)
		}
	}
	total := 0
	story(&Shelf{Data: t.TempDir(), Installed: "1", Step: func() { total++ }})
	if total < 30 {
		t.Fatalf("only %d steps", total)
	}
	for cut := range total {
		s := &Shelf{Data: t.TempDir(), Installed: "1"}
		n := 0
		s.Step = func() {
			if n == cut {
				panic(errCut{})
			}
			n++
		}
		func() {
			defer func() {
				if p := recover(); p != nil {
					if _, ok := p.(errCut); !ok {
						panic(p)
					}
				}
			}()
			story(s)
		}()
		s.Step = nil
		got := runs(t, s)
		if got != "1" && got != "2" && got != "3" {
			t.Fatalf("cut at %d: %q runs", cut, got)
		}
		// Whatever was under way, the till can be brought to 4.
		if st, err := s.State(); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		} else if st.Trial != nil {
			if err := s.Confirm(); err != nil {
				t.Fatal(err)
			}
		}
		stage(t, s, "4")
		if err := s.Switch(Before{}); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got := runs(t, s); got != "4" {
			t.Fatalf("cut at %d: %s runs", cut, got)
		}
	}
	t.Logf("%d places to cut", total)
}

func TestStateThatCannotBeRead(t *testing.T) {
	s := &Shelf{Data: t.TempDir(), Installed: "1"}
	stage(t, s, "2")
	if err := os.WriteFile(filepath.Join(s.dir(), stateFile), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := s.Choose(); path != "" || err == nil {
		t.Errorf("%q, %v", path, err)
	}
}
