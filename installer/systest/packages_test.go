package systest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestSameCommitSameBytes makes the packages twice, signed, and compares.
func TestSameCommitSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("makes packages")
	}
	need(t, "wixl", "msibuild", "makensis", "osslsigncode", "openssl")
	again := packages(t, "again", first, "tillside", "deb,rpm,msi,setup", true)
	for pattern, dir := range map[string]string{"tillside_*.deb": linuxFirst(t), "tillside-[0-9]*.rpm": linuxFirst(t), "*.msi": windowsFirst(t), "*-setup.exe": windowsFirst(t)} {
		a, err := os.ReadFile(the(t, dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(the(t, again, pattern))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v", pattern, err)
		}
	}
	cmd := exec.Command("sha256sum", "--check", "--quiet", "SHA256SUMS")
	cmd.Dir = again
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSignatures: what is signed verifies, and a changed byte does not.
func TestSignatures(t *testing.T) {
	if testing.Short() {
		t.Skip("makes packages")
	}
	need(t, "wixl", "msibuild", "makensis", "osslsigncode", "openssl")
	dir := windowsFirst(t)
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	verify := func(file string) (string, error) {
		out, err := exec.Command("osslsigncode", "verify", "-CAfile", filepath.Join(k, "ca.crt"), "-in", file).CombinedOutput()
		return string(out), err
	}
	for _, name := range []string{"*.msi", "*-setup.exe"} {
		file := the(t, dir, name)
		if out, err := verify(file); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		changed := filepath.Join(t.TempDir(), filepath.Base(file))
		if err := os.WriteFile(changed, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := verify(changed); err == nil {
			t.Errorf("%s with a changed byte verifies\n%s", name, out)
		}
	}
	// The program inside the MSI is signed too, and says who it is.
	inside := t.TempDir()
	run(t, "msiextract", "-C", inside, the(t, dir, "*.msi"))
	var exe string
	_ = filepath.WalkDir(inside, func(path string, _ os.DirEntry, _ error) error {
		if filepath.Base(path) == "tillside.exe" {
			exe = path
		}
		return nil
	})
	if out, err := verify(exe); err != nil {
		t.Errorf("tillside.exe: %v\n%s", err, out)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FileDescription", "Tillside loyalty agent", first} {
		if !bytes.Contains(b, utf16(want)) {
			t.Errorf("the program's version says nothing of %q", want)
		}
	}
}

func utf16(s string) []byte {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r), 0)
	}
	return b
}

// TestMSISaysWhatItIs looks at what Windows Installer would obey and Wine does
// not show.
func TestMSISaysWhatItIs(t *testing.T) {
	if testing.Short() {
		t.Skip("makes packages")
	}
	need(t, "wixl", "msibuild", "msiinfo", "makensis", "osslsigncode", "openssl")
	msi := the(t, windowsFirst(t), "*.msi")
	table := func(name string) string { return run(t, "msiinfo", "export", msi, name) }
	for name, wants := range map[string][]string{
		"Property":               {"MsiHiddenProperties\tENROLLKEY", "SERVERURL;ENROLLKEY;TILLID", "ProductVersion\t" + first},
		"LaunchCondition":        {"WINDOWSMAJOR", "Windows 10 or Windows Server 2016", "A newer Tillside is installed"},
		"ServiceInstall":         {"NT SERVICE\\tillside", "run --service"},
		"CustomAction":           {"Configure\t11346\t"}, // run once more elevated, not shown in logs, never stops the installer
		"InstallExecuteSequence": {"RemoveExistingProducts\t\t1501", "Configure\tNOT REMOVE~=\"ALL\"\t5850"},
	} {
		got := table(name)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s has no %q:\n%s", name, want, got)
			}
		}
	}
	if info := run(t, "msiinfo", "suminfo", msi); !strings.Contains(info, "Template: x64;1033") {
		t.Error(info)
	}
}

// TestLintian asks Debian's own examiner.
func TestLintian(t *testing.T) {
	if testing.Short() {
		t.Skip("makes packages")
	}
	need(t, "lintian")
	dir := linuxFirst(t)
	for _, deb := range []string{the(t, dir, "tillside_*.deb"), the(t, dir, "tillside-central_*.deb")} {
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "warning,error", deb).CombinedOutput()
		if err != nil || strings.Contains(string(out), "W: ") || strings.Contains(string(out), "E: ") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestHelpManualCompletion: the three say the same and are in the package.
func TestHelpManualCompletion(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("makes packages")
	}
	need(t, "dpkg-deb", "gzip")
	dir := linuxFirst(t)
	for _, program := range []string{"tillside", "tillside-central"} {
		out := t.TempDir()
		run(t, "dpkg-deb", "-x", the(t, dir, program+"_*.deb"), out)
		man := run(t, "gzip", "-dc", filepath.Join(out, "usr/share/man/man1", program+".1.gz"))
		bash, err := os.ReadFile(filepath.Join(out, "usr/share/bash-completion/completions", program))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(man, ".SH EXIT STATUS") || !strings.Contains(man, first) || !strings.Contains(string(bash), "__start_"+program) {
			t.Errorf("%s: manual or completion is not right", program)
		}
		if exe, err := os.Stat(filepath.Join(out, "usr/bin", program)); err != nil || exe.Mode().Perm() != 0o755 {
			t.Errorf("%v %v", exe, err)
		}
	}
}
