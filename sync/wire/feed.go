package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Lane is one stream from the centre to a till. Each lane has its own
// cursor, kept by the till in the same transaction that applies the items.
type Lane string

// The lanes, most urgent first. The centre sends a lane only while no lane
// before it has anything to send.
const (
	LaneUrgent   Lane = "urgent"   // UrgentItem: erasures, stop-list
	LaneTrust    Lane = "trust"    // TrustItem: which keys count
	LaneLease    Lane = "lease"    // LeaseItem: rights to spend offline
	LaneRulebook Lane = "rulebook" // Bundle
	LaneMember   Lane = "member"   // MemberItem: snapshots for the cache
	LaneCommand  Lane = "command"  // CommandItem: what central IT asks of a till
	LaneProgram  Lane = "program"  // ReleaseItem: which programs may be installed
)

// Lanes lists them in order of urgency.
var Lanes = []Lane{LaneUrgent, LaneTrust, LaneLease, LaneRulebook, LaneMember, LaneCommand, LaneProgram}

// Known tells whether this program knows the lane.
func (l Lane) Known() bool {
	for _, k := range Lanes {
		if k == l {
			return true
		}
	}
	return false
}

// Feed carries items of one lane, everything after cursor After up to and
// including cursor Upto. The numbers are the centre's and need not be
// gapless. The till applies the items in order and stores Upto in the same
// transaction; a Feed whose After is not the till's cursor is not applied.
type Feed struct {
	Lane  Lane              `json:"lane"`
	After uint64            `json:"after"`
	Upto  uint64            `json:"upto"`
	Items []json.RawMessage `json:"-"`
	// Reset starts the lane anew: After is 0 whatever the till has, and what
	// the till kept of this lane is replaced once More is false.
	Reset bool `json:"reset,omitempty"`
	// More says that another Feed of this lane follows at once.
	More bool `json:"more,omitempty"`
	// Includes is the place in this till's own journal up to which its
	// movements are already in these items; later ones are not.
	Includes Mark `json:"includes,omitzero"`
	// Also tells the same of the other tills of the store, by device.
	Also map[string]Mark `json:"also,omitempty"`
}

func (f *Feed) check() error {
	if !plain(string(f.Lane), 1, 40) {
		return fmt.Errorf("%w: FEED lane", ErrMalformed)
	}
	if f.Upto < f.After {
		return fmt.Errorf("%w: FEED after %d up to %d", ErrMalformed, f.After, f.Upto)
	}
	return nil
}

// What an UrgentItem does.
const (
	UrgentErase = "erase" // forget the member: snapshot, references, local movements
	UrgentStop  = "stop"  // card or member may not spend
	UrgentFree  = "free"  // take it off the stop-list again
)

// UrgentItem goes before everything else.
type UrgentItem struct {
	Do     string `json:"do"`
	Member string `json:"member,omitempty"`
	Ref    Ref    `json:"ref,omitzero"`
	Order  string `json:"order,omitempty"` // the centre's id of it
	Reason string `json:"reason,omitempty"`
}

// TrustItem is the next document that says which keys count for rulebooks and
// programs. The lane's cursor is its version. Package trust reads it.
type TrustItem struct {
	Root []byte `json:"root"`
}

// ReleaseItem is the newest signed list of programs. The lane's cursor is its
// version. Package trust reads it; the programs lie at [ProgramPath].
type ReleaseItem struct {
	Signed []byte `json:"signed"`
}

// ProgramPath is where the centre gives programs, by their SHA-256 in
// hexadecimal. What is there is no secret; the list says whether it is right.
const ProgramPath = "/v1/programs/"

// What a LeaseItem does.
const (
	LeaseGrant  = "grant"
	LeaseRecall = "recall" // please close it; asking is all the centre may do
)

// LeaseItem hands out or asks back a right to spend offline.
type LeaseItem struct {
	Do       string    `json:"do"`
	Lease    string    `json:"lease"`
	Member   string    `json:"member"`
	Wallet   string    `json:"wallet"`
	Points   string    `json:"points,omitempty"`
	Epoch    uint32    `json:"epoch"`
	NotAfter time.Time `json:"not_after,omitzero"`
}

// What a MemberItem does.
const (
	MemberPut  = "put"  // snapshot replaces what the till has
	MemberDrop = "drop" // no longer of interest to this till
)

// MemberItem is one member for a till's cache.
type MemberItem struct {
	Do       string          `json:"do"`
	Member   string          `json:"member"`
	Refs     []RefState      `json:"refs,omitempty"`     // cards and phone that lead to the member
	Snapshot json.RawMessage `json:"snapshot,omitempty"` // loyalty.Member
}

// RefState is one way to identify a member. Status is that of
// loyalty.Card: active (also when empty), inactive, blocked, lost.
type RefState struct {
	Ref    Ref    `json:"ref"`
	Kind   string `json:"kind"` // card, phone
	Type   string `json:"type,omitempty"`
	Status string `json:"status,omitempty"`
}

// CommandItem is what central IT asks of a till. A command that the till does
// not know is answered by an OPERATOR record and otherwise ignored.
type CommandItem struct {
	ID   string          `json:"id"`
	Do   string          `json:"do"`
	Args json.RawMessage `json:"args,omitempty"`
}

// CommandQuota adds to the till's quota of a budget; Args is a QuotaGrant.
const CommandQuota = "quota"

// QuotaGrant lets a till give so much more of a budget. Grants are numbered
// upwards; a till takes each in once.
type QuotaGrant struct {
	No     uint64 `json:"no"`
	Budget string `json:"budget"` // key: programme/budget, and @first day when it has periods
	Epoch  uint32 `json:"epoch"`
	Money  string `json:"money,omitempty"`
	Points string `json:"points,omitempty"`
	Count  int64  `json:"count,omitempty"`
}

// FeedItem marshals an item for [Feed].Items.
func FeedItem(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode feed item: %w", err)
	}
	if len(b) > MaxItem {
		return nil, fmt.Errorf("feed item of %d bytes: %w", len(b), ErrTooLarge)
	}
	return b, nil
}

// ReadItem decodes an item of a Feed into the struct of its lane.
func ReadItem(item json.RawMessage, v any) error { return unmarshal(item, v) }
