package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

// tillEnd is where the cash program's line comes in.
type tillEnd interface {
	// open gets what must be had once; an error ends the relay.
	open() error
	// next waits for the cash program: a connection, an open port.
	next(ctx context.Context) (tillConn, error)
	address() string
	// comesAndGoes: the cash program notices when its line is closed.
	comesAndGoes() bool
	close()
}

// tillConn is the line to a cash program. Write may lose what nobody takes;
// Close ends a blocked Read.
type tillConn interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Close() error
}

// patienceWithTill is how long bytes wait for a cash program to take them.
const patienceWithTill = time.Second

func newTillEnd(address string, set line.Settings) (tillEnd, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "pty":
		return newPty(rest)
	case "tcp":
		host, _, err := net.SplitHostPort(rest)
		if err != nil || host == "" {
			return nil, fmt.Errorf("%w: %q: want tcp:ADDRESS:PORT to listen on, such as tcp:127.0.0.1:9100", line.ErrSettings, address)
		}
		return &tcpTill{at: rest}, nil
	case "usb", "file":
		return nil, fmt.Errorf("%w: %q: want a serial port, pty:/path or tcp:ADDRESS:PORT", line.ErrSettings, address)
	}
	if _, err := line.ParseAddress(address); err != nil {
		return nil, err
	}
	return &serialTill{name: address, set: set}, nil
}

// tcpTill listens and serves one program at a time, as network printers do.
type tcpTill struct {
	at string

	mu sync.Mutex
	l  net.Listener
}

func (t *tcpTill) open() error {
	l, err := net.Listen("tcp", t.at)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.l = l
	return nil
}

func (t *tcpTill) next(ctx context.Context) (tillConn, error) {
	t.mu.Lock()
	l := t.l
	t.mu.Unlock()
	conn, err := l.Accept()
	if err != nil {
		return nil, err
	}
	return &tcpConn{Conn: conn}, nil
}

type tcpConn struct{ net.Conn }

func (c *tcpConn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(patienceWithTill))
	return c.Conn.Write(b)
}

func (t *tcpTill) address() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.l == nil {
		return "tcp:" + t.at
	}
	return "tcp:" + t.l.Addr().String()
}

func (t *tcpTill) comesAndGoes() bool { return true }

func (t *tcpTill) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.l != nil {
		t.l.Close()
	}
}

// serialTill is a serial port with the cash program at the other end of a
// cable, or of a pair of virtual ports.
type serialTill struct {
	name string
	set  line.Settings
}

func (t *serialTill) open() error { return nil }

func (t *serialTill) next(ctx context.Context) (tillConn, error) {
	p, err := line.OpenPort(ctx, nil, t.name, t.set)
	if err != nil {
		return nil, err
	}
	return serialConn{p}, nil
}

type serialConn struct{ *line.Port }

func (c serialConn) Read(b []byte) (int, error) { return c.Port.Read(context.Background(), b) }

func (c serialConn) Write(b []byte) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patienceWithTill+c.Settings().WireTime(len(b)))
	defer cancel()
	return c.Port.Write(ctx, b)
}

func (t *serialTill) address() string    { return t.name }
func (t *serialTill) comesAndGoes() bool { return false }
func (t *serialTill) close()             {}

// errEnded is returned by a till's end that was closed.
var errEnded = errors.New("closed")
