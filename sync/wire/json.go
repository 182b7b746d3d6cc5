package wire

import (
	"encoding/json"
	"fmt"
)

// CheckJSON tells whether b is one compact JSON value within [MaxDepth]: no
// white space between its parts and valid syntax. Duplicate names are not
// looked for; readers of payloads take the last one, at both ends alike.
func CheckJSON(b []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			if depth++; depth > MaxDepth {
				return fmt.Errorf("JSON nested deeper than %d: %w", MaxDepth, ErrTooLarge)
			}
		case '}', ']':
			depth--
		case ' ', '\n', '\t', '\r':
			return fmt.Errorf("%w: white space in JSON", ErrMalformed)
		}
	}
	if !json.Valid(b) {
		return fmt.Errorf("%w: not JSON", ErrMalformed)
	}
	return nil
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
