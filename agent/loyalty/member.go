package loyalty

import (
	"fmt"
	"strconv"
	"time"
)

// MemberID is the pseudonym of a member: a random 63-bit number that says
// nothing about the person. It is the only identity of a member in journals.
type MemberID uint64

func (id MemberID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// MarshalText writes 16 hexadecimal digits.
func (id MemberID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads up to 16 hexadecimal digits.
func (id *MemberID) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("member id %q is not hexadecimal", b)
	}
	*id = MemberID(n)
	return nil
}

// Member is the snapshot of a member that pricing needs: what a till's cache
// holds, moved forward by what this till did since. Nothing else about a
// person ever reaches a till.
type Member struct {
	ID         MemberID           `json:"id"`
	FirstName  string             `json:"first_name,omitempty"`
	Language   string             `json:"language,omitempty"` // en, ru, pl; empty: the till's
	Card       Card               `json:"card,omitzero"`
	Tier       string             `json:"tier,omitempty"`
	TierSince  string             `json:"tier_since,omitempty"` // YYYY-MM-DD
	TierUntil  string             `json:"tier_until,omitempty"`
	Wallets    map[string]Balance `json:"wallets,omitempty"`
	Segments   []string           `json:"segments,omitempty"`
	Birthday   string             `json:"birthday,omitempty"` // MM-DD, no year
	Joined     string             `json:"joined,omitempty"`   // YYYY-MM-DD
	Attributes map[string]string  `json:"attributes,omitempty"`
	Consents   []string           `json:"consents,omitempty"`
	// Counters hold, per declared counter, one bucket a day (YYYY-MM-DD in
	// the shop's time), in the counter's own unit scaled by 1000.
	Counters map[string]map[string]int64 `json:"counters,omitempty"`
	Stamps   map[string]int64            `json:"stamps,omitempty"`  // stamp card -> stamps held
	Coupons  map[string]CouponHeld       `json:"coupons,omitempty"` // code -> state
	LastSeen time.Time                   `json:"last_visit,omitzero"`
	AsOf     time.Time                   `json:"as_of,omitzero"` // when the centre made this snapshot
}

// Card is the state of the card that was shown.
type Card struct {
	Type string `json:"type,omitempty"`
	// Ref is a short pseudonym of the card, by which limits per card tell the
	// cards of a member apart; empty when she was known without one.
	Ref    string `json:"ref,omitempty"`
	Status string `json:"status,omitempty"` // active (also when empty), inactive: earns but cannot spend, blocked, lost
}

// Balance is one wallet of a member.
type Balance struct {
	Active   Points `json:"active"`             // may be spent now
	Pending  Points `json:"pending,omitempty"`  // earned, not yet active
	Expiring Points `json:"expiring,omitempty"` // part of Active that ends at ExpiresOn
	Expires  string `json:"expires_on,omitempty"`
	// Reserved is not in Active: points on leases of stores that cannot be
	// asked now to give them back. ReservedAt names the stores: "A, B".
	Reserved   Points `json:"reserved,omitempty"`
	ReservedAt string `json:"reserved_at,omitempty"`
}

// CouponHeld is a coupon that belongs to a member or was issued to anyone.
type CouponHeld struct {
	Rule string `json:"rule"`
	Uses int64  `json:"uses"` // left
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}
