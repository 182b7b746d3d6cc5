package follow

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/escpos"
	"github.com/tillside/tillside/drivers/relay"
)

// ESCPOSSettings are what a till and its printer have of their own.
type ESCPOSSettings struct {
	// Profile is the printer's: columns, code pages and their numbers.
	Profile escpos.Profile
	// Page is the code page of text before any was chosen; "": that of number
	// 0 in the profile, or cp437.
	Page string
	// Ends are the commands that end a receipt: "cut" (when empty), "feed" for
	// printers without a cutter (ESC d of three lines and more), "drawer".
	Ends []string
	// Text says how lines look.
	Text TextPatterns
}

// The commands that end a receipt, by their beginnings.
var (
	cutStarts    = []string{"\x1dV", "\x1bi", "\x1bm"}
	feedStarts   = []string{"\x1bd"}
	drawerStarts = []string{"\x1bp", "\x10\x14\x01"}
)

// minFeed is how many lines a feed has that ends a receipt.
const minFeed = 3

type escposFollower struct {
	set    ESCPOSSettings
	rd     *reader
	pages  map[byte]*codepage.Page
	first  *codepage.Page
	starts []string

	buf    []byte
	next   uint64 // place of buf[0]
	skip   int    // data that belongs to no text
	style  escpos.Style
	begun  bool // bytes have come
	synced bool
	line   strings.Builder

	closeAt int64 // place of the last Closing

	// The receipt being read.
	r       *Receipt
	name    string // of goods whose numbers stand on the next line
	opened  bool
	sub     bool // under a subtotal
	no      string
	lost    string
	given   []Payment
	change  int64
	extra   int64 // discounts of the whole receipt
	tax     int64 // said above the total
	guessed string
}

// NewESCPOS follows a plain receipt printer. Its protocol has no goods and no
// sums, only text; what the text means is said by patterns.
func NewESCPOS(set ESCPOSSettings) (Follower, error) {
	rd, err := newReader(set.Text)
	if err != nil {
		return nil, err
	}
	if len(set.Profile.Pages) == 0 {
		return nil, fmt.Errorf("a profile without code pages")
	}
	f := &escposFollower{set: set, rd: rd, pages: map[byte]*codepage.Page{}, closeAt: -1, r: &Receipt{}}
	for _, p := range set.Profile.Pages {
		f.pages[p.Number] = p.Page
	}
	f.first = f.pages[0]
	if set.Page != "" {
		if f.first, err = codepage.Lookup(set.Page); err != nil {
			return nil, err
		}
	}
	if f.first == nil {
		f.first = codepage.Must("cp437")
	}
	if len(set.Ends) == 0 {
		f.set.Ends = []string{"cut"}
	}
	for _, e := range f.set.Ends {
		switch e {
		case "cut":
			f.starts = append(f.starts, cutStarts...)
		case "feed":
			f.starts = append(f.starts, feedStarts...)
		case "drawer":
			f.starts = append(f.starts, drawerStarts...)
		default:
			return nil, fmt.Errorf("ends: found %q, want cut, feed or drawer", e)
		}
	}
	f.reset()
	return f, nil
}

// say makes an event about the receipt as it is now.
func (f *escposFollower) say(k Kind) Event { return Event{Kind: k, Receipt: f.r.Clone()} }

func (f *escposFollower) Before() (out []relay.Pattern) {
	for _, s := range f.starts {
		out = append(out, relay.Pattern{Bytes: []byte(s)})
	}
	return out
}

func (f *escposFollower) Place(at uint64) Place {
	if len(f.buf) > 0 && f.skip == 0 && f.next == at {
		return Soon
	}
	return Elsewhere
}

func (f *escposFollower) Gap(why string) (evs []Event) {
	if f.opened {
		e := f.say(Lost)
		e.Text = why
		evs = []Event{e}
	}
	f.buf, f.skip, f.synced, f.style = nil, 0, false, escpos.Style{}
	f.reset()
	return evs
}

func (f *escposFollower) reset() {
	f.r, f.name, f.opened, f.sub, f.no, f.lost, f.given, f.change, f.extra, f.tax, f.guessed = &Receipt{}, "", false, false, "", "", nil, 0, 0, 0, ""
	f.line.Reset()
}

// Printer's answers are states of paper and drawer: no part of a receipt.
func (f *escposFollower) Printer([]byte, time.Time) []Event { return nil }

func (f *escposFollower) Till(at uint64, b []byte, _ time.Time) (evs []Event) {
	end := f.next + uint64(len(f.buf))
	if end != at && f.begun {
		evs = f.Gap("bytes of the till are missing")
	}
	f.begun = true
	if len(f.buf) == 0 {
		f.next = at
	}
	k := min(f.skip, len(b))
	f.skip -= k
	f.next += uint64(k)
	f.buf = append(f.buf, b[k:]...)
	for len(f.buf) > 0 {
		if ev, ok := f.begins(); ok {
			evs = append(evs, ev)
		}
		c, n := escpos.Next(f.buf)
		if n == 0 {
			break
		}
		evs = append(evs, f.command(c)...)
		f.skip = max(0, n-len(f.buf))
		n = min(n, len(f.buf))
		f.buf = f.buf[n:]
		f.next += uint64(n)
	}
	if len(f.buf) == 0 {
		f.buf = nil
	}
	return evs
}

// begins tells of the command that ends a receipt as soon as it is known for
// one, before its parameters.
func (f *escposFollower) begins() (Event, bool) {
	if f.closeAt >= 0 && uint64(f.closeAt) == f.next || !f.ends(f.buf) || !f.believable() {
		return Event{}, false
	}
	f.flush()
	f.finish()
	if f.lost != "" || len(f.r.Lines) == 0 || f.no != "" {
		return Event{}, false
	}
	f.closeAt = int64(f.next)
	e := f.say(Closing)
	e.At, e.Whole, e.Columns, e.Draws = f.next, true, f.set.Profile.Columns, f.style.Known
	// What cuts where the paper is, is in need of a feed.
	style, plain := f.style, f.buf[0] != 0x1D || len(f.buf) > 2 && f.buf[2] < 'A'
	e.Add = func(blocks []drivers.Block) (*relay.Script, error) { return f.add(style, plain, blocks) }
	return e, true
}

func (f *escposFollower) believable() bool {
	return f.synced && f.r.Totalled && !f.style.Deaf
}

// ends tells whether a command at the beginning of b ends a receipt, as far as
// its bytes say.
func (f *escposFollower) ends(b []byte) bool {
	for _, s := range f.starts {
		if !strings.HasPrefix(string(b[:min(len(b), len(s))]), s) {
			continue
		}
		switch s {
		case "\x1bd":
			return len(b) > 2 && b[2] >= minFeed
		case "\x1dV":
			return len(b) > 2 // what is cut, and whether it is fed before
		}
		return true
	}
	return false
}

func (f *escposFollower) command(c escpos.Command) (evs []Event) {
	switch {
	case c.Name == "":
		if f.synced {
			if f.line.Len() < 4096 {
				f.line.WriteString(f.page().Decode(c.Head))
			}
		}
	case c.Name == "\t", c.Name == "\x1b$", c.Name == "\x1b\\":
		if f.line.Len() > 0 {
			f.line.WriteString("  ")
		}
	case c.Name == "\n", c.Name == "\x1bd", c.Name == "\x1bJ", c.Name == "\x0c":
		evs = f.flush()
	case c.Name == "\x1b@":
		// A new job: a receipt that was not cut ends here.
		evs = append(evs, f.flush()...)
		evs = append(evs, f.over()...)
		f.synced = true
	case !c.Known && f.opened && f.guessed == "":
		f.guessed = fmt.Sprintf("% X", c.Head)
	}
	ended := f.ends(c.Head)
	f.style.Follow(c)
	if ended {
		evs = append(evs, f.flush()...)
		evs = append(evs, f.over()...)
		f.synced = true
	}
	return evs
}

func (f *escposFollower) page() *codepage.Page {
	if !f.style.Paged {
		return f.first
	}
	if p := f.pages[f.style.Page]; p != nil {
		return p
	}
	return f.first
}

// flush reads the line that was just printed.
func (f *escposFollower) flush() []Event {
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == 0xA0 {
			return ' '
		}
		return r
	}, f.line.String()))
	f.line.Reset()
	if s == "" || !f.synced || f.style.Deaf || utf8.RuneCountInString(s) > 200 {
		return nil
	}
	was := f.opened
	evs := f.read(s)
	if f.opened && !was {
		evs = append([]Event{{Kind: Opened}}, evs...)
	}
	if len(f.r.Lines) > maxLines {
		f.lost = "too many lines"
	}
	return evs
}

// read takes one line of text into account.
func (f *escposFollower) read(s string) []Event {
	if hit(f.rd.skip, s) {
		return nil
	}
	// Of the usual patterns most ask for a sum of money, the others for none.
	summed := hasSum.MatchString(s)
	if !(f.rd.usual && summed) && f.says(s) {
		return nil
	}
	if f.r.Number == "" {
		if g, ok := match(f.rd.number, s); ok && !strings.Contains(g["number"], ".") && !hit(f.rd.item, s) && !hit(f.rd.total, s) {
			f.r.Number = g["number"]
			return nil
		}
	}
	if hit(f.rd.subtotal, s) {
		f.sub = true
		return nil
	}
	if f.rd.usual && !summed {
		f.name = s
		return nil
	}
	if f.r.Totalled {
		return f.below(s)
	}
	if g, ok := match(f.rd.total, s); ok && len(f.r.Lines) > 0 {
		v, ok := amountOf(g["amount"])
		if !ok || v < 0 {
			f.lost = "a total that is no sum"
			return nil
		}
		f.r.Total, f.r.Totalled = v, true
		f.finish()
		return []Event{f.say(Totalled)}
	}
	if g, ok := match(f.rd.tax, s); ok {
		if v, ok := amountOf(g["amount"]); ok && v > 0 {
			f.tax += v
		}
		return nil
	}
	if g, ok := match(f.rd.discount, s); ok {
		return f.discount(g["amount"])
	}
	if g, ok := match(f.rd.item, s); ok {
		return f.goods(g)
	}
	f.name = s
	return nil
}

// says takes what a line says without a sum: that this is no sale, who sells.
func (f *escposFollower) says(s string) bool {
	for _, w := range []struct {
		list []*regexp.Regexp
		say  string
	}{{f.rd.cancel, "cancelled"}, {f.rd.copies, "a copy"}, {f.rd.refund, "a refund"}} {
		if hit(w.list, s) {
			f.no = w.say
			return true
		}
	}
	if f.r.Operator == "" {
		if g, ok := match(f.rd.cashier, s); ok {
			f.r.Operator = g["name"]
			return true
		}
	}
	return false
}

// hasSum finds two decimals.
var hasSum = regexp.MustCompile(`\d[.,]\d\d(?:[^\d.,]|$)`)

func hit(list []*regexp.Regexp, s string) bool { _, ok := match(list, s); return ok }

// below reads what stands under the total.
func (f *escposFollower) below(s string) []Event {
	if g, ok := match(f.rd.change, s); ok {
		if v, ok := amountOf(g["amount"]); ok && v > 0 {
			f.change += v
		}
	} else if g, ok := match(f.rd.payment, s); ok {
		if v, ok := amountOf(g["amount"]); ok && v > 0 {
			f.given = append(f.given, Payment{tenderOf(g["kind"]), v})
		}
	} else if g, ok := match(f.rd.total, s); ok && f.given == nil {
		// "Total" once more, as some tills print it big: the same or nothing.
		if v, ok := amountOf(g["amount"]); ok && v != f.r.Total && f.lost == "" {
			f.lost = fmt.Sprintf("two totals, %s and %s", money(f.r.Total), money(v))
		}
		return nil
	} else {
		return nil
	}
	f.finish()
	return []Event{f.say(Totalled)}
}

func (f *escposFollower) discount(amount string) []Event {
	v, ok := amountOf(amount)
	if !ok || len(f.r.Lines) == 0 {
		return nil
	}
	v = max(v, -v)
	f.opened = true
	l := &f.r.Lines[len(f.r.Lines)-1]
	if f.sub || v > l.Amount-l.Discount {
		f.extra += v
	} else {
		l.Discount += v
	}
	return []Event{{Kind: Changed}}
}

func (f *escposFollower) goods(g map[string]string) []Event {
	amount, ok := amountOf(g["amount"])
	if !ok {
		return nil
	}
	name := g["name"]
	if name == "" {
		name, f.name = f.name, ""
	}
	f.name = ""
	f.opened = true
	if amount < 0 { // what is not called a discount and is one all the same, or goods taken back
		for i := len(f.r.Lines) - 1; i >= 0; i-- {
			if l := f.r.Lines[i]; l.Name == name && l.Amount == -amount && l.Discount == 0 {
				f.r.Lines = append(f.r.Lines[:i], f.r.Lines[i+1:]...)
				return []Event{{Kind: Changed}}
			}
		}
		return f.discount(g["amount"])
	}
	l := Line{Name: name, SKU: g["sku"], Quantity: 1000, Price: amount, Amount: amount}
	if q := g["qty"]; q != "" {
		n, ok := thousandths(q)
		if !ok {
			f.lost = "a quantity makes no sense"
			return nil
		}
		l.Quantity = n
		if p, ok := amountOf(g["price"]); ok && p >= 0 {
			l.Price = p
		} else if n > 0 {
			l.Price = amount * 1000 / n
		}
	}
	f.r.Lines = append(f.r.Lines, l)
	return []Event{{Kind: Changed}}
}

// finish makes the receipt agree with its total, or says that it does not. It
// may be called again when more was read.
func (f *escposFollower) finish() {
	if !f.r.Totalled || f.lost != "" {
		return
	}
	if f.extra > 0 {
		if !f.r.spread(f.extra) {
			f.lost = "a discount of more than there is"
			return
		}
		f.extra = 0
	}
	if f.tax > 0 && f.r.Net()+f.tax == f.r.Total {
		f.r.Total -= f.tax // it comes on top of prices without it
		f.tax = 0
	}
	if f.r.Net() != f.r.Total {
		f.lost = fmt.Sprintf("lines come to %s, the total is %s", money(f.r.Net()), money(f.r.Total))
		return
	}
	f.r.settle(f.given, f.change)
}

// over ends what was printed: a receipt, or something else.
func (f *escposFollower) over() (evs []Event) {
	f.finish()
	r := f.r
	defer f.reset()
	switch {
	case len(r.Lines) == 0 || !r.Totalled && f.no == "":
		// A report, a kitchen order, a card slip. Goods without a total may
		// have been a receipt in a form nobody has told us.
		if len(r.Lines) > 0 && f.opened {
			evs = []Event{{Kind: Other, Text: "goods without a total"}}
		}
	case f.no == "cancelled":
		evs = []Event{{Kind: Cancelled}}
	case f.no != "":
		evs = []Event{{Kind: Other, Text: f.no}}
	case f.lost != "":
		why := f.lost
		if f.guessed != "" {
			why += "; an unknown command was in it: " + f.guessed
		}
		e := f.say(Lost)
		e.Text = why
		evs = []Event{e}
	default:
		evs = []Event{f.say(Closed)}
	}
	return evs
}

// add prints the lines where the printer stands, and feeds as far as the cut
// needs when it does not do so itself.
func (f *escposFollower) add(style escpos.Style, plain bool, blocks []drivers.Block) (*relay.Script, error) {
	start := byte(0)
	for _, p := range f.set.Profile.Pages {
		if p.Page == f.first {
			start = p.Number
		}
	}
	if plain {
		blocks = append(blocks[:len(blocks):len(blocks)], drivers.Feed{Lines: max(1, f.set.Profile.CutLines)})
	}
	b, err := f.set.Profile.Between(style, start, blocks)
	if err != nil {
		return nil, err
	}
	return &relay.Script{Steps: []relay.Step{{Send: b}}}, nil
}
