package faults

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/e2e/faults/powercut"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/wire"
)

// headOffice is a small honest centre that grants every hold and writes down,
// on the till's disk, what it was sent and when.
type headOffice struct {
	store *hubtest.Store
	hub   *hub.Hub
	srv   *http.Server
	addr  string
	mu    sync.Mutex
	disk  *powercut.Disk
}

// sent is a note that the centre has the till's journal up to here.
type sent struct {
	Seq  uint64
	Hash wire.Hash
}

func newHeadOffice(t testing.TB) *headOffice {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newHeadOfficeAt(t, ln)
}

func newHeadOfficeAt(t testing.TB, ln net.Listener) *headOffice {
	t.Helper()
	store, err := hubtest.Open("")
	if err != nil {
		t.Fatal(err)
	}
	o := &headOffice{store: store}
	store.Fail = func(b *hub.Batch) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.disk != nil {
			o.disk.Note(sent{b.Last.Seq, b.Last.Hash})
		}
		return nil
	}
	store.Asked = func(_ hub.Device, what string, body json.RawMessage) (any, error) {
		if what != wire.AskHoldWhat {
			return nil, &hub.AskError{Code: wire.AnswerUnknown}
		}
		var q wire.AskHold
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, err
		}
		return wire.AnswerHold{Granted: true, Points: q.Points, Available: "90.00"}, nil
	}
	if err := store.Enrol(hub.Device{ID: agenttest.Device, Epoch: 1, Key: agenttest.Key().Public().(ed25519.PublicKey)}); err != nil {
		t.Fatal(err)
	}
	if o.hub, err = hub.New(hub.Config{Backend: store}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.SyncPath, o.hub)
	o.srv, o.addr = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, ln.Addr().String()
	go func() { _ = o.srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = o.hub.Close(ctx)
		o.srv.Close()
	})
	return o
}

func (o *headOffice) noteOn(d *powercut.Disk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disk = d
}

var cards = []string{"2000000125008", "2000000125015", "2000000125022"}

// folder fills a data folder as enrolment and a first contact would, and gives
// the token of the cash program.
func folder(t testing.TB, dir, syncURL string) (token string) {
	t.Helper()
	rb, err := os.ReadFile("../../../configs/rulebooks/grocer.json")
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]*loyalty.Member{}
	for i, c := range cards {
		members[c] = &loyalty.Member{ID: loyalty.MemberID(0x1000 + i), FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: 100_00}}}
	}
	return agenttest.Folder(t, dir, syncURL, rb, members)
}

// shop is one real till on a disk of ours.
type shop struct {
	t     testing.TB
	disk  *powercut.Disk
	dir   string // where the disk is mounted
	token string
	tmp   string // for logs and the like
	link  *linktest.Proxy

	cmd  *exec.Cmd
	log  *os.File
	addr string
	done chan struct{}
	http *http.Client

	calls []*call

	more    []string                                    // further words for the program
	command func(path string, args ...string) *exec.Cmd // nil: exec.Command
}

// call is one call of the cash program: what it sent, and what it was told.
type call struct {
	Path, Key, Body string
	Receipt         string
	Does            string // capture, void, return, authorise
	Status          int    // 0: not answered
	Answer          string // hash of the answer
}

func newClient() *http.Client { return &http.Client{Timeout: time.Minute} }

// newShop makes the data folder, puts it on a disk, and mounts that.
func newShop(t testing.TB, o *headOffice) *shop {
	t.Helper()
	s := &shop{t: t, http: newClient(), tmp: scratch(t)}
	url := "ws://127.0.0.1:1/v1/sync"
	if o != nil {
		var err error
		if s.link, err = linktest.Listen(o.addr); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.link.Close() })
		url = "ws://" + s.link.Addr() + wire.SyncPath
	}
	host := filepath.Join(s.tmp, "host")
	if err := os.Mkdir(host, 0o700); err != nil {
		t.Fatal(err)
	}
	s.token = folder(t, host, url)
	var err error
	if s.disk, err = powercut.NewDisk(host); err != nil {
		t.Fatal(err)
	}
	s.dir, _ = mount(t, s.disk)
	if o != nil {
		o.noteOn(s.disk)
	}
	t.Cleanup(s.kill)
	return s
}

// start starts the real program and waits until it listens. An error means
// that it ended by itself.
func (s *shop) start() error { return s.startOn(s.dir, s.more...) }

func (s *shop) startOn(dir string, more ...string) error {
	log, err := os.CreateTemp(s.tmp, "log")
	if err != nil {
		return err
	}
	s.log = log
	command := s.command
	if command == nil {
		command = exec.Command
	}
	s.cmd = command(program(s.t, "tillside"), append([]string{"run", "--data", dir, "--listen", "127.0.0.1:0"}, more...)...)
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	done := make(chan struct{})
	cmd := s.cmd
	go func() { _ = cmd.Wait(); close(done) }()
	s.done = done
	if err != nil {
		s.kill()
		return fmt.Errorf("the program ended: %s", s.lastWords())
	}
	s.addr = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	return nil
}

func (s *shop) lastWords() string {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return lastLines(b, 8)
}

// kill is SIGKILL.
func (s *shop) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
	s.http.CloseIdleConnections()
}

// stop is an orderly stop.
func (s *shop) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		s.t.Errorf("the program does not stop: %s", s.lastWords())
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.cmd = nil
	s.http.CloseIdleConnections()
}

// running tells whether the program still runs.
func (s *shop) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// post makes a call; status 0 when there was no answer.
func (s *shop) post(path, key, body string) (int, string) {
	return post(s.http, s.addr, s.token, path, key, body)
}

func post(client *http.Client, addr, token, path, key, body string) (int, string) {
	req, err := http.NewRequest(http.MethodPost, addr+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// state is what a test wants to know of GET /v1/status.
type state struct {
	Mode     string
	Journal  struct{ Seq, Acked uint64 }
	Warnings []struct{ Code string }
}

func (st state) warns(code string) bool {
	for _, w := range st.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

// status asks how the till is; zero when it does not say.
func (s *shop) status() (st state) {
	req, err := http.NewRequest(http.MethodGet, s.addr+"/v1/status", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.http.Do(req)
	if err != nil {
		return st
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&st) != nil {
		return state{}
	}
	return st
}

// asked and answered are notes of the cash program's side.
type (
	asked    struct{ n int }
	answered struct{ n int }
)

// do makes a writing call and writes down, on the disk's own time line, when
// it was asked and when answered.
func (s *shop) do(does, receipt, path, body string) (int, string) {
	c := &call{Path: path, Key: fmt.Sprintf("%s-%d", receipt, len(s.calls)), Body: body, Receipt: receipt, Does: does}
	s.calls = append(s.calls, c)
	s.note(asked{len(s.calls)})
	status, answer := s.again(c)
	s.note(answered{len(s.calls)})
	return status, answer
}

func (s *shop) note(v any) {
	if s.disk != nil {
		s.disk.Note(v)
	}
}

// again makes a call, or makes it again.
func (s *shop) again(c *call) (int, string) {
	status, answer := s.post(c.Path, c.Key, c.Body)
	if status == http.StatusOK {
		c.Status, c.Answer = status, digest(answer)
	}
	return status, answer
}

func digest(answer string) string {
	sum := sha256.Sum256([]byte(answer))
	return hex.EncodeToString(sum[:16])
}

// identify asks who a card belongs to and gives the member token.
func (s *shop) identify(card string) string {
	_, answer := s.post("/v1/identify", "", fmt.Sprintf(`{"input":%q}`, card))
	var a struct {
		Member struct {
			Token string `json:"token"`
		} `json:"member"`
	}
	_ = json.Unmarshal([]byte(answer), &a) // no token: the call that needs it is refused and seen there
	return a.Member.Token
}

// day works through n receipts: with and without card, points spent while the
// centre is there, receipts given up after authorisation, goods that come
// back, and a middle third without a link.
func (s *shop) day(n int) {
	for i := 1; i <= n; i++ {
		if s.link != nil && i == n/3 {
			s.link.Cut()
		}
		if s.link != nil && i == n/2 {
			s.link.Heal()
		}
		s.receipt(i)
	}
}

// receipt is the i-th of the day.
func (s *shop) receipt(i int) {
	id := fmt.Sprintf("R%04d", i)
	basket := fmt.Sprintf(`"currency":"GBP","lines":[{"id":"1","sku":"%d","quantity":"2","price":"%d.50","category":"food"},{"id":"2","sku":"7","name":"Coffee","quantity":"1","price":"3.20","category":"drinks"}]`, 100+i%37, 1+i%23)
	member := ""
	if i%2 == 0 {
		member = fmt.Sprintf(`,"member":%q`, s.identify(cards[i/2%len(cards)]))
	}
	capture := `{"shift":"S1","fiscal_number":"F` + id + `","tenders":[{"kind":"cash","amount":"0.00"}]`
	switch {
	case i%10 == 9: // the customer goes away
		s.do("authorise", id, "/v1/receipts/"+id+"/authorise", "{"+basket+member+"}")
		s.do("void", id, "/v1/receipts/"+id+"/void", `{}`)
	case i%4 == 0: // with points
		s.do("authorise", id, "/v1/receipts/"+id+"/authorise", "{"+basket+member+`,"spend":"2"}`)
		s.do("capture", id, "/v1/receipts/"+id+"/capture", strings.Replace(capture, `,"tenders":[{"kind":"cash","amount":"0.00"}]`, "", 1)+"}")
	case i%7 == 3:
		s.do("authorise", id, "/v1/receipts/"+id+"/authorise", "{"+basket+member+"}")
		s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"shift":"S1"}`)
	default:
		s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"shift":"S1","receipt":{`+basket+member+"}}")
	}
	if i%12 == 0 {
		back := fmt.Sprintf("R%04d", i-2)
		s.do("return", back, "/v1/returns/capture", fmt.Sprintf(`{"original":%q,"shift":"S1","lines":[{"id":"1","quantity":"1"}]}`, back))
	}
}

// unanswered are the calls without a good answer.
func (s *shop) unanswered() []*call {
	var out []*call
	for _, c := range s.calls {
		if c.Status == 0 {
			out = append(out, c)
		}
	}
	return out
}

// imageDir is a name for one image below a scratch folder.
func imageDir(base string, worker int) string {
	return filepath.Join(base, fmt.Sprint("image", worker))
}
