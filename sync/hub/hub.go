package hub

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/internal/wsconn"
	"github.com/tillside/tillside/sync/wire"
)

// Config of a [Hub]. Only Backend is required.
type Config struct {
	Backend Backend
	Central string // the centre's program version, told to tills
	Log     *slog.Logger
	Timing  Timing
	Now     func() time.Time

	MaxSessions int // tills connected at once, 20,000
	MaxPending  int // connections that have not proved who they are, 1,000
	Greetings   int // HELLOs looked at at the same time, 16
	Ingests     int // Ingest calls at the same time, 16
	AsksPerTill int // questions of one till answered at the same time, 8
}

// Timing holds every interval. A zero field takes its default.
type Timing struct {
	Ping      time.Duration // between pings, 20 s
	ReadLimit time.Duration // silence after which the connection is dead, 50 s
	Write     time.Duration // one chunk onto the network, 10 s
	Hello     time.Duration // from the connection to WELCOME, 30 s
	Probe     time.Duration // for an older session to show that it lives, 5 s
	Busy      time.Duration // asked of a till when Ingest fails, 5 s
	FeedRetry time.Duration // after a Feed that failed at either end, 30 s
	Gather    time.Duration // between two wake-ups of all tills at least, 50 ms
	FeedPoll  time.Duration // looking for feeds without a wake-up; 0: never
	FeedWait  time.Duration // for a FEED to be answered before the session is given up, 5 min
	Ask       time.Duration // the most an answer may take, 5 s
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Ping, 20*time.Second)
	set(&t.ReadLimit, 50*time.Second)
	set(&t.Write, 10*time.Second)
	set(&t.Hello, 30*time.Second)
	set(&t.Probe, 5*time.Second)
	set(&t.Busy, 5*time.Second)
	set(&t.FeedRetry, 30*time.Second)
	set(&t.Gather, 50*time.Millisecond)
	set(&t.FeedWait, 5*time.Minute)
	set(&t.Ask, 5*time.Second)
	return t
}

// Hub is an http.Handler for [wire.SyncPath]. Use New.
type Hub struct {
	cfg      Config
	up       websocket.Upgrader
	greet    chan struct{} // slots
	ingest   chan struct{}
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	mu       sync.Mutex
	closed   bool
	waking   *time.Timer        // runs while wake-ups for all are gathered
	woken    map[wire.Lane]bool // lanes gathered
	flushed  time.Time          // last time all were woken
	pending  map[*wsconn.Conn]struct{}
	sessions map[string]*session // by device
}

// New makes a hub. Close it when done.
func New(cfg Config) (*Hub, error) {
	if cfg.Backend == nil {
		return nil, errors.New("hub: no backend")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	set := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	set(&cfg.MaxSessions, 20_000)
	set(&cfg.MaxPending, 1_000)
	set(&cfg.Greetings, 16)
	set(&cfg.Ingests, 16)
	set(&cfg.AsksPerTill, 8)
	cfg.Timing = cfg.Timing.withDefaults()
	h := &Hub{cfg: cfg, greet: make(chan struct{}, cfg.Greetings), ingest: make(chan struct{}, cfg.Ingests),
		woken: map[wire.Lane]bool{}, pending: map[*wsconn.Conn]struct{}{}, sessions: map[string]*session{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.up = websocket.Upgrader{
		HandshakeTimeout: cfg.Timing.Hello,
		ReadBufferSize:   2 << 10, WriteBufferSize: 4 << 10,
		WriteBufferPool: &sync.Pool{},
		Subprotocols:    []string{wire.Subprotocol},
		// Tills are no browsers: whoever sends an Origin is one, and has no
		// business here.
		CheckOrigin: func(r *http.Request) bool { return len(r.Header.Values("Origin")) == 0 },
	}
	return h, nil
}

// ServeHTTP upgrades the connection and returns; the session goes on without
// the HTTP server. When there are too many, the answer is 503 with a
// Retry-After that spreads the tills.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	full := h.closed || len(h.pending) >= h.cfg.MaxPending || len(h.sessions) >= h.cfg.MaxSessions
	h.mu.Unlock()
	if full {
		// From one to six times Busy: the tills come back spread.
		after := h.cfg.Timing.Busy + time.Duration(rand.Int64N(int64(5*h.cfg.Timing.Busy)))
		w.Header().Set("Retry-After", strconv.Itoa(max(int(after/time.Second), 1)))
		http.Error(w, "too many tills at once", http.StatusServiceUnavailable)
		return
	}
	taker := &hijacker{ResponseWriter: w, silence: h.cfg.Timing.ReadLimit, stall: h.cfg.Timing.Write}
	ws, err := h.up.Upgrade(taker, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	taker.conn.Until(time.Now().Add(h.cfg.Timing.Hello))
	c := wsconn.New(ws, wire.DecodeUp)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		ws.Close()
		return
	}
	h.pending[c] = struct{}{}
	remote := r.RemoteAddr
	bound, _ := r.Context().Value(boundKey{}).(string)
	h.wg.Go(func() { h.serve(c, taker.conn, remote, bound) })
}

type boundKey struct{}

// WithDevice binds a request to the device its TLS certificate names: a HELLO of
// another device is refused.
func WithDevice(ctx context.Context, device string) context.Context {
	return context.WithValue(ctx, boundKey{}, device)
}

// hijacker puts our deadlines between the websocket and the network.
type hijacker struct {
	http.ResponseWriter
	silence, stall time.Duration
	conn           *wsconn.Guarded
}

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		c.Close()
		return nil, nil, err
	}
	w.conn = wsconn.Guard(c, w.silence, w.stall)
	return w.conn, rw, nil
}

// serve runs one connection to its end.
func (h *Hub) serve(c *wsconn.Conn, guard *wsconn.Guarded, remote, bound string) {
	s, err := h.welcome(c, guard, remote, bound)
	h.mu.Lock()
	delete(h.pending, c)
	h.mu.Unlock()
	if err != nil {
		c.Close()
		h.cfg.Log.Info("session refused", "remote", remote, "error", err)
		return
	}
	// A fresh goroutine has a small stack; the one of the greeting has grown,
	// and the session lasts for days.
	h.wg.Go(s.run)
}

// Wake says that lanes of a device may have something new; without lanes, all
// of them. It costs little and may come too often.
func (h *Hub) Wake(device string, lanes ...wire.Lane) {
	h.mu.Lock()
	s := h.sessions[device]
	h.mu.Unlock()
	if s != nil {
		s.dirty(lanes)
	}
}

// WakeAll says so for every device. The urgent lane is woken at once; for the
// others wake-ups that come close together are gathered, the longer the more
// tills there are (2 ms each): a centre that takes in a thousand batches a
// second must not look a thousand times a second for every till.
func (h *Hub) WakeAll(lanes ...wire.Lane) {
	if len(lanes) == 0 {
		lanes = wire.Lanes
	}
	now := time.Now()
	h.mu.Lock()
	urgent := false
	for _, l := range lanes {
		if l == wire.LaneUrgent {
			urgent = true
		} else {
			h.woken[l] = true
		}
	}
	gather := max(h.cfg.Timing.Gather, time.Duration(len(h.sessions))*2*time.Millisecond)
	wait := gather - now.Sub(h.flushed)
	due := len(h.woken) > 0 && h.waking == nil && !h.closed
	if due && wait > 0 {
		h.waking = time.AfterFunc(wait, h.flushWake)
	}
	h.mu.Unlock()
	if urgent {
		for _, s := range h.list() {
			s.dirty([]wire.Lane{wire.LaneUrgent})
		}
	}
	if due && wait <= 0 {
		h.flushWake()
	}
}

func (h *Hub) flushWake() {
	h.mu.Lock()
	lanes := make([]wire.Lane, 0, len(h.woken))
	for l := range h.woken {
		lanes = append(lanes, l)
	}
	clear(h.woken)
	h.waking, h.flushed = nil, time.Now()
	h.mu.Unlock()
	if len(lanes) == 0 {
		return
	}
	for _, s := range h.list() {
		s.dirty(lanes)
	}
}

// Drop ends the session of a device, if there is one, with a refusal.
func (h *Hub) Drop(device string, r wire.Refuse) {
	h.mu.Lock()
	s := h.sessions[device]
	h.mu.Unlock()
	if s != nil {
		s.refuse(&r)
	}
}

// Online lists the devices that have a session.
func (h *Hub) Online() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]string, 0, len(h.sessions))
	for id := range h.sessions {
		out = append(out, id)
	}
	return out
}

func (h *Hub) list() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*session, 0, len(h.sessions))
	for _, s := range h.sessions {
		out = append(out, s)
	}
	return out
}

// Close ends all sessions and waits for them; batches in the backend's hands
// are finished first. When ctx ends sooner, it closes all connections at once
// and returns the context's error.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	if h.waking != nil {
		h.waking.Stop()
	}
	for c := range h.pending {
		c.Close()
	}
	h.mu.Unlock()
	// The tills come back spread: ten seconds, or 12 ms for each.
	list := h.list()
	spread := max(9_000, 12*len(list))
	for _, s := range list {
		s.refuse(&wire.Refuse{Code: wire.RefuseBusy, Message: "the centre restarts", AfterMS: int64(1000 + rand.IntN(spread))})
	}
	done := make(chan struct{})
	go func() { // ends with the sessions, which end at the latest after the cancel below
		h.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		for _, s := range h.list() {
			s.conn.Close()
		}
	}
	h.cancel()
	if err == nil {
		<-done
	}
	return err
}
