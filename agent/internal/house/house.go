// Package house holds the tests about the tree itself: every package is
// explained once, imports point one way, and what the programs must stay
// without stays out. It has no code of its own; the comment of each test says
// why the rule is there.
package house
