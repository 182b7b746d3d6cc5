// Package enginebench measures the rule engine beside a general expression
// engine (expr-lang/expr) that does the same work with the same rules: find
// the lines of each rule, take its percent off, add up net and points. It is
// a module of its own and holds only a test and a benchmark:
//
//	cd agent/loyalty/enginebench && go test -bench . -benchtime 1x
//
// Why the engine's rules are Go types and not expressions is to be read off
// its figures: an expression has to be asked for every rule, whatever is in
// the basket; a typed rule can be found through an index.
package enginebench
