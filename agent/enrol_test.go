package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/wire"
)

// office answers enrolments as each test wants.
type office struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []wire.EnrolRequest
	answer func(n int, w http.ResponseWriter)
}

func newOffice(t *testing.T, answer func(n int, w http.ResponseWriter)) *office {
	o := &office{answer: answer}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q wire.EnrolRequest
		if r.URL.Path != wire.EnrolPath || json.NewDecoder(r.Body).Decode(&q) != nil {
			http.NotFound(w, r)
			return
		}
		o.mu.Lock()
		o.asked = append(o.asked, q)
		n := len(o.asked)
		o.mu.Unlock()
		o.answer(n, w)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *office) requests() []wire.EnrolRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]wire.EnrolRequest(nil), o.asked...)
}

func enrolled(w http.ResponseWriter) {
	root, err := testRoot().Sealed()
	if err != nil {
		panic(err)
	}
	root.Sign(rootKey)
	_ = json.NewEncoder(w).Encode(wire.EnrolAnswer{Device: "dev-0123456789", Epoch: 1, Store: "s1", Till: "1",
		LookupKey: make([]byte, 32), Root: root.Bytes(), SyncURL: "ws://127.0.0.1:1/v1/sync"})
}

func refusal(w http.ResponseWriter, code string) {
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(wire.ErrorBody{Error: wire.Error{Code: code, Message: "no", Hint: "ask"}})
}

// unenrolled runs an agent on dir and gives what its Run returned.
func unenrolled(t *testing.T, dir string) (a *Agent, ended chan error) {
	t.Helper()
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = dir, "127.0.0.1:0"
	a, err := Open(Options{Settings: s, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, ended
}

// TestEnrolledLater: the centre cannot be reached at the installation, then
// its answer is lost, then it answers. One key all the time, so that the
// centre sees one device, and the code is forgotten at the end.
func TestEnrolledLater(t *testing.T) {
	dir := t.TempDir()
	o := newOffice(t, func(n int, w http.ResponseWriter) {
		if n == 1 { // the answer is lost on the way
			panic(http.ErrAbortHandler)
		}
		enrolled(w)
	})
	const code = "AAAA-BBBB-CCCC"
	if _, err := Enrol(t.Context(), Enrolment{Dir: dir, Server: "http://127.0.0.1:1", Code: code, Till: "s1/1"}); err == nil {
		t.Fatal("enrolled at a centre that is not there")
	}
	p, err := LoadPending(dir)
	if err != nil || p == nil || strings.Contains(p.String(), code) {
		t.Fatalf("%v %v", p, err)
	}
	p.Server = o.URL
	if err := p.save(dir); err != nil {
		t.Fatal(err)
	}
	_, ended := unenrolled(t, dir)
	err = <-ended
	ended <- err
	if !errors.Is(err, ErrEnrolled) {
		t.Fatalf("the agent ended with %v", err)
	}
	asked := o.requests()
	if len(asked) != 2 || string(asked[0].PublicKey) != string(asked[1].PublicKey) || asked[0].Till != "s1/1" || asked[0].Code != code {
		t.Errorf("asked %+v", asked)
	}
	id, err := LoadIdentity(dir)
	if err != nil || id == nil || id.Device != "dev-0123456789" || string(id.PrivateKey) != string(p.PrivateKey) {
		t.Errorf("identity %v %v", id, err)
	}
	if _, err := os.Stat(filepath.Join(dir, PendingFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the code is still there: %v", err)
	}
}

// TestRefusalEndsTheTrying until a person gives another code.
func TestRefusalEndsTheTrying(t *testing.T) {
	dir := t.TempDir()
	o := newOffice(t, func(n int, w http.ResponseWriter) {
		switch n {
		case 1:
			http.Error(w, "a captive portal", http.StatusOK)
		case 2:
			refusal(w, "code_expired")
		default:
			enrolled(w)
		}
	})
	first := Enrolment{Dir: dir, Server: o.URL, Code: "AAAA-BBBB-CCCC"}
	var refused *EnrolError
	if _, err := Enrol(t.Context(), first); err == nil || errors.As(err, &refused) {
		t.Fatalf("a page is no answer: %v", err)
	}
	a, ended := unenrolled(t, dir)
	wait(t, func() bool {
		for _, w := range a.health.Current() {
			if w.Code == health.NotEnrolled.Code && strings.Contains(w.Text, "refused") {
				return true
			}
		}
		return false
	})
	if n := len(o.requests()); n != 2 {
		t.Errorf("asked %d times", n)
	}
	if p, err := LoadPending(dir); err != nil || p.Refused == "" || strings.Contains(p.String(), "AAAA") {
		t.Errorf("%v %v", p, err)
	}
	// Another code, given while the agent runs.
	if _, err := Enrol(t.Context(), Enrolment{Dir: dir, Server: o.URL, Code: "DDDD-EEEE-FFFF"}); err != nil {
		t.Fatal(err)
	}
	err := <-ended
	ended <- err
	if !errors.Is(err, ErrEnrolled) {
		t.Errorf("the agent ended with %v", err)
	}
}

func TestWrongTillIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	o := newOffice(t, func(_ int, w http.ResponseWriter) { enrolled(w) }) // an old centre, which does not compare
	_, err := Enrol(t.Context(), Enrolment{Dir: dir, Server: o.URL, Code: "AAAA-BBBB-CCCC", Till: "s1/2"})
	if err == nil || !strings.Contains(err.Error(), "s1/1") {
		t.Errorf("%v", err)
	}
	if id, err := LoadIdentity(dir); id != nil || err != nil {
		t.Errorf("%v %v", id, err)
	}
	for _, e := range []Enrolment{
		{Server: "loyalty", Code: "AAAA-BBBB-CCCC"}, {Server: "ftp://x", Code: "AAAA-BBBB-CCCC"}, {Server: "http://x", Code: "AAAA"},
		{Server: "http://x", Code: "AAAA-BBBB-CCCC", Till: "warsaw"}, {Server: "http://x", Code: "AAAA-BBBB-CCCC", Till: "a/b/c"},
	} {
		e.Dir = dir
		if _, err := Enrol(t.Context(), e); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}

// TestAlive: any answer is a sign of life, silence is none.
func TestAlive(t *testing.T) {
	a, _ := unenrolled(t, t.TempDir())
	if err := a.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a.Alive(ctx) == nil {
		t.Error("alive without an answer")
	}
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
