package fiscal

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/tillside/tillside/drivers/emulator"
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

// OnTCP serves a printer on a TCP address until the context ends. While the
// plug is out nobody listens. ready, when not nil, is called with the address as
// drivers write it, each time listening begins.
func OnTCP(ctx context.Context, p Printer, listen string, ready func(address string)) error {
	return onCable(ctx, p, func(m emulator.Machine) (*emulator.Cable, error) { return emulator.TCP(listen, m) }, ready)
}

// OnPty serves a printer on pseudo-terminals, Linux only. The slave's path is
// kept as a symbolic link at link; the link is away while the plug is out.
// ready, when not nil, is called each time the link stands.
func OnPty(ctx context.Context, p Printer, link string, ready func()) error {
	return onCable(ctx, p, func(m emulator.Machine) (*emulator.Cable, error) { return emulator.PTY(link, m) },
		func(string) {
			if ready != nil {
				ready()
			}
		})
}

// onCable keeps the cable plugged as the printer's own plug says.
func onCable(ctx context.Context, p Printer, lay func(emulator.Machine) (*emulator.Cable, error), ready func(string)) error {
	b := NewBridge(p)
	c, err := lay(b)
	if err != nil {
		return fmt.Errorf("lay a cable: %w", err)
	}
	defer c.Close()
	for {
		pulled, changed := p.Pulled()
		switch {
		case pulled && c.Plugged():
			c.Unplug()
		case !pulled:
			if !c.Plugged() {
				if err := c.Plug(); err != nil {
					return err
				}
			}
			if ready != nil {
				ready(c.Address())
			}
		}
		select {
		case <-changed:
		case <-b.torn: // pulled, and mended before we looked
			c.Unplug()
		case <-ctx.Done():
			return nil
		}
	}
}
