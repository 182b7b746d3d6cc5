// Package shtrih drives fiscal registers that speak the Shtrih-M host protocol:
// SHTRIH-FR-K, -M, -LIGHT, -MINI, RETAIL-01K, Yarus, NEVA, Elves and kin.
//
// # The link
//
// The host is the master. Each command is a frame, each answer is a frame, and
// the register keeps an answer until the host has acknowledged it:
//
//	host  ENQ        CMD frame              ACK
//	reg        NAK              ACK  answer
//
// NAK to ENQ means "idle". ACK to ENQ means "an answer of before is here": read
// it first. That is the whole protection against printing twice: after any
// trouble the driver sends ENQ before anything else. ACK and the kept answer
// tell that the command was carried out, and how; NAK tells that the register
// never took it, so that it may be sent again.
//
// One case is left: the register was off in between and has lost the kept
// answer. When the line was away, or ENQ went unanswered for long, NAK proves
// nothing. Fiscal commands are then settled by the counters of the short status
// (mode, operations in the receipt); a line of text leaves no trace anywhere,
// and the driver says drivers.Uncertain.
//
// The alternative framing (8Fh, 16-bit length, CRC) numbers its requests and
// repeats the last answer when a number is repeated, which serves the same
// purpose.
//
// # The register
//
// Every printing command is preceded by the short status 10h: the submode says
// whether there is paper (0), whether the printer waits for "continue" B0h
// after a paper break (3), or is still printing (4, 5). Text lines go out by
// 17h, also inside an open receipt; newer models take loyalty text as a
// requisite by E4h. Two generations of sale commands are in use: 80h-85h, and
// FF46h/FF45h of registers with fiscal storage.
//
// Texts are Windows-1251. Numbers are little-endian, money in kopecks.
//
// Where independent drivers disagree, this one follows the maker: the tax
// number is little-endian, flag bits count from bit 0, and text is sent without
// padding unless the model's file asks for the fixed 40 bytes of old firmware.
// Refusals of two-byte commands are understood with one or two command bytes.
package shtrih
