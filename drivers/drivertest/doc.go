// Package drivertest holds the suites that drivers pass, one for each kind of
// device, and the means to make lines and devices fail on command.
//
// A suite takes a function that joins a driver with its emulator. The same
// suite runs in memory, on a pseudo-terminal and over TCP. What it demands of a
// fiscal printer above all: what a driver says about a text agrees with the
// paper. "Printed" means once, "not printed" means not at all, and only when
// nobody can know it says "unknown".
package drivertest
