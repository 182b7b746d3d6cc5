package relay

import (
	"context"
	"sync"
	"time"
)

// backWay is the way from printer to till, less the answers to scripts.
type backWay struct {
	r *Relay

	mu     sync.Mutex
	script bool      // a script has the printer's line
	buf    []byte    // of a script: came and not taken; otherwise: may become an owed answer
	owed   []owedOne // in the order they are expected
	held   *uint64   // place of the command that is held back now
	early  []byte    // is to come for the answer given early, when that goes on
	more   chan struct{}
	flush  *time.Timer
}

type owedOne struct {
	Answer
	until time.Time
}

// owedFor is how long an answer may be late before it is taken for the till's.
const owedFor = 30 * time.Second

// take takes bytes of the printer.
func (b *backWay) take(p []byte) {
	b.mu.Lock()
	if b.script {
		b.tell(1, p)
		b.buf = append(b.buf, p...)
		select {
		case b.more <- struct{}{}:
		default:
		}
		b.mu.Unlock()
		return
	}
	b.buf = append(b.buf, p...)
	b.sort(false)
}

// sort gives the till what is its own; b.mu is held and let go. all: what may
// become an owed answer goes too.
func (b *backWay) sort(all bool) {
	now := time.Now()
	var out []byte
	give := func(n int) {
		b.tell(0, b.buf[:n])
		out = append(out, b.buf[:n]...)
		b.buf = b.buf[n:]
	}
	for len(b.buf) > 0 {
		n := 0
		for i := 0; i < len(b.owed); i++ {
			o := b.owed[i]
			if now.After(o.until) {
				b.owed = append(b.owed[:i:i], b.owed[i+1:]...)
				i--
				continue
			}
			switch n = o.size(b.buf); {
			case n > 0:
				b.owed = append(b.owed[:i:i], b.owed[i+1:]...)
			case n == 0 && o.Next:
				b.owed = append(b.owed[:i:i], b.owed[i+1:]...)
				i--
				continue
			case n == 0:
				continue
			}
			break
		}
		if n > 0 {
			b.tell(1, b.buf[:n])
			b.buf = b.buf[n:]
			continue
		}
		if n < 0 && !all {
			break
		}
		give(1)
		all = false
	}
	if len(b.buf) == 0 {
		b.buf = nil
	} else {
		// A begun answer of ours that does not go on is not one.
		if b.flush != nil {
			b.flush.Stop()
		}
		b.flush = time.AfterFunc(b.patience(), func() {
			b.mu.Lock()
			if b.script {
				b.mu.Unlock()
				return
			}
			b.sort(true)
		})
	}
	b.r.toTill(out)
	b.mu.Unlock()
}

// patience is how long a begun answer may stand still: short while it may
// still be the till's, longer once its beginning is surely ours.
func (b *backWay) patience() time.Duration {
	for _, o := range b.owed {
		if whole, _ := o.Start.fits(b.buf); whole {
			return time.Second
		}
	}
	return b.r.c.Hold
}

// tell sends the agent its copy; neighbours of one kind go together.
func (b *backWay) tell(kept byte, p []byte) {
	if s := b.r.agent(); s != nil && len(p) > 0 {
		s.send(raw(kindPrinter, []byte{kept}, p))
	}
}

// begin gives the line to a script and notes what will be owed to it.
func (b *backWay) begin(s *Script) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range s.Owed {
		b.owed = append(b.owed, owedOne{o, time.Now().Add(owedFor)})
	}
	if s.exclusive() {
		b.script, b.buf, b.more = true, nil, make(chan struct{}, 1)
	}
}

// end gives the line back. Bytes no step has taken answer nothing of the till.
func (b *backWay) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.script {
		b.script, b.buf = false, nil
	}
}

// await waits for an answer of a script. Without one it returns nil; with
// something else, that.
func (b *backWay) await(ctx context.Context, a Answer, wait time.Duration) ([]byte, bool) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		b.mu.Lock()
		n := -1
		if len(b.buf) > 0 {
			n = a.size(b.buf)
		}
		if n > 0 {
			got := b.buf[:n:n]
			b.buf = b.buf[n:]
			b.mu.Unlock()
			return got, true
		}
		if n == 0 {
			got := b.buf
			b.buf = nil
			b.mu.Unlock()
			return got, false
		}
		b.mu.Unlock()
		select {
		case <-b.more:
		case <-t.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}

// owe notes an answer that may still come.
func (b *backWay) owe(a Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed = append(b.owed, owedOne{a, time.Now().Add(owedFor)})
}

// holding notes what is held back, for an answer given early.
func (b *backWay) holding(at uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = &at
}

// answerEarly answers the till in the printer's place, if what it is about is
// held just now.
func (b *backWay) answerEarly(at uint64, e Early) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil || *b.held != at || b.early != nil {
		return
	}
	b.early = e.Skip
	b.r.toTill(e.Say)
}

// released is called just before a held command goes on: what the printer says
// to it first was said already when it was answered early.
func (b *backWay) released() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = nil
	if len(b.early) > 0 {
		b.owed = append(b.owed, owedOne{Answer{Start: Pattern{Bytes: b.early}, Count: len(b.early), Next: true}, time.Now().Add(owedFor)})
	}
	b.early = nil
}

// reset forgets what a printer that is gone owes.
func (b *backWay) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed, b.early, b.held = nil, nil, nil
	if !b.script {
		b.buf = nil
	}
}
