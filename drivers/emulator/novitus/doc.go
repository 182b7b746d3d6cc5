// Package novitus is the device's side of the Thermal (ESC-P) protocol with the
// Novitus additions: a fiscal printer with its receipts, its day, the bits of
// ENQ and DLE, the four error modes, and faults on command.
//
// It follows the protocol, not our driver. A sequence with a wrong check leaves
// code 2; an unknown one leaves code 0 with the bit "last command done" off; a
// sale line out of number is refused with 4. Half a sequence blocks ENQ and DLE
// until ESC \ or the next ESC P. With no paper a sequence that prints waits, and
// all that come after it; ENQ and DLE are answered nevertheless.
//
// In the modes 2 and 3 it sends its code after each command, as ESC P code #Z
// check ESC \. Where the manual leaves something open the emulator does this: the
// mode falls back to 0 in a power cut; an open receipt outlives it; an open
// footer or a non-fiscal printout ends.
package novitus
