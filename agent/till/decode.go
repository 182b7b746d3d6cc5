package till

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxDepth bounds the nesting of a request. A receipt needs five levels.
const maxDepth = 16

// readBody reads a JSON body within the size limit. A call without a body
// reads as an empty object.
func readBody(w http.ResponseWriter, r *http.Request, max int) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(max)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse("too_large", max)
	case err != nil:
		return nil, refuse("bad_request", "body: "+err.Error())
	}
	if len(b) == 0 {
		if r.Header.Get("Content-Type") == "" {
			return []byte("{}"), nil
		}
	}
	// A form can be posted by any web page without asking; JSON cannot.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, refuse("not_json")
	}
	if len(b) == 0 {
		return []byte("{}"), nil
	}
	return b, nil
}

// decode reads a request strictly: one value, no unknown fields, no repeated
// names, bounded depth.
func decode(b []byte, v any) error {
	if err := shape(b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return jsonError(err)
	}
	if d.More() {
		return refuse("bad_request", "more than one value")
	}
	return nil
}

// jsonError words a decoding error without Go's own type names.
func jsonError(err error) *Error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	if errors.As(err, &wrongType) {
		return refuse("bad_request", fmt.Sprintf("%s does not fit a field of this kind", wrongType.Value)).at(wrongType.Field)
	}
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return refuse("bad_request", "not JSON")
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if name, ok := strings.CutPrefix(text, "unknown field "); ok {
		return refuse("bad_request", "unknown field "+name).at(strings.Trim(name, `"`))
	}
	return refuse("bad_request", text)
}

// shape walks the bytes once: depth, and no name twice in one object, since
// two readers of the same bytes would see different requests.
func shape(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	type level struct {
		names map[string]bool // nil in an array
		key   bool            // the next string is a name
	}
	var stack []level
	value := func() { // a value ended: in an object a name follows
		if n := len(stack); n > 0 && stack[n-1].names != nil {
			stack[n-1].key = true
		}
	}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return jsonError(err)
		}
		switch t := tok.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if len(stack) == maxDepth {
					return refuse("bad_request", "nested too deep")
				}
				l := level{}
				if t == '{' {
					l.names, l.key = map[string]bool{}, true
				}
				stack = append(stack, l)
			default:
				stack = stack[:len(stack)-1]
				value()
			}
		case string:
			if n := len(stack); n > 0 && stack[n-1].key {
				name := strings.ToLower(t) // encoding/json matches names without case
				if stack[n-1].names[name] {
					return refuse("bad_request", "a name is there twice").at(t)
				}
				stack[n-1].names[name] = true
				stack[n-1].key = false
				continue
			}
			value()
		default:
			value()
		}
	}
}
