package follow

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/relay"
	"github.com/tillside/tillside/drivers/shtrih"
)

// Commands of the register that make or end a receipt.
const (
	shtrihShort    = 0x10
	shtrihFull     = 0x11
	shtrihText     = 0x17
	shtrihSale     = 0x80
	shtrihBuyBack  = 0x83
	shtrihVoid     = 0x84
	shtrihClose    = 0x85
	shtrihDiscount = 0x86
	shtrihMarkup   = 0x87
	shtrihCancel   = 0x88
	shtrihSubtotal = 0x89
	shtrihNoDisc   = 0x8A
	shtrihNoMarkup = 0x8B
	shtrihOpen     = 0x8D
	shtrihClose16  = 0x8E
	shtrihTwo      = 0xFF
	shtrihCloseV2  = 0x45 // after FFh
	shtrihOpV2     = 0x46
	shtrihEAN      = 0xC2
)

// shtrihTenders are the kinds of the first four payment types as most shops
// have programmed them.
var shtrihTenders = []string{"cash", "card", "credit", "other"}

// idleGap is when half a frame is given up: far longer than any byte gap.
const idleGap = time.Second

// ShtrihSettings are what a till's register has of its own.
type ShtrihSettings struct {
	Columns int // 0: 36
	// Tenders name the payment types, the first being cash. Empty: cash, card,
	// credit, other.
	Tenders []string
}

type shtrihFollower struct {
	set  ShtrihSettings
	page *codepage.Page

	till, printer stream
	pending       []byte // the command that waits for its answer
	pendingNum    int    // of the alternative framing; -1: standard
	doneNum       int
	password      []byte

	synced  bool // the register is known to be idle, or a receipt was followed from its beginning
	open    bool
	lost    bool
	r       *Receipt
	after   int   // the last command that moved the receipt
	closeAt int64 // place of the close last seen, -1: none
}

// stream is one direction's bytes not yet taken apart.
type stream struct {
	buf  []byte
	at   uint64 // of buf[0]
	last time.Time
}

func (s *stream) add(b []byte, now time.Time) (stale bool) {
	stale = len(s.buf) > 0 && now.Sub(s.last) > idleGap
	s.buf = append(s.buf, b...)
	s.last = now
	return stale
}

func (s *stream) drop(n int) {
	s.buf = s.buf[n:]
	s.at += uint64(n)
	if len(s.buf) == 0 {
		s.buf = nil
	}
}

// NewShtrih follows the Shtrih-M protocol in both framings. In the
// alternative one commands are numbered by the till, so that none can be put
// in between: such receipts are read, and no lines are added.
func NewShtrih(set ShtrihSettings) Follower {
	if set.Columns == 0 {
		set.Columns = 36
	}
	if len(set.Tenders) == 0 {
		set.Tenders = shtrihTenders
	}
	return &shtrihFollower{set: set, page: codepage.Must("cp1251"), r: &Receipt{}, closeAt: -1, pendingNum: -1, doneNum: -1}
}

func (f *shtrihFollower) Before() []relay.Pattern {
	any3 := []byte{0xFF, 0, 0xFF}
	return []relay.Pattern{
		{Bytes: []byte{shtrih.STX, 0, shtrihClose}, Mask: any3}, {Bytes: []byte{shtrih.STX, 0, shtrihClose16}, Mask: any3},
		{Bytes: []byte{shtrih.STX, 0, shtrihTwo, shtrihCloseV2}, Mask: []byte{0xFF, 0, 0xFF, 0xFF}},
	}
}

// Place implements Follower. Every close is told by an event with its third
// byte, which the pattern has, too.
func (f *shtrihFollower) Place(uint64) Place { return Elsewhere }

// say makes an event about the receipt as it is now.
func (f *shtrihFollower) say(k Kind) Event { return Event{Kind: k, Receipt: f.r.Clone()} }

// closing makes the event of a close at a place.
func (f *shtrihFollower) closing(at uint64) Event {
	e := f.say(Closing)
	e.At, e.Columns, e.Add = at, min(f.set.Columns, 40), f.add
	return e
}

func (f *shtrihFollower) Gap(why string) []Event {
	f.till.buf, f.printer.buf, f.pending = nil, nil, nil
	f.synced = false
	if !f.open {
		return nil
	}
	return f.lose(why)
}

// lose gives the receipt in progress up.
func (f *shtrihFollower) lose(why string) []Event {
	if f.lost {
		return nil
	}
	f.lost = true
	e := f.say(Lost)
	e.Text = why
	return []Event{e}
}

func (f *shtrihFollower) Till(at uint64, b []byte, now time.Time) (evs []Event) {
	if len(f.till.buf) == 0 {
		f.till.at = at
	} else if f.till.at+uint64(len(f.till.buf)) != at {
		evs = f.Gap("bytes of the till are missing")
		f.till.at = at
	}
	if f.till.add(b, now) {
		f.till.drop(1) // half a frame, long ago: look for another beginning
	}
	for len(f.till.buf) > 0 {
		buf := f.till.buf
		if buf[0] == 0x8F {
			fr, kind, n := shtrih.NextAlt(buf)
			if n == 0 {
				break
			}
			f.till.drop(n)
			if kind == shtrih.Frame && !fr.Sync && len(fr.Data) > 0 && int(fr.Num) != f.doneNum {
				evs = append(evs, f.command(fr.Data, int(fr.Num))...)
			}
			continue
		}
		evs = append(evs, f.closeBegins(buf)...)
		tok, n := shtrih.Next(buf)
		if n == 0 {
			break
		}
		place := f.till.at
		f.till.drop(n)
		if tok.Kind == shtrih.Frame {
			more := f.command(tok.Body, -1)
			if f.closeAt >= 0 && uint64(f.closeAt) == place && f.believed() {
				if f.percent(tok.Body) != 0 {
					// What it comes to, the register says afterwards.
					f.closeAt = -1
					evs = append(evs, Event{Kind: Other, Text: "a discount inside the close: no lines can be added"})
					continue
				}
				e := f.closing(place)
				e.Whole, e.Early = true, &relay.Early{Say: []byte{shtrih.ACK}, Skip: []byte{shtrih.ACK}}
				more = append(more, e)
			}
			evs = append(evs, more...)
		}
	}
	return evs
}

func (f *shtrihFollower) believed() bool { return f.synced && f.open && !f.lost && !f.r.Refund }

// closeBegins tells of a close as soon as its first bytes are there.
func (f *shtrihFollower) closeBegins(buf []byte) []Event {
	if f.closeAt >= 0 && uint64(f.closeAt) == f.till.at {
		return nil // told
	}
	for _, p := range f.Before() {
		if len(buf) < len(p.Bytes) || buf[0] != shtrih.STX || buf[2] != p.Bytes[2] || len(p.Bytes) == 4 && buf[3] != p.Bytes[3] {
			continue
		}
		f.closeAt = int64(f.till.at)
		if f.believed() {
			return []Event{f.closing(f.till.at)}
		}
	}
	return nil
}

// command notes what the till asks; it counts when the register says so.
func (f *shtrihFollower) command(body []byte, num int) []Event {
	f.pending, f.pendingNum = append([]byte(nil), body...), num
	if a := arguments(body); len(a) >= 4 {
		f.password = append([]byte(nil), a[:4]...)
	}
	switch code(body) {
	case shtrihClose, shtrihClose16, shtrihTwo<<8 | shtrihCloseV2:
		if f.believed() {
			if num >= 0 {
				return []Event{f.say(Totalled), {Kind: Other, Text: "alternative framing: no lines can be added"}}
			}
			given := f.payments(body)
			f.r.settle(given, max(0, sum(given)-f.r.Net()))
			return []Event{f.say(Totalled)}
		}
	}
	return nil
}

func sum(ps []Payment) (n int64) {
	for _, p := range ps {
		n += p.Amount
	}
	return n
}

// code is the command's number; two-byte ones have FFh in the upper byte.
func code(body []byte) int {
	if len(body) > 1 && body[0] == shtrihTwo {
		return shtrihTwo<<8 | int(body[1])
	}
	if len(body) == 0 {
		return -1
	}
	return int(body[0])
}

// arguments are the bytes behind the command's number, password first.
func arguments(body []byte) []byte {
	if len(body) > 0 && body[0] == shtrihTwo {
		return body[min(2, len(body)):]
	}
	return body[min(1, len(body)):]
}

func number(b []byte) int64 {
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return int64(v)
}

func (f *shtrihFollower) text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return strings.TrimSpace(strings.TrimPrefix(f.page.Decode(b), "//"))
}

func (f *shtrihFollower) Printer(b []byte, now time.Time) (evs []Event) {
	if f.printer.add(b, now) {
		f.printer.drop(1)
	}
	for len(f.printer.buf) > 0 {
		if f.printer.buf[0] == 0x8F {
			fr, kind, n := shtrih.NextAlt(f.printer.buf)
			if n == 0 {
				break
			}
			f.printer.drop(n)
			if kind == shtrih.Frame && !fr.Sync && len(fr.Data) > 0 && f.pendingNum == int(fr.Num) {
				f.doneNum = f.pendingNum
				evs = append(evs, f.answer(fr.Data)...)
			}
			continue
		}
		tok, n := shtrih.Next(f.printer.buf)
		if n == 0 {
			break
		}
		body := append([]byte(nil), tok.Body...)
		f.printer.drop(n)
		if tok.Kind == shtrih.Frame {
			evs = append(evs, f.answer(body)...)
		}
	}
	return evs
}

// answer takes an answer of the register. One that repeats itself finds no
// command waiting.
func (f *shtrihFollower) answer(body []byte) []Event {
	cmd := f.pending
	if cmd == nil || code(body) != code(cmd) && !(body[0] == shtrihTwo && cmd[0] == shtrihTwo) {
		return nil
	}
	f.pending, f.pendingNum = nil, -1
	a := arguments(body)
	if len(a) == 0 || code(body) != code(cmd) {
		return nil // refusals of two-byte commands come in two forms
	}
	if a[0] != 0 {
		return f.refused(cmd, a[0])
	}
	evs := f.effect(cmd, a[1:])
	if c := code(cmd); c >= shtrihSale && c <= shtrihOpen || c == shtrihTwo<<8|shtrihOpV2 {
		f.after = c
	}
	if len(f.r.Lines) > maxLines {
		evs = append(evs, f.lose("too many lines")...)
	}
	return evs
}

func (f *shtrihFollower) refused(cmd []byte, _ byte) []Event {
	if code(cmd) == shtrihClose || code(cmd) == shtrihClose16 || code(cmd) == shtrihTwo<<8|shtrihCloseV2 {
		return []Event{{Kind: Changed}} // still open; the till may try again
	}
	return nil
}

// effect is what an accepted command has done. args are the bytes behind the
// number, result those behind the error byte.
func (f *shtrihFollower) effect(cmd, result []byte) []Event {
	args := arguments(cmd)
	if len(args) < 4 {
		return nil
	}
	args = args[4:]
	switch c := code(cmd); c {
	case shtrihShort:
		if len(result) >= 4 {
			return f.mode(result[3])
		}
	case shtrihFull:
		if len(result) >= 14 {
			return f.mode(result[13])
		}
	case shtrihOpen:
		if len(args) < 1 {
			return nil
		}
		f.begin(args[0] != 0)
		if f.r.Refund {
			return []Event{{Kind: Other, Text: "a receipt that is no sale"}}
		}
		return []Event{{Kind: Opened}}
	case shtrihSale, shtrihSale + 1, shtrihSale + 2, shtrihBuyBack:
		if len(args) < 15 {
			return f.lose("a sale is too short")
		}
		return f.sell(number(args[:5])*1000, number(args[5:10]), -1, args[15:], c != shtrihSale)
	case shtrihTwo<<8 | shtrihOpV2:
		if len(args) < 26 {
			return f.lose("an operation is too short")
		}
		total := number(args[12:17])
		if total == 0xFFFFFFFFFF {
			total = -1
		}
		return f.sell(number(args[1:7]), number(args[7:12]), total, args[26:], args[0] != 1)
	case shtrihVoid:
		if len(args) < 15 || !f.open {
			return nil
		}
		return f.void(number(args[:5]), number(args[5:10]), f.text(args[15:]))
	case shtrihDiscount, shtrihNoMarkup, shtrihMarkup, shtrihNoDisc:
		if len(args) < 5 || !f.open {
			return nil
		}
		v := number(args[:5])
		if c == shtrihMarkup || c == shtrihNoDisc {
			v = -v
		}
		return f.discount(v)
	case shtrihSubtotal:
		if len(result) < 6 || !f.believed() {
			return nil
		}
		return f.total(number(result[1:6]))
	case shtrihCancel:
		if !f.open {
			return nil
		}
		f.open, f.synced = false, true
		return []Event{{Kind: Cancelled}}
	case shtrihClose, shtrihClose16, shtrihTwo<<8 | shtrihCloseV2:
		return f.closed(cmd, result)
	}
	return nil
}

// mode is the register's own word on whether a receipt is open.
func (f *shtrihFollower) mode(m byte) []Event {
	switch m & 0x0F {
	case 2, 3, 4:
		was := f.open && f.synced
		f.open, f.synced = false, true
		if was && !f.lost {
			return []Event{{Kind: Cancelled}}
		}
	}
	return nil
}

func (f *shtrihFollower) begin(refund bool) {
	f.r, f.open, f.synced, f.lost, f.closeAt = &Receipt{Refund: refund}, true, true, false, -1
}

// sell adds a line; quantity in millionths, total -1: to be computed.
func (f *shtrihFollower) sell(quantity, price, total int64, name []byte, refund bool) (evs []Event) {
	if !f.open {
		if !f.synced {
			return nil // somewhere in the middle of a receipt
		}
		f.begin(refund) // a sale opens a receipt by itself
		evs = append(evs, Event{Kind: Opened})
	}
	if quantity <= 0 || quantity > 1e13 || price < 0 || price > 1e10 {
		return append(evs, f.lose("a line makes no sense")...)
	}
	if total < 0 {
		if price > 0 && quantity/1000 > (1<<62)/price {
			return append(evs, f.lose("a line makes no sense")...)
		}
		total = (price*(quantity/1000) + 500) / 1000
	}
	f.r.Lines = append(f.r.Lines, Line{Name: f.text(name), Quantity: quantity / 1000, Price: price, Amount: total})
	f.r.Totalled = false
	return append(evs, Event{Kind: Changed})
}

func (f *shtrihFollower) void(quantity, price int64, name string) []Event {
	if !takeBack(f.r, quantity, price, name) {
		return f.lose("a void of a line that was not sold")
	}
	f.r.Totalled = false
	return []Event{{Kind: Changed}}
}

// takeBack takes goods off the last line that fits, by name and price or by
// price alone.
func takeBack(r *Receipt, quantity, price int64, name string) bool {
	for _, byName := range []bool{true, false} {
		for i := len(r.Lines) - 1; i >= 0; i-- {
			l := &r.Lines[i]
			if l.Price != price || l.Quantity < quantity || byName && l.Name != name {
				continue
			}
			if l.Quantity == quantity {
				r.Lines = append(r.Lines[:i], r.Lines[i+1:]...)
				return true
			}
			if l.Discount != 0 {
				return false // how much of it went is not said
			}
			l.Quantity -= quantity
			l.Amount = (l.Price*l.Quantity + 500) / 1000
			return true
		}
	}
	return false
}

// discount belongs to the line it follows at once, or to the receipt.
func (f *shtrihFollower) discount(v int64) []Event {
	f.r.Totalled = false
	n := len(f.r.Lines)
	if (f.after == shtrihSale || f.after == shtrihTwo<<8|shtrihOpV2) && n > 0 && v <= f.r.Lines[n-1].Amount-f.r.Lines[n-1].Discount {
		f.r.Lines[n-1].Discount += v
		return []Event{{Kind: Changed}}
	}
	if !f.r.spread(v) {
		return f.lose("a discount of more than there is")
	}
	return []Event{{Kind: Changed}}
}

func (f *shtrihFollower) total(v int64) []Event {
	f.r.Total, f.r.Totalled = v, true
	if v != f.r.Net() {
		return f.lose(fmt.Sprintf("lines come to %s, the register says %s", money(f.r.Net()), money(v)))
	}
	return []Event{f.say(Totalled)}
}

func money(v int64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%02d", sign, v/100, v%100)
}

// payments are those of a close command.
func (f *shtrihFollower) payments(cmd []byte) (out []Payment) {
	a := arguments(cmd)
	n := 4
	if code(cmd) != shtrihClose {
		n = 16
	}
	if len(a) < 4+5*n {
		return nil
	}
	a = a[4:]
	for i := range n {
		if v := number(a[5*i : 5*i+5]); v > 0 {
			kind := "other"
			if i < len(f.set.Tenders) {
				kind = f.set.Tenders[i]
			}
			out = append(out, Payment{kind, v})
		}
	}
	return out
}

func (f *shtrihFollower) closed(cmd, result []byte) []Event {
	was := f.open && f.synced
	lost := f.lost
	f.open, f.synced = false, true
	if !was || lost {
		return nil
	}
	if f.r.Refund {
		return []Event{{Kind: Other, Text: "a receipt that is no sale was closed"}}
	}
	// Behind FF45h there is no operator.
	at := 1
	if cmd[0] == shtrihTwo {
		at = 0
	}
	if len(result) < at+5 {
		return f.lose("the answer to the close is too short")
	}
	change := number(result[at : at+5])
	if cmd[0] == shtrihTwo && len(result) >= 9 {
		f.r.Number = strconv.FormatInt(number(result[5:9]), 10)
	}
	given := f.payments(cmd)
	total := sum(given) - change
	if percent := f.percent(cmd); percent != 0 {
		// A discount in the close itself: what it came to is what is missing.
		if !f.r.spread(f.r.Net() - total) {
			return f.lose("a discount of more than there is")
		}
	}
	f.r.Total, f.r.Totalled = total, true
	if total != f.r.Net() {
		return f.lose(fmt.Sprintf("lines come to %s, %s was paid", money(f.r.Net()), money(total)))
	}
	f.r.settle(given, change)
	return []Event{f.say(Closed)}
}

// percent is the discount inside a classic close, in hundredths.
func (f *shtrihFollower) percent(cmd []byte) int16 {
	a := arguments(cmd)
	if code(cmd) != shtrihClose || len(a) < 26 {
		return 0
	}
	return int16(binary.LittleEndian.Uint16(a[24:26]))
}

// add prints by 17h, one exchange a line, as the till itself would, and leaves
// the line as the till had it: asked by ENQ, answered NAK.
func (f *shtrihFollower) add(blocks []drivers.Block) (*relay.Script, error) {
	s := &relay.Script{Limit: 10 * time.Second}
	ack := []byte{shtrih.ACK}
	for _, body := range f.commands(blocks) {
		frame, err := shtrih.Encode(body)
		if err != nil {
			return nil, err
		}
		if len(s.Steps) > 0 {
			s.Steps = append(s.Steps, idle())
		}
		s.Steps = append(s.Steps,
			relay.Step{Send: frame, Take: &relay.Answer{Start: relay.Pattern{Bytes: []byte{0}, Mask: []byte{0}}, Count: 1},
				Want: &relay.Pattern{Bytes: ack}, Wait: 500 * time.Millisecond},
			relay.Step{Take: &relay.Answer{Start: relay.Pattern{Bytes: []byte{shtrih.STX, 0, body[0]}, Mask: []byte{0xFF, 0, 0xFF}}, Length: true},
				Want: &relay.Pattern{Bytes: []byte{shtrih.STX, 0, body[0], 0}, Mask: []byte{0xFF, 0, 0xFF, 0xFF}}, Bail: ack, Wait: 3 * time.Second},
			relay.Step{Send: ack})
	}
	if len(s.Steps) > 0 {
		s.Steps = append(s.Steps, idle())
	}
	return s, nil
}

// idle asks whether the register waits for a command.
func idle() relay.Step {
	return relay.Step{Send: []byte{shtrih.ENQ}, Take: &relay.Answer{Start: relay.Pattern{Bytes: []byte{0}, Mask: []byte{0}}, Count: 1},
		Want: &relay.Pattern{Bytes: []byte{shtrih.NAK}}, Wait: 500 * time.Millisecond}
}

func (f *shtrihFollower) commands(blocks []drivers.Block) (out [][]byte) {
	pw := f.password
	if len(pw) != 4 {
		pw = []byte{30, 0, 0, 0}
	}
	for _, b := range blocks {
		switch b := b.(type) {
		case drivers.Text:
			// Old firmware wants the whole 40 bytes, newer takes them.
			body := append([]byte{shtrihText}, pw...)
			body = append(body, 2)
			text := f.page.Encode(b.Text)
			body = append(body, text[:min(len(text), 40)]...)
			for len(body) < 46 {
				body = append(body, 0)
			}
			out = append(out, body)
		case drivers.Barcode:
			if n, err := strconv.ParseInt(b.Data[:min(12, len(b.Data))], 10, 64); err == nil && b.Symbology == drivers.EAN13 {
				body := append([]byte{shtrihEAN}, pw...)
				for i := range 5 {
					body = append(body, byte(n>>(8*i)))
				}
				out = append(out, body)
			}
		}
	}
	return out
}
