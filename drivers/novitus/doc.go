// Package novitus drives Polish fiscal printers over the protocol that Posnet
// calls Thermal and others ESC-P: Posnet Thermal in its old setting, and the
// Novitus family (DEON, BONO, HD, Vivo), which added commands to it.
//
//	ESC P {numbers ;} xx {texts CR, amounts /} cc ESC \
//
// xx is two characters ("$h" begins a receipt, "#s" asks for the state), cc is
// the exclusive-or of everything between ESC P and cc, begun with FF. Text is in
// Mazovia. Four single bytes stand outside: ENQ and DLE are answered with one
// byte of bits, BEL beeps, CAN drops the input. Half a sequence blocks ENQ and
// DLE, so after a broken line the driver closes it with ESC \ first.
//
// # The result of a command
//
// The printer is told to be silent about errors (1#e). After each command the
// driver asks #n for its code. That asks for the last command the printer
// took: if the line was gone in between, the answer may be about another one.
//
// # Nothing twice
//
// There are no numbers in the frames, but the receipt has its own protection.
// ENQ says whether a receipt is open (PAR) and whether the last one was
// completed (TRF); both are changed together with the totals and outlive a power
// cut. A sale line carries a running number without gaps, so a line that arrived
// already is refused the second time; a discount carries the subtotal it was
// made on, likewise. And the close with payments ($y) is one command that
// carries them all. So it is always known whether the receipt was sold.
//
// What has no such mark are the loyalty lines at the foot ($z) and the lines of
// a non-fiscal report ($w): when the line breaks at one of these, the driver
// says that it is unknown whether that line is on the paper, and never sends it
// again.
//
// # Loyalty lines
//
// The receipt is ended with its footer left open ($y with Pc 3), then come up to
// 20 lines, each with a preset keyword: 1 points, 2 points total, 16 account
// before, 17 awarded, 18 used, 19 account after. The printer takes the value
// only, and blanks out letters in the value of a numeric keyword. 28;0$z prints
// the rest and ends the receipt. There is room for 25 different free lines
// between two daily reports, on which they are all printed again: so the driver
// uses keywords wherever there is one.
package novitus
