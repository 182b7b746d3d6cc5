// Package linktest is a bad network on command.
//
// A [Proxy] stands between a till and the centre at the level of TCP: it
// cuts, also in the middle of a message; it delays and narrows; it goes
// silent without closing, one way or both, as a dead router does. [Messages]
// stands between them at the level of websocket messages, and there it also
// loses, repeats and reorders.
//
// The tests of this folder hold uplink and hub against each other over such
// links. They are short by default; their long forms are
//
//	go test ./sync/linktest -run TestModel$ -seeds 1000
//	go test ./sync/linktest -run CutAtEveryByte -every-byte
//	go test ./sync/linktest -run Kills -kills 2000 -timeout 30m
//	go test ./sync/linktest -run Backlog -backlog 60000
//	go test ./sync/linktest -run Herd -tills 500
//	go test ./sync/linktest -run XXX -bench . -benchtime 60000x
//
// Both are used by tests and by the demo, which lets the link of a till come
// and go while receipts are sold.
package linktest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy forwards TCP connections to one address. All methods may be called
// at any time from any goroutine.
type Proxy struct {
	target string
	ln     net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[*pipe]struct{}
	cut   bool
	delay time.Duration
	rate  int   // bytes a second; 0: unbounded
	after int64 // of each new connection, bytes up before it is cut; below zero: never
	both  bool  // count bytes down as well
	done  bool

	up, down atomic.Int64
	dials    atomic.Int64
}

// Listen starts a proxy on a free port of 127.0.0.1 that leads to target
// (host:port).
func Listen(target string) (*Proxy, error) { return ListenOn("127.0.0.1:0", target) }

// ListenOn starts a proxy on an address of the caller's choice.
func ListenOn(addr, target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for link: %w", err)
	}
	p := &Proxy{target: target, ln: ln, conns: map[*pipe]struct{}{}, after: -1}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is the proxy's own host:port.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Retarget leads new connections elsewhere, for a centre that came back on
// another port.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut closes all connections and refuses new ones until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.cut = true
	list := p.list()
	p.mu.Unlock()
	for _, c := range list {
		c.close()
	}
}

// IsCut tells whether the cable is cut now.
func (p *Proxy) IsCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// Reset closes all connections once; new ones are taken at once.
func (p *Proxy) Reset() {
	p.mu.Lock()
	list := p.list()
	p.mu.Unlock()
	for _, c := range list {
		c.close()
	}
}

// Heal undoes Cut, Slow and CutAfter for new connections. Connections that
// went silent stay silent: that is what half-open means.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.delay, p.rate, p.after, p.both = false, 0, 0, -1, false
}

// Silence swallows everything of the connections there are now, without
// closing them: up, down or both ways. New connections work.
func (p *Proxy) Silence(up, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if up {
			c.muteUp.Store(true)
		}
		if down {
			c.muteDown.Store(true)
		}
	}
}

// Slow delays every piece of data and bounds the bytes per second in each
// direction (0: unbounded). It holds for running connections as well.
func (p *Proxy) Slow(delay time.Duration, bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.rate = delay, bytesPerSecond
}

// CutAfter closes each new connection after n bytes went up; with both, after
// n bytes in both directions together. Below zero: never.
func (p *Proxy) CutAfter(n int64, both bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after, p.both = n, both
}

// Bytes tells how many went up and down so far.
func (p *Proxy) Bytes() (up, down int64) { return p.up.Load(), p.down.Load() }

// Dials tells how many connections were asked for, refused ones included.
func (p *Proxy) Dials() int64 { return p.dials.Load() }

// Close ends everything and waits.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.done = true
	p.mu.Unlock()
	err := p.ln.Close()
	p.Cut()
	p.wg.Wait()
	return err
}

func (p *Proxy) list() []*pipe {
	out := make([]*pipe, 0, len(p.conns))
	for c := range p.conns {
		out = append(out, c)
	}
	return out
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.dials.Add(1)
		p.mu.Lock()
		cut, target, after, both := p.cut || p.done, p.target, p.after, p.both
		p.mu.Unlock()
		if cut {
			abort(c)
			continue
		}
		p.wg.Go(func() { p.forward(c, target, after, both) })
	}
}

// abort closes without a goodbye, as a cut line does.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

// pipe is one forwarded connection.
type pipe struct {
	a, b             net.Conn
	muteUp, muteDown atomic.Bool
	left             atomic.Int64
	limited          bool
	once             sync.Once
	ctx              context.Context
	cancel           context.CancelFunc
}

func (c *pipe) close() {
	c.once.Do(func() {
		c.cancel()
		abort(c.a)
		abort(c.b)
	})
}

func (p *Proxy) forward(a net.Conn, target string, after int64, both bool) {
	b, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		abort(a)
		return
	}
	c := &pipe{a: a, b: b, limited: after >= 0}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.left.Store(after)
	p.mu.Lock()
	p.conns[c] = struct{}{}
	cut := p.cut
	p.mu.Unlock()
	if cut {
		c.close()
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.copy(c, c.b, c.a, &c.muteUp, &p.up, true) })
	wg.Go(func() { p.copy(c, c.a, c.b, &c.muteDown, &p.down, both) })
	wg.Wait()
	c.close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// piece is data on its way through a slow line.
type piece struct {
	data []byte
	due  time.Time
	end  error // the sender's end; data is empty
}

// copy carries one direction. What is read is on its way for the delay, as
// through a satellite; the rate is a narrow place at the end of the way.
func (p *Proxy) copy(c *pipe, dst, src net.Conn, mute *atomic.Bool, count *atomic.Int64, counts bool) {
	way := make(chan piece, 256)
	var wg sync.WaitGroup
	wg.Go(func() { p.deliver(c, dst, way, mute, count, counts) })
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		due := time.Now().Add(p.delay)
		p.mu.Unlock()
		if n > 0 {
			select {
			case way <- piece{data: append([]byte(nil), buf[:n]...), due: due}:
			case <-c.ctx.Done():
			}
		}
		if err != nil {
			select {
			case way <- piece{end: err, due: due}:
			case <-c.ctx.Done():
			}
			break
		}
	}
	wg.Wait()
}

func (p *Proxy) deliver(c *pipe, dst net.Conn, way <-chan piece, mute *atomic.Bool, count *atomic.Int64, counts bool) {
	for {
		var pc piece
		select {
		case pc = <-way:
		case <-c.ctx.Done():
			return
		}
		if d := time.Until(pc.due); d > 0 && !c.wait(d) {
			return
		}
		if pc.end != nil {
			// Silence hides even the end of the other side.
			if mute.Load() {
				<-c.ctx.Done()
				return
			}
			c.close()
			return
		}
		for data := pc.data; len(data) > 0; {
			p.mu.Lock()
			rate := p.rate
			p.mu.Unlock()
			part := data
			if rate > 0 {
				part = data[:min(len(data), max(rate/20, 1))]
				if !c.wait(time.Duration(len(part)) * time.Second / time.Duration(rate)) {
					return
				}
			}
			data = data[len(part):]
			cut := false
			if c.limited && counts {
				if left := c.left.Add(-int64(len(part))); left < 0 {
					part = part[:max(int64(len(part))+left, 0)]
					cut = true
				}
			}
			count.Add(int64(len(part)))
			if !mute.Load() {
				if _, err := dst.Write(part); err != nil {
					c.close()
					return
				}
			}
			if cut {
				// What was allowed to pass gets through, then the line is cut.
				if t, ok := dst.(*net.TCPConn); ok {
					_ = t.CloseWrite()
				}
				c.close()
				return
			}
		}
	}
}

func (c *pipe) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
