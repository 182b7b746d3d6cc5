package filedrop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxDepth bounds the nesting of a document.
const maxDepth = 16

// readJSON reads one request or a list of them. Numbers may be JSON numbers:
// their digits are taken as they stand, never as floating point.
func readJSON(s string) ([]*Document, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err != nil {
		return nil, jsonProblem(s, d, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &Problem{Text: "more than one document in the file", Hint: "write a list: [ {…}, {…} ]"}
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var docs []*Document
	for i, one := range list {
		place := ""
		if ok {
			place = fmt.Sprintf("[%d]", i)
		}
		m, isObject := one.(object)
		if !isObject {
			return nil, &Problem{Field: place, Text: "not an object", Hint: `write {"request": …}`}
		}
		doc, err := jsonDocument(m)
		if err != nil {
			var p *Problem
			if errors.As(err, &p) && place != "" {
				p.Field = strings.TrimSuffix(place+"."+p.Field, ".")
			}
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

type object map[string]any

var errTwice = errors.New("a name is there twice")

// jsonValue is one value; a name that stands twice in an object is refused,
// because two readers would see different requests.
func jsonValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errors.New("nested too deep")
	}
	switch t {
	case json.Delim('{'):
		m := object{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := k.(string)
			if _, there := m[name]; there {
				return nil, fmt.Errorf("%q: %w", name, errTwice)
			}
			if m[name], err = jsonValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		l := []any{}
		for d.More() {
			v, err := jsonValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err := d.Token()
		return l, err
	}
	return t, nil
}

func jsonProblem(s string, d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Problem{Text: "the JSON ends in the middle", Hint: "write the file under another name and rename it when it is whole", Torn: true}
	}
	at := int(min(d.InputOffset(), int64(len(s))))
	line := 1 + strings.Count(s[:at], "\n")
	return &Problem{Field: fmt.Sprintf("line %d", line), Text: "not JSON: " + strings.TrimPrefix(err.Error(), "json: "), Hint: "see files.md for the form"}
}

func jsonDocument(m object) (*Document, error) {
	doc := &Document{Fields: map[string]string{}, json: true}
	for name, v := range m {
		switch name {
		case "lines", "tenders":
			list, ok := v.([]any)
			if !ok {
				return nil, &Problem{Field: name, Text: "not a list", Hint: "write [ {…}, {…} ]"}
			}
			prefix := strings.TrimSuffix(name, "s") + "."
			for i, one := range list {
				place := fmt.Sprintf("%s[%d]", name, i)
				o, ok := one.(object)
				if !ok {
					return nil, &Problem{Field: place, Text: "not an object", Hint: "write {…}"}
				}
				row, err := jsonRow(o, prefix, place)
				if err != nil {
					return nil, err
				}
				if name == "lines" {
					doc.Lines = append(doc.Lines, row)
				} else {
					doc.Tenders = append(doc.Tenders, row)
				}
			}
			continue
		}
		if slices.Contains(listFields, name) {
			list, ok := v.([]any)
			if !ok {
				return nil, &Problem{Field: name, Text: "not a list", Hint: `write ["…"]`}
			}
			for i, one := range list {
				t, ok := one.(string)
				if !ok {
					return nil, &Problem{Field: fmt.Sprintf("%s[%d]", name, i), Text: "not a text", Hint: `write "…"`}
				}
				if doc.Lists == nil {
					doc.Lists = map[string][]string{}
				}
				doc.Lists[name] = append(doc.Lists[name], t)
			}
			continue
		}
		if _, ok := requestFields[name]; !ok {
			return nil, unknownField(name, name)
		}
		t, err := scalar(v, name)
		if err != nil {
			return nil, err
		}
		doc.Fields[name] = t
	}
	return doc, nil
}

func jsonRow(o object, prefix, place string) (map[string]string, error) {
	row := map[string]string{}
	for name, v := range o {
		if a, ok := v.(object); ok && name == "attributes" && prefix == "line." {
			for k, v := range a {
				t, err := scalar(v, place+".attributes."+k)
				if err != nil {
					return nil, err
				}
				row["attributes."+k] = t
			}
			continue
		}
		if !known(prefix + name) {
			return nil, unknownField(place+"."+name, name)
		}
		t, err := scalar(v, place+"."+name)
		if err != nil {
			return nil, err
		}
		row[name] = t
	}
	return row, nil
}

func scalar(v any, place string) (string, error) {
	switch t := v.(type) {
	case nil:
		return "", nil
	case string:
		return t, nil
	case json.Number:
		return t.String(), nil
	case bool:
		return fmt.Sprint(t), nil
	}
	return "", &Problem{Field: place, Text: "neither a text nor a number", Hint: `write "…"`}
}

func unknownField(place, name string) error {
	return &Problem{Field: place, Text: fmt.Sprintf("%q is no field here", name), Hint: "the fields are in files.md; other names go into a field map"}
}
