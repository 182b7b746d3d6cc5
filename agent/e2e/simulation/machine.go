package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/uplink"
)

// machine is one computer beside a register, with an agent on it. All its
// methods belong to the story's goroutine.
type machine struct {
	w     *world
	place place
	copy  bool // a clone of another machine's disk

	disk   string // folder of the agent now
	disks  int    // folders it has had
	image  string // a copy of the disk taken earlier; empty: none
	skew   time.Duration
	boots  int
	since  time.Time
	cable  *cable
	handle http.Handler
	agent  *agent.Agent // nil: off
	stop   context.CancelFunc
	ended  chan error

	visit   *visit // the customer at the counter
	tainted bool   // cloned, or started from an old image: what it says may be lost
	gone    bool   // revoked: it serves nobody any more
}

// place is a till that was enrolled before the story begins.
type place struct {
	Store, Till, Device, Token string
}

func (p place) String() string { return p.Store + "/" + p.Till }

// now is what the machine's clock shows.
func (m *machine) now() time.Time { return m.w.now().Add(m.skew) }

// on starts the agent.
func (m *machine) on() {
	if m.agent != nil {
		return
	}
	m.boots++
	m.since = time.Now()
	s := configs.DefaultAgent()
	s.Data = m.disk
	a, err := agent.Open(agent.Options{
		Settings: s, Version: "simulated", Log: m.w.log.With("till", m.place.String()), Now: m.now,
		Timing: uplink.Timing{Ping: time.Minute, ReadLimit: 150 * time.Second, RetryMax: time.Minute},
		Host: agent.Host{
			Listen: func(string, string) (net.Listener, error) { return newDoor(), nil },
			Dial:   func(ctx context.Context, _, _ string) (net.Conn, error) { return m.cable.dial(ctx) },
			Boot:   func() string { return fmt.Sprintf("boot-%s-%d", m.place.Till, m.boots) },
			Up:     func() time.Duration { return time.Since(m.since) },
			Random: rand.New(rand.NewPCG(m.w.seed, uint64(m.cable.no*1000+m.boots))),
		},
	})
	if err != nil {
		m.w.fail("till %s does not start: %v", m.place, err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	m.agent, m.stop, m.ended = a, stop, make(chan error, 1)
	m.handle = a.Till().Handler(nil)
	go func() { m.ended <- a.Run(ctx) }()
}

// kill ends the agent as SIGKILL or a power cut between two of its steps does:
// what it had written is there, nothing else.
func (m *machine) kill() {
	if m.agent == nil {
		return
	}
	synctest.Wait() // nobody is in the middle of a write
	next := m.duplicate()
	m.leave()
	m.put(next)
}

// put changes the disk of a machine that is off.
func (m *machine) put(disk string) {
	if err := os.RemoveAll(m.disk); err != nil {
		m.w.fail("%v", err)
	}
	m.disk = disk
}

// leave takes the running agent off the world; whatever it still writes goes
// to a disk that nobody reads again, unless it was told to stop in order.
func (m *machine) leave() {
	m.cable.sever(0)
	m.w.hear()
	if m.visit != nil {
		m.visit.cutOff()
	}
	m.stop()
	<-m.ended
	_ = m.agent.Close()
	m.agent, m.handle = nil, nil
}

// off stops the agent in order, as a service manager does.
func (m *machine) off() {
	if m.agent == nil {
		return
	}
	synctest.Wait()
	m.w.hear()
	m.leave()
}

// duplicate copies the disk and returns the copy's folder.
func (m *machine) duplicate() string {
	m.disks++
	kind := "disk"
	if m.copy {
		kind = "copy"
	}
	to := filepath.Join(m.w.dir, fmt.Sprintf("%s-%s-%s-%d", m.place.Store, m.place.Till, kind, m.disks))
	if err := copyFolder(m.disk, to); err != nil {
		m.w.fail("copy a disk: %v", err)
	}
	return to
}

// copyFolder copies regular files; a hole stays a hole only by luck.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !d.Type().IsRegular() || strings.HasSuffix(path, "-shm") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
}

// ask calls the agent's API as the cash program does and waits for the answer.
func (m *machine) ask(handle http.Handler, method, path, key string, body []byte) (int, []byte) {
	return ask(handle, address.String(), m.place.Token, method, path, key, body)
}

func ask(handle http.Handler, host, token, method, path, key string, body []byte) (int, []byte) {
	req := httptest.NewRequest(method, "http://"+host+path, bytes.NewReader(body))
	req.Host = host
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	rec := httptest.NewRecorder()
	handle.ServeHTTP(rec, req)
	return rec.Code, rec.Body.Bytes()
}
