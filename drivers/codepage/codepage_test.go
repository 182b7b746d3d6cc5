package codepage

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"unicode"
)

func TestKnownBytes(t *testing.T) {
	// Bytes as the protocol notes give them for these pages.
	cases := []struct{ page, text, hex string }{
		{"cp866", "КЛУБ", "8a8b9381"},
		{"cp866", "Баланс: 1250 баллов", "81a0aba0ade13a203132353020a1a0ababaea2"},
		{"cp1251", "Баланс: 1250", "c1e0ebe0edf13a2031323530"},
		{"cp1250", "Żurek", "af7572656b"},
		{"mazovia", "Żurek", "a17572656b"},
		{"mazovia", "ąćęłńóśźż ĄĆĘŁŃÓŚŹŻ", "868d9192a4a29ea6a7208f95909ca5a398a0a1"},
		{"cp852", "Zażółć", "5a61bea28886"},
	}
	for _, c := range cases {
		if got := hex.EncodeToString(Must(c.page).Encode(c.text)); got != c.hex {
			t.Errorf("%s %q: got %s, want %s", c.page, c.text, got, c.hex)
		}
	}
}

func TestTransliterate(t *testing.T) {
	cases := []struct{ page, text, want string }{
		{"cp866", "Zażółć gęślą jaźń", "Zazolc gesla jazn"},
		{"cp852", "Щука и Юля", "Shchuka i Yulya"},
		{"ascii", "Łódź — 5 €", "Lodz - 5 EUR"},
		{"cp866", "Қазақ «банк»", `Казак "банк"`},
		{"cp437", "Анна", "Anna"},
		{"cp1252", "½ kg…", "½ kg…"},
		{"cp866", "100 ₽", "100 р."},
		{"cp850", "100 ₽", "100 RUB"},
		{"cp866", "日本", "??"},
		{"mazovia", "Ольга, ЧЕК № 5, Чек, ПОДЪЁМ Щ", "Olga, CHEK N 5, Chek, PODEM Shch"},
		{"cp852", "Ж. Я", "Zh. Ya"},
		{"cp866", "Γιώργος", "Giorgos"},
		{"cp866", "თამარ", "тамар"},
		{"cp852", "Գոհար", "Gohar"},
		{"cp866", "Anna ❤\ufe0f", "Anna <3"},
		{"cp852", "🎂 👍🏽 👨\u200d👩\u200d👧 🇵🇱 🙂", "* * * PL :)"},
		{"cp866", "ＡＢＣ１２", "ABC12"},
		{"cp866", "е\u0301ль", "ель"},
		{"cp852", "e\u0301te\u0301", "été"}, // combining accents
		{"cp1251", "a\u00a0b", "a\u00a0b"},
		{"ascii", "a\u00a0b\u2009c", "a b c"},
	}
	for _, c := range cases {
		if got := Must(c.page).Fits(c.text); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.page, c.text, got, c.want)
		}
	}
}

func TestColumnsStayInLine(t *testing.T) {
	// Щ is four letters: the sum must stay at the right edge.
	line := "Щи" + strings.Repeat(" ", 20) + "12.50"
	got := Must("cp437").Fits(line)
	if len(got) != len([]rune(line)) || !strings.HasPrefix(got, "Shchi ") || !strings.HasSuffix(got, " 12.50") {
		t.Errorf("got %q", got)
	}
	// A single blank is a word gap and stays.
	if got := Must("cp437").Fits("Щи да каша"); got != "Shchi da kasha" {
		t.Errorf("got %q", got)
	}
}

func TestLineIsExact(t *testing.T) {
	p := Must("cp866")
	for _, s := range []string{"", "Анна", strings.Repeat("Щ", 50), "a\x1bb"} {
		if b := p.Line(s, 20); len(b) != 20 {
			t.Errorf("%q: %d bytes", s, len(b))
		}
	}
}

func TestLookup(t *testing.T) {
	for _, n := range []string{"CP866", "windows-1251", " cp437 "} {
		if _, err := Lookup(n); err != nil {
			t.Error(err)
		}
	}
	if _, err := Lookup("cp999"); err == nil || !strings.Contains(err.Error(), "cp866") {
		t.Errorf("an unknown page must name the known ones, got %v", err)
	}
}

func TestEveryPageGoesRound(t *testing.T) {
	for _, n := range Names() {
		p := Must(n)
		for r, b := range p.to {
			if got := p.Encode(string(r)); !bytes.Equal(got, []byte{b}) && !unicode.Is(unicode.Mn, r) {
				t.Errorf("%s: %q: got %x, want %02x", n, r, got, b)
			}
			if p.Decode([]byte{b}) != string(r) {
				t.Errorf("%s: %02x: got %q, want %q", n, b, p.Decode([]byte{b}), r)
			}
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("cp866", "Баланс \x1b@\x00 Żółć 日本 \u0301")
	f.Add("mazovia", "\xff\xfe\u202e")
	f.Fuzz(func(t *testing.T, page, s string) {
		p, err := Lookup(page)
		if err != nil {
			p = Must("cp437")
		}
		for _, b := range p.Encode(s) {
			if b < 0x20 || b == 0x7F {
				t.Fatalf("control byte %02x got through", b)
			}
		}
	})
}
