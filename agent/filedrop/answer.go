package filedrop

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Result is what became of one request.
type Result struct {
	ID      string          `json:"id,omitempty"`
	Request string          `json:"request,omitempty"`
	Status  int             `json:"status"`           // as the API's
	Answer  json.RawMessage `json:"answer,omitempty"` // of the API
	Error   json.RawMessage `json:"error,omitempty"`  // code, message, hint, field
}

// OK tells whether the request was carried out.
func (r *Result) OK() bool { return r.Status >= 200 && r.Status < 300 }

// answerName is the name of the answer to a file.
func answerName(name string, f *File, s *Settings) string {
	if s.Answer == "same" || Format(s.Answer) == f.Format {
		return name
	}
	return stem(name) + "." + s.Answer
}

func stem(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return name
}

// Render writes the answer to a file: in its format, or that of the settings,
// and in its encoding.
func Render(f *File, s *Settings, results []Result) []byte {
	form := f.Format
	if s.Answer != "same" {
		form = Format(s.Answer)
	}
	enc := f.Encoding
	if enc == "ascii" || enc == "" {
		enc = "utf-8"
		if page(s.Encoding) != nil || strings.HasPrefix(s.Encoding, "utf-16") {
			enc = s.Encoding
		}
	}
	var text string
	switch form {
	case Table:
		text = tableAnswer(f, results)
	case Tree:
		text = treeAnswer(enc, results)
	default:
		var v any = results
		if len(results) == 1 && !f.List {
			v = results[0]
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic("filedrop: " + err.Error()) // results are marshalled JSON and texts
		}
		text = b.String()
	}
	return encode(text, enc, f.BOM)
}

func encode(text, enc string, bom bool) []byte {
	switch enc {
	case "utf-8":
		if bom {
			text = "\ufeff" + text
		}
		return []byte(text)
	case "utf-16", "utf-16le", "utf-16be":
		var order binary.AppendByteOrder = binary.LittleEndian
		if enc == "utf-16be" {
			order = binary.BigEndian
		}
		if bom || enc == "utf-16" {
			text = "\ufeff" + text
		}
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, u)
		}
		return b
	}
	p := page(enc)
	var b []byte
	for i, l := range strings.Split(text, "\n") {
		if i > 0 {
			b = append(b, '\n')
		}
		l, cr := strings.CutSuffix(l, "\r")
		b = append(b, p.Encode(l)...)
		if cr {
			b = append(b, '\r')
		}
	}
	return b
}

// tableAnswer is a table of four columns: number, request, name, value. Names
// are paths into the API's answer, "totals.net", "lines.1.net", "print.3".
func tableAnswer(f *File, results []Result) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Comma = ';'
	if f.Separator != 0 {
		w.Comma = f.Separator
	}
	row := func(cells ...string) { _ = w.Write(cells) } // into memory
	row("id", "request", "name", "value")
	for i := range results {
		r := &results[i]
		state, body := "ok", r.Answer
		if !r.OK() {
			state, body = "error", r.Error
		}
		row(r.ID, r.Request, "status", state)
		for _, p := range flatten(body) {
			row(r.ID, r.Request, p[0], p[1])
		}
	}
	w.Flush()
	return b.String()
}

// left out of tables and documents: what only programs that speak JSON want.
var tooMuch = map[string]bool{"trace": true, "token": true, "explanation": true}

// flatten gives the leaves of an answer, lists counted from 1.
func flatten(raw json.RawMessage) (out [][2]string) {
	walk := func(path string, v any) {}
	walk = func(path string, v any) {
		join := func(k string) string {
			if path == "" {
				return k
			}
			return path + "." + k
		}
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sorted(v) {
				if !tooMuch[k] {
					walk(join(k), v[k])
				}
			}
		case []any:
			for i, x := range v {
				walk(join(strconv.Itoa(i+1)), x)
			}
		default:
			out = append(out, [2]string{path, leaf(v)})
		}
	}
	walk("", value(raw))
	return out
}

func value(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func sorted(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func leaf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	return fmt.Sprint(v)
}

var xmlName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// treeAnswer is <answers><answer id request status>…: the API's answer with an
// element for each name; lists are repeated <item>s.
func treeAnswer(enc string, results []Result) string {
	var b strings.Builder
	if strings.HasPrefix(enc, "utf-16") {
		enc = "utf-16"
	}
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"%s\"?>\r\n<answers>\r\n", enc)
	esc := func(s string) string {
		var e strings.Builder
		_ = xml.EscapeText(&e, []byte(s)) // into memory
		return e.String()
	}
	var walk func(name string, v any, deep int)
	walk = func(name string, v any, deep int) {
		pad := strings.Repeat("  ", deep)
		open, end := name, name
		if !xmlName.MatchString(name) {
			open, end = `entry name="`+esc(name)+`"`, "entry"
		}
		switch v := v.(type) {
		case map[string]any:
			fmt.Fprintf(&b, "%s<%s>\r\n", pad, open)
			for _, k := range sorted(v) {
				if !tooMuch[k] {
					walk(k, v[k], deep+1)
				}
			}
			fmt.Fprintf(&b, "%s</%s>\r\n", pad, end)
		case []any:
			fmt.Fprintf(&b, "%s<%s>\r\n", pad, open)
			for _, x := range v {
				walk("item", x, deep+1)
			}
			fmt.Fprintf(&b, "%s</%s>\r\n", pad, end)
		default:
			fmt.Fprintf(&b, "%s<%s>%s</%s>\r\n", pad, open, esc(leaf(v)), end)
		}
	}
	for i := range results {
		r := &results[i]
		state, body := "ok", r.Answer
		if !r.OK() {
			state, body = "error", r.Error
		}
		fmt.Fprintf(&b, "  <answer id=\"%s\" request=\"%s\" status=\"%s\">\r\n", esc(r.ID), esc(r.Request), state)
		if m, ok := value(body).(map[string]any); ok {
			for _, k := range sorted(m) {
				if !tooMuch[k] {
					walk(k, m[k], 2)
				}
			}
		}
		b.WriteString("  </answer>\r\n")
	}
	b.WriteString("</answers>\r\n")
	return b.String()
}
