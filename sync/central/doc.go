// Package central is the centre: it keeps members, ledger, rulebooks and the
// fleet of tills, and gives the tills what they need.
//
//	till ──WebSocket──> hub ──Backend──> ledger (once per device/epoch/seq)
//	  ^                                     │ changes
//	  └── lanes: urgent, rulebook, member <─┴── members, rulebook
//
//	browser ──> httpapi ──> console (pages) ──> rooms, read only but for a few forms
//	command ──> the same rooms, in a second process on the same database
//
// The rooms (ledger, members, rulebook, fleet, access) own their tables and
// know nothing of each other's insides; this package ties them together and
// is what sync/hub calls. Nothing a second node would need is kept in memory:
// what tells sessions that there is something new is a counter in the
// database, looked at once a second, so that a command in another process is
// noticed as well.
package central
