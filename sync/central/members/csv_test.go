package members

import (
	"strings"
	"testing"
)

// What reads a file must hold to its word: either problems, or rows that can
// all be known again and pass their own checks.
func FuzzReadCSV(f *testing.F) {
	for _, s := range []string{
		"external_id,card,phone,birthday,balance,attribute:x\n1,4000,+48501002003,12-10,12.50,y\n",
		"external_id,card\n\"1\",4\n\n\"",
		"card,balance\n4000,999999999999999999999\n",
		"\ufeffcard,first_name\n4000,\x00\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, csv string) {
		rows, err := readCSV(strings.NewReader(csv))
		if err != nil {
			if rows != nil {
				t.Error("rows beside an error")
			}
			return
		}
		seen := map[string]bool{}
		for _, r := range rows {
			if len(r.keys()) == 0 {
				t.Errorf("line %d cannot be known again", r.line)
			}
			for _, k := range r.keys() {
				if seen[k] {
					t.Errorf("line %d repeats %s", r.line, k)
				}
				seen[k] = true
			}
			if err := r.person.Check(); err != nil {
				t.Errorf("line %d: %v", r.line, err)
			}
		}
	})
}
