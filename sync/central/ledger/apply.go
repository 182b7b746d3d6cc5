package ledger

import (
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// errPoison marks a record that cannot be applied, ever; the text says why.
type errPoison struct{ why string }

func (e *errPoison) Error() string { return e.why }

func poison(format string, args ...any) error { return &errPoison{fmt.Sprintf(format, args...)} }

// resolve finds out whom a record concerns. nil means nobody: no member and
// no card, or (unclaimed) a card that is not known yet.
func (w *work) resolve(p posting) (m *member, unclaimed bool, err error) {
	id, ref := p.who()
	if id == 0 {
		if ref.IsZero() {
			return nil, false, nil
		}
		var ok bool
		if id, ok = w.refs[ref]; !ok {
			if _, err = w.tx.Row(`SELECT member FROM card WHERE ref = ?`, []any{ref[:]}, &id); err != nil {
				return nil, false, fmt.Errorf("look up card: %w", err)
			}
			w.refs[ref] = id
		}
		if id == 0 {
			return nil, true, nil
		}
	}
	if m, err = w.member(id); err != nil {
		return nil, false, err
	}
	if !m.known {
		return nil, false, poison("member %s is not known", id)
	}
	if m.huge {
		return nil, false, poison("balances of member %s are out of range", id)
	}
	return m, false, nil
}

// apply books one record of a device. Poison is an *errPoison and has changed
// nothing; any other error ends the transaction.
func (w *work) apply(it *Item, src Source) error {
	if it.poison != "" {
		return poison("%s", it.poison)
	}
	switch p := it.post.(type) {
	case note:
		return w.note(it.Rec, p.payload, src)
	case *sale:
		return w.applySale(it, p, src)
	case *void:
		return w.applyVoid(it, p, src)
	case *giveback:
		return w.applyReturn(it, p, src, true)
	case *gift:
		return w.applyGift(it, p, src)
	}
	return poison("records of type %s cannot be applied by this program", it.kind())
}

func (w *work) applySale(it *Item, s *sale, src Source) error {
	m, unclaimed, err := w.resolve(s)
	if err != nil {
		return err
	}
	at := place{src.Device, src.Epoch, src.Seq}
	r := &receipt{at: at, kind: "sale", number: s.number, fiscal: s.fiscal, cashier: s.cashier, time: db.Millis(s.at),
		totals: s.result.Totals, offline: s.offline, record: it}
	if m == nil {
		if s.spend > 0 {
			return poison("points spent by nobody known")
		}
		w.add(r)
		if unclaimed {
			return w.unclaimed(it, s.ref, s.result.Earned, src)
		}
		if len(s.result.Earned) > 0 {
			// Points for nobody: the till may show what a member would get.
			w.find("earned_by_nobody", src, 0, s.result.Earned[0].Points, s.number)
		}
		return nil
	}
	w.add(r)
	return w.bookSale(r, m, s, it.Rec.Bundle, src)
}

// bookSale posts what a sale gives and takes for a known member. The receipt
// is already in the history.
func (w *work) bookSale(r *receipt, m *member, s *sale, bundle int64, src Source) error {
	w.own(r, m)
	src.Receipt = r.id
	if s.spend > 0 || s.hold != "" {
		if err := w.spend(r, m, s, src); err != nil {
			return err
		}
	}
	for _, e := range s.result.Earned {
		if e.Points == 0 {
			continue
		}
		if err := w.earn(m, e, src); err != nil {
			return err
		}
		r.in(e.Wallet).Earned += e.Points
	}
	w.change(r)
	return w.advance(m, s, bundle, src)
}

// earn gives points, now or on their day.
func (w *work) earn(m *member, e loyalty.Earning, src Source) error {
	src.Rule = e.Rule
	pending := e.Active > w.today
	to := Available
	if pending {
		to = Pending
	}
	if err := w.move(m, e.Wallet, Earn, Issued, to, e.Points, src); err != nil {
		return err
	}
	if pending || e.Expires != "" {
		w.addLot(account{m.id, e.Wallet}, e, pending, src.Receipt)
	}
	return nil
}

// spend books what the receipt used: out of its hold, and what the hold does
// not cover out of the available points, and what even those do not cover out
// of the shop's pocket. The rest of the hold is released.
func (w *work) spend(r *receipt, m *member, s *sale, src Source) error {
	left := s.spend
	if s.hold != "" {
		h, err := w.hold(s.hold)
		if err != nil {
			return err
		}
		switch {
		case h == nil:
			w.keep(&hold{id: s.hold, member: m.id, wallet: s.spendWallet, device: src.Device, receipt: s.number, state: holdCommitted, made: db.Millis(w.now), ended: db.Millis(w.now)})
			if left > 0 {
				w.find("hold_unknown", src, m.id, left, s.hold)
			}
		case !h.live():
			if left > 0 {
				w.find("hold_ended", src, m.id, left, s.hold)
			}
		case h.member != m.id || left > 0 && h.wallet != s.spendWallet:
			w.find("hold_of_another", src, m.id, left, s.hold)
		default:
			n := min(left, h.points)
			if n > 0 {
				if err := w.move(m, h.wallet, Spend, Held, Spent, n, src); err != nil {
					return err
				}
			}
			if rest := h.points - n; rest > 0 {
				if err := w.move(m, h.wallet, Release, Held, Available, rest, src); err != nil {
					return err
				}
			}
			left -= n
			w.end(h, holdCommitted)
		}
	} else {
		w.find("spend_without_hold", src, m.id, left, s.number)
	}
	if s.spend == 0 {
		return nil
	}
	k := account{m.id, s.spendWallet}
	if n := min(left, w.balance(k).Available); n > 0 {
		if err := w.move(m, s.spendWallet, Spend, Available, Spent, n, src); err != nil {
			return err
		}
		left -= n
	}
	if left > 0 {
		if err := w.move(m, s.spendWallet, Spend, Lost, Spent, left, src); err != nil {
			return err
		}
		w.find("loss_spend", src, m.id, left, s.number)
	}
	r.in(s.spendWallet).Spent += s.spend
	return w.use(k, s.spend-left, r.id)
}

func (w *work) applyGift(it *Item, g *gift, src Source) error {
	m, unclaimed, err := w.resolve(g)
	switch {
	case err != nil:
		return err
	case unclaimed:
		return w.unclaimed(it, g.ref, []loyalty.Earning{g.earning}, src)
	case m == nil:
		return poison("points for nobody")
	}
	src.Note = g.reason
	return w.earn(m, g.earning, src)
}

// unclaimed keeps a record of a card that nobody knows yet.
func (w *work) unclaimed(it *Item, ref wire.Ref, earned []loyalty.Earning, src Source) error {
	sums := map[string]loyalty.Points{}
	names := []string{}
	for _, e := range earned {
		if _, ok := sums[e.Wallet]; !ok {
			names = append(names, e.Wallet)
		}
		sums[e.Wallet] += e.Points
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, wallet := range names {
		n, err := w.tx.Next("unclaimed", 1)
		if err != nil {
			return err
		}
		err = w.tx.Exec(`INSERT INTO unclaimed (ref, device, epoch, seq, n, wallet, earned) VALUES (?,?,?,?,?,?,?)`,
			ref[:], src.Device, int64(src.Epoch), int64(src.Seq), n, wallet, int64(sums[wallet]))
		if err != nil {
			return fmt.Errorf("keep for an unknown card: %w", err)
		}
	}
	return nil
}

func (w *work) applyVoid(it *Item, v *void, src Source) error {
	if v.reverses != nil {
		r, err := w.receipt(place{src.Device, v.reverses.Epoch, v.reverses.Seq})
		if err != nil {
			return err
		}
		if r == nil || r.kind != "sale" {
			return poison("void of %d/%d, which is no receipt", v.reverses.Epoch, v.reverses.Seq)
		}
		if r.member == 0 {
			// A card still unknown: undone together with the sale it belongs to.
			if _, unclaimed, err := w.resolve(v); err != nil {
				return err
			} else if unclaimed {
				return w.unclaimed(it, v.ref, nil, src)
			}
		}
		if r.state != voided {
			src.Receipt, src.Note = r.id, v.reason
			moves := v.moves
			if len(moves) == 0 {
				moves = whole(r)
			}
			if err := w.reverse(r, moves, src); err != nil {
				return err
			}
			if err := w.undo(r, src); err != nil {
				return err
			}
			r.state = voided
			w.change(r)
		}
	}
	if v.hold == "" {
		return nil
	}
	h, err := w.hold(v.hold)
	if err != nil {
		return err
	}
	if h == nil {
		w.keep(&hold{id: v.hold, member: v.member, device: src.Device, state: holdVoided, made: db.Millis(w.now), ended: db.Millis(w.now)})
		return nil
	}
	if !h.live() {
		return nil
	}
	m, err := w.member(h.member)
	if err != nil {
		return err
	}
	if h.points > 0 {
		if err := w.move(m, h.wallet, Release, Held, Available, h.points, src); err != nil {
			return err
		}
	}
	w.end(h, holdVoided)
	return nil
}

// whole is everything a receipt still stands for.
func whole(r *receipt) []back {
	var all []back
	for _, name := range r.wallets() {
		m := r.moves[name]
		if n := m.Earned - m.EarnedBack; n > 0 {
			all = append(all, back{name, n, true})
		}
		if n := m.Spent - m.SpentBack; n > 0 {
			all = append(all, back{name, n, false})
		}
	}
	return all
}

// reverse undoes movements of a sale: never more than the receipt gave or
// took, and never below zero for the member.
func (w *work) reverse(r *receipt, moves []back, src Source) error {
	if r.member == 0 {
		return nil
	}
	m, err := w.member(r.member)
	if err != nil {
		return err
	}
	for _, b := range moves {
		sum := r.in(b.wallet)
		limit, what := sum.Spent-sum.SpentBack, "spent"
		if b.earned {
			limit, what = sum.Earned-sum.EarnedBack, "earned"
		}
		n := min(b.points, limit)
		if n < b.points {
			w.find("returned_too_much", src, m.id, b.points-n, what)
		}
		if n == 0 {
			continue
		}
		k := account{m.id, b.wallet}
		if !b.earned {
			if err := w.move(m, b.wallet, GiveBack, Spent, Available, n, src); err != nil {
				return err
			}
			sum.SpentBack += n
			if err := w.unuse(r.id, n); err != nil {
				return err
			}
			continue
		}
		if err := w.takeBack(m, k, r.id, n, src); err != nil {
			return err
		}
		sum.EarnedBack += n
	}
	w.change(r)
	return nil
}

// takeBack takes earned points back: pending ones of that receipt first, then
// available ones, then out of the shop's pocket.
func (w *work) takeBack(m *member, k account, receipt int64, n loyalty.Points, src Source) error {
	pending, err := w.unearn(k, receipt, n)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		from Account
		most loyalty.Points
	}{{Pending, pending}, {Available, w.balance(k).Available}, {Lost, n}} {
		p := min(n, part.most)
		if p == 0 {
			continue
		}
		if err := w.move(m, k.wallet, TakeBack, part.from, Issued, p, src); err != nil {
			return err
		}
		n -= p
		if part.from == Lost {
			w.find("loss_return", src, m.id, p, "")
		}
	}
	return w.trim(k)
}

// applyReturn books lines that came back. When the sale has not arrived yet
// the return waits for it (mayWait), or else is poison.
func (w *work) applyReturn(it *Item, g *giveback, src Source, mayWait bool) error {
	at := place{src.Device, src.Epoch, src.Seq}
	on := place{device: src.Device}
	if g.device != "" {
		ok, err := w.tx.Row(`SELECT no FROM device WHERE id = ?`, []any{g.device}, &on.device)
		if err != nil {
			return fmt.Errorf("look up device: %w", err)
		}
		if !ok {
			return poison("return of a receipt of %s, which is no device here", g.device)
		}
	}
	var orig *receipt
	var err error
	if g.reverses != nil {
		on.epoch, on.seq = g.reverses.Epoch, g.reverses.Seq
		orig, err = w.receipt(on)
	} else {
		orig, err = w.sale(g.original, g.member, src.Device)
	}
	if err != nil {
		return err
	}
	if orig == nil {
		if g.reverses != nil && on.device == src.Device {
			return poison("return of %d/%d, which is no receipt", on.epoch, on.seq)
		}
		if !mayWait {
			return nil
		}
		number := g.original
		if g.reverses != nil {
			number = ""
		} else {
			on = place{}
		}
		return w.tx.Exec(`INSERT INTO waiting (device, epoch, seq, on_device, on_epoch, on_seq, on_number, at) VALUES (?,?,?,?,?,?,?,?)`,
			src.Device, int64(src.Epoch), int64(src.Seq), on.device, int64(on.epoch), int64(on.seq), number, db.Millis(w.now))
	}
	if orig.kind != "sale" {
		return poison("return of a return")
	}
	r := &receipt{at: at, kind: "return", original: orig.id, number: g.number, fiscal: g.fiscal, cashier: g.cashier, time: db.Millis(g.at), totals: g.result.Totals, offline: g.offline, record: it}
	w.add(r)
	if orig.member == 0 {
		if _, unclaimed, err := w.resolve(g); err != nil {
			return err
		} else if unclaimed {
			return w.unclaimed(it, g.ref, nil, src)
		}
		return nil
	}
	return w.bookReturn(r, orig, g, src)
}

func (w *work) bookReturn(r, orig *receipt, g *giveback, src Source) error {
	m, err := w.member(orig.member)
	if err != nil {
		return err
	}
	if g.member != 0 && g.member != orig.member {
		w.find("return_by_another", src, g.member, 0, orig.number)
	}
	w.own(r, m)
	src.Receipt = r.id
	if orig.state == voided {
		w.find("return_after_void", src, m.id, 0, orig.number)
		return nil
	}
	if err := w.reverse(orig, g.moves, src); err != nil {
		return err
	}
	for _, b := range g.moves {
		x := r.in(b.wallet)
		if b.earned {
			x.EarnedBack += b.points
		} else {
			x.SpentBack += b.points
		}
	}
	if err := w.comeBack(m, orig, g, src); err != nil {
		return err
	}
	orig.state = partlyReturned
	if g.result.Whole || len(g.result.Lines) == 0 && len(whole(orig)) == 0 {
		orig.state = returned
	}
	w.change(orig)
	return nil
}

// note books records that move no points but say something about the till.
func (w *work) note(r *wire.Record, payload any, src Source) error {
	switch p := payload.(type) {
	case *wire.Unresolved:
		h, err := w.hold(p.Hold)
		if err != nil || h == nil || h.state != holdOpen {
			return err
		}
		w.end(h, holdUnresolved)
	case *wire.BundleActivated:
		return w.tx.Exec(`UPDATE device SET bundle = ?, rejected = '' WHERE no = ?`, p.Version, src.Device)
	case *wire.BundleRejected:
		return w.tx.Exec(`UPDATE device SET rejected = ? WHERE no = ?`, fmt.Sprintf("%d: %s %s", p.Version, p.Reason, p.Detail), src.Device)
	case *wire.ClockChange:
		return w.tx.Exec(`UPDATE device SET clock = ? WHERE no = ?`, string(p.To), src.Device)
	case *wire.DeviceFault:
		return w.tx.Exec(`INSERT INTO peripheral (device, name, state, detail, at) VALUES (?,?,?,?,?)
			ON CONFLICT (device, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, at = excluded.at`,
			src.Device, p.Device, p.State, p.Detail, db.Millis(r.Wall))
	}
	return nil
}
