package gallery

import (
	"bytes"
	"context"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// check holds what came out of the emulated device against what was laid out
// for it: nothing cut, nothing wrapped, nothing moved, no letter changed.
func check(t *testing.T, pics []Picture) {
	t.Helper()
	names := map[string]bool{}
	for i, p := range pics {
		if i%40 == 0 {
			data, err := p.Draw()
			if err != nil {
				t.Fatal(err)
			}
			if img, err := png.DecodeConfig(bytes.NewReader(data)); err != nil || img.Width < 200 {
				t.Errorf("%s: %v, %d wide", p.Name, err, img.Width)
			}
		}
		if names[p.Name] {
			t.Errorf("two pictures are called %s", p.Name)
		}
		names[p.Name] = true
		if p.Group == "" || p.Caption == "" {
			t.Errorf("%s has no chapter or caption", p.Name)
		}
		if !cameOut(p.Want, p.Got) {
			t.Errorf("%s: laid out\n%s\ncame out\n%s", p.Name, strings.Join(p.Want, "\n"), strings.Join(p.Got, "\n"))
		}
	}
}

// cameOut tells whether the lines are on the paper, one below the other; a
// fiscal printer puts a head and a foot of its own around them.
func cameOut(want, got []string) bool {
	for from := range len(got) - len(want) + 1 {
		same := true
		for i, w := range want {
			g := got[from+i]
			if big, ok := strings.CutPrefix(w, bigMark); ok {
				w, g = big, strings.TrimLeft(g, " ")
			}
			same = same && w == g
		}
		if same {
			return true
		}
	}
	return false
}

// Every state of every slip, in all languages, on paper as it was laid out.
func TestSlips(t *testing.T) {
	pics, err := Slips(t.Context(), Languages, []int{24, 31, 48})
	if err != nil {
		t.Fatal(err)
	}
	check(t, pics)
	if len(pics) < 3*3*20 {
		t.Errorf("only %d pictures", len(pics))
	}
	for _, p := range pics {
		if strings.Contains(p.Text, "?") && !strings.Contains(p.Name, "hard") {
			t.Errorf("%s has letters that nobody can read:\n%s", p.Name, p.Text)
		}
	}
}

// Every display model shows what was made for it.
func TestDisplays(t *testing.T) {
	pics, err := Displays(t.Context(), Languages)
	if err != nil {
		t.Fatal(err)
	}
	check(t, pics)
}

// Every code page has its own letters, and readable ones for those it lacks.
func TestSheets(t *testing.T) {
	pics, err := Sheets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check(t, pics)
	has := func(name, text string) {
		t.Helper()
		i := slices.IndexFunc(pics, func(p Picture) bool { return p.Name == "page-"+name })
		if i < 0 || !strings.Contains(pics[i].Text, text) {
			t.Errorf("the sheet of %s lacks %q", name, text)
		}
	}
	for _, page := range []string{"cp866", "cp1251", "cp855"} {
		has(page, "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ")
	}
	for _, page := range []string{"cp852", "cp1250", "mazovia"} {
		has(page, "ĄĆĘŁŃÓŚŹŻ ąćęłńóśźż")
		has(page, "Chek N 5: shchi")
	}
	for _, p := range pics {
		if n := strings.Count(p.Text, "?"); n > 0 {
			t.Errorf("%s cannot write %d letters:\n%s", p.Name, n, p.Text)
		}
	}
}

// Every printer model prints the sale and the coupon as they were laid out for
// it.
func TestPrinters(t *testing.T) {
	pics, err := Printers(t.Context(), []string{"ru", "pl"})
	if err != nil {
		t.Fatal(err)
	}
	check(t, pics)
	for _, p := range pics {
		if !strings.Contains(p.Text, "2000000125008") {
			t.Errorf("%s: the coupon's code is not there", p.Name)
		}
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	pics, err := Slips(context.Background(), []string{"en"}, []int{32})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "pages"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pages", "cashier-sale-en-800x600.png"), []byte("a picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, pics); err != nil {
		t.Fatal(err)
	}
	name, err := Index(dir, pics)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`src="slip-sale-en-32.png"`, "Slips, English, 32 columns", `href="pages/cashier-sale-en-800x600.png"`, "Cashier&#39;s page"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if _, err := Index(t.TempDir(), nil); err == nil {
		t.Error("an empty gallery was written")
	}
}

var out = flag.String("out", "", "folder for the pictures of TestPictures")

// TestPictures makes the slips and displays of the docs, one in each language on
// a printer and a display of that country:
//
//	go test ./agent/gallery -run Pictures -args -out agent/docs/img
func TestPictures(t *testing.T) {
	if *out == "" {
		t.Skip("pictures are made on request: go test ./agent/gallery -run Pictures -args -out DIR")
	}
	write := func(name string, p Picture, err error) {
		t.Helper()
		var data []byte
		if err == nil {
			data, err = p.Draw()
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(*out, name+".png"), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for lang, model := range map[string]string{"en": "epson-tm-t88v", "ru": "pirit-2f", "pl": "posnet-thermal-hd-online"} {
		lines, err := saleAndCoupon(lang)
		if err != nil {
			t.Fatal(err)
		}
		b, err := printer(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.print(t.Context(), Slip{Name: "sale", Lines: lines})
		b.close()
		write("slip-"+lang, p, err)
	}
	for lang, x := range map[string]struct {
		text    string
		options drivers.Options
	}{"en": {"greeting", drivers.Options{}}, "ru": {"sale", drivers.Options{"code_page": "cp866", "code_page_number": 17}}, "pl": {"farewell", drivers.Options{"code_page": "cp852", "code_page_number": 18}}} {
		x.options["dialect"] = "epson"
		b, err := display(t.Context(), drivers.Config{Driver: "pole", Options: x.options})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range DisplayTexts(lang) {
			if text.Name == x.text {
				p, err := b.show(t.Context(), text.Name, text.Make)
				write("display-"+lang, p, err)
			}
		}
		b.close()
	}
}
