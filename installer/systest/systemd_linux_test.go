package systest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	centreAddr = "10.77.0.1"
	tillAddr   = "10.77.0.2"
	centreURL  = "https://" + centreAddr + ":8760"
)

// centre installs the centre's package on a machine and gives it a rulebook
// and a member.
func centre(t *testing.T, debs string) *machine {
	t.Helper()
	m := newMachine(t, "centre")
	m.put(filepath.Join(root, "agent/e2e/tilldemo/rulebook.json"), "/srv/rulebook.json", 0o644)
	m.boot()
	before := m.inventory()
	m.put(the(t, debs, "tillside-central_*.deb"), "/root/tillside-central.deb", 0o644)
	m.do("dpkg", "-i", "/root/tillside-central.deb")
	// As its operator would: a rulebook, a member, the address for the tills.
	settings := strings.Replace(m.read("/etc/tillside/central.toml"), `#listen = "127.0.0.1:8760"`, `listen = "0.0.0.0:8760"`, 1)
	if !strings.Contains(settings, "\nlisten") {
		t.Fatalf("no listen in the settings:\n%s", settings)
	}
	m.write("/etc/tillside/central.toml", settings, 0o640)
	m.do("systemctl", "restart", "tillside-central")
	m.must("the centre serves", func() error {
		_, err := m.try("systemctl", "is-active", "tillside-central")
		return err
	})
	m.do("tillside-central", "rulebook", "publish", "/srv/rulebook.json")
	m.do("tillside-central", "members", "add", "--card", card, "--first-name", "Anna", "--language", "en")
	t.Cleanup(func() { // everything was on its disk; the purge leaves nothing
		if t.Failed() || t.Skipped() {
			return
		}
		m.do("dpkg", "-P", "tillside-central")
		if diff := changed(before, m.inventory()); len(diff) > 0 {
			t.Errorf("the centre's purge left something:\n%s", strings.Join(diff, "\n"))
		}
	})
	return m
}

// code asks the centre for a one-time code.
func code(t *testing.T, centre *machine, store, till string) string {
	t.Helper()
	var c struct {
		Code string `json:"code"`
	}
	out := centre.do("tillside-central", "till", "add", "--store", store, "--till", till, "--json")
	if err := json.Unmarshal([]byte(out), &c); err != nil || c.Code == "" {
		t.Fatalf("no code in %q: %v", out, err)
	}
	return c.Code
}

// devicesUnit runs the emulated devices as a service of the machine, so that
// they are there again after a reboot, as real ones.
const devicesUnit = `[Unit]
Before=tillside.service
[Service]
Type=exec
RuntimeDirectory=bench
RuntimeDirectoryPreserve=yes
ExecStart=/opt/bench/tillbench emulate till --dir /run/bench --control 127.0.0.1:7777 --stdin=false
ExecStartPost=/bin/sh -c 'until [ -e /run/bench/display ]; do sleep 0.05; done'
[Install]
WantedBy=multi-user.target
`

// TestDebUnderSystemd is the life of a till from the technician's stick to the
// scrap heap.
func TestDebUnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two machines")
	}
	need(t, "curl", "dpkg-deb")
	c := newMachine(t, "probe")
	c.boot() // skips where no container starts, before anything is built
	c.cut()
	one := linuxFirst(t)
	two := linuxNext(t)
	bench := filepath.Join(filepath.Dir(one), "tillbench")
	run(t, "env", "CGO_ENABLED=0", "go", "build", "-o", bench, "./drivers/cmd/tillbench")
	began := time.Now()

	c = centre(t, one)
	m := newMachine(t, "till")
	cable(c, m, centreAddr, tillAddr)
	m.put(bench, "/opt/bench/tillbench", 0o755)
	m.write("/etc/systemd/system/bench.service", devicesUnit, 0o644)
	m.boot()
	m.do("systemctl", "enable", "--now", "bench.service")
	before := m.inventory()

	// The stick: package and provision file.
	secret := code(t, c, "warsaw", "1")
	m.put(the(t, one, "tillside_*.deb"), "/root/stick/tillside.deb", 0o644)
	m.write("/root/stick/tillside-provision.toml", fmt.Sprintf(`version = 1
server = %q
language = "en"
find_devices = ["/run/bench/printer"]
[[tills]]
till = "warsaw/1"
code = %q
[[devices]]
name = "scanner"
driver = "barcode"
port = "/run/bench/scanner"
[[devices]]
name = "display"
driver = "pole"
port = "/run/bench/display"
`, centreURL, secret), 0o600)

	// Installed without a person, to the first receipt.
	unattended := time.Now()
	said := m.do("sh", "-c", "cd /root/stick && dpkg -i ./tillside.deb")
	for _, want := range []string{"found printer on /run/bench/printer (escpos)", "enrolled: store warsaw, till 1"} {
		if !strings.Contains(said, want) {
			t.Errorf("the installation says nothing of %q:\n%s", want, said)
		}
	}
	till := &cashdesk{t: t, via: []string{"ip", "netns", "exec", m.net}, till: "http://127.0.0.1:8750", bench: "http://127.0.0.1:7777"}
	t.Cleanup(func() {
		if t.Failed() {
			_, status := till.call("GET", till.till+"/v1/status", "", "")
			log, _ := m.try("journalctl", "--no-pager", "-u", "tillside", "-n", "40")
			t.Logf("status: %s\n%s", status, log)
		}
	})
	m.must("the till serves", till.healthy)
	served := time.Since(unattended)
	till.token = strings.TrimSpace(m.do("tillside", "token", "add", "cash"))
	m.must("the devices are ready", func() error {
		var st struct {
			Devices []struct{ Name, State string } `json:"devices"`
		}
		_, text := till.call("GET", till.till+"/v1/status", "", "")
		if err := json.Unmarshal([]byte(text), &st); err != nil || len(st.Devices) != 3 {
			return fmt.Errorf("%s", text)
		}
		for _, d := range st.Devices {
			if d.State != "ok" {
				return fmt.Errorf("%s", text)
			}
		}
		return nil
	})
	till.sell()
	t.Logf("unattended: from dpkg -i to a till that serves %.1f s, to the first slip %.1f s", served.Seconds(), time.Since(unattended).Seconds())
	if !strings.Contains(till.slip, "Anna, thank you") {
		t.Errorf("the slip:\n%s", till.slip)
	}

	if out := m.do("systemctl", "show", "-p", "User", "-p", "WatchdogUSec", "-p", "Restart", "tillside"); !strings.Contains(out, "User=tillside") || !strings.Contains(out, "WatchdogUSec=30s") {
		t.Errorf("the service:\n%s", out)
	}
	if out := m.do("sh", "-c", "ps -o user= -C tillside; stat -c '%U %a' /var/lib/tillside; systemctl is-enabled tillside-relay || true"); !strings.Contains(out, "tillside 700\ndisabled") || strings.Contains(out, "root") {
		t.Errorf("whose is it?\n%s", out)
	}

	// Killed, stuck, restarted, without power.
	restarts := func() int {
		var n int
		_, _ = fmt.Sscan(m.do("systemctl", "show", "-p", "NRestarts", "--value", "tillside"), &n)
		return n
	}
	m.do("systemctl", "kill", "-s", "KILL", "tillside")
	m.must("back after a kill", func() error { return errors.Join(till.healthy(), want(restarts(), 1)) })
	till.replug()
	till.sell()
	m.do("sh", "-c", "mkdir -p /run/systemd/system/tillside.service.d; printf '[Service]\\nWatchdogSec=2\\n' > /run/systemd/system/tillside.service.d/quick.conf; systemctl daemon-reload; systemctl restart tillside")
	m.must("back after a restart", till.healthy)
	was := restarts()
	m.do("systemctl", "kill", "-s", "STOP", "tillside") // hangs: no sign of life any more
	m.must("back after a hang", func() error { return errors.Join(till.healthy(), want(restarts(), was+1)) })
	till.replug()
	m.do("sh", "-c", "rm -r /run/systemd/system/tillside.service.d; systemctl daemon-reload")
	m.reboot()
	m.must("back after a reboot", till.healthy)
	till.sell()
	m.cut()
	m.boot()
	m.must("back after a power cut", till.healthy)
	till.sell()

	// Upgraded, and an upgrade that does not work.
	m.put(the(t, two, "tillside_*.deb"), "/root/next.deb", 0o644)
	m.do("dpkg", "-i", "/root/next.deb")
	m.must("serves after the upgrade", till.healthy)
	if v := m.do("tillside", "version"); !strings.Contains(v, next) {
		t.Errorf("after the upgrade it is %s", v)
	}
	till.sell()
	m.put(brokenDeb(t, the(t, two, "tillside_*.deb")), "/root/broken.deb", 0o644)
	if out, err := m.try("dpkg", "-i", "/root/broken.deb"); err == nil || !strings.Contains(out, "works again") {
		t.Errorf("a broken upgrade: %v\n%s", err, out)
	}
	m.must("serves after the broken upgrade", till.healthy)
	if v := m.do("tillside", "version"); !strings.Contains(v, next) {
		t.Errorf("after the broken upgrade it is %s", v)
	}
	till.sell()
	m.do("dpkg", "-i", "/root/next.deb")
	m.must("serves after the repair", till.healthy)
	m.must("everything has reached the centre", func() error {
		out, err := m.try("tillside", "outbox", "unsent")
		if err == nil && !strings.Contains(out, "everything") {
			err = errors.New(out)
		}
		return err
	})

	// Removed with the line down: told, kept, found again, sent.
	m.host("ip", "link", "set", "eth0", "down")
	till.sell()
	said = m.do("dpkg", "-r", "tillside")
	if !strings.Contains(said, "1 receipts") || !strings.Contains(said, "warsaw/1 have not reached the centre") || !strings.Contains(m.read("/var/lib/tillside/UNSENT.txt"), "1 receipts") {
		t.Errorf("the removal says:\n%s", said)
	}
	for _, left := range changed(before, m.inventory()) {
		if !keptAfterRemoval(left) {
			t.Errorf("removal: %s", left)
		}
	}
	m.do("dpkg", "-i", "/root/next.deb")
	m.must("serves after the return", till.healthy)
	m.host("ip", "link", "set", "eth0", "up")
	m.must("the kept receipt has reached the centre", func() error {
		out, err := m.try("tillside", "outbox", "unsent")
		if err == nil && !strings.Contains(out, "everything") {
			err = errors.New(out)
		}
		return err
	})
	till.sell()
	if out := c.do("tillside-central", "ledger", "verify"); strings.Contains(out, "wrong") {
		t.Errorf("ledger verify: %s", out)
	}
	if got := strings.Count(c.do("tillside-central", "ledger", "receipts", "--json"), "\n"); got != till.receipt {
		t.Errorf("%d receipts at the centre, %d sold", got, till.receipt)
	}
	if log := m.do("journalctl", "--no-pager", "-u", "tillside"); strings.Contains(log, secret) || strings.Contains(log, till.token) || strings.Contains(log, card) {
		t.Error("the log has the code, the token or the card")
	}

	m.do("dpkg", "-P", "tillside")
	if left := changed(before, m.inventory()); len(left) > 0 {
		t.Errorf("the purge left something:\n%s", strings.Join(left, "\n"))
	}
	m.do("systemctl", "poweroff")
	m.wait()
	t.Logf("the whole life took %.0f s, without making packages", time.Since(began).Seconds())
}

func want(got, want int) error {
	if got != want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// keptAfterRemoval tells what may be there after a removal that is no purge:
// data, settings, and the user they belong to.
func keptAfterRemoval(diff string) bool {
	for _, part := range []string{" /var/lib/tillside", " /etc/tillside", "passwd tillside:", "shadow tillside:", "group tillside:", "gshadow tillside:",
		"group dialout:", "group lp:", "group input:", "gshadow dialout:", "gshadow lp:", "gshadow input:", "package tillside "} {
		if strings.Contains(diff, part) {
			return true
		}
	}
	return false
}

// brokenDeb makes of a package one of a higher version whose program dies at
// its start.
func brokenDeb(t *testing.T, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "broken")
	run(t, "dpkg-deb", "-R", deb, dir)
	control := filepath.Join(dir, "DEBIAN/control")
	b, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(control, []byte(strings.Replace(string(b), "Version: "+next, "Version: 9.9.9", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/bin/tillside"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "broken.deb")
	run(t, "dpkg-deb", "-Zgzip", "--root-owner-group", "-b", dir, out)
	return out
}
