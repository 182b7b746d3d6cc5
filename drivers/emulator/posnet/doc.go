// Package posnet is the device's side of the POSNET protocol: a printer with a
// fiscal memory, a roll of paper, a memory of its last answers, and faults on
// command.
//
// It follows the protocol, not our driver. A frame with a wrong check is ERR ?5,
// an unknown mnemonic ERR ?1, a command in the wrong state its own number. With
// no paper a command stays unanswered until paper is back, while !sdev and !sprn
// are answered at once. It keeps its last 32 answers, up to 1 KiB of them, and
// gives one again to "rpt" with its token; a power cut empties that memory.
//
// Where the maker's text leaves something open the emulator does this: refused
// commands are kept for rpt like others; a receipt outlives a power cut, a form
// does not; after a cancelled receipt strns gives zero totals.
package posnet
