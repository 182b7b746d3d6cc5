package emulator

import (
	"sync"
	"time"
)

// Wire is a machine at the end of a line of a speed. A pseudo-terminal carries
// any number of bytes at once; a real line takes ten bits for each. What the
// host sends reaches the machine byte by byte, as fast as Baud allows.
type Wire struct {
	Machine
	Baud int

	mu   sync.Mutex
	free time.Time // when the line has carried what was sent so far
	sent int
}

// Receive is part of Machine.
func (w *Wire) Receive(b []byte) {
	each := 10 * time.Second / time.Duration(w.Baud)
	w.mu.Lock()
	if now := time.Now(); w.free.Before(now) {
		w.free = now
	}
	w.mu.Unlock()
	for i := range b {
		w.mu.Lock()
		w.free = w.free.Add(each)
		w.sent++
		due := w.free
		w.mu.Unlock()
		time.Sleep(time.Until(due)) // the time on the wire
		w.Machine.Receive(b[i : i+1])
	}
}

// Sent counts the bytes that went over the line.
func (w *Wire) Sent() int { w.mu.Lock(); defer w.mu.Unlock(); return w.sent }
