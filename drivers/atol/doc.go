// Package atol drives ATOL fiscal registers by their raw protocol: transport 3
// on USB, TCP port 5555 or serial lines, command set 3.1.
//
// # The link
//
// Packets carry a number that the reply repeats; a damaged packet is answered
// by an empty one with its number and sent again. Commands are tasks in a buffer
// of the register:
//
//	host  C1 flags task command     register  A1 accepted … F0: A6 task result
//	host  C3 task                   register  A1/A2 not yet, A3 result, B3 no such task
//	host  C2 task                   result received, forget it
//
// The task number is what keeps a text from being printed twice. After any
// trouble the driver asks by C3 and never adds the task again unless it is not
// there. "Not there" has two meanings: it never came, or the register was
// switched off and has forgotten everything. To tell them apart the driver
// leaves the result of the task before unacknowledged until the next one is
// accepted: while that old result is there, the register was on all the time.
// If it is gone too, sums and states decide, and a text is drivers.Uncertain.
//
// # The register
//
// Commands belong to modes (56h enters one, 48h leaves): 1 registration, 2 X
// reports, 3 reports that close the shift. Texts are lines of 4Ch, inside an open
// receipt as well; their table is close to CP866, with № at 24h. Numbers are
// BCD, most significant first.
//
// The maker keeps its manual to itself, and newer units are sold with a driver
// of its own. What is here follows what is public; try it on the unit at hand
// before relying on it. Columns cannot be asked for: the model's file has them.
// The old transport 2 is not spoken.
package atol
