// Package loyalty is the rule engine: what a receipt gives and takes.
//
// It is pure. It does no I/O, reads no clock and imports nothing of ours and
// nothing of third parties, so that the same rulebook version, the same
// receipt and the same member snapshot give the same bytes on a till without
// a network and at the centre, on every machine. All numbers are integers
// with checked arithmetic.
//
//	rulebook document --Decode--> Document --Compile--> Rulebook (indexes)
//	receipt + member snapshot --Rulebook.Price--> Result (allocation, trace, texts)
//	Result + member snapshot --Rulebook.Apply--> the snapshot after the receipt
//	Result + goods that come back --Rulebook.Return--> what is given and taken back
//
// A Rulebook is compiled once and safe for concurrent use. Pricing looks the
// lines up in indexes by SKU, category and brand, gathers the rules that the
// basket, member, place and hour could fire, and touches no other; a warm
// pricing allocates little more than its Result.
//
// The order of a pricing, each step in a file of its own: the law marks lines
// (eval.go), discounts go group by group (phases.go, discount.go, items.go),
// points pay within their caps (redeem.go), points are earned on the declared
// base (accrue.go), then come gifts, coupons, stamps and tiers (extras.go,
// tiers.go), and the result with its words (outcome.go, words.go, print.go).
// Every amount is shared among lines to the last minor unit (allocate.go) and
// stored with the result: a return (returns.go) replays the shares and never
// asks the rules again.
//
// Limits of the member are counters in her snapshot. Limits of store, till,
// cashier and programme, and budgets, are inputs: the caller hands over what
// was used or is left, and finds what this receipt uses in the Result.
//
// docs/rulebook.md explains the document to those who write rulebooks;
// testdata/mechanics holds a small rulebook with baskets for each mechanic.
package loyalty
