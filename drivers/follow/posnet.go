package follow

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/posnet"
	"github.com/tillside/tillside/drivers/relay"
)

// PosnetSettings are what a till's printer has of its own.
type PosnetSettings struct {
	Columns  int    // 40 (when 0) or 56
	CodePage string // "": cp1250
}

const (
	posnetSTX = 0x02
	// PassByte ends a command behind which lines belong.
	PassByte = 0x03
	// posnetBlanks are what the printer puts before a free line of the foot.
	posnetBlanks = 15
	// posnetForm is the form that takes any line.
	posnetForm = 200
)

var posnetTenders = map[int64]string{0: "cash", 2: "card", 3: "cheque", 4: "voucher", 5: "credit", 6: "other", 7: "voucher", 8: "transfer"}

type posnetFollower struct {
	set  PosnetSettings
	page *codepage.Page

	till    posnet.Decoder
	printer posnet.Decoder
	next    uint64 // place of the next byte of the till
	frame   uint64 // place of the frame in progress
	head    []byte // its first bytes

	pending []posnet.Message // commands without an answer yet, oldest first
	synced  bool
	open    bool
	other   bool // an invoice, or another document that is no receipt
	lost    bool
	foot    bool // the till prints the foot itself: trend had fe0
	ending  bool // it does so now: the receipt is closed, its foot is not
	r       *Receipt
	given   []Payment
	change  int64
	token   int
	behind  int64 // place of a trend in progress, -1: none
}

// NewPosnet follows the Posnet protocol. Where the cash program prints the foot
// of its receipts itself (trend with fe0), lines are put into that foot, before
// its trftrend. Where it does not, the receipt cannot be kept open without
// changing the cash program's own command; lines follow it as a non-fiscal
// document.
func NewPosnet(set PosnetSettings) (Follower, error) {
	if set.Columns == 0 {
		set.Columns = 40
	}
	if set.CodePage == "" {
		set.CodePage = "cp1250"
	}
	page, err := codepage.Lookup(set.CodePage)
	if err != nil {
		return nil, err
	}
	return &posnetFollower{set: set, page: page, r: &Receipt{}, behind: -1, token: 9000}, nil
}

// say makes an event about the receipt as it is now.
func (f *posnetFollower) say(k Kind) Event { return Event{Kind: k, Receipt: f.r.Clone()} }

// closing makes the event of the place where lines belong.
func (f *posnetFollower) closing(at uint64, asForm bool) Event {
	e := f.say(Closing)
	e.At, e.Whole, e.Columns = at, true, f.set.Columns
	if !asForm {
		e.Columns -= posnetBlanks
	}
	e.Add = func(blocks []drivers.Block) (*relay.Script, error) { return f.add(blocks, asForm) }
	return e
}

func (f *posnetFollower) Before() []relay.Pattern {
	return []relay.Pattern{{Bytes: []byte("\x02trend\t")}, {Bytes: []byte("\x02trftrend\t")}}
}

func (f *posnetFollower) Place(at uint64) Place {
	if f.behind >= 0 && uint64(f.behind) == at {
		return Behind
	}
	return Elsewhere
}

func (f *posnetFollower) Gap(why string) []Event {
	f.till.Reset()
	f.printer.Reset()
	f.pending, f.synced = nil, false
	if f.ending {
		return f.ended()
	}
	if !f.open {
		return nil
	}
	return f.lose(why)
}

// ended tells that a receipt is closed, once its foot is, or will not be.
func (f *posnetFollower) ended() []Event {
	if !f.ending {
		return nil
	}
	f.ending = false
	return []Event{f.say(Closed)}
}

func (f *posnetFollower) lose(why string) []Event {
	if f.lost {
		return nil
	}
	f.lost = true
	e := f.say(Lost)
	e.Text = why
	return []Event{e}
}

func (f *posnetFollower) believed() bool { return f.synced && f.open && !f.lost && !f.other }

func (f *posnetFollower) Till(at uint64, b []byte, _ time.Time) (evs []Event) {
	if f.till.Midway() && f.next != at {
		evs = f.Gap("bytes of the till are missing")
	}
	f.next = at
	for _, c := range b {
		if c == posnetSTX {
			f.frame, f.head = f.next, f.head[:0]
		}
		f.next++
		if len(f.head) < 16 {
			f.head = append(f.head, c)
			if string(f.head) == "\x02trend\t" && f.believed() {
				f.behind = int64(f.frame)
			}
		}
		m, err, done := f.till.Feed(c)
		if done && err == nil {
			evs = append(evs, f.command(m)...)
		}
	}
	return evs
}

// command notes what the till asks. Commands queue in the printer.
func (f *posnetFollower) command(m posnet.Message) []Event {
	if !strings.HasPrefix(m.Command, "!") && m.Command != "rpt" {
		f.pending = append(f.pending, m)
		if len(f.pending) > 256 {
			f.pending = f.pending[1:]
		}
	}
	switch m.Command {
	case "trend":
		if !f.believed() {
			return nil
		}
		f.foot = m.Text("fe") != "" && strings.ContainsRune("0nNfF", rune(m.Text("fe")[0]))
		if len(f.pending) > 1 {
			return nil // what stands before it in the queue is not known yet
		}
		f.pay(m)
		if to, ok := m.Int("to"); ok {
			f.r.Total, f.r.Totalled = to, true
			if to != f.r.Net() {
				return f.lose(fmt.Sprintf("lines come to %s, the till says %s", money(f.r.Net()), money(to)))
			}
		}
		evs := []Event{f.say(Totalled)}
		if !f.foot {
			evs = append(evs, f.closing(f.next, true))
		}
		return evs
	case "trftrend":
		// The receipt is closed by then; it is the one followed last.
		if f.foot && !f.lost && f.synced && !f.other { // trend may still be on its way through the printer
			return []Event{f.closing(f.frame, false)}
		}
	}
	return nil
}

// pay settles the payments as trend has them.
func (f *posnetFollower) pay(m posnet.Message) {
	given, change := f.given, f.change
	if len(given) == 0 {
		fp, ok := m.Int("fp")
		if !ok {
			fp = f.r.Net()
		}
		given = []Payment{{"cash", fp}}
	}
	if change == 0 {
		change = max(0, sum(given)-f.r.Net())
	}
	f.r.settle(append([]Payment(nil), given...), change)
}

func (f *posnetFollower) Printer(b []byte, _ time.Time) (evs []Event) {
	for _, c := range b {
		m, err, done := f.printer.Feed(c)
		if !done || err != nil {
			continue
		}
		evs = append(evs, f.answer(m)...)
	}
	return evs
}

// answer finds the command of an answer: the oldest of that name, by token
// where there is one. Older ones got no answer and are not waited for.
func (f *posnetFollower) answer(m posnet.Message) []Event {
	at := -1
	for i, p := range f.pending {
		if p.Token == m.Token && (p.Command == m.Command || m.Command == "ERR" && (m.Text("cm") == "" || m.Text("cm") == p.Command)) {
			at = i
			break
		}
	}
	if at < 0 {
		return nil
	}
	p := f.pending[at]
	f.pending = f.pending[at+1:]
	if m.Refused || m.Command == "ERR" {
		if p.Command == "trend" && f.open {
			return []Event{{Kind: Changed}}
		}
		return nil
	}
	evs := f.effect(p, m)
	if len(f.r.Lines) > maxLines {
		evs = append(evs, f.lose("too many lines")...)
	}
	return evs
}

func (f *posnetFollower) effect(p, answer posnet.Message) []Event {
	switch p.Command {
	case "trinit":
		evs := f.ended()
		f.begin(false)
		return append(evs, Event{Kind: Opened})
	case "trfvinit", "trpackinit", "trpackprninit":
		evs := f.ended()
		f.begin(true)
		return append(evs, Event{Kind: Other, Text: "a document that is no receipt"})
	case "trftrend":
		return f.ended()
	case "strns":
		if to := answer.Text("to"); to != "" && strings.ContainsRune("0nN", rune(to[0])) {
			was := f.believed()
			f.open, f.synced = false, true
			if was {
				return []Event{{Kind: Cancelled}}
			}
		}
		return nil
	case "trend":
		if f.believed() {
			f.pay(p)
			if to, ok := p.Int("to"); ok {
				f.r.Total, f.r.Totalled = to, true
			}
		}
		return f.closed()
	case "prncancel", "trcancel", "hardprncancel":
		was := f.believed()
		evs := f.ended()
		f.open, f.synced, f.foot = false, true, false
		if was {
			evs = append(evs, Event{Kind: Cancelled})
		}
		return evs
	}
	if !f.believed() {
		return nil
	}
	switch p.Command {
	case "trline":
		return f.sell(p)
	case "trdiscntbill", "trdiscntvat", "trdiscntpromo", "trdiscntline":
		return f.discount(p)
	case "trpayment":
		ty, _ := p.Int("ty")
		wa, ok := p.Int("wa")
		if !ok {
			return f.lose("a payment without an amount")
		}
		if re := p.Text("re"); re != "" && strings.ContainsRune("1tTyY", rune(re[0])) {
			f.change += wa
			return []Event{{Kind: Changed}}
		}
		kind := posnetTenders[ty]
		if kind == "" {
			kind = "other"
		}
		f.given = append(f.given, Payment{kind, wa})
		f.r.settle(append([]Payment(nil), f.given...), max(0, sum(f.given)-f.r.Net()))
		return []Event{f.say(Totalled)}
	case "trsubtot", "showsubtotal":
		return []Event{f.say(Totalled)}
	}
	return nil
}

func (f *posnetFollower) begin(other bool) {
	f.r, f.open, f.synced, f.lost, f.other, f.foot = &Receipt{}, true, true, false, other, false
	f.given, f.change, f.behind = nil, 0, -1
}

func (f *posnetFollower) closed() []Event {
	was := f.believed()
	f.open, f.synced = false, true
	if !was {
		return nil
	}
	if f.r.Totalled && f.r.Total != f.r.Net() {
		return f.lose(fmt.Sprintf("lines come to %s, the till says %s", money(f.r.Net()), money(f.r.Total)))
	}
	f.r.Total, f.r.Totalled = f.r.Net(), true
	if f.ending = true; f.foot {
		return nil
	}
	return f.ended()
}

// thousandths reads a quantity such as 1.5 or 0,250.
func thousandths(s string) (int64, bool) {
	if s == "" {
		return 1000, true
	}
	whole, frac, _ := strings.Cut(strings.Replace(s, ",", ".", 1), ".")
	if len(frac) > 3 || whole == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 3-len(frac)), 10, 64)
	return n, err == nil && n > 0 && n < 1e12
}

func (f *posnetFollower) sell(p posnet.Message) []Event {
	price, ok := p.Int("pr")
	q, good := thousandths(p.Text("il"))
	if !ok || !good || price <= 0 || price > 1e10 || q > (1<<62)/price {
		return f.lose("a line makes no sense")
	}
	l := Line{Name: strings.TrimSpace(f.page.Decode([]byte(p.Text("na")))), Quantity: q, Price: price, Unit: f.page.Decode([]byte(p.Text("jm")))}
	l.Amount = (price*q + 500) / 1000
	if wa, ok := p.Int("wa"); ok {
		l.Amount = wa
	}
	off, ok := percentOr(p, l.Amount)
	if !ok {
		return f.lose("a discount makes no sense")
	}
	l.Discount = off
	f.r.Totalled = false
	if st := p.Text("st"); st != "" && strings.ContainsRune("1tTyY", rune(st[0])) {
		for i := len(f.r.Lines) - 1; i >= 0; i-- {
			if o := f.r.Lines[i]; o.Name == l.Name && o.Price == l.Price && o.Quantity == l.Quantity && o.Discount == l.Discount {
				f.r.Lines = append(f.r.Lines[:i], f.r.Lines[i+1:]...)
				return []Event{{Kind: Changed}}
			}
		}
		if l.Discount == 0 && takeBack(f.r, l.Quantity, l.Price, l.Name) {
			return []Event{{Kind: Changed}}
		}
		return f.lose("a void of a line that was not sold")
	}
	f.r.Lines = append(f.r.Lines, l)
	return []Event{{Kind: Changed}}
}

// percentOr reads rd with rp or rw: what is taken off an amount.
func percentOr(p posnet.Message, amount int64) (int64, bool) {
	_, hasP := p.Get("rp")
	_, hasW := p.Get("rw")
	if !hasP && !hasW {
		return 0, true
	}
	v, ok := p.Int("rw")
	if hasP {
		rp, good := p.Int("rp")
		if ok = good && rp >= 0 && rp <= 9999 && amount < 1<<48; ok {
			v = (amount*rp + 5000) / 10000
		}
	}
	if rd := p.Text("rd"); rd != "" && strings.ContainsRune("0nNfF", rune(rd[0])) {
		return -v, ok
	}
	return v, ok && v <= amount
}

func (f *posnetFollower) discount(p posnet.Message) []Event {
	if _, ok := p.Get("vt"); ok && p.Command == "trdiscntvat" {
		// Of one tax rate: which lines that are, the stream does not tell for
		// sure once lines were voided. Rare enough to leave alone.
		return f.lose("a discount of one tax rate")
	}
	n := len(f.r.Lines)
	f.r.Totalled = false
	if p.Command == "trdiscntline" && n > 0 {
		l := &f.r.Lines[n-1]
		off, ok := percentOr(p, l.Amount-l.Discount)
		if !ok {
			return f.lose("a discount makes no sense")
		}
		l.Discount += off
		return []Event{{Kind: Changed}}
	}
	off, ok := percentOr(p, f.r.Net())
	if !ok || !f.r.spread(off) {
		return f.lose("a discount makes no sense")
	}
	return []Event{{Kind: Changed}}
}

// add sends everything in one go: the printer queues commands and answers each,
// by the token it was given, whenever it is ready.
func (f *posnetFollower) add(blocks []drivers.Block, asForm bool) (*relay.Script, error) {
	var ms []posnet.Message
	add := func(cmd string, ps ...posnet.Param) {
		ms = append(ms, posnet.Message{Command: cmd, Params: ps})
	}
	if asForm {
		add("formstart", posnet.P("fn", posnetForm), posnet.P("fh", 85))
	}
	for _, b := range blocks {
		switch b := b.(type) {
		case drivers.Text:
			text := f.clean(b.Text)
			if !asForm {
				if text == "" {
					text = " "
				}
				add("trftrln", posnet.P("id", 25), posnet.P("na", text[:min(len(text), f.set.Columns-posnetBlanks)]))
				continue
			}
			mark := ""
			if b.Bold || b.Height > 1 {
				mark = "&b"
			}
			add("formformattedline", posnet.P("fn", posnetForm), posnet.P("s1", mark+text[:min(len(text), 56)]))
		case drivers.Barcode:
			if asForm && b.Symbology == drivers.EAN13 {
				add("formbarcode", posnet.P("fn", posnetForm), posnet.P("bc", b.Data), posnet.P("bt", 1))
			}
		}
	}
	if asForm {
		add("formend", posnet.P("fn", posnetForm))
	}
	s := &relay.Script{}
	var all []byte
	for _, m := range ms {
		m.Token = fmt.Sprintf("%04d", f.token)
		if f.token++; f.token > 9999 {
			f.token = 9000
		}
		b, err := posnet.Encode(m)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
		for _, name := range []string{m.Command, "ERR"} {
			s.Owed = append(s.Owed, relay.Answer{Start: relay.Pattern{Bytes: []byte("\x02" + name + "\t@" + m.Token + "\t")}, Until: PassByte})
		}
	}
	s.Steps = []relay.Step{{Send: all}}
	return s, nil
}

// clean keeps what a line of the printer cannot hold out of it.
func (f *posnetFollower) clean(s string) string {
	up := strings.ToUpper(s)
	if strings.Contains(up, "PARAGON FISKALNY") {
		s = strings.ReplaceAll(up, "PARAGON FISKALNY", "PARAGON")
	}
	return string(f.page.Encode(strings.ReplaceAll(s, "&", "+")))
}
