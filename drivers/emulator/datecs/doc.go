// Package datecs is the device's side of the Datecs protocol in both forms: a
// fiscal printer with its receipts, its day, its status bits, its memory of the
// last answer, and faults on command.
//
// It follows the protocol, not our driver: a broken frame is answered with 15h,
// a frame with the sequence number and command of the one before gets the same
// answer again and is not carried out again, work that takes long is bridged
// with 16h every 60 ms. An ISL device says why it refused by its status bits
// alone, a PM device by a number as well. With no paper a command that prints is
// refused by bit 2.0 (ISL) or -100403 (PM).
//
// A power cut empties the memory of the last answer and ends a slip; a fiscal
// receipt stays open. Where the documents say nothing, the answers to 30h, 38h
// and 4Ch are those that open hosts read: counters with a comma, amounts in
// cents; PM amounts with a point.
package datecs
