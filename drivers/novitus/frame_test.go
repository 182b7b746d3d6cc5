package novitus

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
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

// golden sequences were captured from an independent client or computed from
// the maker's manual.
var golden = []struct {
	name string
	s    Sequence
	hex  string
}{
	{"cash in", Sequence{[]int{0}, "#i", "100/"}, "1B 50 30 23 69 31 30 30 2F 39 42 1B 5C"},
	{"silent errors", Sequence{[]int{1}, "#e", ""}, "1B 50 31 23 65 38 38 1B 5C"},
	{"error query", Sequence{nil, "#n", ""}, "1B 50 23 6E 42 32 1B 5C"},
	{"begin", Sequence{[]int{1, 0}, "$h", ""}, "1B 50 31 3B 30 24 68 38 39 1B 5C"},
	{"sale", Sequence{[]int{1}, "$l", "\xa1urek\r2.00\rA/3.00/6.00/"},
		"1B 50 31 24 6C A1 75 72 65 6B 0D 32 2E 30 30 0D 41 2F 33 2E 30 30 2F 36 2E 30 30 2F 35 39 1B 5C"},
	{"club discount", Sequence{[]int{1}, "$n", "Rabat klubowy\r10/"},
		"1B 50 31 24 6E 52 61 62 61 74 20 6B 6C 75 62 6F 77 79 0D 31 30 2F 42 32 1B 5C"},
	{"card payment", Sequence{[]int{1, 1}, "$b", "5.40/\r"}, "1B 50 31 3B 31 24 62 35 2E 34 30 2F 0D 42 46 1B 5C"},
	{"end", Sequence{[]int{1, 0, 0, 1, 1, 1}, "$e", "Anna\r0.00/5.40/0.00/"},
		"1B 50 31 3B 30 3B 30 3B 31 3B 31 3B 31 24 65 41 6E 6E 61 0D 30 2E 30 30 2F 35 2E 34 30 2F 30 2E 30 30 2F 39 38 1B 5C"},
	{"cancel", Sequence{[]int{0}, "$e", ""}, "1B 50 30 24 65 38 45 1B 5C"},
	{"points total", Sequence{[]int{20, 2}, "$z", "1250\r"}, "1B 50 32 30 3B 32 24 7A 31 32 35 30 0D 41 31 1B 5C"},
	{"close footer", Sequence{[]int{28, 0}, "$z", ""}, "1B 50 32 38 3B 30 24 7A 41 30 1B 5C"},
	{"drawer", Sequence{[]int{1}, "$d", ""}, "1B 50 31 24 64 38 45 1B 5C"},
	{"report begins", Sequence{[]int{0, 1, 0, 0}, "$w", ""}, "1B 50 30 3B 31 3B 30 3B 30 24 77 39 36 1B 5C"},
	{"report line", Sequence{[]int{1, 0, 0, 0, 0, 0, 0}, "$w", "Saldo: 1250 pkt\r"},
		"1B 50 31 3B 30 3B 30 3B 30 3B 30 3B 30 3B 30 24 77 53 61 6C 64 6F 3A 20 31 32 35 30 20 70 6B 74 0D 39 36 1B 5C"},
	{"report ends", Sequence{[]int{1, 1, 0, 0}, "$w", ""}, "1B 50 31 3B 31 3B 30 3B 30 24 77 39 37 1B 5C"},
	{"status query", Sequence{[]int{22}, "#s", ""}, "1B 50 32 32 23 73 41 46 1B 5C"},
}

func TestGoldenSequences(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			want := unhex(t, g.hex)
			got, err := Encode(g.s)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("encode\n got % X\nwant % X", got, want)
			}
			s, err := Parse(want[2 : len(want)-2])
			if err != nil || !reflect.DeepEqual(s, g.s) {
				t.Errorf("parse: got %+v, %v, want %+v", s, err, g.s)
			}
		})
	}
	// The answer to #n has no check.
	got, err := EncodeBare(Sequence{[]int{1}, "#E", "0"})
	if want := unhex(t, "1B 50 31 23 45 30 1B 5C"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got % X, %v", got, err)
	}
	if s, err := Parse(got[2 : len(got)-2]); err != nil || s.Command != "#E" || s.Body != "0" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"": ErrSequence, "1": ErrSequence, "1$": ErrSequence, "1xh00": ErrSequence, "300$h00": ErrSequence, "1;;0$h00": ErrSequence,
		"1;0$h88": ErrCheck, "1;0$h": ErrCheck, "1;0$h8a": ErrCheck, "1$lab\x00": ErrSequence,
	} {
		if s, err := Parse([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%q: got %+v, %v, want %v", in, s, err, want)
		}
	}
	for _, in := range []string{"#n", "22#s", "#v", "1$d"} {
		if s, err := Parse([]byte(in)); err != nil || s.Body != "" {
			t.Errorf("%q without a check: got %+v, %v", in, s, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, s := range []Sequence{
		{}, {Command: "ab"}, {Command: "$1"}, {Command: "$h", Params: []int{256}}, {Command: "$h", Params: []int{-1}},
		{Command: "$l", Body: "a\x1bb"}, {Command: "$l", Body: strings.Repeat("x", maxSequence)},
	} {
		if b, err := Encode(s); !errors.Is(err, ErrData) {
			t.Errorf("%+v: got % X, %v", s, b, err)
		}
	}
}

func TestDecoder(t *testing.T) {
	var stream []byte
	stream = append(stream, ENQ, DLE)
	stream = append(stream, unhex(t, golden[4].hex)[:9]...) // half a sequence; the next ESC P cancels it
	stream = append(stream, unhex(t, golden[3].hex)...)
	stream = append(stream, esc, '\\', DLE) // closes nothing
	stream = append(stream, unhex(t, golden[8].hex)...)
	stream = append(stream, esc, 'P', '1', esc, 'x', ENQ)
	var got []Event
	var d Decoder
	for _, c := range stream {
		if ev, _, _ := d.Feed(c); ev != Nothing {
			got = append(got, ev)
		}
	}
	want := []Event{GotByte, GotByte, GotSequence, GotByte, GotSequence, BadSequence, GotByte}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	d.Feed(esc)
	d.Feed('P')
	bad := false
	for range maxSequence + 1 {
		ev, _, _ := d.Feed('a')
		bad = bad || ev == BadSequence
	}
	if !bad || d.Midway() {
		t.Error("an endless sequence is kept")
	}
}

func TestAmounts(t *testing.T) {
	for s, want := range map[string]int64{"3": 300, "3.5": 350, "3.05": 305, "-0.10": -10, "0,99": 99} {
		if got, ok := ParseAmount(s); !ok || got != want {
			t.Errorf("%q: got %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "-", ".5", "1.234", "1e3", "1.-2", "99999999999999"} {
		if got, ok := ParseAmount(s); ok {
			t.Errorf("%q: got %d", s, got)
		}
	}
	for v, want := range map[int64]string{2000: "2", 455: "0.455", 1500: "1.5", 1: "0.001"} {
		if got := Quantity(v); got != want {
			t.Errorf("%d: got %q", v, got)
		}
		if got, ok := ParseQuantity(want); !ok || got != v {
			t.Errorf("%q: got %d", want, got)
		}
	}
	for v, want := range map[int64]string{0: "0.00", 5: "0.05", -305: "-3.05"} {
		if got := Amount(v); got != want {
			t.Errorf("%d: got %q", v, got)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Decoder
		for _, c := range b {
			ev, s, _ := d.Feed(c)
			if ev != GotSequence {
				continue
			}
			out, err := Encode(s)
			if err != nil {
				continue
			}
			back, err := Parse(out[2 : len(out)-2])
			if err != nil || !reflect.DeepEqual(back, s) {
				t.Fatalf("%+v became %+v, %v", s, back, err)
			}
		}
	})
}
