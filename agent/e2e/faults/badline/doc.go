// Package badline is a cable between two networks of this machine that can be
// as bad as a real one: it loses, delays and slows down packets, swallows
// those of one direction without a word, or forgets the connections that go
// over it, as a router does whose table was cleared.
//
// # How
//
// Each end is a network namespace with one tunnel device. What a program
// there sends comes to us as IP packets, and we hand them over to the other
// end, or not:
//
//	namespace A ── tun ──> this process ──> tun ── namespace B
//	   till                 loss, delay,               centre
//	                        rate, silence
//
// So TCP itself sees the bad line: it retransmits, backs off, waits for ever
// on a half-open connection. A proxy that forwards streams cannot show that.
// Kernels have queueing disciplines for it, but not every kernel has them
// built in, and none of them forgets connections.
//
// It needs root, and is for Linux.
package badline
