package follow

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/follow/followtest"
	"github.com/tillside/tillside/drivers/posnet"
	"github.com/tillside/tillside/drivers/shtrih"
)

// talk is a conversation written down: lines that begin with > are the till's,
// with < the printer's.
type talk struct {
	f   Follower
	at  uint64
	evs []Event
}

func (k *talk) till(b []byte) {
	k.evs = append(k.evs, k.f.Till(k.at, b, when)...)
	k.at += uint64(len(b))
}

func (k *talk) printer(b []byte) { k.evs = append(k.evs, k.f.Printer(b, when)...) }

func frame(t testing.TB, body ...byte) []byte {
	t.Helper()
	b, err := shtrih.Encode(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func le(v, n int) (b []byte) {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

var pw = []byte{1, 0, 0, 0}

// sale is the body of 80h.
func sale(name string, qty, price int) []byte {
	return join([]byte{0x80}, pw, le(qty, 5), le(price, 5), []byte{1, 0, 0, 0, 0}, []byte(name), make([]byte, 40-len(name)))
}

// say makes the register carry out a command.
func (k *talk) say(t testing.TB, body []byte, result ...byte) {
	k.till([]byte{shtrih.ENQ})
	k.printer([]byte{shtrih.NAK})
	k.till(frame(t, body...))
	k.printer(append([]byte{shtrih.ACK}, frame(t, join(body[:1], result)...)...))
	k.till([]byte{shtrih.ACK})
}

func shtrihClose85(cash, card, percent int) []byte {
	return join([]byte{0x85}, pw, le(cash, 5), le(card, 5), le(0, 10), le(percent, 2), make([]byte, 4), make([]byte, 40))
}

func TestShtrihTroubles(t *testing.T) {
	open := join([]byte{0x8D}, pw, []byte{0})
	begin := func() *talk {
		k := &talk{f: NewShtrih(ShtrihSettings{})}
		k.say(t, open, 0, 1)
		return k
	}
	check := func(name string, k *talk, want ...string) {
		t.Helper()
		if got := ends(k.evs); strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	done := "tea|1000|500|500|0\n= 500 cash 500"

	k := begin()
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.say(t, shtrihClose85(1000, 0, 0), join([]byte{0, 1}, le(500, 5))...)
	check("plain", k, done)

	k = begin() // the register repeats its answer, for the till's ACK was lost
	k.till(frame(t, sale("tea", 1000, 500)...))
	again := append([]byte{shtrih.ACK}, frame(t, 0x80, 0, 1)...)
	k.printer(again)
	k.till([]byte{shtrih.NAK, shtrih.ENQ})
	k.printer(again)
	k.printer(again)
	k.say(t, shtrihClose85(500, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	check("a repeated answer", k, done)

	k = begin() // the till repeats a frame that came damaged
	bad := frame(t, sale("tea", 1000, 500)...)
	bad[len(bad)-1] ^= 0xFF
	k.till(bad)
	k.printer([]byte{shtrih.NAK})
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.say(t, shtrihClose85(500, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	check("a repeated frame", k, done)

	k = begin() // refused: nothing was sold
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.say(t, sale("gold", 1000, 99900), 0x61)
	k.say(t, shtrihClose85(100, 0, 0), 0x45)
	k.say(t, shtrihClose85(500, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	check("refusals", k, done)

	k = begin() // an answer that never came: the sums tell
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.till(frame(t, sale("cake", 1000, 300)...))
	k.say(t, join([]byte{0x89}, pw), join([]byte{0, 1}, le(800, 5))...)
	k.say(t, shtrihClose85(800, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	check("a lost answer", k, "lines come to 5.00, the register says 8.00")

	k = begin() // a percent inside the close
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.say(t, shtrihClose85(450, 0, 1000), join([]byte{0, 1}, le(0, 5))...)
	check("a percent in the close", k, "a discount inside the close: no lines can be added", "tea|1000|500|500|50\n= 450 cash 450")
	for _, e := range k.evs {
		if e.Kind == Closing && e.Whole {
			t.Error("a place for lines whose sum nobody knows")
		}
	}

	k = &talk{f: NewShtrih(ShtrihSettings{})} // in the middle of things
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.say(t, shtrihClose85(500, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	k.say(t, sale("tea", 1000, 500), 0, 1) // idle since the close: a sale opens a receipt
	k.say(t, shtrihClose85(500, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	check("in the middle", k, done)

	k = begin() // a hole
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.till([]byte{shtrih.STX})
	k.at += 7
	k.till([]byte{shtrih.ENQ})
	check("a hole", k, "bytes of the till are missing")

	k = begin() // switched off: the register says that nothing is open
	k.say(t, sale("tea", 1000, 500), 0, 1)
	k.say(t, join([]byte{0x10}, pw), 0, 1, 0xC3, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	check("gone by itself", k, "cancelled")
}

// TestShtrihStorage is the generation that sells by FF46h.
func TestShtrihStorage(t *testing.T) {
	k := &talk{f: NewShtrih(ShtrihSettings{})}
	two := func(body []byte, result ...byte) {
		k.till([]byte{shtrih.ENQ})
		k.printer([]byte{shtrih.NAK})
		k.till(frame(t, body...))
		k.printer(append([]byte{shtrih.ACK}, frame(t, join(body[:2], result)...)...))
		k.till([]byte{shtrih.ACK})
	}
	k.say(t, join([]byte{0x8D}, pw, []byte{0}), 0, 1)
	ff := bytes.Repeat([]byte{0xFF}, 5)
	two(join([]byte{0xFF, 0x46}, pw, []byte{1}, le(1_500_000, 6), le(1000, 5), ff, ff, []byte{1, 1, 4, 1}, []byte("//tea")), 0)
	two(join([]byte{0xFF, 0x45}, pw, le(0, 5), le(1500, 5), make([]byte, 14*5), []byte{0}, make([]byte, 30), []byte{1}), join([]byte{0}, le(0, 5), le(4321, 4), le(77, 4))...)
	if got := ends(k.evs); strings.Join(got, ";") != "tea|1500|1000|1500|0\n= 1500 card 1500 #4321" {
		t.Errorf("%q", got)
	}
	for _, e := range k.evs {
		if e.Kind == Closing && e.Whole {
			return
		}
	}
	t.Error("no place for lines")
}

// TestShtrihAlternative: numbered commands are read, repeated ones once, and no
// place for lines is offered.
func TestShtrihAlternative(t *testing.T) {
	k := &talk{f: NewShtrih(ShtrihSettings{})}
	alt := func(num uint16, data []byte) []byte {
		b, err := shtrih.AltFrame{Num: num, Data: data}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	num := uint16(5)
	say := func(body []byte, result ...byte) {
		num++
		k.till(alt(num, body))
		k.printer(alt(num, join(body[:1], result)))
		k.till(alt(num, body)) // and once more
		k.printer(alt(num, join(body[:1], result)))
	}
	say(join([]byte{0x8D}, pw, []byte{0}), 0, 1)
	say(sale("tea", 1000, 500), 0, 1)
	say(shtrihClose85(500, 0, 0), join([]byte{0, 1}, le(0, 5))...)
	if got := ends(k.evs); len(got) != 2 || got[1] != "tea|1000|500|500|0\n= 500 cash 500" {
		t.Errorf("%q", got)
	}
	for _, e := range k.evs {
		if e.Kind == Closing {
			t.Error("a place for lines")
		}
	}
}

func TestPosnetTroubles(t *testing.T) {
	run := func(lines ...string) []string {
		f, err := NewPosnet(PosnetSettings{})
		if err != nil {
			t.Fatal(err)
		}
		k := &talk{f: f}
		for _, l := range lines {
			m, err := posnet.Parse(withCRC(strings.ReplaceAll(l[1:], "|", "\t")))
			if err != nil {
				t.Fatal(l, err)
			}
			b, err := posnet.Encode(m)
			if err != nil {
				t.Fatal(l, err)
			}
			if l[0] == '>' {
				k.till(b)
			} else {
				k.printer(b)
			}
		}
		return ends(k.evs)
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"queued", []string{">trinit|", ">trline|natea|vt0|pr500|", ">trend|to500|", "<trinit|", "<trline|", "<trend|"}, "tea|1000|500|500|0\n= 500 cash 500"},
		{"refused line", []string{">trinit|", "<trinit|", ">trline|natea|vt0|pr500|", "<trline|", ">trline|nax|vt9|pr1|", "<trline|?2000", ">trend|to500|", "<trend|"}, "tea|1000|500|500|0\n= 500 cash 500"},
		{"frame error", []string{">trinit|", "<trinit|", ">trline|nax|", "<ERR|?2|cmtrline|", ">trline|natea|vt0|pr500|", "<trline|", ">trend|to500|", "<trend|"}, "tea|1000|500|500|0\n= 500 cash 500"},
		{"sums differ", []string{">trinit|", "<trinit|", ">trline|natea|vt0|pr500|", "<trline|", ">trend|to600|", "<trend|"}, "lines come to 5.00, the till says 6.00"},
		{"cancelled", []string{">trinit|", "<trinit|", ">trline|natea|vt0|pr500|", "<trline|", ">prncancel|", "<prncancel|"}, "cancelled"},
		{"one tax rate", []string{">trinit|", "<trinit|", ">trline|natea|vt0|pr500|", "<trline|", ">trdiscntvat|vt0|rd1|rp1000|", "<trdiscntvat|"}, "a discount of one tax rate"},
		{"middle", []string{">trline|natea|vt0|pr500|", "<trline|", ">trend|to500|", "<trend|"}, ""},
		{"invoice", []string{">trfvinit|nb1|", "<trfvinit|", ">trline|natea|vt0|pr500|", "<trline|", ">trend|to500|", "<trend|"}, "a document that is no receipt"},
		{"surcharge", []string{">trinit|", "<trinit|", ">trline|natea|vt0|pr500|rd0|rw50|", "<trline|", ">trpayment|ty2|wa550|re0|", "<trpayment|", ">trend|to550|fp550|", "<trend|"}, "tea|1000|500|500|-50\n= 550 card 550"},
		{"foot never ended", []string{">trinit|", "<trinit|", ">trline|natea|vt0|pr500|", "<trline|", ">trend|to500|fe0|", "<trend|", ">trinit|", "<trinit|"}, "tea|1000|500|500|0\n= 500 cash 500"},
	} {
		if got := strings.Join(run(c.lines...), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func withCRC(s string) []byte { return fmt.Appendf(nil, "%s#%04X", s, posnet.CRC([]byte(s))) }

// both gives a follower the bytes of both sides, in pieces: the first bit of
// each length byte says whose they are.
func both(f Follower, b []byte, step int) (out string) {
	at := uint64(0)
	note := func(evs []Event) {
		for _, e := range evs {
			switch e.Kind {
			case Closed:
				out += told(e.Receipt) + "\n"
				if e.Receipt.Net() != e.Receipt.Total {
					panic("does not add up: " + told(e.Receipt))
				}
			case Closing:
				if _, err := e.Add([]drivers.Block{drivers.Text{Text: "Bonus: 5 & 6"}}); err != nil {
					panic(err)
				}
				if e.Whole {
					out += fmt.Sprint("at ", e.At, "\n")
				}
			}
		}
	}
	for len(b) > 1 {
		n := min(int(b[0]>>1), len(b)-1)
		who, piece := b[0]&1, b[1:1+n]
		b = b[1+n:]
		for len(piece) > 0 {
			k := min(step, len(piece))
			if who == 0 {
				note(f.Till(at, piece[:k], when))
				at += uint64(k)
			} else {
				note(f.Printer(piece[:k], when))
			}
			piece = piece[k:]
		}
	}
	note(f.Gap("end"))
	return out
}

// script writes a stream's turns in the form of both, with answers.
func seeds(f *testing.F, protocol string, answer func(till []byte) []byte) {
	for _, l := range followtest.Lanes {
		if l.Protocol != protocol {
			continue
		}
		var b []byte
		put := func(who byte, p []byte) {
			for len(p) > 0 {
				n := min(127, len(p))
				b = append(append(b, byte(n)<<1|who), p[:n]...)
				p = p[n:]
			}
		}
		for _, tr := range followtest.Turns(f, l.File) {
			put(0, tr.Bytes)
			put(1, answer(tr.Bytes))
		}
		f.Add(b)
	}
}

// FuzzShtrih: nothing makes it stop, pieces make no difference, and what it
// takes for a receipt adds up.
func FuzzShtrih(f *testing.F) {
	seeds(f, "shtrih", func(till []byte) []byte {
		if till[0] == shtrih.ENQ {
			return []byte{shtrih.NAK}
		}
		if tok, _ := shtrih.Next(till); tok.Kind == shtrih.Frame {
			answer := join([]byte{tok.Body[0], 0, 1}, make([]byte, 13))
			return append([]byte{shtrih.ACK}, frame(f, answer...)...)
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 8192 {
			return
		}
		if x, y := both(NewShtrih(ShtrihSettings{}), b, 1), both(NewShtrih(ShtrihSettings{}), b, 127); x != y {
			t.Errorf("by bytes:\n%s\nwhole:\n%s", x, y)
		}
	})
}

// FuzzPosnet is the same for Posnet.
func FuzzPosnet(f *testing.F) {
	seeds(f, "posnet", func(till []byte) []byte {
		name, _, _ := bytes.Cut(till[1:], []byte("\t"))
		b, err := posnet.Encode(posnet.Message{Command: string(name)})
		if err != nil {
			f.Fatal(err)
		}
		return b
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 8192 {
			return
		}
		make := func() Follower {
			fo, err := NewPosnet(PosnetSettings{})
			if err != nil {
				t.Fatal(err)
			}
			return fo
		}
		if x, y := both(make(), b, 1), both(make(), b, 127); x != y {
			t.Errorf("by bytes:\n%s\nwhole:\n%s", x, y)
		}
	})
}

// TestStreamsAreIndependent: the checks of the hand-written generators agree
// with ours, which no line of theirs has seen.
func TestStreamsAreIndependent(t *testing.T) {
	var turns []struct{ Send string }
	for _, l := range followtest.Lanes {
		if l.Protocol == "escpos" {
			continue
		}
		if err := json.Unmarshal(followtest.Bytes(t, l.File), &turns); err != nil {
			t.Fatal(err)
		}
		good := 0
		for _, tr := range turns {
			b, err := hex.DecodeString(tr.Send)
			if err != nil {
				t.Fatal(err)
			}
			if l.Protocol == "posnet" {
				if _, err := posnet.Parse(b[1 : len(b)-1]); err == nil {
					good++
				}
			} else if tok, n := shtrih.Next(b); n == len(b) && (tok.Kind == shtrih.Frame || tok.Kind == shtrih.Control) {
				good++
			}
		}
		if good < len(turns)-1 { // one is damaged on purpose
			t.Errorf("%s: %d of %d turns have a right check", l.File, good, len(turns))
		}
	}
}

// TestHalfAFrameIsGivenUp after a time no line needs.
func TestHalfAFrameIsGivenUp(t *testing.T) {
	f := NewShtrih(ShtrihSettings{}).(*shtrihFollower)
	k := &talk{f: f}
	k.say(t, join([]byte{0x8D}, pw, []byte{0}), 0, 1)
	half := frame(t, sale("tea", 1000, 500)...)[:10]
	f.Till(k.at, half, when)
	k.at += uint64(len(half))
	later := when.Add(2 * time.Second)
	b := join([]byte{shtrih.ENQ}, frame(t, sale("tea", 1000, 500)...))
	f.Till(k.at, b, later)
	if evs := f.Printer(join([]byte{shtrih.NAK, shtrih.ACK}, frame(t, 0x80, 0, 1)), later); len(evs) != 1 || evs[0].Kind != Changed || len(f.r.Lines) != 1 {
		t.Errorf("%+v", evs)
	}
}
