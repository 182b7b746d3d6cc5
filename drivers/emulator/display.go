package emulator

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
	"sync"

	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator/paper"
)

// DisplaySettings describe an emulated customer display.
type DisplaySettings struct {
	Columns int             // 0 means 20
	Pages   map[byte]string // numbers for ESC t; nil means Epson's
	Page    string          // the page it has after power-on; "" means cp437
	AEDEX   bool            // understand !#1text instead of the other command sets
}

// Display is an emulated customer display of two lines. It understands the
// command sets of Epson DM-D, CD5220 and Logic Controls at the same time. All
// methods are safe for concurrent use.
type Display struct {
	set  DisplaySettings
	line lineEnd

	mu       sync.Mutex
	grid     [2][]rune
	x, y     int
	page     *codepage.Page
	selected bool
	roll     string // what moves past on the upper line
	strings  bool   // after ESC Q: cursor commands do nothing until cleared
	scroll   byte   // 1 overwrite, 2 vertical, 3 horizontal
	cursor   bool
	queue    []byte
	unknown  int
	changed  chan struct{}
}

// NewDisplay makes a dark display.
func NewDisplay(set DisplaySettings) *Display {
	if set.Columns == 0 {
		set.Columns = 20
	}
	if set.Pages == nil {
		set.Pages = EpsonPages
	}
	if set.Page == "" {
		set.Page = "cp437"
	}
	d := &Display{set: set, changed: make(chan struct{})}
	d.reset()
	return d
}

// Attach is part of Machine.
func (d *Display) Attach(send func([]byte)) { d.line.Attach(send) }

// Detach is part of Machine.
func (d *Display) Detach() { d.line.Detach() }

// Lines are the two lines as they stand, blanks included.
func (d *Display) Lines() (top, bottom string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.grid[0]), string(d.grid[1])
}

// Text is both lines, one below the other.
func (d *Display) Text() string {
	a, b := d.Lines()
	return a + "\n" + b + "\n"
}

// Rolling is the text that moves past on the upper line by the display's own
// means; "" when none does.
func (d *Display) Rolling() string { d.mu.Lock(); defer d.mu.Unlock(); return d.roll }

// Unknown counts the bytes that were not understood.
func (d *Display) Unknown() int { d.mu.Lock(); defer d.mu.Unlock(); return d.unknown }

// Changed is closed at the next byte that was obeyed.
func (d *Display) Changed() <-chan struct{} { d.mu.Lock(); defer d.mu.Unlock(); return d.changed }

// PowerCycle switches the display off and on.
func (d *Display) PowerCycle() { d.mu.Lock(); defer d.mu.Unlock(); d.queue = nil; d.reset() }

// Receive is part of Machine.
func (d *Display) Receive(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, b...)
	for len(d.queue) > 0 {
		n := 0
		if d.set.AEDEX {
			n = d.aedex(d.queue)
		} else {
			n = d.command(d.queue)
		}
		if n == 0 {
			break
		}
		d.queue = d.queue[n:]
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Display) reset() {
	d.page, d.selected, d.scroll = codepage.Must(d.set.Page), true, 1
	d.clear()
}

func (d *Display) clear() {
	for y := range d.grid {
		d.wipe(y)
	}
	d.x, d.y, d.strings, d.roll = 0, 0, false, ""
}

func (d *Display) wipe(y int) { d.grid[y] = []rune(strings.Repeat(" ", d.set.Columns)) }

func (d *Display) move(x, y int) {
	if d.strings {
		return
	}
	d.x, d.y = min(max(x, 0), d.set.Columns-1), min(max(y, 0), 1)
}

func (d *Display) put(r rune) {
	if d.strings {
		return
	}
	if d.x >= d.set.Columns {
		d.wrap()
	}
	d.grid[d.y][d.x] = r
	d.x++
}

func (d *Display) wrap() {
	switch {
	case d.scroll == 3: // the line moves left
		copy(d.grid[d.y], d.grid[d.y][1:])
		d.x = d.set.Columns - 1
	case d.y == 0:
		d.x, d.y = 0, 1
	case d.scroll == 2:
		d.grid[0] = d.grid[1]
		d.wipe(1)
		d.x = 0
	default:
		d.x, d.y = 0, 0
	}
}

// command obeys the command at the beginning of b; 0 means bytes are missing.
func (d *Display) command(b []byte) int {
	c := b[0]
	if c == 0x1B {
		return d.escCommand(b)
	}
	if !d.selected {
		return 1
	}
	two := func(f func(n byte)) int {
		if len(b) < 2 {
			return 0
		}
		f(b[1])
		return 2
	}
	switch c {
	case 0x08:
		d.move(d.x-1, d.y)
	case 0x09:
		d.move(d.x+1, d.y)
	case 0x0A:
		d.move(d.x, 1-d.y)
	case 0x0B:
		d.move(0, 0)
	case 0x0C:
		d.clear()
	case 0x0D:
		d.move(0, d.y)
	case 0x18:
		d.wipe(d.y)
		d.x, d.strings, d.roll = 0, false, ""
	case 0x1F:
		return d.usCommand(b)
	case 0x10: // Logic Controls: position 00h to 27h
		return two(func(n byte) { d.move(int(n)%d.set.Columns, int(n)/d.set.Columns) })
	case 0x13, 0x14:
		d.cursor = c == 0x13
	case 0x04:
		return two(func(byte) {})
	default:
		if c < 0x20 || c == 0x7F {
			d.unknown++
			return 1
		}
		d.put([]rune(d.page.Decode(b[:1]))[0])
	}
	return 1
}

func (d *Display) usCommand(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	params := map[byte]int{0x24: 2, 0x43: 1, 0x45: 1, 0x58: 1, 0x72: 1, 0x54: 2, 0x01: 0, 0x02: 0, 0x03: 0, 0x0A: 0, 0x0D: 0, 0x42: 0, 0x55: 0,
		0x40: 0, 0x11: 0, 0x2C: 1, 0x3B: 1, 0x5E: 2, 0x50: 1, 0x4D: 1, 0x76: 1}
	n, ok := params[b[1]]
	if !ok {
		d.unknown++
		return 2
	}
	if len(b) < 2+n {
		return 0
	}
	switch b[1] {
	case 0x24:
		if b[2] >= 1 && int(b[2]) <= d.set.Columns && b[3] >= 1 && b[3] <= 2 {
			d.move(int(b[2])-1, int(b[3])-1)
		}
	case 0x43:
		d.cursor = b[2] == 1
	case 0x01, 0x02, 0x03:
		d.scroll = b[1]
	case 0x0A:
		d.move(d.x, d.y-1)
	case 0x0D:
		d.move(d.set.Columns-1, d.y)
	case 0x42:
		d.move(d.set.Columns-1, 1)
	case 0x11:
		d.reset()
	}
	return 2 + n
}

func (d *Display) escCommand(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	params := map[byte]int{'@': 0, 't': 1, 'R': 1, '=': 1, 'l': 2, '_': 1, '*': 1, 0x11: 0, 0x12: 0, 0x13: 0, 'W': 2, '%': 1, '?': 1}
	if b[1] == '=' {
		if len(b) < 3 {
			return 0
		}
		d.selected = b[2]&2 != 0
		return 3
	}
	if b[1] == 'Q' {
		return d.stringMode(b)
	}
	n, ok := params[b[1]]
	if b[1] == 'W' && len(b) > 3 && b[3] == 1 {
		n = 6 // set a window: x1 y1 x2 y2
	}
	if !ok {
		if d.selected {
			d.unknown++
		}
		return 2
	}
	if len(b) < 2+n {
		return 0
	}
	if !d.selected {
		return 2 + n
	}
	switch b[1] {
	case '@':
		d.reset()
	case 't':
		if p, err := codepage.Lookup(d.set.Pages[b[2]]); err == nil {
			d.page = p
		}
	case 'l':
		if b[2] >= 1 && int(b[2]) <= d.set.Columns && b[3] >= 1 && b[3] <= 2 {
			d.move(int(b[2])-1, int(b[3])-1)
		}
	case '_':
		d.cursor = b[2] == 1
	case 0x11, 0x12, 0x13:
		d.scroll = b[1] - 0x10
	}
	return 2 + n
}

// stringMode is ESC Q A|B|D text CR.
func (d *Display) stringMode(b []byte) int {
	if len(b) < 3 {
		return 0
	}
	end := bytes.IndexByte(b[3:], 0x0D)
	if end < 0 {
		if len(b) > 3+64 {
			d.unknown++
			return 3
		}
		return 0
	}
	row := 0
	if b[2] == 'B' {
		row = 1
	}
	if d.selected && (b[2] == 'A' || b[2] == 'B' || b[2] == 'D') {
		d.wipe(row)
		copy(d.grid[row], []rune(d.page.Decode(b[3:3+end])))
		d.strings = true
		if row == 0 {
			d.roll = ""
		}
		if b[2] == 'D' {
			d.roll = d.page.Decode(b[3 : 3+end])
		}
	}
	return 4 + end
}

// aedex obeys !#1text CR and !#2text CR.
func (d *Display) aedex(b []byte) int {
	end := bytes.IndexByte(b, 0x0D)
	if end < 0 {
		if len(b) > 128 {
			return len(b)
		}
		return 0
	}
	l := b[:end]
	if len(l) >= 3 && l[0] == '!' && l[1] == '#' && (l[2] == '1' || l[2] == '2') {
		row := int(l[2] - '1')
		d.wipe(row)
		copy(d.grid[row], []rune(d.page.Decode(l[3:])))
	} else if len(l) > 0 {
		d.unknown++
	}
	return end + 1
}

// Sizes of the picture, in pixels: a dot of a letter, the glass between two
// letters, and the rim.
const (
	dotSize   = 3
	letterGap = 5
	rim       = 22
)

// PNG draws the display as it stands.
func (d *Display) PNG() ([]byte, error) { return DrawDisplay(d.Lines()) }

// DrawDisplay draws two lines of fluorescent dots behind dark glass.
func DrawDisplay(top, bottom string) ([]byte, error) {
	columns := max(len([]rune(top)), len([]rune(bottom)))
	w, h := paper.CellWidth*dotSize+letterGap, paper.CellHeight*dotSize+letterGap
	out := image.NewRGBA(image.Rect(0, 0, columns*w+2*rim, 2*h+2*rim+8))
	glass := color.RGBA{R: 6, G: 17, B: 22, A: 255}
	for i := range out.Pix {
		out.Pix[i] = []uint8{glass.R, glass.G, glass.B, 255}[i%4]
	}
	for y, l := range []string{top, bottom} {
		for x, r := range []rune(l) {
			cell := paper.Glyph(r)
			for cy := range paper.CellHeight {
				for cx := range paper.CellWidth {
					v := int(cell.GrayAt(cx, cy).Y) // 0 is ink
					at := image.Pt(rim+x*w+cx*dotSize, rim+y*(h+8)+cy*dotSize)
					for py := range dotSize {
						for px := range dotSize {
							ink := 255 - v
							if px == dotSize-1 || py == dotSize-1 { // the glow between two dots
								ink = ink * 2 / 3
							}
							out.SetRGBA(at.X+px, at.Y+py, color.RGBA{R: uint8(14 + ink*110/255), G: uint8(30 + ink*225/255), B: uint8(34 + ink*180/255), A: 255})
						}
					}
				}
			}
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, out)
	return b.Bytes(), err
}
