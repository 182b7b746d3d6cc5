// Package till is the counter's story: a card is read, the member is greeted,
// the basket is priced, the receipt is closed, and everything about it is on
// disk before anybody is told.
//
//	card bytes -> ReadCards -> identify -> cache (+ what this till did since)
//	                              └-> display, page, events
//	basket -> calculate -> Rules.Price                        no effect
//	pay    -> authorise -> hold at the centre (800 ms)         HOLD
//	       -> capture   -> ONE transaction: receipt, record,   COMMIT
//	                       answer, change of the member
//	                    -> slip, display, events
//	undo   -> void, return                                     VOID, RETURN
//
// It serves the localhost API (routes in server.go, a document of it at
// /v1/openapi.json), the event stream and the pages. Whatever it needs from
// its surroundings comes in a Config: journal, cache, rules, link, devices,
// clock; tests put their own in.
//
// # Once
//
// Every writing call has an idempotency key. Calls with one key wait for each
// other; the first one's answer is stored in the transaction that has its
// effect, and every later one gets that answer, for 35 days and over
// restarts. Another body under the same key is refused.
//
// # Points and the link
//
// A member's balance at this till is the centre's snapshot, less what was
// spent here since; what was earned here since is shown as "to be credited"
// until the centre has confirmed it. Spending asks the centre to hold the
// points, within 800 ms; without an answer nothing is spent, and what may
// have been held is given back. Everything else works from the cache.
//
// # Limits and budgets
//
// What limits have used and what is left of this till's quotas of budgets is
// kept in the journal file and moves in the transaction of the receipt: taken
// by authorise (or by capture without it), given back by void and return
// (limits.go). A receipt that is authorised and never ended keeps its part
// until it is forgotten, after 35 days; a return at another till gives nothing
// back of either.
//
// # A fiscal receipt
//
// Is on disk as being printed before the device hears of it, and as being
// closed before it is told to close (fiscal.go). After trouble, or another run of
// the program, the device is asked what became of it; what nobody can know is
// said to be unknown, and never printed again by itself.
//
// # Who may call
//
// Only requests whose Host is exactly this agent's loopback address, whose
// Origin, when there is one, is exactly an allowed one, and which carry the
// token of a program (guard.go). JSON only, no side effect on GET, no CORS.
package till
