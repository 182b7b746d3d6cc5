// Package wsconn carries frames of sync/wire over a gorilla websocket, the
// same way at both ends.
//
// What gorilla/websocket leaves to its user, and what is done here:
//
//   - There are no deadlines by default, and one deadline for a whole message
//     would kill a slow line (256 KiB at 9.6 kbit/s take minutes). [Guard]
//     wraps the network connection: a read fails after a time of silence, a
//     write when a few kilobytes do not get away, however long the message.
//   - One goroutine may write, one may read; more is a panic. [Conn.Write] is
//     for the write pump alone, [Conn.Read] for the reader alone. Pings and
//     pongs go through WriteControl, which may be called beside both.
//   - Pongs are seen only while somebody reads: the reader never waits for
//     anything but the network.
//   - SetReadLimit counts bytes on the wire. Compression of the websocket is
//     off; what we compress is bounded by sync/wire before it is inflated.
//   - After any error the connection is dead and is closed.
package wsconn

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/wire"
)

// ErrClosed is returned by Read when the other end closed in good order.
var ErrClosed = errors.New("the other end closed the session")

// chunk is what a write must get onto the network within the stall time. At
// 9.6 kbit/s it takes under four seconds.
const chunk = 4 << 10

// Guard wraps c: reads fail after silence without a byte, writes when a chunk
// of 4 KiB stalls. Deadlines set by others are ignored, except that a read
// deadline sooner than the silence may be set with [Guarded.Until].
func Guard(c net.Conn, silence, stall time.Duration) *Guarded {
	return &Guarded{Conn: c, silence: silence, stall: stall}
}

// Guarded is a connection with its own deadlines.
type Guarded struct {
	net.Conn
	silence, stall time.Duration
	until          atomic.Int64 // Unix nanoseconds; 0: none
}

// Until sets a moment after which reads and writes fail whatever flows; zero:
// none.
func (g *Guarded) Until(t time.Time) {
	if t.IsZero() {
		g.until.Store(0)
		return
	}
	g.until.Store(t.UnixNano())
}

func (g *Guarded) deadline(d time.Duration) time.Time {
	t := time.Now().Add(d)
	if u := g.until.Load(); u != 0 && u < t.UnixNano() {
		return time.Unix(0, u)
	}
	return t
}

func (g *Guarded) Read(b []byte) (int, error) {
	if err := g.Conn.SetReadDeadline(g.deadline(g.silence)); err != nil {
		return 0, err
	}
	return g.Conn.Read(b)
}

func (g *Guarded) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if err := g.Conn.SetWriteDeadline(g.deadline(g.stall)); err != nil {
			return n, err
		}
		m, err := g.Conn.Write(b[n:min(n+chunk, len(b))])
		n += m
		if err != nil {
			// Half a message is on the wire; nothing sensible can follow.
			g.Conn.Close()
			return n, err
		}
	}
	return n, nil
}

// SetDeadline does nothing; see Guard.
func (g *Guarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing; see Guard.
func (g *Guarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing; see Guard.
func (g *Guarded) SetWriteDeadline(time.Time) error { return nil }

// Conn is a session's connection.
type Conn struct {
	ws     *websocket.Conn
	decode func(msg []byte, binary bool) (wire.Frame, error)
	heard  atomic.Int64 // Unix nanoseconds of the last sign of life

	pmu    sync.Mutex
	probes map[string]chan struct{}
}

// New takes over a websocket whose network connection is a Guarded. decode is
// wire.DecodeFrame at the till, wire.DecodeUp at the centre.
func New(ws *websocket.Conn, decode func(msg []byte, binary bool) (wire.Frame, error)) *Conn {
	c := &Conn{ws: ws, decode: decode}
	c.alive()
	ws.SetReadLimit(wire.MaxMessage)
	ws.SetPongHandler(func(data string) error {
		c.alive()
		if data != "" {
			c.pmu.Lock()
			if ch := c.probes[data]; ch != nil {
				close(ch)
				delete(c.probes, data)
			}
			c.pmu.Unlock()
		}
		return nil
	})
	ws.SetPingHandler(func(data string) error {
		c.alive()
		// A pong that finds the writer busy may be dropped: the message that
		// is being written is as good a sign of life.
		err := ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		if err == websocket.ErrCloseSent || isTimeout(err) {
			return nil
		}
		return err
	})
	return c
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func (c *Conn) alive() { c.heard.Store(time.Now().UnixNano()) }

// Heard is when the last sign of life came.
func (c *Conn) Heard() time.Time { return time.Unix(0, c.heard.Load()) }

// Read waits for the next frame. Only one goroutine may call it.
func (c *Conn) Read() (wire.Frame, error) {
	kind, msg, err := c.ws.ReadMessage()
	if err != nil {
		if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
			return nil, ErrClosed
		}
		return nil, fmt.Errorf("read from session: %w", err)
	}
	c.alive()
	return c.decode(msg, kind == websocket.BinaryMessage)
}

// Write sends a frame. Only one goroutine may call it.
func (c *Conn) Write(f wire.Frame) error {
	msg, binary, err := wire.EncodeFrame(f)
	if err != nil {
		return err
	}
	return c.WriteEncoded(msg, binary)
}

// WriteEncoded sends what wire.EncodeFrame made.
func (c *Conn) WriteEncoded(msg []byte, binary bool) error {
	kind := websocket.TextMessage
	if binary {
		kind = websocket.BinaryMessage
	}
	if err := c.ws.WriteMessage(kind, msg); err != nil {
		return fmt.Errorf("write to session: %w", err)
	}
	return nil
}

// Ping sends a ping. It may be called beside Write; while a message is being
// written it does nothing, for that message is a sign of life as well.
func (c *Conn) Ping() error {
	err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
	if err != nil && !isTimeout(err) {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// Limit sets the most bytes a message may have; New sets wire.MaxMessage. It
// may be called only while no Read runs.
func (c *Conn) Limit(n int64) { c.ws.SetReadLimit(n) }

// Probe asks for a sign of life of this very moment: a ping with a number of
// its own whose pong must come back before ctx ends. Bytes that were on the
// way before do not count. Somebody must be reading meanwhile.
func (c *Conn) Probe(ctx context.Context) bool {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	id := string(b[:])
	ch := make(chan struct{})
	c.pmu.Lock()
	if c.probes == nil {
		c.probes = map[string]chan struct{}{}
	}
	c.probes[id] = ch
	c.pmu.Unlock()
	defer func() {
		c.pmu.Lock()
		delete(c.probes, id)
		c.pmu.Unlock()
	}()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(time.Second)
	}
	if err := c.ws.WriteControl(websocket.PingMessage, b[:], end); err != nil {
		return false
	}
	select {
	case <-ch:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close closes at once, freeing a blocked Read and Write. It may be called
// more than once and from anywhere.
func (c *Conn) Close() error { return c.ws.Close() }

// Goodbye says that the session ends on purpose, then closes.
func (c *Conn) Goodbye() error {
	_ = c.ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	return c.ws.Close()
}
