package gallery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/codepage"
	protocol "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/atol"
	"github.com/tillside/tillside/drivers/emulator/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/novitus"
	"github.com/tillside/tillside/drivers/emulator/pirit"
	"github.com/tillside/tillside/drivers/emulator/posnet"
	"github.com/tillside/tillside/drivers/emulator/shtrih"
	"github.com/tillside/tillside/drivers/escpos"
)

// machine is an emulated printer of a model.
func machine(driver string, o drivers.Options) fiscal.Printer {
	columns := o.Int("columns")
	switch driver {
	case "shtrih":
		return shtrih.New(shtrih.Options{Columns: columns, FN: o.Text("generation") == "fn", Nonfiscal: o.Bool("nonfiscal")})
	case "pirit":
		return pirit.New(pirit.Options{Columns: columns})
	case "atol":
		return atol.New(atol.Options{Columns: columns})
	case "posnet":
		return posnet.New(posnet.Options{Columns: columns, CodePage: o.Text("codepage")})
	case "datecs":
		opt := datecs.Options{Columns: columns, CodePage: o.Text("codepage")}
		if o.Text("form") == "pm" {
			opt.Form = protocol.PM
		}
		return datecs.New(opt)
	case "novitus":
		return novitus.New(novitus.Options{Columns: columns, CodePage: o.Text("codepage"), Thermal: o.Text("slips") == "none"})
	}
	return nil
}

// printer opens a printer as a model file says, on a machine of that model. It
// is nil for models that have no slips of free text.
func printer(ctx context.Context, model string) (*bench, error) {
	cfg := drivers.Config{Model: model}
	full, d, err := all.Registry().Resolve(cfg)
	if err != nil {
		return nil, err
	}
	if d.Name == "escpos" {
		prof, err := escpos.ProfileOf(full.Options)
		if err != nil {
			return nil, err
		}
		m := emulator.NewPrinter(emulator.PrinterSettings{Columns: prof.Columns, Dots: prof.Dots, Pages: numbers(prof)})
		b, err := start(ctx, cfg, m)
		if err == nil {
			b.roll = m.Roll()
		}
		return b, err
	}
	if full.Options.Text("slips") == "none" {
		return nil, nil
	}
	m := machine(d.Name, full.Options)
	if m == nil {
		return nil, nil
	}
	b, err := start(ctx, cfg, fiscal.NewBridge(m))
	if err == nil {
		b.roll = m.Paper()
	}
	return b, err
}

func numbers(p escpos.Profile) map[byte]string {
	n := map[byte]string{}
	for _, pn := range p.Pages {
		n[pn.Number] = pn.Page.Name()
	}
	return n
}

// Printers renders one sale in each language on every printer model there is a
// file for.
func Printers(ctx context.Context, languages []string) ([]Picture, error) {
	var out []Picture
	sales := map[string][]loyalty.PrintLine{}
	for _, lang := range languages {
		lines, err := saleAndCoupon(lang)
		if err != nil {
			return nil, err
		}
		sales[lang] = lines
	}
	for _, m := range all.Registry().Models() {
		b, err := printer(ctx, m.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		if b == nil {
			continue
		}
		for _, lang := range languages {
			pic, err := b.print(ctx, Slip{Name: "sale", Lines: sales[lang]})
			if err != nil {
				b.close()
				return nil, fmt.Errorf("%s: %w", m.Name, err)
			}
			pic.Group = "Printers, " + m.Driver
			pic.Name, pic.Caption = fmt.Sprintf("printer-%s-%s", m.Name, lang), m.Title()+", "+languageNames[lang]
			out = append(out, pic)
		}
		b.close()
	}
	slices.SortStableFunc(out, func(a, b Picture) int { return strings.Compare(a.Group, b.Group) })
	return out, nil
}

// saleAndCoupon is the sale of the gallery and a coupon under it.
func saleAndCoupon(lang string) ([]loyalty.PrintLine, error) {
	list, err := States(lang)
	if err != nil {
		return nil, err
	}
	var lines []loyalty.PrintLine
	for _, s := range list {
		if s.Name == "sale" || s.Name == "coupon" {
			lines = append(append(lines, s.Lines...), loyalty.PrintLine{Kind: "rule"})
		}
	}
	return lines, nil
}

// Pages are the code pages that the models of printers and displays use.
func Pages() []string {
	used := map[string]bool{"cp1251": true, "cp866": true} // of Shtrih, Pirit and ATOL, which have no setting for it
	for _, m := range all.Registry().Models() {
		for _, option := range []string{"code_page", "codepage"} {
			if m.Options.Has(option) {
				used[m.Options.Text(option)] = true
			}
		}
		if m.Options.Has("code_pages") {
			if list, err := escpos.ParsePages(m.Options.Text("code_pages")); err == nil {
				for _, p := range list {
					used[p.Page.Name()] = true
				}
			}
		}
	}
	var out []string
	for p := range used {
		if p != "" {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// alphabets are what a sheet shows of a code page.
var alphabets = []struct{ title, text string }{
	{"Русский", "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ абвгдеёжзийклмнопрстуфхцчшщъыьэюя"},
	{"Polski", "ĄĆĘŁŃÓŚŹŻ ąćęłńóśźż"},
	{"Українська, беларуская, қазақ", "ҐЄІЇґєії Ўў ӘҒҚҢӨҰҮҺІ"},
	{"Deutsch, čeština, türkçe", "ÄÖÜäöüß ÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ ÇĞİÖŞÜ"},
	{"№ « »", "№ «да» „tak” “yes” – — … € ₽ zł £ × ½ ° ● ○ ♥"},
}

// Sheet is what shows a code page: alphabets, and the letters it lacks written
// with others.
func Sheet(page string) []loyalty.PrintLine {
	lines := []loyalty.PrintLine{{Kind: "big", Text: page}}
	for _, a := range alphabets {
		lines = append(lines, loyalty.PrintLine{Text: a.title, Bold: true}, loyalty.PrintLine{Text: a.text})
	}
	lines = append(lines, loyalty.PrintLine{Kind: "rule"})
	for _, s := range [][2]string{{"Hello, Łucja! Balance", "1,234.50"}, {"Здравствуйте, Анна! Баланс", "1\u00a0234,50"}, {"Witaj, Łucja! Saldo", "1234,50"}, {"Чек № 5: щи, борщ, ёлка", "-0,42"}, {"Zażółć gęślą jaźń", "+35"}} {
		lines = append(lines, loyalty.PrintLine{Kind: "pair", Text: s[0], Right: s[1]})
	}
	return lines
}

// Sheets renders a sheet of every code page that a model uses, on a printer and
// on a display that have no other.
func Sheets(ctx context.Context) ([]Picture, error) {
	var out []Picture
	for _, page := range Pages() {
		if _, err := codepage.Lookup(page); err != nil {
			return nil, err
		}
		b, err := receiptPrinter(ctx, 42, drivers.Options{"code_pages": page + "=7"}, map[byte]string{7: page})
		if err != nil {
			return nil, err
		}
		pic, err := b.print(ctx, Slip{Name: "page " + page, Lines: Sheet(page)})
		b.close()
		if err != nil {
			return nil, err
		}
		pic.Group, pic.Name, pic.Caption = "Code pages", "page-"+page, page
		out = append(out, pic)
	}
	return out, nil
}
