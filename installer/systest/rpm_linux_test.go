package systest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRpm installs, upgrades and removes the rpm with rpm itself, in the disk
// of a machine whose own packages are Debian's (so dependencies are not asked
// for), and starts the machine in between. Its scripts are those of the deb.
func TestRpm(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a machine")
	}
	need(t, "rpm")
	m := newMachine(t, "rpm")
	dir := linuxFirst(t)
	upgrade := linuxNext(t)
	rpm := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("rpm", append([]string{"--root", m.root}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("rpm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	info := run(t, "rpm", "-qlp", "--scripts", the(t, dir, "tillside-[0-9]*.rpm"))
	for _, want := range []string{"/usr/bin/tillside", "/usr/lib/systemd/system/tillside.service", "tillside configure --package-step", "tillside service farewell"} {
		if !strings.Contains(info, want) {
			t.Errorf("nothing of %q in\n%s", want, info)
		}
	}
	rpm("--initdb")
	rpm("-i", "--nodeps", the(t, dir, "tillside-[0-9]*.rpm"))
	if m.read("/etc/tillside/till.toml") == "" || !strings.Contains(m.read("/etc/passwd"), "\ntillside:") {
		t.Error("the scripts have not run")
	}
	m.boot()
	m.must("the service runs", func() error { _, err := m.try("systemctl", "is-active", "tillside"); return err })
	if out := m.do("tillside", "version"); !strings.Contains(out, first) {
		t.Error(out)
	}
	m.do("systemctl", "poweroff")
	m.wait()
	m.nspawn = nil
	rpm("-U", "--nodeps", the(t, upgrade, "tillside-[0-9]*.rpm"))
	m.boot()
	m.must("the service runs after the upgrade", func() error { _, err := m.try("systemctl", "is-active", "tillside"); return err })
	if out := m.do("tillside", "version"); !strings.Contains(out, next) {
		t.Error(out)
	}
	m.do("systemctl", "poweroff")
	m.wait()
	m.nspawn = nil
	rpm("-e", "tillside")
	for _, gone := range []string{"/usr/bin/tillside", "/usr/lib/systemd/system/tillside.service", "/etc/systemd/system/multi-user.target.wants/tillside.service", "/usr/lib/tillside"} {
		if list, _ := filepath.Glob(filepath.Join(m.root, gone)); len(list) > 0 {
			t.Errorf("%s is still there", gone)
		}
	}
	if list, _ := filepath.Glob(filepath.Join(m.root, "/var/lib/tillside/journal.db")); len(list) != 1 {
		t.Error("the journal is gone")
	}
}
