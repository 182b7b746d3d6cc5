package escpos

import (
	"bytes"
	"encoding/hex"
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "", "|", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func profile(pages string) Profile {
	p, err := ParsePages(pages)
	if err != nil {
		panic(err)
	}
	return Profile{Columns: 42, Dots: 512, Pages: p, NativeQR: true, Cut: "feed", CutLines: 4}
}

// The worked job of the notes, whose bytes two independent parsers read without
// an unknown command.
func TestWorkedJob(t *testing.T) {
	got, err := profile("cp866=17").Encode(drivers.Slip{Blocks: []drivers.Block{
		drivers.Text{Text: "КЛУБ", Align: drivers.Centre, Bold: true, Width: 2, Height: 2},
		drivers.Text{Text: "Баланс: 1250 баллов"},
		drivers.Barcode{Symbology: drivers.EAN13, Data: "4006381333931", Height: 64},
		drivers.QR{Data: "TILLSIDE:1250"},
		drivers.Feed{Lines: 3},
		drivers.Cut{Partial: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, `1B40 | 1B7411 | 1B6101 | 1B2138 8A8B9381 0A | 1B2100 | 1B6100
		81A0ABA0ADE13A203132353020A1A0ABABAEA20A
		1D6840 1D7702 1D4802 1D6B430D34303036333831333333393331
		1D286B0400314132001D286B03003143061D286B0300314531
		1D286B100031503054494C4C534944453A313235301D286B0300315130
		1B6403 1D564200`)
	if !bytes.Equal(got, want) {
		t.Errorf("\n got % X\nwant % X", got, want)
	}
}

func TestPageFollowsTheLetters(t *testing.T) {
	got, err := profile("cp437=0 cp866=7 cp852=54").Encode(drivers.Lines("", "plain", "Баланс", "Żółć", "Баланс i Żółć"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1b40 1b7400", "706c61696e 0a", // the first page does for ASCII
		"1b7407 81a0aba0ade1 0a",
		"1b7436 bda28886 0a",
		"1b7407 81a0aba0ade1 2069 20 5a6f6c63 0a", // the page that lacks least; the rest is transliterated
	} {
		if !bytes.Contains(got, unhex(t, want)) {
			t.Errorf("% X is missing in % X", unhex(t, want), got)
		}
	}
}

func TestNoCommandGetsThroughText(t *testing.T) {
	got, err := profile("cp866=17").Encode(drivers.Lines("", "Anna\x1b@\x1dV\x00\x10\x04\x01"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("Anna@V\n")) {
		t.Errorf("% X", got)
	}
}

func TestBarcodesThatDoNotPrintAreRefused(t *testing.T) {
	p := profile("cp437=0")
	bad := []drivers.Block{
		drivers.Barcode{Symbology: drivers.EAN13, Data: "4006381333932"},
		drivers.Barcode{Symbology: drivers.EAN13, Data: "12"},
		drivers.Barcode{Symbology: drivers.EAN8, Data: "x2345678"},
		drivers.Barcode{Symbology: drivers.ITF, Data: "123"},
		drivers.Barcode{Symbology: drivers.Code39, Data: "abc"},
		drivers.Barcode{Symbology: drivers.Code128, Data: "ж"},
		drivers.Barcode{Symbology: drivers.Code128, Data: ""},
		drivers.Barcode{Symbology: drivers.Code128, Data: strings.Repeat("A", 60)},
		drivers.Barcode{Symbology: "braille", Data: "1"},
		drivers.QR{},
		drivers.QR{Data: "x", Level: 'Z'},
		drivers.QR{Data: strings.Repeat("x", 3000)},
		drivers.Image{},
	}
	for _, b := range bad {
		if _, err := p.Encode(drivers.Slip{Blocks: []drivers.Block{b}}); !errors.Is(err, drivers.BadData) {
			t.Errorf("%+v: got %v", b, err)
		}
	}
	good := []drivers.Block{
		drivers.Barcode{Symbology: drivers.EAN13, Data: "400638133393"},
		drivers.Barcode{Symbology: drivers.UPCA, Data: "036000291452"},
		drivers.Barcode{Symbology: drivers.Code128, Data: "AB{C12"},
		drivers.Barcode{Symbology: drivers.Code128, Data: strings.Repeat("12", 20)},
		drivers.Barcode{Symbology: drivers.Code39, Data: "ABC-1"},
		drivers.QR{Data: strings.Repeat("https://", 30), Dot: 8},
	}
	for _, b := range good {
		if _, err := p.Encode(drivers.Slip{Blocks: []drivers.Block{b}}); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

func TestPictureIsCutIntoBands(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 20, 100))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	img.SetGray(0, 0, color.Gray{})
	p := profile("cp437=0")
	p.ImageRows = 48
	got, err := p.Encode(drivers.Slip{Blocks: []drivers.Block{drivers.Image{Image: img}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(got, unhex(t, "1d763000 0300")); n != 3 {
		t.Errorf("%d bands", n)
	}
	if !bytes.Contains(got, unhex(t, "1d763000 0300 3000 80 00 00")) || !bytes.Contains(got, unhex(t, "1d763000 0300 0400")) {
		t.Errorf("% X", got[:40])
	}
}

func TestStatusBytes(t *testing.T) {
	cases := []struct {
		name  string
		rt    realtime
		worst drivers.Code
	}{
		{"fine", realtime{0x12, 0x12, 0x12, 0x12}, drivers.Ready},
		{"near end", realtime{0x12, 0x12, 0x12, 0x1E}, drivers.PaperNear},
		{"paper out", realtime{0x1A, 0x32, 0x12, 0x7E}, drivers.PaperOut},
		{"paper out, one query answered", realtime{0x1A, 0, 0, 0x7E}, drivers.PaperOut},
		{"cover open", realtime{0x1A, 0x16, 0x12, 0x12}, drivers.CoverOpen},
		{"cutter", realtime{0x1A, 0x52, 0x1A, 0x12}, drivers.CutterFault},
		{"hot", realtime{0x1A, 0x52, 0x52, 0x12}, drivers.Overheated},
		{"broken", realtime{0x1A, 0x52, 0x32, 0x12}, drivers.Mechanism},
		{"off-line", realtime{0x1A, 0x12, 0x12, 0x12}, drivers.Offline},
		{"not asked", realtime{}, drivers.Unknown},
	}
	for _, c := range cases {
		st := c.rt.status()
		if st.Worst() != c.worst {
			t.Errorf("%s: got %s %v, want %s", c.name, st.Worst(), st.Codes, c.worst)
		}
	}
	for _, c := range []struct {
		asb   [4]byte
		worst drivers.Code
	}{{[4]byte{0x10}, drivers.Ready}, {[4]byte{0x38}, drivers.CoverOpen}, {[4]byte{0x18, 0, 0x0C}, drivers.PaperOut},
		{[4]byte{0x10, 0, 0x03}, drivers.PaperNear}, {[4]byte{0x18, 0x08}, drivers.CutterFault}, {[4]byte{0x18}, drivers.Offline}} {
		if st := asbStatus(c.asb); st.Worst() != c.worst {
			t.Errorf("ASB % X: got %s, want %s", c.asb, st.Worst(), c.worst)
		}
	}
}

func TestAnswersAreSorted(t *testing.T) {
	var s sorter
	var got []eventKind
	// An ASB block, a DLE EOT answer, XOFF, a GS r answer, then an ASB block
	// with a DLE EOT answer inside.
	for _, b := range []byte{0x10, 0, 0, 0, 0x12, 0x13, 0x00, 0x18, 0x00, 0x1A, 0x0C, 0x00} {
		if e := s.feed(b); e.kind != noise {
			got = append(got, e.kind)
		}
	}
	want := []eventKind{asbAns, eotAns, queued, eotAns, asbAns}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	s = sorter{wantText: true}
	var text string
	for _, b := range []byte("_EPSON\x00") {
		if e := s.feed(b); e.kind == textAns {
			text = e.text
		}
	}
	if text != "EPSON" {
		t.Errorf("got %q", text)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0x12, 0x1A, 0x7E, 0x10, 0, 0, 0, 0x5F, 'A', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, want := range []bool{false, true} {
			s := sorter{wantText: want}
			for _, c := range b {
				e := s.feed(c)
				if e.kind == asbAns {
					asbStatus(e.asb)
				}
				if len(e.text) > 80 {
					t.Fatal("an endless answer was kept")
				}
			}
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("Баланс\x1b", "4006381333931", "QR")
	p := profile("cp437=0 cp866=17 cp852=18")
	f.Fuzz(func(t *testing.T, text, code, qr string) {
		for _, b := range []drivers.Block{drivers.Text{Text: text, Width: len(code) % 9}, drivers.Barcode{Symbology: drivers.Code128, Data: code},
			drivers.Barcode{Symbology: drivers.EAN13, Data: code}} {
			p.Encode(drivers.Slip{CopyMark: qr, Blocks: []drivers.Block{b}})
		}
	})
}

func TestPages(t *testing.T) {
	for _, s := range []string{"", "cp866", "cp866=300", "cp999=1"} {
		if _, err := ParsePages(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if p, err := ParsePages("cp866=0x11, cp852=18"); err != nil || len(p) != 2 || p[0].Number != 17 || p[0].Page != codepage.Must("cp866") {
		t.Errorf("%v %v", p, err)
	}
}

func BenchmarkEncode(b *testing.B) {
	p := profile("cp437=0 cp866=17 cp852=18")
	slip := drivers.Lines("", "Баланс на 14.02: 1250 баллов", "Начислено                 35", "До Silver ещё 120", "Спасибо, Анна!")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Encode(slip); err != nil {
			b.Fatal(err)
		}
	}
}
