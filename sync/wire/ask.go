package wire

import (
	"encoding/json"
	"time"
)

// Questions a till may ask while a customer waits.
const (
	AskHoldWhat   = "hold"   // AskHold -> AnswerHold
	AskMemberWhat = "member" // AskMember -> AnswerMember
	// AskReceiptWhat is asked when goods come back: AskReceipt -> AnswerReceipt.
	AskReceiptWhat = "receipt"
)

// Reasons of an [AnswerReceipt] that is not Known although there is a sale.
const (
	ReceiptAmbiguous = "ambiguous" // several tills have sales of that number
	ReceiptTooLarge  = "too_large" // the answer would not fit into a message
)

// MaxReceiptAnswer bounds the results inside an AnswerReceipt, in bytes.
const MaxReceiptAnswer = 512 << 10

// Error codes of an [Answer].
const (
	AnswerUnknown  = "unknown"  // the centre does not know the question
	AnswerRefused  = "refused"  // it may not be asked by this till
	AnswerBusy     = "busy"     // too many questions at once
	AnswerInternal = "internal" // the centre could not answer
)

// AskHold asks for points to be moved from available to hold at the centre.
// The same hold id asked again has the same answer, and no second effect. A
// till that got no answer in time writes VOID for the hold id; the centre
// remembers that even when it has never seen the hold.
type AskHold struct {
	Hold    string `json:"hold"` // UUID made by the till
	Member  string `json:"member"`
	CardRef Ref    `json:"card_ref,omitzero"`
	Wallet  string `json:"wallet"`
	Points  string `json:"points"`
	Receipt string `json:"receipt"`
}

// AnswerHold grants all or nothing.
type AnswerHold struct {
	Granted   bool   `json:"granted"`
	Points    string `json:"points,omitempty"`
	Available string `json:"available,omitempty"` // what is left, or what there is when refused
	Reason    string `json:"reason,omitempty"`    // not_enough, reserved, blocked, void, unknown_member, …
	// Reserved is on leases of stores that cannot be asked now, and is not in
	// Available; ReservedAt names them.
	Reserved   string `json:"reserved,omitempty"`
	ReservedAt string `json:"reserved_at,omitempty"`
}

// AskMember asks who a card or phone belongs to, and for a fresh snapshot.
type AskMember struct {
	Ref    Ref    `json:"ref,omitzero"`
	Member string `json:"member,omitempty"` // instead of Ref
}

// AnswerMember has the snapshot when Known. Includes tells up to which place
// of this till's own journal its movements are already in the snapshot.
type AnswerMember struct {
	Known    bool       `json:"known"`
	Item     MemberItem `json:"item,omitzero"`
	Includes Mark       `json:"includes,omitzero"`
	// Also tells the same of the other tills of the store, by device.
	Also map[string]Mark `json:"also,omitempty"`
}

// AskReceipt asks for a sale of any till and for what came back of it. Store
// and Till narrow a number that several tills have used, fiscal or not; Device and Mark name
// one record exactly. Of one till's sales with the same number the newest is
// meant.
type AskReceipt struct {
	Number string `json:"number"`
	Fiscal string `json:"fiscal,omitempty"` // fiscal number, when Number is not known
	Store  string `json:"store,omitempty"`
	Till   string `json:"till,omitempty"`
	Device string `json:"device,omitempty"`
	Mark   Mark   `json:"mark,omitzero"`
}

// AnswerReceipt has the sale when Known.
type AnswerReceipt struct {
	Known   bool            `json:"known"`
	Reason  string          `json:"reason,omitempty"`
	Number  string          `json:"number,omitempty"`
	Device  string          `json:"device,omitempty"` // whose journal
	Mark    Mark            `json:"mark,omitzero"`    // place of its COMMIT there
	Store   string          `json:"store,omitempty"`
	Till    string          `json:"till,omitempty"`
	Fiscal  string          `json:"fiscal,omitempty"`
	At      time.Time       `json:"at,omitzero"`
	State   string          `json:"state,omitempty"` // captured, partly_returned, returned, voided
	Member  string          `json:"member,omitempty"`
	CardRef Ref             `json:"card_ref,omitzero"`
	Result  json.RawMessage `json:"result,omitempty"`  // of the COMMIT
	Returns []ReturnedPart  `json:"returns,omitempty"` // the RETURN records against it, oldest first
}

// ReturnedPart is one return against a sale.
type ReturnedPart struct {
	Device string          `json:"device"`
	Mark   Mark            `json:"mark"`
	Result json.RawMessage `json:"result"`
}

// ReadAnswer decodes the body of an answer.
func ReadAnswer(a *Answer, v any) error { return unmarshal(a.Body, v) }

// AskBody encodes the body of a question or an answer.
func AskBody(v any) (json.RawMessage, error) { return json.Marshal(v) }
