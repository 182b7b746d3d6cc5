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
		if h == nil && s.voucher != nil {
			if h, err = w.redeem(s.voucher, src); err != nil {
				return err
			}
		}
		switch {
		case h != nil && h.lease != "" && (!h.live() || h.to != 0 && h.to != src.Device || h.to == 0 && h.device != src.Device || h.member != m.id || s.spend > 0 && h.wallet != s.spendWallet):
			// A right out of a lease that ended, or is another's: nothing that a
			// copied or lying till does costs a member more than the lease.
			return w.spendLost(r, m, s, src)
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
		case h.lease != "":
			return w.spendOffline(r, m, h, s.spend, src)
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
	sum := r.in(s.spendWallet)
	sum.Spent += s.spend
	sum.Lost += left
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

// spendOffline books what the receipt used out of a lease.
func (w *work) spendOffline(r *receipt, m *member, h *hold, points loyalty.Points, src Source) error {
	paid, err := w.spendLease(m, h, points, src)
	if err != nil || points == 0 {
		return err
	}
	sum := r.in(h.wallet)
	sum.Spent += points
	sum.Lost += points - paid
	return w.use(account{m.id, h.wallet}, paid, r.id)
}

// spendLost books a spend that no right covers: the shop bears it.
func (w *work) spendLost(r *receipt, m *member, s *sale, src Source) error {
	if s.spend == 0 {
		return nil
	}
	src.Note = s.hold
	if err := w.move(m, s.spendWallet, Spend, Lost, Spent, s.spend, src); err != nil {
		return err
	}
	w.find("loss_lease", src, m.id, s.spend, s.hold)
	sum := r.in(s.spendWallet)
	sum.Spent += s.spend
	sum.Lost += s.spend
	return nil
}

// note books records that move no points but say something about the till.
func (w *work) note(r *wire.Record, payload any, src Source) error {
	switch p := payload.(type) {
	case *wire.Hold:
		if len(p.Parts()) > 0 {
			return w.holdOfLease(p, r.Receipt, src)
		}
	case *wire.LeaseOpen:
		return w.openLease(p.Lease, src)
	case *wire.LeaseClose:
		rest, err := loyalty.ParsePoints(p.Rest)
		if err != nil || rest < 0 {
			return poison("lease closed with a rest of %q points", p.Rest)
		}
		return w.closeLease(p.Lease, rest, src)
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
	case *wire.Operator:
		if p.Action == "spend_refused" {
			w.find("offline_refused", src, 0, 0, p.Detail)
		}
	case *wire.Erased:
		var id loyalty.MemberID
		if id.UnmarshalText([]byte(p.Member)) != nil || id > 1<<63-1 {
			return poison("erased member %q", p.Member)
		}
		return w.tx.Exec(`INSERT INTO erasure_told (member, device, at) VALUES (?,?,?) ON CONFLICT DO NOTHING`, int64(id), src.Device, db.Millis(r.Wall))
	case *wire.ClockChange:
		return w.tx.Exec(`UPDATE device SET clock = ? WHERE no = ?`, string(p.To), src.Device)
	case *wire.DeviceFault:
		return w.tx.Exec(`INSERT INTO peripheral (device, name, state, detail, at) VALUES (?,?,?,?,?)
			ON CONFLICT (device, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, at = excluded.at`,
			src.Device, p.Device, p.State, p.Detail, db.Millis(r.Wall))
	}
	return nil
}
