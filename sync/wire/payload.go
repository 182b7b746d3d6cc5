package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Type says what a record is about. A centre that does not know a type keeps
// the record, applies nothing and shows it (see "parked" in PROTOCOL.md).
type Type string

// Record types. The payload struct of each stands behind it; types without
// one yet are reserved names.
const (
	TypeSession         Type = "SESSION"          // SessionStart: a session with the centre began
	TypeReceiptOpen     Type = "RECEIPT_OPEN"     // reserved
	TypeHold            Type = "HOLD"             // Hold: points or coupons held for a receipt
	TypeCommit          Type = "COMMIT"           // Commit: a receipt was closed
	TypeVoid            Type = "VOID"             // Void: a hold released, a captured receipt reversed whole
	TypeUnresolved      Type = "UNRESOLVED"       // Unresolved: nobody knows what became of a hold
	TypeEarn            Type = "EARN"             // Earn: points outside a receipt
	TypeReturn          Type = "RETURN"           // Return: lines of a receipt came back
	TypeLeaseOpen       Type = "LEASE_OPEN"       // LeaseOpen: a right to spend offline is in use
	TypeLeaseClose      Type = "LEASE_CLOSE"      // LeaseClose: the rest of it is given back
	TypeBundleActivated Type = "BUNDLE_ACTIVATED" // BundleActivated: a rulebook came into force
	TypeBundleRejected  Type = "BUNDLE_REJECTED"  // BundleRejected: a rulebook was not taken, and why
	TypeErased          Type = "ERASED"           // Erased: a member was erased from this till
	TypeClock           Type = "CLOCK"            // ClockChange: trust in the clock changed
	TypeOperator        Type = "OPERATOR"         // Operator: a person did something worth keeping
	TypeDeviceFault     Type = "DEVICE_FAULT"     // DeviceFault: a scanner, printer or display failed or came back
)

func (t Type) valid() bool {
	if len(t) == 0 || len(t) > 40 {
		return false
	}
	for i := 0; i < len(t); i++ {
		if c := t[i]; !(c >= 'A' && c <= 'Z' || c == '_' || (i > 0 && c >= '0' && c <= '9')) {
			return false
		}
	}
	return true
}

// Known tells whether this program knows the type.
func (t Type) Known() bool {
	switch t {
	case TypeSession, TypeReceiptOpen, TypeHold, TypeCommit, TypeVoid, TypeUnresolved, TypeEarn, TypeReturn,
		TypeLeaseOpen, TypeLeaseClose, TypeBundleActivated, TypeBundleRejected, TypeErased, TypeClock,
		TypeOperator, TypeDeviceFault:
		return true
	}
	return false
}

// Payloads. Members are pseudonyms of 16 hexadecimal digits, cards are Refs,
// amounts are decimal strings ("12.50"): money with the currency's decimals,
// points with two. Receipts and results are the JSON of agent/loyalty, passed
// through unread.

// SessionStart is written before anything of a new session counts.
type SessionStart struct {
	No   uint64 `json:"no"`             // the number WELCOME gave
	From Head   `json:"from,omitzero"`  // what the centre had of this journal
	Peer string `json:"peer,omitempty"` // the centre's program version
}

// Hold asks for points to be kept for a receipt that is not closed yet.
type Hold struct {
	Hold   string `json:"hold"` // id of the hold, UUID
	Member string `json:"member"`
	Wallet string `json:"wallet"`
	Points string `json:"points"`
	// Leases the points were taken out of, without a link; none: granted by
	// the centre. They add up to Points. Lease is the older form for one.
	Leases []LeasePart `json:"leases,omitempty"`
	Lease  string      `json:"lease,omitempty"`
	// For is the device a store's keeper holds the points for; empty: its own.
	For string `json:"for,omitempty"`
	// Proof tells what else the member showed: phone, card; empty: nothing.
	Proof string `json:"proof,omitempty"`
}

// LeasePart is what a hold takes out of one lease.
type LeasePart struct {
	Lease  string `json:"lease"`
	Points string `json:"points"`
}

// MaxLeaseParts bounds the leases one hold may take from.
const MaxLeaseParts = 20

// Parts are the leases of a hold in either form.
func (h *Hold) Parts() []LeasePart {
	if h.Lease != "" && len(h.Leases) == 0 {
		return []LeasePart{{h.Lease, h.Points}}
	}
	return h.Leases
}

// Commit is a closed receipt, with or without a member.
type Commit struct {
	Receipt json.RawMessage `json:"receipt"`           // loyalty.Receipt as closed, real tenders
	Result  json.RawMessage `json:"result"`            // loyalty.Result without trace, print and messages
	Member  string          `json:"member,omitempty"`  // empty: nobody, or a card only the centre can resolve
	CardRef Ref             `json:"card_ref,omitzero"` // the card or phone that was shown
	Offline bool            `json:"offline,omitempty"` // decided without the centre
	Hold    string          `json:"hold,omitempty"`    // the hold this receipt turns into a spend
	Voucher *Voucher        `json:"voucher,omitempty"` // when a store's keeper held it
	Fiscal  string          `json:"fiscal,omitempty"`  // fiscal number
	Shift   string          `json:"shift,omitempty"`
	Cashier string          `json:"cashier,omitempty"`
	Entry   string          `json:"entry,omitempty"`  // how the member was identified: scan, typed, phone
	At      time.Time       `json:"at,omitzero"`      // time of the receipt, shop's offset
	Quotas  []QuotaUse      `json:"quotas,omitempty"` // taken out of this till's quotas of budgets
}

// Void releases a hold, or takes a captured receipt back whole.
type Void struct {
	Hold     string     `json:"hold,omitempty"`     // hold to release; one the centre never saw is remembered as void
	Reverses *Mark      `json:"reverses,omitempty"` // place of the COMMIT that is taken back
	Member   string     `json:"member,omitempty"`
	CardRef  Ref        `json:"card_ref,omitzero"`
	Moves    []Move     `json:"moves,omitempty"` // what it gives and takes
	Reason   string     `json:"reason,omitempty"`
	Quotas   []QuotaUse `json:"quotas,omitempty"` // given back: negative
}

// Return takes lines of a receipt back.
type Return struct {
	Original  string          `json:"original"`            // receipt id of the sale
	Reverses  *Mark           `json:"reverses,omitempty"`  // place of its COMMIT, when it lies in this journal
	Device    string          `json:"device,omitempty"`    // whose journal, when it is another till's
	Member    string          `json:"member,omitempty"`    //
	CardRef   Ref             `json:"card_ref,omitzero"`   //
	Lines     json.RawMessage `json:"lines,omitempty"`     // lines and quantities
	Result    json.RawMessage `json:"result,omitempty"`    // loyalty's result of the return
	Moves     []Move          `json:"moves,omitempty"`     // what it gives and takes
	Quotas    []QuotaUse      `json:"quotas,omitempty"`    // given back: negative
	Shortfall string          `json:"shortfall,omitempty"` // points that could not be taken back
	Offline   bool            `json:"offline,omitempty"`
	Fiscal    string          `json:"fiscal,omitempty"`
	Shift     string          `json:"shift,omitempty"`
	Cashier   string          `json:"cashier,omitempty"`
	At        time.Time       `json:"at,omitzero"`
}

// QuotaUse is what a record takes out of the till's quota of a budget.
type QuotaUse struct {
	Budget string `json:"budget"` // key of the quota, as in the grant
	Money  string `json:"money,omitempty"`
	Points string `json:"points,omitempty"`
	Count  int64  `json:"count,omitempty"`
}

// Move is one movement of points: Earned points are taken back when Back is
// "earned", spent ones are given back when it is "spent".
type Move struct {
	Wallet string `json:"wallet"`
	Points string `json:"points"`
	Back   string `json:"back"`
	Rule   string `json:"rule,omitempty"`
}

// Earn gives points outside a receipt (a survey, a joining present).
type Earn struct {
	Member  string `json:"member,omitempty"`
	CardRef Ref    `json:"card_ref,omitzero"`
	Wallet  string `json:"wallet"`
	Points  string `json:"points"`
	Rule    string `json:"rule,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Active  string `json:"active_on,omitempty"`  // YYYY-MM-DD
	Expires string `json:"expires_on,omitempty"` // YYYY-MM-DD
}

// Unresolved marks a hold whose receipt nobody can tell the end of. It counts
// as spent until a person or a later record resolves it.
type Unresolved struct {
	Hold   string `json:"hold"`
	Member string `json:"member,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// LeaseOpen is written before a lease is used for the first time.
type LeaseOpen struct {
	Lease  string `json:"lease"`
	Member string `json:"member"`
	Wallet string `json:"wallet"`
	Points string `json:"points"`
}

// LeaseClose gives the rest of a lease back.
type LeaseClose struct {
	Lease  string `json:"lease"`
	Member string `json:"member"`
	Rest   string `json:"rest"`
	Reason string `json:"reason,omitempty"` // recall, expired, keeper
}

// BundleActivated says which rulebook is in force from here on.
type BundleActivated struct {
	Version int64  `json:"version"`
	Name    string `json:"name,omitempty"`
	Hash    Hash   `json:"hash"` // SHA-256 of the rulebook's bytes
	Before  int64  `json:"before,omitempty"`
}

// BundleRejected says which rulebook was not taken; the one before stays.
type BundleRejected struct {
	Version int64  `json:"version"`
	Name    string `json:"name,omitempty"`
	Reason  string `json:"reason"` // signature, version, expired, scope, decode, compile, vectors
	Detail  string `json:"detail,omitempty"`
}

// Erased says that a member is gone from this till.
type Erased struct {
	Member string `json:"member"`
	Order  string `json:"order,omitempty"` // the centre's id of the erasure
}

// ClockChange marks a change of trust in the clock.
type ClockChange struct {
	From    ClockState `json:"from"`
	To      ClockState `json:"to"`
	OffsetM int64      `json:"offset_ms,omitempty"` // centre's time minus the machine's
	Reason  string     `json:"reason,omitempty"`
}

// Operator is what a person at the till or on the bench did.
type Operator struct {
	Who    string `json:"who,omitempty"` // cashier number or role, never a name
	Action string `json:"action"`
	Detail string `json:"detail,omitempty"`
}

// DeviceFault is a change of a peripheral's state.
type DeviceFault struct {
	Device string `json:"device"` // its name in the settings: "printer"
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// ReadPayload decodes the payload of r into v, which points to the payload
// struct of its type. Fields that v does not have are ignored: a newer till
// may tell more.
func ReadPayload(r *Record, v any) error {
	if err := unmarshal(r.Payload, v); err != nil {
		return fmt.Errorf("payload of %s %d: %w", r.Type, r.Seq, err)
	}
	return nil
}
