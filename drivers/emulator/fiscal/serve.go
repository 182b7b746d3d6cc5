package fiscal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/tillside/tillside/drivers/line"
)

// Machine is an emulator that can be put on a line.
type Machine interface {
	// Serve answers on a line until the context ends, the line is gone or the
	// plug is pulled (ErrUnplugged).
	Serve(ctx context.Context, p *line.Port) error
	Pulled() (bool, <-chan struct{})
}

// serveOne serves one open line and takes it away when the plug is pulled.
func serveOne(ctx context.Context, m Machine, raw line.Raw, name string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := line.NewPort(name, raw, line.Settings{})
	defer p.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			pulled, changed := m.Pulled()
			if pulled {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	m.Serve(ctx, p) // the reason does not matter: the line is gone
	cancel()
}

// untilPlugged waits until the plug is in.
func untilPlugged(ctx context.Context, m Machine) error {
	for {
		pulled, changed := m.Pulled()
		if !pulled {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Memory makes a line.OpenFunc whose other end is the machine. Close waits
// for its goroutines.
type Memory struct {
	m      Machine
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// InMemory puts a machine on lines in memory.
func InMemory(m Machine) *Memory {
	mem := &Memory{m: m}
	mem.ctx, mem.cancel = context.WithCancel(context.Background())
	return mem
}

// Open opens a line to the machine; ErrAbsent while the plug is out.
func (mem *Memory) Open(ctx context.Context, _ string, _ line.Settings) (line.Raw, error) {
	if pulled, _ := mem.m.Pulled(); pulled || mem.ctx.Err() != nil {
		return nil, fmt.Errorf("open: %w", line.ErrAbsent)
	}
	ours, theirs := net.Pipe()
	mem.wg.Add(1)
	go func() {
		defer mem.wg.Done()
		serveOne(mem.ctx, mem.m, theirs, "memory")
	}()
	return ours, nil
}

// Close takes all lines away and waits.
func (mem *Memory) Close() {
	mem.cancel()
	mem.wg.Wait()
}

// OnTCP serves a machine on a TCP address, one connection at a time, until
// the context ends. While the plug is out nobody listens. ready is called with
// the real address each time listening begins.
func OnTCP(ctx context.Context, m Machine, address string, ready func(net.Addr)) error {
	for {
		if err := untilPlugged(ctx, m); err != nil {
			return nil
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", address, err)
		}
		address = l.Addr().String()
		if ready != nil {
			ready(l.Addr())
		}
		acceptAll(ctx, m, l)
		if ctx.Err() != nil {
			return nil
		}
	}
}

func acceptAll(ctx context.Context, m Machine, l net.Listener) {
	actx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer l.Close()
		for {
			pulled, changed := m.Pulled()
			if pulled {
				return
			}
			select {
			case <-changed:
			case <-actx.Done():
				return
			}
		}
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		serveOne(ctx, m, c, "tcp")
		if pulled, _ := m.Pulled(); pulled || ctx.Err() != nil {
			return
		}
	}
}

// OnPty serves a machine on pseudo-terminals, Linux only. The slave's path is
// kept as a symbolic link at link; the link is away while the plug is out.
// ready, when not nil, is called each time the link stands.
func OnPty(ctx context.Context, m Machine, link string, ready func()) error {
	for {
		if err := untilPlugged(ctx, m); err != nil {
			return nil
		}
		master, remove, err := openPty(link)
		if err != nil {
			return fmt.Errorf("make a pseudo-terminal: %w", err)
		}
		if ready != nil {
			ready()
		}
		serveOne(ctx, m, master, link)
		remove()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// ErrNoPty: this system has no pseudo-terminals that look like serial ports.
var ErrNoPty = errors.New("no pseudo-terminals on this system; serve the emulator on TCP")
