package gallery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/emulator"
)

// DisplayText is one state of a customer display.
type DisplayText struct {
	Name, Title string
	Make        func(s receipt.Screen) receipt.Two
}

// DisplayTexts are all states of a display in one language.
func DisplayTexts(lang string) []DisplayText {
	name := said(lang, "Anna", "Анна", "Łucja")
	long := said(lang, "Wolfeschlegelsteinhausen", "Вольфешлегельштайнхаузен", "Wawrzyniec-Brzęczyszczykiewicz")
	return []DisplayText{
		{"idle", "between customers", func(s receipt.Screen) receipt.Two {
			return s.Idle([]string{said(lang, "Corner Club", "Клуб «У дома»", "Klub Za Rogiem"), said(lang, "Show your card!", "Ваша карта?", "Pokaż kartę!")})
		}},
		{"greeting", "a member", func(s receipt.Screen) receipt.Two { return s.Greeting(lang, name, true, 125050) }},
		{"greeting-card", "a card nobody knows", func(s receipt.Screen) receipt.Two { return s.Greeting(lang, "", false, 0) }},
		{"greeting-long", "a long name", func(s receipt.Screen) receipt.Two {
			return s.Greeting(lang, said(lang, "Alexandrina", "Александра", "Aleksandra"), true, 123456700)
		}},
		{"greeting-longer", "a name longer than the display", func(s receipt.Screen) receipt.Two { return s.Greeting(lang, long, true, 4050) }},
		{"sale", "running total, points earned", func(s receipt.Screen) receipt.Two { return s.Sale(lang, 12345, 0, 700) }},
		{"sale-spent", "points used", func(s receipt.Screen) receipt.Two { return s.Sale(lang, 1234550, 2050, 700) }},
		{"sale-big", "a large sum", func(s receipt.Screen) receipt.Two { return s.Sale(lang, 98765432100, 0, 98765432100) }},
		{"farewell", "paid", func(s receipt.Screen) receipt.Two { return s.Farewell(lang, 700, false) }},
		{"farewell-offline", "paid without a link", func(s receipt.Screen) receipt.Two { return s.Farewell(lang, 700, true) }},
	}
}

// display opens a display as a model file says, on a machine of that model.
func display(ctx context.Context, cfg drivers.Config) (*bench, error) {
	full, _, err := all.Registry().Resolve(cfg)
	if err != nil {
		return nil, err
	}
	o := full.Options
	page := o.Text("code_page")
	set := emulator.DisplaySettings{Columns: o.Int("columns"), Page: page, AEDEX: o.Text("dialect") == "aedex"}
	if n := o.Int("code_page_number"); n >= 0 {
		set.Page, set.Pages = "cp437", map[byte]string{byte(n): page}
	}
	m := emulator.NewDisplay(set)
	b, err := start(ctx, cfg, m)
	if err == nil {
		b.screen = m
	}
	return b, err
}

// show puts a text on the display and waits until it stands there.
func (b *bench) show(ctx context.Context, name string, f func(receipt.Screen) receipt.Two) (Picture, error) {
	d := b.dev.(drivers.Display)
	s := till.Screen(d)
	two := f(s)
	fit := func(line string) string {
		return strings.TrimRight(string([]rune(line + strings.Repeat(" ", s.Columns))[:s.Columns]), " ")
	}
	want := []string{fit(two.Top), fit(two.Bottom)}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.Show(ctx, two.Top, two.Bottom); err != nil {
		return Picture{}, err
	}
	for {
		changed := b.screen.Changed()
		top, bottom := b.screen.Lines()
		got := []string{strings.TrimRight(top, " "), strings.TrimRight(bottom, " ")}
		if got[0] == want[0] && got[1] == want[1] {
			draw := func() ([]byte, error) { return emulator.DrawDisplay(top, bottom) }
			return Picture{Draw: draw, Text: b.screen.Text(), Want: want, Got: got}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Picture{}, fmt.Errorf("%s on %s shows %q, not %q", name, b.dev, got, want)
		}
	}
}

// Displays renders every state of every display model in the languages.
func Displays(ctx context.Context, languages []string) ([]Picture, error) {
	var out []Picture
	for _, m := range all.Registry().Models() {
		if m.Driver != "pole" {
			continue
		}
		for _, lang := range languages {
			b, err := display(ctx, drivers.Config{Model: m.Name, Options: drivers.Options{"scroll_step": "1h"}})
			if err != nil {
				return nil, err
			}
			for _, t := range DisplayTexts(lang) {
				pic, err := b.show(ctx, t.Name, t.Make)
				if err != nil {
					b.close()
					return nil, err
				}
				pic.Group = "Displays, " + languageNames[lang]
				pic.Name = fmt.Sprintf("display-%s-%s-%s", m.Name, t.Name, lang)
				pic.Caption = m.Title() + " (" + m.Options.Text("dialect") + ", " + m.Options.Text("code_page") + "): " + t.Title
				out = append(out, pic)
			}
			b.close()
		}
	}
	slices.SortStableFunc(out, func(a, b Picture) int { return strings.Compare(a.Group, b.Group) })
	return out, nil
}
