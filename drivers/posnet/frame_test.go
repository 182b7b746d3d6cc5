package posnet

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

// golden frames: captured on a wire from an independent client, or printed in
// the maker's specification.
var golden = []struct {
	name string
	msg  Message
	hex  string
}{
	{"trinit", Message{Command: "trinit", Params: []Param{{"bm", "0"}}},
		"02 74 72 69 6E 69 74 09 62 6D 30 09 23 34 38 32 35 03"},
	{"trinit done", Message{Command: "trinit"}, "02 74 72 69 6E 69 74 09 23 39 31 31 44 03"},
	{"line in CP1250", Message{Command: "trline", Params: []Param{{"na", "\xafurek"}, {"vt", "0"}, {"pr", "2000"}, {"il", "1"}, {"wa", "2000"}}},
		"02 74 72 6C 69 6E 65 09 6E 61 AF 75 72 65 6B 09 76 74 30 09 70 72 32 30 30 30 09 69 6C 31 09 77 61 32 30 30 30 09 23 39 42 38 42 03"},
	{"line done", Message{Command: "trline"}, "02 74 72 6C 69 6E 65 09 23 35 36 42 35 03"},
	{"card payment", Message{Command: "trpayment", Params: []Param{{"ty", "2"}, {"wa", "2000"}, {"re", "0"}}},
		"02 74 72 70 61 79 6D 65 6E 74 09 74 79 32 09 77 61 32 30 30 30 09 72 65 30 09 23 31 41 31 34 03"},
	{"end", Message{Command: "trend", Params: []Param{{"to", "2000"}, {"fp", "2000"}, {"re", "0"}, {"fe", "1"}}},
		"02 74 72 65 6E 64 09 74 6F 32 30 30 30 09 66 70 32 30 30 30 09 72 65 30 09 66 65 31 09 23 33 46 38 37 03"},
	{"daily report", Message{Command: "dailyrep"}, "02 64 61 69 6C 79 72 65 70 09 23 39 31 38 30 03"},
	{"wrong check", Message{Command: "ERR", Refused: true, Refusal: 5}, "02 45 52 52 09 3F 35 09 23 37 46 38 34 03"},
	{"refusal", Message{Command: "trline", Refused: true, Refusal: 2005}, "02 74 72 6C 69 6E 65 09 3F 32 30 30 35 23 39 42 37 33 03"},
}

func TestGoldenFrames(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			want := unhex(t, g.hex)
			got, err := Encode(g.msg)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("encode\n got % X\nwant % X", got, want)
			}
			m, err := Parse(want[1 : len(want)-1])
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(m, g.msg) {
				t.Errorf("parse: got %+v, want %+v", m, g.msg)
			}
		})
	}
}

// TestGoldenChecks has the check of whole command texts.
func TestGoldenChecks(t *testing.T) {
	for text, want := range map[string]uint16{
		"123456789": 0x31C3,
		"sid\t":     0x8A94, "sdev\t": 0x233A, "!sdev\t": 0x5392, "!sprn\t": 0xCEED, "scomm\t": 0xC42B,
		"factorynumberget\t": 0xA6B0, "prnwidthget\t": 0x2473, "rtcget\t": 0x7D61,
		"formstart\tfn200\t": 0x7A8D, "formline\tfn200\tfl664\ts1Saldo: 1250 pkt\t": 0x2E57, "formend\tfn200\t": 0x73B1,
		"trinit\t@0007\tbm0\t": 0x3DEE, "trsubtot\t": 0x65D5, "trdiscntbill\tnaRABAT\trd1\trw50\t": 0xBE05,
		"trpayment\tty0\twa1000\tre0\t": 0xBD96, "trend\tto400\tfp1000\tre600\tfe0\t": 0xD6F6,
		"trftrln\tid2\tna1250\t": 0x3AA1, "trftrend\t": 0x33A3, "prncancel\t": 0x6B3B, "papfeed\tln3\t": 0x6661,
		"opendrwr\t": 0x5836, "rpt\t@0007\t": 0xBCE4, "dsptxtline\tid0\tno0\tlnPunkty: 1250\t": 0x05C5,
		"rtcset\tda2016-09-22,12:05\t": 0x8534,
	} {
		if got := CRC([]byte(text)); got != want {
			t.Errorf("%q: got %04X, want %04X", text, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	frame := func(text string) []byte {
		return []byte(text + "#" + strings.ToUpper(hex.EncodeToString([]byte{byte(CRC([]byte(text)) >> 8), byte(CRC([]byte(text)))})))
	}
	for _, c := range []struct {
		name string
		body []byte
		want int
	}{
		{"no check", []byte("sid\t"), FrameNoChecksum},
		{"short check", []byte("sid\t#8A9"), FrameNoChecksum},
		{"wrong check", []byte("sid\t#8A95"), FrameBadCRC},
		{"no hex", []byte("sid\t#8AZ4"), FrameBadCRC},
		{"no tab after mnemonic", frame("sid"), FrameUnknownCommand},
		{"short token", frame("sid\t@12\t"), FrameBadToken},
		{"two tokens", frame("sid\t@0012\t@0013\t"), FrameBadToken},
		{"one letter", frame("sid\ta\t"), FrameNoMnemonic},
		{"no tab after parameter", frame("sid\tab1"), FrameNoMnemonic},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.body)
			var fe *FrameError
			if !errors.As(err, &fe) || fe.Number != c.want {
				t.Errorf("got %v, want frame error %d", err, c.want)
			}
		})
	}
	// Both forms of a refusal are read, and a '#' inside a value too.
	for _, text := range []string{"trline\t?2005", "trline\t?2005\t", "trline\t@0001\t?2005\t"} {
		m, err := Parse(frame(text))
		if err != nil || !m.Refused || m.Refusal != 2005 {
			t.Errorf("%q: got %+v, %v", text, m, err)
		}
	}
	if m, err := Parse(frame("trline\tnaMilk #1\t")); err != nil || m.Text("na") != "Milk #1" {
		t.Errorf("'#' in a value: got %+v, %v", m, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, m := range []Message{
		{}, {Command: "a\tb"}, {Command: "sid", Token: "12"}, {Command: "sid", Token: "12a4"},
		{Command: "trline", Params: []Param{{"n", "x"}}}, {Command: "trline", Params: []Param{{"na", "a\tb"}}},
		{Command: "trline", Params: []Param{{"na", "a\x03b"}}}, {Command: "trline", Params: []Param{{"@a", "1"}}},
		{Command: "qrcode", Params: []Param{{"tx", strings.Repeat("x", maxFrame)}}},
	} {
		if b, err := Encode(m); !errors.Is(err, ErrFrame) {
			t.Errorf("%+v: got % X, %v", m, b, err)
		}
	}
}

func TestDecoderFindsFramesInNoise(t *testing.T) {
	var stream []byte
	stream = append(stream, 0x00, 0xff, etx)
	stream = append(stream, unhex(t, golden[0].hex)[:7]...) // half a frame
	for _, g := range golden {
		stream = append(stream, unhex(t, g.hex)...)
		stream = append(stream, 'x')
	}
	var d Decoder
	var got []Message
	for _, c := range stream {
		if m, err, done := d.Feed(c); done {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m)
		}
	}
	if len(got) != len(golden) {
		t.Fatalf("got %d frames, want %d", len(got), len(golden))
	}
	for i, g := range golden {
		if !reflect.DeepEqual(got[i], g.msg) {
			t.Errorf("%s: got %+v", g.name, got[i])
		}
	}
	if d.Skipped() != 3+6+len(golden) {
		t.Errorf("skipped %d", d.Skipped())
	}
	// A frame that never ends is given up, not kept for ever.
	d.Reset()
	d.Feed(stx)
	var err error
	for range maxFrame + 1 {
		if _, e, done := d.Feed('a'); done {
			err = e
		}
	}
	var fe *FrameError
	if !errors.As(err, &fe) || fe.Number != FrameBufferFull || d.Midway() {
		t.Errorf("endless frame: got %v, midway %v", err, d.Midway())
	}
}

func FuzzDecoder(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Decoder
		for _, c := range b {
			m, err, done := d.Feed(c)
			if !done || err != nil {
				continue
			}
			out, err := Encode(m)
			if err != nil {
				continue // a frame may hold bytes that we would never send
			}
			var d2 Decoder
			for i, c := range out {
				m2, err, done := d2.Feed(c)
				if done != (i == len(out)-1) || err != nil || done && !reflect.DeepEqual(m, m2) {
					t.Fatalf("%+v became %+v, %v", m, m2, err)
				}
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for b.Loop() {
		if _, err := Encode(golden[2].msg); err != nil {
			b.Fatal(err)
		}
	}
}
