package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// Rules moves what a member has besides points (counters, tier, stamps,
// coupons) by what a receipt did. The centre gives the engine of the tills.
type Rules interface {
	// Advance returns the member after a captured receipt. bundle is the
	// version of the rulebook the till priced with. It must not keep or
	// change m when it returns another.
	Advance(bundle int64, m *loyalty.Member, r *loyalty.Result, at time.Time) (*loyalty.Member, error)
	// Return returns the member after goods came back; bundle is that of the
	// sale.
	Return(bundle int64, m *loyalty.Member, r *loyalty.ReturnResult, at time.Time) (*loyalty.Member, error)
	// Void returns the member after a receipt was taken back whole, already
	// being what had come back before.
	Void(bundle int64, m *loyalty.Member, r *loyalty.Result, already []*loyalty.ReturnResult, at time.Time) (*loyalty.Member, error)
	// Replay is what a return of lines gives and takes, before being all that
	// came back until then.
	Replay(bundle int64, sale *loyalty.Result, before *loyalty.ReturnResult, lines []loyalty.ReturnLine) (*loyalty.ReturnResult, error)
	// Shortfall is the rulebook's word on points that cannot be taken back:
	// within_balance, only_pending, unlimited; empty when it is not known.
	Shortfall(bundle int64) string
}

// Ledger books. It holds settings only and is safe for concurrent use.
type Ledger struct {
	// Now is the centre's clock; time.Now when nil.
	Now func() time.Time
	// Zone is the shops' time, by which days begin; time.Local when nil.
	Zone *time.Location
	// Rules may be nil: then members have points and no counters.
	Rules Rules
}

func (l *Ledger) work(tx *db.Tx) (*work, error) {
	now, zone := time.Now, l.Zone
	if l.Now != nil {
		now = l.Now
	}
	if zone == nil {
		zone = time.Local
	}
	return newWork(tx, now(), zone, l.Rules)
}

// Today is the day it is in the shops.
func (l *Ledger) Today() string {
	now, zone := time.Now, l.Zone
	if l.Now != nil {
		now = l.Now
	}
	if zone == nil {
		zone = time.Local
	}
	return now().In(zone).Format(time.DateOnly)
}

// Reasons why a hold is refused.
var (
	// ErrUnknownMember is returned for a member the centre does not have.
	ErrUnknownMember = errors.New("member is not known")
	// ErrHoldEnded is returned for a hold that was committed or voided.
	ErrHoldEnded = errors.New("hold has ended")
	// ErrHoldDiffers is returned when a known hold id comes with other terms.
	ErrHoldDiffers = errors.New("hold is known with other terms")
)

// HoldRequest asks for points to be kept for one receipt.
type HoldRequest struct {
	ID      string
	Member  loyalty.MemberID
	Wallet  string
	Points  loyalty.Points
	Receipt string
	Device  int64
}

// Hold keeps points: available -> held. The same request again is granted
// again and keeps nothing twice. ErrShort means the member has too few; the
// balance returned then says how many there are.
func (l *Ledger) Hold(tx *db.Tx, q HoldRequest) (Balance, error) {
	w, err := l.work(tx)
	if err != nil {
		return Balance{}, err
	}
	if q.ID == "" || len(q.ID) > 100 || q.Points <= 0 || q.Points > MostPoints || q.Wallet == "" {
		return Balance{}, fmt.Errorf("hold %q of %s points in wallet %q: %w", q.ID, q.Points, q.Wallet, ErrHoldDiffers)
	}
	m, err := w.member(q.Member)
	if err != nil {
		return Balance{}, err
	}
	if !m.known {
		return Balance{}, ErrUnknownMember
	}
	k := account{q.Member, q.Wallet}
	h, err := w.hold(q.ID)
	if err != nil {
		return Balance{}, err
	}
	if h != nil {
		b := *w.balance(k)
		switch {
		case !h.live():
			return b, ErrHoldEnded
		case h.member != q.Member || h.wallet != q.Wallet || h.points != q.Points || h.device != q.Device:
			return b, ErrHoldDiffers
		}
		return b, nil
	}
	if err := w.move(m, q.Wallet, HoldKind, Available, Held, q.Points, Source{Device: q.Device, Note: q.Receipt}); err != nil {
		return *w.balance(k), err
	}
	w.keep(&hold{id: q.ID, member: q.Member, wallet: q.Wallet, points: q.Points, device: q.Device, receipt: q.Receipt, state: holdOpen, made: db.Millis(w.now)})
	return *w.balance(k), w.flush()
}

// AdjustBy books a correction by the centre: positive points are given,
// negative ones taken, never more than are available. A reference makes it
// happen once: the second call with the same reference does nothing and
// returns false.
func (l *Ledger) AdjustBy(tx *db.Tx, id loyalty.MemberID, wallet string, points loyalty.Points, reference, note string) (bool, error) {
	w, err := l.work(tx)
	if err != nil {
		return false, err
	}
	m, err := w.member(id)
	if err != nil {
		return false, err
	}
	if !m.known {
		return false, ErrUnknownMember
	}
	if reference != "" {
		key := "adjust:" + reference
		if _, done, err := tx.Get(key); err != nil || done {
			return false, err
		}
		if err := tx.Set(key, []byte(id.String())); err != nil {
			return false, err
		}
	}
	from, to, n := Issued, Available, points
	if points < 0 {
		from, to, n = Available, Issued, -points
	}
	if err := w.move(m, wallet, Adjust, from, to, n, Source{Note: note}); err != nil {
		return false, err
	}
	if points < 0 {
		if err := w.trim(account{id, wallet}); err != nil {
			return false, err
		}
	}
	return true, w.flush()
}
