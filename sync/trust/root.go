package trust

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tillside/tillside/sync/wire"
)

// Root says which keys count for what.
type Root struct {
	Header
	Keys  []wire.PublicKey    `json:"keys"`
	Roles map[Role]Delegation `json:"roles"`
	// Revoked are ids of keys that may have fallen into wrong hands. What only
	// they have signed is taken out of force, not only refused from now on.
	Revoked []string `json:"revoked,omitempty"`
}

// Delegation is who speaks in a role.
type Delegation struct {
	Keys      []string `json:"keys"`      // ids
	Threshold int      `json:"threshold"` // so many of them together
	// From is the lowest version that counts in this role: what a till goes by
	// after a key was taken out and it has forgotten how high it had seen.
	From int64 `json:"from,omitempty"`
}

// ParseRoot reads a root without asking who signed it.
func ParseRoot(payload []byte) (*Root, error) {
	var r Root
	if err := strict(payload, &r); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// Check tells whether the root makes sense: known roles, keys that are there,
// thresholds that can be met.
func (r *Root) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("root: "+format+": %w", append(args, ErrMalformed)...)
	}
	if err := r.Header.check(); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	if r.Tenant == "" {
		return bad("no tenant")
	}
	if len(r.Keys) > maxKeys || len(r.Revoked) > 1000 {
		return bad("%d keys, %d revoked", len(r.Keys), len(r.Revoked))
	}
	known := map[string]bool{}
	for _, k := range r.Keys {
		if len(k.Public) != ed25519.PublicKeySize || wire.KeyID(k.Public) != k.ID {
			return bad("key %.20q is not what its id says", k.ID)
		}
		if slices.Contains(r.Revoked, k.ID) {
			return bad("key %s is revoked and named", k.ID)
		}
		known[k.ID] = true
	}
	for role, d := range r.Roles {
		if !slices.Contains(Roles, role) {
			return bad("role %.20q", role)
		}
		distinct := map[string]bool{}
		for _, id := range d.Keys {
			if !known[id] {
				return bad("role %s names key %.20q, which is not there", role, id)
			}
			distinct[id] = true
		}
		if d.Threshold < 1 || d.Threshold > len(distinct) || len(distinct) != len(d.Keys) || d.From < 0 {
			return bad("role %s wants %d of %d keys", role, d.Threshold, len(distinct))
		}
	}
	for _, role := range []Role{RoleRoot, RoleRulebook} {
		if _, ok := r.Roles[role]; !ok {
			return bad("nobody is %s", role)
		}
	}
	return nil
}

// Sealed is the root as a document to sign.
func (r *Root) Sealed() (*Signed, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return &Signed{Kind: RoleRoot, Payload: b}, nil
}

// Verify tells whether enough keys of a role signed a message. One key counts
// once, however many signatures it gave.
func (r *Root) Verify(role Role, message []byte, sigs []wire.Signature) error {
	d, ok := r.Roles[role]
	if !ok {
		return fmt.Errorf("nobody is %s: %w", role, ErrSignature)
	}
	if len(sigs) > maxSignatures {
		return fmt.Errorf("%d signatures: %w", len(sigs), ErrMalformed)
	}
	if n := len(r.signers(role, message, sigs)); n < d.Threshold {
		return fmt.Errorf("%d of %d: %w", n, d.Threshold, ErrSignature)
	}
	return nil
}

// signers gives the ids of the role's keys that signed a message.
func (r *Root) signers(role Role, message []byte, sigs []wire.Signature) []string {
	var good []string
	for _, s := range sigs {
		if slices.Contains(good, s.Key) || !slices.Contains(r.Roles[role].Keys, s.Key) {
			continue
		}
		if i := slices.IndexFunc(r.Keys, func(k wire.PublicKey) bool { return k.ID == s.Key }); i >= 0 && ed25519.Verify(r.Keys[i].Public, message, s.Sig) {
			good = append(good, s.Key)
		}
	}
	return good
}

// Named gives the public keys of a role.
func (r *Root) Named(role Role) []wire.PublicKey {
	var list []wire.PublicKey
	for _, k := range r.Keys {
		if slices.Contains(r.Roles[role].Keys, k.ID) {
			list = append(list, k)
		}
	}
	return list
}

// Next copies the root for its keyholder to change: the version is one up.
func (r *Root) Next() *Root {
	n := *r
	n.Version++
	n.Keys, n.Revoked = slices.Clone(r.Keys), slices.Clone(r.Revoked)
	n.Roles = map[Role]Delegation{}
	for role, d := range r.Roles {
		d.Keys = slices.Clone(d.Keys)
		n.Roles[role] = d
	}
	return &n
}

// Add gives a key a role.
func (r *Root) Add(role Role, pub ed25519.PublicKey) {
	id := wire.KeyID(pub)
	if !slices.ContainsFunc(r.Keys, func(k wire.PublicKey) bool { return k.ID == id }) {
		r.Keys = append(r.Keys, wire.PublicKey{ID: id, Public: pub})
	}
	if r.Roles == nil {
		r.Roles = map[Role]Delegation{}
	}
	d := r.Roles[role]
	if !slices.Contains(d.Keys, id) {
		d.Keys = append(d.Keys, id)
	}
	d.Threshold = max(d.Threshold, 1)
	r.Roles[role] = d
}

// Remove takes a role from a key, and the key out when it has none left.
func (r *Root) Remove(role Role, id string) {
	is := func(s string) bool { return s == id }
	d := r.Roles[role]
	d.Keys = slices.DeleteFunc(d.Keys, is)
	r.Roles[role] = d
	for _, d := range r.Roles {
		if slices.ContainsFunc(d.Keys, is) {
			return
		}
	}
	r.Keys = slices.DeleteFunc(r.Keys, func(k wire.PublicKey) bool { return k.ID == id })
}
