package till

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// openAPI is the document of the local API, made from the route table and the
// types the calls really use, so that it cannot say anything else.
var openAPI = sync.OnceValue(func() []byte {
	s := schemas{done: map[reflect.Type]string{}, defs: map[string]any{}}
	paths := map[string]map[string]any{}
	errorRef := s.of(reflect.TypeFor[errorAnswer]())
	for _, rt := range routes {
		op := map[string]any{"operationId": rt.name, "summary": rt.summary}
		params := []any{}
		for part := range strings.SplitSeq(rt.path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				params = append(params, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true,
					"schema": map[string]any{"type": "string", "minLength": 1, "maxLength": 200}})
			}
		}
		if rt.writes {
			params = append(params, map[string]any{"name": "Idempotency-Key", "in": "header", "required": true,
				"description": "Same key and same body: the stored answer. Same key and another body: 409 idempotency_conflict. Kept 35 days.",
				"schema":      map[string]any{"type": "string", "minLength": 1, "maxLength": 200}})
		}
		if len(params) > 0 {
			op["parameters"] = params
		}
		if rt.open {
			op["security"] = []any{}
		}
		if rt.in != nil {
			op["requestBody"] = map[string]any{"required": true, "content": map[string]any{
				"application/json": map[string]any{"schema": s.of(reflect.TypeOf(rt.in))}}}
		}
		ok := map[string]any{"description": "done"}
		switch {
		case rt.out != nil:
			ok["content"] = map[string]any{"application/json": map[string]any{"schema": s.of(reflect.TypeOf(rt.out))}}
		case rt.plain == "websocket":
			ok["description"] = "101: a WebSocket of events; from a browser with the subprotocols tillside.v1 and bearer.<token>"
			s.of(reflect.TypeFor[Event]())
		default:
			kind, _, _ := strings.Cut(rt.plain, ";")
			ok["content"] = map[string]any{kind: map[string]any{}}
		}
		status := "200"
		if rt.plain == "websocket" {
			status = "101"
		} else if rt.name == "print" {
			status = "202"
		}
		op["responses"] = map[string]any{status: ok, "default": map[string]any{"description": "refused",
			"content": map[string]any{"application/json": map[string]any{"schema": errorRef}}}}
		if paths[rt.path] == nil {
			paths[rt.path] = map[string]any{}
		}
		paths[rt.path][strings.ToLower(rt.method)] = op
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "Tillside local API", "version": "1",
			"description": "For cash software on the same machine. Numbers are decimal strings: money with two digits, points with two, quantities with three."},
		"servers":    []any{map[string]any{"url": "http://127.0.0.1:8750"}},
		"security":   []any{map[string]any{"program": []any{}}},
		"paths":      paths,
		"components": map[string]any{"schemas": s.defs, "securitySchemes": map[string]any{"program": map[string]any{"type": "http", "scheme": "bearer", "description": "tillside token add NAME"}}},
	}
	return mustJSON(doc)
})

// errorAnswer is the shape of every refusal.
type errorAnswer struct {
	Error Error `json:"error"`
}

// schemas turns Go types into JSON Schema; structs become components.
type schemas struct {
	done map[reflect.Type]string
	defs map[string]any
}

// special are the types with a JSON form of their own.
var special = map[reflect.Type]map[string]any{
	reflect.TypeFor[time.Time]():        {"type": "string", "format": "date-time"},
	reflect.TypeFor[loyalty.Money]():    {"type": "string", "pattern": `^-?\d+(\.\d{1,2}0*)?$`, "examples": []any{"12.50"}},
	reflect.TypeFor[loyalty.Points]():   {"type": "string", "pattern": `^-?\d+(\.\d{1,2}0*)?$`, "examples": []any{"35.00"}},
	reflect.TypeFor[loyalty.Quantity](): {"type": "string", "pattern": `^-?\d+(\.\d{1,3}0*)?$`, "examples": []any{"0.125"}},
	reflect.TypeFor[loyalty.Price]():    {"type": "string", "pattern": `^-?\d+(\.\d{1,6}0*)?$`, "examples": []any{"42.609"}},
	reflect.TypeFor[loyalty.MemberID](): {"type": "string", "pattern": `^[0-9a-f]{16}$`},
	reflect.TypeFor[wire.Ref]():         {"type": "string"},
	reflect.TypeFor[json.RawMessage]():  {},
}

func (s *schemas) of(t reflect.Type) map[string]any {
	if m, ok := special[t]; ok {
		return m
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Interface:
		return map[string]any{}
	case reflect.Struct:
		return s.object(t)
	}
	panic("till: no schema for " + t.String())
}

func (s *schemas) object(t reflect.Type) map[string]any {
	name := t.Name()
	if name == "" { // struct{}: an empty object
		return map[string]any{"type": "object", "additionalProperties": false}
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	if _, ok := s.done[t]; ok {
		return ref
	}
	for other, n := range s.done {
		if n == name && other != t {
			name = strings.ToUpper(t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:][:1]) + t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+2:] + name
			ref = map[string]any{"$ref": "#/components/schemas/" + name}
		}
	}
	s.done[t] = name
	props, required := map[string]any{}, []string{}
	s.fields(t, props, &required)
	def := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		def["required"] = required
	}
	s.defs[name] = def
	return ref
}

// fields collects the properties of a struct, those of embedded ones too.
func (s *schemas) fields(t reflect.Type, props map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			ft := f.Type
			if ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			s.fields(ft, props, required)
			continue
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		prop := s.of(f.Type)
		optional := strings.Contains(opts, "omit")
		if !optional {
			*required = append(*required, tag)
			if k := f.Type.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
				prop = map[string]any{"anyOf": []any{prop, map[string]any{"type": "null"}}}
			}
		}
		props[tag] = prop
	}
}
