package escpos

import (
	"bytes"
	"testing"

	"github.com/tillside/tillside/drivers"
)

// TestStreamIsTakenApart: lengths of every kind of command, also unknown ones.
func TestStreamIsTakenApart(t *testing.T) {
	for _, c := range []struct {
		b    string
		name string
		n    int
	}{
		{"\x1b@x", "\x1b@", 2}, {"\x1bt\x11", "\x1bt", 3}, {"abc\n", "", 3}, {"\n", "\n", 1}, {"\x1dV\x00", "\x1dV", 3}, {"\x1dVA\x03", "\x1dV", 4},
		{"\x1dv0\x00\x02\x00\x03\x00", "\x1dv", 14}, {"\x1d(k\x04\x001A2\x00", "\x1d(k", 9}, {"\x1dk\x024006381333931\x00", "\x1dk", 17},
		{"\x1dkC\x0d4006381333931", "\x1dk", 17}, {"\x1b*\x21\x03\x00", "\x1b*", 14}, {"\x1bD\x08\x10\x00", "\x1bD", 5}, {"\x10\x04\x01", "\x10\x04", 3},
		{"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08", "\x10\x14", 10}, {"\x1bp\x00\x19\xfa", "\x1bp", 5}, {"\x1d8L\x01\x00\x00\x00", "\x1d8", 8},
		{"\x1cq\x01\x01\x00\x01\x00", "\x1cq", 15}, {"\x1b&\x03AB\x01", "\x1b&", 0}, {"\x1b&\x01AA\x02xy", "\x1b&", 8}, {"\x1b", "", 0}, {"\x1d(k\x04", "", 0},
		{"\x1b\x07z", "\x1b\x07", 3}, {"\x1dv0\x00\xff\xff\xff\xff", "\x1dv", 3},
	} {
		got, n := Next([]byte(c.b))
		if n != c.n || n > 0 && got.Name != c.name {
			t.Errorf("%q: %q %d, want %q %d", c.b, got.Name, n, c.name, c.n)
		}
	}
}

// TestBetweenLeavesTheStyle: after the lines the printer stands as before.
func TestBetweenLeavesTheStyle(t *testing.T) {
	pages, err := ParsePages("cp437=0 cp866=17 cp852=18")
	if err != nil {
		t.Fatal(err)
	}
	p := Profile{Columns: 42, Dots: 512, Pages: pages, NativeQR: true}
	for _, before := range []string{"", "\x1b@", "\x1b!\x38big", "\x1ba\x01\x1bt\x12\x1bE\x01text", "\x1d!\x11\x1dB\x01\x1b{\x01\x1bV\x01\n", "\x1dH\x02\x1dh\x40\x1dw\x02", "\x1b!\x01\x1d!\x22"} {
		style := Style{Known: true}
		follow := func(b []byte) {
			for len(b) > 0 {
				c, n := Next(b)
				if n == 0 {
					t.Fatalf("%q is not whole", b)
				}
				style.Follow(c)
				b = b[min(n, len(b)):]
			}
		}
		follow([]byte(before))
		was := style
		b, err := p.Between(style, 0, []drivers.Block{drivers.Text{Text: "Баланс: 12"}, drivers.Text{Text: "Cześć", Bold: true, Width: 2, Height: 2},
			drivers.Barcode{Symbology: drivers.EAN13, Data: "4006381333931", Align: drivers.Centre}, drivers.QR{Data: "x", Align: drivers.Right}})
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("\x1b@")) {
			t.Errorf("%q: the printer is initialised", before)
		}
		follow(b)
		was.Line, was.Paged = false, true
		if was.Tall == 0 {
			was.Tall, was.Module = 162, 3
		}
		if style != was {
			t.Errorf("%q: style %+v, was %+v", before, style, was)
		}
	}
}

// TestBetweenInTheDark: a style nobody has seen is not touched.
func TestBetweenInTheDark(t *testing.T) {
	pages, err := ParsePages("cp866=17")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Profile{Columns: 42, Pages: pages}.Between(Style{Line: true}, 0, []drivers.Block{drivers.Text{Text: "Баланс", Bold: true}, drivers.QR{Data: "x"}})
	if err != nil || string(b) != "\nBalans\n" {
		t.Errorf("%q %v", b, err)
	}
}

// FuzzStream: Next goes on through anything, and in pieces sees the same.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\x1b@\x1bt\x11\x1ba\x01Hello\n\x1dv0\x00\x01\x00\x02\x00ab\x1d(k\x03\x001Q0\x1dVB\x00"))
	f.Add([]byte("\x1b&\x03AZ\x1cq\x02\x1dk\x02\x10\x14\x08"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		names := func(step int) (out []string) {
			var buf []byte
			skip := 0
			for i := 0; i < len(b); i += step {
				piece := b[i:min(len(b), i+step)]
				k := min(skip, len(piece))
				skip -= k
				buf = append(buf, piece[k:]...)
				for len(buf) > 0 {
					c, n := Next(buf)
					if n == 0 {
						break
					}
					if n < 0 || len(c.Head) > n && c.Known {
						t.Fatalf("%x: %+v has %d bytes", buf, c, n)
					}
					if c.Name != "" { // text comes in other pieces
						out = append(out, c.Name)
					}
					skip = max(0, n-len(buf))
					buf = buf[min(n, len(buf)):]
				}
			}
			return out
		}
		whole, pieces := names(len(b)+1), names(1)
		if len(whole) != len(pieces) {
			t.Fatalf("%x: %q in one piece, %q byte by byte", b, whole, pieces)
		}
	})
}
