package emulator

import (
	"bytes"
	"encoding/hex"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers/emulator/paper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "", "|", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// host collects what a machine answers.
type host struct{ bytes.Buffer }

func attach(m Machine) *host {
	h := &host{}
	m.Attach(func(b []byte) { h.Write(b) })
	return h
}

func (h *host) take() string { defer h.Reset(); return hex.EncodeToString(h.Bytes()) }

// Encoders differ in form: barcodes ended by NUL or by length, pictures by four
// commands, QR codes by two. All must come out, and no picture data as text.
func TestOtherEncoders(t *testing.T) {
	cases := []struct{ name, hex, text string }{
		{"EAN-13 form A", "1d6b02 34303036333831333333393331 00 41 0a", "[ean13 4006381333931]\nA\n"},
		{"EAN-13 form B, 12 digits", "1d6b43 0c 343030363338313333333933 41 0a", "[ean13 4006381333931]\nA\n"},
		{"EAN-13, wrong check digit prints nothing", "1d6b02 34303036333831333333393332 00 41 0a", "A\n"},
		{"CODE128 with code sets", "1d6b49 08 7b42 4142 7b43 0c22 41 0a", "[code128 AB1234]\nA\n"},
		{"GS v 0", "1d763000 0100 0200 1b40 41 0a", "[picture]\nA\n"},
		{"ESC * 24 dots", "1b2a21 0200 1b4041 0a0a0a 41 0a", "[picture]\nA\n"},
		{"GS ( L store and print", "1d284c 0c00 3070 30 01 01 31 0800 0200 1b0a 1d284c 0200 3032 41 0a", "[picture]\nA\n"},
		{"GS 8 L store and print", "1d384c 0c000000 3070 30 01 01 31 0800 0200 1b0a 1d384c 02000000 3032 41 0a", "[picture]\nA\n"},
		{"downloaded picture", "1d2a0101 1b40411b40411b40 1d2f00 41 0a", "[picture]\nA\n"},
		{"unknown GS ( by length", "1d287a 0300 1b4041 41 0a", "A\n"},
		{"unknown FS ( by length", "1c285a 0300 1b4041 41 0a", "A\n"},
		{"stored pictures FS q", "1c7101 01000100 1b40411b40411b40 41 0a", "A\n"},
		{"user characters", "1b2603 4141 02 1b40411b4041 41 0a", "A\n"},
		{"QR by ESC Z", "1b5a 00 4d 06 0300 616263 41 0a", "[qr abc]\nA\n"},
		{"PDF417", "1d286b 0600 30503061 6263 1d286b 0300 305130 41 0a", "[pdf417 abc]\nA\n"},
		{"tabs", "1b44 0a14 00 41 09 42 09 43 0a", "A         B         C\n"},
		{"a step back prints into the frame", "7c 2020202020 7c 1b240c00 4142 0a", "|AB   |\n"},
		{"a blank over a letter leaves the letter", "4142 43 1b240000 2058 0a", "AXC\n"},
		{"relative step back", "41424344 1b5ce8ff 58 0a", "ABXD\n"},
		{"positions begin at the left margin", "1d4c1800 7c 1b242400 7c 1b240c00 41 0a", "  |A |\n"},
		{"a position beyond the paper is no position", "41 1b24ffff 42 1b24ff7f 43 0a", "ABC\n"},
		{"ESC with a control code takes no letter with it", "1b0f 4142 0a", "AB\n"},
		{"absolute position", "41 1b24 7800 42 0a", "A         B\n"},
		{"counters", "1d43 3b 31 3b 32 3b 33 3b 34 3b 35 3b 41 0a", "A\n"},
		{"page mode", "1b4c 1b57 0000000000010001 1b5400 1d24 1000 41 0a 0c 1b53 42 0a", "A\nB\n"},
		{"CR LF", "41 0d0a 42 0d0a", "A\nB\n"},
		{"CP866 and CP852", "1b7411 8a8b9381 0a 1b7412 bda28886 0a", "КЛУБ\nżółć\n"},
		{"wrapped at the edge", strings.Repeat("41", 45) + "0a", strings.Repeat("A", 42) + "\nAAA\n"},
		{"double width wraps sooner", "1d2110" + strings.Repeat("41", 22) + "0a", strings.Repeat("A", 21) + "\nA\n"},
		{"centred", "1b6101 4142 0a", strings.Repeat(" ", 20) + "AB\n"},
		{"drawer by real time", "10140100 02 41 0a", "A\n"},
		{"cut", "41 0a 1d564200", "A\n8<" + strings.Repeat(" -", 20) + "\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := unhex(t, c.hex)
			// At once and byte by byte: the same paper.
			for _, step := range []int{len(data), 1} {
				p := NewPrinter(PrinterSettings{})
				for i := 0; i < len(data); i += step {
					p.Feed(data[i:min(i+step, len(data))])
				}
				got := p.Roll().All().Text(42)
				if c.name == "CP866 and CP852" {
					got = strings.ToLower(got)
					c.text = strings.ToLower(c.text)
				}
				if got != c.text {
					t.Errorf("step %d: got %q, want %q (not understood: %v)", step, got, c.text, p.Unknown())
				}
			}
		})
	}
}

// The table of situations that an independent host judged rightly.
func TestStatusAnswers(t *testing.T) {
	ask := unhex(t, "100401 100402 100403 100404")
	for _, c := range []struct {
		set  Condition
		want string
	}{
		{Condition{}, "12121212"},
		{Condition{Paper: "near"}, "1212121e"},
		{Condition{Paper: "out"}, "1a32127e"},
		{Condition{Cover: "open"}, "1a161212"},
		{Condition{Drawer: "open"}, "16121212"},
		{Condition{Silent: true}, ""},
	} {
		p := NewPrinter(PrinterSettings{})
		h := attach(p)
		p.Set(func(to *Condition) { *to = c.set })
		p.Receive(ask)
		if got := h.take(); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.set, got, c.want)
		}
	}
}

func TestOfflineKeepsDataAndAnswersInRealTime(t *testing.T) {
	p := NewPrinter(PrinterSettings{})
	h := attach(p)
	p.Set(func(c *Condition) { c.Paper = "out" })
	p.Receive([]byte("waits\n\x1dr\x01\x10"))
	p.Receive([]byte("\x04\x01more\n"))
	if got := h.take(); got != "1a" {
		t.Errorf("off-line: got %s; only the real-time query is answered", got)
	}
	if got := p.Roll().All().Text(42); got != "" {
		t.Errorf("printed without paper: %q", got)
	}
	p.Set(func(c *Condition) { c.Paper = "ok" })
	if got := p.Roll().All().Text(42); got != "waits\nmore\n" || h.take() != "00" {
		t.Errorf("after loading paper: %q", got)
	}
}

func TestRealTimeClear(t *testing.T) {
	p := NewPrinter(PrinterSettings{})
	h := attach(p)
	p.Set(func(c *Condition) { c.Cover = "open" })
	p.Receive([]byte("lost\n"))
	p.Receive(unhex(t, "10140801031401060208"))
	p.Receive([]byte("kept\n"))
	p.Set(func(c *Condition) { c.Cover = "" })
	if got := p.Roll().All().Text(42); got != "kept\n" || h.take() != "372500" {
		t.Errorf("got %q", got)
	}
}

func TestASB(t *testing.T) {
	p := NewPrinter(PrinterSettings{})
	h := attach(p)
	p.Receive(unhex(t, "1d61ff"))
	p.Set(func(c *Condition) { c.Cover = "open" })
	p.Set(func(c *Condition) { c.Cover = "" })
	p.Set(func(c *Condition) { c.Paper = "near" })
	if got := h.take(); got != "10000000"+"38000000"+"10000000"+"10000300" {
		t.Errorf("got %s", got)
	}
}

func TestPaperRunsOut(t *testing.T) {
	p := NewPrinter(PrinterSettings{Lines: 4})
	attach(p)
	p.Receive([]byte("1\n2\n3\n4\n5\n6\n"))
	if got := p.Roll().All().Text(42); got != "1\n2\n3\n4\n" || p.Condition().Paper != "out" {
		t.Errorf("%q, paper %s", got, p.Condition().Paper)
	}
}

func TestDisplayCommands(t *testing.T) {
	cases := []struct{ name, hex, top, bottom string }{
		{"an independent driver's bytes", `1F43000C57697461 6A2C205A617A6F6C63 20202020202020 1F240102 50756E6B74793A 202020202020202020 31323530`,
			"Witaj, Zazolc       ", "Punkty:         1250"},
		{"pass-through in CP866", `1B3D02 1B40 1B7411 1F4300 0C 1F240101 80ADADA02C20AAA0E0E2A0 202020202020202020
			1F240102 81A0ABABAEA23A 202020202020202020 31323530 1B3D01 41424344`, "Анна, карта         ", "Баллов:         1250"},
		{"CD5220 strings", "0C 1B5141 544F54414C 0D 1B5142 342E3530 0D", "TOTAL               ", "4.50                "},
		{"cursor commands do nothing after a string", "0C 1B5141 41 0D 1F240102 58", "A                   ", "                    "},
		{"and do again after clearing", "0C 1B5141 41 0D 0C 1F240102 58", "                    ", "X                   "},
		{"Logic Controls", "1F11 14 1000 4142 1014 4344", "AB                  ", "CD                  "},
		{"lines parted by LF CR", "1F01 0C 41 0A0D 42", "A                   ", "B                   "},
		{"overwrite mode wraps to the top", "0C" + strings.Repeat("41", 40) + "42", "B" + strings.Repeat("A", 19), strings.Repeat("A", 20)},
		{"vertical mode scrolls", "0C 1F02" + strings.Repeat("41", 40) + "42", strings.Repeat("A", 20), "B" + strings.Repeat(" ", 19)},
		{"clear a line", "0C 4142 18 43", "C                   ", strings.Repeat(" ", 20)},
	}
	for _, c := range cases {
		d := NewDisplay(DisplaySettings{})
		for _, b := range unhex(t, c.hex) {
			d.Receive([]byte{b})
		}
		if top, bottom := d.Lines(); top != c.top || bottom != c.bottom {
			t.Errorf("%s: got %q %q, want %q %q", c.name, top, bottom, c.top, c.bottom)
		}
		if n := d.Unknown(); n > 0 {
			t.Errorf("%s: %d bytes not understood", c.name, n)
		}
	}
}

func TestPictures(t *testing.T) {
	p := NewPrinter(PrinterSettings{Columns: 48})
	for _, kind := range []string{"ean13", "ean8", "upca", "code39", "code93", "code128", "itf", "codabar", "qr", "datamatrix", "aztec", "pdf417", "strange"} {
		data := map[string]string{"ean13": "4006381333931", "ean8": "96385074", "upca": "036000291452", "itf": "1234", "codabar": "A123B", "code39": "ABC"}[kind]
		if data == "" {
			data = "TILLSIDE 1250"
		}
		p.Roll().Add(paper.Code{Kind: kind, Data: data, Module: 2, Height: 60, Level: "M", Below: true})
	}
	p.Feed([]byte("Ж Ł \xc4\xcd\n"))
	img, err := p.Roll().All().PNG(p.Roll().Dots)
	if err != nil {
		t.Fatal(err)
	}
	pic, err := png.Decode(bytes.NewReader(img))
	if err != nil || pic.Bounds().Dx() < 576 || pic.Bounds().Dy() < 600 {
		t.Errorf("%v %v", pic.Bounds(), err)
	}
	d := NewDisplay(DisplaySettings{})
	if img, err := d.PNG(); err != nil || len(img) == 0 {
		t.Error(err)
	}
}

func bench(t *testing.T) (*Bench, *Printer, *Display) {
	t.Helper()
	b := NewBench()
	s, p, d := NewScanner(ScannerSettings{}), NewPrinter(PrinterSettings{}), NewDisplay(DisplaySettings{})
	for n, m := range map[string]Machine{"scanner": s, "printer": p, "display": d} {
		c, err := TCP("127.0.0.1:0", m)
		if err != nil {
			t.Fatal(err)
		}
		b.Add(n, c, m)
	}
	t.Cleanup(b.Close)
	return b, p, d
}

func TestBenchByLines(t *testing.T) {
	b, p, d := bench(t)
	p.Feed([]byte("hello\n"))
	d.Receive([]byte("on top"))
	file := t.TempDir() + "/slip.png"
	var out strings.Builder
	err := b.Run(strings.NewReader(strings.Join([]string{"paper out", "text printer", "text display", "cover open", "nonsense", "scan 123",
		"lines 5", "png printer " + file, "unplug scanner", "plug scanner", "clear", "help", "quit", "never"}, "\n")), &out)
	if err != nil {
		t.Fatal(err)
	}
	if p.Condition().Paper != "out" || p.Condition().Cover != "open" {
		t.Errorf("%+v", p.Condition())
	}
	for _, want := range []string{"hello\n", "on top", `error: "nonsense"`, "error: the scanner is unplugged"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "never") {
		t.Error("quit did not end it")
	}
}

func TestBenchByHTTP(t *testing.T) {
	b, p, d := bench(t)
	srv := httptest.NewServer(b.Handler())
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	p.Feed([]byte("first\n\x1dV\x00second\n"))
	d.Receive([]byte("grid"))
	call := func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			if headers[i] == "Host" {
				req.Host = headers[i+1]
			}
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var buf bytes.Buffer
		buf.ReadFrom(resp.Body)
		return resp.StatusCode, buf.String()
	}
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/state", `{"paper":"out"}`, 200, "ok"},
		{"POST", "/state", `{"paper":"torn"}`, 400, "torn"},
		{"POST", "/state", `{"colour":1}`, 400, "colour"},
		{"GET", "/state", "", 200, `"paper":"out"`},
		{"GET", "/text?slip=last", "", 200, "first"},
		{"GET", "/text?slip=rest", "", 200, "second"},
		{"GET", "/text?slip=9", "", 400, "slip"},
		{"GET", "/png", "", 200, "PNG"},
		{"GET", "/png?device=display", "", 200, "PNG"},
		{"GET", "/grid", "", 200, "grid"},
		{"GET", "/devices", "", 200, "scanner"},
		{"POST", "/unplug?device=printer", "", 200, "ok"},
		{"POST", "/plug?device=printer", "", 200, "ok"},
		{"POST", "/plug?device=kettle", "", 404, "no such device"},
		{"POST", "/scan", `{"data":"1"}`, 400, "unplugged"},
		{"POST", "/power?device=printer", "", 200, "ok"},
		{"POST", "/clear", "", 200, "ok"},
	} {
		if code, got := call(c.method, c.path, c.body); code != c.code || !strings.Contains(got, c.want) {
			t.Errorf("%s %s %s: %d %.80q", c.method, c.path, c.body, code, got)
		}
	}
	for _, h := range [][2]string{{"Host", "evil.example"}, {"Origin", "http://evil.example"}, {"Origin", "null"}} {
		if code, _ := call("GET", "/text", "", h[0], h[1]); code != http.StatusForbidden {
			t.Errorf("%v: %d", h, code)
		}
	}
	if code, _ := call("OPTIONS", "/scan", "", "Origin", "http://127.0.0.1:8750"); code != http.StatusNoContent {
		t.Errorf("a page of this machine: %d", code)
	}
}

func TestCablesCanBePulledOften(t *testing.T) {
	for range 20 {
		c, err := PTY(t.TempDir()+"/port", NewPrinter(PrinterSettings{}))
		if err != nil {
			t.Skip(err)
		}
		for range 5 {
			c.Unplug()
			if err := c.Plug(); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		if err := c.Plug(); err == nil {
			t.Error("a closed cable was plugged in")
		}
	}
}

func TestScannerPace(t *testing.T) {
	s := NewScanner(ScannerSettings{Prefix: "]E0", Suffix: "\r\n", Pace: time.Microsecond})
	if s.Scan("x") {
		t.Error("a scan without a line")
	}
	h := attach(s)
	if !s.Scan("123") || h.String() != "]E0123\r\n" {
		t.Errorf("got %q", h.String())
	}
}

func FuzzPrinter(f *testing.F) {
	f.Add([]byte("\x1b@\x1dk\x02400638133393\x00\x1d(k\x03\x00\x31\x51\x30\x1dv0\x00\x01\x00\x01\x00\xff"), 3)
	f.Add([]byte("\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08\x1cq\x01\x01\x00\x01\x00"), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		p := NewPrinter(PrinterSettings{Lines: 50})
		attach(p)
		cut = max(1, cut%50)
		for i := 0; i < len(b); i += cut {
			p.Receive(b[i:min(i+cut, len(b))])
			if i == 2*cut {
				p.Set(func(c *Condition) { c.Cover = "open" })
			}
		}
		p.Set(func(c *Condition) { *c = Condition{} })
		_ = p.Roll().All().Text(42)
	})
}

func FuzzDisplay(f *testing.F) {
	f.Add([]byte("\x1f\x24\x01\x02A\x1bQA123\r\x10\x27\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, aedex := range []bool{false, true} {
			d := NewDisplay(DisplaySettings{AEDEX: aedex})
			d.Receive(b)
			top, bottom := d.Lines()
			if len([]rune(top)) != 20 || len([]rune(bottom)) != 20 {
				t.Fatalf("%q %q", top, bottom)
			}
		}
	})
}
