package shtrih

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "\n", ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func zeros(n int) string { return strings.Repeat("00", n) }

// Captured on a wire between an independent driver and a register's stand-in.
var golden = []struct{ name, body, frame string }{
	{"device type", "FC", "02 01 FC FD"},
	{"device type answer", "FC 00 00 00 01 03 04 00 D8 D2 D0 C8 D5 2D D4 D0 2D CA",
		"02 12 FC 00 00 00 01 03 04 00 D8 D2 D0 C8 D5 2D D4 D0 2D CA E1"},
	{"short status", "10 01 00 00 00", "02 05 10 01 00 00 00 14"},
	{"short status, password 30", "10 1E 00 00 00", "02 05 10 1E 00 00 00 0B"},
	{"short status answer", "10 00 01 C3 03 04 00 00 A0 D8 00 00 00 00 00 00",
		"02 10 10 00 01 C3 03 04 00 00 A0 D8 00 00 00 00 00 00 BD"},
	{"full status", "11 01 00 00 00", "02 05 11 01 00 00 00 15"},
	{"line", "17 01 00 00 00 02 C1 E0 EB E0 ED F1 3A 20 31 32 35 30 20 E1 E0 EB EB EE E2",
		"02 19 17 01 00 00 00 02 C1 E0 EB E0 ED F1 3A 20 31 32 35 30 20 E1 E0 EB EB EE E2 0A"},
	{"line answer", "17 00 01", "02 03 17 00 01 15"},
	{"padded line", "17 01 00 00 00 02 C1 E0 EB E0 ED F1 3A 20 31 32 35 30 20 E1 E0 EB EB EE E2" + zeros(21),
		"02 2E 17 01 00 00 00 02 C1 E0 EB E0 ED F1 3A 20 31 32 35 30 20 E1 E0 EB EB EE E2" + zeros(21) + "3D"},
	{"font line", "2F 01 00 00 00 02 01 D1 EF E0 F1 E8 E1 EE 21", "02 0F 2F 01 00 00 00 02 01 D1 EF E0 F1 E8 E1 EE 21 CB"},
	{"open sale", "8D 01 00 00 00 00", "02 06 8D 01 00 00 00 00 8A"},
	{"sale", "80 01 00 00 00 E8 03 00 00 00 94 11 00 00 00 01 00 00 00 00 D5 EB E5 E1" + zeros(36),
		"02 3C 80 01 00 00 00 E8 03 00 00 00 94 11 00 00 00 01 00 00 00 00 D5 EB E5 E1" + zeros(36) + "E8"},
	{"discount", "86 01 00 00 00 E2 04 00 00 00 00 00 00 00 D1 EA E8 E4 EA E0 20 EF EE 20 EA E0 F0 F2 E5" + zeros(25),
		"02 36 86 01 00 00 00 E2 04 00 00 00 00 00 00 00 D1 EA E8 E4 EA E0 20 EF EE 20 EA E0 F0 F2 E5" + zeros(25) + "86"},
	{"close", "85 01 00 00 00 50 C3 00 00 00" + zeros(61), "02 47 85 01 00 00 00 50 C3 00 00 00" + zeros(61) + "50"},
	{"close answer", "85 00 01 3E 49 00 00 00", "02 08 85 00 01 3E 49 00 00 00 FB"},
	{"closed already", "85 55", "02 02 85 55 D2"},
	{"feed", "29 01 00 00 00 02 03", "02 07 29 01 00 00 00 02 03 2E"},
	{"partial cut", "25 01 00 00 00 01", "02 06 25 01 00 00 00 01 23"},
	{"X report", "40 1E 00 00 00", "02 05 40 1E 00 00 00 5B"},
	{"shift parameters", "FF 40 1E 00 00 00", "02 06 FF 40 1E 00 00 00 A7"},
	{"not supported", "FF 37", "02 02 FF 37 CA"},
	{"full status answer", "11 00 1E 31 30 6D 00 16 06 07 01 0C 00 C3 03 04 00 00 32 30 05 00 01 02 03 18 0B 19 0A 14 1E 63 4E 61 BC 00 07 00 2A 08 01 0F 87 83 07 CB 01 00",
		"02 30 11 00 1E 31 30 6D 00 16 06 07 01 0C 00 C3 03 04 00 00 32 30 05 00 01 02 03 18 0B 19 0A 14 1E 63 4E 61 BC 00 07 00 2A 08 01 0F 87 83 07 CB 01 00 92"},
}

func TestGoldenFrames(t *testing.T) {
	for _, g := range golden {
		body, want := unhex(t, g.body), unhex(t, g.frame)
		got, err := Encode(body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: % X, %v; want % X", g.name, got, err, want)
		}
		tok, n := Next(want)
		if tok.Kind != Frame || n != len(want) || !bytes.Equal(tok.Body, body) {
			t.Errorf("%s: read as %v % X, %d bytes", g.name, tok.Kind, tok.Body, n)
		}
		for i := range want {
			if tok, n := Next(want[:i]); i > 0 && (tok.Kind != More || n != 0) {
				t.Errorf("%s: the first %d bytes are read as %v", g.name, i, tok.Kind)
			}
		}
		for i := 2; i < len(want); i++ {
			bad := bytes.Clone(want)
			bad[i] ^= 0x10
			if tok, _ := Next(bad); tok.Kind == Frame {
				t.Errorf("%s: byte %d damaged and not noticed", g.name, i)
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, n := range []int{0, 256} {
		if f, err := Encode(make([]byte, n)); err == nil {
			t.Errorf("%d bytes became % X", n, f)
		}
	}
}

func TestGoldenAlt(t *testing.T) {
	for _, g := range []struct {
		name  string
		frame AltFrame
		wire  string
	}{
		{"sync", AltFrame{Sync: true}, "8F 00 00 0F 1D"},
		{"device type as 6", AltFrame{Num: 6, Data: []byte{0xFC}}, "8F 03 00 06 00 FC ED 63"},
		{"short status", AltFrame{Num: 0x1234, Data: unhex(t, "10 1E 00 00 00")}, "8F 07 00 34 12 10 1E 00 00 00 F1 1D"},
		{"stuffing", AltFrame{Num: 1, Data: unhex(t, "8F 00 9F")}, "8F 05 00 01 00 9F 81 00 9F 83 05 47"},
		{"number without data", AltFrame{Num: 7, Data: nil}, ""},
	} {
		got, err := g.frame.Encode()
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		if g.wire != "" && !bytes.Equal(got, unhex(t, g.wire)) {
			t.Errorf("%s: % X, want %s", g.name, got, g.wire)
		}
		f, kind, n := NextAlt(got)
		if kind != Frame || n != len(got) || f.Sync != g.frame.Sync || f.Num != g.frame.Num || !bytes.Equal(f.Data, g.frame.Data) {
			t.Errorf("%s: read as %v %+v, %d bytes", g.name, kind, f, n)
		}
		for i := 1; i < len(got); i++ {
			if _, kind, n := NextAlt(got[:i]); kind != More || n != 0 {
				t.Errorf("%s: the first %d bytes are read as %v", g.name, i, kind)
			}
			bad := bytes.Clone(got)
			bad[i] ^= 0x04
			if f, kind, _ := NextAlt(bad); kind == Frame {
				t.Errorf("%s: byte %d damaged and read as %+v", g.name, i, f)
			}
		}
	}
}

// A damaged frame must not swallow the good one behind it.
func TestAltResync(t *testing.T) {
	good, _ := AltFrame{Num: 9, Data: []byte{0x10, 0x00}}.Encode()
	buf := append([]byte{0x00, 0x8F, 0x05, 0x00, 0x01}, good...)
	var found bool
	for len(buf) > 0 {
		f, kind, n := NextAlt(buf)
		if n == 0 {
			break
		}
		found = found || kind == Frame && f.Num == 9
		buf = buf[n:]
	}
	if !found {
		t.Error("the good frame was lost")
	}
}

func FuzzNext(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.frame))
	}
	f.Add([]byte{0xFF, ACK, STX, 0, STX, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for len(rest) > 0 {
			tok, n := Next(rest)
			if n == 0 {
				if tok.Kind != More {
					t.Fatalf("%v takes no bytes", tok.Kind)
				}
				return
			}
			if tok.Kind == Frame {
				again, err := Encode(tok.Body)
				if err != nil || !bytes.Equal(again, rest[:n]) {
					t.Fatalf("% X is read and written as % X, %v", rest[:n], again, err)
				}
			}
			rest = rest[n:]
		}
	})
}

func FuzzNextAlt(f *testing.F) {
	f.Add([]byte{0x8F, 0, 0, 0x0F, 0x1D})
	f.Add(unhex(f, "8F 05 00 01 00 9F 81 00 9F 83 05 47"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for len(rest) > 0 {
			fr, kind, n := NextAlt(rest)
			if n == 0 {
				if kind != More {
					t.Fatalf("%v takes no bytes", kind)
				}
				return
			}
			if kind == Frame {
				again, err := fr.Encode()
				if err != nil || !bytes.Equal(again, rest[:n]) {
					t.Fatalf("% X is read and written as % X, %v", rest[:n], again, err)
				}
			}
			rest = rest[n:]
		}
	})
}
