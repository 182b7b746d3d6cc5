package simulation

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// network is what lies between the tills and the centre: one cable for each
// till, and the centre's door.
type network struct {
	seed   uint64
	cables int // made so far

	mu   sync.Mutex
	door *door // nil: the centre is down
}

// cable is one till's way to the centre. Its owner works it from one
// goroutine; connections use it from theirs.
type cable struct {
	net *network
	no  int

	mu    sync.Mutex
	state cableState
	dials int
	pace  pace
	lines map[*line]struct{}
}

type cableState int

const (
	whole   cableState = iota
	cut                // connecting fails at once
	stalled            // everything disappears without a word
	deaf               // what the centre says disappears, what the till says arrives
)

// pace is how long the way takes.
type pace int

const (
	brisk pace = iota // 1 to 40 ms
	slow              // 40 times that, both ways
	late              // 24 times that from the centre to the till: answers around the patience of a question
)

var (
	errNoRoute = errors.New("no route to the centre")
	errReset   = errors.New("connection reset")
)

func (n *network) cable() *cable {
	n.cables++
	return &cable{net: n, no: n.cables, lines: map[*line]struct{}{}}
}

// set changes the state. Cutting ends what is connected, after k more bytes
// of what was on the way; a stalled line looks alive to both ends.
func (c *cable) set(s cableState, k int) {
	c.mu.Lock()
	c.state = s
	c.mu.Unlock()
	if s == cut {
		c.sever(k)
	}
}

// keep sets the pace.
func (c *cable) keep(p pace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace = p
}

// sever ends what is connected, as a router that forgets does.
func (c *cable) sever(k int) {
	c.mu.Lock()
	lines := c.lines
	c.lines = map[*line]struct{}{}
	c.mu.Unlock()
	for l := range lines {
		l.reset(k)
	}
}

func (c *cable) get() (cableState, pace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.pace
}

// dial connects to the centre, if the way is free and the centre is up.
func (c *cable) dial(ctx context.Context) (net.Conn, error) {
	s, _ := c.get()
	if s == stalled || s == deaf {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(5 * time.Millisecond)
	c.net.mu.Lock()
	d := c.net.door
	c.net.mu.Unlock()
	if s == cut || d == nil {
		return nil, errNoRoute
	}
	c.mu.Lock()
	c.dials++
	l := &line{cable: c, no: c.dials}
	c.mu.Unlock()
	l.cond.L = &l.mu
	l.ends[0], l.ends[1] = &end{line: l, side: 0}, &end{line: l, side: 1}
	c.mu.Lock()
	c.lines[l] = struct{}{}
	c.mu.Unlock()
	if !d.knock(l.ends[1]) {
		l.reset(0)
		return nil, errNoRoute
	}
	return l.ends[0], nil
}

// line is one connection; end 0 is the till's, end 1 the centre's.
type line struct {
	cable *cable
	no    int

	mu   sync.Mutex
	cond sync.Cond
	ends [2]*end
	err  error // both ends see it
}

// end is one end of a line.
type end struct {
	line    *line
	side    int
	in      []byte   // arrived, not read yet
	flying  [][]byte // from this end to the other
	waiting int      // bytes of it
	arrives time.Time
	closed  bool // by its owner
	eof     bool // by the other
	lost    bool // something it sent has disappeared: nothing more gets through
	read    deadline
	write   deadline
}

// deadline is a moment after which one kind of call fails.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (l *line) set(d *deadline, t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.at = t
	if d.timer != nil {
		d.timer.Stop()
	}
	if !t.IsZero() {
		if d.timer == nil {
			d.timer = time.AfterFunc(time.Until(t), l.cond.Broadcast)
		} else {
			d.timer.Reset(time.Until(t))
		}
	}
	l.cond.Broadcast()
}

// window is how much a line takes before it makes a writer wait.
const window = 256 << 10

func (e *end) Write(b []byte) (n int, err error) {
	l := e.line
	l.mu.Lock()
	defer l.mu.Unlock()
	for e.waiting+len(b) > window && l.err == nil && !e.closed && !e.write.over() {
		l.cond.Wait()
	}
	switch {
	case e.closed:
		return 0, net.ErrClosed
	case l.err != nil:
		return 0, l.err
	case e.write.over():
		return 0, os.ErrDeadlineExceeded
	}
	e.flying = append(e.flying, append([]byte(nil), b...))
	e.waiting += len(b)
	now := time.Now()
	at := now.Add(l.latency(e, now))
	if !at.After(e.arrives) {
		at = e.arrives.Add(1)
	}
	e.arrives = at
	time.AfterFunc(at.Sub(now), func() { l.deliver(e) })
	return len(b), nil
}

// latency depends on the story and the moment alone, not on who happened to
// write first in it.
func (l *line) latency(e *end, now time.Time) time.Duration {
	h := fnv.New64a()
	var b [8]byte
	for _, v := range []uint64{l.cable.net.seed, uint64(l.cable.no), uint64(e.side), uint64(now.UnixNano())} {
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		h.Write(b[:])
	}
	d := time.Duration(h.Sum64()%40_000_000) + time.Millisecond
	switch _, p := l.cable.get(); {
	case p == slow:
		d *= 40
	case p == late && e.side == 1:
		d *= 24
	}
	return d
}

// deliver brings the oldest chunk to the other end, or loses it.
func (l *line) deliver(e *end) {
	state, _ := l.cable.get()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(e.flying) == 0 {
		return
	}
	chunk := e.flying[0]
	if state == cut || state == stalled || state == deaf && e.side == 1 {
		e.lost = true
	}
	if e.lost { // the sender does not learn it: what it sent stays unconfirmed
		e.flying = e.flying[1:]
		return
	}
	e.flying = e.flying[1:]
	e.waiting -= len(chunk)
	to := l.ends[1-e.side]
	if chunk == nil {
		to.eof = true
	}
	to.in = append(to.in, chunk...)
	l.cond.Broadcast()
}

func (e *end) Read(b []byte) (int, error) {
	l := e.line
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, net.ErrClosed
		case len(e.in) > 0:
			n := copy(b, e.in)
			e.in = e.in[n:]
			return n, nil
		case l.err != nil:
			return 0, l.err
		case e.eof:
			return 0, io.EOF
		case e.read.over():
			return 0, os.ErrDeadlineExceeded
		}
		l.cond.Wait()
	}
}

// Close sends the end of the stream after what is on its way.
func (e *end) Close() error {
	l := e.line
	l.mu.Lock()
	if e.closed {
		l.mu.Unlock()
		return nil
	}
	e.closed = true
	for _, d := range []*deadline{&e.read, &e.write} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	both := l.ends[1-e.side].closed
	if !both && l.err == nil {
		e.flying = append(e.flying, nil)
		now := time.Now()
		time.AfterFunc(max(e.arrives.Sub(now), 0)+l.latency(e, now), func() { l.deliver(e) })
	}
	l.cond.Broadcast()
	l.mu.Unlock()
	if both {
		l.cable.mu.Lock()
		delete(l.cable.lines, l)
		l.cable.mu.Unlock()
	}
	return nil
}

// reset ends the line for both; the first k bytes on the way still arrive.
func (l *line) reset(k int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.ends {
		to, left := l.ends[1-e.side], k
		for _, chunk := range e.flying {
			n := min(left, len(chunk))
			to.in = append(to.in, chunk[:n]...)
			left -= n
		}
		e.flying = nil
		for _, d := range []*deadline{&e.read, &e.write} {
			if d.timer != nil {
				d.timer.Stop()
			}
		}
	}
	l.err = errReset
	l.cond.Broadcast()
}

func (e *end) LocalAddr() net.Addr                { return address }
func (e *end) RemoteAddr() net.Addr               { return address }
func (e *end) SetReadDeadline(t time.Time) error  { e.line.set(&e.read, t); return nil }
func (e *end) SetWriteDeadline(t time.Time) error { e.line.set(&e.write, t); return nil }
func (e *end) SetDeadline(t time.Time) error {
	return errors.Join(e.SetReadDeadline(t), e.SetWriteDeadline(t))
}

// address is everybody's: there is one network and nobody asks.
var address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8760}

// door is the centre's listener; a till's own API has one that nobody knocks
// at, because cash programs call its handler.
type door struct {
	guests chan net.Conn
	shut   chan struct{}
	once   sync.Once
}

func newDoor() *door { return &door{guests: make(chan net.Conn, 64), shut: make(chan struct{})} }

func (d *door) knock(c net.Conn) bool {
	select {
	case <-d.shut:
		return false
	default:
	}
	select {
	case d.guests <- c:
		return true
	default:
		return false
	}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.guests:
		return c, nil
	case <-d.shut:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.once.Do(func() { close(d.shut) })
	return nil
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return address }
