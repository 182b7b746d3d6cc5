package emulator

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/emulator/paper"
)

// PrinterSettings describe an emulated ESC/POS printer.
type PrinterSettings struct {
	Columns int // of font A; 0 means 42
	Dots    int // 0 means 12 for each column
	// Pages are the code page numbers of this model; nil means Epson's.
	Pages map[byte]string
	// Identity are the answers to GS I 41h to 44h.
	Firmware, Maker, Model, Serial string
	// Lines of paper on the roll; 0 means endless. Near its end the printer
	// says so.
	Lines int
}

// EpsonPages are Epson's code page numbers.
var EpsonPages = map[byte]string{0: "cp437", 1: "katakana", 2: "cp850", 3: "cp860", 4: "cp863", 5: "cp865", 16: "cp1252", 17: "cp866", 18: "cp852", 19: "cp858",
	12: "cp853", 13: "cp857", 14: "cp737", 32: "cp720", 33: "cp775", 34: "cp855", 35: "cp861", 36: "cp862", 38: "cp869", 39: "iso8859-2", 40: "iso8859-15", 44: "cp1125", 45: "cp1250", 46: "cp1251", 47: "cp1253", 48: "cp1254", 49: "cp1255",
	50: "cp1256", 51: "cp1257", 52: "cp1258"}

// Condition is how an emulated printer is. The zero value is a healthy one.
type Condition struct {
	Paper  string `json:"paper"`  // "ok" or "", "near", "out"
	Cover  string `json:"cover"`  // "closed" or "", "open"
	Cutter string `json:"cutter"` // "ok" or "", "jam": the next cut jams it
	Drawer string `json:"drawer"` // "closed" or "", "open"
	Busy   bool   `json:"busy"`   // takes data and prints nothing
	Silent bool   `json:"silent"` // answers nothing
	Noise  bool   `json:"noise"`  // answers garbage
	Hang   bool   `json:"hang"`   // takes no data at all
}

// Printer is an emulated ESC/POS receipt printer. All methods are safe for
// concurrent use.
type Printer struct {
	set  PrinterSettings
	roll *paper.Roll
	line lineEnd

	mu      sync.Mutex
	cond    Condition
	left    int    // lines of paper, when set.Lines is not zero
	jammed  bool   // a cut was tried with a jammed cutter
	queue   []byte // received and not processed
	scanned int    // how much of the queue was looked through for real-time commands
	asb     byte   // GS a
	lastASB [4]byte
	pulses  int // drawer pulses so far
	unknown []string
	st      printState
	rng     *rand.Rand
}

// printState is what ESC @ resets.
type printState struct {
	page           *codepage.Page
	span           paper.Span // style of the next letter
	line           paper.Line
	align          paper.Align
	x              int // dots used in the line
	over           []glyph
	margin         int
	spacing        int // dots of a line feed
	tabs           []int
	height, module int
	hri            byte
	qr             map[byte]*symbol // stored two-dimensional symbols by cn
	selected       bool             // ESC = : this printer is listening
	download       *paper.Picture   // GS *
	graphics       *paper.Picture   // GS ( L store
	pageMode       bool
}

// symbol is a two-dimensional code being set up.
type symbol struct {
	module int
	level  string
	data   string
}

// NewPrinter makes a printer with a fresh roll.
func NewPrinter(set PrinterSettings) *Printer {
	if set.Columns == 0 {
		set.Columns = 42
	}
	if set.Pages == nil {
		set.Pages = EpsonPages
	}
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&set.Firmware, "1.00")
	def(&set.Maker, "EMULATED")
	def(&set.Model, "TM-EMULATED")
	def(&set.Serial, "E000001")
	p := &Printer{set: set, roll: paper.NewRoll(set.Columns, set.Dots), left: set.Lines, rng: rand.New(rand.NewPCG(1, 2))}
	p.reset()
	return p
}

// Roll is the paper.
func (p *Printer) Roll() *paper.Roll { return p.roll }

// Unknown lists the commands that were not understood, in hexadecimal.
func (p *Printer) Unknown() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.unknown)
}

// Pulses counts the drawer pulses.
func (p *Printer) Pulses() int { p.mu.Lock(); defer p.mu.Unlock(); return p.pulses }

// Condition is how the printer is.
func (p *Printer) Condition() Condition { p.mu.Lock(); defer p.mu.Unlock(); return p.cond }

// Set changes how the printer is. What waited for paper or a closed cover is
// printed then, as with a real one.
func (p *Printer) Set(change func(*Condition)) {
	p.mu.Lock()
	was := p.cond
	change(&p.cond)
	if p.cond.Paper == "ok" {
		p.cond.Paper = ""
	}
	if p.cond.Cover == "closed" {
		p.cond.Cover = ""
	}
	if p.cond.Cutter == "ok" {
		p.cond.Cutter = ""
	}
	if p.cond.Drawer == "closed" {
		p.cond.Drawer = ""
	}
	if was.Paper == "out" && p.cond.Paper != "out" {
		p.left = p.set.Lines // a new roll
	}
	if p.cond.Cutter == "" {
		p.jammed = false
	}
	p.process()
	p.tellASB(false)
	p.mu.Unlock()
}

// SetLines sets how many lines of paper are left; 0 means endless.
func (p *Printer) SetLines(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set.Lines, p.left = n, n
}

// Attach is part of Machine.
func (p *Printer) Attach(send func([]byte)) { p.line.Attach(send) }

// Detach is part of Machine.
func (p *Printer) Detach() { p.line.Detach() }

// Wedged is part of Wedger.
func (p *Printer) Wedged() bool { return p.Condition().Hang }

// Receive is part of Machine.
func (p *Printer) Receive(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, b...)
	p.process()
	p.tellASB(false)
}

// PowerCycle switches the printer off and on: buffers and settings are gone.
func (p *Printer) PowerCycle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.scanned, p.asb = nil, 0, 0
	p.reset()
}

// Feed parses bytes as if a host had sent them, for rendering job files.
func (p *Printer) Feed(b []byte) { p.Receive(b) }

func (p *Printer) reset() {
	p.st = printState{page: p.pageOf(0), height: 162, module: 3, spacing: 30, qr: map[byte]*symbol{}, selected: true}
}

func (p *Printer) pageOf(n byte) *codepage.Page {
	name, ok := p.set.Pages[n]
	if !ok {
		return codepage.Must("cp437")
	}
	pg, err := codepage.Lookup(name)
	if err != nil {
		return codepage.Must("cp437")
	}
	return pg
}

// stopped tells whether the printer takes nothing from its buffer now.
func (p *Printer) stopped() bool { return p.offline() || p.cond.Busy }

func (p *Printer) offline() bool {
	return p.cond.Paper == "out" || p.cond.Cover == "open" || p.jammed
}

// process works through the buffer until it is empty, a command is not whole,
// or the printer stops. Real-time commands are obeyed also behind data that waits.
func (p *Printer) process() {
	for len(p.queue) > 0 {
		if p.stopped() {
			p.realtimeBehind()
			return
		}
		n := p.command(p.queue)
		if n == 0 {
			break
		}
		p.queue = p.queue[n:]
	}
	p.scanned = 0
	if len(p.queue) == 0 {
		p.queue = nil
	}
}

// realtimeBehind finds real-time commands in the waiting bytes and takes them out.
func (p *Printer) realtimeBehind() {
	for i := p.scanned; i < len(p.queue); {
		n, had := 0, len(p.queue)
		if p.queue[i] == 0x10 {
			n = p.realtime(p.queue[i:])
			if n == 0 { // may become one
				p.scanned = i
				return
			}
		}
		if len(p.queue) < had {
			i = 0 // what stood before the command was cleared
		}
		if n > 1 {
			p.queue = slices.Delete(p.queue, i, i+n)
			continue
		}
		i++
		p.scanned = i
	}
}

func (p *Printer) answer(b ...byte) {
	switch {
	case p.cond.Silent:
		return
	case p.cond.Noise:
		for i := range b {
			b[i] = byte(p.rng.Uint32())
		}
	}
	p.line.Send(b)
}

func (p *Printer) tellASB(always bool) {
	if p.asb == 0 {
		return
	}
	b := p.asbBytes()
	if b == p.lastASB && !always {
		return
	}
	p.lastASB = b
	p.answer(b[:]...)
}

func (p *Printer) asbBytes() (b [4]byte) {
	b[0] = 0x10
	if p.cond.Drawer == "open" {
		b[0] |= 0x04
	}
	if p.offline() {
		b[0] |= 0x08
	}
	if p.cond.Cover == "open" {
		b[0] |= 0x20
	}
	if p.jammed {
		b[1] |= 0x08
	}
	switch p.cond.Paper {
	case "near":
		b[2] |= 0x03
	case "out":
		b[2] |= 0x0F
	}
	return b
}

func (p *Printer) eot(n byte) {
	b := byte(0x12)
	set := func(is bool, bits byte) {
		if is {
			b |= bits
		}
	}
	switch n {
	case 1:
		set(p.cond.Drawer == "open", 0x04)
		set(p.offline(), 0x08)
	case 2:
		set(p.cond.Cover == "open", 0x04)
		set(p.cond.Paper == "out", 0x20)
		set(p.jammed, 0x40)
	case 3:
		set(p.jammed, 0x08)
	case 4:
		set(p.cond.Paper == "near" || p.cond.Paper == "out", 0x0C)
		set(p.cond.Paper == "out", 0x60)
	default:
		return
	}
	p.answer(b)
}

// put adds text to the line; a full line is printed.
func (p *Printer) put(text string) {
	for _, r := range text {
		s := p.st.span
		w := width(s)
		if p.st.x+w > p.roll.Dots {
			p.feedLine()
		}
		if p.st.x == 0 && p.st.margin > 0 {
			p.add(paper.Span{Text: strings.Repeat(" ", p.st.margin/12)})
			p.st.x = p.st.margin
		}
		s.Text = string(r)
		// What stood here before a step back shows through a blank.
		kept := p.st.over[:0]
		for _, g := range p.st.over {
			switch {
			case g.x+width(g.span) <= p.st.x || g.x >= p.st.x+w:
				kept = append(kept, g)
			case r == ' ' && g.span.Text != " " && g.x == p.st.x && width(g.span) == w:
				s = g.span
			}
		}
		p.st.over = kept
		p.st.x += w
		p.add(s)
	}
}

// width is how wide a letter of a span is, in dots.
func width(s paper.Span) int {
	if s.Small {
		return 9 * max(s.Width, 1)
	}
	return 12 * max(s.Width, 1)
}

// add puts letters at the end of the line buffer.
func (p *Printer) add(s paper.Span) {
	l := &p.st.line
	if n := len(l.Spans); n > 0 {
		last := l.Spans[n-1]
		last.Text = s.Text
		if last == s {
			l.Spans[n-1].Text += s.Text
			return
		}
	}
	l.Spans = append(l.Spans, s)
}

// glyph is a letter that was printed right of where the next one goes.
type glyph struct {
	x    int
	span paper.Span
}

// back moves to the left in the line buffer: what stands right of there stays on
// the paper unless it is printed over.
func (p *Printer) back(to int) {
	x := 0
	var keep []paper.Span
	for _, s := range p.st.line.Spans {
		w := width(s)
		for _, r := range s.Text {
			one := s
			one.Text = string(r)
			if x+w <= to {
				keep = append(keep, one)
			} else {
				p.st.over = append(p.st.over, glyph{x, one})
			}
			x += w
		}
	}
	p.st.line.Spans, p.st.x = nil, 0
	for _, s := range keep {
		p.st.x += width(s)
		p.add(s)
	}
}

// showOver puts what is left of a step back behind what was printed after it.
func (p *Printer) showOver() {
	over := p.st.over
	p.st.over = nil
	for _, g := range over {
		if g.x < p.st.x {
			continue
		}
		if gap := (g.x - p.st.x) / 12; gap > 0 {
			p.add(paper.Span{Text: strings.Repeat(" ", gap)})
			p.st.x += gap * 12
		}
		p.add(g.span)
		p.st.x += width(g.span)
	}
}

// feedLine prints the line and moves on. It uses up paper.
func (p *Printer) feedLine() {
	p.showOver()
	l := p.st.line
	l.Align = p.st.align
	p.st.line, p.st.x = paper.Line{}, 0
	p.roll.Add(l)
	p.use(1)
}

// flush prints what is in the line buffer, if anything.
func (p *Printer) flush() {
	if len(p.st.line.Spans) > 0 || len(p.st.over) > 0 {
		p.feedLine()
	}
}

// use takes lines off the roll.
func (p *Printer) use(n int) {
	if p.set.Lines == 0 {
		return
	}
	p.left -= n
	switch {
	case p.left <= 0:
		p.cond.Paper = "out"
	case p.left <= max(2, p.set.Lines/10) && p.cond.Paper == "":
		p.cond.Paper = "near"
	}
}

func (p *Printer) cut(partial bool) {
	p.flush()
	if p.cond.Cutter == "jam" {
		p.jammed = true
		return
	}
	p.roll.Add(paper.Cut{Partial: partial})
}
