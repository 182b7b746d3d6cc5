// Package simulation runs the whole system in one process from one number:
// centre, tills, the lines between them, their clocks, their disks, the
// cashiers and the customers.
//
// Nothing of the product is modelled. The tills are [agent.Agent] with their
// bbolt files, the centre is [central.Server] with its database, they talk
// websocket over connections made here, and the cash programs call the HTTP
// handlers. What is not real is the world around them: time is the fake clock
// of testing/synctest, which stands still while anybody works; a line delivers
// what the story lets it deliver; a disk is a folder that can be copied at any
// moment, which is what a killed program leaves behind.
//
//	seed ──Generate──> story: a list of events ──Play──> what everybody was told
//	                                               │
//	                              settle: mend all lines, wait, then check:
//	                     what the tills told their customers is in the ledger, once
//
// A story is a list, so a failing one can be made shorter: [Shrink] leaves out
// events as long as it still fails, and prints what is left.
//
// What one run checks (the numbers are those of agent/docs/invariants.md):
//
//   - I1, I2: after every stretch of the story all balances are recomputed from
//     their entries; nothing is below zero.
//   - I3, I4: every receipt, return and void that a cash program was told to be
//     done is in the ledger exactly once with exactly those points.
//   - I5: no hold is both spent and given back.
//   - I6: with clones, old images and stolen tills, what was spent twice is the
//     shops' loss, at most the leases of that till for each copy, and no
//     member pays it.
//   - I9, I16: the journal the centre keeps verifies link by link (checked by
//     the product itself at each step; a failure would end in a fork).
//
// Powers cut in the middle of a write are another room's work
// (agent/e2e/faults): here a program is killed between two of its steps.
package simulation
