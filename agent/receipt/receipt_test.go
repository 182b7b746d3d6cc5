package receipt

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
				if n := width(row.Text); n > limit {
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
		{"Balance as of 09:12", "10,250.75", 24, "Balance as of 09:12\n               10,250.75"},
		{"Points that were given back", "+1,234.50", 24, "Points that were given\nback           +1,234.50"},
		{"Уровень", "серебряный", 16, "Уровень\n      серебряный"},
		{"", "5", 6, "     5"},
		{"a", strings.Repeat("9", 20), 16, "a\n" + strings.Repeat("9", 16) + "\n            9999"},
		{"Left alone", "", 20, "Left alone"},
	} {
		got := strings.Join(pair(c.left, c.right, c.columns), "\n")
		if got != c.want {
			t.Errorf("%q|%q in %d:\n%s\nwant\n%s", c.left, c.right, c.columns, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"Bread minus 10 % this week", 14, "Bread minus\n10 % this week"},
		{"Ещё 120 — и кофе в подарок", 18, "Ещё 120 — и кофе\nв подарок"},
		{"Kawa i ciastko w prezencie", 16, "Kawa i ciastko\nw prezencie"},
		{"Чек № 5 от понедельника", 8, "Чек № 5\nот\nпонедель\nника"},
		{"Wolfeschlegelsteinhausen-Kwiatkowska", 26, "Wolfeschlegelsteinhausen-\nKwiatkowska"},
		{"Wolfeschlegelsteinhausen", 16, "Wolfeschlegelst-\neinhausen"},
		{"https://example.org/a-b", 16, "https://\nexample.org/a-b"},
		{"Магазин «У дома», ул. Садовая", 21, "Магазин «У дома»,\nул. Садовая"},
		{"日本語のポイント", 8, "日本語の\nポイント"},
		{"е\u0301е\u0301е\u0301", 2, "е\u0301е\u0301\nе\u0301"},
		{"👨\u200d👩\u200d👧👍🏽🇵🇱", 4, "👨\u200d👩\u200d👧👍🏽\n🇵🇱"},
		{"", 10, ""},
	} {
		if got := plainSpaces(strings.Join(Wrap(c.text, c.columns), "\n")); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

// On a Polish printer Щ is four letters: what is laid out is what will stand on
// the paper.
func TestLettersAreReplacedBeforeLayout(t *testing.T) {
	spell := func(parts ...string) []string {
		for i, s := range parts {
			parts[i] = strings.NewReplacer("Щ", "Shch", "щ", "shch", "\u00a0", "?").Replace(s)
		}
		return parts
	}
	p := Paper{Columns: 16, Spell: spell}
	for _, c := range []struct {
		line loyalty.PrintLine
		want []string
	}{
		{loyalty.PrintLine{Kind: "pair", Text: "Щщ щщ", Right: "1\u00a0234,50"}, []string{"Shchshch", "shchshch", "        1 234,50"}},
		{loyalty.PrintLine{Kind: "big", Text: "Щ щ"}, []string{"Shch", "shch"}},
		{loyalty.PrintLine{Kind: "big", Text: "Щщщ"}, []string{"  Shchshchshch"}},
		{loyalty.PrintLine{Text: "Щ", Align: "right"}, []string{"            Shch"}},
	} {
		rows := p.Layout([]loyalty.PrintLine{c.line})
		var got []string
		for _, r := range rows {
			got = append(got, r.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.line, got, c.want)
		}
	}
}

func TestCodeThatCannotBeDrawn(t *testing.T) {
	p := Paper{Columns: 24, Draws: func(r Row) bool { return r.QR != "" }}
	rows := p.Layout([]loyalty.PrintLine{{Kind: "barcode", Text: "2000000125008"}, {Kind: "qr", Text: "x"}})
	if len(rows) != 2 || strings.TrimSpace(rows[0].Text) != "2000000125008" || rows[0].Code != "" || rows[1].QR != "x" {
		t.Errorf("%+v", rows)
	}
	if got := Text(Layout([]loyalty.PrintLine{{Kind: "barcode", Text: "2000000125008"}}, 21)); !slices.Equal(got, []string{"    2000000125008"}) {
		t.Errorf("plain lines %q", got)
	}
}

func TestDisplayLinesFit(t *testing.T) {
	for _, lang := range Languages {
		for _, columns := range []int{16, 20, 40} {
			for _, scrolls := range []bool{false, true} {
				d := Screen{Columns: columns, Scrolls: scrolls}
				for _, two := range []Two{
					d.Greeting(lang, "Anna", true, 123456789), d.Greeting(lang, "", false, 0),
					d.Greeting(lang, "Konstantynopolitańczykowianeczka", true, 5), d.Greeting(lang, "A\x1b[2Jb", true, 5),
					d.Sale(lang, 12345678, 0, 999), d.Sale(lang, 12345678, 5000, 999), d.Farewell(lang, 250, true), d.Farewell(lang, 0, false),
					d.Idle([]string{"Corner Club", "Mill Lane 7, open until late at night"}),
				} {
					for i, s := range []string{two.Top, two.Bottom} {
						if width(s) > columns && (!scrolls || i == 1 && !strings.Contains(s, "Mill")) || strings.ContainsRune(s, 0x1b) {
							t.Errorf("%s %d: %q", lang, columns, s)
						}
					}
				}
			}
		}
	}
	for _, c := range []struct{ got, want Two }{
		{Screen{Columns: 20}.Greeting("en", "Anna", true, 15000), Two{"Hello, Anna!", "Balance          150"}},
		{Screen{Columns: 20}.Greeting("ru", "Александра", true, 15000), Two{"Александра!", "Баланс           150"}},
		{Screen{Columns: 20}.Greeting("en", "Wolfeschlegelsteinhausen", true, 15000), Two{"Hello, Wolfeschlege.", "Balance          150"}},
		{Screen{Columns: 20, Scrolls: true}.Greeting("en", "Wolfeschlegelsteinhausen", true, 15000), Two{"Hello, Wolfeschlegelsteinhausen!", "Balance          150"}},
		{Screen{Columns: 20}.Sale("ru", 123450, 0, 50), Two{"К оплате    1 234,50", "Начислено      +0,50"}},
		{Screen{Columns: 20}.Sale("pl", 123450, 2000, 50), Two{"Do zapłaty   1234,50", "Wykorzystano     -20"}},
		{Screen{Columns: 20}.Farewell("ru", 123456700, true), Two{"Спасибо!", "Начислено +1 234 567"}},
		{Screen{Columns: 20}.Idle([]string{"Corner Club", "Welcome"}), Two{"    Corner Club", "      Welcome"}},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestEveryWordInEveryLanguage(t *testing.T) {
	forms := map[string][]string{"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}, "pl": {"one", "few", "many", "other"}}
	blanks := func(p phrase) string {
		all := regexp.MustCompile(`\{\w+\}`).FindAllString(p["other"], -1)
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	en := texts()["en"]
	for _, lang := range Languages {
		w := texts()[lang]
		for key, p := range en {
			switch {
			case w[key]["other"] == "":
				t.Errorf("%s has no %q", lang, key)
			case blanks(w[key]) != blanks(p):
				t.Errorf("%s %q has blanks %s, English %s", lang, key, blanks(w[key]), blanks(p))
			case len(w[key]) > 1:
				for form := range w[key] {
					if !slices.Contains(forms[lang], form) {
						t.Errorf("%s %q has the form %q, which the language has not", lang, key, form)
					}
				}
			}
		}
		if len(w) != len(en) {
			t.Errorf("%s has %d texts, English %d", lang, len(w), len(en))
		}
	}
}

func TestSay(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Reserved("en", 60000, []string{"A", "B"}).Text, "600 reserved at stores A and B"},
		{Reserved("pl", 100, []string{"A"}).Text, "1 zarezerwowany w sklepie A"},
		{Reserved("pl", 200, []string{"A", "B", "C"}).Text, "2 zarezerwowane w sklepach A, B i C"},
		{Reserved("ru", 60000, []string{"А", "Б"}).Text, "600 отложено в магазинах А и Б"},
		{SpentOffline("en", 30000, 100000).Text, "300 used, balance at last sync 1,000, offline"},
		{say("ru", "stamps_left", "n", int64(2)), "Ещё 2 наклейки — и карта полна"},
		{say("de", "thanks"), "Thank you!"},
		{Date("en", "2027-01-31"), "31\u00a0Jan\u00a02027"}, {Date("pl", "2027-01-31"), "31.01.2027"}, {Date("ru", "soon"), "soon"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// Whatever is said, on every width: no line is wider than the paper, no letter
// is lost, sums end in the last column.
func TestLayoutProperties(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	bits := []string{"points", "Начислено", "баллов", "Wykorzystano", "—", "10", "%", "№", "в", "Wolfeschlegelsteinhausenbergerdorff-Kwiatkowska", "1\u00a0234,50",
		"日本語", "ＡＢＣ", "🎂", "👨\u200d👩\u200d👧", "👍🏽", "🇵🇱", "e\u0301", "Щит", "a\tb", "\u202e", "x", "https://example.org/account/terms", "«У", "дома»"}
	text := func(most int) string {
		var words []string
		for range rng.IntN(most + 1) {
			words = append(words, bits[rng.IntN(len(bits))])
		}
		return strings.Join(words, strings.Repeat(" ", 1+rng.IntN(2)))
	}
	// Blanks move, and a hyphen may be added where a long word breaks.
	bare := func(s string) string {
		return strings.ReplaceAll(strings.Join(strings.Fields(plainSpaces(clean(s))), ""), "-", "")
	}
	sums := []string{"", "5", "-0,42", "1\u00a0234,50", "10,250.75 GBP", "+1 234 567 890 123 456 789 012 345 678 901"}
	longer := func(parts ...string) []string { // a page without Щ
		for i, s := range parts {
			parts[i] = strings.ReplaceAll(s, "Щ", "Shch")
		}
		return parts
	}
	for range 3000 {
		columns := 24 + rng.IntN(25)
		p := Paper{Columns: columns, Wide: []int{0, -1, columns / 3}[rng.IntN(3)]}
		l := loyalty.PrintLine{Kind: []string{"", "text", "pair", "pair", "big"}[rng.IntN(5)], Text: text(9), Align: []string{"", "center", "right"}[rng.IntN(3)]}
		if l.Kind == "pair" {
			l.Right = sums[rng.IntN(len(sums))]
		}
		want := bare(l.Text) + bare(l.Right)
		if rng.IntN(2) == 0 {
			p.Spell, want = longer, strings.ReplaceAll(want, "Щ", "Shch")
		}
		rows, got := p.Layout([]loyalty.PrintLine{l}), ""
		for _, r := range rows {
			limit := columns
			if r.Big {
				limit = columns / 2
			}
			if n := width(r.Text); n > limit {
				t.Fatalf("%d columns in %d: %q of %+v", n, limit, r.Text, l)
			}
			got += bare(r.Text)
		}
		if got != want {
			t.Fatalf("%+v in %d columns:\n%q became\n%q", l, columns, want, got)
		}
		if last := rows[len(rows)-1]; l.Right != "" && width(last.Text) != columns {
			t.Fatalf("the sum of %+v does not end in column %d: %q", l, columns, last.Text)
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
			if n := width(r.Text); n > limit {
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
