package filedrop

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Settings say where the files are and what the cash software's files look
// like. Folder must be set; the rest has defaults.
type Settings struct {
	Folder string
	// The places; empty: in, work, out, done, failed inside Folder. Other
	// names are relative to Folder or absolute, on the same file system.
	In, Out, Done, Failed string
	Poll                  time.Duration // between two looks
	Settle                time.Duration // unchanged for so long: whole
	Patience              time.Duration // unreadable for so long: refused
	Flag                  string        // suffix of a file that says "whole"; empty: none is awaited
	Encoding              string        // auto, or a name of Encodings
	Decimal               string        // auto, comma, point
	Answer                string        // same, json, csv, xml
	MaxBytes              int64
	CSV                   CSV
	XML                   XML
	// Words of the cash software for requests and tenders, without case.
	Words    map[string]string
	Location *time.Location // of moments without one; nil: the machine's
}

// Check tells what only this package knows: names of fields and words.
func (s *Settings) Check() error {
	var errs []error
	names := func(where string, fields map[string]string) {
		for _, n := range slices.Sorted(maps.Keys(fields)) {
			if !known(n) {
				errs = append(errs, fmt.Errorf("%s: %q is no field; there are %s, and line.attributes.NAME", where, n, strings.Join(FieldNames(), ", ")))
			} else if fields[n] == "" {
				errs = append(errs, fmt.Errorf("%s.%s: empty; leave it out", where, n))
			}
		}
	}
	names("files.csv.fields", s.CSV.Fields)
	names("files.xml.fields", s.XML.Fields)
	for i, c := range s.CSV.Columns {
		if len(s.CSV.Fields) == 0 && c != "" && !known(csvName(fold(c))) {
			errs = append(errs, fmt.Errorf("files.csv.columns[%d]: %q is no field; empty leaves a column out", i, c))
		}
	}
	return errors.Join(errs...)
}

// CSV says what tables look like.
type CSV struct {
	Separator string   // one character, "tab", or "auto"
	Columns   []string // names of the columns when files have no first row of names
	// Fields gives for our names the column's name in the first row. Empty:
	// columns are called as our fields are; others are refused.
	Fields map[string]string
}

// XML says what documents look like.
type XML struct {
	// Receipt is the path of one request's element from the root, "Checks/Check".
	Receipt string
	// Line and Tender are the paths of the repeated elements, from Receipt.
	Line, Tender string
	// Fields gives for our names a path: "@no", "Head/Card", "A|@a". Those of
	// lines and tenders begin at their element. Empty: elements and attributes
	// are called as our fields are; others are refused.
	Fields map[string]string
}

// Defaults fills what is not set.
func (s Settings) Defaults() Settings {
	def := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	def(&s.In, "in")
	def(&s.Out, "out")
	def(&s.Done, "done")
	def(&s.Failed, "failed")
	def(&s.Encoding, "auto")
	def(&s.Decimal, "auto")
	def(&s.Answer, "same")
	def(&s.CSV.Separator, "auto")
	if s.Poll == 0 {
		s.Poll = 250 * time.Millisecond
	}
	if s.Settle == 0 {
		s.Settle = 2 * time.Second
	}
	if s.Patience == 0 {
		s.Patience = time.Minute
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = 8 << 20
	}
	return s
}
