// Package pages holds the two browser pages of an agent, embedded in the
// program and served on its loopback address:
//
//	/cashier   what the cashier looks at beside the cash software
//	/practice  a small practice till: anyone can try a sale in a browser
//
// Both are plain files: HTML, one style sheet, scripts in the JavaScript of
// 2011 (an old till's browser runs them; there is no build step), and one
// catalogue of words per language. They hold no secret and have no side effect, so
// they are served to anyone who may reach the loopback address. All they show
// comes through the public API, with the same bearer token that a cash
// software uses.
//
//	tillside page -> http://127.0.0.1:8750/cashier#token=…
//	                      | the script takes the token out of the address,
//	                      v keeps it in sessionStorage (this tab only)
//	GET  /v1/status            who this till is, link, devices, warnings
//	WS   /v1/events            subprotocols "tillside.v1", "bearer.<token>"
//	POST /v1/identify          a typed card number or phone
//	POST /v1/receipts/{id}/spend    the cashier's choice of points
//	GET  /v1/receipts/{id}     why an offer did not apply: explanation.not
//
// # What the pages read from the event stream
//
// Every event has "type" and "at"; unknown types and fields are passed over.
// A fresh connection is first told what is so now: one link event, one device
// event per device and, while a sale is in progress, its member and receipt
// events. So a page opened late, or reconnected after the agent was
// restarted, shows the same as one that was there all the time.
//
//	{"type":"link","mode":"online|offline","since":"…"}
//	{"type":"device","device":{"name":"scanner-1","kind":"reader|printer|display","state":"ok|…","detail":"…","since":"…"}}
//	{"type":"card","device":"scanner-1"}                        a code was read; never the number
//	{"type":"member","known":true,"mode":"online","member":{…}} as identify answers; "member":null: the customer has gone
//	{"type":"receipt","receipt":"R1","state":"open|held|captured|voided","result":{…},"to_be_credited":true}
//	{"type":"spend","receipt":"R1","spend":"max|120|"}          a cashier chose; cash software prices again
//	{"type":"health","warnings":[{"code":"…","severity":"…","title":"…"}]}
//
// # The choice of points
//
// The basket belongs to the cash software, the conversation about points to
// the cashier. POST /v1/receipts/{id}/spend {"spend":"max"|"120"|""} leaves
// the choice with the agent, which prices the last basket again, tells both
// sides by a receipt event, and uses the choice wherever the cash software's
// own "spend" is empty.
//
// # Safety
//
// The content policy allows scripts and styles from this origin only, no
// inline ones, and demands trusted types, so no text of a member, a rule or
// a device can become markup: the scripts write text nodes alone.
package pages
