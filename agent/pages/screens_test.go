package pages

import (
	"context"
	"flag"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var out = flag.String("out", "", "folder for the pictures of TestScreens")

// shoot takes a picture of the page, when pictures are wanted.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if *out == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(*out, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(*out, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatalf("picture %s: %v", name, err)
	}
}

// index writes a page that shows all pictures of the folder.
func index(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(names) == 0 {
		return err
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(filepath.Base(n), ".png")
	}
	f, err := os.Create(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	defer f.Close()
	return template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>Tillside: every page in every state</title>
<style>body { font: 15px sans-serif; background: #ddd; } figure { display: inline-block; margin: 8px; vertical-align: top; } img { max-width: 620px; border: 1px solid #555; }</style>
<h1>Every page in every state: {{len .}} pictures</h1>
{{range .}}<figure><figcaption>{{.}}</figcaption><a href="{{.}}.png"><img src="{{.}}.png" alt="{{.}}" loading="lazy"></a></figure>
{{end}}`)).Execute(f, names)
}

// TestScreens draws every state of both pages into a folder, for the eye:
//
//	go test ./agent/pages -run Screens -args -out DIR
//
// The tests against the real programs add theirs; `make gallery` does all.
func TestScreens(t *testing.T) {
	if *out == "" {
		t.Skip("pictures are made on request: go test ./agent/pages -run Screens -args -out DIR")
	}
	sizes := map[string][2]int64{"800x600": {800, 600}, "1024x768": {1024, 768}, "1366x768": {1366, 768}, "1920x1080": {1920, 1080}}
	// begin opens a page in a language at a size, ready for work.
	begin := func(s *stage, page, lang, size string) *tab {
		s.set(func() { s.lang = lang })
		b := open(t, s.url(page), sizes[size][0], sizes[size][1])
		b.reads("#strip", "Ready")
		b.eval("Tillside.setLang('" + lang + "', false)")
		if page == "practice" {
			b.until("document.querySelectorAll('.ware').length > 0")
		}
		return b
	}
	anna := func(s *stage, b *tab) {
		s.scan("2000000125008")
		s.basket("R-1042", "m-anna", "1001", "1002", "2003", "2002")
		b.until("document.querySelectorAll('#why .gain').length > 0")
	}
	for size := range sizes {
		for _, lang := range Languages {
			s := newStage(t)
			b := begin(s, "cashier", lang, size)
			anna(s, b)
			b.shoot("cashier-sale-" + lang + "-" + size)
		}
	}
	cashier := map[string]func(s *stage, b *tab){
		"wait": func(s *stage, b *tab) {},
		"spend": func(s *stage, b *tab) {
			anna(s, b)
			b.press(kb.F4)
			b.until("document.getElementById('spendall').getAttribute('aria-pressed') === 'true'")
		},
		"whynot": func(s *stage, b *tab) {
			anna(s, b)
			b.press(kb.F8)
			b.until("document.querySelectorAll('#reasons li').length > 1")
		},
		"paid": func(s *stage, b *tab) {
			anna(s, b)
			s.state("R-1042", "captured")
			b.until("document.getElementById('rstate').className === 'badge good'")
		},
		"voided": func(s *stage, b *tab) {
			anna(s, b)
			s.state("R-1042", "voided")
			b.until("document.getElementById('rstate').className === 'badge bad'")
		},
		"blocked": func(s *stage, b *tab) {
			s.scan("2000000000039")
			s.basket("R-1043", "m-olga", "1001", "9002")
			b.reads("#greeting", "Ольга")
		},
		"inactive": func(s *stage, b *tab) { s.scan("2000000000022"); b.reads("#greeting", "Jan") },
		"unknown": func(s *stage, b *tab) {
			s.scan("2999999999999")
			s.basket("R-1044", "u", "1001")
			b.until("!document.getElementById('trouble').hidden")
		},
		"long": func(s *stage, b *tab) {
			s.scan("2000000000060")
			s.basket("POS-2026-11-23-0007-0002-000000193", "m-long", "1001", "2001", "9001")
			b.reads("#greeting", "Wolfe")
		},
		"offline": func(s *stage, b *tab) {
			s.link("offline")
			s.device("printer", "paper_out")
			anna(s, b)
		},
		"device": func(s *stage, b *tab) {
			s.device("printer", "paper_out")
			s.device("scanner", "absent")
			b.until("document.querySelectorAll('#devices .bad').length === 2")
		},
		"noagent": func(s *stage, b *tab) {
			anna(s, b)
			s.set(func() { s.slow = 2 * time.Second })
			s.cut()
			b.until("document.getElementById('strip').className === 'strip bad'")
		},
		"notfound": func(s *stage, b *tab) { b.press("123", kb.F3); b.until("!!document.getElementById('found').innerText") },
	}
	for name, f := range cashier {
		for _, v := range [][2]string{{"en", "800x600"}, {"ru", "1024x768"}} {
			s := newStage(t)
			b := begin(s, "cashier", v[0], v[1])
			f(s, b)
			b.shoot("cashier-" + name + "-" + v[0] + "-" + v[1])
		}
	}
	buy := func(s *stage, b *tab) {
		b.press("1001", kb.Enter, "1002", kb.Enter, "1002", kb.Enter, "2003", kb.Enter, "9001", kb.Enter)
		s.scan("2000000125008")
		b.until("document.querySelectorAll('#why .gain').length > 1")
	}
	practice := map[string]func(s *stage, b *tab){
		"wait":   func(s *stage, b *tab) {},
		"basket": buy,
		"spend": func(s *stage, b *tab) {
			buy(s, b)
			b.press(kb.F4)
			b.until("document.querySelectorAll('#why .gain').length > 2")
		},
		"paid": func(s *stage, b *tab) {
			buy(s, b)
			b.press(kb.F9)
			b.until("!document.getElementById('slip').hidden")
		},
		"off": func(s *stage, b *tab) {
			s.set(func() { s.goods = nil })
			b.do(chromedp.Reload())
			b.until("!document.getElementById('off').hidden")
		},
	}
	for name, f := range practice {
		for _, v := range [][2]string{{"en", "800x600"}, {"ru", "1024x768"}, {"pl", "1366x768"}, {"en", "1920x1080"}} {
			s := newStage(t)
			b := begin(s, "practice", v[0], v[1])
			f(s, b)
			b.shoot("practice-" + name + "-" + v[0] + "-" + v[1])
		}
	}
	for _, lang := range Languages {
		s := newStage(t)
		b := open(t, s.server.URL+"/cashier", 800, 600)
		b.reads("#token h1", "key")
		b.eval("Tillside.setLang('" + lang + "', false)")
		b.shoot("token-" + lang + "-800x600")
	}
}
