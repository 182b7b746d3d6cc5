package emulator

import (
	"bytes"

	"github.com/tillside/tillside/drivers/emulator/paper"
)

// Parameter bytes of GS commands that are taken and change nothing here.
var gsSkip = map[byte]int{'b': 1, 'f': 1, 'P': 2, 'T': 1, '\\': 2, '$': 2, ':': 0, '^': 3, 'E': 1, 'A': 2, 'c': 0, 'W': 2,
	'z': 3, 'g': 4, 'j': 1, 'p': 1, '`': 1, 'i': 1, 'x': 1}

var formA = []string{"upca", "upce", "ean13", "ean8", "code39", "itf", "codabar"}
var formB = []string{"upca", "upce", "ean13", "ean8", "code39", "itf", "codabar", "code93", "code128", "gs1-128", "databar", "databar", "databar", "databar"}

func (p *Printer) gsCommand(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	need := func(n int) bool { return len(b) >= n }
	switch b[1] {
	case '(':
		return p.gsParen(b)
	case '8': // GS 8 L p1..p4
		if !need(7) {
			return 0
		}
		n := int(b[3]) | int(b[4])<<8 | int(b[5])<<16 | int(b[6])<<24
		if n < 0 || n > 1<<24 {
			p.note(b[:7])
			return 7
		}
		if !need(7 + n) {
			return 0
		}
		p.graphics(b[7 : 7+n])
		return 7 + n
	case 'v': // GS v 0 m xL xH yL yH
		if !need(8) {
			return 0
		}
		row, rows := int(b[4])|int(b[5])<<8, int(b[6])|int(b[7])<<8
		n := 8 + row*rows
		if !need(n) {
			return 0
		}
		if row > 0 && rows > 0 {
			p.picture(bitmap(b[8:n], row, rows))
		}
		return n
	case '*': // downloaded picture: x y, columns of bytes
		if !need(4) {
			return 0
		}
		x, y := int(b[2]), int(b[3])
		n := 4 + x*y*8
		if !need(n) {
			return 0
		}
		img := bitmap(make([]byte, max(x, 1)*max(y, 1)*8), max(x, 1), max(y, 1)*8)
		for c := range x * 8 {
			for r := range y * 8 {
				if b[4+c*y+r/8]&(0x80>>(r%8)) != 0 {
					img.Pix[r*img.Stride+c] = 0
				}
			}
		}
		p.st.download = &paper.Picture{Image: img}
		return n
	case '/':
		if !need(3) {
			return 0
		}
		if p.st.download != nil {
			p.picture(p.st.download.Image)
		}
		return 3
	case 'k':
		return p.gsBarcode(b)
	case 'V':
		if !need(3) {
			return 0
		}
		n := 3
		if b[2] >= 65 {
			n = 4
		}
		if !need(n) {
			return 0
		}
		p.cut(b[2] == 1 || b[2] == '1' || b[2] == 66 || b[2] == 98 || b[2] == 104)
		return n
	case 'L':
		if !need(4) {
			return 0
		}
		p.st.margin = int(b[2]) | int(b[3])<<8
		return 4
	case 'C': // counters
		if !need(3) {
			return 0
		}
		n := map[byte]int{'0': 5, 0: 5, '1': 9, 1: 9, '2': 5, 2: 5}[b[2]]
		if b[2] == ';' {
			rest := b
			for n = 3; n < len(b) && bytes.Count(rest[3:n], []byte{';'}) < 5; {
				n++
			}
			if bytes.Count(rest[3:n], []byte{';'}) < 5 {
				return 0
			}
		}
		if n == 0 {
			n = 3
		}
		if !need(n) {
			return 0
		}
		return n
	}
	if n, ok := gsSkip[b[1]]; ok {
		if !need(2 + n) {
			return 0
		}
		return 2 + n
	}
	if !need(3) {
		return 0
	}
	n := b[2]
	switch b[1] {
	case '!':
		p.st.span.Width, p.st.span.Height = 1+int(n>>4&7), 1+int(n&7)
	case 'B':
		p.st.span.Inverse = n&1 == 1
	case 'h':
		p.st.height = max(int(n), 1)
	case 'w':
		p.st.module = max(int(n), 1)
	case 'H':
		if n >= '0' {
			n -= '0'
		}
		p.st.hri = n & 3
	case 'r':
		switch n {
		case 1, '1':
			p.answer(p.paperByte())
		case 2, '2':
			p.answer(pick(p.cond.Drawer == "open", 1, 0))
		case 4, '4':
			p.answer(0)
		}
	case 'I':
		p.identify(n)
	case 'a':
		p.asb = n
		if n != 0 {
			p.tellASB(true)
		}
	default:
		p.note(b[:3])
	}
	return 3
}

func (p *Printer) paperByte() byte {
	switch p.cond.Paper {
	case "near":
		return 0x03
	case "out":
		return 0x0F
	}
	return 0
}

func (p *Printer) identify(n byte) {
	texts := map[byte]string{0x41: p.set.Firmware, 0x42: p.set.Maker, 0x43: p.set.Model, 0x44: p.set.Serial}
	switch {
	case n == 1 || n == '1':
		p.answer(0x20)
	case n == 2 || n == '2':
		p.answer(0x02)
	case n == 3 || n == '3':
		p.answer(0x05)
	case texts[n] != "":
		p.answer(append(append([]byte{0x5F}, texts[n]...), 0)...)
	}
}

func (p *Printer) gsBarcode(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	m := b[2]
	if m <= 6 {
		end := bytes.IndexByte(b[3:], 0)
		if end < 0 {
			if len(b) > 3+255 { // no end: take the command, leave the data
				return 3
			}
			return 0
		}
		p.barcode(formA[m], string(b[3:3+end]))
		return 4 + end
	}
	n := 4 + int(b[3])
	if len(b) < n {
		return 0
	}
	if i := int(m) - 'A'; i >= 0 && i < len(formB) {
		p.barcode(formB[i], string(b[4:n]))
	} else {
		p.note(b[:4])
	}
	return n
}

// gsParen obeys GS ( commands; all carry their length.
func (p *Printer) gsParen(b []byte) int {
	n := p.lengthPrefixed(b, 3)
	if n == 0 {
		return 0
	}
	d := b[5:n]
	switch b[2] {
	case 'k':
		if len(d) >= 2 {
			p.symbolCommand(d)
		}
	case 'L':
		p.graphics(d)
	case 'H': // process id: answered in order, like GS r
		if len(d) == 6 && d[0] == 48 && d[1] == 48 {
			p.answer(0x37, 0x22, d[2], d[3], d[4], d[5], 0)
		}
	}
	return n
}

var symbols = map[byte]string{48: "pdf417", 49: "qr", 50: "maxicode", 51: "databar", 52: "composite", 53: "aztec", 54: "datamatrix"}

// symbolCommand is GS ( k: cn fn parameters.
func (p *Printer) symbolCommand(d []byte) {
	cn, fn, rest := d[0], d[1], d[2:]
	s := p.st.qr[cn]
	if s == nil {
		s = &symbol{module: 3, level: "L"}
		p.st.qr[cn] = s
	}
	arg := byte(0)
	if len(rest) > 0 {
		arg = rest[0]
	}
	switch fn {
	case 67:
		s.module = min(max(int(arg), 1), 16)
	case 69:
		if arg >= 48 && arg <= 51 {
			s.level = "LMQH"[arg-48 : arg-47]
		}
	case 80:
		if len(rest) >= 1 {
			s.data = string(rest[1:])
		}
	case 81:
		if s.data == "" {
			return
		}
		p.flush()
		kind := symbols[cn]
		if kind == "" {
			kind = "symbol"
		}
		p.roll.Add(paper.Code{Kind: kind, Data: s.data, Module: s.module, Level: s.level, Align: p.st.align})
		p.use(4 + s.module)
	}
}

// graphics is the body of GS ( L and GS 8 L: m fn ...
func (p *Printer) graphics(d []byte) {
	if len(d) < 2 {
		return
	}
	switch d[1] {
	case 112: // store raster: a bx by c xL xH yL yH data
		if len(d) < 10 {
			return
		}
		w, h := int(d[6])|int(d[7])<<8, int(d[8])|int(d[9])<<8
		row := (w + 7) / 8
		if row*h == 0 || len(d) < 10+row*h {
			return
		}
		p.st.graphics = &paper.Picture{Image: bitmap(d[10:10+row*h], row, h)}
	case 2, 50: // print what is stored
		if p.st.graphics != nil {
			p.picture(p.st.graphics.Image)
			p.st.graphics = nil
		}
	}
}
