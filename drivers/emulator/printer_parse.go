package emulator

import (
	"bytes"
	"fmt"
	"image"
	"strings"

	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/emulator/paper"
)

// command obeys the command or text at the beginning of b and returns its
// length; 0 means that more bytes are needed.
func (p *Printer) command(b []byte) int {
	switch c := b[0]; {
	case c == 0x10:
		n := p.realtime(b)
		if n == 1 {
			p.note(b[:1])
		}
		return n
	case c == 0x1B:
		return p.escCommand(b)
	case c == 0x1C:
		return p.fsCommand(b)
	case c == 0x1D:
		return p.gsCommand(b)
	case !p.st.selected:
		return 1
	case c == '\n':
		p.feedLine()
	case c == '\t':
		p.tab()
	case c == 0x0C: // page mode: print; standard mode: print and feed
		p.flush()
	case c >= 0x20 && c != 0x7F:
		n := 1
		for n < len(b) && b[n] >= 0x20 && b[n] != 0x7F && n < 64 {
			n++
		}
		p.put(p.st.page.Decode(b[:n]))
		return n
	}
	return 1 // CR and other control bytes do nothing
}

func (p *Printer) note(b []byte) {
	if len(p.unknown) < 1000 {
		p.unknown = append(p.unknown, fmt.Sprintf("% X", b))
	}
}

// realtime obeys DLE commands; 1 means it is none, 0 that bytes are missing.
func (p *Printer) realtime(b []byte) int {
	if len(b) < 3 {
		if len(b) == 2 && b[1] != 4 && b[1] != 5 && b[1] != 0x14 {
			return 1
		}
		return 0
	}
	switch b[1] {
	case 4: // DLE EOT n [a]
		if b[2] == 7 || b[2] == 8 || b[2] == 18 {
			if len(b) < 4 {
				return 0
			}
			return 4
		}
		p.eot(b[2])
		return 3
	case 5: // DLE ENQ n: recover
		if p.jammed && (b[2] == 1 || b[2] == 2) && p.cond.Cutter != "jam" {
			p.jammed = false
		}
		if b[2] == 2 {
			p.clearBuffer(b, 3)
		}
		return 3
	case 0x14: // DLE DC4 fn
		switch b[2] {
		case 1:
			if len(b) < 5 {
				return 0
			}
			p.pulses++
			return 5
		case 8:
			if len(b) < 10 {
				return 0
			}
			if bytes.Equal(b[3:10], []byte{1, 3, 0x14, 1, 6, 2, 8}) {
				p.clearBuffer(b, 10)
				p.answer(0x37, 0x25, 0x00) // buffer is clear
			}
			return 10
		case 2, 7:
			if len(b) < 5 {
				return 0
			}
			return 5
		}
		return 3
	}
	return 1
}

// clearBuffer drops all but the command itself, which the caller takes.
func (p *Printer) clearBuffer(b []byte, n int) {
	// Bytes before the command were waiting; bytes behind it came later.
	p.st.line, p.st.x, p.st.over = paper.Line{}, 0, nil
	if at := len(p.queue) - len(b); at > 0 {
		copy(p.queue, p.queue[at:])
		p.queue = p.queue[:len(p.queue)-at]
		p.scanned = 0
	}
}

// Parameter bytes of ESC commands that are taken and change nothing here.
var escSkip = map[byte]int{' ': 1, '%': 1, '?': 1, 'T': 1, 'U': 1, 'V': 1, 'R': 1, 'r': 1, 'f': 2, 'W': 8, 'X': 2,
	'x': 1, '9': 1, 'B': 2, 'C': 1, 'N': 1, 'Q': 1, 'l': 1, '<': 0, 'g': 0, 'O': 0, 'F': 0, 'H': 0, 'P': 0, '[': 1}

func (p *Printer) escCommand(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	need := func(n int) bool { return len(b) >= n }
	on := func() bool { return b[2]&1 == 1 }
	st := &p.st
	switch b[1] {
	case '@':
		p.st.line, p.st.x, p.st.over = paper.Line{}, 0, nil
		p.reset()
		return 2
	case '=':
		if !need(3) {
			return 0
		}
		st.selected = b[2]&1 == 1
		return 3
	case '2':
		st.spacing = 30
		return 2
	case 'L':
		st.pageMode = true
		return 2
	case 'S':
		st.pageMode = false
		return 2
	case 'i', 'm':
		p.cut(b[1] == 'm')
		return 2
	case 'v':
		p.answer(p.paperByte())
		return 2
	case 'D':
		end := bytes.IndexByte(b[2:min(len(b), 35)], 0)
		if end < 0 {
			if len(b) < 35 {
				return 0
			}
			end = 32
		}
		st.tabs = nil
		for _, t := range b[2 : 2+end] {
			st.tabs = append(st.tabs, int(t))
		}
		return min(len(b), 3+end)
	case '(':
		return p.lengthPrefixed(b, 3)
	case '&': // user characters: y c1 c2 {x, y*x bytes}
		if !need(5) {
			return 0
		}
		n, y := 5, int(b[2])
		for c := int(b[3]); c <= int(b[4]); c++ {
			if len(b) <= n {
				return 0
			}
			n += 1 + y*int(b[n])
		}
		if !need(n) {
			return 0
		}
		return n
	case '*':
		return p.bitImage(b)
	case 'c':
		if !need(4) {
			return 0
		}
		return 4
	case 'p':
		if !need(5) {
			return 0
		}
		p.pulses++
		return 5
	case 'Z': // QR of some clones: version level size length data
		if !need(7) {
			return 0
		}
		n := 7 + int(b[5]) + int(b[6])<<8
		if !need(n) {
			return 0
		}
		p.flush()
		level := string(b[3:4])
		if !strings.Contains("LMQH", level) {
			level = "L"
		}
		p.roll.Add(paper.Code{Kind: "qr", Data: string(b[7:n]), Module: max(int(b[4]), 1), Level: level, Align: st.align})
		p.use(6)
		return n
	case '$', '\\':
		if !need(4) {
			return 0
		}
		p.position(int(int16(uint16(b[2])|uint16(b[3])<<8)), b[1] == '\\')
		return 4
	}
	if n, ok := escSkip[b[1]]; ok {
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
		st.span.Small = n&1 != 0
		st.span.Bold = n&0x08 != 0
		st.span.Underline = n&0x80 != 0
		st.span.Height, st.span.Width = 1+int(n>>4&1), 1+int(n>>5&1)
	case 'E', 'G':
		st.span.Bold = on()
	case '-':
		st.span.Underline = n&3 != 0 && n != '0'
	case 'M':
		st.span.Small = n == 1 || n == '1'
	case 'a':
		if n >= '0' {
			n -= '0'
		}
		st.align = paper.Align(min(n, 2))
	case '{':
		st.span.UpsideDown = on()
	case 't':
		st.page = p.pageOf(n)
		if _, ok := p.set.Pages[n]; !ok {
			p.note(b[:3])
		}
	case '3', 'A':
		st.spacing = int(n)
	case 'd':
		p.flush()
		for range n {
			p.feedLine()
		}
	case 'J':
		p.flush()
		p.roll.Add(paper.Feed{Dots: int(n)})
	case 'e', 'K': // reverse feed
	case 'u':
		p.answer(pick(p.cond.Drawer == "open", 1, 0))
	default:
		if b[1] < 0x20 { // ESC SI and the like have no parameter on any printer
			p.note(b[:2])
			return 2
		}
		p.note(b[:3])
	}
	return 3
}

func pick(is bool, yes, no byte) byte {
	if is {
		return yes
	}
	return no
}

// lengthPrefixed skips a command whose parameters begin with their length at b[at].
func (p *Printer) lengthPrefixed(b []byte, at int) int {
	if len(b) < at+2 {
		return 0
	}
	n := at + 2 + int(b[at]) + int(b[at+1])<<8
	if len(b) < n {
		return 0
	}
	return n
}

func (p *Printer) position(dots int, relative bool) {
	to := dots + p.st.margin
	if relative {
		to = max(p.st.x, p.st.margin) + dots
	}
	if to < 0 || to >= p.roll.Dots {
		return // outside the paper: ignored, as printers do
	}
	if to < p.st.x {
		p.back(to)
	}
	if col := (to - max(p.st.x, p.st.margin)) / 12; col > 0 {
		was := p.st.span
		p.st.span = paper.Span{}
		p.put(strings.Repeat(" ", col))
		p.st.span = was
	}
}

func (p *Printer) tab() {
	at := p.st.x / 12
	next := at - at%8 + 8
	if p.st.tabs != nil {
		next = at
		for _, t := range p.st.tabs {
			if t > at {
				next = t
				break
			}
		}
	}
	if next*12 <= p.roll.Dots {
		p.put(strings.Repeat(" ", next-at))
	}
}

func (p *Printer) fsCommand(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	params := map[byte]int{'&': 0, '.': 0, '!': 1, '-': 1, 'C': 1, 'S': 2, 'W': 1, 'p': 2, '2': 74, '?': 2, 'r': 1, '}': 3, 'g': 7}
	switch b[1] {
	case '(':
		return p.lengthPrefixed(b, 3)
	case 'q': // stored pictures
		if len(b) < 3 {
			return 0
		}
		n := 3
		for range b[2] {
			if len(b) < n+4 {
				return 0
			}
			n += 4 + (int(b[n])|int(b[n+1])<<8)*(int(b[n+2])|int(b[n+3])<<8)*8
		}
		if len(b) < n {
			return 0
		}
		return n
	}
	n, ok := params[b[1]]
	if !ok {
		n = 1
		p.note(b[:2])
	}
	if len(b) < 2+n {
		return 0
	}
	return 2 + n
}

// bitImage is ESC *: columns of dots, printed as part of the line.
func (p *Printer) bitImage(b []byte) int {
	if len(b) < 5 {
		return 0
	}
	tall := 1
	if b[2] >= 32 {
		tall = 3
	}
	cols := int(b[3]) + int(b[4])<<8
	n := 5 + cols*tall
	if len(b) < n {
		return 0
	}
	img := image.NewGray(image.Rect(0, 0, max(cols, 1), tall*8))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for x := range cols {
		for y := range tall * 8 {
			if b[5+x*tall+y/8]&(0x80>>(y%8)) != 0 {
				img.Pix[y*img.Stride+x] = 0
			}
		}
	}
	p.picture(img)
	return n
}

func (p *Printer) picture(img *image.Gray) {
	p.flush()
	if img.Bounds().Empty() {
		return
	}
	p.roll.Add(paper.Picture{Image: img, Align: p.st.align})
	p.use((img.Bounds().Dy() + 23) / 24)
}

// bitmap makes a picture of rows of bits, most significant bit left.
func bitmap(data []byte, row, rows int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, row*8, rows))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for y := range rows {
		for x := range row * 8 {
			if data[y*row+x/8]&(0x80>>(x%8)) != 0 {
				img.Pix[y*img.Stride+x] = 0
			}
		}
	}
	return img
}

// barcode prints a linear code; data a real printer refuses prints nothing.
func (p *Printer) barcode(kind, data string) {
	p.flush()
	switch kind {
	case "ean13", "ean8", "upca":
		want := map[string]int{"ean13": 13, "ean8": 8, "upca": 12}[kind]
		if !card.Digits(data) || len(data) != want && len(data) != want-1 {
			return
		}
		if len(data) == want-1 {
			data += string(card.EANCheck(data))
		} else if card.EANCheck(data[:want-1]) != data[want-1] {
			return
		}
	case "code128", "gs1-128":
		data = code128Text(data)
	case "itf":
		if !card.Digits(data) || len(data)%2 != 0 {
			return
		}
	}
	if data == "" {
		return
	}
	p.roll.Add(paper.Code{Kind: kind, Data: data, Height: p.st.height, Module: p.st.module,
		Above: p.st.hri&1 != 0, Below: p.st.hri&2 != 0, Align: p.st.align})
	p.use(p.st.height/24 + 1)
}

// code128Text turns data with code set choices ({A {B {C {1 {S {{) into the text.
func code128Text(d string) string {
	var out strings.Builder
	set := byte(0)
	for i := 0; i < len(d); i++ {
		if d[i] == '{' && i+1 < len(d) {
			i++
			switch d[i] {
			case 'A', 'B', 'C':
				set = d[i]
			case '{':
				out.WriteByte('{')
			}
			continue
		}
		if set == 'C' {
			fmt.Fprintf(&out, "%02d", d[i])
		} else {
			out.WriteByte(d[i])
		}
	}
	return out.String()
}
