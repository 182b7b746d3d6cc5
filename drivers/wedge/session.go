package wedge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

// SessionPort is the port of a keyboard scanner that a helper in the cashier's
// session listens to: Windows lets no service see a keyboard.
const SessionPort = "session"

// HelperBeat is how often the helper says that it is there, also without a
// reading; thrice that in silence means that it is not.
const HelperBeat = 5 * time.Second

// maxMail bounds what is kept of readings until the session opens the line.
const maxMail = 64 << 10

// ErrNoSession is returned by Feed for a reader on another port.
var ErrNoSession = errors.New(`the reader is not on port "session"`)

// mailbox joins Feed, which a helper's calls end in, with the line of the
// driver's session.
type mailbox struct {
	mu    sync.Mutex
	heard time.Time // by the monotonic clock; zero: never
	mail  []byte
	ring  chan struct{} // closed and renewed at each change
}

func newMailbox() *mailbox { return &mailbox{ring: make(chan struct{})} }

func (m *mailbox) feed(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mail)+len(b) > maxMail {
		return errors.New("more readings than are taken")
	}
	m.heard = time.Now()
	m.mail = append(m.mail, b...)
	close(m.ring)
	m.ring = make(chan struct{})
	return nil
}

// wait waits for mail; for any word of the helper when nothing must come.
func (m *mailbox) wait(ctx context.Context, closed <-chan struct{}, any bool) ([]byte, error) {
	for {
		m.mu.Lock()
		left := 3*HelperBeat - time.Since(m.heard)
		ring := m.ring
		if m.heard.IsZero() {
			left = 0
		}
		if left > 0 && (any || len(m.mail) > 0) {
			b := m.mail
			if !any {
				m.mail = nil
			}
			m.mu.Unlock()
			return b, nil
		}
		m.mu.Unlock()
		if left <= 0 && !any {
			return nil, fmt.Errorf("no word from the cashier's session: %w", line.ErrAbsent)
		}
		var late <-chan time.Time
		if left > 0 {
			t := time.NewTimer(left)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-ring:
		case <-late:
		case <-closed:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, fmt.Errorf("nobody in the cashier's session; run tillside wedge there: %w", line.ErrAbsent)
		}
	}
}

// open is the OpenFunc of the session port: it waits for the helper's first word.
func (m *mailbox) open(ctx context.Context) (line.Raw, error) {
	if _, err := m.wait(ctx, nil, true); err != nil {
		return nil, err
	}
	return &mailLine{box: m, closed: make(chan struct{})}, nil
}

// mailLine is the mailbox as a line.
type mailLine struct {
	box    *mailbox
	rest   []byte
	once   sync.Once
	closed chan struct{}
}

func (l *mailLine) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		b, err := l.box.wait(context.Background(), l.closed, false)
		if err != nil {
			return 0, err
		}
		l.rest = b
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *mailLine) Write([]byte) (int, error) { return 0, errors.New("a keyboard takes no data") }

func (l *mailLine) Close() error { l.once.Do(func() { close(l.closed) }); return nil }
