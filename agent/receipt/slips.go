package receipt

import (
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
)

// The slips below are no receipts: what comes back, a coupon, a stamp card, a
// joining. They are paragraphs like the loyalty block, so that one Paper lays
// out all. Texts of the programme (names of coupons, cards, levels) come in the
// customer's language; the words around them are those of words/*.json.

type slip []loyalty.PrintLine

func (s *slip) add(l loyalty.PrintLine) { *s = append(*s, l) }
func (s *slip) title(text string)       { s.add(loyalty.PrintLine{Kind: "big", Text: text}) }
func (s *slip) rule()                   { s.add(loyalty.PrintLine{Kind: "rule"}) }
func (s *slip) blank()                  { s.add(loyalty.PrintLine{Kind: "blank"}) }
func (s *slip) text(text string) {
	if text != "" {
		s.add(loyalty.PrintLine{Text: text})
	}
}
func (s *slip) centre(text string, bold bool) {
	if text != "" {
		s.add(loyalty.PrintLine{Text: text, Align: "center", Bold: bold})
	}
}
func (s *slip) pair(left, right string, bold bool) {
	s.add(loyalty.PrintLine{Kind: "pair", Text: left, Right: right, Bold: bold})
}

// goods is one line of goods; the number is told when it is not one.
func (s *slip) goods(lang, name string, n loyalty.Quantity, sum loyalty.Money) {
	if n != 1000 {
		name += " × " + Number(lang, n.String())
	}
	s.pair(name, Amount(lang, sum), false)
}

// Back is a return as its slip tells it.
type Back struct {
	Result *loyalty.ReturnResult
	// Names of the goods by line of the original receipt; SKUs stand in.
	Names map[string]string
	// Shortfall is points to be taken back that the member has spent already.
	Shortfall []loyalty.WalletPoints
	// Offline says that the centre has yet to book it.
	Offline bool
}

// Return is the slip of a return: goods, money, and what happens to points,
// coupons and gifts.
func Return(lang string, b Back) []loyalty.PrintLine {
	var s slip
	s.title(word(lang, "return"))
	s.text(say(lang, "original", "receipt", b.Result.Receipt))
	s.rule()
	b.goods(&s, lang)
	s.rule()
	s.pair(word(lang, "money_back"), Amount(lang, b.Result.Totals.Net+b.Result.Totals.Tax)+" "+b.Result.Currency, true)
	b.points(&s, lang)
	return s
}

func (b Back) goods(s *slip, lang string) {
	for _, l := range b.Result.Lines {
		name := b.Names[l.ID]
		if name == "" {
			name = l.SKU
		}
		s.goods(lang, name, l.Quantity, -l.Net-l.Tax)
	}
}

// points says what becomes of points, coupons and gifts.
func (b Back) points(s *slip, lang string) {
	var taken, back, owed loyalty.Points
	for _, e := range b.Result.PointsTaken {
		taken += e.Points
	}
	for _, p := range b.Result.PointsBack {
		back += p.Points
	}
	for _, p := range b.Shortfall {
		owed += p.Points
	}
	if taken != 0 {
		s.pair(word(lang, "points_taken"), Number(lang, (-taken).String()), false)
	}
	if owed != 0 {
		s.pair(word(lang, "points_owed"), Number(lang, owed.String()), false)
	}
	if back != 0 {
		s.pair(word(lang, "points_back"), "+"+Number(lang, back.String()), false)
	}
	if back != 0 && b.Offline {
		s.add(Credited(lang, back))
	}
	for _, c := range b.Result.Coupons {
		switch c.State {
		case "freed":
			s.text(say(lang, "coupon_freed", "code", c.Code))
		case "revoked":
			s.text(say(lang, "coupon_revoked", "code", c.Code))
		}
	}
	for _, g := range b.Result.Gifts {
		name := g.Name
		if name == "" {
			name = g.SKU
		}
		s.text(say(lang, "gift_back", "gift", name))
	}
	if b.Result.Whole {
		s.text(word(lang, "whole_return"))
	}
}

// Exchange is the slip of goods that came back and goods that were taken
// instead. owed is what the customer pays; below zero she gets it back.
func Exchange(lang string, b Back, r *loyalty.Receipt, res *loyalty.Result, owed loyalty.Money) []loyalty.PrintLine {
	var s slip
	s.title(word(lang, "exchange"))
	s.text(say(lang, "original", "receipt", b.Result.Receipt))
	s.rule()
	s.centre(word(lang, "came_back"), true)
	b.goods(&s, lang)
	s.rule()
	s.centre(word(lang, "taken"), true)
	for i, l := range res.Lines {
		name := l.SKU
		if i < len(r.Lines) && r.Lines[i].Name != "" {
			name = r.Lines[i].Name
		}
		s.goods(lang, name, l.Quantity, l.Net+l.Tax)
	}
	s.rule()
	key := "total"
	if owed < 0 {
		key, owed = "refund", -owed
	}
	s.pair(word(lang, key), Amount(lang, owed)+" "+res.Currency, true)
	b.points(&s, lang)
	if len(res.Print) > 0 {
		s.rule()
		s = append(s, res.Print...)
	}
	return s
}

// Coupon is one coupon on a slip of its own.
type Coupon struct {
	Programme, Name, Code string
	From, To              string // YYYY-MM-DD; either may be empty
	Why                   string // one line: what it was given for
}

// CouponSlip is the slip of a coupon.
func CouponSlip(lang string, c Coupon) []loyalty.PrintLine {
	var s slip
	s.centre(c.Programme, false)
	s.title(word(lang, "coupon"))
	s.centre(c.Name, true)
	s.blank()
	s.add(loyalty.PrintLine{Kind: "barcode", Text: c.Code})
	switch {
	case c.From != "" && c.To != "":
		s.centre(sentence(say(lang, "valid_between", "from", Date(lang, c.From), "to", Date(lang, c.To))), false)
	case c.To != "":
		s.centre(sentence(say(lang, "valid_to", "date", Date(lang, c.To))), false)
	case c.From != "":
		s.centre(sentence(say(lang, "valid_from", "date", Date(lang, c.From))), false)
	}
	s.centre(c.Why, false)
	s.centre(word(lang, "show_coupon"), false)
	return s
}

// StampCard is how far a stamp card is: a box for each stamp, and how many are
// missing.
func StampCard(lang, name string, held, goal int64) []loyalty.PrintLine {
	var s slip
	if goal <= 0 {
		return s
	}
	full := min(max(held, 0), goal)
	s.pair(name, say(lang, "stamps_held", "held", held, "goal", goal), true)
	if goal <= 24 { // more are no picture any more
		s.centre(strings.TrimSpace(strings.Repeat("■ ", int(full))+strings.Repeat("· ", int(goal-full))), false)
	}
	if left := goal - full; left > 0 {
		s.text(say(lang, "stamps_left", "n", left))
	} else {
		s.text(word(lang, "stamps_full"))
	}
	return s
}

// Joining is what the slip of a new member tells. Fields that are empty are
// left out.
type Joining struct {
	Programme, FirstName string
	Card                 string // the number that identifies her from now on
	Present              loyalty.Points
	Consents             []string // in words
	Terms                string   // version of the terms she accepted
	Offline              bool
}

// Join is the slip a new member takes home from the till where she joined.
func Join(lang string, j Joining) []loyalty.PrintLine {
	var s slip
	s.title(j.Programme)
	if j.FirstName != "" {
		s.centre(say(lang, "welcome_name", "name", j.FirstName), true)
	}
	s.centre(word(lang, "joined"), false)
	s.rule()
	if j.Card != "" {
		s.centre(word(lang, "card_number"), false)
		s.add(loyalty.PrintLine{Kind: "barcode", Text: j.Card})
		s.text(word(lang, "show_card"))
	}
	if j.Present > 0 {
		s.centre(say(lang, "first_points", "n", j.Present), true)
	}
	s.rule()
	if len(j.Consents) > 0 {
		s.text(say(lang, "consents", "list", list(lang, j.Consents)))
	}
	if j.Terms != "" {
		s.text(say(lang, "terms", "version", j.Terms))
	}
	s.text(word(lang, "ask_us"))
	if j.Offline {
		s.text(word(lang, "offline"))
	}
	return s
}

// Greeted is what a slip tells a member on her first visit.
type Greeted struct {
	Programme, FirstName, Tier string
	Earned, Balance            loyalty.Points
	Next                       string // the next goal, in words
}

// FirstVisit is the slip of a member's first purchase.
func FirstVisit(lang string, g Greeted) []loyalty.PrintLine {
	var s slip
	s.title(g.Programme)
	if g.FirstName != "" {
		s.centre(say(lang, "welcome_name", "name", g.FirstName), true)
	}
	s.centre(word(lang, "first_visit"), false)
	s.rule()
	if g.Tier != "" {
		s.pair(word(lang, "tier"), g.Tier, false)
	}
	if g.Earned > 0 {
		s.pair(word(lang, "earned"), "+"+Number(lang, g.Earned.String()), false)
	}
	s.pair(word(lang, "balance"), Number(lang, g.Balance.String()), true)
	s.text(g.Next)
	return s
}

// SpentOffline says what was spent without a link and what the balance was when
// there was one last: "300 used, balance at last sync 1,000, offline".
func SpentOffline(lang string, spent, balance loyalty.Points) loyalty.PrintLine {
	return loyalty.PrintLine{Text: say(lang, "spent_offline", "n", spent, "balance", balance)}
}

// Reserved says what the customer cannot spend here, because the right to it
// lies at tills of other stores: "600 reserved at stores A and B".
func Reserved(lang string, p loyalty.Points, stores []string) loyalty.PrintLine {
	key := "reserved"
	if len(stores) > 1 {
		key = "reserved_many"
	}
	return loyalty.PrintLine{Text: say(lang, key, "n", p, "stores", list(lang, stores))}
}

// Offline says that a slip was printed without a link.
func Offline(lang string) loyalty.PrintLine { return loyalty.PrintLine{Text: word(lang, "offline")} }
