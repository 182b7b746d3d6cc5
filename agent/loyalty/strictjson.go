package loyalty

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Limits bound what a decoder accepts before it looks at the meaning.
type Limits struct {
	Bytes int // size of the document
	Depth int // nested objects and lists
	Items int // elements of one list or object
}

// The limits of the documents this package reads.
var (
	DocumentLimits = Limits{Bytes: 32 << 20, Depth: 64, Items: 200_000}
	ReceiptLimits  = Limits{Bytes: 8 << 20, Depth: 16, Items: 20_000}
)

// Unmarshal reads strict JSON into the struct v points to: unknown and
// repeated fields, wrong types and bad numbers are all reported at once, as
// Problems. Decimal types accept "12.50" and also 12.50, which is read
// exactly, never through floating point.
func Unmarshal(data []byte, v any, lim Limits) error {
	if len(data) > lim.Bytes {
		return Problems{{Code: "too_large", What: fmt.Sprintf("the document has %d bytes, at most %d are read", len(data), lim.Bytes),
			Remedy: "split it or drop what is not used"}}
	}
	if !utf8.Valid(data) {
		return Problems{{Code: "not_utf8", What: "the document is not UTF-8", Remedy: "save it as UTF-8 without a byte order mark"}}
	}
	d := &binder{data: data, lim: lim}
	d.space()
	if d.pos == len(d.data) {
		return Problems{{Code: "empty", What: "the document is empty", Remedy: "write a JSON object: {…}"}}
	}
	d.value(reflect.ValueOf(v).Elem(), "", 0)
	d.space()
	if !d.stop && d.pos < len(d.data) {
		d.syntax("text after the end of the document")
	}
	return d.problems.err()
}

// binder walks JSON text and fills Go values as it goes; no tree is built,
// so memory stays in proportion to what the document means.
type binder struct {
	data     []byte
	pos      int
	lim      Limits
	problems Problems
	stop     bool // syntax is broken or there are too many problems
	path     []byte
}

func (d *binder) add(code, found, what, remedy string) {
	if d.stop {
		return
	}
	line := 1 + bytes.Count(d.data[:min(d.pos, len(d.data))], []byte{'\n'})
	d.problems = append(d.problems, Problem{Path: string(d.path), Code: code, Found: shorten(found), What: what, Remedy: remedy, Line: line})
	if len(d.problems) >= maxProblems {
		d.problems = append(d.problems, Problem{Code: "too_many", What: "more problems follow; these come first"})
		d.stop = true
	}
}

func (d *binder) syntax(what string) {
	found := "the end"
	if d.pos < len(d.data) {
		found = strconv.Quote(string(d.data[d.pos:min(d.pos+20, len(d.data))]))
	}
	d.add("syntax", found, what, "the document must be valid JSON")
	d.stop = true
}

func (d *binder) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *binder) peek() byte {
	d.space()
	if d.pos < len(d.data) {
		return d.data[d.pos]
	}
	return 0
}

// take consumes c or reports broken syntax.
func (d *binder) take(c byte) bool {
	if d.stop {
		return false
	}
	if d.peek() != c {
		d.syntax(fmt.Sprintf("expected %q", c))
		return false
	}
	d.pos++
	return true
}

var (
	textType    = reflect.TypeFor[Text]()
	balanceType = reflect.TypeFor[Balance]()
)

// value reads one JSON value into v.
func (d *binder) value(v reflect.Value, kind string, depth int) {
	if d.stop {
		return
	}
	if depth > d.lim.Depth {
		d.add("too_deep", "", fmt.Sprintf("more than %d levels", d.lim.Depth), "flatten the nesting")
		d.stop = true
		return
	}
	c := d.peek()
	if c == 'n' {
		d.skip(depth)
		if v.Kind() != reflect.Pointer {
			d.add("null", "null", "null is not a value here", "leave the field out")
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(v.Elem(), kind, depth)
		return
	}
	if v.Type() == balanceType && (c == '"' || c >= '0' && c <= '9') {
		// A balance may be written as its active points.
		d.value(v.FieldByName("Active"), "", depth)
		return
	}
	if v.Type() == textType && c == '"' {
		s, ok := d.str()
		if ok {
			v.Set(reflect.ValueOf(Text{"": s}))
		}
		return
	}
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			d.text(u, v, c, depth)
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(v, depth)
	case reflect.Slice:
		d.list(v, kind, depth)
	case reflect.Map:
		d.mapping(v, kind, depth)
	case reflect.String:
		if c != '"' {
			d.wrong("a string", c, depth)
			return
		}
		if s, ok := d.str(); ok {
			v.SetString(s)
			d.choice(s, kind)
		}
	case reflect.Bool:
		if c != 't' && c != 'f' {
			d.wrong("true or false", c, depth)
			return
		}
		if lit := d.literal(); lit == "true" || lit == "false" {
			v.SetBool(lit == "true")
		} else {
			d.syntax("expected true or false")
		}
	case reflect.Int, reflect.Int64:
		if c != '-' && (c < '0' || c > '9') {
			d.wrong("a whole number", c, depth)
			return
		}
		lit := d.literal()
		n, err := strconv.ParseInt(lit, 10, 64)
		if err != nil {
			d.add("bad_number", lit, "not a whole number in range", "write it without a point or exponent")
			return
		}
		v.SetInt(n)
	default:
		panic("loyalty: no decoding for " + v.Type().String())
	}
}

// text reads a string, or the literal of a number, through UnmarshalText.
func (d *binder) text(u encoding.TextUnmarshaler, v reflect.Value, c byte, depth int) {
	var s string
	switch {
	case c == '"':
		var ok bool
		if s, ok = d.str(); !ok {
			return
		}
	case v.Kind() == reflect.Int64 && (c == '-' || c >= '0' && c <= '9'):
		s = d.literal()
	default:
		d.wrong("a string", c, depth)
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.add("bad_value", strconv.Quote(s), err.Error(), remedyFor(v.Type()))
	}
}

func remedyFor(t reflect.Type) string {
	if t.Kind() == reflect.Int64 {
		return "write a decimal like \"12.50\""
	}
	switch t.Name() {
	case "Time":
		return "write a time like \"2026-11-23T10:15:00+01:00\""
	case "Date":
		return "write a date like \"2026-11-23\""
	case "Clock":
		return "write a time of day like \"17:30\""
	case "Span":
		return "write a span like \"90 days\" or \"12 months\""
	}
	return ""
}

// wrong reports a value of another type and steps over it.
func (d *binder) wrong(want string, c byte, depth int) {
	start := d.pos
	d.skip(depth)
	if d.stop {
		return
	}
	name := map[byte]string{'{': "an object", '[': "a list", '"': "a string", 't': "true", 'f': "false"}[c]
	if name == "" {
		name = "a number"
	}
	if c != '{' && c != '[' {
		name += " " + string(d.data[start:d.pos])
	}
	d.add("wrong_type", name, "must be "+want, "")
}

// choice checks a string against the closed list of its tag.
func (d *binder) choice(s, kind string) {
	if kind == "" {
		return
	}
	for k := range strings.SplitSeq(kind, "|") {
		if k == s {
			return
		}
	}
	d.add("unknown_value", strconv.Quote(s), "not one of the known values", "use one of: "+strings.ReplaceAll(kind, "|", ", "))
}

// in runs f with the path extended by a field or an index.
func (d *binder) field(name string, f func()) {
	n := len(d.path)
	if n > 0 {
		d.path = append(d.path, '.')
	}
	d.path = append(d.path, name...)
	f()
	d.path = d.path[:n]
}

func (d *binder) list(v reflect.Value, kind string, depth int) {
	c := d.peek()
	if c != '[' {
		// One element without brackets is what people write; take it.
		if k := v.Type().Elem().Kind(); k == reflect.String && c == '"' {
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(e, kind, depth+1)
			v.Set(reflect.Append(v, e))
			return
		}
		d.wrong("a list [...]", c, depth)
		return
	}
	d.pos++
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if d.peek() == ']' {
		d.pos++
		return
	}
	n := len(d.path)
	for i := 0; !d.stop; i++ {
		if i >= d.lim.Items {
			d.add("too_long", "", fmt.Sprintf("more than %d elements", d.lim.Items), "split the list")
			d.stop = true
			return
		}
		d.path = append(strconv.AppendInt(append(d.path, '['), int64(i), 10), ']')
		if v.Cap() == i {
			v.Grow(max(1, min(2*i, 4096)))
		}
		v.SetLen(i + 1)
		d.value(v.Index(i), kind, depth+1)
		d.path = d.path[:n]
		if d.stop {
			return
		}
		switch d.peek() {
		case ',':
			d.pos++
		case ']':
			d.pos++
			return
		default:
			d.syntax("expected ',' or ']' in a list")
		}
	}
}

func (d *binder) mapping(v reflect.Value, kind string, depth int) {
	if c := d.peek(); c != '{' {
		d.wrong("an object {...}", c, depth)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.members(depth, func(key string) {
		k := reflect.New(v.Type().Key()).Elem()
		k.SetString(key)
		if v.MapIndex(k).IsValid() {
			d.add("repeated", strconv.Quote(key), "the name is used twice", "keep one of them")
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(e, kind, depth+1)
		v.SetMapIndex(k, e)
	})
}

// members walks the members of an object; f reads one value.
func (d *binder) members(depth int, f func(key string)) {
	if !d.take('{') {
		return
	}
	if d.peek() == '}' {
		d.pos++
		return
	}
	for i := 0; !d.stop; i++ {
		if i >= d.lim.Items {
			d.add("too_long", "", fmt.Sprintf("more than %d members", d.lim.Items), "split the object")
			d.stop = true
			return
		}
		if d.peek() != '"' {
			d.syntax("expected a name in quotes")
			return
		}
		key, ok := d.str()
		if !ok || !d.take(':') {
			return
		}
		d.field(key, func() { f(key) })
		if d.stop {
			return
		}
		switch d.peek() {
		case ',':
			d.pos++
		case '}':
			d.pos++
			return
		default:
			d.syntax("expected ',' or '}' in an object")
		}
	}
}

func (d *binder) object(v reflect.Value, depth int) {
	if c := d.peek(); c != '{' {
		d.wrong("an object {...}", c, depth)
		return
	}
	info := structOf(v.Type())
	var seen uint64
	d.members(depth, func(key string) {
		i, ok := info.byName[key]
		if !ok {
			d.skip(depth + 1)
			remedy := "known: " + strings.Join(info.names, ", ")
			if near := nearest(key, info.names); near != "" {
				remedy = "did you mean \"" + near + "\"? " + remedy
			}
			d.add("unknown_field", strconv.Quote(key), "not a field here", remedy)
			return
		}
		f := &info.fields[i]
		if seen&(1<<uint(i)) != 0 {
			d.add("repeated", strconv.Quote(key), "the field is given twice", "keep one of them")
		}
		seen |= 1 << uint(i)
		d.value(v.FieldByIndex(f.index), f.choices, depth+1)
	})
}

type structInfo struct {
	fields []fieldInfo
	names  []string
	byName map[string]int
}

type fieldInfo struct {
	name    string
	index   []int
	choices string
	doc     string
	typ     reflect.Type
}

var structs sync.Map // reflect.Type -> *structInfo

func structOf(t reflect.Type) *structInfo {
	if s, ok := structs.Load(t); ok {
		return s.(*structInfo)
	}
	s := &structInfo{byName: map[string]int{}}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		s.byName[name] = len(s.fields)
		s.names = append(s.names, name)
		s.fields = append(s.fields, fieldInfo{name, f.Index, f.Tag.Get("enum"), f.Tag.Get("doc"), f.Type})
	}
	if len(s.fields) > 64 {
		panic("loyalty: more than 64 fields in " + t.String())
	}
	got, _ := structs.LoadOrStore(t, s)
	return got.(*structInfo)
}

// literal consumes a bare word or number.
func (d *binder) literal() string {
	d.space()
	start := d.pos
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '"' || c == '{' || c == '[' || c == ':':
			return string(d.data[start:d.pos])
		}
		d.pos++
	}
	return string(d.data[start:d.pos])
}

// str consumes a string.
func (d *binder) str() (string, bool) {
	start := d.pos
	raw, ok := d.rawString()
	if !ok {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	var s string
	if err := json.Unmarshal(d.data[start:d.pos], &s); err != nil {
		d.pos = start
		d.syntax("a string with a bad escape")
		return "", false
	}
	return s, true
}

// rawString steps over a string and returns what is between its quotes.
func (d *binder) rawString() ([]byte, bool) {
	start := d.pos + 1
	for i := start; i < len(d.data); i++ {
		switch c := d.data[i]; {
		case c == '"':
			d.pos = i + 1
			return d.data[start:i], true
		case c == '\\':
			i++
		case c < 0x20:
			d.pos = i
			d.syntax("a control character inside a string")
			return nil, false
		}
	}
	d.pos = len(d.data)
	d.syntax("a string without an end")
	return nil, false
}

// skip steps over one value of any kind, checking its syntax.
func (d *binder) skip(depth int) {
	if depth > d.lim.Depth {
		d.add("too_deep", "", fmt.Sprintf("more than %d levels", d.lim.Depth), "flatten the nesting")
		d.stop = true
		return
	}
	switch c := d.peek(); c {
	case '{':
		d.members(depth, func(string) { d.skip(depth + 1) })
	case '[':
		d.pos++
		if d.peek() == ']' {
			d.pos++
			return
		}
		for !d.stop {
			d.skip(depth + 1)
			if d.stop {
				return
			}
			switch d.peek() {
			case ',':
				d.pos++
			case ']':
				d.pos++
				return
			default:
				d.syntax("expected ',' or ']' in a list")
			}
		}
	case '"':
		d.str()
	default:
		start := d.pos
		lit := d.literal()
		if !json.Valid([]byte(lit)) {
			d.pos = start
			d.syntax("not a JSON value")
		}
	}
}
