package gallery

import (
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
)

// Write puts pictures into a folder, each with its text beside it.
func Write(dir string, pics []Picture) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range pics {
		png, err := p.Draw()
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.Name+".png"), png, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, p.Name+".txt"), []byte(p.Text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// chapter is a group of pictures on the page.
type chapter struct {
	Title, Kind string
	Pictures    []shownPicture
}

type shownPicture struct{ File, Caption string }

// Index writes index.html: the pictures in their chapters, then whatever
// pictures of pages lie in dir/pages.
func Index(dir string, pics []Picture) (string, error) {
	var chapters []chapter
	for _, p := range pics {
		if len(chapters) == 0 || chapters[len(chapters)-1].Title != p.Group {
			kind, _, _ := strings.Cut(p.Name, "-")
			chapters = append(chapters, chapter{Title: p.Group, Kind: kind})
		}
		c := &chapters[len(chapters)-1]
		c.Pictures = append(c.Pictures, shownPicture{p.Name + ".png", p.Caption})
	}
	pages, err := filepath.Glob(filepath.Join(dir, "pages", "*.png"))
	if err != nil {
		return "", err
	}
	titles := map[string]string{"cashier": "Cashier's page", "practice": "Practice till", "console": "Centre", "real": "Pages of a real sale", "token": "Cashier's page without a key"}
	byKind := map[string]*chapter{}
	var kinds []string
	for _, file := range pages {
		name := strings.TrimSuffix(filepath.Base(file), ".png")
		kind, rest, _ := strings.Cut(name, "-")
		if byKind[kind] == nil {
			title := titles[kind]
			if title == "" {
				title = kind
			}
			byKind[kind] = &chapter{Title: title, Kind: "screen"}
			kinds = append(kinds, kind)
		}
		byKind[kind].Pictures = append(byKind[kind].Pictures, shownPicture{"pages/" + filepath.Base(file), strings.ReplaceAll(rest, "-", " ")})
	}
	for _, k := range kinds {
		chapters = append(chapters, *byKind[k])
	}
	n := 0
	for _, c := range chapters {
		n += len(c.Pictures)
	}
	if n == 0 {
		return "", errors.New("no pictures to show")
	}
	name := filepath.Join(dir, "index.html")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	err = indexPage.Execute(f, map[string]any{"Chapters": chapters, "Count": n})
	return name, errors.Join(err, f.Close())
}

var indexPage = template.Must(template.New("").Funcs(template.FuncMap{"anchor": func(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
}}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Tillside: every slip, display and page</title>
<style>
body { font: 15px/1.4 "DejaVu Sans", Verdana, sans-serif; margin: 0; background: #e9e7e2; color: #222; }
header { background: #20302c; color: #fff; padding: 18px 28px; }
header h1 { font-size: 22px; margin: 0 0 4px; }
header p { margin: 0; color: #c9d6d1; }
nav { padding: 12px 28px; background: #fff; border-bottom: 1px solid #cfcbc2; columns: 4 260px; font-size: 13px; }
nav a { display: block; color: #1d5b49; padding: 1px 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { padding: 6px 28px 18px; }
h2 { font-size: 17px; border-bottom: 1px solid #bdb8ad; padding-bottom: 4px; }
figure { display: inline-block; vertical-align: top; margin: 0 14px 18px 0; }
figcaption { font-size: 12px; color: #555; max-width: 230px; margin-bottom: 4px; }
figure a { display: block; }
img { display: block; background: #fff; box-shadow: 0 1px 4px rgba(0,0,0,.3); }
.slip img, .page img { width: 230px; height: auto; }
.printer img { width: 190px; height: auto; }
.display img { width: 250px; height: auto; border-radius: 4px; }
.screen img { width: 340px; height: auto; }
</style>
<header><h1>Every slip, display and page</h1><p>{{.Count}} pictures, each made by the real path: rulebook, layout, driver, emulated device. A click shows one in full.</p></header>
<nav>{{range .Chapters}}<a href="#{{anchor .Title}}">{{.Title}} ({{len .Pictures}})</a>{{end}}</nav>
{{range .Chapters}}<section class="{{.Kind}}" id="{{anchor .Title}}"><h2>{{.Title}}</h2>
{{range .Pictures}}<figure><figcaption>{{.Caption}}</figcaption><a href="{{.File}}"><img src="{{.File}}" alt="{{.Caption}}" loading="lazy"></a></figure>
{{end}}</section>
{{end}}</html>
`))
