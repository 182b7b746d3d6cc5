package systest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	root  = "../.."
	first = "0.1.1" // versions of the packages made here
	next  = "0.1.2"
)

// epoch is the date of the packages, the same for all of them.
var epoch = strconv.FormatInt(time.Now().Unix(), 10)

// scratch is removed at the end of all tests.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tillside-systest") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := scratch(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// need skips a test without the tools it needs.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keys is a code-signing certificate of our own, made for this run.
var keys = sync.OnceValues(func() (dir string, err error) {
	dir, err = scratch()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "keys")
	script := `set -e; mkdir -p "$0"; cd "$0"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=Test authority" -keyout ca.key -out ca.crt
openssl req -newkey rsa:2048 -nodes -subj "/CN=Test signer" -keyout sign.key -out sign.csr
printf 'extendedKeyUsage=codeSigning\nkeyUsage=digitalSignature\n' > ext
openssl x509 -req -in sign.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out sign.crt`
	if out, err := exec.Command("sh", "-c", script, dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

type made struct {
	once sync.Once
	dir  string
	err  error
}

var (
	sets   = map[string]*made{}
	setsMu sync.Mutex
)

// packages makes packages as a release would and gives their folder. The same
// words give the same folder.
func packages(t *testing.T, name, version, programs, kinds string, signed bool) string {
	t.Helper()
	setsMu.Lock()
	m := sets[name]
	if m == nil {
		m = &made{}
		sets[name] = m
	}
	setsMu.Unlock()
	m.once.Do(func() {
		var dir string
		if dir, m.err = scratch(); m.err != nil {
			return
		}
		m.dir = filepath.Join(dir, name)
		args := []string{"run", "./installer/cmd/tilldist", "-version", version, "-epoch", epoch, "-arch", "amd64",
			"-programs", programs, "-kinds", kinds, "-compress", "gzip", "-out", m.dir}
		if signed {
			k, err := keys()
			if err != nil {
				m.err = err
				return
			}
			args = append(args, "-sign-cert", filepath.Join(k, "sign.crt"), "-sign-key", filepath.Join(k, "sign.key"))
		}
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			m.err = fmt.Errorf("make packages: %w\n%s", err, out)
		}
	})
	if m.err != nil {
		t.Fatal(m.err)
	}
	return m.dir
}

// The packages of two versions, made when the first test wants them.
func linuxFirst(t *testing.T) string {
	return packages(t, "linux-first", first, "tillside,tillside-central", "deb,rpm", false)
}

func linuxNext(t *testing.T) string {
	return packages(t, "linux-next", next, "tillside", "deb,rpm", false)
}

func windowsFirst(t *testing.T) string {
	return packages(t, "windows-first", first, "tillside", "msi,setup", true)
}

func windowsNext(t *testing.T) string {
	return packages(t, "windows-next", next, "tillside", "msi,setup", true)
}

// the finds the one file of a folder that fits.
func the(t *testing.T, dir, pattern string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s in %s: %v %v", pattern, dir, list, err)
	}
	return list[0]
}
