package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// Item is one record made ready for the ledger: decoded and checked, outside
// of any transaction and by any goroutine, so that the one writer only books.
type Item struct {
	Seq uint64
	Raw []byte       // exact bytes
	Rec *wire.Record // nil when the bytes are no record

	poison string // why it cannot be applied; "" when it can
	post   posting
}

// kind is the record's type as far as it is known.
func (it *Item) kind() string {
	if it.Rec == nil {
		return ""
	}
	return string(it.Rec.Type)
}

// posting is what a record asks of the ledger.
type posting interface {
	// who names the member, or the card when only the till's card is known.
	who() (member loyalty.MemberID, ref wire.Ref)
}

// Prepare makes one record ready. seq is its place; rec is nil when the bytes
// are no record, with the reason in problem. It never fails: what is wrong
// with a record is remembered and makes it parked.
func Prepare(seq uint64, raw []byte, rec *wire.Record, problem string) *Item {
	it := &Item{Seq: seq, Raw: raw, Rec: rec, poison: problem}
	if rec == nil {
		if problem == "" {
			it.poison = "not a record"
		}
		return it
	}
	var err error
	if it.post, err = read(rec); err != nil {
		it.poison, it.post = err.Error(), nil
	}
	return it
}

// note is a record that moves no points.
type note struct{ payload any }

func (note) who() (loyalty.MemberID, wire.Ref) { return 0, wire.Ref{} }

// read turns a record into a posting, or says why it cannot be one.
func read(r *wire.Record) (posting, error) {
	switch r.Type {
	case wire.TypeCommit:
		return readSale(r)
	case wire.TypeVoid:
		return readVoid(r)
	case wire.TypeReturn:
		return readReturn(r)
	case wire.TypeEarn:
		return readEarn(r)
	case wire.TypeHold:
		return payload(r, &wire.Hold{})
	case wire.TypeLeaseOpen:
		return payload(r, &wire.LeaseOpen{})
	case wire.TypeLeaseClose:
		return payload(r, &wire.LeaseClose{})
	case wire.TypeUnresolved:
		return payload(r, &wire.Unresolved{})
	case wire.TypeSession:
		return payload(r, &wire.SessionStart{})
	case wire.TypeBundleActivated:
		return payload(r, &wire.BundleActivated{})
	case wire.TypeBundleRejected:
		return payload(r, &wire.BundleRejected{})
	case wire.TypeClock:
		return payload(r, &wire.ClockChange{})
	case wire.TypeOperator:
		return payload(r, &wire.Operator{})
	case wire.TypeDeviceFault:
		return payload(r, &wire.DeviceFault{})
	case wire.TypeErased:
		return payload(r, &wire.Erased{})
	}
	return nil, fmt.Errorf("records of type %s cannot be applied by this program", r.Type)
}

func payload(r *wire.Record, v any) (posting, error) {
	if err := wire.ReadPayload(r, v); err != nil {
		return nil, err
	}
	return note{v}, nil
}

// sale is a closed receipt.
type sale struct {
	identity
	number, fiscal, cashier string
	at                      time.Time
	offline                 bool
	hold                    string
	voucher                 *wire.Voucher
	result                  *loyalty.Result
	spendWallet             string
	spend                   loyalty.Points
	quotas                  []quotaUse
}

// identity is whom a record concerns.
type identity struct {
	member loyalty.MemberID
	ref    wire.Ref
}

func (i identity) who() (loyalty.MemberID, wire.Ref) { return i.member, i.ref }

func readIdentity(member string, ref wire.Ref) (identity, error) {
	id := identity{ref: ref}
	if member != "" {
		if err := id.member.UnmarshalText([]byte(member)); err != nil {
			return id, err
		}
		if id.member == 0 || id.member > 1<<63-1 {
			return id, fmt.Errorf("member id %q is out of range", member)
		}
	}
	return id, nil
}

func readSale(r *wire.Record) (posting, error) {
	var p wire.Commit
	if err := wire.ReadPayload(r, &p); err != nil {
		return nil, err
	}
	s := &sale{number: r.Receipt, fiscal: p.Fiscal, cashier: p.Cashier, at: p.At, offline: p.Offline, hold: p.Hold, voucher: p.Voucher, result: &loyalty.Result{}}
	var err error
	if s.identity, err = readIdentity(p.Member, p.CardRef); err != nil {
		return nil, err
	}
	if s.quotas, err = readQuotas(p.Quotas); err != nil {
		return nil, err
	}
	if s.at.IsZero() {
		s.at = r.Wall
	}
	if len(p.Result) > 0 {
		if err := json.Unmarshal(p.Result, s.result); err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
	}
	if err := checkResult(s.result); err != nil {
		return nil, err
	}
	if m := s.result.Member; m != nil && s.member != 0 && *m != s.member {
		return nil, errors.New("the result is of another member")
	}
	if sp := s.result.Spend; sp != nil && sp.Points > 0 {
		s.spend, s.spendWallet = sp.Points, sp.Wallet
		if sp.Wallet == "" {
			return nil, errors.New("points spent from no wallet")
		}
	}
	return s, nil
}

// mostMoney bounds the sums of one receipt, in minor units.
const mostMoney loyalty.Money = 1e13

// checkResult tells whether what a till says a receipt gave and took is sound
// in itself: nothing negative that may not be, every line and the totals add
// up. The till is not trusted for its sums, only for its rules.
func checkResult(r *loyalty.Result) error {
	var gross, discount, redeemed, net loyalty.Money
	var spent loyalty.Points
	for i := range r.Lines {
		l := &r.Lines[i]
		var d loyalty.Money
		for _, x := range l.Discounts {
			if x.Amount < -mostMoney || x.Amount > mostMoney {
				return fmt.Errorf("line %s: discount out of range", l.ID)
			}
			d += x.Amount
		}
		if l.Gross < -mostMoney || l.Gross > mostMoney || d < -mostMoney || d > mostMoney {
			return fmt.Errorf("line %s: amount out of range", l.ID)
		}
		if l.Redeemed < 0 || l.Spent < 0 || l.Spent > MostPoints || l.Redeemed > mostMoney {
			return fmt.Errorf("line %s: negative or absurd redemption", l.ID)
		}
		if l.Gross-d-l.Redeemed != l.Net {
			return fmt.Errorf("line %s: %s - %s - %s is not %s", l.ID, l.Gross, d, l.Redeemed, l.Net)
		}
		for _, e := range l.Earned {
			if e.Points < 0 || e.Points > MostPoints {
				return fmt.Errorf("line %s: negative or absurd points", l.ID)
			}
		}
		gross, discount, redeemed, net = gross+l.Gross, discount+d, redeemed+l.Redeemed, net+l.Net
		spent += l.Spent
		if gross > mostMoney || gross < -mostMoney || spent > MostPoints {
			return errors.New("receipt out of range")
		}
	}
	t := r.Totals
	if len(r.Lines) > 0 && (t.Gross != gross || t.Discount != discount || t.Redeemed != redeemed || t.Net != net) {
		return fmt.Errorf("totals %s/%s/%s/%s, lines add up to %s/%s/%s/%s", t.Gross, t.Discount, t.Redeemed, t.Net, gross, discount, redeemed, net)
	}
	if sp := r.Spend; sp != nil {
		if sp.Points < 0 || sp.Points > MostPoints {
			return fmt.Errorf("%s points spent", sp.Points)
		}
		if len(r.Lines) > 0 && sp.Points != spent {
			return fmt.Errorf("%s points spent, the lines say %s", sp.Points, spent)
		}
	} else if spent > 0 {
		return errors.New("lines paid with points, none spent")
	}
	for _, e := range r.Earned {
		if e.Points < 0 || e.Points > MostPoints || e.Wallet == "" {
			return fmt.Errorf("earning of %s points into wallet %q", e.Points, e.Wallet)
		}
		if !day(e.Active) || !day(e.Expires) {
			return fmt.Errorf("earning with days %q, %q", e.Active, e.Expires)
		}
	}
	return nil
}

// day tells whether s is empty or a day.
func day(s string) bool {
	if s == "" {
		return true
	}
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// back is what a void or return moves in the other direction.
type back struct {
	wallet string
	points loyalty.Points
	earned bool // true: earned points are taken back; false: spent ones given back
}

func readMoves(moves []wire.Move) ([]back, error) {
	var all []back
	for _, m := range moves {
		p, err := loyalty.ParsePoints(m.Points)
		if err != nil {
			return nil, err
		}
		if p < 0 || p > MostPoints || m.Wallet == "" {
			return nil, fmt.Errorf("move of %s points in wallet %q", p, m.Wallet)
		}
		if m.Back != "earned" && m.Back != "spent" {
			return nil, fmt.Errorf("move back of %q; it is earned or spent", m.Back)
		}
		if p > 0 {
			all = append(all, back{m.Wallet, p, m.Back == "earned"})
		}
	}
	return all, nil
}

// void releases a hold, takes a receipt back whole, or both.
type void struct {
	identity
	hold     string
	reverses *wire.Mark
	moves    []back
	reason   string
	quotas   []quotaUse
}

func readVoid(r *wire.Record) (posting, error) {
	var p wire.Void
	if err := wire.ReadPayload(r, &p); err != nil {
		return nil, err
	}
	id, err := readIdentity(p.Member, p.CardRef)
	if err != nil {
		return nil, err
	}
	if p.Hold == "" && p.Reverses == nil {
		return nil, errors.New("void of nothing: neither a hold nor a receipt is named")
	}
	if len(p.Hold) > 100 {
		return nil, errors.New("hold id is too long")
	}
	quotas, err := readQuotas(p.Quotas)
	if err != nil {
		return nil, err
	}
	moves, err := readMoves(p.Moves)
	return &void{id, p.Hold, p.Reverses, moves, p.Reason, quotas}, err
}

// giveback is a return of lines.
type giveback struct {
	identity
	number   string // of the return itself
	original string
	device   string // whose journal reverses points into; "": its own
	reverses *wire.Mark
	moves    []back
	fiscal   string
	cashier  string
	at       time.Time
	offline  bool
	result   *loyalty.ReturnResult
	quotas   []quotaUse
}

func readReturn(r *wire.Record) (posting, error) {
	var p wire.Return
	if err := wire.ReadPayload(r, &p); err != nil {
		return nil, err
	}
	id, err := readIdentity(p.Member, p.CardRef)
	if err != nil {
		return nil, err
	}
	if p.Original == "" && p.Reverses == nil {
		return nil, errors.New("return without the receipt it belongs to")
	}
	g := &giveback{identity: id, number: r.Receipt, original: p.Original, device: p.Device, reverses: p.Reverses,
		fiscal: p.Fiscal, cashier: p.Cashier, at: p.At, offline: p.Offline}
	if g.at.IsZero() {
		g.at = r.Wall
	}
	g.result = &loyalty.ReturnResult{}
	if len(p.Result) > 0 {
		if err := json.Unmarshal(p.Result, g.result); err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
	}
	t := g.result.Totals
	for _, m := range []loyalty.Money{t.Gross, t.Discount, t.Redeemed, t.Net} {
		if m < -mostMoney || m > mostMoney {
			return nil, errors.New("amounts of the return are out of range")
		}
	}
	if g.quotas, err = readQuotas(p.Quotas); err != nil {
		return nil, err
	}
	g.moves, err = readMoves(p.Moves)
	return g, err
}

// gift is points outside a receipt.
type gift struct {
	identity
	earning loyalty.Earning
	reason  string
}

func readEarn(r *wire.Record) (posting, error) {
	var p wire.Earn
	if err := wire.ReadPayload(r, &p); err != nil {
		return nil, err
	}
	id, err := readIdentity(p.Member, p.CardRef)
	if err != nil {
		return nil, err
	}
	points, err := loyalty.ParsePoints(p.Points)
	if err != nil {
		return nil, err
	}
	if points <= 0 || points > MostPoints || p.Wallet == "" || !day(p.Active) || !day(p.Expires) {
		return nil, fmt.Errorf("gift of %s points into wallet %q, days %q, %q", points, p.Wallet, p.Active, p.Expires)
	}
	return &gift{id, loyalty.Earning{Rule: p.Rule, Wallet: p.Wallet, Points: points, Active: p.Active, Expires: p.Expires}, p.Reason}, nil
}
