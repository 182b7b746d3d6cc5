package provision

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tillside/tillside/configs"
)

func TestPackageNamedInCommandLine(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"dpkg", "-i", "/mnt/stick/tillside_1.2.3_amd64.deb"}, "/mnt/stick"},
		{[]string{"apt", "install", "./tillside.deb"}, "/root/here"},
		{[]string{"dnf", "install", "../x/tillside-1.2.3-1.x86_64.rpm"}, "/root/x"},
		{[]string{"dpkg", "--configure", "tillside"}, ""},
		{[]string{"dpkg", "-i", "/tmp/another.deb"}, ""},
		{[]string{"vi", "/home/me/tillside.txt"}, ""},
	} {
		got := strings.Join(named([]byte(strings.Join(c.words, "\x00")+"\x00"), "/root/here"), " ")
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.words, got, c.want)
		}
	}
	if named([]byte("dpkg\x00-i\x00tillside.deb\x00"), "") != nil {
		t.Error("a relative name without a folder")
	}
}

func TestParent(t *testing.T) {
	if got := parentOf([]byte("12 (a) b) S 7 12 12 0")); got != 7 {
		t.Errorf("parent %d", got)
	}
	if parentOf([]byte("garbage")) != 0 || parentOf(nil) != 0 {
		t.Error("garbage has a parent")
	}
	if got := parent(os.Getpid()); got != os.Getppid() {
		t.Errorf("parent %d, want %d", got, os.Getppid())
	}
}

// TestFoundFromBelowAnInstaller really stands below a process with a package
// in its command line.
func TestFoundFromBelowAnInstaller(t *testing.T) {
	if at := os.Getenv("TILLSIDE_TEST_BELOW"); at != "" {
		if !slices.Contains(packageFolders(), at) {
			t.Errorf("%s is not among %q", at, packageFolders())
		}
		return
	}
	dir := t.TempDir()
	script := `"$0" -test.run '^TestFoundFromBelowAnInstaller$' -test.v; exit $?`
	cmd := exec.Command("sh", "-c", script, os.Args[0], filepath.Join(dir, "tillside_1_amd64.deb"))
	cmd.Env = append(os.Environ(), "TILLSIDE_TEST_BELOW="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRemovableDisks(t *testing.T) {
	table := "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /mnt/usb\\040stick vfat ro 0 0\n/dev/sdc1 /media/anna/STICK vfat rw 0 0\nproc /proc proc rw 0 0\nserver:/x /media/net nfs rw 0 0\n/dev/sdd1\n"
	got := removableIn([]byte(table), func(dev string) bool { return dev == "/dev/sdb1" })
	if strings.Join(got, "|") != "/mnt/usb stick|/media/anna/STICK" {
		t.Errorf("%q", got)
	}
	if unescape(`a\134b\04`) != `a\b\04` {
		t.Error(unescape(`a\134b\04`))
	}
	_ = removable() // whatever this machine has, reading it does no harm
	_ = configs.ProvisionFile
}

func FuzzTables(f *testing.F) {
	f.Add([]byte("/dev/sdb1 /mnt/a\\040b vfat ro 0 0\n"))
	f.Add([]byte("12 (x) S 7"))
	f.Fuzz(func(t *testing.T, b []byte) {
		removableIn(b, func(string) bool { return true })
		parentOf(b)
		named(b, "/")
	})
}
