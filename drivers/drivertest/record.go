package drivertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/tillside/tillside/drivers/line"
)

// A recording is a text file: what the host sent and what the device sent, in
// order, in hexadecimal. Lines that begin with # are for people and say which
// model and firmware it was made on.
//
//	# Epson TM-T20II, firmware 1.24
//	> 1B40 1B7400
//	> 100401
//	< 12
type recorder struct {
	line.Raw
	mu *sync.Mutex
	w  io.Writer
}

// Record wraps an open function so that the bytes of every line it opens are
// written down.
func Record(open line.OpenFunc, w io.Writer) line.OpenFunc {
	var mu sync.Mutex
	return func(ctx context.Context, address string, set line.Settings) (line.Raw, error) {
		raw, err := open(ctx, address, set)
		if err != nil {
			return nil, err
		}
		return recorder{raw, &mu, w}, nil
	}
}

func (r recorder) note(mark string, b []byte) {
	if len(b) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.w, "%s %X\n", mark, b)
}

func (r recorder) Read(b []byte) (int, error) {
	n, err := r.Raw.Read(b)
	r.note("<", b[:n])
	return n, err
}

func (r recorder) Write(b []byte) (int, error) {
	// Noted before: the answer may be there before Write returns.
	r.note(">", b)
	return r.Raw.Write(b)
}

// Playback is a machine that answers as a recording says. It fails when the
// host sends something else than was recorded.
type Playback struct {
	mu    sync.Mutex
	send  func([]byte)
	steps []step
	at    int // in steps
	in    int // bytes of the step that came
	err   error
}

type step struct {
	host bool
	data []byte
	row  int
}

// NewPlayback reads a recording. Neighbouring lines of one side are joined:
// where a write was cut is not part of the promise.
func NewPlayback(r io.Reader) (*Playback, error) {
	p := &Playback{}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<22)
	for row := 1; in.Scan(); row++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		data, err := hex.DecodeString(strings.ReplaceAll(text[1:], " ", ""))
		if err != nil || text[0] != '<' && text[0] != '>' {
			return nil, fmt.Errorf("line %d: want > or < and hexadecimal digits", row)
		}
		host := text[0] == '>'
		if n := len(p.steps); n > 0 && p.steps[n-1].host == host {
			p.steps[n-1].data = append(p.steps[n-1].data, data...)
			continue
		}
		p.steps = append(p.steps, step{host, data, row})
	}
	return p, in.Err()
}

// Attach is part of emulator.Machine.
func (p *Playback) Attach(send func([]byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send = send
	p.answer()
}

// Detach is part of emulator.Machine.
func (p *Playback) Detach() { p.mu.Lock(); defer p.mu.Unlock(); p.send = nil }

// Receive is part of emulator.Machine.
func (p *Playback) Receive(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 && p.err == nil {
		if p.at == len(p.steps) {
			return // the host goes on asking after the recording ended
		}
		s := p.steps[p.at]
		n := min(len(b), len(s.data)-p.in)
		if !bytes.Equal(b[:n], s.data[p.in:p.in+n]) {
			p.err = fmt.Errorf("line %d, byte %d: the host sent % X, recorded is % X", s.row, p.in, b[:n], s.data[p.in:p.in+n])
			return
		}
		b = b[n:]
		if p.in += n; p.in == len(s.data) {
			p.at, p.in = p.at+1, 0
			p.answer()
		}
	}
}

func (p *Playback) answer() {
	for p.at < len(p.steps) && !p.steps[p.at].host && p.send != nil {
		p.send(p.steps[p.at].data)
		p.at++
	}
}

// Done tells whether the recording was played to its end.
func (p *Playback) Done() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.at == len(p.steps) }

// Err tells where the host went another way.
func (p *Playback) Err() error { p.mu.Lock(); defer p.mu.Unlock(); return p.err }
