// Package fleet knows the tills: where they stand, which devices speak for
// them, and who may become one.
//
//	till        a place: store and till number. It outlives its devices.
//	enrolment   a one-time code for one place, told to the technician.
//	device      one agent with a key made on the machine; it speaks for its till
//	            until it is revoked or another device is enrolled in its place.
//
// A code has 60 bits. Its first four characters find it; the other eight are
// stored as a salted hash only and may be wrong five times. A code lasts 24
// hours and works once. Whoever guesses has to hit a code that is open, and
// then has 5 tries of 2^40.
//
// A device's watermark (epoch, acked_seq, acked_hash) is written by the ledger
// in the transaction that books the records; this package only reads it.
package fleet
