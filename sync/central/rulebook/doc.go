// Package rulebook publishes rulebooks to the tills.
//
// A rulebook is a JSON document. Publishing checks it with the very engine of
// the tills (decode, compile, test vectors), gives it the next version, has it
// signed and stores it; tills take it from there over their sessions. Nothing
// that was published is ever changed or removed: going back is publishing the
// old content again under a new, higher version.
//
// Publishing has three steps, so that the key can be on another machine:
// [Prepare] makes the bundle, somebody signs it, [Store] publishes it when the
// tills would believe it. [Publish] is all three. Package keys knows which keys count.
package rulebook
