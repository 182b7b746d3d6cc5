package emulator

import (
	"sync"
	"time"
)

// ScannerSettings say how a scanner sends.
type ScannerSettings struct {
	Prefix string        // before each reading
	Suffix string        // after it; NewScanner's zero value sends CR
	NoEnd  bool          // send no suffix at all
	Pace   time.Duration // pause between two bytes
}

// Scanner is an emulated barcode scanner.
type Scanner struct {
	set  ScannerSettings
	mu   sync.Mutex // one reading at a time
	line lineEnd
}

// lineEnd remembers how to send while there is a line.
type lineEnd struct {
	mu   sync.Mutex
	send func([]byte)
}

func (l *lineEnd) Attach(send func([]byte)) { l.mu.Lock(); defer l.mu.Unlock(); l.send = send }
func (l *lineEnd) Detach()                  { l.mu.Lock(); defer l.mu.Unlock(); l.send = nil }

// Send sends when there is a line and tells whether there was.
func (l *lineEnd) Send(b []byte) bool {
	l.mu.Lock()
	send := l.send
	l.mu.Unlock()
	if send == nil || len(b) == 0 {
		return send != nil
	}
	send(b)
	return true
}

// NewScanner makes a scanner.
func NewScanner(set ScannerSettings) *Scanner {
	if set.Suffix == "" && !set.NoEnd {
		set.Suffix = "\r"
	}
	return &Scanner{set: set}
}

// Attach is part of Machine.
func (s *Scanner) Attach(send func([]byte)) { s.line.Attach(send) }

// Detach is part of Machine.
func (s *Scanner) Detach() { s.line.Detach() }

// Receive is part of Machine: this scanner takes no commands.
func (s *Scanner) Receive([]byte) {}

// Scan sends a reading with prefix and suffix. It tells whether there was a line.
func (s *Scanner) Scan(data string) bool { return s.Raw([]byte(s.set.Prefix + data + s.set.Suffix)) }

// Raw sends bytes as they are.
func (s *Scanner) Raw(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set.Pace == 0 {
		return s.line.Send(b)
	}
	for i := range b {
		if !s.line.Send(b[i : i+1]) {
			return false
		}
		time.Sleep(s.set.Pace)
	}
	return true
}
