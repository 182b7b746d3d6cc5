package receipt

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tillside/tillside/agent/loyalty"
)

var update = flag.Bool("update", false, "write the golden files anew")

// demo is an invented sale that has everything a slip can have.
func demo(lang string) (*loyalty.Receipt, *loyalty.Result) {
	names := map[string][3]string{
		"en": {"Coffee, ground, medium roast, 250 g pack", "Rye bread", "Apples"},
		"ru": {"Кофе молотый средней обжарки, пачка 250 г", "Хлеб ржаной", "Яблоки"},
		"pl": {"Kawa mielona średnio palona, paczka 250 g", "Chleb żytni", "Jabłka"},
	}[lang]
	said := map[string][6]string{
		"en": {"Points used", "Points earned", "Balance as of 09:12", "120 more to Silver", "35 points expire on 31 March, so use them on your next visit", "Corner Club"},
		"ru": {"Списано баллов", "Начислено баллов", "Баланс на 09:12", "Ещё 120 до серебряного уровня", "35 баллов сгорят 31 марта, используйте их при следующей покупке", "Клуб «У дома»"},
		"pl": {"Użyte punkty", "Naliczone punkty", "Saldo na 09:12", "Jeszcze 120 do poziomu srebrnego", "35 punktów wygasa 31 marca, wykorzystaj je przy następnych zakupach", "Klub Za Rogiem"},
	}[lang]
	r := &loyalty.Receipt{Time: time.Date(2026, 3, 1, 9, 12, 0, 0, time.UTC), Tenders: []loyalty.Tender{{Kind: "card", Amount: 120000}, {Kind: "cash", Amount: 3456}},
		Lines: []loyalty.Line{{Name: names[0], Quantity: 150_000, Price: 8_500_000}, {Name: names[1], Quantity: 1000, Price: 2_350_000}, {Name: names[2], Quantity: 1250, Price: 2_100_000}}}
	res := &loyalty.Result{Receipt: "2026-0301-0042", Currency: "GBP",
		Lines: []loyalty.LineResult{
			{SKU: "1", Quantity: 150_000, Gross: 127500, Discounts: []loyalty.LineDiscount{{Rule: "a", Amount: 2500}}, Redeemed: 2000, Net: 123000},
			{SKU: "2", Quantity: 1000, Gross: 235, Discounts: []loyalty.LineDiscount{{Rule: "a", Amount: 42}}, Net: 193},
			{SKU: "3", Quantity: 1250, Gross: 263, Net: 263}},
		Totals: loyalty.Totals{Gross: 127998, Discount: 2542, Redeemed: 2000, Net: 123456},
		Print: []loyalty.PrintLine{
			{Kind: "big", Text: said[5]},
			{Kind: "pair", Text: said[0], Right: Number(lang, "20.00")},
			{Kind: "pair", Text: said[1], Right: Number(lang, "1234.50")},
			{Kind: "pair", Text: said[2], Right: Number(lang, "10250.75"), Bold: true},
			{Kind: "text", Text: said[3], Align: "center"},
			{Kind: "text", Text: said[4]},
			{Kind: "barcode", Text: "2000000125008"}, {Kind: "blank"}, {Kind: "qr", Text: "https://example.org/a"},
		}}
	return r, res
}

func TestGoldenSlips(t *testing.T) {
	for _, lang := range []string{"en", "ru", "pl"} {
		r, res := demo(lang)
		for _, columns := range []int{24, 32, 42, 48} {
			rows := Layout(Paragraphs(lang, r, res), columns)
			var b strings.Builder
			for _, row := range rows {
				limit := columns
				if row.Big {
					limit = columns / 2
				}
				if n := utf8.RuneCountInString(row.Text); n > limit {
					t.Errorf("%s %d: %d characters in %q", lang, columns, n, row.Text)
				}
				switch {
				case row.Code != "":
					fmt.Fprintf(&b, "[barcode %s]\n", row.Code)
				case row.QR != "":
					fmt.Fprintf(&b, "[qr %s]\n", row.QR)
				default:
					mark := ""
					if row.Big {
						mark = " [big]"
					} else if row.Bold {
						mark = " [bold]"
					}
					fmt.Fprintf(&b, "%s%s\n", strings.TrimRight(row.Text, " "), mark)
				}
			}
			file := filepath.Join("testdata", fmt.Sprintf("slip-%s-%d.txt", lang, columns))
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("%s differs (go test -update writes it anew):\n%s", file, b.String())
			}
		}
	}
}

func TestPlural(t *testing.T) {
	for _, c := range []struct {
		p          loyalty.Points
		en, ru, pl string
	}{
		{0, "0 points", "0 баллов", "0 punktów"},
		{100, "1 point", "1 балл", "1 punkt"},
		{200, "2 points", "2 балла", "2 punkty"},
		{500, "5 points", "5 баллов", "5 punktów"},
		{1100, "11 points", "11 баллов", "11 punktów"},
		{1200, "12 points", "12 баллов", "12 punktów"},
		{2100, "21 points", "21 балл", "21 punktów"},
		{2200, "22 points", "22 балла", "22 punkty"},
		{11100, "111 points", "111 баллов", "111 punktów"},
		{11200, "112 points", "112 баллов", "112 punktów"},
		{250, "2.50 points", "2,50 балла", "2,50 punktu"},
		{-300, "-3 points", "-3 балла", "-3 punkty"},
		{123450, "1,234.50 points", "1\u00a0234,50 балла", "1234,50 punktu"},
		{1234500, "12,345 points", "12\u00a0345 баллов", "12\u00a0345 punktów"},
	} {
		for lang, want := range map[string]string{"en": c.en, "ru": c.ru, "pl": c.pl} {
			if got := Points(lang, c.p); got != want {
				t.Errorf("%s %v: %q, want %q", lang, c.p, got, want)
			}
		}
	}
}

func TestPairsNeverLoseDigits(t *testing.T) {
	for _, c := range []struct {
		left, right string
		columns     int
		want        string
	}{
		{"Balance", "150", 20, "Balance          150"},
		{"Balance as of this morning", "1,234.50", 24, "Balance as of this\nmorning         1,234.50"},
		{"Уровень", "серебряный", 16, "Уровень\n      серебряный"},
		{"", "5", 6, "     5"},
		{"a", strings.Repeat("9", 20), 16, "a\n" + strings.Repeat("9", 16) + "\n9999"},
		{"Left alone", "", 20, "Left alone"},
	} {
		if got := strings.Join(pair(c.left, c.right, c.columns), "\n"); got != c.want {
			t.Errorf("%q|%q in %d:\n%s\nwant\n%s", c.left, c.right, c.columns, got, c.want)
		}
	}
}

func TestDisplayLinesFit(t *testing.T) {
	for _, lang := range []string{"en", "ru", "pl"} {
		for _, columns := range []int{16, 20, 40} {
			for _, two := range []Two{
				Greeting(lang, "Anna", true, 123456789, columns), Greeting(lang, "", false, 0, columns),
				Greeting(lang, "Konstantynopolitańczykowianeczka", true, 5, columns), Greeting(lang, "A\x1b[2Jb", true, 5, columns),
				Sale(lang, 12345678, 999, columns), Farewell(lang, 250, true, columns), Farewell(lang, 0, false, columns),
			} {
				for _, s := range []string{two.Top, two.Bottom} {
					if utf8.RuneCountInString(s) > columns || strings.ContainsRune(s, 0x1b) {
						t.Errorf("%s %d: %q", lang, columns, s)
					}
				}
			}
		}
	}
	if got := Greeting("en", "Anna", true, 15000, 20); got != (Two{"Hello, Anna!", "Balance          150"}) {
		t.Errorf("%+v", got)
	}
	if got := Sale("ru", 123450, 50, 20); got != (Two{"К оплате    1 234,50", "Начислено      +0,50"}) {
		t.Errorf("%+v", got)
	}
}

func TestEveryWordInEveryLanguage(t *testing.T) {
	for lang, w := range texts {
		for key := range texts["en"] {
			if w[key] == "" {
				t.Errorf("%s has no %q", lang, key)
			}
		}
		if len(w) != len(texts["en"]) {
			t.Errorf("%s has %d words, en %d", lang, len(w), len(texts["en"]))
		}
	}
}

func FuzzLayout(f *testing.F) {
	f.Add("pair", "Balance as of today", "1,234.50", 24)
	f.Add("big", "Ж\x1b@\u202e", "", 3)
	f.Fuzz(func(t *testing.T, kind, text, right string, columns int) {
		for _, r := range Layout([]loyalty.PrintLine{{Kind: kind, Text: text, Right: right}}, columns) {
			limit := min(max(columns, MinColumns), MaxColumns)
			if r.Big {
				limit /= 2
			}
			if r.Code != "" || r.QR != "" {
				continue
			}
			if n := utf8.RuneCountInString(r.Text); n > limit {
				t.Errorf("%d characters in %d columns: %q", n, limit, r.Text)
			}
			for _, c := range r.Text {
				if c < 0x20 {
					t.Errorf("control character in %q", r.Text)
				}
			}
		}
	})
}

func BenchmarkLayout(b *testing.B) {
	r, res := demo("ru")
	for b.Loop() {
		Layout(Paragraphs("ru", r, res), 42)
	}
}
