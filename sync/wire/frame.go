package wire

import (
	"encoding/json"
	"fmt"
)

// Kind names a frame. A kind that is not known is read as [Unknown] and
// ignored; both ends now and then send one on purpose (see [Grease]), so that
// this is true on the day a newer peer comes.
type Kind string

// The frames of version 1. Up: from the till to the centre.
const (
	KindChallenge Kind = "CHALLENGE" // down
	KindHello     Kind = "HELLO"     // up
	KindWelcome   Kind = "WELCOME"   // down
	KindRefuse    Kind = "REFUSE"    // down, then close
	KindPush      Kind = "PUSH"      // up, packed
	KindAck       Kind = "ACK"       // down
	KindNack      Kind = "NACK"      // down
	KindSlow      Kind = "SLOW"      // down
	KindFeed      Kind = "FEED"      // down, packed
	KindFeedAck   Kind = "FEEDACK"   // up
	KindFeedNack  Kind = "FEEDNACK"  // up
	KindAsk       Kind = "ASK"       // up
	KindAnswer    Kind = "ANSWER"    // down
	KindTime      Kind = "TIME"      // up
	KindTimeIs    Kind = "TIMEIS"    // down
	KindEvidence  Kind = "EVIDENCE"  // up, packed: journal of a forked till
	KindBye       Kind = "BYE"       // either way, then close
)

// Frame is one message of a session.
type Frame interface{ Kind() Kind }

// Challenge is the first frame of a session: something fresh to sign.
type Challenge struct {
	Nonce      []byte `json:"nonce"` // 32 random bytes, used once
	Version    int    `json:"version"`
	MinVersion int    `json:"min_version"`
	SendMS     int64  `json:"t_send"` // the centre's clock, Unix milliseconds
}

// Hello is the till's answer. Signed holds the exact bytes of a HelloBody as
// JSON; Sig is over them and the nonce (see [SignHello]).
type Hello struct {
	Signed []byte `json:"signed"`
	Sig    []byte `json:"sig"`
}

// HelloBody is what a till says about itself.
type HelloBody struct {
	Version   int               `json:"version"`
	Device    string            `json:"device"`
	Epoch     uint32            `json:"epoch"`
	Last      Head              `json:"last"`    // end of the till's journal
	SessionNo uint64            `json:"session"` // last session written to the journal; 0: none
	Boot      string            `json:"boot"`
	Agent     string            `json:"agent"`  // program version
	Bundle    int64             `json:"bundle"` // rulebook in force; 0: none
	Cursors   map[string]uint64 `json:"cursors,omitempty"`
	SendMS    int64             `json:"t_send"`             // the till's clock, Unix milliseconds
	Evidence  bool              `json:"evidence,omitempty"` // a forked till that brings its journal
}

// Welcome opens the session. The till compares Acked with its own journal:
// another hash at that seq, or a shorter journal, is a fork.
type Welcome struct {
	Version   int    `json:"version"`
	Acked     Head   `json:"acked"`
	SessionNo uint64 `json:"session"` // to be written to the journal before anything of this session counts
	RecvMS    int64  `json:"t_recv"`  // when HELLO came, centre's clock
	SendMS    int64  `json:"t_send"`
	Bundle    int64  `json:"wanted_bundle,omitempty"`
	Agent     string `json:"wanted_agent,omitempty"`
	Window    int    `json:"window"` // PUSH messages without an answer; at least 1
	Central   string `json:"central,omitempty"`
	Evidence  bool   `json:"evidence,omitempty"` // only EVIDENCE is taken in this session
}

// Refusal codes.
const (
	RefuseUnknown   = "unknown_device"
	RefuseSignature = "bad_signature"
	RefuseRevoked   = "revoked"
	RefuseFork      = "fork"    // this journal and the centre's differ, or it is older
	RefuseEpoch     = "epoch"   // another incarnation is enrolled
	RefuseVersion   = "version" // no common protocol version
	RefuseBusy      = "busy"    // try again after AfterMS
	RefuseWait      = "wait"    // another session of this device is being probed
	RefuseMalformed = "malformed"
	RefuseInternal  = "internal"
)

// Refuse ends a session before it began, or a running one.
type Refuse struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"` // for a person
	AfterMS int64  `json:"after,omitempty"`   // do not come back sooner, milliseconds
}

// Permanent tells whether coming back without a person's help is useless.
// Tills come back all the same, at the slowest pace.
func (r *Refuse) Permanent() bool {
	switch r.Code {
	case RefuseBusy, RefuseWait, RefuseInternal:
		return false
	}
	return true
}

func (r *Refuse) Error() string {
	if r.Message == "" {
		return "refused by the centre: " + r.Code
	}
	return "refused by the centre: " + r.Code + ": " + r.Message
}

// Push carries records, in order and without gaps, from seq From on. It is a
// packed message. Sig is over the end of the batch (see [SignPush]).
type Push struct {
	From    uint64   `json:"from"`
	Records [][]byte `json:"-"`
	Last    Head     `json:"last"` // seq and hash of the last record
	Sig     []byte   `json:"sig"`
}

// Ack is cumulative: everything up to Seq is durable at the centre. Parked
// lists records that are kept but could not be applied.
type Ack struct {
	Seq    uint64   `json:"seq"`
	Hash   Hash     `json:"hash"`
	Parked []Parked `json:"parked,omitempty"`
}

// Parked is a record that the centre keeps and cannot apply.
type Parked struct {
	Seq    uint64 `json:"seq"`
	Reason string `json:"reason"`
}

// Nack says that a PUSH did not continue where the centre stands.
type Nack struct {
	Expected uint64 `json:"expected"` // seq the centre wants next
}

// Slow asks for no PUSH during the given time.
type Slow struct {
	AfterMS int64 `json:"after"`
}

// FeedAck says that the till has everything of a lane up to Cursor on disk.
type FeedAck struct {
	Lane   Lane   `json:"lane"`
	Cursor uint64 `json:"cursor"`
}

// FeedNack says that the till could not take a FEED; the centre sends again
// from Cursor after a while.
type FeedNack struct {
	Lane   Lane   `json:"lane"`
	Cursor uint64 `json:"cursor"` // what the till has
	Reason string `json:"reason,omitempty"`
}

// Ask is a question with an answer, while a customer waits.
type Ask struct {
	ID   uint64          `json:"id"` // of this session
	What string          `json:"what"`
	Body json.RawMessage `json:"body,omitempty"`
	// BudgetMS is how long the till will wait; an answer after that is for
	// nobody.
	BudgetMS int64 `json:"budget,omitempty"`
}

// Answer belongs to the ASK with the same ID. Error is empty when Body holds
// the answer.
type Answer struct {
	ID    uint64          `json:"id"`
	Error string          `json:"error,omitempty"` // code: unknown, refused, busy, internal
	Body  json.RawMessage `json:"body,omitempty"`
}

// TimeAsk asks for the centre's time.
type TimeAsk struct {
	SendMS int64 `json:"t_send"`
}

// TimeIs answers TIME.
type TimeIs struct {
	AskMS  int64 `json:"t_ask"` // t_send of the question
	RecvMS int64 `json:"t_recv"`
	SendMS int64 `json:"t_send"`
}

// Evidence carries journal records of a till that forked. They are stored
// aside and never applied.
type Evidence struct {
	From    uint64   `json:"from"`
	Records [][]byte `json:"-"`
	End     bool     `json:"end,omitempty"`
}

// Subprotocol is the websocket subprotocol of a session.
const Subprotocol = "tillside.sync"

// ByeFork is the reason of a till that found its journal and the centre's to
// differ.
const ByeFork = "fork"

// Reasons of a FEEDNACK.
const (
	FeedUnknown   = "unknown_lane" // the centre does not feed it again in this session
	FeedElsewhere = "cursor"       // the FEED did not start at the till's cursor
	FeedFailed    = "failed"       // the till could not store it; again after a while
)

// Bye says that the sender closes on purpose.
type Bye struct {
	Reason string `json:"reason,omitempty"`
}

// Unknown is a frame of a kind this program does not know.
type Unknown struct{ Name Kind }

// Kind methods.
func (*Challenge) Kind() Kind { return KindChallenge }
func (*Hello) Kind() Kind     { return KindHello }
func (*Welcome) Kind() Kind   { return KindWelcome }
func (*Refuse) Kind() Kind    { return KindRefuse }
func (*Push) Kind() Kind      { return KindPush }
func (*Ack) Kind() Kind       { return KindAck }
func (*Nack) Kind() Kind      { return KindNack }
func (*Slow) Kind() Kind      { return KindSlow }
func (*Feed) Kind() Kind      { return KindFeed }
func (*FeedAck) Kind() Kind   { return KindFeedAck }
func (*FeedNack) Kind() Kind  { return KindFeedNack }
func (*Ask) Kind() Kind       { return KindAsk }
func (*Answer) Kind() Kind    { return KindAnswer }
func (*TimeAsk) Kind() Kind   { return KindTime }
func (*TimeIs) Kind() Kind    { return KindTimeIs }
func (*Evidence) Kind() Kind  { return KindEvidence }
func (*Bye) Kind() Kind       { return KindBye }
func (u *Unknown) Kind() Kind { return u.Name }

func newFrame(k Kind) Frame {
	switch k {
	case KindChallenge:
		return &Challenge{}
	case KindHello:
		return &Hello{}
	case KindWelcome:
		return &Welcome{}
	case KindRefuse:
		return &Refuse{}
	case KindPush:
		return &Push{}
	case KindAck:
		return &Ack{}
	case KindNack:
		return &Nack{}
	case KindSlow:
		return &Slow{}
	case KindFeed:
		return &Feed{}
	case KindFeedAck:
		return &FeedAck{}
	case KindFeedNack:
		return &FeedNack{}
	case KindAsk:
		return &Ask{}
	case KindAnswer:
		return &Answer{}
	case KindTime:
		return &TimeAsk{}
	case KindTimeIs:
		return &TimeIs{}
	case KindEvidence:
		return &Evidence{}
	case KindBye:
		return &Bye{}
	}
	return nil
}

// packed tells which kinds travel as binary messages.
func packed(k Kind) bool { return k == KindPush || k == KindFeed || k == KindEvidence }

// EncodeFrame makes the websocket message of a frame. binary tells the
// message type: packed frames are binary, all others text.
func EncodeFrame(f Frame) (msg []byte, binary bool, err error) {
	if packed(f.Kind()) {
		msg, err = pack(f)
		return msg, true, err
	}
	head, err := encodeHead(f)
	if err != nil {
		return nil, false, err
	}
	if len(head) > MaxMessage {
		return nil, false, fmt.Errorf("%s of %d bytes: %w", f.Kind(), len(head), ErrTooLarge)
	}
	return head, false, nil
}

// DecodeFrame reads a websocket message. Frames of unknown kind come back as
// *Unknown and no error. Unknown fields are ignored.
func DecodeFrame(msg []byte, binary bool) (Frame, error) {
	return decodeFrame(msg, binary, MaxInflated)
}

// DecodeUp is DecodeFrame for the centre: what comes from a till inflates to
// [MaxUp] at most, so that many bad tills at once cannot fill its memory.
func DecodeUp(msg []byte, binary bool) (Frame, error) {
	return decodeFrame(msg, binary, MaxUp)
}

func decodeFrame(msg []byte, binary bool, most uint64) (Frame, error) {
	if len(msg) > MaxMessage {
		return nil, fmt.Errorf("message of %d bytes: %w", len(msg), ErrTooLarge)
	}
	if binary {
		return unpack(msg, most)
	}
	f, err := decodeHead(msg)
	if err != nil {
		return nil, err
	}
	if packed(f.Kind()) {
		return nil, fmt.Errorf("%w: %s as text", ErrMalformed, f.Kind())
	}
	return f, nil
}

// encodeHead writes {"kind":…, fields of f}.
func encodeHead(f Frame) ([]byte, error) {
	k := f.Kind()
	if !Type(k).valid() {
		return nil, fmt.Errorf("%w: frame kind %q", ErrMalformed, clip([]byte(k)))
	}
	out := make([]byte, 0, 200)
	out = append(out, `{"kind":"`...)
	out = append(out, k...)
	out = append(out, '"')
	if _, unknown := f.(*Unknown); unknown {
		return append(out, '}'), nil
	}
	body, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", k, err)
	}
	if len(body) > 2 {
		out = append(out, ',')
	}
	return append(out, body[1:]...), nil
}

func decodeHead(b []byte) (Frame, error) {
	var peek struct {
		Kind Kind `json:"kind"`
	}
	if err := unmarshal(b, &peek); err != nil {
		return nil, fmt.Errorf("frame: %w", err)
	}
	if !Type(peek.Kind).valid() {
		return nil, fmt.Errorf("%w: frame kind %q", ErrMalformed, clip([]byte(peek.Kind)))
	}
	f := newFrame(peek.Kind)
	if f == nil {
		return &Unknown{Name: peek.Kind}, nil
	}
	if err := unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("%s: %w", peek.Kind, err)
	}
	return f, nil
}

// Grease is a frame that nobody knows; n chooses one of many names.
func Grease(n uint32) Frame {
	return &Unknown{Name: Kind(fmt.Sprintf("GREASE_%X", n&0xffff))}
}
