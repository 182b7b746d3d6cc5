// Package hub is the centre's end of the sessions with the tills.
//
// # The idea
//
// A [Hub] speaks the protocol of sync/wire; what is stored where is the
// [Backend]'s business. The hub proves who is there, that the journal goes on
// where the centre's copy ends, and that nothing else writes under the same
// name; then it hands whole batches to the backend and says "I have it" only
// after the backend has it durably.
//
//	HTTP handler ── upgrade, return ──> session
//	                                     ├ reads frames, one goroutine
//	                                     ├ ingests batches, while there are any
//	                                     └ writes: acks, answers, then lanes by urgency
//
// The connection leaves the HTTP handler: an idle till costs one goroutine
// that reads; writers are started when there is something to write, and write
// buffers are shared between all.
//
// # Promises
//
//   - An ACK is sent after the commit of everything it covers.
//   - A (device, epoch, seq) reaches the backend's ledger once: repeats end
//     here, and the backend's watermark is the last judge.
//   - The same seq with another hash is never stored over the first. It is an
//     alarm; the device is quarantined and may only bring its journal.
//   - No till can make the hub use more than a fixed amount of memory.
package hub
