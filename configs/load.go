package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ErrNoFile is returned when the settings file does not exist, as opposed to
// one that cannot be read or is wrong.
var ErrNoFile = errors.New("no settings file")

// maxFile bounds a settings file; a real one has a few kilobytes.
const maxFile = 1 << 20

// Problem is one thing wrong with a settings file.
type Problem struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`  // from 1; 0: not known
	Field  string `json:"field,omitempty"` // "devices[0].kind"
	Found  string `json:"found,omitempty"` // as written
	Remedy string `json:"remedy"`          // what would do
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	if p.Found != "" {
		b.WriteString("found " + p.Found + "; ")
	}
	b.WriteString(p.Remedy)
	return b.String()
}

// Problems is every problem of one file, in the order of its lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Duration is a length of time written as text: "800ms", "20s", "72h".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as Go writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "1h30m", "20s" and the like.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("want a length of time such as \"20s\" or \"1h30m\"")
	}
	*d = Duration(v)
	return nil
}

// readFile reads a settings file, bounded.
func readFile(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoFile, file)
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	if st.Size() > maxFile {
		return nil, Problems{{File: file, Found: fmt.Sprintf("%d bytes", st.Size()), Remedy: "a settings file has at most 1 MiB"}}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return data, nil
}

// decoder lays a parsed document onto a struct and collects problems.
type decoder struct {
	file  string
	lines map[string]int // field path -> line
	found Problems
}

// decode reads a TOML document into dst, a pointer to a struct whose fields
// carry `toml` tags and already hold the defaults. It returns the decoder, by
// which later checks add their problems.
func decode(file string, data []byte, dst any) *decoder {
	d := &decoder{file: file, lines: map[string]int{}}
	doc := map[string]any{}
	if err := toml.Unmarshal(data, &doc); err != nil {
		p := Problem{File: file, Remedy: err.Error()}
		var de *toml.DecodeError
		if errors.As(err, &de) {
			p.Line, _ = de.Position()
			p.Field = strings.Join(de.Key(), ".")
			p.Remedy = "not TOML: " + strings.TrimPrefix(de.Error(), "toml: ")
		}
		d.found = append(d.found, p)
		return d
	}
	d.index(data)
	d.table("", doc, reflect.ValueOf(dst).Elem())
	return d
}

// add records a problem of one field; found may be empty.
func (d *decoder) add(field, found, remedy string) {
	d.found = append(d.found, Problem{File: d.file, Line: d.line(field), Field: field, Found: found, Remedy: remedy})
}

// line finds the line of a field, or of the closest table above it.
func (d *decoder) line(field string) int {
	for f := field; f != ""; {
		if n := d.lines[f]; n > 0 {
			return n
		}
		i := strings.LastIndexAny(f, ".[")
		if i < 0 {
			break
		}
		f = f[:i]
	}
	return 0
}

// err returns what was found, sorted by line, or nil.
func (d *decoder) err() error {
	if len(d.found) == 0 {
		return nil
	}
	sort.SliceStable(d.found, func(i, j int) bool { return d.found[i].Line < d.found[j].Line })
	return d.found
}

// index remembers the line of every key, by walking the raw expressions.
func (d *decoder) index(data []byte) {
	var p unstable.Parser
	p.Reset(data)
	prefix := ""
	seen := map[string]int{} // array tables met so far
	for p.NextExpression() {
		e := p.Expression()
		path, line := "", 0
		for it := e.Key(); it.Next(); {
			n := it.Node()
			if line == 0 {
				line = p.Shape(n.Raw).Start.Line
			}
			part := string(n.Data)
			if path != "" {
				path += "."
			}
			path += part
			// Below an array table, its last element is meant.
			if k := seen[path]; k > 0 && e.Kind != unstable.KeyValue && !it.IsLast() {
				path += fmt.Sprintf("[%d]", k-1)
			}
		}
		switch e.Kind {
		case unstable.Table:
			prefix = path
			d.lines[prefix] = line
		case unstable.ArrayTable:
			prefix = fmt.Sprintf("%s[%d]", path, seen[path])
			seen[path]++
			d.lines[prefix] = line
		case unstable.KeyValue:
			if prefix != "" {
				path = prefix + "." + path
			}
			d.lines[path] = line
		}
	}
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// table sets the fields of a struct and names every key it does not know.
func (d *decoder) table(path string, doc map[string]any, v reflect.Value) {
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		if name != "" && name != "-" {
			fields[name] = v.Field(i)
			names = append(names, name)
		}
	}
	keys := make([]string, 0, len(doc))
	for k := range doc {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		f, ok := fields[k]
		if !ok {
			d.add(join(path, k), "", unknown(k, names))
			continue
		}
		d.value(join(path, k), doc[k], f)
	}
}

// unknown words the remedy for a key nobody declared, with the nearest name.
func unknown(key string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		if k := distance(key, n); k < at {
			best, at = n, k
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown setting; did you mean %q?", best)
	}
	sort.Strings(names)
	return "unknown setting; known here: " + strings.Join(names, ", ")
}

// distance is the edit distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

type textUnmarshaler interface{ UnmarshalText([]byte) error }

// value sets one field from a parsed value.
func (d *decoder) value(path string, in any, v reflect.Value) {
	if u, ok := v.Addr().Interface().(textUnmarshaler); ok {
		s, isText := in.(string)
		if !isText {
			s = fmt.Sprint(in)
		}
		if err := u.UnmarshalText([]byte(s)); err != nil {
			d.add(path, show(in), err.Error())
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if s, ok := in.(string); ok {
			v.SetString(s)
			return
		}
		d.add(path, show(in), "want text in quotes")
	case reflect.Bool:
		if b, ok := in.(bool); ok {
			v.SetBool(b)
			return
		}
		d.add(path, show(in), "want true or false")
	case reflect.Int, reflect.Int64:
		if n, ok := in.(int64); ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return
		}
		d.add(path, show(in), "want a whole number")
	case reflect.Struct:
		if t, ok := in.(map[string]any); ok {
			d.table(path, t, v)
			return
		}
		d.add(path, show(in), "want a table: ["+path+"]")
	case reflect.Map:
		t, ok := in.(map[string]any)
		if !ok {
			d.add(path, show(in), "want a table: ["+path+"]")
			return
		}
		m := reflect.MakeMap(v.Type())
		for k, x := range t {
			e := reflect.New(v.Type().Elem()).Elem()
			if s, scalar := scalarText(x); scalar && e.Kind() == reflect.String {
				e.SetString(s) // options of devices may be written as numbers
			} else {
				d.value(join(path, k), x, e)
			}
			m.SetMapIndex(reflect.ValueOf(k), e)
		}
		v.Set(m)
	case reflect.Slice:
		list, ok := in.([]any)
		if !ok {
			d.add(path, show(in), "want a list: [ … ]")
			return
		}
		s := reflect.MakeSlice(v.Type(), len(list), len(list))
		for i, x := range list {
			d.value(fmt.Sprintf("%s[%d]", path, i), x, s.Index(i))
		}
		v.Set(s)
	default:
		panic("configs: field " + path + " has a type no setting may have: " + v.Type().String())
	}
}

// scalarText writes a number or a truth value as text.
func scalarText(in any) (string, bool) {
	switch x := in.(type) {
	case int64, bool, float64:
		return fmt.Sprint(x), true
	case string:
		return x, true
	}
	return "", false
}

// show quotes a found value for a person, shortened.
func show(in any) string {
	s := fmt.Sprint(in)
	if t, ok := in.(string); ok {
		s = strconv.Quote(t)
	}
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return s
}
