// Package loyalty is the rule engine: what a receipt gives and takes.
//
// It is pure. It does no I/O, reads no clock and imports nothing of ours, so
// that the same rulebook version, the same receipt and the same member
// snapshot give the same bytes on a till without a network and at the centre.
//
//	rulebook document --Decode--> Document --Compile--> Rulebook (indexes)
//	receipt + member snapshot --Rulebook.Price--> Result (allocation, trace, texts)
package loyalty
