package relay

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// session is one attached agent. Whatever is sent to it never waits: one that
// does not keep up is let go, and begins anew when it comes back.
type session struct {
	conn  net.Conn
	queue chan []byte
	gone  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	want []Pattern
}

// queued is how many messages an agent may be behind.
const queued = 4096

func (s *session) send(b []byte) {
	select {
	case s.queue <- b:
	default:
		s.leave()
	}
}

func (s *session) leave() {
	s.once.Do(func() {
		close(s.gone)
		s.conn.Close()
	})
}

func (s *session) bytesOfTill(at uint64, b []byte) {
	var head [8]byte
	for i := range head {
		head[i] = byte(at >> (56 - 8*i))
	}
	s.send(raw(kindTill, head[:], b))
}

// agent is the attached one; nil: none.
func (r *Relay) agent() *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session
}

func (r *Relay) wants() []Pattern {
	s := r.agent()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want
}

// Asking tells whether an agent is attached and wants to be asked about
// something.
func (r *Relay) Asking() bool { return len(r.wants()) > 0 }

func (r *Relay) poke() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// acceptAgents lets agents in, the newest one in the place of an older.
func (r *Relay) acceptAgents(ctx context.Context) {
	if r.c.Attach == nil {
		<-ctx.Done()
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { r.c.Attach.Close() })
	defer stop()
	room := make(chan struct{}, 4) // strangers at the door
	for {
		conn, err := r.c.Attach.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			pause(ctx, 100*time.Millisecond)
			continue
		}
		select {
		case room <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer conn.Close()
			s := r.admit(conn)
			<-room
			if s != nil {
				r.serveAgent(ctx, s)
			}
		})
	}
}

// admit asks for the secret; nil: a stranger.
func (r *Relay) admit(conn net.Conn) *session {
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	kind, b, err := readMessage(&limited{conn, 4096})
	var a auth
	if err != nil || kind != kindAuth || json.Unmarshal(b, &a) != nil ||
		r.c.Secret == "" || subtle.ConstantTimeCompare([]byte(a.Secret), []byte(r.c.Secret)) != 1 {
		r.c.Log.Warn("an agent without the secret was turned away")
		return nil
	}
	_ = conn.SetReadDeadline(time.Time{})
	return &session{conn: conn, queue: make(chan []byte, queued), gone: make(chan struct{})}
}

// limited reads at most n bytes from a stranger.
type limited struct {
	net.Conn
	n int
}

func (l *limited) Read(b []byte) (int, error) {
	if len(b) > l.n {
		b = b[:l.n]
	}
	if len(b) == 0 {
		return 0, net.ErrClosed
	}
	n, err := l.Conn.Read(b)
	l.n -= n
	return n, err
}

func (r *Relay) serveAgent(ctx context.Context, s *session) {
	r.mu.Lock()
	old := r.session
	r.session, r.state.Asking = s, false
	s.send(encode(kindHello, hello{Version, r.came, r.state}))
	r.mu.Unlock()
	if old != nil {
		old.leave()
	}
	r.c.Log.Info("agent attached")
	defer func() {
		s.leave()
		r.mu.Lock()
		if r.session == s {
			r.session, r.state.Asking = nil, false
		}
		r.mu.Unlock()
		r.poke()
		r.c.Log.Info("agent gone")
	}()
	stop := context.AfterFunc(ctx, s.leave)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.leave()
	wg.Go(func() {
		for {
			select {
			case b := <-s.queue:
				_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := s.conn.Write(b); err != nil {
					s.leave()
					return
				}
			case <-s.gone:
				return
			}
		}
	})
	for {
		kind, b, err := readMessage(s.conn)
		if err != nil || !r.heard(s, kind, b) {
			return
		}
	}
}

// heard obeys one message of the agent; false: it makes no sense, and neither
// will what follows.
func (r *Relay) heard(s *session, kind byte, b []byte) bool {
	switch kind {
	case kindWant:
		var w want
		if json.Unmarshal(b, &w) != nil || len(w.Patterns) > maxPatterns {
			return false
		}
		for _, p := range w.Patterns {
			if !p.good() {
				return false
			}
		}
		s.mu.Lock()
		s.want = w.Patterns
		s.mu.Unlock()
		r.poke()
		if r.agent() == s {
			r.setState(func(st *State) { st.Asking = len(w.Patterns) > 0 })
		}
	case kindGo, kindInsert, kindEarly:
		var p reply
		if json.Unmarshal(b, &p) != nil || p.Script != nil && !p.Script.good() {
			return false
		}
		if kind == kindEarly {
			if p.Early == nil || len(p.Early.Say) > 16 || len(p.Early.Skip) > 16 {
				return false
			}
			if r.agent() == s {
				r.back.answerEarly(p.At, *p.Early)
			}
			return true
		}
		if kind == kindGo {
			p.Script = nil
		} else if p.Pass = nil; p.Script == nil {
			return false
		}
		select {
		case r.words <- word{s, p}:
		case <-s.gone:
			return false
		}
	default:
		return len(b) < maxMessage // a newer agent's word
	}
	return true
}
