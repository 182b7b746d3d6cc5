package configs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Edits change single values of a settings file and leave everything else in
// it, comments above all, as a person wrote it. They work on lines: a value
// stands on one. What comes out must be read and checked before it is stored.

// SetText writes one text value, named as in problems: "language",
// "centre.ca_file". The commented-out default in its table becomes the value;
// where there is neither value nor comment, it is put at the table's end.
func SetText(doc []byte, key, value string) []byte {
	table, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	line := name + " = " + Quote(value)
	lines := strings.Split(strings.TrimRight(string(doc), "\n"), "\n")
	inside, end := table == "", -1 // end: last line of the table that says something
	if inside {
		end = 0
	}
	comment := -1
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			inside = l == "["+table+"]"
			if inside {
				end = i
			}
			continue
		}
		if !inside {
			continue
		}
		bare := strings.TrimPrefix(l, "#")
		before, _, isValue := strings.Cut(bare, "=")
		if isValue && strings.TrimSpace(before) == name {
			if bare == l {
				lines[i] = line
				return joined(lines)
			}
			if comment < 0 && !strings.HasPrefix(bare, " ") { // "# name = " is prose or an example
				comment = i
			}
		}
		if l != "" && (bare == l || isValue && !strings.HasPrefix(bare, " ")) {
			end = i
		}
	}
	switch {
	case comment >= 0:
		lines[comment] = line
	case end >= 0:
		lines = append(lines[:end+1], append([]string{line}, lines[end+1:]...)...)
	default:
		lines = append(lines, "", "["+table+"]", line)
	}
	return joined(lines)
}

func joined(lines []string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }

// SetDevices replaces the devices of a settings file. Their blocks are put at
// its end.
func SetDevices(doc []byte, list []Device) []byte {
	var out bytes.Buffer
	skip := false
	for l := range strings.Lines(string(doc)) {
		t := strings.TrimSpace(l)
		if strings.HasPrefix(t, "[") {
			skip = strings.HasPrefix(t, "[[devices]]") || strings.HasPrefix(t, "[devices.")
		}
		if !skip {
			out.WriteString(l)
		}
	}
	text := bytes.TrimRight(out.Bytes(), "\n")
	out = *bytes.NewBuffer(append(text, '\n'))
	for _, d := range list {
		out.WriteString("\n[[devices]]\n")
		for _, v := range []struct{ key, value string }{{"name", d.Name}, {"model", d.Model}, {"driver", d.Driver}, {"port", d.Port}} {
			if v.value != "" {
				fmt.Fprintf(&out, "%s = %s\n", v.key, Quote(v.value))
			}
		}
		if d.Line != (DeviceLine{}) {
			out.WriteString("[devices.line]\n")
			for _, v := range []struct {
				key string
				n   int
			}{{"baud", d.Line.Baud}, {"data_bits", d.Line.DataBits}, {"stop_bits", d.Line.StopBits}} {
				if v.n != 0 {
					fmt.Fprintf(&out, "%s = %d\n", v.key, v.n)
				}
			}
			if d.Line.Parity != "" {
				fmt.Fprintf(&out, "parity = %s\n", Quote(d.Line.Parity))
			}
		}
		if len(d.Options) > 0 {
			out.WriteString("[devices.options]\n")
			for _, k := range sortedKeys(d.Options) {
				fmt.Fprintf(&out, "%s = %s\n", Quote(k), Quote(d.Options[k]))
			}
		}
	}
	return out.Bytes()
}

// Quote writes a text as TOML does, in quotes.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
