// Package filedrop serves cash software that can neither call the local API nor
// be changed: it writes a file into a folder and reads the answer from another.
//
//	in/     the cash software writes     JSON, CSV or XML, in its own code page
//	work/   taken, not answered yet      the till's lock against itself
//	out/    the answer, same name        appears whole or not at all
//	done/   what was answered            by day; moved, never deleted
//	failed/ what was refused             with NAME.why.txt beside it
//
// A file is one or several requests: sale, return, identify, calculate,
// authorise, void. Each becomes the call of the API that means the same
// (document.go), made through Counter, which is the till itself: same checks,
// same prices, same journal. Nothing is booked here.
//
// # When a file is whole
//
// Programs write slowly, and over networks. Names that mean "not yet" are left
// alone (temporary). A JSON or XML document that ends as it must is taken when
// it has not changed between two looks; anything else when it has not changed
// for Settle; one that never becomes readable is refused after Patience. Where
// the software sets a flag file beside it, only the flag counts.
//
// Changes are seen by looking (Poll), never by notifications, which network
// shares do not send. Size and time of a file are compared with what they were
// at the last look, never with this machine's clock, which is not the share's.
//
// # Once
//
// The key of each call is made of the request's own number, so that a crash
// anywhere between the booking and the answer ends in the stored answer: what
// still lies in work/ at the next start is simply asked again. The same number
// with the same content has the same answer for ever; with other content it is
// refused. Refusals that pass by themselves (no rulebook yet) keep a sale in
// work/ until it is booked; a question is answered with the refusal at once,
// because a cashier is waiting.
//
// # Encodings
//
// What a file is written in is taken from its byte order mark or XML
// declaration, else from the settings, else found out (encoding.go). Where two
// readings of the bytes are both plausible and differ, the file is refused:
// a name is not worth a guess.
package filedrop
