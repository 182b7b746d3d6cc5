package loyalty_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestMechanics runs the vectors of every rulebook in testdata/mechanics: one
// file a mechanic, readable as an example of it.
func TestMechanics(t *testing.T) {
	files, err := filepath.Glob("testdata/mechanics/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no mechanics: ", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
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
			results := rb.RunVectors()
			if len(results) == 0 {
				t.Error("no vectors")
			}
			for _, v := range results {
				for _, w := range v.Wrong {
					t.Errorf("%s: %s", v.Name, w)
				}
			}
		})
	}
}
