package pirit

import (
	"bytes"
	"encoding/hex"
	"slices"
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

// Captured while the maker's own sample drove a stand-in.
var goldenRequests = []struct {
	name   string
	id, cc byte
	fields []string // UTF-8
	wire   string
}{
	{"status flags", 0x23, 0x00, []string{""}, "02 50 49 52 49 23 30 30 1C 03 33 45"},
	{"printer state", 0x21, 0x04, []string{""}, "02 50 49 52 49 21 30 34 1C 03 33 38"},
	{"clock", 0x22, 0x13, []string{""}, "02 50 49 52 49 22 31 33 1C 03 33 44"},
	{"tax number", 0x24, 0x02, []string{"3"}, "02 50 49 52 49 24 30 32 33 1C 03 30 38"},
	{"open service document", 0x26, 0x30, []string{"1", "1"}, "02 50 49 52 49 26 33 30 31 1C 31 1C 03 32 34"},
	{"text", 0x27, 0x40, []string{"Текст"}, "02 50 49 52 49 27 34 30 92 A5 AA E1 E2 1C 03 41 30"},
	{"close", 0x28, 0x31, []string{"2"}, "02 50 49 52 49 28 33 31 32 1C 03 30 35"},
	{"open sale", 0x29, 0x30, []string{"2", "1", "Петров", "", "0", ""}, "02 50 49 52 49 29 33 30 32 1C 31 1C 8F A5 E2 E0 AE A2 1C 1C 30 1C 1C 03 33 43"},
	{"item", 0x2A, 0x42, []string{"Сахар", "", "1", "100", "4", "", "", ""}, "02 50 49 52 49 2A 34 32 91 A0 E5 A0 E0 1C 1C 31 1C 31 30 30 1C 34 1C 1C 1C 1C 03 38 44"},
	{"subtotal", 0x2C, 0x44, []string{""}, "02 50 49 52 49 2C 34 34 1C 03 33 31"},
	{"payment", 0x2D, 0x47, []string{"0", "1000", ""}, "02 50 49 52 49 2D 34 37 30 1C 31 30 30 30 1C 1C 03"},
	{"batch mode", 0x2F, 0x30, []string{"18", "1", "Петров", "", "0", ""}, "02 50 49 52 49 2F 33 30 31 38 1C 31 1C 8F A5 E2 E0 AE A2 1C 1C 30 1C 1C 03 30 31"},
	{"balance", 0x24, 0x40, []string{"Баланс: 1250", "0"}, "02 50 49 52 49 24 34 30 81 A0 AB A0 AD E1 3A 20 31 32 35 30 1C 30 1C 03 36 42"},
}

var goldenAnswers = []struct {
	name   string
	answer Answer
	wire   string
}{
	{"status flags", Answer{ID: 0x23, Fields: []string{"0", "4", "0"}}, "02 23 30 30 30 30 30 1C 34 1C 30 1C 03 30 38"},
	{"printer state", Answer{ID: 0x21, Command: 0x04, Fields: []string{"0"}}, "02 21 30 34 30 30 30 1C 03 30 41"},
	{"clock", Answer{ID: 0x22, Command: 0x13, Fields: []string{"231126", "073000"}}, "02 22 31 33 30 30 32 33 31 31 32 36 1C 30 37 33 30 30 30 1C 03 32 32"},
	{"tax number", Answer{ID: 0x24, Command: 0x02, Fields: []string{"3", "7701234567"}}, "02 24 30 32 30 30 33 1C 37 37 30 31 32 33 34 35 36 37 1C 03 31 36"},
	{"open service document", Answer{ID: 0x26, Command: 0x30}, "02 26 33 30 30 30 03 32 36"},
	{"text", Answer{ID: 0x27, Command: 0x40}, "02 27 34 30 30 30 03 32 30"},
}

func TestGoldenRequests(t *testing.T) {
	for _, g := range goldenRequests {
		want := unhex(t, g.wire)
		if g.name == "payment" {
			// The capture has two fields; a third, empty one is added here to
			// show that the check follows.
			two := unhex(t, "02 50 49 52 49 2D 34 37 30 1C 31 30 30 30 1C 03 31 45")
			r := Request{ID: g.id, Command: g.cc, Fields: g.fields[:2]}
			if got, err := r.Encode(); err != nil || !bytes.Equal(got, two) {
				t.Errorf("payment: % X, %v", got, err)
			}
			continue
		}
		r := Request{ID: g.id, Command: g.cc}
		for _, f := range g.fields {
			r.Fields = append(r.Fields, string(page.Encode(f)))
		}
		got, err := r.Encode()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: % X, %v; want % X", g.name, got, err, want)
		}
		tok, n := Next(want)
		if tok.Kind != Frame || n != len(want) {
			t.Fatalf("%s: read as %v, %d bytes", g.name, tok.Kind, n)
		}
		back, err := ParseRequest(tok.Body)
		if err != nil || back.ID != g.id || back.Command != g.cc || back.Password != Password {
			t.Errorf("%s: parsed as %+v, %v", g.name, back, err)
		}
		torn(t, g.name, want)
	}
}

func TestGoldenAnswers(t *testing.T) {
	for _, g := range goldenAnswers {
		want := unhex(t, g.wire)
		got, err := g.answer.Encode()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: % X, %v; want % X", g.name, got, err, want)
		}
		tok, _ := Next(want)
		a, err := ParseAnswer(tok.Body)
		if err != nil || a.ID != g.answer.ID || a.Command != g.answer.Command || !slices.Equal(a.Fields, g.answer.Fields) {
			t.Errorf("%s: parsed as %+v, %v", g.name, a, err)
		}
		torn(t, g.name, want)
	}
}

func torn(t *testing.T, name string, frame []byte) {
	t.Helper()
	for i := 1; i < len(frame); i++ {
		if tok, n := Next(frame[:i]); n != 0 {
			t.Errorf("%s: the first %d bytes are read as %v", name, i, tok.Kind)
		}
		bad := bytes.Clone(frame)
		bad[i] ^= 0x40
		if tok, _ := Next(bad); tok.Kind == Frame {
			t.Errorf("%s: byte %d damaged and not noticed", name, i)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, r := range []Request{
		{ID: 0x1F}, {ID: 0xF1}, {ID: 0x20, Password: "PIR"}, {ID: 0x20, Fields: []string{"a\x1Cb"}}, {ID: 0x20, Fields: []string{"\x03"}},
	} {
		if f, err := r.Encode(); err == nil {
			t.Errorf("%+v became % X", r, f)
		}
	}
	if got := Escape([]byte("a\x1D\x15")); got != "a$1D$15" {
		t.Errorf("escaped as %q", got)
	}
}

func FuzzNext(f *testing.F) {
	for _, g := range goldenRequests {
		f.Add(unhex(f, g.wire))
	}
	for _, g := range goldenAnswers {
		f.Add(unhex(f, g.wire))
	}
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
				if r, err := ParseRequest(tok.Body); err == nil {
					if again, err := r.Encode(); err == nil {
						back, _ := Next(again)
						if r2, err := ParseRequest(back.Body); err != nil || r2.Command != r.Command || !slices.Equal(trim(r2.Fields), trim(r.Fields)) {
							t.Fatalf("%+v came back as %+v, %v", r, r2, err)
						}
					}
				}
				ParseAnswer(tok.Body)
			}
			rest = rest[n:]
		}
	})
}

func trim(f []string) []string {
	for len(f) > 0 && f[len(f)-1] == "" {
		f = f[:len(f)-1]
	}
	return f
}
