package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/sync/wire"
)

// healthy is a till with nothing wrong, as far as the test does not change it.
func healthy(t *testing.T) *Patient {
	t.Helper()
	s := configs.DefaultAgent()
	s.Data = t.TempDir()
	if err := os.Chmod(s.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	return &Patient{Settings: &s, Version: "1", Registry: all.Registry(),
		Status: func() (*till.Status, error) {
			st := &till.Status{Version: "1", Mode: "online", Started: time.Now()}
			st.Rulebook.Version = "grocer@1"
			return st, nil
		}}
}

// codes are what a check of a patient found, without the good ones.
func codes(t *testing.T, p *Patient, check string) string {
	t.Helper()
	all, _ := p.Examine(t.Context(), nil)
	var found []string
	for _, f := range all {
		if f.Check == check && f.Level != OK {
			found = append(found, f.Code)
			if f.Do == "" && check != "agent" && f.Code != "disk_unknown" {
				t.Errorf("%s says nothing of what to do: %s", f.Code, f.Text)
			}
		}
	}
	return strings.Join(found, " ")
}

func TestNothingWrong(t *testing.T) {
	p := healthy(t)
	c := newCentre(t, nil)
	p.Enrolled, p.SyncURL = true, c
	all, worst := p.Examine(t.Context(), nil)
	for _, f := range all {
		if f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
	if worst != OK {
		t.Error(worst)
	}
}

func TestSettings(t *testing.T) {
	p := healthy(t)
	p.Problem = errors.New("till.toml:3: what is this")
	if got := codes(t, p, "settings"); got != "settings_bad" {
		t.Error(got)
	}
	p = healthy(t)
	p.Settings.Devices = []configs.Device{{Name: "printer", Model: "no-such-model", Port: "COM1"}}
	if got := codes(t, p, "settings"); got != "device_unknown" {
		t.Error(got)
	}
}

func TestRightsAndDisk(t *testing.T) {
	p := healthy(t)
	p.Settings.Health.MinFreeMB = 1 << 40
	if got := codes(t, p, "disk"); got != "disk_low" {
		t.Error(got)
	}
	p = healthy(t)
	p.Settings.Data = filepath.Join(p.Settings.Data, "none")
	if got := codes(t, p, "rights"); got != "folder_missing" {
		t.Error(got)
	}
	if runtime.GOOS == "windows" {
		return
	}
	p = healthy(t)
	if err := os.WriteFile(filepath.Join(p.Settings.Data, "secret"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := codes(t, p, "rights"); got != "rights_open" {
		t.Error(got)
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(filepath.Join(p.Settings.Data, "secret"), 0o600), os.Chown(filepath.Join(p.Settings.Data, "secret"), 1, 1)); err != nil {
			t.Fatal(err)
		}
		if got := codes(t, p, "rights"); got != "rights_owner" {
			t.Error(got)
		}
	}
	if !remote("nfs") || !remote("network") || remote("ext4") {
		t.Error("which disks are another machine's")
	}
}

func TestAgent(t *testing.T) {
	p := healthy(t)
	p.Status = func() (*till.Status, error) { return nil, errors.New("nobody answers") }
	if got := codes(t, p, "agent"); got != "agent_stopped" {
		t.Error(got)
	}
	// A second agent holds the folder and does not answer.
	j, err := store.OpenJournal(p.Settings.Data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if got := codes(t, p, "agent"); got != "agent_silent" {
		t.Error(got)
	}
	p = healthy(t)
	p.Version = "2"
	st, _ := p.Status()
	st.Warnings = []health.Shown{{Code: "journal_set_aside", Title: "A damaged journal was set aside", Severity: health.Bad}, {Code: "link_down"}}
	p.Status = func() (*till.Status, error) { return st, nil }
	if got := codes(t, p, "agent"); got != "version_differs journal_set_aside" {
		t.Error(got)
	}
}

func TestQueueRulebookDevices(t *testing.T) {
	p := healthy(t)
	st, _ := p.Status()
	old := time.Now().AddDate(0, 0, -3)
	st.Link.Queued, st.Link.Parked, st.Link.Oldest = 12, 1, &old
	st.Rulebook.Version = ""
	st.Devices = []till.DeviceState{{Name: "printer", State: "paper_out", Hint: "put a new roll in"}, {Name: "scanner", State: "ready"}}
	p.Settings.Devices = []configs.Device{{Name: "printer", Model: "escpos-80mm", Port: "none"}, {Name: "scanner", Driver: "barcode", Port: "none"}}
	p.Status = func() (*till.Status, error) { return st, nil }
	for check, want := range map[string]string{"queue": "records_parked queue_old", "rulebook": "rulebook_none", "devices": "device_down"} {
		if got := codes(t, p, check); got != want {
			t.Errorf("%s: %s", check, got)
		}
	}
	// Without a running agent each device is opened.
	p.Status = func() (*till.Status, error) { return nil, errors.New("nobody answers") }
	p.Settings.Devices = []configs.Device{{Name: "scanner", Driver: "barcode", Port: filepath.Join(t.TempDir(), "no-port")}}
	if got := codes(t, p, "devices"); got != "device_down" {
		t.Error(got)
	}
}

// newCentre is a centre as far as the doctor looks; change replaces parts.
func newCentre(t *testing.T, change func(w http.ResponseWriter, r *http.Request) bool) (sync string) {
	t.Helper()
	srv := httptest.NewServer(centre(t, change))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + wire.SyncPath
}

func centre(t *testing.T, change func(w http.ResponseWriter, r *http.Request) bool) http.Handler {
	up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change != nil && change(w, r) {
			return
		}
		if r.URL.Path == "/healthz" {
			fmt.Fprintln(w, "ok")
			return
		}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		msg, _, err := wire.EncodeFrame(&wire.Challenge{Nonce: make([]byte, 32), Version: wire.Version, MinVersion: wire.MinVersion})
		if err != nil {
			t.Error(err)
			return
		}
		_ = ws.WriteMessage(websocket.TextMessage, msg)
	})
}

func TestLinkStageByStage(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "ws://" + closed.Addr().String() + wire.SyncPath
	closed.Close()
	page := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/healthz" {
				return false
			}
			w.Header().Set("Location", "http://portal.invalid/")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	secure := httptest.NewTLSServer(centre(t, nil))
	t.Cleanup(secure.Close)
	for name, c := range map[string]struct {
		sync string
		want string
	}{
		"no address":             {"", "link_address"},
		"a name nobody knows":    {"wss://centre.invalid/v1/sync", "link_name"},
		"nobody listens":         {nobody, "link_tcp"},
		"another authority":      {"wss" + strings.TrimPrefix(secure.URL, "https") + wire.SyncPath, "link_tls"},
		"a portal":               {newCentre(t, page(200, "<html>Welcome to our hotel</html>")), "link_portal"},
		"a portal that sends on": {newCentre(t, page(302, "")), "link_portal"},
		"an ill centre":          {newCentre(t, page(503, "the database does not answer")), "centre_unwell"},
		"no websocket": {newCentre(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/healthz" {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			return true
		}), "link_websocket"},
		"a full centre": {newCentre(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/healthz" {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}), "centre_busy"},
		"well": {newCentre(t, nil), ""},
	} {
		p := healthy(t)
		p.Enrolled, p.SyncURL = true, c.sync
		if got := codes(t, p, "link"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	p := healthy(t)
	if got := codes(t, p, "link"); got != "not_enrolled" {
		t.Error(got)
	}
}

func TestClockAgainstTheCentre(t *testing.T) {
	for off, want := range map[time.Duration]string{0: "", 10 * time.Minute: "clock_off", -3 * time.Hour: "clock_wrong", -56 * 365 * 24 * time.Hour: "clock_wrong"} {
		p := healthy(t)
		p.Enrolled, p.SyncURL = true, newCentre(t, nil)
		p.Now = func() time.Time { return time.Now().Add(off) }
		if got := codes(t, p, "clock"); got != want {
			t.Errorf("%s off: %q", off, got)
		}
	}
}

// TestEveryCodeIsExplained holds the codes of this package against the guide.
func TestEveryCodeIsExplained(t *testing.T) {
	guide, err := os.ReadFile("../../installer/docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:fail|warn)\("([a-z_]+)"`).FindAllSubmatch(b, -1) {
			said[string(m[1])] = true
		}
	}
	if len(said) < 25 {
		t.Fatalf("only %d codes found", len(said))
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllSubmatch(guide, -1) {
		rows[string(m[1])] = true
		if !said[string(m[1])] {
			t.Errorf("the guide explains %s, which nothing says", m[1])
		}
	}
	for c := range said {
		if !rows[c] {
			t.Errorf("the guide does not explain %s", c)
		}
	}
}

// TestExamineEnds: a check that hangs is not waited for for ever.
func TestExamineEnds(t *testing.T) {
	p := healthy(t)
	p.Enrolled, p.SyncURL = true, newCentre(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all, worst := p.Examine(ctx, nil)
	if worst != Fail || len(all) < len(checks) {
		t.Errorf("%s, %d findings", worst, len(all))
	}
}
