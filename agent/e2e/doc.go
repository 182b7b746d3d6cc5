// Package e2e holds whole-till stories: the real programs, real serial lines on
// pseudo-terminals, a real link, and people who unplug things.
//
//	retail     2,025 real receipts of a UK gift shop
//	cash       a cash program in miniature, over the localhost API
//	world      a centre and tills with emulated devices, as processes
//	tilldemo   the demo: the receipts replayed while cables are cut and programs killed
//
// The stories of this package itself are its tests.
package e2e
