package escpos

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/line"
)

// Driver describes this driver.
var Driver = drivers.Driver{
	Name: "escpos", Kind: drivers.KindPrinter, Title: "ESC/POS receipt printers",
	Line: line.Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	Settings: []drivers.Setting{
		{Name: "columns", Type: "number", Default: "42", Min: 16, Max: 96, Help: "characters in a line of font A: 32 on 58 mm, 42 or 48 on 80 mm"},
		{Name: "dots", Type: "number", Default: "0", Min: 0, Max: 1280, Help: "printable width in dots; 0 means 12 for each column"},
		{Name: "code_pages", Type: "text", Default: "cp437=0 cp866=17 cp852=18 cp1250=45 cp1251=46 cp1252=16 cp858=19",
			Help: "pages of this model and their numbers, the preferred one first; each line is printed with the first page that has its letters"},
		{Name: "kanji_off", Type: "yesno", Default: "no", Help: "send FS . first: many Chinese models need it before letters above 7Fh"},
		{Name: "qr", Type: "text", Default: "native", Choices: []string{"native", "picture"}, Help: "picture for models without GS ( k"},
		{Name: "barcode", Type: "text", Default: "length", Choices: []string{"length", "nul"}, Help: "how barcode data ends: length before it (form B) or NUL after it (form A)"},
		{Name: "cut", Type: "text", Default: "feed", Choices: []string{"feed", "plain", "old", "none"}, Help: "GS V A/B, GS V 0/1, ESC i/m, or no cutter"},
		{Name: "cut_lines", Type: "number", Default: "4", Min: 1, Max: 20, Help: "lines fed before a plain or old cut"},
		{Name: "drawer", Type: "number", Default: "2", Min: 2, Max: 5, Help: "drawer pin of the printer's plug, 2 or 5"},
		{Name: "drawer_ms", Type: "number", Default: "50", Min: 2, Max: 510, Help: "drawer pulse"},
		{Name: "image_rows", Type: "number", Default: "128", Min: 8, Max: 2000, Help: "rows in one picture command"},
		{Name: "status", Type: "text", Default: "auto", Choices: []string{"auto", "yes", "no"},
			Help: "does the printer answer status queries? auto finds out; no for one-way cables and spoolers"},
		{Name: "confirm", Type: "text", Default: "auto", Choices: []string{"auto", "gs_r", "gs_i", "none"},
			Help: "the query behind each slip whose answer confirms it; auto finds out"},
		{Name: "asb", Type: "yesno", Default: "no", Help: "switch automatic status back on: state changes come by themselves"},
		{Name: "realtime_clear", Type: "yesno", Default: "no", Help: "the model knows DLE DC4 8: clear what an interrupted slip left in its buffer"},
		{Name: "poll", Type: "duration", Default: "1s", Help: "pause between status queries"},
		{Name: "answer", Type: "duration", Default: "10s", Help: "how long to wait for a slip's confirmation, beside the time on the wire"},
	},
	New: func(cfg drivers.Config, env drivers.Env) (drivers.Device, error) { return New(cfg, env) },
}

// ParsePages reads "cp866=17 cp852=18".
func ParsePages(s string) ([]PageNumber, error) {
	var out []PageNumber
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' }) {
		name, num, ok := strings.Cut(f, "=")
		n, err := strconv.ParseUint(num, 0, 8)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q: want page=number, such as cp866=17", f)
		}
		p, err := codepage.Lookup(name)
		if err != nil {
			return nil, err
		}
		out = append(out, PageNumber{p, byte(n)})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no code page is given")
	}
	return out, nil
}

// ProfileOf makes a Profile of checked options.
func ProfileOf(o drivers.Options) (Profile, error) {
	p := Profile{Columns: o.Int("columns"), Dots: o.Int("dots"), KanjiOff: o.Bool("kanji_off"),
		NativeQR: o.Text("qr") != "picture", FormA: o.Text("barcode") == "nul", Cut: o.Text("cut"),
		CutLines: o.Int("cut_lines"), DrawerOn: o.Int("drawer_ms"), ImageRows: o.Int("image_rows")}
	if o.Int("drawer") == 5 {
		p.Drawer = 1
	}
	if p.Dots == 0 {
		p.Dots = p.Columns * 12
	}
	var err error
	if p.Pages, err = ParsePages(o.Text("code_pages")); err != nil {
		return p, fmt.Errorf("options.code_pages: %w", err)
	}
	return p, nil
}
