package filedrop

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// node is an element with what is in it.
type node struct {
	name  string
	attrs map[string]string
	text  strings.Builder
	kids  []*node
}

// maxNodes bounds a document; a receipt of a thousand lines has some 20,000.
const maxNodes = 500_000

// readXML reads a document by the paths of the settings, or, when there are
// none, by our own names. Name spaces are left aside. Nothing outside the file
// is ever fetched, and entities other than the five of XML are refused.
func readXML(s string, set *Settings) ([]*Document, error) {
	root, err := xmlTree(s)
	if err != nil {
		return nil, err
	}
	plain := root.name == "receipt" || root.name == "receipts"
	if len(set.XML.Fields) == 0 || plain && len((&node{kids: []*node{root}}).find(set.XML.Receipt)) == 0 {
		return plainXML(root)
	}
	return mappedXML(root, &set.XML)
}

func xmlTree(s string) (*node, error) {
	d := xml.NewDecoder(strings.NewReader(s))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // decoded before
	var stack []*node
	var root *node
	nodes := 0
	fail := func(err error) error {
		line, _ := d.InputPos()
		var syntax *xml.SyntaxError
		torn := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		text := err.Error()
		if errors.As(err, &syntax) {
			line, text = syntax.Line, syntax.Msg
			torn = strings.Contains(text, "unexpected EOF")
		}
		if torn {
			text = "the XML ends in the middle"
		}
		return &Problem{Field: fmt.Sprintf("line %d", line), Text: text, Hint: "write the file under another name and rename it when it is whole", Torn: torn}
	}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(stack) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, fail(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if nodes++; nodes > maxNodes || len(stack) >= maxDepth {
				return nil, fail(errors.New("too many elements, or nested too deep"))
			}
			n := &node{name: t.Name.Local, attrs: map[string]string{}}
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || a.Name.Space == "http://www.w3.org/2001/XMLSchema-instance" || a.Name.Space == "xsi" {
					continue
				}
				n.attrs[a.Name.Local] = a.Value
			}
			if len(stack) == 0 {
				if root != nil {
					return nil, fail(errors.New("more than one document in the file"))
				}
				root = n
			} else {
				top := stack[len(stack)-1]
				top.kids = append(top.kids, n)
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			} else if strings.TrimSpace(string(t)) != "" {
				return nil, fail(errors.New("text outside the document"))
			}
		case xml.Directive:
			if strings.Contains(strings.ToUpper(string(t)), "ENTITY") {
				return nil, fail(errors.New("entities of one's own are not read"))
			}
		}
	}
}

func (n *node) value() string { return strings.TrimSpace(n.text.String()) }

// plainXML: <receipt> or several of them in one root; <line> and <tender>
// inside; everything else is a field, as element or attribute.
func plainXML(root *node) ([]*Document, error) {
	heads := []*node{root}
	if len(root.kids) > 0 && root.kids[0].name == "receipt" && root.name != "receipt" {
		heads = root.kids
	}
	var docs []*Document
	for i, h := range heads {
		place := h.name
		if len(heads) > 1 {
			place = fmt.Sprintf("%s[%d]", h.name, i)
		}
		if h != root && h.name != "receipt" {
			return nil, unknownField(place, h.name)
		}
		doc := &Document{Fields: map[string]string{}}
		for k, v := range h.attrs {
			if !known(k) {
				return nil, unknownField(place+"/@"+k, k)
			}
			doc.set(k, v, nil, nil)
		}
		for _, kid := range h.kids {
			switch {
			case kid.name == "line" || kid.name == "tender":
				row := map[string]string{}
				put := func(k, v string) error {
					if !known(kid.name + "." + k) {
						return unknownField(place+"/"+kid.name+"/"+k, k)
					}
					if v = strings.TrimSpace(v); v != "" {
						row[k] = v
					}
					return nil
				}
				for k, v := range kid.attrs {
					if err := put(k, v); err != nil {
						return nil, err
					}
				}
				for _, x := range kid.kids {
					if x.name == "attributes" && kid.name == "line" {
						for k, v := range x.attrs {
							row["attributes."+k] = v
						}
						continue
					}
					if err := put(x.name, x.value()); err != nil {
						return nil, err
					}
				}
				if kid.name == "line" {
					doc.Lines = append(doc.Lines, row)
				} else {
					doc.Tenders = append(doc.Tenders, row)
				}
			case slices.Contains([]string{"coupon", "event", "confirmed"}, kid.name):
				doc.set(listOf(kid.name), kid.value(), nil, nil)
			case known(kid.name) && len(kid.kids) == 0:
				if v := kid.value(); v != "" {
					doc.set(kid.name, v, nil, nil)
				}
			default:
				return nil, unknownField(place+"/"+kid.name, kid.name)
			}
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// mappedXML reads the fields of the map and nothing else.
func mappedXML(root *node, m *XML) ([]*Document, error) {
	holder := &node{kids: []*node{root}}
	heads := []*node{root}
	if m.Receipt != "" {
		heads = holder.find(m.Receipt)
	}
	if len(heads) == 0 {
		return nil, &Problem{Field: "files.xml.receipt", Text: fmt.Sprintf("the document has no %s", m.Receipt), Hint: "its root is " + root.name}
	}
	var docs []*Document
	for _, h := range heads {
		doc := &Document{Fields: map[string]string{}}
		rows := func(path, prefix string) (out []map[string]string) {
			if path == "" {
				return nil
			}
			for _, n := range h.find(path) {
				row := map[string]string{}
				for ours, p := range m.Fields {
					if k, ok := strings.CutPrefix(ours, prefix); ok {
						if v := n.get(p); v != "" {
							row[k] = v
						}
					}
				}
				if len(row) > 0 {
					out = append(out, row)
				}
			}
			return out
		}
		for ours, p := range m.Fields {
			if strings.HasPrefix(ours, "line.") || strings.HasPrefix(ours, "tender.") {
				continue
			}
			if v := h.get(p); v != "" {
				doc.set(ours, v, nil, nil)
			}
		}
		doc.Lines, doc.Tenders = rows(m.Line, "line."), rows(m.Tender, "tender.")
		docs = append(docs, doc)
	}
	return docs, nil
}

// find is every element at the end of a path.
func (n *node) find(path string) []*node {
	at := []*node{n}
	for _, step := range strings.Split(path, "/") {
		if step == "" || step == "." {
			continue
		}
		var next []*node
		for _, a := range at {
			for _, k := range a.kids {
				if k.name == step {
					next = append(next, k)
				}
			}
		}
		at = next
	}
	return at
}

// get is the first non-empty value of a path: "Head/Card", "@no", "A/@b|A".
func (n *node) get(paths string) string {
	for _, path := range strings.Split(paths, "|") {
		path = strings.TrimSpace(path)
		dir, attr, isAttr := strings.Cut(path, "@")
		for _, e := range n.find(strings.TrimSuffix(dir, "/")) {
			v := ""
			if isAttr {
				v = strings.TrimSpace(e.attrs[attr])
			} else {
				v = e.value()
			}
			if v != "" {
				return v
			}
		}
	}
	return ""
}

// listOf is the list that a repeated element belongs to.
func listOf(element string) string {
	if element == "confirmed" {
		return element
	}
	return element + "s"
}
