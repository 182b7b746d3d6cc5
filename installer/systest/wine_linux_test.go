package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// windows is a Wine prefix of our own: its disk, its registry, its service
// manager. Services live as long as its session, which a keeper holds open.
type windows struct {
	t      *testing.T
	prefix string
	keeper *exec.Cmd
}

// newWindows copies the prefix: files that Wine never writes are linked, those
// it does are copied.
func newWindows(t *testing.T) *windows {
	t.Helper()
	need(t, "wine", "wineserver", "x86_64-w64-mingw32-gcc", "bash")
	cmd := exec.Command("bash", ".ci/wine")
	cmd.Dir = root
	var why bytes.Buffer
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("Wine does not start here: %v\n%s", err, why.Bytes())
	}
	from := strings.TrimSpace(string(out))
	dir, err := os.MkdirTemp("", "tillside-wine")
	if err != nil {
		t.Fatal(err)
	}
	w := &windows{t: t, prefix: filepath.Join(dir, "prefix")}
	link := []string{"-al", from, w.prefix}
	if exec.Command("cp", link...).Run() != nil { // the cache is on another disk
		_ = os.RemoveAll(w.prefix)
		run(t, "cp", "-a", from, w.prefix)
	}
	for _, reg := range []string{"system.reg", "user.reg", "userdef.reg"} {
		_ = os.Remove(filepath.Join(w.prefix, reg))
		run(t, "cp", filepath.Join(from, reg), w.prefix)
	}
	t.Cleanup(func() {
		w.end()
		_ = os.RemoveAll(dir)
	})
	return w
}

func (w *windows) env() []string {
	return append(os.Environ(), "WINEPREFIX="+w.prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=", "LC_ALL=C.UTF-8")
}

// start begins a session and holds it open.
func (w *windows) start() {
	w.t.Helper()
	w.keeper = exec.Command("wine", "cmd", "/c", "for /L %i in (1,1,900) do @ping -n 2 127.0.0.1 >nul")
	w.keeper.Env = w.env()
	if err := w.keeper.Start(); err != nil {
		w.t.Fatal(err)
	}
}

// end ends the session, as a power cut would.
func (w *windows) end() {
	kill := exec.Command("wineserver", "-k")
	kill.Env = w.env()
	_ = kill.Run()
	if w.keeper != nil {
		_ = w.keeper.Process.Kill()
		_ = w.keeper.Wait()
		w.keeper = nil
	}
	gone := exec.Command("wineserver", "-w")
	gone.Env = w.env()
	_ = gone.Run()
}

// try runs a Windows command line.
func (w *windows) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wine", args...)
	cmd.Env = w.env()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // what it started may hold its output open
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String(), err
}

func (w *windows) do(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// port makes a serial port of a pseudo-terminal.
func (w *windows) port(name, device string) {
	w.t.Helper()
	w.do("reg", "add", `HKLM\Software\Wine\Ports`, "/v", name, "/t", "REG_SZ", "/d", device, "/f")
}

// c is a path on the disk C:.
func (w *windows) c(path ...string) string {
	return filepath.Join(append([]string{w.prefix, "drive_c"}, path...)...)
}

// program is where the installers put the program.
const windowsProgram = `C:\Program Files\Tillside\tillside.exe`

// inventory lists what an installer could leave behind: files of the places it
// uses, services, and what is registered for removal.
func (w *windows) inventory() []string {
	w.t.Helper()
	var list []string
	for _, dir := range []string{"Program Files", "Program Files (x86)", "ProgramData"} {
		_ = filepath.WalkDir(w.c(dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				list = append(list, strings.TrimPrefix(path, w.c()))
			}
			return nil
		})
	}
	for _, key := range []string{`HKLM\System\CurrentControlSet\Services`, `HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall`, `HKLM\System\CurrentControlSet\Services\EventLog\Application`} {
		out, _ := w.try("reg", "query", key)
		for line := range strings.Lines(out) {
			if l := strings.TrimSpace(line); l != "" {
				list = append(list, l)
			}
		}
	}
	slices.Sort(list)
	return list
}

// here starts a centre and emulated devices on this system, loopback only.
type here struct {
	t             *testing.T
	dir           string
	centre, bench *exec.Cmd
	url, control  string
	central       string // program
}

func newHere(t *testing.T) *here {
	t.Helper()
	need(t, "curl")
	dir, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = os.MkdirTemp(dir, "here"); err != nil {
		t.Fatal(err)
	}
	h := &here{t: t, dir: dir, central: filepath.Join(dir, "tillside-central")}
	for name, pkg := range map[string]string{"tillside-central": "./sync/cmd/tillside-central", "tillbench": "./drivers/cmd/tillbench"} {
		run(t, "env", "CGO_ENABLED=0", "go", "build", "-o", filepath.Join(dir, name), pkg)
	}
	data := filepath.Join(dir, "centre")
	h.centre = h.spawn("tillside-central", "run", "--data", data, "--listen", "127.0.0.1:0")
	h.until("the centre serves", func() bool {
		b, err := os.ReadFile(filepath.Join(data, "address"))
		h.url = "https://" + strings.TrimSpace(string(b))
		return err == nil && len(b) > 0
	})
	h.ask("rulebook", "publish", "agent/e2e/tilldemo/rulebook.json")
	h.ask("members", "add", "--card", card, "--first-name", "Anna", "--language", "en")

	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port for the devices' control
	if err != nil {
		t.Fatal(err)
	}
	h.control = l.Addr().String()
	l.Close()
	h.bench = h.spawn("tillbench", "emulate", "till", "--dir", filepath.Join(dir, "dev"), "--control", h.control, "--stdin=false")
	h.until("the devices are there", func() bool { _, err := os.Stat(filepath.Join(dir, "dev", "display")); return err == nil })
	return h
}

func (h *here) spawn(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(filepath.Join(h.dir, name), args...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func (h *here) until(what string, ok func() bool) {
	h.t.Helper()
	end := time.Now().Add(atMost)
	for !ok() {
		if time.Now().After(end) {
			h.t.Fatal(what + ": not in time")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *here) ask(args ...string) string {
	h.t.Helper()
	return run(h.t, h.central, append(args, "--data", filepath.Join(h.dir, "centre"))...)
}

func (h *here) code(store, till string) string {
	h.t.Helper()
	var c struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal([]byte(h.ask("till", "add", "--store", store, "--till", till, "--json")), &c); err != nil {
		h.t.Fatal(err)
	}
	return c.Code
}

// settings for a printer on a Windows port; the till's own are written by the
// installation and keep what stands here.
const windowsSettings = `version = 1
[[devices]]
name = "printer"
driver = "escpos"
port = "COM7"
`

// life is the same for both installers: what differs is how they are called.
type life struct {
	install, upgrade, remove, purge func(w *windows, values map[string]string) error
}

// TestWindows is the life of a till on Windows, as far as Wine can tell, by
// both installers.
func TestWindows(t *testing.T) {
	if testing.Short() {
		t.Skip("installs into a Wine prefix")
	}
	need(t, "wixl", "msibuild", "makensis", "osslsigncode", "openssl")
	newWindows(t).end() // skips where Wine does not start, before anything is built
	h := newHere(t)
	pkg := func(dir, pattern string) string { return "Z:" + strings.ReplaceAll(the(t, dir, pattern), "/", `\`) }
	msi := func(dir string) func(*windows, map[string]string) error {
		return func(w *windows, v map[string]string) error {
			args := []string{"msiexec", "/i", pkg(dir, "*.msi"), "/qn", "/l*v", `C:\install.log`}
			for _, p := range [][2]string{{"server", "SERVERURL"}, {"code", "ENROLLKEY"}, {"till", "TILLID"}} {
				if v[p[0]] != "" {
					args = append(args, p[1]+"="+v[p[0]])
				}
			}
			_, err := w.try(args...)
			return err
		}
	}
	setup := func(dir string) func(*windows, map[string]string) error {
		return func(w *windows, v map[string]string) error {
			args := []string{pkg(dir, "*-setup.exe"), "/S"}
			for _, p := range [][2]string{{"server", "/SERVER="}, {"code", "/KEY="}, {"till", "/TILL="}} {
				if v[p[0]] != "" {
					args = append(args, p[1]+v[p[0]])
				}
			}
			_, err := w.try(args...)
			return err
		}
	}
	one, two := windowsFirst(t), windowsNext(t)
	uninstall := func(args ...string) func(*windows, map[string]string) error {
		return func(w *windows, _ map[string]string) error {
			_, err := w.try(append([]string{`C:\Program Files\Tillside\uninstall.exe`, "/S"}, args...)...)
			return err
		}
	}
	for i, c := range []struct {
		name string
		life
	}{
		{"msi", life{msi(one), msi(two),
			func(w *windows, _ map[string]string) error {
				_, err := w.try("msiexec", "/x", pkg(two, "*.msi"), "/qn")
				return err
			},
			func(w *windows, _ map[string]string) error {
				_, err := w.try("msiexec", "/x", pkg(two, "*.msi"), "/qn", "PURGE=1")
				return err
			}}},
		{"setup", life{setup(one), setup(two), uninstall(), uninstall("/PURGE")}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h, fmt.Sprint(i+1)) })
	}
}

func (l life) run(t *testing.T, h *here, number string) {
	w := newWindows(t)
	h.t = t
	w.start()
	w.port("COM7", filepath.Join(h.dir, "dev", "printer"))
	w.end()
	w.start()
	before := w.inventory()
	secret := h.code("gdansk", number)

	// The settings are there before, as a management tool puts them.
	data := w.c("ProgramData", "Tillside")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	l2, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := l2.Addr().String()
	l2.Close()
	if err := os.WriteFile(filepath.Join(data, "till.toml"), []byte(windowsSettings+"[api]\nlisten = \""+api+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := l.install(w, map[string]string{"server": h.url, "code": secret, "till": "gdansk/" + number}); err != nil {
		t.Fatal(err)
	}
	till := &cashdesk{t: t, via: []string{"env"}, till: "http://" + api, bench: "http://" + h.control}
	t.Cleanup(func() {
		if t.Failed() {
			out, err := w.try(windowsProgram, "status")
			q, _ := w.try("sc", "query", "tillside")
			t.Logf("status: %s %v\n%s", out, err, q)
		}
	})
	till.must("the till serves", till.healthy)
	t.Logf("unattended: from the installer's start to a till that serves %.1f s", time.Since(began).Seconds())
	if out := w.do("sc", "query", "tillside"); !strings.Contains(out, "RUNNING") {
		t.Errorf("the service:\n%s", out)
	}
	till.token = strings.TrimSpace(w.do(windowsProgram, "token", "add", "cash"))
	till.must("the printer is ready", func() error {
		if _, text := till.call("GET", till.till+"/v1/status", "", ""); !strings.Contains(text, `"kind":"printer","state":"ok"`) {
			return errors.New(text)
		}
		return nil
	})
	till.sell()
	if !strings.Contains(till.slip, "Anna, thank you") {
		t.Errorf("the slip:\n%s", till.slip)
	}

	// A power cut: the session ends, and the next one starts the service.
	w.end()
	w.start()
	till.must("the till serves after a power cut", till.healthy)

	if err := l.upgrade(w, nil); err != nil {
		t.Fatal(err)
	}
	till.must("the till serves after the upgrade", till.healthy)
	if out := w.do(windowsProgram, "version"); !strings.Contains(out, next) {
		t.Errorf("after the upgrade it is %s", out)
	}
	till.replug()
	till.sell()

	// Removed: data and settings stay. Back again, and purged: nothing stays.
	if err := l.remove(w, nil); err != nil {
		t.Fatal(err)
	}
	// One of the uninstallers works on when it has answered.
	till.must("removed", func() error {
		for _, left := range changed(before, w.inventory()) {
			if !strings.Contains(left, "/ProgramData/Tillside") {
				return errors.New(left)
			}
		}
		return nil
	})
	if b, err := os.ReadFile(filepath.Join(data, "till.toml")); err != nil || !strings.Contains(string(b), "COM7") {
		t.Errorf("the settings are gone: %v", err)
	}
	if err := l.upgrade(w, nil); err != nil {
		t.Fatal(err)
	}
	till.must("the till serves when it came back", till.healthy)
	if err := l.purge(w, nil); err != nil {
		t.Fatal(err)
	}
	till.must("purged", func() error {
		if left := changed(before, w.inventory()); len(left) > 0 {
			return errors.New(strings.Join(left, "\n"))
		}
		return nil
	})
	if log, err := os.ReadFile(w.c("install.log")); err == nil && (bytes.Contains(log, []byte(secret)) || bytes.Contains(log, utf16(secret))) {
		t.Error("the installer's log has the code")
	}
}

// TestOldWindowsIsRefused, and nothing is changed on it.
func TestOldWindowsIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("installs into a Wine prefix")
	}
	need(t, "wixl", "msibuild", "makensis", "osslsigncode", "openssl")
	w := newWindows(t)
	dir := windowsFirst(t)
	w.do("winecfg", "-v", "win7")
	w.end()
	w.start()
	before := w.inventory()
	if out, err := w.try("msiexec", "/i", "Z:"+strings.ReplaceAll(the(t, dir, "*.msi"), "/", `\`), "/qn"); err == nil {
		t.Errorf("the MSI was installed: %s", out)
	}
	if out, err := w.try("Z:"+strings.ReplaceAll(the(t, dir, "*-setup.exe"), "/", `\`), "/S"); err == nil {
		t.Errorf("the installer installed: %s", out)
	}
	if diff := changed(before, w.inventory()); len(diff) > 0 {
		t.Errorf("changed:\n%s", strings.Join(diff, "\n"))
	}
}
