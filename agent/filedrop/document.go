package filedrop

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Document is one request as it stood in a file: texts by the names of fields,
// whatever the file's format was.
type Document struct {
	Fields  map[string]string   // one for the whole request
	Lines   []map[string]string // of the basket, or what comes back
	Tenders []map[string]string
	Lists   map[string][]string // coupons, confirmed, events

	json bool // numbers are written with a point
}

// Problem is why a file or a request in it cannot be read: what was found, and
// what would do.
type Problem struct {
	Field string // or place: "row 3"
	Text  string
	Hint  string
	// Torn says that the file ends in the middle: more of it may come.
	Torn bool
}

func (p *Problem) Error() string {
	s := p.Text
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// kind is how the text of a field becomes JSON.
type kind int

const (
	text kind = iota
	money
	measure // quantities, percents
	moment
	whole
	yesNo
	word // looked up in the settings' words
)

// requestFields are the fields of a request; what is not here is refused.
var requestFields = map[string]kind{
	"request": word, "id": text, "card": text, "phone": text, "entry": text, "time": moment, "date": text, "clock": text,
	"currency": text, "cashier": text, "channel": text, "shift": text, "fiscal_number": text, "spend": text, "print": text, "columns": whole,
	"net": money, "original": text, "store": text, "till": text, "reason": text,
}

var lineFields = map[string]kind{
	"id": text, "sku": text, "name": text, "category": text, "brand": text, "quantity": measure, "unit": text, "price": money, "amount": money,
	"discount": money, "tax_rate": money, "min_price": money, "marked_down": yesNo,
}

var tenderFields = map[string]kind{"kind": word, "amount": money}

var listFields = []string{"coupons", "confirmed", "events"}

// FieldNames lists the names a field map may use, "line.sku" and "tender.kind"
// among them.
func FieldNames() []string {
	names := slices.Clone(listFields)
	for n := range requestFields {
		names = append(names, n)
	}
	for n := range lineFields {
		names = append(names, "line."+n)
	}
	for n := range tenderFields {
		names = append(names, "tender."+n)
	}
	slices.Sort(names)
	return names
}

// known tells whether a name stands for something; attributes of lines are
// named by the shop.
func known(name string) bool {
	if l, ok := strings.CutPrefix(name, "line."); ok {
		_, ok = lineFields[l]
		return ok || strings.HasPrefix(l, "attributes.") && len(l) > len("attributes.")
	}
	if f, ok := strings.CutPrefix(name, "tender."); ok {
		_, ok = tenderFields[f]
		return ok
	}
	_, ok := requestFields[name]
	return ok || slices.Contains(listFields, name)
}

// set puts a text under a name as in FieldNames into the document; line and
// tender are the current ones.
func (d *Document) set(name, value string, line, tender map[string]string) {
	switch {
	case strings.HasPrefix(name, "line."):
		line[name[len("line."):]] = value
	case strings.HasPrefix(name, "tender."):
		tender[name[len("tender."):]] = value
	case slices.Contains(listFields, name):
		if d.Lists == nil {
			d.Lists = map[string][]string{}
		}
		d.Lists[name] = append(d.Lists[name], strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == ';' || r == '|' })...)
	default:
		if d.Fields == nil {
			d.Fields = map[string]string{}
		}
		d.Fields[name] = value
	}
}

// Call is one call of the API that a request becomes.
type Call struct {
	Name string // operation id: "capture"
	ID   string // in its path
	Key  string // idempotency key of a writing call
	Body []byte
}

// The requests and whether a passing refusal is waited out.
var requests = map[string]bool{"sale": true, "return": true, "void": true, "identify": false, "calculate": false, "authorise": false}

// Calls turns a request into calls of the API, to be made in this order until
// one is refused. name is what a question without a number is known by.
func (d *Document) Calls(s *Settings, name string) ([]Call, error) {
	if d.json && s.Decimal != "auto" {
		c := *s
		c.Decimal = "auto"
		s = &c
	}
	f := d.Fields
	req, err := s.word("request", f["request"])
	if err != nil {
		return nil, err
	}
	if req == "" {
		switch { // the shape says it
		case f["original"] != "":
			req = "return"
		case len(d.Lines) > 0:
			req = "sale"
		case f["card"]+f["phone"] != "":
			req = "identify"
		default:
			return nil, &Problem{Field: "request", Text: "neither a request nor lines nor a card", Hint: `write sale, return, identify, calculate, authorise or void`}
		}
	}
	if _, ok := requests[req]; !ok {
		return nil, &Problem{Field: "request", Text: fmt.Sprintf("%q is no request", f["request"]), Hint: "write sale, return, identify, calculate, authorise or void, or say in files.words what your software calls them"}
	}
	id := f["id"]
	if id == "" && (req == "calculate" || req == "identify") {
		id = name
	}
	if id == "" {
		return nil, &Problem{Field: "id", Text: "a " + req + " needs a number of its own", Hint: "without one a file that comes twice would be booked twice"}
	}
	key := "files:" + req + ":" + keyPart(id)
	body := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			panic("filedrop: " + err.Error()) // maps of texts always marshal
		}
		return b
	}
	switch req {
	case "identify":
		m, err := d.customer()
		if err != nil || m == nil {
			if err == nil {
				err = &Problem{Field: "card", Text: "no card and no phone", Hint: "say who is to be identified"}
			}
			return nil, err
		}
		return []Call{{Name: "identify", Body: body(m)}}, nil
	case "void":
		return []Call{{Name: "void", ID: id, Key: key, Body: body(pick(f, "reason"))}}, nil
	case "return":
		m := pick(f, "original", "store", "till", "fiscal_number", "shift", "cashier")
		if m["original"] == nil {
			return nil, &Problem{Field: "original", Text: "a return names the receipt the goods come from", Hint: "write its number"}
		}
		lines := []any{}
		for i, l := range d.Lines {
			one, err := s.values(pickAll(l, "id", "sku", "quantity"), lineFields, fmt.Sprintf("line %d", i+1))
			if err != nil {
				return nil, err
			}
			if one["id"] != nil {
				delete(one, "sku") // goods are said for people then
			}
			q, _ := one["quantity"].(string)
			if q == "" {
				one["quantity"] = "0"
			} else if q[0] == '-' { // goods that come back are written below zero by many
				one["quantity"] = q[1:]
			}
			lines = append(lines, one)
		}
		m["lines"] = lines
		return []Call{{Name: "return_capture", Key: key, Body: body(m)}}, nil
	}
	basket, err := d.basket(s)
	if err != nil {
		return nil, err
	}
	switch req {
	case "calculate":
		return []Call{{Name: "calculate", ID: id, Body: body(basket)}}, nil
	case "authorise":
		return []Call{{Name: "authorise", ID: id, Key: key, Body: body(basket)}}, nil
	}
	capture := pick(f, "fiscal_number", "shift", "cashier", "print")
	if c := f["columns"]; c != "" {
		n, err := s.values(map[string]string{"columns": c}, requestFields, "")
		if err != nil {
			return nil, err
		}
		capture["columns"] = n["columns"]
	}
	if e := basket["expect"]; e != nil {
		capture["expect"] = e
	}
	if f["spend"] == "" {
		delete(basket, "expect")
		capture["receipt"] = basket
		return []Call{{Name: "capture", ID: id, Key: key, Body: body(capture)}}, nil
	}
	// Points are held before they are spent. What was authorised by a file of
	// its own before is authorised again, with the same price or a refusal.
	if t, ok := basket["tenders"]; ok {
		capture["tenders"] = t
	}
	return []Call{{Name: "authorise", ID: id, Key: "files:hold:" + keyPart(id), Body: body(basket)},
		{Name: "capture", ID: id, Key: key, Body: body(capture)}}, nil
}

// Waits tells whether a refusal of the request that passes by itself is waited
// out, rather than told.
func (d *Document) Waits(s *Settings) bool {
	req, err := s.word("request", d.Fields["request"])
	return err == nil && (requests[req] || req == "" && (d.Fields["original"] != "" || len(d.Lines) > 0))
}

func (d *Document) customer() (map[string]any, error) {
	f := d.Fields
	if f["card"] != "" && f["phone"] != "" {
		return nil, &Problem{Field: "phone", Text: "card and phone are there both", Hint: "send the one the customer was found by"}
	}
	if f["card"]+f["phone"] == "" {
		return nil, nil
	}
	m := pick(f, "phone", "entry")
	if f["card"] != "" {
		m["input"] = f["card"]
	}
	return m, nil
}

func (d *Document) basket(s *Settings) (map[string]any, error) {
	f := d.Fields
	m := pick(f, "currency", "cashier", "channel", "spend")
	c, err := d.customer()
	if err != nil {
		return nil, err
	}
	if c != nil {
		m["customer"] = c
	}
	when := f["time"]
	if when == "" && f["date"] != "" {
		when = strings.TrimSpace(f["date"] + " " + f["clock"])
	}
	if when != "" {
		at, err := s.moment(when)
		if err != nil {
			return nil, err
		}
		m["time"] = at.Format(time.RFC3339)
	}
	if f["net"] != "" {
		n, err := s.decimal(f["net"], true)
		if err != nil {
			return nil, &Problem{Field: "net", Text: err.Error(), Hint: decimalHint}
		}
		m["expect"] = map[string]any{"net": n}
	}
	lines := []any{}
	for i, l := range d.Lines {
		one, err := s.values(l, lineFields, fmt.Sprintf("line %d", i+1))
		if err != nil {
			return nil, err
		}
		lines = append(lines, one)
	}
	m["lines"] = lines
	var tenders []any
	for i, t := range d.Tenders {
		one, err := s.values(t, tenderFields, fmt.Sprintf("tender %d", i+1))
		if err != nil {
			return nil, err
		}
		tenders = append(tenders, one)
	}
	if tenders != nil {
		m["tenders"] = tenders
	}
	for name, list := range d.Lists {
		m[name] = list
	}
	return m, nil
}

// pick takes the fields that are there.
func pick(f map[string]string, names ...string) map[string]any {
	m := map[string]any{}
	for _, n := range names {
		if f[n] != "" {
			m[n] = f[n]
		}
	}
	return m
}

func pickAll(f map[string]string, names ...string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		if f[n] != "" {
			m[n] = f[n]
		}
	}
	return m
}

// keyPart is a request's number in an idempotency key, which is printable and
// bounded.
func keyPart(id string) string {
	var b strings.Builder
	for _, c := range []byte(id) {
		switch {
		case c > 0x20 && c < 0x7f && c != '%':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= 150 {
		return b.String()
	}
	return digest(id)
}
