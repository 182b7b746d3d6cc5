// Package follow reads the traffic between somebody else's cash program and
// its printer: which goods are sold, for how much, how it is paid, when the
// receipt closes. And it knows, for each protocol, how to put lines of ours
// on that receipt without the cash program noticing.
//
//	till's bytes    ─> Follower.Till    ─> events, Receipt
//	printer's bytes ─> Follower.Printer ─┘
//	lines           ─> Event.Add        ─> relay.Script
//
// It is pure: no line, no clock, no till of ours. Bytes come in pieces of any
// size; what they mean does not depend on the pieces.
//
// # Being sure
//
// A receipt is believed only when it adds up: goods less discounts must be
// what the till itself calls the total (ESC/POS: the total line; Shtrih-M:
// subtotal and change; Posnet: trend). Whatever does not add up, begins in the
// middle, or is damaged, gives a Lost event, and nothing is added and nothing
// is told of that receipt; with the next beginning the Follower is back.
//
// With fiscal printers only what the printer accepted counts: a refused
// command has sold nothing, a repeated one has sold once.
package follow

import (
	"slices"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/relay"
)

// Follower follows one till's line. Not safe for concurrent use.
type Follower interface {
	// Till takes bytes of the till; at is the place of the first in all the
	// till ever sent. Printer takes bytes the printer sent to the till.
	Till(at uint64, b []byte, now time.Time) []Event
	Printer(b []byte, now time.Time) []Event
	// Gap tells that bytes are missing, or that the till's line was closed.
	Gap(why string) []Event
	// Before are the beginnings of commands before which lines can be added.
	Before() []relay.Pattern
	// Place tells what to do at a place the relay holds and no Closing event
	// was about.
	Place(at uint64) Place
}

// Place is what a held place is.
type Place int

// The places.
const (
	Elsewhere Place = iota // let go: it only looked like a close
	Behind                 // lines belong behind this command: let it pass up to PassByte
	Soon                   // it begins like a close, and more bytes will tell
)

// Kind of an event.
type Kind int

// The events, in the order of a receipt's life.
const (
	Opened    Kind = iota + 1 // a receipt has begun
	Changed                   // goods, discounts or payments have moved
	Totalled                  // the till has asked or said the total: a good time to price
	Closing                   // the command before which lines can be added has begun, at At
	Closed                    // the receipt is closed
	Cancelled                 // the receipt was cancelled
	Lost                      // this receipt is not believed; Text says why
	Other                     // something that is no sale; Text says what
)

// Event is one thing that happened on the line.
type Event struct {
	Kind Kind
	At   uint64 // of Closing
	// Whole, of Closing: the command is there to its end, payments included.
	Whole bool
	// Early, of a whole Closing: how the till can be answered while it waits.
	Early *relay.Early
	// Receipt is what was read up to here; of Totalled, Closing, Closed and Lost.
	Receipt *Receipt
	// Add, of Closing, makes the script that prints blocks before the command;
	// Columns is how wide they may be, Draws whether there are big letters and
	// codes, too.
	Add     func(blocks []drivers.Block) (*relay.Script, error)
	Columns int
	Draws   bool
	Text    string
}

// Receipt is what was read. Money is in minor units, quantities in thousandths.
type Receipt struct {
	Lines    []Line
	Total    int64 // as the till says; valid when Totalled
	Totalled bool
	Payments []Payment
	Number   string
	Operator string
	Refund   bool // goods come back: no sale
}

// Line is one position.
type Line struct {
	Name     string
	SKU      string // when the stream has one
	Quantity int64
	Unit     string
	Price    int64 // of one unit
	Amount   int64 // before discounts
	Discount int64 // given by the till; negative: a surcharge
}

// Payment is one tender: cash, card, and so on.
type Payment struct {
	Kind   string
	Amount int64 // what it pays of the receipt, change taken off
}

// Clone is a receipt of its own.
func (r *Receipt) Clone() *Receipt {
	c := *r
	c.Lines, c.Payments = slices.Clone(r.Lines), slices.Clone(r.Payments)
	return &c
}

// Net is what the lines come to.
func (r *Receipt) Net() (n int64) {
	for _, l := range r.Lines {
		n += l.Amount - l.Discount
	}
	return n
}

// spread takes a discount off the lines in proportion to what they still
// cost, the remainders to the largest, the first on a tie. It tells whether
// there was enough to take it from.
func (r *Receipt) spread(amount int64) bool {
	net := r.Net()
	if amount == 0 {
		return true
	}
	if net <= 0 || amount > net {
		return false
	}
	left := amount
	type rest struct {
		i   int
		rem int64
	}
	var rests []rest
	for i := range r.Lines {
		l := &r.Lines[i]
		n := l.Amount - l.Discount
		if n <= 0 {
			continue
		}
		q, rem := part(n, amount, net)
		l.Discount += q
		left -= q
		rests = append(rests, rest{i, rem})
	}
	step := int64(1)
	if left < 0 {
		step = -1
	}
	for left != 0 {
		best := -1
		for k, x := range rests {
			if best < 0 || x.rem*step > rests[best].rem*step {
				best = k
			}
		}
		if best < 0 {
			return false
		}
		r.Lines[rests[best].i].Discount += step
		rests[best].rem -= step * net
		left -= step
	}
	return true
}

// part is n*amount/net, rounded towards zero, and the rest. Sums of a receipt
// are far from where the product overflows; those that are not give zero.
func part(n, amount, net int64) (q, rem int64) {
	if n > 1<<31 || amount > 1<<31 || amount < -(1<<31) {
		return 0, 0
	}
	return n * amount / net, n * amount % net
}

// settle makes payments of what was given and the change: change comes out of
// cash first.
func (r *Receipt) settle(given []Payment, change int64) {
	r.Payments = nil
	for _, p := range given {
		if p.Kind == "cash" && change > 0 {
			c := min(change, p.Amount)
			p.Amount -= c
			change -= c
		}
		if p.Amount > 0 {
			r.Payments = append(r.Payments, p)
		}
	}
}

// maxLines bounds a receipt; a stream that goes on and on is none.
const maxLines = 2000
