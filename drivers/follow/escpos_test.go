package follow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/escpos"
	"github.com/tillside/tillside/drivers/follow/followtest"
)

var when = time.Date(2026, 3, 2, 17, 5, 0, 0, time.UTC)

func profile(t testing.TB, pages string) escpos.Profile {
	t.Helper()
	p, err := escpos.ParsePages(pages)
	if err != nil {
		t.Fatal(err)
	}
	return escpos.Profile{Columns: 42, Dots: 512, Pages: p, NativeQR: true, CutLines: 5}
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	return followtest.Bytes(t, name)
}

// told writes a receipt down in a form for comparison.
func told(r *Receipt) string {
	var b strings.Builder
	for _, l := range r.Lines {
		fmt.Fprintf(&b, "%s|%d|%d|%d|%d\n", l.Name, l.Quantity, l.Price, l.Amount, l.Discount)
	}
	fmt.Fprintf(&b, "= %d", r.Total)
	for _, p := range r.Payments {
		fmt.Fprintf(&b, " %s %d", p.Kind, p.Amount)
	}
	if r.Number != "" {
		fmt.Fprintf(&b, " #%s", r.Number)
	}
	if r.Operator != "" {
		fmt.Fprintf(&b, " (%s)", r.Operator)
	}
	return b.String()
}

// feed gives a stream in pieces and collects the events.
func feed(f Follower, b []byte, step int) (evs []Event) {
	for i := 0; i < len(b); i += step {
		evs = append(evs, f.Till(uint64(i), b[i:min(len(b), i+step)], when)...)
	}
	return evs
}

// ends are the receipts an event list ends in, and what else it says at the end
// of documents.
func ends(evs []Event) (out []string) {
	for _, e := range evs {
		switch e.Kind {
		case Closed:
			out = append(out, told(e.Receipt))
		case Lost, Other:
			out = append(out, e.Text)
		case Cancelled:
			out = append(out, "cancelled")
		}
	}
	return out
}

var streams = []struct {
	file, pages, page string
	want              []string
	closings          int
}{
	{"escpos-encoder-en.bin", "cp437=0 cp858=19", "", []string{`Coffee 250 g|1000|1250|1250|0
Milk 1 l|2000|115|230|0
Cheese|352|980|345|35
Bread|1000|110|110|0
= 1900 cash 1900 #A-1042 (7)`}, 1},
	{"escpos-thermal-pl.bin", "cp437=0 cp852=18", "", []string{`Kawa ziarnista 1kg|1000|4200|4200|210
Chleb żytni|2000|650|1300|160
Jabłka|1250|320|400|20
= 5510 card 5510 #000217 (Ania)`}, 1},
	{"escpos-receiptline-ru.bin", "cp437=0 cp866=17", "", []string{`Хлеб бородинский|2000|4500|9000|0
Молоко 3.2%|1000|8990|8990|0
Сыр российский|350|78000|27300|1000
= 44290 cash 44290 #00451 (Иванова)`}, 1},
	{"escpos-plain-two.bin", "cp437=0", "", []string{"Tea|1000|200|200|0\nCake|3000|150|450|0\n= 650 card 650 #77", "Tea|1000|200|200|0\n= 200 cash 200 #78"}, 2},
}

// TestReceiptsOfOtherPrograms reads what other people's libraries have made,
// in pieces of several sizes.
func TestReceiptsOfOtherPrograms(t *testing.T) {
	for _, s := range streams {
		for _, step := range []int{1, 2, 7, 64, 1 << 20} {
			f, err := NewESCPOS(ESCPOSSettings{Profile: profile(t, s.pages), Page: s.page})
			if err != nil {
				t.Fatal(err)
			}
			b := append([]byte("\x1b@"), load(t, s.file)...)
			evs := feed(f, b, step)
			got := ends(evs)
			if strings.Join(got, "\n\n") != strings.Join(s.want, "\n\n") {
				t.Errorf("%s by %d:\n%s", s.file, step, strings.Join(got, "\n\n"))
			}
			n := 0
			for _, e := range evs {
				if e.Kind == Closing {
					n++
					if c := string(b[e.At : e.At+2]); c != "\x1dV" && c != "\x1bi" && c != "\x1bm" {
						t.Errorf("%s by %d: closing at %d, where %q stands", s.file, step, e.At, c)
					}
					if _, err := e.Add([]drivers.Block{drivers.Text{Text: "Punkty: 12"}}); err != nil {
						t.Error(err)
					}
				}
			}
			if n != s.closings {
				t.Errorf("%s by %d: %d places for lines", s.file, step, n)
			}
		}
	}
}

// lines makes a stream of lines and a cut.
func lines(ls ...string) []byte {
	return []byte("\x1b@" + strings.Join(ls, "\n") + "\n\x1dVA\x00")
}

// TestFormsOfPlainReceipts: the forms the defaults know, and what is no sale.
func TestFormsOfPlainReceipts(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"tax on top", []string{"Apple      10.00", "Sales tax   0.80", "Total   10.80", "Cash  10.80"}, "Apple|1000|1000|1000|0\n= 1000 cash 1080"},
		{"tax inside", []string{"Apple      10.00", "VAT 20%   1.67", "TOTAL DUE  10.00"}, "Apple|1000|1000|1000|0\n= 1000"},
		{"thousands", []string{"TV  1 x 1,234.50  1,234.50", "Total: $ 1,234.50"}, "TV|1000|123450|123450|0\n= 123450"},
		{"void line", []string{"Apple      10.00", "Pear    2.00", "Pear    -2.00", "TOTAL  10.00"}, "Apple|1000|1000|1000|0\n= 1000"},
		{"dots", []string{"Espresso........2.50", "TOTAL......2.50"}, "Espresso|1000|250|250|0\n= 250"},
		{"german", []string{"Brot   2 x 1,50   3,00 A", "SUMME EUR   3,00", "Bar  5,00", "Rückgeld  2,00"}, "Brot|2000|150|300|0\n= 300 cash 300"},
		{"russian to pay", []string{"Чай", "1 x 50.00 =50.00", "ИТОГО К ОПЛАТЕ  50.00", "БЕЗНАЛИЧНЫМИ  =50.00"}, "Чай|1000|5000|5000|0\n= 5000 card 5000"},
		{"does not add up", []string{"Apple      10.00", "TOTAL  11.00"}, "lines come to 10.00, the total is 11.00"},
		{"two totals", []string{"Apple      10.00", "TOTAL  10.00", "TOTAL  12.00"}, "two totals, 10.00 and 12.00"},
		{"copy", []string{"COPY", "Apple      10.00", "TOTAL  10.00"}, "a copy"},
		{"cancelled", []string{"Apple      10.00", "TOTAL  10.00", "*** CANCELLED ***"}, "cancelled"},
		{"refund", []string{"ZWROT", "Jabłko      10,00", "SUMA  10,00"}, "a refund"},
		{"card slip", []string{"Terminal 1234", "Amount  10.00", "APPROVED"}, "goods without a total"},
		{"nothing", []string{"Kitchen", "2 Coffee"}, ""},
	} {
		f, err := NewESCPOS(ESCPOSSettings{Profile: profile(t, "cp437=0 cp866=17 cp852=18"), Page: pageFor(c.name)})
		if err != nil {
			t.Fatal(err)
		}
		ff := f.(*escposFollower)
		b := []byte(string(lines()[:2]))
		for _, l := range c.lines {
			b = append(append(b, ff.first.Encode(l)...), '\n')
		}
		b = append(b, "\x1dVA\x00"...)
		if got := strings.Join(ends(feed(f, b, 3)), "; "); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func pageFor(name string) string {
	switch {
	case strings.HasPrefix(name, "russian"):
		return "cp866"
	case name == "refund" || name == "german":
		return "cp852"
	}
	return ""
}

// TestMiddleOfAStream: who comes in the middle waits for a beginning.
func TestMiddleOfAStream(t *testing.T) {
	b := load(t, "escpos-plain-two.bin")
	f, err := NewESCPOS(ESCPOSSettings{Profile: profile(t, "cp437=0")})
	if err != nil {
		t.Fatal(err)
	}
	if got := ends(f.Till(0, b, when)); len(got) != 1 || !strings.HasSuffix(got[0], "#78") {
		t.Errorf("%q", got)
	}
	// And a hole in the middle of a receipt.
	f, _ = NewESCPOS(ESCPOSSettings{Profile: profile(t, "cp437=0")})
	b = append([]byte("\x1b@"), b...)
	evs := f.Till(0, b[:100], when)
	evs = append(evs, f.Till(120, b[120:], when)...)
	if got := ends(evs); len(got) != 2 || !strings.Contains(got[0], "missing") || !strings.HasSuffix(got[1], "#78") {
		t.Errorf("%q", got)
	}
}

// TestOwnPatterns: a till with a form of its own is told by settings; wrong
// ones are refused with what is missing.
func TestOwnPatterns(t *testing.T) {
	f, err := NewESCPOS(ESCPOSSettings{Profile: profile(t, "cp437=0"), Ends: []string{"feed"}, Text: TextPatterns{
		Item:  []string{`^(?P<sku>\d{4}) (?P<name>.+?) (?P<qty>{q})pc (?P<amount>{m})$`},
		Total: []string{`^== (?P<amount>{m})$`}}})
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("\x1b@0042 Green tea 2pc 5.00\n== 5.00\n\x1bd\x05")
	var got []string
	evs := feed(f, b, 1)
	for _, e := range evs {
		if e.Kind == Closed {
			l := e.Receipt.Lines[0]
			got = append(got, fmt.Sprint(l.SKU, l.Name, l.Quantity, l.Price, l.Amount))
		}
	}
	if strings.Join(got, "") != "0042Green tea2000 250 500" {
		t.Errorf("%q", got)
	}
	for _, p := range []TextPatterns{{Item: []string{"("}}, {Item: []string{"x"}}, {Total: []string{`(?P<sum>{m})`}}, {Number: []string{"Nr"}}} {
		if _, err := NewESCPOS(ESCPOSSettings{Profile: profile(t, "cp437=0"), Text: p}); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

// FuzzESCPOS: nothing makes it stop, and pieces make no difference.
func FuzzESCPOS(f *testing.F) {
	for _, s := range streams {
		f.Add(append([]byte("\x1b@"), load(f, s.file)...))
	}
	f.Add(lines("Apple      10.00", "TOTAL  10.00"))
	pages := profile(f, "cp437=0 cp866=17 cp852=18")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		var got [2]string
		for i, step := range []int{1, len(b) + 1} {
			fo, err := NewESCPOS(ESCPOSSettings{Profile: pages})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range feed(fo, b, step) {
				if e.Kind == Closed {
					got[i] += told(e.Receipt) + "\n"
					if e.Receipt.Net() != e.Receipt.Total {
						t.Fatalf("%q does not add up", told(e.Receipt))
					}
				}
				if e.Kind == Closing {
					got[i] += fmt.Sprint("at ", e.At, "\n")
					if _, err := e.Add([]drivers.Block{drivers.Text{Text: "x"}}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if got[0] != got[1] {
			t.Fatalf("by bytes:\n%s\nwhole:\n%s", got[0], got[1])
		}
	})
}

// BenchmarkESCPOS reads a receipt of the size of a shop's.
func BenchmarkESCPOS(b *testing.B) {
	s := load(b, "escpos-thermal-pl.bin")
	pages := profile(b, "cp437=0 cp852=18")
	for b.Loop() {
		f, err := NewESCPOS(ESCPOSSettings{Profile: pages})
		if err != nil {
			b.Fatal(err)
		}
		f.Till(0, s, when)
	}
}

// TestThingsInTheMiddle: status queries in the middle of a line, pictures and
// codes whose data looks like a cut or like text, a drawer, a real-time clear.
func TestThingsInTheMiddle(t *testing.T) {
	looksLikeMore := "\x1dVA\x00TOTAL 99.00\n\x1b@\x1bi"
	picture := "\x1dv0\x00" + string(rune(len(looksLikeMore))) + "\x00\x01\x00" + looksLikeMore
	stored := "\x1d(k" + string(rune(3+len(looksLikeMore))) + "\x001P0" + looksLikeMore
	columns := "\x1b*\x00" + string(rune(len(looksLikeMore))) + "\x00" + looksLikeMore
	b := []byte("\x1b@" + picture + stored + "Ap\x10\x04\x01ple   \x10\x04\x02   10.00\n" + columns + "\x1bp\x00\x19\xfaTO\x10\x14\x01\x00\x01TAL    10.00\n\x1dVA\x00")
	for _, step := range []int{1, 3, 1000} {
		f, err := NewESCPOS(ESCPOSSettings{Profile: profile(t, "cp437=0")})
		if err != nil {
			t.Fatal(err)
		}
		evs := feed(f, b, step)
		if got := ends(evs); strings.Join(got, ";") != "Apple|1000|1000|1000|0\n= 1000" {
			t.Errorf("by %d: %q", step, got)
		}
		n := 0
		for _, e := range evs {
			if e.Kind == Closing {
				n++
				if int(e.At) != len(b)-4 {
					t.Errorf("by %d: a close at %d of %d", step, e.At, len(b))
				}
			}
		}
		if n != 1 {
			t.Errorf("by %d: %d closes", step, n)
		}
	}
}
