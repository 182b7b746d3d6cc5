package till

import (
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// Spending without a link. The centre has handed this till leases: rights to
// spend so many points of a member, which nobody else can spend meanwhile
// (store.Lease). When the centre cannot be asked, or does not answer in time,
// the points of a receipt are held out of them. The rulebook's limits bound
// what that may cost if a card is stolen, a till copied, a cable pulled on
// purpose; each of them has a reason of its own in limited_by, so that the
// cashier can offer the smaller amount and say why.

// Reasons for which nothing is spent without a link.
const (
	noTyped    = "card_typed"
	noTooLong  = loyalty.TooLongOffline
	noProof    = "proof_needed"
	noCount    = "offline_count"
	noRepeat   = "card_repeat"
	noMoreDay  = "day_count"
	noReserved = "reserved"
	noKeeper   = "keeper_silent"
)

// suspicious are the reasons that head office hears of: somebody may be
// trying how far a till without a link goes.
var suspicious = map[string]bool{noCount: true, noRepeat: true, noMoreDay: true}

// right finds what a customer may spend without a link on receipt id, and why
// not. What the receipt itself holds counts as free: it is priced anew.
func (t *Till) right(in *Pricing, cu *customer, rules Rules, id, proof string) (proved string, err error) {
	in.Leases = map[string]loyalty.Points{}
	if !cu.known || in.NoSpend != "" {
		return "", nil
	}
	l := rules.Offline()
	now := t.c.Now()
	if proof != "" {
		if proved, err = t.proof(cu, proof); err != nil {
			return "", err
		}
	}
	switch since := t.c.Contact(); {
	case !l.Typed && (cu.Entry == "typed" || cu.Entry == "phone"):
		in.NoSpend = noTyped
		return proved, nil
	case !since.IsZero() && l.MaxOffline.Over(since, now):
		in.NoSpend = noTooLong
		return proved, nil
	}
	acked := t.c.Acked()
	err = t.c.Journal.View(func(tx *store.Tx) error {
		rest, err := tx.LeaseRest(*cu.Member, t.c.Trusted())
		if err != nil {
			return err
		}
		for w, p := range rest {
			in.Leases[w] += p
		}
		spends, err := tx.Spends(*cu.Member)
		if err != nil {
			return err
		}
		old, err := tx.Receipt(id)
		if err != nil {
			return err
		}
		own := ""
		if old != nil && old.Hold != nil && len(old.Hold.Leases) > 0 && old.State == store.Held {
			own = old.Hold.ID
			in.Leases[old.Hold.Wallet] += old.Hold.Points
		}
		in.NoSpend = tooMany(l, spends, own, acked, now, proved != "")
		return nil
	})
	if err != nil || in.NoSpend != "" || t.c.Tills.Keeper() == "" {
		return proved, err
	}
	// Another till keeps the store's leases: what it has counts, unless more is
	// here.
	rest, silent := t.keeperRest(*cu.Member)
	for w, p := range rest {
		in.Leases[w] = max(in.Leases[w], p)
	}
	if silent != nil && len(in.Leases) == 0 {
		in.NoSpend = noKeeper
	}
	return proved, nil
}

// here tells whether this till's own leases have the points of a receipt;
// what the receipt held before counts as free.
func (t *Till) here(old *store.Receipt, p *priced) (bool, error) {
	if t.c.Tills.Keeper() == "" || p.cu == nil || p.cu.Member == nil {
		return true, nil
	}
	wallet := p.result.Spend.Wallet
	have := loyalty.Points(0)
	if old != nil && old.Hold != nil && len(old.Hold.Leases) > 0 && old.Hold.Wallet == wallet {
		have = old.Hold.Points
	}
	err := t.c.Journal.View(func(tx *store.Tx) error {
		rest, err := tx.LeaseRest(*p.cu.Member, t.c.Trusted())
		have += rest[wallet]
		return err
	})
	return have >= p.points(), err
}

// tooMany says which limit of frequency keeps a member from spending once
// more; empty: none. own is the hold of this very receipt, which does not
// count, acked the last record the centre has.
func tooMany(l loyalty.OfflineLimits, spends []store.Spend, own string, acked uint64, now time.Time, proved bool) string {
	var unseen, lately, today int64
	for _, s := range spends {
		if s.Hold == own {
			continue
		}
		if s.Seq > acked {
			unseen++
		}
		if s.At.Add(loyalty.SameCardWindow).After(now) {
			lately++
		}
		if at := s.At.In(now.Location()); at.Year() == now.Year() && at.YearDay() == now.YearDay() || s.At.After(now) {
			today++
		}
	}
	switch {
	case l.RefuseAfter > 0 && unseen >= l.RefuseAfter:
		return noCount
	case l.SameCard > 0 && lately >= l.SameCard:
		return noRepeat
	case l.SpendsPerDay > 0 && today >= l.SpendsPerDay:
		return noMoreDay
	case l.ProofAfter > 0 && unseen >= l.ProofAfter && !proved:
		return noProof
	}
	return ""
}

// proof checks the second proof and tells its kind: the phone number of the
// account, or another card of it. Both are known here as keyed hashes only.
func (t *Till) proof(cu *customer, proof string) (string, error) {
	var tries []wire.Ref
	kinds := []string{wire.KindCard, wire.KindPhone}
	if k, n, err := t.normal(proof, ""); err == nil {
		tries, kinds[0] = append(tries, wire.CardRef(t.c.LookupKey, k, n)), k
	}
	if k, n, err := t.phone(proof); err == nil && digits(strings.TrimPrefix(strings.TrimSpace(proof), "+")) {
		if len(tries) == 0 {
			kinds = kinds[1:]
		}
		tries = append(tries, wire.CardRef(t.c.LookupKey, k, n))
	}
	for i, ref := range tries {
		if ref == cu.Ref {
			continue // the card that was shown proves nothing more
		}
		snap, err := t.c.Cache.Member(ref)
		if err != nil {
			return "", err
		}
		if _, stopped := t.c.Cache.Stopped(ref); snap != nil && !stopped && cu.Member != nil && snap.Member.ID == *cu.Member {
			return kinds[i], nil
		}
	}
	return "", refuse("bad_proof").at("proof")
}

// takeLease takes the points of a hold out of the member's leases, with its
// record.
func (t *Till) takeLease(tx *store.Tx, r *store.Receipt, h *store.Hold, proof string) error {
	if r.Member == nil {
		return store.ErrLease
	}
	parts, err := tx.TakeLease(*r.Member, h.Wallet, h.Points, t.c.Trusted())
	if err != nil {
		return err
	}
	h.Leases = parts
	at, err := tx.Append(outbox.Entry{Type: wire.TypeHold, Receipt: r.ID, Payload: wire.Hold{Hold: h.ID, Member: memberText(r.Member),
		Wallet: h.Wallet, Points: h.Points.String(), Leases: parts, Proof: proof}})
	if err != nil {
		return err
	}
	return tx.NoteSpend(*r.Member, store.Spend{Hold: h.ID, At: t.c.Now(), Epoch: tx.Epoch(), Seq: at.Seq})
}

// giveLease puts back what a hold had taken out of leases. Its VOID record is
// the caller's.
func giveLease(tx *store.Tx, r *store.Receipt) error {
	if r.Hold == nil {
		return nil
	}
	if r.Hold.Keeper != "" { // told when it is there
		return tx.QueueKeeperVoid(wire.KeeperVoid{Hold: r.Hold.ID})
	}
	if len(r.Hold.Leases) == 0 {
		return nil
	}
	if err := tx.GiveLease(r.Hold.Leases); err != nil || r.Member == nil {
		return err
	}
	return tx.ForgetSpend(*r.Member, r.Hold.ID)
}

// tellRefused journals a spend that was wished for and refused for a reason
// that head office should know.
func tellRefused(tx *store.Tx, r *store.Receipt, p *priced) error {
	s := p.result.Spend
	if !p.offline || s == nil || !suspicious[s.LimitedBy] || p.receipt.Spend == "" {
		return nil
	}
	_, err := tx.Append(outbox.Entry{Type: wire.TypeOperator, Receipt: r.ID, Payload: wire.Operator{Who: "till", Action: "spend_refused",
		Detail: s.LimitedBy + " member " + memberText(r.Member)}})
	return err
}

// noted are the reasons that the note of an answer explains.
var noted = map[string]bool{"snapshot_old": true, "lease": true, "offline_points": true, "offline_percent": true, noProof: true, noCount: true,
	noRepeat: true, noMoreDay: true, noTyped: true, noTooLong: true, "clock_untrusted": true, "forked": true, "disk_low": true, noReserved: true,
	noKeeper: true, "offline": true}

// note is a sentence for cashier and customer about points that cannot be
// used here and now; empty when nothing is to be said.
func (t *Till) note(p *priced) string {
	s := p.result.Spend
	if p.cu == nil || s == nil || s.LimitedBy == "" {
		return ""
	}
	lang := t.c.Language
	var said []string
	if noted[s.LimitedBy] && s.LimitedBy != noReserved {
		why := loyalty.Reason(lang, s.LimitedBy)
		if s.Max > 0 {
			why = in(words.only, lang) + " " + receipt.Points(lang, s.Max) + ": " + why
		}
		said = append(said, why)
	}
	if b := p.cu.member.Wallets[s.Wallet]; b.Reserved > 0 && b.ReservedAt != "" {
		said = append(said, fmt.Sprintf(in(words.reserved, lang), receipt.Points(lang, b.Reserved), b.ReservedAt))
	} else if s.LimitedBy == noReserved {
		said = append(said, loyalty.Reason(lang, noReserved))
	}
	return strings.Join(said, "; ")
}

var words = struct{ only, reserved loyalty.Text }{
	only:     loyalty.Text{"en": "at most", "ru": "не больше чем", "pl": "najwyżej"},
	reserved: loyalty.Text{"en": "%s reserved at %s", "ru": "%s отложено: %s", "pl": "%s odłożono: %s"},
}
