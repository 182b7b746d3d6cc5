package wire

import "encoding/json"

// Questions a till may ask while a customer waits.
const (
	AskHoldWhat   = "hold"   // AskHold -> AnswerHold
	AskMemberWhat = "member" // AskMember -> AnswerMember
)

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
	Reason    string `json:"reason,omitempty"`    // not_enough, blocked, void, unknown_member, …
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
}

// ReadAnswer decodes the body of an answer.
func ReadAnswer(a *Answer, v any) error { return unmarshal(a.Body, v) }

// AskBody encodes the body of a question or an answer.
func AskBody(v any) (json.RawMessage, error) { return json.Marshal(v) }
