package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// Retention is how long receipts and answers are kept.
const Retention = 35 * 24 * time.Hour

// State is where a receipt stands.
type State string

// States of a receipt. Allowed moves:
//
//	open -> held -> captured -> partly_returned -> returned
//	open, held, captured -> voided       held -> unresolved -> captured, voided
const (
	Open           State = "open" // points asked for, the centre has not answered
	Held           State = "held" // authorised
	Captured       State = "captured"
	PartlyReturned State = "partly_returned"
	Returned       State = "returned"
	Voided         State = "voided"
	Unresolved     State = "unresolved" // held, and nobody told what became of it
)

// A receipt of another till begins with the first return taken here.
var moves = map[State][]State{
	"":             {Open, Held, Captured, Voided, PartlyReturned, Returned},
	Open:           {Open, Held, Captured, Voided},
	Held:           {Open, Held, Captured, Voided, Unresolved},
	Unresolved:     {Captured, Voided},
	Captured:       {Captured, PartlyReturned, Returned, Voided},
	PartlyReturned: {PartlyReturned, Returned},
	Returned:       {Returned},
	Voided:         {Voided},
}

// ErrState is wrapped when a receipt may not go from one state to another.
var ErrState = errors.New("receipt is in another state")

// May tells whether a receipt in state s may become next.
func (s State) May(next State) bool {
	for _, m := range moves[s] {
		if m == next {
			return true
		}
	}
	return false
}

// Hold is points kept for a receipt.
type Hold struct {
	ID     string         `json:"id"`
	Wallet string         `json:"wallet"`
	Points loyalty.Points `json:"points"`
	// Granted is false between asking the centre and its answer.
	Granted bool `json:"granted,omitempty"`
	// Leases the points were taken from; none: the centre granted them.
	Leases []wire.LeasePart `json:"leases,omitempty"`
	// Keeper is the till of the store that holds them, Voucher its word.
	Keeper  string        `json:"keeper,omitempty"`
	Voucher *wire.Voucher `json:"voucher,omitempty"`
}

// Slip is what became of the printed slip.
type Slip string

// States of a slip. One that was being printed when the agent died is
// unknown and is printed again only as a copy.
const (
	SlipQueued   Slip = "queued"
	SlipPrinting Slip = "printing"
	SlipPrinted  Slip = "printed"
	SlipFailed   Slip = "not_printed"
	SlipUnknown  Slip = "unknown"
)

// Receipt is one receipt as this till knows it.
type Receipt struct {
	ID     string            `json:"id"`
	State  State             `json:"state"`
	Caller string            `json:"caller,omitempty"` // program that opened it
	Member *loyalty.MemberID `json:"member,omitempty"`
	Card   wire.Ref          `json:"card,omitzero"`
	Entry  string            `json:"entry,omitempty"` // scan, typed, phone
	Basket json.RawMessage   `json:"basket"`          // loyalty.Receipt
	Result json.RawMessage   `json:"result"`          // loyalty.Result, complete
	Hold   *Hold             `json:"hold,omitempty"`
	// Snapshot is the member the receipt was priced for, kept until it is
	// closed: a price is made from one snapshot, and a name does not stay here.
	Snapshot *loyalty.Member `json:"snapshot,omitempty"`
	Offline  bool            `json:"offline,omitempty"`
	Fiscal   string          `json:"fiscal,omitempty"`
	Shift    string          `json:"shift,omitempty"`
	Cashier  string          `json:"cashier,omitempty"`
	Mark     wire.Mark       `json:"mark,omitzero"` // place of the COMMIT
	Opened   time.Time       `json:"opened"`
	Changed  time.Time       `json:"changed"`
	Slip     Slip            `json:"slip,omitempty"`
	Copies   int             `json:"copies,omitempty"`
	Returns  []Return        `json:"returns,omitempty"`
	// Exchange names the return that this sale is the other half of.
	Exchange *Exchanged `json:"exchange,omitempty"`
	// Booked is what the receipt has taken of limits and quotas, returns off.
	Booked *Booking `json:"booked,omitempty"`
}

// Return is one return against a receipt.
type Return struct {
	Lines  json.RawMessage `json:"lines"`
	Result json.RawMessage `json:"result"`
	Mark   wire.Mark       `json:"mark,omitzero"`
	At     time.Time       `json:"at"`
	// What its slip tells beside the result, and what became of it.
	Offline   bool                   `json:"offline,omitempty"`
	Shortfall []loyalty.WalletPoints `json:"shortfall,omitempty"`
	Slip      Slip                   `json:"slip,omitempty"`
	Copies    int                    `json:"copies,omitempty"`
}

// Exchanged is a place among the returns of a receipt, counted from one.
type Exchanged struct {
	Receipt string        `json:"receipt"`
	Return  int           `json:"return"`
	Owed    loyalty.Money `json:"owed"` // below zero the customer got it back
}

// SlipOf is the state of one slip of a receipt and how often it was copied: 0
// is the sale's, n the n-th return's. It is nil when there is no such return.
func (r *Receipt) SlipOf(n int) (*Slip, *int) {
	switch {
	case n == 0:
		return &r.Slip, &r.Copies
	case n < 0 || n > len(r.Returns):
		return nil, nil
	}
	return &r.Returns[n-1].Slip, &r.Returns[n-1].Copies
}

// slipWaits tells whether a slip of the receipt is not printed yet.
func (r *Receipt) slipWaits() bool {
	for n := range len(r.Returns) + 1 {
		if s, _ := r.SlipOf(n); *s == SlipQueued || *s == SlipPrinting {
			return true
		}
	}
	return false
}

// Receipt reads a receipt; nil when this till does not know it.
func (t *Tx) Receipt(id string) (*Receipt, error) {
	r := &Receipt{}
	if ok, err := t.get(bucketReceipts, id, r); !ok {
		return nil, err
	}
	return r, nil
}

// PutReceipt stores a receipt, checking that its state may follow the stored
// one, and keeps the lists by time and of open holds. It sets Changed.
func (t *Tx) PutReceipt(r *Receipt) error {
	old, err := t.Receipt(r.ID)
	if err != nil {
		return err
	}
	var was State
	if old != nil {
		was = old.State
		if err := t.tx.Bucket(bucketReceiptsByTime).Delete(timeKey(old.Changed, r.ID)); err != nil {
			return err
		}
	}
	if !was.May(r.State) {
		return fmt.Errorf("%w: %s, not to become %s", ErrState, was, r.State)
	}
	if r.State != Open && r.State != Held && r.State != Unresolved {
		r.Snapshot = nil
	}
	r.Changed = t.now().UTC().Truncate(time.Millisecond)
	if r.Opened.IsZero() {
		r.Opened = r.Changed
	}
	if err := t.put(bucketReceipts, r.ID, r); err != nil {
		return err
	}
	if err := t.tx.Bucket(bucketReceiptsByTime).Put(timeKey(r.Changed, r.ID), nil); err != nil {
		return err
	}
	if r.Fiscal != "" && len(r.Fiscal) <= mostFiscal {
		if err := t.tx.Bucket(bucketFiscal).Put([]byte(r.Fiscal), []byte(r.ID)); err != nil {
			return err
		}
	}
	open := t.tx.Bucket(bucketOpen)
	unfinished := r.State == Open || r.State == Held || r.State == Unresolved
	switch {
	case unfinished && r.Hold != nil:
		return open.Put([]byte(r.ID), []byte(r.State))
	case r.slipWaits():
		return open.Put([]byte(r.ID), []byte(SlipQueued))
	case open.Get([]byte(r.ID)) != nil:
		return open.Delete([]byte(r.ID))
	}
	return nil
}

// mostFiscal is the length of the longest fiscal number that is looked up.
const mostFiscal = 200

// ReceiptByFiscal reads the receipt with a fiscal number, of several the
// newest; nil when this till has none.
func (t *Tx) ReceiptByFiscal(fiscal string) (*Receipt, error) {
	if fiscal == "" || len(fiscal) > mostFiscal {
		return nil, nil
	}
	id := t.tx.Bucket(bucketFiscal).Get([]byte(fiscal))
	if id == nil {
		return nil, nil
	}
	r, err := t.Receipt(string(id))
	if err != nil || r == nil || r.Fiscal != fiscal {
		return nil, err
	}
	return r, nil
}

// OpenReceipts lists receipts that hold points or wait for their slip.
func (t *Tx) OpenReceipts() ([]*Receipt, error) {
	var list []*Receipt
	err := t.tx.Bucket(bucketOpen).ForEach(func(k, _ []byte) error {
		r, err := t.Receipt(string(k))
		if r != nil {
			list = append(list, r)
		}
		return err
	})
	return list, err
}

// Answer is what a call was answered, kept for its idempotency key.
type Answer struct {
	Hash   []byte          `json:"hash"` // of method, path and body
	Call   string          `json:"call"` // method and path
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
	At     time.Time       `json:"at"`
}

// Answer reads the stored answer of a key; nil when there is none.
func (t *Tx) Answer(key string) (*Answer, error) {
	a := &Answer{}
	if ok, err := t.get(bucketAnswers, key, a); !ok {
		return nil, err
	}
	return a, nil
}

// PutAnswer stores an answer and lets a few expired ones go.
func (t *Tx) PutAnswer(key string, a *Answer) error {
	now := t.now()
	a.At = now.UTC().Truncate(time.Millisecond)
	if err := t.put(bucketAnswers, key, a); err != nil {
		return err
	}
	if err := t.tx.Bucket(bucketAnswersByTime).Put(timeKey(a.At, key), nil); err != nil {
		return err
	}
	before, err := t.expired()
	if err == nil && !before.IsZero() {
		_, err = t.expire(bucketAnswersByTime, bucketAnswers, before, 4, nil)
	}
	return err
}

// PruneReceipts deletes up to max receipts whose last change is older than
// the retention, by the calendar and by days at work; those that still hold points stay. One that was authorised
// and never ended gives back what it took of limits and quotas.
func (t *Tx) PruneReceipts(max int) (int, error) {
	open := t.tx.Bucket(bucketOpen)
	fiscal := t.tx.Bucket(bucketFiscal)
	var abandoned []*Booking
	var unnamed []string
	before, err := t.expired()
	if err != nil || before.IsZero() {
		return 0, err
	}
	n, err := t.expire(bucketReceiptsByTime, bucketReceipts, before, max, func(id []byte) bool {
		if open.Get(id) != nil {
			return true
		}
		// One that cannot be read gives nothing back, and goes.
		if r, err := t.Receipt(string(id)); err == nil && r != nil {
			if r.State == Open || r.State == Held {
				abandoned = append(abandoned, r.Booked)
			}
			if r.Fiscal != "" && string(fiscal.Get([]byte(r.Fiscal))) == r.ID {
				unnamed = append(unnamed, r.Fiscal)
			}
		}
		return false
	})
	for _, b := range abandoned {
		if err == nil {
			err = t.Rebook(b, nil)
		}
	}
	for _, n := range unnamed {
		if err == nil {
			err = fiscal.Delete([]byte(n))
		}
	}
	return n, err
}

// CountShift adds to the counts of a shift; see Shift. Receipts without a
// shift are not counted.
func (t *Tx) CountShift(shift string, add ShiftCount) error {
	if shift == "" {
		return nil
	}
	var c ShiftCount
	if _, err := t.get(bucketShifts, shift, &c); err != nil {
		return err
	}
	c.Receipts += add.Receipts
	c.Voided += add.Voided
	c.Returns += add.Returns
	c.Net += add.Net
	c.Discount += add.Discount
	c.Redeemed += add.Redeemed
	c.Earned += add.Earned
	c.Spent += add.Spent
	return t.put(bucketShifts, shift, c)
}

// ShiftCount is what a shift amounts to here.
type ShiftCount struct {
	Receipts int            `json:"receipts"`
	Voided   int            `json:"voided"`
	Returns  int            `json:"returns"`
	Net      loyalty.Money  `json:"net"`
	Discount loyalty.Money  `json:"discount"`
	Redeemed loyalty.Money  `json:"redeemed"`
	Earned   loyalty.Points `json:"earned"`
	Spent    loyalty.Points `json:"spent"`
}

// Shift reads the counts of a shift; zero when nothing happened in it.
func (t *Tx) Shift(shift string) (ShiftCount, error) {
	var c ShiftCount
	_, err := t.get(bucketShifts, shift, &c)
	return c, err
}

// Delta is what this till changed of a member, or of a card it cannot
// resolve, by one record.
type Delta struct {
	Mark wire.Mark `json:"-"`
	// Result is the part of a receipt's result that moves a snapshot; Back is
	// what a void or return takes back. One of the two is set.
	Result *loyalty.Result       `json:"result,omitempty"`
	Back   *loyalty.ReturnResult `json:"back,omitempty"`
	At     time.Time             `json:"at"`
}

// Subject is whom a delta belongs to: a member, or a card nobody here can
// resolve.
type Subject []byte

// SubjectOf names a member, or the card when the member is not known.
func SubjectOf(m *loyalty.MemberID, card wire.Ref) Subject {
	if m != nil {
		return append([]byte{'m'}, be64(uint64(*m))...)
	}
	return append([]byte{'c'}, card[:]...)
}

// AddDelta keeps a change until a snapshot includes it.
func (t *Tx) AddDelta(s Subject, d *Delta) error {
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("member change: %w", err)
	}
	if err := t.shareDelta(s, d); err != nil {
		return err
	}
	k := binary.BigEndian.AppendUint32(bytes.Clone(s), d.Mark.Epoch)
	k = binary.BigEndian.AppendUint64(k, d.Mark.Seq)
	return t.tx.Bucket(bucketDeltas).Put(k, seal(bucketDeltas, k, b))
}

// Deltas lists the changes after a place, oldest first.
func (t *Tx) Deltas(s Subject, after wire.Mark) ([]*Delta, error) {
	var list []*Delta
	err := t.eachDelta(s, func(k []byte, at wire.Mark, v []byte) error {
		if !later(at, after) {
			return nil
		}
		v, err := unseal(bucketDeltas, k, v)
		if err != nil {
			return err
		}
		d := &Delta{Mark: at}
		if err := json.Unmarshal(v, d); err != nil {
			return fmt.Errorf("member change: %w: %w", ErrDamaged, err)
		}
		list = append(list, d)
		return nil
	})
	return list, err
}

// DropDeltas forgets the changes up to and including a place and tells how
// many there were. In a reading transaction it only counts.
func (t *Tx) DropDeltas(s Subject, upto wire.Mark) (int, error) {
	var gone [][]byte
	err := t.eachDelta(s, func(k []byte, at wire.Mark, _ []byte) error {
		if !later(at, upto) {
			gone = append(gone, bytes.Clone(k))
		}
		return nil
	})
	if err != nil || !t.tx.Writable() {
		return len(gone), err
	}
	for _, k := range gone {
		if err := t.tx.Bucket(bucketDeltas).Delete(k); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

func (t *Tx) eachDelta(s Subject, f func(k []byte, at wire.Mark, v []byte) error) error {
	c := t.tx.Bucket(bucketDeltas).Cursor()
	for k, v := c.Seek(s); bytes.HasPrefix(k, s) && len(k) == len(s)+12; k, v = c.Next() {
		at := wire.Mark{Epoch: binary.BigEndian.Uint32(k[len(s):]), Seq: binary.BigEndian.Uint64(k[len(s)+4:])}
		if err := f(k, at, v); err != nil {
			return err
		}
	}
	return nil
}

// later tells whether a lies after b. A mark of an earlier epoch that never
// reached the centre is the centre's to judge by evidence, not ours.
func later(a, b wire.Mark) bool {
	return a.Epoch > b.Epoch || a.Epoch == b.Epoch && a.Seq > b.Seq
}
