package barcode

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/line/linetest"
)

func rules(change func(*Rules)) Rules {
	r := Rules{End: "auto", AIM: true, Check: "auto", Min: 3, Repeat: 1500 * time.Millisecond}
	if change != nil {
		change(&r)
	}
	return r
}

func TestReadings(t *testing.T) {
	gs := "\x1d"
	cases := []struct {
		name, raw, text, symbology string
		err                        error
		change                     func(*Rules)
	}{
		{name: "AIM EAN-13", raw: "]E02000000125008", text: "2000000125008", symbology: "ean13"},
		{name: "AIM wrong check digit", raw: "]E02000000125007", err: ErrCheckDigit},
		{name: "plain thirteen digits need no check digit", raw: "2000000125007", text: "2000000125007"},
		{name: "EAN demanded", raw: "2000000125007", err: ErrCheckDigit, change: func(r *Rules) { r.Check = "ean" }},
		{name: "EAN-8", raw: "]E496385074", text: "96385074", symbology: "ean8"},
		{name: "two glued", raw: "20000001250084006381333931", err: ErrGlued},
		{name: "two glued with AIM", raw: "]E02000000125008]E04006381333931", err: ErrGlued},
		{name: "QR token", raw: "]Q1https://shop.example/c/AbC123", text: "https://shop.example/c/AbC123", symbology: "qr"},
		{name: "QR in Russian", raw: "]Q1Анна", text: "Анна", symbology: "qr"},
		{name: "no text", raw: "\xF3\x00\x00\x0B4006", err: ErrUnreadable},
		{name: "not UTF-8", raw: "ab\xC0\xE5", err: ErrUnreadable},
		{name: "too short", raw: "12", err: ErrTooShort},
		{name: "too long", raw: strings.Repeat("1", 5000), err: ErrTooLong},
		{name: "bank card", raw: "4000001234567899", err: ErrBankCard},
		{name: "bank card on a track", raw: "%B4000001234567899^IVANOVA/ANNA^2912?", err: ErrBankCard},
		{name: "bank card allowed", raw: "4000001234567899", text: "4000001234567899", change: func(r *Rules) { r.BankCards = true }},
		{name: "prefix", raw: "#12345", text: "12345", change: func(r *Rules) { r.Prefix = "#" }},
		{name: "prefix missing", raw: "12345", err: ErrPrefix, change: func(r *Rules) { r.Prefix, r.Required = "#", true }},
		{name: "a letter is no code id", raw: "d2000000125008", text: "d2000000125008"},
		{name: "bracket alone is no AIM id", raw: "]E0", text: "]E0"},
		{name: "GS1", raw: "]C101040063813339311735123110AB" + gs + "21X9", text: "01040063813339311735123110AB" + gs + "21X9", symbology: "gs1-128"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := rules(c.change).Read([]byte(c.raw))
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err != nil && s.Text != "" {
				t.Error("a refused reading still holds its text")
			}
			if err == nil && (s.Text != c.text || s.Symbology != c.symbology) {
				t.Errorf("got %q %q", s.Text, s.Symbology)
			}
		})
	}
}

func TestMasksMakeCards(t *testing.T) {
	ms, err := card.ParseMasks([]string{`2\d{12}`})
	if err != nil {
		t.Fatal(err)
	}
	r := rules(func(r *Rules) { r.Masks = ms })
	if s, _ := r.Read([]byte("2000000125008")); s.Card != "2000000125008" {
		t.Errorf("card %q", s.Card)
	}
	if s, _ := r.Read([]byte("4006381333931")); s.Card != "" {
		t.Errorf("goods were taken for the card %q", s.Card)
	}
}

func TestGS1(t *testing.T) {
	el, err := ParseGS1("0104006381333931" + "17351231" + "10AB\x1d" + "21X9" + "\x1d" + "8008260101120000")
	if err != nil {
		t.Fatal(err)
	}
	for ai, want := range map[string]string{"01": "04006381333931", "17": "351231", "10": "AB", "21": "X9", "8008": "260101120000"} {
		if el[ai] != want {
			t.Errorf("%s: got %q, want %q", ai, el[ai], want)
		}
	}
	for _, bad := range []string{"", "01", "0104006381333932", "99", "17351", "10\x1d21X", "xx12", "10A\x1d10B"} {
		if el, err := ParseGS1(bad); !errors.Is(err, ErrGS1) {
			t.Errorf("%q: got %v, %v", bad, el, err)
		}
	}
}

// scan feeds pieces at moments and collects the readings; "" is an idle gap.
func scan(t *testing.T, r Rules, pieces []string, step time.Duration) []string {
	t.Helper()
	d := NewDecoder(r)
	at := time.Unix(1000, 0)
	var out []string
	add := func(ss []drivers.Scan) {
		for _, s := range ss {
			out = append(out, s.Text)
		}
	}
	for _, p := range pieces {
		at = at.Add(step)
		if p == "" {
			add(d.Gap(at))
		} else {
			add(d.Feed([]byte(p), at))
		}
	}
	return out
}

func TestStream(t *testing.T) {
	card1, card2 := "2000000125008", "4006381333931"
	slow := strings.Split(card1+"\r", "")
	cases := []struct {
		name   string
		pieces []string
		step   time.Duration
		want   string
		change func(*Rules)
	}{
		{"CR LF", []string{card1 + "\r\n" + card2 + "\r\n"}, 0, card1 + "," + card2, nil},
		{"in pieces", []string{"200000", "0125008", "\r"}, 10 * time.Millisecond, card1, nil},
		{"no terminator, gap", []string{card1, "", card2, ""}, 100 * time.Millisecond, card1 + "," + card2, nil},
		{"one byte a second, CR known", append([]string{card2 + "\r"}, slow...), time.Second, card2 + "," + card1, nil},
		{"one byte a second, CR set", slow, time.Second, card1, func(r *Rules) { r.End = "cr" }},
		{"gaps end nothing once CR was seen", []string{card2 + "\r", "200000", "", "0125008\r"}, 100 * time.Millisecond, card2 + "," + card1, nil},
		{"lost terminator, then silence", []string{card2 + "\r", card1, card1 + "\r"}, 4 * time.Second, card2 + "," + card1, nil},
		{"lost terminator: glued is none", []string{card2 + "\r", card1 + card2 + "\r", card1 + "\r"}, 2 * time.Second, card2 + "," + card1, nil},
		{"STX ETX", []string{"\x02" + card1 + "\x03\r\n"}, 0, card1, nil},
		{"half a reading before STX", []string{"99999\x02" + card1 + "\x03"}, 0, card1, nil},
		{"repeated at once", []string{card1 + "\r" + card1 + "\r"}, 0, card1, nil},
		{"repeated after a while", []string{card1 + "\r", card1 + "\r"}, 2 * time.Second, card1 + "," + card1, nil},
		{"empty readings", []string{"\r\n\r\n\t\x03"}, 0, "", nil},
		{"megabyte", []string{strings.Repeat("7", 1<<20), "\r", card1 + "\r"}, time.Millisecond, card1, nil},
		{"TAB inside when CR ends", []string{"abc\tdef\r"}, 0, "abc\tdef", func(r *Rules) { r.End = "cr" }},
	}
	for _, c := range cases {
		if got := strings.Join(scan(t, rules(c.change), c.pieces, c.step), ","); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// The whole driver on a set clock: one byte a second without any terminator
// gives no card rather than a wrong one.
func TestOneByteASecondWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		reg := drivers.NewRegistry()
		reg.Add(Driver)
		dev, err := reg.Build(drivers.Config{Name: "s", Driver: "barcode", Port: "mem"}, drivers.Env{OpenLine: pipe.Open})
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, b := range []byte("2000000125008") {
			pipe.Device().Write([]byte{b})
			time.Sleep(time.Second)
		}
		dev.Close()
		for s := range dev.(*Reader).Scans() {
			t.Errorf("a reading of %d characters", len(s.Text))
		}
		pipe.Unplug()
	})
}

func TestSettingsAreChecked(t *testing.T) {
	reg := drivers.NewRegistry()
	reg.Add(Driver)
	err := reg.Check(drivers.Config{Name: "s", Driver: "barcode", Port: "tcp:x", Options: drivers.Options{
		"end": "bell", "gap": "soon", "min": "many", "colour": 1, "aim": "perhaps"}})
	for _, want := range []string{"end", "gap", "min", "colour", "aim", "port"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
	if err := reg.Check(drivers.Config{Name: "s", Driver: "barcode", Port: "COM1", Options: drivers.Options{"masks": []any{"("}}}); !errors.Is(err, drivers.BadSettings) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("]E02000000125008\r"), 5)
	f.Add([]byte("\x02;4000001234567899=2912?\x03"), 1)
	f.Add([]byte("]C1010400638133393110AB\x1d21X"), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		d := NewDecoder(rules(nil))
		at := time.Unix(0, 0)
		cut = max(1, cut%64)
		var all []drivers.Scan
		for len(b) > 0 {
			n := min(cut, len(b))
			all = append(all, d.Feed(b[:n], at)...)
			b, at = b[n:], at.Add(20*time.Millisecond)
		}
		for _, s := range append(all, d.Gap(at)...) {
			if s.Text == "" || len(s.Text) > 4*limit || card.Bank(s.Text) {
				t.Fatalf("bad reading of %d bytes", len(s.Text))
			}
		}
	})
}
