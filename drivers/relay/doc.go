// Package relay carries bytes between a cash program and its printer, so that
// a till whose software cannot be changed gets loyalty lines on its receipts.
//
//	cash program ── pty | serial | TCP ──> Relay ── serial | TCP ──> printer
//	                                         │ copies, holds, scripts
//	                                       agent, when there is one
//
// # What it promises
//
// Every byte of the till reaches the printer, unchanged, in order, and within
// Hold (12 ms) of its coming where the printer's line takes it, whatever
// becomes of the agent: absent, slow, wrong, killed. The relay has no way to
// change or drop a byte of the till, only to put bytes of the agent between
// two of them. Answers of the printer go back to the till in the same manner,
// all but those to the agent's own commands.
//
// # How the agent takes part
//
// An agent attaches (wire.go) and is sent a copy of everything. It may say
// which beginnings of commands it wants to be asked about (Pattern). When one
// comes, the relay holds it back, tells the agent, and lets go at the agent's
// word or when its own timer ends. The agent's word may bring a Script: bytes
// to be sent first, and which answers to keep from the till. A script is taken
// whole or not at all, and from then on the relay needs nobody to end it.
//
// The relay knows no protocol. The few shapes of answers a script can wait for
// are in script.go; what the bytes mean is the business of drivers/follow.
//
// # When the printer is away
//
// Bytes for a printer that is not there are lost, as on a pulled cable, are
// counted and told: kept bytes would be printed when the till has long given
// them up. A printer that is there and takes nothing (no paper, busy) holds the
// till up as it does without us. A TCP till loses its connection with the
// printer, so that it notices; a printer on TCP is connected only while the
// till is, since such printers serve one client.
package relay
