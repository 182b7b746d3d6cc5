// Package wire is the language that a till and the centre speak to each other.
//
// # The idea
//
// A till writes down what happened in a journal, one record after the other.
// A record is a piece of JSON whose stored bytes never change again: they are
// hashed, sent, and stored at the centre exactly as they lie on the till's
// disk. Every record carries the hash of the one before it, so a journal is a
// chain, and two ends that agree on one hash agree on everything before it.
//
//	till's journal      #1 <- #2 <- #3 <- #4 <- #5        (seq, gapless)
//	                     └──── acked ────┘   └ to send ┘
//	centre's watermark               (device, epoch, 3, hash of #3)
//
// That makes the protocol small. Up goes "records from seq N", down comes "I
// have everything up to seq N with this hash". Repeats are recognised by seq,
// gaps by seq, tampering and cloned tills by hash. Nothing depends on time.
//
// # Words
//
//   - device: one agent beside one till; it has an Ed25519 key made on it.
//   - epoch: the incarnation of a device. A new one starts when the device is
//     enrolled again or its store was restored; its journal starts at seq 1.
//   - seq: 1, 2, 3, … without gaps for one (device, epoch).
//   - [Record]: one entry of the journal; [Encode] makes its only valid bytes.
//   - frame: one message of a session; small ones are JSON text messages,
//     those that carry many records or items are packed binary messages.
//   - lane: one of the streams from the centre down to a till, each with its
//     own cursor; urgent things never wait behind bulk.
//   - [Bundle]: a rulebook with signatures.
//   - [Ref]: the keyed hash of a card or phone number; the number itself is
//     never in a record, a frame or a log.
//
// # A session
//
//	till                                   centre
//	 |  <---------------- CHALLENGE {nonce}   |
//	 |  HELLO {seq, hash, cursors} signed ->  |
//	 |  <-- WELCOME {acked seq, hash} or REFUSE
//	 |  PUSH {records from acked+1} ------->  |   at most 4 unanswered
//	 |  <---------------- ACK {seq, hash}     |   after the centre's commit
//	 |  <---------------- FEED {lane, items}  |
//	 |  FEEDACK {lane, cursor} ------------>  |   after the till's commit
//	 |  ASK {id, what} -------------------->  |
//	 |  <---------------- ANSWER {id, …}      |
//
// PROTOCOL.md in this folder is the complete description for somebody who
// writes another client; testdata/vectors are its cases, run by the tests.
//
// The package does no I/O, keeps no state and imports nothing of ours. All
// its functions are safe for concurrent use.
package wire

// Version is the protocol version this program speaks. A peer names the
// range it can speak; the highest common version is used.
//
// History:
//
//	1  first version: canonical JSON records, SHA-256 chain, zstd batches,
//	   lanes urgent/lease/rulebook/member/command, ask and answer, TIME.
const (
	Version    = 1
	MinVersion = 1
)
