// A module of its own, so that the agent does not carry the engine it is
// measured against.
module github.com/tillside/tillside/agent/loyalty/enginebench

go 1.26.0

require github.com/tillside/tillside v0.0.0

require github.com/expr-lang/expr v1.17.8

replace github.com/tillside/tillside => ../../..
