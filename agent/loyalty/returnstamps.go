package loyalty

import (
	"slices"
	"strings"
)

// Stamps come back with the goods that gave them. A card that would not be
// full without those goods is open again: what it held comes back to it, and
// what was given for it is taken back, points by the shortfall policy like all
// points, coupons that have not been used. Where the coupon of a card has been
// used the card stays full, or the next stamp would give it a second time.

const completionPrefix = "stamps:"

// completionRule is the id of the rule that a full card fires.
func completionRule(card string) string { return completionPrefix + card }

func isCompletion(rule string) bool { return strings.HasPrefix(rule, completionPrefix) }

// cardReturn is what a return makes of the cards that the receipt filled.
type cardReturn struct {
	rule        string
	done        int64 // cards filled by the receipt
	before, now int64 // of these open again: by earlier returns, and after this one
}

// share is the part of an amount given for all the cards, for those that this
// return opens.
func (c *cardReturn) share(amount int64) int64 {
	return partOf(amount, c.now, c.done) - partOf(amount, c.before, c.done)
}

// of is the part of a list given for all the cards, in its order.
func (c *cardReturn) of(n int) (from, to int) {
	return int(partOf(int64(n), c.before, c.done)), int(partOf(int64(n), c.now, c.done))
}

// returnStamps takes stamps back in the share of what comes back, and tells
// which cards that opens again.
func (rb *Rulebook) returnStamps(r *ReturnResult, orig *Result, p *returnPlan) []cardReturn {
	var cards []cardReturn
	for k := range orig.Stamps {
		s := &orig.Stamps[k]
		before, now := p.stamps(s)
		kept := slices.ContainsFunc(rb.doc.StampCards, func(c StampCard) bool { return c.ID == s.Card && c.Keep })
		c := cardReturn{rule: completionRule(s.Card), done: s.filled(0, kept)}
		if c.done > 0 {
			c.before, c.now = c.done-s.filled(before, kept), c.done-s.filled(now, kept)
			if p.whole {
				c.now = c.done
			}
			if c.now != c.before {
				cards = append(cards, c)
			}
		}
		m := StampMove{Card: s.Card, Added: before - now, Goal: s.Goal}
		if !kept {
			m.Completed = c.before - c.now
		}
		if p.whole {
			m.Taken = -s.Taken
		}
		if m.Added != 0 || m.Taken != 0 || m.Completed != 0 {
			r.Stamps = append(r.Stamps, m)
		}
	}
	return cards
}

// stamps is how many stamps of a movement had come back before this return,
// and how many have after it.
func (p *returnPlan) stamps(s *StampMove) (before, now int64) {
	var all, was, is int64
	for i := range p.orig.Lines {
		l := &p.orig.Lines[i]
		if l.Quantity <= 0 || len(s.Lines) > 0 && !slices.Contains(s.Lines, l.ID) {
			continue
		}
		all += int64(l.Quantity)
		was += int64(p.before[i])
		is += int64(p.before[i] + p.now[i])
	}
	if all == 0 {
		return 0, 0
	}
	return partOf(s.Added, was, all), partOf(s.Added, is, all)
}

// filled is how many cards the movement fills without some of its stamps.
func (s *StampMove) filled(without int64, kept bool) int64 {
	if s.Goal <= 0 {
		return 0
	}
	had := s.Held + s.Completed*s.Goal + s.Taken - s.Added // before the receipt
	held := had + s.Added - without - s.Taken
	if kept {
		// A kept card is full once, when it passes its goal.
		return min(1, max(0, held/s.Goal-had/s.Goal))
	}
	return min(max(0, held)/s.Goal, s.Completed)
}

// returnCards takes back what was given for the cards that are open again.
func (rb *Rulebook) returnCards(r *ReturnResult, orig *Result, cards []cardReturn) {
	for _, c := range cards {
		var coupons []CouponUse
		for _, u := range orig.Coupons {
			if u.State == "issued" && u.By == c.rule {
				coupons = append(coupons, u)
			}
		}
		from, to := c.of(len(coupons))
		for _, u := range coupons[from:to] {
			r.Coupons = append(r.Coupons, CouponUse{Code: u.Code, Rule: u.Rule, By: u.By, State: "revoked", Uses: u.Uses})
		}
		var gifts []Gift
		for _, g := range orig.Gifts {
			if g.Rule == c.rule {
				gifts = append(gifts, g)
			}
		}
		from, to = c.of(len(gifts))
		r.Gifts = append(r.Gifts, gifts[from:to]...)
		if c.now == c.done {
			for _, s := range orig.Segments {
				if s.Rule == c.rule {
					r.Segments = append(r.Segments, SegmentMove{s.Segment, !s.Out, s.Rule})
				}
			}
		}
	}
}

// reopened is how many of the cards that a return opens may be open: those
// whose coupon has not been used.
func (s *StampMove) reopened(n *Member, coupons []CouponUse) int64 {
	open := -s.Completed
	for _, c := range coupons {
		if c.State != "revoked" || c.By != completionRule(s.Card) {
			continue
		}
		if h, ok := n.Coupons[c.Code]; ok && h.Uses < c.Uses {
			open--
		}
	}
	return max(0, open)
}
