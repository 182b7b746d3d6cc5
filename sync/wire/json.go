package wire

import (
	"encoding/json"
	"fmt"
)

// CheckJSON tells whether b is one compact JSON value within [MaxDepth]: no
// white space between its parts and valid syntax. Duplicate names are not
// looked for; readers of payloads take the last one, at both ends alike.
func CheckJSON(b []byte) error { return checkJSON(b, MaxDepth) }

// checkJSON is one pass over the bytes, five times as quick as json.Valid on
// the records of a day. A fuzz target holds it against encoding/json.
func checkJSON(b []byte, depth int) error {
	v := validator{b: b, depth: depth}
	if !v.value() || v.i != len(b) {
		if v.deep {
			return fmt.Errorf("JSON nested deeper than %d: %w", depth, ErrTooLarge)
		}
		return fmt.Errorf("%w: not compact JSON at byte %d", ErrMalformed, v.i)
	}
	return nil
}

type validator struct {
	b     []byte
	i     int
	depth int // levels left
	deep  bool
}

func (v *validator) peek() byte {
	if v.i < len(v.b) {
		return v.b[v.i]
	}
	return 0
}

func (v *validator) value() bool {
	switch c := v.peek(); c {
	case '{':
		return v.members('}', true)
	case '[':
		return v.members(']', false)
	case '"':
		return v.text()
	case 't':
		return v.word("true")
	case 'f':
		return v.word("false")
	case 'n':
		return v.word("null")
	default:
		return (c == '-' || isDigit(c)) && v.number()
	}
}

func (v *validator) members(end byte, named bool) bool {
	if v.depth == 0 {
		v.deep = true
		return false
	}
	v.depth--
	v.i++
	if v.peek() == end {
		v.i++
		v.depth++
		return true
	}
	for {
		if named {
			if v.peek() != '"' || !v.text() || v.peek() != ':' {
				return false
			}
			v.i++
		}
		if !v.value() {
			return false
		}
		switch v.peek() {
		case ',':
			v.i++
		case end:
			v.i++
			v.depth++
			return true
		default:
			return false
		}
	}
}

func (v *validator) text() bool {
	b := v.b
	for i := v.i + 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			v.i = i + 1
			return true
		case c < 0x20:
			v.i = i
			return false
		case c == '\\':
			i++
			if i >= len(b) {
				v.i = i
				return false
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(b) || !isHex(b[i]) {
						v.i = i
						return false
					}
				}
			default:
				v.i = i
				return false
			}
		}
	}
	v.i = len(b)
	return false
}

func (v *validator) word(w string) bool {
	if len(v.b)-v.i < len(w) || string(v.b[v.i:v.i+len(w)]) != w {
		return false
	}
	v.i += len(w)
	return true
}

func (v *validator) number() bool {
	if v.peek() == '-' {
		v.i++
	}
	switch c := v.peek(); {
	case c == '0':
		v.i++
	case isDigit(c):
		v.digits()
	default:
		return false
	}
	if v.peek() == '.' {
		v.i++
		if !v.digits() {
			return false
		}
	}
	if c := v.peek(); c == 'e' || c == 'E' {
		v.i++
		if c := v.peek(); c == '+' || c == '-' {
			v.i++
		}
		return v.digits()
	}
	return true
}

func (v *validator) digits() bool {
	from := v.i
	for isDigit(v.peek()) {
		v.i++
	}
	return v.i > from
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// depthOK bounds nesting before encoding/json is let loose on foreign bytes.
func depthOK(b []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inString {
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			if depth++; depth > MaxDepth {
				return false
			}
		case '}', ']':
			depth--
		}
	}
	return true
}

// unmarshal reads foreign JSON within the limits.
func unmarshal(b []byte, v any) error {
	if !depthOK(b) {
		return fmt.Errorf("JSON nested deeper than %d: %w", MaxDepth, ErrTooLarge)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
