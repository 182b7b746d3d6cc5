package loyalty

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func seeds(f *testing.F, patterns ...string) {
	f.Helper()
	for _, p := range patterns {
		files, err := filepath.Glob(p)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// FuzzRulebook: whatever the bytes, decoding and compiling end with a
// rulebook or an error; a rulebook that compiles prices its own vectors, and
// survives being written and read again.
func FuzzRulebook(f *testing.F) {
	seeds(f, "testdata/mechanics/*.json", "../../configs/rulebooks/*.json")
	f.Add([]byte(`{"programme": {"id": "x", "currency": "EUR"}, "rules": []}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Decode(data)
		if err != nil {
			_ = err.Error()
			return
		}
		rb, err := Compile(doc)
		if err != nil {
			_ = err.Error()
			return
		}
		first := rb.RunVectors()
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatalf("written and read again: %v\n%s", err, text)
		}
		rb2, err := Compile(again)
		if err != nil {
			t.Fatalf("written and compiled again: %v", err)
		}
		second := rb2.RunVectors()
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(second)
		if !bytes.Equal(a, b) {
			t.Fatalf("vectors differ after writing and reading:\n%s\n%s", a, b)
		}
		if changes, err := Diff(doc, again); err != nil || len(changes) > 0 {
			t.Fatalf("differs after writing and reading: %v %v", changes, err)
		}
		rb.Conflicts()
	})
}

// FuzzReceipt: whatever receipt and member come, pricing ends with a result
// whose lines add up, or with an error.
func FuzzReceipt(f *testing.F) {
	data, err := os.ReadFile("../../configs/rulebooks/drugstore.json")
	if err != nil {
		f.Fatal(err)
	}
	doc, err := Decode(data)
	if err != nil {
		f.Fatal(err)
	}
	rb, err := Compile(doc)
	if err != nil {
		f.Fatal(err)
	}
	for i := range doc.Vectors {
		text, err := json.Marshal(&doc.Vectors[i].Receipt)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, `{"id": "1", "wallets": {"points": {"active": "5000"}}}`)
	}
	f.Add([]byte(`{"lines": [{"sku": "a", "quantity": "9223372036854775.807", "price": "9223372036854.775807"}]}`), ``)
	f.Add([]byte(`{"lines": [{"sku": "a", "quantity": -1, "price": 5, "amount": "-92233720368547758.07"}], "spend": "max"}`), `{"id": "f"}`)
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, receipt []byte, member string) {
		r, err := DecodeReceipt(receipt)
		if err != nil {
			return
		}
		in := Input{Receipt: r, Now: now}
		if m, err := DecodeMember([]byte(member)); err == nil {
			in.Member = m
		}
		res, err := rb.Price(in)
		if err != nil {
			return
		}
		var net Money
		for _, l := range res.Lines {
			left := l.Gross - l.Redeemed
			for _, d := range l.Discounts {
				left -= d.Amount
			}
			if left != l.Net || l.Quantity >= 0 && l.Net < 0 {
				t.Fatalf("line %+v does not add up", l)
			}
			net += l.Net
		}
		if net != res.Totals.Net {
			t.Fatalf("net %s, lines say %s", res.Totals.Net, net)
		}
		if _, err := json.Marshal(res); err != nil {
			t.Fatal(err)
		}
		back, err := rb.Return(res, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if back.Totals.Net != res.Totals.Net {
			t.Fatalf("paid %s, given back %s", res.Totals.Net, back.Totals.Net)
		}
		if in.Member != nil {
			rb.ApplyReturn(rb.Apply(in.Member, res, now), back, now)
		}
	})
}

// fuzzVars answers every variable.
type fuzzVars int64

func (v fuzzVars) variable(string) value { return value{n: int64(v), digits: 2, number: true} }

// FuzzTemplate: a template parses or is refused; one that parses is filled.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{points} {points, plural, one {балл} few {балла} many {баллов} other {балла}}", "{{literal}} #", "{a, plural, other {# {b, plural, other {x}}}}", "{", "}", "{a", "{a, plural, other {"} {
		f.Add(s, int64(123456))
	}
	f.Fuzz(func(t *testing.T, s string, n int64) {
		for _, lang := range []string{"en", "ru", "pl", "de"} {
			tpl, err := parseTemplate(lang, s)
			if err != nil {
				_ = err.Error()
				continue
			}
			tpl.appendTo(nil, languages["ru"], fuzzVars(n), value{})
		}
	})
}
