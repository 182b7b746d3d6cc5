package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// program built once for the tests that need the real one.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tillside")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "tillside")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if exe, err := buildOnce(); err == nil {
		_ = os.RemoveAll(filepath.Dir(exe))
	}
	os.Exit(code)
}

// process is the real agent as a process.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	log  *os.File
}

func start(t *testing.T, dir string) *process {
	t.Helper()
	exe, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(exe, "run", "--data", dir, "--listen", "127.0.0.1:0"), log: log}
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b, _ := os.ReadFile(log.Name())
		p.kill()
		t.Fatalf("no address: %v\n%s", err, b)
	}
	p.addr = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	t.Cleanup(p.kill)
	return p
}

// kill is SIGKILL, or its like elsewhere.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// stop is an orderly stop.
func (p *process) stop() {
	p.t.Helper()
	if runtime.GOOS == "windows" {
		p.kill()
		return
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	if err := p.cmd.Wait(); err != nil {
		b, _ := os.ReadFile(p.log.Name())
		p.t.Fatalf("stop: %v\n%s", err, b)
	}
}

// post makes a call; the status is 0 when the agent died over it.
func post(addr, token, path, key, body string) (int, string) {
	req, err := http.NewRequest("POST", addr+path, strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}

const card = "2000000125008"

func testFolder(t *testing.T) (dir, token string) {
	t.Helper()
	rb, err := os.ReadFile("../../../configs/rulebooks/grocer.json")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	return dir, agenttest.Folder(t, dir, "ws://127.0.0.1:1/v1/sync", rb, map[string]*loyalty.Member{
		card: {ID: 0x1234, FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: 10000}}}})
}

// commits counts the COMMIT records of each receipt in a stopped till's
// journal, and proves its chain.
func commits(t *testing.T, dir string) map[string]int {
	t.Helper()
	j, err := store.OpenJournal(dir, store.Options{Identity: outbox.Identity{Device: agenttest.Device, Epoch: 1},
		Stamp: func() outbox.Stamp { return outbox.Stamp{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Box().Verify(); err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	if err := j.Box().Each(func(_ uint64, b []byte) error {
		r, err := wire.DecodeRecord(b)
		if err == nil && r.Type == wire.TypeCommit {
			n[r.Receipt]++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKilledInMidSale kills the real agent again and again while several
// programs capture receipts and repeat every call whose answer they did not
// get: each receipt is there once, and every answer given stays the same.
func TestKilledInMidSale(t *testing.T) {
	dir, token := testFolder(t)
	answers := map[string]string{} // key -> first answer
	var mu sync.Mutex
	body := `{"shift":"S1","receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"2","price":"30.00","category":"food"}]}}`
	rounds, todo := 6, 40
	if testing.Short() {
		rounds = 2
	}
	var open []string // receipts whose answer nobody has
	next := 0
	for round := range rounds {
		p := start(t, dir)
		work := make(chan string)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for id := range work {
					status, answer := post(p.addr, token, "/v1/receipts/"+id+"/capture", "k-"+id, body)
					mu.Lock()
					switch {
					case status == 0:
						open = append(open, id)
					case status != 200:
						t.Errorf("%s: %d %s", id, status, answer)
					case answers[id] != "" && answers[id] != answer:
						t.Errorf("%s: another answer after the restart", id)
					default:
						answers[id] = answer
					}
					mu.Unlock()
				}
			})
		}
		mu.Lock()
		again := open
		open = nil
		mu.Unlock()
		// First what was left open, then known ones again, then new ones.
		list := append([]string{}, again...)
		for id := range answers {
			if len(list) > 20 {
				break
			}
			list = append(list, id)
		}
		for range todo {
			list = append(list, fmt.Sprintf("R%d", next))
			next++
		}
		kill := make(chan struct{})
		go func() { // in the middle of the work, a little later each round
			defer close(kill)
			for range 10 + 7*round {
				if _, answer := post(p.addr, token, "/v1/identify", "", `{"input":"`+card+`"}`); answer == "" {
					break
				}
			}
			p.kill()
		}()
		for _, id := range list {
			work <- id
		}
		close(work)
		wg.Wait()
		<-kill
	}
	p := start(t, dir)
	for _, id := range open {
		if status, answer := post(p.addr, token, "/v1/receipts/"+id+"/capture", "k-"+id, body); status != 200 {
			t.Errorf("%s at last: %d %s", id, status, answer)
		}
	}
	for id, want := range answers {
		if status, got := post(p.addr, token, "/v1/receipts/"+id+"/capture", "k-"+id, body); status != 200 || got != want {
			t.Errorf("%s: the answer changed", id)
		}
		if status, got := post(p.addr, token, "/v1/receipts/"+id+"/capture", "k-"+id, strings.Replace(body, "S1", "S2", 1)); status != 409 || !strings.Contains(got, "idempotency_conflict") {
			t.Errorf("%s with another body: %d %s", id, status, got)
		}
	}
	p.stop()
	n := commits(t, dir)
	if len(n) != next {
		t.Errorf("%d receipts in the journal, %d were captured", len(n), next)
	}
	for id, k := range n {
		if k != 1 {
			t.Errorf("%s is there %d times", id, k)
		}
	}
}

// TestMemberEarnsOnceOverAKill is one accrual whatever happens between call
// and answer.
func TestMemberEarnsOnceOverAKill(t *testing.T) {
	dir, token := testFolder(t)
	p := start(t, dir)
	_, who := post(p.addr, token, "/v1/identify", "", `{"input":"`+card+`"}`)
	var a struct {
		Member struct {
			Token    string `json:"token"`
			Balances []struct {
				ToBe string `json:"to_be_credited"`
			} `json:"balances"`
		} `json:"member"`
	}
	if err := json.Unmarshal([]byte(who), &a); err != nil {
		t.Fatal(err, who)
	}
	body := `{"receipt":{"member":"` + a.Member.Token + `","currency":"GBP","lines":[{"sku":"1","quantity":"2","price":"100.00","category":"food"}]}}`
	_, first := post(p.addr, token, "/v1/receipts/R1/capture", "k", body)
	_, who = post(p.addr, token, "/v1/identify", "", `{"input":"`+card+`"}`)
	if err := json.Unmarshal([]byte(who), &a); err != nil {
		t.Fatal(err)
	}
	once := a.Member.Balances[0].ToBe
	if once == "0.00" || first == "" {
		t.Fatalf("nothing was earned: %s", first)
	}
	for range 2 {
		p.kill()
		p = start(t, dir)
		// The token of the member is still good, too.
		if status, again := post(p.addr, token, "/v1/receipts/R1/capture", "k", body); status != 200 || again != first {
			t.Fatalf("again: %d %s", status, again)
		}
		_, who = post(p.addr, token, "/v1/identify", "", `{"input":"`+card+`"}`)
		if err := json.Unmarshal([]byte(who), &a); err != nil {
			t.Fatal(err)
		}
		if got := a.Member.Balances[0].ToBe; got != once {
			t.Errorf("earned %s, then %s", once, got)
		}
	}
}

// TestDamagedFilesDoNotStopTheStart flips bytes in both stores of a killed
// agent and starts it again.
func TestDamagedFilesDoNotStopTheStart(t *testing.T) {
	dir, token := testFolder(t)
	p := start(t, dir)
	if status, answer := post(p.addr, token, "/v1/receipts/R1/capture", "k", `{"receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"2","price":"30.00"}]}}`); status != 200 {
		t.Fatal(answer)
	}
	p.kill()
	for _, name := range []string{store.JournalFile, store.CacheFile} {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 2 * os.Getpagesize(); i < len(b); i++ { // all but the two meta pages
			b[i] ^= 0xff
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = start(t, dir)
	if status, answer := post(p.addr, token, "/v1/identify", "", `{"input":"`+card+`"}`); status != 200 || strings.Contains(answer, "Anna") {
		t.Errorf("after the damage: %d %s", status, answer)
	}
	p.stop()
	aside, err := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
	if err != nil || len(aside) != 2 {
		t.Errorf("set aside: %v %v", aside, err)
	}
}
