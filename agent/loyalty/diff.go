package loyalty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Change is one difference between two rulebooks.
type Change struct {
	Path   string `json:"path"` // "rules[summer].then[0].percent_off.percent"
	Kind   string `json:"kind"` // added, removed, changed
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func (c Change) String() string {
	switch c.Kind {
	case "added":
		return "+ " + c.Path + ": " + c.After
	case "removed":
		return "- " + c.Path + ": " + c.Before
	}
	return "~ " + c.Path + ": " + c.Before + " -> " + c.After
}

// Diff lists what changes from one rulebook to another. Elements with an id
// are compared by it, so that moving a rule is no change.
func Diff(before, after *Document) ([]Change, error) {
	a, err := plain(before)
	if err != nil {
		return nil, err
	}
	b, err := plain(after)
	if err != nil {
		return nil, err
	}
	var d differ
	d.values("", a, b)
	return d.changes, nil
}

// plain is the document as maps and lists, numbers as written.
func plain(doc *Document) (any, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("compare rulebooks: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("compare rulebooks: %w", err)
	}
	return v, nil
}

type differ struct{ changes []Change }

func brief(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	s := string(data)
	if len(s) > 200 {
		return shorten(s[:200]) + "…"
	}
	return s
}

func (d *differ) add(path, kind string, a, b any) {
	c := Change{Path: path, Kind: kind}
	if kind != "added" {
		c.Before = brief(a)
	}
	if kind != "removed" {
		c.After = brief(b)
	}
	d.changes = append(d.changes, c)
}

func (d *differ) values(path string, a, b any) {
	am, aok := a.(map[string]any)
	bm, bok := b.(map[string]any)
	if aok && bok {
		d.members(path, ".", am, bm)
		return
	}
	al, aok := a.([]any)
	bl, bok := b.([]any)
	if aok && bok {
		if ak, bk := byID(al), byID(bl); ak != nil && bk != nil {
			d.members(path, "[", ak, bk)
			return
		}
		for i := range max(len(al), len(bl)) {
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i >= len(al):
				d.add(at, "added", nil, bl[i])
			case i >= len(bl):
				d.add(at, "removed", al[i], nil)
			default:
				d.values(at, al[i], bl[i])
			}
		}
		return
	}
	if brief(a) != brief(b) {
		d.add(path, "changed", a, b)
	}
}

func (d *differ) members(path, sep string, a, b map[string]any) {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, k := range slices.Sorted(maps.Keys(names)) {
		at := path + sep + k
		if sep == "[" {
			at += "]"
		} else if path == "" {
			at = k
		}
		x, inA := a[k]
		y, inB := b[k]
		switch {
		case !inA:
			d.add(at, "added", nil, y)
		case !inB:
			d.add(at, "removed", x, nil)
		default:
			d.values(at, x, y)
		}
	}
}

// byID is a list of objects by their ids or names; nil when it is not one.
func byID(list []any) map[string]any {
	m := make(map[string]any, len(list))
	for _, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		id, ok := o["id"].(string)
		if !ok {
			if id, ok = o["name"].(string); !ok {
				return nil
			}
		}
		if _, twice := m[id]; twice {
			return nil
		}
		m[id] = v
	}
	return m
}
