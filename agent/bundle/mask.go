package bundle

import (
	"bytes"
	"regexp"
)

// What may be a secret or a person, and what stands there instead.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	// Addresses of e-mail.
	{regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`), "[e-mail]"},
	// The words after keys that carry secrets or persons, in TOML, JSON and logs.
	{regexp.MustCompile(`(?i)("?\b[a-z_]*(?:token|secret|password|passwd|private_key|lookup_key|first_name|last_name|phone|card|member_name|authorization)"?\s*[=:]\s*)("(?:[^"\\]|\\.)*"|[^\s,}]+)`), `${1}"[masked]"`},
	{regexp.MustCompile(`(?i)bearer\s+\S+`), "Bearer [masked]"},
	// One-time codes: groups of four.
	{regexp.MustCompile(`\b[0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){2,3}\b`), "[code]"},
	// Long runs of letters and digits: tokens, keys, hashes. Times and versions
	// have signs in between.
	{regexp.MustCompile(`\b[A-Za-z0-9_+/]{25,}={0,2}`), "[masked]"},
	// Numbers of seven digits and more, with the signs people put between them:
	// cards, phones.
	{regexp.MustCompile(`\+?\b\d(?:[ ().-]?\d){6,}\b`), "[number]"},
}

// stamp is a time; its digits are no card's.
var stamp = regexp.MustCompile(`\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b`)

// Mask takes out, line by line, whatever looks like a card number, a phone, an
// address, a token or a key. Times and addresses of machines stay.
func Mask(b []byte) []byte {
	lines := bytes.SplitAfter(b, []byte("\n"))
	for i, line := range lines {
		// Times are put aside under letters that no log has.
		var kept [][]byte
		line = stamp.ReplaceAllFunc(line, func(t []byte) []byte {
			if len(kept) == most {
				return t
			}
			kept = append(kept, bytes.Clone(t))
			return []byte(string(rune(aside + len(kept) - 1)))
		})
		for _, m := range masks {
			line = m.what.ReplaceAll(line, []byte(m.with))
		}
		for n, t := range kept {
			line = bytes.Replace(line, []byte(string(rune(aside+n))), t, 1)
		}
		lines[i] = line
	}
	return bytes.Join(lines, nil)
}

// aside is the first of the letters for times: Unicode's private ones.
const (
	aside = 0xE000
	most  = 6000
)
