package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// windowsArchs names the processors as Windows Installer does. It has a MSI of
// its own for each; ARM machines run the one for x64.
var windowsArchs = map[string]struct{ msi, folder, win64 string }{
	"amd64": {"x64", "ProgramFiles64Folder", "yes"},
	"386":   {"x86", "ProgramFilesFolder", "no"},
}

// family is the namespace of the computed ids.
var family = uuid.MustParse("6c0b7a55-3b5e-4b0b-9c57-0f0d0d6f2e11")

// id computes an id of Windows Installer: the same words give the same one.
func id(words string) string { return uuid.NewSHA1(family, []byte(words)).String() }

// windows makes MSI and the installer for hands.
func (r *release) windows() error {
	if !r.wants("msi") && !r.wants("setup") {
		return nil
	}
	for _, arch := range r.archs {
		a, ok := windowsArchs[arch]
		if !ok {
			continue
		}
		dir := filepath.Join(r.work, "windows-"+arch)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		exe := filepath.Join(dir, "tillside.exe")
		if err := r.build("tillside", "windows", arch, exe); err != nil {
			return err
		}
		if err := r.resources(dir, exe); err != nil {
			return err
		}
		if err := r.sign.file(r, exe, "Tillside Agent"); err != nil {
			return err
		}
		licence := filepath.Join(dir, "LICENSE.txt")
		if err := copyFile(filepath.Join(r.root, "LICENSE"), licence); err != nil {
			return err
		}
		if err := r.dated(exe, licence); err != nil {
			return err
		}
		if r.wants("msi") {
			if err := r.msi(dir, arch, a.msi, a.folder, a.win64); err != nil {
				return err
			}
		}
		if r.wants("setup") && arch == "amd64" {
			if err := r.setup(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// resources puts version and manifest into a program, as Windows shows them.
func (r *release) resources(dir, exe string) error {
	list := filepath.Join(dir, "winres.json")
	if err := fill(r.packaging("windows", "winres.json"), list, "@VERSION@", r.version, "@FOUR@", r.version+".0"); err != nil {
		return err
	}
	_, err := r.tool(dir, nil, "go", "run", winres, "patch", "--in", list, "--no-backup", exe)
	return err
}

func (r *release) msi(dir, arch, name, folder, win64 string) error {
	if err := copyFile(r.packaging("windows", "tillside.wxs"), filepath.Join(dir, "tillside.wxs")); err != nil {
		return err
	}
	pkg := filepath.Join(dir, "tillside.msi")
	vars := []string{"-a", name}
	for _, v := range [][2]string{{"ProductCode", id("product " + r.version + " " + arch)}, {"Version", r.version}, {"ProgramFiles", folder}, {"Win64", win64},
		{"ProgramComponent", id("program " + arch)}, {"LicenceComponent", id("licence " + arch)}} {
		vars = append(vars, "-D", v[0]+"="+v[1])
	}
	if _, err := r.tool(dir, nil, "wixl", append(vars, "-o", pkg, "tillside.wxs")...); err != nil {
		return err
	}
	// What wixl does not know: properties that may be passed to the elevated
	// part, that logs must not show, and a removal of the version before that
	// is undone when the new one fails.
	const hideTarget = 8192
	for _, sql := range []string{
		"UPDATE Property SET Value='WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED;SERVERURL;ENROLLKEY;TILLID;PURGE' WHERE Property='SecureCustomProperties'",
		"INSERT INTO Property (Property, Value) VALUES ('MsiHiddenProperties','ENROLLKEY')",
		fmt.Sprintf("UPDATE CustomAction SET Type=%d WHERE Action='Configure'", 18+64+1024+2048+hideTarget),
		"UPDATE InstallExecuteSequence SET Sequence=1501 WHERE Action='RemoveExistingProducts'",
	} {
		if _, err := r.tool(dir, nil, "msibuild", pkg, "-q", sql); err != nil {
			return err
		}
	}
	b, err := os.ReadFile(pkg)
	if err != nil {
		return err
	}
	if err := setSummary(b, "{"+id("package "+r.version+" "+arch)+"}", r.date); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(pkg), err)
	}
	out := filepath.Join(r.out, fmt.Sprintf("tillside-%s-%s.msi", r.version, name))
	if err := os.WriteFile(out, b, 0o644); err != nil {
		return err
	}
	return r.sign.file(r, out, "Tillside")
}

// setup makes the installer for hands.
func (r *release) setup(dir string) error {
	for _, name := range []string{"tillside.nsi", "words.nsh"} {
		if err := copyFile(r.packaging("windows", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	out := filepath.Join(r.out, fmt.Sprintf("tillside-%s-setup.exe", r.version))
	args := []string{"-V2", "-DVERSION=" + r.version, "-DFOUR=" + r.version + ".0", "-DOUTFILE=" + out}
	if r.sign.cert != "" {
		script, err := r.sign.script(r, dir)
		if err != nil {
			return err
		}
		args = append(args, "-DSIGN="+script)
	}
	if _, err := r.tool(dir, nil, "makensis", append(args, "tillside.nsi")...); err != nil {
		return err
	}
	return r.sign.file(r, out, "Tillside")
}
