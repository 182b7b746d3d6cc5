package loyalty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Schema is the JSON Schema (2020-12) of the rulebook document, made from the
// very types that Decode fills.
func Schema() ([]byte, error) {
	s := schemaWriter{defs: map[string]any{}}
	root := s.object(reflect.TypeFor[Document]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "https://tillside.example/rulebook.schema.json"
	root["title"] = "Tillside rulebook"
	root["required"] = []string{"programme", "rules"}
	root["$defs"] = s.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return b.Bytes(), nil
}

type schemaWriter struct{ defs map[string]any }

func (s *schemaWriter) object(t reflect.Type) map[string]any {
	props := map[string]any{}
	for _, f := range structOf(t).fields {
		p := s.of(f.typ, f.choices)
		if f.doc != "" {
			if _, ref := p["$ref"]; ref {
				p = map[string]any{"allOf": []any{p}}
			}
			p["description"] = f.doc
		}
		props[f.name] = p
	}
	return map[string]any{"type": "object", "properties": props, "additionalProperties": false}
}

// decimals are the number types: strings, or JSON numbers read exactly.
func decimal(digits int) map[string]any {
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string", "pattern": fmt.Sprintf(`^-?[0-9]+(\.[0-9]{1,%d}0*)?$`, digits)},
		map[string]any{"type": "number"}}}
}

func (s *schemaWriter) of(t reflect.Type, choices string) map[string]any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[Money](), reflect.TypeFor[Points]():
		return decimal(2)
	case reflect.TypeFor[Quantity]():
		return decimal(quantityDigits)
	case reflect.TypeFor[Price](), reflect.TypeFor[Factor]():
		return decimal(priceDigits)
	case reflect.TypeFor[Percent]():
		return decimal(percentDigits)
	case textType:
		return map[string]any{"oneOf": []any{map[string]any{"type": "string"},
			map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}}}
	case reflect.TypeFor[Date]():
		return map[string]any{"type": "string", "format": "date"}
	case reflect.TypeFor[Clock]():
		return map[string]any{"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}
	case reflect.TypeFor[Span](), reflect.TypeFor[Period](), reflect.TypeFor[MemberID]():
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		if choices != "" {
			return map[string]any{"type": "string", "enum": strings.Split(choices, "|")}
		}
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Slice:
		item := s.of(t.Elem(), choices)
		list := map[string]any{"type": "array", "items": item}
		if t.Elem().Kind() == reflect.String {
			return map[string]any{"oneOf": []any{list, item}}
		}
		return list
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem(), choices)}
	}
	if t.Name() == "Time" {
		return map[string]any{"type": "string", "format": "date-time"}
	}
	if _, ok := s.defs[t.Name()]; !ok {
		s.defs[t.Name()] = true // stops at types that hold themselves
		s.defs[t.Name()] = s.object(t)
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

// Reference is the list of every object and field of the rulebook document
// in Markdown, made from the same types as the schema.
func Reference() string {
	w := &referenceWriter{done: map[reflect.Type]bool{}}
	w.object("The document", reflect.TypeFor[Document]())
	for len(w.queue) > 0 {
		t := w.queue[0]
		w.queue = w.queue[1:]
		w.object(t.Name(), t)
	}
	return w.b.String()
}

type referenceWriter struct {
	b     strings.Builder
	queue []reflect.Type
	done  map[reflect.Type]bool
}

func (w *referenceWriter) object(title string, t reflect.Type) {
	if w.done[t] {
		return
	}
	w.done[t] = true
	fmt.Fprintf(&w.b, "\n### %s\n\n| field | value | meaning (default) |\n| --- | --- | --- |\n", title)
	for _, f := range structOf(t).fields {
		doc := f.doc
		if f.choices != "" {
			list := "`" + strings.Join(strings.Split(f.choices, "|"), "`, `") + "`"
			if doc != "" {
				doc += ". "
			}
			doc += "One of " + list
		}
		fmt.Fprintf(&w.b, "| `%s` | %s | %s |\n", f.name, w.kind(f.typ), strings.ReplaceAll(doc, "|", "\\|"))
	}
}

// kind names a type for people and queues objects to be described.
func (w *referenceWriter) kind(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Name() {
	case "Money", "Points", "Quantity", "Price", "Percent":
		return strings.ToLower(t.Name())
	case "Factor":
		return "number"
	case "Text", "Date", "Span", "Period":
		return strings.ToLower(t.Name())
	case "Clock":
		return "time of day"
	case "Time":
		return "time"
	case "MemberID":
		return "member id"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "whole number"
	case reflect.Slice:
		return "list of " + w.kind(t.Elem())
	case reflect.Map:
		return "names to " + w.kind(t.Elem())
	}
	w.queue = append(w.queue, t)
	return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
}
