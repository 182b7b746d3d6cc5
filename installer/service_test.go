package installer

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kardianos/service"
)

// fake is a service manager that remembers what it was asked.
type fake struct {
	installed, running bool
	did                []string
}

func (f *fake) act(s string, installed, running bool) error {
	f.did = append(f.did, s)
	if s != "install" && !f.installed {
		return service.ErrNotInstalled
	}
	f.installed, f.running = installed, running
	return nil
}

func (f *fake) Install() error   { return f.act("install", true, false) }
func (f *fake) Uninstall() error { return f.act("uninstall", false, false) }
func (f *fake) Start() error     { return f.act("start", true, true) }
func (f *fake) Stop() error      { return f.act("stop", true, false) }
func (f *fake) Restart() error   { return f.act("restart", true, true) }
func (f *fake) Status() (service.Status, error) {
	if !f.installed {
		return service.StatusUnknown, service.ErrNotInstalled
	}
	if f.running {
		return service.StatusRunning, nil
	}
	return service.StatusStopped, nil
}

func TestActs(t *testing.T) {
	f := &fake{}
	for _, step := range []struct{ act, want string }{
		{"status", "not installed"}, {"install", "stopped"}, {"start", "running"}, {"restart", "running"},
		{"install", "stopped"}, {"start", "running"}, {"stop", "stopped"}, {"uninstall", "not installed"}, {"uninstall", "not installed"},
	} {
		got, err := Do(f, step.act)
		if err != nil || got != step.want {
			t.Fatalf("%s: %q, %v; want %q", step.act, got, err, step.want)
		}
	}
	if _, err := Do(f, "start"); !errors.Is(err, service.ErrNotInstalled) {
		t.Errorf("start without a service: %v", err)
	}
	if _, err := Do(f, "dance"); !errors.Is(err, ErrUnknownAct) {
		t.Errorf("dance: %v", err)
	}
}

func TestPlan(t *testing.T) {
	abs, err := filepath.Abs("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := (Plan{Executable: abs, Config: abs}).Check(); err != nil {
		t.Error(err)
	}
	for _, p := range []Plan{{}, {Executable: "tillside"}, {Executable: abs, Data: "data"}, {Executable: abs + "\nUser=root"}} {
		if p.Check() == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
	c := Plan{Executable: abs, Config: abs}.config()
	if len(c.Arguments) != 4 {
		t.Errorf("%+v", c)
	}
}

func TestUnits(t *testing.T) {
	u := unit("/srv/till")
	for _, want := range []string{"Restart=always", "RestartSec=2\n", "StartLimitIntervalSec=0", "WatchdogSec=30\n", "DynamicUser=yes", "ReadWritePaths=/srv/till\n"} {
		if !strings.Contains(u, want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
	if strings.Contains(unit(""), "ReadWritePaths") || strings.Contains(u, "#DATA#") {
		t.Error("data folder is not filled in right")
	}
	relay := RelayUnit()
	if strings.Contains(relay, "Watchdog") || !strings.Contains(relay, "ExecStart=/usr/bin/tillside relay --service\n") || !strings.Contains(relay, "RuntimeDirectory=tillside\n") {
		t.Errorf("the relay's unit:\n%s", relay)
	}
	for _, p := range []string{PackageUnit(), relay} {
		if strings.Contains(p, "DynamicUser") || !strings.Contains(p, "\nUser=tillside\n") || strings.ContainsAny(p, "{}#") {
			t.Errorf("a package's unit:\n%s", p)
		}
	}
}

// TestUnitsAreKnownToSystemd lets systemd itself read the units, where it is
// installed, and judge their sandbox: 0 is shut, 10 is open.
func TestUnitsAreKnownToSystemd(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no systemd-analyze here")
	}
	exe := filepath.Join(t.TempDir(), "tillside")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	byHand := strings.NewReplacer("{{Description}}", "agent", execStart, exe+" run").Replace(unit(""))
	central, err := os.ReadFile("packaging/linux/tillside-central.service")
	if err != nil {
		t.Fatal(err)
	}
	for name, u := range map[string]string{"byhand": byHand, "tillside": PackageUnit(), "tillside-relay": RelayUnit(), "tillside-central": string(central)} {
		u = strings.NewReplacer(packagedProgram+"-central", exe, packagedProgram, exe).Replace(u)
		file := filepath.Join(t.TempDir(), name+".service")
		if err := os.WriteFile(file, []byte(u), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(tool, "verify", "--man=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), name+".service:") {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
		if out, err := exec.Command(tool, "security", "--offline=true", "--threshold=25", file).CombinedOutput(); err != nil {
			t.Errorf("%s: exposure is above 2.5: %v\n%s", name, err, out)
		}
	}
}
