// Package posnet drives Polish fiscal printers over Posnet's own protocol, the
// one with mnemonics: THERMAL HD, XL2 and FV ONLINE, TEMO, TRIO, EVO and their
// kin. (The older protocol of the same machines is package novitus.)
//
// A frame is text:
//
//	STX trline TAB naChleb TAB vt0 TAB pr350 TAB @0042 TAB #CCCC ETX
//
// Each command gets one answer, after it was carried out: done, refused with a
// number (?2005), or a frame error (ERR ?5). There is no ACK byte. Immediate
// commands, "!sdev" and "!sprn", are answered at once even when the printer
// waits for paper; a driver that polls them knows why an answer is missing.
//
// # Nothing twice
//
// A command may carry a token, @ and four digits, that comes back in the
// answer. The printer keeps its last 32 answers; "rpt" with a token asks for
// one again. So after a broken line the driver asks for the answer of the token
// it lost: there, and the command was carried out with that result; frame error
// 13, and it never arrived and may be sent again. When the printer lost its
// answers too (it was switched off), strns tells whether a transaction is open
// or closed and with which totals; if that does not decide, the outcome is
// said to be unknown.
//
// # Loyalty lines
//
// A receipt prints loyalty text only at its foot: trend with fe0 leaves the
// footer open, then come up to 60 trftrln lines with a preset keyword each
// ("Suma punktów: 987"), and trftrend prints and ends it. The driver keeps the
// lines it is given until CloseReceipt.
//
// # Two hosts
//
// The machine has two logical interfaces. While the till holds a transaction on
// one of them, commands from the other are refused with 41 or left waiting. The
// driver asks "!sdev" for the holder first and reports OtherInterface.
package posnet
