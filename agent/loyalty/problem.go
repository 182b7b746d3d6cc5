package loyalty

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a document, told so that the person who
// wrote it can mend it: where, what was found, and what would do.
type Problem struct {
	Path   string `json:"path"`            // "rules[3].then[0].percent_off.percent"
	Code   string `json:"code"`            // machine word: unknown_field, bad_number, …
	Found  string `json:"found,omitempty"` // the value, shortened
	What   string `json:"what"`            // what is wrong with it
	Remedy string `json:"remedy,omitempty"`
	Line   int    `json:"line,omitempty"` // line of the document, when known
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.What)
	if p.Found != "" {
		fmt.Fprintf(&b, ", found %s", p.Found)
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", p.Line)
	}
	if p.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(p.Remedy)
	}
	return b.String()
}

// Problems is every problem of one document, in the document's order. It is
// the error of Decode, Compile, DecodeReceipt and DecodeMember.
type Problems []Problem

// maxProblems bounds the list: a hostile document could hold millions.
const maxProblems = 100

func (ps Problems) Error() string {
	if len(ps) == 1 {
		return ps[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems:", len(ps))
	for _, p := range ps {
		b.WriteString("\n  ")
		b.WriteString(p.String())
	}
	return b.String()
}

// err is nil for an empty list: a typed nil in an error is not nil.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// shorten makes a value fit to be quoted in a message.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
