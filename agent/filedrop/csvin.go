package filedrop

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readCSV reads a table: a row is a line of the basket, a tender, or both; what
// belongs to the whole request stands in its first row and may be repeated.
// Rows of one number that follow each other are one request.
func readCSV(s string, set *Settings, comma rune) ([]*Document, error) {
	r := csv.NewReader(strings.NewReader(s))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, true
	names := set.CSV.Columns
	from := map[string]string{} // their name -> ours
	for ours, theirs := range set.CSV.Fields {
		from[fold(theirs)] = ours
	}
	var columns []string // our name, or empty for one that is left out
	take := func(header []string) error {
		columns = nil
		seen := map[string]bool{}
		for i, h := range header {
			h = strings.TrimSpace(h)
			ours := from[fold(h)]
			if len(from) == 0 && (h != "" || len(names) == 0) {
				if ours = csvName(fold(h)); !known(ours) {
					return &Problem{Field: fmt.Sprintf("column %d", i+1), Text: fmt.Sprintf("%q is no field here", h),
						Hint: "call the columns as files.md does, or say in files.csv.fields which is which"}
				}
			}
			if ours != "" && seen[ours] {
				return &Problem{Field: fmt.Sprintf("column %d", i+1), Text: fmt.Sprintf("%q is there twice", h), Hint: "each column has a name of its own"}
			}
			seen[ours] = true
			columns = append(columns, ours)
		}
		for theirs, ours := range from {
			if !seen[ours] {
				return &Problem{Field: "row 1", Text: fmt.Sprintf("the column %q (%s) is missing", theirs, ours), Hint: "compare the first row with files.csv.fields"}
			}
		}
		return nil
	}
	if len(names) > 0 {
		if err := take(names); err != nil {
			return nil, err
		}
	}
	var docs []*Document
	var doc *Document
	for row := 1; ; row++ {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				return nil, &Problem{Field: fmt.Sprintf("line %d", pe.Line), Text: pe.Err.Error(), Hint: `put texts with quotes or separators into "…" and double the quotes inside`, Torn: errors.Is(pe.Err, csv.ErrQuote)}
			}
			return nil, err
		}
		if columns == nil {
			if err := take(rec); err != nil {
				return nil, err
			}
			continue
		}
		if len(rec) == 1 && strings.TrimSpace(rec[0]) == "" {
			continue
		}
		place := fmt.Sprintf("row %d", row)
		if len(rec) < len(columns) {
			// The last row of a torn file is short, too.
			return nil, &Problem{Field: place, Text: fmt.Sprintf("%d values for %d columns", len(rec), len(columns)), Hint: "every row has every column, empty ones too", Torn: true}
		}
		for _, extra := range rec[len(columns):] {
			if strings.TrimSpace(extra) != "" {
				return nil, &Problem{Field: place, Text: fmt.Sprintf("%d values for %d columns", len(rec), len(columns)), Hint: "put values with separators into \"…\""}
			}
		}
		one := &Document{Fields: map[string]string{}}
		line, tender := map[string]string{}, map[string]string{}
		for i, c := range columns {
			if v := strings.TrimSpace(rec[i]); c != "" && v != "" {
				one.set(c, strings.Clone(v), line, tender)
			}
		}
		if doc == nil || one.Fields["id"] != "" && one.Fields["id"] != doc.Fields["id"] {
			for _, d := range docs {
				if id := one.Fields["id"]; id != "" && d.Fields["id"] == id {
					return nil, &Problem{Field: place, Text: fmt.Sprintf("rows of %q stand apart", id), Hint: "keep the rows of a request together"}
				}
			}
			doc = one
			docs = append(docs, doc)
		} else if err := doc.join(one, place); err != nil {
			return nil, err
		}
		if len(line) > 0 {
			doc.Lines = append(doc.Lines, line)
		}
		if len(tender) > 0 {
			doc.Tenders = append(doc.Tenders, tender)
		}
	}
	if len(docs) == 0 {
		return nil, &Problem{Text: "no row of values in the table", Hint: "the first row names the columns", Torn: true}
	}
	return docs, nil
}

// join adds what a further row says about the whole request.
func (d *Document) join(o *Document, place string) error {
	for name, v := range o.Fields {
		if was := d.Fields[name]; was != "" && was != v {
			return &Problem{Field: place, Text: fmt.Sprintf("%s is %q here and %q before", name, v, was), Hint: "one request has one; give the rows numbers (id) if they are several"}
		}
		d.Fields[name] = v
	}
	for name, l := range o.Lists {
		if d.Lists == nil {
			d.Lists = map[string][]string{}
		}
		for _, v := range l {
			if !contains(d.Lists[name], v) {
				d.Lists[name] = append(d.Lists[name], v)
			}
		}
	}
	return nil
}

func contains(l []string, v string) bool {
	for _, x := range l {
		if x == v {
			return true
		}
	}
	return false
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// csvName lets a table call line.sku plain sku, and tender.kind tender.
func csvName(n string) string {
	switch n {
	case "tender":
		return "tender.kind"
	case "tender_amount", "paid":
		return "tender.amount"
	case "line", "line_id":
		return "line.id"
	}
	if _, ok := requestFields[n]; ok {
		return n
	}
	if _, ok := lineFields[n]; ok {
		return "line." + n
	}
	if strings.HasPrefix(n, "attributes.") {
		return "line." + n
	}
	return n
}

// separator is the one that stands most often in the first line outside quotes.
func separator(s string, set *Settings) (rune, error) {
	switch set.CSV.Separator {
	case "tab":
		return '\t', nil
	case "auto", "":
	default:
		return []rune(set.CSV.Separator)[0], nil
	}
	first, _, _ := strings.Cut(s, "\n")
	count := map[rune]int{}
	quoted := false
	for _, r := range first {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && strings.ContainsRune(";,\t|", r):
			count[r]++
		}
	}
	best := rune(0)
	for _, r := range ";\t|," { // a comma may be part of numbers
		if count[r] > 0 && (best == 0 || count[r] > count[best] && r != ',') {
			best = r
		}
	}
	if best == 0 {
		if len(set.CSV.Columns) == 1 || strings.TrimSpace(first) != "" && !strings.ContainsAny(strings.TrimSpace(first), " ") {
			return ';', nil // one column
		}
		return 0, &Problem{Field: "row 1", Text: "no separator: neither ; nor , nor tab nor |", Hint: "set files.csv.separator"}
	}
	return best, nil
}
