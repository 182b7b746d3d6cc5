// Package uplink is the till's end of the session with the centre.
//
// # The idea
//
// A [Session] keeps trying. It dials, proves the device's identity, learns
// what the centre has of the journal, sends what is missing, and takes what
// the centre has for this till. When the connection breaks it waits a random
// time and starts again from what both ends have on disk; nothing is resumed
// from memory.
//
//	Waiting ── jitter over ──> Connecting ── WELCOME ──> Online
//	   ^                            │                      │
//	   └────────── error ───────────┴──────── error ───────┘
//
// The till never waits for it: a sale is finished when its record is in the
// journal. Only [Session.Ask] has a customer waiting, and it has a budget.
//
// # Promises
//
//   - Records are sent in order, and sent again until they are acknowledged;
//     the acknowledgement is stored in the journal.
//   - What comes down is handed to the [Applier], one Feed at a time, each
//     lane with its own cursor in the Applier's own transaction.
//   - A half-open connection is noticed within [Timing].ReadLimit.
//   - Nothing the centre sends makes the till use more than a fixed amount of
//     memory, or stop selling.
package uplink
