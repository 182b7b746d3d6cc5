package badline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotHere is wrapped by New where the system does not allow such lines.
var ErrNotHere = errors.New("no networks of our own here")

// Quality is how a direction is.
type Quality struct {
	Loss  float64       // share of packets that are lost, 0 to 1
	Delay time.Duration // of each packet
	Rate  int           // bits a second; 0: no bound
	Mute  bool          // nothing comes through, and nobody is told
}

// Line is a cable. A and B are its ends.
type Line struct {
	A, B *End

	mu     sync.Mutex
	up     Quality // from A to B
	down   Quality
	gone   map[uint32]bool // flows that are forgotten: ports of both ends
	seen   map[uint32]bool
	rnd    *rand.Rand
	wg     sync.WaitGroup
	closed atomic.Bool

	Packets, Dropped atomic.Int64
}

// End is one end of a line: a network of its own.
type End struct {
	Name string // of the namespace, for `ip netns exec`
	Addr string // IP address of this end
	tun  *os.File
}

var count atomic.Int64

// New lays a line between two new networks. The seed decides what is lost.
func New(seed uint64) (*Line, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: only root may make them", ErrNotHere)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	n := count.Add(1)
	base := fmt.Sprintf("badline-%d-%d", os.Getpid(), n)
	l := &Line{gone: map[uint32]bool{}, seen: map[uint32]bool{}, rnd: rand.New(rand.NewPCG(seed, 7))}
	var err error
	if l.A, err = newEnd(base+"a", "10.77.0.1"); err == nil {
		l.B, err = newEnd(base+"b", "10.77.0.2")
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	l.wg.Go(func() { l.carry(l.A, l.B, &l.up) })
	l.wg.Go(func() { l.carry(l.B, l.A, &l.down) })
	return l, nil
}

func newEnd(name, addr string) (*End, error) {
	e := &End{Name: name, Addr: addr}
	for _, args := range [][]string{
		{"netns", "add", name},
		{"-n", name, "link", "set", "lo", "up"},
		{"-n", name, "tuntap", "add", "dev", "line", "mode", "tun"},
		{"-n", name, "addr", "add", addr + "/24", "dev", "line"},
		{"-n", name, "link", "set", "line", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return e, fmt.Errorf("%w: ip %v: %w %s", ErrNotHere, args, err, out)
		}
	}
	err := e.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		ifr, err := unix.NewIfreq("line")
		if err == nil {
			ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
		e.tun = os.NewFile(uintptr(fd), "tun")
		return nil
	})
	if err != nil {
		return e, fmt.Errorf("%w: tunnel: %w", ErrNotHere, err)
	}
	return e, nil
}

// Do runs f in the network of this end: sockets it opens belong there and stay
// there. f must not start goroutines that open more.
func (e *End) Do(f func() error) error {
	done := make(chan error, 1)
	go func() { // the thread is not given back: it ends with this goroutine
		runtime.LockOSThread()
		ns, err := os.Open("/var/run/netns/" + e.Name)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// Listen listens on a TCP port of this end; port 0 takes a free one.
func (e *End) Listen(port int) (ln net.Listener, err error) {
	err = e.Do(func() error {
		ln, err = net.Listen("tcp4", net.JoinHostPort(e.Addr, strconv.Itoa(port)))
		return err
	})
	return ln, err
}

// Dial connects from this end, to itself too. addr must be an IP address.
func (e *End) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = e.Do(func() error {
		d := net.Dialer{FallbackDelay: -1} // no goroutines of its own
		c, err = d.DialContext(ctx, "tcp4", addr)
		return err
	})
	return c, err
}

// Command makes a command that runs at this end.
func (e *End) Command(path string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", e.Name, path}, args...)...)
}

// Set changes how the line is, from A to B and back.
func (l *Line) Set(up, down Quality) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.down = up, down
}

// Forget has every connection that ever went over the line forgotten: its
// packets vanish from now on. New connections work.
func (l *Line) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range l.seen {
		l.gone[f] = true
	}
}

// packet is one on its way.
type packet struct {
	at   time.Time
	data []byte
}

// carry hands packets of one direction over.
func (l *Line) carry(from, to *End, q *Quality) {
	way := make(chan packet, 4096)
	var out sync.WaitGroup
	out.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.at))
			if _, err := to.tun.Write(p.data); err != nil && l.closed.Load() {
				continue
			}
		}
	})
	defer out.Wait()
	defer close(way)
	free := time.Time{} // when a slow line has sent what it has
	buf := make([]byte, 64<<10)
	for {
		n, err := from.tun.Read(buf)
		if err != nil {
			return
		}
		l.Packets.Add(1)
		l.mu.Lock()
		how := *q
		lost := how.Mute || how.Loss > 0 && l.rnd.Float64() < how.Loss || l.forgotten(buf[:n])
		l.mu.Unlock()
		if lost {
			l.Dropped.Add(1)
			continue
		}
		now := time.Now()
		at := now.Add(how.Delay)
		if how.Rate > 0 {
			if free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(n) * 8 * time.Second / time.Duration(how.Rate))
			at = free.Add(how.Delay)
			if free.Sub(now) > 4*time.Second { // the modem's buffer is full
				free = free.Add(-time.Duration(n) * 8 * time.Second / time.Duration(how.Rate))
				l.Dropped.Add(1)
				continue
			}
		}
		select {
		case way <- packet{at, append([]byte(nil), buf[:n]...)}:
		default:
			l.Dropped.Add(1)
		}
	}
}

// forgotten notes the flow of a TCP packet and tells whether it is forgotten;
// l.mu is held.
func (l *Line) forgotten(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_TCP {
		return false
	}
	head := int(b[0]&15) * 4
	if len(b) < head+4 {
		return false
	}
	p, q := binary.BigEndian.Uint16(b[head:]), binary.BigEndian.Uint16(b[head+2:])
	flow := uint32(min(p, q))<<16 | uint32(max(p, q))
	l.seen[flow] = true
	return l.gone[flow]
}

// Close takes the line and both networks away. Programs at its ends must have
// ended before.
func (l *Line) Close() {
	l.closed.Store(true)
	for _, e := range []*End{l.A, l.B} {
		if e == nil {
			continue
		}
		if e.tun != nil {
			e.tun.Close()
		}
		_ = exec.Command("ip", "netns", "del", e.Name).Run()
	}
	l.wg.Wait()
}
