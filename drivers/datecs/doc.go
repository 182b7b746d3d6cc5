// Package datecs drives Datecs fiscal printers and cash registers, and the
// cousins that copied their protocol, over both of its forms:
//
//   - ISL, the old one (FP-800, FP-2000, FP-650, DP-25, FMP-10; Daisy, Eltrade,
//     Incotex): one byte of length, one byte of command, six status bytes, data
//     with commas.
//   - PM or X, the new one (FP-700X, FMP-350X, WP-500X, DP-150X): length and
//     command in four characters each, eight status bytes, every field of the
//     data ended by a TAB, the first field of an answer an error code.
//
// Both stand in the same envelope:
//
//	01 LEN SEQ CMD data 05 B B B B 03             host
//	01 LEN SEQ CMD data 04 status 05 B B B B 03   device
//
// The check is the sum of the bytes from LEN to 05, as four nibbles with 30h
// added. Those are not hexadecimal digits: ten is ':', not 'A'.
//
// # The conversation
//
// The device answers within 60 ms: with the answer, with 15h (the frame came
// broken, send it again), or with 16h, which it repeats every 60 ms while it is
// at work. After 500 ms without a byte the host sends the same frame again.
//
// # Nothing twice
//
// Each new command has a new SEQ. A frame with the SEQ and command of the one
// before is a repeat: the device gives its last answer again and does nothing.
// So after a lost answer, and also after the line was gone and is back, the
// driver sends the frame it lost, with its SEQ, before anything else. A device
// that was switched off in between may have forgotten its last answer; the
// status bits in the answer, and command 4Ch, which counts the sales and adds
// up the receipt, then tell whether the work was done once or twice.
//
// # Loyalty lines
//
// Text goes into the open fiscal receipt with 36h, after the first sale and
// before the close; a slip of its own is 26h, 2Ah, 27h.
package datecs
