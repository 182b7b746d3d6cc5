package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
)

// CommandStore tells a till the tills of its store; Args is a StoreRoster.
const CommandStore = "store"

// StoreRoster is the tills of a store as the centre vouches for them, and
// which of them keeps the store's leases. A newer one replaces it whole.
type StoreRoster struct {
	Store  string      `json:"store"`
	Term   uint64      `json:"term"`   // of the keeper; grows with every appointment
	Keeper string      `json:"keeper"` // device; empty: none
	Tills  []StoreTill `json:"tills"`
}

// StoreTill is one till of a store.
type StoreTill struct {
	Device string            `json:"device"`
	Epoch  uint32            `json:"epoch"`
	Till   string            `json:"till"`
	Key    ed25519.PublicKey `json:"key"`
}

// MostStoreTills bounds a roster.
const MostStoreTills = 500

// Check tells whether a roster can be meant.
func (r *StoreRoster) Check() error {
	if len(r.Tills) > MostStoreTills {
		return fmt.Errorf("roster of %d tills: %w", len(r.Tills), ErrTooLarge)
	}
	seen := map[string]bool{}
	for _, t := range r.Tills {
		if !ValidDevice(t.Device) || len(t.Key) != ed25519.PublicKeySize || t.Epoch == 0 || seen[t.Device] {
			return fmt.Errorf("roster with till %.40q: %w", t.Device, ErrMalformed)
		}
		seen[t.Device] = true
	}
	return nil
}

// Till finds a till of the roster; nil when it is not there.
func (r *StoreRoster) Till(device string) *StoreTill {
	if r != nil {
		for i := range r.Tills {
			if r.Tills[i].Device == device {
				return &r.Tills[i]
			}
		}
	}
	return nil
}

// Words between the tills of a store; see PROTOCOL.md, section 8.

// KeeperHold asks the keeper to hold points out of its leases for a receipt of
// the asking till.
type KeeperHold struct {
	Hold    string `json:"hold"`
	Member  string `json:"member"`
	Wallet  string `json:"wallet"`
	Points  string `json:"points"`
	Receipt string `json:"receipt"`
	Proof   string `json:"proof,omitempty"`
}

// KeeperAnswer has the voucher, or why there is none and what there is.
type KeeperAnswer struct {
	Voucher *Voucher          `json:"voucher,omitempty"`
	Reason  string            `json:"reason,omitempty"` // lease, void, or a limit of the rulebook
	Rest    map[string]string `json:"rest,omitempty"`   // by wallet
}

// KeeperVoid gives a hold back; one the keeper never saw is remembered.
type KeeperVoid struct {
	Hold   string `json:"hold"`
	Reason string `json:"reason,omitempty"`
}

// KeeperAsk asks what a member may spend out of the keeper's leases.
type KeeperAsk struct {
	Member string `json:"member"`
}

// StoreMove is what one record of a till changed of a member or card, for the
// other tills of the store.
type StoreMove struct {
	Seq     uint64          `json:"seq"`     // of the record, in the sender's epoch
	Subject []byte          `json:"subject"` // member or card, as the tills key it
	Delta   json.RawMessage `json:"delta"`
}

// StoreMoves are movements of one till, oldest first.
type StoreMoves struct {
	Epoch uint32      `json:"epoch"`
	Moves []StoreMove `json:"moves"`
}

// Bounds of what tills of a store tell each other in one message.
const (
	MostStoreMoves   = 200
	MostStoreMessage = 1 << 20
)
