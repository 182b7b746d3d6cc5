package ledger

import (
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

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
	if h.lease != "" {
		if src.Device != h.device && src.Device != h.to {
			w.find("hold_of_another", src, h.member, h.points, h.id)
			return nil
		}
		w.end(h, holdVoided)
		return w.releaseLeases(h, src)
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
			if err := w.giveBack(m, r, b.wallet, n, src); err != nil {
				return err
			}
			continue
		}
		if err := w.takeBack(m, k, r, n, src); err != nil {
			return err
		}
		sum.EarnedBack += n
	}
	w.change(r)
	return nil
}

// giveBack gives spent points back: to the shop first what it bore, then to
// the member.
func (w *work) giveBack(m *member, r *receipt, wallet string, n loyalty.Points, src Source) error {
	sum := r.in(wallet)
	sum.SpentBack += n
	if p := min(n, sum.Lost); p > 0 {
		if err := w.move(m, wallet, GiveBack, Spent, Lost, p, src); err != nil {
			return err
		}
		sum.Lost -= p
		n -= p
	}
	if n == 0 {
		return nil
	}
	if err := w.move(m, wallet, GiveBack, Spent, Available, n, src); err != nil {
		return err
	}
	return w.unuse(r.id, n)
}

// takeBack takes earned points back: pending ones of that receipt first, then
// available ones unless the programme leaves them, then out of the shop's
// pocket. No balance goes below zero, whatever the programme says: under
// "unlimited" the shop bears the rest as well.
func (w *work) takeBack(m *member, k account, r *receipt, n loyalty.Points, src Source) error {
	only, err := w.onlyPending(r)
	if err != nil {
		return err
	}
	pending, err := w.unearn(k, r.id, n, only)
	if err != nil {
		return err
	}
	available := w.balance(k).Available
	if only {
		available = 0
	}
	for _, part := range []struct {
		from Account
		most loyalty.Points
	}{{Pending, pending}, {Available, available}, {Lost, n}} {
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
	if orig.state != voided {
		if g, err = w.settled(m, orig, g, src); err != nil {
			return err
		}
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
