// Package ledger keeps the points: who has how many, and why.
//
// # Double entry
//
// Every member has, per wallet, these accounts. An entry moves points from
// one account of a wallet to another and is never changed or removed; a
// correction is a new entry.
//
//	           earn                    hold          commit
//	issued ──────────> available ────────────> held ────────> spent
//	  │  earn                ^  ^     release │                 │
//	  └───> pending ─────────┘  └─────────────┘<────give back───┘
//	          activate       │
//	                         └── expire ──> expired       lost ──> spent
//
// issued and lost are sources: they go below zero by what the shop has given.
// The sum of all accounts of a wallet is zero at every instant, which says
//
//	available + pending + held + leased + spent + expired = issued + lost   (I1)
//
// and the accounts that hold a member's points never go below zero (I2). Both
// are also checks of the database itself, so that not even a wrong program
// can store anything else.
//
// lost is what the shop bears: a spend nobody granted, a return of points that
// were spent meanwhile. A member never goes below zero for it.
//
// # Once
//
// A till's records arrive in order per (device, epoch). One watermark per
// device (epoch, seq, hash) moves in the same transaction as the entries, so
// a record is applied exactly once however often it is sent; the same seq
// with another hash is a fork and changes nothing. Several tills' batches
// share one transaction when they arrive together (see Ingester).
//
// # What cannot be applied
//
//   - malformed or absurd (negative points, sums that do not add up): parked,
//     kept in the journal, listed, never blocking what follows;
//   - a card nobody knows: kept as unclaimed and credited by Claim when the
//     card becomes known;
//   - a return whose sale has not arrived from the other till: waiting, and
//     applied right after the sale;
//   - a void of a hold the centre has not seen: remembered by its id, so that
//     the hold is refused when it comes late.
//
// # Chains instead of indexes
//
// An index on the member would cost every entry five times its own price (see
// package db), so each entry names the one before it of the same member and
// wallet, and the balance names the last. Reading a member's journal walks
// that chain. The same holds for receipts.
//
// Points with a day to become active or to end are kept as lots beside the
// accounts. Spending takes from the lot that ends first. Only the centre
// decides that a day has come (RunDay).
package ledger
