// Package agent is one till at work: it builds the parts from settings, runs
// them together and closes them.
//
//	settings, identity ─┬─ store.Journal, store.Cache      what is remembered
//	                    ├─ rulebook (loyalty)               what is given
//	                    ├─ devices (drivers)                what is read, printed, shown
//	                    ├─ link (sync/uplink)               what goes up and comes down
//	                    └─ till.Till ── HTTP on loopback    what cash software and pages see
//
// An absent device, an absent centre, an absent rulebook and even an absent
// identity are states, told by status and health; none of them is a failed
// start. What does end a start: settings that are wrong, a data folder in use
// by another agent, an address that cannot be listened on.
//
// Life: Open acquires, Run works until its context is done, Close releases.
// At a stop the HTTP side ends first, calls in flight are finished; then the
// link gets a moment to send what is left; then everything is closed.
package agent
