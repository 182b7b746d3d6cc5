// Package rulebook publishes rulebooks to the tills.
//
// A rulebook is a JSON document. Publishing checks it with the very engine of
// the tills (decode, compile, test vectors), gives it the next version, signs
// it and stores it; tills take it from there over their sessions. Nothing
// that was published is ever changed or removed: going back is publishing the
// old content again under a new, higher version.
//
// The signing key lies in a file of its own, apart from the database, so that
// a copy of the database cannot sign. It is made on first use. Tills are told
// the public key when they are enrolled; a key made later is not trusted by
// tills enrolled before, so keep the file, and keep a copy of it elsewhere.
package rulebook
