package faults

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/faults/powercut"
)

var (
	long      = flag.Duration("long", 0, "how long the long form may take; 0: the short form")
	tableFile = flag.String("table", "", "file for the table; empty: only the log")
	receipts  = flag.Int("receipts", 0, "receipts of the day whose power is cut everywhere; 0: 300 in the long form, 24 in the short one")
	seeds     = flag.Int("seeds", 0, "seeds per instant of that day; 0: 5 in the long form, 3 in the short one")
	firstSeed = flag.Uint64("seed", 2, "the first seed besides 0 and 1, which lose all and nothing")
)

// roleVar makes this test program a child with a part to play.
const roleVar = "TILLSIDE_FAULTS_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	flag.Parse()
	code := m.Run()
	if err := rows.print(*tableFile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// play is what a child does.
func play(role string) int {
	switch role {
	case "verify":
		return verifier(os.Stdin, os.Stdout)
	case "verify-centre":
		return centreVerifier(os.Stdin, os.Stdout)
	case "examine":
		return examiner(os.Args[1:])
	case "compact":
		return compactor(os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, "no such part:", role)
	return 2
}

// share is how long a test of the long form may take, of a hundred parts; the
// short form has no bound of its own.
func share(parts int) time.Duration {
	if *long == 0 {
		return time.Minute
	}
	return *long * time.Duration(parts) / 100
}

func pick[T any](short, whole T) T {
	if *long > 0 {
		return whole
	}
	return short
}

// built are the real programs, made once.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// program gives the path of one of the real programs.
func program(t testing.TB, name string) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "faults-bin"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", built.dir+string(filepath.Separator), "../../cmd/tillside", "../../../sync/cmd/tillside-central", "../../../drivers/cmd/tillbench")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the programs: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(built.dir, name)
}

// mount makes a disk visible until the test ends, or skips the test.
func mount(t testing.TB, d *powercut.Disk) (dir string, unmount func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "faults-disk")
	if err != nil {
		t.Fatal(err)
	}
	off, err := d.Mount(dir)
	if errors.Is(err, powercut.ErrNoFUSE) {
		_ = os.Remove(dir)
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	unmount = func() {
		once.Do(func() {
			if err := off(); err != nil {
				t.Error(err)
				return
			}
			_ = os.Remove(dir)
		})
	}
	t.Cleanup(unmount)
	return dir, unmount
}

// scratch is a folder in memory for images.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := powercut.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// until waits for what must come; how long decides nothing.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func lastLines(b []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
