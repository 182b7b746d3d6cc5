// Package trust decides which rulebooks and programs a till may believe.
//
// # The idea
//
// The centre carries rulebooks and programs to the tills, but it is not the
// one who vouches for them: somebody who has taken the centre over can hold
// things back, yet cannot make a till run a rule or a program of theirs. What
// vouches are keys that lie elsewhere, and one document that says which:
//
//	root (offline key)  ──says──>  rulebook: keys A, B; one signature is enough
//	       │                       release:  keys C, D, E; two signatures
//	       └── signs the next root, which may name other keys of every kind
//
// A till gets its first root when it is enrolled. From then on it follows a
// chain: root n+1 must be signed as root n asks *and* as root n+1 itself asks,
// so no key can be brought in by anybody who does not hold the old ones.
//
//	root.json --Begin--> State --Root(next)--> State
//	                       ├── Bundle(rulebook bundle) ─> may it replace what is in force?
//	                       └── Releases(list)          ─> which programs may be installed?
//
// These are the ideas of The Update Framework in the form this product needs:
// two roles, no mirrors, no hash tree. Its Go library was tried and would make
// the till's program 4.9 MB larger (13.0 to 17.9 MB, go-tuf 2.4.2, by ls -l of both
// builds) and its resting memory 3.4 MiB: it brings protobuf and sigstore.
//
// # What is checked, always all of it
//
//   - signature: as many different keys of the role as its threshold says;
//   - tenant: another chain's documents are not ours, even with the same vendor
//     key (a release list alone may leave the tenant empty: good for all);
//   - version: never lower than one seen before, and the same number never with
//     other content; "go back" is a new, higher version with old content;
//   - expiry: nothing is newly taken after its end. What is in force stays in
//     force, because a till must go on selling. Callers give the zero time while
//     their clock is not to be trusted; then ends are not looked at;
//   - scope: for these stores only.
//
// # Leaked keys
//
// Whoever steals a role's key can sign version 1,000,000 and so make every
// honest version look old. A root that takes the key out of the role makes the
// till forget how high it has seen; [Delegation.From] says where honest counting
// goes on, so that forgetting opens no way back to old rules. A key listed as
// revoked also takes down what it signed: see [Root.Revoked].
//
// # For the updater
//
//	st, err := trust.Load(file)                     // kept by the agent beside its identity
//	list, err := st.Releases(signed, now)           // signature, tenant, version, expiry
//	p, ok := list.Find("tillside", runtime.GOOS, runtime.GOARCH, store)
//	err = p.Verify(reader)                          // size and SHA-256 of what was downloaded
//	st.AcceptReleases(list)                         // then store st.Bytes()
//
// The package does no I/O of its own and knows no clock. A State is not safe for
// concurrent use; everything else is.
package trust
