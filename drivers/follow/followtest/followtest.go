// Package followtest has receipts of other people's programs as they go over a
// printer's line, and plays them: for tests of whoever stands on that line.
//
// Plain receipts are the bytes a program sends. Fiscal printers answer every
// command, so theirs are turns: what the till sends, and what it waits for then.
// How they were made stands in generate/README.md.
package followtest

import (
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/posnet"
	"github.com/tillside/tillside/drivers/emulator/shtrih"
	"github.com/tillside/tillside/drivers/line"
)

//go:embed streams
var streams embed.FS

// Lane is one stream: its file, its protocol, and what is in it.
type Lane struct {
	File, Protocol string
	Receipts       int   // sales that are closed
	Total          int64 // of the last
}

// Lanes are all streams.
var Lanes = []Lane{
	{"escpos-encoder-en.bin", "escpos", 1, 1900},
	{"escpos-thermal-pl.bin", "escpos", 1, 5510},
	{"escpos-receiptline-ru.bin", "escpos", 1, 44290},
	{"escpos-plain-two.bin", "escpos", 2, 200},
	{"shtrih-sale.json", "shtrih", 1, 48800},
	{"shtrih-card.json", "shtrih", 1, 20000},
	{"posnet-plain.json", "posnet", 1, 5510},
	{"posnet-footer.json", "posnet", 1, 960},
}

// Turn is what a till sends at once, and what it waits for then: nothing, a
// byte, an answer (of a Shtrih-M register, with its ACK), or etx.
type Turn struct {
	Bytes []byte
	Wait  string
}

// Bytes is a stream as it stands in its file.
func Bytes(t testing.TB, file string) []byte {
	t.Helper()
	b, err := streams.ReadFile("streams/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Turns is a stream in turns. Plain ones are one turn, after the ESC @ of a
// till that is switched on.
func Turns(t testing.TB, file string) (out []Turn) {
	t.Helper()
	b := Bytes(t, file)
	if strings.HasSuffix(file, ".bin") {
		return []Turn{{Bytes: []byte("\x1b@")}, {Bytes: b}}
	}
	var raw []struct{ Send, Wait string }
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	for _, r := range raw {
		x, err := hex.DecodeString(r.Send)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Turn{x, r.Wait})
	}
	return out
}

// Sent is all the till sends.
func Sent(ts []Turn) (b []byte) {
	for _, tr := range ts {
		b = append(b, tr.Bytes...)
	}
	return b
}

// Cut cuts the turn in which byte n stands; at is the number of the turn that
// begins with it.
func Cut(ts []Turn, n int) (out []Turn, at int) {
	at = -1
	for _, tr := range ts {
		switch {
		case n < 0 || n >= len(tr.Bytes):
			out = append(out, tr)
		default:
			if n > 0 {
				out = append(out, Turn{Bytes: tr.Bytes[:n]})
			}
			at = len(out)
			out = append(out, Turn{tr.Bytes[n:], tr.Wait})
		}
		n -= len(tr.Bytes)
	}
	return out, at
}

// Play is the cash program: it sends turns, in pieces of at most step bytes,
// and waits as they say. It returns what it was answered.
func Play(t testing.TB, port *line.Port, ts []Turn, step int) (shown []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for _, tr := range ts {
		for b := tr.Bytes; len(b) > 0; {
			n := min(step, len(b))
			if _, err := port.Write(ctx, b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		got, err := wait(ctx, port, tr.Wait)
		if err != nil {
			t.Fatalf("after %x: shown %x: %v", tr.Bytes, got, err)
		}
		shown = append(shown, got...)
	}
	return shown
}

func wait(ctx context.Context, port *line.Port, what string) (got []byte, err error) {
	next := func() byte {
		var b [1]byte
		if err == nil {
			if _, err = port.Read(ctx, b[:]); err == nil {
				got = append(got, b[0])
			}
		}
		return b[0]
	}
	switch what {
	case "byte":
		next()
	case "etx":
		for err == nil && next() != 3 {
		}
	case "answer":
		if next() != 6 {
			return got, fmt.Errorf("no ACK: %w", io.ErrUnexpectedEOF)
		}
		next()
		for n := int(next()) + 1; n > 0 && err == nil; n-- {
			next()
		}
	}
	return got, err
}

// Tap is a printer that writes down what it has taken.
type Tap struct {
	emulator.Machine
	text func() string
	mu   sync.Mutex
	b    []byte
}

// Printer makes an emulated printer of a protocol.
func Printer(protocol string) *Tap {
	switch protocol {
	case "shtrih":
		// On a busy machine half a frame may be long on its way.
		p := shtrih.New(shtrih.Options{Gap: 10 * time.Second})
		return &Tap{Machine: fiscal.NewBridge(p), text: p.Text}
	case "posnet":
		p := posnet.New(posnet.Options{})
		return &Tap{Machine: fiscal.NewBridge(p), text: p.Text}
	}
	p := emulator.NewPrinter(emulator.PrinterSettings{Columns: 42})
	return &Tap{Machine: p, text: func() string { return p.Roll().All().Text(42) }}
}

// Receive implements emulator.Machine.
func (p *Tap) Receive(b []byte) {
	p.Machine.Receive(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.b = append(p.b, b...)
}

// Got is all the printer has taken.
func (p *Tap) Got() []byte { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.b) }

// Text is what stands on the paper.
func (p *Tap) Text() string { return p.text() }
