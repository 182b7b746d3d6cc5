// Package outbox keeps a till's journal until the centre has it, and for five
// weeks after that.
//
// # The idea
//
// Whatever a till does is one transaction in one bbolt file: the business
// state, the answer that was given to the cash software, and the journal
// record about it. [Box.Append] writes the record inside the caller's
// transaction, so either all of it is on disk or none. The journal is the
// outbox: there is no second queue that could disagree with it.
//
//	tx := db.Update(…)            caller's transaction
//	 ├ receipts, answers, …       caller's buckets
//	 └ box.Append(tx, entry)      seq = last+1, prev = hash of last
//	                  │ commit
//	                  ▼
//	box.Read(after, …) ──> uplink ──> centre ──> box.Ack(seq, hash)
//	                                                  │ 35 days later
//	                                             box.Prune
//
// # Promises
//
//   - seq is gapless for one (device, epoch), and each record carries the
//     hash of the one before it. [Box.Verify] proves it; [Box.Read] checks
//     every record it hands out.
//   - A record leaves the journal only when the centre has confirmed it and
//     the retention time has passed, whichever is later. Retention is
//     counted in days on which the till worked as well as by the calendar,
//     so a clock that jumps ten years ahead removes nothing.
//   - A record the centre could not apply is parked: kept, counted, shown.
//   - Nothing here waits for the network.
//
// # When a commit fails
//
// An error from a commit means that nobody knows whether the transaction is
// on disk. The Box keeps no state of its own that could be wrong then: every
// call reads the head from the file. The caller must close the file, open it
// again, open a new Box, and look.
//
// A Box is safe for concurrent use.
package outbox
