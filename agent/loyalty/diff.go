package loyalty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
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
// are compared by it, so that moving a rule is no change; where the order
// counts, as among stacking groups, another order is one.
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
			if ordered(path) {
				d.order(path, al, bl, ak, bk)
			}
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
	if !reflect.DeepEqual(a, b) {
		d.add(path, "changed", a, b)
	}
}

// ordered tells whether the order of a list counts.
func ordered(path string) bool {
	switch path {
	case "stacking_groups", "redemption", "tiers.levels":
		return true
	}
	return strings.HasPrefix(path, "tests[") && strings.HasSuffix(path, ".arms")
}

// order reports when what both lists hold comes in another order.
func (d *differ) order(path string, a, b []any, ak, bk map[string]any) {
	ids := func(list []any, other map[string]any) (ids []any) {
		for _, v := range list {
			id := idOf(v)
			if _, ok := other[id]; ok {
				ids = append(ids, id)
			}
		}
		return ids
	}
	if x, y := ids(a, bk), ids(b, ak); !reflect.DeepEqual(x, y) {
		d.add(path+" (order)", "changed", x, y)
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

// idOf is the id of an object, or its name; empty when it has neither.
func idOf(v any) string {
	o, _ := v.(map[string]any)
	if id, ok := o["id"].(string); ok {
		return id
	}
	name, _ := o["name"].(string)
	return name
}

// byID is a list of objects by their ids or names; nil when it is not one.
func byID(list []any) map[string]any {
	m := make(map[string]any, len(list))
	for _, v := range list {
		id := idOf(v)
		if id == "" {
			return nil
		}
		if _, twice := m[id]; twice {
			return nil
		}
		m[id] = v
	}
	return m
}
