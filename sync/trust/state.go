package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// State is what a till believes: the root it follows and how high it has seen.
// It is a value to be kept on disk; see [State.Bytes].
type State struct {
	signed *Signed
	root   *Root
	seen   map[Role]Seen
	force  map[Role]Force
}

// Seen is the highest version that was taken in a role.
type Seen struct {
	Version int64  `json:"version"`
	Hash    string `json:"hash,omitempty"` // of the content
}

// Force is what was taken last in a role and by which keys. It is kept when
// Seen is forgotten: what is in force is still theirs.
type Force struct {
	Seen
	By []string `json:"by"`
}

// stored is State on disk.
type stored struct {
	Root  *Signed        `json:"root"`
	Seen  map[Role]Seen  `json:"seen,omitempty"`
	Force map[Role]Force `json:"in_force,omitempty"`
}

// Begin makes the state of a till that knows nothing yet. The root must be
// signed as it asks itself; that it is the right one rests on the way it came
// (enrolment over a channel whose authority the code names).
func Begin(signedRoot []byte) (*State, error) {
	s, r, err := selfSigned(signedRoot)
	if err != nil {
		return nil, err
	}
	return &State{signed: s, root: r, seen: map[Role]Seen{}, force: map[Role]Force{}}, nil
}

func selfSigned(b []byte) (*Signed, *Root, error) {
	s, err := ParseSigned(b)
	if err != nil {
		return nil, nil, fmt.Errorf("root: %w", err)
	}
	if s.Kind != RoleRoot {
		return nil, nil, fmt.Errorf("a %s is not a root: %w", s.Kind, ErrMalformed)
	}
	r, err := ParseRoot(s.Payload)
	if err != nil {
		return nil, nil, err
	}
	if err := r.Verify(RoleRoot, s.message(), s.Signatures); err != nil {
		return nil, nil, fmt.Errorf("root %d: %w", r.Version, err)
	}
	return s, r, nil
}

// Load reads a state that was stored. It was verified when it came and is
// verified again: a disk may have changed it.
func Load(b []byte) (*State, error) {
	var d stored
	if len(b) > 2*maxSigned {
		return nil, fmt.Errorf("trust state of %d bytes: %w", len(b), ErrMalformed)
	}
	if err := strict(b, &d); err != nil {
		return nil, fmt.Errorf("trust state: %w", err)
	}
	if d.Root == nil {
		return nil, fmt.Errorf("trust state without a root: %w", ErrMalformed)
	}
	st, err := Begin(d.Root.Bytes())
	if err != nil {
		return nil, fmt.Errorf("trust state: %w", err)
	}
	for role, s := range d.Seen {
		if s.Version < 0 || !slices.Contains(Roles, role) {
			return nil, fmt.Errorf("trust state: role %.20q version %d: %w", role, s.Version, ErrMalformed)
		}
		st.seen[role] = s
	}
	for role, f := range d.Force {
		if f.Version < 0 || !slices.Contains(Roles, role) || len(f.By) > maxSignatures {
			return nil, fmt.Errorf("trust state: role %.20q version %d: %w", role, f.Version, ErrMalformed)
		}
		st.force[role] = f
	}
	return st, nil
}

// Bytes is what to store.
func (s *State) Bytes() []byte {
	b, err := json.MarshalIndent(stored{s.signed, s.seen, s.force}, "", "  ")
	if err != nil { // only strings, numbers and bytes
		panic(err)
	}
	return append(b, '\n')
}

// Root is the root that is followed. It must not be changed.
func (s *State) Root() *Root { return s.root }

// SignedRoot is the root as it came.
func (s *State) SignedRoot() []byte { return s.signed.Bytes() }

// Seen tells the highest version taken in a role; 0: none.
func (s *State) Seen(role Role) int64 { return s.seen[role].Version }

// Follow takes the next root: exactly one version up, signed as the present
// root asks and as it asks itself, for the same tenant. The present root may
// have expired, the next must not. It returns the roles that have lost a key;
// how high the till had seen in those is forgotten.
//
// A root that is known already is no error and changes nothing.
func (s *State) Follow(signedRoot []byte, now time.Time) (forgot []Role, err error) {
	next, r, err := selfSigned(signedRoot)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Version == s.root.Version && string(next.Payload) == string(s.signed.Payload):
		return nil, nil
	case r.Version != s.root.Version+1:
		return nil, fmt.Errorf("root %d after %d: %w", r.Version, s.root.Version, ErrVersion)
	case r.Tenant != s.root.Tenant:
		return nil, fmt.Errorf("root %d for %.40q: %w", r.Version, r.Tenant, ErrTenant)
	}
	if err := s.root.Verify(RoleRoot, next.message(), next.Signatures); err != nil {
		return nil, fmt.Errorf("root %d by the keys of root %d: %w", r.Version, s.root.Version, err)
	}
	if err := r.expired(now); err != nil {
		return nil, fmt.Errorf("root %d: %w", r.Version, err)
	}
	for role, d := range s.root.Roles {
		lost := slices.ContainsFunc(d.Keys, func(id string) bool { return !slices.Contains(r.Roles[role].Keys, id) })
		if lost && role != RoleRoot {
			delete(s.seen, role)
			forgot = append(forgot, role)
		}
	}
	slices.Sort(forgot)
	s.signed, s.root = next, r
	return forgot, nil
}

// floor is the version a document of a role must reach, and the hash it must
// have when it only reaches it.
func (s *State) floor(role Role) Seen {
	seen := s.seen[role]
	if from := s.root.Roles[role].From; from > seen.Version {
		return Seen{Version: from}
	}
	return seen
}

// newer tells whether a version may be taken: above what was seen, or the very
// same thing again.
func (s *State) newer(role Role, version int64, hash string) error {
	f := s.floor(role)
	if version < f.Version || version == f.Version && f.Hash != "" && hash != f.Hash {
		return fmt.Errorf("%s version %d, seen %d: %w", role, version, f.Version, ErrVersion)
	}
	return nil
}

// current tells whether the root itself is still good for taking anything new.
func (s *State) current(now time.Time) error {
	if err := s.root.expired(now); err != nil {
		return fmt.Errorf("root %d: %w", s.root.Version, err)
	}
	return nil
}

// Releases tells whether a list may be believed at this time, and
// gives it. It remembers nothing: see [State.AcceptReleases].
func (s *State) Releases(signed []byte, now time.Time) (*Releases, error) {
	doc, err := ParseSigned(signed)
	if err != nil {
		return nil, fmt.Errorf("release list: %w", err)
	}
	if doc.Kind != RoleRelease {
		return nil, fmt.Errorf("a %s is not a release list: %w", doc.Kind, ErrMalformed)
	}
	if err := s.root.Verify(RoleRelease, doc.message(), doc.Signatures); err != nil {
		return nil, fmt.Errorf("release list: %w", err)
	}
	l, err := ParseReleases(doc.Payload)
	if err != nil {
		return nil, err
	}
	if l.Tenant != "" && l.Tenant != s.root.Tenant {
		return nil, fmt.Errorf("release list %d for %q: %w", l.Version, l.Tenant, ErrTenant)
	}
	l.By = s.root.signers(RoleRelease, doc.message(), doc.Signatures)
	if err := s.newer(RoleRelease, l.Version, l.Hash); err != nil {
		return nil, err
	}
	if err := l.expired(now); err != nil {
		return nil, fmt.Errorf("release list %d: %w", l.Version, err)
	}
	return l, s.current(now)
}

// Bundle tells whether a rulebook may replace what is in force. It looks at
// signatures, tenant, version, expiry and stores; what is in it is for the
// engine to judge.
func (s *State) Bundle(b *wire.Bundle, store string, now time.Time) error {
	if err := s.Signed(b); err != nil {
		return err
	}
	if b.Tenant != s.root.Tenant {
		return fmt.Errorf("rulebook %d for %.40q: %w", b.Version, b.Tenant, ErrTenant)
	}
	if err := s.newer(RoleRulebook, b.Version, hashOf(b.Payload)); err != nil {
		return err
	}
	if !b.NotAfter.IsZero() && !now.IsZero() && now.After(b.NotAfter) {
		return fmt.Errorf("rulebook %d ended %s: %w", b.Version, b.NotAfter.UTC().Format(time.DateOnly), ErrExpired)
	}
	if len(b.Stores) > 0 && !slices.Contains(b.Stores, store) {
		return fmt.Errorf("rulebook %d, store %q: %w", b.Version, store, ErrScope)
	}
	return s.current(now)
}

// Signed tells whether the keys that count now signed a rulebook.
func (s *State) Signed(b *wire.Bundle) error {
	msg, err := b.SignedBytes()
	if err != nil {
		return fmt.Errorf("rulebook: %w: %w", ErrMalformed, err)
	}
	if err := s.root.Verify(RoleRulebook, msg, b.Signatures); err != nil {
		return fmt.Errorf("rulebook %d: %w", b.Version, err)
	}
	return nil
}

// Disowned tells whether what was taken in a role must go: all keys that vouched
// for it are revoked. A key that was only replaced has not lied; what it signed
// stays until something newer comes.
func (s *State) Disowned(role Role) bool {
	by := s.force[role].By
	return len(by) > 0 && !slices.ContainsFunc(by, func(id string) bool { return !slices.Contains(s.root.Revoked, id) })
}

// InForce tells whether a rulebook is the very one that was taken last: what
// lies on a till's disk is believed again after a restart, even when its keys
// have been replaced since.
func (s *State) InForce(b *wire.Bundle) bool {
	f := s.force[RoleRulebook]
	return f.Version > 0 && f.Version == b.Version && f.Hash == hashOf(b.Payload)
}

// AcceptReleases remembers that a list was taken, so that none below it ever is.
func (s *State) AcceptReleases(l *Releases) {
	s.accept(RoleRelease, Force{Seen{l.Version, l.Hash}, l.By})
}

// AcceptBundle remembers that a rulebook was taken, so that none below it ever
// is. The bundle must have passed [State.Bundle] or [State.Signed].
func (s *State) AcceptBundle(b *wire.Bundle) {
	msg, err := b.SignedBytes()
	if err != nil {
		return
	}
	s.accept(RoleRulebook, Force{Seen{b.Version, hashOf(b.Payload)}, s.root.signers(RoleRulebook, msg, b.Signatures)})
}

func (s *State) accept(role Role, f Force) {
	s.force[role] = f
	if f.Version >= s.seen[role].Version {
		s.seen[role] = f.Seen
	}
}
