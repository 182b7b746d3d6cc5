package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// office enrols everybody as the till that was asked for.
func office(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q wire.EnrolRequest
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		store, till, _ := strings.Cut(q.Till, "/")
		_ = json.NewEncoder(w).Encode(wire.EnrolAnswer{Device: "dev-0123456789", Epoch: 1, Store: store, Till: till, LookupKey: make([]byte, 32), Root: agenttest.SignedRoot(), SyncURL: "ws://127.0.0.1:1/v1/sync"})
	}))
	t.Cleanup(s.Close)
	return s
}

// authority makes certificates that nobody signs with.
func authority(t *testing.T) string {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

const provisionText = `version = 1
server = "SERVER"
language = "pl"
phone_prefix = "48"
ca_file = "ours.pem"
find_devices = ["tcp:127.0.0.1:1"]
[[tills]]
till = "warsaw/1"
machine = "MACHINE"
code = "AAAA-BBBB-CCCC"
[[tills]]
till = "warsaw/2"
machine = "another"
code = "DDDD-EEEE-FFFF"
[[devices]]
name = "scanner"
model = "generic-scanner"
port = "COM9"
`

// stick is a folder as a technician's stick: package and provision file.
func stick(t *testing.T, server string) (pkg, ca string) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dir, ca := t.TempDir(), authority(t)
	text := strings.NewReplacer("SERVER", server, "MACHINE", strings.ToUpper(host)).Replace(provisionText)
	for name, b := range map[string]string{configs.ProvisionFile: text, "ours.pem": ca} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tillside_1.0.0_amd64.deb"), ca
}

// TestConfigureFromAStick: settings, rights, identity; the second time nothing
// changes; another till is refused; no code is ever printed.
func TestConfigureFromAStick(t *testing.T) {
	pkg, ca := stick(t, office(t).URL)
	data := filepath.Join(t.TempDir(), "data")
	code, out, errs := run("configure", "--data", data, "--package", pkg)
	if code != 0 || !strings.Contains(out, "enrolled: store warsaw, till 1") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	file := filepath.Join(data, "till.toml")
	a, err := configs.LoadAgent(file)
	if err != nil {
		t.Fatal(err)
	}
	if a.Language != "pl" || a.PhonePrefix != "48" || len(a.Devices) != 1 || a.Devices[0].Port != "COM9" || a.Centre.CAFile != filepath.Join(data, "authority.pem") {
		t.Errorf("%+v", a)
	}
	if b, err := os.ReadFile(a.Centre.CAFile); err != nil || string(b) != ca {
		t.Errorf("%v", err)
	}
	if st, err := os.Stat(data); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st, err)
	}
	all := out + errs
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs = run("configure", "--data", data, "--package", pkg, "--language", "ru")
	after, err := os.ReadFile(file)
	if code != 0 || err != nil || string(before) != string(after) || !strings.Contains(out, "enrolled already") {
		t.Errorf("the second time: exit %d %v\n%s%s", code, err, out, errs)
	}
	all += out + errs
	code, out, errs = run("configure", "--data", data, "--package", pkg, "--till", "warsaw/2")
	if code != 1 || !strings.Contains(errs, "was to be warsaw/2") {
		t.Errorf("another till: exit %d\n%s%s", code, out, errs)
	}
	if all += out + errs; strings.Contains(all, "AAAA") || strings.Contains(all, "DDDD") {
		t.Errorf("a code is printed:\n%s", all)
	}
}

func TestConfigureWithoutACentre(t *testing.T) {
	pkg, _ := stick(t, "http://127.0.0.1:1")
	data := filepath.Join(t.TempDir(), "data")
	code, out, errs := run("configure", "--data", data, "--package", pkg)
	if code != 0 || !strings.Contains(out, "enrolled later") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if p, err := agent.LoadPending(data); err != nil || p == nil || p.Till != "warsaw/1" {
		t.Errorf("%v %v", p, err)
	}
	code, out, _ = run("configure", "--data", data)
	if code != 0 || !strings.Contains(out, "enrolment at http://127.0.0.1:1 as warsaw/1") {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"configure --data " + t.TempDir(), 0, "not enrolled"},
		{"configure --data " + t.TempDir() + " --code AAAA-BBBB-CCCC", 2, "given together"},
		{"configure --data " + t.TempDir() + " --package " + pkg + " --till x/9", 1, "x/9"},
		{"configure --data " + t.TempDir() + " --provision " + pkg, 1, "no settings file"},
		{"configure --data " + t.TempDir() + " --language xx", 3, "want en, ru or pl"},
		{"configure --data " + t.TempDir() + " --ca-file /no/such", 1, "certificates"},
	} {
		code, out, errs := run(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
}

// TestFarewellTellsWhatTheCentreLacks, keeps it, and deletes it when told.
func TestFarewellTellsWhatTheCentreLacks(t *testing.T) {
	data, _ := testFolder(t)
	id, err := agent.LoadIdentity(data)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := run("outbox", "unsent", "--data", data)
	if code != 0 || !strings.Contains(out, "everything has reached") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	j, err := store.OpenJournal(data, store.Options{Identity: id.Outbox(), Stamp: func() outbox.Stamp {
		return outbox.Stamp{Wall: time.Unix(1e9, 0), Boot: "b", Clock: wire.ClockGood}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, receipt := range []string{"r1", "r1", "r2", ""} {
		err := j.Update(func(tx *store.Tx) error {
			_, err := tx.Append(outbox.Entry{Type: wire.TypeOperator, Receipt: receipt, Payload: map[string]string{"act": "x"}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "2 receipts (4 records) of till s1/t1 have not reached the centre"
	code, out, errs = run("service", "farewell", "--data", data)
	note, err := os.ReadFile(filepath.Join(data, unsentFile))
	if code != 0 || err != nil || !strings.Contains(out, want) || !strings.Contains(string(note), want) {
		t.Errorf("exit %d %v\n%s%s%s", code, err, out, errs, note)
	}
	code, out, errs = run("outbox", "unsent", "--data", data, "--json")
	if code != 0 || !strings.Contains(out, `"receipts": 2`) {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = run("service", "farewell", "--purge", "--data", data)
	if _, err := os.Stat(data); code != 0 || !strings.Contains(out, want+", and are deleted") || !os.IsNotExist(err) {
		t.Errorf("purge: exit %d, %v\n%s%s", code, err, out, errs)
	}
}
