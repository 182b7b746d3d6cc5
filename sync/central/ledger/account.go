package ledger

import (
	"errors"
	"fmt"
	"math"

	"github.com/tillside/tillside/agent/loyalty"
)

// Account names one of the accounts of a member's wallet.
type Account string

// The accounts. issued and lost are sources and hold negative amounts.
const (
	Available Account = "available" // may be spent
	Pending   Account = "pending"   // earned, not yet active
	Held      Account = "held"      // kept for a receipt that is not closed
	Leased    Account = "leased"    // right to spend handed to a till
	Spent     Account = "spent"
	Expired   Account = "expired"
	Issued    Account = "issued" // where earned points come from
	Lost      Account = "lost"   // what the shop bears
)

// Kind says why points moved.
type Kind string

// Kinds of entries.
const (
	Earn     Kind = "earn"     // a receipt or event gave points
	Activate Kind = "activate" // pending points became active
	HoldKind Kind = "hold"     // kept for a receipt
	Release  Kind = "release"  // no longer kept
	Spend    Kind = "spend"    // used on a receipt
	TakeBack Kind = "reverse"  // earned points taken back by a return or void
	GiveBack Kind = "restore"  // spent points given back by a return or void
	Expire   Kind = "expire"   // their last day has passed
	Adjust   Kind = "adjust"   // opening balance, goodwill, correction by a person
)

// ErrShort is returned when an account does not hold what should leave it.
var ErrShort = errors.New("not enough points")

// Balance is one wallet of one member: the accounts, and the last entry of
// the chain.
type Balance struct {
	Available loyalty.Points `json:"available"`
	Pending   loyalty.Points `json:"pending"`
	Held      loyalty.Points `json:"held"`
	Leased    loyalty.Points `json:"leased"`
	Spent     loyalty.Points `json:"spent"`
	Expired   loyalty.Points `json:"expired"`
	Issued    loyalty.Points `json:"issued"`
	Lost      loyalty.Points `json:"lost"`

	last int64
}

func (b *Balance) account(a Account) *loyalty.Points {
	switch a {
	case Available:
		return &b.Available
	case Pending:
		return &b.Pending
	case Held:
		return &b.Held
	case Leased:
		return &b.Leased
	case Spent:
		return &b.Spent
	case Expired:
		return &b.Expired
	case Issued:
		return &b.Issued
	case Lost:
		return &b.Lost
	}
	return nil
}

// source tells whether an account may go below zero.
func (a Account) source() bool { return a == Issued || a == Lost }

// MostPoints bounds a single movement: far above any real one, far below
// where sums of many could leave the range.
const MostPoints loyalty.Points = 1e13

// move takes points from one account to another, or changes nothing.
func (b *Balance) move(from, to Account, points loyalty.Points) error {
	if points <= 0 || points > MostPoints {
		return fmt.Errorf("move of %s points: %w", points, loyalty.ErrOverflow)
	}
	f, t := b.account(from), b.account(to)
	if f == nil || t == nil || f == t {
		return fmt.Errorf("move from %q to %q: no such accounts", from, to)
	}
	if !from.source() && *f < points {
		return fmt.Errorf("%s points from %s, which has %s: %w", points, from, *f, ErrShort)
	}
	if *f < math.MinInt64+points || *t > math.MaxInt64-points {
		return loyalty.ErrOverflow
	}
	*f -= points
	*t += points
	return nil
}

// huge tells whether another record could take an account out of range.
func (b *Balance) huge() bool {
	const most = math.MaxInt64 / 4
	return b.Issued < -most || b.Lost < -most || b.Spent > most || b.Expired > most
}

// sum is zero in a sound balance.
func (b *Balance) sum() loyalty.Points {
	return b.Available + b.Pending + b.Held + b.Leased + b.Spent + b.Expired + b.Issued + b.Lost
}

// sound tells what is wrong with a balance by itself, or "".
func (b *Balance) sound() string {
	switch {
	case b.sum() != 0:
		return fmt.Sprintf("accounts add up to %s instead of zero (I1)", b.sum())
	case b.Available < 0, b.Pending < 0, b.Held < 0, b.Leased < 0:
		return "an account is below zero (I2)"
	case b.Spent < 0, b.Expired < 0:
		return "more came back than ever left"
	}
	return ""
}
