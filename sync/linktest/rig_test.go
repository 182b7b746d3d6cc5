package linktest_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

// patience is how long a test waits for what must come; it decides nothing.
const patience = 60 * time.Second

func logger() *slog.Logger {
	if os.Getenv("TILLSIDE_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// centre is a hub with a file behind it, on a real port.
type centre struct {
	t     testing.TB
	path  string
	opts  func(*hub.Config)
	setup func(*hubtest.Store)

	mu    sync.Mutex
	store *hubtest.Store
	hub   *hub.Hub
	srv   *http.Server
	addr  string
}

func newCentre(t testing.TB, setup func(*hubtest.Store), opts func(*hub.Config)) *centre {
	c := &centre{t: t, path: filepath.Join(t.TempDir(), "centre.log"), setup: setup, opts: opts}
	c.start()
	t.Cleanup(c.stop)
	return c
}

func quickHub() hub.Timing {
	return hub.Timing{Ping: 200 * time.Millisecond, ReadLimit: 20 * time.Second, Write: 10 * time.Second, Hello: 20 * time.Second,
		Probe: 300 * time.Millisecond, Busy: 20 * time.Millisecond, FeedRetry: 20 * time.Millisecond}
}

func quickTill() uplink.Timing {
	return uplink.Timing{Ping: 200 * time.Millisecond, ReadLimit: 20 * time.Second, Write: 10 * time.Second, Hello: 20 * time.Second,
		RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond, Ack: 10 * time.Millisecond, AskBudget: 10 * time.Second}
}

func (c *centre) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	store, err := hubtest.Open(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.setup != nil {
		c.setup(store)
	}
	cfg := hub.Config{Backend: store, Timing: quickHub(), Log: logger(), Central: "test"}
	if c.opts != nil {
		c.opts(&cfg)
	}
	h, err := hub.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.SyncPath, h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	c.store, c.hub, c.srv, c.addr = store, h, srv, ln.Addr().String()
	go func() { _ = srv.Serve(ln) }()
}

// kill ends the centre without a goodbye; what is on disk stays.
func (c *centre) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.Kill()
	c.srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.hub.Close(ctx)
}

func (c *centre) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = c.hub.Close(ctx)
	c.srv.Close()
	c.store.Kill()
}

// till is a till with an uplink through a bad link.
type till struct {
	t     testing.TB
	path  string
	id    outbox.Identity
	proxy *linktest.Proxy
	url   string
	opts  func(*uplink.Config)

	*uplinktest.Till
	sess   *uplink.Session
	cancel context.CancelFunc
	done   chan struct{}
}

func newTill(t testing.TB, c *centre, n int, opts func(*uplink.Config)) *till {
	t.Helper()
	id := outbox.Identity{Device: uplinktest.DeviceID(n), Epoch: 1}
	key := uplinktest.Key(id.Device)
	if err := c.store.Enrol(hub.Device{ID: id.Device, Epoch: 1, Key: key.Public().(ed25519.PublicKey)}); err != nil {
		t.Fatal(err)
	}
	p, err := linktest.Listen(c.addr)
	if err != nil {
		t.Fatal(err)
	}
	tl := &till{t: t, path: filepath.Join(t.TempDir(), "journal.db"), id: id, proxy: p, url: "ws://" + p.Addr(), opts: opts}
	tl.open()
	t.Cleanup(func() {
		tl.stop()
		tl.Till.Close()
		p.Close()
	})
	return tl
}

func (tl *till) open() {
	tl.t.Helper()
	var err error
	if tl.Till, err = uplinktest.Open(tl.path, tl.id, uplinktest.Key(tl.id.Device)); err != nil {
		tl.t.Fatal(err)
	}
}

// start runs the uplink.
func (tl *till) start() {
	tl.t.Helper()
	cfg := uplink.Config{URL: tl.url, Key: tl.Key, Outbox: tl.Box, Applier: tl.Till, Agent: "test", Boot: "boot-1",
		Timing: quickTill(), Log: logger(), Random: rand.New(rand.NewPCG(1, uint64(len(tl.id.Device))))}
	if tl.opts != nil {
		tl.opts(&cfg)
	}
	s, err := uplink.New(cfg)
	if err != nil {
		tl.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	tl.sess, tl.cancel, tl.done = s, cancel, done
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
}

// stop ends the uplink and waits for it.
func (tl *till) stop() {
	if tl.cancel != nil {
		tl.cancel()
		<-tl.done
		tl.cancel = nil
	}
}

// restart closes and opens everything from disk, as after a kill.
func (tl *till) restart() {
	tl.t.Helper()
	tl.stop()
	if err := tl.Till.Close(); err != nil {
		tl.t.Fatal(err)
	}
	tl.open()
	tl.start()
}

func (tl *till) drained() bool {
	st, err := tl.Box.Stats()
	return err == nil && st.Queued == 0
}
