package rulebooks_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/configs/rulebooks"
)

func compiled(t *testing.T, name string) *loyalty.Rulebook {
	t.Helper()
	data, err := rulebooks.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := loyalty.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return rb
}

// TestSamples: every sample compiles, its vectors hold, and it speaks three
// languages.
func TestSamples(t *testing.T) {
	if len(rulebooks.Names()) < 7 {
		t.Fatalf("samples: %v", rulebooks.Names())
	}
	for _, name := range rulebooks.Names() {
		t.Run(name, func(t *testing.T) {
			rb := compiled(t, name)
			if len(rb.Programme().Vectors) < 3 {
				t.Error("fewer than three vectors")
			}
			if err := rb.CheckVectors(); err != nil {
				t.Error(err)
			}
			for _, r := range rb.Programme().Rules {
				for _, lang := range []string{"en", "ru", "pl"} {
					if r.Name[lang] == "" {
						t.Errorf("rule %s has no name in %s", r.ID, lang)
					}
				}
			}
		})
	}
}

// TestVectorsCanFail: a vector whose expectation is wrong is reported.
func TestVectorsCanFail(t *testing.T) {
	for _, name := range rulebooks.Names() {
		rb := compiled(t, name)
		doc := rb.Programme()
		wrong := loyalty.Money(-1)
		for i := range doc.Vectors {
			doc.Vectors[i].Expect.Net = &wrong
		}
		for _, v := range rb.RunVectors() {
			if v.OK {
				t.Errorf("%s: %q holds although its net is wrong", name, v.Name)
			}
		}
	}
}

// TestLegalProfiles: the copies in the samples are the files in legal.
func TestLegalProfiles(t *testing.T) {
	files, err := filepath.Glob("legal/*.json")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	profiles := map[string]loyalty.LegalProfile{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var p loyalty.LegalProfile
		if err := loyalty.Unmarshal(data, &p, loyalty.DocumentLimits); err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rules {
			if r.Source == "" {
				t.Errorf("%s: rule %s names no source", f, r.ID)
			}
		}
		profiles[p.ID] = p
	}
	used := 0
	for _, name := range rulebooks.Names() {
		for _, p := range compiled(t, name).Programme().Legal {
			want, ok := profiles[p.ID]
			if !ok {
				continue
			}
			used++
			a, _ := json.Marshal(p)
			b, _ := json.Marshal(want)
			if !bytes.Equal(a, b) {
				t.Errorf("%s: profile %s differs from legal/", name, p.ID)
			}
		}
	}
	if used < 2 {
		t.Error("the profiles are used by no sample")
	}
}

// TestSchemaFile: the schema beside the samples is the one of this engine.
// To renew it: tillside rulebook schema > configs/rulebook.schema.json
func TestSchemaFile(t *testing.T) {
	want, err := loyalty.Schema()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../rulebook.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("configs/rulebook.schema.json is old: write it with tillside rulebook schema")
	}
}
