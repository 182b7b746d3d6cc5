// Package faults breaks what can break, on purpose and everywhere, and looks
// whether Tillside keeps its promises: nothing that was told is lost, nothing
// happens twice, and everything starts again by itself.
//
//	make faults                      about a quarter of an hour, then the table
//	make faults FAULTS=2h            longer: more seeds, more kills, finer steps
//	go test ./agent/e2e/faults       the short form, part of make test
//
// # How
//
// The real programs do the work: tillside beside a cash program that speaks
// HTTP to it, tillside-central with its database. What is false is under them
// or between them:
//
//	cash program ──HTTP── tillside ──data──> powercut.Disk (FUSE)
//	                          │
//	                     linktest.Proxy, or a network of its own
//	                          │
//	                       centre ──data──> powercut.Disk (FUSE)
//
// Power cuts are not tried one by one: the day is worked once and its history
// is played back to each operation in it (package powercut says why that is
// the same). What is found after each cut is opened by the agent's own code in
// a child process of this test, calls that were in flight are made again, and
// the journal is held against what the cash program was told.
//
// Errors of the disk change what the program does next, so they need a run
// each; the days for those are short.
//
// # The table
//
// Every test that belongs to a kind of fault adds a row: what was done, how
// often, and how often something was wrong. Kinds of faults that other rooms
// show are in the table with the names of their tests; a test here looks that
// those exist.
//
// # Negative controls
//
// A suite that cannot fail proves nothing. With fsync taken out of the
// history, with the key of a repeated call forgotten, with a centre that books
// before it notes how far it is, the same checks must report damage; tests
// whose names begin with TestControl see to that.
package faults
