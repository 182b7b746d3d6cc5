// Package pirit drives the Pirit and Viki Print fiscal registers of Dreamkas.
//
// # The link
//
// A command carries an identifier that its answer repeats; that is all there is
// to match them. The register filters no duplicates. Errors 05h (a gap between
// bytes) and 07h (wrong check) say that it did not understand a command, which
// is then sent again under a new identifier. When there is no answer at all, the
// single byte ENQ tells "busy" from "dead", and what became of the command is
// found in the register's state:
//
//	30h 32h 44h 47h   status 00h: kind and state of the document
//	42h 45h           03h/1: sum and discount of the open receipt
//	31h               00h, and the last receipt 03h/2; state 8 wants 31h again
//	20h 40h 49h       leave no trace: drivers.Uncertain
//
// State 8 means that a receipt is in the fiscal storage and not on paper to its
// end. It is never cancelled: 31h is sent again until it is printed.
//
// # The register
//
// After power-on it wants "start of work" 10h with date and time. Slips are
// service documents (30h kind 1, lines 40h, 31h). Loyalty text goes into the
// open receipt as a requisite, 49h, four lines at a time. Prices are those after
// discounts; a discount on the whole receipt is for rounding only and at most
// 99 kopecks. Texts are CP866, numbers are decimal text.
package pirit
