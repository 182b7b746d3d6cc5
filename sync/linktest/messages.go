package linktest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/wire"
)

// Fate is what becomes of one message.
type Fate int

// Fates. A held message goes on its way after the next one of its direction.
const (
	Pass Fate = iota
	Lose
	Repeat
	Hold
	Break // the connection ends here
)

// Messages stands between a till and the centre and decides the fate of every
// message. TCP does none of this; a broken proxy, a bug at either end, or a
// replaying attacker might.
type Messages struct {
	target string
	decide func(up bool, f wire.Frame) Fate
	srv    *http.Server
	ln     net.Listener
	wg     sync.WaitGroup

	mu   sync.Mutex
	open map[*websocket.Conn]struct{}
	done bool
}

// ListenMessages starts it on a free port of 127.0.0.1. decide is called for
// every frame that can be read, from several goroutines.
func ListenMessages(target string, decide func(up bool, f wire.Frame) Fate) (*Messages, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for link: %w", err)
	}
	m := &Messages{target: target, decide: decide, ln: ln, open: map[*websocket.Conn]struct{}{}}
	m.srv = &http.Server{Handler: http.HandlerFunc(m.serve), ReadHeaderTimeout: 10 * time.Second}
	m.wg.Go(func() { _ = m.srv.Serve(ln) })
	return m, nil
}

// Addr is host:port to dial.
func (m *Messages) Addr() string { return m.ln.Addr().String() }

// Close ends everything and waits.
func (m *Messages) Close() error {
	m.mu.Lock()
	m.done = true
	for c := range m.open {
		c.Close()
	}
	m.mu.Unlock()
	err := m.srv.Close()
	m.wg.Wait()
	return err
}

func (m *Messages) keep(c *websocket.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done {
		return false
	}
	m.open[c] = struct{}{}
	return true
}

func (m *Messages) drop(c *websocket.Conn) {
	c.Close()
	m.mu.Lock()
	delete(m.open, c)
	m.mu.Unlock()
}

func (m *Messages) serve(w http.ResponseWriter, r *http.Request) {
	m.wg.Add(1)
	defer m.wg.Done()
	d := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Subprotocols: []string{wire.Subprotocol}}
	far, _, err := d.DialContext(r.Context(), "ws://"+m.target+wire.SyncPath, nil)
	if err != nil {
		http.Error(w, "no centre", http.StatusBadGateway)
		return
	}
	defer m.drop(far)
	up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
	near, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer m.drop(near)
	if !m.keep(far) || !m.keep(near) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { m.pass(far, near, true); m.drop(near); m.drop(far) })
	wg.Go(func() { m.pass(near, far, false); m.drop(near); m.drop(far) })
	wg.Wait()
}

type message struct {
	kind int
	data []byte
}

func (m *Messages) pass(dst, src *websocket.Conn, up bool) {
	var held []message
	for {
		kind, data, err := src.ReadMessage()
		if err != nil {
			return
		}
		fate := Pass
		if f, err := wire.DecodeFrame(data, kind == websocket.BinaryMessage); err == nil {
			fate = m.decide(up, f)
		}
		var out []message
		switch fate {
		case Lose:
			continue
		case Break:
			return
		case Hold:
			held = append(held, message{kind, data})
			continue
		case Repeat:
			out = append(out, message{kind, data})
		}
		out = append(out, message{kind, data})
		out = append(out, held...)
		held = nil
		for _, o := range out {
			if err := dst.WriteMessage(o.kind, o.data); err != nil {
				return
			}
		}
	}
}
