package emulator

import (
	"sync"
	"time"
)

// SSIScanner is an emulated scanner in SSI packet mode. It expects an ACK for
// each packet and sends the packet again, marked, when none comes.
type SSIScanner struct {
	line lineEnd
	// Patience before a packet is sent again; 0 means two seconds.
	Patience time.Duration
	// Tries of one packet; 0 means three.
	Tries int

	mu     sync.Mutex
	buf    []byte
	acks   chan byte // opcode of an answer
	sent   int       // packets sent, repeats too
	beeps  int
	params [][]byte
	scan   sync.Mutex // one reading at a time
}

// NewSSIScanner makes one.
func NewSSIScanner() *SSIScanner { return &SSIScanner{acks: make(chan byte, 8)} }

// Attach is part of Machine.
func (s *SSIScanner) Attach(send func([]byte)) { s.line.Attach(send) }

// Detach is part of Machine.
func (s *SSIScanner) Detach() { s.line.Detach() }

// SSIPacket makes a packet of a decoder.
func SSIPacket(opcode, status byte, data []byte) []byte {
	b := []byte{byte(len(data) + 4), opcode, 0, status}
	b = append(b, data...)
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	ck := 0x10000 - sum
	return append(b, byte(ck>>8), byte(ck))
}

// Receive is part of Machine.
func (s *SSIScanner) Receive(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = append(s.buf, b...)
	for len(s.buf) > 0 {
		n := int(s.buf[0]) + 2
		if n < 6 {
			s.buf = s.buf[1:]
			continue
		}
		if len(s.buf) < n {
			return
		}
		p := s.buf[:n]
		s.buf = s.buf[n:]
		sum := 0
		for _, c := range p[:n-2] {
			sum += int(c)
		}
		if (sum+int(p[n-2])<<8+int(p[n-1]))&0xFFFF != 0 {
			s.line.Send(SSIPacket(0xD1, 0, []byte{1}))
			continue
		}
		switch p[1] {
		case 0xD0, 0xD1:
			select {
			case s.acks <- p[1]:
			default:
			}
			continue
		case 0xE6:
			s.beeps++
		case 0xC6:
			s.params = append(s.params, append([]byte(nil), p[4:n-2]...))
		}
		s.line.Send(SSIPacket(0xD0, 0, nil))
	}
}

// Beeps counts the beeps the host asked for.
func (s *SSIScanner) Beeps() int { s.mu.Lock(); defer s.mu.Unlock(); return s.beeps }

// Sent counts the packets sent so far, repeats too.
func (s *SSIScanner) Sent() int { s.mu.Lock(); defer s.mu.Unlock(); return s.sent }

// Scan sends a Code 128 and tells whether the host acknowledged it.
func (s *SSIScanner) Scan(data string) bool { return s.ScanType(0x03, data) }

// Raw sends bytes as they are.
func (s *SSIScanner) Raw(b []byte) bool { return s.line.Send(b) }

// ScanType sends a reading of a code type and waits for the ACK.
func (s *SSIScanner) ScanType(codeType byte, data string) bool {
	s.scan.Lock()
	defer s.scan.Unlock()
	patience, tries := s.Patience, s.Tries
	if patience == 0 {
		patience = 2 * time.Second
	}
	if tries == 0 {
		tries = 3
	}
	for len(s.acks) > 0 {
		<-s.acks
	}
	for try := range tries {
		status := byte(0)
		if try > 0 {
			status = 1
		}
		if !s.line.Send(SSIPacket(0xF3, status, append([]byte{codeType}, data...))) {
			return false
		}
		s.mu.Lock()
		s.sent++
		s.mu.Unlock()
		timer := time.NewTimer(patience)
		select {
		case op := <-s.acks:
			timer.Stop()
			if op == 0xD0 {
				return true
			}
		case <-timer.C:
		}
	}
	return false
}
