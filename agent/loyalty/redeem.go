package loyalty

// way is a compiled Redemption.
type way struct {
	*Redemption
	id     string
	wallet int32
	when   cond
	sel    int32
	points Points // so many hundredths …
	value  Money  // … pay this many minor units
	block  Points
	unit   int64 // the currency's smallest amount
}

// redeem finds the way to pay with points that is open, how much of it this
// receipt allows, and books what the customer wants to use.
func (e *eval) redeem() {
	if e.m == nil || len(e.rb.ways) == 0 {
		return
	}
	var w *way
	for k := range e.rb.ways {
		c := &e.rb.ways[k]
		e.rule = &e.rb.noRule
		if c.when != nil {
			if ok, _ := c.when.holds(e); !ok {
				continue
			}
		}
		w = c
		break
	}
	if w == nil {
		return
	}
	sp := &Spending{Wallet: e.rb.wallets[w.wallet].doc.ID, AsTender: w.As == "tender"}
	e.spend = sp
	value, why := e.payable(w)
	sp.LimitedBy = why
	if value <= 0 {
		return
	}
	if e.paidElsewhere(sp.Wallet) {
		sp.LimitedBy = "other_wallet"
		return
	}
	bal := e.balance(sp.Wallet) - e.paidFrom(sp.Wallet)
	for _, l := range e.lots { // none yet, unless they may be spent at once
		if l.wallet == w.wallet && l.active <= e.day && e.rb.wallets[l.wallet].doc.Active.When != "next_receipt" {
			bal += l.points
		}
	}
	points, by := w.affordable(e, bal, value)
	if by != "" {
		sp.LimitedBy = by
	}
	sp.Max, sp.MaxValue = points, w.worth(points)
	if e.r.Spend == "" || points == 0 {
		return
	}
	want := points
	if e.r.Spend != "max" {
		n, err := ParsePoints(e.r.Spend)
		if err != nil || n < 0 {
			e.fail(&InputError{"spend", "spend", "\"" + shorten(e.r.Spend) + "\" is not a number of points", "write \"max\" or a decimal"})
			return
		}
		want = min(n, points)
	}
	e.book(w, sp, want)
}

// payable is how much money points may pay on this receipt, and what limits
// it. It sets each line's own limit.
func (e *eval) payable(w *way) (Money, string) {
	m, off := e.m, &e.rb.off
	switch s := m.Card.Status; {
	case s == "inactive":
		return 0, "card_inactive"
	case s == "blocked" || s == "lost":
		return 0, "card_blocked"
	case e.in.NoSpend != "":
		return 0, e.in.NoSpend
	case !e.in.Offline:
	case !off.Spend || e.lease(e.rb.wallets[w.wallet].doc.ID) <= 0:
		return 0, "offline"
	case m.AsOf.IsZero() && off.MaxAge.N > 0 || e.stale(off.MaxAge):
		return 0, "snapshot_old"
	}
	for k := range e.rb.programmeLimits {
		if l := &e.rb.programmeLimits[k]; l.What == "spending" && !e.limitAllows(l) {
			return 0, "limit"
		}
	}
	if w.MinBalance > 0 && e.balance(e.rb.wallets[w.wallet].doc.ID) < w.MinBalance {
		return 0, "min_balance"
	}
	discounted := false
	for i := range e.lines {
		discounted = discounted || e.lines[i].cur < e.lines[i].gross && e.lines[i].flags&flagReturn == 0
	}
	if discounted && w.Discounted == "none_in_receipt" {
		return 0, "discounted"
	}
	var eligible Money
	excluded := ""
	for _, i := range e.linesOf(w.sel) {
		l := &e.lines[i]
		if l.flags&(banSpend|flagReturn) != 0 {
			excluded = "excluded"
			continue
		}
		if w.Discounted == "excluded" && l.cur < l.gross {
			excluded = "discounted"
			continue
		}
		most := l.cur
		if w.LinePct > 0 {
			n, ok := mulDiv(int64(l.cur), int64(w.LinePct), hundredPct, Down)
			if ok {
				most = min(most, Money(n))
			}
		}
		if w.MinLeft > 0 {
			n, ok := mulDiv(int64(w.MinLeft), int64(l.in.Quantity), oneUnit, Up)
			if !ok {
				n = maxAmount
			}
			most = min(most, l.cur-Money(n))
		}
		// A legal minimum price is to be paid in money.
		most = min(most, l.cur-l.floor)
		l.limit = e.rb.set.whole(max(most, 0))
		eligible += l.limit
	}
	value, why := eligible, excluded
	if value == 0 && why == "" {
		why = "nothing"
	}
	lower := func(to Money, by string) {
		if to < value {
			value, why = max(to, 0), by
		}
	}
	lower(e.sums, "receipt")
	if w.MaxPercent > 0 && w.MaxPercent < hundredPct {
		base := e.sums
		switch w.PercentOf {
		case "eligible":
			base = eligible
		case "gross":
			base = e.gross
		}
		n, ok := mulDiv(int64(max(base, 0)), int64(w.MaxPercent), hundredPct, Down)
		if ok {
			lower(Money(n), "percent")
		}
	}
	if w.MaxValue > 0 {
		lower(w.MaxValue, "max_value")
	}
	if e.in.Offline && off.MaxPercent > 0 {
		if n, ok := mulDiv(int64(max(e.sums, 0)), int64(off.MaxPercent), hundredPct, Down); ok {
			lower(Money(n), "offline_percent")
		}
	}
	return value, why
}

// worth is the money that points pay.
func (w *way) worth(p Points) Money {
	n, ok := mulDiv(int64(p), int64(w.value), int64(w.points), Down)
	if !ok {
		return 0
	}
	return Money(n - n%w.unit)
}

// affordable is the most points that may be used for at most value.
func (w *way) affordable(e *eval, balance Points, value Money) (Points, string) {
	most, why := balance, "balance"
	if n, ok := mulDiv(int64(value), int64(w.points), int64(w.value), Down); ok && Points(n) < most {
		most, why = Points(n), ""
	}
	lower := func(to Points, by string) {
		if to < most {
			most, why = max(to, 0), by
		}
	}
	if w.MaxPoints > 0 {
		lower(w.MaxPoints, "max_points")
	}
	if e.in.Offline {
		id := e.rb.wallets[w.wallet].doc.ID
		lower(e.lease(id)-e.paidFrom(id), "lease")
		if e.rb.off.MaxPoints > 0 {
			lower(e.rb.off.MaxPoints, "offline_points")
		}
	}
	for k := range e.rb.programmeLimits {
		if l := &e.rb.programmeLimits[k]; l.What == "spending" && l.Points > 0 {
			lower(Points(e.left(l, usePoints, int64(l.Points)))-e.paidFrom(e.rb.wallets[w.wallet].doc.ID), "limit")
		}
	}
	most = w.fit(most)
	if most < w.Min {
		return 0, "min_points"
	}
	return most, why
}

// fit lowers points to whole blocks that pay whole minor units.
func (w *way) fit(p Points) Points {
	if p <= 0 {
		return 0
	}
	if w.block > 1 {
		p -= p % w.block
	}
	v := w.worth(p)
	if w.block <= 1 {
		// No more points than the money needs.
		if n, ok := mulDiv(int64(v), int64(w.points), int64(w.value), Up); ok {
			p = min(p, Points(n))
		}
	}
	if v <= 0 {
		return 0
	}
	return p
}

// book pays with points and shares the payment among the lines.
func (e *eval) book(w *way, sp *Spending, want Points) {
	want = w.fit(want)
	if want < w.Min || want <= 0 {
		sp.LimitedBy = "min_points"
		return
	}
	sp.Points, sp.Value = want, w.worth(want)
	e.spentPts = want
	e.weights, e.caps, e.lineBuf = e.weights[:0], e.caps[:0], e.lineBuf[:0]
	for _, i := range e.linesOf(w.sel) {
		l := &e.lines[i]
		if l.limit > 0 {
			e.lineBuf = append(e.lineBuf, i)
			e.weights = append(e.weights, int64(l.limit))
			e.caps = append(e.caps, int64(l.limit))
		}
	}
	e.out = grown(e.out, len(e.lineBuf))
	e.split.money(e.rb.set.unit, int64(sp.Value), e.weights, e.caps, e.out)
	e.weights = e.weights[:0]
	for k, i := range e.lineBuf {
		l := &e.lines[i]
		l.paid = Money(e.out[k])
		l.cur -= l.paid
		e.sums -= l.paid
		e.paid += l.paid
		e.weights = append(e.weights, e.out[k])
	}
	e.split.share(int64(want), e.weights, nil, e.out)
	for k, i := range e.lineBuf {
		e.lines[i].spent = Points(e.out[k])
	}
}

// paidFrom is what rewards of the catalogue have cost in a wallet so far.
func (e *eval) paidFrom(wallet string) (n Points) {
	for _, p := range e.x.paid {
		if p.Wallet == wallet {
			n += p.Points
		}
	}
	return n
}

// paidElsewhere tells whether rewards of the catalogue were paid from another
// wallet: a receipt takes points from one wallet, because they are held as one.
func (e *eval) paidElsewhere(wallet string) bool {
	return len(e.x.paid) > 0 && e.x.paid[0].Wallet != wallet
}

// taken is all the points that the receipt takes, and from which wallet.
func (e *eval) taken() (wallet string, n Points) {
	n = e.spentPts
	if n > 0 {
		wallet = e.spend.Wallet
	}
	for _, p := range e.x.paid {
		wallet, n = p.Wallet, n+p.Points
	}
	return wallet, n
}

// mayPay tells whether the programme's limits on spending leave so much.
func (e *eval) mayPay(wallet string, cost Points) bool {
	for k := range e.rb.programmeLimits {
		l := &e.rb.programmeLimits[k]
		if l.What != "spending" {
			continue
		}
		if !e.limitAllows(l) || l.Points > 0 && Points(e.left(l, usePoints, int64(l.Points)))-e.paidFrom(wallet)-e.spentFrom(wallet) < cost {
			return false
		}
	}
	return true
}

// balance is what a member has in a wallet. Without a link that is also what
// lies on leases: how much of it may be used here the lease says.
func (e *eval) balance(wallet string) Points {
	b := e.m.Wallets[wallet]
	if e.in.Offline {
		return b.Active + b.Reserved
	}
	return b.Active
}

// lease is the most points of a wallet that may be spent without a link.
func (e *eval) lease(wallet string) Points {
	if e.in.Leases != nil {
		return e.in.Leases[wallet]
	}
	return e.in.Lease
}

// affords says why the member cannot pay for a reward; empty: she can.
func (e *eval) affords(r *rule) string {
	id := e.rb.wallets[r.costWallet].doc.ID
	switch s := e.m.Card.Status; {
	case s == "inactive":
		return "card_inactive"
	case s == "blocked" || s == "lost":
		return "card_blocked"
	case e.in.NoSpend != "":
		return e.in.NoSpend
	case e.in.Offline && (!e.rb.off.Spend || e.lease(id) < e.paidFrom(id)+r.cost):
		return "offline"
	case e.in.Offline && e.rb.off.MaxPoints > 0 && e.paidFrom(id)+r.cost > e.rb.off.MaxPoints:
		return "offline_points"
	case e.balance(id)-e.paidFrom(id)-e.spentFrom(id) < r.cost:
		return "balance"
	case !e.mayPay(id, r.cost):
		return "limit"
	case e.paidElsewhere(id) || e.spentPts > 0 && e.spend.Wallet != id:
		return "other_wallet"
	}
	return ""
}

// spentFrom is what has paid for the basket in a wallet.
func (e *eval) spentFrom(wallet string) Points {
	if e.spend != nil && e.spend.Wallet == wallet {
		return e.spentPts
	}
	return 0
}
