// Package store keeps what an agent must not forget, in two bbolt files of
// one folder:
//
//	journal.db  precious: receipts and their states, idempotency answers, the
//	            journal of records for the centre (sync/outbox), and what this
//	            till changed of each member since the last snapshot
//	            (also: what limits have used, and the till's quotas of budgets)
//	cache.db    rebuildable: member snapshots, stop-list, rulebook bundles and
//	            how far the centre's stream of them was read
//	persons.keys  one key a member, for what tells the person in cache.db; to
//	            forget somebody is to overwrite it (see [PersonsFile])
//
// so that one is never at the mercy of the other.
//
// # Promises
//
//   - Journal.Update is one transaction: when it returns nil, everything fn
//     did is on disk; when it returns an error, nothing of it is, except that
//     an error wrapping ErrOutcomeUnknown says nobody knows: the file was
//     closed and opened again, and the caller reads what is there.
//   - Nothing that comes from bbolt leaves a transaction uncopied.
//   - A second agent on the same folder gets ErrInUse.
//   - A damaged cache is set aside and begun anew; the centre sends all of it
//     again. A damaged journal is set aside whole, never deleted, and told
//     (Report); work goes on with an empty one in a new epoch.
//   - Files are made under another name and renamed when complete, because
//     bbolt can leave a file that panics when the power goes during its very
//     first write.
//
// # The member cache
//
// One member is some 50 bytes: a version, a bit per optional field, then
// numbers as variable-length integers and words of the programme (tiers,
// wallets, segments, counters) as numbers of a small dictionary. The key is
// the first 8 bytes of the card reference, so a look-up is one bbolt Get and
// the card number itself is nowhere on the disk.
package store
