package uplink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/internal/wsconn"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// link is one connection, from WELCOME to its end.
type link struct {
	s    *Session
	conn *wsconn.Conn
	id   outbox.Identity

	urgent chan wire.Frame // asks, feed acks, time: before bulk
	bulk   chan wire.Frame // pushes
	acks   chan wire.Frame // ACK, NACK, SLOW for the pusher
	feeds  chan *wire.Feed // for the feeder

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	progress atomic.Bool  // something was acknowledged or applied
	doubt    atomic.Int64 // Unix nanoseconds of a question without an answer; 0: none

	asked atomic.Pointer[time.Time] // when the last TIME was queued

	amu  sync.Mutex
	asks map[uint64]chan *wire.Answer
	next uint64
}

// feedQueue is how many FEED messages the centre may send ahead; it keeps to
// two, more is a broken peer.
const feedQueue = 8

// connect makes one session and stays with it until it ends. progress tells
// whether it was of any use.
func (s *Session) connect(ctx context.Context) (progress bool, err error) {
	hello, stop := context.WithTimeout(ctx, s.cfg.Timing.Hello)
	defer stop()
	conn, guard, err := s.dial(hello)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	unhook := context.AfterFunc(ctx, func() { conn.Close() })
	defer unhook()
	guard.Until(time.Now().Add(s.cfg.Timing.Hello))
	w, err := s.greet(hello, conn)
	if err != nil {
		return false, err
	}
	guard.Until(time.Time{})
	if w.Evidence {
		return false, s.bringEvidence(ctx, conn)
	}
	start, err := s.compare(conn, w)
	if err != nil {
		return false, err
	}
	err = s.cfg.Applier.Session(ctx, wire.SessionStart{No: w.SessionNo, From: w.Acked, Peer: w.Central})
	if err != nil {
		return false, fmt.Errorf("write session %d: %w", w.SessionNo, err)
	}
	cursors, err := s.cfg.Applier.Cursors(ctx)
	if err != nil {
		return false, fmt.Errorf("read cursors: %w", err)
	}
	l := &link{
		s: s, conn: conn, id: s.cfg.Outbox.Identity(),
		urgent: make(chan wire.Frame, 16), bulk: make(chan wire.Frame),
		acks: make(chan wire.Frame, 64), feeds: make(chan *wire.Feed, feedQueue),
		asks: map[uint64]chan *wire.Answer{},
	}
	return l.run(ctx, w, start, cursors)
}

func (s *Session) dial(ctx context.Context) (*wsconn.Conn, *wsconn.Guarded, error) {
	var guard *wsconn.Guarded
	dialNet := s.cfg.Dial
	if dialNet == nil {
		d := &net.Dialer{}
		dialNet = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return d.DialContext(ctx, network, addr)
		}
	}
	d := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialNet(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			guard = wsconn.Guard(c, s.cfg.Timing.ReadLimit, s.cfg.Timing.Write)
			if t, ok := ctx.Deadline(); ok {
				guard.Until(t)
			}
			return guard, nil
		},
		Proxy:           s.cfg.Proxy,
		TLSClientConfig: s.cfg.TLS,
		ReadBufferSize:  4 << 10, WriteBufferSize: 4 << 10,
		Subprotocols: []string{wire.Subprotocol},
	}
	ws, resp, err := d.DialContext(ctx, s.cfg.URL, nil)
	if err != nil {
		if resp != nil {
			return nil, nil, refusedByHTTP(resp, err)
		}
		return nil, nil, fmt.Errorf("dial centre: %w", err)
	}
	if ws.Subprotocol() != wire.Subprotocol {
		ws.Close()
		return nil, nil, fmt.Errorf("dial centre: something else answers at that address")
	}
	return wsconn.New(ws, wire.DecodeFrame), guard, nil
}

// refusedByHTTP reads "come back later" from an answer that is no session.
// What else answers (a captive portal, a proxy) is an ordinary failure.
func refusedByHTTP(resp *http.Response, err error) error {
	if resp.StatusCode == http.StatusServiceUnavailable {
		if after, e := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); e == nil && after > 0 {
			return &wire.Refuse{Code: wire.RefuseBusy, AfterMS: after.Milliseconds()}
		}
	}
	return fmt.Errorf("dial centre: answer %d: %w", resp.StatusCode, err)
}

// greet proves who we are and returns the centre's WELCOME.
func (s *Session) greet(ctx context.Context, conn *wsconn.Conn) (*wire.Welcome, error) {
	f, err := next(conn)
	if err != nil {
		return nil, err
	}
	ch, ok := f.(*wire.Challenge)
	if !ok {
		return nil, fmt.Errorf("the centre began with %s", f.Kind())
	}
	if ch.Version < wire.MinVersion || ch.MinVersion > wire.Version {
		return nil, &wire.Refuse{Code: wire.RefuseVersion,
			Message: fmt.Sprintf("the centre speaks %d to %d, this program %d to %d", ch.MinVersion, ch.Version, wire.MinVersion, wire.Version)}
	}
	last, err := s.cfg.Outbox.Head()
	if err != nil {
		return nil, err
	}
	cursors, err := s.cfg.Applier.Cursors(ctx)
	if err != nil {
		return nil, fmt.Errorf("read cursors: %w", err)
	}
	no, err := s.cfg.Outbox.LastSession()
	if err != nil {
		return nil, fmt.Errorf("read session number: %w", err)
	}
	id := s.cfg.Outbox.Identity()
	body := wire.HelloBody{
		Version: min(wire.Version, ch.Version), Device: id.Device, Epoch: id.Epoch, Last: last, SessionNo: no,
		Boot: s.cfg.Boot, Agent: s.cfg.Agent, Bundle: s.cfg.Bundle(), Cursors: map[string]uint64{},
		Evidence: s.wantsEvidence(),
	}
	for lane, c := range cursors {
		body.Cursors[string(lane)] = c
	}
	sent := s.cfg.Now()
	body.SendMS = sent.UnixMilli()
	h, err := wire.SignHello(s.cfg.Key, ch.Nonce, body)
	if err != nil {
		return nil, err
	}
	if err := conn.Write(h); err != nil {
		return nil, err
	}
	if f, err = next(conn); err != nil {
		return nil, err
	}
	received := s.cfg.Now()
	switch f := f.(type) {
	case *wire.Refuse:
		return nil, f
	case *wire.Welcome:
		s.clock.sample(sent, received, f.RecvMS, f.SendMS)
		return f, nil
	}
	return nil, fmt.Errorf("the centre answered HELLO with %s", f.Kind())
}

// next reads a frame, passing over unknown ones.
func next(conn *wsconn.Conn) (wire.Frame, error) {
	for range 8 {
		f, err := conn.Read()
		if err != nil {
			return nil, err
		}
		if _, unknown := f.(*wire.Unknown); !unknown {
			return f, nil
		}
	}
	return nil, errors.New("the centre sends nothing but unknown frames")
}

// compare holds the centre's idea of our journal against the journal.
func (s *Session) compare(conn *wsconn.Conn, w *wire.Welcome) (wire.Head, error) {
	own, err := s.cfg.Outbox.HashAt(w.Acked.Seq)
	switch {
	case errors.Is(err, outbox.ErrGone):
		err = fmt.Errorf("%w: the centre has %d only, and those after it are no longer kept", outbox.ErrFork, w.Acked.Seq)
	case errors.Is(err, outbox.ErrDamaged):
		if head, e := s.cfg.Outbox.Head(); e == nil && w.Acked.Seq > head.Seq {
			err = fmt.Errorf("%w: the centre has %d, the journal ends at %d", outbox.ErrFork, w.Acked.Seq, head.Seq)
		}
	case err == nil && own != w.Acked.Hash:
		err = fmt.Errorf("%w: at %d", outbox.ErrFork, w.Acked.Seq)
	}
	if errors.Is(err, outbox.ErrFork) {
		_ = conn.Write(&wire.Bye{Reason: wire.ByeFork})
	}
	if err != nil {
		return wire.Head{}, err
	}
	return w.Acked, nil
}

func (l *link) run(ctx context.Context, w *wire.Welcome, start wire.Head, cursors map[wire.Lane]uint64) (bool, error) {
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	defer l.cancel(nil)
	closer := context.AfterFunc(l.ctx, func() { l.conn.Close() })
	defer closer()

	s := l.s
	s.mu.Lock()
	s.live = l
	s.state.Central = w.Central
	s.state.Wanted = Wanted{Bundle: w.Bundle, Agent: w.Agent}
	s.mu.Unlock()
	s.cfg.Log.Info("session open", "session_no", w.SessionNo, "acked_seq", w.Acked.Seq)
	s.setPhase(Online, nil, time.Time{})

	l.do(l.write)
	l.do(func() error { return l.push(start, max(1, min(w.Window, 64))) })
	l.do(func() error { return l.feed(cursors) })
	l.do(l.keepTime)
	err := l.read()
	l.cancel(err)

	s.mu.Lock()
	s.live = nil
	s.mu.Unlock()
	l.conn.Close()
	l.wg.Wait()
	l.dropAsks()
	if cause := context.Cause(l.ctx); cause != nil {
		err = cause
	}
	return l.progress.Load(), err
}

// do runs f as one of the link's goroutines; the first error ends the link.
func (l *link) do(f func() error) {
	l.wg.Go(func() {
		if err := f(); err != nil {
			l.cancel(err)
		}
	})
}

// read hands out what comes. It waits for nobody: whoever cannot take a frame
// at once is a broken peer's victim, and the link ends.
func (l *link) read() error {
	for {
		f, err := l.conn.Read()
		if err != nil {
			return err
		}
		l.doubt.Store(0)
		switch f := f.(type) {
		case *wire.Answer:
			l.answered(f)
		case *wire.Ack, *wire.Nack, *wire.Slow:
			select {
			case l.acks <- f:
			case <-l.ctx.Done():
				return l.ctx.Err()
			default:
				return fmt.Errorf("the centre sends more %s than were asked for", f.Kind())
			}
		case *wire.Feed:
			select {
			case l.feeds <- f:
			default:
				return errors.New("the centre sends more FEED than were acknowledged")
			}
		case *wire.TimeIs:
			if sent := l.asked.Load(); sent != nil && sent.UnixMilli() == f.AskMS {
				l.s.clock.sample(*sent, l.s.cfg.Now(), f.RecvMS, f.SendMS)
			}
		case *wire.Refuse:
			return f
		case *wire.Bye:
			return fmt.Errorf("the centre ended the session: %s", clipText(f.Reason))
		case *wire.Unknown:
		default:
			return fmt.Errorf("the centre sent %s in a session", f.Kind())
		}
	}
}

func clipText(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}

// write is the only place that writes frames.
func (l *link) write() error {
	ping := time.NewTicker(l.s.cfg.Timing.Ping)
	defer ping.Stop()
	for {
		var f wire.Frame
		select {
		case f = <-l.urgent:
		default:
			select {
			case <-l.ctx.Done():
				return nil
			case f = <-l.urgent:
			case f = <-l.bulk:
			case <-ping.C:
				if err := l.conn.Ping(); err != nil {
					return err
				}
				continue
			}
		}
		if err := l.conn.Write(f); err != nil {
			return err
		}
	}
}

// send queues a small frame for the writer.
func (l *link) send(f wire.Frame) error {
	select {
	case l.urgent <- f:
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

// keepTime asks for the centre's time now and then, and sends a frame that
// nobody knows once per session.
func (l *link) keepTime() error {
	t := time.NewTicker(l.s.cfg.Timing.Clock)
	defer t.Stop()
	if err := l.send(wire.Grease(uint32(l.s.random(func(r *rand.Rand) uint64 { return r.Uint64() })))); err != nil {
		return nil
	}
	for {
		now := l.s.cfg.Now()
		l.asked.Store(&now)
		if err := l.send(&wire.TimeAsk{SendMS: now.UnixMilli()}); err != nil {
			return nil
		}
		select {
		case <-l.ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (l *link) ask(ctx context.Context, what string, body any) (*wire.Answer, error) {
	if l.doubt.Load() != 0 {
		return nil, ErrOffline
	}
	raw, err := wire.AskBody(body)
	if err != nil {
		return nil, err
	}
	q := &wire.Ask{What: what, Body: raw}
	if t, ok := ctx.Deadline(); ok {
		q.BudgetMS = max(time.Until(t).Milliseconds(), 1)
	}
	ch := make(chan *wire.Answer, 1)
	l.amu.Lock()
	if l.asks == nil {
		l.amu.Unlock()
		return nil, ErrOffline
	}
	l.next++
	q.ID = l.next
	l.asks[q.ID] = ch
	l.amu.Unlock()
	defer func() {
		l.amu.Lock()
		delete(l.asks, q.ID)
		l.amu.Unlock()
	}()
	select {
	case l.urgent <- q:
	case <-l.ctx.Done():
		return nil, ErrOffline
	case <-ctx.Done():
		return nil, ErrOffline // never sent
	}
	select {
	case a := <-ch:
		if a == nil {
			return nil, ErrNoAnswer
		}
		return a, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			l.doubt.Store(time.Now().UnixNano())
			_ = l.conn.Ping()
		}
		return nil, ErrNoAnswer
	}
}

func (l *link) answered(a *wire.Answer) {
	l.amu.Lock()
	ch := l.asks[a.ID]
	delete(l.asks, a.ID)
	l.amu.Unlock()
	if ch != nil {
		ch <- a
	}
}

// dropAsks tells whoever still waits that no answer will come.
func (l *link) dropAsks() {
	l.amu.Lock()
	defer l.amu.Unlock()
	for _, ch := range l.asks {
		close(ch)
	}
	l.asks = nil
}
