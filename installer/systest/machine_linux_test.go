package systest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machine is a Debian with a systemd of its own in a container. Its network is
// a namespace that stays while it is off.
type machine struct {
	t      *testing.T
	name   string
	root   string // its disk
	net    string // its network namespace
	nspawn *exec.Cmd
	gone   chan struct{}
	boots  int
}

// newMachine copies the disk and makes the network namespace. The machine is off.
func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may start a container")
	}
	need(t, "systemd-nspawn", "mmdebstrap", "nsenter", "ip", "bash")
	cmd := exec.Command("bash", ".ci/root")
	cmd.Dir = root
	var why bytes.Buffer
	cmd.Stderr = &why
	disk, err := cmd.Output()
	if err != nil {
		t.Skipf("no Debian for the container: %v\n%s", err, why.Bytes())
	}
	dir, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, name: fmt.Sprintf("ts-%s-%d", name, os.Getpid()), root: filepath.Join(dir, "machine-"+name)}
	m.net = m.name
	if out, err := exec.Command("ip", "netns", "add", m.net).CombinedOutput(); err != nil {
		t.Skipf("no network namespace here: %v\n%s", err, out)
	}
	run(t, "cp", "-a", "--reflink=auto", strings.TrimSpace(string(disk)), m.root)
	t.Cleanup(func() {
		m.cut()
		_ = exec.Command("ip", "netns", "delete", m.net).Run()
		_ = os.RemoveAll(m.root)
	})
	m.host("ip", "link", "set", "lo", "up")
	return m
}

// cable joins two machines; pulling it is a matter of "ip link set down".
func cable(a, b *machine, addrA, addrB string) {
	run(a.t, "ip", "link", "add", "eth0", "netns", a.net, "type", "veth", "peer", "name", "eth0", "netns", b.net)
	for _, m := range []struct {
		m    *machine
		addr string
	}{{a, addrA}, {b, addrB}} {
		m.m.host("ip", "addr", "add", m.addr+"/24", "dev", "eth0")
		m.m.host("ip", "link", "set", "eth0", "up")
	}
}

// host runs a program of this system in the machine's network.
func (m *machine) host(args ...string) string {
	m.t.Helper()
	return run(m.t, "ip", append([]string{"netns", "exec", m.net}, args...)...)
}

// boot starts the machine and waits until its systemd has. Where the very
// first start of a bare machine does not come, this system cannot start any.
func (m *machine) boot() {
	m.t.Helper()
	log, err := os.OpenFile(m.root+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	m.nspawn = exec.Command("systemd-nspawn", "-q", "-D", m.root, "--register=no", "--keep-unit", "-M", m.name,
		"--network-namespace-path=/run/netns/"+m.net, "--boot", "--console=read-only")
	m.nspawn.Stdout, m.nspawn.Stderr = log, log
	if err := m.nspawn.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.gone = make(chan struct{})
	go func(cmd *exec.Cmd, gone chan struct{}) {
		_ = cmd.Wait() // the number tells reboot from power off, which the caller knows
		close(gone)
	}(m.nspawn, m.gone)
	err = m.eventually(func() error {
		out, err := m.try("systemctl", "is-system-running")
		if state := strings.TrimSpace(out); state == "running" || state == "degraded" {
			return nil
		}
		return fmt.Errorf("state %s %w", out, err)
	})
	if err != nil {
		b, _ := os.ReadFile(m.root + ".log")
		if m.boots == 0 {
			m.t.Skipf("no container starts here: %v\n%s", err, b)
		}
		m.t.Fatalf("%s does not start: %v\n%s", m.name, err, b)
	}
	m.boots++
}

// init is the number of the machine's first process; 0 while there is none.
func (m *machine) init() int {
	if m.nspawn == nil {
		return 0
	}
	pid := m.nspawn.Process.Pid
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	for child := range strings.FieldsSeq(string(b)) {
		comm, err := os.ReadFile("/proc/" + child + "/comm")
		if n, e := strconv.Atoi(child); err == nil && e == nil && strings.TrimSpace(string(comm)) == "systemd" {
			return n
		}
	}
	return 0
}

// try runs a command inside the machine.
func (m *machine) try(args ...string) (string, error) {
	pid := m.init()
	if pid == 0 {
		return "", errors.New("the machine is off")
	}
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(pid), "-m", "-u", "-i", "-n", "-p", "-C", "--",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s on %s: %w\n%s", strings.Join(args, " "), m.name, err, out)
	}
	return string(out), nil
}

// do runs a command inside the machine that must end well.
func (m *machine) do(args ...string) string {
	m.t.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// reboot lets the system restart in order.
func (m *machine) reboot() {
	m.t.Helper()
	m.do("systemctl", "reboot")
	m.wait()
	m.boot()
}

// cut takes the power away.
func (m *machine) cut() {
	if m.nspawn == nil {
		return
	}
	if pid := m.init(); pid != 0 {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	_ = m.nspawn.Process.Kill()
	<-m.gone
	m.nspawn = nil
}

func (m *machine) wait() {
	m.t.Helper()
	select {
	case <-m.gone:
	case <-time.After(atMost):
		m.t.Fatalf("%s does not go down", m.name)
	}
}

// eventually asks until there is no error, or too late.
func (m *machine) eventually(ask func() error) error {
	end := time.Now().Add(atMost)
	for {
		err := ask()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (m *machine) must(what string, ask func() error) {
	m.t.Helper()
	if err := m.eventually(ask); err != nil {
		log, _ := m.try("journalctl", "-b", "--no-pager", "-n", "60")
		m.t.Fatalf("%s: %v\n%s", what, err, log)
	}
}

// put copies a file of this system onto the machine's disk.
func (m *machine) put(from, to string, mode fs.FileMode) {
	m.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(b), mode)
}

func (m *machine) write(to, text string, mode fs.FileMode) {
	m.t.Helper()
	to = filepath.Join(m.root, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(to, mode); err != nil {
		m.t.Fatal(err)
	}
}

// read reads a file of the machine's disk; "" when there is none.
func (m *machine) read(path string) string {
	b, err := os.ReadFile(filepath.Join(m.root, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(b)
}

// inventory lists what a package could leave behind: every file with its
// rights and owner, users, groups, and what systemd knows. What the system
// itself writes at work is not in it.
func (m *machine) inventory() []string {
	m.t.Helper()
	quiet := []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/systemd", "/var/lib/apt",
		"/root", "/etc/machine-id", "/etc/resolv.conf", "/etc/.pwd.lock", "/etc/ld.so.cache", "/opt/bench", "/etc/localtime"}
	var list []string
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(path, m.root)
		if slices.Contains(quiet, inside) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		list = append(list, fmt.Sprintf("%s %s", info.Mode(), inside))
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range []string{"passwd", "group", "shadow", "gshadow"} {
		for line := range strings.Lines(m.read("/etc/" + f)) {
			list = append(list, f+" "+strings.TrimSpace(line))
		}
	}
	for line := range strings.Lines(m.do("systemctl", "list-unit-files", "--no-legend", "--no-pager")) {
		list = append(list, "unit "+strings.Join(strings.Fields(line), " "))
	}
	for line := range strings.Lines(m.do("dpkg-query", "-W", "-f", "${Package} ${Status}\n")) {
		list = append(list, "package "+strings.TrimSpace(line))
	}
	slices.Sort(list)
	return list
}

// changed gives what is in one list only, with a sign before it.
func changed(before, after []string) []string {
	var out []string
	for _, s := range before {
		if _, ok := slices.BinarySearch(after, s); !ok {
			out = append(out, "- "+s)
		}
	}
	for _, s := range after {
		if _, ok := slices.BinarySearch(before, s); !ok {
			out = append(out, "+ "+s)
		}
	}
	return out
}
