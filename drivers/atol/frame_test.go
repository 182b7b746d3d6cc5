package atol

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Captured with an independent client as the host, or from its unit tests.
var golden = []struct{ name, id, data, wire string }{
	{"empty", "01", "", "FE 00 00 01 9D"},
	{"abort", "01", "C4", "FE 01 00 01 C4 F6"},
	{"state", "02", "C1 01 01 00 00 3F", "FE 06 00 02 C1 01 01 00 00 3F ED"},
	{"accepted", "02", "A1", "FE 01 00 02 A1 95"},
	{"state answer", "F0", "A6 01 44 30 01 26 11 23 07 40 00 49 12 34 56 78 39 30 31 00 00 12 00 05 00 00 00 00 00 00 02 05",
		"FE 20 00 F0 A6 01 44 30 01 26 11 23 07 40 00 49 12 34 56 78 39 30 31 00 00 12 00 05 00 00 00 00 00 00 02 05 D8"},
	{"acknowledge", "03", "C2 01", "FE 02 00 03 C2 01 C3"},
	{"device type", "04", "C1 01 02 00 00 A5", "FE 06 00 04 C1 01 02 00 00 A5 87"},
	{"device type answer", "F0", "A6 02 00 02 01 39 00 00 05 08 30 10 00 80 92 8E 8B 20 33 30 94",
		"FE 15 00 F0 A6 02 00 02 01 39 00 00 05 08 30 10 00 80 92 8E 8B 20 33 30 94 A2"},
	{"enter mode", "08", "C1 01 04 00 00 56 01 00 00 00 30", "FE 0B 00 08 C1 01 04 00 00 56 01 00 00 00 30 08"},
	{"done", "F0", "A6 04 55 00 00", "FE 05 00 F0 A6 04 55 00 00 BA"},
	{"text", "09", "C1 01 05 00 00 4C 81 A0 AB A0 AD E1 3A 20 31 32 35 30", "FE 12 00 09 C1 01 05 00 00 4C 81 A0 AB A0 AD E1 3A 20 31 32 35 30 FA"},
	{"cut", "0B", "C1 01 06 00 00 75 01", "FE 07 00 0B C1 01 06 00 00 75 01 E3"},
	{"leave mode", "0E", "C1 01 07 00 00 48", "FE 06 00 0E C1 01 07 00 00 48 A3"},
	{"stuffing", "02", "C1 00 03 00 00 4C 8F E0 A8 A2 A5 E2 FE FD", "FE 0E 00 02 C1 00 03 00 00 4C 8F E0 A8 A2 A5 E2 FD EE FD ED 43"},
	{"check that needs stuffing", "4B", "C2 FF", "FE 02 00 4B C2 FF FD EE"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		p := Packet{ID: unhex(t, g.id)[0], Data: unhex(t, g.data)}
		want := unhex(t, g.wire)
		got, err := p.Encode()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: % X, %v; want % X", g.name, got, err, want)
		}
		back, kind, n := Next(want)
		if kind != Good || n != len(want) || back.ID != p.ID || !bytes.Equal(back.Data, p.Data) {
			t.Errorf("%s: read as %v %+v, %d bytes", g.name, kind, back, n)
		}
		for i := 1; i < len(want); i++ {
			if _, kind, n := Next(want[:i]); kind != More || n != 0 {
				t.Errorf("%s: the first %d bytes are read as %v", g.name, i, kind)
			}
			bad := bytes.Clone(want)
			bad[i] ^= 0x20 // eight bits of check let one damage in 256 pass
			if p, kind, _ := Next(bad); kind == Good {
				t.Errorf("%s: byte %d damaged and read as %+v", g.name, i, p)
			}
		}
	}
}

func TestLongPacket(t *testing.T) {
	p := Packet{ID: 7, Data: bytes.Repeat([]byte{0xFD, 0x31}, 200)}
	wire, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if wire[1] != 400&0x7F || wire[2] != 400>>7 {
		t.Errorf("length bytes % X", wire[1:3])
	}
	if back, kind, n := Next(append(wire, 0x00)); kind != Good || n != len(wire) || !bytes.Equal(back.Data, p.Data) {
		t.Errorf("read as %v, %d bytes", kind, n)
	}
	if _, err := (Packet{Data: make([]byte, 3000)}).Encode(); err == nil {
		t.Error("3000 bytes were taken")
	}
}

func TestBCD(t *testing.T) {
	for _, c := range []struct {
		v    int64
		n    int
		want string
	}{{0, 2, "00 00"}, {30, 4, "00 00 00 30"}, {1234567890, 5, "12 34 56 78 90"}, {4500, 5, "00 00 00 45 00"}} {
		got := bcd(nil, c.v, c.n)
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%d: % X", c.v, got)
		}
		if back, err := unBCD(got); err != nil || back != c.v {
			t.Errorf("% X: %d, %v", got, back, err)
		}
	}
	if v, err := unBCD([]byte{0x1A}); err == nil {
		t.Errorf("1Ah is read as %d", v)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ text, bytes string }{
		{"Баланс: 1250", "81 A0 AB A0 AD E1 3A 20 31 32 35 30"}, {"№ 5", "24 20 35"}, {"Żółw", "5A 6F 6C 77"},
	} {
		if got := encode(c.text); !bytes.Equal(got, unhex(t, c.bytes)) {
			t.Errorf("%q: % X, want %s", c.text, got, c.bytes)
		}
	}
	if got := Decode(unhex(t, "24 81")); got != "№Б" {
		t.Errorf("decoded as %q", got)
	}
}

func FuzzNext(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.wire))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for len(rest) > 0 {
			p, kind, n := Next(rest)
			if n == 0 {
				if kind != More {
					t.Fatalf("%v takes no bytes", kind)
				}
				return
			}
			if kind == Good && p.ID < esc {
				again, err := p.Encode()
				if err != nil || !bytes.Equal(again, rest[:n]) {
					t.Fatalf("% X is read and written as % X, %v", rest[:n], again, err)
				}
			}
			rest = rest[n:]
		}
	})
}
