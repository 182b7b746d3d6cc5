package escpos

import (
	"bytes"
	"fmt"
	"image"
	"strings"

	bc "github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/codepage"
)

// Control bytes.
const (
	dle = 0x10
	eot = 0x04
	enq = 0x05
	esc = 0x1B
	fs  = 0x1C
	gs  = 0x1D
	lf  = 0x0A
)

// Commands with their names in Epson's reference.
var (
	cmdInit      = []byte{esc, '@'}
	cmdKanjiOff  = []byte{fs, '.'}
	cmdStatusR   = []byte{gs, 'r', 1}
	cmdModelID   = []byte{gs, 'I', 1}
	cmdRecover   = []byte{dle, enq, 2}                                       // clear buffers, go on
	cmdClear     = []byte{dle, 0x14, 8, 1, 3, 0x14, 1, 6, 2, 8}              // real-time clear of buffers
	cmdASB       = []byte{gs, 'a', 0x0F}                                     // drawer, on-line, error, roll
	cmdQRModel   = []byte{gs, '(', 'k', 4, 0, 0x31, 0x41, 0x32, 0}           // model 2
	cmdQRPrint   = []byte{gs, '(', 'k', 3, 0, 0x31, 0x51, 0x30}              //
	qrLevels     = map[byte]byte{'L': 0x30, 'M': 0x31, 'Q': 0x32, 'H': 0x33} //
	barcodeForm  = map[drivers.Symbology]byte{drivers.UPCA: 0, drivers.UPCE: 1, drivers.EAN13: 2, drivers.EAN8: 3, drivers.Code39: 4, drivers.ITF: 5, drivers.Codabar: 6, drivers.Code93: 7, drivers.Code128: 8, drivers.GS1128: 9}
	alignNumbers = map[drivers.Align]byte{drivers.Left: 0, drivers.Centre: 1, drivers.Right: 2}
)

// eotQuery is the real-time status query DLE EOT n.
func eotQuery(n byte) []byte { return []byte{dle, eot, n} }

// PageNumber is a code page and its number for ESC t on one model.
type PageNumber struct {
	Page   *codepage.Page
	Number byte
}

// Profile is what the encoder must know of a model.
type Profile struct {
	Columns   int          // font A
	Dots      int          // printable width
	Pages     []PageNumber // in order of preference; at least one
	KanjiOff  bool         // send FS . before eight-bit text
	NativeQR  bool         // GS ( k; otherwise a picture
	FormA     bool         // barcodes end with NUL instead of a length
	Cut       string       // "feed", "plain", "old", "none"
	CutLines  int          // lines to feed before a plain or old cut
	Drawer    byte         // pin: 0 or 1
	DrawerOn  int          // pulse, milliseconds
	ImageRows int          // rows in one picture command
}

// encoder builds one job.
type encoder struct {
	Profile
	out   bytes.Buffer
	page  int // index in Pages that the printer has now
	align drivers.Align
}

// Init is what every job and every connection begins with.
func (p Profile) Init() []byte {
	b := append([]byte{}, cmdInit...)
	if p.KanjiOff {
		b = append(b, cmdKanjiOff...)
	}
	return append(b, esc, 't', p.Pages[0].Number)
}

// Encode turns a slip into a job. It fails on data no printer prints: a wrong
// check digit, a code too wide for the paper. The error has the code BadData.
func (p Profile) Encode(slip drivers.Slip) ([]byte, error) {
	e := &encoder{Profile: p}
	e.out.Write(p.Init())
	if slip.CopyMark != "" {
		e.text(drivers.Text{Text: slip.CopyMark, Align: drivers.Centre, Bold: true})
	}
	for i, b := range slip.Blocks {
		if err := e.block(b); err != nil {
			return nil, &drivers.Error{Op: fmt.Sprintf("lay out block %d", i+1), Code: drivers.BadData, Err: err}
		}
	}
	return e.out.Bytes(), nil
}

func (e *encoder) block(b drivers.Block) error {
	switch b := b.(type) {
	case drivers.Text:
		e.text(b)
	case drivers.Rule:
		c := "-"
		if b.Double {
			c = "="
		}
		e.text(drivers.Text{Text: strings.Repeat(c, e.Columns)})
	case drivers.Feed:
		for n := b.Lines; n > 0; n -= 255 {
			e.out.Write([]byte{esc, 'd', byte(min(n, 255))})
		}
	case drivers.Cut:
		e.cut(b)
	case drivers.Barcode:
		return e.barcode(b)
	case drivers.QR:
		return e.qr(b)
	case drivers.Image:
		if b.Image == nil {
			return fmt.Errorf("picture without a picture")
		}
		e.raster(fit(b.Image, e.Dots), b.Align)
	default:
		return fmt.Errorf("%T is not known here", b)
	}
	return nil
}

func (e *encoder) setAlign(a drivers.Align) {
	if a != e.align {
		e.align = a
		e.out.Write([]byte{esc, 'a', alignNumbers[a]})
	}
}

// pick chooses the page for a text: the present one if it has all letters, the
// first one that has, or the one that lacks the fewest.
func (e *encoder) pick(s string) *codepage.Page {
	best, lacks := e.page, len(e.Pages[e.page].Page.Lacks(s))
	for i := 0; i < len(e.Pages) && lacks > 0; i++ {
		if n := len(e.Pages[i].Page.Lacks(s)); n < lacks {
			best, lacks = i, n
		}
	}
	if best != e.page {
		e.page = best
		e.out.Write([]byte{esc, 't', e.Pages[best].Number})
	}
	return e.Pages[best].Page
}

func (e *encoder) text(t drivers.Text) {
	e.setAlign(t.Align)
	mode, size := style(t)
	styled := mode != 0 || size != 0 || t.Inverse
	if mode != 0 {
		e.out.Write([]byte{esc, '!', mode})
	}
	if size != 0 {
		e.out.Write([]byte{gs, '!', size})
	}
	if t.Inverse {
		e.out.Write([]byte{gs, 'B', 1})
	}
	for i, l := range strings.Split(strings.TrimSuffix(t.Text, "\n"), "\n") {
		if i > 0 {
			e.out.WriteByte(lf)
		}
		if l = strings.TrimRight(l, "\r"); l != "" {
			page := e.pick(l)
			e.out.Write(page.Encode(l))
		}
	}
	e.out.WriteByte(lf)
	if !styled {
		return
	}
	if size != 0 {
		e.out.Write([]byte{gs, '!', 0})
	}
	if t.Inverse {
		e.out.Write([]byte{gs, 'B', 0})
	}
	if mode != 0 {
		e.out.Write([]byte{esc, '!', 0})
	}
}

// style gives the bits of ESC !, and of GS ! for letters larger than double.
func style(t drivers.Text) (mode, size byte) {
	w, h := min(max(t.Width, 1), 8), min(max(t.Height, 1), 8)
	if t.Small {
		mode |= 1
	}
	if t.Bold {
		mode |= 1 << 3
	}
	if t.Underline {
		mode |= 1 << 7
	}
	if w <= 2 && h <= 2 {
		if h == 2 {
			mode |= 1 << 4
		}
		if w == 2 {
			mode |= 1 << 5
		}
		return mode, 0
	}
	return mode, byte(w-1)<<4 | byte(h-1)
}

func (e *encoder) cut(c drivers.Cut) {
	feed := []byte{esc, 'd', byte(max(e.CutLines, 1))}
	switch e.Cut {
	case "none":
		e.out.Write(feed)
	case "old":
		e.out.Write(feed)
		e.out.Write([]byte{esc, pickByte(c.Partial, 'm', 'i')})
	case "plain":
		e.out.Write(feed)
		e.out.Write([]byte{gs, 'V', pickByte(c.Partial, 1, 0)})
	default:
		e.out.Write([]byte{gs, 'V', pickByte(c.Partial, 'B', 'A'), 0})
	}
}

func pickByte(is bool, yes, no byte) byte {
	if is {
		return yes
	}
	return no
}

func (e *encoder) barcode(b drivers.Barcode) error {
	data, err := checkBarcode(b)
	if err != nil {
		return err
	}
	height, module := b.Height, b.Module
	if height == 0 {
		height = 64
	}
	if module == 0 {
		module = 2
	}
	module = min(max(module, 1), 6)
	form, body := barcodeForm[b.Symbology], data
	modules := barcodeModules(b.Symbology, len(data))
	switch b.Symbology {
	case drivers.Code128:
		body = "{B" + strings.ReplaceAll(data, "{", "{{")
		if modules*module > e.Dots && card.Digits(data) && len(data)%2 == 0 {
			body, modules = "{C"+pairs(data), 11*(len(data)/2+2)+13
		}
	}
	for modules*module > e.Dots && module > 1 {
		module--
	}
	if modules*module > e.Dots {
		return fmt.Errorf("barcode %s of %d characters does not fit on %d dots", b.Symbology, len(data), e.Dots)
	}
	e.setAlign(b.Align)
	e.out.Write([]byte{gs, 'h', byte(min(height, 255)), gs, 'w', byte(module), gs, 'H', pickByte(b.HideText, 0, 2)})
	if e.FormA && form <= 6 {
		e.out.Write([]byte{gs, 'k', form})
		e.out.WriteString(body)
		e.out.WriteByte(0)
		return nil
	}
	if len(body) > 255 {
		return fmt.Errorf("barcode %s of %d characters is too long", b.Symbology, len(data))
	}
	e.out.Write([]byte{gs, 'k', 'A' + form, byte(len(body))})
	e.out.WriteString(body)
	return nil
}

func pairs(digits string) string {
	b := make([]byte, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		b = append(b, (digits[i]-'0')*10+digits[i+1]-'0')
	}
	return string(b)
}

// checkBarcode gives the data to send, or why the printer would print nothing.
func checkBarcode(b drivers.Barcode) (string, error) {
	d := b.Data
	want := map[drivers.Symbology]int{drivers.EAN13: 13, drivers.EAN8: 8, drivers.UPCA: 12}[b.Symbology]
	switch {
	case want != 0:
		if !card.Digits(d) || len(d) != want && len(d) != want-1 {
			return "", fmt.Errorf("%s needs %d or %d digits, found %d characters", b.Symbology, want-1, want, len(d))
		}
		if len(d) == want-1 {
			return d + string(card.EANCheck(d)), nil
		}
		if card.EANCheck(d[:want-1]) != d[want-1] {
			return "", fmt.Errorf("%s: wrong check digit", b.Symbology)
		}
		return d, nil
	case b.Symbology == drivers.UPCE:
		if !card.Digits(d) || len(d) < 6 || len(d) > 12 {
			return "", fmt.Errorf("upce needs 6 to 12 digits")
		}
	case b.Symbology == drivers.ITF:
		if !card.Digits(d) || len(d)%2 != 0 {
			return "", fmt.Errorf("itf needs an even number of digits")
		}
	case b.Symbology == drivers.Code39:
		return d, only(d, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ -.$/+%*", b.Symbology)
	case b.Symbology == drivers.Codabar:
		return d, only(d, "0123456789-$:/.+ABCDabcd", b.Symbology)
	case b.Symbology == drivers.Code93, b.Symbology == drivers.Code128, b.Symbology == drivers.GS1128:
		for i := 0; i < len(d); i++ {
			if d[i] < 0x20 || d[i] > 0x7E {
				return "", fmt.Errorf("%s takes printable ASCII only", b.Symbology)
			}
		}
	default:
		return "", fmt.Errorf("symbology %q is not known", b.Symbology)
	}
	if d == "" {
		return "", fmt.Errorf("%s without data", b.Symbology)
	}
	return d, nil
}

func only(d, set string, s drivers.Symbology) error {
	if d == "" || strings.Trim(d, set) != "" {
		return fmt.Errorf("%s takes only %s", s, set)
	}
	return nil
}

// barcodeModules is how wide a code is, in thinnest bars, without quiet zones.
func barcodeModules(s drivers.Symbology, n int) int {
	switch s {
	case drivers.EAN13, drivers.UPCA:
		return 95
	case drivers.EAN8:
		return 67
	case drivers.UPCE:
		return 51
	case drivers.Code39:
		return 16 * (n + 2)
	case drivers.Code93:
		return 9*(n+4) + 1
	case drivers.ITF:
		return 9*n + 9
	case drivers.Codabar:
		return 12 * n
	}
	return 11*(n+2) + 13
}

func (e *encoder) qr(q drivers.QR) error {
	dot := q.Dot
	if dot == 0 {
		dot = 6
	}
	level := q.Level
	if level == 0 {
		level = 'M'
	}
	if _, ok := qrLevels[level]; !ok {
		return fmt.Errorf("qr level %q is not one of L, M, Q, H", level)
	}
	// Drawing it also tells whether it fits, which a printer does not.
	code, err := qr.Encode(q.Data, map[byte]qr.ErrorCorrectionLevel{'L': qr.L, 'M': qr.M, 'Q': qr.Q, 'H': qr.H}[level], qr.Auto)
	if err != nil || q.Data == "" {
		return fmt.Errorf("qr code of %d bytes: too much or nothing", len(q.Data))
	}
	modules := code.Bounds().Dx()
	dot = min(max(dot, 1), 16)
	for (modules+8)*dot > e.Dots && dot > 1 {
		dot--
	}
	if modules*dot > e.Dots {
		return fmt.Errorf("qr code of %d bytes does not fit on %d dots", len(q.Data), e.Dots)
	}
	if !e.NativeQR {
		e.raster(bigger(code, dot), q.Align)
		return nil
	}
	e.setAlign(q.Align)
	n := len(q.Data) + 3
	e.out.Write(cmdQRModel)
	e.out.Write([]byte{gs, '(', 'k', 3, 0, 0x31, 0x43, byte(dot)})
	e.out.Write([]byte{gs, '(', 'k', 3, 0, 0x31, 0x45, qrLevels[level]})
	e.out.Write([]byte{gs, '(', 'k', byte(n), byte(n >> 8), 0x31, 0x50, 0x30})
	e.out.WriteString(q.Data)
	e.out.Write(cmdQRPrint)
	return nil
}

func bigger(code bc.Barcode, dot int) *image.Gray {
	n := code.Bounds().Dx()
	img := image.NewGray(image.Rect(0, 0, n*dot, n*dot))
	for y := range n * dot {
		for x := range n * dot {
			r, _, _, _ := code.At(x/dot, y/dot).RGBA()
			img.Pix[y*img.Stride+x] = byte(r >> 8)
		}
	}
	return img
}

// fit makes a picture grey and no wider than the paper, and turns grey into
// dots by spreading each pixel's error to its neighbours.
func fit(src image.Image, dots int) *image.Gray {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	if w > dots {
		w, h = dots, max(1, h*dots/w)
	}
	img := image.NewGray(image.Rect(0, 0, w, h))
	line, next := make([]int, w+2), make([]int, w+2)
	for y := range h {
		for x := range w {
			r, g, bl, a := src.At(b.Min.X+x*b.Dx()/w, b.Min.Y+y*b.Dy()/h).RGBA()
			// What is transparent is paper.
			grey := int((299*r+587*g+114*bl)/1000>>8) + int(0xFFFF-a)>>8
			v := grey + line[x+1]/16
			out := 0
			if v >= 128 {
				out = 255
			}
			img.Pix[y*img.Stride+x] = byte(out)
			miss := v - out
			line[x+2] += miss * 7
			next[x] += miss * 3
			next[x+1] += miss * 5
			next[x+2] += miss
		}
		line, next = next, line
		clear(next)
	}
	return img
}

// raster sends a picture by GS v 0, in bands that slow clones can hold.
func (e *encoder) raster(img *image.Gray, a drivers.Align) {
	e.setAlign(a)
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	row := (w + 7) / 8
	rows := e.ImageRows
	if rows <= 0 {
		rows = 128
	}
	for y0 := 0; y0 < h; y0 += rows {
		n := min(rows, h-y0)
		e.out.Write([]byte{gs, 'v', '0', 0, byte(row), byte(row >> 8), byte(n), byte(n >> 8)})
		for y := y0; y < y0+n; y++ {
			bits := make([]byte, row)
			for x := range w {
				if img.Pix[y*img.Stride+x] < 128 {
					bits[x/8] |= 0x80 >> (x % 8)
				}
			}
			e.out.Write(bits)
		}
	}
}
