package line

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// received is the most bytes a Port keeps for its reader before it stops
// reading from the line.
const received = 256 << 10

var abandoned atomic.Int64

// Abandoned counts the ports given up with a write stuck in the system since
// the program started. Each holds one goroutine until its device vanishes.
func Abandoned() int64 { return abandoned.Load() }

// Port is an open line with its reader and writer goroutines. Write may be
// called from any goroutine; Read from one at a time.
type Port struct {
	name string
	set  Settings
	raw  Raw

	writes chan *writeJob
	dead   chan struct{} // closed at the first failure or Close
	once   sync.Once
	err    error // why dead is closed

	mu      sync.Mutex
	buf     []byte
	lastAt  time.Time
	arrived chan struct{} // one slot: bytes came
	taken   chan struct{} // one slot: room was made

	readerDone, writerDone chan struct{}
	closed                 sync.Once
}

type writeJob struct {
	data    []byte
	stop    atomic.Bool  // stop between chunks
	written atomic.Int64 // bytes the system took
	done    chan error
}

// NewPort starts the goroutines of an open line. Close ends them.
func NewPort(name string, raw Raw, set Settings) *Port {
	p := &Port{
		name: name, set: set, raw: raw,
		writes: make(chan *writeJob), dead: make(chan struct{}),
		arrived: make(chan struct{}, 1), taken: make(chan struct{}, 1),
		readerDone: make(chan struct{}), writerDone: make(chan struct{}),
	}
	go p.readLoop()
	go p.writeLoop()
	return p
}

// OpenPort opens and starts a line with open, or with Open if that is nil.
func OpenPort(ctx context.Context, open OpenFunc, address string, set Settings) (*Port, error) {
	if open == nil {
		open = Open
	}
	raw, err := open(ctx, address, set)
	if err != nil {
		return nil, err
	}
	return NewPort(address, raw, set), nil
}

// String is the address the port was opened with.
func (p *Port) String() string { return p.name }

// Settings are those the port was opened with.
func (p *Port) Settings() Settings { return p.set }

// Done is closed when the line is gone, for whatever reason. Err tells it.
func (p *Port) Done() <-chan struct{} { return p.dead }

// Err is nil while the line lives, then ErrUnplugged, ErrWedged or ErrClosed
// with the cause.
func (p *Port) Err() error {
	select {
	case <-p.dead:
		return p.err
	default:
		return nil
	}
}

func (p *Port) fail(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.dead)
	})
}

func (p *Port) readLoop() {
	defer close(p.readerDone)
	size := 4096
	if p.set.ByteReads || underWine() {
		size = 1
	}
	chunk := make([]byte, size)
	empty := 0
	for {
		n, err := p.raw.Read(chunk)
		if n > 0 {
			empty = 0
			if !p.keep(chunk[:n]) {
				return
			}
		}
		if err != nil {
			p.fail(fmt.Errorf("read %s: %w", p.name, gone(err)))
			return
		}
		if n == 0 {
			// A driver that answers "nothing" without waiting must not make us spin.
			if empty++; empty > 10 {
				select {
				case <-p.dead:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
		select {
		case <-p.dead:
			return
		default:
		}
	}
}

func (p *Port) keep(b []byte) bool {
	for {
		p.mu.Lock()
		if len(p.buf) < received {
			p.buf = append(p.buf, b...)
			p.lastAt = time.Now()
			p.mu.Unlock()
			signal(p.arrived)
			return true
		}
		p.mu.Unlock()
		select {
		case <-p.taken:
		case <-p.dead:
			return false
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Arrived gives a value when bytes may be waiting. For select loops; a value
// may come when Read finds nothing any more.
func (p *Port) Arrived() <-chan struct{} { return p.arrived }

// Take returns all bytes that wait, without waiting itself, and when the last
// of them came.
func (p *Port) Take() ([]byte, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buf
	p.buf = nil
	if len(b) > 0 {
		signal(p.taken)
	}
	return b, p.lastAt
}

// Discard throws away what was received and not read.
func (p *Port) Discard() int { b, _ := p.Take(); return len(b) }

// Read waits for at least one byte. It returns the context's error when that
// ends first, and the line's error when the line is gone and all bytes that
// came before are read.
func (p *Port) Read(ctx context.Context, b []byte) (int, error) {
	for {
		p.mu.Lock()
		n := copy(b, p.buf)
		if n > 0 {
			if p.buf = p.buf[n:]; len(p.buf) == 0 {
				p.buf = nil
			}
			signal(p.taken)
		}
		rest := len(p.buf)
		p.mu.Unlock()
		if n > 0 || len(b) == 0 {
			if rest > 0 {
				signal(p.arrived)
			}
			return n, nil
		}
		select {
		case <-p.dead:
			if p.waiting() == 0 {
				return 0, p.err
			}
		case <-p.arrived:
		case <-ctx.Done():
			return 0, fmt.Errorf("read %s: %w", p.name, ctx.Err())
		}
	}
}

func (p *Port) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.buf)
}

// Next reads one byte within d. The error wraps
// context.DeadlineExceeded when none came.
func (p *Port) Next(ctx context.Context, d time.Duration) (byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var b [1]byte
	_, err := p.Read(ctx, b[:])
	return b[0], err
}

// Write gives bytes to the writer goroutine and waits until the system took
// them all. It returns how many bytes certainly went out. Errors: the
// context's when it ended between two chunks (the port lives on), ErrWedged
// when the bytes stand still, ErrUnplugged, ErrClosed.
func (p *Port) Write(ctx context.Context, data []byte) (int, error) {
	if len(data) == 0 {
		return 0, p.Err()
	}
	job := &writeJob{data: data, done: make(chan error, 1)}
	select {
	case p.writes <- job:
	case <-p.dead:
		return 0, p.err
	case <-ctx.Done():
		return 0, fmt.Errorf("write %s: %w", p.name, ctx.Err())
	}
	// The watchdog looks for movement: a slow line is not a wedged one.
	stall := p.set.stall() + p.set.wire(p.set.chunk()) + p.set.pace()
	watch := time.NewTicker(min(stall/4, 250*time.Millisecond))
	defer watch.Stop()
	var seen int64 = -1
	moved := time.Now()
	ended := ctx.Done()
	for {
		select {
		case err := <-job.done:
			n := int(job.written.Load())
			if err == nil && n < len(data) {
				return n, fmt.Errorf("write %s: %w", p.name, ctx.Err())
			}
			return n, err
		case <-p.dead:
			return int(job.written.Load()), p.err
		case <-ended:
			// Stop after the chunk under way; give that one a moment.
			job.stop.Store(true)
			ended = nil
			stall = min(stall, 250*time.Millisecond+2*p.set.wire(p.set.chunk())+p.set.pace())
		case <-watch.C:
			if w := job.written.Load(); w != seen {
				seen, moved = w, time.Now()
			} else if time.Since(moved) > stall {
				abandoned.Add(1)
				p.fail(fmt.Errorf("write %s: no byte taken for %s: %w", p.name, stall.Round(time.Millisecond), ErrWedged))
			}
		}
	}
}

func (p *Port) writeLoop() {
	defer close(p.writerDone)
	for {
		select {
		case <-p.dead:
			return
		case job := <-p.writes:
			err := p.writeChunks(job)
			job.done <- err
			if err != nil {
				return
			}
		}
	}
}

func (p *Port) writeChunks(job *writeJob) error {
	for rest := job.data; len(rest) > 0; {
		// After the port was given up its number may belong to somebody else:
		// never start another write on it.
		if job.stop.Load() {
			return nil
		}
		select {
		case <-p.dead:
			return p.err
		default:
		}
		n, err := p.raw.Write(rest[:min(len(rest), p.set.chunk())])
		job.written.Add(int64(n))
		rest = rest[n:]
		if err != nil {
			err = fmt.Errorf("write %s: %w", p.name, gone(err))
			p.fail(err)
			return err
		}
		if p.set.PaceMS > 0 && len(rest) > 0 {
			select {
			case <-p.dead:
			case <-time.After(p.set.pace()):
			}
		}
	}
	return nil
}

// Close ends the line and waits for its goroutines, but at most about a second:
// what is stuck in the system is left behind and counted.
func (p *Port) Close() error {
	p.fail(fmt.Errorf("%s: %w", p.name, ErrClosed))
	p.closed.Do(func() {
		if !errors.Is(p.err, ErrWedged) {
			// Let a write that moves end before its file is closed under it.
			waitFor(p.writerDone, 250*time.Millisecond+2*p.set.wire(p.set.chunk()))
		}
		shut := make(chan struct{})
		go func() {
			defer close(shut)
			p.raw.Close() // the line is gone either way
		}()
		waitFor(shut, 500*time.Millisecond)
		waitFor(p.readerDone, 500*time.Millisecond)
		if !errors.Is(p.err, ErrWedged) && !waitFor(p.writerDone, 100*time.Millisecond) {
			abandoned.Add(1)
		}
	})
	return nil
}

func waitFor(c <-chan struct{}, d time.Duration) bool {
	select {
	case <-c:
		return true
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}
