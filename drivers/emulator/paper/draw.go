package paper

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"
	"sync"

	bc "github.com/boombuler/barcode"
	"github.com/boombuler/barcode/aztec"
	"github.com/boombuler/barcode/codabar"
	"github.com/boombuler/barcode/code128"
	"github.com/boombuler/barcode/code39"
	"github.com/boombuler/barcode/code93"
	"github.com/boombuler/barcode/datamatrix"
	"github.com/boombuler/barcode/ean"
	"github.com/boombuler/barcode/pdf417"
	"github.com/boombuler/barcode/qr"
	"github.com/boombuler/barcode/twooffive"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Cells of the fonts, in dots: font A is 12 by 24, font B 9 by 17.
const (
	cellW, cellH   = 12, 24
	smallW, smallH = 9, 17
	lineGap        = 6
	margin         = 16
)

type faces struct{ a, aBold, b, bBold font.Face }

var loadFaces = sync.OnceValue(func() faces {
	face := func(ttf []byte, px float64) font.Face {
		f, err := opentype.Parse(ttf)
		if err != nil {
			panic(err) // the font is part of the program
		}
		fc, err := opentype.NewFace(f, &opentype.FaceOptions{Size: px, DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			panic(err)
		}
		return fc
	}
	// Go Mono letters are 0.6 wide: 20 px fill a cell of 12 dots.
	return faces{face(gomono.TTF, 20), face(gomonobold.TTF, 20), face(gomono.TTF, 15), face(gomonobold.TTF, 15)}
})

// faceMu: font faces keep buffers and are not safe for concurrent use. It also
// guards the letters drawn so far.
var (
	faceMu sync.Mutex
	glyphs = map[glyphKey]*image.Gray{}
)

type glyphKey struct {
	r           rune
	bold, small bool
}

// Image draws the slip on paper of a width in dots.
func (s Slip) Image(dots int) *image.Gray {
	faceMu.Lock()
	defer faceMu.Unlock()
	var rows []*image.Gray
	height := 2 * margin
	for _, it := range s {
		img := drawItem(it, dots)
		rows = append(rows, img)
		height += img.Bounds().Dy()
	}
	page := image.NewGray(image.Rect(0, 0, dots+2*margin, height))
	fill(page, page.Bounds(), 255)
	y := margin
	for i, img := range rows {
		if _, cut := s[i].(Cut); cut { // cut lines go from edge to edge
			for x := 0; x < page.Bounds().Dx(); x += 16 {
				fill(page, image.Rect(x, y+3, x+8, y+5), 160)
			}
		} else {
			draw.Draw(page, image.Rect(margin, y, margin+dots, y+img.Bounds().Dy()), img, image.Point{}, draw.Src)
		}
		y += img.Bounds().Dy()
	}
	return page
}

// PNG is Image as a file.
func (s Slip) PNG(dots int) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, s.Image(dots))
	return b.Bytes(), err
}

func drawItem(it Item, dots int) *image.Gray {
	switch it := it.(type) {
	case Line:
		return drawLine(it, dots)
	case Code:
		return drawCode(it, dots)
	case Picture:
		return place(it.Image, dots, it.Align)
	case Feed:
		return blank(dots, max(it.Dots, 0))
	}
	return blank(dots, 8)
}

func blank(w, h int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, w, h))
	fill(img, img.Bounds(), 255)
	return img
}

func fill(img *image.Gray, r image.Rectangle, v uint8) {
	draw.Draw(img, r, image.NewUniform(color.Gray{Y: v}), image.Point{}, draw.Src)
}

func place(src *image.Gray, dots int, a Align) *image.Gray {
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	img := blank(dots, h)
	x := offset(dots, w, a)
	draw.Draw(img, image.Rect(x, 0, x+w, h), src, src.Bounds().Min, draw.Src)
	return img
}

func offset(dots, w int, a Align) int {
	switch a {
	case Centre:
		return max(0, (dots-w)/2)
	case Right:
		return max(0, dots-w)
	}
	return 0
}

func (s Span) cell() (w, h int) {
	w, h = cellW, cellH
	if s.Small {
		w, h = smallW, smallH
	}
	return w * max(s.Width, 1), h * max(s.Height, 1)
}

func drawLine(l Line, dots int) *image.Gray {
	width, height := 0, cellH
	for _, s := range l.Spans {
		w, h := s.cell()
		width += w * len([]rune(s.Text))
		height = max(height, h)
	}
	strip := blank(max(width, 1), height)
	x := 0
	for _, s := range l.Spans {
		w, h := s.cell()
		for _, r := range s.Text {
			drawGlyph(strip, s, r, x, height-h, w, h)
			x += w
		}
	}
	img := blank(dots, height+lineGap)
	at := offset(dots, width, l.Align)
	draw.Draw(img, image.Rect(at, 0, at+width, height), strip, image.Point{}, draw.Src)
	return img
}

// The size of a normal letter in dots.
const (
	CellWidth  = cellW
	CellHeight = cellH
)

// Glyph is one bold letter in a cell of CellWidth by CellHeight dots; 0 is ink.
func Glyph(r rune) *image.Gray {
	faceMu.Lock()
	defer faceMu.Unlock()
	cell := blank(cellW, cellH)
	drawGlyph(cell, Span{Bold: true}, r, 0, 0, cellW, cellH)
	return cell
}

// drawGlyph draws a letter at its own size and enlarges the dots, as printers do.
func drawGlyph(to *image.Gray, s Span, r rune, x, y, w, h int) {
	f := loadFaces()
	face, cw, ch, base := f.a, cellW, cellH, 19
	if s.Small {
		face, cw, ch, base = f.b, smallW, smallH, 13
	}
	if s.Bold {
		face = f.aBold
		if s.Small {
			face = f.bBold
		}
	}
	key := glyphKey{r, s.Bold, s.Small}
	cell := glyphs[key]
	if cell == nil {
		cell = blank(cw, ch)
		if !box(cell, r) {
			d := font.Drawer{Dst: cell, Src: image.Black, Face: face, Dot: fixed.P(0, base)}
			d.DrawString(string(r))
		}
		glyphs[key] = cell
	}
	if s.Underline {
		plain := cell
		cell = blank(cw, ch)
		copy(cell.Pix, plain.Pix)
		fill(cell, image.Rect(0, ch-2, cw, ch), 0)
	}
	for py := range h {
		for px := range w {
			v := cell.Pix[(py*ch/h)*cell.Stride+px*cw/w]
			if s.UpsideDown {
				v = cell.Pix[(ch-1-py*ch/h)*cell.Stride+cw-1-px*cw/w]
			}
			if s.Inverse {
				v = 255 - v
			}
			if image.Pt(x+px, y+py).In(to.Bounds()) {
				to.Pix[(y+py)*to.Stride+x+px] = v
			}
		}
	}
}

// box draws the box-drawing letters so that they meet between cells.
func box(cell *image.Gray, r rune) bool {
	w, h := cell.Bounds().Dx(), cell.Bounds().Dy()
	hor := func(y int) { fill(cell, image.Rect(0, y, w, y+2), 0) }
	ver := func(x int) { fill(cell, image.Rect(x, 0, x+2, h), 0) }
	half := func(x0, x1, y0, y1 int) { // a corner: from the middle to two sides
		fill(cell, image.Rect(x0, h/2, x1+2, h/2+2), 0)
		fill(cell, image.Rect(w/2, y0, w/2+2, y1+2), 0)
	}
	switch r {
	case '─':
		hor(h / 2)
	case '═':
		hor(h/2 - 3)
		hor(h/2 + 2)
	case '│':
		ver(w / 2)
	case '┌', '╭':
		half(w/2, w, h/2, h)
	case '┐', '╮':
		half(0, w/2, h/2, h)
	case '└', '╰':
		half(w/2, w, 0, h/2)
	case '┘', '╯':
		half(0, w/2, 0, h/2)
	case '█':
		fill(cell, cell.Bounds(), 0)
	case '▀':
		fill(cell, image.Rect(0, 0, w, h/2), 0)
	case '▄':
		fill(cell, image.Rect(0, h/2, w, h), 0)
	default:
		return false
	}
	return true
}

func drawCode(c Code, dots int) *image.Gray {
	module := max(c.Module, 1)
	code, two, err := encodeCode(c)
	if err != nil {
		return drawLine(Line{Spans: []Span{{Text: "[" + c.Kind + " " + c.Data + "]"}}, Align: c.Align}, dots)
	}
	cw, ch := code.Bounds().Dx(), code.Bounds().Dy()
	w, h := cw*module, max(c.Height, 24)
	if two {
		h = ch * module
	}
	body := blank(w, h)
	for y := range h {
		for x := range w {
			sy := 0
			if two {
				sy = y * ch / h
			}
			r, _, _, _ := code.At(x/module, sy).RGBA()
			body.Pix[y*body.Stride+x] = byte(r >> 8)
		}
	}
	parts := []*image.Gray{place(body, dots, c.Align)}
	// The text stands in the middle of its code.
	strip := drawLine(Line{Spans: []Span{{Text: c.Data}}}, max(w, cellW*len([]rune(c.Data))))
	text := blank(dots, strip.Bounds().Dy())
	at := offset(dots, w, c.Align) + (w-cellW*len([]rune(c.Data)))/2
	draw.Draw(text, strip.Bounds().Add(image.Pt(max(at, 0), 0)), strip, image.Point{}, draw.Src)
	gap := blank(dots, 5)
	if c.Above {
		parts = append([]*image.Gray{text, gap}, parts...)
	}
	if c.Below {
		parts = append(parts, gap, text)
	}
	return stack(parts, dots)
}

func stack(parts []*image.Gray, dots int) *image.Gray {
	h := 0
	for _, p := range parts {
		h += p.Bounds().Dy()
	}
	img := blank(dots, h+lineGap)
	y := 0
	for _, p := range parts {
		draw.Draw(img, image.Rect(0, y, dots, y+p.Bounds().Dy()), p, image.Point{}, draw.Src)
		y += p.Bounds().Dy()
	}
	return img
}

var errUnknown = errors.New("this kind of code is not drawn")

func encodeCode(c Code) (code bc.Barcode, two bool, err error) {
	data := c.Data
	switch c.Kind {
	case "ean13", "ean8":
		code, err = ean.Encode(data)
	case "upca":
		code, err = ean.Encode("0" + data)
	case "code39":
		code, err = code39.Encode(strings.Trim(data, "*"), false, false)
	case "code93":
		code, err = code93.Encode(data, true, true)
	case "code128":
		code, err = code128.Encode(data)
	case "gs1-128":
		code, err = code128.Encode(string(code128.FNC1) + data)
	case "itf":
		code, err = twooffive.Encode(data, true)
	case "codabar":
		code, err = codabar.Encode(strings.ToUpper(data))
	case "qr":
		level := map[string]qr.ErrorCorrectionLevel{"L": qr.L, "M": qr.M, "Q": qr.Q, "H": qr.H}[c.Level]
		code, err = qr.Encode(data, level, qr.Auto)
		two = true
	case "pdf417":
		code, err = pdf417.Encode(data, 2)
		two = true
	case "datamatrix":
		code, err = datamatrix.Encode(data)
		two = true
	case "aztec":
		code, err = aztec.Encode([]byte(data), 33, 0)
		two = true
	default:
		err = errUnknown
	}
	return code, two, err
}
